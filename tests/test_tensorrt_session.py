"""Sessions on a GPU made of Python, with the API of TensorRT 10.3, 10.16 and 11.4."""

from __future__ import annotations

import hashlib
import json
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgedepth.core.errors import BackendError
from edgedepth.engines.cache import PlanCache
from edgedepth.engines.machine import Gpu
from edgedepth.engines.session import SessionConfig
from edgedepth.engines.tensorrt import session as session_module
from edgedepth.engines.tensorrt.config import BuildConfig, CameraInput
from edgedepth.engines.tensorrt.device import SharedDevice
from edgedepth.engines.tensorrt.flavour import Flavour, flavour_of
from edgedepth.engines.tensorrt.graphs import CudaPythonRecorder
from edgedepth.engines.tensorrt.plans import plan_for
from edgedepth.engines.tensorrt.profiles import InputRange, Profile, SizeRange
from edgedepth.engines.tensorrt.session import TensorRtSession
from tests.fakes_tensorrt import FakeDevice, FakeRecorder, fake_trt, onnx_text

SHAPES = ("10.3", "10.16", "11.4")
GPU = Gpu(name="Fake GPU", capability="8.7")
FRAME = np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)
DEPTH = FRAME.mean(axis=3, dtype=np.float32)[:, None] / np.float32(10)


class Bench:
    """Opens sessions of fake networks, all on one device."""

    def __init__(self, folder: Path, shape: str = "11.4", *, integrated: bool = False) -> None:
        self.folder = folder
        self.device = FakeDevice(integrated=integrated)
        self.flavour: Flavour = flavour_of("tensorrt", fake_trt(shape, self.device))
        self.devices = SharedDevice(lambda: self.device)
        self.cache = PlanCache(folder)

    def open(
        self, recorder: FakeRecorder | None = None, config: BuildConfig | None = None, **onnx: object
    ) -> TensorRtSession:
        path = self.folder / f"{len(list(self.folder.glob('*.onnx')))}.onnx"
        path.write_text(onnx_text(**onnx))
        plan = plan_for(path, config or BuildConfig(), self.flavour, gpu=GPU, cache=self.cache)
        return TensorRtSession(self.flavour, plan, self.devices, precision="fp16", recorder=recorder)


@pytest.mark.parametrize("integrated", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_answers_and_gives_everything_back(tmp_path: Path, shape: str, integrated: bool) -> None:
    bench = Bench(tmp_path, shape, integrated=integrated)
    with bench.open() as session:
        assert (session.backend, session.device, session.precision, session.built) == (
            "tensorrt",
            "CUDA:0",
            "fp16",
            True,
        )
        assert [str(info) for info in (*session.inputs, *session.outputs)] == [
            "frame: uint8 1x2x4x3",
            "depth_m: float32 1x1x2x4",
        ]
        np.testing.assert_array_equal(session.run({"frame": FRAME})["depth_m"], DEPTH)
        np.testing.assert_array_equal(session.run({"frame": FRAME[:, ::-1]})["depth_m"], DEPTH[:, :, ::-1])
        memory = session.memory_bytes
        assert memory["activations"] == 4096
        assert memory["tensors_host"] == 24 + 32
        assert memory["tensors_device"] == (0 if integrated else 24 + 32)
        assert bench.device.depth == 0
    session.close()
    assert bench.device.closed
    with pytest.raises(BackendError, match="closed"):
        session.run({"frame": FRAME})


def test_integrated_gpu_copies_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, integrated=True)
    with bench.open() as session:
        session.run({"frame": FRAME})
    assert not {"upload", "download"} & set(bench.device.log)


