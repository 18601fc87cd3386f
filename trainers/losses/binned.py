"""Losses on the index axis of `Bins` (0 = min_m, K = max_m), where predictions and targets of our networks live.

With log spacing one index is a fixed ratio of depths, so a distance of indices times the bin width is a distance of
log depths: that is the unit of every term below, which makes weights independent of the number of bins.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from edgedepth.core.bins import Bins
from edgedepth.trainers.losses.masked import weighted_mean, whole_cells


def smooth_l1(difference: Tensor) -> Tensor:
    """0.5 y^2 for |y| < 1 and |y| - 0.5 otherwise, element-wise (papers/1 eq. 2)."""
    size = difference.abs()
    return torch.where(size < 1, 0.5 * difference * difference, size - 0.5)


def soft_classification_loss(index: Tensor, depth_m: Tensor, weight: Tensor, bins: Bins) -> Tensor:
    """Smooth L1 between the expected index and the quantised ground truth (papers/1 eq. 1 and 2), in indices.

    `index` and `depth_m` (metres) and `weight` have the same shape; depths outside the range go to the end bins.
    """
    return weighted_mean(smooth_l1(index - bins.quantise(depth_m, torch)), weight)


def pool_target(index: Tensor, weight: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Weighted mean of a target index map in each cell of a coarser (h, w) grid, and the cells' mean weight.

    Auxiliary levels are compared with the target brought down to their size (papers/4, section 3.2.3), averaged
    over known pixels only. `index` and `weight` are (B, 1, H, W).
    """
    if index.shape[-2:] == size:
        return index, weight
    index, weight, cell = whole_cells(index, weight, size)
    pooled = F.avg_pool2d(weight, cell)
    return F.avg_pool2d(index * weight, cell) / pooled.clamp_min(1e-6), pooled


def index_l1_loss(prediction: Tensor, index: Tensor, weight: Tensor, bins: Bins) -> Tensor:
    """L1 between index maps, in units of log depth (or metres with uniform bins): |i - i*| times the bin width."""
    return bins.width * weighted_mean((prediction - index).abs(), weight)


def gradient_loss(prediction: Tensor, index: Tensor, weight: Tensor, bins: Bins, *, scales: int = 4) -> Tensor:
    """L1 between the spatial differences of two index maps at steps of 1, 2, 4, ... pixels, times the bin width.

    It asks for the right steps and slopes wherever both ends of a difference are known, whatever the offset.
    All maps are (B, 1, H, W).
    """
    error = prediction - index
    total = prediction.new_zeros(())
    for step in (2**scale for scale in range(scales)):
        if step >= min(error.shape[-2:]):
            break
        across = (error[..., step:] - error[..., :-step]).abs()
        down = (error[..., step:, :] - error[..., :-step, :]).abs()
        total = total + weighted_mean(across, weight[..., step:] * weight[..., :-step])
        total = total + weighted_mean(down, weight[..., step:, :] * weight[..., :-step, :])
    return bins.width * total / (2 * scales)


def soft_bin_cross_entropy(logits: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy of coarse bin logits against every fine pixel of their cell, scaled by 1 / log K.

    A fine pixel's label is split between the two bins next to its continuous index, so that the label's
    expectation is that index; the pixels of a cell together make the cell's depth histogram.
    `logits` is (B, K, h, w) for the bins 1..K; `index` and `weight` are (B, 1, H, W) with H >= h, W >= w.
    """
    count, (h, w) = logits.shape[1], logits.shape[-2:]
    index, weight, cell = whole_cells(index, weight, (h, w))
    label = F.pixel_unshuffle(index.clamp(1, count), cell) - 1  # (B, cell^2, h, w), position 0 is bin 1
    lower = label.floor().clamp_max(count - 2)
    share = label - lower
    log_p = F.log_softmax(logits.float(), dim=1)
    below = lower.long()
    entropy = -((1 - share) * log_p.gather(1, below) + share * log_p.gather(1, below + 1))
    return weighted_mean(entropy, F.pixel_unshuffle(weight, cell)) / math.log(count)


def relative_loss(prediction: Tensor, index: Tensor, weight: Tensor, bins: Bins, *, limit: float = 3.0) -> Tensor:
    """abs_rel itself, |p - g| / g, of two index maps with log bins; errors beyond `limit` are cut off.

    Where depth is uncertain it asks for the nearer answer, which L1 in log depth does not.
    """
    ratio = ((prediction - index) * bins.width).clamp(max=math.log(1 + limit)).exp()
    return weighted_mean((ratio - 1).abs(), weight)


def foreground(index: Tensor, weight: Tensor, bins: Bins, *, reach: float = 1 / 8) -> Tensor:
    """How far each pixel stands before its row, 0 to 1 where it has half the depth or less: people, cars, posts.

    The row is the mean index of known pixels within `reach` of the width on both sides; rows are compared and not
    columns, because the ground alone recedes from one to the next. All maps are (B, 1, H, W), bins are log-spaced.
    """
    width = index.shape[-1]
    at, radius = torch.arange(width, device=index.device), max(1, round(width * reach))
    left, right = (at - radius).clamp_min(0), (at + radius + 1).clamp_max(width)
    total, known = (F.pad(values.cumsum(dim=-1), (1, 0)) for values in (index * weight, weight))
    mean = (total[..., right] - total[..., left]) / (known[..., right] - known[..., left]).clamp_min(1e-6)
    return ((mean - index) * bins.width / math.log(2)).clamp(0, 1)


def silog_loss(prediction: Tensor, index: Tensor, weight: Tensor, bins: Bins, *, focus: float = 0.85) -> Tensor:
    """Scale-invariant error sqrt(mean(e^2) - focus * mean(e)^2) of e = difference of log depths (log bins)."""
    error = (prediction - index) * bins.width
    mean = weighted_mean(error, weight)
    spread = weighted_mean(error * error, weight) - focus * mean * mean
    return spread.clamp_min(1e-8).sqrt()
