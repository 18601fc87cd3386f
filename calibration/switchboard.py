"""A graph in which every layer can be switched between FP32 and INT8 while it runs.

One session then answers for any mix of layers: what each layer costs alone, and which mix holds a budget; of the two
forms of a layer only the chosen one is computed. A second graph has both side by side, and gives every layer's signal
and noise in one pass.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from edgedepth.calibration.affine import Affine, Range, affine_of, rounded_weights
from edgedepth.calibration.bias_correction import corrected_bias
from edgedepth.calibration.layers import Layer
from edgedepth.calibration.qdq import Form, add_pair
from edgedepth.core.preprocess import BgrFrame, network_input
from edgedepth.engines import Session, open_session
from edgedepth.export.passes.graph import Graph

SWITCHES, POWERS = "switches", "powers"


@dataclass(frozen=True, kw_only=True)
class Twin:
    """What a layer is in INT8: the rounding of what it reads, its rounded weight, and its bias if that is corrected."""

    layer: Layer
    affine: Affine
    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None


def twins_of(
    graph: Graph,
    layers: Sequence[Layer],
    ranges: Mapping[str, Range],
    form: Form,
    means: Mapping[str, NDArray[np.float64]],
) -> tuple[Twin, ...]:
    """The INT8 of layers in a form. means: of the activations, to correct biases; empty leaves them as they are."""
    twins = []
    for layer in layers:
        weight = graph.constant(layer.weight)
        assert weight is not None
        near = rounded_weights(weight, form.largest_weight).astype(np.float32)
        affine = affine_of(ranges[layer.source], form.activations)
        bias = corrected_bias(graph, layer, means, form.largest_weight)
        twins.append(Twin(layer=layer, affine=affine, weight=near, bias=bias))
    return tuple(twins)


def switched(model: onnx.ModelProto, twins: Sequence[Twin]) -> onnx.ModelProto:
    """The FP32 graph with one more input, `switches`, (L,) uint8 in the order of the twins: 1 computes that in INT8."""
    board = Graph(model).model
    board.graph.input.append(helper.make_tensor_value_info(SWITCHES, onnx.TensorProto.UINT8, [len(twins)]))
    layers = {twin.layer.name: (number, twin) for number, twin in enumerate(twins)}
    nodes = [helper.make_node("Cast", [SWITCHES], [f"{SWITCHES}/bool"], to=onnx.TensorProto.BOOL)]
    for node in board.graph.node:
        number, twin = layers.get(node.output[0], (-1, None))
        nodes += [node] if twin is None else _switch(node, twin, number, board.graph)
    del board.graph.node[:]
    board.graph.node.extend(nodes)
    onnx.checker.check_model(board, full_check=True)
    return board


def _switch(node: NodeProto, twin: Twin, number: int, graph: onnx.GraphProto) -> list[NodeProto]:
    """The nodes that compute a convolution one way or the other; branches read what lies outside them."""
    name = node.output[0]
    index = f"{name}/number"
    graph.initializer.append(numpy_helper.from_array(np.array(number, np.int64), index))
    exact = NodeProto()
    exact.CopyFrom(node)
    exact.output[0] = f"{name}/exact"
    branch = {"then_branch": _rounded_branch(node, twin), "else_branch": _branch(f"{name}/fp32", [exact], {})}
    return [
        helper.make_node("Gather", [f"{SWITCHES}/bool", index], [f"{name}/switch"]),
        helper.make_node("If", [f"{name}/switch"], [name], **branch),
    ]


def _rounded_branch(node: NodeProto, twin: Twin) -> onnx.GraphProto:
    base = f"{node.output[0]}/twin"
    constants: dict[str, NDArray[Any]] = {
        f"{base}/scale": np.array(twin.affine.scale, np.float32),
        f"{base}/zero": np.array(twin.affine.zero_point, twin.affine.dtype),
        f"{base}/weight": twin.weight,
    }
    bias = list(node.input[2:])
    if twin.bias is not None:
        constants[f"{base}/bias"] = twin.bias
        bias = [f"{base}/bias"]
    scale = [f"{base}/scale", f"{base}/zero"]
    convolution = helper.make_node("Conv", [f"{base}/rounded", f"{base}/weight", *bias], [base])
    convolution.attribute.extend(node.attribute)
    nodes = [
        helper.make_node("QuantizeLinear", [node.input[0], *scale], [f"{base}/integer"]),
        helper.make_node("DequantizeLinear", [f"{base}/integer", *scale], [f"{base}/rounded"]),
        convolution,
    ]
    return _branch(f"{base}/int8", nodes, constants)


def _branch(name: str, nodes: Sequence[NodeProto], constants: Mapping[str, NDArray[Any]]) -> onnx.GraphProto:
    made = onnx.ValueInfoProto(name=nodes[-1].output[0])
    made.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    stored = [numpy_helper.from_array(value, key) for key, value in constants.items()]
    return helper.make_graph(list(nodes), name, [], [made], stored)


def measured(model: onnx.ModelProto, twins: Sequence[Twin]) -> onnx.ModelProto:
    """The FP32 graph with every twin beside its layer, and one more output, `powers`, (L, 2).

    That is the mean square of the layer's output, and of what rounding it alone changes in it.
    """
    graph = Graph(model)
    pairs: dict[str, str] = {}
    rows = []
    for twin in twins:
        if twin.layer.source not in pairs:
            pairs[twin.layer.source] = add_pair(graph, twin.layer.source, twin.affine)
        rows.append(_add_powers(graph, twin, pairs[twin.layer.source]))
    powers = graph.producer(graph.add("Concat", rows, f"{POWERS}/rows", axis=0))
    assert powers is not None
    powers.output[0] = POWERS
    info = helper.make_tensor_value_info(POWERS, onnx.TensorProto.FLOAT, [len(twins), 2])
    graph.model.graph.output.append(info)
    graph.tidy()
    onnx.checker.check_model(graph.model, full_check=True)
    return graph.model


def _add_powers(graph: Graph, twin: Twin, rounded: str) -> str:
    """Add a layer's twin and the powers of its output and of the difference; their name, (1, 2)."""
    node = graph.producer(twin.layer.name)
    assert node is not None
    base = f"{twin.layer.name}/twin"
    bias = list(node.input[2:]) if twin.bias is None else [graph.add_constant(twin.bias, f"{base}/bias")]
    name = graph.add("Conv", [rounded, graph.add_constant(twin.weight, f"{base}/weight"), *bias], base)
    made = graph.producer(name)
    assert made is not None
    made.attribute.extend(node.attribute)
    difference = graph.add("Sub", [name, twin.layer.name], f"{base}/difference")
    shape = graph.add_constant(np.array([1, 1], np.int64), f"{base}/shape")
    cells = []
    for tensor in (twin.layer.name, difference):
        square = graph.add("Mul", [tensor, tensor], f"{base}/square")
        mean = graph.add("ReduceMean", [square], f"{base}/power", keepdims=0)
        cells.append(graph.add("Reshape", [mean, shape], f"{base}/cell"))
    return graph.add("Concat", cells, f"{base}/row", axis=1)


