"""Our figures of a table beside the paper's: ratios to one row, and whether the rows come in the same order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from edgedepth.core.metrics import METRICS
from edgedepth.trainers.papers.tables import PaperTable, Row

Figures = Mapping[str, float]
_RANGES = ("near_", "far_")  # before a metric: of the frames of one range
MEAN_MAP = "mean_map_"  # before a metric: the figure of the mean depth map, which knows nothing of the image


def larger_is_better(metric: str) -> bool:
    """Whether larger figures of a column are better; `near_` and `far_` before a metric change nothing."""
    for prefix in _RANGES:
        metric = metric.removeprefix(prefix)
    return METRICS[metric][1]


@dataclass(frozen=True, kw_only=True)
class Order:
    """Pairs of rows that the paper orders by a metric, and how many of them we order alike.

    apart: of the pairs, those whose difference here exceeds what seeds make of it (all of them with one seed, which
        tells nothing of that).
    """

    metric: str
    pairs: int
    alike: int
    apart: int


@dataclass(frozen=True)
class Comparison:
    """A table's rows with the figures of every seed, by label; rows that are not trained yet are missing."""

    table: PaperTable
    seeds: Mapping[str, Sequence[Figures]]

    def mean(self, label: str, metric: str) -> float:
        """Mean over seeds."""
        return float(np.mean([figures[metric] for figures in self.seeds[label]]))

    def spread(self, label: str, metric: str) -> float:
        """Half the distance between the largest and the smallest of the seeds; 0 with one."""
        values = [figures[metric] for figures in self.seeds[label]]
        return (max(values) - min(values)) / 2

    @property
    def rows(self) -> list[Row]:
        """Those that have figures, in the paper's order."""
        return [row for row in self.table.rows if row.label in self.seeds]

    def ratio(self, label: str, metric: str) -> float | None:
        """Our figure over that of the reference row; None before that one has any."""
        if self.table.reference not in self.seeds:
            return None
        return self.mean(label, metric) / self.mean(self.table.reference, metric)

    def paper_ratio(self, row: Row, metric: str) -> float | None:
        """The same of the paper; None where it prints none."""
        reference = next(r for r in self.table.rows if r.label == self.table.reference)
        if metric not in row.paper or metric not in reference.paper:
            return None
        return row.paper[metric] / reference.paper[metric]

    def order(self, metric: str) -> Order:
        """How the paper's order of the rows by a metric comes out here; rows that it has equal make no pair."""
        found = [self._agrees(first, second, metric) for first, second in combinations(self.rows, 2)]
        known = [(alike, apart) for alike, apart in found if alike is not None]
        return Order(
            metric=metric,
            pairs=len(known),
            alike=sum(alike for alike, _ in known),
            apart=sum(apart for _, apart in known),
        )

    def _agrees(self, first: Row, second: Row, metric: str) -> tuple[bool | None, bool]:
        """Whether two rows come in the paper's order (None where it has none), and whether seeds leave them apart."""
        better = self._paper_prefers_first(first, second, metric)
        ours = self.mean(first.label, metric) - self.mean(second.label, metric)
        apart = abs(ours) > self.spread(first.label, metric) + self.spread(second.label, metric)
        if better is None:
            return None, apart
        return (ours > 0 if larger_is_better(metric) else ours < 0) is better, apart

    def _paper_prefers_first(self, first: Row, second: Row, metric: str) -> bool | None:
        if metric in first.paper and metric in second.paper:
            difference = first.paper[metric] - second.paper[metric]
            return None if difference == 0 else (difference > 0) is larger_is_better(metric)
        if (first.label, second.label) in self.table.claims:
            return True
        return False if (second.label, first.label) in self.table.claims else None

    def as_json(self) -> dict[str, Any]:
        """Plain data: rows with the paper's figures, ours by seed, their means and ratios; the order by metric."""
        metrics = self.table.metrics
        return {
            "rows": [
                {
                    "label": row.label,
                    "paper": dict(row.paper),
                    "seeds": [dict(figures) for figures in self.seeds[row.label]],
                    "mean": {metric: self.mean(row.label, metric) for metric in metrics},
                    "ratio": {metric: self.ratio(row.label, metric) for metric in metrics},
                    "paper_ratio": {metric: self.paper_ratio(row, metric) for metric in metrics},
                }
                for row in self.rows
            ],
            "order": {metric: vars(self.order(metric)) for metric in metrics},
        }

    def markdown(self) -> str:
        """The table, ours beside the paper's, and a line about the order for each metric."""
        names = [f"{metric} {what}" for metric in self.table.metrics for what in ("paper", "here", "ratios")]
        lines = ["| row | " + " | ".join(names) + " |", "|---|" + "--:|" * len(names)]
        for row in self.rows:
            cells = [cell for metric in self.table.metrics for cell in self._cells(row, metric)]
            lines.append(f"| {row.label} | " + " | ".join(cells) + " |")
        lines.append("| the mean depth map, for scale | " + " | ".join(self._mean_map()) + " |")
        lines += ["", f"Ratios are to the row {self.table.reference!r}, the paper's / ours.", ""]
        return "\n".join([*lines, *(self._sentence(metric) for metric in self.table.metrics)]) + "\n"

    def _cells(self, row: Row, metric: str) -> tuple[str, str, str]:
        paper = f"{row.paper[metric]:.3f}" if metric in row.paper else "-"
        spread = f" ± {self.spread(row.label, metric):.3f}" if len(self.seeds[row.label]) > 1 else ""
        ratios = (self.paper_ratio(row, metric), self.ratio(row.label, metric))
        return (
            paper,
            f"{self.mean(row.label, metric):.3f}{spread}",
            " / ".join("-" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
        )

    def _mean_map(self) -> list[str]:
        """Cells of what a row must beat to have learned more than the average scene."""
        first = self.seeds[self.rows[0].label][0] if self.rows else {}
        known = [first.get(MEAN_MAP + metric) for metric in self.table.metrics]
        return [cell for value in known for cell in ("-", "-" if value is None else f"{value:.3f}", "-")]

    def _sentence(self, metric: str) -> str:
        order = self.order(metric)
        line = f"- {metric}: {order.alike} of {order.pairs} pairs of rows in the paper's order"
        return line + (f"; {order.apart} farther apart than seeds are." if self._several_seeds else ".")

    @property
    def _several_seeds(self) -> bool:
        return any(len(figures) > 1 for figures in self.seeds.values())
