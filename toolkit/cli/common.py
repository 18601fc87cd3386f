"""What several commands share: printing results, progress bars and reading option values."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.routing import Route

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

RouteChoice = Literal["auto", "low", "high"]
JSON_HELP = "Print one machine-readable object on stdout; everything else goes to stderr."
CAMERA_HELP = "Intrinsics: fx,fy,cx,cy in pixels of the source, hfov:DEGREES across its width, or a JSON file."
_HFOV = "hfov:"


def print_json(data: Any) -> None:
    """Print one JSON object on stdout."""
    json.dump(data, sys.stdout, indent=1)
    sys.stdout.write("\n")


def plain_console() -> Console:
    """A console on stdout that prints brackets as they are: names and notes come out of files."""
    from rich.console import Console

    return Console(markup=False)


def plain_table(*titles: str, title: str | None = None) -> Table:
    """A table that wraps what is too long and cuts nothing off: names and remedies are to be copied."""
    from rich.table import Column, Table

    return Table(*(Column(each, overflow="fold") for each in titles), title=title)


def say(message: str) -> None:
    """Print a line for people, on stderr."""
    print(message, file=sys.stderr)


def forced_route(choice: RouteChoice) -> Route | None:
    """The route a choice forces; auto forces none."""
    return None if choice == "auto" else Route(choice)


def _camera_of_hfov(text: str) -> Callable[[tuple[int, int]], Camera]:
    try:
        degrees = float(text)
    except ValueError:
        raise InputError(f"--camera hfov: wants degrees, for example hfov:78, but got {text!r}") from None
    Camera.from_hfov(degrees, 1, 1)  # refuses what is no angle before anything runs
    return lambda frame_wh: Camera.from_hfov(degrees, *frame_wh)


def parse_camera(text: str) -> Callable[[tuple[int, int]], Camera]:
    """Read intrinsics from "fx,fy,cx,cy", "hfov:DEG" or a JSON file, and return what gives the camera of a frame size.

    hfov is the field of view across the width of a frame, in degrees, of a lens that is centred on it.
    Numbers on the command line are in pixels of the source's frames, which should be of one size. A JSON file holds fx,
    fy, cx, cy and, if it was made at another size, width and height: then the intrinsics are scaled to the frame.

    Raises:
        InputError: the text or file is not of that form.
    """
    if text.startswith(_HFOV):
        return _camera_of_hfov(text.removeprefix(_HFOV))
    path = Path(text)
    size: tuple[int, int] | None = None
    if path.suffix == ".json" or path.is_file():
        try:
            data = json.loads(path.read_text())
            values = [float(data[key]) for key in ("fx", "fy", "cx", "cy")]
            if "width" in data or "height" in data:
                size = (int(data["width"]), int(data["height"]))
        except OSError as error:
            raise InputError(f"cannot read the camera file {text}: {error.strerror or error}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"camera file {text} must be JSON with fx, fy, cx, cy (and width, height), but: {error!r}"
            ) from None
    else:
        try:
            values = [float(part) for part in text.split(",")]
        except ValueError:
            values = []
        if len(values) != 4:
            raise InputError(f"--camera is fx,fy,cx,cy in pixels, hfov:DEGREES or a JSON file, but got {text!r}")
    fx, fy, cx, cy = values
    told: list[bool] = []
    sizes: list[tuple[int, int]] = []

    def camera_of(frame_wh: tuple[int, int]) -> Camera:
        width, height = size or frame_wh
        if not (0 <= cx <= width and 0 <= cy <= height) and not told:
            told.append(True)  # once: a frame that is cropped far off the axis may be like that
            say(
                f"warning: the principal point {cx:g},{cy:g} lies outside frames of {width}x{height}: are these"
                " intrinsics of another size? A JSON file names theirs (width, height) and is scaled"
            )
        if size is None and frame_wh not in sizes:
            sizes.append(frame_wh)
            if len(sizes) == 2:
                both = " and ".join(f"{w}x{h}" for w, h in sizes)
                say(
                    f"warning: frames are of {both}, and the intrinsics can be of one of them only: a JSON file names"
                    " theirs (width, height) and is scaled"
                )
        return Camera(fx=fx, fy=fy, cx=cx, cy=cy, width=width, height=height).of_frames(*frame_wh)

    Camera(fx=fx, fy=fy, cx=cx, cy=cy, width=1, height=1)  # refuses numbers that are no camera before anything runs
    if size is not None:
        camera_of(size)
    return camera_of
