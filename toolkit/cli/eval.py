"""`edgedepth eval`: a bundle's figures on labelled data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edgedepth.cli.common import JSON_HELP, forced_route, print_json, say
from edgedepth.core.errors import InputError

if TYPE_CHECKING:
    from edgedepth.core.routing import Route
    from edgedepth.datasets import DepthDataset, DepthSample
    from edgedepth.evaluation import EvaluationReport, ImageScore, Prediction
    from edgedepth.runtime.depth_runtime import DepthRuntime

PICTURES = 24  # rows of a contact sheet: the worst and the best half


def evaluate(
    data: Annotated[str, typer.Option(help="Labelled data: synth:DIR, pairs:FILE, nyu:DIR or kitti:DIR.")],
    bundle: Annotated[str, typer.Argument(help="Bundle folder or zip, or 'default'.")] = "default",
    protocol: Annotated[
        str | None, typer.Option(help="Protocol of the figures; by default the one usual for the data.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of the data; by default the one to report on.")] = None,
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
    report: Annotated[
        Path | None, typer.Option(help="Folder for table, per-image CSV, plot and pictures of worst and best.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Measure a bundle on labelled data: unaligned first, as a robot gets it, and the baseline beside it.

    Example: edgedepth eval mybundle --data kitti:/data/kitti --protocol kitti-eigen-garg
    """
    from edgedepth.datasets import open_dataset, reader_of
    from edgedepth.evaluation import baselines_of, evaluate_samples, protocol_named
    from edgedepth.evaluation.evaluate import ROUTE_RANGES_M
    from edgedepth.runtime.depth_runtime import DepthRuntime

    reader, _ = reader_of(data)
    chosen_protocol = protocol_named(protocol if protocol is not None else reader.protocol)
    dataset = open_dataset(data, split if split is not None else reader.evaluation_split).limited(limit)
    for note in dataset.notes:
        say(note)
    forced = None if route == "by-sample" else forced_route(route)
    with DepthRuntime.load(bundle, backend=backend, precision=precision, threads=threads) as runtime:
        ranges_m = {r: (runtime.spec(r).min_m, runtime.spec(r).max_m) for r in runtime.routes}
        found = evaluate_samples(
            lambda sample: _predict(runtime, sample, sample_route(sample) if route == "by-sample" else forced),
            _tracked(dataset),
            chosen_protocol,
            alignments=[name.strip() for name in alignment.split(",")],
            baselines=baselines_of(runtime.bundle),
            ranges_m={**ROUTE_RANGES_M, **ranges_m},
        )
        if report is not None:
            _write_report(report, found, dataset, runtime)
        about = {
            "data": data,
            "split": split if split is not None else reader.evaluation_split,
            "route": route,
            "bundle": {"name": runtime.bundle.manifest.name, "digest": runtime.bundle.digest},
            "backend": runtime.backend,
            "precision": runtime.precision,
        }
    if as_json:
        print_json({**found.as_json(), **about, "notes": list(dataset.notes)})
    else:
        _print_table(found, about)


def sample_route(sample: DepthSample) -> Route:
    """The route that the data set gives a sample.

    Raises:
        InputError: it gives none.
    """
    if sample.route is None:
        raise InputError(f"{sample.id} has no route in its data set; use --route auto, low or high")
    return sample.route


def _predict(runtime: DepthRuntime, sample: DepthSample, route: Route | None) -> Prediction:
    from edgedepth.evaluation import Prediction

    result = runtime(sample.image_bgr, camera=sample.camera, route=route)
    return Prediction(result.raw_depth_m, result.route)


def _tracked(dataset: DepthDataset) -> Iterator[DepthSample]:
    """The samples under a progress bar on stderr."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(
        dataset, description="evaluating", total=len(dataset), console=console, disable=not console.is_terminal
    )


def _print_table(report: EvaluationReport, about: dict[str, Any]) -> None:
    """A row per metric and a column per alignment, narrow enough for a terminal of 80 columns."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from edgedepth.evaluation.report import TABLE_METRICS, metric_title

    console = Console()
    where = about["data"] if about["split"] is None else f"{about['data']} ({about['split']})"
    console.print(
        f"[bold]{about['bundle']['name']}[/bold] on {where}, route {about['route']},"
        f" {about['backend']} {about['precision']}",
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


def _write_report(folder: Path, report: EvaluationReport, dataset: DepthDataset, runtime: DepthRuntime) -> None:
    from edgedepth.core.files import write_atomic
    from edgedepth.evaluation.pictures import contact_sheet, plot_errors, save_picture

    write_atomic(folder / "report.md", report.markdown())
    write_atomic(folder / "images.csv", report.csv())
    plot_errors(report, folder / "errors.png")
    ranked = sorted(report.images, key=lambda image: next(iter(image.metrics.values()))["abs_rel"], reverse=True)
    half = min(PICTURES // 2, (len(ranked) + 1) // 2)
    for name, scores in (("worst.jpg", ranked[:half]), ("best.jpg", ranked[::-1][:half])):
        save_picture(folder / name, contact_sheet(list(_picture_rows(scores, dataset, runtime))))
    say(f"report in {folder}")


def _picture_rows(scores: Iterable[ImageScore], dataset: DepthDataset, runtime: DepthRuntime) -> Iterator[Any]:
    """The images of some scores run again, so that no picture is kept in memory while figures are taken."""
    from edgedepth.evaluation.evaluate import ROUTE_RANGES_M
    from edgedepth.evaluation.pictures import comparison

    entries = {entry.info.id: entry for entry in dataset.entries}
    for score in scores:
        sample = entries[score.id].load()
        result = runtime(sample.image_bgr, camera=sample.camera, route=score.route)
        abs_rel = next(iter(score.metrics.values()))["abs_rel"]
        caption = f"{score.id}  {result.route}  abs_rel {abs_rel:.3f}"
        yield comparison(sample.image_bgr, sample.depth_m, result.raw_depth_m, ROUTE_RANGES_M[result.route], caption)
