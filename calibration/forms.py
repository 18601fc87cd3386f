"""Which INT8 form pays on which backend, in one table; docs/int8.md has the measurements."""

from __future__ import annotations

from collections.abc import Mapping

from edgedepth.calibration.layers import Kind
from edgedepth.calibration.qdq import Form
from edgedepth.core.errors import UnknownNameError
from edgedepth.export.passes.cast_last import CAST_LAST
from edgedepth.export.passes.resize_product import RESIZE_PRODUCT
from edgedepth.export.passes.shuffle_order import SHUFFLE_ORDER

_CPU: frozenset[Kind] = frozenset({"dense", "depthwise", "first", "thin"})

# CPUs without VNNI add two products of bytes in 16 bits, which 255 x 127 x 2 does not fit into; 255 x 64 x 2 does.
_SEVEN_BITS = 64

FORMS: Mapping[str, Form] = {
    # UINT8 after a ReLU has twice the steps of INT8 at the same speed. Rounding before channels are shuffled or
    # joined moves a quarter of the bytes. What makes corrections of depth may be rounded: its output is not. Once the
    # layers are in INT8, what only moves values about is a third of the time: see the rewrites.
    "openvino": Form(
        activations="uint8",
        largest_weight=_SEVEN_BITS,
        kinds=_CPU,
        early=True,
        shared=True,
        rewrites=(RESIZE_PRODUCT, SHUFFLE_ORDER, CAST_LAST),
    ),
    # onnxruntime has integer kernels for whole operators only: outputs are rounded too, which leaves less room for
    # other rounding. The first layer, of three channels, is as fast in FP32.
    "onnxruntime": Form(
        activations="uint8",
        largest_weight=_SEVEN_BITS,
        kinds=_CPU - {"first"},
        residual=False,
        early=True,
        outputs=True,
    ),
    # TensorRT takes symmetric INT8 only. It pads depthwise layers to dense ones, and the first layer reads 3 channels:
    # both are faster in FP16.
    "tensorrt": Form(activations="int8", kinds=frozenset({"dense"}), half=True),
}


def form_for(backend: str) -> Form:
    """The form that pays on a backend.

    Raises:
        UnknownNameError: there is none for it.
    """
    if backend not in FORMS:
        raise UnknownNameError.of("backend to calibrate for", backend, FORMS)
    return FORMS[backend]
