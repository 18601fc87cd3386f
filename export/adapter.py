"""A torch network from elsewhere behind this project's contract: its image in, metres out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgedepth.core.errors import InputError
from edgedepth.core.foreign import ForeignInput, ForeignOutput, ForeignSpec
from edgedepth.core.spec import DepthSpec
from edgedepth.trainers.models.heads import SoftArgmax, depth_of_index


class NetworkInput(nn.Module):
    """(N, 3, H, W) RGB in 0..1 to the image that a network from elsewhere wants."""

    mean: Tensor
    std: Tensor
    order: Tensor

    def __init__(self, form: ForeignInput) -> None:
        super().__init__()
        self.form = form
        self.register_buffer("mean", torch.tensor(form.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(form.std).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("order", torch.tensor([2, 1, 0]), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """The image in the network's order of channels, scale and layout."""
        if self.form.channels == "bgr":
            image = torch.index_select(image, 1, self.order)
        image = (image * self.form.white - self.mean) / self.std
        return image.permute(0, 2, 3, 1) if self.form.layout == "nhwc" else image


class NetworkOutput(nn.Module):
    """The answer of a network from elsewhere to (N, 1, H, W) metres within its range."""

    centres_m: Tensor

    def __init__(self, form: ForeignOutput, spec: DepthSpec, *, layout: str = "nchw") -> None:
        super().__init__()
        self.form, self.spec, self.layout = form, spec, layout
        self.softargmax = SoftArgmax(form.count) if form.count else None
        centres = torch.tensor(form.centres_m or (1.0,)).view(1, -1, 1, 1)
        self.register_buffer("centres_m", centres, persistent=False)

    def forward(self, answer: Tensor, input_hw: tuple[int, int]) -> Tensor:
        """(N, h, w), (N, C, h, w), or (N, h, w, C) where the layout says so, to metres at the size of the input."""
        maps = self._maps(answer)  # (N, C, h, w)
        depth_m = self._metres(maps)  # (N, 1, h, w)
        if tuple(depth_m.shape[-2:]) != tuple(input_hw):
            depth_m = F.interpolate(depth_m, size=input_hw, mode="bilinear", align_corners=False)
        return depth_m.clamp(self.spec.min_m, self.spec.max_m)

    def _maps(self, answer: Tensor) -> Tensor:
        if answer.dim() == 3:
            answer = answer.unsqueeze(1)
        elif answer.dim() == 4 and self.layout == "nhwc":
            answer = answer.permute(0, 3, 1, 2)
        wanted = self.form.channels
        if answer.dim() != 4 or answer.shape[1] != wanted:
            shape = "x".join(str(int(size)) for size in answer.shape)
            raise InputError(
                f'output kind "{self.form.kind}" needs maps of {wanted} channel(s), but the network answers {shape}; '
                "check kind, count, tensor and layout in its TOML file"
            )
        return answer

    def _metres(self, maps: Tensor) -> Tensor:
        if self.form.kind == "bins":
            return self._expected(maps)
        y = maps * self.form.scale + self.form.shift
        low, high = self.spec.min_m, self.spec.max_m
        # Clamping before the inverse and the exponential keeps every value finite, in half precision too.
        if self.form.kind == "disparity":
            return y.clamp(1.0 / high, 1.0 / low).reciprocal()
        if self.form.kind == "log-depth":
            return y.clamp(math.log(low), math.log(high)).exp()
        return y

    def _expected(self, maps: Tensor) -> Tensor:
        """Metres of the expectation: of bin indices, or of the depths that the bins stand for."""
        logits = self.form.distribution == "logits"
        if self.softargmax is None:
            probabilities = F.softmax(maps, dim=1) if logits else maps
            return (probabilities * self.centres_m).sum(dim=1, keepdim=True)
        index = self.softargmax(maps)[0] if logits else (maps * self.softargmax.index).sum(dim=1, keepdim=True)
        return depth_of_index(index, self.spec.bins)


class Adapted(nn.Module):
    """A torch network from elsewhere: (N, 3, H, W) RGB in 0..1 to (N, 1, H, W) metres, for its canonical camera."""

    def __init__(self, network: nn.Module, foreign: ForeignSpec) -> None:
        super().__init__()
        self.prepare = NetworkInput(foreign.input)
        self.network = network
        self.output = NetworkOutput(foreign.output, foreign.depth_spec(), layout=foreign.input.layout)
        self.tensor = foreign.output.tensor
        if hasattr(network, "stride"):  # what sizes it takes, see docs/own_networks.md
            self.stride = network.stride
        self.eval()

    def forward(self, image: Tensor) -> Tensor:
        """Metres at the size of the image."""
        answer = pick(self.network(self.prepare(image)), self.tensor)
        depth_m: Tensor = self.output(answer, (image.shape[-2], image.shape[-1]))
        return depth_m


def pick(answer: Any, which: int | str) -> Tensor:
    """One tensor of what a network answered: a tensor, a sequence, a mapping, or an object with attributes.

    Raises:
        InputError: there is no such tensor.
    """
    found: Any = None
    if isinstance(answer, Tensor):
        found = answer
    elif isinstance(which, str):
        found = answer.get(which) if isinstance(answer, Mapping) else getattr(answer, which, None)
    else:
        values = list(answer.values()) if isinstance(answer, Mapping) else answer
        if isinstance(values, Sequence) and -len(values) <= which < len(values):
            found = values[which]
    if not isinstance(found, Tensor):
        what = list(answer) if isinstance(answer, Mapping) else type(answer).__name__
        raise InputError(f"the network answers {what}, in which there is no tensor {which!r}; set output.tensor")
    return found
