"""Sessions of TensorRT, in all its flavours."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import BackendError
from edgedepth.engines.machine import Gpu
from edgedepth.engines.session import Precision, Session, SessionConfig, TensorInfo, check_inputs, check_outputs
from edgedepth.engines.tensorrt.build import started
from edgedepth.engines.tensorrt.config import BuildConfig, CameraInput
from edgedepth.engines.tensorrt.device import SHARED, Device, SharedDevice
from edgedepth.engines.tensorrt.flavour import Flavour, load_flavour
from edgedepth.engines.tensorrt.graphs import Recorder, find_recorder
from edgedepth.engines.tensorrt.logger import log_of
from edgedepth.engines.tensorrt.messages import failure
from edgedepth.engines.tensorrt.plans import Plan, plan_for
from edgedepth.engines.tensorrt.profiles import Shape, Size
from edgedepth.engines.tensorrt.tensors import Memory, ranges_of, tensors_of

_LOG = logging.getLogger("edgedepth.tensorrt")
_NO_RECORDER = "without CUDA graphs: cuda-python is not installed (pip install cuda-python)"


def open_session(onnx_path: Path, flavour: str, config: SessionConfig) -> Session:
    """Load a network on the GPU, from its cached plan or, where there is none, from one built now.

    Raises:
        BackendError: there is no GPU, bf16 is asked for, or the plan cannot be built or opened.
    """
    if config.precision == "bf16":
        raise BackendError("TensorRT computes in the precision of the file; bf16 needs backend openvino")
    found = load_flavour(flavour)
    device = SHARED.acquire()
    try:
        gpu = Gpu(name=device.name, capability=device.capability, integrated=device.integrated)
        camera = None
        if config.frame_wh is not None:
            camera = CameraInput.fixed(config.frame_wh, config.resize)
        plan = plan_for(onnx_path, BuildConfig(camera=camera), found, gpu=gpu, strict=False, build=config.build)
        return TensorRtSession(
            found, plan, SHARED, precision=config.precision, recorder=find_recorder(), frame_wh=config.frame_wh
        )
    finally:
        SHARED.release()


def open_plan(flavour: str, plan: Plan, *, precision: Precision, frame_wh: Size | None = None) -> TensorRtSession:
    """Open exactly this plan on the GPU, whatever else the cache holds.

    Raises:
        BackendError: there is no GPU, or the library refuses the plan.
    """
    found = load_flavour(flavour)
    return TensorRtSession(found, plan, SHARED, precision=precision, recorder=find_recorder(), frame_wh=frame_wh)


class TensorRtSession:
    """A network in TensorRT; see `edgedepth.engines.Session`.

    Arrays given to `run` are copied into page-locked memory; returned ones are views of it. Where the GPU shares the
    processor's memory, nothing else is copied. With a recorder, the second run of a shape is recorded as a CUDA graph
    and later ones launch that; `notes` says where it is not, and why.

    plan: checked by the cache; whether it was built now is in `built`, as it then wants a golden check.
    frame_wh: the camera size it is for, where its engine takes several.
    record_graphs: set it to False to run plainly although there is a recorder.
    """

    def __init__(
        self,
        flavour: Flavour,
        plan: Plan,
        devices: SharedDevice,
        *,
        precision: Precision,
        recorder: Recorder | None = None,
        frame_wh: Size | None = None,
    ) -> None:
        self.backend = flavour.name
        self.precision: Precision = precision
        self.sidecar = plan.sidecar
        self.key = plan.key
        self.built = bool(plan.why_built)
        self.notes: list[str] = [] if recorder is not None else [_NO_RECORDER]
        self.record_graphs = recorder is not None
        self._flavour, self._devices, self._recorder = flavour, devices, recorder
        self._device: Device = devices.acquire()
        self._engine: Any = None
        self._context: Any = None
        self.device = "CUDA:0"
        try:
            with log_of(flavour.trt).collect(), devices.turn():  # in this order: the log may be held for a whole build
                self._open(plan)
        except BaseException:
            devices.release()
            raise
        self.inputs = tuple(_at_size(tensor.info, frame_wh) for tensor in self._tensors if tensor.is_input)
        self.outputs = tuple(tensor.info for tensor in self._tensors if not tensor.is_input)
        self._memory = Memory(self._device)
        self._shapes: dict[str, Shape] = {}  # of every tensor in the run before
        self._profile = 0
        self._runs = 0  # since the shapes last changed
        self._graphs: dict[tuple[str, ...], Any] = {}  # by the outputs that are copied back
        self._closed = False

    def _open(self, plan: Plan) -> None:
        """Open the plan and what running it needs; nothing is left on the device where that fails.

        Raises:
            BackendError: the library refuses the plan, or there is no memory for it.
        """
        self._engine = deserialise(self._flavour, plan)
        try:
            with log_of(self._flavour.trt).collect() as lines:
                self._context = self._flavour.create_context(self._engine)
            if self._context is None:
                raise failure(self._flavour, f"cannot start {plan.sidecar.network}", lines)
            self._tensors = tensors_of(self._flavour, self._engine)
            self._ranges = ranges_of(self._engine, self._tensors)
        except BaseException:
            self._drop_engine()
            raise

    def run(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """Run once; the returned arrays are overwritten by the next run."""
        if self._closed:
            raise BackendError("this session is closed")
        check_inputs(self.inputs, inputs)
        names = check_outputs([info.name for info in self.outputs], outputs)
        with self._devices.turn():
            try:
                self._prepare({name: array.shape for name, array in inputs.items()})
                for tensor in self._tensors:
                    if tensor.is_input:
                        np.copyto(self._memory.view(tensor, self._shapes[tensor.name]), inputs[tensor.name])
                self._launch(names)
                self._device.synchronise()
            except BaseException:
                self._shapes.clear()  # whatever was half prepared is prepared anew
                raise
        by_name = {tensor.name: tensor for tensor in self._tensors}
        return {name: self._memory.view(by_name[name], self._shapes[name]) for name in names}

    @property
    def profiles(self) -> int:
        """How many ranges of input sizes the engine has kernels for."""
        return len(self._ranges)

    @property
    def memory_bytes(self) -> dict[str, int]:
        """Memory this session holds: the plan's weights (as large as the plan), activations, and tensors."""
        tensors = self._memory.nbytes
        return {
            "plan": self.sidecar.plan_bytes,
            "activations": self._flavour.activation_bytes(self._engine),
            "tensors_device": tensors["device"],
            "tensors_host": tensors["host"],
        }

    def close(self) -> None:
        """Release the engine, its memory and its hold on the device."""
        if self._closed:
            return
        self._closed = True
        with ExitStack() as last:  # each step is taken whatever became of those before it
            last.callback(self._devices.release)
            last.enter_context(self._devices.turn())
            last.callback(self._memory.release)
            last.callback(self._drop_engine)
            last.callback(self._drop_graphs)
            self._device.synchronise()

    def _drop_engine(self) -> None:
        self._context = None  # before the engine that it belongs to
        self._engine = None

    def __enter__(self) -> TensorRtSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- inside ------------------------------------------------------------------------------------------

    def _prepare(self, given: dict[str, Shape]) -> None:
        """Set the shapes of a run, and make room for its tensors, where they differ from the run before."""
        if self._shapes and all(self._shapes[name] == shape for name, shape in given.items()):
            return
        self._device.synchronise()
        self._drop_graphs()
        self._choose_profile(given)
        for name, shape in given.items():
            if not self._context.set_input_shape(name, shape):
                self._fail(f"refuses the shape {'x'.join(map(str, shape))} for {name}")
        for tensor in self._tensors:
            shape = given[tensor.name] if tensor.is_input else tuple(self._context.get_tensor_shape(tensor.name))
            self._shapes[tensor.name] = shape
            # always: after a run that failed half-way nobody knows which address the engine has
            if not self._context.set_tensor_address(tensor.name, self._memory.reserve(tensor, shape)):
                self._fail(f"refuses the memory of {tensor.name}")
        self._runs = 0

    def _choose_profile(self, given: dict[str, Shape]) -> None:
        """Switch to the first profile that holds the shapes, staying where that is the present one."""
        order = [self._profile, *range(len(self._ranges))]
        fitting = [i for i in order if all(entry.holds(given[name]) for name, entry in self._ranges[i].items())]
        if not fitting:
            shapes = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in given.items())
            known = "; ".join(str(entry) for profile in self._ranges for entry in profile.values())
            raise BackendError(f"no profile of {self.sidecar.network} holds {shapes}; it has {known}")
        if fitting[0] != self._profile:
            if not self._context.set_optimization_profile_async(fitting[0], self._device.stream):
                self._fail(f"cannot switch to profile {fitting[0]}")
            self._profile = fitting[0]

    def _launch(self, names: tuple[str, ...]) -> None:
        """Queue one inference: the first of a shape plainly, the next recorded, the others from the recording."""
        self._runs += 1
        if self._recorder is None or not self.record_graphs:
            self._queue(names)
        elif names in self._graphs:
            self._recorder.launch(self._graphs[names], self._device.stream)
        elif self._runs == 1 or not self._record(self._recorder, names):
            self._queue(names)

    def _record(self, recorder: Recorder, names: tuple[str, ...]) -> bool:
        """Record and launch a graph; False, with a note and for good, where this engine cannot be recorded."""
        stream = self._device.stream
        try:
            if not self._flavour.capturable(self._context, stream):
                raise BackendError("the engine says that its work cannot be captured")
            self._graphs[names] = recorder.record(stream, lambda: self._queue(names))
        except BackendError as error:
            self.record_graphs = False
            self.notes.append(f"without CUDA graphs: {error}")
            _LOG.warning("%s runs without CUDA graphs: %s", self.sidecar.network, error)
            return False
        recorder.launch(self._graphs[names], stream)
        return True

    def _queue(self, names: tuple[str, ...]) -> None:
        """Copies in, inference, copies out, on the stream."""
        for tensor in self._tensors:
            if tensor.is_input:
                self._memory.upload(tensor, self._shapes[tensor.name])
        if not self._context.execute_async_v3(self._device.stream):
            self._fail("failed to run")
        for tensor in self._tensors:
            if tensor.name in names:
                self._memory.download(tensor, self._shapes[tensor.name])

    def _drop_graphs(self) -> None:
        while self._graphs:
            assert self._recorder is not None
            self._recorder.destroy(self._graphs.popitem()[1])

    def _fail(self, what: str) -> NoReturn:
        raise failure(self._flavour, f"{what} ({self.sidecar.network})", log_of(self._flavour.trt).last_errors())


def _at_size(info: TensorInfo, frame_wh: Size | None) -> TensorInfo:
    """An input as a session for one camera size takes it: `frame` is (1, H, W, 3)."""
    if frame_wh is None or info.name != "frame" or info.static_shape is not None:
        return info
    return dataclasses.replace(info, shape=(1, frame_wh[1], frame_wh[0], 3))


def deserialise(flavour: Flavour, plan: Plan) -> Any:
    """The engine of a plan whose digest the cache has checked; the device's context is current.

    Raises:
        BackendError: the library refuses the plan; the message quotes it.
    """
    log = log_of(flavour.trt)
    with log.collect() as lines:
        runtime = started(flavour, flavour.trt.Runtime, "cannot start its runtime", lines)
        if plan.sidecar.config.get("version_compatible") and not flavour.rtx:
            runtime.engine_host_code_allowed = True  # such plans carry their own runtime; this one is trusted
        engine = runtime.deserialize_cuda_engine(plan.plan)
    if engine is None:
        raise failure(flavour, f"cannot open the engine of {plan.sidecar.network}", lines)
    return engine
