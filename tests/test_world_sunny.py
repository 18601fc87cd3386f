"""Rooms with glass doors in the sun: it reaches the floor, and cameras look to where it comes in."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("warp", reason="the procedural world needs warp-lang: pip install 'edgedepth[world]'")

from edgedepth.world.builder import SceneBuilder
from edgedepth.world.categories import NEAR_CATEGORIES
from edgedepth.world.indoor.placing import Kit, Pose
from edgedepth.world.indoor.terrace import terrace
from edgedepth.world.indoor.viewpoints import first_hits
from edgedepth.world.palette import room_palette
from edgedepth.world.recipe import BuiltScene, dice_for
from edgedepth.world.scene import SEMANTIC_ID
from edgedepth.world.shard import recipes


def sunny(count: int) -> list[BuiltScene]:
    return [build(dice_for(seed, 0)) for seed in range(count) for build in recipes("sunny").values()]


def lit_floor(built: BuiltScene) -> float:
    """Share of places on the room's floor that see the sun."""
    scene = built.scene
    sun = np.asarray(scene.sky.sun_direction)
    floor = scene.positions[scene.semantic == SEMANTIC_ID["floor"]].reshape(-1, 3)
    (low_x, low_y, _), (high_x, high_y, _) = floor.min(0), floor.max(0)
    xs, ys = np.linspace(low_x + 0.4, high_x - 0.4, 9), np.linspace(low_y + 0.4, high_y - 0.4, 9)
    lit = [np.isinf(first_hits(scene, np.array([x, y, 0.03]), sun[None])[0][0]) for x in xs for y in ys]
    return float(np.mean(lit))


def test_the_sun_reaches_the_floor_of_most_rooms() -> None:
    rooms = [built for built in sunny(2) if (built.scene.semantic == SEMANTIC_ID["window"]).any()]
    assert len(rooms) > 8
    assert all(max(built.scene.sky.sun_colour) > 5.0 for built in rooms)
    usual = [build(dice_for(seed, 0)) for seed in range(2) for build in recipes("indoor").values()]
    share, usual_share = (np.mean([lit_floor(built) > 0 for built in each]) for each in (rooms, usual))
    assert share >= 0.5
    assert share > usual_share + 0.2


def test_glass_doors_begin_at_the_floor_and_views_turn_to_them() -> None:
    assert set(recipes("sunny")) < set(NEAR_CATEGORIES)
    turned, usual = [], []
    for built in sunny(2):
        frames = built.scene.positions[built.scene.semantic == SEMANTIC_ID["window"]].reshape(-1, 3)
        if not len(frames):
            continue
        assert frames[:, 2].min() < 0.1
        assert frames[:, 2].max() > 1.8
        assert (built.scene.semantic == SEMANTIC_ID["terrain"]).any(), "there is a terrace before it"
        middle = frames.mean(0)
        for seed in range(8):
            view = built.sample_view(dice_for(seed, 1))
            towards = math.atan2(middle[1] - view.position[1], middle[0] - view.position[0])
            off = abs((view.yaw - towards + math.pi) % (2 * math.pi) - math.pi)
            turned.append(off < math.radians(view.hfov_deg))
            usual.append(math.radians(view.hfov_deg) / math.pi)  # of headings drawn at random
    assert np.mean(turned) > np.mean(usual) + 0.15


def test_a_terrace_lies_before_its_door() -> None:
    for seed in range(12):
        b, dice = SceneBuilder(), dice_for(seed)
        kit = Kit(b=b, dice=dice, look=room_palette(b, dice))
        terrace(kit, Pose(2.0, 0.0, 0.0, 0.0), 2.0)  # a room lies at y > 0
        scene = b.finish("living_room")
        paving = scene.positions[scene.semantic == SEMANTIC_ID["terrain"]].reshape(-1, 3)
        assert paving[:, 1].max() <= 1e-6
        assert paving[:, 2].max() < 0
        assert paving[:, 0].min() < 1.0
        assert paving[:, 0].max() > 3.0
        assert {"building", "fence", "tree"} & {
            name for name, number in SEMANTIC_ID.items() if (scene.semantic == number).any()
        }
