"""Side-by-side H.264 video that stays playable when the process is killed."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path

import av
import cv2
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from edgedepth.core.errors import OutputError
from edgedepth.core.files import output_error
from edgedepth.core.results import DepthResult
from edgedepth.io.frames import Frame
from edgedepth.io.sink import Sink, SinkOptions
from edgedepth.io.view import SideBySide

_CLOCK_HZ = 90_000  # times of a variable rate survive, and every usual rate divides it well
_DEFAULT_FPS = 30.0
# An ordinary MP4 once closed; until then whole fragments, one per key frame, each flushed to the disk.
_CONTAINER_OPTIONS = {"movflags": "+hybrid_fragmented+frag_keyframe", "flush_packets": "1"}
# veryfast keeps half the bytes of ultrafast for a millisecond more; one thread leaves the cores to inference.
_CODEC_OPTIONS = {"preset": "veryfast", "crf": "23"}


class VideoSink(Sink):
    """Writes `<name>_depth.mp4`: the image beside its coloured depth, at the times of the source.

    One key frame per second, so that a killed process loses a second or two of video, never the file.
    """

    def __init__(self, options: SinkOptions) -> None:
        self.path = options.folder / f"{options.name}_depth.mp4"
        self._fps = options.fps or _DEFAULT_FPS
        self._view = SideBySide(options.colours)
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._last_pts = -1
        self._broken = False

    def write(self, frame: Frame, result: DepthResult) -> None:
        """Encode one frame; the first one fixes the size of the video."""
        canvas = self._view(frame.image_bgr, result)
        yuv = cv2.cvtColor(canvas, cv2.COLOR_BGR2YUV_I420)
        picture = VideoFrame.from_ndarray(yuv, format="yuv420p")
        time_s = frame.time_s if frame.time_s is not None else frame.index / self._fps
        self._last_pts = max(self._last_pts + 1, round(time_s * _CLOCK_HZ))
        picture.pts, picture.time_base = self._last_pts, Fraction(1, _CLOCK_HZ)
        with self._guarded():
            if self._container is None or self._stream is None:
                self._open(canvas.shape[1], canvas.shape[0])
            self._encode(picture)

    def close(self) -> list[Path]:
        """Flush the encoder and turn the file into an ordinary MP4."""
        container, self._container = self._container, None
        if container is not None:
            with self._guarded():
                try:
                    if not self._broken:
                        self._encode(None, container)
                finally:
                    container.close()
        return [self.path] if self._last_pts >= 0 else []

    def _open(self, width: int, height: int) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # libav opens lazily and reports a folder it may not write late: ask first.
        self.path.open("wb").close()
        container = av.open(str(self.path), "w", format="mp4", options=_CONTAINER_OPTIONS)
        try:
            stream = container.add_stream("libx264", rate=Fraction(self._fps).limit_denominator(1001))
        except UnknownCodecError as error:
            raise OutputError("this build of PyAV has no H.264 encoder; pip install av brings one that has") from error
        if not isinstance(stream, VideoStream):
            raise OutputError(f"PyAV opened {stream.type} for H.264; pip install av again")
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, _CLOCK_HZ)
        context.gop_size = max(1, round(self._fps))
        context.thread_count = 1
        # cv2's conversion is BT.601, limited range; without the tags players take BT.709 for large pictures.
        context.colorspace, context.color_range = Colorspace.SMPTE170M, ColorRange.MPEG
        context.options = _CODEC_OPTIONS
        self._container, self._stream = container, stream

    def _encode(self, picture: VideoFrame | None, container: OutputContainer | None = None) -> None:
        container = container or self._container
        if container is None or self._stream is None:
            return
        for packet in self._stream.encode(picture):
            container.mux(packet)

    @contextlib.contextmanager
    def _guarded(self):
        ...
