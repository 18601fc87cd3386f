"""What a source is and what it yields: the seam between files, cameras and the runtime."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.camera import Camera
from edgedepth.core.lens import Lens

_PLAUSIBLE_FPS = (1.0, 240.0)  # beyond it drivers and containers mean a clock, such as 90000


@dataclass(frozen=True, kw_only=True, eq=False)  # arrays have no one truth: a frame equals itself
class Frame:
    """One picture of a source.

    index: 0, 1, 2, ... in the order the source yields them.
    image_bgr: (H, W, 3) uint8 BGR; it belongs to the receiver, no source writes to it again.
    time_s: seconds since the first frame of the stream, or None for photos.
    name: unique within the source and fit for a file name: the zero-padded index, or the photo's name.
    camera: intrinsics of this picture where the source knows them.
    camera_source: where they come from: a user or a calibration ("given"), or the photo's EXIF data ("exif").
    rectified: the model of the lens whose bend was undone in this picture; None for a picture as it came.
    outside: (H, W) bool: pixels that show nothing, because rectification found them outside the source picture.
    taken_s: of a live source, `time.monotonic()` when the picture had arrived.
    """

    index: int
    image_bgr: NDArray[np.uint8]
    time_s: float | None
    name: str
    camera: Camera | None = None
    camera_source: Literal["given", "exif"] = "given"
    rectified: str | None = None
    outside: NDArray[np.bool_] | None = None
    taken_s: float | None = None


class Source(abc.ABC):
    """An iterable of frames that owns a file or a device: a context manager, read once.

    name: what the outputs are called after: the file's or folder's name without suffix, or "camera0".
    ordered: frames follow one another in time (video, camera), so what is known of one helps with the next.
    live: frames come at their own pace and are lost when nobody takes them; `dropped` counts the lost ones.
    count: how many frames are expected, None where nobody can tell.
    fps: nominal frames per second, None for photos and where the device does not say or says what cannot be.
    lens: what bends the frames and is to be undone (see `Rectifier`), where the source knows it.
    photos: the file behind each frame, by the frame's name; empty where frames have no file of their own.
    warnings: one line each about what could not be read; complete once iteration has ended.
    """

    ordered: bool = True
    live: bool = False

    def __init__(self, name: str, *, count: int | None = None, fps: float | None = None) -> None:
        self.name = name
        self.count = count
        self.fps = plausible_fps(fps)
        self.lens: Lens | None = None
        self.photos: Mapping[str, Path] = {}
        self.dropped = 0
        self.warnings: list[str] = []

    @abc.abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; a source is read once, from its beginning."""

    @abc.abstractmethod
    def close(self) -> None:
        """Release the file or device; closing twice is allowed."""

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def plausible_fps(fps: float | None) -> float | None:
    """A nominal rate in frames per second as it is told, or None where it cannot be a rate of frames.

    >>> plausible_fps(29.97), plausible_fps(90000.0), plausible_fps(float("nan"))
    (29.97, None, None)
    """
    slowest, fastest = _PLAUSIBLE_FPS
    return fps if fps is not None and slowest <= fps <= fastest else None
