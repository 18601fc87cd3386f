"""The commands that fill docs/int8.md run, say what they should, and find their places in the page."""

from __future__ import annotations

import importlib
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from edgedepth import Bundle
from edgedepth.calibration.calibrate import CalibrationConfig, calibrate_bundle
from edgedepth.calibration.guard import Budget
from tests.conftest import REPOSITORY
from tests.frames import write_planes
from tests.int8_networks import INPUT_WH, int8_bundle


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(REPOSITORY / "benchmarks")
        yield importlib.import_module("int8")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"pairs:{write_planes(tmp_path_factory.mktemp('planes'), 48, size_wh=INPUT_WH)}"


@pytest.fixture(scope="module")
def calibrated(data: str, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    bundle = int8_bundle(tmp_path_factory.mktemp("bundle"))
    loose = Budget(abs_rel=0.5, delta1=0.5)
    config = CalibrationConfig(methods=("minmax",), backends=("openvino", "tensorrt"), budget=loose)
    report = calibrate_bundle(bundle.folder, data, config=config)
    record = report.bundle.manifest.networks["low"].int8["int8@tensorrt"]
    assert record.truth == "labels"  # measured depth, not FP32's answer
    assert record.abs_rel[0] > 0.01
    return report.bundle


def test_accuracy_has_a_row_per_file(script: ModuleType, calibrated: Bundle, data: str) -> None:
    rows = list(script.accuracy(calibrated, [data], limit=3))[2:]
    keys = [row.split(" | ")[3] for row in rows]
    assert keys[0] == "fp32"
    assert "int8@tensorrt" in keys
    assert all(row.startswith("| pairs.json | small | 3 |") for row in rows)
    assert "| +0.0 % | yes |" in rows[0]


def test_recipes_and_forms_are_tried_one_by_one(script: ModuleType, calibrated: Bundle, data: str) -> None:
    recipes = [row.split(" | ")[2] for row in list(script.recipes(calibrated, [data], 2, data))[2:]]
    assert recipes[:4] == ["minmax", "percentile", "entropy", "mse"]
    assert "minmax + equalisation + bias correction" in recipes
    assert sum(recipe.endswith(", weights only") for recipe in recipes) == 1
    forms = list(script.forms(calibrated, [data], 2, threads=1, rounds=2))[2:]
    assert [row.split(" | ")[1] for row in forms][:3] == ["FP32", "chosen form", "signed activations"]
    assert len({row.split(" | ")[4] for row in forms}) > 3  # the choices differ


def test_speed_compares_with_fp32(script: ModuleType, calibrated: Bundle) -> None:
    rows = list(script.speed(calibrated, threads=1, rounds=2))[2:]
    assert rows[0].startswith("| small | openvino | fp32 |")
    assert rows[0].endswith("| 1.00 |")


def test_ranges_are_compared_with_onnxruntime(script: ModuleType, calibrated: Bundle, data: str) -> None:
    rows = list(script.calibrators(calibrated, data, None, count=32))[2:]
    assert rows[0].startswith("| onnxruntime minmax | 5 of 5 | 1.000 |")
    assert len(rows) == 3


def test_every_table_has_its_place_in_the_page(script: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "int8.md"
    page.write_text((REPOSITORY / "docs" / "int8.md").read_text())
    for name in script.TABLES:
        script.write_section(page, name, [f"new {name}"])
        assert f"<!-- {name} -->\nnew {name}\n<!-- /{name} -->" in page.read_text()
    with pytest.raises(ValueError, match="needs the marks"):
        script.write_section(page, "unknown", [])


def test_finished_tables_are_kept(script: ModuleType, calibrated: Bundle, tmp_path: Path) -> None:
    made: list[int] = []

    def make(given: Namespace) -> Iterator[str]:
        made.append(given.rounds)
        yield from ("| a |", f"| {given.rounds} |")

    def lines(rounds: int, bundle: Path = calibrated.folder) -> list[str]:
        given = Namespace(keep=tmp_path / "kept", bundle=bundle, rounds=rounds)
        return list(script.lines_of("speed", given))

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(script.TABLES, "speed", script.Table(make, ("rounds",)))
        assert lines(2) == lines(2) == ["| a |", "| 2 |"]
        assert made == [2]
        assert lines(3)[1] == "| 3 |"
        lines(2, int8_bundle(tmp_path / "other", seed=1).folder)
        assert made == [2, 3, 2]
