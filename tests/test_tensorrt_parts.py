"""Flavours, logs, messages, kernel lists, progress and machine facts, each by itself."""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgedepth.core.errors import BackendError, InputError, MissingPackageError, UnknownNameError
from edgedepth.engines import machine
from edgedepth.engines.machine import Driver, Gpu, Jetson
from edgedepth.engines.tensorrt import device as device_module
from edgedepth.engines.tensorrt import probe as probe_module
from edgedepth.engines.tensorrt.config import CameraInput
from edgedepth.engines.tensorrt.device import Buffer, PycudaDevice
from edgedepth.engines.tensorrt.flavour import flavour_of, installed_flavours, load_flavour, parse_version
from edgedepth.engines.tensorrt.graphs import find_recorder
from edgedepth.engines.tensorrt.interrupt import held_interrupt
from edgedepth.engines.tensorrt.kernels import Kernel, kernels_of, memory_of
from edgedepth.engines.tensorrt.logger import LogLine, log_of
from edgedepth.engines.tensorrt.messages import remedy_for, tidy
from edgedepth.engines.tensorrt.profiles import Profile, SizeRange, size_named
from edgedepth.engines.tensorrt.progress import PhaseTree, monitor_for
from edgedepth.engines.tensorrt.sidecar import capability_of_target
from tests.alone import passes_alone
from tests.fakes_tensorrt import Severity, fake_trt

# -- flavours ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "version"),
    [("10.3.0", (10, 3, 0)), ("11.4.0.106", (11, 4, 0, 106)), ("10.16.2.post1", (10, 16, 2)), ("", ()), ("dev", ())],
)
def test_versions_are_tuples(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


def test_versions_compare_as_numbers() -> None:
    assert parse_version("10.16.0") > parse_version("10.3.0")


@pytest.mark.parametrize("shape", ["10.3", "10.16", "11.4"])
def test_every_version_makes_a_strongly_typed_network(shape: str) -> None:
    trt = fake_trt(shape)
    flavour = flavour_of("tensorrt", trt)
    flavour.create_network(trt.Builder(None))  # the fake refuses any other kind
    assert flavour.title == f"TensorRT {shape}.0"
    assert flavour.targets == ()


@pytest.mark.parametrize(
    "sizes",
    [{"device_memory_size": 5}, {"device_memory_size": 4, "device_memory_size_v2": 5}, {"device_memory_size_v2": 5}],
)
def test_activation_memory_under_its_old_and_new_name(sizes: dict[str, int]) -> None:
    assert flavour_of("tensorrt", fake_trt("10.3")).activation_bytes(SimpleNamespace(**sizes)) == 5


def test_flavours_that_cannot_be_used_say_why() -> None:
    with pytest.raises(UnknownNameError, match="'trtllm'; known: tensorrt, tensorrt-rtx"):
        load_flavour("trtllm")
    old = fake_trt("10.3")
    old.__version__ = "8.6.1"
    with pytest.raises(BackendError, match=r"8.6.1 is too old, edgedepth needs 10.3; on a Jetson: sudo apt install"):
        flavour_of("tensorrt", old)
    with pytest.raises(BackendError, match="installed without its library"):
        flavour_of("tensorrt", SimpleNamespace(__version__="10.9"))


def test_module_that_does_not_load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tensorrt.py").write_text("raise OSError('libnvinfer.so.10: cannot open shared object file')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    assert installed_flavours() == ("tensorrt", "tensorrt-rtx")
    with pytest.raises(BackendError, match=r"tensorrt does not load: libnvinfer.so.10: cannot open.*never pip's"):
        load_flavour("tensorrt")


def test_rtx_is_here_and_knows_its_targets() -> None:
    rtx = load_flavour("tensorrt-rtx")
    assert {"sm75", "sm86", "sm89", "sm120"} <= set(rtx.targets)
    assert rtx.resolve_targets((), None) == ("sm86", "sm89", "sm120")
    assert rtx.resolve_targets((), "8.9") == ("sm89",)


@pytest.mark.parametrize(("target", "capability"), [("sm75", "7.5"), ("SM86", "8.6"), ("sm120", "12.0")])
def test_targets_name_compute_capabilities(target: str, capability: str) -> None:
    assert capability_of_target(target) == capability


# -- the log ---------------------------------------------------------------------------------------------------


def test_one_log_per_library_and_process() -> None:
    trt = fake_trt("11.4")
    log = log_of(trt)
    assert log_of(trt) is log
    assert log_of(fake_trt("11.4")) is not log
    with log.collect() as outer:
        log.logger.log(Severity.VERBOSE, "a detail")
        with log.collect() as inner:
            log.logger.log(Severity.ERROR, "a fault")
    log.logger.log(Severity.ERROR, "nobody listens")
    assert outer == [LogLine("VERBOSE", "a detail")]
    assert inner == [LogLine("ERROR", "a fault")]
    assert [line.text for line in log.last_errors()] == ["nobody listens"]  # what was collected was read
    assert log.last_errors() == []


# -- messages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "short", "remedy"),
    [
        (
            "IBuilder::buildSerializedNetwork: Error Code 4: API Usage Error (Network has dynamic or shape inputs, but"
            " no optimization profile has been defined. In validate at /_src/optimizer/api/network.cpp:4023)",
            "Network has dynamic or shape inputs, but no optimization profile has been defined",
            "profile of every dynamic input",
        ),
        (
            "IRuntime::deserializeCudaEngine: Error Code 6: API Usage Error (The engine plan file is generated on an"
            " incompatible device, expecting compute 8.9 got compute 8.6, please rebuild.)",
            "The engine plan file is generated on an incompatible device, expecting compute 8.9 got compute 8.6, please"
            " rebuild",
            "built for another version or GPU",
        ),
        (
            "[checkMacros.cpp::catchCudaError::250] Error Code 1: Cuda Runtime (cudaError 35: CUDA driver version is"
            " insufficient)",
            "",
            "Python's logger",
        ),
        (
            "MyelinCheckException: cudnn_impl.cpp:1040: CHECK(dtype == myelinTypeFloat || Half) failed",
            "MyelinCheckException: cudnn_impl.cpp:1040: CHECK(dtype == myelinTypeFloat || Half) failed",
            "--precision fp16",
        ),
        (
            "Assertion failed: shiftIsAllZeros(zeroPoint): Non-zero zero point is not supported.",
            "Assertion failed: shiftIsAllZeros(zeroPoint): Non-zero zero point is not supported",
            "must be symmetric int8",
        ),
        (
            'convertDtype(onnxType, &newType) && "Unsupported data type for the Cast operator!"',
            'convertDtype(onnxType, &newType) && "Unsupported data type for the Cast operator!"',
            "compute in float32",
        ),
        ("Unable to load library: libnvinfer_lean.so", "Unable to load library: libnvinfer_lean.so", "lean runtime"),
    ],
)
def test_messages_are_shortened_and_answered(said: str, short: str, remedy: str) -> None:
    assert tidy(said) == short
    assert remedy in remedy_for(tidy(said))


