"""The golden check: engines that answer what the CPU answers pass, and others are turned away by name."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import save

from edgedepth.core.bundle import Bundle, file_entry, write_manifest
from edgedepth.core.errors import BackendError, OutputError
from edgedepth.core.manifest import Golden, GoldenLimits, Router
from edgedepth.core.preprocess import Placement
from edgedepth.core.routing import CoarseRule, Route
from edgedepth.engines.cache import PlanCache
from edgedepth.engines.machine import Gpu
from edgedepth.engines.registry import open_session
from edgedepth.engines.session import TensorInfo
from edgedepth.engines.tensorrt.config import BuildConfig
from edgedepth.engines.tensorrt.device import SharedDevice
from edgedepth.engines.tensorrt.flavour import flavour_of
from edgedepth.engines.tensorrt.plans import plan_for
from edgedepth.engines.tensorrt.profiles import SizeRange
from edgedepth.engines.tensorrt.session import TensorRtSession
from edgedepth.runtime import golden
from edgedepth.runtime.golden import check_built, check_bundle, check_network, check_new_engines, check_session
from edgedepth.runtime.network import FrameNetwork
from tests.bundles import LOW_SPEC, fixed_router
from tests.fakes_tensorrt import FakeDevice, fake_trt, onnx_text
from tests.networks import depth_network, routed_bundle

WIDTH, HEIGHT = LOW_SPEC.input_wh


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A bundle whose low network answers mean / 10, with one golden frame of it."""
    plain = routed_bundle(tmp_path / "bundle")
    save(depth_network(LOW_SPEC.input_wh, 1 / 10), plain.folder / "low.onnx")
    frame = np.random.default_rng(0).integers(10, 255, (HEIGHT, WIDTH, 3), np.uint8)
    frame = cv2.GaussianBlur(frame, (0, 0), 3)
    cv2.imwrite(str(plain.folder / "low.png"), frame)
    np.save(plain.folder / "low.npy", frame.mean(axis=2, dtype=np.float32) / 10)
    golden = Golden(
        route=Route.LOW, frame=file_entry(plain.folder, "low.png"), depth=file_entry(plain.folder, "low.npy")
    )
    low = plain.manifest.networks[Route.LOW]
    low = low.model_copy(update={"variants": {"fp32": file_entry(plain.folder, "low.onnx")}})
    networks = {**plain.manifest.networks, Route.LOW: low}
    return write_manifest(plain.folder, plain.manifest.model_copy(update={"networks": networks, "golden": (golden,)}))


class Engine:
    """A session that gets its answer from the CPU and spoils it; `camera_wh` makes it resize by itself."""

    backend, device, precision = "tensorrt", "CUDA:0", "fp16"

    def __init__(self, bundle: Bundle, spoil: Any, camera_wh: tuple[int, int] | None = None) -> None:
        path = bundle.path(bundle.manifest.networks[Route.LOW].variants["fp32"])
        self._inner, self._spoil, self._camera_wh = open_session(path, "onnxruntime"), spoil, camera_wh
        width, height = camera_wh or LOW_SPEC.input_wh
        self.inputs = (TensorInfo(name="frame", shape=(1, height, width, 3), dtype=np.dtype(np.uint8)),)
        self.outputs = self._inner.outputs

    def run(self, inputs: Mapping[str, NDArray[Any]], outputs: Any = None) -> dict[str, NDArray[Any]]:
        frame = inputs["frame"]
        if self._camera_wh is not None:
            frame = Placement.of(self._camera_wh, LOW_SPEC.input_wh, LOW_SPEC.resize).to_input(frame[0])[None]
        return {"depth_m": self._spoil(self._inner.run({"frame": frame})["depth_m"].copy())}

    def close(self) -> None:
        self._inner.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


