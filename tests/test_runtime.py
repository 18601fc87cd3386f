"""The runtime on networks whose answers are known: routing, metres, states, buffers, refusals."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import edgedepth
from edgedepth.core.errors import BackendError, InputError, UnknownNameError
from edgedepth.core.lens import Lens
from edgedepth.core.manifest import Router
from edgedepth.core.routing import CoarseRule, Hysteresis
from edgedepth.engines.session import Session
from edgedepth.runtime import depth_runtime
from tests.bundles import LOW_SPEC, depth_network, fixed_router, write_bundle
from tests.networks import depth_network as depth_onnx
from tests.networks import routed_bundle
from tests.test_exif import FILM_MM, SHORT, photo, tiff

NEAR, FAR = 102, 204  # grey levels: low answers 4 m, high 64 m


def grey(level: int, wh: tuple[int, int] = (128, 96)) -> np.ndarray:
    return np.full((wh[1], wh[0], 3), level, np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return routed_bundle(tmp_path_factory.mktemp("bundle") / "b").folder


@pytest.fixture
def runtime(folder: Path) -> Iterator[edgedepth.DepthRuntime]:
    with edgedepth.DepthRuntime.load(folder, backend="onnxruntime", threads=1) as opened:
        yield opened


@pytest.mark.parametrize(("level", "route", "metres"), [(NEAR, "low", 4.0), (FAR, "high", 64.0)])
def test_frames_are_routed_and_measured(runtime: edgedepth.DepthRuntime, level: int, route: str, metres: float) -> None:
    result = runtime(grey(level))
    assert result.route == route
    assert result.depth_m.shape == (96, 128)
    assert result.depth_m.dtype == np.float32
    assert result.depth_m == pytest.approx(metres, rel=1e-5)
    assert (result.valid == edgedepth.PixelState.MEASURED).all()
    assert result.votes == ((1, 0) if route == "low" else (0, 1))
    assert not result.camera_given
    assert set(result.timings_ms) == {"preprocess", "route", "infer", "postprocess"}


def test_route_can_be_forced(runtime: edgedepth.DepthRuntime) -> None:
    assert runtime(grey(FAR), route=edgedepth.Route.LOW).depth_m == pytest.approx(8.0, rel=1e-5)
    named = runtime(grey(NEAR), route="high")
    assert named.route is edgedepth.Route.HIGH
    assert named.score == 1.0


def test_bfloat16_is_computed_of_the_float32_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    real = depth_runtime.open_session

    def recorded(path: Path, *, precision: str, **options: object) -> Session:
        opened.append((path.name, precision))
        return real(path, precision="fp32", **options)

    monkeypatch.setattr(depth_runtime, "open_session", recorded)
    with edgedepth.DepthRuntime.load(folder, backend="openvino", precision="bf16", threads=1) as runtime:
        assert runtime.precision == "bf16"
        assert runtime(grey(NEAR)).depth_m == pytest.approx(4.0, rel=1e-5)
    assert {precision for _, precision in opened} == {"bf16"}
    assert {name for name, _ in opened} >= {"low.onnx", "high.onnx"}


def test_a_route_that_is_none_is_refused(runtime: edgedepth.DepthRuntime) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown route 'middle'.*low, high"):
        runtime(grey(NEAR), route="middle")


def test_a_steadier_smooths_a_stream_of_calls(runtime: edgedepth.DepthRuntime) -> None:
    steadier = runtime.steadier(0.5)
    first, second = grey(100), grey(101)
    alone = runtime(second).depth_m.copy()
    runtime(first, steadier=steadier)
    smoothed = runtime(second, steadier=steadier).depth_m
    assert ((smoothed < alone) & (smoothed > runtime(first).depth_m)).all()


def test_depth_scales_with_the_focal_length(runtime: edgedepth.DepthRuntime) -> None:
    # 128x96 on a 64x48 input: f at network size is half of the frame's; canonical is 52
    camera = edgedepth.Camera(fx=208, fy=208, cx=63.5, cy=47.5, width=128, height=96)
    result = runtime(grey(NEAR), camera=camera)
    assert result.depth_m == pytest.approx(4.0 * 104 / 52, rel=1e-5)
    assert result.camera_given
    assert result.camera is camera


def test_assumed_camera_is_the_canonical_one(runtime: edgedepth.DepthRuntime) -> None:
    frame = grey(NEAR, (200, 100))
    assumed = runtime(frame).camera
    assert runtime(frame, camera=assumed).depth_m == pytest.approx(runtime(frame).depth_m)


def test_beyond_range_is_a_state_not_a_depth(runtime: edgedepth.DepthRuntime) -> None:
    frame = grey(FAR)
    frame[:, 64:] = 250  # high: 78.4 m, beyond the 76 m that count as range
    result = runtime(frame)
    assert (result.valid[:, :60] == edgedepth.PixelState.MEASURED).all()
    assert (result.valid[:, 68:] == edgedepth.PixelState.BEYOND).all()
    assert np.isnan(result.depth_m[:, 68:]).all()
    assert np.isfinite(result.raw_depth_m).all()
    assert np.nanmax(result.depth_m) < 76


def test_nearer_than_the_range_is_said_and_still_a_depth(runtime: edgedepth.DepthRuntime) -> None:
    """A robot must not take what is too near to measure for free space, nor for a measured metre."""
    frame = grey(FAR)
    frame[:, 64:] = 3  # high: 0.94 m, nearer than the 1 m at which its range begins
    camera = edgedepth.Camera(fx=208, fy=208, cx=63.5, cy=47.5, width=128, height=96)
    result = runtime(frame, route="high", camera=camera)
    assert (result.valid[:, :60] == edgedepth.PixelState.MEASURED).all()
    assert (result.valid[:, 68:] == edgedepth.PixelState.NEARER).all()
    assert result.depth_m[:, 68:] == pytest.approx(3 / 3.1875 * 2, rel=1e-5)
    assert result.known.all()
    assert len(result.points()) == frame.shape[0] * frame.shape[1]


def test_points_are_in_the_optical_frame(runtime: edgedepth.DepthRuntime) -> None:
    camera = edgedepth.Camera(fx=104, fy=104, cx=63.5, cy=47.5, width=128, height=96)
    points = runtime(grey(NEAR), camera=camera).points()
    assert points.shape == (128 * 96, 3)
    assert points[0] == pytest.approx([-63.5 / 104 * 4, -47.5 / 104 * 4, 4.0], rel=1e-4)


def test_confidence_on_request(runtime: edgedepth.DepthRuntime) -> None:
    assert runtime(grey(NEAR)).confidence is None
    sure = runtime(grey(NEAR), confidence=True).confidence
    assert sure is not None
    assert sure == pytest.approx(NEAR / 255, rel=1e-5)


def test_out_reuses_every_array(runtime: edgedepth.DepthRuntime) -> None:
    first = runtime(grey(NEAR), confidence=True)
    second = runtime(grey(60), confidence=True, out=first)
    for name in ("depth_m", "valid", "raw_depth_m", "confidence"):
        assert getattr(second, name) is getattr(first, name)
    assert second.depth_m == pytest.approx(60 / 25.5, rel=1e-5)
    with pytest.raises(InputError, match="pass a result of this size"):
        runtime(grey(NEAR, (64, 48)), out=first)


@pytest.mark.parametrize("wh", [(1, 1), (3, 7), (641, 1), (1, 333), (37, 53)])
def test_any_size(runtime: edgedepth.DepthRuntime, wh: tuple[int, int]) -> None:
    result = runtime(grey(NEAR, wh))
    assert result.depth_m.shape == wh[::-1]
    assert result.depth_m == pytest.approx(4.0, rel=1e-5)


@pytest.mark.parametrize(
    "frame",
    [((4, 4), np.uint8), ((4, 4, 4), np.uint8), ((4, 4, 3), np.float32), ((0, 4, 3), np.uint8)],
    ids=["grey", "alpha", "float", "empty"],
)
def test_frames_of_another_form_are_refused(
    runtime: edgedepth.DepthRuntime, frame: tuple[tuple[int, ...], type]
) -> None:
    with pytest.raises(InputError, match="a frame must"):
        runtime(np.zeros(*frame))


def test_streams_have_hysteresis_and_photos_do_not(folder: Path, tmp_path: Path) -> None:
    bundle = edgedepth.Bundle.load(folder)
    levels = [NEAR, FAR, NEAR, FAR, FAR, FAR]
    router = bundle.manifest.router.model_copy(update={"hysteresis": Hysteresis(every=1, agree=2)})
    files = {name: (folder / name).read_bytes() for name in ("low.onnx", "high.onnx", "scene.onnx")}
    eager = write_bundle(tmp_path / "eager", files, router=router)
    with edgedepth.DepthRuntime.load(eager, backend="onnxruntime", threads=1) as runtime:
        ordered = [result.route.value for result in runtime.stream(grey(level) for level in levels)]
        single = [runtime(grey(level)).route.value for level in levels]
    assert ordered == ["low", "low", "low", "low", "high", "high"]
    assert single == ["low", "high", "low", "high", "high", "high"]


def test_fixed_router_needs_one_network_only(folder: Path, tmp_path: Path) -> None:
    files = {"low.onnx": (folder / "low.onnx").read_bytes()}
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "low.onnx").write_bytes(files["low.onnx"])
    networks = {edgedepth.Route.LOW: depth_network(tmp_path / "f", "low.onnx", LOW_SPEC)}
    bundle = write_bundle(tmp_path / "f", files, router=fixed_router(edgedepth.Route.LOW), networks=networks)
    with edgedepth.DepthRuntime.load(bundle, backend="onnxruntime") as runtime:
        assert runtime(grey(FAR)).route == "low"
        with pytest.raises(InputError, match="no network for route high; it has: low"):
            runtime(grey(FAR), route=edgedepth.Route.HIGH)


@pytest.mark.parametrize(
    ("per_grey", "offset_m", "route", "score_m"),
    [(1 / 25.5, 0.0, "high", 8.0), (-1 / 25.5, 10.0, "low", 2.0)],  # black bars would be 0 m, or 10 m
)
def test_coarse_router_looks_at_unpadded_pixels(
    folder: Path, tmp_path: Path, per_grey: float, offset_m: float, route: str, score_m: float
) -> None:
    files = {name: (folder / name).read_bytes() for name in ("high.onnx", "scene.onnx")}
    files["low.onnx"] = depth_onnx(LOW_SPEC.input_wh, per_grey, offset_m).SerializeToString()
    (tmp_path / "low.onnx").write_bytes(files["low.onnx"])
    router = Router(rule=CoarseRule(sigma_m=5.0), coarse=depth_network(tmp_path, "low.onnx", LOW_SPEC))
    bundle = write_bundle(tmp_path, files, router=router)
    with edgedepth.DepthRuntime.load(bundle, backend="onnxruntime") as runtime:
        result = runtime(grey(FAR, (200, 50)))
        assert (result.route, result.score) == (route, pytest.approx(score_m, rel=1e-5))


def test_backends_agree(folder: Path) -> None:
    answers = []
    for backend in ("onnxruntime", "openvino"):
        with edgedepth.DepthRuntime.load(folder, backend=backend, threads=1) as runtime:
            assert runtime.backend == backend
            answers.append(runtime(grey(FAR)).depth_m)
    assert answers[0] == pytest.approx(answers[1], rel=1e-5)


def test_unknown_backend_and_precision(folder: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown backend 'quantum'"):
        edgedepth.DepthRuntime.load(folder, backend="quantum")
    with pytest.raises(InputError, match="has no int8 file for onnxruntime; it has: fp32"):
        edgedepth.DepthRuntime.load(folder, backend="onnxruntime", precision="int8")


def test_a_precision_that_one_network_lacks_is_refused_not_replaced(folder: Path, tmp_path: Path) -> None:
    """An INT8 file for another backend, or for one route only, must not make FP32 pass for INT8."""
    bundle = shutil.copytree(folder, tmp_path / "b")
    manifest = json.loads((bundle / "bundle.json").read_text())
    for route in ("low", "high"):
        variants = manifest["networks"][route]["variants"]
        variants["int8@onnxruntime" if route == "low" else "int8@openvino"] = variants["fp32"]
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    for backend, network in (("onnxruntime", "high"), ("openvino", "low")):
        with pytest.raises(InputError, match=rf"has no int8 file for {backend}; it has: fp32, int8@"):
            edgedepth.DepthRuntime.load(bundle, backend=backend, precision="int8")
        with edgedepth.DepthRuntime.load(bundle, backend=backend) as runtime:
            assert runtime.precision == "fp32", network


class _Spied:
    """A session that counts how often it was closed and which outputs it was asked for."""

    def __init__(self, session: Session, log: list[_Spied]) -> None:
        self.session, self.closed, self.asked = session, 0, []
        log.append(self)

    def __getattr__(self, name: str) -> object:
        return getattr(self.session, name)

    def run(self, inputs: dict[str, np.ndarray], outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        self.asked.append(outputs)
        return self.session.run(inputs, outputs)

    def close(self) -> None:
        self.closed += 1
        self.session.close()


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[_Spied]:
    log: list[_Spied] = []
    real = depth_runtime.open_session
    monkeypatch.setattr(depth_runtime, "open_session", lambda *a, **k: _Spied(real(*a, **k), log))
    return log


def test_a_runtime_that_cannot_open_leaves_nothing_open(
    folder: Path, sessions: list[_Spied], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BackendError("a new engine fails its golden check")

    monkeypatch.setattr(depth_runtime, "check_new_engines", refuse)
    with pytest.raises(BackendError, match="golden"):
        edgedepth.DepthRuntime.load(folder, backend="onnxruntime")
    assert [session.closed for session in sessions] == [1, 1, 1]


def test_only_what_is_asked_for_is_computed(folder: Path, sessions: list[_Spied]) -> None:
    with edgedepth.DepthRuntime.load(folder, backend="onnxruntime") as runtime:
        runtime(grey(FAR), route=edgedepth.Route.HIGH)
        runtime(grey(FAR), route=edgedepth.Route.HIGH, confidence=True)
    assert [asked for session in sessions for asked in session.asked] == [("depth_m",), ("depth_m", "confidence")]
    assert all(session.closed == 1 for session in sessions)


def test_a_file_that_is_no_network(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "b")
    with pytest.raises(BackendError), edgedepth.DepthRuntime.load(bundle, backend="onnxruntime") as runtime:
        runtime(grey(NEAR))


def test_two_runtimes_in_one_process(folder: Path) -> None:
    with (
        edgedepth.DepthRuntime.load(folder, backend="onnxruntime") as one,
        edgedepth.DepthRuntime.load(folder, backend="onnxruntime") as two,
    ):
        first = one(grey(NEAR)).depth_m
        second = two(grey(60)).depth_m
        assert first == pytest.approx(4.0, rel=1e-5)
        assert second == pytest.approx(60 / 25.5, rel=1e-5)


def test_what_is_no_camera_or_mask_is_refused_in_one_line(folder: Path) -> None:
    camera = edgedepth.Camera.from_hfov(60, 64, 48)
    rectify = edgedepth.Rectifier(Lens(camera=camera))
    with edgedepth.DepthRuntime.load(folder, backend="onnxruntime") as runtime:
        for given, told in (
            ({"camera": rectify}, r"rectify the frame first: image_bgr, camera, outside = rectify\(frame_bgr\)"),
            ({"camera": "ost.yaml"}, r"camera is an edgedepth.Camera, but got str"),
            ({"outside": np.zeros((48, 64), np.uint8)}, r"outside must be bool, but got uint8; .* mask > 0"),
        ):
            with pytest.raises(InputError, match=told):
                runtime(grey(FAR), **given)
        with pytest.raises(InputError, match=r"a Camera, a Rectifier .* or 'assumed', but got 'ost.yaml'"):
            next(runtime.stream([grey(FAR)], camera="ost.yaml"))
    with pytest.raises(InputError, match=r"whole pixels, but got 64\.0x48"):
        edgedepth.Camera(fx=50, fy=50, cx=1, cy=1, width=64.0, height=48)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"steadier": 0.8}, r"steadier is what steadier\(\) gives, but got float"),
        ({"keeper": "low"}, r"keeper is what keeper\(\) gives, but got str"),
        ({"out": np.zeros((96, 128), np.float32)}, r"out is an earlier result, but got ndarray"),
    ],
)
def test_what_is_of_another_kind_is_refused_in_one_line(
    runtime: edgedepth.DepthRuntime, given: dict[str, object], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        runtime(grey(NEAR), **given)


class _Meanwhile(edgedepth.Steadier):
    """Does something in another thread while a frame is being answered."""

    def __init__(self, job: Callable[[], object]) -> None:
        super().__init__()
        self._job = job

    def __call__(self, frame_bgr: np.ndarray, depth_m: np.ndarray, route: edgedepth.Route) -> np.ndarray:
        with ThreadPoolExecutor(1) as other:
            self.error = other.submit(self._job).exception()
        return super().__call__(frame_bgr, depth_m, route)


def test_a_second_thread_is_refused_while_the_first_is_answered(runtime: edgedepth.DepthRuntime) -> None:
    for job in (lambda: runtime(grey(FAR)), lambda: runtime.decide(grey(FAR))):
        meanwhile = _Meanwhile(job)
        assert runtime(grey(NEAR), steadier=meanwhile).depth_m == pytest.approx(4.0, rel=1e-5)
        assert isinstance(meanwhile.error, BackendError)
        assert "is answering another thread; load a runtime for each thread" in str(meanwhile.error)
    with pytest.raises(InputError):  # an error does not keep the others out
        runtime(grey(NEAR), out=runtime(grey(NEAR, (64, 48))))
    with ThreadPoolExecutor(1) as other:
        assert other.submit(runtime, grey(FAR)).result().route == "high"


def test_results_and_frames_can_be_looked_for_in_a_list(runtime: edgedepth.DepthRuntime) -> None:
    pairs = list(runtime.stream_frames([grey(NEAR), grey(FAR)]))
    assert pairs.index(pairs[1]) == 1
    assert len(set(pairs)) == 2
    assert pickle.loads(pickle.dumps(pairs[0][1])).depth_m == pytest.approx(4.0, rel=1e-5)


def test_a_stream_can_leave_out_what_a_photo_says_of_its_camera(folder: Path, tmp_path: Path) -> None:
    phone = photo(tmp_path / "phone.jpg", (64, 48), tiff({FILM_MM: (SHORT, 43)}))
    with edgedepth.DepthRuntime.load(folder, backend="onnxruntime") as runtime:
        (with_exif,) = runtime.stream(phone)
        (without,) = runtime.stream(phone, camera="assumed")
    assert with_exif.camera_given
    assert not without.camera_given