# -- kernels ---------------------------------------------------------------------------------------------------

_NEW = (
    "Layers:\nName: __myl_Cast_0, LayerType: kgen, Inputs: [ { Name: frame, Dimensions: [1,96,128,3], Strides: [1],"
    " StrideOrder: [3,2,1,0], Datatype: UInt8, Format: (Linear) Row major linear format }], Constants: [ { Name: c,"
    " Dimensions: [3], Datatype: Int32, Format: (Linear) x }], Outputs: [ { Name: a, Dimensions: [1,4,96,128],"
    " Datatype: Half, Format: (NHWC) Channel major format }, { Name: b, Dimensions: [2], Datatype: Float, Format: (x)"
    " }],"
    " TacticName: t, StreamId: 0, Metadata: [ONNX Layer: node, odd][ONNX Layer: mul]\n"
    "Name: conv_1, LayerType: correlation, Inputs: [], Outputs: [], TacticName: t, StreamId: 0, Metadata: \n"
)
_OLD = (
    "Layers:\nName: __myl_Cast_0, LayerType: kgen, Inputs: [ { Name: frame, Dimensions: [1,96,128,3], Format/Datatype:"
    " UInt8 }], Outputs: [ { Name: a, Dimensions: [1,4,96,128], Format/Datatype: Half }, { Name: b, Dimensions: [2],"
    " Format/Datatype: Float }], TacticName: t, StreamId: 0, Metadata: [ONNX Layer: node, odd][ONNX Layer: mul]\n"
    "Name: conv_1, LayerType: correlation, Inputs: [], Outputs: [], TacticName: t, StreamId: 0, Metadata: \n"
)


