"""Scene classifiers of the router's first stage (papers/1, section 3): scene-small and scene-wrn18.

In training mode they return logits (B, C), in evaluation probabilities (B, C).
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgedepth.core.errors import CheckpointError, InputError
from edgedepth.core.routing import SceneCategory
from edgedepth.core.spec import ClassifierSpec
from edgedepth.trainers.models.blocks import Normalise, SeparableEncoder, check_counts, initialise
from edgedepth.trainers.models.messages import one_line
from edgedepth.trainers.models.places365 import places365_categories
from edgedepth.world.categories import CATEGORIES, FAR_CATEGORIES

# What torch.load lets through for files that are cut off, are no checkpoint at all, or would run code.
_READ_ERRORS = (
    pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, LookupError, AttributeError, TypeError,
)  # fmt: skip

# Depth in metres that scenes of a kind typically reach, for the router's expected-range vote.
_NEAR_RANGE_M, _FAR_RANGE_M = 5.0, 60.0


@dataclass(frozen=True, kw_only=True)
class SceneSmallOptions:
    """Options of scene-small.

    num_classes: size of the answer.
    working_wh: size that larger images are reduced to by area averages before anything else.
    widths: channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image; multiples of 8.
    depths: residual layers after each of these reductions.
    dropout: share of the pooled features dropped in training.
    """

    num_classes: int = len(CATEGORIES)
    working_wh: tuple[int, int] = (128, 96)
    widths: tuple[int, int, int, int, int] = (24, 48, 96, 160, 256)
    depths: tuple[int, int, int, int, int] = (0, 1, 3, 4, 2)
    dropout: float = 0.3

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, but got {self.num_classes}")
        check_counts("widths", self.widths, length=5, least=8, multiple=8)
        check_counts("depths", self.depths, length=5, least=0)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), but got {self.dropout}")


class SceneSmall(nn.Module):
    """Depthwise-separable classifier, small enough to run beside a depth network on every few frames.

    It looks at 128x96 pixels: enough to see what furnishes a room, and too few for the fine texture that rendered and
    real scenes differ in. Area averages take away what a plain bilinear reduction of the frame aliases.
    """

    def __init__(self, options: SceneSmallOptions) -> None:
        super().__init__()
        self.options = options
        self.normalise = Normalise()
        self.encoder = SeparableEncoder(options.widths, options.depths, context=False)
        self.dropout = nn.Dropout(options.dropout)
        self.fc = nn.Linear(options.widths[-1], options.num_classes)
        self.reset()

    def reset(self) -> None:
        """Random weights; all categories start equally probable."""
        initialise(self)
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def features(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) RGB in 0..1 to the maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of the working size."""
        width, height = self.options.working_wh
        if image.shape[-2] > height or image.shape[-1] > width:
            image = F.adaptive_avg_pool2d(image, (height, width))
        features: list[Tensor] = self.encoder(self.normalise(_standardised(image)))
        return features

    def classify(self, features: Sequence[Tensor]) -> Tensor:
        """The maps of `features` to logits (training) or probabilities (evaluation), (B, C)."""
        logits: Tensor = self.fc(self.dropout(features[-1].mean(dim=(2, 3))))
        return logits if self.training else F.softmax(logits, dim=1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in 0..1 to logits (training) or probabilities (evaluation), (B, C)."""
        return self.classify(self.features(image))


def _standardised(image: Tensor) -> Tensor:
    """Every image at one mean brightness and contrast, so that exposure cannot tell near from far."""
    centred = image - image.mean(dim=(1, 2, 3), keepdim=True)
    contrast = centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return centred / (contrast + 0.02) * 0.2 + 0.45


def scene_small_spec() -> ClassifierSpec:
    """Contract of scene-small: the whole frame at 256x192, the categories of the procedural world."""
    categories = tuple(
        SceneCategory(name=name, far=far, range_m=_FAR_RANGE_M if far else _NEAR_RANGE_M)
        for name, far in ((name, name in FAR_CATEGORIES) for name in CATEGORIES)
    )
    return ClassifierSpec(input_wh=(256, 192), resize="stretch", categories=categories)


@dataclass(frozen=True, kw_only=True)
class SceneWRN18Options:
    """Options of scene-wrn18: the size of the answer."""

    num_classes: int = 365

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, but got {self.num_classes}")


class _Residual(nn.Module):
    """Basic block of ResNet-18; module names are those of the public checkpoint."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.downsample = None
        if stride != 1 or c_in != c_out:
            self.downsample = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(shortcut + self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class SceneWRN18(nn.Module):
    """WideResNet-18 of the Places365 release (CSAILVision): ResNet-18 without its max pooling.

    Its maps are twice as wide and high as ResNet-18's (14x14 before the pooling, for 224x224), which is what the
    release calls wide; the channels are the usual 64, 128, 256, 512. Names match the public checkpoint.
    """

    def __init__(self, options: SceneWRN18Options) -> None:
        super().__init__()
        self.options = options
        self.normalise = Normalise()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(_Residual(64, 64, 1), _Residual(64, 64, 1))
        self.layer2 = nn.Sequential(_Residual(64, 128, 2), _Residual(128, 128, 1))
        self.layer3 = nn.Sequential(_Residual(128, 256, 2), _Residual(256, 256, 1))
        self.layer4 = nn.Sequential(_Residual(256, 512, 2), _Residual(512, 512, 1))
        self.fc = nn.Linear(512, options.num_classes)
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in 0..1 to logits (training) or probabilities (evaluation), (B, C)."""
        x = F.relu(self.bn1(self.conv1(self.normalise(image))))  # (B, 64, H/2, W/2)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (B, 512, H/16, W/16)
        logits: Tensor = self.fc(x.mean(dim=(2, 3)))
        return logits if self.training else F.softmax(logits, dim=1)


def scene_wrn18_spec() -> ClassifierSpec:
    """Contract of scene-wrn18: the whole frame at 224x224 (papers/1, section 5.1), the Places365 categories."""
    return ClassifierSpec(input_wh=(224, 224), resize="stretch", categories=places365_categories())


def load_places365(path: str | Path) -> SceneWRN18:
    """scene-wrn18 in eval mode with the weights of the public wideresnet18_places365.pth.tar.

    Only tensors and plain containers are read from the file; code in it is never run.

    Raises:
        InputError: there is no such file.
        CheckpointError: the file cannot be read that way, or its weights are of another network.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no file at {path}; download wideresnet18_places365.pth.tar from places2.csail.mit.edu")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except _READ_ERRORS as error:
        raise CheckpointError(f"{path} cannot be read as plain weights ({one_line(error)})") from error
    weights = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(weights, dict):
        raise CheckpointError(f"{path} holds no state_dict, so it is not the Places365 checkpoint")
    return _with_weights({str(name).removeprefix("module."): value for name, value in weights.items()}, path)


def _with_weights(weights: dict[str, Tensor], path: Path) -> SceneWRN18:
    network = SceneWRN18(SceneWRN18Options())
    own = network.state_dict()
    # The public file predates num_batches_tracked, which only training reads.
    weights = {name: tensor for name, tensor in own.items() if name.endswith("num_batches_tracked")} | weights
    wrong = [
        name
        for name in sorted(own.keys() | weights.keys())
        if name not in own or not isinstance(weights.get(name), Tensor) or weights[name].shape != own[name].shape
    ]
    if wrong:
        raise CheckpointError(
            f"{path} is not the Places365 WideResNet-18: {len(wrong)} tensors are missing, unknown or of another "
            f"shape, the first {wrong[0]!r}"
        )
    network.load_state_dict(weights)
    return network.eval()
