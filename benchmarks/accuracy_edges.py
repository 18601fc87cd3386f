"""Edges: what guided upsampling does to the outlines of things, and what it costs in accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edgedepth import Bundle, DepthRuntime, Route
from edgedepth.core.spec import Upsampling
from edgedepth.datasets import DepthDataset, DepthSample, open_dataset
from edgedepth.evaluation import Prediction, boundary_f1, evaluate_samples, protocol_named


def edges(bundle: Bundle, backend: str, precision: str, threads: int | None, unseen: Sequence[str]) -> Iterator[str]:
    """Markdown: boundary F1 and abs_rel of the test splits of rendered sets, resized linearly and along edges."""
    yield "| set | images | network | boundary F1, linear | boundary F1, guided | abs_rel, linear | abs_rel, guided |"
    yield "|---|---:|---|---:|---:|---:|---:|"

    def load(upsampling: Upsampling) -> DepthRuntime:
        return DepthRuntime.load(bundle, backend=backend, precision=precision, threads=threads, upsampling=upsampling)

    with load("linear") as linear, load("guided") as guided:
        for name in unseen:
            dataset = open_dataset(name, "test")
            for route in Route:
                part = dataset.where(lambda info, route=route: info.route is route)  # type: ignore[misc]
                if len(part):
                    (f1, abs_rel), (guided_f1, guided_abs_rel) = (_measure(r, part, route) for r in (linear, guided))
                    yield (
                        f"| {name.partition(':')[2].rpartition('/')[2]} | {len(part)} | edge-{route} | {f1:.3f}"
                        f" | {guided_f1:.3f} | {abs_rel:.4f} | {guided_abs_rel:.4f} |"
                    )


def _measure(runtime: DepthRuntime, samples: DepthDataset, route: Route) -> tuple[float, float]:
    """Mean boundary F1 of the images that have boundaries, and abs_rel."""
    scores = []

    def predict(sample: DepthSample) -> Prediction:
        depth_m = runtime(sample.image_bgr, camera=sample.camera, route=route).raw_depth_m
        score = boundary_f1(depth_m, sample.depth_m)
        if score is not None:
            scores.append(score)
        return Prediction(depth_m, route, decided=False)

    report = evaluate_samples(predict, samples, protocol_named("native"), alignments=("none",))
    return float(np.mean(scores or [np.nan])), report.alignment["none"]["abs_rel"]
