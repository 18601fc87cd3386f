"""Network streams, CSI cameras and pipelines."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgedepth.core.errors import InputError
from edgedepth.io import live_source, open_source
from edgedepth.io.camera_source import without_password
from edgedepth.io.quiet import getLogLevel, quiet_opencv


class MotionJpeg(BaseHTTPRequestHandler):
    """What an IP camera answers: one JPEG after the other, for as long as somebody listens."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), (200, 60, 20), np.uint8))[1].tobytes()
        try:
            for _ in range(400):
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg))
                self.wfile.write(jpeg + b"\r\n")
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def camera_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), MotionJpeg)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://user:secret@127.0.0.1:{server.server_port}/live"
    server.shutdown()
    server.server_close()


def test_a_network_stream_is_live_and_keeps_the_newest_frame(camera_url: str) -> None:
    with open_source(camera_url) as source:
        assert (source.live, source.ordered, source.count) == (True, True, None)
        frame = next(iter(source))
    assert frame.image_bgr.shape == (48, 64, 3)
    assert np.abs(frame.image_bgr.reshape(-1, 3).mean(axis=0) - (200, 60, 20)).max() < 6


def test_a_stream_that_ends_is_an_error_without_its_password(camera_url: str) -> None:
    with open_source(camera_url) as source, pytest.raises(InputError, match="stopped delivering") as refused:
        for _ in source:
            pass
    assert "secret" not in str(refused.value)


def test_nobody_answers() -> None:
    with pytest.raises(
        InputError, match=r"no video comes from rtsp://127\.0\.0\.1:1/live; check the address"
    ) as refused:
        open_source("rtsp://user:secret@127.0.0.1:1/live")
    assert "secret" not in str(refused.value)


def test_what_nobody_answers_is_one_line() -> None:
    """FFmpeg's own words would be a second; its level is the process's, so this is one of its own."""
    command = [sys.executable, "-m", "edgedepth", "run", "rtsp://127.0.0.1:1/live"]
    told = subprocess.run(command, capture_output=True, text=True).stderr
    assert [line[:31] for line in told.splitlines()] == ["edgedepth: no video comes from "]


FAKE_GSTREAMER = """#!{python}
import os, sys, time
arguments = " ".join(sys.argv[1:])
open({log!r}, "w").write(arguments)
if "broken" in arguments:
    print("Setting pipeline to PAUSED ...")
    print("ERROR: from element /GstPipeline:pipeline0/GstBroken:broken0: no such camera", file=sys.stderr)
    sys.exit(1)
descriptor = int(sys.argv[-1].removeprefix("fd="))
caps = "video/x-raw, format=(string)BGR, width=(int)31, height=(int)20, framerate=(fraction)25/1"
print("/GstPipeline:pipeline0/GstVideoConvert:videoconvert0.GstPad:src: caps = " + caps.replace("31", "99"))
print("/GstPipeline:pipeline0/GstFdSink:fdsink0.GstPad:sink: caps = " + caps, flush=True)
for number in range(1, 200):
    row = bytes([number, 0, 255]) * 31 + bytes(3)  # rows begin at multiples of four bytes
    picture = row * 20
    for begin in range(0, len(picture), 700):
        os.write(descriptor, picture[begin : begin + 700])
    time.sleep(0.01)
    if "stall" in arguments:
        time.sleep(60)
    if "grow" in arguments and number == 3:
        larger = caps.replace("31", "40")
        print("/GstPipeline:pipeline0/GstFdSink:fdsink0.GstPad:sink: caps = " + larger, flush=True)
        time.sleep(0.2)
"""


