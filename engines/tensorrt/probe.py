"""Does TensorRT work here?"""

from __future__ import annotations

import importlib.util

from edgedepth.core.errors import BackendError
from edgedepth.engines.machine import driver, jetson
from edgedepth.engines.session import Availability
from edgedepth.engines.tensorrt.flavour import MODULES, installed_flavours, load_flavour
from edgedepth.engines.tensorrt.graphs import find_recorder


def probe(flavour: str) -> Availability:
    """Look at an installed TensorRT flavour, the driver, the GPU and the packages that running needs.

    Building with TensorRT-RTX needs none of the latter; `why` says so.
    """
    if flavour not in installed_flavours():
        return Availability(available=False, why=f"{MODULES[flavour]} is not installed; {install_hint(flavour)}")
    try:
        found = load_flavour(flavour)
    except BackendError as error:
        return Availability(available=False, why=str(error))
    cuda = driver()
    devices = tuple(f"{gpu.name} ({gpu.capability})" for gpu in cuda.gpus)
    why = _obstacle(found.rtx, found.targets, cuda.why, [gpu.capability for gpu in cuda.gpus])
    return Availability(available=not why, version=found.version_text, devices=devices, why=why or _no_graphs())


def install_hint(flavour: str) -> str:
    """The one line that installs a flavour on this machine; on a Jetson it is JetPack's own, never pip's."""
    if flavour == "tensorrt-rtx":
        return "for GeForce and RTX cards: pip install 'edgedepth[rtx]'"
    if jetson() is not None:
        return "sudo apt install tensorrt python3-libnvinfer (JetPack's own; pip's tensorrt would shadow it)"
    return "for NVIDIA GPUs: pip install 'edgedepth[tensorrt]'"


def _obstacle(rtx: bool, targets: tuple[str, ...], no_gpu: str, capabilities: list[str]) -> str:
    if no_gpu:
        building = "; building with --target works" if rtx else ""
        return f"{no_gpu}{building}"
    own = f"sm{capabilities[0].replace('.', '')}"
    if rtx and own not in targets:
        return f"TensorRT-RTX does not support this GPU ({own}; it knows {', '.join(targets)}); use onnxruntime-cuda"
    return _no_pycuda()


def _no_graphs() -> str:
    """What to know although it works."""
    if find_recorder() is None:
        return "works without CUDA graphs; with them: pip install cuda-python (of your CUDA's release)"
    return ""


def _no_pycuda() -> str:
    if importlib.util.find_spec("pycuda") is None:
        return "pycuda is not installed; with the CUDA toolkit on the PATH: pip install 'edgedepth[cuda]'"
    return ""
