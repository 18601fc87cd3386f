"""OpenCV talks to stderr on its own; here its failures become our errors, so it need not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from cv2.utils import logging


@contextlib.contextmanager
def quiet_opencv() -> Iterator[None]:
    """Silence OpenCV's log inside the block; the level is the process's, and is put back after it."""
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)
