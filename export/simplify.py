"""onnxsim, the customary clean-up of exported graphs.

On graphs of torch's current exporter it removes next to nothing, as constants and batch norms are folded already;
it is run because networks that users bring come from older exporters.
"""

from __future__ import annotations

import onnx
from onnx import AttributeProto

from edgedepth.core.errors import EdgeDepthError, InputError, require


def simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold constants and remove no-ops, keeping the opset and the IR version.

    Raises:
        MissingPackageError: onnxsim is not installed.
        InputError: the network decides something while it runs, and not by constants that fold.
        EdgeDepthError: onnxsim's own check of its result failed.
    """
    onnxsim = require("onnxsim", extra="export")
    simplified, checked = onnxsim.simplify(model)
    if not checked:
        raise EdgeDepthError("onnxsim changed what the network computes; please report this network")
    result: onnx.ModelProto = simplified
    result.ir_version = model.ir_version
    inner = first_inner(result)
    if inner is not None:
        raise InputError(
            f"the network has {inner.op_type} in it, a graph inside a graph ({inner.output[0]}); export it without"
            " decisions and loops that depend on its input"
        )
    return result


def first_inner(model: onnx.ModelProto) -> onnx.NodeProto | None:
    """The first node that holds a graph of its own (If, Loop, Scan); None where there is none."""
    for node in model.graph.node:
        if any(entry.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for entry in node.attribute):
            found: onnx.NodeProto = node
            return found
    return None
