"""What the runtime answers for a frame."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.camera import Camera
from edgedepth.core.geometry import point_cloud
from edgedepth.core.routing import Route
from edgedepth.core.spec import Upsampling


class PixelState(IntEnum):
    """State of a pixel in `DepthResult.valid`."""

    UNKNOWN = 0
    MEASURED = 1
    BEYOND = 2  # sky, or farther than the network's range
    NEARER = 3  # than the network's range, whose near end `depth_m` gives: an obstacle, and closer than that


@dataclass(frozen=True, kw_only=True, eq=False)  # arrays have no one truth: a result equals itself
class DepthResult:
    """Metric depth of one frame of H x W pixels.

    depth_m: (H, W) float32 metres along the optical axis (z-depth), NaN where `valid` is UNKNOWN or BEYOND.
    valid: (H, W) uint8 `PixelState` per pixel.
    raw_depth_m: (H, W) float32 the network's finite answer everywhere, before validity is marked; for evaluation.
    confidence: (H, W) float32 0..1, the probability near the answered depth, or None if not asked for or not
        answered by the network.
    upsampling: how depth came to the frame's size: "guided" by the edges of the picture, or "linear", as a map with
        unknown depths always does.
    route, score, votes: the router's decision in force (see `Decision`).
    camera: intrinsics that scale was taken from, in pixels of the frame; `camera_given` is False when they were
        assumed (the network's canonical field of view).
    timings_ms: milliseconds spent in "preprocess", "route", "infer", "postprocess".

    The arrays belong to the caller, unless `out` was passed to the runtime: then they are `out`'s.
    """

    depth_m: NDArray[np.float32]
    valid: NDArray[np.uint8]
    raw_depth_m: NDArray[np.float32]
    route: Route
    score: float
    camera: Camera
    camera_given: bool
    upsampling: Upsampling = "linear"
    votes: tuple[int, int] | None = None
    confidence: NDArray[np.float32] | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)
    frame_index: int = 0
    time_s: float | None = None

    def __post_init__(self) -> None:
        shape = self.depth_m.shape
        if len(shape) != 2:
            raise ValueError(f"depth_m must be (H, W), but got {shape}")
        for name in ("valid", "raw_depth_m", "confidence"):
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise ValueError(f"{name} must have the shape {shape} of depth_m, but got {array.shape}")

    def at(self, frame_index: int, time_s: float | None) -> DepthResult:
        """The same result, stamped with its place in a stream; the arrays are shared."""
        return replace(self, frame_index=frame_index, time_s=time_s)

    @property
    def known(self) -> NDArray[np.bool_]:
        """(H, W): where `depth_m` is a number, because it was measured or is the near end of the range."""
        stated = (self.valid == PixelState.MEASURED) | (self.valid == PixelState.NEARER)
        known: NDArray[np.bool_] = stated & np.isfinite(self.depth_m)
        return known

    def points(self, camera: Camera | None = None) -> NDArray[np.float32]:
        """Pixels with a depth (see `known`) as (N, 3) float32 metres in the optical frame: x right, y down, z forward.

        Without a camera the result's own is used.
        """
        return point_cloud(self.depth_m, self.camera if camera is None else camera)
