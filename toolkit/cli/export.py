"""`edgedepth export`: networks to a bundle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgedepth.cli.calibrate import note_source
from edgedepth.cli.common import JSON_HELP, print_json, say
from edgedepth.core.errors import InputError
from edgedepth.core.routing import Route
from edgedepth.core.spec import parse_size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgedepth.calibration.calibrate import CalibrationConfig
    from edgedepth.deployment import Deployment, DeployWatcher


def export(
    source: Annotated[
        list[str] | None,
        typer.Argument(
            help="'default', a network's name, checkpoints, or .toml/.onnx files of networks from elsewhere "
            "(docs/own_networks.md): one depth network, or two and a classifier."
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the bundle.")] = Path("bundle"),
    name: Annotated[str | None, typer.Option(help="Name of the bundle; the folder's by default.")] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence of the weights, for bundle.json; that of the shipped ones is known.")
    ] = None,
    fp16: Annotated[bool, typer.Option("--fp16", help="Also write typed FP16 graphs.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Also calibrate to INT8; see edgedepth calibrate.")] = False,
    calib: Annotated[
        str, typer.Option(help="Frames for --int8: a video, a folder, kind:path, or 'world' for rendered ones.")
    ] = "world",
    budget: Annotated[
        str | None, typer.Option(help="What --int8 may cost: ABS_REL[,DELTA1]; 0.02,0.005 if not given.")
    ] = None,
    module: Annotated[
        str | None, typer.Option(help="A torch network of your own, as package.file:factory or path/file.py:factory.")
    ] = None,
    spec: Annotated[
        Path | None, typer.Option(help="TOML file with the contract of --module or of an ONNX file.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="Input size of the depth networks, WxH; of WxH,WxH,... each makes a bundle OUTPUT/WxH."),
    ] = None,
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="Leave height and width of the depth networks' graphs open.")
    ] = False,
    validate: Annotated[
        str | None,
        typer.Option(help="Labelled data, kind:path or 'world' for rendered: score every graph and record it."),
    ] = None,
    coarse: Annotated[
        str | None,
        typer.Option(help="Route by the largest depth that this depth network sees, not by scene categories."),
    ] = None,
    golden: Annotated[
        list[str] | None,
        typer.Option(help="Golden frame, as low:FILE or high:FILE; up to three each; rendered scenes by default."),
    ] = None,
    small: Annotated[
        bool, typer.Option("--small", help="Store weights as float16 (still computed in float32).")
    ] = False,
    backend: Annotated[
        list[str] | None,
        typer.Option(help="Also write the forms that pay on this backend only, tensorrt, onnxruntime or openvino."),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say which rewrites fired and refused.")] = False,
    no_engines: Annotated[
        bool, typer.Option("--no-engines", help="Do not build TensorRT engines, where there are TensorRT and a GPU.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Export networks to a bundle of checked ONNX graphs.

    Examples:
    edgedepth export my.safetensors --fp16 --int8 --calib drive.mp4 --size 320x256 -o mybundle;
    edgedepth export --module nets/mine.py:make --spec mine.toml --fp16 --validate nyu:DIR -o mine
    """
    from edgedepth.deployment import bundle_name, deploy

    # what is wrong with the call is said first, and alone
    sizes, forms, frames = _sizes(size), _backends(backend or []), _golden(golden or [])
    config = _calibration(budget, explain) if int8 else None
    if int8:
        note_source(calib)
    named = bundle_name(name, output)
    made = []
    for input_wh in sizes:
        folder = output if len(sizes) == 1 or input_wh is None else output / f"{input_wh[0]}x{input_wh[1]}"
        with _watching() as watcher:
            deployment = deploy(
                tuple(source or ("default",)),
                folder,
                name=named if folder is output else f"{named}-{folder.name}",
                licence=licence,
                input_wh=input_wh,
                precisions=("fp32", "fp16") if fp16 else ("fp32",),
                calib=calib if int8 else None,
                calibration=config,
                engines=not no_engines,
                coarse=coarse,
                module=module,
                spec=spec,
                validate=validate,
                backends=forms,
                dynamic=dynamic,
                golden=frames,
                half_storage=small,
                watcher=watcher,
            )
        made.append(deployment)
        if not as_json:
            _tell(deployment, explain)
    if as_json:
        described = [_describe(deployment) for deployment in made]
        print_json(described[0] if len(sizes) == 1 else {"bundles": described})


