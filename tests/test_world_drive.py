"""Roads as a camera on a vehicle sees them: in its lane, level, with the road before it free for a while."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("warp", reason="the procedural world needs warp-lang: pip install 'edgedepth[world]'")

from edgedepth.world.builder import Dice
from edgedepth.world.categories import FAR_CATEGORIES
from edgedepth.world.recipe import dice_for
from edgedepth.world.scene import View
from edgedepth.world.shard import recipes
from edgedepth.world.street.course import Course
from edgedepth.world.street.outlook import Sampler, dashcam, driving_views, view_sampler, walker
from edgedepth.world.street.site import Obstacles

LANES_M = (-1.75, 1.75)


def drawn(views: Sampler, obstacles: Obstacles, course: Course | None = None) -> list[View]:
    """100 views of a straight road, by a driver in one of its lanes or by a walker beside it."""
    stands = [dashcam((0, 40), LANES_M, share=0.5), walker((0, 40), (3.0, 5.0), share=0.5)]
    sample = views(course or Course(), obstacles, stands)
    return [sample(Dice(np.random.default_rng(seed))) for seed in range(100)]


def test_a_drive_is_seen_by_drivers_alone() -> None:
    views = drawn(driving_views, Obstacles())
    across = np.array([view.position[0] for view in views])  # the line runs along y
    assert (np.abs(across) <= LANES_M[1]).all()
    assert max(view.position[0] for view in drawn(view_sampler, Obstacles())) > 3.0
    heights = np.array([view.position[2] for view in views])
    assert np.mean((heights >= 1.2) & (heights <= 1.75)) > 0.6
    assert np.std([math.degrees(view.roll) for view in views]) < 1.0
    assert np.std([math.degrees(view.pitch) for view in views]) < 2.0
    off_lane = np.array([math.degrees(view.yaw) - 90 for view in views])
    assert np.median(np.abs(off_lane)) < 3.0


def test_it_follows_the_slope_of_its_road() -> None:
    climbing = Course(slope=[(0.0, 0.08)])
    pitches = [math.degrees(view.pitch) for view in drawn(driving_views, Obstacles(), climbing)]
    assert np.mean(pitches) == pytest.approx(math.degrees(math.atan(0.08)) - 0.5, abs=0.5)


def test_the_road_before_it_is_free_for_a_few_metres_or_for_many() -> None:
    cars, spans = Obstacles(), np.arange(6.0, 90.0, 30.0)
    for s in spans:
        cars.add((0.0, s), 0.0, 3.5, 2.2)  # across both lanes, 4.4 m long
    ahead = []
    for view in drawn(driving_views, cars):
        ahead.append(min((s - 2.2 - view.position[1] for s in spans if s > view.position[1]), default=math.inf))
        assert cars.clearance(view.position[:2])[0] > 0.9
    assert min(ahead) >= 3.0
    assert np.min(ahead) < 8.0
    assert np.median(ahead) > 7.0


def test_roads_that_are_driven_are_those_of_streets_seen_from_elsewhere() -> None:
    builds = recipes("drive")
    assert set(builds) < set(FAR_CATEGORIES)
    for name, build in builds.items():
        built = build(dice_for(3, 0))
        usual = recipes("street")[name](dice_for(3, 0))
        assert np.array_equal(built.scene.positions, usual.scene.positions), name  # the same roads
        for view in range(1, 7):
            seen, usually = (each.sample_view(dice_for(3, view)) for each in (built, usual))
            assert seen.position != usually.position, name
            assert abs(math.degrees(seen.roll)) < 3.0, name
