"""ds-sidenet-low and ds-sidenet-high: DS-SIDENet (papers/1, section 4, Tables 1 and 2, Figure 3).

Depthwise-separable encoder, and one decoder per task: classification into log-spaced bins and regression of
depth. Both are trained together; one of them answers in evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgedepth.core.errors import InputError
from edgedepth.trainers.models.blocks import (
    ConvBN,
    DepthwiseSeparable,
    Normalise,
    crop,
    halve,
    initialise,
    size_of,
)
from edgedepth.trainers.models.heads import (
    BinnedOptions,
    DepthHeads,
    RegressionOutput,
    SoftArgmax,
    depth_of_index,
)

Answer = Literal["cls", "reg"]

_CHOICES: dict[str, tuple[object, ...]] = {
    "layout": ("low", "high"),
    "branches": ("cls", "reg", "both"),
    "answer": (None, "cls", "reg"),
    "skip_encoding": (False, True),
    "skip_rgb": (False, True),
    "block3": ("upproj", "sam"),
}


@dataclass(frozen=True, kw_only=True)
class DSSideOptions(BinnedOptions):
    """Options of DS-SIDENet; each row of the paper's Tables 6 to 8 is one setting of them.

    num_bins, min_m, max_m: bins of the classification branch (K, alpha, beta of eq. 1).
    layout: the "low" (reduction 32) or "high" (reduction 4) depth-range column of Tables 1 and 2.
    branches: which decoders exist.
    answer: which of them answers in evaluation; None: classification where it exists.
    skip_encoding, skip_rgb: what upproj-con joins to its input; with neither, it is the plain upproj.
    block3: the third decoding block of the high layout: "sam" or upproj-con with t = 1.
    """

    layout: Literal["low", "high"]
    branches: Literal["cls", "reg", "both"] = "both"
    answer: Answer | None = None
    skip_encoding: bool = True
    skip_rgb: bool = True
    block3: Literal["upproj", "sam"] = "upproj"

    def __post_init__(self) -> None:
        super().__post_init__()
        for field, known in _CHOICES.items():
            if getattr(self, field) not in known:
                raise ValueError(f"{field} must be one of {known}, but got {getattr(self, field)!r}")
        if self.block3 == "sam" and self.layout == "low":
            raise ValueError("block3 'sam' does not change the map's size, so it needs the layout 'high'")
        if self.answer is not None and self.branches not in ("both", self.answer):
            raise ValueError(f"the branch {self.answer!r} cannot answer where only {self.branches!r} exists")

    @property
    def answering(self) -> Answer:
        """The branch that answers in evaluation."""
        return self.answer or ("reg" if self.branches == "reg" else "cls")


class Encoder(nn.Module):
    """Table 1: five blocks, reducing to 1/32 ("low") or to 1/4 ("high")."""

    def __init__(self, layout: Literal["low", "high"]) -> None:
        super().__init__()
        stride, c_out = (2, 512) if layout == "low" else (1, 128)
        self.block1 = nn.Sequential(ConvBN(3, 32, stride=2), ConvBN(32, 64))
        self.block2 = nn.Sequential(
            *(DepthwiseSeparable(64, 64) for _ in range(3)), DepthwiseSeparable(64, 128, stride=2)
        )
        self.block3 = nn.Sequential(
            *(DepthwiseSeparable(128, 128) for _ in range(3)), DepthwiseSeparable(128, 256, stride=stride)
        )
        self.block4 = nn.Sequential(
            DepthwiseSeparable(256, 32, dilation=2),
            *(DepthwiseSeparable(32, 32, dilation=2) for _ in range(11)),
            DepthwiseSeparable(32, 256, stride=stride),
        )
        self.block5 = nn.Sequential(DepthwiseSeparable(256, 256, stride=stride), ConvBN(256, c_out, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) normalised to the outputs of the five blocks."""
        outputs = []
        for block in (self.block1, self.block2, self.block3, self.block4, self.block5):
            x = block(x)
            outputs.append(x)
        return outputs


