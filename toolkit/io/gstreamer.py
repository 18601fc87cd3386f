"""GStreamer pipelines through the system's `gst-launch-1.0`: the wheels of OpenCV are built without GStreamer."""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import subprocess
import threading
from collections import deque
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError

COMMAND = "gst-launch-1.0"
_START_S, _SILENCE_S = 10.0, 2.0
# The newest frame is kept, however slowly they are taken.
_SINK = "queue leaky=downstream max-size-buffers=1 ! videoconvert ! video/x-raw,format=BGR ! fdsink sync=false fd={fd}"
_APPSINK = re.compile(r"!\s*appsink\b[^!]*$")


def has_gstreamer() -> bool:
    """Whether GStreamer's tools are on the path."""
    return shutil.which(COMMAND) is not None


class GStreamerCapture:
    """A running pipeline that is read like an OpenCV capture: BGR frames of one size.

    pipeline: in the notation of `gst-launch-1.0`, up to what gives video/x-raw; an appsink at its end is left out.

    Raises:
        InputError: GStreamer's tools are not installed, or the pipeline gives no picture within ten seconds; the
            message quotes GStreamer.
    """

    def __init__(self, pipeline: str, what: str) -> None:
        if not has_gstreamer():
            raise InputError(
                f"{what} needs GStreamer's tools; on Ubuntu and Jetson: sudo apt install gstreamer1.0-tools"
                " gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
            )
        self._said: deque[str] = deque(maxlen=200)  # of GStreamer's messages, the last
        self._wh: tuple[int, int] | None = None
        self._fps = 0.0
        self._begun = bytearray()  # of a frame
        self._known = threading.Event()  # the size of the frames, or that there will be none
        self._changed: tuple[int, int] | None = None  # the size that came after
        reading, writing = os.pipe()
        elements = f"{_APPSINK.sub('', pipeline.strip())} ! {_SINK.format(fd=writing)}"
        try:
            self._process = subprocess.Popen(
                [COMMAND, "-v", *shlex.split(elements)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                pass_fds=(writing,),
                start_new_session=True,  # Ctrl-C is ours: what was read is still inferred and written
            )
        except (OSError, ValueError) as error:  # ValueError: quotes that do not close
            os.close(reading)
            raise InputError(f"{what} cannot be started: {error}") from None
        finally:
            os.close(writing)
        self._pictures = os.fdopen(reading, "rb", buffering=0)
        self._ready = select.poll()  # unlike select, for any number of open files
        self._ready.register(self._pictures, select.POLLIN)
        threading.Thread(target=self._listen, name="gstreamer", daemon=True).start()
        try:
            told = self._known.wait(_START_S)
        except BaseException:  # Ctrl-C: a pipeline that is left behind would keep the camera
            self.release()
            raise
        if not told or self._wh is None:
            self.release()
            raise InputError(f"{what} gives no picture: {self._reason()}; try it by itself: {COMMAND} {pipeline}")

    def get(self, prop: int) -> float:
        """The frames per second that the pipeline negotiated, 0 for an unknown rate; 0 for all else."""
        return self._fps if prop == cv2.CAP_PROP_FPS else 0.0

    def read(self) -> tuple[bool, NDArray[np.uint8] | None]:
        """The next frame, (H, W, 3) uint8 BGR; False when nothing came for two seconds, or the pipeline has ended.

        Raises:
            InputError: the size of the frames has changed, so that it is not known where they begin.
        """
        assert self._wh is not None
        width, height = self._wh
        stride = -(-3 * width // 4) * 4  # rows begin at multiples of four bytes
        wanted = stride * height
        while len(self._begun) < wanted:
            if not self._ready.poll(1000 * _SILENCE_S):
                return False, None  # what has begun to come goes on in the next call
            if self._changed is not None:
                old, new = (f"{width}x{height}" for width, height in (self._wh, self._changed))
                raise InputError(f"the size of its pictures changed from {old} to {new}")
            part = self._pictures.read(wanted - len(self._begun))
            if not part:
                return False, None
            self._begun += part
        rows = np.frombuffer(self._begun, np.uint8).reshape(height, stride)
        self._begun = bytearray()
        return True, rows[:, : 3 * width].reshape(height, width, 3)

    def release(self) -> None:
        """Stop the pipeline."""
        self._process.terminate()
        try:
            self._process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._pictures.close()

    def _listen(self) -> None:
        """Take what GStreamer says until it ends: the size of the frames is among it, or what is wrong."""
        output: Any = self._process.stdout
        with output:
            for line in output:
                self._said.append(line.strip())
                if "fdsink" in line and "caps = video/x-raw" in line:
                    self._note(line)
        self._known.set()

    def _note(self, caps: str) -> None:
        """The size and rate in the line of the sink's capabilities."""
        sizes = [re.search(rf"{name}=\(int\)(\d+)", caps) for name in ("width", "height")]
        rate = re.search(r"framerate=\(fraction\)(\d+)/(\d+)", caps)
        if rate is not None and int(rate[2]):
            self._fps = int(rate[1]) / int(rate[2])
        width, height = sizes
        if width is not None and height is not None:
            size = int(width[1]), int(height[1])
            if self._wh is None:
                self._wh = size
            elif size != self._wh:
                self._changed = size
            self._known.set()

    def _reason(self) -> str:
        """What GStreamer said is wrong."""
        wrong = [line for line in self._said if re.match(r"(ERROR|WARNING)", line)]
        return wrong[0] if wrong else "it says nothing of pictures"
