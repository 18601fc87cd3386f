"""What a bundle shall hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError, UnknownNameError
from edgedepth.core.preprocess import BgrFrame
from edgedepth.core.routing import CoarseRule, Hysteresis, Route, SceneRule
from edgedepth.core.spec import DepthSpec
from edgedepth.export.network import PRECISIONS
from edgedepth.export.original import CheckpointSource, Exportable, ForeignSource
from edgedepth.export.validation import ValidationData
from edgedepth.trainers.checkpoint import Checkpoint

_LEAST_SIDE = 32  # all networks reduce by it


@dataclass(frozen=True, kw_only=True)
class BundleRequest:
    """What a bundle shall hold.

    depth: the network of each route: a checkpoint, or a network from elsewhere.
    router: the scene classifier that chooses; or a depth network for the coarse rule; None for a fixed route.
    precisions: of `edgedepth.export.network.PRECISIONS`; fp32 is always made, as the reference.
    backends: also write the forms that pay on these backends only, where they differ from the common one.
    input_wh: another input size for the depth networks.
    dynamic: leave height and width of the depth networks' graphs open.
    golden: BGR frames of any size per route, for the parity check and to be kept; rendered scenes where absent.
    baselines: mean log-depth maps (h, w) float32 per route, for the canonical camera.
    validation: labelled samples that every graph is scored on and held to; None leaves accuracy unmeasured.
    half_storage: store fp32 graphs with float16 weights.
    licence: of the weights, as the manifest tells it.
    notify: called with one line per step; the default does nothing.

    Raises:
        UnknownNameError: no such precision.
        InputError: the request does not make a bundle.
    """

    depth: Mapping[Route, Checkpoint | ForeignSource]
    router: Checkpoint | ForeignSource | None = None
    rule: SceneRule | CoarseRule | None = None
    hysteresis: Hysteresis | None = None
    name: str = "edgedepth"
    precisions: Sequence[str] = ("fp32",)
    backends: Sequence[str] = ()
    input_wh: tuple[int, int] | None = None
    dynamic: bool = False
    golden: Mapping[Route, Sequence[BgrFrame]] = field(default_factory=dict)
    baselines: Mapping[Route, NDArray[np.float32]] = field(default_factory=dict)
    validation: ValidationData | None = None
    half_storage: bool = False
    licence: str = "unspecified"
    notify: Callable[[str], object] = str

    def __post_init__(self) -> None:
        if not self.depth:
            raise InputError("a bundle needs at least one depth checkpoint")
        for precision in self.precisions:
            if precision not in PRECISIONS:
                raise UnknownNameError.of("export precision", precision, PRECISIONS)
        if self.input_wh is not None and min(self.input_wh) < _LEAST_SIDE:
            width, height = self.input_wh
            raise InputError(f"networks need at least {_LEAST_SIDE} pixels a side, but the size is {width}x{height}")
        if self.router is None and len(self.depth) > 1:
            raise InputError("two depth networks need a router; give a scene classifier's checkpoint too")
        if self.router is not None and len(self.depth) < 2:
            raise InputError("a router chooses between two depth networks; give a low and a high checkpoint")
        for source in self.depth.values():
            if not isinstance(source.spec, DepthSpec):
                raise InputError(f"{source.network} is a scene classifier; a route needs a depth network")

    @property
    def networks(self) -> dict[str, Exportable]:
        """Everything that is exported, by its part in the bundle: a route, or "router"."""
        parts: dict[str, Exportable] = {str(route): exportable(source) for route, source in self.depth.items()}
        if self.router is not None:
            parts["router"] = exportable(self.router)
        return parts


def exportable(source: Checkpoint | ForeignSource) -> Exportable:
    """A checkpoint, or a network from elsewhere, in the form in which both are exported."""
    return CheckpointSource(source) if isinstance(source, Checkpoint) else source
