"""Accuracy of INT8 files on labelled data: by file, by recipe and by the choices of a form. See `int8.py`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from int8_speed import clock_for, timed_rows, unit

from edgedepth import Bundle, DepthRuntime
from edgedepth.calibration.affine import rounded_weights
from edgedepth.calibration.bias_correction import correct_biases
from edgedepth.calibration.equalise import apply_scales
from edgedepth.calibration.forms import form_for
from edgedepth.calibration.frames import RouteFrames, gather
from edgedepth.calibration.guard import Budget, Score
from edgedepth.calibration.layers import Kind
from edgedepth.calibration.qdq import Form, quantisable
from edgedepth.calibration.ranges import METHODS
from edgedepth.calibration.recipe import Observations, Recipe, int8_model
from edgedepth.calibration.record import CalibrationRecord
from edgedepth.calibration.speed import compare_speed
from edgedepth.calibration.unpack import unpack
from edgedepth.core.bundle import file_entry, write_manifest
from edgedepth.core.manifest import DepthNetwork, Router
from edgedepth.core.routing import FixedRule, Route
from edgedepth.datasets import DepthDataset, DepthSample, open_dataset
from edgedepth.evaluation import Prediction, evaluate_samples, protocol_named
from edgedepth.export.frames import probe_frames
from edgedepth.export.passes.graph import Graph

# Which file, and the backend it is scored on here; FP16 is computed in FP32 on a CPU.
_SCORED_ON = {
    "fp32": "openvino",
    "fp16": "openvino",
    "int8@openvino": "openvino",
    "int8@onnxruntime": "onnxruntime",
    "int8@tensorrt": "onnxruntime",
}
_BUDGET = Budget()


def accuracy(bundle: Bundle, data: Sequence[str], limit: int | None) -> Iterator[str]:
    """Every file of a calibrated bundle on every data set."""
    yield "| data | network | images | file | abs_rel | delta1 | abs_rel against FP32's | in the budget |"
    yield "|---|---|---:|---|---:|---:|---:|---|"
    for name in data:
        for route, network in bundle.manifest.networks.items():
            samples = _samples(name, route, limit)
            fp32 = None
            for key, backend in _SCORED_ON.items():
                if key not in network.variants or not len(samples):
                    continue
                score = _score(bundle, route, bundle.path(network.variants[key]), backend, samples)
                fp32 = fp32 or score
                cells = [_short(name), network.network, str(len(samples)), key]
                yield f"| {' | '.join(cells)} | {_cells(fp32, score)} |"


def _short(name: str) -> str:
    """The last part of a data set's `kind:path`."""
    return name.rpartition(":")[2].rpartition("/")[2]


def recipes(bundle: Bundle, data: Sequence[str], limit: int | None, calib: str) -> Iterator[str]:
    """Every method for ranges with all layers in INT8, and each correction of the chosen method, in OpenVINO."""
    sets = [(_short(name), name) for name in data]
    yield "| network | data | recipe | abs_rel | delta1 | abs_rel against FP32's | in the budget |"
    yield "|---|---|---|---:|---:|---:|---|"
    gathered = gather(bundle, calib)
    for route, frames in gathered.routes.items():
        network = bundle.manifest.networks[route]
        observations = Observations.observe(unpack(onnx.load(bundle.path(network.variants["fp32"]))), frames)
        found = {short: _samples(name, route, limit) for short, name in sets}
        fp32 = {
            short: _score(bundle, route, bundle.path(network.variants["fp32"]), "openvino", samples)
            for short, samples in found.items()
            if len(samples)
        }
        for name, model in _models(observations, _chosen(bundle, network), frames):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "int8.onnx"
                onnx.save(model, path)
                for short, base in fp32.items():
                    score = _score(bundle, route, path, "openvino", found[short])
                    yield f"| {network.network} | {short} | {name} | {_cells(base, score)} |"


def _models(observations: Observations, chosen: Recipe, frames: RouteFrames) -> Iterator[tuple[str, onnx.ModelProto]]:
    """Every recipe's file; of the chosen one also with weights rounded only, all that better rounding could mend."""
    form = form_for("openvino")
    for recipe in _recipes(chosen.method):
        record = observations.record(recipe, network="", graph_sha256="", source="", frames=frames)
        base = observations.graph_for(recipe).model
        yield str(recipe), int8_model(base, record, form)
        if recipe == chosen:
            yield f"{recipe}, weights only", weights_only(base, record, form)


def weights_only(model: onnx.ModelProto, record: CalibrationRecord, form: Form) -> onnx.ModelProto:
    """The graph with the weights of its INT8 layers rounded, and nothing else."""
    layers = quantisable(Graph(model), form)
    graph = Graph(correct_biases(model, layers, record.means, form.largest_weight))
    for layer in layers:
        node, weight = graph.producer(layer.name), graph.constant(layer.weight)
        assert node is not None
        assert weight is not None
        near = rounded_weights(weight, form.largest_weight).astype(np.float32)
        node.input[1] = graph.add_constant(near, f"{layer.weight}/near")
    graph.tidy()
    return graph.model


