"""A recipe is how one INT8 file is made; recipes are compared on the check frames, and the table decides."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from edgedepth.calibration.affine import Range, written
from edgedepth.calibration.bias_correction import correct_biases
from edgedepth.calibration.equalise import equalise
from edgedepth.calibration.frames import RouteFrames
from edgedepth.calibration.guard import Score, answer_of, score_depths
from edgedepth.calibration.layers import Layer, layers_of
from edgedepth.calibration.observe import Progress, Statistics, observe, silent
from edgedepth.calibration.qdq import Form, insert_qdq, quantisable, tensors_to_observe
from edgedepth.calibration.record import CalibrationRecord, all_ranges
from edgedepth.core.files import write_atomic
from edgedepth.core.preprocess import BgrFrame, network_input
from edgedepth.engines import open_session
from edgedepth.export.passes import run_passes
from edgedepth.export.passes.graph import Graph
from edgedepth.export.precision import to_float16
from edgedepth.export.range_audit import audited_float16


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A method for ranges (see `edgedepth.calibration.ranges`), and which corrections are made."""

    method: str
    equalised: bool = False
    corrected: bool = False

    def __str__(self) -> str:
        return " + ".join([self.method, *["equalisation"] * self.equalised, *["bias correction"] * self.corrected])


@dataclass(frozen=True, kw_only=True)
class RecipeResult:
    """A recipe and what it scored with every layer of the form in INT8.

    score: against the truth. drift: against FP32's own answers, which tells recipes apart where the truth's noise does
        not.
    """

    recipe: Recipe
    score: Score
    drift: Score


@dataclass(frozen=True, kw_only=True)
class ObservedGraph:
    """An FP32 graph and what was seen of it: the ranges by tensor and method, and the channel means."""

    model: onnx.ModelProto
    ranges: Mapping[str, Mapping[str, Range]]
    means: Mapping[str, NDArray[np.float64]]
    scales: Mapping[str, list[float]]

    @classmethod
    def of(
        cls, model: onnx.ModelProto, statistics: Mapping[str, Statistics], scales: Mapping[str, list[float]]
    ) -> ObservedGraph:
        """Condense statistics."""
        means = {name: np.asarray(written(seen.channel_mean)) for name, seen in statistics.items()}
        return cls(model=model, ranges=all_ranges(statistics), means=means, scales=scales)


@dataclass(frozen=True, kw_only=True)
class Observations:
    """The graphs and observations of one network that recipes are made from: as it is, and equalised."""

    plain: ObservedGraph
    equalised: ObservedGraph

    @classmethod
    def observe(cls, model: onnx.ModelProto, frames: RouteFrames, progress: Progress = silent) -> Observations:
        """Observe the FP32 graph, equalise it and observe it again; progress counts the frames of both passes."""
        tensors = tensors_to_observe(Graph(model))
        seen = observe(model, frames.observed, tensors, progress=progress)
        balanced, scales = equalise(model, seen)
        first = len(frames.observed)
        again = observe(balanced, frames.observed, tensors, progress=lambda done: progress(first + done))
        return cls(plain=ObservedGraph.of(model, seen, {}), equalised=ObservedGraph.of(balanced, again, scales))

    def graph_for(self, recipe: Recipe) -> ObservedGraph:
        """The graph that a recipe starts from."""
        return self.equalised if recipe.equalised else self.plain

    def layers(self, form: Form) -> tuple[Layer, ...]:
        """What a form quantises; the same with and without equalisation, but for the names of weights."""
        return quantisable(Graph(self.plain.model), form)

    def record(
        self, recipe: Recipe, *, network: str, graph_sha256: str, source: str, frames: RouteFrames
    ) -> CalibrationRecord:
        """The calibration file of a recipe."""
        observed = self.graph_for(recipe)
        sources = {layer.source for layer in layers_of(Graph(observed.model))}
        return CalibrationRecord(
            network=network,
            graph_sha256=graph_sha256,
            source=source,
            digest=frames.digest,
            frames=len(frames.observed),
            method=recipe.method,
            ranges=observed.ranges,
            scales=observed.scales,
            means={name: mean for name, mean in observed.means.items() if recipe.corrected and name in sources},
        )


def int8_model(
    model: onnx.ModelProto,
    record: CalibrationRecord,
    form: Form,
    *,
    keep: Collection[str] = (),
    audit: Sequence[BgrFrame] = (),
) -> onnx.ModelProto:
    """The INT8 form of a network's FP32 graph by its calibration.

    model: the FP32 graph that the record's ranges are of, equalised if the record is.
    keep: layers that stay in floating point. audit: frames at network size; where a form is typed FP16, what they show
        not to fit into it stays FP32.
    """
    model = run_passes(model, form.rewrites)[0]
    layers = [layer for layer in quantisable(Graph(model), form) if layer.name not in keep]
    model = correct_biases(model, layers, record.means, form.largest_weight)
    rounded = insert_qdq(model, layers, record.chosen(), form)
    if not form.half:
        return rounded
    inputs = [network_input(model.graph.input[0].name, frame) for frame in audit]
    return audited_float16(rounded, inputs)[0] if inputs else to_float16(rounded)


def best_recipe(rows: Sequence[RecipeResult]) -> RecipeResult:
    """The recipe closest to FP32; of equals the first, so that corrections must earn their place."""
    return min(rows, key=lambda row: round(row.drift.abs_rel, 5))


@dataclass(frozen=True, kw_only=True)
class RecipeTrial:
    """Where recipes are tried: a form on a backend, in a scratch folder.

    frames: with their truth. against_fp32: the same frames with FP32's answers for truth.
    """

    form: Form
    backend: str
    folder: Path
    frames: RouteFrames
    against_fp32: RouteFrames

    def run(self, observations: Observations, recipe: Recipe) -> RecipeResult:
        """Make a recipe's file with every layer of the form in INT8 and score it."""
        record = observations.record(recipe, network="", graph_sha256="", source="", frames=self.frames)
        path = self.folder / "tried.onnx"
        write_atomic(path, int8_model(observations.graph_for(recipe).model, record, self.form).SerializeToString())
        with open_session(path, self.backend) as session:
            answer = answer_of(session)
            depths = [answer(frame.image).copy() for frame in self.frames.check]
        drift, score = (score_depths(depths, frames.check) for frames in (self.against_fp32, self.frames))
        return RecipeResult(recipe=recipe, score=score, drift=drift)


def try_recipes(observations: Observations, methods: Sequence[str], trial: RecipeTrial) -> list[RecipeResult]:
    """Score every method with and without equalisation, and the best of all with corrected biases."""
    rows = [
        trial.run(observations, Recipe(method=method, equalised=equalised))
        for equalised in (False, True)
        for method in methods
    ]
    best = best_recipe(rows).recipe
    rows.append(trial.run(observations, replace(best, corrected=True)))
    return rows