@pytest.fixture
def gstreamer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for gst-launch-1.0; answers the file in which it writes what it was asked."""
    program, log = tmp_path / "gst-launch-1.0", tmp_path / "asked.txt"
    program.write_text(FAKE_GSTREAMER.format(python=sys.executable, log=str(log)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return log


@pytest.mark.parametrize("spec", ["csi://0", "gst:videotestsrc"])
def test_pipelines_need_gstreamer(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match=r"needs GStreamer's tools; .*apt install gstreamer1.0-tools"):
        open_source(spec)


@pytest.mark.parametrize(
    ("spec", "asked"),
    [
        (
            "gst:videotestsrc ! video/x-raw, width=31 ! appsink drop=true",
            "videotestsrc ! video/x-raw, width=31 ! queue",
        ),
        ("gst:v4l2src device='/dev/my camera'", "v4l2src device=/dev/my camera ! queue"),
        ("csi://1", "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM), width=1280, height=720"),
    ],
)
def test_a_pipeline_is_read_as_a_camera_is(gstreamer: Path, spec: str, asked: str) -> None:
    with open_source(spec) as source:
        assert (source.live, source.ordered, source.fps) == (True, True, 25.0)
        frames = iter(source)
        first, second = next(frames), next(frames)
        reader = source._reader  # type: ignore[attr-defined]
    assert first.image_bgr.shape == (20, 31, 3)
    for frame in (first, second):
        number = int(frame.image_bgr[0, 0, 0])
        assert number > 0
        assert (frame.image_bgr == (number, 0, 255)).all()
    assert second.image_bgr[0, 0, 0] > first.image_bgr[0, 0, 0]
    text = gstreamer.read_text()
    assert text.startswith(f"-v {asked}")
    assert "appsink" not in text
    reader.join(timeout=5)
    assert not reader.is_alive()


def test_a_pipeline_that_does_not_start_says_what_gstreamer_says(gstreamer: Path) -> None:
    with pytest.raises(InputError, match=r"gives no picture: ERROR: from element .*no such camera; try it by itself"):
        open_source("gst:broken")
    with pytest.raises(InputError, match="cannot be started: No closing quotation"):
        open_source("gst:videotestsrc pattern='ball")


def test_a_pipeline_that_stalls_is_an_error_and_leaves_no_process(
    gstreamer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgedepth.io.gstreamer._SILENCE_S", 0.05)
    with open_source("gst:stall") as source:
        process = source._capture._process  # type: ignore[attr-defined]
        with pytest.raises(InputError, match="stopped delivering after 1 frames"):
            for _ in source:
                pass
    process.wait(timeout=5)


def test_ctrl_c_while_a_pipeline_starts_leaves_no_process(gstreamer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[str]] = []
    real_wait = threading.Event.wait

    class Noted(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    def interrupted(event: threading.Event, timeout: float | None = None) -> bool:
        if timeout == 10.0:
            raise KeyboardInterrupt
        return real_wait(event, timeout)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    monkeypatch.setattr(threading.Event, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_source("gst:stall")
    assert started[0].returncode is not None


def test_a_pipeline_whose_pictures_change_their_size_is_an_error(gstreamer: Path) -> None:
    taken = []
    with open_source("gst:grow") as source:
        pictures = (taken.append(frame.image_bgr) for frame in source)
        with pytest.raises(InputError, match=r"frames \(the size of its pictures changed from 31x20 to 40x20\); try"):
            list(pictures)
    assert all((picture[..., 1:] == (0, 255)).all() for picture in taken)  # none begins anywhere


def test_csi_cameras_have_numbers() -> None:
    with pytest.raises(InputError, match="expected csi://N"):
        open_source("csi://front")


class Camera:
    """A capture that gives a frame whenever it is told to, numbered in its pixels."""

    def __init__(self) -> None:
        self.frames: queue.Queue[int] = queue.Queue()

    def get(self, _: int) -> float:
        return 30.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        try:
            return True, np.full((4, 6, 3), self.frames.get(timeout=2), np.uint8)
        except queue.Empty:
            return False, None

    def release(self) -> None:
        return None


def _until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not happened() and time.monotonic() < end:
        time.sleep(0.002)
    assert happened()


def test_what_came_before_anybody_asked_is_no_drop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device may be made ready for minutes while its camera is running."""
    monkeypatch.setattr(live_source, "_STALE_S", 0.0)
    camera = Camera()
    source = live_source.LiveSource(camera, name="camera", what="the camera", remedy="look at it")  # type: ignore[arg-type]
    for number in range(4):
        camera.frames.put(number)
    _until(lambda: source.dropped == 3)
    frames = iter(source)
    threading.Timer(0.05, camera.frames.put, (9,)).start()
    first = next(frames)
    assert (first.index, first.time_s, int(first.image_bgr[0, 0, 0])) == (0, 0.0, 9)  # the fourth had waited too long
    assert first.taken_s is not None
    assert 0 <= time.monotonic() - first.taken_s < 60
    assert source.dropped == 0
    camera.frames.put(0)  # or its thread would wait for one
    source.close()


class BrokenCamera(Camera):
    """A capture whose driver throws."""

    released = False

    def read(self) -> tuple[bool, np.ndarray | None]:
        if self.frames.empty():
            raise OSError("bad file descriptor")
        return super().read()

    def release(self) -> None:
        self.released = True


def test_what_a_driver_throws_is_told_at_once_and_the_device_released() -> None:
    camera = BrokenCamera()
    camera.frames.put(1)
    source = live_source.LiveSource(camera, name="camera", what="the camera", remedy="look at it")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"stopped delivering after 1 frames \(bad file descriptor\); look at it"):
        list(source)
    assert camera.released


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://admin:p@ss/w0rd@10.0.0.2:554/live", "rtsp://10.0.0.2:554/live"),
        ("http://cam/video?user=a&pwd=s3cret&size=2", "http://cam/video?user=a&pwd=...&size=2"),
        ("rtsp://cam/user=admin&password=s3cret/1", "rtsp://cam/user=admin&password=.../1"),
        ("rtsp://cam:8554/passage", "rtsp://cam:8554/passage"),
    ],
)
def test_no_password_is_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_opencv_speaks_again_after_the_last_of_several_threads() -> None:
    level = getLogLevel()
    first, second = quiet_opencv(), quiet_opencv()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert getLogLevel() == 0
    second.__exit__(None, None, None)
    assert getLogLevel() == level
