"""Losses on depth in metres and its gradients: L1, L2, papers/3 eq. 1 to 7, and those of Hu et al. 2019.

Papers 3 and 4 use the last. Maps are (B, 1, H, W) metres; every mean runs over the weighted pixels of the batch, and a
difference counts where all pixels it is made of are known.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from edgedepth.trainers.losses.masked import weighted_mean, whole_cells

_HU_OFFSET = 0.5  # alpha in ln(|e| + alpha), as in the authors' code


def regression_loss(prediction_m: Tensor, depth_m: Tensor, weight: Tensor) -> Tensor:
    """L1 between regressed and true depth in metres (papers/1, section 4.3)."""
    return weighted_mean((prediction_m - depth_m).abs(), weight)


def squared_loss(prediction_m: Tensor, depth_m: Tensor, weight: Tensor) -> Tensor:
    """L2 (papers/5 eq. 1)."""
    return weighted_mean((prediction_m - depth_m) ** 2, weight)


def berhu_loss(prediction_m: Tensor, depth_m: Tensor, weight: Tensor) -> Tensor:
    """|e| up to c, (e^2 + c^2) / 2c beyond; c = 1/5 of the batch's largest absolute error (papers/3 eq. 1 and 2).

    c is a constant to the gradient, as it is where the function comes from (Laina et al. 2016).
    """
    error = torch.where(weight > 0, (prediction_m - depth_m).abs(), 0.0)  # what is unknown must not overflow below
    largest = error.max().detach()
    c = (largest / 5).clamp_min(torch.finfo(error.dtype).tiny)
    return weighted_mean(torch.where(error <= c, error, (error * error + c * c) / (2 * c)), weight)


def forward_differences(x: Tensor) -> tuple[Tensor, Tensor]:
    """Differences to the right and the lower neighbour, both (B, C, H-1, W-1): one pair per pixel that has both."""
    corner = x[..., :-1, :-1]
    return x[..., :-1, 1:] - corner, x[..., 1:, :-1] - corner


def _difference_weight(weight: Tensor) -> Tensor:
    return weight[..., :-1, :-1] * weight[..., :-1, 1:] * weight[..., 1:, :-1]


def gradient_magnitude_loss(prediction_m: Tensor, depth_m: Tensor, weight: Tensor) -> Tensor:
    """|gx - dx| + |gy - dy| of the depth gradients (papers/3 eq. 5)."""
    dx, dy = forward_differences(prediction_m)
    gx, gy = forward_differences(depth_m)
    return weighted_mean((gx - dx).abs() + (gy - dy).abs(), _difference_weight(weight))


def gradient_direction_loss(prediction_m: Tensor, depth_m: Tensor, weight: Tensor) -> Tensor:
    """|gy dx - dy gx|, the third component of the cross product of the normals (papers/3 eq. 4 and 6)."""
    dx, dy = forward_differences(prediction_m)
    gx, gy = forward_differences(depth_m)
    return weighted_mean((gy * dx - dy * gx).abs(), _difference_weight(weight))


def hu_depth_loss(prediction_m: Tensor, depth_m: Tensor, weight: Tensor) -> Tensor:
    """ln(|e| + 0.5) (Hu et al. 2019, eq. 1); negative below half a metre of error."""
    return weighted_mean(((prediction_m - depth_m).abs() + _HU_OFFSET).log(), weight)


def sobel(x: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel gradients across and down, (B, 1, H-2, W-2), not normalised: 8 times the slope per pixel."""
    across = x.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    with torch.autocast(x.device.type, enabled=False):  # differences of depths have few bits in bfloat16
        return F.conv2d(x, across.view(1, 1, 3, 3)), F.conv2d(x, across.T.reshape(1, 1, 3, 3))


def _sobel_weight(weight: Tensor) -> Tensor:
    """The least weight under each 3x3 window."""
    return -F.max_pool2d(-weight, 3, 1)


def hu_gradient_loss(prediction_m: Tensor, depth_m: Tensor, weight: Tensor) -> Tensor:
    """ln(|ex| + 0.5) + ln(|ey| + 0.5) of the Sobel gradients' errors (Hu et al. 2019, eq. 2)."""
    ex, ey = sobel(prediction_m - depth_m)
    return weighted_mean((ex.abs() + _HU_OFFSET).log() + (ey.abs() + _HU_OFFSET).log(), _sobel_weight(weight))


def hu_normal_loss(prediction_m: Tensor, depth_m: Tensor, weight: Tensor) -> Tensor:
    """1 - cosine between the surface normals [-dx, -dy, 1] (Hu et al. 2019, eq. 3; papers/3 eq. 3)."""
    dx, dy = sobel(prediction_m)
    gx, gy = sobel(depth_m)
    product = dx * gx + dy * gy + 1
    lengths = (dx * dx + dy * dy + 1).sqrt() * (gx * gx + gy * gy + 1).sqrt()
    return weighted_mean(1 - product / lengths, _sobel_weight(weight))


def shrink_target(depth_m: Tensor, weight: Tensor, size_hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Depth and weight at a coarser level, bilinear without antialias (papers/4, section 3.2.3), known pixels only.

    What the four pixels under a coarse one know makes its depth; their weights, interpolated alike, its weight.
    """
    if depth_m.shape[-2:] == size_hw:
        return depth_m, weight
    depth_m, weight, _ = whole_cells(depth_m, weight, size_hw)
    share = F.interpolate(weight, size_hw, mode="bilinear", align_corners=False)
    total = F.interpolate(depth_m * weight, size_hw, mode="bilinear", align_corners=False)
    return total / share.clamp_min(1e-6), share
