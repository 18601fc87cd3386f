"""Every depth network in INT8 as a TensorRT-RTX engine: are the convolutions meant to be INT8 really INT8?

See `int8.py`. No GPU is needed. A convolution counts as INT8 where both its inputs come from DEQUANTIZE layers in the
parsed network, and where the kernel that computes it reads Int8.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
import torch

from edgedepth.calibration.forms import form_for
from edgedepth.calibration.layers import share_of_macs
from edgedepth.calibration.observe import observe
from edgedepth.calibration.qdq import insert_qdq, quantisable, tensors_to_observe
from edgedepth.calibration.ranges import ranges_of
from edgedepth.engines.tensorrt.build import engine_from_onnx
from edgedepth.engines.tensorrt.config import BuildConfig
from edgedepth.engines.tensorrt.flavour import load_flavour
from edgedepth.export import export_onnx, spec_for
from edgedepth.export.frames import probe_frames
from edgedepth.export.passes.graph import Graph
from edgedepth.export.precision import to_float16
from edgedepth.trainers import create_network, network_names

TARGETS = ("sm86", "sm89", "sm120")


def tensorrt(names: Sequence[str] | None, size_wh: tuple[int, int]) -> Iterator[str]:
    """Depth networks, all if none is named, with random weights, as engines for three kinds of GPU."""
    yield "| network | meant to be INT8 | of all multiply-adds | INT8 in the network | Int8 kernels |"
    yield "|---|---:|---:|---:|---:|"
    for name in names or network_names():
        meant, share, network, kernels = _counts(name, size_wh)
        yield f"| {name} | {meant} | {100 * share:.0f} % | {network} | {kernels} |"


def _counts(name: str, size_wh: tuple[int, int]) -> tuple[int, float, int, int]:
    """Convolutions meant to be INT8, their share of the work, and those that are in the network and in the kernels."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "it.onnx"
        export_onnx(create_network(name), spec_for(name, size_wh), path)
        model, form = onnx.load(path), form_for("tensorrt")
        graph = Graph(model)
        layers = quantisable(graph, form)
        ranges = ranges_of(observe(model, probe_frames(size_wh)[-2:], tensors_to_observe(graph)), "minmax")
        onnx.save(to_float16(insert_qdq(model, layers, ranges, form)), path)
        engine = engine_from_onnx(path, BuildConfig(targets=TARGETS), load_flavour("tensorrt-rtx"))
    meant = {node.name for node in (graph.producer(layer.name) for layer in layers) if node is not None}
    dequantised = {output for fact in engine.layers if fact.kind == "DEQUANTIZE" for output in fact.outputs}
    convolutions = [fact for fact in engine.layers if fact.kind == "CONVOLUTION"]
    network = {fact.name for fact in convolutions if len(dequantised.intersection(fact.inputs)) == 2}
    kernels = {node for kernel in engine.kernels if "Int8" in kernel.input_types for node in kernel.nodes}
    return len(meant), share_of_macs(layers, graph), len(meant & network), len(meant & kernels)
