"""Accuracy on rendered scenes: unseen ones of the kinds trained on, and kinds that were never trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgedepth import DepthRuntime, Route
from edgedepth.datasets import DepthDataset, DepthSample, open_dataset
from edgedepth.evaluation import EvaluationReport, Prediction, baselines_of, evaluate_samples, protocol_named


def rendered(runtime: DepthRuntime, unseen: Sequence[str], styles: Sequence[str]) -> Iterator[str]:
    """Markdown: a row for every set and route; `unseen` sets count by their test split, `styles` whole."""
    yield (
        "| set | images | network | abs_rel | of baseline's | rmse (m) | delta1 | abs_rel, median | delta1, median"
        " | routed right | abs_rel, router deciding |"
    )
    yield "|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for name, split in (*((name, "test") for name in unseen), *((name, None) for name in styles)):
        dataset = open_dataset(name, split)
        called = name.partition(":")[2].rpartition("/")[2] + ("" if split else ", unseen style")
        for route in Route:
            part = dataset.where(lambda info, route=route: info.route is route)  # type: ignore[misc]
            if len(part):
                yield _row(runtime, called, route, part)


def _row(runtime: DepthRuntime, name: str, route: Route, samples: DepthDataset) -> str:
    given, free = _evaluate(runtime, samples, route), _evaluate(runtime, samples, None)
    assert given.baseline is not None
    ratio = given.alignment["none"]["abs_rel"] / given.baseline["none"]["abs_rel"]
    cells = [
        name,
        str(len(given.images)),
        f"edge-{route}",
        _pair(given, "none", "abs_rel"),
        f"{ratio:.2f}",
        _pair(given, "none", "rmse", 2),
        _pair(given, "none", "delta1"),
        _pair(given, "median", "abs_rel"),
        _pair(given, "median", "delta1"),
        f"{free.routing.images - len(free.routing.wrong)} of {free.routing.images}",
        f"{free.alignment['none']['abs_rel']:.3f}",
    ]
    return f"| {' | '.join(cells)} |"


def _evaluate(runtime: DepthRuntime, samples: DepthDataset, route: Route | None) -> EvaluationReport:
    def predict(sample: DepthSample) -> Prediction:
        result = runtime(sample.image_bgr, camera=sample.camera, route=route)
        return Prediction(result.raw_depth_m, result.route)

    return evaluate_samples(
        predict,
        samples,
        protocol_named("native"),
        alignments=("none", "median"),
        baselines=baselines_of(runtime.bundle),
    )


def _pair(report: EvaluationReport, alignment: str, metric: str, digits: int = 3) -> str:
    assert report.baseline is not None
    return f"{report.alignment[alignment][metric]:.{digits}f} / {report.baseline[alignment][metric]:.{digits}f}"
