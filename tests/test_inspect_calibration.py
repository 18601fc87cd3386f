"""`edgedepth inspect FILE.calibration.json`: what a calibration chose, and how another differs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from edgedepth.calibration.record import CalibrationRecord
from edgedepth.cli import main

RECORD = CalibrationRecord(
    network="small",
    graph_sha256="a" * 64,
    source="drive.mp4",
    digest="d" * 64,
    frames=36,
    method="mse",
    ranges={
        "stem": {"minmax": (-1.0, 7.0), "mse": (-1.0, 5.0)},
        "mix": {"minmax": (0.0, 4.0), "mse": (0.0, 3.0)},
    },
    scales={"stem": [1.0, 2.0]},
)


def call(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(exit_.value.code or 0), out, err


def test_ranges_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "small.calibration.json"
    RECORD.save(path)
    code, out, _ = call(capsys, "inspect", path, "--json")
    told = json.loads(out)
    assert (code, told["method"], told["frames"], told["equalised_streams"]) == (0, "mse", 36, 1)
    assert told["tensors"]["stem"] == {"range": [-1.0, 5.0], "ranges": {"minmax": [-1.0, 7.0], "mse": [-1.0, 5.0]}}
    text = call(capsys, "inspect", path)[1]
    assert "36 frames of drive.mp4" in text
    assert "-1 .. 7" in text


def test_two_files_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, other = tmp_path / "a.json", tmp_path / "b.json"
    RECORD.save(path)
    wide = {"stem": {"minmax": (-2.0, 10.0), "mse": (-2.0, 10.0)}}
    dataclasses.replace(RECORD, ranges=wide, digest="e" * 64).save(other)
    told = json.loads(call(capsys, "inspect", path, "--against", other, "--json")[1])
    assert (told["same_graph"], told["same_frames"]) == (True, False)
    assert told["tensors"]["stem"]["times_other"] == 0.5
    assert told["tensors"]["mix"]["times_other"] is None
    text = call(capsys, "inspect", path, "--against", other)[1]
    assert "the same FP32 graph, other frames" in text
    assert "0.50" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent.json"], "cannot read the calibration file absent.json"),
        (["default", "--against", "x.json"], "--against compares calibration files"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "inspect", *arguments)
    assert (code, out, len(err.strip().splitlines())) == (1, "", 1)
    assert words in err
