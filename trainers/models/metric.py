"""What networks share that regress metres at one or several levels (papers/3 to 5)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgedepth.trainers.models.heads import DepthHeads


@dataclass(frozen=True, kw_only=True)
class MetricOptions:
    """Options that every regressing depth network has: the range of its depth in metres.

    Subclasses check their own fields in `__post_init__` and raise ValueError; the registry makes it a message.
    """

    min_m: float
    max_m: float

    def __post_init__(self) -> None:
        if not 0 < self.min_m < self.max_m:
            raise ValueError(f"max_m must exceed min_m, both positive, but got [{self.min_m}, {self.max_m}]")

    @property
    def num_bins(self) -> int:
        """0: nothing is classified."""
        return 0


@dataclass(frozen=True)
class MetricHeads(DepthHeads):
    """What a regressing network computes in training mode; `indices` is empty and `logits` None.

    levels_m: metres (B, 1, h, w) of every supervised output, coarse to fine or first to last iteration; the last is
        `depth_m`. Not clamped to the range.
    support_m: metres (B, 1, H, W) of the region support (papers/5), None in other networks.
    """

    levels_m: tuple[Tensor, ...] = ()
    support_m: Tensor | None = None

    @classmethod
    def of(cls, levels_m: tuple[Tensor, ...], support_m: Tensor | None = None) -> MetricHeads:
        """Heads whose depth is the last level."""
        return cls(indices=(), logits=None, depth_m=levels_m[-1], levels_m=levels_m, support_m=support_m)


class Metres:
    """The affine map between a network's raw output and metres: 0 is min_m, 1 is max_m."""

    def __init__(self, options: MetricOptions) -> None:
        self.min_m, self.max_m = options.min_m, options.max_m
        self.span_m = self.max_m - self.min_m

    @property
    def start(self) -> float:
        """Raw value of the geometric middle of the range, where outputs begin."""
        return float(((self.min_m * self.max_m) ** 0.5 - self.min_m) / self.span_m)

    def of(self, raw: Tensor) -> Tensor:
        """Metres, not clamped."""
        return raw.float() * self.span_m + self.min_m

    def raw(self, depth_m: Tensor) -> Tensor:
        """The inverse of `of`."""
        return (depth_m - self.min_m) / self.span_m

    def answer(self, depth_m: Tensor) -> Tensor:
        """Metres as a network answers them in evaluation: within the range."""
        return depth_m.clamp(self.min_m, self.max_m)


def start_at(convolution: nn.Conv2d, value: float) -> None:
    """Make a last convolution answer `value` at first, all but independent of its input."""
    nn.init.normal_(convolution.weight, std=1e-4)
    assert convolution.bias is not None
    with torch.no_grad():
        convolution.bias.fill_(value)
