"""The cache of TensorRT plans of this user: nothing but what it wrote itself is ever opened.

A plan is code for the GPU and, with some options, for the CPU. So a plan is read only together with the sidecar that
this cache wrote for it, from a folder that belongs to this user and that nobody else can write to, and only if the
bytes in hand have the digest that the sidecar names.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgedepth.core.errors import BackendError, OutputError
from edgedepth.core.files import SCRATCH_PREFIX, locked, output_error, write_atomic
from edgedepth.engines.tensorrt.sidecar import PlanRequest, Sidecar

FOLDER_VARIABLE = "EDGEDEPTH_CACHE"
LIMIT_VARIABLE = "EDGEDEPTH_CACHE_MIB"
DEFAULT_LIMIT_MIB = 4096
_PLAN, _SIDECAR, _LOCK, _TIMING = ".plan", ".json", ".lock", ".timing"
# Keys of plans: digests of what was asked for, and of plans that came with a bundle and were trusted.
_OWN_KEY = re.compile(r"[0-9a-f]{32}|trusted-[0-9a-f]{24}")
_OWN_TIMES = re.compile(r"tensorrt(-rtx)?-[\w.]+-[\w.+]*")
_WHOLE = "cache"  # the lock of whoever changes the folder, held for moments; those of keys are held for builds
_LOG = logging.getLogger("edgedepth.tensorrt")


def cache_folder() -> Path:
    """Where plans are kept: `EDGEDEPTH_CACHE`, else (also if that is empty) `edgedepth` in the user's cache folder."""
    if os.environ.get(FOLDER_VARIABLE):
        return Path(os.environ[FOLDER_VARIABLE])
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "edgedepth"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A plan in the cache. `bytes` is its size, `used_at` when it was last read (seconds since 1970)."""

    key: str
    sidecar: Sidecar
    bytes: int
    used_at: float


@dataclass(frozen=True, kw_only=True)
class Miss:
    """No plan fits; `why` says in which fields the nearest one differs."""

    why: str


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A plan that fits, its bytes checked against the sidecar."""

    key: str
    plan: bytes
    sidecar: Sidecar


