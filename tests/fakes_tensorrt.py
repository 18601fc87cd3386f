"""A TensorRT and a GPU made of Python, for what cannot be run without them.

`fake_trt(shape)` is a module with the names that TensorRT 10.3, 10.16 or 11.4 has and without those it has not. Its
ONNX is JSON (see `onnx_text`), its plans are that JSON, and its engines answer depth_m = mean of the channels / 10 per
pixel. `FakeDevice` queues work as a stream does: nothing happens before it is synchronised.
"""

from __future__ import annotations

import enum
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

from edgedepth.core.errors import BackendError
from edgedepth.engines.tensorrt.device import Buffer

Severity = enum.IntEnum("Severity", ["INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE"])
DataType = enum.IntEnum("DataType", ["FLOAT", "HALF", "INT8", "INT32", "INT64", "BOOL", "UINT8", "FP8"])
LayerType = enum.IntEnum("LayerType", ["CONVOLUTION", "CAST", "DEQUANTIZE"])
Mode = enum.IntEnum("Mode", ["NONE", "INPUT", "OUTPUT"])

_TYPES = {"uint8": DataType.UINT8, "float32": DataType.FLOAT, "float16": DataType.HALF, "fp8": DataType.FP8}


def onnx_text(**changes: Any) -> str:
    """A network of the fake's own kind: `frame` (1, 2, 4, 3) uint8 to `depth_m` (1, 1, 2, 4) float32."""
    network: dict[str, Any] = {
        "inputs": [{"name": "frame", "shape": [1, 2, 4, 3], "dtype": "uint8"}],
        "outputs": [{"name": "depth_m", "shape": [1, 1, 2, 4], "dtype": "float32"}],
        "parse_error": None,
        "build_error": None,
        "nan": False,
    }
    return json.dumps({**network, **changes})


class FakeDevice:
    """A GPU with its own memory. `log` has what was done, `depth` how often its context is current.

    full: there is no memory left. lost: the driver gave up. refuses: contexts do not run.
    """

    def __init__(self, *, integrated: bool = False, name: str = "Fake GPU", capability: str = "8.7") -> None:
        self.integrated, self.name, self.capability = integrated, name, capability
        self.stream = 7
        self.slow_s = 0.0
        self.memory: dict[int, np.ndarray] = {}
        self.log: list[str] = []
        self.depth = self.deepest = 0
        self.closed = self.full = self.lost = self.refuses = False
        self._queue: list[Callable[[], None]] = []
        self._captured: list[Callable[[], None]] | None = None
        self._next = 1000

    def enqueue(self, work: Callable[[], None]) -> None:
        assert self.depth, "the device's context must be current"
        (self._queue if self._captured is None else self._captured).append(work)

    @contextmanager
    def current(self) -> Iterator[None]:
        self.depth += 1
        self.deepest = max(self.deepest, self.depth)
        try:
            yield
        finally:
            self.depth -= 1

    def allocate(self, nbytes: int) -> Buffer:
        if self.full:
            raise BackendError("no memory left on Fake GPU")
        host = np.full(nbytes, 0xAA, np.uint8)
        self._next += 1
        self.memory[self._next] = host if self.integrated else np.full(nbytes, 0x55, np.uint8)
        self.log.append(f"allocate {nbytes}")
        return Buffer(host=host, pointer=self._next, shared=self.integrated, keep=None)

    def upload(self, buffer: Buffer, nbytes: int) -> None:
        time.sleep(self.slow_s)  # another thread gets its chance in the middle of a run
        if not buffer.shared:
            self.log.append("upload")
            self.enqueue(lambda: np.copyto(self.memory[buffer.pointer][:nbytes], buffer.host[:nbytes]))

    def download(self, buffer: Buffer, nbytes: int) -> None:
        if not buffer.shared:
            self.log.append("download")
            self.enqueue(lambda: np.copyto(buffer.host[:nbytes], self.memory[buffer.pointer][:nbytes]))

    def free(self, buffer: Buffer) -> None:
        self.log.append("free")
        del self.memory[buffer.pointer]

    def synchronise(self) -> None:
        if self.lost:
            raise BackendError("Fake GPU failed: it is lost")
        for work in self._queue:
            work()
        self._queue.clear()

    def close(self) -> None:
        assert not self.memory, "memory was not freed"
        self.closed = True


