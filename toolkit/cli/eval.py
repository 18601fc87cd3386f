"""`edgedepth eval`: figures of a bundle, a checkpoint or a folder of predictions on labelled data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edgedepth.cli.common import JSON_HELP, forced_route, plain_console, print_json, say
from edgedepth.cli.eval_report import check_report, write_report
from edgedepth.cli.eval_subject import SubjectOptions, open_subject
from edgedepth.core.errors import InputError

if TYPE_CHECKING:
    from edgedepth.core.routing import Route
    from edgedepth.datasets import DepthDataset, DepthSample
    from edgedepth.evaluation import EvaluationReport, Prediction


def evaluate(
    data: Annotated[
        str,
        typer.Option(
            help="Labelled data: synth:DIR, pairs:FILE, nyu:DIR, nyu-fused:DIR, kitti:DIR, kitti-eigen:DIR, scannet:DIR"
            " or synthia:DIR."
        ),
    ],
    bundle: Annotated[
        str,
        typer.Argument(help="Bundle folder or zip, 'default', a .safetensors checkpoint, or a folder of depth maps."),
    ] = "default",
    protocol: Annotated[
        str | None, typer.Option(help="Protocol of the figures; by default the one usual for the data.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split of the data; by default the one to report on, test where samples name it.")
    ] = None,
    route: Annotated[
        Literal["auto", "low", "high", "by-sample"],
        typer.Option(help="auto (the router's choice), low, high, or by-sample (as the data say)."),
    ] = "auto",
    alignment: Annotated[
        str, typer.Option(help="Alignments, joined by commas: none, median, lsq, log_lsq.")
    ] = "none,median,lsq,log_lsq",
    limit: Annotated[int | None, typer.Option(min=1, help="Evaluate this many images, spread evenly.")] = None,
    backend: Annotated[str, typer.Option(help="Inference backend; see edgedepth doctor.")] = "auto",
    precision: Annotated[str, typer.Option(help="Precision of the bundle's files.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; all cores by default.")] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Size of a checkpoint's network; its own if not given.")
    ] = None,
    depth_scale: Annotated[
        float | None, typer.Option(help="Values per metre of PNG predictions, for example 256 or 1000.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Folder for an HTML report, table, JSON, per-image CSV, plot and pictures of worst and best."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Measure depth on labelled data: unaligned first, as a robot gets it, and the baseline beside it.

    Examples:
    edgedepth eval mybundle --data kitti:/data/kitti --protocol kitti-eigen-garg;
    edgedepth eval runs/low/edge-low.safetensors --data nyu:/data/nyu --report report/;
    edgedepth eval predictions/ --data nyu:/data/nyu --depth-scale 1000
    """
    from edgedepth.datasets import open_for_evaluation, reader_of
    from edgedepth.evaluation import evaluate_samples, protocol_named
    from edgedepth.evaluation.evaluate import ROUTE_RANGES_M

    reader, _ = reader_of(data)
    asked = None if protocol is None else protocol_named(protocol)  # a mistake is told before data are read
    if report is not None:
        check_report(report)
    whole, split = open_for_evaluation(data, split)
    dataset = whole.limited(limit)
    for note in dataset.notes:
        say(note)
    forced = None if route == "by-sample" else forced_route(route)
    options = SubjectOptions(
        backend=backend,
        precision=precision,
        threads=threads,
        size=size,
        depth_scale=depth_scale,
        routed=route != "auto",
    )
    with open_subject(bundle, options) as subject:

        def predict(sample: DepthSample) -> Prediction:
            return subject.predict(sample, sample_route(sample) if route == "by-sample" else forced)

        found = evaluate_samples(
            predict,
            _tracked(dataset),
            asked if asked is not None else protocol_named(reader.protocol_for(split)),
            alignments=[name.strip() for name in alignment.split(",")],
            baselines=subject.baselines,
            ranges_m={**ROUTE_RANGES_M, **subject.ranges_m},
        )
        about = {
            "data": dataset.name,
            "split": split,
            "route": route,
            **subject.about,
        }
        if report is not None:
            write_report(report, subject.name, found, about, dataset, predict)
            say(f"report in {report}")
    if as_json:
        print_json({**found.as_json(), **about, "notes": list(dataset.notes)})
    else:
        _print_table(found, subject.name, about)


def sample_route(sample: DepthSample) -> Route:
    """The route that the data set gives a sample.

    Raises:
        InputError: it gives none.
    """
    if sample.route is None:
        raise InputError(f"{sample.id} has no route in its data set; use --route auto, low or high")
    return sample.route


def _tracked(dataset: DepthDataset) -> Iterator[DepthSample]:
    """The samples under a progress bar on stderr."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(
        dataset, description="evaluating", total=len(dataset), console=console, disable=not console.is_terminal
    )


def _print_table(report: EvaluationReport, name: str, about: dict[str, Any]) -> None:
    """A row per metric and a column per alignment, narrow enough for a terminal of 80 columns."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from edgedepth.evaluation.report import TABLE_METRICS, metric_title

    console = plain_console()
    where = about["data"] if about["split"] is None else f"{about['data']} ({about['split']})"
    console.print(
        Text(name, "bold"),
        f"on {where}, route {about['route']}, {about['backend']} {about['precision']}",
        soft_wrap=True,
    )
    console.print(report.headline(), soft_wrap=True)
    table = Table("", box=box.SIMPLE, title=None if report.baseline is None else "network / baseline")
    for name in report.alignment:
        table.add_column(name, justify="right", no_wrap=True)
    for metric in TABLE_METRICS:
        cells = []
        for name, values in report.alignment.items():
            both = [values] if report.baseline is None else [values, report.baseline[name]]
            cells.append(" / ".join(_short(of[metric]) for of in both))
        table.add_row(metric_title(metric), *cells)
    console.print(table)


def _short(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"
