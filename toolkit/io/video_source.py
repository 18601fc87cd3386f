"""Video files through PyAV: rotation, variable frame rate, damaged and truncated files."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from edgedepth.core.errors import InputError
from edgedepth.io.frames import Frame, Source

# `VideoFrame.rotation` is counter-clockwise degrees that turn the stored picture upright.
_TURNS = {
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_CLOCKWISE,
}
# Demuxers of libav that draw text as pictures: they take any text file for a video.
_TEXT_FORMATS = ("tty", "bin", "adf", "xbin", "idf")
_CLOSE_S = 5.0


class VideoSource(Source):
    """The frames of a video file, upright, with the times they are shown at.

    A damaged packet loses its frame, not the rest of the file; what was lost is told in `warnings`. Closed, from any
    thread, the frames end.

    Raises:
        InputError: the file is missing or empty, is not a video, is text, has only sound, or needs an unknown decoder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._container = _open_container(path)
        try:
            self._stream = _picture_stream(self._container, path)
        except InputError:
            self._container.close()
            raise
        self._stream.thread_type = "AUTO"
        self._reading = threading.Lock()  # libav must not be closed under a read
        self._closed = False
        self._corrupt = 0
        self._hidden = 0
        rate = self._stream.average_rate or self._stream.guessed_rate
        self._step_s = float(1 / rate) if rate else None  # as the file says, also where that is no rate of a video
        super().__init__(path.stem, count=_expected_count(self._stream), fps=float(rate) if rate else None)

    def __iter__(self) -> Iterator[Frame]:
        reformatter = VideoReformatter()
        first_s: float | None = None
        said_s = last_s = 0.0
        index = jumps = 0
        for picture in self._pictures():
            # One thread: a pool of scalers wakes every core for a millisecond's work.
            bgr = reformatter.reformat(picture, format="bgr24", threads=1).to_ndarray().astype(np.uint8, copy=False)
            step_s = self._step_s or 1 / 30
            time_s = picture.time if picture.time is not None else index * step_s
            first_s = time_s if first_s is None else first_s
            if index > 0 and time_s < said_s:  # joined recordings begin their clock again
                first_s -= said_s + step_s - time_s
                jumps += 1
            said_s, last_s = time_s, time_s - first_s
            yield Frame(index=index, image_bgr=_upright(bgr, picture), time_s=last_s, name=f"{index:06d}")
            index += 1
        if jumps:
            self.warnings.append(f"{self._path.name}: its clock jumped back, {jumps} x; times go on from there")
        if not self._closed:
            self._judge(index, last_s)

    def close(self) -> None:
        """Close the file; one whose read does not return, of a pipe or a network, is left open."""
        self._closed = True
        if self._reading.acquire(timeout=_CLOSE_S):
            self._container.close()
            self._reading.release()

    def _pictures(self) -> Iterator[VideoFrame]:
        """Decode packet by packet, so that a damaged one costs its own frame only."""
        packets: Iterator[Packet[VideoStream]] | None = None
        while True:
            with self._reading:
                if self._closed:
                    return
                if packets is None:
                    packets = self._container.demux(self._stream)
                try:
                    packet = next(packets, None)
                except av.FFmpegError:  # the container itself breaks off here
                    return
                if packet is None:
                    return
                self._hidden += packet.is_discard  # before the cut of an edited file: decoded, never shown
                try:
                    pictures = packet.decode()
                except av.FFmpegError:
                    self._corrupt += 1
                    continue
            for picture in pictures:
                if isinstance(picture, VideoFrame):
                    yield picture

    def _judge(self, read: int, last_s: float) -> None:
        """Say what is missing once the file has been read to its end."""
        if read == 0:
            raise InputError(f"{self._path} holds no picture that can be decoded; record or copy it again")
        if self._corrupt:
            self.warnings.append(f"{self._path.name}: {self._corrupt} damaged packets were skipped")
        expected = None if self.count is None else self.count - self._hidden
        if expected is not None and read < expected:
            self.warnings.append(
                f"{self._path.name}: {read} of {expected} frames could be read; the file is truncated or damaged"
            )
        elif expected is None and (promised_s := _promised_duration(self._container, self._stream)) is not None:
            step_s = self._step_s or 0.0
            if last_s + step_s < promised_s - max(0.5, 2 * step_s):
                self.warnings.append(
                    f"{self._path.name}: ends after {last_s + step_s:.1f} s of {promised_s:.1f} s;"
                    " the file is truncated or damaged"
                )


def _open_container(path: Path) -> InputContainer:
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes); record or copy it again")
    try:
        # "file:", or a colon in the name reads as a protocol; tags may be in any encoding
        container = av.open(f"file:{path}", mode="r", metadata_errors="replace")
    except av.FFmpegError as error:
        raise InputError(
            f"{path} cannot be read as an image or a video ({error.strerror}); it may be incomplete or of an"
            " unknown format: record, copy or convert it again"
        ) from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if container.format.name in _TEXT_FORMATS:
        container.close()
        raise InputError(f"{path} is text, not a video; give a video, an image or a folder of images")
    return container


def _picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first stream of moving pictures; a cover of a song is not one."""
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise InputError(f"{path} holds no video, only {kinds}; give a file with moving pictures")
    stream = streams[0]
    # PyAV leaves the context of a codec it has no decoder for at None, against its own annotation.
    context: object = stream.codec_context
    if context is None:
        raise InputError(
            f"{path} is encoded with a codec that has no decoder here; convert it, for example to H.264:"
            f" ffmpeg -i {path.name} -c:v libx264 out.mp4"
        )
    return stream


def _expected_count(stream: VideoStream) -> int | None:
    """Frames the container promises; None where its format does not count them (Matroska, transport streams)."""
    return stream.frames or None


def _promised_duration(container: InputContainer, stream: VideoStream) -> float | None:
    """Seconds of picture the container promises, None where it does not say."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return float(container.duration / av.time_base)
    return None


def _upright(bgr: NDArray[np.uint8], picture: VideoFrame) -> NDArray[np.uint8]:
    """Apply the rotation that the file asks a player for, to the nearest quarter turn."""
    quarter = math.floor(picture.rotation / 90 + 0.5) % 4 * 90
    if quarter == 0:
        return bgr
    return cv2.rotate(bgr, _TURNS[quarter]).astype(np.uint8, copy=False)
