"""Network streams, CSI cameras and pipelines."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from edgedepth.core.errors import InputError
from edgedepth.io import live_source, open_source
from edgedepth.io.camera_source import has_gstreamer


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


@pytest.mark.skipif(has_gstreamer(), reason="this OpenCV has GStreamer")
@pytest.mark.parametrize("spec", ["csi://0", "gst:videotestsrc ! appsink"])
def test_pipelines_need_gstreamer(spec: str) -> None:
    with pytest.raises(InputError, match=r"needs an OpenCV with GStreamer.*apt install python3-opencv"):
        open_source(spec)


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
    assert source.dropped == 0
    camera.frames.put(0)  # or its thread would wait for one
    source.close()
