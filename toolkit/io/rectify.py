"""Frames rectified as they are read: the picture, its depth and its points are then all of one pinhole camera."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.lens import Lens
from edgedepth.core.preprocess import check_frame
from edgedepth.io.camera_files import read_lens
from edgedepth.io.frames import Frame


class Rectified(NamedTuple):
    """A picture in which straight lines are straight.

    image_bgr: (H, W, 3) uint8 BGR of the source picture's size.
    camera: its intrinsics.
    outside: (H, W) bool: pixels that the source picture does not reach, which are black; None where there are none.
    """

    image_bgr: NDArray[np.uint8]
    camera: Camera
    outside: NDArray[np.bool_] | None


class Rectifier:
    """Undoes what a lens does to straight lines; maps are made once for each size of picture.

    >>> rectify = edgedepth.Rectifier.of_file("ost.yaml")            # doctest: +SKIP
    >>> image_bgr, camera, outside = rectify(raw_bgr)                # doctest: +SKIP
    >>> result = depth(image_bgr, camera=camera, outside=outside)    # doctest: +SKIP

    A lens that bends nothing gives its pictures back as they are, with their intrinsics. One rectifier serves one
    thread.
    """

    def __init__(self, lens: Lens) -> None:
        self.lens = lens
        self._wh: tuple[int, int] | None = None

    @classmethod
    def of_file(cls, path: str | Path) -> Rectifier:
        """Of a calibration file, in any of the forms that `--camera` takes; FILE:NAME is one camera of several.

        Raises:
            InputError: the file cannot be read or is no calibration.
        """
        return cls(read_lens(path))

    def __call__(self, image_bgr: NDArray[np.uint8]) -> Rectified:
        """Rectify an (H, W, 3) uint8 picture, which shows the whole view of the calibration, perhaps at another size.

        Raises:
            InputError: the picture is not (H, W, 3) uint8, or has another shape than the calibrated one.
        """
        check_frame(image_bgr)
        height, width = image_bgr.shape[:2]
        if self._wh != (width, height):
            self._prepare(width, height)
        if self.lens.bends:
            image = cv2.remap(image_bgr, *self._maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
            image_bgr = np.asarray(image, np.uint8)
        return Rectified(image_bgr, self._camera, self._outside)

    def frame(self, frame: Frame) -> Frame:
        """The frame rectified, with the intrinsics that it then has.

        Raises:
            InputError: it has another shape than the calibrated picture; the message names it.
        """
        try:
            image_bgr, camera, outside = self(frame.image_bgr)
        except InputError as error:
            raise InputError(f"frame {frame.name}: {error}") from None
        lens = self.lens.model if self.lens.bends else None
        return replace(
            frame, image_bgr=image_bgr, camera=camera, camera_source="given", outside=outside, rectified=lens
        )

    def _prepare(self, width: int, height: int) -> None:
        lens = self.lens.of_frames(width, height)
        self._camera = lens.rectified
        self._outside: NDArray[np.bool_] | None = None
        if lens.bends:
            columns, rows = lens.maps()
            outside = ~((columns > -0.5) & (columns < width - 0.5) & (rows > -0.5) & (rows < height - 0.5))
            self._outside = outside if outside.any() else None
            self._maps = cv2.convertMaps(columns, rows, cv2.CV_16SC2)  # fixed point: twice as fast to apply
        self._wh = (width, height)
