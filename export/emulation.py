"""What a GPU computes of a typed FP16 graph, on a CPU: every half-precision tensor is really rounded.

onnxruntime's CPU kernels compute float16 graphs in float32, so neither overflow nor lost digits show. Here each node of
the typed graph is computed in float32 and its half-precision results are cast to float16 and back: values above 65504
become infinite, small ones lose digits, and both are seen by what follows. Kernels that accumulate in float32 and store
float16 do the same; engines that fuse nodes round less often. Overflow inside a kernel that accumulates in float16
cannot be seen this way, which is what the room below `edgedepth.export.range_audit.MAX_MAGNITUDE` is for.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, numpy_helper

from edgedepth.export.passes.graph import Graph, attribute

# They move values and make no new ones, so there is nothing to round.
_MOVING = frozenset(
    {
        "Transpose", "Reshape", "Slice", "Gather", "GatherND", "Squeeze", "Unsqueeze", "Flatten", "Split", "Identity",
        "Expand", "Tile", "Pad", "Concat", "DepthToSpace", "MaxPool", "Relu", "Clip", "Min", "Max", "Neg", "Abs",
    }
)  # fmt: skip


def emulated_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A float32 model that rounds where a typed FP16 model stores float16; inputs and outputs are the same."""
    graph = Graph(model)
    halves = {name for node in graph.nodes for name in node.output if graph.dtype(name) == TensorProto.FLOAT16}
    for initializer in graph.model.graph.initializer:
        if initializer.data_type == TensorProto.FLOAT16:
            value = numpy_helper.to_array(initializer).astype(np.float32)
            initializer.CopyFrom(numpy_helper.from_array(value, initializer.name))
    for node in graph.nodes:
        _retype(node)
        if node.op_type not in _MOVING:
            for index, name in enumerate(node.output):
                if name in halves:
                    node.output[index] = _round(graph, name)
    graph.tidy()
    graph.check()
    return graph.model


def _retype(node: NodeProto) -> None:
    """Casts to float16 become casts to float32: what is rounded afterwards, or was already."""
    if node.op_type == "Cast" and attribute(node, "to", 0) == TensorProto.FLOAT16:
        next(entry for entry in node.attribute if entry.name == "to").i = TensorProto.FLOAT


def _round(graph: Graph, name: str) -> str:
    """Put a rounding before `name`; returns what its maker shall make instead."""
    exact = graph.fresh(f"{name}/exact")
    half = graph.add("Cast", [exact], f"{name}/rounded", to=TensorProto.FLOAT16)
    back = graph.add("Cast", [half], f"{name}/back", to=TensorProto.FLOAT)
    maker = graph.producer(back)
    assert maker is not None
    maker.output[0] = name
    return exact
