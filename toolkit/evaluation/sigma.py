"""Choosing the coarse router's threshold from validation data (papers/1, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class SigmaChoice:
    """A threshold and what it does on the data it was chosen on.

    accuracy is the share of frames routed right; wrong_low counts near frames sent to HIGH, wrong_high far frames
    sent to LOW; margin is the ratio of the two values of d_max that the threshold lies between (1 = no margin).
    """

    sigma_m: float
    accuracy: float
    wrong_low: int
    wrong_high: int
    margin: float


def choose_sigma(d_max_m: NDArray[np.float64], far: NDArray[np.bool_]) -> SigmaChoice:
    """The threshold on d_max that routes most frames right, `d_max >= sigma` being HIGH.

    d_max_m, far: (N,) the largest coarse depth of each frame in metres, and whether the frame is truly far.
    Among equally good thresholds the one with the widest margin is taken, at the geometric middle of its gap.

    Raises:
        InputError: the frames are not of both ranges.
    """
    if far.all() or not far.any():
        raise InputError(f"sigma needs frames of both ranges, but got {int(far.sum())} far of {far.size}")
    order = np.argsort(d_max_m, kind="stable")
    depth, is_far = d_max_m[order], far[order]
    # cut i sends the first i frames to LOW
    wrong_high = np.concatenate([[0], np.cumsum(is_far)])
    wrong_low = np.concatenate([np.cumsum(~is_far[::-1])[::-1], [0]])
    below = np.concatenate([[depth[0] / 2], depth])
    above = np.concatenate([depth, [depth[-1] * 2]])
    margin = above / below
    possible = margin > 1  # equal depths cannot be cut apart
    errors = np.where(possible, wrong_low + wrong_high, far.size + 1)
    best = np.flatnonzero(errors == errors.min())
    cut = int(best[np.argmax(margin[best])])
    return SigmaChoice(
        sigma_m=float(np.sqrt(below[cut] * above[cut])),
        accuracy=float(1 - errors[cut] / far.size),
        wrong_low=int(wrong_low[cut]),
        wrong_high=int(wrong_high[cut]),
        margin=float(margin[cut]),
    )
