"""The calibration of one network of a bundle: observed, a recipe chosen, a file per backend made and judged."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import onnx

from edgedepth.calibration.backend_file import Int8Job, make_backend_file
from edgedepth.calibration.config import CalibrationConfig, Progress
from edgedepth.calibration.equalise import apply_scales
from edgedepth.calibration.frames import CheckFrame, RouteFrames, View, at_network_size, with_truth
from edgedepth.calibration.guard import answer_of
from edgedepth.calibration.recipe import Observations, Recipe, RecipeResult, RecipeTrial, best_recipe, try_recipes
from edgedepth.calibration.record import CalibrationRecord
from edgedepth.calibration.report import BackendReport, NetworkReport
from edgedepth.calibration.unpack import unpack
from edgedepth.core.bundle import Bundle, file_entry
from edgedepth.core.files import write_atomic
from edgedepth.core.manifest import DEFAULT_LIMITS, BundleFile, DepthNetwork, Golden, Int8Record
from edgedepth.core.preprocess import BgrFrame
from edgedepth.core.routing import Route
from edgedepth.engines import open_session, probe_all
from edgedepth.io.image_source import read_image


@dataclass(frozen=True, kw_only=True)
class NetworkCalibration:
    """A network of a bundle and the frames to calibrate it on. source: where they are from, in words."""

    bundle: Bundle
    route: Route
    source: str
    frames: RouteFrames
    config: CalibrationConfig
    progress: Progress

    @property
    def _entry(self) -> DepthNetwork:
        return self.bundle.manifest.networks[self.route]

    @property
    def _fp32(self) -> Path:
        return self.bundle.path(self._entry.variants["fp32"])

    def run(self, folder: Path, reused: CalibrationRecord | None) -> tuple[NetworkReport, DepthNetwork]:
        """Calibrate, and write what earned its place into a folder.

        reused: a calibration of this network's FP32 file, instead of observing it again.

        Returns: what was found, and the network's entry of the manifest with its new files.
        """
        available = {name for name, found in probe_all().items() if found.available}
        against_fp32, golden = self._fp32_answers()
        frames = self.frames if self.frames.labelled else against_fp32
        model = unpack(onnx.load(self._fp32))
        results: list[RecipeResult] = []
        if reused is None:
            results, record, base = self._observe(model, frames, against_fp32, available)
        else:
            record, base = reused, apply_scales(model, reused.scales)
        job = Int8Job(
            name=self._entry.network,
            fp32=self._fp32,
            base=base,
            record=record,
            frames=frames,
            labelled=self.frames.labelled,
            golden=golden,
            limits=self.bundle.manifest.limits.get("int8", DEFAULT_LIMITS["int8"]),
            config=self.config,
        )
        entry, reports = self._files(job, folder, available)
        report = NetworkReport(
            route=self.route,
            network=self._entry.network,
            frames=len(frames.observed),
            check_frames=len(frames.check),
            labelled=self.frames.labelled,
            recipe=_name_of(record),
            recipes=tuple(results),
            backends=reports,
        )
        return report, entry

    # -- frames ------------------------------------------------------------------------------------------

    def _fp32_answers(self) -> tuple[RouteFrames, tuple[CheckFrame, ...]]:
        """The check frames with what FP32 answers for truth, and likewise the bundle's own frames of this route."""
        golden = [self._placed(entry) for entry in self.bundle.manifest.golden if entry.route is self.route]
        with open_session(self._fp32, "onnxruntime") as session:
            answer = answer_of(session)
            check = with_truth(self.frames, [answer(frame.image).copy() for frame in self.frames.check])
            return check, tuple(CheckFrame(frame, answer(frame).copy()) for frame in golden)

    def _placed(self, golden: Golden) -> BgrFrame:
        image, _ = read_image(self.bundle.path(golden.frame))
        return at_network_size(View(image), self._entry.spec).image

    # -- steps -------------------------------------------------------------------------------------------

    def _observe(
        self, model: onnx.ModelProto, frames: RouteFrames, against_fp32: RouteFrames, available: set[str]
    ) -> tuple[list[RecipeResult], CalibrationRecord, onnx.ModelProto]:
        """Observe the FP32 graph and choose a recipe: what was tried, its calibration, and the graph that is of."""
        total = 2 * len(frames.observed)
        step = f"observing {self._entry.network}"
        observations = Observations.observe(model, frames, lambda done: self.progress(step, done, total))
        backend = next((name for name in self.config.backends if name in available), self.config.backends[0])
        self.progress(f"comparing recipes for {self._entry.network}", 0, 0)
        with tempfile.TemporaryDirectory() as scratch:
            trial = RecipeTrial(
                form=self.config.form(backend),
                backend=backend if backend in available else "onnxruntime",
                folder=Path(scratch),
                frames=frames,
                against_fp32=against_fp32,
            )
            results = try_recipes(observations, self.config.methods, trial)
        recipe = best_recipe(results).recipe
        record = observations.record(
            recipe,
            network=self._entry.network,
            graph_sha256=self._entry.variants["fp32"].sha256,
            source=self.source,
            frames=frames,
        )
        return results, record, observations.graph_for(recipe).model

    def _files(self, job: Int8Job, folder: Path, available: set[str]) -> tuple[DepthNetwork, tuple[BackendReport, ...]]:
        """Make and judge a file per backend; keep those that earned their place, and the calibration file."""
        stem = Path(self._entry.variants["fp32"].file).name.partition(".fp32")[0]
        variants, records = dict(self._entry.variants), dict(self._entry.int8)
        # files of other backends keep the calibration that they were made by
        others = records.keys() - {f"int8@{backend}" for backend in self.config.backends}
        ranges = ".".join([stem, *(self.config.backends if others else ()), "calibration.json"])
        job.record.save(folder / ranges)
        reports = []
        for backend in self.config.backends:
            self.progress(f"checking {job.name} for {backend}", 0, 0)
            key = f"int8@{backend}"
            name = f"{stem}.{key}.onnx"
            data, report = make_backend_file(job, backend, self._floats(backend), available=backend in available)
            variants.pop(key, None)
            if report.accepted:
                write_atomic(folder / name, data)
                variants[key] = file_entry(folder, name)
            records[key] = _int8_record(report, job, file_entry(folder, ranges))
            reports.append(report)
        return self._entry.model_copy(update={"variants": variants, "int8": records}), tuple(reports)

    def _floats(self, backend: str) -> dict[str, Path]:
        """The floating-point files that INT8 must beat on a backend, FP32 first."""
        keys = [key.partition("@") for key in self._entry.variants]
        present = {precision for precision, _, only in keys if only in ("", backend)}
        return {
            precision: self.bundle.path(self._entry.variant(precision, backend))
            for precision in ("fp32", "fp16")
            if precision in present
        }


def _int8_record(report: BackendReport, job: Int8Job, ranges: BundleFile) -> Int8Record:
    return Int8Record(
        ranges=ranges,
        source=job.record.source,
        frames=job.record.frames,
        recipe=_name_of(job.record),
        kept_float=report.kept_float,
        int8_macs=round(report.int8_macs, 4),
        truth="labels" if job.labelled else "fp32",
        check_frames=len(job.frames.check),
        abs_rel=(report.fp32.abs_rel, report.int8.abs_rel),
        delta1=(report.fp32.delta1, report.int8.delta1),
        within_budget=report.within_budget,
        speedup=report.speedup,
        device=None if report.timing is None else report.timing.device,
        accepted=report.accepted,
        why=report.why,
    )


def _name_of(record: CalibrationRecord) -> str:
    return str(Recipe(method=record.method, equalised=bool(record.scales), corrected=bool(record.means)))
