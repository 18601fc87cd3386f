"""The graphs that `rewrites.py` compares: plain, with every head, each rewrite alone, ours; as FP32 and INT8 files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from edgedepth.calibration.forms import form_for
from edgedepth.calibration.observe import observe
from edgedepth.calibration.qdq import insert_qdq, quantisable, tensors_to_observe
from edgedepth.calibration.ranges import ranges_of
from edgedepth.core.errors import EdgeDepthError
from edgedepth.core.files import write_atomic
from edgedepth.engines import open_session
from edgedepth.export import spec_for
from edgedepth.export.frames import probe_frames
from edgedepth.export.measure import count_gmacs
from edgedepth.export.network import optimise_graph
from edgedepth.export.parity import measure
from edgedepth.export.passes import PASSES, run_passes
from edgedepth.export.passes.graph import Graph
from edgedepth.export.passes.machine import FORM_BACKENDS, SHARING
from edgedepth.export.precision import to_float16
from edgedepth.export.simplify import simplify
from edgedepth.export.torch_onnx import to_onnx
from edgedepth.trainers.models.registry import classifier_names, classifier_spec, create_network

PLAIN, HEADS, OURS = "plain", "plain, all heads", "ours"
INT8_BACKENDS = ("onnxruntime", "openvino")


class AllHeads(nn.Module):
    """A network with its training-only branches, in evaluation arithmetic: what a careless export carries along."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def train(self, mode: bool = True) -> AllHeads:
        """Only the network's own flag says "training": its layers stay in evaluation."""
        super().train(mode)
        self.network.training = True
        return self

    def forward(self, image: Tensor) -> Tensor:
        """Every head, reduced to one map so that none is pruned."""
        heads = self.network(image)
        maps = [m for m in (*heads.indices, heads.depth_m) if m is not None]
        return torch.stack([m.mean() for m in maps]).sum().reshape(1, 1, 1, 1)


@dataclass(kw_only=True)
class Form:
    """One graph of a network.

    files: by what it is for, "fp32", "int8@onnxruntime", "int8@openvino". kernels: of its TensorRT-RTX engines by
    precision, as far as the library is installed. difference: the largest relative difference from the plain graph,
    both run by onnxruntime in float32; None where the graph answers something else.
    """

    name: str
    gmacs: float
    files: dict[str, str]
    kernels: dict[str, int] = field(default_factory=dict)
    difference: float | None = None

    def serves(self, backend: str) -> bool:
        """Whether it is timed on a backend: one for another backend is not."""
        return " for " not in self.name or self.name.endswith(f" for {backend}")


def load_forms(folder: Path) -> list[Form]:
    """The forms that `prepare` wrote."""
    return [Form(**entry) for entry in json.loads((folder / "forms.json").read_text())["forms"]]


def size_of(folder: Path) -> tuple[int, int]:
    """Width and height of the network's input."""
    width, height = json.loads((folder / "forms.json").read_text())["input_wh"]
    return width, height


def prepare(name: str, wh: tuple[int, int] | None, folder: Path) -> None:
    """Write every form of a network with random weights, and `forms.json`, which says what there is."""
    classifier = name in classifier_names()
    spec = classifier_spec(name) if classifier else spec_for(name, wh)
    torch.manual_seed(0)
    network = create_network(name).eval()
    folder.mkdir(parents=True, exist_ok=True)
    frame = probe_frames(spec.input_wh)[-1]
    found: list[Form] = []
    for label, model in _graphs(network, spec.input_wh, "probabilities" if classifier else "depth_m"):
        form = _write(label, model, frame, folder)
        if label not in (PLAIN, HEADS):
            form.difference = _difference(folder / found[0].files["fp32"], folder / form.files["fp32"], frame)
        found.append(form)
    text = json.dumps({"input_wh": spec.input_wh, "forms": [asdict(form) for form in found]}, indent=1)
    write_atomic(folder / "forms.json", text.encode() + b"\n")


