"""What a sink is: the seam between results and files, and what sinks share."""

from __future__ import annotations

import abc
import contextlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from edgedepth.core.colour_range import ColoursOf
from edgedepth.core.errors import OutputError
from edgedepth.core.files import write_atomic
from edgedepth.core.results import DepthResult
from edgedepth.io.frames import Frame


@dataclass(frozen=True, kw_only=True)
class SinkOptions:
    """What the sinks of one run share.

    folder: where they write.
    name: what single files are called after, the source's name.
    ordered: the frames are a stream; else each is a photo of its own.
    colours: metric colours of each result in pictures and videos.
    fps: frames per second of the source, None where it does not say.
    max_m: the largest depth in metres that results may hold; it chooses the scale of integer formats.
    """

    folder: Path
    name: str
    ordered: bool
    colours: ColoursOf
    fps: float | None
    max_m: float


class Sink(abc.ABC):
    """Takes results one by one and writes them: a context manager, closed once, in the thread that wrote to it."""

    @property
    def warnings(self) -> list[str]:
        """What whoever uses the files should know, one line each; complete once the sink is closed."""
        return []

    def path_of(self, name: str) -> Path | None:  # noqa: ARG002
        """The file that a frame of this name gets for itself; None where frames share one or leave none."""
        return None

    @abc.abstractmethod
    def write(self, frame: Frame, result: DepthResult) -> None:
        """Write one result; nothing of `frame` or `result` is kept or changed.

        Raises:
            OutputError: the place cannot be written or the disk is full.
        """

    @abc.abstractmethod
    def close(self) -> list[Path]:
        """Finish the files and return their paths; a stream's files, one per frame, are told by their folder.

        Closing twice is allowed and returns the same paths.

        Raises:
            OutputError: the place cannot be written or the disk is full.
        """

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
            return
        with contextlib.suppress(OutputError):  # the error under way says it already
            self.close()


class FilePerFrame(Sink):
    """A sink that makes one file of each result, whole or not at all.

    A subclass says what the file holds; streams get a sub-folder called after the kind, photos lie side by side.
    """

    kind: ClassVar[str]
    suffix: ClassVar[str]

    def __init__(self, options: SinkOptions) -> None:
        self._ordered = options.ordered
        self.folder = options.folder / self.kind if options.ordered else options.folder
        self._written: list[Path] = []
        self._frames = 0

    @abc.abstractmethod
    def encode(self, frame: Frame, result: DepthResult) -> bytes:
        """The content of one file."""

    @property
    def warnings(self) -> list[str]:
        """Files of other frames among those of a stream, as an earlier run leaves them."""
        strangers = self._strangers() if self._ordered and self._frames else 0
        return [f"{self.folder} also holds {strangers} {self.suffix} files of an earlier run"] if strangers > 0 else []

    def _strangers(self) -> int:
        with contextlib.suppress(OSError):
            return sum(path.suffix == self.suffix for path in self.folder.iterdir()) - self._frames
        return 0

    def path_of(self, name: str) -> Path:
        """The file of a frame, in the folder of its kind."""
        return self.folder / f"{name}{self.suffix}"

    def write(self, frame: Frame, result: DepthResult) -> None:
        """Write one file, named by the frame's name."""
        path = self.path_of(frame.name)
        write_atomic(path, self.encode(frame, result))
        self._frames += 1
        if not self._ordered:
            self._written.append(path)

    def close(self) -> list[Path]:
        """The photos' files, or the folder of a stream's."""
        if self._ordered:
            return [self.folder] if self._frames else []
        return list(self._written)
