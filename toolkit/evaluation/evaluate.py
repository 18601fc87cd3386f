"""The one evaluation: any `predict(image_bgr, camera) -> depth_m` over a data set, by a protocol.

Checkpoints, ONNX files and engines all come through here, so their figures can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.alignment import ALIGNMENTS, fit_alignment
from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError, UnknownNameError
from edgedepth.core.metrics import DepthErrors, depth_metrics, mean_metrics
from edgedepth.core.routing import Route
from edgedepth.core.spec import HIGH_RANGE_M, LOW_RANGE_M
from edgedepth.datasets import DepthSample
from edgedepth.evaluation.baseline import MeanDepth
from edgedepth.evaluation.histogram import ErrorHistogram
from edgedepth.evaluation.protocols import Protocol
from edgedepth.evaluation.report import DistanceBand, EvaluationReport, ImageScore, Metrics
from edgedepth.evaluation.router import score_routes

Range = tuple[float, float]
ROUTE_RANGES_M: Mapping[Route, Range] = {Route.LOW: LOW_RANGE_M, Route.HIGH: HIGH_RANGE_M}
DISTANCES_M = (0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0, 80.0, 256.0)


@dataclass(frozen=True)
class Prediction:
    """What a predictor answers: (h, w) finite metres of any size, and the route taken where there are several.

    decided: a router chose the route; one that was told it, or knows no other, is not judged by it.
    """

    depth_m: NDArray[np.float32]
    route: Route | None = None
    decided: bool = True


Samples = Iterable[DepthSample]
Predict = Callable[[NDArray[np.uint8], Camera | None], NDArray[np.float32]]
PredictSample = Callable[[DepthSample], Prediction]
Observe = Callable[[DepthSample, Prediction, ImageScore], None]


def evaluate(
    predict: Predict,
    samples: Iterable[DepthSample],
    protocol: Protocol,
    *,
    alignments: Sequence[str] = tuple(ALIGNMENTS),
    baselines: Mapping[Route, MeanDepth] | None = None,
    ranges_m: Mapping[Route, Range] = ROUTE_RANGES_M,
) -> EvaluationReport:
    """Evaluate a function from (H, W, 3) uint8 BGR and a camera (or None) to depth in metres.

    See `evaluate_samples`, which this wraps, for the arguments and errors.
    """
    return evaluate_samples(
        lambda sample: Prediction(predict(sample.image_bgr, sample.camera)),
        samples,
        protocol,
        alignments=alignments,
        baselines=baselines,
        ranges_m=ranges_m,
    )


def evaluate_samples(
    predict: PredictSample,
    samples: Iterable[DepthSample],
    protocol: Protocol,
    *,
    alignments: Sequence[str] = tuple(ALIGNMENTS),
    baselines: Mapping[Route, MeanDepth] | None = None,
    ranges_m: Mapping[Route, Range] = ROUTE_RANGES_M,
    observe: Observe | None = None,
) -> EvaluationReport:
    """Evaluate a predictor on samples that carry their truth.

    alignments: names in `core.alignment.ALIGNMENTS`; "none" is what a robot gets.
    baselines: mean depth maps, evaluated beside the prediction on the same pixels.
    ranges_m: evaluation range by the sample's own route, for protocols without one. The route a router chose does
        not matter here: a wrong choice must cost, not hide the pixels it is wrong on. A sample of unknown route
        takes the range of all.
    observe: called after every image, for pictures and progress.

    Raises:
        UnknownNameError: an alignment is unknown.
        InputError: a prediction is not finite and positive, or no image has a valid pixel.
    """
    for name in alignments:
        if name not in ALIGNMENTS:
            raise UnknownNameError.of("alignment", name, ALIGNMENTS)
    network, mean = _Tally(tuple(alignments)), _Tally(tuple(alignments))
    bands = dict.fromkeys(pairwise(DISTANCES_M), DepthErrors.NONE)
    histogram = ErrorHistogram.empty(DISTANCES_M)
    scores, skipped = [], []
    decisions: list[tuple[str, Route, Route]] = []
    for sample in samples:
        prediction = predict(sample)
        range_m = protocol.range_m if protocol.range_m is not None else _range_of(sample, ranges_m)
        valid = protocol.valid(sample.depth_m, range_m)
        if not valid.any():
            skipped.append(sample.id)
            continue
        truth = sample.depth_m[valid].astype(np.float64)
        predicted = _predicted(prediction.depth_m, valid, sample.id)
        score = ImageScore(
            id=sample.id,
            expected=sample.route,
            route=prediction.route,
            pixels=truth.size,
            metrics=network.add(predicted, truth, range_m),
            baseline=_add_baseline(mean, baselines, sample, prediction.route, valid, truth, range_m),
        )
        _add_bands(bands, np.clip(predicted, *range_m), truth)
        histogram.add(np.clip(predicted, *range_m), truth)
        scores.append(score)
        if sample.route and prediction.route and prediction.decided:
            decisions.append((sample.id, sample.route, prediction.route))
        if observe is not None:
            observe(sample, prediction, score)
    if not scores:
        raise InputError(
            f"no image has a pixel to evaluate by protocol {protocol.name!r} ({len(skipped)} looked at);"
            " check the split, the depth scale and the protocol's range"
        )
    return EvaluationReport(
        protocol=protocol,
        alignment=network.values(),
        baseline=mean.values() if baselines else None,
        images=tuple(scores),
        skipped=tuple(skipped),
        bands=tuple(DistanceBand(*ends, errors) for ends, errors in bands.items() if errors.count),
        histogram=histogram,
        routing=score_routes(decisions),
    )


@dataclass
class _Tally:
    """Each image's errors so far, per alignment."""

    alignments: tuple[str, ...]
    images: dict[str, list[Metrics]] = field(default_factory=dict)

    def add(self, predicted: NDArray[Any], truth: NDArray[Any], range_m: Range) -> dict[str, Metrics]:
        """Align, clamp and sum one image's valid pixels; returns the image's own values."""
        values = {}
        for name in self.alignments:
            aligned = fit_alignment(name, predicted, truth)(predicted)
            values[name] = depth_metrics(np.clip(aligned, *range_m), truth)
            self.images.setdefault(name, []).append(values[name])
        return values

    def values(self) -> dict[str, Metrics]:
        return {name: mean_metrics(rows) for name, rows in self.images.items()}


