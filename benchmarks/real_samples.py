"""What a bundle does on real samples: depth on four small sets, the router on photos and videos.

The samples are found through the environment variable EDGEDEPTH_SAMPLES (a folder with pairs.json, router/ and
video/). Figures go to stdout or --output as markdown; pictures only to --pictures, an untracked folder.

Example: python benchmarks/real_samples.py mybundle --output docs/real_samples.md --pictures runs/real_samples
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth import DepthRuntime, Route
from edgedepth.core.colour import MetricColours
from edgedepth.core.errors import EdgeDepthError, InputError
from edgedepth.core.files import write_atomic
from edgedepth.datasets import DepthDataset, DepthSample, open_dataset
from edgedepth.datasets.files import read_image_bgr
from edgedepth.evaluation import (
    EvaluationReport,
    Prediction,
    RouteShares,
    RoutingScore,
    baselines_of,
    evaluate_samples,
    protocol_named,
    route_shares,
    score_routes,
)
from edgedepth.evaluation.evaluate import ROUTE_RANGES_M
from edgedepth.evaluation.pictures import Picture, comparison, contact_sheet, save_picture

PHOTO_ROUTES = {"indoor": Route.LOW, "outdoor": Route.HIGH}
VIDEO_ROUTES = {"street_motorway.mp4": Route.HIGH, "indoor_people.mp4": Route.LOW}
FRAMES_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class SetResult:
    """One set of pairs: figures with its camera, with an assumed one, and how the router did on it."""

    name: str
    report: EvaluationReport
    assumed: EvaluationReport
    routing: RoutingScore


def samples_folder() -> Path:
    """The folder of real samples.

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
        part = dataset.where(lambda info, name=name: info.id.startswith(f"{name}/"))  # type: ignore[misc]
        rows: list[Picture] = []
        report = _evaluate(runtime, part, rows)
        assumed = _evaluate(runtime, [replace(sample, camera=None) for sample in part])
        chosen = [(s.id, s.route, runtime(s.image_bgr).route) for s in part if s.route is not None]
        if pictures is not None:
            save_picture(pictures / f"{name}.jpg", contact_sheet(rows))
        yield SetResult(name=name, report=report, assumed=assumed, routing=score_routes(chosen))


def _evaluate(
    runtime: DepthRuntime, samples: Sequence[DepthSample], rows: list[Picture] | None = None
) -> EvaluationReport:
    def predict(sample: DepthSample) -> Prediction:
        result = runtime(sample.image_bgr, camera=sample.camera, route=sample.route)
        if rows is not None:
            range_m = ROUTE_RANGES_M[result.route]
            rows.append(comparison(sample.image_bgr, sample.depth_m, result.raw_depth_m, range_m, sample.id))
        return Prediction(result.raw_depth_m, result.route)

    return evaluate_samples(
        predict,
        samples,
        protocol_named("native"),
        alignments=("none", "median"),
        baselines=baselines_of(runtime.bundle),
    )


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


def depth_table(results: Sequence[SetResult]) -> str:
    """Markdown: unaligned and median-aligned abs_rel and delta1 of every set, network / baseline."""
    lines = [
        "| set | images | network | abs_rel | delta1 | abs_rel, median | delta1, median"
        " | abs_rel, camera assumed | routed right |",
        "|---|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for result in results:
        cells = [
            _pair(result.report, alignment, metric)
            for alignment in ("none", "median")
            for metric in ("abs_rel", "delta1")
        ]
        route = result.report.images[0].route
        lines.append(
            f"| {result.name} | {len(result.report.images)} | {route} | {' | '.join(cells)}"
            f" | {result.assumed.alignment['none']['abs_rel']:.3f}"
            f" | {result.routing.images - len(result.routing.wrong)} of {result.routing.images} |"
        )
    return "\n".join(lines)


def _pair(report: EvaluationReport, alignment: str, metric: str) -> str:
    network = f"{report.alignment[alignment][metric]:.3f}"
    return network if report.baseline is None else f"{network} / {report.baseline[alignment][metric]:.3f}"


def router_table(photos: RoutingScore, videos: dict[str, RouteShares]) -> str:
    """Markdown: the router on the photos and the videos."""
    wrong = f" (wrong: {', '.join(photos.wrong)})" if photos.wrong else ""
    lines = [
        "| source | expected | routed right | changes of route |",
        "|---|---|---:|---:|",
        f"| {photos.images} photos | by folder | {photos.images - len(photos.wrong)} of {photos.images}{wrong} | |",
    ]
    for name, shares in videos.items():
        expected = VIDEO_ROUTES[name]
        right, total = shares.frames[expected], sum(shares.frames.values())
        lines.append(
            f"| {name} | {expected} | {right} of {total} ({100 * shares.share(expected):.1f} %) | {shares.switches} |"
        )
    return "\n".join(lines)


def measure(runtime: DepthRuntime, folder: Path, pictures: Path | None) -> str:
    """The whole report as markdown."""
    dataset = open_dataset(f"pairs:{folder / 'pairs.json'}")
    results = list(evaluate_sets(runtime, dataset, pictures))
    photos = route_photos(runtime, folder / "router", pictures)
    videos = {
        name: route_video(runtime, folder / "video" / name, pictures)
        for name in VIDEO_ROUTES
        if (folder / "video" / name).is_file()
    }
    manifest = runtime.bundle.manifest
    beside = "network / baseline" if results[0].report.baseline is not None else "network; the bundle has no baseline"
    return "\n\n".join(
        (
            f"Bundle {manifest.name} ({runtime.bundle.digest[:12]}), {runtime.backend} {runtime.precision}. Protocol"
            " native: no crop, 0.3-10 m (low) and 1-80 m (high), mean over images, no TTA, the network of the"
            f" set's own route, camera given unless stated. Cells: {beside}.",
            depth_table(results),
            router_table(photos, videos),
        )
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", default="default")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", type=Path, help="write the markdown here instead of to stdout")
    parser.add_argument("--pictures", type=Path, help="untracked folder for contact sheets")
    options = parser.parse_args(arguments)
    try:
        folder = samples_folder()
        with DepthRuntime.load(
            options.bundle, backend=options.backend, precision=options.precision, threads=options.threads
        ) as runtime:
            text = measure(runtime, folder, options.pictures) + "\n"
        if options.output is None:
            print(text, end="")
        else:
            write_atomic(options.output, text)
    except EdgeDepthError as error:
        print(f"real_samples: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
