"""edge-low and edge-high: our own networks, made for the engine.

A depthwise-separable encoder (the idea of papers/1, section 4.1) down to 1/32 with global context, and a
decoder in the form of the Double Refinement Network (papers/4, section 3.2.1): branch I carries features up by
pixel-shuffle, branch II makes a first guess of depth at 1/8 and corrects it level by level up to full size. The
first guess is the expectation over log-spaced bins (papers/1, section 4.3) and the corrections are in units of
bins, so that a correction means the same relative change of depth at every distance.

How a scene lies can be told from few pixels, where its edges are cannot: all but the last correction see the image at
half its size, the last one sees all of it. That is a third of the work of a network that sees all of it throughout.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgedepth.trainers.models.blocks import (
    ConvBN,
    DepthwiseSeparable,
    Normalise,
    ResidualSeparable,
    SeparableEncoder,
    ShuffleUp,
    check_counts,
    halve,
    initialise,
    size_of,
    upsample,
)
from edgedepth.trainers.models.heads import BinnedOptions, DepthHeads, RegressionOutput, SoftArgmax, depth_of_index


@dataclass(frozen=True, kw_only=True)
class EdgeOptions(BinnedOptions):
    """Options of an edge network.

    num_bins, min_m, max_m: bins of the first guess.
    widths: channels of the encoder at 1/2, 1/4, 1/8, 1/16 and 1/32; multiples of 8.
    depths: residual layers after each of these reductions.
    decoder_widths: channels of branch I at 1/16, 1/8, 1/4 and 1/2; multiples of 8.
    context: add the global context vector at 1/32.
    regression: a second, training-only output that regresses depth (the multi-task loss of papers/1).
    half: everything but one last correction sees the image at half its size.
    """

    widths: tuple[int, int, int, int, int]
    depths: tuple[int, int, int, int, int]
    decoder_widths: tuple[int, int, int, int]
    context: bool = True
    regression: bool = True
    half: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("context", "regression", "half"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, but got {getattr(self, name)!r}")
        check_counts("widths", self.widths, length=5, least=8, multiple=8)
        check_counts("depths", self.depths, length=5, least=0)
        check_counts("decoder_widths", self.decoder_widths, length=4, least=8, multiple=8)


class Detail(nn.Module):
    """What branch II tells branch I at one level: the guess so far and the image, as 8 channels of features.

    This is the diagonal connection of papers/4; as 8 channels it keeps the join a multiple of 8.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = ConvBN(4, 8)

    def forward(self, guess: Tensor, image: Tensor) -> Tensor:
        """(B, 1, h, w) and (B, 3, h, w) to (B, 8, h, w)."""
        features: Tensor = self.conv(torch.cat((guess, image), dim=1))
        return features


