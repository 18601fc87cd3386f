"""`edgedepth run` where it ends badly: what is refused before the first frame, and what is kept after the last."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgedepth.cli import main
from edgedepth.core.errors import InputError
from edgedepth.io import sources
from edgedepth.io.frames import Frame, Source
from tests.networks import routed_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return routed_bundle(tmp_path_factory.mktemp("bundle") / "b").folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.jpg", "b_depth.jpg"):
        cv2.imwrite(str(folder / name), np.full((20, 31, 3), 102, np.uint8))
    return folder


class Unplugged(Source):
    """Grey frames, then an error."""

    def __init__(self, count: int, error: Exception) -> None:
        super().__init__("camera0", fps=30.0)
        self._count, self._error = count, error

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._count):
            image = np.full((48, 64, 3), 102, np.uint8)
            yield Frame(index=index, image_bgr=image, time_s=index / 30, name=f"{index:06d}")
        self.warnings.append("a frame was damaged")
        raise self._error

    def close(self) -> None:
        return


def failed(capsys: pytest.CaptureFixture[str], bundle: Path, *arguments: str | Path) -> tuple[str, str]:
    """What a run that must fail with code 1 and one line prints: stdout, and the line."""
    with pytest.raises(SystemExit) as exit_:
        main(["run", *map(str, arguments), "-b", str(bundle), "--backend", "onnxruntime"])
    out, err = capsys.readouterr()
    assert (exit_.value.code, len(err.splitlines())) == (1, 1), err
    return out, err.strip()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_photos_are_never_replaced(bundle: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(photos)
    _, line = failed(capsys, bundle, photos, "--save", "png16", "-o", photos)
    assert f"--save png16 would replace {photos / 'a.png'}, a photo of the source" in line
    assert contents(photos) == before


def test_options_that_change_nothing_are_told(
    bundle: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    idle = ["--confidence", "--steady", "0.5", "--camera-size", "31x20", "--range", "1", "2", "--colormap", "magma"]
    call = ["run", str(photos), "-b", str(bundle), "--backend", "onnxruntime", "--json", "-o"]
    with pytest.raises(SystemExit):
        main([*call, str(tmp_path / "idle"), "--save", "none", *idle])
    told = json.loads(capsys.readouterr().out)["warnings"]
    assert [line.split()[0] for line in told] == ["--confidence", "--steady", "--camera-size", "--range", "--colormap"]
    with pytest.raises(SystemExit):
        main([*call, str(tmp_path / "used"), "--save", "npz,video", "--confidence", "--range", "1", "2"])
    assert json.loads(capsys.readouterr().out)["warnings"] == []


def test_two_outputs_never_share_a_file(
    bundle: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, line = failed(capsys, bundle, photos, "--save", "video,png16", "-o", tmp_path / "out")
    assert "b_depth.png twice, for b.jpg and for b_depth.jpg" in line
    assert contents(tmp_path / "out") == {}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InputError("camera 0 stopped delivering; check its cable"), "camera 0 stopped delivering; check its cable"),
        (RuntimeError("a driver\ngave up"), "unexpected RuntimeError: a driver gave up"),
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_a_run_that_fails_leaves_its_report(
    bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    told: str,
    as_json: bool,
) -> None:
    monkeypatch.setattr(sources, "open_source", lambda _: Unplugged(7, error))
    out, line = failed(capsys, bundle, "0", "-o", tmp_path, *(["--json"] if as_json else []))
    assert line.startswith(f"edgedepth: {told}")
    report = json.loads((tmp_path / "run.json").read_text())
    assert report["error"] == told
    assert report["frames"] == {"read": 7, "written": 7, "dropped": 0}
    assert report["outputs"] == [str(tmp_path / "camera0_depth.mp4"), str(tmp_path / "run.json")]
    assert report["warnings"] == ["a frame was damaged"]
    assert (report["backend"], report["interrupted"]) == ("onnxruntime", False)
    assert (json.loads(out) if as_json else out) == (report if as_json else "")


def test_a_full_disk_still_prints_the_object(
    bundle: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    for save in ("npz", "none"):
        out, line = failed(capsys, bundle, photos, "-o", tmp_path / "out", "--save", save, "--json")
        assert "no space left on the disk" in line
        report = json.loads(out)
        assert report["error"] == line.removeprefix("edgedepth: ")
        assert report["outputs"] == []
        assert report["frames"]["written"] == 0, "told before work is done for nothing"


def test_an_error_is_absent_where_there_is_none(
    bundle: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["run", str(photos), "-b", str(bundle), "-o", str(tmp_path / "out"), "--save", "npz", "--json"])
    assert (exit_.value.code or 0) == 0
    assert json.loads(capsys.readouterr().out)["error"] is None


@pytest.mark.parametrize(
    ("save", "told"), [("pgn16", "unknown output 'pgn16'"), ("", "--save names no output: ''"), (" ,", "--save none")]
)
def test_a_mistyped_output_leaves_no_folder(
    save: str,
    told: str,
    bundle: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    _, line = failed(capsys, bundle, photos, "--save", save)
    assert told in line
    assert not (tmp_path / "runs").exists()


def test_the_bar_shows_names_as_they_are(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in a terminal
    photo = tmp_path / "take [red] 2.png"
    cv2.imwrite(str(photo), np.full((20, 31, 3), 102, np.uint8))
    with pytest.raises(SystemExit):
        main(["run", str(photo), "-b", str(bundle), "--backend", "onnxruntime", "-o", str(tmp_path / "out")])
    assert "take [red] 2" in capsys.readouterr().err


def test_a_second_ctrl_c_leaves_the_report(
    bundle: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impatient(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edgedepth.runtime.streaming._Writer.finish", impatient)
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as ended:
        main(["run", str(photos), "-b", str(bundle), "--backend", "onnxruntime", "-o", str(out)])
    assert ended.value.code == 130
    report = json.loads((out / "run.json").read_text())
    assert report["interrupted"]
    assert report["error"] == "interrupted before the outputs were finished"


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send SIGTERM")
def test_sigterm_ends_a_run_as_ctrl_c_does(bundle: Path, tmp_path: Path) -> None:
    """Containers and services are stopped with it. In a process of its own, for signals are a process's."""
    photos, out = tmp_path / "many", tmp_path / "out"
    photos.mkdir()
    for number in range(400):
        cv2.imwrite(str(photos / f"{number:03d}.png"), np.full((240, 320, 3), number % 256, np.uint8))
    command = ["run", str(photos), "-b", str(bundle), "--backend", "onnxruntime", "--save", "npz", "-o", str(out)]
    with subprocess.Popen([sys.executable, "-m", "edgedepth", *command], stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not list(out.rglob("*.npz")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    report = json.loads((out / "run.json").read_text())
    assert report["interrupted"]
    assert report["error"] is None
    assert 400 > report["frames"]["written"] == len(list(out.rglob("*.npz"))) > 0
    assert "what was written is complete" in err
