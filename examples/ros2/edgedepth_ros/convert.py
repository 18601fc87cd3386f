"""Between ROS messages and edgedepth: no ROS import, so it is tested where ROS is not installed.

Functions take and fill any object with the fields of `sensor_msgs/Image` and `sensor_msgs/CameraInfo`.
"""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.results import DepthResult, PixelState

# encoding -> (channels, OpenCV conversion to BGR)
_TO_BGR = {
    "bgr8": (3, None),
    "rgb8": (3, cv2.COLOR_RGB2BGR),
    "bgra8": (4, cv2.COLOR_BGRA2BGR),
    "rgba8": (4, cv2.COLOR_RGBA2BGR),
    "mono8": (1, cv2.COLOR_GRAY2BGR),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2BGR_YUY2),
}


class ImageMessage(Protocol):
    """The fields of `sensor_msgs/Image` that are used here."""

    height: int
    width: int
    encoding: str
    step: int
    is_bigendian: Any
    data: Any


class CameraInfoMessage(Protocol):
    """The fields of `sensor_msgs/CameraInfo` that are used here."""

    height: int
    width: int
    p: Any
    binning_x: int
    binning_y: int


def bgr_of(message: ImageMessage) -> NDArray[np.uint8]:
    """The message's picture as (H, W, 3) uint8 BGR.

    Raises:
        InputError: an encoding that is not converted here; the message lists those that are.
    """
    if message.encoding not in _TO_BGR:
        raise InputError(f"image encoding {message.encoding!r} is not one of: {', '.join(_TO_BGR)}")
    channels, conversion = _TO_BGR[message.encoding]
    rows = np.frombuffer(bytes(message.data), np.uint8).reshape(message.height, message.step)
    picture = rows[:, : message.width * channels].reshape(message.height, message.width, channels)
    if conversion is None:
        return np.ascontiguousarray(picture)
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(picture), conversion), np.uint8)


def camera_of(info: CameraInfoMessage) -> Camera | None:
    """Intrinsics of a rectified image, which are those of P; None where the camera is not calibrated (P is zero)."""
    fx, fy, cx, cy = (float(info.p[i]) for i in (0, 5, 2, 6))
    if fx == 0:
        return None
    camera = Camera(fx=fx, fy=fy, cx=cx, cy=cy, width=info.width, height=info.height)
    x, y = max(1, info.binning_x), max(1, info.binning_y)
    return camera if (x, y) == (1, 1) else camera.resized(info.width // x, info.height // y)


def fill_depth_image(message: ImageMessage, result: DepthResult) -> None:
    """Write a result into a depth image: 32FC1 metres (REP 118), NaN unknown and +Inf beyond range (REP 117)."""
    height, width = result.depth_m.shape
    depth = result.depth_m.astype("<f4")  # a copy: the result is not changed
    depth[result.valid == PixelState.BEYOND] = np.inf
    message.height, message.width = height, width
    message.encoding = "32FC1"
    message.is_bigendian = 0
    message.step = width * 4
    message.data = depth.tobytes()
