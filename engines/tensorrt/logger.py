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
ERRORS = ("INTERNAL_ERROR", "ERROR")
_FORWARDED = (*ERRORS, "WARNING")


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
        self._turn = threading.RLock()  # of whoever collects
        self._guard = threading.Lock()  # of the two fields above; held for moments

    def _take(self, severity: str, text: str) -> None:
        line = LogLine(severity, text)
        with self._guard:
            if self._sink is not None:
                self._sink.append(line)
            elif severity in ERRORS:
                self._recent.append(line)
        if severity in _FORWARDED:
            _LOG.debug("%s", text)

    @contextmanager
    def collect(self) -> Iterator[list[LogLine]]:
        """Every message while the block runs; one block at a time, as a message does not say whom it is for."""
        with self._turn:
            lines: list[LogLine] = []
            with self._guard:
                before, self._sink = self._sink, lines
            try:
                yield lines
            finally:
                with self._guard:
                    self._sink = before

    def last_errors(self) -> list[LogLine]:
        """The errors since the last call that no `collect` read, for a failure outside any; then they are forgotten."""
        with self._guard:
            errors = list(self._recent)
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
