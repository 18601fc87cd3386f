"""What delivers pictures at its own pace: the newest frame wins, and what was missed is counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError
from edgedepth.io.frames import Frame, Source

_SILENCE_S = 15.0  # OpenCV itself gives up on a V4L2 device after 10 s
_STALE_S = 1.0  # a frame that waited longer for the first receiver shows what was
_FAILED_READS = 5  # a single bad transfer on a USB bus is no reason to stop


class Capture(Protocol):
    """What is read: an OpenCV capture, or what behaves as one."""

    def get(self, prop: int, /) -> float:
        """A property, by OpenCV's number."""
        ...

    def read(self) -> tuple[bool, Any]:
        """The next frame, (H, W, 3) uint8 BGR, and whether there is one."""
        ...

    def release(self) -> None:
        """Close it."""
        ...


class LiveSource(Source):
    """An open capture: a thread reads it, the receiver gets the newest frame and never an old one.

    capture: open; the source owns it from here on.
    what, remedy: how messages call it, and what to look at when it stops.

    Raises:
        InputError: while iterating: it stopped delivering (unplugged, network gone).
    """

    live = True

    def __init__(self, capture: Capture, *, name: str, what: str, remedy: str) -> None:
        self._capture = capture
        self._what, self._remedy = what, remedy
        super().__init__(name, fps=float(capture.get(cv2.CAP_PROP_FPS)))
        self._news = threading.Condition()
        self._latest: tuple[NDArray[np.uint8], float] | None = None
        self._lost = False
        self._why: Exception | None = None  # it was lost
        self._stop = False
        self._reader = threading.Thread(target=self._read, name=name, daemon=True)
        self._reader.start()

    def __iter__(self) -> Iterator[Frame]:
        first_s: float | None = None
        index = 0
        with self._news:
            self.dropped = 0  # what came before anybody asked was not missed
            if self._latest is not None and time.monotonic() - self._latest[1] > _STALE_S and not self._lost:
                self._latest = None
        while (latest := self._take(index)) is not None:
            image, taken_s = latest
            first_s = taken_s if first_s is None else first_s
            yield Frame(index=index, image_bgr=image, time_s=taken_s - first_s, name=f"{index:06d}", taken_s=taken_s)
            index += 1

    def close(self) -> None:
        """Stop the reader and release the capture; an iteration in progress ends."""
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
                why = "" if self._why is None else f" ({' '.join(str(self._why).split())})"
                raise InputError(f"{self._what} stopped delivering after {delivered} frames{why}; {self._remedy}")
            latest, self._latest = self._latest, None
            return latest

    def _read(self) -> None:
        try:
            self._read_on()
        except Exception as error:  # whatever a driver throws, who waits for a frame must hear of it
            self._why = error
        try:
            self._capture.release()
        finally:
            with self._news:
                self._lost = True
                self._news.notify_all()

    def _read_on(self) -> None:
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
