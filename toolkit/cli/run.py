"""`edgedepth run`: metric depth of a video, photos or a camera."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgedepth.cli.camera import CAMERA_HELP, RECTIFY_HELP, nothing_to_rectify, parse_camera, view_of_source
from edgedepth.cli.common import JSON_HELP, RouteChoice, forced_route, print_json, say

if TYPE_CHECKING:
    from edgedepth.core.colour_range import ColoursOf
    from edgedepth.core.results import DepthResult
    from edgedepth.io.frames import Source
    from edgedepth.runtime.streaming import StreamReport


def run(
    source: Annotated[
        str,
        typer.Argument(
            help="Video, image, folder, quoted glob, camera number or /dev/videoN, rtsp://..., csi://N,"
            " 'gst:PIPELINE', or a recording (drive.mcap, bag:PATH:TOPIC)."
        ),
    ],
    bundle: Annotated[str, typer.Option("--bundle", "-b", help="Bundle folder or zip, or 'default'.")] = "default",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the outputs; a new runs/depth/N if not given.")
    ] = None,
    save: Annotated[str, typer.Option(help="Outputs, of video,png16,npz,ply; 'none' for run.json only.")] = "video",
    route: Annotated[RouteChoice, typer.Option(help="auto lets the router decide; low, high force a route.")] = "auto",
    backend: Annotated[str, typer.Option(help="Backend by name (see edgedepth doctor), or auto.")] = "auto",
    precision: Annotated[
        str, typer.Option(help="fp32, fp16, int8 as the bundle has them, bf16 in openvino, or auto.")
    ] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of a CPU backend.")] = None,
    max_frames: Annotated[int | None, typer.Option(min=1, help="Stop after this many frames.")] = None,
    colormap: Annotated[str, typer.Option(help="Colour map of the depth pictures.")] = "turbo",
    colour_range: Annotated[
        tuple[float, float] | None,
        typer.Option(
            "--range",
            metavar="MIN MAX",
            help="Metres that the colours span; else a photo's own range, in a stream one that grows where it must.",
        ),
    ] = None,
    camera: Annotated[str | None, typer.Option(help=CAMERA_HELP)] = None,
    no_rectify: Annotated[bool, typer.Option("--no-rectify", help=RECTIFY_HELP)] = False,
    steady: Annotated[
        float,
        typer.Option(min=0.0, max=0.99, help="Temporal smoothing of what stands still, 0 (off) to 0.99."),
    ] = 0.0,
    upsampling: Annotated[
        Literal["auto", "linear", "guided"],
        typer.Option(
            help="How depth comes to the frame's size: guided takes the picture's edges, linear adds nothing."
        ),
    ] = "auto",
    confidence: Annotated[
        bool, typer.Option("--confidence", help="Also write confidence (npz): probability near the answered depth.")
    ] = False,
    camera_size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="Size that all frames have: TensorRT then resizes them on the GPU."),
    ] = None,
    no_build: Annotated[
        bool, typer.Option("--no-build", help="Fail rather than build an engine that is not in the cache.")
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Show the picture in a window while running.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Run a source through the near/far router and the depth network of its range.

    Example: edgedepth run video.mp4 --save video,png16
    """
    from edgedepth.core.spec import parse_size
    from edgedepth.engines.registry import backend_named
    from edgedepth.io.sinks import check_kinds, open_sinks, run_folder
    from edgedepth.io.sources import open_source
    from edgedepth.runtime.depth_runtime import DepthRuntime
    from edgedepth.runtime.streaming import StreamOptions, StreamReport, run_stream

    given = None if camera is None else parse_camera(camera, rectify=not no_rectify)
    names = _names(save, show)
    check_kinds(names)
    pictures = {"video", "window"} & set(names)
    with (
        open_source(source) as opened,
        DepthRuntime.load(
            bundle,
            backend=backend,
            precision=precision,
            threads=threads,
            frame_wh=None if camera_size is None else parse_size(camera_size),
            build=not no_build,
            upsampling=None if upsampling == "auto" else upsampling,
        ) as runtime,
    ):
        colours = _colours(colour_range, colormap, ordered=opened.ordered)
        folder = run_folder() if output is None else output
        sinks = open_sinks(
            names,
            folder,
            name=opened.name,
            ordered=opened.ordered,
            colours=colours,
            fps=opened.fps,
            max_m=max(runtime.spec(r).max_m for r in runtime.routes),
            photos=opened.photos,
        )
        options = StreamOptions(
            view=given or view_of_source(opened, rectify=not no_rectify),
            route=forced_route(route),
            steady=steady,
            confidence=confidence,
            max_frames=max_frames,
        )
        unused = _unused(
            {
                "--confidence": confidence and "npz" not in names and "is written by npz; add --save npz",
                "--steady": steady > 0 and not opened.ordered and "has no use for photos, which are no stream",
                "--camera-size": camera_size is not None
                and not backend_named(runtime.backend).gpu
                and f"has no use on {runtime.backend}, which resizes any frame on the CPU",
                "--no-rectify": no_rectify
                and nothing_to_rectify(camera, opened)
                and "has no use without a calibration",
                "--range": colour_range is not None and not pictures and "has no use without pictures",
                "--colormap": colormap != "turbo" and not pictures and "has no use without pictures",
            }
        )
        report = StreamReport(source=opened.name, warnings=unused)
        with _reported(report, folder / "run.json", as_json), _progress(opened, max_frames) as on_frame:
            run_stream(runtime, opened, sinks, options, on_frame, report)
    _finish(report, as_json)


