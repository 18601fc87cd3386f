"""Pictures of an evaluation: image, truth, prediction and error side by side, and the error by distance.

They may show other people's images, so they go where the user says and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.colour import MetricColours
from edgedepth.core.errors import OutputError, require
from edgedepth.core.files import write_atomic
from edgedepth.evaluation.histogram import LOG_ERRORS, ErrorHistogram
from edgedepth.evaluation.report import EvaluationReport

Picture = NDArray[np.uint8]
_PANEL_HEIGHT = 192
# relative error drawn from exact (white) to a factor of two and worse: red too far, blue too near
_WORST_LOG_ERROR = float(np.log(2))


def comparison(
    image_bgr: Picture,
    truth_m: NDArray[np.float32],
    predicted_m: NDArray[np.float32],
    range_m: tuple[float, float],
    caption: str,
) -> Picture:
    """One row of a contact sheet: image, truth, prediction, signed log error; (h, 4 w, 3) uint8 BGR.

    truth_m: (H, W), NaN where unknown. predicted_m: (H, W) or any other size. range_m: of the colours.
    """
    height, width = truth_m.shape
    if predicted_m.shape != truth_m.shape:
        predicted_m = np.asarray(cv2.resize(predicted_m, (width, height)), np.float32)
    colours = MetricColours(min_m=range_m[0], max_m=range_m[1])
    log_error = np.log(predicted_m) - np.log(truth_m)  # NaN where the truth is
    panels = [image_bgr, colours(_thickened(truth_m)), colours(predicted_m), _error_colours(_thickened(log_error))]
    wh = (round(width * _PANEL_HEIGHT / height), _PANEL_HEIGHT)
    row = np.hstack([np.asarray(cv2.resize(panel, wh, interpolation=cv2.INTER_AREA), np.uint8) for panel in panels])
    cv2.rectangle(row, (0, 0), (8 + 7 * len(caption), 16), (0, 0, 0), -1)
    cv2.putText(row, caption, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
    return row


def contact_sheet(rows: Sequence[Picture]) -> Picture:
    """Stack rows of different widths on black."""
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 2), (0, width - row.shape[1]), (0, 0))) for row in rows])


def save_picture(path: Path, picture: Picture) -> None:
    """Write a JPEG or PNG, by the suffix.

    Raises:
        OutputError: the suffix is no picture's, or the place cannot be written.
    """
    done, data = cv2.imencode(path.suffix, picture)
    if not done:
        raise OutputError(f"cannot encode {path}; use .jpg or .png")
    write_atomic(path, data.tobytes())


def plot_errors(report: EvaluationReport, path: Path) -> None:
    """Draw abs_rel by true distance with the share of pixels there, errors by distance, and abs_rel over images.

    Raises:
        MissingPackageError: matplotlib is not installed.
        OutputError: the place cannot be written.
    """
    require("matplotlib", extra="train")
    from io import BytesIO

    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    _draw_bands(left, report)
    _draw_histogram(middle, report.histogram)
    values = [next(iter(image.metrics.values()))["abs_rel"] for image in report.images]
    right.hist(values, bins=min(30, max(5, len(values) // 4)), color="tab:blue")
    right.set(xlabel=f"abs_rel, alignment {next(iter(report.alignment))}", ylabel="images")
    figure.suptitle(report.headline(), fontsize=9)
    data = BytesIO()
    figure.savefig(data, format="png", dpi=110)
    write_atomic(path, data.getvalue())


def _draw_bands(axes: Any, report: EvaluationReport) -> None:
    names = [f"{band.from_m:g}-{band.to_m:g}" for band in report.bands]
    total = sum(band.errors.count for band in report.bands)
    axes.bar(names, [band.errors.values()["abs_rel"] for band in report.bands], color="tab:blue")
    axes.set(xlabel="true distance (m)", ylabel="abs_rel, unaligned")
    share = axes.twinx()
    share.plot(names, [band.errors.count / total for band in report.bands], "o-", color="tab:orange")
    share.set(ylabel="share of pixels", ylim=(0, 1))


def _draw_histogram(axes: Any, histogram: ErrorHistogram) -> None:
    """Each distance's errors as shares of its pixels: dark is much, the line is no error."""
    totals = histogram.counts.sum(axis=1)
    known = totals > 0
    shares = histogram.counts[known] / totals[known, None]
    axes.imshow(shares, aspect="auto", cmap="Greys", interpolation="nearest")
    names = [f"{near:g}-{far:g}" for near, far in pairwise(histogram.distances_m)]
    axes.set_yticks(range(len(shares)), [name for name, there in zip(names, known, strict=True) if there])
    factors = (1 / 3, 1 / 2, 1 / 1.25, 1, 1.25, 2, 3)
    places = np.interp(np.log(factors), LOG_ERRORS, np.arange(len(LOG_ERRORS)) + 0.5)
    axes.set_xticks(places, [f"{factor:.3g}" for factor in factors])
    axes.axvline(places[3], color="tab:orange")
    axes.set(xlabel="prediction / truth", ylabel="true distance (m)")


def _thickened(values: NDArray[Any]) -> NDArray[np.float32]:
    """Grow sparse points (NaN elsewhere) so that a laser's show in a small picture; dense maps stay."""
    known = np.isfinite(values)
    if known.mean() > 0.2:
        return np.asarray(values, np.float32)
    # dilation takes the largest, so among neighbours the farthest (or worst) wins
    grown = cv2.dilate(np.where(known, values, -1e9).astype(np.float32), np.ones((3, 3), np.uint8))
    return np.where(grown > -1e8, grown, np.nan).astype(np.float32)


def _error_colours(log_error: NDArray[np.float32]) -> Picture:
    share = np.clip(np.nan_to_num(log_error / _WORST_LOG_ERROR), -1, 1)
    picture = np.empty((*log_error.shape, 3), np.float32)
    picture[..., 0] = 1 - np.maximum(share, 0)
    picture[..., 1] = 1 - np.abs(share)
    picture[..., 2] = 1 + np.minimum(share, 0)
    picture[np.isnan(log_error)] = 0.2
    return (255 * picture).astype(np.uint8)
