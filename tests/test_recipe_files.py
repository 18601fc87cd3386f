"""Recipes of the papers: they can be read, built and overridden, and mistakes in them are one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'edgedepth[train]'")
pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric: pip install 'edgedepth[train]'")

from edgedepth.cli import main  # noqa: E402
from edgedepth.core.errors import EdgeDepthError, UnknownNameError  # noqa: E402
from edgedepth.trainers.models.registry import default_spec, resolve_options  # noqa: E402
from edgedepth.trainers.recipe_files import config_from, read_recipe, recipe_names, with_overrides  # noqa: E402
from tests.frames import write_planes  # noqa: E402


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_makes_a_run_at_the_papers_size(name: str) -> None:
    config = config_from({**read_recipe(name), "data": ("synth:x",), "out": "o"})
    resolve_options(config.network, config.options)
    assert config.size == default_spec(config.network).input_wh


def test_there_is_a_recipe_for_every_paper() -> None:
    assert {name.partition("-")[0] for name in recipe_names()} == {f"papers/{number}" for number in range(1, 6)}


def test_settings_of_the_papers() -> None:
    second, fourth = (
        config_from({**read_recipe(name), "data": ("x",), "out": "o"}) for name in ("papers/2", "papers/4")
    )
    assert (second.optimizer, second.schedule, second.lr, second.weight_decay) == ("sgd", "poly", 2.5e-4, 5e-4)
    assert (fourth.optimizer, fourth.lr, fourth.weight_decay) == ("amsgrad", 1e-4, 1e-4)


def test_overrides_reach_every_table() -> None:
    lines = ["batch=4", "size=[64, 48]", "loss.metric=berhu", "augment.flip=false", "options.backbone=small"]
    config = config_from(with_overrides({**read_recipe("papers/3"), "data": ("x",), "out": "o"}, lines))
    assert (config.batch, config.size, config.loss.metric) == (4, (64, 48), "berhu")
    assert (config.augment.flip, config.options) == (False, {"backbone": "small"})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("batch", "written KEY=VALUE"),
        ("losses.gradient=1", "written KEY=VALUE"),
        ("bach=4", "unknown setting of training 'bach'"),
        ("loss.grad=1", "unknown setting of loss 'grad'"),
        ("batch=many", "setting batch is of the wrong kind: Input should be a valid integer.*but got 'many'"),
        ("workers=1.5", "setting workers is of the wrong kind: Input should be a valid integer"),
        ("size=[64]", "setting size.1 is of the wrong kind: Field required"),
        ("augment.aspects=[1]", "setting augment.aspects.1 is of the wrong kind: Field required"),
        ("optimizer=lion", "setting optimizer is of the wrong kind: Input should be 'adamw', 'adam'"),
        ("device=gpu0", "unknown device 'gpu0'; known: auto, cpu, cuda"),
        ("augment.cutout=2", r"cutout is a share in \[0, 1\], but got 2"),
        ("loss=berhu", "loss must be a table"),
    ],
)
def test_a_mistake_is_one_line(line: str, message: str) -> None:
    with pytest.raises(EdgeDepthError, match=message):
        config_from(with_overrides({**read_recipe("papers/3"), "data": ("x",), "out": "o"}, [line]))


def test_one_data_set_may_be_text() -> None:
    assert config_from({**read_recipe("papers/3"), "data": "pairs:x", "out": "o"}).data == ("pairs:x",)


def test_an_unknown_recipe_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="known: papers/1-coarse"):
        read_recipe("papers/6")
    with pytest.raises(EdgeDepthError, match="cannot read the recipe"):
        read_recipe(str(tmp_path / "no.toml"))
    (tmp_path / "bad.toml").write_text("network = ")
    with pytest.raises(EdgeDepthError, match="is not TOML"):
        read_recipe(str(tmp_path / "bad.toml"))


def test_the_command_trains_a_recipe_with_overrides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = write_planes(tmp_path, 20)
    with pytest.raises(SystemExit) as exit:
        main(
            ["train", "papers/4", "--data", f"pairs:{pairs}", "-o", str(tmp_path / "run"), "--epochs", "1", "--threads",
             "1", "--size", "32x24", "--batch", "6", "--set", "init=null", "--option", "backbone=small", "--set",
             "accumulate=3", "--json"]
        )  # fmt: skip
    captured = capsys.readouterr()
    assert exit.value.code == 0, captured.err
    assert json.loads(captured.out)["steps"] == 1  # 18 frames in three parts of 6
    kept = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (kept["optimizer"], kept["accumulate"], kept["lr"], kept["init"]) == ("amsgrad", 3, 1e-4, None)
    assert (tmp_path / "run" / "pictures" / "epoch-0001.jpg").is_file()
