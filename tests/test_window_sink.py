"""The window: Tk's objects live and die in the thread that writes. A fake stands in for Tk, which needs a display."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from edgedepth.core.errors import OutputError
from edgedepth.io import open_sinks
from tests.test_sinks import COLOURS, make_frame, make_result


class FakeTkinter(ModuleType):
    """As much of tkinter as the sink uses; `log` tells what was done to which interpreter, and in which thread."""

    class TclError(Exception):
        pass

    def __init__(self) -> None:
        super().__init__("tkinter")
        module = self
        self._default_root: object = None
        self.log: list[tuple[str, int, str]] = []
        self.closed_by_user = False
        self.made = 0

        class Tk:
            def __init__(self) -> None:
                module.made += 1
                self.number = module.made
                self.circle = self  # as the real one: its commands refer to it
                module._default_root = module._default_root or self
                self.note("made")

            def note(self, what: str) -> None:
                module.log.append((what, self.number, threading.current_thread().name))

            def title(self, text: str) -> None:
                return

            def update(self) -> None:
                self.note("shown")
                if module.closed_by_user:
                    raise module.TclError("application has been destroyed")

            def destroy(self) -> None:
                if module.closed_by_user:
                    raise module.TclError("application has been destroyed")
                self.note("destroyed")
                if module._default_root is self:
                    module._default_root = None

            def __del__(self) -> None:
                self.note("freed")

        class Widget:
            def __init__(self, master: Tk, **_: object) -> None:
                self.master = master

            def pack(self) -> None:
                return

            def configure(self, **_: object) -> None:
                return

        self.Tk, self.Label, self.PhotoImage = Tk, Widget, Widget


@pytest.fixture
def tk(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTkinter]:
    """The fake, while Python frees circles only where it is told to."""
    fake = FakeTkinter()
    monkeypatch.setitem(sys.modules, "tkinter", fake)
    gc.disable()
    yield fake
    gc.enable()


def show(folder: Path, frames: int) -> None:
    """Open the sink here, write and close it in a thread called "writer", and close it here again."""
    sink = open_sinks(["window"], folder, name="clip", ordered=True, colours=lambda _: COLOURS)

    def work() -> None:
        for index in range(frames):
            sink.write(make_frame(index), make_result())
        assert sink.close() == []

    thread = threading.Thread(target=work, name="writer")
    thread.start()
    thread.join()
    assert sink.close() == []


def test_the_window_is_freed_in_the_thread_that_made_it(tmp_path: Path, tk: FakeTkinter) -> None:
    show(tmp_path, 2)
    here = threading.current_thread().name
    tried = [(what, 1, here) for what in ("made", "destroyed", "freed")]
    assert tk.log == [*tried, *((what, 2, "writer") for what in ("made", "shown", "shown", "destroyed", "freed"))]
    assert tk._default_root is None


def test_a_window_that_the_user_closed_is_freed_there_too(tmp_path: Path, tk: FakeTkinter) -> None:
    sink = open_sinks(["window"], tmp_path, name="clip", ordered=True, colours=lambda _: COLOURS)
    tk.log.clear()
    tk.closed_by_user = True

    def work() -> None:
        for index in range(3):
            sink.write(make_frame(index), make_result())
        sink.close()

    thread = threading.Thread(target=work, name="writer")
    thread.start()
    thread.join()
    assert tk.log == [(what, 2, "writer") for what in ("made", "shown", "freed")]
    assert tk._default_root is None


def test_another_thread_leaves_the_window_alone(tmp_path: Path, tk: FakeTkinter) -> None:
    sink = open_sinks(["window"], tmp_path, name="clip", ordered=True, colours=lambda _: COLOURS)
    thread = threading.Thread(target=lambda: sink.write(make_frame(), make_result()), name="writer")
    thread.start()
    thread.join()
    tk.log.clear()
    assert sink.close() == []
    assert tk.log == []


def test_no_frame_no_window(tmp_path: Path, tk: FakeTkinter) -> None:
    show(tmp_path, 0)
    assert {number for _, number, _ in tk.log} == {1}


def test_no_tk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tkinter", None)
    with pytest.raises(OutputError, match="--show needs Python's tkinter"):
        show(tmp_path, 1)
