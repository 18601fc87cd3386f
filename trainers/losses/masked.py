"""Known pixels: the mean over them, which every loss takes, and how they lie in the cells of a coarser map.

The mean runs over the weighted pixels of the whole batch; papers/1 eq. 3 writes the plain sum, which differs by a
factor that a learning rate absorbs and that would change with image and batch size.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def whole_cells(values: Tensor, weight: Tensor, size_hw: tuple[int, int]) -> tuple[Tensor, Tensor, int]:
    """Values and weight, (B, 1, H, W) each, made as large as a coarser map's cells together, and a cell's side.

    Networks halve by rounding up and enlarge by cropping, so cell (r, c) of a map of level L lies over the pixels from
    (2^L r, 2^L c) on, and the last ones reach beyond the image: there nothing is known.
    """
    height, width = values.shape[-2:]
    cell = 1
    while cell * size_hw[0] < height or cell * size_hw[1] < width:
        cell *= 2
    beyond = (0, cell * size_hw[1] - width, 0, cell * size_hw[0] - height)
    return F.pad(values, beyond), F.pad(weight, beyond), cell


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """sum(weight * values) / sum(weight), and 0 where nothing is weighted; scalar."""
    return (values * weight).sum() / weight.sum().clamp_min(1e-6)