@pytest.mark.parametrize("text", [_NEW, _OLD], ids=["1.7", "1.4"])
def test_kernel_list_of_both_versions(text: str) -> None:
    lines = [
        LogLine("VERBOSE", "Layers:\nName: stale, LayerType: x"),
        LogLine("VERBOSE", text),
        LogLine("INFO", "done"),
    ]
    first, second = kernels_of(lines)
    assert first == Kernel(
        name="__myl_Cast_0",
        kind="kgen",
        input_types=("UInt8",),
        output_types=("Half", "Float"),
        output_shapes=((1, 4, 96, 128), (2,)),
        nodes=("node, odd", "mul"),
    )
    assert (second.name, second.kind, second.nodes) == ("conv_1", "correlation", ())
    assert kernels_of([]) == ()


def test_memory_that_the_builder_speaks_of() -> None:
    lines = [
        "Total Activation Memory: 8511488 bytes",
        "Total Weights Memory: 552204 bytes",
        "Max Scratch Memory: 5 bytes",
        "x",
    ]
    assert memory_of([LogLine("INFO", text) for text in lines]) == {
        "activation": 8511488,
        "weights": 552204,
        "scratch": 5,
    }


# -- progress --------------------------------------------------------------------------------------------------


def test_share_grows_through_nested_phases() -> None:
    told: list[tuple[str, float]] = []
    tree = PhaseTree(lambda phase, share: told.append((phase, round(share, 3))))
    tree.start("all", None, 2)
    tree.start("first half", "all", 4)
    tree.step("first half", 1)
    tree.finish("first half")
    tree.step("all", 0)
    tree.start("second half", "all", 1)
    tree.start("unheard of", "nobody", 1)
    tree.finish("second half")
    tree.finish("all")
    assert [share for _, share in told] == [0, 0, 0.25, 0.5, 0.5, 0.5, 0.5, 1.0, 1.0]


def test_what_the_report_raises_stops_the_library_and_does_not_reach_it() -> None:
    told = []

    def fails(phase: str, share: float) -> None:
        told.append(share)
        raise OSError("the terminal is gone")

    tree = PhaseTree(fails)
    tree.start("all", None, 2)
    assert tree.step("all", 0) is False
    assert isinstance(tree.error, OSError)
    assert told == [0.0]


def test_step_after_an_interrupt_stops_the_library() -> None:
    pressed = [False, True]
    tree = PhaseTree(None, lambda: pressed.pop(0))
    tree.start("all", None, 2)
    assert [tree.step("all", 0), tree.step("all", 1)] == [True, False]


def test_no_monitor_where_the_library_has_none() -> None:
    assert monitor_for(SimpleNamespace(), PhaseTree(None)) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_interrupt_is_held_back_and_then_takes_its_course(number: signal.Signals) -> None:
    name = f"test_interrupt_is_held_back_and_then_takes_its_course[{number.name}]"
    if passes_alone(__file__, name):
        return
    if number is signal.SIGTERM:  # as the command line takes it
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    usual = signal.getsignal(number)
    seen = []

    def work(then: Exception | None = None) -> None:
        with held_interrupt() as pressed:
            seen.append(pressed())
            signal.raise_signal(number)
            seen.append(pressed())
            if then is not None:
                raise then

    with pytest.raises(KeyboardInterrupt):
        work()
    assert seen == [False, True]
    assert signal.getsignal(number) is usual
    with pytest.raises(KeyboardInterrupt):  # also instead of the failure that it led to
        work(BackendError("cannot build"))
    with held_interrupt() as pressed:
        assert not pressed()


