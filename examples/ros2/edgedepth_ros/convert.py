"""Between ROS messages and edgedepth: no ROS import, so it is tested where ROS is not installed.

Functions fill any object with the fields of `sensor_msgs/CameraInfo` and `sensor_msgs/Image`; pictures and cameras come
in through `edgedepth.io.ros_messages`, as those of recordings do.
"""

from __future__ import annotations

from array import array
from typing import Any, Protocol

import numpy as np

from edgedepth.core.camera import Camera
from edgedepth.core.results import DepthResult, PixelState


class DepthImage(Protocol):
    """The fields of `sensor_msgs/Image` that are filled here."""

    height: int
    width: int
    encoding: str
    step: int
    is_bigendian: Any
    data: Any


def fill_camera_info(message: Any, camera: Camera) -> None:
    """Write the intrinsics of a picture without distortion into a `sensor_msgs/CameraInfo` that is new."""
    message.width, message.height = camera.width, camera.height
    message.distortion_model, message.d = "plumb_bob", [0.0] * 5
    message.k = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [camera.fx, 0.0, camera.cx, 0.0, 0.0, camera.fy, camera.cy, 0.0, 0.0, 0.0, 1.0, 0.0]


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
