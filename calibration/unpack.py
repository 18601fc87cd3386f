"""Weights that are stored in half size become plain float32 constants again, so that layers can be read and edited."""

from __future__ import annotations

import numpy as np
import onnx

from edgedepth.export.passes.graph import Graph


def unpack(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a model in which casts and products of constants are computed.

    Files may store a weight as float16, cast to float32 and times a scale per channel; see `edgedepth.export.storage`.
    """
    graph = Graph(model)
    for node in graph.nodes:  # in topological order, so that a product finds its cast done
        values = [graph.constant(name) for name in node.input]
        if node.op_type not in ("Cast", "Mul") or any(value is None for value in values):
            continue
        name = node.output[0]
        if node.op_type == "Cast":
            result = np.asarray(values[0]).astype(onnx.helper.tensor_dtype_to_np_dtype(node.attribute[0].i))
        else:
            result = np.asarray(values[0]) * np.asarray(values[1])
        graph.remove([node])
        graph.redirect(name, graph.add_constant(result, f"{name}/unpacked"))
    graph.tidy()
    return graph.model
