"""Pinhole intrinsics, and how they follow an image that is resized, cropped or padded."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError

_SAME_SHAPE = 0.02  # by how much the ratios of width and height may differ: sizes are rounded to even numbers


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Intrinsics of a pinhole camera, in pixels of an image of `width` x `height`.

    The optical frame is x right, y down, z forward. Pixel centres have integer coordinates, as in OpenCV and
    ROS (`CameraInfo.k`): the pixel in column u looks along x / z = (u - cx) / fx, and a centred camera has
    cx = (width - 1) / 2.

    Raises:
        InputError: a focal length or a size is not positive, or a value is not finite.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def __post_init__(self) -> None:
        values = (self.fx, self.fy, self.cx, self.cy)
        if not all(math.isfinite(v) for v in values) or self.fx <= 0 or self.fy <= 0:
            raise InputError(f"camera needs finite fx, fy, cx, cy with fx, fy > 0, but got {values}")
        if not all(isinstance(side, (int, np.integer)) for side in (self.width, self.height)):
            raise InputError(f"camera needs its size in whole pixels, but got {self.width}x{self.height}")
        if self.width < 1 or self.height < 1:
            raise InputError(f"camera needs a positive image size, but got {self.width}x{self.height}")

    @classmethod
    def centred(cls, f_px: float, width: int, height: int) -> Camera:
        """A camera with square pixels whose axis meets the middle of the image."""
        return cls(fx=f_px, fy=f_px, cx=(width - 1) / 2, cy=(height - 1) / 2, width=width, height=height)

    @classmethod
    def from_hfov(cls, hfov_deg: float, width: int, height: int) -> Camera:
        """A centred camera with square pixels and a horizontal field of view in degrees."""
        if not 0 < hfov_deg < 180:
            raise InputError(f"horizontal field of view must lie in (0, 180) degrees, but got {hfov_deg}")
        f_px = width / 2 / math.tan(math.radians(hfov_deg) / 2)
        return cls.centred(f_px, width, height)

    @property
    def f_px(self) -> float:
        """The one focal length used to scale metric depth: the mean of fx and fy, in pixels."""
        return (self.fx + self.fy) / 2

    @property
    def hfov_deg(self) -> float:
        """Horizontal field of view in degrees."""
        left, right = self.cx + 0.5, self.width - 0.5 - self.cx
        return math.degrees(math.atan(left / self.fx) + math.atan(right / self.fx))

    def resized(self, width: int, height: int) -> Camera:
        """The camera of the same view sampled at another size."""
        sx, sy = width / self.width, height / self.height
        return Camera(
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=(self.cx + 0.5) * sx - 0.5,
            cy=(self.cy + 0.5) * sy - 0.5,
            width=width,
            height=height,
        )

    def of_frames(self, width: int, height: int) -> Camera:
        """The camera of frames that show its whole view, perhaps at another size.

        Raises:
            InputError: the frames have another shape, so they are turned or cropped and these are not their intrinsics.
        """
        if not same_shape((self.width, self.height), (width, height)):
            raise InputError(
                f"the intrinsics are of {self.width}x{self.height} pixels, but the frames are {width}x{height},"
                " another shape; give the intrinsics of these frames"
            )
        return self.resized(width, height)

    def cropped(self, x: int, y: int, width: int, height: int) -> Camera:
        """The camera of the window that starts at (x, y); negative offsets pad."""
        return Camera(fx=self.fx, fy=self.fy, cx=self.cx - x, cy=self.cy - y, width=width, height=height)

    def rays(self) -> NDArray[np.float32]:
        """Directions with z = 1 through every pixel centre: (H, W, 3) float32, optical frame."""
        x = (np.arange(self.width, dtype=np.float32) - self.cx) / self.fx
        y = (np.arange(self.height, dtype=np.float32) - self.cy) / self.fy
        rays = np.ones((self.height, self.width, 3), np.float32)
        rays[..., 0], rays[..., 1] = x, y[:, None]
        return rays


def same_shape(wh: tuple[float, float], other_wh: tuple[float, float]) -> bool:
    """Whether one size is the other, scaled and rounded to even numbers."""
    return abs(wh[0] * other_wh[1] - wh[1] * other_wh[0]) <= _SAME_SHAPE * wh[1] * other_wh[0]
