"""Tables that `edgedepth reproduce` repeated, put into the page about the papers.

    python benchmarks/paper_tables.py runs/reproduce/* --write docs/papers.md

Each folder holds the `results.json` of one table. A table stands between the marks of its name, such as
`<!-- papers/1:table6 -->`, with its budget and how many of its rows beat the mean depth map.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pages import write_section

from edgedepth.trainers.papers.comparison import MEAN_MAP, Comparison, larger_is_better
from edgedepth.trainers.papers.tables import table_named


def section(results: dict[str, Any]) -> Iterator[str]:
    """Budget, table, order, and rows that know more than the average scene."""
    budget = results["budget"]
    table = table_named(budget["table"])
    comparison = Comparison(table, {row["label"]: row["seeds"] for row in results["rows"]})
    networks = "whole" if budget["networks"] == "full" else ", ".join(f"{k}={v}" for k, v in budget["networks"].items())
    seeds = min(len(row["seeds"]) for row in results["rows"])
    yield (
        f"{budget['steps']} steps of {budget['batch']} frames at {budget['size'][0]}x{budget['size'][1]}, networks:"
        f" {networks}; {budget['test_images']} test frames of each world, {seeds} seed{'s' if seeds > 1 else ''}."
    )
    yield ""
    yield from comparison.markdown().rstrip().splitlines()
    for metric in table.metrics:
        better = _better_than_the_mean_map(comparison, metric)
        yield f"- {metric}: {len(better)} of {len(comparison.rows)} rows better than the mean depth map."


def _better_than_the_mean_map(comparison: Comparison, metric: str) -> list[str]:
    sign = 1 if larger_is_better(metric) else -1
    return [
        row.label
        for row in comparison.rows
        if sign * (comparison.mean(row.label, metric) - comparison.mean(row.label, MEAN_MAP + metric)) > 0
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the sections of all folders, and write them into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of `edgedepth reproduce`")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into the page, between their marks")
    given = parser.parse_args(arguments)
    for folder in given.folders:
        results = json.loads((folder / "results.json").read_text())
        lines = list(section(results))
        print(f"{results['budget']['table']}\n\n" + "\n".join(lines) + "\n")
        if given.write is not None:
            write_section(given.write, results["budget"]["table"], lines)


if __name__ == "__main__":
    main()
