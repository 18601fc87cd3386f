"""Building blocks that several networks share.

Images are (B, 3, H, W) RGB in 0..1. Strided layers answer ceil(n / stride) rows and columns, and whatever
upsamples is cropped to the size it has to meet, so every network takes every image size exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Statistics of ImageNet in RGB, the customary normalisation; in the network, so that no caller repeats it.
RGB_MEAN = (0.485, 0.456, 0.406)
RGB_STD = (0.229, 0.224, 0.225)


class Normalise(nn.Module):
    """RGB in 0..1 to zero mean and unit variance per channel."""

    mean: Tensor
    inverse_std: Tensor

    def __init__(self, mean: Sequence[float] = RGB_MEAN, std: Sequence[float] = RGB_STD) -> None:
        super().__init__()
        # Constants, not state: they stay out of checkpoints.
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("inverse_std", 1 / torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) to the same shape."""
        return (image - self.mean) * self.inverse_std


class DepthConv(nn.Conv2d):
    """A convolution whose answer is depth: in float32 also where mixed precision trains the rest.

    In a range of 10 m, bfloat16 has steps of 10 mm at 2 m and of 40 mm at 6 m, more than a wall recedes from one pixel
    to the next: losses on gradients would see little else.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, h, w) to (B, c_out, h, w)."""
        if not self.training:
            return super().forward(x)  # in the precision that the caller chose
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


class ConvBN(nn.Sequential):
    """Convolution, batch norm and, unless `act` is False, ReLU; padding keeps ceil(n / stride)."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int = 3, *, stride: int = 1, dilation: int = 1, act: bool = True
    ) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(
            nn.Conv2d(c_in, c_out, kernel, stride, padding, dilation, bias=False),
            nn.BatchNorm2d(c_out),
            nn.ReLU(inplace=True) if act else nn.Identity(),
        )


class DepthwiseSeparable(nn.Sequential):
    """Depthwise convolution, pointwise convolution, batch norm and, unless `act` is False, ReLU.

    Nothing stands between the two convolutions, as in Xception; papers/1, section 4.1.
    """

    def __init__(
        self, c_in: int, c_out: int, kernel: int = 3, *, stride: int = 1, dilation: int = 1, act: bool = True
    ) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(
            nn.Conv2d(c_in, c_in, kernel, stride, padding, dilation, groups=c_in, bias=False),
            nn.Conv2d(c_in, c_out, 1, bias=False),
            nn.BatchNorm2d(c_out),
            nn.ReLU(inplace=True) if act else nn.Identity(),
        )


class ResidualSeparable(nn.Module):
    """ReLU of the input plus a depthwise-separable convolution of it."""

    def __init__(self, channels: int, kernel: int = 3, *, dilation: int = 1) -> None:
        super().__init__()
        self.body = DepthwiseSeparable(channels, channels, kernel, dilation=dilation, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        return F.relu(x + self.body(x))


class GlobalContext(nn.Module):
    """Adds to every position a vector computed from the mean over all positions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // 2, 1)
        self.expand = nn.Conv2d(channels // 2, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        mean = x.mean(dim=(2, 3), keepdim=True)  # (B, C, 1, 1)
        return F.relu(x + self.expand(F.relu(self.squeeze(mean))))


class SeparableEncoder(nn.Module):
    """A 3x3 stem and depthwise-separable layers with residual ones between: one map per halving of the image.

    widths: channels at 1/2, 1/4, 1/8, ...
    depths: residual layers after each of these reductions.
    context: add the global context vector to the last map.
    """

    def __init__(self, widths: Sequence[int], depths: Sequence[int], *, context: bool) -> None:
        super().__init__()
        stages = []
        for level, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            # 5x5 where maps are small enough for it to be cheap: twice the receptive field per layer.
            kernel = 5 if level >= 2 else 3
            if level == 0:
                reduce: nn.Module = ConvBN(3, width, stride=2)
            else:
                reduce = DepthwiseSeparable(widths[level - 1], width, kernel, stride=2)
            stages.append(nn.Sequential(reduce, *(ResidualSeparable(width, kernel) for _ in range(depth))))
        self.stages = nn.ModuleList(stages)
        self.context = GlobalContext(widths[-1]) if context else nn.Identity()

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) normalised to one map per level, fine to coarse."""
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        features[-1] = self.context(x)
        return features


class ShuffleUp(nn.Module):
    """Twice the size by conv1x1, batch norm, ReLU and pixel-shuffle (branch I of papers/4, section 3.2.1)."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = ConvBN(c_in, 4 * c_out, 1)
        self.shuffle = nn.PixelShuffle(2)
        self.reset()

    def reset(self) -> None:
        """Give the four sub-pixels of a channel one filter: training starts without a checkerboard."""
        weight = self.conv[0].weight  # (4 c_out, c_in, 1, 1), the sub-pixels of a channel in a row
        assert isinstance(weight, Tensor)
        with torch.no_grad():
            weight.copy_(weight[::4].repeat_interleave(4, dim=0))

    def forward(self, x: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """(B, c_in, h, w) to (B, c_out, *size_hw), where size_hw is 2h or 2h - 1 by 2w or 2w - 1."""
        return crop(self.shuffle(self.conv(x)), size_hw)


def size_of(x: Tensor) -> tuple[int, int]:
    """(height, width) of a (B, C, H, W) tensor."""
    return x.shape[2], x.shape[3]


def crop(x: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """The top left `size_hw` of (B, C, H, W); the tensor itself where it has that size."""
    if size_of(x) == size_hw:
        return x
    return x[:, :, : size_hw[0], : size_hw[1]]


def upsample(x: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Twice the size, bilinear with half-pixel centres, cropped to `size_hw`."""
    return crop(F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False), size_hw)


def halve(x: Tensor) -> Tensor:
    """Mean over 2x2 blocks to (B, C, ceil(H/2), ceil(W/2)); a cut block averages what it has."""
    height, width = size_of(x)
    if height % 2 or width % 2:
        # The doubled last row or column averages to itself, as pooling in ceil mode would, in any backend.
        x = F.pad(x, (0, width % 2, 0, height % 2), mode="replicate")
    return F.avg_pool2d(x, 2)


def check_counts(name: str, values: Sequence[int], *, length: int, least: int, multiple: int = 1) -> None:
    """Hold an option that lists whole numbers to its form.

    Raises:
        ValueError: it is not `length` multiples of `multiple`, each at least `least`.
    """
    whole = isinstance(values, tuple) and all(isinstance(value, int) for value in values)
    if not whole or len(values) != length or any(value < least or value % multiple for value in values):
        kind = f"multiples of {multiple}" if multiple > 1 else "whole numbers"
        raise ValueError(f"{name} must be {length} {kind} of at least {least}, but got {values!r}")


def initialise(network: nn.Module) -> None:
    """He initialisation of every convolution, for layers followed by ReLU."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out" if module.groups == 1 else "fan_in")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in network.modules():
        if isinstance(module, ShuffleUp):
            module.reset()
