"""An evaluation as one HTML file that needs nothing beside it: figures, plots and pictures."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

from edgedepth.evaluation.report import TABLE_METRICS, EvaluationReport, metric_title

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1100px; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left; }
tr.baseline td { color: #888; }
img { max-width: 100%; }
"""


def html_report(
    report: EvaluationReport, title: str, about: Mapping[str, object], pictures: Mapping[str, tuple[str, bytes]]
) -> str:
    """The page.

    Args:
        report: the figures.
        title: heading, such as the network's name.
        about: lines that say how the figures came about.
        pictures: caption -> (MIME type, bytes), embedded in the page.
    """
    facts = [[escape(str(name)), escape(str(value))] for name, value in about.items()]
    embedded = [
        f"<h2>{escape(caption)}</h2>\n<img alt='{escape(caption, quote=True)}'"
        f" src='data:{kind};base64,{base64.b64encode(data).decode()}'>"
        for caption, (kind, data) in pictures.items()
    ]
    parts = [
        f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title>",
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>\n<p>{escape(report.headline())}</p>",
        _table(["", ""], facts),
        "<h2>Figures</h2>",
        _figures(report),
        "<h2>By distance</h2>",
        _bands(report),
        *embedded,
        "<h2>Images, the worst first</h2>",
        _images(report),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _figures(report: EvaluationReport) -> str:
    rows = [[name, who, *(f"{values[metric]:.3f}" for metric in TABLE_METRICS)] for name, who, values in report.rows()]
    head = ["alignment", "of", *(metric_title(metric) for metric in TABLE_METRICS)]
    return _table(head, rows, faint=[row[1] == "baseline" for row in rows])


def _bands(report: EvaluationReport) -> str:
    rows = []
    for band in report.bands:
        values = band.errors.values()
        shares = [f"{values[name]:.3f}" for name in ("abs_rel", "mae", "delta1")]
        rows.append([f"{band.from_m:g} to {band.to_m:g} m", f"{band.errors.count}", *shares])
    return _table(["true distance", "pixels", "abs_rel", "mae (m)", "delta1"], rows)


def _images(report: EvaluationReport) -> str:
    name = next(iter(report.alignment))
    ranked = sorted(report.images, key=lambda image: image.metrics[name]["abs_rel"], reverse=True)
    rows = [
        [
            escape(image.id),
            image.route or "",
            *(f"{image.metrics[name][metric]:.3f}" for metric in ("abs_rel", "rmse", "delta1")),
            "" if image.baseline is None else f"{image.baseline[name]['abs_rel']:.3f}",
        ]
        for image in ranked
    ]
    return _table(["image", "route", f"abs_rel ({name})", "rmse (m)", "delta1", "abs_rel of the baseline"], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], faint: Sequence[bool] | None = None) -> str:
    """Cells are HTML already."""
    lines = ["<table>", "<tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>"]
    for number, row in enumerate(rows):
        kind = " class='baseline'" if faint is not None and faint[number] else ""
        lines.append(f"<tr{kind}>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>")
    return "\n".join([*lines, "</table>"])
