"""A source through a runtime into a sink: order, overlap, interruption and failure."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError, OutputError
from edgedepth.core.lens import Lens
from edgedepth.core.manifest import MetricScale
from edgedepth.core.results import DepthResult, PixelState
from edgedepth.core.routing import Route
from edgedepth.io.frames import Frame, Source
from edgedepth.io.rectify import Rectifier
from edgedepth.io.sink import Sink
from edgedepth.runtime.depth_runtime import DepthRuntime
from edgedepth.runtime.metric_scale import store_scale
from edgedepth.runtime.profiling import StageTimes
from edgedepth.runtime.streaming import StreamOptions, StreamReport, run_stream, write_report
from tests.networks import routed_bundle

NEAR, FAR = 102, 204


class Levels(Source):
    """Grey frames of given levels; calls `at` before each."""

    def __init__(self, levels: list[int], at: Callable[[int], None] = lambda index: None) -> None:
        super().__init__("levels", count=len(levels), fps=30.0)
        self._levels, self._at = levels, at

    def __iter__(self) -> Iterator[Frame]:
        for index, level in enumerate(self._levels):
            self._at(index)
            image = np.full((48, 64, 3), level, np.uint8)
            yield Frame(index=index, image_bgr=image, time_s=index / 30, name=f"{index:06d}")

    def close(self) -> None:
        return None


class Memory(Sink):
    """Keeps results; calls `at` before each."""

    def __init__(self, at: Callable[[int], None] = lambda index: None) -> None:
        self.results: list[DepthResult] = []
        self.threads: set[str] = set()
        self.closed = 0
        self.closed_in = ""
        self._at = at

    def write(self, frame: Frame, result: DepthResult) -> None:
        self._at(frame.index)
        assert frame.index == result.frame_index
        self.threads.add(threading.current_thread().name)
        self.results.append(result)

    def close(self) -> list[Path]:
        self.closed += 1
        self.closed_in = threading.current_thread().name
        return [Path("memory")]


def seen_by(hfov_deg: float) -> Callable[[Frame], Frame]:
    return lambda frame: replace(frame, camera=Camera.from_hfov(hfov_deg, 64, 48))


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DepthRuntime]:
    folder = routed_bundle(tmp_path_factory.mktemp("bundle") / "b").folder
    with DepthRuntime.load(folder, backend="onnxruntime", threads=1) as opened:
        yield opened


def test_every_frame_arrives_once_and_in_order(runtime: DepthRuntime, tmp_path: Path) -> None:
    sink = Memory()
    seen: list[int] = []
    source = Levels([NEAR] * 12 + [FAR] * 28)
    report = run_stream(runtime, source, sink, StreamOptions(), lambda _, result: seen.append(result.frame_index))
    assert [result.frame_index for result in sink.results] == list(range(40)) == seen
    assert sink.threads == {"edgedepth-encode"}
    assert (sink.closed, sink.closed_in) == (1, "edgedepth-encode")  # a window is taken down where it was made
    # routed every 5 frames, switching after 3 decisions: 15 says far, 20 and 25 agree
    assert report.routes == {"low": 25, "high": 15}
    write_report(report, tmp_path / "run.json")
    data = json.loads((tmp_path / "run.json").read_text())
    assert data["frames"] == {"read": 40, "written": 40, "dropped": 0}
    assert list(data["stages_ms"]) == ["decode", "preprocess", "route", "infer", "postprocess", "encode"]
    assert all(set(stage) == {"p50", "p90", "p99"} for stage in data["stages_ms"].values())
    assert data["age_ms"] is None, "a file's frames have no age"
    assert data["fps"]["end_to_end"] > 0
    assert (data["unit"], data["interrupted"], data["camera"], data["outputs"]) == ("m", False, "assumed", ["memory"])
    assert data["error"] is None
    assert data["bundle"] == {"name": "test", "digest": runtime.bundle.digest}


def test_options(runtime: DepthRuntime) -> None:
    sink = Memory()
    options = StreamOptions(view=seen_by(60), route=Route.HIGH, confidence=True, max_frames=3)
    report = run_stream(runtime, Levels([NEAR] * 9), sink, options)
    assert report.frames_read == report.frames_written == 3
    assert report.camera == "given"
    assert all(result.route is Route.HIGH and result.confidence is not None for result in sink.results)


def test_the_report_says_how_depth_was_upsampled_not_how_it_should_have_been(runtime: DepthRuntime) -> None:
    low, high = Route.LOW, Route.HIGH
    with DepthRuntime.load(runtime.bundle, backend="onnxruntime", threads=1, upsampling="guided") as guided:
        for levels, route, low_is in (([0, 0], low, "linear"), ([0, NEAR], low, "mixed"), ([NEAR], low, "guided")):
            report = run_stream(guided, Levels(levels), Memory(), StreamOptions(route=route))
            assert report.as_dict()["upsampling"] == {"low": low_is, "high": "guided"}
        report = run_stream(guided, Levels([0]), Memory(), StreamOptions(route=high))
        assert report.upsampling == {"low": "guided", "high": "linear"}


def test_frames_are_rectified_before_inference(runtime: DepthRuntime) -> None:
    sink = Memory()
    camera = Camera(fx=52, fy=52, cx=31.5, cy=23.5, width=64, height=48)
    lens = Lens(
        camera=camera, coefficients=(-0.3, 0.1, 0.0, 0.0), projection=camera.resized(32, 24).cropped(-16, -12, 64, 48)
    )
    data = run_stream(runtime, Levels([NEAR] * 2), sink, StreamOptions(view=Rectifier(lens).frame)).as_dict()
    assert (data["camera"], data["cameras"]) == ("given", {"given": 2, "exif": 0, "assumed": 0})
    assert (data["rectified"], data["lens"]) == (True, "radtan")
    result = sink.results[1]
    assert result.camera == lens.projection
    assert result.valid[0, 0] == PixelState.UNKNOWN
    assert np.isnan(result.depth_m[0, 0])
    assert result.valid[24, 32] == PixelState.MEASURED
    assert result.depth_m[24, 32] == pytest.approx(2.0, rel=0.1)  # half the canonical focal length
    assert not result.known[0, 0]


def test_photos_of_which_some_tell_their_focal_length(runtime: DepthRuntime) -> None:
    cameras = iter([Camera.from_hfov(60, 64, 48), None, None])
    view = lambda frame: replace(frame, camera=next(cameras), camera_source="exif")  # noqa: E731
    report = run_stream(runtime, Levels([NEAR] * 3), Memory(), StreamOptions(view=view))
    assert (report.camera, report.cameras) == ("mixed", {"given": 0, "exif": 1, "assumed": 2})
    assert report.warnings[0].startswith("2 of 3 photos tell no focal length")


def test_interruption_keeps_what_was_inferred(runtime: DepthRuntime) -> None:
    sink = Memory()

    def interrupt(_: object, result: DepthResult) -> None:
        if result.frame_index == 7:
            raise KeyboardInterrupt

    report = run_stream(runtime, Levels([NEAR] * 500), sink, StreamOptions(), interrupt)
    assert report.interrupted
    assert report.frames_written == len(sink.results) == 8
    assert sink.closed == 1


def test_a_failing_source_is_raised_after_its_frames_are_written(runtime: DepthRuntime) -> None:
    def fail(index: int) -> None:
        if index == 5:
            raise InputError("the camera was unplugged")

    sink = Memory()
    report = StreamReport(source="levels")
    source = Levels([NEAR] * 9, fail)
    source.warnings.append("a frame was damaged")
    with pytest.raises(InputError, match="unplugged"):
        run_stream(runtime, source, sink, StreamOptions(), report=report)
    assert len(sink.results) == 5
    assert (sink.closed, sink.closed_in) == (1, "edgedepth-encode")
    data = report.as_dict()
    assert data["error"] == "the camera was unplugged"
    assert data["frames"] == {"read": 5, "written": 5, "dropped": 0}
    assert (data["outputs"], data["warnings"]) == (["memory"], ["a frame was damaged"])
    assert data["fps"]["end_to_end"] > 0


def test_a_failing_sink_stops_the_run(runtime: DepthRuntime) -> None:
    def fail(index: int) -> None:
        if index == 3:
            raise OutputError("no space left")

    sink = Memory(fail)
    with pytest.raises(OutputError, match="no space left"):
        run_stream(runtime, Levels([NEAR] * 400), sink, StreamOptions())
    assert len(sink.results) == 3
    assert (sink.closed, sink.closed_in) == (1, "edgedepth-encode")


def test_a_sink_that_cannot_close_fails_the_run(runtime: DepthRuntime) -> None:
    class Unclosable(Memory):
        def close(self) -> list[Path]:
            raise OutputError("no space left")

    report = StreamReport(source="levels")
    with pytest.raises(OutputError, match="no space left"):
        run_stream(runtime, Levels([NEAR] * 3), Unclosable(), StreamOptions(), report=report)
    assert (report.error, report.frames_written, report.outputs) == ("no space left", 3, [])


def test_the_first_error_of_a_sink_is_told(runtime: DepthRuntime) -> None:
    class Broken(Memory):
        def write(self, frame: Frame, result: DepthResult) -> None:
            raise ValueError("broken\nin two lines")

        def close(self) -> list[Path]:
            raise OutputError("neither can it close")

    report = StreamReport(source="levels")
    with pytest.raises(ValueError, match="broken"):
        run_stream(runtime, Levels([NEAR] * 30), Broken(), StreamOptions(), report=report)
    assert report.error == "unexpected ValueError: broken in two lines"


def test_the_error_that_ended_a_run_is_told_not_what_came_of_it(runtime: DepthRuntime) -> None:
    def unplugged(index: int) -> None:
        if index == 3:
            raise InputError("the camera is gone")

    class Unclosable(Memory):
        def close(self) -> list[Path]:
            raise OutputError("nor is there space left")

    report = StreamReport(source="levels")
    with pytest.raises(InputError, match="the camera is gone"):
        run_stream(runtime, Levels([NEAR] * 9, unplugged), Unclosable(), StreamOptions(), report=report)
    assert report.error == "the camera is gone"
    assert report.frames_written == 3


def test_an_empty_source_is_an_error(runtime: DepthRuntime) -> None:
    with pytest.raises(InputError, match="holds no frame"):
        run_stream(runtime, Levels([]), Memory(), StreamOptions())


def test_warnings_and_drops_of_the_source_are_reported(runtime: DepthRuntime) -> None:
    source = Levels([NEAR])
    source.warnings.append("1 of 9 frames could be read")
    source.dropped = 8
    data = run_stream(runtime, source, Memory(), StreamOptions()).as_dict()
    assert data["warnings"] == ["1 of 9 frames could be read"]
    assert data["frames"]["dropped"] == 8


def test_a_camera_is_asked_when_inference_is_ready(runtime: DepthRuntime) -> None:
    """No frame waits between a camera and inference, and at most one behind a slow sink."""
    asked: list[int] = []
    ahead: list[int] = []
    source = Levels([NEAR] * 12, asked.append)
    source.live = True
    slow = Memory(lambda index: time.sleep(0.02))
    report = run_stream(
        runtime,
        source,
        slow,
        StreamOptions(max_frames=9),
        lambda _, result: ahead.append(asked[-1] - result.frame_index),
    )
    assert ahead == [0] * 9
    assert asked[-1] == 8
    assert report.frames_read == report.frames_written == len(slow.results) == 9


def test_the_age_of_live_frames_is_told(runtime: DepthRuntime) -> None:
    class Late(Levels):
        live = True

        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                yield replace(frame, taken_s=time.monotonic() - 0.5)

    age_ms = run_stream(runtime, Late([NEAR] * 3), Memory(), StreamOptions()).as_dict()["age_ms"]
    assert set(age_ms) == {"p50", "p90", "p99"}
    assert 500 <= age_ms["p50"] < 5000


def test_an_unplugged_camera_ends_the_run_after_its_frames_are_written(runtime: DepthRuntime) -> None:
    def fail(index: int) -> None:
        if index == 4:
            raise InputError("the camera was unplugged")

    source, sink = Levels([NEAR] * 9, fail), Memory()
    source.live = True
    with pytest.raises(InputError, match="unplugged"):
        run_stream(runtime, source, sink, StreamOptions())
    assert (len(sink.results), sink.closed) == (4, 1)


def test_a_scale_of_a_known_camera_warns_without_one(tmp_path: Path) -> None:
    bundle = routed_bundle(tmp_path / "b")
    scale = MetricScale(factor=1.5, source="tape", frames=1, residual=0.0, camera_given=True)
    store_scale(bundle, {Route.LOW: scale})
    with DepthRuntime.load(tmp_path / "b", backend="onnxruntime", threads=1) as scaled:
        near = run_stream(scaled, Levels([NEAR]), Memory(), StreamOptions(route=Route.LOW))
        far = run_stream(scaled, Levels([FAR]), Memory(), StreamOptions(route=Route.HIGH))
        camera = StreamOptions(route=Route.LOW, view=seen_by(60))
        given = run_stream(scaled, Levels([NEAR]), Memory(), camera)
    assert len(near.warnings) == 1
    assert "was measured with intrinsics and none are given" in near.warnings[0]
    assert far.warnings == given.warnings == []


def test_times_of_a_long_run_take_bounded_memory() -> None:
    times = StageTimes()
    for index in range(25_000):
        times.add({"infer": index % 1000})
    assert len(times._samples["infer"]) == 10_000
    assert times.total_s("infer") == pytest.approx(25 * 499.5)  # every frame counts in the sum
    found = times.percentiles()["infer"]
    assert found["p50"] == pytest.approx(500, abs=25)
    assert found["p99"] == pytest.approx(990, abs=10)
