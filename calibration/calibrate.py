"""A bundle and a source of frames to INT8 files in the bundle, each measured, and kept only if it earns its place."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx

from edgedepth.calibration.equalise import apply_scales
from edgedepth.calibration.forms import FORMS, form_for
from edgedepth.calibration.frames import Gathered, RouteFrames, gather, with_truth
from edgedepth.calibration.guard import (
    Budget,
    Mix,
    Score,
    Sensitivity,
    answer_of,
    score_file,
    search,
    sensitivities,
    sweep,
)
from edgedepth.calibration.layers import layers_of, share_of_macs
from edgedepth.calibration.qdq import quantisable
from edgedepth.calibration.ranges import METHODS, method_named
from edgedepth.calibration.recipe import Kitchen, Recipe, Trial, Tried, best_recipe, int8_model, try_recipes
from edgedepth.calibration.record import CalibrationRecord
from edgedepth.calibration.report import BackendReport, CalibrationReport, NetworkReport
from edgedepth.calibration.speed import Timing, compare_speed
from edgedepth.calibration.switchboard import Switchboard, switchboard
from edgedepth.calibration.unpack import unpack
from edgedepth.core.bundle import Bundle, editable, file_entry, write_manifest
from edgedepth.core.errors import InputError
from edgedepth.core.files import write_atomic
from edgedepth.core.manifest import DepthNetwork, Int8Record
from edgedepth.core.routing import Route
from edgedepth.engines import open_session, probe_all
from edgedepth.export.passes.graph import Graph

_AUDITED = 4  # frames that FP16's range is checked on

# Step, how much of it is done, and how much there is (0: nobody knows).
Progress = Callable[[str, int, int], object]


def _silent(step: str, done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, kw_only=True)
class CalibrationConfig:
    """How a bundle is calibrated.

    methods: for ranges, of `edgedepth.calibration.ranges.METHODS`; the best on the check frames is taken.
    budget: what INT8 may cost. backends: whose forms are made, of `edgedepth.calibration.forms.FORMS`; the first that
        is installed decides between recipes.
    explain: measure every layer's sensitivity even where the budget holds at once.
    limit: frames kept per network.

    Raises:
        UnknownNameError: a method or backend is unknown.
        InputError: none is given.
    """

    methods: tuple[str, ...] = tuple(METHODS)
    budget: Budget = field(default_factory=Budget)
    backends: tuple[str, ...] = tuple(FORMS)
    explain: bool = False
    limit: int = 256

    def __post_init__(self) -> None:
        if not self.methods or not self.backends:
            raise InputError("a calibration needs at least one method and one backend")
        for method in self.methods:
            method_named(method)
        for backend in self.backends:
            form_for(backend)


def calibrate_bundle(
    bundle_folder: str | Path,
    source: str,
    *,
    config: CalibrationConfig | None = None,
    output: str | Path | None = None,
    reuse: Sequence[str | Path] = (),
    progress: Progress = _silent,
) -> CalibrationReport:
    """Add INT8 files to a bundle.

    source: frames: anything `edgedepth run` reads, or a labelled data set `kind:path`, whose truth the result is then
        checked against; without labels it is checked against FP32.
    output: folder of the calibrated bundle; None changes the bundle in place.
    reuse: calibration files of an earlier run, one per network, instead of observing again.

    Raises:
        InputError: the source gives no network enough distinct frames, or a calibration file is of other graphs.
        BundleError: the bundle is missing, malformed, or cannot be changed in place.
    """
    chosen = config or CalibrationConfig()
    bundle = editable(bundle_folder, output)
    records = _records(reuse)
    gathered = gather(bundle, source, limit=chosen.limit, progress=lambda read: progress("reading frames", read, 0))
    networks = dict(bundle.manifest.networks)
    reports = []
    for route, frames in gathered.routes.items():
        work = _NetworkCalibration(bundle, route, gathered, frames, chosen, progress)
        report, networks[route] = work.run(records.get(networks[route].network))
        reports.append(report)
    manifest = bundle.manifest.model_copy(update={"networks": networks})
    return CalibrationReport(
        bundle=write_manifest(bundle.folder, manifest),
        networks=tuple(reports),
        warnings=(*gathered.warnings, *gathered.refused.values()),
    )


class _NetworkCalibration:
    """The calibration of one network of a bundle, for every backend asked for."""

    def __init__(
        self,
        bundle: Bundle,
        route: Route,
        gathered: Gathered,
        frames: RouteFrames,
        config: CalibrationConfig,
        progress: Progress,
    ) -> None:
        self._bundle = bundle
        self._route = route
        self._entry = bundle.manifest.networks[route]
        self._source = gathered.source
        self._config = config
        self._progress = progress
        self._fp32 = bundle.path(self._entry.variants["fp32"])
        self._labelled = frames.labelled
        self._against = self._against_fp32(frames)
        self._frames = frames if self._labelled else self._against
        self._available = {name for name, found in probe_all().items() if found.available}

    def run(self, reused: CalibrationRecord | None) -> tuple[NetworkReport, DepthNetwork]:
        """Calibrate, guard and write; returns what was found, and the network's entry with its new files."""
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder)
            model = unpack(onnx.load(self._fp32))
            if reused is None:
                tried, record, base = self._observe(model, scratch)
            else:
                self._check(reused)
                tried, record, base = [], reused, apply_scales(model, reused.scales)
            reports = [self._backend(name, record, base, scratch) for name in self._config.backends]
            report = NetworkReport(
                route=self._route,
                network=self._entry.network,
                frames=len(self._frames.observed),
                check_frames=len(self._frames.check),
                labelled=self._labelled,
                recipe=_name_of(record),
                tried=tuple(tried),
                backends=tuple(reports),
            )
            return report, self._entry_with(report, record, scratch)

    # -- steps -------------------------------------------------------------------------------------------

    def _against_fp32(self, frames: RouteFrames) -> RouteFrames:
        """The check frames with what FP32 answers for truth."""
        with open_session(self._fp32, "onnxruntime") as session:
            answer = answer_of(session)
            return with_truth(frames, [answer(frame.image).copy() for frame in frames.check])

    def _observe(self, model: onnx.ModelProto, scratch: Path) -> tuple[list[Tried], CalibrationRecord, onnx.ModelProto]:
        total = 2 * len(self._frames.observed)
        step = f"observing {self._entry.network}"
        kitchen = Kitchen.observe(model, self._frames, lambda done: self._progress(step, done, total))
        backend = next((name for name in self._config.backends if name in self._available), self._config.backends[0])
        self._progress(f"comparing recipes for {self._entry.network}", 0, 0)
        trial = Trial(
            form=form_for(backend),
            backend=self._runner(backend),
            folder=scratch,
            frames=self._frames,
            against_fp32=self._against,
        )
        tried = try_recipes(kitchen, self._config.methods, trial)
        recipe = best_recipe(tried).recipe
        record = kitchen.record(
            recipe,
            network=self._entry.network,
            graph_sha256=self._entry.variants["fp32"].sha256,
            source=self._source,
            frames=self._frames,
        )
        return tried, record, kitchen.observed(recipe).model

    def _check(self, record: CalibrationRecord) -> None:
        if record.graph_sha256 != self._entry.variants["fp32"].sha256:
            raise InputError(
                f"the calibration file of {record.network} was made for another FP32 file (sha256 differs);"
                " calibrate this bundle again"
            )

    def _backend(self, backend: str, record: CalibrationRecord, base: onnx.ModelProto, scratch: Path) -> BackendReport:
        """Make, guard and time one backend's file."""
        self._progress(f"checking {self._entry.network} for {backend}", 0, 0)
        runner = self._runner(backend)
        fp32 = score_file(self._fp32, runner, self._frames.check)
        path = scratch / f"{backend}.onnx"
        everything = quantisable(Graph(base), form_for(backend))
        self._write(path, backend, record, base, ())
        full = score_file(path, runner, self._frames.check)
        full_timing = self._time(backend, path)
        found: list[Sensitivity] = []
        mixes: list[Mix] = []
        kept: tuple[str, ...] | None = ()
        score, timing = full, full_timing
        fits = self._fits(fp32, full)
        if not fits or self._config.explain:
            with self._board(backend, record, base) as board:
                found = sensitivities(board, self._frames.check)
                order = [entry.layer.name for entry in found]
                if not fits:
                    self._progress(f"searching a mix for {self._entry.network}", 0, 0)
                    kept, mixes = self._search(board, order, fp32)
                if self._config.explain:
                    mixes = sweep(board, self._frames.check, order)
            while kept:
                # the switchboard rounds nothing but layers, so the file itself has the last word
                self._write(path, backend, record, base, kept)
                score, timing = score_file(path, runner, self._frames.check), self._time(backend, path)
                fits = self._fits(fp32, score)
                if fits or len(kept) >= len(order) - 1:
                    break
                kept = tuple(order[: min(len(order) - 1, len(kept) + max(1, len(kept) // 2))])
        layers = [layer for layer in everything if layer.name not in (kept or ())]
        return BackendReport(
            backend=backend,
            measured_on=runner,
            fp32=fp32,
            full=full,
            full_timing=full_timing,
            int8=score,
            timing=timing,
            within_budget=fits and kept is not None,
            kept_float=kept or (),
            int8_layers=len(layers),
            int8_macs=share_of_macs(layers, layers_of(Graph(base))),
            mixes=tuple(mixes),
            sensitivities=tuple(found),
        )

    def _search(
        self, board: Switchboard, order: Sequence[str], fp32: Score
    ) -> tuple[tuple[str, ...] | None, list[Mix]]:
        mix, tried = search(board, self._frames.check, order, lambda score: self._fits(fp32, score))
        return (None if mix is None else mix.kept_float), tried

    def _board(self, backend: str, record: CalibrationRecord, base: onnx.ModelProto) -> Switchboard:
        form = form_for(backend)
        layers = quantisable(Graph(base), form)
        board = switchboard(base, layers, record.chosen(), form.activations, record.means)
        return Switchboard(board, layers)

    def _write(
        self, path: Path, backend: str, record: CalibrationRecord, base: onnx.ModelProto, keep: Sequence[str]
    ) -> None:
        audit = self._frames.observed[:_AUDITED]
        model = int8_model(base, record, form_for(backend), keep=keep, audit=audit)
        write_atomic(path, model.SerializeToString())

    def _fits(self, fp32: Score, int8: Score) -> bool:
        return self._config.budget.holds(fp32, int8, labelled=self._labelled)

    def _runner(self, backend: str) -> str:
        """Where a backend's file is scored: on the backend, or by onnxruntime in its stead."""
        return backend if backend in self._available else "onnxruntime"

    def _time(self, backend: str, int8: Path) -> Timing | None:
        """INT8 against the bundle's best floating-point file on this backend; None where it cannot be run here."""
        if backend not in self._available:
            return None
        precisions = [p for p in ("fp32", "fp16") if any(k.partition("@")[0] == p for k in self._entry.variants)]
        files = {p: self._bundle.path(self._entry.variant(p, backend)) for p in precisions}
        return compare_speed({**files, "int8": int8}, backend, self._frames.check[0].image)

    # -- result ------------------------------------------------------------------------------------------

    def _entry_with(self, report: NetworkReport, record: CalibrationRecord, scratch: Path) -> DepthNetwork:
        """Write the files that earned their place and the calibration file; drop earlier ones that did not."""
        folder = self._bundle.folder
        stem = Path(self._entry.variants["fp32"].file).name.partition(".fp32")[0]
        ranges = f"{stem}.calibration.json"
        record.save(folder / ranges)
        variants, records = dict(self._entry.variants), dict(self._entry.int8)
        for entry in report.backends:
            key = f"int8@{entry.backend}"
            name = f"{stem}.{key}.onnx"
            variants.pop(key, None)
            if entry.accepted:
                shutil.copyfile(scratch / f"{entry.backend}.onnx", folder / name)
                variants[key] = file_entry(folder, name)
            records[key] = Int8Record(
                ranges=file_entry(folder, ranges),
                source=record.source,
                frames=record.frames,
                recipe=report.recipe,
                kept_float=entry.kept_float,
                int8_macs=round(entry.int8_macs, 4),
                truth="labels" if self._labelled else "fp32",
                check_frames=report.check_frames,
                abs_rel=(entry.fp32.abs_rel, entry.int8.abs_rel),
                delta1=(entry.fp32.delta1, entry.int8.delta1),
                within_budget=entry.within_budget,
                speedup=entry.speedup,
                device=None if entry.timing is None else entry.timing.device,
                accepted=entry.accepted,
                why=entry.why,
            )
        return self._entry.model_copy(update={"variants": variants, "int8": records})


def _name_of(record: CalibrationRecord) -> str:
    return str(Recipe(method=record.method, equalised=bool(record.scales), corrected=bool(record.means)))


def _records(paths: Sequence[str | Path]) -> dict[str, CalibrationRecord]:
    records = [CalibrationRecord.load(Path(path)) for path in paths]
    return {record.network: record for record in records}