def test_a_signal_that_python_does_not_handle_is_left_alone() -> None:
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with held_interrupt():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_interrupt_belongs_to_the_main_thread() -> None:
    found = []

    def other() -> None:
        with held_interrupt() as pressed:
            found.append((pressed(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert found == [(False, signal.getsignal(signal.SIGINT))]


# -- profiles --------------------------------------------------------------------------------------------------


def test_named_sizes_and_size_profiles() -> None:
    assert size_named("HD") == (1280, 720)
    assert size_named("100x50") == (100, 50)
    with pytest.raises(InputError, match="WxH"):
        size_named("huge")
    assert str(SizeRange.parse("vga..hd..fhd")) == "640x480..1280x720..1920x1080"
    assert SizeRange.parse("vga..fhd").opt_wh == (1920, 1080)
    assert SizeRange.parse("hd") == SizeRange.fixed((1280, 720))
    assert SizeRange.parse("vga..fhd").holds((1000, 1000))
    assert not SizeRange.parse("vga..fhd").holds((1000, 1100))
    for text, why in (("hd..vga", "from small to large"), ("1x1..2x2..3x3..4x4", "MIN..MAX or"), ("vga..", "WxH")):
        with pytest.raises(InputError, match=why):
            SizeRange.parse(text)
    with pytest.raises(BackendError, match="needs a camera size"):
        CameraInput(sizes=(), resize="pad")
    profile = Profile.sizes("cameras", "image", [(64, 32), (128, 64), (256, 128)], batch=(1, 1, 4))
    assert profile.ranges[0].max == (4, 3, 128, 256)
    assert profile.ranges[0].holds((2, 3, 64, 64))
    assert not profile.ranges[0].holds((2, 3, 16, 64))
    with pytest.raises(BackendError, match="three sizes"):
        Profile.sizes("two", "image", [(64, 32), (128, 64)])


# -- the machine ---------------------------------------------------------------------------------------------------


class FakeLibrary:
    """libcuda with one GPU, or whose cuInit fails."""

    def __init__(self, code: int = 0, count: int = 1) -> None:
        self.code, self.count = code, count

    def cuInit(self, flags: int) -> int:
        return self.code

    def cuDriverGetVersion(self, out: Any) -> int:
        out._obj.value = 12060
        return 0

    def cuDeviceGetCount(self, out: Any) -> int:
        out._obj.value = self.count
        return 0

    def cuDeviceGet(self, out: Any, index: int) -> int:
        return 0

    def cuDeviceGetName(self, buffer: Any, size: int, device: ctypes.c_int) -> int:
        buffer.value = b"Orin"
        return 0

    def cuDeviceTotalMem_v2(self, out: Any, device: ctypes.c_int) -> int:
        out._obj.value = 8 << 30
        return 0

    def cuDeviceGetAttribute(self, out: Any, number: int, device: ctypes.c_int) -> int:
        out._obj.value = {18: 1, 75: 8, 76: 7}[number]
        return 0


def test_driver_is_asked_without_any_package() -> None:
    found = machine.ask_driver(FakeLibrary())  # type: ignore[arg-type]
    assert found == Driver(
        cuda="12.6", gpus=(Gpu(name="Orin", capability="8.7", integrated=True, memory_bytes=8 << 30),)
    )
    assert machine.ask_driver(FakeLibrary(count=0)).why == "the NVIDIA driver sees no GPU"  # type: ignore[arg-type]
    assert "CUDA error 100" in machine.ask_driver(FakeLibrary(100)).why  # type: ignore[arg-type]


def test_jetson_facts_come_from_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.jetson(tmp_path) is None
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nv_tegra_release").write_text("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n")
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_bytes(b"NVIDIA Jetson AGX Orin\0")
    monkeypatch.setattr(machine, "_package_version", lambda package: "6.2+b77")
    assert machine.jetson(tmp_path) == Jetson(model="NVIDIA Jetson AGX Orin", l4t="36.4.3", jetpack="6.2+b77")


# -- probes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("driver", "pycuda", "available", "why"),
    [
        (Driver(why="no NVIDIA driver"), True, False, "no NVIDIA driver; building with --target works"),
        (Driver(gpus=(Gpu(name="RTX 4090", capability="8.9"),)), True, True, "works without CUDA graphs"),
        (Driver(gpus=(Gpu(name="RTX 4090", capability="8.9"),)), False, False, "pycuda is not installed"),
        (
            Driver(gpus=(Gpu(name="H200", capability="9.0"),)),
            True,
            False,
            "TensorRT-RTX does not support this GPU (sm90",
        ),
    ],
)
def test_rtx_probe(monkeypatch: pytest.MonkeyPatch, driver: Driver, pycuda: bool, available: bool, why: str) -> None:
    monkeypatch.setattr(probe_module, "driver", lambda: driver)
    real = probe_module.importlib.util.find_spec
    monkeypatch.setattr(
        probe_module.importlib.util,
        "find_spec",
        lambda name: (object() if pycuda else None) if name == "pycuda" else real(name),
    )
    found = probe_module.probe("tensorrt-rtx")
    assert (found.available, found.why[: len(why)]) == (available, why)
    assert found.version == load_flavour("tensorrt-rtx").version_text


def test_remedy_on_a_jetson_is_its_own_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_module, "installed_flavours", lambda: ())
    assert "pip install 'edgedepth[tensorrt]'" in probe_module.probe("tensorrt").why
    monkeypatch.setattr(probe_module, "jetson", lambda: Jetson(model="Orin"))
    why = probe_module.probe("tensorrt").why
    assert "sudo apt install tensorrt" in why
    assert "would shadow it" in why


# -- pycuda --------------------------------------------------------------------------------------------------------


class FakePrimary:
    """pycuda's primary context: a stack of its own and one of the driver, which is not popped where it is released.

    holds: of this device on the context. Contexts of the program are names in `driver`.
    """

    def __init__(self) -> None:
        self.holds, self.valid = 1, True
        self.retained_in = threading.get_ident()
        self._local = threading.local()

    @property
    def driver(self) -> list[Any]:
        """The driver's stack of this thread."""
        return self._local.__dict__.setdefault("driver", [])

    @property
    def own(self) -> list[Any]:
        """pycuda's stack of this thread."""
        return self._local.__dict__.setdefault("own", [])

    def push(self) -> None:
        if self.own:
            self.driver.pop()
        self.driver.append(self)
        self.own.append(self)

    def pop(self) -> None:
        assert self.own, "cannot pop non-current context"
        self.driver.pop()
        self.own.pop()
        if self.own:
            self.driver.append(self.own[-1])

    def detach(self) -> None:
        assert self.valid, "cannot detach from invalid context"
        current = bool(self.own)
        if current or threading.get_ident() == self.retained_in:
            self.holds -= 1
            if not current:
                self.driver.append(self)
        self.valid = False
        self.own.clear()


class FakePycuda:
    """pycuda.driver, noting what is called."""

    class Error(Exception):
        pass

    class MemoryError(Error):
        pass

    class device_attribute:
        INTEGRATED = 18

    class host_alloc_flags:
        DEVICEMAP = 2

    def __init__(self, *, integrated: bool = False, broken: bool = False, refuses: str = "") -> None:
        self.integrated, self.broken, self.refuses = integrated, broken, refuses
        self.calls: list[str] = []
        self.primary = FakePrimary()

    def _note(self, name: str, result: Any = None) -> Any:
        self.calls.append(name)
        return result

    def init(self) -> None:
        if self.broken:
            raise self.Error("cuInit failed: no CUDA-capable device is detected")

    def Device(self, index: int) -> Any:
        return SimpleNamespace(
            retain_primary_context=lambda: self.primary,
            name=lambda: "Orin",
            compute_capability=lambda: (8, 7),
            get_attribute=lambda number: int(self.integrated),
        )

    def Stream(self, flags: int) -> Any:
        assert flags == 1, "work on the legacy default stream must not wait for this one, nor break its recordings"
        if self.refuses == "stream":
            raise self.Error("cuStreamCreate failed: unknown error")
        return SimpleNamespace(handle=42, synchronize=lambda: self._note("synchronise"))

    def pagelocked_empty(self, size: int, dtype: Any, mem_flags: int) -> Any:
        import numpy as np

        class Pinned(np.ndarray):
            pass

        self._note(f"pagelocked {mem_flags}")
        base = np.empty(size, dtype)
        return SimpleNamespace(
            nbytes=size, base=SimpleNamespace(get_device_pointer=lambda: 99), __getitem__=base.__getitem__
        )

    def memcpy_htod_async(self, target: int, source: Any, stream: Any) -> None:
        if self.refuses == "copies":
            raise self.Error("cuMemcpyHtoDAsync failed: operation not permitted when stream is capturing")
        self._note(f"to device {int(target)}, {len(source)} bytes on {stream.handle}")

    def memcpy_dtoh_async(self, target: Any, source: int, stream: Any) -> None:
        if self.refuses == "copies":
            raise self.Error("cuMemcpyDtoHAsync failed: operation not permitted when stream is capturing")
        self._note(f"from device {int(source)}, {len(target)} bytes on {stream.handle}")

    def mem_alloc(self, size: int) -> Any:
        if self.refuses == "memory":
            raise self.MemoryError("cuMemAlloc failed: out of memory")

        class Allocation(int):
            free = staticmethod(lambda: self._note("free"))

        return Allocation(77)


def test_missing_pycuda_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)
    with pytest.raises((MissingPackageError, ModuleNotFoundError), match="pycuda"):
        PycudaDevice()


