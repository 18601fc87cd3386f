"""hqmd: DeepLab v3+ made to regress depth (papers/3, section 3.1 and figure 1).

"baseline" predicts one channel at 1/4 and enlarges it; "baseline+" enlarges 16 channels and predicts at full size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from edgedepth.trainers.models.aspp import ConcatASPP, resize_to
from edgedepth.trainers.models.backbones import check_backbone, create_backbone
from edgedepth.trainers.models.blocks import ConvBN, DepthConv, Normalise, initialise, size_of
from edgedepth.trainers.models.metric import Metres, MetricHeads, MetricOptions, start_at

# Dilation rates of DeepLab v3+ at its two output strides.
_RATES = {16: (6, 12, 18), 8: (12, 24, 36), 32: (3, 6, 9)}


@dataclass(frozen=True, kw_only=True)
class HQMDOptions(MetricOptions):
    """Options of the network of papers/3.

    backbone: "resnet50" in the paper.
    decoder: "baseline" or "baseline+", the rows of Table 1.
    output_stride: reduction of the map that the pyramid pooling sees; the paper does not say, DeepLab v3+ trains at 16.
    width: channels of the pyramid pooling and of the decoder.
    """

    backbone: str = "resnet50"
    decoder: Literal["baseline", "baseline+"] = "baseline+"
    output_stride: int = 16
    width: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        check_backbone(self.backbone, self.output_stride)
        if self.decoder not in ("baseline", "baseline+"):
            raise ValueError(f"decoder must be 'baseline' or 'baseline+', but got {self.decoder!r}")
        if self.width < 8 or self.width % 8:
            raise ValueError(f"width must be a multiple of 8, but got {self.width}")


class HQMD(nn.Module):
    """Backbone, atrous spatial pyramid pooling, decoder with the features at 1/4, one or sixteen enlarged channels."""

    least_batch = 2  # batch norm of one value per channel and image has no variance in a batch of one
    paper_loss = "berhu+magnitude+direction"  # of `edgedepth.trainers.losses.papers.METRIC_LOSSES`

    def __init__(self, options: HQMDOptions) -> None:
        super().__init__()
        self.options = options
        self.metres = Metres(options)
        self.normalise = Normalise()
        plus, width = options.decoder == "baseline+", options.width
        backbone = create_backbone(options.backbone, options.output_stride)
        self.aspp = ConcatASPP(backbone.channels[4], width, _RATES[options.output_stride])
        self.low_level = ConvBN(backbone.channels[1], 48, 1)
        # Dense 3x3 convolutions, "without using atrous separable convolution in the decoder".
        self.decoder = nn.Sequential(ConvBN(width + 48, width), ConvBN(width, width))
        self.detail = ConvBN(width, 16, 1) if plus else nn.Identity()
        self.last = DepthConv(16 if plus else width, 1, 1)
        initialise(self)
        start_at(self.last, self.metres.start)
        self.backbone = backbone  # after `initialise`: it has weights of its own

    def forward(self, image: Tensor) -> MetricHeads | Tensor:
        """(B, 3, H, W) RGB in 0..1 to `MetricHeads` in training mode, else metres (B, 1, H, W)."""
        _, f4, _, _, deep = self.backbone(self.normalise(image))
        context = resize_to(self.aspp(deep), size_of(f4))  # (B, 256, H/4, W/4)
        x = self.decoder(torch.cat((context, self.low_level(f4)), dim=1))
        if self.options.decoder == "baseline+":
            raw = self.last(resize_to(self.detail(x), size_of(image)))
        else:
            raw = resize_to(self.last(x), size_of(image))
        depth_m = self.metres.of(raw)
        return MetricHeads.of((depth_m,)) if self.training else self.metres.answer(depth_m)
