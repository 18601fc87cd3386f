"""`edgedepth train`: options of the network and named losses reach the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgedepth.cli import build_app
from edgedepth.cli.train import _options
from edgedepth.core.errors import InputError
from edgedepth.trainers.start import prepare_folder

pytest.importorskip("torch", reason="training needs PyTorch: pip install 'edgedepth[train]'")
pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric: pip install 'edgedepth[train]'")


def test_values_are_json_where_they_can_be() -> None:
    pairs = ["stack=shg", "stack_at=4", "diagonal=false", "width=0.5", "widths=[8, 16]", "name=a=b"]
    assert _options(pairs) == {
        "stack": "shg", "stack_at": 4, "diagonal": False, "width": 0.5, "widths": [8, 16], "name": "a=b",
    }  # fmt: skip
    for wrong in ("stack", "=shg"):
        with pytest.raises(InputError, match="is written NAME=VALUE"):
            _options([wrong])


@pytest.mark.parametrize(
    ("loss", "hard", "metric"), [(None, False, None), ("hard", True, None), ("berhu", False, "berhu")]
)
def test_options_and_losses_reach_the_run(
    monkeypatch: pytest.MonkeyPatch, loss: str | None, hard: bool, metric: str | None
) -> None:
    import edgedepth.trainers.train as module

    seen: list[Any] = []

    def run(config: Any) -> None:
        seen.append(config)
        raise InputError("enough")

    monkeypatch.setattr(module, "train", run)
    arguments = ["train", "hqmd", "--data", "pairs:x.json", "--init", "imagenet", "--option", "decoder=baseline"]
    CliRunner().invoke(build_app(), arguments + ([] if loss is None else ["--loss", loss]))
    (config,) = seen
    assert config.options == {"decoder": "baseline"}
    assert config.init == "imagenet"
    assert (config.loss.hard, config.loss.metric) == (hard, metric)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What `edgedepth train` would run."""
    import edgedepth.trainers.train as module

    configs: list[Any] = []

    def run(config: Any) -> None:
        configs.append(config)
        raise InputError("enough")

    monkeypatch.setattr(module, "train", run)
    return configs


def test_a_recipe_keeps_what_the_command_does_not_say(seen: list[Any], tmp_path: Path) -> None:
    lines = ['network = "drnet"', 'data = ["synth:x"]', "seed = 7", "workers = 2", 'device = "cpu"', 'out = "mine"']
    (tmp_path / "my.toml").write_text("\n".join([*lines, "tensorboard = true", "resume = true", "epochs = 3"]))
    CliRunner().invoke(build_app(), ["train", str(tmp_path / "my.toml")])
    CliRunner().invoke(build_app(), ["train", str(tmp_path / "my.toml"), "--seed", "0", "--out", "there"])
    recipe, changed = seen
    assert (recipe.seed, recipe.workers, recipe.device, recipe.out) == (7, 2, "cpu", Path("mine"))
    assert (recipe.tensorboard, recipe.resume, recipe.epochs, recipe.data) == (True, True, 3, ("synth:x",))
    assert (changed.seed, changed.workers, changed.out) == (0, 2, Path("there"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["default", "--minutes", "10"], "--minutes has no use here"),
        (["default", "--device", "cpu"], "--device has no use here"),
        (["edge-low", "--data", "synth:x", "--stage", "low"], "--stage has no use here"),
        (["edge-low", "--data", "synth:x", "--scale", "0.5"], "--scale has no use here"),
        (["edge-low"], "training needs data"),
    ],
)
def test_options_that_would_be_ignored_are_refused(seen: list[Any], arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(build_app(), ["train", *arguments])
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert not seen


def test_a_resumed_run_keeps_the_settings_that_are_not_said_again(seen: list[Any], tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = ["train", "edge-low", "--data", "synth:x", "-o", str(out), "--batch", "4", "--lr", "1e-4", "--epochs", "3"]
    CliRunner().invoke(build_app(), [*first, "--size", "96x64", "--set", "loss.gradient=0.3", "--option", "half=false"])
    (begun,) = seen
    prepare_folder(begun)
    CliRunner().invoke(build_app(), ["train", "edge-low", "-o", str(out), "--resume"])
    assert seen[1] == replace(begun, resume=True, deadline=seen[1].deadline)
    more = ["--lr", "5e-5", "--minutes", "7", "--set", "loss.relative=1", "--set", "augment.cutout=0"]
    CliRunner().invoke(build_app(), ["train", "edge-low", "-o", str(out), "--resume", *more])
    assert seen[2] == replace(
        begun,
        resume=True,
        deadline=seen[2].deadline,
        lr=5e-5,
        minutes=7,
        epochs=None,
        loss=replace(begun.loss, relative=1),
        augment=replace(begun.augment, cutout=0),
    )
    result = CliRunner().invoke(build_app(), ["train", "edge-high", "-o", str(out), "--resume"])
    assert "holds a run of edge-low, but edge-high is to be resumed" in str(result.exception)
    (out / "config.json").write_text("[")
    result = CliRunner().invoke(build_app(), ["train", "edge-low", "-o", str(out), "--resume"])
    assert "cannot read" in str(result.exception)


def test_a_run_that_has_not_begun_is_resumed_as_it_is_called(seen: list[Any], tmp_path: Path) -> None:
    CliRunner().invoke(build_app(), ["train", "edge-low", "--data", "synth:x", "-o", str(tmp_path / "no"), "--resume"])
    assert seen[0].data == ("synth:x",)


def test_a_resumed_recipe_keeps_what_the_first_call_said_over_it(seen: list[Any], tmp_path: Path) -> None:
    out = tmp_path / "run"
    CliRunner().invoke(build_app(), ["train", "papers/4", "--data", "nyu:x", "-o", str(out), "--batch", "3"])
    (begun,) = seen
    prepare_folder(begun)
    CliRunner().invoke(build_app(), ["train", "papers/4", "-o", str(out), "--resume", "--option", "diagonal=false"])
    options = {**begun.options, "diagonal": False}
    assert seen[1] == replace(begun, resume=True, options=options, deadline=seen[1].deadline)
