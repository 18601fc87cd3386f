"""Cameras and streams: USB cameras, network streams, Jetson's CSI cameras, GStreamer pipelines."""

from __future__ import annotations

import glob
import re

import cv2

from edgedepth.core.errors import InputError
from edgedepth.io.gstreamer import GStreamerCapture
from edgedepth.io.live_source import LiveSource
from edgedepth.io.quiet import quiet_ffmpeg, quiet_opencv

STREAM_SCHEMES = ("rtsp://", "rtsps://", "rtmp://", "http://", "https://", "udp://", "tcp://")
_OPEN_MS, _READ_MS = 10_000, 10_000

# What Jetson's argus source delivers, brought to what the processor can read.
_CSI_PIPELINE = (
    "nvarguscamerasrc sensor-id={number} ! video/x-raw(memory:NVMM), width=1280, height=720, framerate=30/1"
    " ! nvvidconv ! video/x-raw, format=BGRx"
)


def open_camera(number: int) -> LiveSource:
    """A camera by its number.

    Raises:
        InputError: it is not there or busy.
    """
    quiet_ffmpeg()  # it is asked, too, before a stream may be opened
    with quiet_opencv():
        capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        capture.release()
        present = ", ".join(sorted(glob.glob("/dev/video*"))) or "none"
        raise InputError(
            f"camera {number} cannot be opened; devices present: {present}; check that it is plugged in,"
            " that no other program uses it and that you may read it (group 'video')"
        )
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the oldest frame in a driver's queue is already late
    return LiveSource(capture, name=f"camera{number}", what=f"camera {number}", remedy="check its cable and power")


def open_stream(url: str) -> LiveSource:
    """A network stream (RTSP, RTMP, HTTP, UDP), taken as live: late frames are dropped, not queued.

    Raises:
        InputError: nothing answers there within ten seconds, or it is no video.
    """
    shown = without_password(url)
    quiet_ffmpeg()
    with quiet_opencv():
        capture = cv2.VideoCapture(
            url, cv2.CAP_FFMPEG, [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _READ_MS]
        )
    if not capture.isOpened():
        capture.release()
        raise InputError(
            f"no video comes from {shown}; check the address, the password and that this machine can reach it, for"
            f" example with: ffplay {shown}"
        )
    return LiveSource(capture, name="stream", what=f"the stream {shown}", remedy="check the network and the camera")


def without_password(url: str) -> str:
    """The address as it may be shown: without user and password before the host, and without those in its fields."""
    return re.sub(r"\b(pass\w*|pwd|token)=[^&/]*", r"\1=...", re.sub(r"//.*@", "//", url), flags=re.IGNORECASE)


def open_csi(number: int) -> LiveSource:
    """A CSI camera of a Jetson, 1280x720 at 30 frames per second.

    Raises:
        InputError: GStreamer's tools are not installed, or the camera cannot be opened.
    """
    return _pipeline(_CSI_PIPELINE.format(number=number), name=f"csi{number}", what=f"CSI camera {number}")


def open_pipeline(pipeline: str) -> LiveSource:
    """Any GStreamer pipeline that gives video/x-raw.

    Raises:
        InputError: GStreamer's tools are not installed, or the pipeline does not start.
    """
    return _pipeline(pipeline, name="pipeline", what="the pipeline")


def _pipeline(pipeline: str, *, name: str, what: str) -> LiveSource:
    return LiveSource(GStreamerCapture(pipeline, what), name=name, what=what, remedy="try it with gst-launch-1.0")