def _range_of(sample: DepthSample, ranges_m: Mapping[Route, Range]) -> Range:
    if sample.route is not None and sample.route in ranges_m:
        return ranges_m[sample.route]
    return min(low for low, _ in ranges_m.values()), max(high for _, high in ranges_m.values())


def _predicted(depth_m: NDArray[np.float32], valid: NDArray[np.bool_], id: str) -> NDArray[np.float64]:
    """Bring a prediction to the size of the truth (before masking) and take its valid pixels."""
    height, width = valid.shape
    if depth_m.ndim != 2:
        raise InputError(f"{id}: a prediction must be (H, W) metres, but got {depth_m.shape}")
    if depth_m.shape != valid.shape:
        depth_m = np.asarray(cv2.resize(depth_m, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    predicted = depth_m[valid].astype(np.float64)
    if not (np.isfinite(predicted) & (predicted > 0)).all():
        raise InputError(f"{id}: the prediction is not finite and positive everywhere; evaluate the raw depth")
    return predicted


def _add_baseline(
    tally: _Tally,
    baselines: Mapping[Route, MeanDepth] | None,
    sample: DepthSample,
    chosen: Route | None,
    valid: NDArray[np.bool_],
    truth: NDArray[np.float64],
    range_m: Range,
) -> dict[str, Metrics] | None:
    """Tally the baseline of the sample's own route, else of the chosen one, else the only one there is."""
    if not baselines:
        return None
    wanted = [route for route in (sample.route, chosen) if route is not None]
    route = next(route for route in (*wanted, *baselines) if route in baselines)
    height, width = valid.shape
    depth_m = baselines[route].depth_m((width, height), sample.camera)
    return tally.add(_predicted(depth_m, valid, sample.id), truth, range_m)


def _add_bands(
    bands: dict[tuple[float, float], DepthErrors], predicted: NDArray[np.float64], truth: NDArray[np.float64]
) -> None:
    """Sum the unaligned errors by true distance, pooled over images."""
    which = np.digitize(truth, DISTANCES_M) - 1
    for index, ends in enumerate(bands):
        inside = which == index
        if inside.any():
            bands[ends] += DepthErrors.of(predicted[inside], truth[inside])
