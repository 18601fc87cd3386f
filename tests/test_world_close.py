"""Rooms seen from close: the camera comes up to a thing that it saw, along a line that is free."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("warp", reason="the procedural world needs warp-lang: pip install 'edgedepth[world]'")

from edgedepth.world.builder import SceneBuilder
from edgedepth.world.categories import NEAR_CATEGORIES
from edgedepth.world.indoor.close import come_close
from edgedepth.world.indoor.viewpoints import first_hits
from edgedepth.world.recipe import dice_for
from edgedepth.world.scene import Scene, Texture, View
from edgedepth.world.shard import recipes


def wall_and(thing: str | None) -> Scene:
    """A wall at x = 6 m, and before it a thing of the class asked for whose front is at x = 4 m."""
    b = SceneBuilder()
    paint = b.material(Texture.FLAT, (0.5, 0.5, 0.5))
    b.begin("wall")
    b.box((6.1, 0.0, 1.5), (0.2, 20.0, 9.0), paint)
    if thing:
        b.begin(thing)
        b.box((4.5, 0.0, 1.0), (1.0, 2.0, 2.0), paint)
    return b.finish("office")


def test_the_camera_comes_up_to_a_thing_and_not_to_a_wall_or_out_of_a_window() -> None:
    start = View(position=(0.0, 0.0, 1.4), yaw=0.0, hfov_deg=70.0)
    bare, outside, furnished = wall_and(None), wall_and("tree"), wall_and("cabinet")
    came = 0
    for seed in range(30):
        assert come_close(start, bare, dice_for(seed)) == start
        assert come_close(start, outside, dice_for(seed)) == start
        view = come_close(start, furnished, dice_for(seed))
        if view == start:  # none of its rays met the cupboard
            continue
        came += 1
        x, y, z = view.position
        line = np.asarray(view.position) - start.position
        line /= np.linalg.norm(line)
        away = first_hits(furnished, np.asarray(view.position), line[None])[0][0]
        assert 0.4 <= away <= 1.4 + 1e-6  # still before it, at the distance that was drawn
        assert x < 4.0
        assert abs(y) < 1.0
        assert 0.0 < z < 2.0
    assert came > 20


def test_close_views_are_of_rooms_and_nearer_than_usual_ones() -> None:
    close, usual = recipes("close"), recipes("indoor")
    assert set(close) < set(NEAR_CATEGORIES)
    assert close["tabletop"] is usual["tabletop"]  # it is seen from close anyway
    medians: dict[str, list[float]] = {"close": [], "usual": []}
    for seed in range(6):
        for name, build in (("close", close["kitchen"]), ("usual", usual["kitchen"])):
            built = build(dice_for(seed, 0))
            view = built.sample_view(dice_for(seed, 1))
            ahead = np.array([[np.cos(view.yaw), np.sin(view.yaw), np.sin(view.pitch)]])
            ahead /= np.linalg.norm(ahead)
            medians[name].append(float(first_hits(built.scene, np.asarray(view.position), ahead)[0][0]))
    assert np.median(medians["close"]) < 1.6
    assert np.median(medians["close"]) < 0.8 * np.median(medians["usual"])
