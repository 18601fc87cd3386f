"""What a network and each graph exported of it score on labelled data, and whether exporting moved that too far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.camera import Camera
from edgedepth.core.errors import ParityError
from edgedepth.core.manifest import Accuracy
from edgedepth.core.preprocess import BgrFrame, focal_scale, placement_for
from edgedepth.core.routing import Route
from edgedepth.core.spec import DepthSpec
from edgedepth.engines import open_session
from edgedepth.evaluation import Samples, evaluate, protocol_named

Answer = Callable[[BgrFrame], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class ValidationData:
    """Labelled samples per route; they are read anew for every graph. data: what they are, for the record."""

    data: str
    samples: Mapping[Route, Samples] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AccuracyShift:
    """How far exporting may move abs_rel and delta1, either way."""

    abs_rel: float
    delta1: float


# fp32 graphs differ from the network by rounding; what half precision costs is asked to stay below what anybody sees.
SHIFTS = {"fp32": AccuracyShift(abs_rel=1e-4, delta1=1e-3), "fp16": AccuracyShift(abs_rel=1e-3, delta1=5e-3)}


def accuracy_of(answer: Answer, spec: DepthSpec, route: Route, validation: ValidationData) -> Accuracy:
    """Evaluate an answer to frames of network size, (1, 1, H, W) metres for the canonical camera, on a route's samples.

    Raises:
        InputError: no sample has a pixel of known depth in the network's range.
    """

    def predict(image_bgr: BgrFrame, camera: Camera | None) -> NDArray[np.float32]:
        placement = placement_for((image_bgr.shape[1], image_bgr.shape[0]), spec)
        depth_m = answer(placement.to_input(image_bgr))[0, 0] * np.float32(focal_scale(camera, placement, spec))
        return placement.to_frame(depth_m)

    report = evaluate(
        predict,
        validation.samples[route],
        protocol_named("native"),
        alignments=("none",),
        ranges_m={route: (spec.min_m, spec.max_m)},
    )
    found = report.alignment["none"]
    return Accuracy(data=validation.data, images=len(report.images), abs_rel=found["abs_rel"], delta1=found["delta1"])


def accuracy_of_file(path: Path, spec: DepthSpec, route: Route, validation: ValidationData) -> Accuracy:
    """The same of an exported file with a `frame` input, run by onnxruntime."""
    with open_session(path, "onnxruntime") as session:
        name = session.outputs[0].name
        return accuracy_of(lambda frame: session.run({"frame": frame[None]}, [name])[name], spec, route, validation)


def first_frames(spec: DepthSpec, route: Route, validation: ValidationData, count: int = 8) -> list[BgrFrame]:
    """The first frames of a route's samples at network size."""
    images = (sample.image_bgr for sample in islice(validation.samples[route], count))
    return [placement_for((image.shape[1], image.shape[0]), spec).to_input(image) for image in images]


def check_shift(accuracy: Accuracy, original: Accuracy, precision: str, *, what: str) -> Accuracy:
    """Hold a graph's accuracy to that of the network it is of.

    Raises:
        ParityError: it moved by more than `SHIFTS` of the precision; the message has the numbers.
    """
    limit = SHIFTS[precision]
    moved = AccuracyShift(
        abs_rel=abs(accuracy.abs_rel - original.abs_rel),
        delta1=abs(accuracy.delta1 - original.delta1),
    )
    if moved.abs_rel > limit.abs_rel or moved.delta1 > limit.delta1:
        remedy = "leave --fp16 away" if precision == "fp16" else "please report this network"
        raise ParityError(
            f"{what} does not score what the network scores on {accuracy.images} images of {accuracy.data}: "
            f"abs_rel {accuracy.abs_rel:.4f} and not {original.abs_rel:.4f} (may differ by {limit.abs_rel:g}), "
            f"delta1 {accuracy.delta1:.4f} and not {original.delta1:.4f} ({limit.delta1:g}); {remedy}"
        )
    return accuracy
