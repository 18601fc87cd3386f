"""The option `--camera`: what gives each frame its intrinsics, and rectifies it where a calibration says how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from edgedepth.cli.common import say
from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError

if TYPE_CHECKING:
    from edgedepth.core.lens import Lens
    from edgedepth.io.frames import Frame, Source

CAMERA_HELP = (
    "Intrinsics: a calibration file (ROS, OpenCV, Kalibr, COLMAP, or JSON with fx, fy, cx, cy, width, height; of one"
    " with several cameras FILE:NAME),"
    " fx,fy,cx,cy in pixels of the source, hfov:DEGREES across its width, or 'assumed' for the network's own view"
    " whatever the source says."
)
RECTIFY_HELP = "Take frames as rectified already: leave the distortion of the calibration alone."
_HFOV = "hfov:"

View = Callable[["Frame"], "Frame"]


def view_of_source(source: Source, *, rectify: bool) -> View | None:
    """What frames go through without `--camera`: rectification, where a recording's camera_info says how."""
    return None if source.lens is None else _view_of_lens(source.lens, rectify)


def nothing_to_rectify(camera: str | None, source: Source) -> bool:
    """Whether `--no-rectify` changes nothing, for want of a calibration in `--camera` or of the source."""
    if camera is None:
        return source.lens is None
    return camera == "assumed" or camera.startswith(_HFOV) or len(_numbers(camera)) == 4


def parse_camera(text: str, *, rectify: bool = True) -> View:
    """Read intrinsics from "fx,fy,cx,cy", "hfov:DEG", a calibration file or "assumed".

    hfov is the field of view across the width of a frame, in degrees, of a lens that is centred on it. Numbers on the
    command line are in pixels of the source's frames, which should be of one size. Those of a file are scaled to the
    frames, and where it has distortion the frames are rectified, unless they are said to be so already.

    Raises:
        InputError: the text or file is not of that form.
    """
    if text == "assumed":
        return lambda frame: replace(frame, camera=None)
    if text.startswith(_HFOV):
        return _view_of(_camera_of_hfov(text.removeprefix(_HFOV)))
    numbers = _numbers(text)
    if len(numbers) == 4:
        return _view_of(_camera_of_numbers(*numbers))
    from edgedepth.io.camera_files import calibration_named, read_lens

    path, _ = calibration_named(text)
    if not path.exists() and (numbers or not path.suffix):
        raise InputError(
            f"--camera is fx,fy,cx,cy in pixels, hfov:DEGREES, a calibration file or 'assumed', but got {text!r}"
        )
    lens = read_lens(text)
    _warn_if_off_axis(lens.camera)
    return _view_of_lens(lens, rectify)


def _view_of(camera_of: Callable[[int, int], Camera]) -> View:
    """Gives each frame the camera of its width and height."""

    def view(frame: Frame) -> Frame:
        height, width = frame.image_bgr.shape[:2]
        try:
            return replace(frame, camera=camera_of(width, height), camera_source="given")
        except InputError as error:
            raise InputError(f"frame {frame.name}: {error}") from None

    return view


def _view_of_lens(lens: Lens, rectify: bool) -> View:
    """Rectifies frames, or gives them the intrinsics that rectified ones have by custom: ROS's P or the lens's own."""
    from edgedepth.io.rectify import Rectifier

    if rectify:
        return Rectifier(lens).frame
    return _view_of((lens.camera if lens.projection is None else lens.projection).of_frames)


def _camera_of_hfov(text: str) -> Callable[[int, int], Camera]:
    try:
        degrees = float(text)
    except ValueError:
        raise InputError(f"--camera hfov: wants degrees, for example hfov:78, but got {text!r}") from None
    Camera.from_hfov(degrees, 1, 1)  # refuses what is no angle before anything runs
    return lambda width, height: Camera.from_hfov(degrees, width, height)


def _camera_of_numbers(fx: float, fy: float, cx: float, cy: float) -> Callable[[int, int], Camera]:
    """Numbers that name no size are taken to be of the frames', which is told where it cannot be."""
    seen: list[tuple[int, int]] = []

    def camera_of(width: int, height: int) -> Camera:
        camera = Camera(fx=fx, fy=fy, cx=cx, cy=cy, width=width, height=height)
        if (width, height) not in seen:
            seen.append((width, height))
            if len(seen) == 1:  # once: a frame that is cropped far off the axis may be like that
                _warn_if_off_axis(camera)
            if len(seen) == 2:
                both = " and ".join(f"{w}x{h}" for w, h in seen)
                say(
                    f"warning: frames are of {both}, and the intrinsics can be of one of them only: a file names theirs"
                    " (width, height) and is scaled"
                )
        return camera

    Camera(fx=fx, fy=fy, cx=cx, cy=cy, width=1, height=1)  # refuses numbers that are no camera before anything runs
    return camera_of


def _warn_if_off_axis(camera: Camera) -> None:
    if not (0 <= camera.cx <= camera.width and 0 <= camera.cy <= camera.height):
        say(
            f"warning: the principal point {camera.cx:g},{camera.cy:g} lies outside frames of"
            f" {camera.width}x{camera.height}: are these intrinsics of another size? A file names theirs (width,"
            " height) and is scaled"
        )


def _numbers(text: str) -> list[float]:
    """The numbers between commas; none where something else is."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return []
