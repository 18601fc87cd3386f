"""Lenses that bend straight lines, and the pinhole camera in whose picture that is undone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError

LensModel = Literal["radtan", "equidistant"]
_COUNTS: dict[LensModel, tuple[int, ...]] = {"radtan": (0, 4, 5, 8, 12, 14), "equidistant": (0, 4)}
UNTURNED = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
# Beyond this a pinhole picture is mostly the stretched surroundings of what was seen.
_WIDEST_DEG = 120.0
_SLACK = 1e-3  # of a rotation that was written with few digits
_NARROWEST, _STEPS = 4.0, 279  # focal lengths that are tried: 4 to 1/4 of the lens's own, in steps of a percent
_ALONG = np.linspace(0.0, 1.0, 17)  # where points lie along each side of a picture


@dataclass(frozen=True, kw_only=True)
class Lens:
    """What a calibration says of a camera: its intrinsics, and how its lens bends straight lines.

    camera: intrinsics of the picture as it comes.
    model: "radtan", OpenCV's and ROS's plumb_bob and rational_polynomial, or "equidistant", OpenCV's fisheye.
    coefficients: in OpenCV's order: k1, k2, p1, p2[, k3[, k4, k5, k6[, ...]]], or k1, k2, k3, k4; none for no bend. An
        equidistant lens of four zeros bends: by the angle, not by its tangent.
    rotation: row-major 3x3 that turns the camera's frame into the rectified one, as of a stereo pair (orthonormal).
    projection: intrinsics of the rectified picture, of the same size, where the calibration states them.

    Raises:
        InputError: there is no such model, or it has another number of coefficients, or a number is not finite, or the
            rotation is none.
    """

    camera: Camera
    model: LensModel = "radtan"
    coefficients: tuple[float, ...] = ()
    rotation: tuple[float, ...] = UNTURNED
    projection: Camera | None = None

    def __post_init__(self) -> None:
        if self.model not in get_args(LensModel):
            raise InputError(f"a lens is of the model {' or '.join(get_args(LensModel))}, but got {self.model!r}")
        if len(self.coefficients) not in _COUNTS[self.model]:
            raise InputError(
                f"a {self.model} lens has {' or '.join(map(str, _COUNTS[self.model]))} coefficients,"
                f" but got {len(self.coefficients)}"
            )
        if len(self.rotation) != 9 or not all(map(math.isfinite, (*self.coefficients, *self.rotation))):
            raise InputError(f"a lens needs finite coefficients and a rotation of 9 numbers, but got {self}")
        turn = np.reshape(self.rotation, (3, 3))
        if not np.allclose(turn @ turn.T, np.eye(3), atol=_SLACK) or np.linalg.det(turn) < 0:
            raise InputError(f"the rotation of a lens (R) must turn, not stretch or mirror, but got {self.rotation}")

    @property
    def bends(self) -> bool:
        """Whether its pictures are to be rectified: the lens bends lines, or the calibration turns the camera."""
        straight = self.coefficients == () if self.model == "equidistant" else not any(self.coefficients)
        return not straight or self.rotation != UNTURNED

    def of_frames(self, width: int, height: int) -> Lens:
        """The lens as frames of this size show it: distortion is of directions, so only the intrinsics change.

        Raises:
            InputError: the frames have another shape than the calibrated picture.
        """
        projection = None if self.projection is None else self.projection.of_frames(width, height)
        return replace(self, camera=self.camera.of_frames(width, height), projection=projection)

    @cached_property
    def rectified(self) -> Camera:
        """Intrinsics of the rectified picture, of the same size as the camera's own.

        Those that the calibration states; else the widest view, up to 120 degrees across, that the source picture fills
        to its edges: the same principal point and pixel shape, another focal length.

        Raises:
            InputError: no such view exists, so the coefficients cannot be of this picture.
        """
        camera = self.camera
        if not self.bends:
            return camera
        if self.projection is not None:
            return self.projection
        widest = camera.width / 2 / math.tan(math.radians(_WIDEST_DEG / 2)) / camera.fx
        zooms = np.geomspace(_NARROWEST, max(widest, 1 / _NARROWEST), _STEPS)
        seen_uv = self._bent(np.stack([_border_rays(camera, zoom) for zoom in zooms]))  # (zooms, points, 2)
        inside = (seen_uv >= 0) & (seen_uv <= (camera.width - 1, camera.height - 1))
        off_axis = np.hypot(*np.moveaxis(seen_uv - (camera.cx, camera.cy), -1, 0))
        # Where a wider view is seen further in, the polynomial has turned back on itself and means nothing.
        outward = np.diff(off_axis, axis=0, prepend=0) > 0
        good = np.logical_and.accumulate((inside.all(axis=-1) & outward).all(axis=-1))
        if not good.any():
            raise InputError(
                f"the distortion {', '.join(f'{value:g}' for value in self.coefficients)} ({self.model}) leaves no view"
                " without gaps; check the calibration, or give rectified pictures and --no-rectify"
            )
        zoom = float(zooms[good][-1])
        return replace(camera, fx=camera.fx * zoom, fy=camera.fy * zoom)

    def maps(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Where each pixel of the rectified picture lies in the source: columns and rows, (H, W) float32 each.

        Both are -1 where the lens cannot see: behind the camera, or so far out that its polynomial has turned back on
        itself and would show the picture a second time.
        """
        matrix, rotation, coefficients = _matrix(self.camera), np.reshape(self.rotation, (3, 3)), self._vector()
        target, size_wh = _matrix(self.rectified), (self.camera.width, self.camera.height)
        make = cv2.initUndistortRectifyMap if self.model == "radtan" else cv2.fisheye.initUndistortRectifyMap
        columns, rows = make(matrix, coefficients, rotation, target, size_wh, cv2.CV_32FC1)
        if self.projection is not None:  # a view that is found here holds nothing else
            x, y, z = np.moveaxis(self.projection.rays() @ rotation.astype(np.float32), -1, 0)  # (H, W) each
            unseen = (z <= 0) | (np.hypot(x, y) >= self._reach * z)
            columns[unseen] = rows[unseen] = -1
        return columns.astype(np.float32, copy=False), rows.astype(np.float32, copy=False)

    @property
    def _reach(self) -> float:
        """Tangent of the angle off the axis up to which what lies farther out is seen farther out."""
        tangents = np.tan(np.radians(np.linspace(0, 89.9, 900)))
        sides = [np.column_stack([x, np.zeros_like(x), np.ones_like(x)]) for x in (tangents, -tangents)]
        right, left = (self._bent(side @ np.reshape(self.rotation, (3, 3)).T)[:, 0] for side in sides)
        inward = np.diff(right - left) <= 0  # the difference is free of what a lens off its axis adds to both
        return float(tangents[inward.argmax()]) if inward.any() else math.inf

    def _vector(self) -> NDArray[np.float64]:
        return np.array(self.coefficients or (0.0,) * 4, np.float64)

    def _bent(self, rays: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where rays (..., 3) of the rectified frame are seen: (..., 2) column and row, far outside if behind."""
        turned = rays.reshape(-1, 3) @ np.reshape(self.rotation, (3, 3))  # by its inverse
        behind = turned[:, 2] <= 0
        xy = turned[:, :2] / np.where(behind, 1.0, turned[:, 2])[:, None]
        matrix = _matrix(self.camera)
        if self.model == "equidistant":
            uv = cv2.fisheye.distortPoints(xy[:, None], matrix, self._vector())
        else:
            points = np.column_stack([xy, np.ones(len(xy))])
            uv, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), matrix, self._vector())
        seen_uv: NDArray[np.float64] = uv.reshape(-1, 2).astype(np.float64)
        seen_uv[behind] = np.inf
        return seen_uv.reshape(*rays.shape[:-1], 2)


def _matrix(camera: Camera) -> NDArray[np.float64]:
    return np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]], np.float64)


def _border_rays(camera: Camera, zoom: float) -> NDArray[np.float64]:
    """Directions with z = 1 through the border of a picture that is seen through a longer lens: (points, 3)."""
    zeros, ones = np.zeros_like(_ALONG), np.ones_like(_ALONG)
    u = np.concatenate([_ALONG, _ALONG, zeros, ones]) * (camera.width - 1)
    v = np.concatenate([zeros, ones, _ALONG, _ALONG]) * (camera.height - 1)
    x, y = (u - camera.cx) / (camera.fx * zoom), (v - camera.cy) / (camera.fy * zoom)
    return np.column_stack([x, y, np.ones_like(x)])
