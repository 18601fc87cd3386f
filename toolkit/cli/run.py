"""`edgedepth run`: metric depth of a video, photos or a camera."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgedepth.cli.common import JSON_HELP, parse_camera, parse_route, print_json, say

if TYPE_CHECKING:
    from edgedepth.core.results import DepthResult
    from edgedepth.io.frames import Source
    from edgedepth.runtime.depth_runtime import DepthRuntime
    from edgedepth.runtime.streaming import StreamReport


def run(
    source: Annotated[
        str, typer.Argument(help="Video file, image, folder, quoted glob, camera index or /dev/videoN.")
    ],
    bundle: Annotated[str, typer.Option("--bundle", "-b", help="Bundle folder or zip, or 'default'.")] = "default",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the outputs; a new runs/depth/N if not given.")
    ] = None,
    save: Annotated[str, typer.Option(help="What to write, of video,png16,npz,ply; 'none' for run.json only.")] = "video",
    route: Annotated[str, typer.Option(help="auto lets the router decide; low or high forces a route.")] = "auto",
    backend: Annotated[str, typer.Option(help="Backend by name (see edgedepth doctor), or auto.")] = "auto",
    precision: Annotated[str, typer.Option(help="fp32, fp16 or int8 as the bundle has them, or auto.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of a CPU backend.")] = None,
    max_frames: Annotated[int | None, typer.Option(min=1, help="Stop after this many frames.")] = None,
    colormap: Annotated[str, typer.Option(help="Colour map of the depth pictures.")] = "turbo",
    colour_range: Annotated[
        tuple[float, float] | None,
        typer.Option("--range", metavar="MIN MAX", help="Metres that the colours span; fixed, so nothing flickers."),
    ] = None,
    camera: Annotated[
        str | None, typer.Option(help="Intrinsics: fx,fy,cx,cy in pixels of the source, or a JSON file.")
    ] = None,
    confidence: Annotated[bool, typer.Option("--confidence", help="Also answer confidence (npz).")] = False,
    show: Annotated[bool, typer.Option("--show", help="Show the picture in a window while running.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Run a source through the near/far router and the depth network of its range.

    Example: edgedepth run video.mp4 --save video,png16
    """
    from edgedepth.core.colour import ColourScale
    from edgedepth.io.sinks import open_sinks, run_folder
    from edgedepth.io.sources import open_source
    from edgedepth.runtime.depth_runtime import DepthRuntime
    from edgedepth.runtime.streaming import StreamOptions, run_stream, write_report

    forced = parse_route(route)
    names = [] if save == "none" else [name.strip() for name in save.split(",") if name.strip()]
    with (
        open_source(source) as opened,
        DepthRuntime.load(bundle, backend=backend, precision=precision, threads=threads) as runtime,
    ):
        folder = run_folder() if output is None else output
        scale = ColourScale.fixed(colour_range, colormap) if colour_range else _default_scale(runtime, colormap)
        sinks = open_sinks(names, folder, source=opened, scale=scale, show=show)
        options = StreamOptions(
            camera=None if camera is None else _camera_for(opened, camera),
            route=forced,
            confidence=confidence,
            max_frames=max_frames,
        )
        with _progress(opened, max_frames) as on_frame:
            report = run_stream(runtime, opened, sinks, options, on_frame)
        write_report(report, folder / "run.json")
    report.outputs.append(str(folder / "run.json"))
    _finish(report, folder, as_json)
