"""What depth networks answer, and how bin distributions and raw regressions become metres."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgedepth.core.bins import Bins
from edgedepth.trainers.models.blocks import DepthConv


@dataclass(frozen=True, kw_only=True)
class BinnedOptions:
    """Options that every classifying depth network has: its bins, spaced in the logarithm of depth.

    Subclasses check their own fields in `__post_init__` and raise ValueError; the registry makes it a message.
    """

    num_bins: int
    min_m: float
    max_m: float

    def __post_init__(self) -> None:
        _ = self.bins  # checks the three fields

    @property
    def bins(self) -> Bins:
        """The discretisation."""
        return Bins(count=self.num_bins, min_m=self.min_m, max_m=self.max_m)


@dataclass(frozen=True)
class DepthHeads:
    """Everything a depth network computes in training mode.

    indices: continuous bin indices (see `edgedepth.core.bins.Bins`), coarse to fine, each (B, 1, h, w); the
        last has the size of the image and is what inference decodes. Not clamped to the range. Empty for pure
        regression.
    logits: (B, K, h, w) logits of the distribution behind `indices[0]`; None for pure regression.
    depth_m: (B, 1, H, W) metres of the regression branch, not clamped; None where there is no such branch.
    """

    indices: tuple[Tensor, ...]
    logits: Tensor | None
    depth_m: Tensor | None


class SoftArgmax(nn.Module):
    """Expected bin index of a distribution over K bins: sum_j j * p_j, j = 1..K (papers/1, section 4.3)."""

    index: Tensor

    def __init__(self, num_bins: int) -> None:
        super().__init__()
        index = torch.arange(1, num_bins + 1, dtype=torch.float32).view(1, num_bins, 1, 1)
        self.register_buffer("index", index, persistent=False)

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """(B, K, h, w) logits to the expected index (B, 1, h, w) and the probabilities (B, K, h, w)."""
        probabilities = F.softmax(logits.float(), dim=1)  # subtracts the maximum itself
        return (probabilities * self.index).sum(dim=1, keepdim=True), probabilities

    def confidence(self, probabilities: Tensor, expected: Tensor) -> Tensor:
        """Probability mass within 1.5 bins of the expected index, (B, 1, h, w) in 0..1.

        Bins at the border of that window count in part: the answer is continuous in the expected index.
        """
        weight = (2.0 - (self.index - expected).abs()).clamp(0.0, 1.0)
        return (probabilities * weight).sum(dim=1, keepdim=True)


def depth_of_index(index: Tensor, bins: Bins) -> Tensor:
    """Metres of continuous bin indices, clamped to the range of the bins."""
    # Clamping the index first keeps exp within the range that half precision can hold.
    depth_m: Tensor = bins.depth_of(index.clamp(0.0, float(bins.count)), torch)
    return depth_m.clamp(bins.min_m, bins.max_m)


class RegressionOutput(nn.Module):
    """3x3 convolution to metres, min_m + (max_m - min_m) * raw; starts at the range's geometric middle."""

    def __init__(self, c_in: int, bins: Bins) -> None:
        super().__init__()
        self.conv = DepthConv(c_in, 1, 3, padding=1)
        self.min_m = bins.min_m
        self.span_m = bins.max_m - bins.min_m
        self._middle = ((bins.min_m * bins.max_m) ** 0.5 - bins.min_m) / self.span_m

    def reset(self) -> None:
        """Start at the middle of the range."""
        nn.init.normal_(self.conv.weight, std=1e-4)
        assert self.conv.bias is not None
        nn.init.constant_(self.conv.bias, self._middle)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, h, w) to metres (B, 1, h, w), not clamped."""
        raw: Tensor = self.conv(x)
        return raw.float() * self.span_m + self.min_m
