"""Ctrl-C and SIGTERM during a build: kept from the library, which must meet no exception, and delivered after it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def held_interrupt() -> Iterator[Callable[[], bool]]:
    """Yields a function that says whether the program is to stop; when the block is left, that takes its usual course.

    Held are SIGINT, SIGTERM and SIGHUP where Python handles them, which would raise within a callback; one that ends or
    spares the process by itself is left alone. A second one is not held back. Only the main thread gets signals: in
    others nothing is held.
    """
    usual = {number: signal.getsignal(number) for number in _HELD}
    held = {number: handler for number, handler in usual.items() if callable(handler)}
    if threading.current_thread() is not threading.main_thread() or not held:
        yield lambda: False
        return
    came: list[int] = []

    def note(number: int, _frame: object) -> None:
        came.append(number)
        give_back()

    def give_back() -> None:
        for number, handler in held.items():
            signal.signal(number, handler)

    for number in held:
        signal.signal(number, note)
    try:
        yield lambda: bool(came)
    finally:
        give_back()
        if came:
            signal.raise_signal(came[0])
