"""Long runs in short calls, and files in pieces."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch", reason="training needs PyTorch: pip install 'edgedepth[train]'")

from edgedepth.core.errors import CheckpointError, InputError
from edgedepth.trainers import loop
from edgedepth.trainers.checkpoint import load_checkpoint
from edgedepth.trainers.config import TrainConfig
from edgedepth.trainers.default import recipe as recipes
from edgedepth.trainers.default.recipe import Recipe, run_recipe
from edgedepth.trainers.default.stages import Stage
from edgedepth.trainers.pause import Deadline, Paused, pack, unpack
from edgedepth.trainers.train import train
from edgedepth.trainers.train_depth import DepthTask
from tests.frames import write_planes
from tests.stopped import stopped_at
from tests.test_cli import call
from tests.test_training import TINY


def test_files_come_back_from_their_pieces(tmp_path: Path) -> None:
    big, small = bytes(range(256)) * 10, b"small"
    (tmp_path / "state.pt").write_bytes(big)
    (tmp_path / "log.jsonl").write_bytes(small)
    pack(tmp_path, piece_bytes=1000)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "log.jsonl", "state.pt.000", "state.pt.001", "state.pt.002", "state.pt.pieces.json",
    ]  # fmt: skip
    assert max(path.stat().st_size for path in tmp_path.iterdir()) <= 1000
    unpack(tmp_path)
    assert (tmp_path / "state.pt").read_bytes() == big
    (tmp_path / "state.pt").write_bytes(small)  # the run went on: what is whole is newer than its pieces
    unpack(tmp_path)
    assert (tmp_path / "state.pt").read_bytes() == small


def test_damaged_and_missing_pieces_are_named(tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(bytes(2500))
    pack(tmp_path, piece_bytes=1000)
    (tmp_path / "state.pt.001").write_bytes(bytes(999))
    with pytest.raises(CheckpointError, match=r"pieces of .*state\.pt are not those that were written"):
        unpack(tmp_path)
    assert not (tmp_path / "state.pt").exists()
    (tmp_path / "state.pt.001").unlink()
    with pytest.raises(CheckpointError, match=r"state\.pt\.001, a piece of state\.pt, is missing"):
        unpack(tmp_path)
    (tmp_path / "state.pt.pieces.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"pieces\.json is damaged"):
        unpack(tmp_path)


def test_a_deadline_passes() -> None:
    Deadline().check()
    Deadline(1.0).check()
    passed = Deadline(1e-9)
    while passed.left_minutes > 0:  # type: ignore[operator]
        pass
    with pytest.raises(Paused):
        passed.check()


def test_a_recipe_in_short_calls_spends_its_budget_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(network="edge-low", minutes=0.06, lr=1e-3, batch=4, size=(64, 48), options=TINY)
    monkeypatch.setattr(recipes, "STAGES", {"tiny": stage})
    monkeypatch.setattr(recipes, "pack", partial(pack, piece_bytes=50_000))
    data = (f"pairs:{write_planes(tmp_path / 'pairs', 30)}",)
    recipe = Recipe(out=tmp_path / "out", data=data, threads=1, pause=0.025)
    folder = tmp_path / "out" / "tiny"
    said: list[str] = []
    calls = 0
    while not (folder / "done.json").exists():
        run_recipe(recipe, said.append)
        calls += 1
        assert calls < 20
        assert max(path.stat().st_size for path in folder.iterdir()) <= 50_000
    assert calls > 1
    assert sum("paused after 0.025 minutes" in line for line in said) == calls - 1
    seconds = [line["seconds"] for line in logged(folder)]
    assert seconds == sorted(seconds)  # one run, that went on
    run_recipe(Recipe(out=tmp_path / "out", data=data, threads=1), said.append)  # without a pause: whole again
    assert "done before" in said[-1]
    assert load_checkpoint(folder / "edge-low.safetensors").network == "edge-low"
    with pytest.raises(InputError, match="more than 0 minutes"):
        run_recipe(Recipe(out=tmp_path, data=data, pause=0))


def test_the_command_pauses_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = write_planes(tmp_path / "pairs", 30)
    options = ["--option", "widths=[8,8,16,16,16]", "--option", "depths=[0,0,0,0,0]"]
    command = (
        "train", "edge-low", "--data", f"pairs:{pairs}", "-o", tmp_path / "run", "--size", "64x48", "--batch", "4",
        "--minutes", "0.04", "--threads", "1", "--pictures", "0", *options,
    )  # fmt: skip
    code, _, said = call(capsys, *command, "--pause", "0.01")
    assert code == 0
    assert "paused after 0.01 minutes" in said
    assert (tmp_path / "run" / "state.pt").is_file()
    before = logged(tmp_path / "run")
    code, _, said = call(capsys, *command, "--resume")
    assert code == 0, said
    assert (tmp_path / "run" / "edge-low.safetensors").is_file()
    went_on = logged(tmp_path / "run")[len(before) :]
    assert went_on[0]["step"] > before[-1]["step"] > 0
    assert went_on[0]["seconds"] >= before[-1]["seconds"]  # of tenths


def test_evaluations_come_as_often_in_short_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that are shorter than the time between two evaluations would else never see one, nor lose patience."""
    clock = iter(range(10_000))
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: next(clock)))  # a step takes a second
    config = TrainConfig(
        network="edge-low", data=(f"pairs:{write_planes(tmp_path / 'pairs', 30)}",), out=tmp_path / "run",
        size=(64, 48), batch=9, epochs=6, threads=1, options=TINY, eval_seconds=6,
    )  # fmt: skip
    for step in (4, 8):
        with stopped_at(DepthTask, step):
            train(replace(config, resume=True))
    train(replace(config, resume=True))
    assert [line["step"] for line in logged(config.out, "evaluation")] == [7, 14, 18]


def test_a_pause_at_the_end_of_an_epoch_leaves_its_picture(tmp_path: Path) -> None:
    config = TrainConfig(
        network="edge-low", data=(f"pairs:{write_planes(tmp_path / 'pairs', 10)}",), out=tmp_path / "run",
        size=(64, 48), batch=9, epochs=2, threads=1, options=TINY, pictures=1,
    )  # fmt: skip
    with pytest.raises(Paused):
        train(replace(config, deadline=Deadline(1e-9)))
    assert [path.name for path in (config.out / "pictures").iterdir()] == ["epoch-0001.jpg"]


def test_a_run_in_pieces_is_resumed_and_not_begun_anew(tmp_path: Path) -> None:
    config = TrainConfig(
        network="edge-low", data=(f"pairs:{write_planes(tmp_path / 'pairs', 30)}",), out=tmp_path / "run",
        size=(64, 48), batch=4, epochs=1, threads=1, options=TINY,
    )  # fmt: skip
    steps = train(config).steps
    pack(config.out, piece_bytes=50_000)
    assert not (config.out / "state.pt").exists()
    with pytest.raises(InputError, match="holds a training run"):
        train(config)
    assert train(replace(config, epochs=2, resume=True)).steps == 2 * steps
    assert [line["step"] for line in logged(config.out)] == [1, steps + 1]  # the first of each call


def logged(folder: Path, event: str = "step") -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == event]
