"""Metric colours: the same metres are the same colour in every frame, and states are told apart."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from edgedepth.core.colour import COLORMAPS, MetricColours
from edgedepth.core.errors import InputError, UnknownNameError
from edgedepth.core.results import PixelState

SCALES = ("log", "linear", "disparity")


def colour_of(colours: MetricColours, depth_m: float, state: int | None = None) -> tuple[int, ...]:
    valid = None if state is None else np.full((1, 1), state, np.uint8)
    return tuple(int(v) for v in colours(np.full((1, 1), depth_m, np.float32), valid)[0, 0])


@pytest.mark.parametrize(
    ("scale", "middle_m"),
    [("log", (1.0 * 100.0) ** 0.5), ("linear", 50.5), ("disparity", 2 / (1 / 1.0 + 1 / 100.0))],
)
def test_middle_of_each_scale(scale, middle_m):
    colours = MetricColours(min_m=1.0, max_m=100.0, scale=scale, colormap="grey")
    assert colours.position_of(middle_m) == pytest.approx(0.5)
    assert colours.position_of(1.0) == 0
    assert colours.position_of(100.0) == 1
    near, middle, far = (colour_of(colours, d)[0] for d in (1.0, middle_m, 100.0))
    assert (near, far) == (255, 0)
    assert middle == pytest.approx(127.5, abs=1)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("colormap", COLORMAPS)
def test_colour_depends_on_depth_alone(scale, colormap):
    colours = MetricColours(min_m=0.3, max_m=80, scale=scale, colormap=colormap)
    alone = colours(np.full((4, 4), 3.0, np.float32))
    crowded = colours(np.array([[3.0, 0.3], [79.0, np.nan]], np.float32))
    assert (alone[0, 0] == crowded[0, 0]).all()


@pytest.mark.parametrize("scale", SCALES)
def test_nearer_is_never_darker_in_grey(scale):
    colours = MetricColours(min_m=0.3, max_m=80, scale=scale, colormap="grey")
    grey = colours(np.geomspace(0.3, 80, 500, dtype=np.float32)[None])[0, :, 0].astype(int)
    assert (np.diff(grey) <= 0).all()
    assert (grey[0], grey[-1]) == (255, 0)


@pytest.mark.parametrize("scale", SCALES)
def test_outside_the_range_takes_the_end(scale):
    colours = MetricColours(min_m=1, max_m=10, scale=scale)
    assert colour_of(colours, 0.01) == colour_of(colours, 1.0)
    assert colour_of(colours, 0.0) == colour_of(colours, 1.0)
    assert colour_of(colours, 500.0) == colour_of(colours, np.inf) == colour_of(colours, 10.0)


@pytest.mark.parametrize("scale", SCALES)
def test_states_have_their_own_colours(scale):
    colours = MetricColours(min_m=1, max_m=10, scale=scale)
    unknown, sky = colour_of(colours, np.nan, PixelState.UNKNOWN), colour_of(colours, np.nan, PixelState.BEYOND)
    assert colour_of(colours, np.nan) == unknown
    assert colour_of(colours, 5.0, PixelState.UNKNOWN) == unknown
    assert colour_of(colours, 5.0, PixelState.BEYOND) == sky
    assert colour_of(colours, np.nan, PixelState.MEASURED) == unknown
    assert max(unknown) < 64
    depths = colours(np.linspace(1, 10, 2000, dtype=np.float32)[None])[0]
    for state in (unknown, sky):
        assert (np.abs(depths.astype(int) - state).sum(axis=1) > 30).all()


def test_near_is_warm():
    blue, _, red = colour_of(MetricColours(min_m=1, max_m=10), 1.2)
    assert red > 2 * blue
    blue, _, red = colour_of(MetricColours(min_m=1, max_m=10), 8.0)
    assert blue > red


@pytest.mark.parametrize("scale", SCALES)
def test_bar_shows_the_colours_it_stands_for(scale):
    colours = MetricColours(min_m=0.5, max_m=20, scale=scale)
    bar = colours.bar(400)
    assert bar.shape == (400, 64, 3)
    strip = bar[8:380, 10]
    assert (strip[0] == colour_of(colours, 20.0)).all()
    assert (strip[-1] == colour_of(colours, 0.5)).all()
    ticked = np.flatnonzero((bar[:, 20] == 200).all(axis=1))
    assert ticked[0] == 8
    assert ticked[-1] == 379
    assert (bar[387:, 24:].max(axis=2) > 100).any(), "the unit stands below the lowest number"
    assert (bar[385:387, 24:] == 16).all()
    assert len(ticked) >= 4
    assert np.diff(ticked).min() >= 12


@pytest.mark.parametrize("height", [1, 2, 10, 59, 60, 2000])
def test_bar_of_any_height(height):
    assert MetricColours(min_m=1, max_m=80).bar(height).shape == (height, 64, 3)


@pytest.mark.parametrize(("low", "high"), [(0, 10), (-1, 10), (5, 5), (10, 1), (1, float("inf")), (float("nan"), 1)])
def test_bad_range(low, high):
    with pytest.raises(InputError, match="0 < MIN < MAX"):
        MetricColours(min_m=low, max_m=high)


def test_unknown_names_list_the_known():
    with pytest.raises(UnknownNameError, match="known: turbo, viridis"):
        MetricColours(min_m=1, max_m=2, colormap="jet2")
    with pytest.raises(UnknownNameError, match="known: log, linear, disparity"):
        MetricColours(min_m=1, max_m=2, scale="cubic")


def test_fast_enough_for_camera_rate():
    """Well under a millisecond on a quiet core; the bound leaves room for a busy one."""
    colours = MetricColours(min_m=0.3, max_m=80)
    depth_m = np.random.default_rng(0).uniform(0.3, 80, (480, 640)).astype(np.float32)
    valid = np.ones((480, 640), np.uint8)
    colours(depth_m, valid)
    times = []
    for _ in range(15):
        start = time.perf_counter()
        colours(depth_m, valid)
        times.append(time.perf_counter() - start)
    assert min(times) < 5e-3


def test_input_is_not_changed():
    depth_m = np.array([[0.1, np.nan, 99]], np.float32)
    valid = np.array([[1, 0, 2]], np.uint8)
    kept = depth_m.copy(), valid.copy()
    MetricColours(min_m=1, max_m=10, scale="linear")(depth_m, valid)
    np.testing.assert_array_equal(depth_m, kept[0])
    np.testing.assert_array_equal(valid, kept[1])


def test_turbo_is_the_published_map():
    """Far end of turbo is its first entry, near end its last."""
    colours = MetricColours(min_m=1, max_m=10)
    ends = cv2.applyColorMap(np.array([[0, 255]], np.uint8), cv2.COLORMAP_TURBO)[0]
    assert colour_of(colours, 10.0) == tuple(ends[0])
    assert colour_of(colours, 1.0) == tuple(ends[1])
