"""rsn: the Region Support Network (papers/5, section 3, figures 1 and 2, Table 1).

The generation module says, from the image, where regions of stable depth lie and how far each is (the region
support); the refinement module turns that coarse depth into depth, three times over with the same weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgedepth.core.errors import InputError
from edgedepth.trainers.models.aspp import resize_to
from edgedepth.trainers.models.blocks import ConvBN, DepthConv, Normalise, crop, initialise, size_of
from edgedepth.trainers.models.metric import Metres, MetricHeads, MetricOptions, start_at

Guidance = Literal["region", "semantic", "truth"]
Modules = Literal["both", "generation", "refinement"]

# "1/2, 1/4, 1/8, 1/10, 1/20, 1/40, 1/80, 1/160" of the map they pool.
POOLS = (2, 4, 8, 10, 20, 40, 80, 160)


@dataclass(frozen=True, kw_only=True)
class RSNOptions(MetricOptions):
    """Options of the network of papers/5; the rows of its Table 3 are settings of them and of the training.

    modules: "both" end to end; "generation" alone, whose output answers; "refinement" alone, which is given its
        coarse depth.
    guidance: what joins the image as the guidance of the refinement: the generated "region" support, "semantic"
        labels, or the region support of the ground "truth", which is then the first coarse depth, too.
    iterations: passes of the refinement module.
    width: share of the channels of Table 1.
    """

    modules: Modules = "both"
    guidance: Guidance = "region"
    iterations: int = 3
    width: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.modules not in ("both", "generation", "refinement"):
            raise ValueError(f"modules must be 'both', 'generation' or 'refinement', but got {self.modules!r}")
        if self.guidance not in ("region", "semantic", "truth"):
            raise ValueError(f"guidance must be 'region', 'semantic' or 'truth', but got {self.guidance!r}")
        if not isinstance(self.iterations, int) or self.iterations < 1:
            raise ValueError(f"iterations must be a whole number of at least 1, but got {self.iterations!r}")
        if not 0 < self.width <= 4 or self.width * 64 % 8:
            raise ValueError(f"width must be a multiple of 1/8 up to 4, but got {self.width!r}")
        if self.modules == "refinement" and self.guidance == "region":
            raise ValueError("the refinement module alone has no generated region support; guidance is 'truth' then")

    @property
    def needs_guidance(self) -> bool:
        """True where the network must be given more than the image."""
        return self.modules == "refinement" or (self.modules == "both" and self.guidance != "region")


class Residual(nn.Module):
    """A residual unit of ResNet-34: two 3x3 convolutions, identity or 1x1 shortcut."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(ConvBN(c_in, c_out, stride=stride), ConvBN(c_out, c_out, act=False))
        plain = c_in == c_out and stride == 1
        self.shortcut = nn.Identity() if plain else ConvBN(c_in, c_out, 1, stride=stride, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, h, w) to (B, c_out, ceil(h/stride), ceil(w/stride))."""
        return F.relu(self.shortcut(x) + self.body(x))


class SingleResidual(nn.Module):
    """A 3x3 convolution with an identity shortcut: rows 2 to 4 of the refinement column, six convolutions in all."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = ConvBN(channels, channels, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        return F.relu(x + self.body(x))


class PyramidPooling(nn.Module):
    """Eight means of a map, a 3x3 convolution on each, enlarged and joined behind the map itself.

    The eight have as many channels together as the map: "the high-resolution feature map holds half of the channels".
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(ConvBN(channels, channels // len(POOLS)) for _ in POOLS)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to (B, 2C, h, w)."""
        branches = zip(POOLS, self.branches, strict=True)
        pooled = [resize_to(branch(shrink(x, factor)), size_of(x)) for factor, branch in branches]
        return torch.cat((x, *pooled), dim=1)


def shrink(x: Tensor, factor: int) -> Tensor:
    """Means over cells of `factor` rows and columns, ceil(h/factor) x ceil(w/factor); a cut cell averages its own."""
    height, width = size_of(x)
    rows, columns = _overhang(height, factor), _overhang(width, factor)
    padded = F.pad(x, (0, -width % factor, 0, -height % factor))
    # Zeros beyond the border thin the means of the last cells; the constant factor makes that good. (Pooling in
    # ceil mode would do the same, but backends disagree about it.)
    weight = x.new_tensor(rows).view(1, 1, -1, 1) * x.new_tensor(columns).view(1, 1, 1, -1)
    return F.avg_pool2d(padded, factor) * weight


