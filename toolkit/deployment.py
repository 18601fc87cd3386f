"""`edgedepth.deploy`: networks in, a bundle that is ready to run out: export, calibrate, build, check in one call.

>>> import edgedepth
>>> made = edgedepth.deploy("my.safetensors", "mybundle", calib="frames/")     # doctest: +SKIP
>>> made.bundle.manifest.networks["low"].parity                               # doctest: +SKIP

`edgedepth export` is this function with a command line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedepth.core.bundle import Bundle
from edgedepth.core.errors import InputError, require
from edgedepth.core.manifest import NAME_PATTERN
from edgedepth.core.routing import Route

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgedepth.calibration.calibrate import CalibrationConfig
    from edgedepth.calibration.report import CalibrationReport
    from edgedepth.datasets.sample import SampleInfo
    from edgedepth.engines.tensorrt.bundle import BuiltPlan
    from edgedepth.export.bundle_export import ExportReport
    from edgedepth.export.request import BundleRequest
    from edgedepth.export.validation import ValidationData
    from edgedepth.runtime.golden import GoldenResult

# Samples per route, at most, that every graph is scored on: the original, the plain graph, each precision and form.
_VALIDATION_IMAGES = 64


class DeployWatcher:
    """What a deployment says while it works; this one keeps silent."""

    def exporting(self, step: str) -> None:
        """A step of the export begins."""

    def calibrating(self, step: str, done: int, total: int) -> None:
        """`done` of `total` of a step of the calibration, 0 where nobody knows how many."""

    def building(self, network: str, phase: str, share: float) -> None:
        """A share, 0 to 1, of a phase of building a network's engine."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What was made: export's report, and as far as they were asked for calibration's, engines and their checks."""

    export: ExportReport
    calibration: CalibrationReport | None
    engines: tuple[BuiltPlan, ...]
    checks: tuple[GoldenResult, ...]

    @property
    def bundle(self) -> Bundle:
        """The finished bundle."""
        return self.export.bundle if self.calibration is None else self.calibration.bundle


def deploy(
    source: str | Path | Sequence[str] = "default",
    output: str | Path = "bundle",
    *,
    name: str | None = None,
    licence: str | None = None,
    input_wh: tuple[int, int] | None = None,
    precisions: Sequence[str] = ("fp32", "fp16"),
    calib: str | None = None,
    calibration: CalibrationConfig | None = None,
    engines: bool = True,
    coarse: str | None = None,
    module: str | None = None,
    spec: str | Path | None = None,
    validate: str | None = None,
    backends: Sequence[str] = (),
    dynamic: bool = False,
    golden: Mapping[Route, Sequence[NDArray[np.uint8]]] | None = None,
    half_storage: bool = False,
    watcher: DeployWatcher | None = None,
) -> Deployment:
    """Make a bundle of networks, ready for this machine.

    source: "default", a network's name, checkpoints, or files of networks from elsewhere: one depth network, or two
        and a classifier. module, spec: a torch network of one's own, see docs/own_networks.md.
    output, name: the bundle's folder and its name, by default the folder's with hyphens for what no name may have.
    licence: of the weights, for whoever is given the bundle; where None, that of the shipped weights, and "unspecified"
        if any others are among them.
    input_wh: another input size for the depth networks.
    precisions: of "fp32" (always made) and "fp16".
    calib: frames to calibrate INT8 on: anything `edgedepth run` reads, `kind:path`, or "world"; None leaves INT8 out.
        `calibration` says how.
    engines: build and check TensorRT engines, where TensorRT and a GPU are there and sizes are fixed.
    coarse: a depth network that routes by the largest depth it sees, instead of scene categories.
    validate: labelled data, `kind:path` or "world", that every graph is scored on and held to.
    backends, dynamic, golden, half_storage: see `edgedepth.export.request.BundleRequest`.

    Raises:
        InputError: the sources do not make a bundle, or data cannot be read.
        ParityError: a graph differs from its network by more than the limits.
        BackendError: an engine cannot be built, or computes something else than the network.
    """
    for package in ("torch", "onnx", "onnxscript", "safetensors"):
        require(package, extra="export")
    named = bundle_name(name, Path(output))
    watching = watcher or DeployWatcher()
    sources = (str(source),) if isinstance(source, (str, Path)) else tuple(source)
    if module is not None and sources == ("default",):
        sources = ()
    if calib is not None:
        from edgedepth.calibration.frames import check_source

        check_source(calib)  # a folder's earlier bundle is replaced once the new one is exported
    exported = _export(
        sources,
        Path(output),
        watching,
        coarse=coarse,
        module=module,
        spec=None if spec is None else Path(spec),
        validate=validate,
        licence=licence,
        request={
            "name": named,
            "input_wh": input_wh,
            "precisions": tuple(precisions),
            "backends": tuple(backends),
            "dynamic": dynamic,
            "golden": golden or {},
            "half_storage": half_storage,
        },
    )
    calibrated = None if calib is None else _calibrate(exported.bundle, calib, calibration, watching)
    # an engine of open size needs ranges of sizes (BuildConfig.profiles), which nobody has told
    plans, checks = _build(exported.bundle.folder, watching) if engines and not dynamic else ([], [])
    return Deployment(export=exported, calibration=calibrated, engines=tuple(plans), checks=tuple(checks))


