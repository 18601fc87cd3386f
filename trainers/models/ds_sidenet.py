"""ds-sidenet-low and ds-sidenet-high: DS-SIDENet (papers/1, section 4, Tables 1 and 2, Figure 3).

Depthwise-separable encoder, and one decoder per task: classification into log-spaced bins and regression of
depth. Both are trained together; one of them, or their fusion, answers in evaluation.
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
    DepthConv,
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
from edgedepth.trainers.models.stacks import STACKS

Answer = Literal["cls", "reg", "fused"]
Stack = Literal["none", "sam", "shg"]

_CHOICES: dict[str, tuple[object, ...]] = {
    "layout": ("low", "high"),
    "branches": ("cls", "reg", "both"),
    "answer": (None, "cls", "reg", "fused"),
    "skip_encoding": (False, True),
    "skip_rgb": (False, True),
    "stack": ("none", "sam", "shg"),
    "stack_at": (3, 4, 5),
    "fusion": (False, True),
    "rgbd": (False, True),
}


@dataclass(frozen=True, kw_only=True)
class DSSideOptions(BinnedOptions):
    """Options of DS-SIDENet; each row of the paper's Tables 6 to 8 is one setting of them.

    num_bins, min_m, max_m: bins of the classification branch (K, alpha, beta of eq. 1).
    layout: the "low" (reduction 32) or "high" (reduction 4) depth-range column of Tables 1 and 2.
    branches: which decoders exist.
    answer: which of them answers in evaluation; None: their fusion, else classification, where it exists.
    skip_encoding, skip_rgb: what upproj-con joins to its input; with neither, it is the plain upproj.
    stack, stack_at: a stacked module at decoding block 3, 4 or 5: in the place of a block that does not change the
        map's size (the third of the high layout), behind one that does.
    fusion: a network over the outputs of both branches (section 5.3.1).
    rgbd: a coarse network of the low layout inside, whose depth joins the image as a fourth channel (section 3).
    width: share of the channels of Tables 1 and 2, for runs on small machines.
    """

    layout: Literal["low", "high"]
    branches: Literal["cls", "reg", "both"] = "both"
    answer: Answer | None = None
    skip_encoding: bool = True
    skip_rgb: bool = True
    stack: Stack = "none"
    stack_at: Literal[3, 4, 5] = 3
    fusion: bool = False
    rgbd: bool = False
    width: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for field, known in _CHOICES.items():
            if getattr(self, field) not in known:
                raise ValueError(f"{field} must be one of {known}, but got {getattr(self, field)!r}")
        if not 0 < self.width <= 4 or self.width * 32 % 4:
            raise ValueError(f"width must be a multiple of 1/8 up to 4, but got {self.width!r}")
        if self.fusion and self.branches != "both":
            raise ValueError("fusion needs branches 'both'")
        exists = {"cls": self.branches != "reg", "reg": self.branches != "cls", "fused": self.fusion, None: True}
        if not exists[self.answer]:
            raise ValueError(
                f"{self.answer!r} cannot answer where branches is {self.branches!r} and fusion {self.fusion}"
            )

    @property
    def answering(self) -> Answer:
        """What answers in evaluation."""
        if self.answer is not None:
            return self.answer
        if self.fusion:
            return "fused"
        return "reg" if self.branches == "reg" else "cls"


@dataclass(frozen=True)
class DSSideHeads(DepthHeads):
    """Heads with further index maps (B, 1, H, W), each trained like the classification branch's, by name.

    "fusion": over both branches; "coarse": of the coarse network inside an RGB-D one.
    """

    further: tuple[tuple[str, Tensor], ...] = ()


# Per layout: channels after each encoding block (Table 1), channels after each decoding block (Table 2), and how
# often the image is halved to meet the output of decoding blocks 1 to 4. Their skips Y come from encoding blocks
# 4, 3, 2 and 1, which have the same sizes.
_ENCODED = {"low": (64, 128, 256, 256, 512), "high": (64, 128, 256, 256, 128)}
_DECODED = {"low": (256, 128, 64, 32, 16), "high": (64, 32, 32, 16, 8)}
_HALVINGS = {"low": (4, 3, 2, 1), "high": (2, 2, 2, 1)}


def scaled(channels: tuple[int, ...], width: float) -> tuple[int, ...]:
    """Channels of the paper at a share of their width, at least 4."""
    return tuple(max(4, round(count * width)) for count in channels)


class Encoder(nn.Module):
    """Table 1: five blocks, reducing to 1/32 ("low") or to 1/4 ("high")."""

    def __init__(self, options: DSSideOptions) -> None:
        super().__init__()
        stride = 2 if options.layout == "low" else 1
        c1, c2, c3, c4, c5 = scaled(_ENCODED[options.layout], options.width)
        (narrow,) = scaled((32,), options.width)
        self.block1 = nn.Sequential(ConvBN(4 if options.rgbd else 3, narrow, stride=2), ConvBN(narrow, c1))
        self.block2 = nn.Sequential(
            *(DepthwiseSeparable(c1, c1) for _ in range(3)), DepthwiseSeparable(c1, c2, stride=2)
        )
        self.block3 = nn.Sequential(
            *(DepthwiseSeparable(c2, c2) for _ in range(3)), DepthwiseSeparable(c2, c3, stride=stride)
        )
        self.block4 = nn.Sequential(
            DepthwiseSeparable(c3, narrow, dilation=2),
            *(DepthwiseSeparable(narrow, narrow, dilation=2) for _ in range(11)),
            DepthwiseSeparable(narrow, c4, stride=stride),
        )
        self.block5 = nn.Sequential(DepthwiseSeparable(c4, c4, stride=stride), ConvBN(c4, c5, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, c_in, H, W) normalised to the outputs of the five blocks."""
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