def unpool(x: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Zero-insertion unpooling: (B, C, h, w) to (B, C, *size_hw), values at even rows and columns.

    `size_hw` is 2h or 2h - 1 by 2w or 2w - 1; what the smaller size cuts off is zero.
    """
    batch, channels, height, width = x.shape
    spread = F.pad(x.reshape(batch, channels, height, 1, width, 1), (0, 1, 0, 0, 0, 1))
    return crop(spread.reshape(batch, channels, 2 * height, 2 * width), size_hw)


class UpProj(nn.Module):
    """upproj (Laina et al.; Figure 3b) and, where skips are joined to its input, upproj-con (Figure 3c).

    The input is unpooled if its size differs from the output's, the skips are concatenated, and two paths of 5x5
    convolutions halve the channels, one of them followed by a 3x3 convolution; their sum is rectified.
    """

    def __init__(self, c_in: int, c_out: int, c_skip: int = 0) -> None:
        super().__init__()
        self.main = nn.Sequential(ConvBN(c_in + c_skip, c_out, 5), ConvBN(c_out, c_out, act=False))
        self.side = ConvBN(c_in + c_skip, c_out, 5, act=False)

    def forward(self, x: Tensor, size_hw: tuple[int, int], skips: tuple[Tensor, ...] = ()) -> Tensor:
        """(B, c_in, h, w) and skips of the output's size to (B, c_out, *size_hw)."""
        if size_of(x) != size_hw:
            x = unpool(x, size_hw)
        if skips:
            x = torch.cat((x, *skips), dim=1)
        return F.relu(self.main(x) + self.side(x))


class AtrousModule(nn.Module):
    """One atrous multi-scale module: 3x3 convolutions of growing dilation, two 1x1, identity shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(ConvBN(channels, channels, dilation=dilation) for dilation in (1, 2, 2, 4, 4, 8)),
            ConvBN(channels, channels, 1),
            ConvBN(channels, channels, 1, act=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        return F.relu(x + self.body(x))


class StackedAtrous(nn.Sequential):
    """SAM: three atrous multi-scale modules (Table 2; Du et al., AMNet)."""

    def __init__(self, channels: int) -> None:
        super().__init__(*(AtrousModule(channels) for _ in range(3)))


# Per layout: channels after each encoding block (Table 1), channels after each decoding block (Table 2), and how
# often the image is halved to meet the output of decoding blocks 1 to 4. Their skips Y come from encoding blocks
# 4, 3, 2 and 1, which have the same sizes.
_ENCODED = {"low": (64, 128, 256, 256, 512), "high": (64, 128, 256, 256, 128)}
_DECODED = {"low": (256, 128, 64, 32, 16), "high": (64, 32, 32, 16, 8)}
_HALVINGS = {"low": (4, 3, 2, 1), "high": (2, 2, 2, 1)}


class Decoder(nn.Module):
    """Table 2 up to, not including, the output layer: one branch."""

    def __init__(self, options: DSSideOptions) -> None:
        super().__init__()
        self.options = options
        encoded, decoded = _ENCODED[options.layout], _DECODED[options.layout]
        blocks: list[nn.Module] = []
        c_in = encoded[-1]
        for position, c_out in enumerate(decoded[:4]):
            if position == 2 and options.block3 == "sam":
                blocks.append(StackedAtrous(c_in))
            else:
                c_skip = encoded[3 - position] * options.skip_encoding + 3 * options.skip_rgb
                blocks.append(UpProj(c_in, c_out, c_skip))
            c_in = c_out
        self.blocks = nn.ModuleList(blocks)
        self.last = UpProj(c_in, decoded[-1])

    def forward(self, encoded: list[Tensor], pyramid: list[Tensor]) -> Tensor:
        """Encoder outputs, and the normalised image at 1, 1/2, 1/4, ..., to (B, C, H, W)."""
        return self.stages(encoded, pyramid)[-1]

    def stages(self, encoded: list[Tensor], pyramid: list[Tensor]) -> list[Tensor]:
        """The outputs of all five blocks."""
        x = encoded[-1]
        outputs = []
        for position, block in enumerate(self.blocks):
            if isinstance(block, StackedAtrous):
                x = block(x)
            else:
                skip, image = encoded[3 - position], pyramid[_HALVINGS[self.options.layout][position]]
                x = block(x, size_of(skip), self._skips(skip, image))
            outputs.append(x)
        outputs.append(self.last(x, size_of(pyramid[0])))
        return outputs

    def _skips(self, skip: Tensor, image: Tensor) -> tuple[Tensor, ...]:
        skips: tuple[Tensor, ...] = (skip,) if self.options.skip_encoding else ()
        return (*skips, image) if self.options.skip_rgb else skips


class DSSideNet(nn.Module):
    """Encoder, one or two decoders, output layers."""

    def __init__(self, options: DSSideOptions) -> None:
        super().__init__()
        self.options = options
        self.bins = options.bins
        width = _DECODED[options.layout][-1]
        self.normalise = Normalise()
        self.encoder = Encoder(options.layout)
        self.soft_argmax = SoftArgmax(options.num_bins)
        self.classifier = Decoder(options) if options.branches != "reg" else None
        self.logits = nn.Conv2d(width, options.num_bins, 3, padding=1) if self.classifier else None
        self.regressor = Decoder(options) if options.branches != "cls" else None
        self.regression = RegressionOutput(width, self.bins) if self.regressor else None
        self.reset()

    def reset(self) -> None:
        """Random weights; both branches start at the middle of the range."""
        initialise(self)
        if self.logits is not None:
            nn.init.normal_(self.logits.weight, std=1e-3)
        if self.regression is not None:
            self.regression.reset()

    def forward(self, image: Tensor, confidence: bool = False) -> DepthHeads | Tensor | tuple[Tensor, Tensor]:
        """(B, 3, H, W) RGB in 0..1 to `DepthHeads` in training mode, else metres (B, 1, H, W).

        With `confidence`, evaluation answers (depth_m, confidence), both (B, 1, H, W), the latter in 0..1.

        Raises:
            InputError: confidence is asked of the regression branch, which has no distribution.
        """
        pyramid = [self.normalise(image)]
        for _ in range(max(_HALVINGS[self.options.layout])):
            pyramid.append(halve(pyramid[-1]))
        encoded = self.encoder(pyramid[0])
        if self.training:
            return self._heads(encoded, pyramid)
        if self.options.answering == "reg":
            if confidence:
                raise InputError("the regression branch has no confidence; use the classification branch")
            return self._regress(encoded, pyramid).clamp(self.bins.min_m, self.bins.max_m)
        index, probabilities = self.soft_argmax(self._classify(encoded, pyramid))
        depth_m = depth_of_index(index, self.bins)
        return (depth_m, self.soft_argmax.confidence(probabilities, index)) if confidence else depth_m

    def _heads(self, encoded: list[Tensor], pyramid: list[Tensor]) -> DepthHeads:
        logits = self._classify(encoded, pyramid) if self.classifier is not None else None
        indices = (self.soft_argmax(logits)[0],) if logits is not None else ()
        depth_m = self._regress(encoded, pyramid) if self.regressor is not None else None
        return DepthHeads(indices=indices, logits=logits, depth_m=depth_m)

    def _classify(self, encoded: list[Tensor], pyramid: list[Tensor]) -> Tensor:
        assert self.classifier is not None
        assert self.logits is not None
        logits: Tensor = self.logits(self.classifier(encoded, pyramid))  # (B, K, H, W)
        return logits

    def _regress(self, encoded: list[Tensor], pyramid: list[Tensor]) -> Tensor:
        assert self.regressor is not None
        assert self.regression is not None
        depth_m: Tensor = self.regression(self.regressor(encoded, pyramid))  # (B, 1, H, W)
        return depth_m
