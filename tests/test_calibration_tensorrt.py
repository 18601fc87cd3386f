"""INT8 networks as TensorRT-RTX engines: the convolutions meant to be INT8 are, in the network and in the kernels."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

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

SIZE_WH = (96, 64)


@pytest.mark.parametrize("name", ["edge-low", "edge-high", "ds-sidenet-low"])
def test_convolutions_meant_to_be_int8_are(name: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="pip install tensorrt-rtx")
    import torch

    from edgedepth.trainers import create_network

    torch.manual_seed(0)
    spec = spec_for(name, SIZE_WH)
    model = onnx.load(export_onnx(create_network(name), spec, tmp_path / "fp32.onnx").path)
    graph, form = Graph(model), form_for("tensorrt")
    layers = quantisable(graph, form)
    assert share_of_macs(layers, graph) > 0.7
    ranges = ranges_of(observe(model, probe_frames(SIZE_WH)[-2:], tensors_to_observe(graph)), "minmax")
    onnx.save(to_float16(insert_qdq(model, layers, ranges, form)), tmp_path / "int8.onnx")
    makers = {layer.name: graph.producer(layer.name) for layer in layers}
    wanted = {node.name for node in makers.values() if node is not None}
    assert len(wanted) == len(layers)

    engine = engine_from_onnx(tmp_path / "int8.onnx", BuildConfig(targets=("sm86",)), load_flavour("tensorrt-rtx"))
    dequantised = {output for fact in engine.layers if fact.kind == "DEQUANTIZE" for output in fact.outputs}
    convolutions = [fact for fact in engine.layers if fact.kind == "CONVOLUTION"]
    two = {fact.name for fact in convolutions if len(dequantised.intersection(fact.inputs)) == 2}
    assert two == wanted
    assert all(fact.output_types == ("HALF",) for fact in convolutions)  # nothing fell back to FP32
    for node in wanted:
        kernels = [kernel for kernel in engine.kernels if node in kernel.nodes]
        assert any("Int8" in kernel.input_types for kernel in kernels), (node, kernels)