class Decoder(nn.Module):
    """Table 2 up to, not including, the output layer: one branch."""

    def __init__(self, options: DSSideOptions) -> None:
        super().__init__()
        self.options = options
        encoded = scaled(_ENCODED[options.layout], options.width)
        decoded = scaled(_DECODED[options.layout], options.width)
        blocks: list[nn.Module] = []
        c_in = encoded[-1]
        for position, c_out in enumerate(decoded[:4]):
            c_skip = encoded[3 - position] * options.skip_encoding + 3 * options.skip_rgb
            replaced = options.layout == "high" and position == 2 and options.stack_at == 3 and options.stack != "none"
            blocks.append(nn.Identity() if replaced else UpProj(c_in, c_out, c_skip))
            c_in = c_out
        self.blocks = nn.ModuleList(blocks)
        self.last = UpProj(c_in, decoded[-1])
        self.stack = STACKS[options.stack](decoded[options.stack_at - 1]) if options.stack != "none" else None

    def forward(self, encoded: list[Tensor], pyramid: list[Tensor]) -> Tensor:
        """Encoder outputs, and the normalised image at 1, 1/2, 1/4, ..., to (B, C, H, W)."""
        return self.stages(encoded, pyramid)[-1]

    def stages(self, encoded: list[Tensor], pyramid: list[Tensor]) -> list[Tensor]:
        """The outputs of all five blocks."""
        x = encoded[-1]
        outputs = []
        for position, block in enumerate((*self.blocks, self.last)):
            if block is self.last:
                x = block(x, size_of(pyramid[0]))
            elif isinstance(block, UpProj):
                skip, image = encoded[3 - position], pyramid[_HALVINGS[self.options.layout][position]]
                x = block(x, size_of(skip), self._skips(skip, image))
            if self.stack is not None and position == self.options.stack_at - 1:
                x = self.stack(x)
            outputs.append(x)
        return outputs

    def _skips(self, skip: Tensor, image: Tensor) -> tuple[Tensor, ...]:
        skips: tuple[Tensor, ...] = (skip,) if self.options.skip_encoding else ()
        return (*skips, image) if self.options.skip_rgb else skips