class FakeRecorder:
    """Records a `FakeDevice`'s queue; `fails` makes recording impossible."""

    def __init__(self, device: FakeDevice, *, fails: bool = False) -> None:
        self.device, self.fails = device, fails
        self.recorded = self.launched = self.alive = 0

    def record(self, stream: int, queue: Callable[[], None]) -> Any:
        assert stream == self.device.stream
        if self.fails:
            raise BackendError("CUDA graphs: cuStreamEndCapture failed with CUDA_ERROR_STREAM_CAPTURE_INVALIDATED")
        self.device._captured = work = []
        queue()
        self.device._captured = None
        self.recorded += 1
        self.alive += 1
        return work

    def launch(self, graph: Any, stream: int) -> None:
        self.launched += 1
        self.device._queue.extend(graph)

    def destroy(self, graph: Any) -> None:
        assert self.device.depth, "the device's context must be current"
        assert not self.device._queue, "it may still run"
        self.alive -= 1


class _Config:
    def __init__(self) -> None:
        self.flags: list[str] = []
        self.pools: dict[str, int] = {}
        self.profiles: list[Any] = []
        self.timing: bytes | None = None

    def set_flag(self, flag: Any) -> None:
        self.flags.append(flag.name)

    def set_memory_pool_limit(self, pool: Any, size: int) -> None:
        self.pools[pool.name] = size

    def add_optimization_profile(self, profile: Any) -> int:
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def create_timing_cache(self, data: bytes) -> SimpleNamespace:
        return SimpleNamespace(data=data, serialize=lambda: b"times of " + (data or b"nothing"))

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        if cache.data == b"of another GPU":
            return False
        self.timing, self._timing = cache.data, cache
        return True

    def get_timing_cache(self) -> Any:
        return self._timing


class _Profile:
    def __init__(self) -> None:
        self.shapes: dict[str, Any] = {}

    def set_shape(self, name: str, low: Any, usual: Any, high: Any) -> None:
        self.shapes[name] = [list(low), list(usual), list(high)]


class _Network:
    def __init__(self, flags: int) -> None:
        self.flags = flags
        self.data: dict[str, Any] = {"inputs": [], "outputs": []}
        self.num_layers = 0

    num_inputs = property(lambda self: len(self.data["inputs"]))
    num_outputs = property(lambda self: len(self.data["outputs"]))

    def get_input(self, index: int) -> Any:
        return _tensor(self.data["inputs"][index])

    def get_output(self, index: int) -> Any:
        return _tensor(self.data["outputs"][index])


