"""`edgedepth bench`: how fast a bundle runs here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgedepth.cli.common import JSON_HELP, print_json, say
from edgedepth.core.spec import parse_size

if TYPE_CHECKING:
    from edgedepth.core.bundle import Bundle
    from edgedepth.runtime.bench import BenchReport


def bench(
    bundle: Annotated[str, typer.Argument(help="Bundle folder or zip, or 'default'.")] = "default",
    backend: Annotated[
        list[str] | None, typer.Option(help="Backend to time; repeat for more. All that work here if not given.")
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option(help="Precision to time; repeat for more. All of the bundle, and bf16 in openvino, if not given."),
    ] = None,
    frame: Annotated[str, typer.Option(metavar="WxH", help="Size of the camera's frames.")] = "1280x720",
    rounds: Annotated[int, typer.Option(min=1, help="Frames per route and setup.")] = 50,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; all cores by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Time a bundle's networks on every backend and precision, interleaved, and compare them with the first.

    Example: edgedepth bench mybundle --backend openvino --backend onnxruntime --frame 640x480
    """
    from rich.console import Console

    from edgedepth.core.bundle import Bundle
    from edgedepth.runtime.bench import bench as measure
    from edgedepth.runtime.bench import setups_of

    opened = Bundle.load(bundle)
    setups = setups_of(opened, backend or (), precision or ())
    with Console(stderr=True).status(f"timing {len(setups)} setups"):
        report = measure(opened, setups, frame_wh=parse_size(frame), rounds=rounds, threads=threads)
    if as_json:
        print_json(describe(opened, report))
    else:
        _print(report)


def describe(bundle: Bundle, report: BenchReport) -> dict[str, Any]:
    """The report as plain data."""
    return {
        "bundle": {"name": bundle.manifest.name, "digest": bundle.digest},
        "frame_wh": list(report.frame_wh),
        "rounds": report.rounds,
        "rows": [
            {
                "route": row.route.value,
                "backend": row.setup.backend,
                "precision": row.setup.precision,
                "device": row.device,
                "infer_ms": row.infer_ms,
                "frame_ms": row.frame_ms,
                "route_ms": row.route_ms,
                "fps": round(row.fps, 1),
                "speedup": row.speedup,
            }
            for row in report.rows
        ],
        "skipped": [
            {"backend": setup.backend, "precision": setup.precision, "why": why}
            for setup, why in report.skipped.items()
        ],
    }


def _print(report: BenchReport) -> None:
    width, height = report.frame_wh
    print(f"milliseconds per {width}x{height} frame, p50 / p99 of {report.rounds}; the router comes on top, when asked")
    heads = ("route", "backend", "precision", "network", "frame", "fps", "router", "speedup")
    print("{:<6}{:<22}{:<10}{:>16}{:>16}{:>7}{:>8}{:>9}".format(*heads))
    for row in report.rows:
        print(
            f"{row.route.value:<6}{row.setup.backend:<22}{row.setup.precision:<10}{_pair(row.infer_ms):>16}"
            f"{_pair(row.frame_ms):>16}{row.fps:>7.0f}{row.route_ms:>8.1f}{row.speedup:>8.2f}x"
        )
    for setup, why in report.skipped.items():
        say(f"skipped {setup.backend} {setup.precision}: {why}")


def _pair(times_ms: dict[str, float]) -> str:
    return f"{times_ms['p50']:.1f} / {times_ms['p99']:.1f}"