class PlanCache:
    """The plans of one folder.

    Raises:
        OutputError: the folder cannot be made.
        BackendError: it belongs to another user, or others may write to it; or the size limit is not a number.
    """

    def __init__(self, folder: Path | None = None, limit_mib: int | None = None) -> None:
        self.folder = (cache_folder() if folder is None else folder) / "plans"
        self.limit_bytes = (_limit_mib() if limit_mib is None else limit_mib) << 20
        with self._writable():
            try:
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise output_error(self.folder, error) from error
        _check_private(self.folder)

    def find(self, request: PlanRequest, *, again: bool = False) -> Hit | Miss:
        """The plan that is wanted, or why there is none; of several that fit, the one that is made for it.

        again: an engine that was rejected counts as none.

        Raises:
            BackendError: every engine that fits was rejected by its golden check.
        """
        nearest: list[str] | None = None
        rejected: Sidecar | None = None
        for entry in sorted(self.entries(), key=lambda entry: not request.made_for_it(entry.sidecar)):
            differences = request.differences(entry.sidecar)
            if not differences and entry.sidecar.rejected:
                rejected = entry.sidecar
                continue
            if not differences:
                hit = self.read(entry)
                if isinstance(hit, Hit):
                    return hit
                differences = [hit.why]
            elif entry.sidecar.onnx_sha256 != request.onnx_sha256:
                continue
            if nearest is None or len(differences) < len(nearest):
                nearest = differences
        if rejected is not None and again:
            return Miss(why=f"the one there was rejected by its golden check: {rejected.rejected}")
        if rejected is not None:
            raise BackendError(
                f"the {rejected.flavour} engine of {rejected.network} was rejected by its golden check:"
                f" {rejected.rejected}; use another precision or backend, or build it again: edgedepth build"
            )
        return Miss(why="none was built of this file" if nearest is None else "; ".join(nearest))

    def read(self, entry: Entry) -> Hit | Miss:
        """The bytes of a plan, if they are those that its sidecar describes."""
        sidecar, path = entry.sidecar, self.folder / (entry.key + _PLAN)
        try:
            plan = _read_private(path)
        except OSError as error:  # another process has just dropped it
            return Miss(why=f"its plan cannot be read ({error.strerror})")
        if len(plan) != sidecar.plan_bytes or hashlib.sha256(plan).hexdigest() != sidecar.plan_sha256:
            return Miss(why="plan_sha256 differs from the file's (damaged or altered)")
        with contextlib.suppress(OSError):  # a cache that is only read keeps no times
            os.utime(path)
        return Hit(key=entry.key, plan=plan, sidecar=sidecar)

    def put(self, key: str, plan: bytes, sidecar: Sidecar) -> None:
        """Keep a plan, then drop the longest unused ones beyond the size limit, never this one.

        Raises:
            OutputError: the disk is full or the folder cannot be written.
            BackendError: the sidecar is of another plan.
        """
        if hashlib.sha256(plan).hexdigest() != sidecar.plan_sha256:
            raise BackendError("the sidecar is of another plan; nothing was kept")
        with self.lock(_WHOLE):
            self._sweep()
            self._sidecar(key).unlink(missing_ok=True)  # a plan without a sidecar counts as absent
            write_atomic(self.folder / (key + _PLAN), plan)
            write_atomic(self._sidecar(key), sidecar.to_json())
            self._evict(keep=key)

    def note(self, key: str, checked_plan: Sidecar, *, checked: str = "", rejected: str = "") -> None:
        """Write down what the golden check found of a plan; nothing where it has been dropped or replaced meanwhile.

        Raises:
            OutputError: the disk is full or the folder cannot be written.
        """
        path = self._sidecar(key)
        with self.lock(_WHOLE):
            if path.is_file():
                sidecar = Sidecar.from_json(_read_private(path).decode(), str(path))
                if sidecar.plan_sha256 != checked_plan.plan_sha256:
                    return
                write_atomic(path, sidecar.model_copy(update={"checked": checked, "rejected": rejected}).to_json())

    def entries(self) -> list[Entry]:
        """Every plan with its sidecar, the last used first; files that do not belong here are passed over."""
        found = []
        for path in self.folder.glob(f"*{_SIDECAR}"):
            plan = path.with_suffix(_PLAN)
            with contextlib.suppress(BackendError, OSError, UnicodeDecodeError):
                sidecar = Sidecar.from_json(_read_private(path).decode(), str(path))
                state = plan.stat()
                found.append(Entry(key=path.stem, sidecar=sidecar, bytes=state.st_size, used_at=state.st_mtime))
        return sorted(found, key=lambda entry: -entry.used_at)

    def clear(self) -> int:
        """Remove all that the cache has written; the number of plans that were there."""
        with self.lock(_WHOLE):
            self._sweep()
            keys = {entry.key for entry in self.entries()}
            keys |= {path.stem for suffix in (_SIDECAR, _PLAN) for path in self._own(suffix)}
            count = sum((self.folder / (key + _PLAN)).exists() for key in keys)
            for key in keys:
                self._drop(key)
            for path in self._own(_TIMING):  # locks stay: another process may hold one
                path.unlink(missing_ok=True)
        return count

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold off other processes and threads that would build the same plan; they find it when it is their turn.

        Raises:
            OutputError: the folder cannot be written.
        """

        def waiting() -> None:
            if key != _WHOLE:
                _LOG.warning("another process is building this engine; waiting for it")

        with self._writable(), locked(self.folder / (key + _LOCK), waiting):
            yield

    def timing_cache(self, name: str) -> Path:
        """Where measured kernel times are kept for the next build."""
        return self.folder / (name + _TIMING)

    @contextlib.contextmanager
    def _writable(self) -> Iterator[None]:
        """What may not be written here has a remedy of its own: no command takes another folder as an option."""
        try:
            yield
        except OutputError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise OutputError(
                    f"cannot write the cache of engines in {self.folder}: no permission; set {FOLDER_VARIABLE} to a"
                    " folder of yours"
                ) from cause
            raise

    def _drop(self, key: str) -> None:
        self._sidecar(key).unlink(missing_ok=True)  # first: a plan without one counts as absent
        (self.folder / (key + _PLAN)).unlink(missing_ok=True)

    def _own(self, suffix: str) -> list[Path]:
        """The files of one kind that have names as this cache gives them; others are somebody else's."""
        names = _OWN_TIMES if suffix == _TIMING else _OWN_KEY
        return [path for path in self.folder.glob(f"*{suffix}") if names.fullmatch(path.name.removesuffix(suffix))]

    def _sidecar(self, key: str) -> Path:
        return self.folder / (key + _SIDECAR)

    def _sweep(self) -> None:
        """Remove halves of plans that a killed process left; the whole lock is held, under which all are written."""
        for suffix in (_PLAN, _SIDECAR):
            for path in self.folder.glob(f"{SCRATCH_PREFIX}*{suffix}"):
                path.unlink(missing_ok=True)

    def _evict(self, keep: str) -> None:
        """Drop what is beyond the limit, and plans that a crash left without a sidecar; the whole lock is held."""
        entries = self.entries()
        total = sum(entry.bytes for entry in entries)
        for entry in reversed(entries):
            if total > self.limit_bytes and entry.key != keep:
                self._drop(entry.key)
                total -= entry.bytes
        for path in self._own(_PLAN):
            if not path.with_suffix(_SIDECAR).exists():
                path.unlink(missing_ok=True)


def _limit_mib() -> int:
    text = os.environ.get(LIMIT_VARIABLE, str(DEFAULT_LIMIT_MIB))
    if not text.isdecimal() or int(text) < 1:
        raise BackendError(f"{LIMIT_VARIABLE} is a number of MiB, but got {text!r}")
    return int(text)


def _read_private(path: Path) -> bytes:
    """A file's bytes, of exactly the file that was looked at.

    Raises:
        BackendError: another user made it or may write to it.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        _refuse_foreign(path, os.fstat(file.fileno()))
        return file.read()


def _check_private(path: Path) -> None:
    """Refuse a folder that another user made or may write to.

    Raises:
        BackendError: it is not this user's alone.
    """
    _refuse_foreign(path, path.stat())


def _refuse_foreign(path: Path, state: os.stat_result) -> None:
    if state.st_uid != os.getuid():
        raise BackendError(
            f"{path} belongs to another user, and plans are code; run: sudo chown -R $USER {path}, or set"
            f" {FOLDER_VARIABLE}"
        )
    if state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise BackendError(
            f"{path} can be written by others, and plans are code; run: chmod -R go-w {path}, or set {FOLDER_VARIABLE}"
        )
