"""Rooms and streets looked at for the people in them."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("warp", reason="the procedural world needs warp-lang: pip install 'edgedepth[world]'")

from edgedepth.world.categories import FAR_CATEGORIES, NEAR_CATEGORIES
from edgedepth.world.company import close_to, people_of, turned_to
from edgedepth.world.recipe import dice_for
from edgedepth.world.scene import View
from edgedepth.world.shard import recipes


def bearing(view: View, feet: np.ndarray) -> np.ndarray:
    """How far each person is to the side of the middle of the picture, in radians."""
    angle = np.arctan2(feet[:, 1] - view.position[1], feet[:, 0] - view.position[0]) - view.yaw
    return np.abs((angle + math.pi) % (2 * math.pi) - math.pi)


def test_both_worlds_have_the_categories_of_their_side() -> None:
    assert set(recipes("company")) == set(NEAR_CATEGORIES)
    assert set(recipes("crossing")) == set(FAR_CATEGORIES)


def test_rooms_have_company_and_the_camera_turns_to_it() -> None:
    somebody = turned = 0
    for seed in range(6):
        built = recipes("company")["living_room"](dice_for(seed, 0))
        people = people_of(built.scene)
        somebody += len(people) > 0
        view = built.sample_view(dice_for(seed, 1))
        away = np.hypot(people[:, 0] - view.position[0], people[:, 1] - view.position[1])
        if ((away > 1.0) & (away < 6.0)).any():
            assert bearing(view, people).min() <= 3 * 0.25 + 1e-9
            turned += 1
    assert turned >= 2
    assert somebody >= 5  # now and then there is no room to stand


def test_feet_are_where_people_stand() -> None:
    people = people_of(recipes("company")["corridor"](dice_for(3, 0)).scene)
    assert len(people) > 0
    assert np.abs(people[:, 2]).max() < 0.6  # on the floor, or on a seat's height above it


def test_a_view_comes_close_along_its_own_line() -> None:
    start = View(position=(0.0, 0.0, 1.5), yaw=1.0, hfov_deg=70.0)
    feet = np.array([[20.0, 0.0, -0.5], [80.0, 0.0, 0.0]])
    for number in range(20):
        view = close_to(start, feet, dice_for(number))
        x, y, z = view.position
        assert 2.5 <= 20.0 - x <= 9.0
        assert y == pytest.approx(0.0)
        assert 0.4 <= z <= 1.4  # above the ground on which the person stands
        assert bearing(view, feet[:1])[0] <= 3 * 0.25 + 1e-9
        assert view.hfov_deg == 70.0


def test_a_view_stays_where_there_is_nobody() -> None:
    view = View(position=(0.0, 0.0, 1.5), yaw=1.0)
    nobody = np.zeros((0, 3))
    assert turned_to(view, nobody, dice_for(1)) == view
    assert close_to(view, nobody, dice_for(1)) == view
    assert turned_to(view, np.array([[30.0, 0.0, 0.0]]), dice_for(1)) == view
