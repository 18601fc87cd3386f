"""OpenCV talks to stderr on its own; here its failures become our errors, so it need not."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from cv2.utils import logging

_lock = threading.Lock()
_inside = 0  # how many blocks there are now, in all threads
_level = 0  # before the first of them


@contextlib.contextmanager
def quiet_opencv() -> Iterator[None]:
    """Silence OpenCV's log inside the block; the level is the process's, and is put back after the last block."""
    global _inside, _level  # as the level is
    with _lock:
        if _inside == 0:
            _level = logging.getLogLevel()
            logging.setLogLevel(logging.LOG_LEVEL_SILENT)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                logging.setLogLevel(_level)
