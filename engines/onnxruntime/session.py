"""Sessions of ONNX Runtime, with inputs and outputs bound to memory that is reused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edgedepth.core.errors import BackendError
from edgedepth.engines.onnxruntime.providers import PROVIDERS, Provider, open_on
from edgedepth.engines.session import (
    Precision,
    Session,
    SessionConfig,
    TensorInfo,
    check_inputs,
    check_outputs,
    one_line,
)

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(uint16)": np.uint16,
    "tensor(int8)": np.int8,
    "tensor(bool)": np.bool_,
}


def open_session(onnx_path: Path, variant: str, config: SessionConfig) -> Session:
    """Load a network on a provider, by its variant in `PROVIDERS`.

    Raises:
        BackendError: the file cannot be loaded, the provider was asked for but not obtained, or the precision is
            not one this backend computes in.
    """
    if config.precision == "bf16":
        raise BackendError("onnxruntime computes in the precision of the file; bf16 needs backend openvino")
    provider = PROVIDERS[variant]
    options = ort.SessionOptions()
    options.log_severity_level = 4  # errors reach the user as our exceptions
    # Threads that spin between runs take the cores from the other networks, from resizing and from who else is there.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if config.threads is not None:
        options.intra_op_num_threads = config.threads
        options.inter_op_num_threads = 1
    session = open_on(ort, provider, str(onnx_path), options, config.precision)
    return OnnxRuntimeSession(session, provider, config.precision)


class OnnxRuntimeSession:
    """A network in ONNX Runtime; see `edgedepth.engines.Session`.

    Outputs of static shape are written straight into arrays that live as long as the session.
    """

    def __init__(self, session: ort.InferenceSession, provider: Provider, precision: Precision) -> None:
        self._session: ort.InferenceSession | None = session
        self.backend = provider.backend
        self.device = provider.device
        self.precision: Precision = precision
        self.inputs = tuple(_info(node) for node in session.get_inputs())
        self.outputs = tuple(_info(node) for node in session.get_outputs())
        self._names = tuple(info.name for info in self.outputs)
        self._bindings: dict[tuple[str, ...], Any] = {}
        self._buffers: dict[str, NDArray[Any]] = {
            info.name: np.empty(info.static_shape, info.dtype) for info in self.outputs if info.static_shape is not None
        }
        self._options = ort.RunOptions()
        self._options.only_execute_path_to_fetches = True

    def _binding(self, names: tuple[str, ...]) -> Any:
        """The binding that fetches these outputs in this order, those of known shape into the session's arrays."""
        known = all(name in self._buffers for name in names)
        if names in self._bindings and known:
            return self._bindings[names]
        assert self._session is not None
        if names not in self._bindings:
            self._bindings[names] = self._session.io_binding()
        binding = self._bindings[names]
        binding.clear_binding_outputs()  # an open output is bound anew, or the shape of the run before would be kept
        for name in names:
            if name in self._buffers:
                buffer = self._buffers[name]
                binding.bind_output(name, "cpu", 0, buffer.dtype, buffer.shape, buffer.ctypes.data)
            else:
                binding.bind_output(name)
        return binding

    def run(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """Run once; the returned arrays are overwritten by the next run."""
        if self._session is None:
            raise BackendError("this session is closed")
        check_inputs(self.inputs, inputs)
        names = check_outputs(self._names, outputs)
        binding = self._binding(names)
        # the binding keeps bare pointers: hold the arrays until the run is over
        held = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        for name, array in held.items():
            binding.bind_cpu_input(name, array)
        try:
            self._session.run_with_iobinding(binding, self._options)
        except Exception as error:  # see open_session
            raise BackendError(f"onnxruntime failed to run: {one_line(error)}") from error
        if all(name in self._buffers for name in names):
            return {name: self._buffers[name] for name in names}
        return dict(zip(names, binding.copy_outputs_to_cpu(), strict=True))

    def close(self) -> None:
        """Release the engine."""
        self._session = None
        self._bindings.clear()

    def __enter__(self) -> OnnxRuntimeSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _info(node: Any) -> TensorInfo:
    shape = tuple(size if isinstance(size, int) else None for size in node.shape)
    if node.type not in _DTYPES:
        raise BackendError(f"tensor {node.name} has the type {node.type}, which edgedepth does not handle")
    return TensorInfo(name=node.name, shape=shape, dtype=np.dtype(_DTYPES[node.type]))
