"""The cache of TensorRT plans of this user: nothing but what it wrote itself is ever opened.

A plan is code for the GPU and, with some options, for the CPU. So a plan is read only together with the sidecar that
this cache wrote for it, from a folder that belongs to this user and that nobody else can write to, and only if the
bytes in hand have the digest that the sidecar names.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgedepth.core.errors import BackendError
from edgedepth.core.files import output_error, write_atomic
from edgedepth.engines.tensorrt.sidecar import PlanRequest, Sidecar

FOLDER_VARIABLE = "EDGEDEPTH_CACHE"
LIMIT_VARIABLE = "EDGEDEPTH_CACHE_MIB"
DEFAULT_LIMIT_MIB = 4096
_PLAN, _SIDECAR, _LOCK = ".plan", ".json", ".lock"


def cache_folder() -> Path:
    """Where plans are kept: `EDGEDEPTH_CACHE`, else `edgedepth` in the user's cache folder."""
    if FOLDER_VARIABLE in os.environ:
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
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise output_error(self.folder, error) from error
        _check_private(self.folder)

    def find(self, request: PlanRequest) -> Hit | Miss:
        """The plan that is wanted, or why there is none.

        Raises:
            BackendError: the engine that fits was rejected by its golden check.
        """
        nearest: list[str] | None = None
        for entry in self.entries():
            differences = request.differences(entry.sidecar)
            if not differences:
                hit = self._read(entry)
                if isinstance(hit, Hit):
                    return hit
                differences = [hit.why]
            elif entry.sidecar.onnx_sha256 != request.onnx_sha256:
                continue
            if nearest is None or len(differences) < len(nearest):
                nearest = differences
        return Miss(why="none was built of this file" if nearest is None else "; ".join(nearest))

    def _read(self, entry: Entry) -> Hit | Miss:
        sidecar = entry.sidecar
        if sidecar.rejected:
            raise BackendError(
                f"the {sidecar.flavour} engine of {sidecar.network} was rejected by its golden check:"
                f" {sidecar.rejected}; use another precision or backend, or build again after: edgedepth cache clear"
            )
        path = self.folder / (entry.key + _PLAN)
        plan = path.read_bytes()
        if len(plan) != sidecar.plan_bytes or hashlib.sha256(plan).hexdigest() != sidecar.plan_sha256:
            return Miss(why="plan_sha256 differs from the file's (damaged or altered)")
        path.touch()
        return Hit(key=entry.key, plan=plan, sidecar=sidecar)

    def put(self, key: str, plan: bytes, sidecar: Sidecar) -> None:
        """Keep a plan, then drop the longest unused ones beyond the size limit, never this one.

        Raises:
            OutputError: the disk is full or the folder cannot be written.
            BackendError: the sidecar is of another plan.
        """
        if hashlib.sha256(plan).hexdigest() != sidecar.plan_sha256:
            raise BackendError("the sidecar is of another plan; nothing was kept")
        self._sidecar(key).unlink(missing_ok=True)  # a plan without a sidecar counts as absent
        write_atomic(self.folder / (key + _PLAN), plan)
        write_atomic(self._sidecar(key), sidecar.to_json())
        self._evict(keep=key)

    def note(self, key: str, *, checked: str = "", rejected: str = "") -> None:
        """Write down what the golden check found of a plan."""
        path = self._sidecar(key)
        sidecar = Sidecar.from_json(path.read_text(), str(path))
        write_atomic(path, dataclasses.replace(sidecar, checked=checked, rejected=rejected).to_json())

    def entries(self) -> list[Entry]:
        """Every plan with its sidecar, the last used first; files that do not belong here are passed over."""
        found = []
        for path in self.folder.glob(f"*{_SIDECAR}"):
            plan = path.with_suffix(_PLAN)
            with contextlib.suppress(BackendError, OSError):
                _check_private(path)
                sidecar = Sidecar.from_json(path.read_text(), str(path))
                state = plan.stat()
                found.append(Entry(key=path.stem, sidecar=sidecar, bytes=state.st_size, used_at=state.st_mtime))
        return sorted(found, key=lambda entry: -entry.used_at)

    def clear(self) -> int:
        """Remove everything; the number of plans that were there."""
        count = len(list(self.folder.glob(f"*{_PLAN}")))
        for pattern in (_SIDECAR, _PLAN, ".timing"):  # locks stay: another process may hold one
            for path in self.folder.glob(f"*{pattern}"):
                path.unlink(missing_ok=True)
        return count

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold off other processes that would build the same plan; they find it when it is their turn."""
        path = self.folder / (key + _LOCK)
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise output_error(path, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def timing_cache(self, name: str) -> Path:
        """Where measured kernel times are kept for the next build."""
        return self.folder / f"{name}.timing"

    def _sidecar(self, key: str) -> Path:
        return self.folder / (key + _SIDECAR)

    def _evict(self, keep: str) -> None:
        entries = self.entries()
        total = sum(entry.bytes for entry in entries)
        for entry in reversed(entries):
            if total <= self.limit_bytes:
                return
            if entry.key != keep:
                self._sidecar(entry.key).unlink(missing_ok=True)
                (self.folder / (entry.key + _PLAN)).unlink(missing_ok=True)
                total -= entry.bytes


def _limit_mib() -> int:
    text = os.environ.get(LIMIT_VARIABLE, str(DEFAULT_LIMIT_MIB))
    if not text.isdigit() or int(text) < 1:
        raise BackendError(f"{LIMIT_VARIABLE} is a number of MiB, but got {text!r}")
    return int(text)


def _check_private(path: Path) -> None:
    """Refuse a place that another user made or may write to.

    Raises:
        BackendError: it is not this user's alone.
    """
    state = path.stat()
    if state.st_uid != os.getuid() or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise BackendError(
            f"{path} can be written by others, and plans are code; run: chmod -R go-w {path}, or set {FOLDER_VARIABLE}"
        )
