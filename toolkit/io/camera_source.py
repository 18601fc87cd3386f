"""Cameras through OpenCV: the newest frame wins, and what was missed is counted."""

from __future__ import annotations

import glob
import threading
import time
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError
from edgedepth.io.frames import Frame, Source
from edgedepth.io.quiet import quiet_opencv

_SILENCE_S = 15.0  # OpenCV itself gives up on a V4L2 device after 10 s
_FAILED_READS = 5  # a single bad transfer on a USB bus is no reason to stop


class CameraSource(Source):
    """A camera by its number: a thread reads it, the receiver gets the newest frame and never an old one.

    Raises:
        InputError: the camera is not there or busy; while iterating: it stopped delivering (unplugged).
    """

    live = True

    def __init__(self, number: int) -> None:
        self._number = number
        self._capture = _open_capture(number)
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        super().__init__(f"camera{number}", fps=fps if fps > 0 else None)
        self._news = threading.Condition()
        self._latest: tuple[NDArray[np.uint8], float] | None = None
        self._lost = False
        self._stop = False
        self._reader = threading.Thread(target=self._read, name=f"camera{number}", daemon=True)
        self._reader.start()

    def __iter__(self) -> Iterator[Frame]:
        first_s: float | None = None
        index = 0
        while (latest := self._take(index)) is not None:
            image, taken_s = latest
            first_s = taken_s if first_s is None else first_s
            yield Frame(index=index, image_bgr=image, time_s=taken_s - first_s, name=f"{index:06d}")
            index += 1

    def close(self) -> None:
        """Stop the reader and release the camera; an iteration in progress ends."""
        with self._news:
            self._stop = True
            self._news.notify_all()
        # The reader releases the device itself: releasing it under a read in progress crashes some drivers.
        self._reader.join(timeout=2.0)

    def _take(self, delivered: int) -> tuple[NDArray[np.uint8], float] | None:
        """Wait for a frame newer than the last one; None once the source is closed."""
        with self._news:
            arrived = self._news.wait_for(
                lambda: self._stop or self._lost or self._latest is not None, timeout=_SILENCE_S
            )
            if self._stop:
                return None
            if self._latest is None or not arrived:
                raise InputError(
                    f"camera {self._number} stopped delivering after {delivered} frames; check its cable and power"
                )
            latest, self._latest = self._latest, None
            return latest

    def _read(self) -> None:
        failures = 0
        while not self._stop and failures < _FAILED_READS:
            ok, image = self._capture.read()
            if not ok or image is None:
                failures += 1
                continue
            failures = 0
            with self._news:
                self.dropped += self._latest is not None
                self._latest = (image.astype(np.uint8, copy=False), time.monotonic())
                self._news.notify_all()
        self._capture.release()
        with self._news:
            self._lost = True
            self._news.notify_all()


def _open_capture(number: int) -> cv2.VideoCapture:
    with quiet_opencv():
        capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        capture.release()
        present = ", ".join(sorted(glob.glob("/dev/video*"))) or "none"
        raise InputError(
            f"camera {number} cannot be opened; devices present: {present}; check that it is plugged in,"
            " that no other program uses it and that you may read it (group 'video')"
        )
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the oldest frame in a driver's queue is already late
    return capture
