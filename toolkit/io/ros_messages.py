"""Pictures and cameras in ROS messages, without ROS: of recordings, and of nodes that hand their messages over."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.lens import Lens
from edgedepth.io.camera_files import lens_named, rotation_said

# Encodings of sensor_msgs/Image: channels, and what brings them to BGR (None where they are).
ENCODINGS: dict[str, tuple[int, int | None]] = {
    "bgr8": (3, None),
    "rgb8": (3, cv2.COLOR_RGB2BGR),
    "bgra8": (4, cv2.COLOR_BGRA2BGR),
    "rgba8": (4, cv2.COLOR_RGBA2BGR),
    "mono8": (1, cv2.COLOR_GRAY2BGR),
    "8UC1": (1, cv2.COLOR_GRAY2BGR),
    "8UC3": (3, None),
    "bayer_rggb8": (1, cv2.COLOR_BayerRGGB2BGR),
    "bayer_bggr8": (1, cv2.COLOR_BayerBGGR2BGR),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGBRG2BGR),
    "bayer_grbg8": (1, cv2.COLOR_BayerGRBG2BGR),
    "uyvy": (2, cv2.COLOR_YUV2BGR_UYVY),
    "yuyv": (2, cv2.COLOR_YUV2BGR_YUY2),
    "yuv422": (2, cv2.COLOR_YUV2BGR_UYVY),  # the older names of the two before
    "yuv422_yuy2": (2, cv2.COLOR_YUV2BGR_YUY2),
}
_RECTIFIED = re.compile(r"(?:^|[/_])rect(?:ified)?(?:[/_]|$)")


class RegionOfInterest(Protocol):
    """The fields of `sensor_msgs/RegionOfInterest` that are read here."""

    x_offset: int
    y_offset: int
    width: int
    height: int


class ImageMessage(Protocol):
    """The fields of `sensor_msgs/Image` that are read here."""

    height: int
    width: int
    encoding: str
    step: int
    data: Any


def bgr_of(message: ImageMessage) -> NDArray[np.uint8] | None:
    """The picture of a `sensor_msgs/Image` as (H, W, 3) uint8 BGR; None if it is damaged.

    Raises:
        InputError: its encoding is not one of pictures; the message lists those that are.
    """
    if message.encoding not in ENCODINGS:
        raise InputError(f"pictures of encoding {message.encoding!r} are not read; known: {', '.join(ENCODINGS)}")
    channels, code = ENCODINGS[message.encoding]
    width, height, step = message.width, message.height, message.step
    if len(message.data) < step * height or step < width * channels or min(width, height) < 1:
        return None
    pixels = np.frombuffer(message.data, np.uint8)[: step * height].reshape(height, step)[:, : width * channels]
    # a picture has memory of its own, not the message's
    pixels = np.array(pixels) if code is None else np.ascontiguousarray(pixels)
    pixels = pixels.reshape((height, width, channels) if channels > 1 else (height, width))
    try:
        image = pixels if code is None else cv2.cvtColor(pixels, code)
    except cv2.error:  # packed YUV or a mosaic of an odd size
        return None
    return image.astype(np.uint8, copy=False)


def bgr_of_compressed(data: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """The picture of a `sensor_msgs/CompressedImage` as (H, W, 3) uint8 BGR; None if it is damaged."""
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:  # a header that promises more pixels than OpenCV takes
        return None
    return None if image is None else image.astype(np.uint8, copy=False)


def says_rectified(topic: str) -> bool:
    """Whether a topic's name says that its pictures are rectified, as image_rect_color does by convention."""
    return _RECTIFIED.search(topic) is not None


def lens_of(info: Any, *, rectified: bool) -> Lens | None:
    """What a `sensor_msgs/CameraInfo` of ROS 1 or 2 says of its raw or rectified picture; None if nothing.

    Raises:
        InputError: what it says cannot be of a camera, or its lens is not one that can be undone.
    """
    d, k, r, p = (np.ravel(getattr(info, name if hasattr(info, name) else name.upper())).tolist() for name in "dkrp")
    projection = _seen(info, p[0], p[5], p[2], p[6])
    if rectified:
        return None if projection is None else Lens(camera=projection)
    camera = _seen(info, k[0], k[4], k[2], k[5])
    if camera is None:
        return None
    lens = lens_named(info.distortion_model, tuple(d), camera)
    return lens if projection is None else replace(lens, rotation=rotation_said(tuple(r)), projection=projection)


def _seen(info: Any, fx: float, fy: float, cx: float, cy: float) -> Camera | None:
    """The camera of the part that is read out; None of a camera that nobody calibrated, as REP 104 has it."""
    if fx == 0 or info.width == 0:
        return None
    return _part_read(Camera(fx=fx, fy=fy, cx=cx, cy=cy, width=int(info.width), height=int(info.height)), info.roi)


def _part_read(camera: Camera, roi: RegionOfInterest) -> Camera:
    """The camera of the part of the sensor that is read out, in its full pixels; no width and height mean all of it.

    Raises:
        InputError: the part is not on the sensor.
    """
    if not roi.width or not roi.height:
        return camera
    if roi.x_offset + roi.width > camera.width or roi.y_offset + roi.height > camera.height:
        raise InputError(
            f"camera_info reads {roi.width}x{roi.height} from {roi.x_offset},{roi.y_offset} on, but the sensor has"
            f" {camera.width}x{camera.height}"
        )
    return camera.cropped(roi.x_offset, roi.y_offset, roi.width, roi.height)