def nan_corner(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    depth[0, 0, 0, :3] = (np.nan, np.inf, -1)
    return depth


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda depth: depth, ""),
        (lambda depth: depth * 1.01, ""),
        (lambda depth: depth * 1.05, r"abs_rel 0.05\d* is above the limit of 0.02"),
        (lambda depth: np.where(np.arange(WIDTH) < 1, depth * 1.3, depth), "delta1 0.984. is below the limit of 0.995"),
        (nan_corner, "3 pixels are not finite positive numbers"),
        (lambda depth: depth * np.nan, "3072 pixels are not finite"),
    ],
)
def test_engine_is_held_against_the_cpu(bundle: Bundle, spoil: Any, fault: str) -> None:
    import re

    with Engine(bundle, spoil) as session:
        result = check_session(bundle, Route.LOW, session)
    assert result.passed is (not fault)
    assert re.match(fault + ("$" if not fault else ""), result.fault), result
    assert (result.frames, result.network, result.backend) == (1, "depth-test", "tensorrt")
    assert "low: depth-test fp16 on tensorrt (CUDA:0)" in str(result)


class SceneEngine:
    """A session of the router's network that spoils its answer."""

    backend, device, precision = "tensorrt", "CUDA:0", "fp16"

    def __init__(self, bundle: Bundle, spoil: Any) -> None:
        scene = bundle.manifest.router.scene
        assert scene is not None
        self._inner, self._spoil = open_session(bundle.path(scene.variants["fp32"]), "onnxruntime"), spoil
        self.inputs, self.outputs = self._inner.inputs, self._inner.outputs

    def run(self, inputs: Mapping[str, NDArray[Any]], outputs: Any = None) -> dict[str, NDArray[Any]]:
        return {"probabilities": self._spoil(self._inner.run(inputs)["probabilities"].copy())}


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda p: p, ""),
        (lambda p: p + np.array([[0.01, 0.0, -0.01]], np.float32), ""),
        (lambda p: p + np.array([[0.05, 0.0, -0.05]], np.float32), "0.0500 of the probability lies elsewhere, above"),
        (lambda p: p[:, ::-1], "of the probability lies elsewhere, above the limit of 0.02"),
        (lambda p: p * np.nan, "3 probabilities are not finite"),
    ],
)
def test_a_router_is_held_against_the_cpu_too(bundle: Bundle, spoil: Any, fault: str) -> None:
    session: Any = SceneEngine(bundle, spoil)
    result = check_session(bundle, "router", session)
    assert result.passed is (not fault)
    assert fault in result.fault
    assert "router: scene-test fp16 on tensorrt (CUDA:0): moved " in str(result)


def test_a_coarse_router_is_held_to_its_depth_and_a_fixed_one_to_nothing(bundle: Bundle) -> None:
    coarse = Router(rule=CoarseRule(), coarse=bundle.manifest.networks[Route.LOW])
    changed = write_manifest(bundle.folder, bundle.manifest.model_copy(update={"router": coarse}))
    with Engine(changed, lambda depth: depth * 1.05) as session:
        assert "above the limit of 0.02" in check_session(changed, "router", session).fault
    fixed = write_manifest(bundle.folder, bundle.manifest.model_copy(update={"router": fixed_router(Route.LOW)}))
    (result,) = check_bundle(fixed, backend="onnxruntime", precision="fp32")
    assert result.role == "low"


def test_limits_are_the_bundles(bundle: Bundle) -> None:
    limits = {"fp16": GoldenLimits(max_abs_rel=0.001, min_delta1=0.5)}
    strict = write_manifest(bundle.folder, bundle.manifest.model_copy(update={"limits": limits}))
    with Engine(strict, lambda depth: depth * 1.01) as session:
        assert "above the limit of 0.001" in check_session(strict, Route.LOW, session).fault


def test_engine_that_resizes_gets_frames_of_its_camera(bundle: Bundle) -> None:
    with Engine(bundle, lambda depth: depth, camera_wh=(200, 150)) as session:
        result = check_session(bundle, Route.LOW, session)
    assert result.passed
    assert result.figures["abs_rel"] == 0