@pytest.mark.parametrize("integrated", [False, True])
def test_pycuda_uses_the_primary_context_and_shares_memory_where_it_can(
    monkeypatch: pytest.MonkeyPatch, integrated: bool
) -> None:
    cuda = FakePycuda(integrated=integrated)
    monkeypatch.setattr(device_module, "require", lambda name, extra: cuda)
    device = PycudaDevice()
    assert (device.name, device.capability, device.integrated, device.stream) == ("Orin", "8.7", integrated, 42)
    buffer = device.allocate(16)
    assert (buffer.pointer, buffer.shared) == ((99, True) if integrated else (77, False))
    if integrated:
        device.upload(buffer, 16)  # the fake has no copies: any would be an AttributeError
        device.download(buffer, 16)
    device.synchronise()
    device.free(buffer)
    device.close()
    assert cuda.primary.holds == 0
    assert ("free" in cuda.calls) is not integrated
    assert ("pagelocked 2" in cuda.calls) is integrated


def test_driver_that_refuses_is_our_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "require", lambda name, extra: FakePycuda(integrated=False, broken=True))
    with pytest.raises(BackendError, match=r"CUDA does not start: cuInit failed.*nvidia-smi"):
        PycudaDevice()


def test_what_the_driver_refuses_later_is_our_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakePycuda(refuses="memory")
    monkeypatch.setattr(device_module, "require", lambda name, extra: cuda)
    device = PycudaDevice()
    with (
        pytest.raises(BackendError, match=r"no memory left on Orin: cuMemAlloc failed.*close other programs"),
        device.current(),
    ):
        device.allocate(16)
    with (
        pytest.raises(BackendError, match="Orin failed: cuLaunchKernel failed; start the program anew"),
        device.current(),
    ):
        raise cuda.Error("cuLaunchKernel failed")
    assert (cuda.primary.driver, cuda.primary.own) == ([], [])


