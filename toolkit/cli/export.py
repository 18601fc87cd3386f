"""`edgedepth export`: networks to a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
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
    from edgedepth.datasets.sample import SampleInfo
    from edgedepth.export.bundle_export import ExportReport
    from edgedepth.export.request import BundleRequest
    from edgedepth.export.validation import ValidationData


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
    """Export networks to a bundle of checked ONNX graphs.

    Examples:
    edgedepth export my.safetensors --fp16 --int8 --calib drive.mp4 --size 320x256 -o mybundle;
    edgedepth export --module nets/mine.py:make --spec mine.toml --fp16 --validate nyu:DIR -o mine
    """
    sizes = _sizes(size)
    order = _Order(
        sources=tuple(source or (() if module else ("default",))),
        coarse=coarse,
        module=module,
        spec=spec,
        validate=validate,
        calib=calib if int8 else None,
        calibration=_calibration(budget, explain) if int8 else None,
        engines=not no_engines,
        options={
            "precisions": ("fp32", "fp16") if fp16 else ("fp32",),
            "backends": _backends(backend or []),
            "dynamic": dynamic,
            "golden": _golden(golden or []),
            "half_storage": small,
        },
    )
    made = []
    for input_wh in sizes:
        folder = output if len(sizes) == 1 or input_wh is None else output / f"{input_wh[0]}x{input_wh[1]}"
        label = name or (output.resolve().name if folder is output else f"{output.resolve().name}-{folder.name}")
        made.append(order.fill(folder, label, input_wh))
        if not as_json:
            made[-1].tell(explain)
    if as_json:
        described = [bundle.describe() for bundle in made]
        print_json(described[0] if len(sizes) == 1 else {"bundles": described})


@dataclass(frozen=True, kw_only=True)
class _Order:
    """What the command line asked for, whatever the size; `options` are fields of `BundleRequest`."""

    sources: tuple[str, ...]
    coarse: str | None
    module: str | None
    spec: Path | None
    validate: str | None
    calib: str | None
    calibration: CalibrationConfig | None
    engines: bool
    options: dict[str, Any]

    def fill(self, folder: Path, name: str, input_wh: tuple[int, int] | None) -> _Made:
        """Write, calibrate and build one bundle."""
        from edgedepth.cli.build import build_for_this_machine

        report = self._export(folder, {**self.options, "name": name, "input_wh": input_wh})
        calibration = None
        if self.calib is not None and self.calibration is not None:
            calibration = _calibrate(report, self.calib, self.calibration)
        return _Made(report, calibration, build_for_this_machine(folder) if self.engines else [])

    def _export(self, folder: Path, request: dict[str, Any]) -> ExportReport:
        from rich.console import Console

        from edgedepth.core.errors import require

        for package in ("torch", "onnx", "onnxscript", "safetensors"):
            require(package, extra="export")
        from edgedepth.export.bundle_export import export_bundle
        from edgedepth.export.request import BundleRequest
        from edgedepth.export.sources import resolve_sources

        with Console(stderr=True).status("loading checkpoints") as status:
            found = resolve_sources(self.sources, self.coarse, module=self.module, spec=self.spec)
            whole = BundleRequest(
                depth=found.depth,
                router=found.router,
                rule=found.rule,
                baselines=found.baselines,
                notify=status.update,
                **request,
            )
            if self.validate is not None:
                status.update(f"opening {self.validate}")
                whole = replace(whole, validation=validation_data(self.validate, whole))
            return export_bundle(whole, folder)


@dataclass(frozen=True)
class _Made:
    """One written bundle, what calibration said, and lines about engines."""

    report: ExportReport
    calibration: CalibrationReport | None
    engines: Sequence[str]

    def tell(self, explain: bool) -> None:
        """Say on stderr what was done and measured."""
        for network, passes in self.report.passes.items():
            fired = ", ".join(f"{entry.name} {len(entry.fired)}x" for entry in passes if entry.fired)
            say(f"{network}: rewrites {fired or 'none'}")
            if explain:
                for entry in passes:
                    say(f"  {entry}".replace("\n", "\n  "))
        for network, tensors in self.report.unfit.items():
            if tensors:
                say(f"{network}: {len(tensors)} tensors do not fit float16 and stay float32: {', '.join(tensors[:5])}")
        for route, exported in self.report.bundle.manifest.networks.items():
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
        for line in [] if self.calibration is None else self.calibration.lines(explain=explain):
            say(line)
        say(f"wrote {self.report.bundle.folder}")
        for line in self.engines:
            say(line)

    def describe(self) -> dict[str, Any]:
        """The same as plain data."""
        return _describe(self.report, self.calibration)


# Samples per route that every graph is scored on: the original, the plain graph, and each precision and form.
_VALIDATION_IMAGES = 64


def validation_data(name: str, request: BundleRequest) -> ValidationData:
    """Labelled samples for each route: of a data set `kind:path`, or rendered for "world".

    Raises:
        InputError: the data cannot be read, or have no sample of a route.
    """
    from edgedepth.datasets import DepthDataset, open_dataset, reader_of
    from edgedepth.export.validation import ValidationData

    samples: dict[Route, DepthDataset] = {}
    for route, network in request.depth.items():
        if name == "world":
            from edgedepth.calibration.world_frames import world_dataset

            found = world_dataset(route, request.input_wh or network.spec.input_wh, frames=_VALIDATION_IMAGES)
        else:
            reader, _ = reader_of(name)
            found = open_dataset(name, reader.evaluation_split)
        kept = found.where(partial(_is_of, route)).limited(_VALIDATION_IMAGES)
        if not len(kept):
            raise InputError(f"{name} has no sample of the route {route}; validate on other data")
        samples[route] = kept
    return ValidationData(data=name, samples=samples)


def _is_of(route: Route, sample: SampleInfo) -> bool:
    return sample.route in (None, route)


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


def _calibrate(report: ExportReport, source: str, config: CalibrationConfig) -> CalibrationReport:
    from edgedepth.cli.calibrate import run_calibration

    return run_calibration(report.bundle.folder, source, config)


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
