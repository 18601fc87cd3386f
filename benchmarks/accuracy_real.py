"""Accuracy on real samples: depth on small labelled sets, the router on photos and videos."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth import DepthRuntime, Route
from edgedepth.core.colour import MetricColours
from edgedepth.core.errors import InputError
from edgedepth.datasets import DepthDataset, DepthSample, open_dataset
from edgedepth.datasets.files import read_image_bgr
from edgedepth.evaluation import (
    EvaluationReport,
    MeanDepth,
    Prediction,
    RouteShares,
    RoutingScore,
    baselines_of,
    evaluate_samples,
    protocol_named,
    route_shares,
    score_routes,
)
from edgedepth.evaluation.evaluate import ROUTE_RANGES_M, PredictSample
from edgedepth.evaluation.pictures import Picture, comparison, contact_sheet, save_picture

PHOTO_ROUTES = {"indoor": Route.LOW, "outdoor": Route.HIGH}
VIDEO_ROUTES = {"street_motorway.mp4": Route.HIGH, "indoor_people.mp4": Route.LOW}
FRAMES_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class SetResult:
    """One set of pairs: figures with its camera and with an assumed one.

    one_distance: abs_rel of the network, and of the baseline where the bundle has one, on all frames but the first,
    scaled by one distance measured there; empty for a set of one frame.
    """

    name: str
    report: EvaluationReport
    assumed: EvaluationReport
    one_distance: tuple[float, ...]


def samples_folder() -> Path:
    """The folder of real samples: EDGEDEPTH_SAMPLES, or shared/data beside the clone.

    Raises:
        InputError: it is not there.
    """
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("EDGEDEPTH_SAMPLES", default))
    if not (folder / "pairs.json").is_file():
        raise InputError(f"no real samples at {folder}; set EDGEDEPTH_SAMPLES to a folder with pairs.json")
    return folder


def evaluate_sets(runtime: DepthRuntime, dataset: DepthDataset, pictures: Path | None) -> Iterator[SetResult]:
    """Evaluate every set of the pairs (the part of an id before the slash) with the network of its own route."""
    for name in dict.fromkeys(info.id.partition("/")[0] for info in dataset.infos):
        part = list(dataset.where(lambda info, name=name: info.id.startswith(f"{name}/")))  # type: ignore[misc]
        rows: list[Picture] = []

        def answer(sample: DepthSample, rows: list[Picture] = rows) -> Prediction:
            result = runtime(sample.image_bgr, camera=sample.camera, route=sample.route)
            if sample.camera is not None:
                range_m = ROUTE_RANGES_M[result.route]
                rows.append(comparison(sample.image_bgr, sample.depth_m, result.raw_depth_m, range_m, sample.id))
            return Prediction(result.raw_depth_m, result.route)

        baselines = baselines_of(runtime.bundle)
        report = _evaluate(answer, part, baselines)
        assumed = _evaluate(answer, [replace(sample, camera=None) for sample in part], baselines)
        if pictures is not None:
            save_picture(pictures / f"{name}.jpg", contact_sheet(rows))
        both = (answer, *_mean_depth(baselines)) if len(part) > 1 else ()
        one_distance = tuple(_one_distance(predict, part) for predict in both)
        yield SetResult(name=name, report=report, assumed=assumed, one_distance=one_distance)


def _evaluate(
    predict: PredictSample, samples: Sequence[DepthSample], baselines: Mapping[Route, MeanDepth] | None = None
) -> EvaluationReport:
    return evaluate_samples(
        predict, samples, protocol_named("native"), alignments=("none", "median", "lsq"), baselines=baselines
    )


def _mean_depth(baselines: Mapping[Route, MeanDepth]) -> Iterator[PredictSample]:
    """The baseline as a predictor, where there is one."""
    if baselines:
        yield lambda sample: Prediction(
            baselines[sample.route or next(iter(baselines))].depth_m(sample.image_bgr.shape[1::-1], sample.camera)
        )


def _one_distance(predict: PredictSample, samples: Sequence[DepthSample]) -> float:
    """abs_rel of all samples but the first, where the middle of the picture was measured to scale the others."""
    measured, answered = _middle(samples[0].depth_m), _middle(predict(samples[0]).depth_m)
    known = np.isfinite(measured)
    factor = np.float32(np.median(measured[known]) / np.median(answered[known]))
    report = _evaluate(lambda sample: Prediction(factor * predict(sample).depth_m), samples[1:])
    return report.alignment["none"]["abs_rel"]


def _middle(depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """The middle fifth of each side, which `edgedepth scale` takes."""
    height, width = depth_m.shape
    return depth_m[2 * height // 5 : 3 * height // 5, 2 * width // 5 : 3 * width // 5]


def route_photos(runtime: DepthRuntime, folder: Path, pictures: Path | None) -> RoutingScore:
    """Route every photo of `folder`/indoor and `folder`/outdoor by itself."""
    decisions, rows = [], []
    for label, expected in PHOTO_ROUTES.items():
        for path in sorted((folder / label).glob("*.*")):
            image = read_image_bgr(path)
            result = runtime(image)
            decisions.append((f"{label}/{path.name}", expected, result.route))
            caption = f"{label}/{path.name}: {result.route} {result.score:.2f}"
            rows.append(_beside(image, result.raw_depth_m, result.route, caption))
    if pictures is not None and rows:
        save_picture(pictures / "photos.jpg", contact_sheet(rows))
    return score_routes(decisions)


def route_video(runtime: DepthRuntime, path: Path, pictures: Path | None) -> RouteShares:
    """Run a video with the bundle's hysteresis and count the routes of its frames."""
    routes, frames = [], []
    for frame, result in runtime.stream_frames(path):
        routes.append(result.route)
        if pictures is not None and frame.index % 25 == 0:
            caption = f"{path.name} {frame.index}: {result.route}"
            frames.append(_beside(frame.image_bgr, result.raw_depth_m, result.route, caption))
    if pictures is not None and frames:
        shown = np.linspace(0, len(frames) - 1, min(FRAMES_SHOWN, len(frames))).round().astype(int)
        save_picture(pictures / f"{path.stem}.jpg", contact_sheet([frames[i] for i in shown]))
    return route_shares(routes)


