"""Sessions of OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import BackendError
from edgedepth.engines.openvino import untold
from edgedepth.engines.session import (
    Precision,
    Session,
    SessionConfig,
    TensorInfo,
    check_inputs,
    check_outputs,
    one_line,
)

with untold():
    import openvino as ov

# OpenVINO's own default is bf16 on a CPU that has it, so the arithmetic is always said: what a file does not
# quantise is computed in float32 unless bf16 was asked for.
_HINTS: dict[Precision, str] = {"fp32": "f32", "fp16": "f32", "int8": "f32", "bf16": "bf16"}


def open_session(onnx_path: Path, device: str, config: SessionConfig) -> Session:
    """Load a network on an OpenVINO device.

    Raises:
        BackendError: the file cannot be loaded, or the device has no bfloat16 and it is asked for.
    """
    properties: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": _HINTS[config.precision],
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
    }
    if config.threads is not None:
        properties["INFERENCE_NUM_THREADS"] = config.threads
    core = ov.Core()
    if config.precision == "bf16" and "BF16" not in core.get_property(device, "OPTIMIZATION_CAPABILITIES"):
        raise BackendError(f"openvino has no bfloat16 on this {device}; use --precision fp32 or int8")
    try:
        model = core.read_model(str(onnx_path))
        return OpenVinoSession(core, model, device, properties, config.precision)
    except RuntimeError as error:
        raise BackendError(f"openvino cannot load {onnx_path}: {one_line(error)}") from error


class OpenVinoSession:
    """A network in OpenVINO; see `edgedepth.engines.Session`.

    OpenVINO always computes every output of a compiled network. So one is compiled for the first output at once,
    and one for each other set of outputs when it is first asked for. Inputs are read in place, outputs live in the
    infer request.
    """

    def __init__(
        self, core: ov.Core, model: ov.Model, device: str, properties: dict[str, Any], precision: Precision
    ) -> None:
        self.backend = "openvino"
        self.device = device
        self.precision: Precision = precision
        self.inputs = tuple(_info(port) for port in model.inputs)
        self.outputs = tuple(_info(port) for port in model.outputs)
        self._core, self._model, self._properties = core, model, properties
        self._requests: dict[tuple[str, ...], Any] = {}
        self._closed = False
        self._request((self.outputs[0].name,))

    def _request(self, names: tuple[str, ...]) -> Any:
        """The infer request that computes these outputs."""
        if names not in self._requests:
            ports = {port.any_name: port for port in self._model.outputs}
            results = [ports[name].get_node() for name in names]
            part = ov.Model(results, self._model.get_parameters(), "part")
            compiled = self._core.compile_model(part, self.device, self._properties)
            self._requests[names] = compiled.create_infer_request()
        return self._requests[names]

    def run(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """Run once; the returned arrays are overwritten by the next run."""
        if self._closed:
            raise BackendError("this session is closed")
        check_inputs(self.inputs, inputs)
        names = check_outputs([info.name for info in self.outputs], outputs)
        held = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        try:
            request = self._request(names)
            request.infer(held, share_inputs=True, share_outputs=True)
        except RuntimeError as error:
            raise BackendError(f"openvino failed to run: {one_line(error)}") from error
        return {name: request.get_tensor(name).data for name in names}

    def close(self) -> None:
        """Release the engine."""
        self._closed = True
        self._requests.clear()

    def __enter__(self) -> OpenVinoSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _info(port: Any) -> TensorInfo:
    shape = tuple(size.get_length() if size.is_static else None for size in port.partial_shape)
    return TensorInfo(name=port.any_name, shape=shape, dtype=np.dtype(port.element_type.to_dtype()))
