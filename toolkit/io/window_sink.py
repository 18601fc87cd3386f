"""Shows results in a window while they are made (`--show`), with the standard library's Tk."""

from __future__ import annotations

import contextlib
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

    Tk must be used from the thread that made it, so the window is made by the first `write` and taken down by the
    first `close` from that thread; a `close` from another thread leaves it to the end of the process.

    Raises:
        OutputError: there is no Tk or no display.
    """

    def __init__(self, options: SinkOptions) -> None:
        self._view = SideBySide(options.colours)
        self._title = f"edgedepth: {options.name}"
        self._window: Any = None
        self._thread = 0
        self._shown = False
        try:
            import tkinter

            tkinter.Tk().destroy()  # fails now, not in the middle of a run
        except ImportError:
            raise OutputError("--show needs Python's tkinter (Debian, Ubuntu: apt install python3-tk)") from None
        except tkinter.TclError as error:
            raise OutputError(f"--show needs a display: {error}; run without it and open the video instead") from None

    def write(self, frame: Frame, result: DepthResult) -> None:
        """Show one result."""
        import tkinter

        picture = self._view(frame.image_bgr, result)
        height, width = picture.shape[:2]
        if not self._shown:
            self._window = tkinter.Tk()
            self._window.title(self._title)
            self._label = tkinter.Label(self._window)
            self._label.pack()
            self._thread, self._shown = threading.get_ident(), True
        if self._window is None:
            return
        try:
            ppm = b"P6 %d %d 255 " % (width, height) + picture[..., ::-1].tobytes()
            self._image = tkinter.PhotoImage(master=self._window, data=ppm, format="PPM")
            self._label.configure(image=self._image)
            self._window.update()
        except tkinter.TclError:  # the user closed the window
            self._window = None

    def close(self) -> list[Path]:
        """Take the window down; it leaves no files."""
        if self._window is not None and self._thread == threading.get_ident():
            import tkinter

            with contextlib.suppress(tkinter.TclError):
                self._window.destroy()
            self._window = None
        return []
