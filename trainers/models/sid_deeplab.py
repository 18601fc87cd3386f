"""sid-deeplab: DeepLab v2 that classifies depth intervals (papers/2, section 3).

Class i of K is the interval [d_i, d_{i+1}) between the boundaries of eq. 1 (uniform) or eq. 2 (spacing-increasing).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from edgedepth.core.bins import Bins, Spacing
from edgedepth.trainers.models.aspp import SumASPP, resize_to
from edgedepth.trainers.models.backbones import check_backbone, create_backbone
from edgedepth.trainers.models.blocks import Normalise, size_of
from edgedepth.trainers.models.heads import BinnedOptions, DepthHeads, SoftArgmax, depth_of_index

_RATES = (6, 12, 18, 24)
# SoftArgmax counts classes from 1, and an interval is best told by its middle: class 1 is [0, 1), hence 0.5.
_MIDDLE = 0.5


@dataclass(frozen=True, kw_only=True)
class SIDDeepLabOptions(BinnedOptions):
    """Options of the network of papers/2.

    num_bins, min_m, max_m: K, alpha and beta of eq. 1 and 2.
    spacing: "log" is SID (eq. 2), "uniform" is UD (eq. 1).
    decode: how a distribution over intervals becomes depth: the "expectation" of the index, or the middle of the
        most probable interval ("mode").
    backbone: "resnet101" in the paper.
    output_stride: 8 in DeepLab v2.
    """

    spacing: Spacing = "log"
    decode: Literal["expectation", "mode"] = "expectation"
    backbone: str = "resnet101"
    output_stride: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_backbone(self.backbone, self.output_stride)
        if self.decode not in ("expectation", "mode"):
            raise ValueError(f"decode must be 'expectation' or 'mode', but got {self.decode!r}")

    @property
    def bins(self) -> Bins:
        """The discretisation."""
        return Bins(count=self.num_bins, min_m=self.min_m, max_m=self.max_m, spacing=self.spacing)


@dataclass(frozen=True)
class IntervalHeads(DepthHeads):
    """Heads whose class i = 0..K-1 is the interval of indices [i, i + 1), not the surroundings of an index."""


class SIDDeepLab(nn.Module):
    """Dilated backbone, four summed atrous convolutions to K classes, bilinear enlargement, depth."""

    def __init__(self, options: SIDDeepLabOptions) -> None:
        super().__init__()
        self.options = options
        self.bins = options.bins
        self.normalise = Normalise()
        self.backbone = create_backbone(options.backbone, options.output_stride)
        self.aspp = SumASPP(self.backbone.channels[4], options.num_bins, _RATES)
        self.soft_argmax = SoftArgmax(options.num_bins)
        for branch in self.aspp.branches:
            assert isinstance(branch, nn.Conv2d)
            assert branch.bias is not None
            nn.init.normal_(branch.weight, std=0.01)  # DeepLab's own
            nn.init.zeros_(branch.bias)

    def forward(self, image: Tensor, confidence: bool = False) -> IntervalHeads | Tensor | tuple[Tensor, Tensor]:
        """(B, 3, H, W) RGB in 0..1 to `IntervalHeads` in training mode, else metres (B, 1, H, W).

        With `confidence`, evaluation answers (depth_m, confidence), both (B, 1, H, W), the latter in 0..1.
        """
        scores = self.aspp(self.backbone(self.normalise(image))[-1])  # (B, K, H/8, W/8)
        logits = resize_to(scores, size_of(image))
        expected, probabilities = self.soft_argmax(logits)
        if self.training:
            return IntervalHeads(indices=(expected - _MIDDLE,), logits=logits, depth_m=None)
        if self.options.decode == "mode":
            expected = (logits.argmax(dim=1, keepdim=True) + 1).to(logits.dtype)
        depth_m = depth_of_index(expected - _MIDDLE, self.bins)
        return (depth_m, self.soft_argmax.confidence(probabilities, expected)) if confidence else depth_m
