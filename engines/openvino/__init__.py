"""OpenVINO on the CPU: the fastest backend where there is no NVIDIA GPU."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TELEMETRY = "openvino_telemetry"


@contextmanager
def untold() -> Iterator[None]:
    """To import OpenVINO in: it then finds no package of telemetry, so that it tells Google Analytics nothing.

    It sends an event whenever it is imported, and has a stand-in of its own for where the package is missing. A program
    that has imported the package itself keeps it.
    """
    if _TELEMETRY in sys.modules:
        yield
        return
    sys.modules.update({_TELEMETRY: None})  # type: ignore[dict-item]  # how Python marks what cannot be imported
    try:
        yield
    finally:
        sys.modules.pop(_TELEMETRY, None)