def test_camera_engine_takes_only_frames_of_its_size(bundle: Bundle) -> None:
    from edgedepth.core.errors import InputError

    with Engine(bundle, lambda depth: depth, camera_wh=(200, 150)) as session:
        runner = FrameNetwork(session, LOW_SPEC.input_wh, LOW_SPEC.resize)
        assert runner.camera_wh == (200, 150)
        runner.load(np.zeros((150, 200, 3), np.uint8))
        with pytest.raises(InputError, match="takes frames of 200x150, but the frame is 640x480"):
            runner.load(np.zeros((480, 640, 3), np.uint8))


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_backends_of_this_machine_pass(bundle: Bundle, backend: str) -> None:
    low, router = check_bundle(bundle, backend=backend, precision="fp32")
    assert low.passed
    assert low.as_dict()["abs_rel"] < 1e-5
    assert router.as_dict().items() >= {"role": "router", "network": "scene-test", "passed": True, "frames": 1}.items()
    assert router.figures["moved"] < 1e-5


def test_bundle_without_golden_frames(bundle: Bundle) -> None:
    bare = write_manifest(bundle.folder, bundle.manifest.model_copy(update={"golden": ()}))
    with pytest.raises(BackendError, match="has no golden frames to check with"):
        check_bundle(bare, backend="onnxruntime", precision="fp32")


def tensorrt_session(folder: Path, *, nan: bool) -> TensorRtSession:
    """An engine of the fake library for the low network, built into the cache of this test."""
    device = FakeDevice()
    flavour = flavour_of("tensorrt", fake_trt("10.3", device))
    onnx = folder / f"low-{nan}.onnx"
    onnx.write_text(
        onnx_text(
            inputs=[{"name": "frame", "shape": [1, HEIGHT, WIDTH, 3], "dtype": "uint8"}],
            outputs=[{"name": "depth_m", "shape": [1, 1, HEIGHT, WIDTH], "dtype": "float32"}],
            nan=nan,
        )
    )
    gpu = Gpu(name="Fake GPU", capability="8.7")
    plan = plan_for(onnx, BuildConfig(), flavour, gpu=gpu)
    return TensorRtSession(flavour, plan, SharedDevice(lambda: device), precision="fp16")


