"""Which metres the colours of a result span: a photo's own range, or one that a stream of results grows into."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.colour import MetricColours
from edgedepth.core.results import DepthResult, PixelState
from edgedepth.core.spec import HIGH_RANGE_M, LOW_RANGE_M

ColoursOf = Callable[[DepthResult], MetricColours]  # which colours a result is drawn in

Range = tuple[float, float]
_ALL_M: Range = (LOW_RANGE_M[0], HIGH_RANGE_M[1])
_BEYOND_PERCENT = 1.0  # of the measured pixels, at either end
_ENOUGH_PX = 40_000  # to tell a range from
_STEPS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0)  # ends of a stream's range, in every decade


def fixed_colours(range_m: Range, colormap: str) -> ColoursOf:
    """The same colours for every result."""
    colours = MetricColours(min_m=range_m[0], max_m=range_m[1], colormap=colormap)
    return lambda _result: colours


def photo_colours(colormap: str) -> ColoursOf:
    """Colours of each result's own range, its ends in two digits."""

    def colours_of(result: DepthResult) -> MetricColours:
        low, high = own_range_m(result.depth_m, result.valid) or _ALL_M
        return MetricColours(min_m=_two_digits(low, math.floor), max_m=_two_digits(high, math.ceil), colormap=colormap)

    return colours_of


class StreamColours:
    """Colours of one stream of results: the first one's range, which grows in steps where a later one needs it.

    It never shrinks, so colours soon stay what they are: nothing flickers, and a room is not shown in the few colours
    that a scale to the horizon leaves it.
    """

    def __init__(self, colormap: str) -> None:
        self._colormap = colormap
        self._colours: MetricColours | None = None

    def __call__(self, result: DepthResult) -> MetricColours:
        """The colours of the next result of the stream."""
        own = own_range_m(result.depth_m, result.valid)
        before = self._colours
        if own is None:
            return before or MetricColours(min_m=_ALL_M[0], max_m=_ALL_M[1], colormap=self._colormap)
        low, high = own if before is None else (min(own[0], before.min_m), max(own[1], before.max_m))
        if before is None or (low, high) != (before.min_m, before.max_m):
            self._colours = MetricColours(min_m=_step_below(low), max_m=_step_above(high), colormap=self._colormap)
        assert self._colours is not None
        return self._colours


def own_range_m(depth_m: NDArray[np.float32], valid: NDArray[np.uint8]) -> Range | None:
    """The range of all but a hundredth of the measured pixels at either end, None without a measured pixel.

    It is at least an octave, lest the noise of a wall fill all colours. Of large maps every n-th row and column count.
    """
    every = max(1, round(math.sqrt(depth_m.size / _ENOUGH_PX)))
    seen = (slice(None, None, every), slice(None, None, every))
    measured = depth_m[seen][valid[seen] == PixelState.MEASURED]
    if measured.size == 0:
        return None
    low, high = (float(value) for value in np.percentile(measured, (_BEYOND_PERCENT, 100 - _BEYOND_PERCENT)))
    widen = max(1.0, math.sqrt(2 * low / high))
    return low / widen, high * widen


def _two_digits(value: float, rounded: Callable[[float], int]) -> float:
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{rounded(value / step) * step:.2g}")


def _step_below(value: float) -> float:
    decade = 10.0 ** math.floor(math.log10(value))
    return round(max(step for step in _STEPS if step * decade <= value * (1 + 1e-6)) * decade, 6)


def _step_above(value: float) -> float:
    decade = 10.0 ** math.floor(math.log10(value))
    return round(min(step for step in _STEPS if step * decade >= value * (1 - 1e-6)) * decade, 6)