def _names(save: str, show: bool) -> list[str]:
    from edgedepth.core.errors import InputError

    names = [] if save == "none" else [name.strip() for name in save.split(",") if name.strip()]
    if not names and save != "none":
        raise InputError(f"--save names no output: {save!r}; for run.json alone it is: --save none")
    return [*names, "window"] if show else names


def _unused(options: dict[str, str | bool]) -> list[str]:
    """A warning for each option that is given and changes nothing, from what is wrong with it, or False."""
    return [f"{option} {fault}" for option, fault in options.items() if fault]


def _colours(colour_range: tuple[float, float] | None, colormap: str, *, ordered: bool) -> ColoursOf:
    from edgedepth.core.colour_range import StreamColours, fixed_colours, photo_colours

    if colour_range is not None:
        return fixed_colours(colour_range, colormap)
    return StreamColours(colormap) if ordered else photo_colours(colormap)


@contextmanager
def _reported(report: StreamReport, path: Path, as_json: bool) -> Iterator[None]:
    """Write run.json at the end of the block; after an error too, and then print the object if it was asked for.

    So it does after a second Ctrl-C, which does not wait for what the first one left to write. Until then it says that
    the run is not finished: where the process is killed, no earlier run's report is left to be taken for this one's.
    """
    from edgedepth.core.errors import OutputError
    from edgedepth.runtime.streaming import write_report

    try:
        write_report(replace(report, error="not finished: the run is going on, or it was killed"), path)
        yield
        _write(report, path)
    except (Exception, KeyboardInterrupt) as error:
        report.fail(error)
        with suppress(OutputError):  # a full disk has no room for the report either
            _write(report, path)
        if as_json:
            print_json(report.as_dict())
        raise


def _write(report: StreamReport, path: Path) -> None:
    """Write the report, itself among the outputs."""
    from edgedepth.runtime.streaming import write_report

    report.outputs.append(str(path))
    try:
        write_report(report, path)
    except Exception:
        report.outputs.remove(str(path))
        raise


@contextmanager
def _progress(source: Source, max_frames: int | None) -> Iterator[Callable[[StreamReport, DepthResult], None]]:
    """A progress bar with frames per second and the route in force, silent where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    total = source.count if max_frames is None else min(max_frames, source.count or max_frames)
    bar = Progress(
        TextColumn("{task.description}", markup=False),  # a file's name may hold brackets
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[fps]:.1f} fps  route {task.fields[route]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with bar:
        task = bar.add_task(source.name, total=total, fps=0.0, route="-")
        start = time.perf_counter()

        def on_frame(report: StreamReport, result: DepthResult) -> None:
            done = sum(report.routes.values())
            fps = done / (time.perf_counter() - start)
            bar.update(task, completed=done, fps=fps, route=result.route.value)

        yield on_frame


def _finish(report: StreamReport, as_json: bool) -> None:
    """Say what was done, and exit with 130 if it was interrupted."""
    for warning in report.warnings:
        say(f"warning: {warning}")
    data = report.as_dict()
    if as_json:
        print_json(data)
    else:
        low, high = data["routes"]["low"], data["routes"]["high"]
        say(
            f"{data['frames']['written']} frames in metric depth (metres, z), {data['fps']['end_to_end']} fps"
            f" end to end on {data['backend']} ({data['device']}, {data['precision']}); routes: {low} low, {high} high;"
            f" camera {data['camera']}"
        )
        for output in data["outputs"]:
            print(output)
    if report.interrupted:
        say("interrupted: what was written is complete up to here")
        raise typer.Exit(130)
