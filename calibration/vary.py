"""Rendered frames as harder cameras would take them, so that ranges reach as far as real frames do.

Real pictures have burnt and black areas and sharper edges than rendered ones, and activations grow with both: ranges of
rendered frames alone clip what a street in full sun makes of the image and the first layers.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.preprocess import BgrFrame

_CLIPPED = 2.0  # per cent of the pixels that strong contrast makes black, and white
_SHARPER = 1.5
_DIM, _NOISE = 0.4, 6.0


def contrast(frame: BgrFrame) -> BgrFrame:
    """The darkest pixels black and the brightest white."""
    low, high = np.percentile(frame, [_CLIPPED, 100 - _CLIPPED])
    return _pixels((frame.astype(np.float32) - low) * (255 / max(high - low, 1.0)))


def sharp(frame: BgrFrame) -> BgrFrame:
    """Strong contrast, and edges with the halo that cameras' sharpening makes."""
    picture = contrast(frame).astype(np.float32)
    return _pixels(picture + _SHARPER * (picture - cv2.GaussianBlur(picture, (0, 0), 1.0)))


def dim(frame: BgrFrame) -> BgrFrame:
    """Little light, and the noise that comes with it."""
    noise = np.random.default_rng(0).normal(0, _NOISE, frame.shape)
    return _pixels(frame.astype(np.float32) * _DIM + noise)


# Five, so that no residue of the split into observed and check frames is of one kind.
_CAMERAS: tuple[Callable[[BgrFrame], BgrFrame] | None, ...] = (None, contrast, None, sharp, dim)


def varied(frame: BgrFrame, number: int) -> BgrFrame:
    """The `number`-th frame (H, W, 3) of a source: two of five as they are, the others as other cameras take them."""
    camera = _CAMERAS[number % len(_CAMERAS)]
    return frame if camera is None else camera(frame)


def _pixels(values: NDArray[np.floating]) -> BgrFrame:
    pixels: BgrFrame = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return pixels
