"""Metric colours: depth over a range of metres that is told beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError, UnknownNameError
from edgedepth.core.results import PixelState

ColourScale = Literal["log", "linear", "disparity"]

# Indices 0 and 255 of the table are states, 1..254 are depths.
_UNKNOWN_INDEX, _SKY_INDEX = 0, 255
_FIRST, _LAST = 1, 254
_UNKNOWN_BGR = (48, 48, 48)
_SKY_BGR = (214, 190, 168)

COLORMAPS = {
    "turbo": cv2.COLORMAP_TURBO,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "magma": cv2.COLORMAP_MAGMA,
    "inferno": cv2.COLORMAP_INFERNO,
    "plasma": cv2.COLORMAP_PLASMA,
    "cividis": cv2.COLORMAP_CIVIDIS,
    "grey": None,
}


@dataclass(frozen=True, kw_only=True)
class MetricColours:
    """Depth in metres to colours over the fixed range [min_m, max_m]; near is the warm or bright end.

    scale: how metres are spread over the colours: "log" (equal ratios, equal steps), "linear" (equal metres), or
        "disparity" (equal steps of 1 / depth, most colours near by).
    colormap: a name in `COLORMAPS`.

    Depth outside the range takes the colour of the nearer end, unknown pixels are dark grey, sky and pixels beyond
    the network's range a pale tint that no colour map holds.

    Raises:
        InputError: the range is not 0 < min_m < max_m.
        UnknownNameError: the scale or the colour map is unknown.
    """

    min_m: float
    max_m: float
    scale: ColourScale = "log"
    colormap: str = "turbo"

    def __post_init__(self) -> None:
        if not (0 < self.min_m < self.max_m < math.inf):
            raise InputError(f"a colour range needs 0 < MIN < MAX in metres, but got {self.min_m:g} {self.max_m:g}")
        if self.scale not in ("log", "linear", "disparity"):
            raise UnknownNameError.of("colour scale", self.scale, ("log", "linear", "disparity"))
        if self.colormap not in COLORMAPS:
            raise UnknownNameError.of("colour map", self.colormap, COLORMAPS)

    def __call__(self, depth_m: NDArray[np.float32], valid: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Colours of a depth map.

        Args:
            depth_m: (H, W) float32 metres, NaN where unknown.
            valid: (H, W) uint8 `PixelState` per pixel; without it every pixel that is not NaN counts as measured.

        Returns:
            (H, W, 3) uint8 BGR, the caller's.
        """
        index = self._index_of(depth_m)
        if valid is not None:
            np.copyto(index, _UNKNOWN_INDEX, where=valid == PixelState.UNKNOWN)
            np.copyto(index, _SKY_INDEX, where=valid == PixelState.BEYOND)
        return cv2.applyColorMap(index, self._table).astype(np.uint8, copy=False)

    def position_of(self, depth_m: float) -> float:
        """Where a depth lies on the scale: 0 at min_m, 1 at max_m."""
        low, high = self._spread(self.min_m), self._spread(self.max_m)
        return (self._spread(depth_m) - low) / (high - low)

    def bar(self, height: int, *, width: int = 64) -> NDArray[np.uint8]:
        """A vertical colour bar, far at the top, with ticks labelled in metres: (height, width, 3) uint8 BGR."""
        bar = np.full((height, width, 3), 16, np.uint8)
        margin = min(_TEXT_HALF_PX + 3, max(0, (height - 2) // 2))
        unit_px = 2 * _TEXT_HALF_PX + 2 if height >= 60 else 0  # below the lowest number, which may end where it begins
        top, bottom = margin, height - 1 - margin - unit_px
        strip = np.linspace(_LAST, _FIRST, bottom - top + 1).round().astype(np.uint8)
        left, right = 4, max(5, min(18, width))
        bar[top : bottom + 1, left:right] = self._table[strip]
        for depth_m in self._ticks(bottom - top):
            row = round(bottom + self.position_of(depth_m) * (top - bottom))
            cv2.line(bar, (right, row), (right + 3, row), (200, 200, 200), 1)
            _write(bar, f"{depth_m:g}", (right + 6, row + _TEXT_HALF_PX - 1))
        if unit_px:
            _write(bar, "m", (right + 6, height - 4))
        return bar

    @cached_property
    def _table(self) -> NDArray[np.uint8]:
        """(256, 1, 3) BGR: near depths at `_FIRST`, far ones at `_LAST`, the states at both ends."""
        code = COLORMAPS[self.colormap]
        near_to_far = np.linspace(255, 0, _LAST - _FIRST + 1).round().astype(np.uint8)[:, None]
        table = np.empty((256, 1, 3), np.uint8)
        if code is None:
            table[_FIRST : _LAST + 1] = near_to_far[..., None]
        else:
            table[_FIRST : _LAST + 1] = cv2.applyColorMap(near_to_far, code)
        table[_UNKNOWN_INDEX], table[_SKY_INDEX] = _UNKNOWN_BGR, _SKY_BGR
        return table

    def _spread(self, depth_m: float) -> float:
        if self.scale == "log":
            return math.log(depth_m)
        return depth_m if self.scale == "linear" else -1 / depth_m

    def _index_of(self, depth_m: NDArray[np.float32]) -> NDArray[np.uint8]:
        """(H, W) uint8 table indices by OpenCV's vectorised kernels, 0 where depth is NaN."""
        low, high = self._spread(self.min_m), self._spread(self.max_m)
        gain = (_LAST - _FIRST) / (high - low)
        clipped = np.clip(depth_m, np.float32(self.min_m), np.float32(self.max_m))  # NaN stays NaN
        if self.scale == "log":
            cv2.log(clipped, clipped)
        elif self.scale == "disparity":
            np.divide(np.float32(-1), clipped, out=clipped)
        # Saturating cast with rounding; what it makes of NaN differs by processor, so NaN is put right after it.
        index = cv2.convertScaleAbs(clipped, alpha=gain, beta=_FIRST - gain * low).astype(np.uint8, copy=False)
        np.copyto(index, _UNKNOWN_INDEX, where=np.isnan(depth_m))
        return index

    def _ticks(self, length_px: int) -> list[float]:
        """Round depths inside the range, far enough apart on a bar of this length to be read."""
        gap = (2 * _TEXT_HALF_PX + 4) / max(length_px, 1)
        ticks: list[float] = []
        for depth_m in _round_depths(self.min_m, self.max_m):
            position = self.position_of(depth_m)
            if all(abs(position - self.position_of(tick)) >= gap for tick in ticks):
                ticks.append(depth_m)
        return sorted(ticks)


_TEXT_HALF_PX = 5


def _round_depths(min_m: float, max_m: float) -> list[float]:
    """Candidates for ticks, the most welcome first: both ends, powers of ten, then 5, 2, and the rest."""
    decades = range(math.floor(math.log10(min_m)), math.ceil(math.log10(max_m)) + 1)
    candidates = [min_m, max_m]
    for digits in ((1,), (5, 2), (3, 4, 6, 8, 7, 9)):
        candidates += [round(digit * 10.0**decade, 6) for decade in decades for digit in digits]
    return [depth for depth in candidates if min_m <= depth <= max_m]


def _write(image: NDArray[np.uint8], text: str, origin: tuple[int, int]) -> None:
    cv2.putText(image, text, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.36, (225, 225, 225), 1, cv2.LINE_AA)
