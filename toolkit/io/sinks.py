"""`open_sinks`: from the names a user writes to what writes the results, by one ordered table of kinds."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgedepth.core.colour_range import ColoursOf
from edgedepth.core.errors import OutputError, UnknownNameError
from edgedepth.core.files import check_writable, output_error
from edgedepth.core.results import DepthResult
from edgedepth.core.spec import HIGH_RANGE_M
from edgedepth.io.frames import Frame
from edgedepth.io.npz_sink import NpzSink
from edgedepth.io.picture_sink import PictureSink
from edgedepth.io.ply_sink import PlySink
from edgedepth.io.png16_sink import Png16Sink
from edgedepth.io.sink import Sink, SinkOptions
from edgedepth.io.video_sink import VideoSink
from edgedepth.io.window_sink import WindowSink


@dataclass(frozen=True)
class SinkKind:
    """A kind of output: its name on the command line, what it writes, how it is opened."""

    name: str
    writes: str
    open: Callable[[SinkOptions], Sink]


def _open_video(options: SinkOptions) -> Sink:
    return VideoSink(options) if options.ordered else PictureSink(options)


SINK_KINDS = (
    SinkKind("video", "side-by-side video (one picture per photo)", _open_video),
    SinkKind("png16", "depth as 16-bit PNG with its scale", Png16Sink),
    SinkKind("npz", "depth, pixel states, confidence and intrinsics", NpzSink),
    SinkKind("ply", "coloured point clouds", PlySink),
    SinkKind("window", "nothing: shows the side-by-side picture", WindowSink),
)


class SinkGroup(Sink):
    """Several sinks as one; each gets every result."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)

    @property
    def warnings(self) -> list[str]:
        """Those of all sinks."""
        return [warning for sink in self._sinks for warning in sink.warnings]

    def write(self, frame: Frame, result: DepthResult) -> None:
        """Write one result everywhere."""
        for sink in self._sinks:
            sink.write(frame, result)

    def close(self) -> list[Path]:
        """Close every sink, also when one fails, and return the paths of all."""
        outputs: list[Path] = []
        failure: Exception | None = None
        for sink in self._sinks:
            try:
                outputs += sink.close()
            except Exception as error:  # noqa: PERF203 - whatever a library raises, the files after it are finished
                failure = failure or error
        if failure is not None:
            raise failure
        return outputs


def open_sinks(
    names: Sequence[str],
    folder: Path,
    *,
    name: str,
    ordered: bool,
    colours: ColoursOf,
    fps: float | None = None,
    max_m: float = HIGH_RANGE_M[1],
    photos: Mapping[str, Path] | None = None,
) -> SinkGroup:
    """Open the named kinds of output in a folder, which is made if it is missing.

    No output replaces a photo of the source or another output: what would is refused here, before anything is written.

    Args:
        names: kinds of `SINK_KINDS`; one named twice is opened once.
        folder: where to write.
        name: what single files are called after (`Source.name`).
        ordered: the frames are a stream (`Source.ordered`); else each is a photo of its own.
        colours: metric colours of each result in pictures and videos.
        fps: frames per second of the source; times of the frames come first.
        max_m: the largest depth in metres that results may hold; it chooses the scale of 16-bit PNG.
        photos: the source's own file behind each frame, by the frame's name (`Source.photos`).

    Raises:
        UnknownNameError: a name is not of the table.
        OutputError: the folder cannot be made or written, or a file would be written over a photo or twice.
    """
    check_kinds(names)
    kinds = {kind.name: kind for kind in SINK_KINDS}
    options = SinkOptions(folder=folder, name=name, ordered=ordered, colours=colours, fps=fps, max_m=max_m)
    check_writable(folder)  # before the first frame is computed, not after it
    sinks = {wanted: kinds[wanted].open(options) for wanted in dict.fromkeys(names)}
    _check_apart(sinks, photos or {})
    return SinkGroup(tuple(sinks.values()))


def check_kinds(names: Sequence[str]) -> None:
    """Refuse names of outputs that are not of `SINK_KINDS`, before a folder is made for them.

    Raises:
        UnknownNameError: the first that is not; the message lists those that are.
    """
    kinds = [kind.name for kind in SINK_KINDS]
    for wanted in names:
        if wanted not in kinds:
            raise UnknownNameError.of("output", wanted, kinds)


def run_folder(base: Path = Path("runs/depth")) -> Path:
    """Make and return the next free numbered folder, `base`/1, `base`/2, ...; two processes never get the same.

    Raises:
        OutputError: the folder cannot be made.
    """
    try:
        base.mkdir(parents=True, exist_ok=True)
        taken = [int(path.name) for path in base.iterdir() if path.name.isdecimal()]
        for number in itertools.count(max(taken, default=0) + 1):
            try:
                (base / str(number)).mkdir()
            except FileExistsError:  # another process was faster
                continue
            return base / str(number)
    except OSError as error:
        raise output_error(base, error) from error
    raise AssertionError("unreachable: numbers do not end")


def _check_apart(sinks: Mapping[str, Sink], photos: Mapping[str, Path]) -> None:
    """Refuse sinks that would write over a photo of the source or over one another."""
    sources = {_identity(photo) for photo in photos.values()} - {None}
    writers: dict[Path, tuple[str, Path]] = {}
    for kind, sink in sinks.items():
        for name, photo in photos.items():
            path = sink.path_of(name)
            if path is None:
                continue
            if _identity(path) in sources:
                raise OutputError(
                    f"--save {kind} would replace {path}, a photo of the source; choose another folder with -o/--output"
                )
            if path in writers:
                other, twin = writers[path]
                raise OutputError(
                    f"--save {other},{kind} would write {path} twice, for {twin.name} and for {photo.name}; save"
                    f" {kind} in a run of its own, to another folder"
                )
            writers[path] = kind, photo


def _identity(path: Path) -> tuple[int, int] | None:
    """What file a path leads to, by whatever name; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
