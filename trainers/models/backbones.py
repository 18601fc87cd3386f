"""Feature pyramids of classification networks: ResNets, DenseNet-161 and SENet-154 of timm, and a small one of ours.

Every backbone answers five maps, ceil(n / 2^k) rows and columns at level k = 1..5, or fewer reductions where an
output stride below 32 replaces the later ones by dilation (papers/2 section 3.1, papers/3 section 3.1).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from edgedepth.trainers.models.blocks import ConvBN, halve
from edgedepth.trainers.models.timm_import import import_timm

# Our names, as in the papers, to timm's.
_TIMM_NAMES: Mapping[str, str] = {
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "resnet50": "resnet50",
    "resnet101": "resnet101",
    "resnet152": "resnet152",
    "densenet161": "densenet161",
    "senet154": "legacy_senet154",
}
_SMALL_WIDTHS = (16, 24, 32, 48, 64)
BACKBONES: tuple[str, ...] = ("small", *_TIMM_NAMES)
DILATABLE: tuple[str, ...] = tuple(name for name in BACKBONES if name == "small" or name.startswith("resnet"))
OUTPUT_STRIDES = (8, 16, 32)


def check_backbone(name: str, output_stride: int = 32) -> None:
    """Hold the choice of a backbone to what exists.

    Raises:
        ValueError: no such backbone, or it cannot have this output stride.
    """
    if name not in BACKBONES:
        raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}, but got {name!r}")
    if output_stride not in OUTPUT_STRIDES:
        raise ValueError(f"output_stride must be one of {OUTPUT_STRIDES}, but got {output_stride!r}")
    if output_stride != 32 and name not in DILATABLE:
        raise ValueError(f"{name} has no dilated form; output_stride {output_stride} is for {', '.join(DILATABLE)}")


class SmallBackbone(nn.Module):
    """Two 3x3 convolutions a level: for tests and first looks, on machines without timm."""

    channels = _SMALL_WIDTHS

    def __init__(self, output_stride: int = 32) -> None:
        super().__init__()
        stages, c_in, reduction, dilation = [], 3, 1, 1
        for c_out in _SMALL_WIDTHS:
            stride = 2 if reduction < output_stride else 1
            dilation = dilation if stride == 2 else 2 * dilation
            reduction *= stride
            stages.append(
                nn.Sequential(ConvBN(c_in, c_out, stride=stride), ConvBN(c_out, c_out, dilation=dilation)),
            )
            c_in = c_out
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) normalised to five maps, fine to coarse."""
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class StemPool(nn.Module):
    """3x3 maximum at stride 2 of rectified maps, to ceil(n / 2) rows and columns.

    reach: rows and columns seen before the first one: 1 in ResNets and DenseNets, 0 in SENets, whose windows
        overhang at the end instead. Zeros beyond the border change no maximum of rectified values.
    """

    def __init__(self, reach: int) -> None:
        super().__init__()
        self.reach = reach

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w), not negative, to (B, C, ceil(h/2), ceil(w/2))."""
        if self.reach:
            return F.max_pool2d(x, 3, 2, padding=1)
        height, width = x.shape[2:]
        return F.max_pool2d(F.pad(x, (0, 1 + width % 2, 0, 1 + height % 2)), 3, 2)


class _Halve(nn.Module):
    """2x2 mean pooling that keeps the last odd row and column, which DenseNet's own transitions drop."""

    def forward(self, x: Tensor) -> Tensor:
        return halve(x)


class TimmBackbone(nn.Module):
    """A classification network of timm without its head, with random weights.

    channels: of the five maps.
    """

    def __init__(self, name: str, output_stride: int = 32) -> None:
        super().__init__()
        self.name = name
        self.output_stride = output_stride
        body: Any = self._create(pretrained=False)
        self.channels: tuple[int, ...] = tuple(body.feature_info.channels())
        if name == "densenet161":
            for position in (1, 2, 3):
                body[f"features_transition{position}"].pool = _Halve()
        if name == "senet154":
            body["pool0"] = StemPool(reach=0)
        self.body = body

    def _create(self, *, pretrained: bool) -> Any:
        stride = {} if self.output_stride == 32 else {"output_stride": self.output_stride}
        return import_timm().create_model(_TIMM_NAMES[self.name], features_only=True, pretrained=pretrained, **stride)

    def load_imagenet(self) -> None:
        """Take weights trained on ImageNet, from timm's cache or its hub.

        Raises:
            OSError: they can be had from neither.
        """
        self.body.load_state_dict(self._create(pretrained=True).state_dict())

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) normalised to five maps, fine to coarse."""
        features: list[Tensor] = self.body(x)
        return features


def create_backbone(name: str, output_stride: int = 32) -> SmallBackbone | TimmBackbone:
    """A backbone with random weights; see `check_backbone` for what may be asked.

    Raises:
        MissingPackageError: it comes from timm, which is not installed.
    """
    check_backbone(name, output_stride)
    return SmallBackbone(output_stride) if name == "small" else TimmBackbone(name, output_stride)


def stem_pool_of(name: str) -> StemPool:
    """The pooling between the first two levels of a backbone, for networks that use its result (papers/4)."""
    return StemPool(reach=0 if name == "senet154" else 1)


def load_imagenet(network: nn.Module) -> bool:
    """Give every backbone inside a network its ImageNet weights; False, with a warning, where there are none.

    What a paper starts from. Without network access and without timm's cache, or with the small backbone, the random
    weights stay.
    """
    loaded = False
    for module in network.modules():
        if isinstance(module, TimmBackbone):
            try:
                module.load_imagenet()
                loaded = True
            except OSError as error:
                warnings.warn(
                    f"no ImageNet weights of {module.name} could be had ({str(error).splitlines()[0]});"
                    " it starts from random ones",
                    stacklevel=2,
                )
    if not loaded and not any(isinstance(module, TimmBackbone) for module in network.modules()):
        warnings.warn("this network has no backbone with ImageNet weights; it starts from random ones", stacklevel=2)
    return loaded