def test_outputs_are_views_that_the_next_run_overwrites_and_nothing_is_allocated(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with bench.open() as session:
        first = session.run({"frame": FRAME})["depth_m"]
        before = len(bench.device.log)
        second = session.run({"frame": np.zeros_like(FRAME)})["depth_m"]
        assert np.shares_memory(first, second)
        assert not any(entry.startswith("allocate") for entry in bench.device.log[before:])


def test_two_engines_share_one_stream_and_the_device_goes_with_the_last(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    low = bench.open()
    high = bench.open(nan=True)
    np.testing.assert_array_equal(low.run({"frame": FRAME})["depth_m"], DEPTH)
    assert np.isnan(high.run({"frame": FRAME})["depth_m"]).sum() == 2
    np.testing.assert_array_equal(low.run({"frame": FRAME})["depth_m"], DEPTH)
    low.close()
    assert not bench.device.closed
    high.close()
    assert bench.device.closed


def test_graph_is_recorded_after_the_first_run_and_launched_from_then_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    recorder = FakeRecorder(bench.device)
    with bench.open(recorder) as session:
        for number in range(5):
            frame = np.full_like(FRAME, number * 10)
            np.testing.assert_array_equal(session.run({"frame": frame})["depth_m"], number)
        assert (recorder.recorded, recorder.launched) == (1, 4)
        assert session.notes == []
    assert recorder.alive == 0


def test_graph_is_recorded_anew_when_the_shape_changes(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    recorder = FakeRecorder(bench.device)
    with _dynamic(bench, recorder) as session:
        for size, runs in ((2, 3), (4, 3), (2, 1)):
            frame = np.full((1, size, size, 3), 50, np.uint8)
            for _ in range(runs):
                depth = session.run({"frame": frame})["depth_m"]
                assert depth.shape == (1, 1, size, size)
                np.testing.assert_array_equal(depth, 5)
        assert recorder.recorded == 2
        assert recorder.alive == 0  # the last shape has run once


def test_without_a_recorder_or_where_recording_fails_it_runs_plainly_and_says_so(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with bench.open() as session:
        assert "cuda-python is not installed" in session.notes[0]
    with bench.open(FakeRecorder(bench.device, fails=True)) as session:
        for _ in range(3):
            np.testing.assert_array_equal(session.run({"frame": FRAME})["depth_m"], DEPTH)
        assert len(session.notes) == 1
        assert "CAPTURE_INVALIDATED" in session.notes[0]
    with bench.open(FakeRecorder(bench.device), not_capturable=True) as session:
        for _ in range(3):
            session.run({"frame": FRAME})
        assert "cannot be captured" in session.notes[0]


def _sizes(low: int, high: int) -> InputRange:
    return InputRange(input="frame", min=(1, low, low, 3), opt=(1, low, low, 3), max=(1, high, high, 3))


TWO_SIZES = BuildConfig(
    profiles=(Profile(name="small", ranges=(_sizes(2, 3),)), Profile(name="large", ranges=(_sizes(4, 8),)))
)


def _dynamic(bench: Bench, recorder: FakeRecorder | None = None) -> TensorRtSession:
    return bench.open(
        recorder,
        TWO_SIZES,
        inputs=[{"name": "frame", "shape": [1, -1, -1, 3], "dtype": "uint8"}],
        outputs=[{"name": "depth_m", "shape": [1, 1, -1, -1], "dtype": "float32"}],
    )


def test_profile_follows_the_shape_and_a_shape_outside_all_is_named(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with _dynamic(bench) as session:
        assert session.inputs[0].shape == (1, None, None, 3)
        for size, profile in ((2, 0), (5, 1), (3, 0)):
            session.run({"frame": np.zeros((1, size, size, 3), np.uint8)})
            assert session._profile == profile
        with pytest.raises(
            BackendError, match=r"no profile .* holds frame 1x9x9x3; it has 1x2x2x3 / 1x2x2x3 / 1x3x3x3"
        ):
            session.run({"frame": np.zeros((1, 9, 9, 3), np.uint8)})
        session.run({"frame": np.zeros((1, 3, 3, 3), np.uint8)})


def test_session_of_an_engine_for_many_sizes_takes_the_one_it_was_opened_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    _dynamic(bench).close()
    plan = plan_for(tmp_path / "0.onnx", TWO_SIZES, bench.flavour, gpu=GPU, cache=bench.cache, build=False)
    for size, profile in ((3, 0), (6, 1)):
        with TensorRtSession(bench.flavour, plan, bench.devices, precision="fp16", frame_wh=(size, size)) as session:
            assert session.inputs[0].static_shape == (1, size, size, 3)
            session.run({"frame": np.zeros((1, size, size, 3), np.uint8)})
            assert session._profile == profile
            with pytest.raises(BackendError, match=rf"uint8 1x{size}x{size}x3\), but got uint8 1x2x2x3"):
                session.run({"frame": np.zeros((1, 2, 2, 3), np.uint8)})


def test_wrong_inputs_and_outputs_are_named(tmp_path: Path) -> None:
    with Bench(tmp_path).open() as session:
        with pytest.raises(BackendError, match="uint8 1x2x4x3"):
            session.run({"frame": FRAME.astype(np.float32)})
        with pytest.raises(BackendError, match="'metres' was asked for"):
            session.run({"frame": FRAME}, ["metres"])


def test_engine_that_fails_to_run_or_start_is_an_error_and_frees_the_device(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with (
        bench.open(run_error=True) as session,
        pytest.raises(BackendError, match=r"TensorRT 11.4.0 failed to run \(0.onnx\)"),
    ):
        session.run({"frame": FRAME})
    assert bench.device.closed
    with pytest.raises(BackendError, match=r"cannot start 1\.onnx"):
        bench.open(no_context=True)
    assert bench.devices._device is None


def test_recording_that_breaks_the_run_leaves_a_session_that_runs(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    class Breaks(FakeRecorder):
        def record(self, stream: int, queue: Callable[[], None]) -> object:
            bench.device.refuses = True  # as TensorRT does for what cannot be captured
            try:
                queue()
            finally:
                bench.device.refuses = False
            raise AssertionError("not reached")

    with bench.open(Breaks(bench.device)) as session:
        for _ in range(3):
            np.testing.assert_array_equal(session.run({"frame": FRAME})["depth_m"], DEPTH)
        assert "failed to run" in session.notes[0]


def test_memory_that_runs_out_is_told_and_nothing_is_freed_twice(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    session = _dynamic(bench)
    session.run({"frame": np.zeros((1, 2, 2, 3), np.uint8)})
    bench.device.full = True
    with pytest.raises(BackendError, match="no memory left"):
        session.run({"frame": np.zeros((1, 8, 8, 3), np.uint8)})
    bench.device.full = False
    np.testing.assert_array_equal(session.run({"frame": np.full((1, 8, 8, 3), 50, np.uint8)})["depth_m"], 5)
    session.close()
    assert bench.device.closed


def test_engine_with_a_tensor_of_a_foreign_type_gives_the_device_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    path = tmp_path / "0.onnx"
    path.write_text(onnx_text())
    plan = plan_for(path, BuildConfig(), bench.flavour, gpu=GPU, cache=bench.cache)
    strange = [{"name": "scores", "shape": [1], "dtype": "fp8"}]
    object.__setattr__(plan, "plan", onnx_text(outputs=strange).encode())
    with pytest.raises(BackendError, match="has the type FP8"):
        TensorRtSession(bench.flavour, plan, bench.devices, precision="fp16")
    assert bench.devices._device is None


def test_device_that_fails_at_the_end_is_given_back_all_the_same(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    recorder = FakeRecorder(bench.device)
    session = bench.open(recorder)
    for _ in range(2):
        session.run({"frame": FRAME})
    bench.device.lost = True
    with pytest.raises(BackendError, match="lost"):
        session.close()
    assert bench.device.closed
    assert recorder.alive == 0


def test_close_drops_the_engine_before_its_memory_while_the_context_is_current(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    session = bench.open()
    session.run({"frame": FRAME})
    bench.device.log.clear()
    current = []
    for part in (session._context, session._engine):
        weakref.finalize(part, bench.device.log.append, type(part).__name__)
        weakref.finalize(part, lambda: current.append(bench.device.depth))
    del part
    session.close()
    assert bench.device.log == ["_Context", "_Engine", "free", "free"]
    assert current == [1, 1]


def test_recordings_go_when_the_stream_is_done_with_them(tmp_path: Path) -> None:
    """A run that failed while it waited may have left one at work."""
    bench = Bench(tmp_path)
    recorder = FakeRecorder(bench.device)
    session = _dynamic(bench, recorder)
    small = {"frame": np.full((1, 2, 2, 3), 50, np.uint8)}
    for reuse in (True, False):
        for _ in range(2):
            session.run(small)
        bench.device.lost = True
        with pytest.raises(BackendError, match="lost"):
            session.run(small)
        bench.device.lost = False
        if reuse:
            np.testing.assert_array_equal(session.run({"frame": np.full((1, 4, 4, 3), 70, np.uint8)})["depth_m"], 7)
    session.close()
    assert recorder.alive == 0


def test_outputs_that_are_not_asked_for_are_not_copied(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    both = [{"name": name, "shape": [1, 1, 2, 4], "dtype": "float32"} for name in ("depth_m", "confidence")]
    with bench.open(FakeRecorder(bench.device), outputs=both) as session:
        for _ in range(3):  # plainly, recorded, launched
            assert list(session.run({"frame": FRAME}, ["depth_m"])) == ["depth_m"]
        assert bench.device.log.count("download") == 2
        answer = session.run({"frame": FRAME})
        assert list(answer) == ["depth_m", "confidence"]
        assert (answer["confidence"].view(np.uint8) == 0x55).all(), "what lies on the device"


def test_threads_take_turns_on_the_one_stream(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.device.slow_s = 1e-4
    recorder = FakeRecorder(bench.device)
    faults: list[object] = []

    def robot(session: TensorRtSession, value: int) -> None:
        frame = np.full_like(FRAME, value)
        for _ in range(50):
            depth = session.run({"frame": frame})["depth_m"]
            if not (depth == value / 10).all():
                faults.append(depth.copy())

    with bench.open(recorder) as low, bench.open(recorder) as high:
        threads = [threading.Thread(target=robot, args=pair) for pair in ((low, 10), (high, 200))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert faults == []
    assert bench.device.deepest == 1  # never two contexts at work at once
    assert recorder.recorded == 2


def test_plan_that_the_library_refuses_is_told_with_its_words_and_with_what_helps(tmp_path: Path) -> None:
    """It fits by all that the cache knows, so that whoever builds finds it again until the cache is cleared."""
    bench = Bench(tmp_path)
    bench.open().close()
    path = tmp_path / "0.onnx"
    (entry,) = bench.cache.entries()
    cut = bench.cache.folder.joinpath(f"{entry.key}.plan").read_bytes()[:-5]
    digest = hashlib.sha256(cut).hexdigest()
    bench.cache.put(entry.key, cut, entry.sidecar.model_copy(update={"plan_sha256": digest, "plan_bytes": len(cut)}))
    plan = plan_for(path, BuildConfig(), bench.flavour, gpu=GPU, cache=bench.cache, again=True)
    assert plan.why_built == ""
    with pytest.raises(BackendError, match=r"cannot open the engine of 0.onnx: .*magicTag.*edgedepth cache clear"):
        TensorRtSession(bench.flavour, plan, bench.devices, precision="fp16")
    assert bench.devices._device is None
    bench.cache.clear()
    again = plan_for(path, BuildConfig(), bench.flavour, gpu=GPU, cache=bench.cache)
    with TensorRtSession(bench.flavour, again, bench.devices, precision="fp16") as session:
        np.testing.assert_array_equal(session.run({"frame": FRAME})["depth_m"], DEPTH)


def test_address_that_was_refused_is_given_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with bench.open() as session:
        give = session._context.set_tensor_address
        session._context.set_tensor_address = lambda name, pointer: False
        with pytest.raises(BackendError, match=r"refuses the memory of frame"):
            session.run({"frame": FRAME})
        session._context.set_tensor_address = give
        np.testing.assert_array_equal(session.run({"frame": FRAME})["depth_m"], DEPTH)


def test_open_session_builds_once_and_refuses_to_build_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    monkeypatch.setenv("EDGEDEPTH_CACHE", str(tmp_path / "home"))
    monkeypatch.setattr(session_module, "SHARED", bench.devices)
    monkeypatch.setattr(session_module, "load_flavour", lambda name: bench.flavour)
    monkeypatch.setattr(session_module, "find_recorder", lambda: None)
    path = tmp_path / "low.onnx"
    path.write_text(onnx_text())
    with pytest.raises(BackendError, match=r"no tensorrt engine of low.onnx .*none was built .*edgedepth build"):
        session_module.open_session(path, "tensorrt", SessionConfig(build=False))
    for built in (True, False):
        with session_module.open_session(path, "tensorrt", SessionConfig()) as session:
            assert session.built is built
    assert bench.device.closed
    with pytest.raises(BackendError, match="bf16 needs backend openvino"):
        session_module.open_session(path, "tensorrt", SessionConfig(precision="bf16"))


@pytest.mark.parametrize("frame_wh", [None, (640, 480)])
def test_open_session_asks_for_an_engine_of_its_camera(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame_wh: tuple[int, int] | None
) -> None:
    """By the network's own policy, and one that was tuned otherwise serves as well."""
    bench = Bench(tmp_path)
    asked: dict[str, object] = {}

    def noted(onnx: Path, config: BuildConfig, flavour: Flavour, **options: object) -> object:
        asked.update(options, camera=config.camera)
        return plan_for(onnx, BuildConfig(), flavour, gpu=GPU, cache=bench.cache)

    monkeypatch.setattr(session_module, "SHARED", bench.devices)
    monkeypatch.setattr(session_module, "load_flavour", lambda name: bench.flavour)
    monkeypatch.setattr(session_module, "find_recorder", lambda: None)
    monkeypatch.setattr(session_module, "plan_for", noted)
    path = tmp_path / "low.onnx"
    path.write_text(onnx_text())
    config = SessionConfig(frame_wh=frame_wh, resize="pad")
    session_module.open_session(path, "tensorrt", config).close()
    camera = None if frame_wh is None else CameraInput(sizes=(SizeRange.fixed(frame_wh),), resize="pad")
    assert (asked["camera"], asked["strict"], asked["build"]) == (camera, False, True)


@pytest.mark.parametrize("compatible", [False, True])
def test_a_plan_that_carries_its_own_runtime_may_run_it(tmp_path: Path, compatible: bool) -> None:
    """TensorRT refuses version-compatible plans otherwise; the cache opens only what this user wrote or trusted."""
    bench = Bench(tmp_path)
    runtimes: list[Any] = []
    make = bench.flavour.trt.Runtime

    def noted(logger: object) -> object:
        runtimes.append(make(logger))
        return runtimes[-1]

    bench.flavour.trt.Runtime = noted
    bench.open(config=BuildConfig(version_compatible=compatible)).close()
    assert getattr(runtimes[-1], "engine_host_code_allowed", False) is compatible


class FakeDriver:
    """cuda-python's driver bindings: functions that return (error, result)."""

    class CUresult:
        CUDA_SUCCESS = 0

    class CUstreamCaptureMode:
        CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> object:
        def call(*arguments: object) -> tuple[object, ...]:
            self.calls.append(name)
            return (1, None) if name == self.failing else (0, f"{name} result")

        return call


def test_cuda_python_recorder_captures_instantiates_and_launches() -> None:
    driver = FakeDriver()
    recorder = CudaPythonRecorder(driver)
    graph = recorder.record(7, lambda: driver.calls.append("work"))
    recorder.launch(graph, 7)
    recorder.destroy(graph)
    assert graph == "cuGraphInstantiate result"
    assert driver.calls == [
        "cuStreamBeginCapture", "work", "cuStreamEndCapture", "cuGraphInstantiate", "cuGraphDestroy", "cuGraphLaunch",
        "cuGraphExecDestroy",
    ]  # fmt: skip


def test_cuda_python_recorder_leaves_the_stream_usable_after_a_failure() -> None:
    driver = FakeDriver()

    def breaks() -> None:
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        CudaPythonRecorder(driver).record(7, breaks)
    assert driver.calls == ["cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphDestroy"]
    lost = FakeDriver("cuStreamEndCapture")
    with pytest.raises(ValueError, match="in the middle"):
        CudaPythonRecorder(lost).record(7, breaks)
    assert "cuGraphDestroy" not in lost.calls
    with pytest.raises(BackendError, match="cuGraphInstantiate failed with 1"):
        CudaPythonRecorder(FakeDriver("cuGraphInstantiate")).record(7, lambda: None)


def test_plan_of_the_fake_is_its_network(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.open().close()
    entry = bench.cache.entries()[0]
    assert json.loads((bench.cache.folder / f"{entry.key}.plan").read_bytes())["nan"] is False
