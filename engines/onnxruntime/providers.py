"""The execution providers of ONNX Runtime that edgedepth offers, and how a session gets one of them.

Listed is not loaded: ONNX Runtime goes on with the CPU where a provider fails, and says so in its log only. So the
providers of every session are compared with what was asked for.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from edgedepth.core.errors import BackendError
from edgedepth.engines.session import Precision, one_line

# The plugin package of TensorRT-RTX, which brings that library along; its provider is registered, not built in.
RTX_PLUGIN = "onnxruntime_ep_nv_tensorrt_rtx"


@dataclass(frozen=True, kw_only=True)
class Provider:
    """An execution provider. `remedy` says how to get it, `check` what to look at where it does not load."""

    backend: str
    name: str
    device: str
    remedy: str = ""
    check: str = ""


_GPU_REMEDY = "with an NVIDIA GPU: pip uninstall onnxruntime, then pip install onnxruntime-gpu"
# by the variant of the backend, see `edgedepth.engines.registry.BACKENDS`
PROVIDERS: dict[str, Provider] = {
    "CPU": Provider(backend="onnxruntime", name="CPUExecutionProvider", device="CPU"),
    "CUDA": Provider(
        backend="onnxruntime-cuda",
        name="CUDAExecutionProvider",
        device="CUDA:0",
        remedy=_GPU_REMEDY,
        check="check the NVIDIA driver, CUDA and cuDNN",
    ),
    "TensorRT": Provider(
        backend="onnxruntime-tensorrt",
        name="TensorrtExecutionProvider",
        device="CUDA:0",
        remedy=_GPU_REMEDY,
        check="it needs TensorRT 10 (libnvinfer.so.10) besides driver, CUDA and cuDNN; or use backend tensorrt",
    ),
    "TensorRT-RTX": Provider(
        backend="onnxruntime-rtx",
        name="NvTensorRTRTXExecutionProvider",
        device="CUDA:0",
        remedy="with an RTX card: pip install onnxruntime-ep-nv-tensorrt-rtx",
        check="check the NVIDIA driver, and that the GPU is an RTX 20 or later",
    ),
}


# The TensorRT provider takes its types from flags rather than from the file; without them it refuses typed files.
_TENSORRT_FLAGS: dict[Precision, tuple[str, ...]] = {
    "fp16": ("trt_fp16_enable",),
    "int8": ("trt_int8_enable", "trt_fp16_enable"),
}


def provider_options(provider: Provider, precision: Precision) -> dict[str, str]:
    """What a provider has to be told to compute a file of this precision."""
    if provider.name != PROVIDERS["TensorRT"].name:
        return {}
    return dict.fromkeys(_TENSORRT_FLAGS.get(precision, ()), "True")


def open_on(
    onnxruntime: Any, provider: Provider, model: str | bytes, options: Any, precision: Precision = "fp32"
) -> Any:
    """An `InferenceSession` that really is on a provider.

    Raises:
        BackendError: the model cannot be loaded, or the session is not on the provider.
    """
    what = "its test model" if isinstance(model, bytes) else model
    try:
        if provider.name == PROVIDERS["TensorRT-RTX"].name:
            options.add_provider_for_devices(_plugin_devices(onnxruntime, provider), {})
            session = onnxruntime.InferenceSession(model, options)
        else:
            chosen = (provider.name, provider_options(provider, precision))
            session = onnxruntime.InferenceSession(model, options, providers=[chosen])
    except BackendError:
        raise
    except Exception as error:  # onnxruntime's C++ exceptions have no common base
        raise BackendError(f"onnxruntime cannot load {what}: {one_line(error)}") from error
    if provider.name not in session.get_providers():
        raise BackendError(f"onnxruntime was asked for {provider.name} but fell back to the CPU; {provider.check}")
    return session


def _plugin_devices(onnxruntime: Any, provider: Provider) -> list[Any]:
    """The devices of the plugin provider, whose library is registered once per process.

    Raises:
        BackendError: the plugin is not installed, does not load, or finds no device.
    """
    try:
        plugin = importlib.import_module(RTX_PLUGIN)
    except ImportError:
        raise BackendError(f"the TensorRT-RTX plugin of onnxruntime is not installed; {provider.remedy}") from None
    if not _devices(onnxruntime, provider):
        try:
            onnxruntime.register_execution_provider_library(provider.backend, plugin.get_library_path())
        except Exception as error:  # see open_on
            raise BackendError(f"{provider.name} does not load: {one_line(error)}; {provider.check}") from error
    found = _devices(onnxruntime, provider)
    if not found:
        raise BackendError(f"{provider.name} finds no device; {provider.check}")
    return found


def _devices(onnxruntime: Any, provider: Provider) -> list[Any]:
    return [device for device in onnxruntime.get_ep_devices() if device.ep_name == provider.name]
