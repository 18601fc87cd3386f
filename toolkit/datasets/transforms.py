"""Samples that are resized, padded, cropped or seen by a turned and zoomed camera; intrinsics follow every change.

All functions take a `DepthSample` and answer a new one of the same names. Images are sampled bilinearly, depth and
labels by their nearest pixel; what the frame does not show is black, of unknown depth and of class 0.

A sample without a camera is taken to be from the canonical one, whatever its size: there, depth is divided by how much
narrower the view becomes across the width, for a camera of the old view that stands nearer.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.preprocess import Placement
from edgedepth.core.spec import ResizePolicy
from edgedepth.datasets.sample import DepthSample


def resized(sample: DepthSample, wh: tuple[int, int]) -> DepthSample:
    """The same view at another size; each axis is scaled by itself, and its focal length with it."""
    return _placed(sample, wh, "stretch")


def zero_padded(sample: DepthSample, wh: tuple[int, int]) -> DepthSample:
    """The frame in the top left corner of a larger one (papers/1, section 5.1).

    Raises:
        InputError: the frame is larger than `wh`.
    """
    height, width = sample.depth_m.shape
    if width > wh[0] or height > wh[1]:
        raise InputError(f"{sample.id} is {width}x{height}, which does not fit into {wh[0]}x{wh[1]}; resize it first")
    return _placed(sample, wh, "pad")


def _placed(sample: DepthSample, wh: tuple[int, int], policy: ResizePolicy) -> DepthSample:
    height, width = sample.depth_m.shape
    placement = Placement.of((width, height), wh, policy)
    depth_m = placement.labels_to_input(sample.depth_m, fill=np.nan)
    return replace(
        sample,
        image_bgr=placement.to_input(sample.image_bgr),
        depth_m=_nearer(sample, depth_m, placement.content_wh[0] / wh[0]),
        camera=None if sample.camera is None else placement.camera_at_input(sample.camera),
        semantic=None if sample.semantic is None else placement.labels_to_input(sample.semantic),
    )


def cropped(sample: DepthSample, x: int, y: int, wh: tuple[int, int]) -> DepthSample:
    """The window of `wh` pixels that starts at column `x` and row `y`, which must lie inside the frame.

    Raises:
        InputError: it does not.
    """
    height, width = sample.depth_m.shape
    if not (0 <= x <= width - wh[0] and 0 <= y <= height - wh[1]):
        raise InputError(f"a window of {wh[0]}x{wh[1]} at ({x}, {y}) is not inside {sample.id} of {width}x{height}")
    rows, columns = slice(y, y + wh[1]), slice(x, x + wh[0])
    return replace(
        sample,
        image_bgr=sample.image_bgr[rows, columns],
        depth_m=_nearer(sample, sample.depth_m[rows, columns], width / wh[0]),
        camera=None if sample.camera is None else sample.camera.cropped(x, y, *wh),
        semantic=None if sample.semantic is None else sample.semantic[rows, columns],
    )


def turned(
    sample: DepthSample,
    *,
    zoom: float,
    roll_deg: float,
    mirrored: bool,
    offset: tuple[float, float],
    wh: tuple[int, int],
) -> DepthSample:
    """The view of a camera that is rolled about its axis, `zoom` times as long, and perhaps in a mirrored world.

    A roll and a longer lens leave every point's depth along the axis as it is, so metres stay true and the camera of
    the new frame says how it was taken.

    Args:
        sample: what is seen.
        zoom: focal length over the old one.
        roll_deg: angle by which the picture turns clockwise.
        mirrored: left and right change places, before the roll.
        offset: column and row of the zoomed frame, before the roll, at which the new one begins.
        wh: width and height of the new frame.
    """
    height, width = sample.depth_m.shape
    seen = sample.camera or Camera.from_hfov(60.0, width, height)
    cx = width - 1 - seen.cx if mirrored else seen.cx
    camera = Camera(
        fx=seen.fx * zoom,
        fy=seen.fy * zoom,
        cx=(cx + 0.5) * zoom - 0.5 - offset[0],
        cy=(seen.cy + 0.5) * zoom - 0.5 - offset[1],
        width=wh[0],
        height=wh[1],
    )
    change = (_matrix(camera) @ _roll(roll_deg, mirrored) @ np.linalg.inv(_matrix(seen)))[:2]
    depth_m = _warped(sample.depth_m, change, wh, cv2.INTER_NEAREST, math.nan)
    return replace(
        sample,
        image_bgr=_warped(sample.image_bgr, change, wh, cv2.INTER_LINEAR, 0),
        depth_m=_nearer(sample, depth_m, zoom * width / wh[0]),
        camera=None if sample.camera is None else camera,
        semantic=None if sample.semantic is None else _warped(sample.semantic, change, wh, cv2.INTER_NEAREST, 0),
    )


def _nearer(sample: DepthSample, depth_m: NDArray[np.float32], narrower: float) -> NDArray[np.float32]:
    """Depth of a changed sample whose view is so many times narrower; only without a camera does that change it."""
    return depth_m if sample.camera is not None else depth_m / np.float32(narrower)


def _matrix(camera: Camera) -> NDArray[np.float64]:
    return np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])


def _roll(degrees: float, mirrored: bool) -> NDArray[np.float64]:
    """Points of the old optical frame in the new one; y is down, so a positive angle turns the picture clockwise."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.diag([-1.0 if mirrored else 1.0, 1.0, 1.0])


def _warped(
    array: NDArray[Any], change: NDArray[np.float64], wh: tuple[int, int], interpolation: int, fill: float
) -> NDArray[Any]:
    return np.asarray(cv2.warpAffine(array, change, wh, flags=interpolation, borderValue=(fill,) * 3))
