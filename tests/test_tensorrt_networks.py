"""The networks themselves as TensorRT-RTX engines: what they are typed as, and what is fused.

The default bundle's networks are whole, at a small input size; the other families have small members. The full matrix,
with both versions of the library, is `make sweep`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import onnx
import pytest
import torch

from edgedepth.core.spec import ClassifierSpec, DepthSpec
from edgedepth.engines.tensorrt.build import Engine, engine_from_onnx
from edgedepth.engines.tensorrt.config import BuildConfig
from edgedepth.engines.tensorrt.flavour import load_flavour
from edgedepth.engines.tensorrt.kernels import COMPUTING, kernel_of_node
from edgedepth.engines.tensorrt.network import CONVOLUTIONS
from edgedepth.export import export_onnx, spec_for
from edgedepth.export.precision import to_float16
from edgedepth.trainers.models.registry import classifier_names, classifier_spec, create_network, network_names

DEFAULT = ("edge-low", "edge-high", "scene-small")
# options that make the members of the other families small
REDUCED: dict[str, dict[str, Any]] = {
    "sid-deeplab": {"backbone": "small", "num_bins": 8},
    "hqmd": {"backbone": "small", "width": 16},
    "drnet": {"backbone": "small"},
    "rside": {"backbone": "small"},
    "rsn": {"width": 0.125, "iterations": 1},
}
SIZE_WH = (96, 64)
_ACTIVATIONS = ("Relu", "LeakyRelu", "Clip")

Build = Callable[[str, str], tuple[onnx.ModelProto, Engine]]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Gives the graph and the engine of a network in a precision; each is made once."""
    folder = tmp_path_factory.mktemp("engines")

    @cache
    def exported(name: str) -> onnx.ModelProto:
        spec: DepthSpec | ClassifierSpec
        spec = classifier_spec(name) if name in classifier_names() else spec_for(name, SIZE_WH)
        torch.manual_seed(0)
        return onnx.load(export_onnx(create_network(name, **REDUCED.get(name, {})), spec, folder / f"{name}.onnx").path)

    @cache
    def made(name: str, precision: str) -> tuple[onnx.ModelProto, Engine]:
        # typed by rule: what an audit would keep in float32 besides depends on the weights, and these are random
        graph = exported(name) if precision == "fp32" else to_float16(exported(name))
        path = folder / f"{name}.{precision}.onnx"
        onnx.save(graph, path)
        return graph, engine_from_onnx(path, BuildConfig(targets=("sm86",)), load_flavour("tensorrt-rtx"))

    return made


def test_every_network_is_here() -> None:
    assert set(REDUCED) <= set(network_names())


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", [*network_names(), "scene-small"])
def test_network_builds_in_the_precision_of_its_file(
    build: Build, name: str, precision: str, record_property: Callable[[str, object], None]
) -> None:
    _, engine = build(name, precision)
    assert engine.sidecar.precision == precision
    assert engine.kernels
    record_property(f"kernels[{name}.{precision}]", len(engine.kernels))


@pytest.mark.parametrize("name", DEFAULT)
def test_convolutions_are_half_and_islands_are_float(build: Build, name: str) -> None:
    _, engine = build(name, "fp16")
    for layer in engine.layers:
        if layer.kind in CONVOLUTIONS:
            assert layer.input_types[0] == "HALF", layer
            assert layer.output_types == ("HALF",), layer
        if layer.kind in ("SOFTMAX", "REDUCE"):
            assert layer.input_types[0] == "FLOAT", layer
    _, plain = build(name, "fp32")
    assert "HALF" not in {dtype for layer in plain.layers for dtype in layer.output_types}
    of_convolutions = [kernel for kernel in engine.kernels if kernel.kind in COMPUTING]
    assert of_convolutions
    assert {kernel.output_types for kernel in of_convolutions} == {("Half",)}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", DEFAULT)
def test_convolution_bias_and_activation_are_one_kernel(build: Build, name: str, precision: str) -> None:
    graph, engine = build(name, precision)
    makers = {output: node for node in graph.graph.node for output in node.output}
    pairs = [
        (makers[node.input[0]].name, node.name)
        for node in graph.graph.node
        if node.op_type in _ACTIVATIONS and node.input[0] in makers and makers[node.input[0]].op_type == "Conv"
    ]
    assert pairs
    for convolution, activation in pairs:
        together = [kernel for kernel in kernel_of_node(engine.kernels, convolution) if activation in kernel.nodes]
        assert together, f"{convolution} and {activation} are separate"


@pytest.mark.parametrize("name", DEFAULT)
def test_every_convolution_depthwise_or_not_is_computed_by_one_kernel(build: Build, name: str) -> None:
    graph, engine = build(name, "fp16")
    convolutions = [node.name for node in graph.graph.node if node.op_type == "Conv"]
    own = {node: [k for k in kernel_of_node(engine.kernels, node) if k.kind in COMPUTING] for node in convolutions}
    assert {node: kernels for node, kernels in own.items() if len(kernels) != 1} == {}


def test_first_kernel_takes_the_cameras_bytes(build: Build) -> None:
    _, engine = build("edge-low", "fp16")
    assert engine.kernels[0].input_types == ("UInt8",)
    assert [kernel for kernel in engine.kernels[1:] if "UInt8" in kernel.input_types] == []
