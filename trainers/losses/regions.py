"""Losses of the Region Support Network (papers/5, eq. 2 to 4).

Eq. 2 is printed without the absolute value that makes it a loss; it is taken here. "N indexes the pixels in the m-th
region": the inner mean runs over each region, so that a small region counts as much as a large one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edgedepth.trainers.losses.masked import weighted_mean

ITERATION_WEIGHTS = (0.2, 0.3, 0.5)  # lambda_1 to lambda_3 of eq. 3
SUPPORT_WEIGHT, REFINEMENT_WEIGHT = 0.3, 0.7  # lambda_0 and lambda_4 of eq. 4
_LOG_FLOOR_M = 0.1


def log_of_depth(depth_m: Tensor, floor_m: float = _LOG_FLOOR_M) -> Tensor:
    """Natural logarithm, continued below `floor_m` by its tangent: finite, with a gradient, for every prediction."""
    above = depth_m.clamp_min(floor_m)
    return above.log() + (depth_m - above) / floor_m


def region_loss(prediction_m: Tensor, target_m: Tensor, weight: Tensor, regions: Tensor | None, *, log: bool) -> Tensor:
    """L_r (eq. 2): mean over the regions of the batch of their mean absolute errors.

    Args:
        prediction_m: (B, 1, H, W) metres, and so `target_m` and `weight`.
        target_m: what is true: the region support for the generation module, depth for the refinement.
        weight: 0 where nothing is known.
        regions: (B, 1, H, W) whole numbers, 0 = no region; None takes each image as one region.
        log: compare logarithms of depth ("the log loss behaves more stable when linear loss comes to a small value").
    """
    error = prediction_m - target_m
    if log:
        error = log_of_depth(prediction_m) - log_of_depth(target_m)
    if regions is None:
        regions = torch.ones_like(error, dtype=torch.int64)
    means, mass, _ = _per_region(error.abs(), weight, regions)
    return weighted_mean(means, (mass > 0).to(error.dtype))


def squared_log_loss(prediction_m: Tensor, depth_m: Tensor, weight: Tensor) -> Tensor:
    """L2 (eq. 1) between logarithms of depth: section 4.2 compares it with L_r "in log space"."""
    return weighted_mean((log_of_depth(prediction_m) - log_of_depth(depth_m)) ** 2, weight)


def region_means(depth_m: Tensor, weight: Tensor, regions: Tensor, fill_m: float = 0.0) -> Tensor:
    """The region support: each pixel's region's mean depth, (B, 1, H, W); `fill_m` where there is no region."""
    means, mass, names = _per_region(depth_m, weight, regions)
    known = (regions > 0) & (mass[names] > 0)
    return torch.where(known, means[names], fill_m)


def true_guidance(depth_m: Tensor, focal: Tensor, regions: Tensor, *, min_m: float, max_m: float) -> Tensor:
    """The true region support for the canonical camera, which guides a refinement: (B, 1, H, W) within the range.

    Algorithm 1 starts from zeros: pixels of no region are the range's near end, the zero of the network's raw depth.

    Args:
        depth_m: (B, 1, H, W) metres of the frame's camera, NaN = not measured, inf = sky.
        focal: (B,) focal length over the canonical one.
        regions: (B, 1, H, W) whole numbers, 0 = no region.
        min_m, max_m: the network's range.
    """
    canonical = depth_m / focal[:, None, None, None]
    inside = canonical.nan_to_num(nan=max_m).clamp(min_m, max_m)
    return region_means(inside, (~canonical.isnan()).float(), regions, fill_m=min_m)


def _per_region(values: Tensor, weight: Tensor, regions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted mean and weight of each region of the batch, two (R,) vectors, and (B, 1, H, W) indices into them."""
    stride = int(regions.max()) + 1
    batch = torch.arange(len(regions), device=regions.device).view(-1, 1, 1, 1)
    names = regions.long() + stride * batch
    inside = (weight * (regions > 0)).flatten()
    size = stride * len(regions)
    mass = values.new_zeros(size).index_add(0, names.flatten(), inside)
    total = values.new_zeros(size).index_add(0, names.flatten(), values.flatten() * inside)
    return total / mass.clamp_min(1e-6), mass, names


def iteration_loss(
    levels_m: Sequence[Tensor], depth_m: Tensor, weight: Tensor, regions: Tensor | None, *, log: bool
) -> Tensor:
    """L_i (eq. 3): 0.2, 0.3 and 0.5 times L_r of the three iterations; other numbers of them share alike, rising."""
    count = len(levels_m)
    weights = ITERATION_WEIGHTS if count == 3 else [2 * (k + 1) / (count * (count + 1)) for k in range(count)]
    losses = [
        share * region_loss(level, depth_m, weight, regions, log=log)
        for share, level in zip(weights, levels_m, strict=True)
    ]
    return torch.stack(losses).sum()
