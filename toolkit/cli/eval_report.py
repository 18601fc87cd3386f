"""The folder that `edgedepth eval --report` writes: one HTML page, and its parts as files of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgedepth.datasets import DepthDataset, DepthSample
    from edgedepth.evaluation import EvaluationReport, ImageScore, Prediction

PICTURES = 24  # rows of a contact sheet: the worst and the best half


def check_report(folder: Path) -> None:
    """Refuse a report that cannot be written, before hours are spent on its figures.

    Raises:
        MissingPackageError: matplotlib is not installed.
        OutputError: the folder cannot be written.
    """
    from edgedepth.core.errors import require
    from edgedepth.core.files import check_writable

    require("matplotlib", extra="train")
    check_writable(folder)


def write_report(
    folder: Path,
    name: str,
    report: EvaluationReport,
    about: Mapping[str, Any],
    dataset: DepthDataset,
    predict: Callable[[DepthSample], Prediction],
) -> None:
    """Write `report.html`, `report.md`, `report.json`, `images.csv`, `errors.png`, `worst.jpg` and `best.jpg`.

    Raises:
        MissingPackageError: matplotlib is not installed.
        OutputError: the folder cannot be written.
    """
    from edgedepth.core.files import write_atomic
    from edgedepth.evaluation.html import html_report
    from edgedepth.evaluation.pictures import contact_sheet, plot_errors, save_picture

    write_atomic(folder / "report.md", report.markdown())
    write_atomic(folder / "report.json", json.dumps({**report.as_json(), **about}, indent=1, default=str))
    write_atomic(folder / "images.csv", report.csv())
    plot_errors(report, folder / "errors.png")
    ranked = sorted(report.images, key=lambda image: next(iter(image.metrics.values()))["abs_rel"], reverse=True)
    half = min(PICTURES // 2, (len(ranked) + 1) // 2)
    for file, scores in (("worst.jpg", ranked[:half]), ("best.jpg", ranked[::-1][:half])):
        save_picture(folder / file, contact_sheet(list(_rows(scores, dataset, predict))))
    pictures = {
        caption: (kind, (folder / file).read_bytes())
        for caption, kind, file in (
            ("Errors", "image/png", "errors.png"),
            ("Worst images: image, truth, prediction, error", "image/jpeg", "worst.jpg"),
            ("Best images: image, truth, prediction, error", "image/jpeg", "best.jpg"),
        )
    }
    write_atomic(folder / "report.html", html_report(report, name, about, pictures))


def _rows(
    scores: Iterable[ImageScore], dataset: DepthDataset, predict: Callable[[DepthSample], Prediction]
) -> Iterator[Any]:
    """The images of some scores once more, so that no picture is kept in memory while figures are taken."""
    from edgedepth.core.routing import Route
    from edgedepth.evaluation.evaluate import ROUTE_RANGES_M
    from edgedepth.evaluation.pictures import comparison

    entries = {entry.info.id: entry for entry in dataset.entries}
    for score in scores:
        sample = entries[score.id].load()
        prediction = predict(sample)
        route = prediction.route or sample.route or Route.HIGH
        abs_rel = next(iter(score.metrics.values()))["abs_rel"]
        caption = f"{score.id}  {prediction.route or ''}  abs_rel {abs_rel:.3f}"
        yield comparison(sample.image_bgr, sample.depth_m, prediction.depth_m, ROUTE_RANGES_M[route], caption)
