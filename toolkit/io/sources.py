"""`open_source`: from what a user writes to frames, by one ordered table of kinds."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgedepth.core.errors import InputError, some_of
from edgedepth.io.bag_source import BagSource, is_bag
from edgedepth.io.camera_source import STREAM_SCHEMES, open_camera, open_csi, open_pipeline, open_stream
from edgedepth.io.frames import Source
from edgedepth.io.image_source import IMAGE_SUFFIXES, ImageSource
from edgedepth.io.video_source import VideoSource

_DEVICE = re.compile(r"/dev/video(\d+)")


@dataclass(frozen=True)
class SourceKind:
    """A kind of source: how it is written, how it is recognised, how it is opened."""

    name: str
    example: str
    matches: Callable[[str], bool]
    open: Callable[[str], Source]


def open_source(spec: str | int | Path) -> Source:
    """Open a video file, an image, a folder, a glob pattern, a camera, a stream or a recording.

    A whole number is a camera's; a folder of that name is written "./0". The caller closes the source, best by
    `with`.

    Raises:
        InputError: nothing is there, or it cannot be read; the message says what was expected.
    """
    text = os.path.expanduser(str(spec))  # the shell leaves the "~" of a quoted pattern alone
    if not text:
        raise InputError(f"an empty source was given; expected one of: {_known()}")
    if isinstance(spec, Path) and text.isdecimal():
        text = f"./{text}"
    for kind in SOURCE_KINDS:
        if kind.matches(text):
            return kind.open(text)
    if "://" in text:
        raise InputError(f"cannot open {text!r}; expected one of: {_known()}")
    raise InputError(f"{text} does not exist; expected one of: {_known()}")


def _known() -> str:
    return ", ".join(f"{kind.name} ({kind.example})" for kind in SOURCE_KINDS)


def _open_device(text: str) -> Source:
    match = _DEVICE.fullmatch(text)
    if match is None:
        raise InputError(f"{text} is not a camera device; expected /dev/videoN")
    return open_camera(int(match[1]))


def _open_csi(text: str) -> Source:
    number = text.removeprefix("csi://")
    if not number.isdecimal():
        raise InputError(f"{text} is not a CSI camera; expected csi://N, for example csi://0")
    return open_csi(int(number))


def _open_bag(text: str) -> Source:
    """`bag:PATH`, `bag:PATH:TOPIC`, or a recording's own path."""
    path, colon, topic = text.removeprefix("bag:").rpartition(":")
    if not colon or not topic.startswith("/"):
        path, topic = text.removeprefix("bag:"), ""
    return BagSource(Path(path).expanduser(), topic or None)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _images_among(paths: list[Path], where: str, name: str) -> ImageSource:
    """The images among the files at `where`; the others are named in a warning."""
    visible = [path for path in paths if path.is_file() and not path.name.startswith(".")]
    images = [path for path in visible if _is_image(path)]
    others = sorted(path.name for path in visible if not _is_image(path))
    if not images:
        folders = sorted(path.name for path in paths if path.is_dir() and not path.name.startswith("."))
        raise InputError(f"{where} holds no images ({', '.join(IMAGE_SUFFIXES)}), {_instead(others, folders)}")
    source = ImageSource(images, name=name)
    if others:
        source.warnings.append(f"skipped {len(others)} files that are not images: {some_of(others)}")
    return source


def _instead(others: list[str], folders: list[str]) -> str:
    """What there is in place of images, and how to go on."""
    if others:
        return f"but found {some_of(others)}; videos are run one by one"
    if folders:
        return f"only folders: {some_of(folders)}; give one of them, or a quoted pattern such as 'photos/**/*.jpg'"
    return "but it is empty"


def _open_folder(text: str) -> Source:
    folder = Path(text)
    try:
        paths = list(folder.iterdir())
    except OSError as error:
        raise InputError(f"cannot read the folder {folder}: {error.strerror or error}") from error
    return _images_among(paths, f"the folder {folder}", folder.resolve().name or "root")


def _open_glob(text: str) -> Source:
    paths = [Path(path) for path in glob.glob(text, recursive=True)]
    if not paths:
        raise InputError(f"no file matches {text!r}; check the pattern, and quote it so that the shell leaves it alone")
    return _images_among(paths, f"the pattern {text!r}", "photos")


def _open_image(text: str) -> Source:
    path = Path(text)
    return ImageSource([path], name=path.stem, skip_unreadable=False)


SOURCE_KINDS = (
    SourceKind("camera", "0", str.isdecimal, lambda text: open_camera(int(text))),
    SourceKind("camera device", "/dev/video0", lambda text: _DEVICE.fullmatch(text) is not None, _open_device),
    SourceKind("stream", "rtsp://host/path", lambda text: text.lower().startswith(STREAM_SCHEMES), open_stream),
    SourceKind("CSI camera", "csi://0", lambda text: text.startswith("csi://"), _open_csi),
    SourceKind(
        "GStreamer pipeline",
        "'gst:videotestsrc'",
        lambda text: text.startswith("gst:"),
        lambda text: open_pipeline(text.removeprefix("gst:")),
    ),
    SourceKind(
        "recording",
        "drive.mcap, or bag:drive:/camera/image_raw",
        lambda text: text.startswith("bag:") or (Path(text).exists() and is_bag(Path(text))),
        _open_bag,
    ),
    SourceKind("folder", "photos/", lambda text: Path(text).is_dir(), _open_folder),
    SourceKind(
        "image",
        "photo.jpg",
        lambda text: Path(text).exists() and _is_image(Path(text)),
        _open_image,
    ),
    SourceKind("video", "video.mp4", lambda text: Path(text).exists(), lambda text: VideoSource(Path(text))),
    SourceKind("glob", "'photos/*.jpg'", glob.has_magic, _open_glob),
)
