"""The coarse router's threshold on hand-made distributions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgedepth.core.bundle import Bundle
from edgedepth.core.errors import InputError
from edgedepth.core.manifest import Router
from edgedepth.core.routing import CoarseRule
from edgedepth.evaluation.sigma import choose_sigma
from tests.bundles import LOW_SPEC, depth_network, write_bundle
from tests.networks import routed_bundle
from tests.test_cli import call, failure


def _far(flags: str) -> np.ndarray:
    return np.array([flag == "f" for flag in flags])


def test_separable_frames_get_the_middle_of_the_gap() -> None:
    choice = choose_sigma(np.array([2.0, 4.0, 9.0, 30.0]), _far("nnff"))
    assert choice.sigma_m == pytest.approx(6.0)  # sqrt(4 * 9)
    assert (choice.accuracy, choice.wrong_low, choice.wrong_high) == (1.0, 0, 0)
    assert choice.margin == pytest.approx(9 / 4)


def test_overlap_costs_the_fewest_frames() -> None:
    # one far frame below the near ones: cutting at 5..20 loses only that one
    choice = choose_sigma(np.array([1.0, 2.0, 5.0, 20.0, 40.0]), _far("fnnff"))
    assert choice.sigma_m == pytest.approx(10.0)
    assert (choice.accuracy, choice.wrong_low, choice.wrong_high) == (0.8, 0, 1)


def test_equal_depths_are_not_cut_apart() -> None:
    choice = choose_sigma(np.array([3.0, 3.0, 3.0, 8.0]), _far("nfnf"))
    assert 3.0 < choice.sigma_m < 8.0
    assert choice.wrong_high == 1


def test_one_range_alone_is_refused() -> None:
    with pytest.raises(InputError, match="both ranges"):
        choose_sigma(np.array([1.0, 2.0]), _far("nn"))


def _coarse_bundle(folder: Path) -> Path:
    """A bundle with a coarse router, made of the files of one with a scene router."""
    scene = routed_bundle(folder / "scene").folder
    files = {name: (scene / name).read_bytes() for name in ("low.onnx", "high.onnx", "scene.onnx")}
    (folder / "b").mkdir()
    (folder / "b" / "low.onnx").write_bytes(files["low.onnx"])
    router = Router(rule=CoarseRule(sigma_m=5.0), coarse=depth_network(folder / "b", "low.onnx", LOW_SPEC))
    return write_bundle(folder / "b", files, router=router).folder


def test_the_command_sets_a_threshold_that_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle, scene = _coarse_bundle(tmp_path), tmp_path / "scene"
    code, printed, said = call(capsys, "sigma", bundle, "--set", "10", "--json")
    assert code == 0, said
    assert json.loads(printed) == {"sigma_m": 10.0, "written": True}
    assert Bundle.load(bundle).manifest.router.rule == CoarseRule(sigma_m=10.0)
    assert "must be a positive number of metres, but got 0" in failure(capsys, "sigma", bundle, "--set", "0")
    assert "give one of them" in failure(capsys, "sigma", bundle)
    assert "has a scene router" in failure(capsys, "sigma", scene, "--set", "10")


def test_the_command_chooses_from_a_near_and_a_far_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = _coarse_bundle(tmp_path)
    sets = []
    for domain, brightness in (("indoor", 40), ("outdoor", 200)):
        folder = tmp_path / domain
        folder.mkdir()
        cv2.imwrite(str(folder / "rgb.png"), np.full((48, 64, 3), brightness, np.uint8))
        cv2.imwrite(str(folder / "depth.png"), np.full((48, 64), 2000, np.uint16))
        record = {"rgb": "rgb.png", "depth": "depth.png", "depth_scale": 1000.0, "domain": domain, "split": "val"}
        (folder / "pairs.json").write_text(json.dumps([record]))
        sets += ["--data", f"pairs:{folder / 'pairs.json'}"]
    arguments = ("sigma", bundle, "--backend", "onnxruntime", "--write", "--json")
    code, printed, said = call(capsys, *arguments, *sets)
    assert code == 0, said
    chosen = json.loads(printed)
    assert (chosen["images"], chosen["written"]) == (2, True)
    assert Bundle.load(bundle).manifest.router.rule == CoarseRule(sigma_m=chosen["sigma_m"])
    assert "both ranges, but got 0 far of 1" in failure(capsys, *arguments, *sets[:2])
    shutil.make_archive(str(tmp_path / "zipped"), "zip", bundle)
    assert "is not changed in place" in failure(capsys, "sigma", tmp_path / "zipped.zip", "--set", "7")
    code, _, said = call(capsys, "sigma", tmp_path / "zipped.zip", "--set", "7", "-o", tmp_path / "changed")
    assert code == 0, said
    assert Bundle.load(tmp_path / "changed").manifest.router.rule == CoarseRule(sigma_m=7.0)
    without_write = ("sigma", bundle, "--backend", "onnxruntime", "--json", "-o", tmp_path / "chosen")
    code, printed, said = call(capsys, *without_write, *sets)
    assert code == 0, said
    assert json.loads(printed)["written"]
    assert Bundle.load(tmp_path / "chosen").manifest.router.rule == CoarseRule(sigma_m=chosen["sigma_m"])
    assert "must be a positive number" in failure(capsys, "sigma", bundle, "--set", "-1", "-o", tmp_path / "none")
    assert not (tmp_path / "none").exists()
