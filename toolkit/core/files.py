"""Writing files so that nothing is lost, and knowing them by content."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from edgedepth.core.errors import OutputError

SCRATCH_PREFIX = ".edgedepth-"
"""What the names of temporary files and folders begin with: short, so that any legal name has room beside it."""


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def output_error(path: Path, error: OSError) -> OutputError:
    """The one-line error for a failed write to `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"no space left on the disk while writing {path}; free some space and run again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"cannot write {path}: no permission; choose another place with -o/--output")
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return OutputError(f"cannot write {path}: a file is where a folder is needed; choose another place")
    return OutputError(f"cannot write {path}: {error.strerror or error}")


def check_writable(folder: Path) -> None:
    """Make a folder and write into it, so that a place that cannot be written is told before work is done for it.

    Raises:
        OutputError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise output_error(folder, error) from error


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it when the block ends well, and vanishes otherwise.

    Raises:
        OutputError: the folder cannot be written or the disk is full.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unused = path.parent / f"{SCRATCH_PREFIX}{secrets.token_hex(8)}{path.suffix}"
        os.close(os.open(unused, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))  # less what the umask takes
        temporary = unused
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold off other processes and threads that lock the same file; it is made if it is missing, and stays.

    waiting: called once where somebody else holds the lock.

    Raises:
        OutputError: the file cannot be opened for writing.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise output_error(path, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def scratch_in(folder: Path) -> Iterator[Path]:
    """A temporary folder in `folder`, so on its disk; it is gone after the block, and `folder` too if it is empty then.

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder, prefix=SCRATCH_PREFIX))
    except OSError as error:
        raise output_error(folder, error) from error
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.rmdir()


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a whole file at once: readers see the old content or the new, never a part.

    Raises:
        OutputError: the folder cannot be written or the disk is full.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)
