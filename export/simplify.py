"""onnxsim, the customary clean-up of exported graphs.

On graphs of torch's current exporter it removes next to nothing, as constants and batch norms are folded already;
it is run because networks that users bring come from older exporters.
"""

from __future__ import annotations

import onnx

from edgedepth.core.errors import EdgeDepthError, require


def simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold constants and remove no-ops, keeping the opset and the IR version.

    Raises:
        MissingPackageError: onnxsim is not installed.
        EdgeDepthError: onnxsim's own check of its result failed.
    """
    onnxsim = require("onnxsim", extra="export")
    simplified, checked = onnxsim.simplify(model)
    if not checked:
        raise EdgeDepthError("onnxsim changed what the network computes; please report this network")
    result: onnx.ModelProto = simplified
    result.ir_version = model.ir_version
    return result
