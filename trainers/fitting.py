"""One labelled frame at network size: whole for evaluation, cut and bent at random for training.

A frame reaches the network through `edgedepth.core.preprocess.Placement`, as it does at run time; the focal length
that normalises depth follows every crop, turn and resize.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.camera import Camera
from edgedepth.core.preprocess import Placement, canonical_camera, placement_for
from edgedepth.core.spec import ClassifierSpec, DepthSpec
from edgedepth.trainers.augment import (
    cast_light,
    degrade,
    random_roll,
    random_window,
    turned,
    turned_labels,
)
from edgedepth.trainers.config import AugmentConfig


@dataclass(frozen=True, kw_only=True)
class FittedFrame:
    """A frame at network size.

    image: (H, W, 3) uint8 RGB.
    depth_m: (H, W) float32 metres of the frame's own camera; NaN = not measured, inf = sky.
    labels: (H, W), 0 on padding; None where the frame has none.
    f_px: focal length of the camera in pixels of the network's size; None where the camera is unknown.
    content: the rows and columns [top, bottom, left, right) that are no padding.
    """

    image: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    labels: NDArray[np.integer] | None
    f_px: float | None
    content: tuple[int, int, int, int]


def fit_frame(
    image: NDArray[np.uint8],
    depth_m: NDArray[np.floating],
    camera: Camera | None,
    spec: DepthSpec | ClassifierSpec,
    *,
    labels: NDArray[np.integer] | None = None,
    augment: AugmentConfig | None = None,
    rng: np.random.Generator,
) -> FittedFrame:
    """Bring a frame to the size of `spec`.

    Args:
        image: (h, w, 3) uint8 RGB.
        depth_m: (h, w) metres in any float.
        camera: of the frame, or None.
        spec: of the network.
        labels: (h, w) whole numbers that go with the pixels, 0 = none.
        augment: how to cut and bend it; None leaves it whole.
        rng: where all randomness comes from.
    """
    if augment is not None:
        window = random_window(rng, (image.shape[1], image.shape[0]), augment)
        image, depth_m = window.of(image), window.of(depth_m)
        labels = None if labels is None else window.of(labels)
        # mirroring moves the principal point, but only the focal length is used from here on
        camera = None if camera is None else camera.cropped(window.x, window.y, window.width, window.height)
    placement = Placement.of((image.shape[1], image.shape[0]), spec.input_wh, spec.resize)
    placed = placement.to_input(np.ascontiguousarray(image))
    depth = placement.labels_to_input(depth_m, fill=np.nan).astype(np.float32)
    labels = None if labels is None else placement.labels_to_input(labels)
    f_px = None if camera is None else placement.camera_at_input(camera).f_px
    rows, columns = content = placement.content
    if augment is not None:
        degrees = random_roll(rng, augment)
        if degrees:
            placed[content], depth[content], larger = turned(placed[content], depth[content], degrees)
            f_px = None if f_px is None else f_px * larger
            if labels is not None:
                labels[content] = turned_labels(labels[content], degrees)
        if augment.light and rng.random() < augment.light:
            cast_light(placed[content], rng)
        degrade(placed[content], rng, augment.photometric)
    return FittedFrame(
        image=placed,
        depth_m=depth,
        labels=labels,
        f_px=f_px,
        content=(rows.start, rows.stop, columns.start, columns.stop),
    )


def camera_or_canonical(camera: Camera | None, image: NDArray[np.uint8], spec: DepthSpec) -> Camera:
    """The camera of a whole frame, (H, W, 3); where it is unknown the canonical one is taken."""
    return camera or canonical_camera(placement_for((image.shape[1], image.shape[0]), spec), spec)
