"""drnet: the Double Refinement Network (papers/4, section 3 and figure 1).

A classification backbone goes down; branch I carries its features up by pixel-shuffle; branch II guesses depth at the
coarsest level and corrects the guess level by level, in metres and at little cost.

Levels are those of the paper's text: 5 is 1/32, 4 is 1/16, 3 is 1/8, 2 and 1 are 1/4 (the first before, the second
after joining the stem's pooled output) and 0 is the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgedepth.trainers.models.backbones import check_backbone, create_backbone, stem_pool_of
from edgedepth.trainers.models.blocks import ConvBN, DepthConv, Normalise, ShuffleUp, crop, halve, size_of, upsample
from edgedepth.trainers.models.metric import Metres, MetricHeads, MetricOptions, start_at

_FULL_MAPS = 4  # "concatenate it with 4 activation maps"


@dataclass(frozen=True, kw_only=True)
class DRNetOptions(MetricOptions):
    """Options of the network of papers/4; the rows of its Table 3 are settings of them.

    backbone: "resnet50", "resnet152", "densenet161" or "senet154" in the paper.
    diagonal: branch I sees the guess of branch II (the red arrows of figure 1).
    second_branch: branch II exists; without it, one convolution predicts depth at full size.
    auxiliary: every level of branch II is supervised, not only the last.
    """

    backbone: str = "resnet50"
    diagonal: bool = True
    second_branch: bool = True
    auxiliary: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_backbone(self.backbone)
        for name in ("diagonal", "second_branch", "auxiliary"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, but got {getattr(self, name)!r}")


class Level(nn.Module):
    """One step of both branches: upI_{i+1} and upII_{i+1} to upI_i and upII_i.

    Branch I: conv 1x1, batch norm, ReLU and pixel-shuffle, joined with the backbone's map of this level and, over the
    diagonal connection, with the enlarged guess. Branch II: the enlarged guess plus a 1x1 convolution of branch I,
    the image at this size and that guess.
    """

    def __init__(self, c_in: int, c_skip: int, c_up: int, options: DRNetOptions, *, enlarge: bool) -> None:
        super().__init__()
        self.diagonal = options.diagonal and options.second_branch
        self.up: nn.Module = ShuffleUp(c_in, c_up) if enlarge else ConvBN(c_in, c_up, 1)
        self.enlarge = enlarge
        self.channels = c_up + c_skip + int(self.diagonal)
        self.correction = DepthConv(self.channels - int(self.diagonal) + 4, 1, 1) if options.second_branch else None

    def forward(self, x: Tensor, skip: Tensor, guess: Tensor | None, image: Tensor) -> tuple[Tensor, Tensor | None]:
        """Branch I and the guess of the level below, the backbone's map and the image of this size, to this level."""
        up = self.up(x, size_of(skip)) if self.enlarge else self.up(x)
        joined = torch.cat((up, skip), dim=1)
        if guess is None or self.correction is None:
            return joined, None
        guess = upsample(guess, size_of(skip)) if self.enlarge else guess
        seen = torch.cat((joined, guess), dim=1)
        guess = guess + self.correction(torch.cat((seen, image), dim=1))
        return (seen if self.diagonal else joined), guess


class FullSize(nn.Module):
    """Level 0: branch I by pixel-shuffle x4 to four maps, the image, and the last correction."""

    def __init__(self, c_in: int, options: DRNetOptions) -> None:
        super().__init__()
        self.up = ConvBN(c_in, 16 * _FULL_MAPS, 1)
        self.shuffle = nn.PixelShuffle(4)
        self.correction = DepthConv(_FULL_MAPS + 3 + int(options.second_branch), 1, 1)
        weight = self.up[0].weight
        assert isinstance(weight, Tensor)
        with torch.no_grad():  # the sixteen sub-pixels of a map begin alike: no checkerboard
            weight.copy_(weight[::16].repeat_interleave(16, dim=0))

    def forward(self, x: Tensor, guess: Tensor | None, image: Tensor) -> Tensor:
        """Branch I and the guess at 1/4 and the image, to (B, 1, H, W)."""
        maps = crop(self.shuffle(self.up(x)), size_of(image))  # (B, 4, H, W)
        if guess is None:
            alone: Tensor = self.correction(torch.cat((maps, image), dim=1))
            return alone
        enlarged = F.interpolate(guess, scale_factor=4.0, mode="bilinear", align_corners=False)
        guess = crop(enlarged, size_of(image))
        corrected: Tensor = guess + self.correction(torch.cat((maps, image, guess), dim=1))
        return corrected


class DRNet(nn.Module):
    """Backbone, coarse guess, four levels, full size."""

    paper_loss = "hu"  # of `edgedepth.trainers.losses.papers.METRIC_LOSSES`

    def __init__(self, options: DRNetOptions) -> None:
        super().__init__()
        self.options = options
        self.metres = Metres(options)
        self.normalise = Normalise()
        self.backbone = create_backbone(options.backbone)
        self.stem_pool = stem_pool_of(options.backbone)
        stem, c2, c3, c4, c5 = self.backbone.channels
        self.guess = DepthConv(c5, 1, 1) if options.second_branch else None
        self.level4 = Level(c5, c4, c4 // 2, options, enlarge=True)
        self.level3 = Level(self.level4.channels, c3, c3 // 2, options, enlarge=True)
        self.level2 = Level(self.level3.channels, c2, c2 // 2, options, enlarge=True)
        self.level1 = Level(self.level2.channels, stem, stem, options, enlarge=False)
        self.level0 = FullSize(self.level1.channels, options)
        self.reset()

    def reset(self) -> None:
        """The first guess is the middle of the range, or the only one where branch II is missing; corrections are 0."""
        for level in (self.level4, self.level3, self.level2, self.level1, self.level0):
            if level.correction is not None:
                nn.init.zeros_(level.correction.weight)
                assert level.correction.bias is not None
                nn.init.zeros_(level.correction.bias)
        start_at(self.level0.correction if self.guess is None else self.guess, self.metres.start)
        if self.guess is not None:
            start_at(self.guess, self.metres.start)
            nn.init.zeros_(self.level0.correction.weight)

    def forward(self, image: Tensor) -> MetricHeads | Tensor:
        """(B, 3, H, W) RGB in 0..1 to `MetricHeads` in training mode, else metres (B, 1, H, W)."""
        image0 = self.normalise(image)
        stem, down2, down3, down4, down5 = self.backbone(image0)
        image4 = halve(halve(image0))
        image8 = halve(image4)
        image16 = halve(image8)
        guess5 = None if self.guess is None else self.guess(down5)
        x, guess4 = self.level4(down5, down4, guess5, image16)
        x, guess3 = self.level3(x, down3, guess4, image8)
        x, guess2 = self.level2(x, down2, guess3, image4)
        x, guess1 = self.level1(x, self.stem_pool(stem), guess2, image4)
        depth0 = self.level0(x, guess1, image0)
        if not self.training:
            return self.metres.answer(self.metres.of(depth0))
        supervised = (guess5, guess4, guess3, guess2, guess1, depth0) if self.options.auxiliary else (depth0,)
        return MetricHeads.of(tuple(self.metres.of(guess) for guess in supervised if guess is not None))
