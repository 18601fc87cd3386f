"""The INT8 file of one network for one backend: made, held against its budget, mixed where it must be, and timed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from edgedepth.calibration.config import CalibrationConfig
from edgedepth.calibration.frames import CheckFrame, RouteFrames
from edgedepth.calibration.guard import Mix, Score, Sensitivity, answer_of, astray, score, search, sensitivities, sweep
from edgedepth.calibration.layers import share_of_macs
from edgedepth.calibration.qdq import Form, quantisable
from edgedepth.calibration.recipe import int8_model
from edgedepth.calibration.record import CalibrationRecord
from edgedepth.calibration.report import BackendReport
from edgedepth.calibration.speed import Timing, compare_speed
from edgedepth.calibration.switchboard import Switchboard
from edgedepth.core.files import write_atomic
from edgedepth.core.manifest import GoldenLimits
from edgedepth.engines import open_session
from edgedepth.export.passes.graph import Graph

_AUDITED = 4  # frames that FP16's range is checked on


@dataclass(frozen=True, kw_only=True)
class Int8Job:
    """A network to make INT8 files of, and what they are held against.

    fp32: its file. base: the FP32 graph that the calibration is of, which is another if that equalises.
    frames: with the truth that the budget is about. golden: the bundle's own frames with FP32's answers, and limits to
        how far INT8 may be from those.
    """

    name: str
    fp32: Path
    base: onnx.ModelProto
    record: CalibrationRecord
    frames: RouteFrames
    labelled: bool
    golden: tuple[CheckFrame, ...]
    limits: GoldenLimits
    config: CalibrationConfig


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A file with some layers kept in floating point, and what was found of it.

    astray: how it fails on the golden frames, in words; empty if it does not.
    """

    data: bytes
    kept_float: tuple[str, ...]
    score: Score
    astray: str
    timing: Timing | None


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """What the switchboard told: every layer's cost alone, the mixes tried, and the file that came of the search."""

    sensitivities: tuple[Sensitivity, ...] = ()
    mixes: tuple[Mix, ...] = ()
    candidate: Candidate | None = None


def make_backend_file(
    job: Int8Job, backend: str, floats: Mapping[str, Path], *, available: bool
) -> tuple[bytes, BackendReport]:
    """The best INT8 file that holds the budget, or the one with every layer in INT8 where none does; and the verdict.

    floats: the floating-point files that it must beat, FP32 first. available: whether the backend is installed here;
        otherwise onnxruntime scores in its stead, and nothing is timed.
    """
    with tempfile.TemporaryDirectory() as folder:
        maker = _Maker(
            job=job,
            backend=backend,
            runner=backend if available else "onnxruntime",
            floats=floats,
            path=Path(folder) / "int8.onnx",
        )
        return maker.run()


@dataclass(frozen=True, kw_only=True)
class _Maker:
    job: Int8Job
    backend: str
    runner: str
    floats: Mapping[str, Path]
    path: Path

    @property
    def _form(self) -> Form:
        return self.job.config.form(self.backend)

    def run(self) -> tuple[bytes, BackendReport]:
        with open_session(self.job.fp32, self.runner) as session:
            fp32 = score(answer_of(session), self.job.frames.check)
        full = self.make(())
        fits = self.fits(fp32, full.score)
        explored = Exploration()
        graph = Graph(self.job.base)
        quantised = quantisable(graph, self._form)
        # frames of another kind are no fault of a few layers: no mix is searched for those
        wanted = not fits and not full.astray
        if quantised and (wanted or self.job.config.explain):
            explored = self.explore(fp32, search_mix=wanted)
        best = explored.candidate or full
        layers = [layer for layer in quantised if layer.name not in best.kept_float]
        return best.data, BackendReport(
            backend=self.backend,
            measured_on=self.runner,
            fp32=fp32,
            full=full.score,
            full_timing=full.timing,
            int8=best.score,
            timing=best.timing,
            within_budget=self.fits(fp32, best.score),
            astray=best.astray,
            kept_float=best.kept_float,
            int8_layers=len(layers),
            int8_macs=share_of_macs(layers, graph),
            mixes=explored.mixes,
            sensitivities=explored.sensitivities,
        )

    def explore(self, fp32: Score, *, search_mix: bool) -> Exploration:
        """Ask the switchboard what each layer costs, and search the mix that holds the budget."""
        job, check = self.job, self.job.frames.check
        layers = quantisable(Graph(job.base), self._form)
        ranges, means = job.record.chosen(), job.record.means
        mixes: Sequence[Mix] = ()
        candidate = None
        with Switchboard(job.base, layers, ranges, self._form, means) as board:
            found = sensitivities(board, check)
            order = [entry.layer.name for entry in found]
            if search_mix:
                mix, mixes = search(board, check, order, lambda mixed: self.fits(fp32, mixed))
                candidate = None if mix is None else self.settle(fp32, mix.kept_float, order)
            if job.config.explain:
                mixes = sweep(board, check, order)
        return Exploration(sensitivities=tuple(found), mixes=tuple(mixes), candidate=candidate)

    def settle(self, fp32: Score, kept: Sequence[str], order: Sequence[str]) -> Candidate:
        """The file of a mix, with more layers kept where it needs them.

        The switchboard rounds nothing but layers, so the file itself has the last word.
        """
        most = len(order) - 1
        candidate = self.make(kept)
        while not self.fits(fp32, candidate.score) and len(kept) < most:
            kept = order[: min(most, len(kept) + max(1, len(kept) // 2))]
            candidate = self.make(kept)
        return candidate

    def make(self, kept: Sequence[str]) -> Candidate:
        """Write the file with these layers in floating point, score it and time it."""
        job = self.job
        audit = job.frames.observed[:_AUDITED]
        model = int8_model(job.base, job.record, self._form, keep=kept, audit=audit)
        data = model.SerializeToString()
        write_atomic(self.path, data)
        with open_session(self.path, self.runner) as session:
            answer = answer_of(session)
            found = score(answer, job.frames.check)
            fault = astray(answer, job.golden, job.limits)
        return Candidate(data=data, kept_float=tuple(kept), score=found, astray=fault, timing=self._time())

    def _time(self) -> Timing | None:
        """This file against the floating-point ones, on the backend itself; None where that cannot be run here."""
        if self.runner != self.backend:
            return None
        files = {**self.floats, "int8": self.path}
        return compare_speed(files, self.backend, self.job.frames.check[0].image)

    def fits(self, fp32: Score, int8: Score) -> bool:
        """Whether the budget holds."""
        return self.job.config.budget.holds(fp32, int8, labelled=self.job.labelled)
