"""The engine seam: both CPU backends agree, reuse their buffers and refuse what does not fit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import openvino as ov
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgedepth.core.errors import BackendError, UnknownNameError
from edgedepth.engines import BACKENDS, Availability, auto_backend, open_session, probe_all, registry
from edgedepth.engines.onnxruntime import probe as ort_probe
from edgedepth.engines.onnxruntime import session as ort_session
from edgedepth.engines.onnxruntime.providers import PROVIDERS, open_on
from edgedepth.engines.onnxruntime.session import OnnxRuntimeSession
from edgedepth.engines.session import TensorInfo, check_inputs

CPU_BACKENDS = ("onnxruntime", "openvino")


def save_model(path: Path, *, rows: int | str = 2, weight: NDArray[np.float32] | None = None) -> Path:
    """frame uint8 (rows, 3) -> total float32 (rows, 4) = frame @ weight, and its double."""
    if weight is None:
        weight = np.arange(12, dtype=np.float32).reshape(3, 4)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["frame"], ["x"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["x", "w"], ["total"]),
            helper.make_node("Add", ["total", "total"], ["double"]),
        ],
        "matmul",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, [rows, 3])],
        [
            helper.make_tensor_value_info("total", TensorProto.FLOAT, [rows, 4]),
            helper.make_tensor_value_info("double", TensorProto.FLOAT, [rows, 4]),
        ],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_runs_and_describes_itself(tmp_path: Path, backend: str) -> None:
    frame = np.arange(6, dtype=np.uint8).reshape(2, 3)
    with open_session(save_model(tmp_path / "m.onnx"), backend, threads=1) as session:
        assert (session.backend, session.device, session.precision) == (backend, "CPU", "fp32")
        assert session.inputs == (TensorInfo(name="frame", shape=(2, 3), dtype=np.dtype(np.uint8)),)
        assert [info.name for info in session.outputs] == ["total", "double"]
        assert all(info.shape == (2, 4) and info.dtype == np.float32 for info in session.outputs)
        out = session.run({"frame": frame})
        expected = frame.astype(np.float32) @ np.arange(12, dtype=np.float32).reshape(3, 4)
        np.testing.assert_array_equal(out["total"], expected)
        np.testing.assert_array_equal(out["double"], 2 * expected)


def test_threads_of_onnxruntime_leave_the_cores_to_others_between_runs(tmp_path: Path) -> None:
    with open_session(save_model(tmp_path / "m.onnx"), "onnxruntime") as session:
        assert isinstance(session, OnnxRuntimeSession)
        assert session._session is not None
        options = session._session.get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_output_buffers_are_reused_and_inputs_may_be_views(tmp_path: Path, backend: str) -> None:
    wide = np.arange(12, dtype=np.uint8).reshape(2, 6)
    view = wide[:, ::2]  # not contiguous
    with open_session(save_model(tmp_path / "m.onnx"), backend) as session:
        first = session.run({"frame": view})["total"]
        kept = first.copy()
        second = session.run({"frame": np.zeros((2, 3), np.uint8)})["total"]
        assert np.shares_memory(first, second)
        np.testing.assert_array_equal(second, 0)
        np.testing.assert_array_equal(session.run({"frame": view})["total"], kept)


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_dynamic_dimension(tmp_path: Path, backend: str) -> None:
    with open_session(save_model(tmp_path / "m.onnx", rows="rows"), backend) as session:
        assert session.inputs[0].shape == (None, 3)
        assert session.inputs[0].static_shape is None
        for rows in (1, 5):
            assert session.run({"frame": np.ones((rows, 3), np.uint8)})["double"].shape == (rows, 4)


@pytest.mark.parametrize("rows", [2, "rows"])
@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_only_the_outputs_asked_for(tmp_path: Path, backend: str, rows: int | str) -> None:
    frame = np.arange(6, dtype=np.uint8).reshape(2, 3)
    with open_session(save_model(tmp_path / "m.onnx", rows=rows), backend) as session:
        every = {name: array.copy() for name, array in session.run({"frame": frame}).items()}
        session.run({"frame": np.zeros((2, 3), np.uint8)})
        one = session.run({"frame": frame}, ["total"])
        assert list(one) == ["total"]
        np.testing.assert_array_equal(one["total"], every["total"])
        with pytest.raises(BackendError, match="'metres' was asked for"):
            session.run({"frame": frame}, ["metres"])


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_outputs_of_known_and_of_open_shape_keep_their_names(tmp_path: Path, backend: str) -> None:
    graph = helper.make_graph(
        [
            helper.make_node("ReduceSum", ["x", "rows"], ["sum"], keepdims=0),
            helper.make_node("Add", ["x", "x"], ["double"]),
        ],
        "mixed",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 3])],
        [
            helper.make_tensor_value_info("double", TensorProto.FLOAT, ["rows", 3]),
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, [3]),
        ],
        [numpy_helper.from_array(np.array([0]), "rows")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tmp_path / "m.onnx")
    with open_session(tmp_path / "m.onnx", backend) as session:
        for rows in (4, 2, 4):
            x = np.arange(3 * rows, dtype=np.float32).reshape(rows, 3)
            for wanted in (None, ["double", "sum"], ["sum", "double"], ["sum"]):
                out = session.run({"x": x}, wanted)
                np.testing.assert_array_equal(out["sum"], x.sum(0))
                if wanted != ["sum"]:
                    np.testing.assert_array_equal(out["double"], 2 * x)


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_closed_session_refuses(tmp_path: Path, backend: str) -> None:
    session = open_session(save_model(tmp_path / "m.onnx"), backend)
    session.close()
    session.close()
    with pytest.raises(BackendError, match="closed"):
        session.run({"frame": np.zeros((2, 3), np.uint8)})


def test_openvino_computes_in_float32_unless_bf16_is_asked_for(tmp_path: Path) -> None:
    # 257 has 9 significant bits: bfloat16, with its 8, cannot hold it
    path = save_model(tmp_path / "m.onnx", weight=np.full((3, 4), 1.00390625, np.float32))
    frame = np.full((2, 3), 1, np.uint8)
    with open_session(path, "openvino") as session:
        np.testing.assert_array_equal(session.run({"frame": frame})["total"], np.float32(3 * 1.00390625))


@pytest.mark.parametrize("capable", [True, False])
def test_openvino_takes_bf16_where_the_cpu_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capable: bool
) -> None:
    hints: list[dict[str, Any]] = []
    known = ["FP32", "BF16"] if capable else ["FP32"]
    monkeypatch.setattr(ov.Core, "get_property", lambda *_: known)
    compile_model = ov.Core.compile_model

    def compiled(core: ov.Core, model: ov.Model, device: str, properties: dict[str, Any]) -> Any:
        hints.append(properties)
        return compile_model(core, model, device, properties | {"INFERENCE_PRECISION_HINT": "f32"})

    monkeypatch.setattr(ov.Core, "compile_model", compiled)
    if not capable:
        with pytest.raises(BackendError, match="openvino has no bfloat16 on this CPU; use --precision fp32 or int8"):
            open_session(save_model(tmp_path / "m.onnx"), "openvino", precision="bf16")
        return
    with open_session(save_model(tmp_path / "m.onnx"), "openvino", precision="bf16") as session:
        assert session.precision == "bf16"
    assert [entry["INFERENCE_PRECISION_HINT"] for entry in hints] == ["bf16"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "takes the inputs"),
        ({"image": np.zeros((2, 3), np.uint8)}, "takes the inputs"),
        ({"frame": np.zeros((2, 3), np.float32)}, "uint8 2x3.*float32 2x3"),
        ({"frame": np.zeros((2, 4), np.uint8)}, "uint8 2x3.*uint8 2x4"),
        ({"frame": np.zeros((2, 3, 1), np.uint8)}, "uint8 2x3x1"),
    ],
)
def test_wrong_inputs_are_named(inputs: dict[str, NDArray[Any]], message: str) -> None:
    expected = (TensorInfo(name="frame", shape=(2, 3), dtype=np.dtype(np.uint8)),)
    with pytest.raises(BackendError, match=message):
        check_inputs(expected, inputs)


def test_unknown_backend_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"'tflite'.*auto.*openvino"):
        open_session(tmp_path / "m.onnx", "tflite")


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_missing_and_broken_files(tmp_path: Path, backend: str) -> None:
    with pytest.raises(BackendError, match="no ONNX file"):
        open_session(tmp_path / "absent.onnx", backend)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    with pytest.raises(BackendError, match=f"{backend} cannot load .*broken.onnx") as caught:
        open_session(broken, backend)
    assert "\n" not in str(caught.value)


def test_threads_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="threads must be at least 1, but got 0"):
        open_session(save_model(tmp_path / "m.onnx"), "onnxruntime", threads=0)


def test_onnxruntime_refuses_bf16(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="bf16 needs backend openvino"):
        open_session(save_model(tmp_path / "m.onnx"), "onnxruntime", precision="bf16")


def test_auto_takes_the_first_available_and_explains_when_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = {backend.name: Availability(available=False, why=f"no {backend.name}") for backend in BACKENDS}
    monkeypatch.setattr(registry, "probe_all", lambda: found)
    with pytest.raises(BackendError, match=r"no onnxruntime-cuda.*no openvino.*no onnxruntime"):
        auto_backend()
    found["onnxruntime"] = Availability(available=True)
    assert auto_backend() == "onnxruntime"
    found["openvino"] = Availability(available=True)
    assert auto_backend() == "openvino"
    found["onnxruntime-cuda"] = Availability(available=True)
    assert auto_backend() == "onnxruntime-cuda"


def test_auto_says_what_it_became(tmp_path: Path) -> None:
    with open_session(save_model(tmp_path / "m.onnx")) as session:
        assert session.backend == auto_backend()


def test_probes_report_version_and_devices() -> None:
    found = probe_all()
    assert list(found) == [backend.name for backend in BACKENDS]
    for name in CPU_BACKENDS:
        assert found[name].available
        assert "CPU" in found[name].devices
        assert found[name].version


def test_backend_that_is_not_available_is_refused_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = Availability(available=False, why="no such provider")
    monkeypatch.setattr(registry, "_probe", lambda folder, device: absent)
    with pytest.raises(BackendError, match="onnxruntime-cuda is not available: no such provider"):
        open_session(save_model(tmp_path / "m.onnx"), "onnxruntime-cuda")


class FakeOrt:
    """An onnxruntime whose CUDA provider is listed; sessions get the providers of `obtained`."""

    __version__ = "1.0"

    def SessionOptions(self) -> SimpleNamespace:
        return SimpleNamespace(add_session_config_entry=lambda key, value: None)

    def __init__(self, obtained: list[str]) -> None:
        self._obtained = obtained

    def get_available_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def InferenceSession(self, *args: object, **kwargs: object) -> SimpleNamespace:
        return SimpleNamespace(get_providers=lambda: self._obtained)


def test_cuda_that_falls_back_to_the_cpu_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort_session, "ort", FakeOrt(["CPUExecutionProvider"]))
    with pytest.raises(BackendError, match="asked for CUDAExecutionProvider but fell back to the CPU"):
        ort_session.open_session(tmp_path / "m.onnx", "CUDA", registry.SessionConfig())


@pytest.mark.parametrize(
    ("variant", "precision", "flags"),
    [
        ("CUDA", "fp16", {}),
        ("TensorRT", "fp32", {}),
        ("TensorRT", "fp16", {"trt_fp16_enable": "True"}),
        ("TensorRT", "int8", {"trt_int8_enable": "True", "trt_fp16_enable": "True"}),
    ],
)
def test_provider_is_told_the_precision_where_it_needs_to_be(variant: str, precision: Any, flags: Any) -> None:
    given: dict[str, Any] = {}

    class Ort(FakeOrt):
        def InferenceSession(self, *args: object, **kwargs: object) -> SimpleNamespace:
            given.update(kwargs)
            return super().InferenceSession()

    provider = PROVIDERS[variant]
    open_on(Ort([provider.name]), provider, "m.onnx", None, precision)
    assert given == {"providers": [(provider.name, flags)]}


@pytest.mark.filterwarnings("ignore:Specified provider")  # of onnxruntime, which then goes on
def test_provider_that_this_onnxruntime_does_not_have_is_never_the_cpu_instead(tmp_path: Path) -> None:
    path = save_model(tmp_path / "m.onnx")
    for variant in ("CUDA", "TensorRT"):
        assert not ort_probe.probe(variant).available  # asked of the real library, which has the CPU only
        with pytest.raises(BackendError, match=rf"asked for {PROVIDERS[variant].name} but fell back to the CPU"):
            ort_session.open_session(path, variant, registry.SessionConfig())


@pytest.mark.parametrize(
    ("obtained", "available"),
    [(["CPUExecutionProvider"], False), (["CUDAExecutionProvider", "CPUExecutionProvider"], True)],
)
def test_cuda_probe_trusts_a_session_and_not_the_list(
    monkeypatch: pytest.MonkeyPatch, obtained: list[str], available: bool
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", FakeOrt(obtained))
    assert ort_probe.probe("CUDA").available is available


def test_probe_model_is_valid() -> None:
    onnx.checker.check_model(onnx.load_from_string(ort_probe._IDENTITY_MODEL))


def test_both_onnxruntimes_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [SimpleNamespace(metadata={"Name": name}) for name in ("onnxruntime", "onnxruntime_gpu")]
    monkeypatch.setattr(ort_probe.metadata, "distributions", lambda: both)
    assert "both installed" in ort_probe.probe("CPU").why


def test_rtx_plugin_is_named_where_it_is_missing(tmp_path: Path) -> None:
    found = ort_probe.probe("TensorRT-RTX")
    assert not found.available
    assert "pip install onnxruntime-ep-nv-tensorrt-rtx" in found.why
    with pytest.raises(BackendError, match="plugin of onnxruntime is not installed"):
        ort_session.open_session(tmp_path / "m.onnx", "TensorRT-RTX", registry.SessionConfig())


class FakePluginOrt(FakeOrt):
    """An onnxruntime that takes a plugin; `devices` are what the plugin finds."""

    def __init__(self, obtained: list[str], devices: list[str], failure: str = "") -> None:
        super().__init__(obtained)
        self.devices, self.failure = devices, failure
        self.registered: list[tuple[str, str]] = []
        self.given: list[object] = []

    def get_ep_devices(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(ep_name=name) for name in self.devices] if self.registered else []

    def register_execution_provider_library(self, name: str, path: str) -> None:
        if self.failure:
            raise RuntimeError(self.failure)
        self.registered.append((name, path))

    def SessionOptions(self) -> SimpleNamespace:
        return SimpleNamespace(
            add_provider_for_devices=lambda devices, options: self.given.extend(devices),
            add_session_config_entry=lambda key, value: None,
        )


RTX = "NvTensorRTRTXExecutionProvider"


@pytest.mark.parametrize(
    ("fake", "why"),
    [
        (FakePluginOrt([RTX, "CPUExecutionProvider"], ["CPUExecutionProvider", RTX]), ""),
        (FakePluginOrt(["CPUExecutionProvider"], [RTX]), "fell back to the CPU; check the NVIDIA driver"),
        (FakePluginOrt([RTX], []), "finds no device"),
        (FakePluginOrt([], [], "libcuda.so.1: cannot open"), "does not load: libcuda.so.1: cannot open"),
    ],
)
def test_rtx_plugin_is_registered_once_and_its_session_verified(
    monkeypatch: pytest.MonkeyPatch, fake: FakePluginOrt, why: str
) -> None:
    plugin = SimpleNamespace(get_library_path=lambda: "/somewhere/libplugin.so")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime_ep_nv_tensorrt_rtx", plugin)
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", fake)
    for _ in range(2):
        found = ort_probe.probe("TensorRT-RTX")
        assert found.available is (not why)
        assert why in found.why
    if not why:
        assert fake.registered == [("onnxruntime-rtx", "/somewhere/libplugin.so")]
        assert [device.ep_name for device in fake.given] == [RTX, RTX]


def test_looking_for_engines_tells_their_makers_nothing(tmp_path: Path) -> None:
    """Both would leave an id of the machine in the home folder, to send it with what they tell."""
    script = (
        "from edgedepth.engines import probe_all\n"
        "found = probe_all()\n"
        "assert found['onnxruntime'].available and found['openvino'].available, found\n"
        "import openvino_telemetry\n"  # a program that wants it can still have it
    )
    silent = ("CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "XDG_CACHE_HOME")
    env = {name: value for name, value in os.environ.items() if name not in silent} | {"HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], env=env, check=True)
    assert list(tmp_path.iterdir()) == []