def test_context_is_given_back_where_no_stream_is_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakePycuda(refuses="stream")
    monkeypatch.setattr(device_module, "require", lambda name, extra: cuda)
    with pytest.raises(BackendError, match="cuStreamCreate failed"):
        PycudaDevice()
    assert (cuda.primary.holds, cuda.primary.driver) == (0, [])


@pytest.mark.parametrize("elsewhere", [False, True])
def test_device_is_closed_from_any_thread_and_leaves_the_programs_context_current(
    monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    cuda = FakePycuda()
    monkeypatch.setattr(device_module, "require", lambda name, extra: cuda)
    cuda.primary.driver.append("the program's, of another GPU")
    device = PycudaDevice()
    if elsewhere:
        thread = threading.Thread(target=device.close)
        thread.start()
        thread.join()
    else:
        device.close()
    assert cuda.primary.holds == 0
    assert cuda.primary.driver == ["the program's, of another GPU"]


def test_device_that_is_lost_is_our_error_and_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakePycuda()
    monkeypatch.setattr(device_module, "require", lambda name, extra: cuda)
    device = PycudaDevice()

    def lost() -> None:
        raise cuda.Error("cuCtxPushCurrent failed: device is lost")

    monkeypatch.setattr(cuda.primary, "push", lost)
    with pytest.raises(BackendError, match="Orin failed: cuCtxPushCurrent failed"):
        device.close()


def test_no_recorder_without_cuda_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda", None)
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    assert find_recorder() is None


def test_copies_go_where_they_should_and_their_failure_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only when the context is left: a recording in between has to know that it failed."""
    cuda = FakePycuda()
    monkeypatch.setattr("edgedepth.engines.tensorrt.device.require", lambda *_, **__: cuda)
    device = PycudaDevice()
    with device.current():
        buffer = Buffer(host=np.zeros(8, np.uint8), pointer=77, shared=False, keep=None)
        device.upload(buffer, 5)
        device.download(buffer, 3)
        assert cuda.calls[-2:] == ["to device 77, 5 bytes on 42", "from device 77, 3 bytes on 42"]
        cuda.refuses = "copies"
        for copy in (device.upload, device.download):
            with pytest.raises(BackendError, match=r"Orin failed: .* not permitted when stream is capturing"):
                copy(buffer, 5)
        shared = Buffer(host=np.zeros(8, np.uint8), pointer=77, shared=True, keep=None)
        device.upload(shared, 5)
        device.download(shared, 5)
