"""One log per TensorRT library: it accepts one logger per process and ignores every later one."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

_LOG = logging.getLogger("edgedepth.tensorrt")
_FORWARDED = {"INTERNAL_ERROR": logging.DEBUG, "ERROR": logging.DEBUG, "WARNING": logging.DEBUG}
ERRORS = ("INTERNAL_ERROR", "ERROR")


@dataclass(frozen=True)
class LogLine:
    """A message of the library; `severity` is the name of its member of `ILogger.Severity`."""

    severity: str
    text: str


class EngineLog:
    """What the library says: `logger` is the object that it takes, `collect` reads along.

    The library's errors reach the user as our exceptions, so nothing is printed; Python's logger
    "edgedepth.tensorrt" has errors and warnings at level DEBUG.
    """

    def __init__(self, trt: Any) -> None:
        self.logger = _logger_class(trt)(self._take)
        self._sink: list[LogLine] | None = None
        self._recent: deque[LogLine] = deque(maxlen=32)
        self._turn = threading.RLock()

    def _take(self, severity: str, text: str) -> None:
        line = LogLine(severity, text)
        if severity in _FORWARDED:
            self._recent.append(line)
            _LOG.log(_FORWARDED[severity], "%s", text)
        sink = self._sink
        if sink is not None:
            sink.append(line)

    @contextmanager
    def collect(self) -> Iterator[list[LogLine]]:
        """Every message while the block runs; one block at a time, as a message does not say whom it is for."""
        with self._turn:
            lines: list[LogLine] = []
            before, self._sink = self._sink, lines
            try:
                yield lines
            finally:
                self._sink = before

    def last_errors(self) -> list[LogLine]:
        """The latest errors, for a failure outside any `collect`; they are forgotten with that."""
        errors = [line for line in self._recent if line.severity in ERRORS]
        self._recent.clear()
        return errors


@cache
def log_of(trt: Any) -> EngineLog:
    """The one log of a TensorRT module in this process."""
    return EngineLog(trt)


def _logger_class(trt: Any) -> Any:
    class Logger(trt.ILogger):  # type: ignore[misc]  # the library's class is known at run time only
        """Hands every message on; the library may call it from threads of its own."""

        def __init__(self, take: Any) -> None:
            trt.ILogger.__init__(self)
            self._take = take

        def log(self, severity: Any, msg: str) -> None:
            self._take(severity.name, msg)

    return Logger
