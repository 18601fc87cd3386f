"""The mean log-depth map of a training split: what a network must beat to have learned more than the average scene."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError
from edgedepth.core.spec import DepthSpec
from edgedepth.trainers.data import DepthBatch


def mean_log_depth(batches: Iterable[DepthBatch], spec: DepthSpec) -> NDArray[np.float32]:
    """Mean over frames of the log depth that the canonical camera sees at each pixel of the network's input.

    Pixels outside the range, sky included, are left out, as they are by metrics; a pixel that no frame knows gets
    the mean of all. Returns (H, W) float32 log metres.

    Raises:
        InputError: no frame has a valid pixel.
    """
    width, height = spec.input_wh
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for batch in batches:
        canonical = (batch.depth_m / batch.focal[:, None, None, None]).numpy()[:, 0]
        valid = (canonical >= spec.min_m) & (canonical <= spec.max_m)
        total += np.log(np.where(valid, canonical, 1.0)).sum(axis=0)
        count += valid.sum(axis=0)
    if not count.any():
        raise InputError(
            f"no training frame has depth between {spec.min_m} and {spec.max_m} m; check depth_scale and the route"
        )
    mean = total / np.maximum(count, 1)
    mean[count == 0] = total.sum() / count.sum()
    return mean.astype(np.float32)
