"""What an evaluation found, as plain data, as a table, and as lines of a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgedepth.core.metrics import METRICS, DepthErrors
from edgedepth.core.routing import Route
from edgedepth.evaluation.histogram import ErrorHistogram
from edgedepth.evaluation.protocols import Protocol
from edgedepth.evaluation.router import RoutingScore

Metrics = dict[str, float]
TABLE_METRICS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "silog", "delta1", "delta2", "delta3")


@dataclass(frozen=True, kw_only=True)
class ImageScore:
    """Figures of one image: metrics by alignment, of the prediction and of the baseline (where there is one)."""

    id: str
    expected: Route | None
    route: Route | None
    pixels: int
    metrics: Mapping[str, Metrics]
    baseline: Mapping[str, Metrics] | None


@dataclass(frozen=True)
class DistanceBand:
    """Unaligned errors of the pixels whose true depth lies in [from_m, to_m), pooled over images."""

    from_m: float
    to_m: float
    errors: DepthErrors

    def as_json(self) -> dict[str, Any]:
        """Plain data for reports."""
        values = self.errors.values()
        return {
            "from_m": self.from_m,
            "to_m": self.to_m,
            "pixels": self.errors.count,
            **{name: values[name] for name in ("abs_rel", "mae", "delta1")},
        }


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """Figures of a data set.

    alignment: metrics by alignment. baseline: the same for the mean depth map, None if there was none.
    images: figures of each image. skipped: ids of images without a valid pixel.
    bands, histogram: unaligned errors by distance. routing: the router's decisions where the route is known.
    """

    protocol: Protocol
    alignment: Mapping[str, Metrics]
    baseline: Mapping[str, Metrics] | None
    images: tuple[ImageScore, ...]
    skipped: tuple[str, ...]
    bands: tuple[DistanceBand, ...]
    histogram: ErrorHistogram
    routing: RoutingScore

    def as_json(self) -> dict[str, Any]:
        """Plain data, the form of `edgedepth eval --json`."""
        return {
            "protocol": self.protocol.name,
            "average": "image",
            "range_m": None if self.protocol.range_m is None else list(self.protocol.range_m),
            "tta": False,
            "alignment": {name: dict(values) for name, values in self.alignment.items()},
            "images": len(self.images),
            "skipped": list(self.skipped),
            "baseline": None if self.baseline is None else {k: dict(v) for k, v in self.baseline.items()},
            "by_distance": [band.as_json() for band in self.bands],
            "error_histogram": self.histogram.as_json(),
            "router": self.routing.as_json(),
        }

    def markdown(self, metrics: Sequence[str] = TABLE_METRICS) -> str:
        """A table with a row per alignment and the baseline's row below each, headed by the protocol."""
        rows = [
            f"| {name} | {who} | " + " | ".join(f"{values[metric]:.3f}" for metric in metrics) + " |"
            for name, who, values in self.rows()
        ]
        head = "| alignment | | " + " | ".join(metric_title(metric) for metric in metrics) + " |"
        rule = "|---|---|" + "---:|" * len(metrics)
        return "\n".join([self.headline(), "", head, rule, *rows]) + "\n"

    def rows(self) -> list[tuple[str, str, Metrics]]:
        """(alignment, "network" or "baseline", metrics), the baseline's after the network's."""
        rows = []
        for name, values in self.alignment.items():
            rows.append((name, "network", values))
            if self.baseline is not None:
                rows.append((name, "baseline", self.baseline[name]))
        return rows

    def headline(self) -> str:
        """One line that says what the figures are figures of."""
        line = (
            f"Protocol {self.protocol.name} ({self.protocol.what}), averaged per image, no TTA,"
            f" {len(self.images)} images"
        )
        if self.skipped:
            line += f", {len(self.skipped)} without a valid pixel left out"
        if self.routing.images:
            line += f", routed right {100 * self.routing.accuracy:.1f} %"
        return line + "."

    def csv(self) -> str:
        """One line per image and alignment, with the baseline's abs_rel beside it."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["id", "expected", "route", "pixels", "alignment", *METRICS, "baseline_abs_rel"])
        for image in self.images:
            for name, values in image.metrics.items():
                base = "" if image.baseline is None else image.baseline[name]["abs_rel"]
                known = [image.id, image.expected or "", image.route or "", image.pixels, name]
                writer.writerow([*known, *values.values(), base])
        return text.getvalue()


def metric_title(metric: str) -> str:
    """A metric's name with its unit, as a column title."""
    unit = METRICS[metric][0]
    return f"{metric} ({unit})" if unit else metric
