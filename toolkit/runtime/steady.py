"""Steady depth for ordered streams: what stands still in the picture stands still in depth."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError
from edgedepth.core.routing import Route

# Grey levels, averaged over a patch, by which a pixel may change and still count as the same; sensor noise averages out
# to well under one of them, a person's edge is tens.
_SAME_LEVELS = 4.0
_PATCH = 7


class Steadier:
    """Blends each answer with the ones before it, the more the less the picture around a pixel has changed.

    share: weight of the past where nothing changed, 0 to below 1; 0.8 averages about the last five frames.

    A network answers a little differently for every frame, sensor noise being enough; where the picture stands still
    that difference is error, and averaging takes it away. Where it moves, the new answer counts alone, so that nothing
    lags behind or leaves a trail. Works on the network's own depth, at its size, and forgets on a change of route.
    One stream each, as a `RouteKeeper`.
    """

    def __init__(self, share: float = 0.8) -> None:
        if not 0 <= share < 1:
            raise InputError(f"the share of the past lies in [0, 1), but got {share}")
        self.share = share
        self._route: Route | None = None
        self._grey = np.empty((0, 0), np.float32)
        self._depth = np.empty((0, 0), np.float32)

    def __call__(self, frame_bgr: NDArray[np.uint8], depth_m: NDArray[np.float32], route: Route) -> NDArray[np.float32]:
        """The blended depth of the next frame, (h, w); it is kept, and must not be written to.

        frame_bgr: (H, W, 3) uint8, what the network saw, padding included; brought to the size of the depth.
        depth_m: (h, w), what the network answered.
        """
        height, width = depth_m.shape
        small = cv2.resize(frame_bgr, (width, height), interpolation=cv2.INTER_AREA)
        grey = cv2.boxFilter(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), cv2.CV_32F, (_PATCH, _PATCH))
        if route is self._route and grey.shape == self._grey.shape:
            past = np.clip(1.0 - np.abs(grey - self._grey) / _SAME_LEVELS, 0.0, 1.0) * np.float32(self.share)
            past[~(np.isfinite(depth_m) & np.isfinite(self._depth))] = 0.0
            blended: NDArray[np.float32] = depth_m + past * np.nan_to_num(self._depth - depth_m, posinf=0.0, neginf=0.0)
        else:
            blended = depth_m.copy()
        self._route, self._grey, self._depth = route, grey.astype(np.float32, copy=False), blended
        return blended
