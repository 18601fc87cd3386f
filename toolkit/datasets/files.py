"""Reading the files that data sets are made of, with errors that name the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError


def read_image_bgr(path: Path) -> NDArray[np.uint8]:
    """An image as (H, W, 3) uint8 BGR, as stored: EXIF rotation is not applied, as depth has none.

    Raises:
        InputError: the file is missing or not an image.
    """
    return np.asarray(_decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION), np.uint8)


def read_depth_png(path: Path, units_per_m: float) -> NDArray[np.float32]:
    """A 16-bit PNG as (H, W) float32 metres = value / `units_per_m`, NaN where the value is 0.

    Raises:
        InputError: the file is missing, not an image, or not of one 16-bit channel.
    """
    raw = _decode(path, cv2.IMREAD_UNCHANGED)
    if raw.ndim != 2 or raw.dtype != np.uint16:
        raise InputError(
            f"depth {path} must be a 16-bit PNG of one channel, but is {raw.dtype} of shape {raw.shape};"
            " 8-bit pictures of depth have lost the metres"
        )
    depth_m = raw.astype(np.float32)
    depth_m /= np.float32(units_per_m)
    depth_m[raw == 0] = np.nan
    return depth_m


def read_labels_png(path: Path) -> NDArray[Any]:
    """A PNG of class ids as (H, W) uint8 or uint16.

    Raises:
        InputError: the file is missing, not an image, or has several channels.
    """
    labels = _decode(path, cv2.IMREAD_UNCHANGED)
    if labels.ndim != 2:
        raise InputError(f"labels {path} must be a PNG of one channel, but have shape {labels.shape}")
    return labels


def read_first_channel_png(path: Path) -> NDArray[np.uint16]:
    """The first (red) channel of a 16-bit PNG of one or three channels, (H, W).

    Raises:
        InputError: the file is missing, not an image, or not of 16 bits.
    """
    raw = _decode(path, cv2.IMREAD_UNCHANGED)
    if raw.dtype != np.uint16:
        raise InputError(f"{path} must be a PNG of 16 bits, but is {raw.dtype}; copy it again")
    return raw if raw.ndim == 2 else np.ascontiguousarray(raw[..., 2])  # OpenCV reverses colours: red is last


def _decode(path: Path, flags: int) -> NDArray[Any]:
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the data set's folder") from None
    try:
        image = cv2.imdecode(data, flags) if data.size else None
    except cv2.error:  # a header that promises more pixels than OpenCV takes
        image = None
    if image is None:
        raise InputError(f"{path} is not a readable image ({data.size} bytes); copy it again")
    return np.asarray(image)
