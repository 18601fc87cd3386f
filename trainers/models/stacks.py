"""The stacked modules that papers/1 tries inside its decoder (section 4.2, Table 8): SAM and SHG."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from edgedepth.trainers.models.blocks import ConvBN, crop, size_of

_DEPTH = 3  # modules in a stack


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
    """SAM: three atrous multi-scale modules (Table 2; Du et al. 2019, AMNet)."""

    def __init__(self, channels: int) -> None:
        super().__init__(*(AtrousModule(channels) for _ in range(_DEPTH)))


class _Deconv(nn.Module):
    """Twice the size by a transposed 3x3 convolution and batch norm, cropped to what it is added to."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(c_in, c_out, 3, stride=2, padding=1, output_padding=1, bias=False)
        self.norm = nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """(B, c_in, h, w) to (B, c_out, *size_hw)."""
        return crop(self.norm(self.conv(x)), size_hw)


class Hourglass(nn.Module):
    """Two halvings at twice the channels and two doublings, each added to the map of its size.

    The hourglass of PSMNet (Chang and Chen 2018, Table 1) with convolutions in two dimensions.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.down2 = nn.Sequential(ConvBN(channels, wide, stride=2), ConvBN(wide, wide))
        self.down4 = nn.Sequential(ConvBN(wide, wide, stride=2), ConvBN(wide, wide))
        self.up2 = _Deconv(wide, wide)
        self.up1 = _Deconv(wide, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        half = self.down2(x)  # (B, 2C, h/2, w/2)
        joined = F.relu(half + self.up2(self.down4(half), size_of(half)))
        return F.relu(x + self.up1(joined, size_of(x)))


class StackedHourglass(nn.Sequential):
    """SHG: three hourglasses, one after the other."""

    def __init__(self, channels: int) -> None:
        super().__init__(*(Hourglass(channels) for _ in range(_DEPTH)))


STACKS = {"sam": StackedAtrous, "shg": StackedHourglass}
