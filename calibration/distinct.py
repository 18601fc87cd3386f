"""Lets frames through that show something new, and counts the others."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_THUMBNAIL_WH = (32, 24)
# Mean difference of grey thumbnails, of 255, below which two frames show the same.
_SAME = 2.0
# Standard deviation of grey values, of 255, below which a frame shows nothing.
_CONSTANT = 2.0
# Frames that a new one is compared with: the latest that were let through, so that memory is bounded. A robot that
# stands, or goes to and fro, or a film that begins again, shows nothing new.
_REMEMBERED = 1024


class DistinctFilter:
    """Counts what is offered.

    read: frames offered. constant: those of one colour. duplicates: those that repeat another.
    """

    def __init__(self) -> None:
        self.read = self.constant = self.duplicates = 0
        self._passed = 0
        self._memory = np.zeros((_REMEMBERED, _THUMBNAIL_WH[0] * _THUMBNAIL_WH[1]), np.int16)

    def passes(self, frame_bgr: NDArray[np.uint8]) -> bool:
        """True where a frame (H, W, 3) is none of one colour, and unlike those that passed before."""
        self.read += 1
        grey = cv2.cvtColor(frame_bgr, cv2.COLOR_BGR2GRAY)
        if float(grey.std()) < _CONSTANT:
            self.constant += 1
            return False
        thumbnail = np.asarray(cv2.resize(grey, _THUMBNAIL_WH, interpolation=cv2.INTER_AREA), np.int16).ravel()
        if self._known(thumbnail):
            self.duplicates += 1
            return False
        self._memory[self._passed % _REMEMBERED] = thumbnail
        self._passed += 1
        return True

    def _known(self, thumbnail: NDArray[np.int16]) -> bool:
        passed = self._memory[: min(self._passed, _REMEMBERED)]
        return bool((np.abs(passed - thumbnail).mean(axis=1) < _SAME).any())