class Fusion(nn.Module):
    """A convolution on the index map of each branch, and their sum: the fusion layer of Ren et al. 2017.

    It starts as the mean of both. The branches are not trained through it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(DepthConv(1, 1, 3, padding=1) for _ in range(2))

    def reset(self) -> None:
        """Start as the mean."""
        for conv in self.convs:
            assert isinstance(conv, nn.Conv2d)
            assert conv.bias is not None
            nn.init.zeros_(conv.bias)
            nn.init.dirac_(conv.weight)
            with torch.no_grad():
                conv.weight.mul_(0.5)

    def forward(self, classified: Tensor, regressed: Tensor) -> Tensor:
        """Two index maps (B, 1, H, W) to one."""
        first, second = self.convs
        # Replicated borders would be kinder to the edge, but zero padding is what every engine fuses.
        fused: Tensor = first(classified.detach()) + second(regressed.detach())
        return fused


class DSSideNet(nn.Module):
    """Encoder, one or two decoders, output layers."""

    def __init__(self, options: DSSideOptions) -> None:
        super().__init__()
        self.options = options
        self.bins = options.bins
        width = scaled(_DECODED[options.layout], options.width)[-1]
        self.normalise = Normalise()
        self.coarse = DSSideNet(_coarse_options(options)) if options.rgbd else None
        self.encoder = Encoder(options)
        self.soft_argmax = SoftArgmax(options.num_bins)
        self.classifier = Decoder(options) if options.branches != "reg" else None
        self.logits = nn.Conv2d(width, options.num_bins, 3, padding=1) if self.classifier else None
        self.regressor = Decoder(options) if options.branches != "cls" else None
        self.regression = RegressionOutput(width, self.bins) if self.regressor else None
        self.fusion = Fusion() if options.fusion else None
        self.reset()

    def reset(self) -> None:
        """Random weights; all branches start at the middle of the range."""
        initialise(self)
        if self.coarse is not None:
            self.coarse.reset()
        if self.logits is not None:
            nn.init.normal_(self.logits.weight, std=1e-3)
        if self.regression is not None:
            self.regression.reset()
        if self.fusion is not None:
            self.fusion.reset()

    def forward(self, image: Tensor, confidence: bool = False) -> DSSideHeads | Tensor | tuple[Tensor, Tensor]:
        """(B, 3, H, W) RGB in 0..1 to `DSSideHeads` in training mode, else metres (B, 1, H, W).

        With `confidence`, evaluation answers (depth_m, confidence), both (B, 1, H, W), the latter in 0..1.

        Raises:
            InputError: confidence is asked where no distribution answers.
        """
        pyramid = self._pyramid(image)
        coarse = None if self.coarse is None else self.coarse.index_of(image)
        encoded = self.encoder(pyramid[0] if coarse is None else self._joined(pyramid[0], coarse))
        if self.training:
            return self._heads(encoded, pyramid, coarse)
        if self.options.answering != "cls":
            if confidence:
                raise InputError(f"the answer {self.options.answering!r} has no confidence; use 'cls'")
            if self.options.answering == "reg":
                return self._regress(encoded, pyramid).clamp(self.bins.min_m, self.bins.max_m)
            index, _ = self.soft_argmax(self._classify(encoded, pyramid))
            return depth_of_index(self._fuse(index, self._regress(encoded, pyramid)), self.bins)
        index, probabilities = self.soft_argmax(self._classify(encoded, pyramid))
        depth_m = depth_of_index(index, self.bins)
        return (depth_m, self.soft_argmax.confidence(probabilities, index)) if confidence else depth_m

    def index_of(self, image: Tensor) -> Tensor:
        """The expected index of the classification branch, (B, 1, H, W), in either mode."""
        pyramid = self._pyramid(image)
        index: Tensor = self.soft_argmax(self._classify(self.encoder(pyramid[0]), pyramid))[0]
        return index

    def _pyramid(self, image: Tensor) -> list[Tensor]:
        pyramid = [self.normalise(image)]
        for _ in range(max(_HALVINGS[self.options.layout])):
            pyramid.append(halve(pyramid[-1]))
        return pyramid

    def _joined(self, image: Tensor, coarse: Tensor) -> Tensor:
        """The image and the coarse depth, in about -1..1, which is not trained through here."""
        return torch.cat((image, coarse.detach() * (2.0 / self.bins.count) - 1.0), dim=1)

    def _fuse(self, index: Tensor, regressed_m: Tensor) -> Tensor:
        assert self.fusion is not None
        inside = regressed_m.clamp(self.bins.min_m, self.bins.max_m)
        fused: Tensor = self.fusion(index, self.bins.index_of(inside, torch))
        return fused

    def _heads(self, encoded: list[Tensor], pyramid: list[Tensor], coarse: Tensor | None) -> DSSideHeads:
        logits = self._classify(encoded, pyramid) if self.classifier is not None else None
        indices: tuple[Tensor, ...] = (self.soft_argmax(logits)[0],) if logits is not None else ()
        depth_m = self._regress(encoded, pyramid) if self.regressor is not None else None
        further: tuple[tuple[str, Tensor], ...] = () if coarse is None else (("coarse", coarse),)
        if self.fusion is not None:
            assert depth_m is not None
            further = (*further, ("fusion", self._fuse(indices[0], depth_m)))
        return DSSideHeads(indices=indices, logits=logits, depth_m=depth_m, further=further)

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


def _coarse_options(options: DSSideOptions) -> DSSideOptions:
    """The coarse network has the architecture of the low one (section 3)."""
    return DSSideOptions(
        num_bins=options.num_bins,
        min_m=options.min_m,
        max_m=options.max_m,
        layout="low",
        branches="cls",
        width=options.width,
    )
