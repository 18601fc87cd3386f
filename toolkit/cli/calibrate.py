"""`edgedepth calibrate`: INT8 files for a bundle, from your frames, with an accuracy guard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgedepth.cli.common import JSON_HELP, print_json, say

if TYPE_CHECKING:
    from edgedepth.calibration.calibrate import Progress

DEFAULT_SOURCE = "world"


def calibrate(
    bundle: Annotated[str, typer.Argument(help="Bundle folder, or 'default' with -o.")],
    calib: Annotated[
        str,
        typer.Option(help="Frames: a video, a folder, a data set as kind:path, or 'world' for rendered ones."),
    ] = DEFAULT_SOURCE,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the calibrated bundle; in place if not given.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="Only these, of minmax,percentile,entropy,mse; the best on the check frames wins."),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help="ABS_REL[,DELTA1[,DRIFT]]: how much abs_rel may grow (a share of FP32's), delta1 fall, and, on frames "
            "without labels, abs_rel against FP32 be; 0.02,0.005,0.03 if not given."
        ),
    ] = None,
    backend: Annotated[
        str | None, typer.Option(help="Only for these, of openvino,onnxruntime,tensorrt; all if not given.")
    ] = None,
    ranges: Annotated[
        list[Path] | None, typer.Option(help="Calibration file of an earlier run to reuse, one per network.")
    ] = None,
    keep_float: Annotated[
        str | None,
        typer.Option(
            "--float", help="Kinds of layers that stay floating point, of dense,depthwise,first,thin,head,vector."
        ),
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames kept per network.")] = 256,
    explain: Annotated[bool, typer.Option("--explain", help="Measure and print every layer's sensitivity.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="PNG or SVG of accuracy against the share of INT8 work; implies --explain.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Calibrate a bundle to INT8 and keep it only where it holds its accuracy budget and is faster.

    Example: edgedepth calibrate mybundle --calib drive.mp4 --budget 0.02,0.005 --explain
    """
    from edgedepth.core.errors import require

    require("onnx", extra="export")
    from edgedepth.calibration.calibrate import CalibrationConfig, calibrate_bundle
    from edgedepth.calibration.forms import FORMS
    from edgedepth.calibration.guard import Budget
    from edgedepth.calibration.ranges import METHODS
    from edgedepth.calibration.report import check_plot, plot_mixes

    config = CalibrationConfig(
        methods=_names(method, tuple(METHODS)),
        budget=Budget() if budget is None else Budget.parse(budget),
        backends=_names(backend, tuple(FORMS)),
        explain=explain or plot is not None,
        limit=frames,
        float_kinds=_names(keep_float, ()),
    )
    if plot is not None:
        check_plot(plot)
    note_source(calib)
    with _progress() as progress:
        report = calibrate_bundle(bundle, calib, config=config, output=output, reuse=ranges or [], progress=progress)
    if plot is not None:
        plot_mixes(report, plot)
    if as_json:
        print_json(report.as_json())
        return
    for line in report.lines(explain=config.explain):
        say(line)
    say(f"wrote {report.bundle.folder}")


def note_source(source: str) -> None:
    """Say what is better than the rendered frames that are taken where none were given."""
    if source == DEFAULT_SOURCE:
        say("calibrating on rendered frames; frames of your own camera make better ranges (--calib SOURCE)")


def _names(text: str | None, everything: tuple[str, ...]) -> tuple[str, ...]:
    return everything if text is None else tuple(part.strip() for part in text.split(",") if part.strip())


@contextmanager
def _progress() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("reading frames", total=None)
        step = "reading frames"

        def show(now: str, done: int, total: int) -> None:
            nonlocal step
            if now != step:
                bar.reset(task, description=now, total=total or None)
                step = now
            bar.update(task, completed=done, total=total or None)

        yield show
