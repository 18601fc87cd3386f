"""Side-by-side H.264 video that stays playable when the process is killed."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

from edgedepth.core.errors import OutputError
from edgedepth.core.files import output_error
from edgedepth.core.results import DepthResult
from edgedepth.io.frames import Frame
from edgedepth.io.sink import Sink, SinkOptions
from edgedepth.io.view import SideBySide

_CLOCK_HZ = 90_000  # times of a variable rate survive, and every usual rate divides it well
_DEFAULT_FPS = 30.0
_KEY_FRAME_EVERY_S = 1
_LONGEST_STEP_S = 3600.0  # MP4 holds no picture for longer than 13 hours
# An ordinary MP4 once closed; until then whole fragments, one per key frame, each flushed to the disk.
_CONTAINER_OPTIONS = {"movflags": "+hybrid_fragmented+frag_keyframe", "flush_packets": "1"}
# Without B-frames: in a file of fragments they put off the first picture, and with it all, by two.
_CODEC_OPTIONS = {"preset": "veryfast", "crf": "23", "forced-idr": "1", "bf": "0"}


class VideoSink(Sink):
    """Writes `<name>_depth.mp4`: the image beside its coloured depth, at the times of the source.

    One key frame per second, so that a killed process loses a second or two of video, never the file.
    """

    def __init__(self, options: SinkOptions) -> None:
        self.path = options.folder / f"{options.name}_depth.mp4"
        self._fps = options.fps or _DEFAULT_FPS
        self._view = SideBySide(options.colours)
        self._file: H264File | None = None
        self._opened = False
        self._shortened = 0

    @property
    def warnings(self) -> list[str]:
        """Says where the video leaves time out."""
        hours = f"{_LONGEST_STEP_S / 3600:g} h"
        jumps = f"{self.path.name}: the clock of its source jumps ahead by more than {hours}, {self._shortened} x"
        return [f"{jumps}; the video goes on after {hours}"] if self._shortened else []

    def write(self, frame: Frame, result: DepthResult) -> None:
        """Encode one frame; the first one fixes the size of the video."""
        canvas = self._view(frame.image_bgr, result)
        if not self._opened:
            self._file = H264File(self.path, wh=(canvas.shape[1], canvas.shape[0]), fps=self._fps)
            self._opened = True
        if self._file is None:
            raise ValueError("write to a closed video sink")
        time_s = frame.time_s if frame.time_s is not None else frame.index / self._fps
        self._file.write(canvas, time_s)

    def close(self) -> list[Path]:
        """Flush the encoder and turn the file into an ordinary MP4."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
            self._shortened = file.shortened
        return [self.path] if self._opened else []


class H264File:
    """An MP4 file of H.264 pictures of one even size, playable at any moment while it is written.

    Key frames come by the time of the pictures, not by their count: `fps` is what a source says of itself, and may be
    far from how fast its pictures come. Where its clock jumps ahead by more than an hour, the video goes on after an
    hour; `shortened` counts how often.

    Raises:
        OutputError: the file cannot be written, the disk is full, or PyAV has no H.264 encoder; the same goes for
            `write` and `close`.
    """

    def __init__(self, path: Path, *, wh: tuple[int, int], fps: float) -> None:
        self.shortened = 0
        self._last_s = self._left_out_s = 0.0
        self._last_pts = -1
        self._next_key_pts = 0
        self._disk = DiskFile(path)
        self._container = av.open(self._disk, "w", format="mp4", options=_CONTAINER_OPTIONS)
        self._stream = _h264_stream(self._container, wh, fps)

    def write(self, image_bgr: NDArray[np.uint8], time_s: float) -> None:
        """Encode an (h, w, 3) uint8 BGR picture to be shown from `time_s` on; the picture is not kept."""
        if time_s - self._last_s > _LONGEST_STEP_S:
            self._left_out_s += time_s - self._last_s - _LONGEST_STEP_S
            self.shortened += 1
        self._last_s = time_s
        time_s -= self._left_out_s
        yuv = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2YUV_I420).astype(np.uint8, copy=False)
        picture = VideoFrame.from_ndarray(yuv, format="yuv420p")
        self._last_pts = max(self._last_pts + 1, round(time_s * _CLOCK_HZ))
        picture.pts, picture.time_base = self._last_pts, Fraction(1, _CLOCK_HZ)
        if self._last_pts >= self._next_key_pts:
            picture.pict_type = PictureType.I
            self._next_key_pts = self._last_pts + _KEY_FRAME_EVERY_S * _CLOCK_HZ
        self._container.mux(self._stream.encode(picture))
        self._disk.check()

    def close(self) -> None:
        """Flush and finish the file."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._disk.close()
        self._disk.check()


class DiskFile:
    """A file for libav to write into, which keeps the first error to itself until `check`.

    libav's MP4 writer must not see a write fail: closing it afterwards crashes the process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._error: OSError | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise output_error(path, error) from error

    def write(self, data: bytes) -> int:
        """Write all of `data`, at once, so that a killed process loses none of it."""
        rest = memoryview(data)
        try:
            while rest and self._error is None:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._error = error
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to another place, as libav does to complete its headers."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The place the next byte goes to."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file; some file systems tell only now that they are full."""
        try:
            self._file.close()
        except OSError as error:
            self._error = self._error or error

    def check(self) -> None:
        """Raise what went wrong so far.

        Raises:
            OutputError: a write failed.
        """
        if self._error is not None:
            raise output_error(self._path, self._error)


def _h264_stream(container: OutputContainer, wh: tuple[int, int], fps: float) -> VideoStream:
    try:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
    except UnknownCodecError as error:
        container.close()
        raise OutputError("this PyAV has no H.264 encoder; reinstall it with: pip install -U av") from error
    stream.width, stream.height = wh
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = Fraction(1, _CLOCK_HZ)
    context.thread_count = 1  # the other cores are for inference
    # cv2 converts by BT.601 in limited range; untagged, players take BT.709 for large pictures.
    context.colorspace, context.color_range = Colorspace.SMPTE170M, ColorRange.MPEG
    context.options = _CODEC_OPTIONS
    return stream