def _tensor(entry: dict[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(name=entry["name"], shape=tuple(entry["shape"]), dtype=_TYPES[entry["dtype"]])


class _Engine:
    """An engine of the JSON in its plan."""

    num_optimization_profiles = property(lambda self: max(len(self.data.get("profiles", [])), 1))
    num_io_tensors = property(lambda self: len(self.tensors))

    def __init__(self, data: dict[str, Any], device: FakeDevice | None) -> None:
        self.data, self.device = data, device
        self.tensors = {entry["name"]: entry for entry in data["inputs"] + data["outputs"]}

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_mode(self, name: str) -> Mode:
        return Mode.INPUT if any(entry["name"] == name for entry in self.data["inputs"]) else Mode.OUTPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.tensors[name]["shape"])

    def get_tensor_dtype(self, name: str) -> DataType:
        return _TYPES[self.tensors[name]["dtype"]]

    def get_tensor_profile_shape(self, name: str, index: int) -> list[tuple[int, ...]]:
        return [tuple(shape) for shape in self.data["profiles"][index][name]]

    def create_execution_context(self) -> Any:
        return None if self.data.get("no_context") else _Context(self)


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self.engine = engine
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.profile = 0
        if engine.data.get("not_capturable"):
            self.is_stream_capturable = lambda stream: False

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shapes[name] = tuple(shape)
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        batch, height, width, _ = self.shapes["frame"]
        return (batch, 1, height, width)

    def set_tensor_address(self, name: str, pointer: int) -> bool:
        self.addresses[name] = pointer
        return True

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        self.profile = index
        return True

    def execute_async_v3(self, stream: int) -> bool:
        device = self.engine.device
        assert device is not None
        assert stream == device.stream
        if self.engine.data.get("run_error") or device.refuses:
            return False
        shapes = dict(self.shapes)
        addresses = dict(self.addresses)
        nan = self.engine.data["nan"]

        def compute() -> None:
            frame = device.memory[addresses["frame"]][: np.prod(shapes["frame"])].reshape(shapes["frame"])
            depth = frame.mean(axis=3, dtype=np.float32)[:, None] / np.float32(10)
            if nan:
                depth[..., 0] = np.nan
            raw = np.ascontiguousarray(depth).view(np.uint8).reshape(-1)
            device.memory[addresses["depth_m"]][: raw.size] = raw

        device.enqueue(compute)
        return True


def fake_trt(shape: str, device: FakeDevice | None = None) -> SimpleNamespace:
    """A `tensorrt` module of version 10.3, 10.16 or 11.4."""
    major = int(shape.split(".")[0])
    old = shape == "10.3"
    state: dict[str, Any] = {"configs": [], "networks": []}

    class Logger:
        pass

    class Builder:
        def __init__(self, logger: Any) -> None:
            if state.get("no_driver"):
                logger.log(Severity.ERROR, "CUDA initialization failure with error: 35. Please check the driver.")
                raise TypeError("pybind11::init(): factory function returned nullptr")
            self.logger = logger

        def create_network(self, flags: int) -> _Network:
            assert flags == (2 if major == 10 else 0), "not strongly typed"
            state["networks"].append(_Network(flags))
            return state["networks"][-1]

        def create_builder_config(self) -> _Config:
            state["configs"].append(_Config())
            return state["configs"][-1]

        def create_optimization_profile(self) -> _Profile:
            return _Profile()

        def build_serialized_network(self, network: _Network, config: _Config) -> bytes | None:
            if network.data["build_error"]:
                self.logger.log(Severity.ERROR, network.data["build_error"])
                return None
            monitor = getattr(config, "progress_monitor", None)
            if monitor is not None:
                monitor.phase_start("Building engine", None, 2)
                for step in range(2):
                    monitor.step_complete("Building engine", step)
                monitor.phase_finish("Building engine")
            return json.dumps({**network.data, "profiles": [p.shapes for p in config.profiles]}).encode()

    class OnnxParser:
        def __init__(self, network: _Network, logger: Any) -> None:
            self.network = network
            self.num_errors = 0

        def parse(self, data: bytes) -> bool:
            self.network.data = json.loads(data)
            self.num_errors = 1 if self.network.data["parse_error"] else 0
            return not self.num_errors

        def get_error(self, index: int) -> Any:
            node, operator, text = self.network.data["parse_error"]
            return SimpleNamespace(node_name=lambda: node, node_operator=lambda: operator, desc=lambda: text)

    class Runtime:
        def __init__(self, logger: Any) -> None:
            self.logger = logger

        def deserialize_cuda_engine(self, plan: bytes) -> Any:
            try:
                engine = _Engine(json.loads(plan), device)
            except ValueError:
                self.logger.log(
                    Severity.ERROR,
                    "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Serialization assertion"
                    " header.magicTag == kEXPECTED_MAGIC_TAG failed.)",
                )
                return None
            sizes = {"device_memory_size": 4096} if major == 10 else {}
            sizes |= {} if old else {"device_memory_size_v2": 4096}
            for name, size in sizes.items():
                setattr(engine, name, size)
            return engine

    levels = ["NONE", "AMPERE_PLUS"] + ([] if old else ["SAME_COMPUTE_CAPABILITY"])
    flags = (["FP16", "INT8"] if major == 10 else []) + ["VERSION_COMPATIBLE", "EXCLUDE_LEAN_RUNTIME"]
    creation = {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1} if major == 10 else {"STRONGLY_TYPED": 0}
    return SimpleNamespaceModule(
        __version__=f"{shape}.0",
        ILogger=Logger,
        IProgressMonitor=type("IProgressMonitor", (), {}),
        Builder=Builder,
        OnnxParser=OnnxParser,
        Runtime=Runtime,
        BuilderFlag=enum.IntEnum("BuilderFlag", flags),
        NetworkDefinitionCreationFlag=enum.IntEnum("NetworkDefinitionCreationFlag", creation),
        HardwareCompatibilityLevel=enum.IntEnum("HardwareCompatibilityLevel", levels),
        MemoryPoolType=enum.IntEnum("MemoryPoolType", ["WORKSPACE"]),
        ProfilingVerbosity=enum.IntEnum("ProfilingVerbosity", ["DETAILED"]),
        LayerType=LayerType,
        DataType=DataType,
        state=state,
    )


class SimpleNamespaceModule(SimpleNamespace):
    """A namespace that can be a key, as a module can."""

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other