def forms(bundle: Bundle, data: Sequence[str], limit: int | None, threads: int, rounds: int) -> Iterator[str]:
    """What the choices in OpenVINO's form are worth: each taken back by itself, on the first data set of the route."""
    errors = "abs_rel | delta1 | abs_rel against FP32's | in the budget"
    yield f"| network | form | {unit(threads)} | times as fast as FP32 | {errors} |"
    yield "|---|---|---:|---:|---:|---:|---:|---|"
    for route, network in bundle.manifest.networks.items():
        samples = next((found for name in data if len(found := _samples(name, route, limit))), None)
        if not network.int8 or samples is None:
            continue
        fp32 = bundle.path(network.variants["fp32"])
        record = CalibrationRecord.load(bundle.path(next(iter(network.int8.values())).ranges))
        base = apply_scales(unpack(onnx.load(fp32)), record.scales)
        with tempfile.TemporaryDirectory() as folder:
            files = {"FP32": fp32}
            for name, form in _variations(form_for("openvino")).items():
                files[name] = Path(folder) / f"{len(files)}.onnx"
                onnx.save(int8_model(base, record, form), files[name])
            frame = probe_frames(network.spec.input_wh)[-1]
            timing = compare_speed(files, "openvino", frame, rounds=rounds, threads=threads, clock=clock_for(threads))
            scores = {name: _score(bundle, route, path, "openvino", samples) for name, path in files.items()}
            for row, score in zip(timed_rows(timing), scores.values(), strict=True):
                yield f"| {network.network} | {row} | {_cells(scores['FP32'], score)} |"


def _variations(chosen: Form) -> dict[str, Form]:
    without: dict[str, Kind] = {"depthwise": "depthwise", "first layer": "first", "thin layers": "thin"}
    return {
        "chosen form": chosen,
        "signed activations": replace(chosen, activations="int8"),
        "weights of 8 bits": replace(chosen, largest_weight=127),
        "rounded late": replace(chosen, early=False, shared=False),
        "ranges not shared": replace(chosen, shared=False),
        "no rewrites": replace(chosen, rewrites=()),
        "residuals not rounded": replace(chosen, residual=False),
        "outputs rounded too": replace(chosen, outputs=True),
        "head too": replace(chosen, kinds=chosen.kinds | {"head"}),
        **{f"{name} in FP32": replace(chosen, kinds=chosen.kinds - {kind}) for name, kind in without.items()},
    }


def _chosen(bundle: Bundle, network: DepthNetwork) -> Recipe:
    """The recipe that the bundle's calibration chose; min-max where it was not calibrated."""
    entry = next(iter(network.int8.values()), None)
    if entry is None:
        return Recipe(method="minmax")
    record = CalibrationRecord.load(bundle.path(entry.ranges))
    return Recipe(method=record.method, equalised=bool(record.scales), corrected=bool(record.means))


def _recipes(method: str) -> list[Recipe]:
    corrections = [(True, False), (False, True), (True, True)]
    return [
        *[Recipe(method=name) for name in METHODS],
        *[Recipe(method=method, equalised=equalised, corrected=corrected) for equalised, corrected in corrections],
    ]


def _samples(name: str, route: Route, limit: int | None) -> DepthDataset:
    split = "test" if name.startswith("synth:") else None
    return open_dataset(name, split).where(lambda info: info.route is route).limited(limit)


def _score(bundle: Bundle, route: Route, path: Path, backend: str, samples: DepthDataset) -> Score:
    """The errors of one file of a bundle's network, through the runtime as a robot runs it."""

    def predict(sample: DepthSample) -> Prediction:
        return Prediction(runtime(sample.image_bgr, camera=sample.camera).raw_depth_m, route)

    with tempfile.TemporaryDirectory() as folder:
        alone = _alone(bundle, route, path, Path(folder))
        with DepthRuntime.load(alone, backend=backend, precision="fp32") as runtime:
            report = evaluate_samples(predict, samples, protocol_named("native"), alignments=("none",))
    row = report.alignment["none"]
    return Score(abs_rel=row["abs_rel"], delta1=row["delta1"])


def _alone(bundle: Bundle, route: Route, path: Path, folder: Path) -> Bundle:
    """A bundle of one network that is this file."""
    (folder / "only.onnx").write_bytes(path.read_bytes())
    network = bundle.manifest.networks[route].model_copy(
        update={"variants": {"fp32": file_entry(folder, "only.onnx")}, "int8": {}, "parity": {}, "baseline": None}
    )
    update = {"networks": {route: network}, "router": Router(rule=FixedRule(route=route)), "golden": (), "plans": ()}
    return write_manifest(folder, bundle.manifest.model_copy(update=update))


def _cells(fp32: Score, score: Score) -> str:
    change = 100 * (score.abs_rel / fp32.abs_rel - 1)
    held = "yes" if _BUDGET.holds(fp32, score, labelled=True) else "no"
    return f"{score.abs_rel:.4f} | {score.delta1:.4f} | {change:+.1f} % | {held}"
