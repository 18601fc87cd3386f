"""Size and work of a network, counted on its plain graph."""

from __future__ import annotations

import math

import onnx

from edgedepth.export.passes.graph import Graph


def count_params(model: onnx.ModelProto) -> int:
    """Stored floating-point numbers of the inference path (batch norms folded, training-only branches gone)."""
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    return sum(math.prod(i.dims) for i in model.graph.initializer if i.data_type in floats)


def count_gmacs(model: onnx.ModelProto) -> float:
    """Multiply-adds of convolutions and matrix products for one frame, in units of 1e9."""
    return count_macs(Graph(model)) / 1e9


def count_macs(graph: Graph) -> int:
    """Multiply-adds of convolutions and matrix products for one frame, those whose shapes are fixed."""
    total = 0
    for node in graph.nodes:
        if node.op_type in ("Conv", "ConvTranspose"):
            weight = graph.shape(node.input[1])
            # a transposed convolution visits each input position once, a convolution each output position
            places = graph.shape(node.output[0] if node.op_type == "Conv" else node.input[0])
        elif node.op_type in ("MatMul", "Gemm"):
            weight, places = graph.shape(node.input[0]), graph.shape(node.output[0])
            if weight is not None and places is not None:
                total += weight[-1] * math.prod(places)
            continue
        else:
            continue
        if weight is not None and places is not None:
            per_place = math.prod(weight)
            total += per_place * math.prod(places[2:]) * places[0]
    return total
