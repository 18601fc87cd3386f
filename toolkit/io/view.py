"""The picture people look at: the camera's image beside coloured depth, with a metric colour bar."""

from __future__ import annotations

from typing import TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.colour import MetricColours
from edgedepth.core.colour_range import ColoursOf
from edgedepth.core.results import DepthResult

MAX_PANEL_WH = (1280, 720)  # larger images are scaled down: encoding must not cost more than inference
_MIN_HEIGHT = 120  # a colour bar needs that much to be read
_BAR_WIDTH = 56

_Pixels = TypeVar("_Pixels", NDArray[np.uint8], NDArray[np.float32])


class SideBySide:
    """Draws image | depth | colour bar, all frames of a stream at the size of the first.

    Sides are even, as video encoders want them; the call's answer is reused by the next call.
    """

    def __init__(self, colours: ColoursOf) -> None:
        self._colours_of = colours
        self._bar: MetricColours | None = None
        self._panel_wh: tuple[int, int] | None = None
        self._canvas: NDArray[np.uint8] = np.zeros((0, 0, 3), np.uint8)

    def __call__(self, image_bgr: NDArray[np.uint8], result: DepthResult) -> NDArray[np.uint8]:
        """Draw one result over the image it belongs to: (h, w, 3) uint8 BGR, ours until the next call."""
        if self._panel_wh is None:
            height, width = image_bgr.shape[:2]
            self._panel_wh = panel_size(width, height)
            self._canvas = _empty_canvas(*self._panel_wh)
        width, height = self._panel_wh
        left = self._canvas[:height, :width]
        right = self._canvas[:height, width : 2 * width]
        left[:] = _fitted(image_bgr, self._panel_wh, cv2.INTER_AREA)
        # Depth is resized before it is coloured and by nearest neighbour: NaN and states do not mix.
        depth_m = _fitted(result.depth_m, self._panel_wh, cv2.INTER_NEAREST)
        valid = _fitted(result.valid, self._panel_wh, cv2.INTER_NEAREST)
        colours = self._colours_of(result)
        right[:] = colours(depth_m, valid)
        _label(right, str(result.route))
        if colours != self._bar:
            self._canvas[:, 2 * width :] = colours.bar(self._canvas.shape[0], width=_BAR_WIDTH)
            self._bar = colours
        return self._canvas


def panel_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of one panel for an image: its own, or scaled down evenly into `MAX_PANEL_WH`."""
    scale = min(1.0, MAX_PANEL_WH[0] / width, MAX_PANEL_WH[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _empty_canvas(width: int, height: int) -> NDArray[np.uint8]:
    """Room for two panels and the colour bar, in black."""
    tall = max(height, _MIN_HEIGHT)
    return np.zeros((tall + tall % 2, 2 * width + _BAR_WIDTH, 3), np.uint8)


def _fitted(image: _Pixels, wh: tuple[int, int], interpolation: int) -> _Pixels:
    """The image itself where it has the size, else a resized copy."""
    if (image.shape[1], image.shape[0]) == wh:
        return image
    return cast("_Pixels", cv2.resize(image, wh, interpolation=interpolation))


def _label(panel: NDArray[np.uint8], text: str) -> None:
    """The route in a dark box, upper left; left out where there is no room for it."""
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
    if panel.shape[0] < height + 16 or panel.shape[1] < width + 16:
        return
    cv2.rectangle(panel, (4, 4), (width + 12, height + 14), (16, 16, 16), cv2.FILLED)
    cv2.putText(panel, text, (8, height + 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
