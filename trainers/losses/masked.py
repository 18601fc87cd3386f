"""The mean over known pixels, which every loss takes.

It runs over the weighted pixels of the whole batch; papers/1 eq. 3 writes the plain sum, which differs by a factor that
a learning rate absorbs and that would change with image and batch size.
"""

from __future__ import annotations

from torch import Tensor


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """sum(weight * values) / sum(weight), and 0 where nothing is weighted; scalar."""
    return (values * weight).sum() / weight.sum().clamp_min(1e-6)