def _beside(image: NDArray[np.uint8], depth_m: NDArray[np.float32], route: Route, caption: str) -> Picture:
    low, high = ROUTE_RANGES_M[route]
    both = np.hstack([image, MetricColours(min_m=low, max_m=high)(depth_m)])
    row = np.asarray(cv2.resize(both, (640, round(640 * both.shape[0] / both.shape[1]))), np.uint8)
    cv2.putText(row, caption, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return row


def real(runtime: DepthRuntime, folder: Path, pictures: Path | None) -> Iterator[str]:
    """Markdown: every set of the labelled pairs, network / baseline, with the alignments that a user may have.

    One distance: the scale that one tape measure gives, on the first frame of the set (median depth of its middle), is
    put on all the others; the baseline is scaled in the same way.
    """
    yield (
        "| set | images | network | abs_rel | delta1 | abs_rel, one distance | abs_rel, median | delta1, median"
        " | abs_rel, lsq | abs_rel, camera assumed |"
    )
    yield "|---|---:|---|---:|---:|---:|---:|---:|---:|---:|"
    for result in evaluate_sets(runtime, open_dataset(f"pairs:{folder / 'pairs.json'}"), pictures):
        cells = [
            result.name,
            str(len(result.report.images)),
            f"edge-{result.report.images[0].route}",
            _pair(result.report, "none", "abs_rel"),
            _pair(result.report, "none", "delta1"),
            " / ".join(f"{value:.3f}" for value in result.one_distance) or "one frame",
            _pair(result.report, "median", "abs_rel"),
            _pair(result.report, "median", "delta1"),
            _pair(result.report, "lsq", "abs_rel"),
            f"{result.assumed.alignment['none']['abs_rel']:.3f}",
        ]
        yield f"| {' | '.join(cells)} |"


def _pair(report: EvaluationReport, alignment: str, metric: str) -> str:
    network = f"{report.alignment[alignment][metric]:.3f}"
    return network if report.baseline is None else f"{network} / {report.baseline[alignment][metric]:.3f}"


def router(runtime: DepthRuntime, folder: Path, pictures: Path | None) -> Iterator[str]:
    """Markdown: the router on the labelled pairs, the photos and the videos."""
    yield "| source | expected | routed right | changes of route |"
    yield "|---|---|---:|---:|"
    pairs = open_dataset(f"pairs:{folder / 'pairs.json'}")
    scores = {"by their set": score_routes((s.id, s.route, runtime(s.image_bgr).route) for s in pairs if s.route)}
    scores["by folder"] = route_photos(runtime, folder / "router", pictures)
    for (expected, score), name in zip(scores.items(), ("labelled frames", "photos"), strict=True):
        wrong = f" (wrong: {', '.join(score.wrong)})" if score.wrong else ""
        right = f"{score.images - len(score.wrong)} of {score.images}{wrong}"
        yield f"| {score.images} {name} | {expected} | {right} | |"
    for name, route in VIDEO_ROUTES.items():
        if (folder / "video" / name).is_file():
            shares = route_video(runtime, folder / "video" / name, pictures)
            right, total = shares.frames[route], sum(shares.frames.values())
            percent = 100 * shares.share(route)
            yield f"| {name} | {route} | {right} of {total} ({percent:.1f} %) | {shares.switches} |"
