"""What any network must beat: the mean log-depth map of its training split, scaled by focal length.

It knows where near and far usually lie in a picture, and nothing of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.bundle import Bundle
from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.preprocess import focal_scale, placement_for
from edgedepth.core.routing import Route
from edgedepth.core.spec import DepthSpec


@dataclass(frozen=True)
class MeanDepth:
    """The baseline of one network.

    log_depth: (H, W) float32 natural logarithm of metres at network size, for the canonical camera of `spec`.

    Raises:
        InputError: the map is not of the network's size, or not finite.
    """

    log_depth: NDArray[np.float32]
    spec: DepthSpec

    def __post_init__(self) -> None:
        width, height = self.spec.input_wh
        if self.log_depth.shape != (height, width) or not np.isfinite(self.log_depth).all():
            raise InputError(
                f"a mean log-depth map must be finite and ({height}, {width}), but got {self.log_depth.shape};"
                " export the bundle again"
            )

    def depth_m(self, frame_wh: tuple[int, int], camera: Camera | None) -> NDArray[np.float32]:
        """The baseline's depth of a frame: (H, W) float32 metres."""
        placement = placement_for(frame_wh, self.spec)
        scale = np.float32(focal_scale(camera, placement, self.spec))
        return placement.to_frame(np.exp(self.log_depth) * scale)


def map_at_size(log_depth: NDArray[np.float32], input_wh: tuple[int, int]) -> NDArray[np.float32]:
    """A mean log-depth map for the same network at another input size, as `DepthSpec.at_size` makes it.

    The field of view across the width stays, so rows are cut off at top and bottom, or the outer ones repeated.
    """
    height, width = log_depth.shape
    rows = max(1, round(height * input_wh[0] / width))
    area = input_wh[0] < width
    scaled = cv2.resize(log_depth, (input_wh[0], rows), interpolation=cv2.INTER_AREA if area else cv2.INTER_LINEAR)
    missing = max(0, input_wh[1] - rows)
    top = missing // 2
    padded = np.pad(scaled, ((top, missing - top), (0, 0)), mode="edge")
    first = (padded.shape[0] - input_wh[1]) // 2
    return np.asarray(padded[first : first + input_wh[1]], np.float32)


def baselines_of(bundle: Bundle) -> Mapping[Route, MeanDepth]:
    """The baselines stored in a bundle, by route; empty if it carries none."""
    found = {}
    for route, network in bundle.manifest.networks.items():
        log_depth = bundle.baseline(network)
        if log_depth is not None:
            found[route] = MeanDepth(log_depth, network.spec)
    return found
