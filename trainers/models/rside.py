"""rside: the network of Hu et al. 2019, "Revisiting Single Image Depth Estimation", which papers/4 measures against.

Encoder, decoder by up-projection, multi-scale feature fusion and refinement, as in the authors' published code. Depth
comes out at half the image's size, as theirs does, and is enlarged bilinearly.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgedepth.trainers.models.aspp import resize_to
from edgedepth.trainers.models.backbones import check_backbone, create_backbone
from edgedepth.trainers.models.blocks import ConvBN, DepthConv, Normalise, initialise, size_of
from edgedepth.trainers.models.metric import Metres, MetricHeads, MetricOptions, start_at

_FUSED = 16  # channels that every level brings into the fusion


@dataclass(frozen=True, kw_only=True)
class RSIDEOptions(MetricOptions):
    """Options of the competitor network.

    backbone: "resnet50", "densenet161" or "senet154" in papers/4, Table 2.
    """

    backbone: str = "resnet50"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_backbone(self.backbone)


class UpProjection(nn.Module):
    """Bilinear enlargement, then two paths of 5x5 convolutions, one followed by a 3x3; their sum is rectified.

    Unlike the zero-inserting up-projection of papers/1 the enlarged map is dense.
    """

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.main = nn.Sequential(ConvBN(c_in, c_out, 5), ConvBN(c_out, c_out, act=False))
        self.side = ConvBN(c_in, c_out, 5, act=False)

    def forward(self, x: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """(B, c_in, h, w) to (B, c_out, *size_hw)."""
        x = resize_to(x, size_hw)
        return F.relu(self.main(x) + self.side(x))


class RSIDE(nn.Module):
    """Encoder E, decoder D, multi-scale feature fusion MFF, refinement R."""

    paper_loss = "hu"  # of `edgedepth.trainers.losses.papers.METRIC_LOSSES`

    def __init__(self, options: RSIDEOptions) -> None:
        super().__init__()
        self.options = options
        self.metres = Metres(options)
        self.normalise = Normalise()
        backbone = create_backbone(options.backbone)
        *_, c5 = backbone.channels
        half = c5 // 2
        self.bottom = ConvBN(c5, half, 1)
        widths = [half // 2**step for step in range(5)]
        self.decoder = nn.ModuleList(UpProjection(a, b) for a, b in itertools.pairwise(widths))
        self.fusion = nn.ModuleList(UpProjection(c, _FUSED) for c in backbone.channels[1:])
        self.fused = ConvBN(4 * _FUSED, 4 * _FUSED, 5)
        joined = widths[-1] + 4 * _FUSED
        self.refine = nn.Sequential(ConvBN(joined, joined, 5), ConvBN(joined, joined, 5))
        self.last = DepthConv(joined, 1, 5, padding=2)
        initialise(self)
        start_at(self.last, self.metres.start)
        self.backbone = backbone  # after `initialise`: it has weights of its own

    def forward(self, image: Tensor) -> MetricHeads | Tensor:
        """(B, 3, H, W) RGB in 0..1 to `MetricHeads` in training mode, else metres (B, 1, H, W)."""
        stem, *levels = self.backbone(self.normalise(image))
        half = size_of(stem)
        x = self.bottom(levels[-1])
        for up, size_hw in zip(self.decoder, (*(size_of(level) for level in levels[-2::-1]), half), strict=True):
            x = up(x, size_hw)  # the last: (B, C5/32, H/2, W/2)
        fused = self.fused(torch.cat([up(level, half) for up, level in zip(self.fusion, levels, strict=True)], dim=1))
        raw = self.last(self.refine(torch.cat((x, fused), dim=1)))
        depth_m = self.metres.of(resize_to(raw, size_of(image)))
        return MetricHeads.of((depth_m,)) if self.training else self.metres.answer(depth_m)
