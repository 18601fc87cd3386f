"""Which metres colours span: a photo's own range, a stream's that grows and never shrinks."""

from __future__ import annotations

import numpy as np
import pytest

from edgedepth import PixelState, Route
from edgedepth.core.camera import Camera
from edgedepth.core.colour_range import StreamColours, fixed_colours, photo_colours
from edgedepth.core.results import DepthResult


def result_of(low_m: float, high_m: float, *, sky: int = 0, known: bool = True) -> DepthResult:
    """Depths from `low_m` to `high_m` in equal ratios, and a few pixels of sky."""
    depth_m = np.geomspace(low_m, high_m, 120 * 160).astype(np.float32).reshape(120, 160)
    valid = np.full(depth_m.shape, PixelState.MEASURED if known else PixelState.UNKNOWN, np.uint8)
    depth_m[0, :sky], valid[0, :sky] = np.nan, PixelState.BEYOND
    return DepthResult(
        depth_m=depth_m, valid=valid, raw_depth_m=depth_m, confidence=None, route=Route.LOW, score=1.0, votes=(),
        camera=Camera.from_hfov(60, 160, 120), camera_given=False,
    )  # fmt: skip


def span(colours_of, result: DepthResult) -> tuple[float, float]:
    colours = colours_of(result)
    return colours.min_m, colours.max_m


def test_a_photo_is_shown_in_its_own_range() -> None:
    colours_of = photo_colours("magma")
    assert span(colours_of, result_of(1.0, 9.0, sky=80)) == (1.0, 8.9)  # 1.02 and 8.80 m, in two digits
    assert span(colours_of, result_of(0.31, 0.9)) == (0.31, 0.9)
    assert colours_of(result_of(1, 9)).colormap == "magma"


@pytest.mark.parametrize(("high_m", "expected"), [(2.0001, (1.4, 2.9)), (2.42, (1.5, 3.2))])
def test_a_wall_is_not_stretched_over_all_colours(high_m: float, expected: tuple[float, float]) -> None:
    assert span(photo_colours("turbo"), result_of(2.0, high_m)) == expected


def test_nothing_measured_shows_the_range_of_both_networks() -> None:
    assert span(photo_colours("turbo"), result_of(1, 2, known=False)) == (0.3, 80)
    assert span(StreamColours("turbo"), result_of(1, 2, known=False)) == (0.3, 80)


def test_the_range_of_a_stream_grows_in_steps_and_never_shrinks() -> None:
    colours_of = StreamColours("turbo")
    assert span(colours_of, result_of(1.2, 4.5)) == (1.0, 6.0)
    first = colours_of(result_of(1.25, 5.5))
    assert (first.min_m, first.max_m) == (1.0, 6.0)
    assert colours_of(result_of(2.0, 3.0)) is first  # no new bar where nothing changes
    assert span(colours_of, result_of(0.9, 4.0)) == (0.8, 6.0)
    assert span(colours_of, result_of(3.0, 76.0)) == (0.8, 80.0)
    assert span(colours_of, result_of(1.2, 4.0)) == (0.8, 80.0)
    assert span(colours_of, result_of(1, 2, known=False)) == (0.8, 80.0)


def test_a_range_that_is_asked_for_holds() -> None:
    colours_of = fixed_colours((0.5, 5.0), "turbo")
    assert span(colours_of, result_of(1, 60)) == (0.5, 5.0)
