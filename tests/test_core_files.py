"""Files are written whole or not at all, and what is temporary does not stay."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from edgedepth.core.errors import OutputError
from edgedepth.core.files import check_writable, scratch_in, write_atomic


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "深" * 82 + ".png"])
def test_a_name_as_long_as_names_may_be(tmp_path: Path, name: str) -> None:
    write_atomic(tmp_path / name, b"old")
    write_atomic(tmp_path / name, b"new")
    assert (tmp_path / name).read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("below", ["", "x", "x/y"])
def test_a_file_where_a_folder_is_needed(tmp_path: Path, below: str) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(OutputError, match="a file is where a folder is needed; choose another place"):
        check_writable(tmp_path / "taken" / below)


def test_a_scratch_folder_goes_and_an_empty_folder_with_it(tmp_path: Path) -> None:
    def fails() -> None:
        with scratch_in(tmp_path / "new") as scratch:
            (scratch / "half").write_text("")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "mine").write_text("")
    with scratch_in(tmp_path / "old") as scratch:
        assert scratch.parent == tmp_path / "old"
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["mine"]


def test_files_are_as_private_as_the_user_asks(tmp_path: Path) -> None:
    for mask, mode in ((0o022, 0o644), (0o077, 0o600), (0o000, 0o644)):
        usual = os.umask(mask)
        try:
            write_atomic(tmp_path / f"{mask}", b"")
        finally:
            os.umask(usual)
        assert stat.S_IMODE((tmp_path / f"{mask}").stat().st_mode) == mode
