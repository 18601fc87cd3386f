"""Rooms as a camera in the hand scans them: furniture and walls from a step or two away, from above and askew."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("warp", reason="the procedural world needs warp-lang: pip install 'edgedepth[world]'")

from edgedepth.world.categories import NEAR_CATEGORIES
from edgedepth.world.indoor.viewpoints import first_hits
from edgedepth.world.recipe import BuiltScene, dice_for
from edgedepth.world.scene import SEMANTIC_ID, View
from edgedepth.world.shard import World, recipes


def seen(scene_of: BuiltScene, view: View) -> np.ndarray:
    """Distances (m) along a grid of rays through the middle of a view; 50 out of a window."""
    half = 0.8 * math.radians(view.hfov_deg) / 2
    yaw, pitch = (grid.ravel() for grid in np.meshgrid(np.linspace(-half, half, 7), np.linspace(-half, half, 5) * 0.7))
    yaw, pitch = yaw + view.yaw, pitch + view.pitch
    rays = np.stack([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)], 1)
    return first_hits(scene_of.scene, np.asarray(view.position), rays)[0].clip(max=50)


def views(world: World, count: int) -> list[tuple[BuiltScene, View]]:
    built = [build(dice_for(seed, 0)) for seed in range(count) for build in recipes(world).values()]
    return [(each, each.sample_view(dice_for(seed, 1))) for each in built for seed in range(3)]


def test_a_scan_sees_one_side_of_a_room_from_a_step_or_two_away() -> None:
    scanned, usual = views("scan", 2), views("indoor", 2)
    reach, usual_reach = ([seen(*each) for each in some] for some in (scanned, usual))
    medians = [float(np.median(away)) for away in reach]
    assert 1.3 < np.median(medians) < 2.4
    assert np.mean([0.8 < median < 3.0 for median in medians]) > 0.9
    spread, usual_spread = (
        float(np.median([np.percentile(away, 90) / np.percentile(away, 10) for away in each]))
        for each in (reach, usual_reach)
    )
    assert spread < usual_spread - 0.5


def test_its_camera_is_held_in_the_hand() -> None:
    assert set(recipes("scan")) < set(NEAR_CATEGORIES)
    held = [view for _, view in views("scan", 2)]
    assert all(0.9 <= view.position[2] <= 1.8 for view in held)
    assert np.mean([view.pitch < 0 for view in held]) > 0.7
    assert np.std([math.degrees(view.roll) for view in held]) > 3.0


def test_kitchens_of_a_scan_have_more_on_their_counters() -> None:
    def things(world: World) -> float:
        scenes = [recipes(world)["kitchen"](dice_for(seed, 0)).scene for seed in range(8)]
        kinds = (SEMANTIC_ID["clutter"], SEMANTIC_ID["picture"])
        return float(np.mean([len(np.unique(s.instance[np.isin(s.semantic, kinds)])) for s in scenes]))

    assert things("scan") > 1.5 * things("indoor")