class Refinement(nn.Module):
    """One level of the decoder: branch I joins the encoder and the guess, branch II corrects the guess."""

    def __init__(self, c_in: int, c_skip: int, c_out: int, num_bins: int) -> None:
        super().__init__()
        self.scale = 2.0 / num_bins
        self.up = ShuffleUp(c_in, c_out)
        self.detail = Detail()
        self.join = nn.Sequential(ConvBN(c_out + c_skip + 8, c_out, 1), DepthwiseSeparable(c_out, c_out))
        self.correction = nn.Conv2d(c_out, 1, 1)

    def forward(self, x: Tensor, skip: Tensor, index: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """Features and guess of the level below to those of this one, the size of `skip` and `image`."""
        guess = upsample(index, size_of(skip))
        detail = self.detail(guess * self.scale - 1.0, image)  # the guess in about -1..1
        x = self.join(torch.cat((self.up(x, size_of(skip)), skip, detail), dim=1))
        return x, guess + self.correction(x)


class FullSizeRefinement(nn.Module):
    """A correction where features are dear: 4 maps of branch I, the image and the guess (papers/4, upII_0)."""

    def __init__(self, c_in: int, num_bins: int) -> None:
        super().__init__()
        self.scale = 2.0 / num_bins
        self.up = ShuffleUp(c_in, 4)
        self.mix = ConvBN(8, 8)
        self.correction = nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor, index: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """Features and guess at half the size of `image` to 8 maps (B, 8, H, W) and the guess, both of its size."""
        guess = upsample(index, size_of(image))
        x = torch.cat((self.up(x, size_of(image)), image, guess * self.scale - 1.0), dim=1)  # (B, 8, H, W)
        x = self.mix(x)
        return x, guess + self.correction(x)


class EdgeNet(nn.Module):
    """Encoder, first guess at 1/8, refinements at 1/4, 1/2 and full size; see `EdgeOptions.half`."""

    def __init__(self, options: EdgeOptions) -> None:
        super().__init__()
        self.options = options
        self.bins = options.bins
        self.stride = 64 if options.half else 32  # multiples of it are halved without a rest
        w2, w4, w8, w16, w32 = options.widths
        d16, d8, d4, d2 = options.decoder_widths
        self.normalise = Normalise()
        self.encoder = SeparableEncoder(options.widths, options.depths, context=options.context)
        self.up16 = ShuffleUp(w32, d16)
        self.join16 = nn.Sequential(ConvBN(d16 + w16, d16, 1), ResidualSeparable(d16, 5), ResidualSeparable(d16, 5))
        self.up8 = ShuffleUp(d16, d8)
        self.join8 = nn.Sequential(ConvBN(d8 + w8, d8, 1), ResidualSeparable(d8, 5), ResidualSeparable(d8, 5))
        self.logits = nn.Conv2d(d8, options.num_bins, 1)
        self.soft_argmax = SoftArgmax(options.num_bins)
        self.refine4 = Refinement(d8, w4, d4, options.num_bins)
        self.refine2 = Refinement(d4, w2, d2, options.num_bins)
        self.refine1 = FullSizeRefinement(d2, options.num_bins)
        self.refine_all = FullSizeRefinement(8, options.num_bins) if options.half else None
        self.regression = RegressionOutput(d2, self.bins) if options.regression else None
        self.reset()

    def reset(self) -> None:
        """Random weights; the first guess is the middle of the range and all corrections are zero."""
        initialise(self)
        nn.init.normal_(self.logits.weight, std=1e-3)
        for level in (self.refine4, self.refine2, self.refine1, self.refine_all):
            if level is not None:
                nn.init.zeros_(level.correction.weight)
        if self.regression is not None:
            self.regression.reset()

    def forward(self, image: Tensor, confidence: bool = False) -> DepthHeads | Tensor | tuple[Tensor, Tensor]:
        """(B, 3, H, W) RGB in 0..1 to `DepthHeads` in training mode, else metres (B, 1, H, W).

        With `confidence`, evaluation answers (depth_m, confidence), both (B, 1, H, W), the latter in 0..1.
        """
        whole = self.normalise(image)
        image1 = whole if self.refine_all is None else halve(whole)
        image2 = halve(image1)
        image4 = halve(image2)
        f2, f4, f8, f16, f32 = self.encoder(image1)
        x = self.join16(torch.cat((self.up16(f32, size_of(f16)), f16), dim=1))  # (B, d16, H/16, W/16)
        x = self.join8(torch.cat((self.up8(x, size_of(f8)), f8), dim=1))  # (B, d8, H/8, W/8)
        logits = self.logits(x)  # (B, K, H/8, W/8)
        index8, probabilities = self.soft_argmax(logits)
        x, index4 = self.refine4(x, f4, index8, image4)
        x, index2 = self.refine2(x, f2, index4, image2)
        features, index1 = self.refine1(x, index2, image1)
        indices = [index8, index4, index2, index1]
        if self.refine_all is not None:
            indices.append(self.refine_all(features, index1, whole)[1])
        if self.training:
            depth_m = None
            if self.regression is not None:
                depth_m = upsample(self.regression(x), size_of(image1))
                depth_m = depth_m if self.refine_all is None else upsample(depth_m, size_of(whole))
            return DepthHeads(indices=tuple(indices), logits=logits, depth_m=depth_m)
        depth = depth_of_index(indices[-1], self.bins)
        if not confidence:
            return depth
        mass = self.soft_argmax.confidence(probabilities, index8)
        for index in indices[1:]:
            mass = upsample(mass, size_of(index))
        return depth, mass
