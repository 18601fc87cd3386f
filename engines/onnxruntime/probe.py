"""Does ONNX Runtime work here, on the CPU and on its GPU providers?"""

from __future__ import annotations

import base64
from importlib import metadata

from edgedepth.core.errors import BackendError
from edgedepth.engines.onnxruntime.providers import PROVIDERS, open_on
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


def probe(variant: str) -> Availability:
    """Look at the installed ONNX Runtime and, for any provider but the CPU's, really open a session on it."""
    try:
        import onnxruntime
    except ImportError as error:
        return Availability(available=False, why=f"{one_line(error)}; install it with: pip install onnxruntime")
    version = str(onnxruntime.__version__)
    clash = _CLASH if _both_installed() else ""
    provider = PROVIDERS[variant]
    if variant == "CPU":
        return Availability(available=True, version=version, devices=("CPU",), why=clash)
    if variant != "TensorRT-RTX" and provider.name not in onnxruntime.get_available_providers():
        missing = f"this onnxruntime has no {provider.name}; {provider.remedy}"
        return Availability(available=False, version=version, why=clash or missing)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        open_on(onnxruntime, provider, _IDENTITY_MODEL, options)
    except BackendError as error:
        return Availability(available=False, version=version, why=str(error))
    return Availability(available=True, version=version, devices=(provider.device,), why=clash)


def _both_installed() -> bool:
    names = {str(d.metadata["Name"]).lower().replace("_", "-") for d in metadata.distributions()}
    return {"onnxruntime", "onnxruntime-gpu"} <= names
