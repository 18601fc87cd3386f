"""Sessions of OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from edgedepth.core.errors import BackendError
from edgedepth.engines.session import (
    Precision,
    Session,
    SessionConfig,
    TensorInfo,
    check_inputs,
    check_outputs,
    one_line,
)

# OpenVINO's own default is bf16 on a CPU that has it, so the arithmetic is always said: what a file does not
# quantise is computed in float32 unless bf16 was asked for.
_HINTS: dict[Precision, str] = {"fp32": "f32", "fp16": "f32", "int8": "f32", "bf16": "bf16"}


def open_session(onnx_path: Path, device: str, config: SessionConfig) -> Session:
    """Load a network on an OpenVINO device.

    Raises:
        BackendError: the file cannot be loaded.
    """
    properties: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": _HINTS[config.precision],
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
    }
    if config.threads is not None:
        properties["INFERENCE_NUM_THREADS"] = config.threads
    try:
        compiled = ov.Core().compile_model(str(onnx_path), device, properties)
    except RuntimeError as error:
        raise BackendError(f"openvino cannot load {onnx_path}: {one_line(error)}") from error
    return OpenVinoSession(compiled, device, config.precision)


class OpenVinoSession:
    """A network in OpenVINO; see `edgedepth.engines.Session`.

    Inputs are read in place, outputs live in the infer request.
    """

    def __init__(self, compiled: ov.CompiledModel, device: str, precision: Precision) -> None:
        self.backend = "openvino"
        self.device = device
        self.precision: Precision = precision
        self.inputs = tuple(_info(port) for port in compiled.inputs)
        self.outputs = tuple(_info(port) for port in compiled.outputs)
        self._request: ov.InferRequest | None = compiled.create_infer_request()

    def run(
        self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Run once; the returned arrays are overwritten by the next run."""
        if self._request is None:
            raise BackendError("this session is closed")
        check_inputs(self.inputs, inputs)
        names = check_outputs([info.name for info in self.outputs], outputs)
        held = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        try:
            self._request.infer(held, share_inputs=True, share_outputs=True)
        except RuntimeError as error:
            raise BackendError(f"openvino failed to run: {one_line(error)}") from error
        return {name: self._request.get_tensor(name).data for name in names}

    def close(self) -> None:
        """Release the engine."""
        self._request = None

    def __enter__(self) -> OpenVinoSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _info(port: Any) -> TensorInfo:
    shape = tuple(size.get_length() if size.is_static else None for size in port.partial_shape)
    return TensorInfo(name=port.any_name, shape=shape, dtype=np.dtype(port.element_type.to_dtype()))
