"""How an engine is built. Precision is not here: it lives in the ONNX."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, get_args

from edgedepth.core.errors import BackendError, UnknownNameError
from edgedepth.core.spec import ResizePolicy
from edgedepth.engines.tensorrt.flavour import Hardware
from edgedepth.engines.tensorrt.profiles import InputRange, Profile, Size, SizeRange

RESIZE_REVISION = 1  # of the layers that camera.py makes: raise it when they change, and engines are built anew


@dataclass(frozen=True, kw_only=True)
class CameraInput:
    """Frames come at camera size and are resized on the GPU, by the network's own policy (see `DepthSpec.resize`).

    sizes: one fixed size makes the fastest engine; several, or ranges, one engine for all of them, with a profile each.

    Raises:
        BackendError: there is no size.
    """

    sizes: tuple[SizeRange, ...]
    resize: ResizePolicy
    revision: int = field(default=RESIZE_REVISION, init=False)

    def __post_init__(self) -> None:
        if not self.sizes:
            raise BackendError("an engine that resizes needs a camera size")

    @classmethod
    def fixed(cls, frame_wh: Size, resize: ResizePolicy) -> CameraInput:
        """Frames of one size."""
        return cls(sizes=(SizeRange.fixed(frame_wh),), resize=resize)

    @property
    def frame_wh(self) -> Size | None:
        """The one size, None where there are more."""
        (first, *more) = self.sizes
        return first.opt_wh if not more and first == SizeRange.fixed(first.opt_wh) else None

    @property
    def profiles(self) -> tuple[Profile, ...]:
        """The shapes of `frame`, (1, H, W, 3); none for one fixed size."""
        if self.frame_wh is not None:
            return ()
        return tuple(Profile(name=str(size), ranges=(_frame_range(size),)) for size in self.sizes)


def _frame_range(size: SizeRange) -> InputRange:
    low, usual, high = ((1, h, w, 3) for w, h in (size.min_wh, size.opt_wh, size.max_wh))
    return InputRange(input="frame", min=low, opt=usual, max=high)


@dataclass(frozen=True, kw_only=True)
class BuildConfig:
    """What decides how an engine comes out; part of its name in the cache.

    profiles: ranges of the dynamic inputs; none for a network of fixed shape.
    camera: put the resize from camera size in front of the network.
    targets: compute capabilities to build for ("sm86"), TensorRT-RTX only; empty for this machine's.
    workspace_mib: memory that kernels may use besides activations; None leaves the library's own limit.
    optimization_level: 0 (builds fast) to 5 (searches longest); None leaves the library's own.
    hardware: which other GPUs the engine shall run on, `tensorrt` only: "ampere+" is Ampere and later,
        "same-capability" the same compute capability; "exact" runs on this GPU model and is the fastest.
    version_compatible: the engine shall load in later versions.

    Raises:
        BackendError: a value that cannot be.
        UnknownNameError: no such hardware compatibility.
    """

    profiles: tuple[Profile, ...] = ()
    camera: CameraInput | None = None
    targets: tuple[str, ...] = ()
    workspace_mib: int | None = None
    optimization_level: int | None = None
    hardware: Hardware = "exact"
    version_compatible: bool = False

    def __post_init__(self) -> None:
        if self.workspace_mib is not None and self.workspace_mib < 1:
            raise BackendError(f"workspace must be at least 1 MiB, but got {self.workspace_mib}")
        if self.optimization_level is not None and not 0 <= self.optimization_level <= 5:
            raise BackendError(f"the optimisation level is 0 to 5, but got {self.optimization_level}")
        if self.hardware not in get_args(Hardware):
            raise UnknownNameError.of("hardware compatibility", self.hardware, get_args(Hardware))
        names = [profile.name for profile in self.profiles]
        if len(set(names)) != len(names):
            raise BackendError(f"profiles need different names, but got {names}")

    def as_dict(self) -> dict[str, Any]:
        """The configuration as plain JSON data, without the targets, which a plan is matched by on their own."""
        plain = dataclasses.asdict(self)
        del plain["targets"]
        return _listed(plain)  # type: ignore[no-any-return]


def _listed(value: Any) -> Any:
    """Tuples as lists, as JSON gives them back."""
    if isinstance(value, dict):
        return {key: _listed(entry) for key, entry in value.items()}
    return [_listed(entry) for entry in value] if isinstance(value, (list, tuple)) else value
