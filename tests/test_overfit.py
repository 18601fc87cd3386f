"""The command that has networks learn eight images by heart, on the families that no test of a network covers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'edgedepth[train]'")
pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric: pip install 'edgedepth[train]'")

from edgedepth.core.errors import UnknownNameError  # noqa: E402
from edgedepth.trainers.models.registry import network_names  # noqa: E402
from edgedepth.trainers.overfit import CASES, LIMIT, main, overfit  # noqa: E402


def test_every_depth_network_has_a_case() -> None:
    assert set(CASES) == set(network_names())
    assert all(case.network == name for name, case in CASES.items())


@pytest.mark.parametrize("name", ["edge-low", "ds-sidenet-low"])
def test_eight_images_are_learned_by_heart(name: str) -> None:
    assert overfit(name, threads=1) < LIMIT


def test_the_command_says_what_did_not_learn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("edgedepth.trainers.overfit.overfit", lambda name, data, threads: {"rsn": 0.2}.get(name, 0.01))
    assert main(["drnet"]) == 0
    assert main(["drnet", "rsn"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "rsn              abs_rel 0.2000  not below 0.05"


def test_an_unknown_case_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="known: ds-sidenet-low"):
        overfit("nothing")
