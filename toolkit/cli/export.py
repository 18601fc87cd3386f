"""`edgedepth export`: checkpoints to a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgedepth.cli.common import JSON_HELP, print_json, say
from edgedepth.core.errors import InputError
from edgedepth.core.routing import Route
from edgedepth.core.spec import parse_size

# Backends for which the export has rewrites that pay nowhere else.
FORM_BACKENDS = ("tensorrt", "onnxruntime")

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgedepth.calibration.calibrate import CalibrationConfig
    from edgedepth.calibration.report import CalibrationReport
    from edgedepth.export.bundle_export import ExportReport


def export(
    source: Annotated[
        list[str] | None,
        typer.Argument(
            help="'default', a network's name, or checkpoint files: one depth network, or two and a classifier."
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the bundle.")] = Path("bundle"),
    name: Annotated[str | None, typer.Option(help="Name of the bundle; the folder's by default.")] = None,
    fp16: Annotated[bool, typer.Option("--fp16", help="Also write typed FP16 graphs.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Also calibrate to INT8; see edgedepth calibrate.")] = False,
    calib: Annotated[
        str, typer.Option(help="Frames for --int8: a video, a folder, kind:path, or 'world' for rendered ones.")
    ] = "world",
    budget: Annotated[
        str | None, typer.Option(help="What --int8 may cost: ABS_REL[,DELTA1]; 0.02,0.005 if not given.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Input size of the depth networks, WxH.")] = None,
    coarse: Annotated[
        str | None,
        typer.Option(help="Route by the largest depth that this depth network sees, not by scene categories."),
    ] = None,
    golden: Annotated[
        list[str] | None,
        typer.Option(help="Frame to check and keep, as low:FILE or high:FILE; may be given often."),
    ] = None,
    small: Annotated[
        bool, typer.Option("--small", help="Store weights as float16 (still computed in float32).")
    ] = False,
    backend: Annotated[
        list[str] | None,
        typer.Option(help="Also write the forms that pay on this backend only, tensorrt or onnxruntime."),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say which rewrites fired and refused.")] = False,
    no_engines: Annotated[
        bool, typer.Option("--no-engines", help="Do not build TensorRT engines, where there are TensorRT and a GPU.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Export checkpoints to a bundle of checked ONNX graphs.

    Example: edgedepth export my.safetensors --fp16 --int8 --calib drive.mp4 --size 320x256 -o mybundle
    """
    from edgedepth.cli.build import build_for_this_machine

    request = {
        "name": name or output.resolve().name,
        "precisions": ("fp32", "fp16") if fp16 else ("fp32",),
        "backends": _backends(backend or []),
        "input_wh": None if size is None else parse_size(size),
        "golden": _golden(golden or []),
        "half_storage": small,
    }
    config = _calibration(budget, explain) if int8 else None
    report = _export(source or ["default"], coarse, output, request)
    calibration = None if config is None else _calibrate(report, calib, config)
    engines = [] if no_engines else build_for_this_machine(output)
    if as_json:
        print_json(_describe(report, calibration))
        return
    for network, passes in report.passes.items():
        fired = ", ".join(f"{entry.name} {len(entry.fired)}x" for entry in passes if entry.fired)
        say(f"{network}: rewrites {fired or 'none'}")
        if explain:
            for entry in passes:
                say(f"  {entry}".replace("\n", "\n  "))
    for network, tensors in report.unfit.items():
        if tensors:
            say(f"{network}: {len(tensors)} tensors do not fit float16 and stay float32: {', '.join(tensors[:5])}")
    for route, exported in report.bundle.manifest.networks.items():
        for key, parity in exported.parity.items():
            say(
                f"{route}: {exported.network} {key}, {exported.variants[key].bytes / 1e6:.1f} MB, differs from "
                f"torch by {parity.p999_relative:.1e} (99.9th percentile), {parity.max_relative:.1e} (maximum)"
            )
    for line in [] if calibration is None else calibration.lines(explain=explain):
        say(line)
    say(f"wrote {report.bundle.folder}")
    for line in engines:
        say(line)


def _calibration(budget: str | None, explain: bool) -> CalibrationConfig:
    from edgedepth.core.errors import require

    require("onnx", extra="export")
    from edgedepth.calibration.calibrate import CalibrationConfig
    from edgedepth.calibration.guard import Budget

    return CalibrationConfig(budget=Budget() if budget is None else Budget.parse(budget), explain=explain)


def _calibrate(report: ExportReport, source: str, config: CalibrationConfig) -> CalibrationReport:
    from edgedepth.cli.calibrate import run_calibration

    return run_calibration(report.bundle.folder, source, config)


def _export(source: Sequence[str], coarse: str | None, output: Path, request: dict[str, Any]) -> ExportReport:
    from rich.console import Console

    from edgedepth.core.errors import require

    for package in ("torch", "onnx", "onnxscript", "safetensors"):
        require(package, extra="export")
    from edgedepth.export.bundle_export import BundleRequest, export_bundle
    from edgedepth.export.sources import resolve_sources

    with Console(stderr=True).status("loading checkpoints") as status:
        found = resolve_sources(source, coarse)
        whole = BundleRequest(
            depth=found.depth,
            router=found.router,
            rule=found.rule,
            baselines=found.baselines,
            notify=status.update,
            **request,
        )
        return export_bundle(whole, output)


def _backends(names: Sequence[str]) -> tuple[str, ...]:
    from edgedepth.core.errors import UnknownNameError

    for name in names:
        if name not in FORM_BACKENDS:
            raise UnknownNameError.of("backend with a form of its own", name, FORM_BACKENDS)
    return tuple(names)


def _golden(entries: Sequence[str]) -> dict[Route, list[NDArray[np.uint8]]]:
    import cv2

    frames: dict[Route, list[NDArray[np.uint8]]] = {}
    for entry in entries:
        route, _, path = entry.partition(":")
        if route not in {known.value for known in Route} or not path:
            raise InputError(f"--golden is low:FILE or high:FILE, but got {entry!r}")
        frame = cv2.imread(path, cv2.IMREAD_COLOR) if Path(path).is_file() else None
        if frame is None:
            raise InputError(f"--golden {path} is not an image that can be read")
        frames.setdefault(Route(route), []).append(frame.astype("uint8"))
    return frames


def _describe(report: ExportReport, calibration: CalibrationReport | None) -> dict[str, Any]:
    from edgedepth.cli.inspect import describe

    passes = {
        network: [{"name": entry.name, "fired": list(entry.fired), "refused": dict(entry.refused)} for entry in entries]
        for network, entries in report.passes.items()
    }
    bundle = report.bundle if calibration is None else calibration.bundle
    return {
        "bundle": str(bundle.folder),
        **describe(bundle),
        "calibration": None if calibration is None else calibration.as_json(),
        "passes": passes,
        "kept_float32": {network: list(tensors) for network, tensors in report.unfit.items()},
    }