def test_new_engine_is_checked_once_and_it_is_written_down(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEDEPTH_CACHE", str(tmp_path / "home"))
    with tensorrt_session(tmp_path, nan=False) as session:
        (result,) = check_new_engines(bundle, {Route.LOW: session})
        assert result.passed
        assert result.figures["abs_rel"] < 1e-5
        assert result.as_dict()["abs_rel"] == result.figures["abs_rel"]
        assert "figures" not in result.as_dict()
    assert PlanCache().entries()[0].sidecar.checked == str(result)
    with tensorrt_session(tmp_path, nan=False) as session:
        assert check_new_engines(bundle, {Route.LOW: session}) == []
        assert check_new_engines(bundle, {Route.HIGH: session}) == []  # no golden frames of this route


def test_what_was_built_is_what_is_checked(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not another engine of the cache that would serve the network as well."""
    monkeypatch.setenv("EDGEDEPTH_CACHE", str(tmp_path / "home"))
    with tensorrt_session(tmp_path, nan=False) as session:
        plan = SimpleNamespace(key=session.key, sidecar=session.sidecar)
        built: Any = SimpleNamespace(role="low", precision="fp32", sizes=(), plan=plan)
        opened: list[tuple[Any, ...]] = []

        def open_plan(flavour: str, given: Any, **options: Any) -> TensorRtSession:
            opened.append((flavour, given, options))
            return session

        monkeypatch.setattr(golden, "open_plan", open_plan)
        (result,) = check_built(bundle, [built])
    assert result.passed
    assert opened == [("tensorrt", plan, {"precision": "fp32", "frame_wh": None})]
    assert PlanCache().entries()[0].sidecar.checked == str(result)


@pytest.mark.parametrize("spoiled", [None, 0, 1])
def test_an_engine_for_several_sizes_is_checked_at_each(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoiled: int | None
) -> None:
    monkeypatch.setenv("EDGEDEPTH_CACHE", str(tmp_path / "home"))
    with tensorrt_session(tmp_path, nan=False) as good, tensorrt_session(tmp_path, nan=True) as bad:
        plan = SimpleNamespace(key=good.key, sidecar=good.sidecar)
        sizes = (SizeRange.fixed((64, 48)), SizeRange.parse("vga..hd"))
        opened: list[Any] = []

        def open_plan(flavour: str, given: Any, *, precision: str, frame_wh: Any) -> Any:
            opened.append(frame_wh)
            return nullcontext(bad if len(opened) - 1 == spoiled else good)

        monkeypatch.setattr(golden, "open_plan", open_plan)
        monkeypatch.setattr(bad, "key", good.key)
        monkeypatch.setattr(bad, "sidecar", good.sidecar)
        built: Any = SimpleNamespace(role="low", precision="fp32", sizes=sizes, plan=plan)
        if spoiled is None:
            results = check_built(bundle, [built])
            assert len(results) == 2
            assert opened == [(64, 48), (1280, 720)]
        else:
            with pytest.raises(BackendError, match="engine rejected"):
                check_built(bundle, [built])
    (sidecar,) = (entry.sidecar for entry in PlanCache().entries() if entry.key == good.key)
    assert bool(sidecar.rejected) == (spoiled is not None)
    assert bool(sidecar.checked)


def test_a_profile_of_several_is_no_engine_checked(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEDEPTH_CACHE", str(tmp_path / "home"))
    monkeypatch.setattr(TensorRtSession, "profiles", 2)
    with tensorrt_session(tmp_path, nan=False) as session:
        assert len(check_new_engines(bundle, {Route.LOW: session})) == 1
        assert PlanCache().entries()[0].sidecar.checked == ""


def test_a_check_that_cannot_be_written_down_counts_all_the_same(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A cache that is only read, as in a container's image, serves engines that nobody has checked yet."""
    monkeypatch.setenv("EDGEDEPTH_CACHE", str(tmp_path / "home"))

    def refuse(*_: object, **__: object) -> None:
        raise OutputError("cannot write the cache")

    with tensorrt_session(tmp_path, nan=False) as good, tensorrt_session(tmp_path, nan=True) as bad:
        monkeypatch.setattr(PlanCache, "note", refuse)
        assert check_new_engines(bundle, {Route.LOW: good})[0].passed
        assert "was not written down: cannot write the cache" in caplog.text
        with pytest.raises(BackendError, match="engine rejected"):
            check_new_engines(bundle, {Route.LOW: bad})


def test_doctors_check_is_written_down_too(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEDEPTH_CACHE", str(tmp_path / "home"))
    with tensorrt_session(tmp_path, nan=True) as session:
        result = check_network(bundle, Route.LOW, session)
    assert not result.passed
    with pytest.raises(BackendError, match=r"rejected by its golden check: 48 pixels.*edgedepth build"):
        tensorrt_session(tmp_path, nan=True)


def test_wrong_engine_is_rejected_by_name_for_good(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEDEPTH_CACHE", str(tmp_path / "home"))
    with tensorrt_session(tmp_path, nan=True) as session:
        with pytest.raises(
            BackendError, match=r"engine rejected: low: depth-test fp16 on tensorrt .*48 pixels are not"
        ):
            check_new_engines(bundle, {Route.LOW: session})
        others: dict[Route, Any] = {Route.LOW: SimpleNamespace()}
        assert check_new_engines(bundle, others) == []  # only TensorRT's engines are built here
    with pytest.raises(BackendError, match=r"rejected by its golden check: 48 pixels.*edgedepth build"):
        tensorrt_session(tmp_path, nan=True)


@pytest.mark.parametrize("stored", ["farther", "unknown", "smaller"])
def test_a_reference_that_answers_otherwise_than_it_did_is_told(bundle: Bundle, stored: str) -> None:
    depth = np.load(bundle.folder / "low.npy")
    changed = {"farther": depth * 1.02, "unknown": depth * np.nan, "smaller": depth[:-1]}[stored]
    np.save(bundle.folder / "low.npy", changed)
    (golden,) = bundle.manifest.golden
    entry = golden.model_copy(update={"depth": file_entry(bundle.folder, "low.npy")})
    other = write_manifest(bundle.folder, bundle.manifest.model_copy(update={"golden": (entry,)}))
    with pytest.raises(BackendError, match=r"depth-test in FP32 on this CPU is .* away from the depth that the bundle"):
        check_bundle(other, backend="onnxruntime", precision="fp32")
