"""Does ONNX Runtime work here, on CPU and on CUDA?"""

from __future__ import annotations

import base64
from importlib import metadata
from typing import Any

from edgedepth.engines.session import Availability, one_line

# An ONNX model of one Identity node (IR 10, opset 20): a CUDA provider that is listed may still fail to load,
# and only a session tells.
_IDENTITY_MODEL = base64.b64decode(
    "CAo6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEBQ="
)

_CLASH = (
    "onnxruntime and onnxruntime-gpu are both installed and overwrite each other; "
    "uninstall both, then install the one you want"
)


def probe(device: str) -> Availability:
    """Look at the installed ONNX Runtime and, for device "CUDA", really open a session on it."""
    try:
        import onnxruntime
    except ImportError as error:
        return Availability(available=False, why=f"{one_line(error)}; install it with: pip install onnxruntime")
    version = str(onnxruntime.__version__)
    clash = _CLASH if _both_installed() else ""
    if device == "CPU":
        return Availability(available=True, version=version, devices=("CPU",), why=clash)
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        missing = "this onnxruntime has no CUDA provider; with an NVIDIA GPU: pip install onnxruntime-gpu"
        return Availability(available=False, version=version, why=clash or missing)
    why = _cuda_failure(onnxruntime)
    if why:
        return Availability(available=False, version=version, why=why)
    return Availability(available=True, version=version, devices=("CUDA:0",), why=clash)


def _both_installed() -> bool:
    names = {str(d.metadata["Name"]).lower().replace("_", "-") for d in metadata.distributions()}
    return {"onnxruntime", "onnxruntime-gpu"} <= names


def _cuda_failure(onnxruntime: Any) -> str:
    """Why a CUDA session does not come up; empty where it does."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(_IDENTITY_MODEL, options, providers=["CUDAExecutionProvider"])
    except Exception as error:  # onnxruntime's C++ exceptions have no common base
        return f"the CUDA provider does not load: {one_line(error)}"
    # onnxruntime goes on with the CPU, and says so only in its log
    if "CUDAExecutionProvider" not in session.get_providers():
        return "the CUDA provider is installed but does not load; check the NVIDIA driver, CUDA and cuDNN"
    return ""