def bundle_name(name: str | None, folder: Path) -> str:
    """The name given, or one made of the folder's, in which what names must not have becomes a hyphen.

    Raises:
        InputError: the name given has other letters than names may have.
    """
    if name is None:
        return re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-") or "bundle"
    if not re.fullmatch(NAME_PATTERN, name):
        raise InputError(f"a bundle's name is made of letters, digits, '.', '_' and '-', but got {name!r}")
    return name


def _export(
    sources: tuple[str, ...],
    folder: Path,
    watcher: DeployWatcher,
    *,
    coarse: str | None,
    module: str | None,
    spec: Path | None,
    validate: str | None,
    licence: str | None,
    request: dict[str, Any],
) -> ExportReport:
    from edgedepth.export.bundle_export import export_bundle
    from edgedepth.export.request import BundleRequest
    from edgedepth.export.sources import resolve_sources

    watcher.exporting("loading checkpoints")
    found = resolve_sources(sources, coarse, module=module, spec=spec)
    whole = BundleRequest(
        depth=found.depth,
        router=found.router,
        rule=found.rule,
        baselines=found.baselines,
        licence=licence or found.licence or BundleRequest.licence,
        notify=watcher.exporting,
        **request,
    )
    if validate is not None:
        watcher.exporting(f"opening {validate}")
        whole = replace(whole, validation=validation_data(validate, whole))
    return export_bundle(whole, folder)


def validation_data(name: str, request: BundleRequest) -> ValidationData:
    """Labelled samples for each route: of a data set `kind:path`, or rendered for "world".

    Raises:
        InputError: the data cannot be read, or have no sample of a route.
    """
    from edgedepth.datasets import DepthDataset, open_for_evaluation
    from edgedepth.export.validation import ValidationData

    samples: dict[Route, DepthDataset] = {}
    for route, network in request.depth.items():
        if name == "world":
            from edgedepth.calibration.world_frames import validation_dataset

            found = validation_dataset(route, request.input_wh or network.spec.input_wh)
        else:
            found, _ = open_for_evaluation(name)
        kept = found.where(partial(_is_of, route)).limited(_VALIDATION_IMAGES)
        if not len(kept):
            raise InputError(f"{name} has no sample of the route {route}; validate on other data")
        samples[route] = kept
    return ValidationData(data=name, samples=samples)


def _is_of(route: Route, sample: SampleInfo) -> bool:
    return sample.route in (None, route)


def _calibrate(
    bundle: Bundle, source: str, config: CalibrationConfig | None, watcher: DeployWatcher
) -> CalibrationReport:
    from edgedepth.calibration.calibrate import calibrate_bundle

    return calibrate_bundle(bundle.folder, source, config=config, progress=watcher.calibrating)


def _build(folder: Path, watcher: DeployWatcher) -> tuple[list[BuiltPlan], list[GoldenResult]]:
    from edgedepth.engines.tensorrt.bundle import build_for_this_machine
    from edgedepth.runtime.golden import check_built

    bundle = Bundle.load(folder)
    built = build_for_this_machine(bundle, report=watcher.building)
    return built, check_built(bundle, built) if bundle.manifest.golden else []
