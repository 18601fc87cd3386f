"""Typed FP16: a float32 graph becomes one that says, tensor by tensor, what is float16 and what stays float32.

Strongly typed engines take precision from the graph alone. Convolutions and everything between them become float16;
float32 islands stay where half precision's 11 bits or its range of 65504 are not enough:

- softmax, exp, log, powers, normalisations and reductions, and what reads a softmax: the expectation over bins. The
  product of an attention is none: a mean of values keeps their range, and in float32 engines would not fuse it with
  the softmax;
- thin maps (at most 4 channels) between convolutions: the image while it is normalised, bin indices while they are
  upsampled and corrected, depth while it is decoded. They cost next to nothing, and one step of float16 near index
  64 would be 1/32 of a bin;
- whatever the caller names in `keep`, on the evidence of `edgedepth.export.range_audit`.

Inputs and outputs of the graph keep their types. Layout operators take the type of what they move, so that no cast is
spent on them. Casts are shared, and constants are stored in the type they are read in. Integers are dequantised to each
type in which they are read: a cast after that would part an INT8 layer from its integers.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from onnx import NodeProto, TensorProto

from edgedepth.core.errors import EdgeDepthError, InputError
from edgedepth.export.passes.graph import Graph, attributes

FLOAT_OPS = frozenset(
    {
        "Softmax", "LogSoftmax", "Exp", "Log", "Pow", "Sqrt", "Reciprocal", "Softplus", "Erf", "ReduceSum",
        "ReduceMean", "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceSumSquare", "ReduceProd", "CumSum",
        "GlobalAveragePool", "InstanceNormalization", "LayerNormalization", "GroupNormalization",
        "BatchNormalization", "LpNormalization", "MeanVarianceNormalization",
        "ConstantOfShape", "Range",  # which say their type themselves, or know no float16
    }
)  # fmt: skip
# Element by element or close to it: what happens to a thin map between convolutions.
CARRIERS = frozenset(
    {
        "Add", "Sub", "Mul", "Div", "Clip", "Abs", "Neg", "Min", "Max", "Relu", "Sigmoid", "Tanh", "Resize",
        "AveragePool", "MaxPool", "Where", "Sum", "Mean",
    }
)  # fmt: skip
LAYOUT_OPS = frozenset(
    {
        "Transpose", "Reshape", "Slice", "Gather", "GatherND", "Squeeze", "Unsqueeze", "Flatten", "Split",
        "Identity", "Expand", "Tile", "Pad",
    }
)  # fmt: skip
THIN_CHANNELS = 4

# Inputs that stay float32 whatever the node computes in: Resize's region and scales.
_ALWAYS_FLOAT_INPUTS = {"Resize": (1, 2)}
# Where a constant that becomes zero is one weight among many, or where engines want the node in half precision.
_MAY_VANISH = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm", "QuantizeLinear", "DequantizeLinear"})
_FLOAT16_MAX = float(np.finfo(np.float16).max)


def to_float16(model: onnx.ModelProto, *, keep: Collection[str] = ()) -> onnx.ModelProto:
    """The typed FP16 form of a float32 model; inputs and outputs keep their types.

    keep: tensors whose producing node shall compute in float32.

    Raises:
        InputError: the graph has control flow or is not float32, or `keep` names a tensor that is not there.
        EdgeDepthError: the result is not a valid model.
    """
    graph = Graph(model)
    _check(graph, keep)
    islands = float_islands(graph, keep)
    _Typer(graph, islands).run()
    graph.tidy()
    try:
        onnx.checker.check_model(graph.model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise EdgeDepthError(f"FP16 typing left an invalid graph: {' '.join(str(error).split())}") from error
    return graph.model


def float_islands(graph: Graph, keep: Collection[str] = ()) -> frozenset[str]:
    """The first outputs of the nodes that compute in float32, by the rules of this module."""
    islands: set[str] = set()
    softmaxes: set[str] = set()
    for node in graph.nodes:
        name = node.output[0]
        if node.op_type in ("Softmax", "LogSoftmax"):
            softmaxes.add(name)
        if node.op_type in LAYOUT_OPS:
            source = node.input[0]
            moves_float = source in islands or _is_float_input(graph, source)
            if source in softmaxes:
                softmaxes.add(name)
        else:
            moves_float = (
                node.op_type in FLOAT_OPS
                or (node.op_type in CARRIERS and _is_thin(graph, name))
                or (any(source in softmaxes for source in node.input) and not _is_attention(graph, node))
                or _unfit_constant(graph, node)
                or (node.op_type == "Cast" and graph.dtype(name) == TensorProto.FLOAT)
            )
        if moves_float or not set(node.output).isdisjoint(keep):
            islands.add(name)
    return frozenset(islands)


class _Typer:
    """Gives every node its type, and casts where a reader wants another type than it finds."""

    def __init__(self, graph: Graph, islands: frozenset[str]) -> None:
        self._graph = graph
        self._islands = islands
        self._types: dict[str, int] = {value.name: graph.dtype(value.name) for value in graph.model.graph.input}
        self._casts: dict[tuple[str, int], str] = {}
        self._integers = {
            node.output[0]: (list(node.input), attributes(node)) for node in graph.of_type("DequantizeLinear")
        }
        self._original = {value.name: graph.dtype(value.name) for value in graph.model.graph.output}

    def run(self) -> None:
        graph = self._graph
        floats = {name for node in graph.nodes for name in node.output if graph.dtype(name) == TensorProto.FLOAT}
        for node in graph.nodes:
            wanted = TensorProto.FLOAT if node.output[0] in self._islands else TensorProto.FLOAT16
            for index, name in enumerate(node.input):
                if not name or node.op_type == "Cast":
                    continue
                fixed = index in _ALWAYS_FLOAT_INPUTS.get(node.op_type, ())
                node.input[index] = self._as(name, TensorProto.FLOAT if fixed else wanted)
            for name in node.output:
                if name in floats:
                    self._types[name] = wanted
        for name in self._original:
            self._keep_output(name)

    def _as(self, name: str, wanted: int) -> str:
        """The name under which a tensor can be read in a type; tensors that are not floating point stay."""
        graph = self._graph
        constant = graph.is_constant(name)
        actual = graph.dtype(name) if constant else self._types.get(name, TensorProto.UNDEFINED)
        if actual not in (TensorProto.FLOAT, TensorProto.FLOAT16) or actual == wanted:
            return name
        if (name, wanted) not in self._casts:
            self._casts[name, wanted] = self._store(name) if constant else self._cast(name, wanted)
        return self._casts[name, wanted]

    def _store(self, name: str) -> str:
        value = self._graph.constant(name)
        assert value is not None
        return self._graph.add_constant(value.astype(np.float16), f"{name}/fp16")

    def _cast(self, name: str, wanted: int) -> str:
        suffix = "float" if wanted == TensorProto.FLOAT else "half"
        if name in self._integers:
            (integers, scale, *zero), form = self._integers[name]
            inputs = [integers, self._as(scale, wanted), *zero]
            return self._graph.add("DequantizeLinear", inputs, f"{name}/{suffix}", **form)
        return self._graph.add("Cast", [name], f"{name}/{suffix}", to=wanted)

    def _keep_output(self, name: str) -> None:
        """Cast an output of the graph back to the type it is declared with."""
        if self._original[name] != TensorProto.FLOAT or self._types.get(name) != TensorProto.FLOAT16:
            return
        maker = self._graph.producer(name)
        assert maker is not None
        inner = self._graph.fresh(f"{name}/half")
        maker.output[list(maker.output).index(name)] = inner
        for node in self._graph.consumers(name):
            for index, read in enumerate(node.input):
                if read == name:
                    node.input[index] = inner
        cast = self._graph.add("Cast", [inner], f"{name}/out", to=TensorProto.FLOAT)
        producer = self._graph.producer(cast)
        assert producer is not None
        producer.output[0] = name


def _check(graph: Graph, keep: Collection[str]) -> None:
    made = {name for node in graph.nodes for name in node.output}
    for name in keep:
        if name not in made:
            raise InputError(f"tensor {name!r} shall stay float32, but the graph makes no such tensor")
    for node in graph.nodes:
        if any(entry.HasField("g") or entry.graphs for entry in node.attribute):
            raise InputError(f"node {node.name or node.output[0]} has control flow; FP16 typing handles plain graphs")
        for name in node.output:
            if graph.dtype(name) in (TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16):
                raise InputError(f"tensor {name!r} is not float32; FP16 typing starts from a float32 graph")


def _is_float_input(graph: Graph, name: str) -> bool:
    return any(value.name == name for value in graph.model.graph.input)


def _is_thin(graph: Graph, name: str) -> bool:
    dims = graph.dims(name)
    return dims is not None and len(dims) == 4 and dims[1] is not None and dims[1] <= THIN_CHANNELS


def _is_attention(graph: Graph, node: NodeProto) -> bool:
    """True for a product of probabilities and computed vectors; one of few numbers is an expectation."""
    *_, width = graph.dims(node.output[0]) or (None,)
    return (
        node.op_type == "MatMul"
        and (width or 0) > THIN_CHANNELS
        and not any(graph.is_constant(name) for name in node.input)
    )


def _unfit_constant(graph: Graph, node: NodeProto) -> bool:
    """True where float16 makes infinity of a constant, or nothing of one that keeps a divisor from being nothing.

    Single weights of a convolution may vanish: what they add to does not.
    """
    for name in node.input:
        value = graph.constant(name)
        if value is None or value.dtype != np.float32 or not value.size:
            continue
        if np.abs(value).max() > _FLOAT16_MAX:
            return True
        if node.op_type not in _MAY_VANISH and ((value != 0) & (value.astype(np.float16) == 0)).any():
            return True
    return False
