"""Between ROS messages and edgedepth: no ROS import, so it is tested where ROS is not installed.

Functions take and fill any object with the fields of `sensor_msgs/CameraInfo` and `sensor_msgs/Image`; pictures come in
through `edgedepth.io.ros_messages`, as those of recordings do.
"""

from __future__ import annotations

from array import array
from typing import Any, Protocol

import numpy as np

from edgedepth.core.camera import Camera
from edgedepth.core.results import DepthResult, PixelState
from edgedepth.io.ros_messages import RegionOfInterest, seen_part


class DepthImage(Protocol):
    """The fields of `sensor_msgs/Image` that are filled here."""

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
    roi: RegionOfInterest


def camera_of(info: CameraInfoMessage) -> Camera | None:
    """Intrinsics of a rectified image, which are those of P; None where the camera is not calibrated (P is zero).

    Raises:
        InputError: what it says cannot be of a camera.
    """
    fx, fy, cx, cy = (float(info.p[i]) for i in (0, 5, 2, 6))
    if fx == 0:
        return None
    camera = seen_part(Camera(fx=fx, fy=fy, cx=cx, cy=cy, width=info.width, height=info.height), info.roi)
    x, y = max(1, info.binning_x), max(1, info.binning_y)
    return camera if (x, y) == (1, 1) else camera.resized(camera.width // x, camera.height // y)


def fill_depth_image(message: DepthImage, result: DepthResult) -> None:
    """Write a result into a depth image: 32FC1 metres (REP 118); NaN unknown, +Inf beyond, -Inf nearer (REP 117)."""
    height, width = result.depth_m.shape
    depth = result.depth_m.astype("<f4")  # a copy: the result is not changed
    depth[result.valid == PixelState.BEYOND] = np.inf
    depth[result.valid == PixelState.NEARER] = -np.inf
    message.height, message.width = height, width
    message.encoding = "32FC1"
    message.is_bigendian = 0
    message.step = width * 4
    message.data = array("B", depth.tobytes())  # of bytes, some releases of ROS check every single one
