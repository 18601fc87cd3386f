"""Evaluation protocols: which pixels of the truth count, and over which range.

Every protocol works the same way: the prediction is resized (bilinear) to the size of the truth before anything is
masked, truth outside the range is excluded, aligned predictions are clamped to the range, and figures are means over
images, without test-time augmentation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError, UnknownNameError

Region = tuple[slice, slice]  # rows, columns


def _whole(height: int, width: int) -> Region:
    return slice(0, height), slice(0, width)


def _nyu_eigen(height: int, width: int) -> Region:
    if (width, height) != (640, 480):
        raise InputError(f"the NYU crop is for truth of 640x480, but got {width}x{height}; use --protocol native")
    return slice(45, 471), slice(41, 601)


def _fractions(top: float, bottom: float, left: float, right: float) -> Callable[[int, int], Region]:
    """A crop by fractions of the image, rounded down as the published scripts do."""

    def crop(height: int, width: int) -> Region:
        return slice(int(top * height), int(bottom * height)), slice(int(left * width), int(right * width))

    return crop


def _kitti_benchmark(height: int, width: int) -> Region:
    if height < 352 or width < 1216:
        raise InputError(f"the KITTI benchmark crop needs truth of at least 1216x352, but got {width}x{height}")
    left = (width - 1216) // 2
    return slice(height - 352, height), slice(left, left + 1216)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One way of taking figures.

    crop: the rows and columns that count, for truth of a height and width.
    range_m: truth outside it (ends included) is left out and predictions are clamped to it; None means the range
        of the network for the sample's route.
    """

    name: str
    what: str
    crop: Callable[[int, int], Region]
    range_m: tuple[float, float] | None

    def valid(self, truth_m: NDArray[Any], range_m: tuple[float, float]) -> NDArray[np.bool_]:
        """Which pixels of the (H, W) truth count: inside the crop, measured, and strictly inside the range."""
        valid = np.zeros(truth_m.shape, np.bool_)
        rows, columns = self.crop(*truth_m.shape)
        truth = truth_m[rows, columns]
        # NaN compares false, so unmeasured pixels fall out here
        valid[rows, columns] = (truth > range_m[0]) & (truth < range_m[1])
        return valid


_GARG = _fractions(0.40810811, 0.99189189, 0.03594771, 0.96405229)
_EIGEN = _fractions(0.3324324, 0.91351351, 0.0359477, 0.96405229)
_NYU_M, _KITTI_M = (1e-3, 10.0), (1e-3, 80.0)

PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(name="native", what="no crop, range of the sample's network", crop=_whole, range_m=None),
        Protocol(name="nyu-eigen", what="crop 45:471, 41:601, to 10 m", crop=_nyu_eigen, range_m=_NYU_M),
        Protocol(name="nyu-full", what="no crop, to 10 m", crop=_whole, range_m=_NYU_M),
        Protocol(name="scannet-rob", what="no crop, to 10 m", crop=_whole, range_m=_NYU_M),
        Protocol(name="kitti-eigen-garg", what="Garg's crop, to 80 m", crop=_GARG, range_m=_KITTI_M),
        Protocol(name="kitti-eigen", what="Eigen's crop, to 80 m", crop=_EIGEN, range_m=_KITTI_M),
        Protocol(name="kb-crop", what="bottom centre 1216x352, to 80 m", crop=_kitti_benchmark, range_m=_KITTI_M),
        # 16-bit depth in 1/256 m ends at 256 m: the server itself has no cap
        Protocol(name="kitti-server", what="no crop, no cap", crop=_whole, range_m=(1e-3, 256.0)),
    )
}


def protocol_named(name: str) -> Protocol:
    """The protocol of a name.

    Raises:
        UnknownNameError: there is none; the message lists the known ones.
    """
    if name not in PROTOCOLS:
        raise UnknownNameError.of("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]
