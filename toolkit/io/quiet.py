"""OpenCV talks to stderr on its own; here its failures become our errors, so it need not."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

try:
    from cv2.utils.logging import getLogLevel, setLogLevel
except ImportError:  # OpenCV 4
    from cv2 import getLogLevel, setLogLevel  # type: ignore[attr-defined,no-redef]

_SILENT = 0  # LOG_LEVEL_SILENT of both

_lock = threading.Lock()
_inside = 0  # how many blocks there are now, in all threads
_level = 0  # before the first of them


def quiet_ffmpeg() -> None:
    """Silence the FFmpeg inside OpenCV, which reads its level once, with the first stream; a user's own level stays."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET


@contextlib.contextmanager
def quiet_opencv() -> Iterator[None]:
    """Silence OpenCV's log inside the block; the level is the process's, and is put back after the last block."""
    global _inside, _level  # as the level is
    with _lock:
        if _inside == 0:
            _level = getLogLevel()
            setLogLevel(_SILENT)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                setLogLevel(_level)
