"""Long runs in short calls: a run that pauses, and its files in pieces that any transfer takes.

Where a machine is lent for minutes at a time, every call trains until its time is up and the next one, perhaps on
another machine, goes on. What has to travel between them lies in pieces of at most `PIECE_BYTES`.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from edgedepth.core.errors import CheckpointError, InputError
from edgedepth.core.files import atomic_path, output_error, sha256_of, write_atomic

PIECE_BYTES = 15 << 20
_INDEX = ".pieces.json"


class Paused(Exception):
    """The call's time is up; everything is saved, and the same command goes on."""


@dataclass(frozen=True)
class Deadline:
    """When a call has to end: so many minutes after this was made; None is never."""

    minutes: float | None = None
    _begun: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if self.minutes is not None and self.minutes <= 0:
            raise InputError(f"a call has to last more than 0 minutes before its pause, but got {self.minutes:g}")

    @property
    def left_minutes(self) -> float | None:
        """Minutes until then, negative when it has passed; None is for ever."""
        return None if self.minutes is None else self.minutes - (time.monotonic() - self._begun) / 60

    def check(self) -> None:
        """Raise `Paused` if it has passed."""
        if self.left_minutes is not None and self.left_minutes <= 0:
            raise Paused


def pack(folder: Path, piece_bytes: int = PIECE_BYTES) -> None:
    """Cut every file of the folder that is larger than a piece, and remove it; `unpack` puts it together again.

    Raises:
        OutputError: the folder cannot be written.
    """
    for path in sorted(folder.iterdir()):
        hidden = path.name.startswith(".")  # what a killed write has left
        if hidden or not path.is_file() or path.stat().st_size <= piece_bytes:
            continue
        names: list[str] = []
        with path.open("rb") as file:
            while piece := file.read(piece_bytes):
                names.append(f"{path.name}.{len(names):03d}")
                write_atomic(folder / names[-1], piece)
        write_atomic(
            folder / f"{path.name}{_INDEX}", json.dumps({"sha256": sha256_of(path), "pieces": names}, indent=1)
        )
        try:
            path.unlink()
        except OSError as error:
            raise output_error(path, error) from error


def in_pieces(path: Path) -> bool:
    """Whether `pack` has cut this file."""
    return path.with_name(f"{path.name}{_INDEX}").is_file()


def unpack(folder: Path) -> None:
    """Put the files that `pack` has cut together again, where they are missing. Pieces stay.

    Raises:
        CheckpointError: a piece is missing or damaged.
        OutputError: the folder cannot be written.
    """
    for index_path in sorted(folder.glob(f"*{_INDEX}")):
        whole = folder / index_path.name.removesuffix(_INDEX)
        if whole.exists():
            continue
        try:
            index = json.loads(index_path.read_text())
            names, digest = [Path(name).name for name in index["pieces"]], index["sha256"]
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{index_path} is damaged; copy it again") from error
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise CheckpointError(f"{folder / missing[0]}, a piece of {whole.name}, is missing; copy it too")
        with atomic_path(whole) as temporary:
            with temporary.open("wb") as file:
                for name in names:
                    file.write((folder / name).read_bytes())
            if sha256_of(temporary) != digest:
                raise CheckpointError(f"the pieces of {whole} are not those that were written; copy them again")
