"""Every network by name, each with its default options and contract.

One ordered table for depth networks, one for scene classifiers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from edgedepth.core.errors import InputError, UnknownNameError
from edgedepth.core.spec import HIGH_RANGE_M, LOW_RANGE_M, ClassifierSpec, DepthSpec, ResizePolicy, Upsampling
from edgedepth.trainers.models.drnet import DRNet, DRNetOptions
from edgedepth.trainers.models.ds_sidenet import DSSideNet, DSSideOptions
from edgedepth.trainers.models.edge import EdgeNet, EdgeOptions
from edgedepth.trainers.models.hqmd import HQMD, HQMDOptions
from edgedepth.trainers.models.messages import one_line
from edgedepth.trainers.models.rside import RSIDE, RSIDEOptions
from edgedepth.trainers.models.rsn import RSN, RSNOptions
from edgedepth.trainers.models.scene import (
    SceneSmall,
    SceneSmallOptions,
    SceneWRN18,
    SceneWRN18Options,
    scene_small_spec,
    scene_wrn18_spec,
)
from edgedepth.trainers.models.sid_deeplab import SIDDeepLab, SIDDeepLabOptions

_LOW_MIN_M, _LOW_MAX_M = LOW_RANGE_M
_HIGH_MIN_M, _HIGH_MAX_M = HIGH_RANGE_M


@dataclass(frozen=True, kw_only=True)
class DepthEntry:
    """A depth network: how to build it, and the part of its contract that its options do not say.

    build: makes the network from its options.
    options: the default options, a frozen dataclass with at least num_bins (0 for regression), min_m and max_m.
    beyond: sky and whatever lies farther than max_m are trained to the last bin (but for sid-deeplab, which leaves them
        out); from this share of max_m on, the network says "beyond".
    input_wh, resize, f_canonical_px, upsampling: as in DepthSpec.
    """

    build: Callable[[Any], nn.Module]
    options: Any
    input_wh: tuple[int, int]
    f_canonical_px: float
    beyond: float
    resize: ResizePolicy = "letterbox"
    upsampling: Upsampling = "linear"


@dataclass(frozen=True, kw_only=True)
class ClassifierEntry:
    """A scene classifier: how to build it from its options, its default options and its contract."""

    build: Callable[[Any], nn.Module]
    options: Any
    spec: Callable[[], ClassifierSpec]  # a call, because the categories of Places365 are read from a file


DEPTH_NETWORKS: Mapping[str, DepthEntry] = {
    # Sizes and the pad policy as in papers/1, section 5.1; K = 80 and the ranges are ours, the paper gives none.
    "ds-sidenet-low": DepthEntry(
        build=DSSideNet,
        options=DSSideOptions(layout="low", num_bins=80, min_m=_LOW_MIN_M, max_m=_LOW_MAX_M),
        input_wh=(320, 240),
        f_canonical_px=260.0,
        beyond=0.97,
    ),
    "ds-sidenet-high": DepthEntry(
        build=DSSideNet,
        options=DSSideOptions(layout="high", num_bins=80, min_m=_HIGH_MIN_M, max_m=_HIGH_MAX_M, stack="sam"),
        input_wh=(1248, 384),
        resize="pad",
        f_canonical_px=721.0,  # of KITTI's rectified colour camera
        beyond=0.95,
    ),
    "edge-low": DepthEntry(
        build=EdgeNet,
        options=EdgeOptions(
            num_bins=64,
            min_m=_LOW_MIN_M,
            max_m=_LOW_MAX_M,
            widths=(32, 64, 128, 192, 320),
            depths=(0, 1, 4, 6, 3),
            decoder_widths=(192, 128, 64, 16),
            half=True,
        ),
        input_wh=(320, 240),
        f_canonical_px=260.0,
        beyond=0.97,
        upsampling="guided",
    ),
    "edge-high": DepthEntry(
        build=EdgeNet,
        options=EdgeOptions(
            num_bins=64,
            min_m=_HIGH_MIN_M,
            max_m=_HIGH_MAX_M,
            widths=(32, 64, 128, 256, 384),
            depths=(0, 2, 6, 6, 3),
            decoder_widths=(256, 128, 64, 32),
            half=True,
        ),
        input_wh=(448, 256),
        f_canonical_px=350.0,
        beyond=0.95,
        upsampling="guided",
    ),
    # The paper crops to 800x420, taller than KITTI's frames: here they are scaled to that width. 465 px is the focal
    # length of KITTI's colour camera there. 71 classes; the range is the project's, the paper gives only 80 m.
    "sid-deeplab": DepthEntry(
        build=SIDDeepLab,
        options=SIDDeepLabOptions(num_bins=71, min_m=_HIGH_MIN_M, max_m=_HIGH_MAX_M),
        input_wh=(800, 420),
        f_canonical_px=465.0,
        beyond=0.95,
    ),
    # The networks of papers/3 to 5 are for NYU: the focal length is that of its camera at their sizes, as in edge-low.
    "hqmd": DepthEntry(
        build=HQMD,
        options=HQMDOptions(min_m=_LOW_MIN_M, max_m=_LOW_MAX_M),
        input_wh=(385, 289),
        f_canonical_px=312.8,
        beyond=0.97,
    ),
    "drnet": DepthEntry(
        build=DRNet,
        options=DRNetOptions(min_m=_LOW_MIN_M, max_m=_LOW_MAX_M),
        input_wh=(304, 228),
        f_canonical_px=247.0,
        beyond=0.97,
    ),
    "rside": DepthEntry(
        build=RSIDE,
        options=RSIDEOptions(min_m=_LOW_MIN_M, max_m=_LOW_MAX_M),
        input_wh=(304, 228),
        f_canonical_px=247.0,
        beyond=0.97,
    ),
    "rsn": DepthEntry(
        build=RSN,
        options=RSNOptions(min_m=_LOW_MIN_M, max_m=_LOW_MAX_M),
        input_wh=(320, 240),
        f_canonical_px=260.0,
        beyond=0.97,
    ),
}

CLASSIFIERS: Mapping[str, ClassifierEntry] = {
    "scene-small": ClassifierEntry(build=SceneSmall, options=SceneSmallOptions(), spec=scene_small_spec),
    "scene-wrn18": ClassifierEntry(build=SceneWRN18, options=SceneWRN18Options(), spec=scene_wrn18_spec),
}


def network_names() -> tuple[str, ...]:
    """Names of the depth networks."""
    return tuple(DEPTH_NETWORKS)


def classifier_names() -> tuple[str, ...]:
    """Names of the scene classifiers."""
    return tuple(CLASSIFIERS)


def create_network(name: str, **options: Any) -> nn.Module:
    """A network with random weights, in training mode.

    Args:
        name: one of `network_names()` or `classifier_names()`.
        options: fields of the network's options dataclass that differ from its defaults.

    Raises:
        UnknownNameError: no such network, or the network has no such option.
        InputError: an option has a value that cannot be.
    """
    return _entry(name).build(resolve_options(name, options))


def resolve_options(name: str, options: Mapping[str, Any]) -> Any:
    """The complete options of a network: its defaults, overridden by `options` (lists may stand for tuples).

    Raises:
        UnknownNameError: no such network, or the network has no such option.
        InputError: an option has a value that cannot be.
    """
    defaults = _entry(name).options
    known = [field.name for field in dataclasses.fields(defaults)]
    for key in options:
        if key not in known:
            raise UnknownNameError.of(f"option of {name}", key, known)
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    try:
        return dataclasses.replace(defaults, **values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} cannot be built with these options: {one_line(error)}") from None


def default_spec(name: str, **options: Any) -> DepthSpec:
    """The contract of a depth network at its default size, with the range and bins of its options.

    Raises:
        UnknownNameError: no such depth network or option.
        InputError: an option has a value that cannot be.
    """
    if name not in DEPTH_NETWORKS:
        raise UnknownNameError.of("depth network", name, DEPTH_NETWORKS)
    entry = DEPTH_NETWORKS[name]
    chosen = resolve_options(name, options)
    return DepthSpec(
        input_wh=entry.input_wh,
        resize=entry.resize,
        min_m=chosen.min_m,
        max_m=chosen.max_m,
        num_bins=chosen.num_bins,
        spacing=getattr(chosen, "spacing", "log"),
        f_canonical_px=entry.f_canonical_px,
        beyond_m=entry.beyond * chosen.max_m,
        upsampling=entry.upsampling,
    )


def classifier_spec(name: str) -> ClassifierSpec:
    """The contract of a scene classifier.

    Raises:
        UnknownNameError: no such classifier.
    """
    if name not in CLASSIFIERS:
        raise UnknownNameError.of("classifier", name, CLASSIFIERS)
    return CLASSIFIERS[name].spec()


def _entry(name: str) -> DepthEntry | ClassifierEntry:
    if name in DEPTH_NETWORKS:
        return DEPTH_NETWORKS[name]
    if name in CLASSIFIERS:
        return CLASSIFIERS[name]
    raise UnknownNameError.of("network", name, (*DEPTH_NETWORKS, *CLASSIFIERS))