def _overhang(length: int, factor: int) -> list[float]:
    """For each cell along an axis, its nominal length over the length it has."""
    cells = -(-length // factor)
    return [1.0] * (cells - 1) + [factor / (length - factor * (cells - 1))]


def _stack(channels: Sequence[int]) -> nn.Sequential:
    """3x3 convolutions from each width to the next; the last is bare."""
    pairs = list(itertools.pairwise(channels))
    last = DepthConv(*pairs[-1], 3, padding=1)
    return nn.Sequential(*(ConvBN(c_in, c_out) for c_in, c_out in pairs[:-1]), last)


class Generation(nn.Module):
    """Left half of Table 1: modified ResNet-34 at 1/2, pyramid pooling, regression of one channel at full size."""

    def __init__(self, width: float) -> None:
        super().__init__()
        w64, w128, w256, w512 = (int(width * channels) for channels in (64, 128, 256, 512))
        self.full = nn.Sequential(  # rows 1 to 6, at full size
            ConvBN(3, w64, 7),
            *(Residual(w64, w64) for _ in range(3)),
            ConvBN(w64, w128),
            ConvBN(w128, w128),
        )
        self.reduced = nn.Sequential(  # rows 7 to 20: units by ResNet-34's counts, the only reduction in the first
            Residual(w128, w256, stride=2),
            *(Residual(w256, w256) for _ in range(3)),
            Residual(w256, w512),
            *(Residual(w512, w512) for _ in range(5)),
            *(Residual(w512, w512) for _ in range(4)),
        )
        self.pooling = PyramidPooling(w512)  # rows 21 and 22
        self.join = ConvBN(2 * w512, w512)  # row 23
        self.up = nn.Sequential(  # row 24
            nn.ConvTranspose2d(w512, w256, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(w256), nn.ReLU(True)
        )
        self.narrow = ConvBN(w256, w128)  # row 25
        self.regression = _stack((2 * w128, w128, w128, w128, w128, 1))  # rows 26 to 30

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) normalised to (B, 1, H, W) raw region support."""
        full = self.full(image)  # (B, 128, H, W)
        x = self.join(self.pooling(self.reduced(full)))  # (B, 512, H/2, W/2)
        x = self.narrow(crop(self.up(x), size_of(full)))
        raw: Tensor = self.regression(torch.cat((x, full), dim=1))
        return raw


class Refinement(nn.Module):
    """Right half of Table 1: six convolutions, pyramid pooling and regression, all at full size."""

    def __init__(self, width: float) -> None:
        super().__init__()
        w64, w128 = int(width * 64), int(width * 128)
        self.features = nn.Sequential(
            ConvBN(3 + 1 + 1, w64, 7),  # image and guidance, which Table 1 counts, and the coarse depth
            *(SingleResidual(w64) for _ in range(3)),
            ConvBN(w64, w128),
            ConvBN(w128, w128),
        )
        self.pooling = PyramidPooling(w128)
        self.regression = _stack((2 * w128, w128, *(w128,) * 5, 1))  # rows 9 to 15

    def forward(self, image: Tensor, guidance: Tensor, coarse: Tensor) -> Tensor:
        """(B, 3, H, W) normalised, (B, 1, H, W) and (B, 1, H, W), to raw depth (B, 1, H, W)."""
        x = self.features(torch.cat((image, guidance, coarse), dim=1))
        raw: Tensor = self.regression(self.pooling(x))
        return raw


class RSN(nn.Module):
    """Generation module, refinement module, iterations."""

    least_batch = 2  # batch norm of one value per channel and image has no variance in a batch of one
    paper_loss = "region-log"  # of `edgedepth.trainers.losses.papers.METRIC_LOSSES`

    def __init__(self, options: RSNOptions) -> None:
        super().__init__()
        self.options = options
        self.metres = Metres(options)
        self.normalise = Normalise()
        self.generation = Generation(options.width) if options.modules != "refinement" else None
        self.refinement = Refinement(options.width) if options.modules != "generation" else None
        initialise(self)
        for module in (self.generation, self.refinement):
            if module is not None:
                last = module.regression[-1]
                assert isinstance(last, nn.Conv2d)
                start_at(last, self.metres.start)

    def forward(self, image: Tensor, guidance: Tensor | None = None) -> MetricHeads | Tensor:
        """(B, 3, H, W) RGB in 0..1 to `MetricHeads` in training mode, else metres (B, 1, H, W).

        Args:
            image: the image.
            guidance: (B, 1, H, W), where `options.needs_guidance`: metres of the true region support ("truth"), or
                semantic labels scaled to 0..1 ("semantic").

        Raises:
            InputError: the guidance is missing, or given to a network that makes its own.
        """
        if (guidance is not None) != self.options.needs_guidance:
            raise InputError(
                f"rsn with modules {self.options.modules!r} and guidance {self.options.guidance!r} takes "
                + ("an image and its guidance" if self.options.needs_guidance else "an image and nothing else")
            )
        image = self.normalise(image)
        support = None if self.generation is None else self.generation(image)
        support_m = None if support is None else self.metres.of(support)
        if self.refinement is None:
            assert support_m is not None
            levels_m: tuple[Tensor, ...] = (support_m,)
        else:
            levels_m = tuple(self.metres.of(raw) for raw in self._refine(image, support, guidance))
        return MetricHeads.of(levels_m, support_m) if self.training else self.metres.answer(levels_m[-1])

    def _refine(self, image: Tensor, support: Tensor | None, guidance: Tensor | None) -> tuple[Tensor, ...]:
        """Raw depth after each iteration."""
        assert self.refinement is not None
        if guidance is None:
            assert support is not None
            guide = coarse = support
        elif self.options.guidance == "truth":
            guide = coarse = self.metres.raw(guidance)
        else:
            # Without a generation module there is no coarse depth but the middle of the range.
            guide = guidance
            coarse = torch.full_like(guidance, self.metres.start) if support is None else support
        depths = []
        for _ in range(self.options.iterations):
            coarse = self.refinement(image, guide, coarse)
            depths.append(coarse)
        return tuple(depths)
