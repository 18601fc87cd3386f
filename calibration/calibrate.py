"""A bundle and a source of frames to INT8 files in the bundle, each measured, and kept only if it earns its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

from edgedepth.calibration.config import CalibrationConfig, Progress, silent
from edgedepth.calibration.frames import Gathered, gather
from edgedepth.calibration.network import NetworkCalibration
from edgedepth.calibration.record import CalibrationRecord
from edgedepth.calibration.report import CalibrationReport, NetworkReport
from edgedepth.core.bundle import Bundle, edited, write_manifest
from edgedepth.core.bundle_install import bring_along, files_to_replace, install
from edgedepth.core.errors import InputError
from edgedepth.core.files import scratch_in
from edgedepth.core.manifest import DepthNetwork
from edgedepth.core.routing import Route
from edgedepth.engines.tensorrt.bundle import current_plans

__all__ = ["CalibrationConfig", "Progress", "calibrate_bundle"]


def calibrate_bundle(
    bundle_folder: str | Path,
    source: str,
    *,
    config: CalibrationConfig | None = None,
    output: str | Path | None = None,
    reuse: Sequence[str | Path] = (),
    progress: Progress = silent,
) -> CalibrationReport:
    """Add INT8 files to a bundle.

    source: frames: anything `edgedepth run` reads, or a labelled data set `kind:path`, whose truth the result is then
        checked against; without labels it is checked against FP32.
    output: folder of the calibrated bundle; None changes the bundle in place, which is whole whenever this is killed.
    reuse: calibration files of an earlier run, one per network, instead of observing again.

    Raises:
        InputError: the source gives no network enough distinct frames, or a calibration file is of other graphs, or
            the bundle's sizes are open.
        BundleError: the bundle is missing, malformed, or cannot be changed in place.
        OutputError: the folder cannot be written.
    """
    chosen = config or CalibrationConfig()
    with edited(bundle_folder, output) as bundle, scratch_in(bundle.folder) as made:
        _refuse_open(bundle)
        records = _records(bundle, reuse)
        gathered = gather(bundle, source, limit=chosen.limit, progress=lambda read: progress("reading frames", read, 0))
        networks, reports = _networks(bundle, gathered, records, chosen, made, progress)
        manifest = bundle.manifest.model_copy(update={"networks": networks})
        manifest = manifest.model_copy(update={"plans": current_plans(bundle, manifest)})
        write_manifest(made, bring_along(manifest, bundle.folder, made))
        install(made, bundle.folder, files_to_replace(bundle.folder))
        changed = Bundle.load(bundle.folder)
    return CalibrationReport(
        bundle=changed, networks=reports, warnings=(*gathered.warnings, *gathered.refused.values())
    )


def _refuse_open(bundle: Bundle) -> None:
    """Refuse networks of open size: what a layer costs, and so what INT8 gains, depends on it."""
    for network in bundle.manifest.networks.values():
        graph = onnx.load(bundle.path(network.variants["fp32"])).graph
        if not all(dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim):
            raise InputError(f"{network.network} takes frames of any size; export it at a fixed one (--size) for INT8")


def _networks(
    bundle: Bundle,
    gathered: Gathered,
    records: Mapping[str, CalibrationRecord],
    config: CalibrationConfig,
    folder: Path,
    progress: Progress,
) -> tuple[dict[Route, DepthNetwork], tuple[NetworkReport, ...]]:
    """Calibrate every network that has frames; its new files lie in `folder`."""
    networks = dict(bundle.manifest.networks)
    reports = []
    for route, frames in gathered.routes.items():
        work = NetworkCalibration(
            bundle=bundle, route=route, source=gathered.source, frames=frames, config=config, progress=progress
        )
        report, networks[route] = work.run(folder, records.get(networks[route].variants["fp32"].sha256))
        reports.append(report)
    return networks, tuple(reports)


def _records(bundle: Bundle, paths: Sequence[str | Path]) -> dict[str, CalibrationRecord]:
    """Calibration files by the sha256 of the FP32 file they are of: two networks of a bundle may have one name."""
    known = {network.variants["fp32"].sha256: network.network for network in bundle.manifest.networks.values()}
    records: dict[str, CalibrationRecord] = {}
    for path in paths:
        record = CalibrationRecord.load(Path(path))
        if record.network not in known.values():
            raise InputError(f"{path} is of {record.network}, but the bundle has {', '.join(sorted(known.values()))}")
        if record.graph_sha256 in records:
            raise InputError(f"{path} is the second calibration file of {record.network}; give one per network")
        if known.get(record.graph_sha256) != record.network:
            raise InputError(
                f"{path} was made for another FP32 file of {record.network} (sha256 differs); calibrate this bundle"
                " again"
            )
        records[record.graph_sha256] = record
    return records
