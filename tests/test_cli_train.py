"""`edgedepth train`: options of the network and named losses reach the run."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from edgedepth.cli import build_app
from edgedepth.cli.train import _options
from edgedepth.core.errors import InputError

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
