"""Shows results in a window while they are made (`--show`), with the standard library's Tk."""

from __future__ import annotations

import contextlib
import gc
import threading
from pathlib import Path
from typing import Any

from edgedepth.core.errors import OutputError
from edgedepth.core.results import DepthResult
from edgedepth.io.frames import Frame
from edgedepth.io.sink import Sink, SinkOptions
from edgedepth.io.view import SideBySide


class WindowSink(Sink):
    """The side-by-side picture in a window; closing the window stops showing, not the run.

    Tk must be used, and its interpreter freed, in the thread that made it: else the process aborts. So the window is
    made by the first `write` and taken down, with all that refers to it, by `close` in that thread; a `close` in
    another thread leaves it alone.

    Raises:
        OutputError: there is no Tk or no display.
    """

    def __init__(self, options: SinkOptions) -> None:
        self._view = SideBySide(options.colours)
        self._title = f"edgedepth: {options.name}"
        self._window: Any = None
        self._label: Any = None
        self._image: Any = None
        self._thread = 0
        self._ended = False  # closed, by us or by the user
        _check_display()

    def write(self, frame: Frame, result: DepthResult) -> None:
        """Show one result."""
        if self._ended:
            return
        import tkinter

        picture = self._view(frame.image_bgr, result)
        height, width = picture.shape[:2]
        if self._window is None:
            self._thread = threading.get_ident()
            self._window = tkinter.Tk()
            self._window.title(self._title)
            self._label = tkinter.Label(self._window)
            self._label.pack()
        try:
            ppm = b"P6 %d %d 255 " % (width, height) + picture[..., ::-1].tobytes()
            self._image = tkinter.PhotoImage(master=self._window, data=ppm, format="PPM")
            self._label.configure(image=self._image)
            self._window.update()
        except tkinter.TclError:  # the user closed the window
            self._ended = True

    def close(self) -> list[Path]:
        """Take the window down; it leaves no files."""
        self._ended = True
        if self._window is not None and self._thread == threading.get_ident():
            import tkinter

            module: Any = tkinter
            with contextlib.suppress(tkinter.TclError):
                self._window.destroy()
            if module._default_root is self._window:  # where `destroy` failed, it is still kept there
                module._default_root = None
            self._window = self._label = self._image = None
            gc.collect()  # Tk's objects refer to one another in circles
        return []


def _check_display() -> None:
    """Open a window for a moment: fail now, not in the middle of a run."""
    try:
        import tkinter

        tkinter.Tk().destroy()
    except ImportError:
        raise OutputError("--show needs Python's tkinter (Debian, Ubuntu: apt install python3-tk)") from None
    except tkinter.TclError as error:
        raise OutputError(f"--show needs a display: {error}; run without it and open the video instead") from None
    gc.collect()  # the interpreter goes here, not in whichever thread the collector next runs