def _graphs(network: nn.Module, wh: tuple[int, int], output: str) -> Iterator[tuple[str, onnx.ModelProto]]:
    """By name; the plain graph first. A rewrite that does not fire, and a form equal to ours, is left out."""
    plain = to_onnx(network, wh, output=output, constant_pools=False)
    yield PLAIN, plain
    if type(network).__name__ == "DSSideNet":
        yield HEADS, to_onnx(AllHeads(network), wh)
    ours = to_onnx(network, wh, output=output)
    if _kinds(simplify(plain)) != _kinds(plain):
        yield "onnxsim", simplify(plain)
    if _kinds(ours) != _kinds(plain):
        yield "constant pools", ours
    for entry in PASSES:
        rewritten, (report,) = run_passes(ours, [entry])
        if report.fired:
            yield entry.name, rewritten
    common, _ = optimise_graph(ours)
    yield OURS, common
    for backend in FORM_BACKENDS:
        special, _ = optimise_graph(ours, backend=backend)
        if special != common:
            yield f"{OURS} for {backend}", special


def _kinds(model: onnx.ModelProto) -> list[str]:
    return sorted(node.op_type for node in Graph(model).nodes)


def _write(label: str, model: onnx.ModelProto, frame: np.ndarray, folder: Path) -> Form:
    stem = label.replace(", ", "-").replace(" ", "-")
    files = {"fp32": f"{stem}.fp32.onnx"}
    onnx.save(model, folder / files["fp32"])
    form = Form(name=label, gmacs=count_gmacs(model), files=files)
    if label == HEADS:
        return form
    floating = {entry.name for entry in PASSES if entry.floating}
    if " for " not in label and label not in floating:  # INT8 is made of the common graph
        files |= _write_int8(stem, model, frame, folder)
    if not any(label.endswith(f" for {backend}") for backend in SHARING):
        form.kernels = _kernels(model, folder)
    return form


def _write_int8(stem: str, model: onnx.ModelProto, frame: np.ndarray, folder: Path) -> dict[str, str]:
    """The INT8 forms of a graph, with ranges of one frame: other ranges would not change the time.

    Without the rewrites that `calibrate` puts before OpenVINO's (`Form.rewrites`): the graphs are what is compared.
    """
    ranges = ranges_of(observe(model, [frame], tensors_to_observe(Graph(model))), "minmax")
    files = {f"int8@{backend}": f"{stem}.int8-{backend}.onnx" for backend in INT8_BACKENDS}
    for backend in INT8_BACKENDS:
        rounding = form_for(backend)
        layers = quantisable(Graph(model), rounding)
        onnx.save(insert_qdq(model, layers, ranges, rounding), folder / files[f"int8@{backend}"])
    return files


def _kernels(model: onnx.ModelProto, folder: Path) -> dict[str, int]:
    """Kernels that do work in TensorRT-RTX engines of the graph, by precision; none without the library."""
    from edgedepth.engines.tensorrt.build import engine_from_onnx
    from edgedepth.engines.tensorrt.config import BuildConfig
    from edgedepth.engines.tensorrt.flavour import load_flavour
    from edgedepth.engines.tensorrt.fusion import work_of

    try:
        flavour = load_flavour("tensorrt-rtx")
    except EdgeDepthError:
        return {}
    found = {}
    path = folder / "engine.onnx"
    for precision, typed in (("fp32", model), ("fp16", to_float16(model))):
        onnx.save(typed, path)
        found[precision] = len(work_of(engine_from_onnx(path, BuildConfig(targets=("sm86",)), flavour).kernels))
    path.unlink()
    return found


def _difference(plain: Path, path: Path, frame: np.ndarray) -> float:
    answers = []
    for file in (plain, path):
        with open_session(file, "onnxruntime") as session:
            name = session.outputs[0].name
            answers.append(session.run({"frame": frame[None]}, [name])[name].copy())
    return measure(answers[:1], answers[1:], against=PLAIN).max_relative
