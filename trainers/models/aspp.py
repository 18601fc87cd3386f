"""Atrous spatial pyramid pooling, in the forms of DeepLab v2 and v3+."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgedepth.trainers.models.blocks import ConvBN, size_of


def resize_to(x: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Bilinear, half-pixel centres; the tensor itself where it has that size."""
    if size_of(x) == size_hw:
        return x
    return F.interpolate(x, size=size_hw, mode="bilinear", align_corners=False)


class SumASPP(nn.Module):
    """DeepLab v2's: parallel dilated 3x3 convolutions straight to the classes, summed (Chen et al. 2018, fig. 7)."""

    def __init__(self, c_in: int, classes: int, rates: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(c_in, classes, 3, padding=rate, dilation=rate) for rate in rates)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, h, w) to (B, classes, h, w)."""
        return torch.stack([branch(x) for branch in self.branches]).sum(dim=0)


class ConcatASPP(nn.Module):
    """DeepLab v3's: 1x1, dilated 3x3 and image-level branches, concatenated and projected (Chen et al. 2017)."""

    def __init__(self, c_in: int, c_out: int, rates: Sequence[int]) -> None:
        super().__init__()
        self.local = ConvBN(c_in, c_out, 1)
        self.atrous = nn.ModuleList(ConvBN(c_in, c_out, dilation=rate) for rate in rates)
        self.image = ConvBN(c_in, c_out, 1)
        self.project = ConvBN((2 + len(rates)) * c_out, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, h, w) to (B, c_out, h, w)."""
        image = self.image(x.mean(dim=(2, 3), keepdim=True))  # (B, c_out, 1, 1)
        branches = [self.local(x), *(branch(x) for branch in self.atrous), image.expand(-1, -1, *size_of(x))]
        projected: Tensor = self.project(torch.cat(branches, dim=1))
        return projected