class Switchboard:
    """Loaded graphs of `switched` and `measured`; a context manager."""

    def __init__(
        self,
        model: onnx.ModelProto,
        layers: Sequence[Layer],
        ranges: Mapping[str, Range],
        form: Form,
        means: Mapping[str, NDArray[np.float64]] | None = None,
    ) -> None:
        self.layers = tuple(layers)
        self.graph = Graph(model)
        twins = twins_of(self.graph, layers, ranges, form, means or {})
        self._folder = tempfile.TemporaryDirectory()
        graphs = {SWITCHES: switched(model, twins), POWERS: measured(model, twins)}
        self._sessions = {name: self._open(name, graph) for name, graph in graphs.items()}
        self._input = model.graph.input[0].name
        self._depth = model.graph.output[0].name

    def _open(self, name: str, model: onnx.ModelProto) -> Session:
        path = Path(self._folder.name) / f"{name}.onnx"
        onnx.save(model, path)
        return open_session(path, "onnxruntime")

    def depth(self, frame: BgrFrame, int8: Collection[str]) -> NDArray[np.float32]:
        """(h, w) metres of a frame (h, w, 3) with these layers in INT8 and the others in FP32."""
        switches = np.array([layer.name in int8 for layer in self.layers], np.uint8)
        inputs = {self._input: network_input(self._input, frame), SWITCHES: switches}
        depth: NDArray[np.float32] = self._sessions[SWITCHES].run(inputs, [self._depth])[self._depth][0, 0].copy()
        return depth

    def powers(self, frame: BgrFrame) -> NDArray[np.float64]:
        """(L, 2) signal and noise power of every layer, each rounded by itself with exact inputs."""
        answer = self._sessions[POWERS].run({self._input: network_input(self._input, frame)}, [POWERS])
        return answer[POWERS].astype(np.float64)

    def close(self) -> None:
        """Release the sessions and their files."""
        for session in self._sessions.values():
            session.close()
        self._folder.cleanup()

    def __enter__(self) -> Switchboard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