@contextmanager
def _watching() -> Iterator[DeployWatcher]:
    """One line and bar on stderr for whatever is being done, silent where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from edgedepth.deployment import DeployWatcher

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("loading checkpoints", total=None)

        class Shown(DeployWatcher):
            def exporting(self, step: str) -> None:
                bar.reset(task, description=step, total=None)

            def calibrating(self, step: str, done: int, total: int) -> None:
                bar.update(task, description=step, completed=done, total=total or None)

            def building(self, network: str, phase: str, share: float) -> None:
                bar.update(task, description=f"{network}: {phase[:40]}", completed=share, total=1.0)

        yield Shown()


def _tell(made: Deployment, explain: bool) -> None:
    """Say on stderr what was done and measured."""
    from edgedepth.cli.build import built_line

    for network, passes in made.export.passes.items():
        fired = ", ".join(f"{entry.name} {len(entry.fired)}x" for entry in passes if entry.fired)
        say(f"{network}: rewrites {fired or 'none'}")
        if explain:
            for entry in passes:
                say(f"  {entry}".replace("\n", "\n  "))
    for network, tensors in made.export.unfit.items():
        if tensors:
            say(f"{network}: {len(tensors)} tensors do not fit float16 and stay float32: {', '.join(tensors[:5])}")
    for network, (width, height) in made.export.own_wh.items():
        say(
            f"{network}: its own size is {width}x{height}; unless it was trained at this one (edgedepth train --size),"
            " depth is off, above all in scale"
        )
    for route, exported in made.export.bundle.manifest.networks.items():
        for key, parity in exported.parity.items():
            weight = f", {exported.variants[key].bytes / 1e6:.1f} MB" if key in exported.variants else ""
            say(
                f"{route}: {exported.network} {key}{weight}, differs from {parity.against} by "
                f"{parity.p999_relative:.1e} (99.9th percentile), {parity.max_relative:.1e} (maximum)"
            )
        for key, found in exported.accuracy.items():
            say(
                f"{route}: {exported.network} {key}: abs_rel {found.abs_rel:.4f}, delta1 {found.delta1:.4f} on "
                f"{found.images} images of {found.data}"
            )
    for line in [] if made.calibration is None else made.calibration.lines(explain=explain):
        say(line)
    say(f"wrote {made.export.bundle.folder}")
    for built in made.engines:
        say(built_line(built))
    for check in made.checks:
        say(str(check))


def _sizes(text: str | None) -> tuple[tuple[int, int] | None, ...]:
    if text is None:
        return (None,)
    sizes = tuple(parse_size(part) for part in text.split(","))
    if len(set(sizes)) < len(sizes):
        raise InputError(f"--size names a size twice: {text}")
    return sizes


def _calibration(budget: str | None, explain: bool) -> CalibrationConfig:
    from edgedepth.core.errors import require

    require("onnx", extra="export")
    from edgedepth.calibration.calibrate import CalibrationConfig
    from edgedepth.calibration.guard import Budget

    return CalibrationConfig(budget=Budget() if budget is None else Budget.parse(budget), explain=explain)


def _backends(names: Sequence[str]) -> tuple[str, ...]:
    from edgedepth.core.errors import UnknownNameError, require

    if not names:
        return ()
    require("onnx", extra="export")
    from edgedepth.export.passes.machine import FORM_BACKENDS

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


def _describe(made: Deployment) -> dict[str, Any]:
    from edgedepth.cli.inspect import describe

    passes = {
        network: [{"name": entry.name, "fired": list(entry.fired), "refused": dict(entry.refused)} for entry in entries]
        for network, entries in made.export.passes.items()
    }
    return {
        "bundle": str(made.bundle.folder),
        **describe(made.bundle),
        "calibration": None if made.calibration is None else made.calibration.as_json(),
        "passes": passes,
        "own_size": {network: list(wh) for network, wh in made.export.own_wh.items()},
        "kept_float32": {network: list(tensors) for network, tensors in made.export.unfit.items()},
    }
