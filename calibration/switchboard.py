"""A graph in which every layer can be switched between FP32 and INT8 while it runs.

One session then answers for any mix of layers: what each layer costs alone, and which mix holds a budget. Its second
output is every layer's signal and noise, measured side by side in one pass.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgedepth.calibration.affine import Range, Signedness, affine_of, quantise_weights
from edgedepth.calibration.bias_correction import corrected_bias
from edgedepth.calibration.layers import Layer
from edgedepth.calibration.observe import Frame, as_inputs
from edgedepth.calibration.qdq import add_pair
from edgedepth.engines import open_session
from edgedepth.export.passes.graph import Graph

SWITCHES, POWERS = "switches", "powers"


def switchboard(
    model: onnx.ModelProto,
    layers: Sequence[Layer],
    ranges: Mapping[str, Range],
    activations: Signedness,
    means: Mapping[str, NDArray[np.float64]] | None = None,
) -> onnx.ModelProto:
    """The FP32 graph with a rounded twin beside every layer.

    It takes one more input, `switches`, (L,) uint8 in the order of `layers`: 1 computes the layer in INT8. It gives
    one more output, `powers`, (L, 2): mean square of the layer's output, and of what rounding changes in it.

    means: of the activations, to correct the biases of the rounded twins; None leaves them as they are.
    """
    graph = Graph(model)
    board = graph.model.graph
    board.input.append(onnx.helper.make_tensor_value_info(SWITCHES, onnx.TensorProto.UINT8, [len(layers)]))
    chosen = graph.add("Cast", [SWITCHES], f"{SWITCHES}/bool", to=onnx.TensorProto.BOOL)
    pairs: dict[str, str] = {}
    rows = []
    for number, layer in enumerate(layers):
        if layer.source not in pairs:
            pairs[layer.source] = add_pair(graph, layer.source, affine_of(ranges[layer.source], activations))
        switch = graph.add("Gather", [chosen, graph.add_constant(np.array([number], np.int64), "number")], "switch")
        rows.append(_add_twin(graph, layer, switch, pairs[layer.source], corrected_bias(graph, layer, means or {})))
    powers = graph.add("Concat", rows, f"{POWERS}/rows", axis=0)
    onnx_node = graph.producer(powers)
    assert onnx_node is not None
    onnx_node.output[0] = POWERS
    board.output.append(onnx.helper.make_tensor_value_info(POWERS, onnx.TensorProto.FLOAT, [len(layers), 2]))
    graph.tidy()
    onnx.checker.check_model(graph.model, full_check=True)
    return graph.model


def _add_twin(graph: Graph, layer: Layer, switch: str, rounded: str, bias: NDArray[np.float32] | None) -> str:
    """Add a layer's twin and the switch between them; the name of its row of powers, (1, 2)."""
    node = graph.producer(layer.name)
    weight = graph.constant(layer.weight)
    assert node is not None
    assert weight is not None
    integers, scales = quantise_weights(weight)
    near = (integers * scales.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.float32)
    base = f"{layer.name}/twin"
    inputs = [rounded, graph.add_constant(near, f"{base}/weight"), *node.input[2:]]
    if bias is not None:
        inputs = [*inputs[:2], graph.add_constant(bias, f"{base}/bias")]
    twin = graph.add("Conv", inputs, base)
    made = graph.producer(twin)
    assert made is not None
    made.attribute.extend(node.attribute)
    exact = graph.fresh(f"{layer.name}/exact")
    node.output[0] = exact
    chosen = graph.add("Where", [switch, twin, exact], f"{base}/chosen")
    picked = graph.producer(chosen)
    assert picked is not None
    picked.output[0] = layer.name
    difference = graph.add("Sub", [twin, exact], f"{base}/difference")
    shape = graph.add_constant(np.array([1, 1], np.int64), f"{base}/shape")
    cells = []
    for tensor in (exact, difference):
        square = graph.add("Mul", [tensor, tensor], f"{base}/square")
        mean = graph.add("ReduceMean", [square], f"{base}/power", keepdims=0)
        cells.append(graph.add("Reshape", [mean, shape], f"{base}/cell"))
    return graph.add("Concat", cells, f"{base}/row", axis=1)


class Switchboard:
    """A loaded switchboard; a context manager."""

    def __init__(self, model: onnx.ModelProto, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "switchboard.onnx"
        onnx.save(model, path)
        self._session = open_session(path, "onnxruntime")
        self._input = next(info.name for info in self._session.inputs if info.name != SWITCHES)
        self._depth = self._session.outputs[0].name

    def depth(self, frame: Frame, int8: Collection[str]) -> NDArray[np.float32]:
        """(h, w) metres of a frame (h, w, 3) with these layers in INT8 and the others in FP32."""
        depth: NDArray[np.float32] = self._run(frame, int8, self._depth)[0, 0].copy()
        return depth

    def powers(self, frame: Frame) -> NDArray[np.float64]:
        """(L, 2) signal and noise power of every layer, each rounded by itself with exact inputs."""
        return self._run(frame, (), POWERS).astype(np.float64)

    def _run(self, frame: Frame, int8: Collection[str], output: str) -> NDArray[Any]:
        switches = np.array([layer.name in int8 for layer in self.layers], np.uint8)
        return self._session.run({**as_inputs(self._input, frame), SWITCHES: switches}, [output])[output]

    def close(self) -> None:
        """Release the session and its file."""
        self._session.close()
        self._folder.cleanup()

    def __enter__(self) -> Switchboard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
