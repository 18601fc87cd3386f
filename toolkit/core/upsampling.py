"""How a network's depth comes to the size of a frame: linearly, or with edges where the picture has them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.preprocess import Placement
from edgedepth.core.spec import Upsampling

# Chosen on rendered scenes for boundary_f1 at an unchanged abs_rel (docs/decisions.md).
_RADIUS = 3  # of the windows, in pixels of half the network's size
_PASSES = 2
_AROUND = np.ones((4 * _RADIUS + 1, 4 * _RADIUS + 1), np.uint8)  # the window at the network's size
_MARGIN = 2 * _RADIUS * _PASSES  # as far as a pixel has a say
_TINY_M = float(np.finfo(np.float32).tiny)
_EVEN = 3e-4 * 255**2  # variance of grey levels below which a window counts as even: sensor noise is below, edges above


class Upsampler:
    """Brings depth from network size to a frame's; buffers of frame size are kept from call to call.

    "guided": a network's edges are soft and its pixels large, but where depth jumps the picture mostly does, too. In
    every small window the logarithm of depth is fitted as a line in the frame's grey level; the lines are found at half
    the network's size and drawn with the grey levels of the whole frame (He and Sun, "Fast Guided Filter",
    arXiv:1505.00996). Where the picture is even that is a mean. No pixel is nearer or farther than the network's
    answers around it: a line means nothing for a speck that is brighter than all it was fitted to.
    """

    def __init__(self) -> None:
        self._grey = np.empty((0, 0), np.uint8)
        self._slope = np.empty((0, 0), np.float32)

    def __call__(
        self,
        depth_m: NDArray[np.float32],
        placement: Placement,
        frame_bgr: NDArray[np.uint8],
        upsampling: Upsampling,
        out: NDArray[np.float32] | None = None,
    ) -> tuple[NDArray[np.float32], Upsampling]:
        """The depth (H, W) of a (H, W, 3) frame from its network's, (h, w) with padding, and how it was made.

        A map with unknown or negative depths, which have no logarithm, always comes linearly.

        out: is reused.
        """
        if upsampling == "guided":
            inner = np.ascontiguousarray(depth_m[placement.content])
            if cv2.checkRange(inner, minVal=_TINY_M, maxVal=np.inf)[0]:
                return self._guided(inner, placement, frame_bgr, out), "guided"
        return placement.to_frame(depth_m, out=out), "linear"

    def _guided(
        self,
        inner: NDArray[np.float32],
        placement: Placement,
        frame_bgr: NDArray[np.uint8],
        out: NDArray[np.float32] | None,
    ) -> NDArray[np.float32]:
        width, height = placement.frame_wh
        if self._grey.shape != (height, width):
            self._grey, self._slope = np.empty((height, width), np.uint8), np.empty((height, width), np.float32)
        cv2.cvtColor(frame_bgr, cv2.COLOR_BGR2GRAY, dst=self._grey)
        grey = cv2.resize(self._grey, placement.content_wh, interpolation=cv2.INTER_LINEAR)
        guide, log = _halved(grey.astype(np.float32)), np.asarray(cv2.log(_halved(inner)), np.float32)
        slope, offset = _lines(guide, log)
        target = np.empty((height, width), np.float32) if out is None else out
        cv2.resize(slope, placement.frame_wh, dst=self._slope, interpolation=cv2.INTER_LINEAR)
        cv2.resize(offset, placement.frame_wh, dst=target, interpolation=cv2.INTER_LINEAR)
        np.multiply(self._slope, self._grey, out=self._slope)
        cv2.add(target, self._slope, dst=target)
        cv2.exp(target, dst=target)
        for extreme, limited in ((cv2.erode, np.maximum), (cv2.dilate, np.minimum)):
            cv2.resize(extreme(inner, _AROUND), placement.frame_wh, dst=self._slope, interpolation=cv2.INTER_LINEAR)
            limited(target, self._slope, out=target)
        return target


def _lines(guide: NDArray[np.float32], log: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Slope and offset (h, w) of the log depth over the guide's grey levels, after all passes of the filter."""
    guide, log = _continued(guide), _continued(log)
    mean = _box(guide)
    spread = _box(guide * guide) - mean * mean + np.float32(_EVEN)
    slope = offset = log
    for index in range(_PASSES):
        log = log if index == 0 else slope * guide + offset
        log_mean = _box(log)
        slope = (_box(guide * log) - mean * log_mean) / spread
        slope, offset = _box(slope), _box(log_mean - slope * mean)
    inner = slice(_MARGIN, -_MARGIN), slice(_MARGIN, -_MARGIN)
    return slope[inner], offset[inner]


def _continued(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A map with a margin that goes on as the map does: windows that end at the border would flatten a floor there."""
    mirrored, level = (
        cv2.copyMakeBorder(values, _MARGIN, _MARGIN, _MARGIN, _MARGIN, border)
        for border in (cv2.BORDER_REFLECT_101, cv2.BORDER_REPLICATE)
    )
    return np.asarray(2 * level - mirrored, np.float32)


def _halved(values: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = values.shape
    size = -(-width // 2), -(-height // 2)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)


def _box(values: NDArray[np.float32]) -> NDArray[np.float32]:
    side = 2 * _RADIUS + 1
    return np.asarray(cv2.boxFilter(values, -1, (side, side)), np.float32)
