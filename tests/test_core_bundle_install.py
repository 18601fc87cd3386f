"""A bundle takes the place of another, and whenever it is killed one of the two lies there."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgedepth.core.bundle import Bundle, write_manifest
from edgedepth.core.bundle_install import bring_along, files_to_replace, install
from edgedepth.core.errors import OutputError
from edgedepth.core.routing import Route
from tests.bundles import file_entry, write_bundle

_CALLS = ("link", "mkdir", "rename", "replace", "rmdir", "unlink")


class Killed(BaseException):
    """The process is gone: nothing that changes a disk works any more."""


def write_old(folder: Path) -> Bundle:
    folder.mkdir()
    (folder / "only-old.bin").write_bytes(b"plan")
    (folder / "notes.txt").write_text("mine")
    return write_bundle(folder, plans=(file_entry(folder, "only-old.bin"),))


def write_new(folder: Path, name: str = ".edgedepth-made") -> Bundle:
    made = folder / name
    (made / "golden").mkdir(parents=True)
    (made / "golden" / "low.png").write_bytes(b"a picture")
    return write_bundle(made, {"low.onnx": b"another network"}, plans=(file_entry(made, "golden/low.png"),))


def low_of(bundle: Bundle) -> bytes:
    network = bundle.manifest.networks[Route.LOW]
    return bundle.path(network.variants["fp32"]).read_bytes()


def check_installed(folder: Path, new: Bundle) -> None:
    assert Bundle.load(folder).digest == new.digest
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == {"bundle.json", "golden/low.png", "high.onnx", "low.onnx", "notes.txt", "scene.onnx"}
    assert not list(folder.glob(".*"))


def killed_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """From that change of the disk on, counted from 0, nothing works."""
    done = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal done
            done += 1
            if done > step:
                raise Killed
            return real(*arguments, **options)

        return call

    for name in _CALLS:
        patch.setattr(os, name, counted(getattr(os, name)))


def test_a_kill_at_any_step_leaves_a_bundle_that_can_be_replaced(tmp_path: Path) -> None:
    for step in range(100):
        folder = tmp_path / str(step)
        old = low_of(write_old(folder))
        new = write_new(folder)
        earlier = files_to_replace(folder)
        with pytest.MonkeyPatch.context() as patch:
            killed_at(step, patch)
            try:
                install(folder / ".edgedepth-made", folder, earlier)
            except Killed:
                finished = False
            else:
                finished = True
        if finished:
            check_installed(folder, new)
            break
        assert low_of(Bundle.load(folder)) in (old, b"another network")
        again = write_new(folder, ".edgedepth-again")
        install(again.folder, folder, files_to_replace(folder))
        assert Bundle.load(folder).digest == again.digest
    assert step > 10


def test_a_bundle_whose_installation_was_killed_can_be_changed_in_part(tmp_path: Path) -> None:
    for step in range(4, 11):
        folder = tmp_path / str(step)
        write_old(folder)
        write_new(folder)
        with pytest.MonkeyPatch.context() as patch:
            killed_at(step, patch)
            with pytest.raises(Killed):
                install(folder / ".edgedepth-made", folder, files_to_replace(folder))
        manifest = Bundle.load(folder).manifest
        assert all(entry.file.startswith(".edgedepth-") for entry in manifest.files())
        made = folder / ".edgedepth-again"
        made.mkdir()
        new = write_manifest(made, bring_along(manifest, folder, made))
        install(made, folder, files_to_replace(folder))
        found = Bundle.load(folder)
        assert found.digest == new.digest
        assert low_of(found) == b"another network"
        assert not list(folder.glob(".*"))


def test_a_file_system_without_links_gets_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    write_old(tmp_path / "b")
    new = write_new(tmp_path / "b")
    install(tmp_path / "b" / ".edgedepth-made", tmp_path / "b", files_to_replace(tmp_path / "b"))
    check_installed(tmp_path / "b", new)


def test_a_full_disk_in_between_leaves_the_new_bundle_where_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write_old(tmp_path / "b")
    write_new(tmp_path / "b")
    earlier = files_to_replace(tmp_path / "b")
    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(OutputError, match="no space left"):
        install(tmp_path / "b" / ".edgedepth-made", tmp_path / "b", earlier)
    assert not (tmp_path / "b" / ".edgedepth-made").exists()
    assert low_of(Bundle.load(tmp_path / "b")) == b"another network"
