"""Network streams, CSI cameras and pipelines."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from edgedepth.core.errors import InputError
from edgedepth.io import open_source
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
