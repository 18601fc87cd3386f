"""Timing a bundle: every setup on every route, setups that do not run are told, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgedepth.cli import main
from edgedepth.core.bundle import Bundle
from edgedepth.core.errors import BackendError, InputError
from edgedepth.core.routing import Route
from edgedepth.runtime.bench import Setup, bench, setups_of
from tests.networks import routed_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return routed_bundle(tmp_path_factory.mktemp("bundle") / "b")


def test_every_route_is_timed_in_every_way_that_runs(bundle: Bundle) -> None:
    setups = [Setup("onnxruntime", "fp32"), Setup("onnxruntime", "int8")]
    report = bench(bundle, setups, frame_wh=(64, 48), rounds=4, threads=1)
    assert [row.route for row in report.rows] == [Route.LOW, Route.HIGH]
    for row in report.rows:
        assert row.speedup == 1.0  # the first setup against itself
        assert 0 < row.infer_ms["p50"] < row.frame_ms["p50"] <= row.frame_ms["p99"]
        assert row.route_ms > 0
        assert row.fps == pytest.approx(1e3 / row.frame_ms["p50"])
    assert list(report.skipped) == [Setup("onnxruntime", "int8")]
    assert "int8" in report.skipped[Setup("onnxruntime", "int8")]


def test_without_names_all_that_is_here_is_timed(bundle: Bundle) -> None:
    setups = setups_of(bundle)
    assert Setup("onnxruntime", "fp32") in setups
    assert {setup.precision for setup in setups if setup.backend != "openvino"} == {"fp32"}
    assert [setup.precision for setup in setups if setup.backend == "openvino"] == ["fp32", "bf16"], (
        "computed of one file"
    )
    assert setups_of(bundle, ["tensorrt"], ["fp16", "int8"]) == [Setup("tensorrt", "fp16"), Setup("tensorrt", "int8")]


def test_nothing_to_time_is_an_error(bundle: Bundle) -> None:
    with pytest.raises(BackendError, match="nothing to time: onnxruntime int8: "):
        bench(bundle, [Setup("onnxruntime", "int8")], rounds=1)
    with pytest.raises(InputError, match="rounds must be positive"):
        bench(bundle, [Setup("onnxruntime", "fp32")], rounds=0)


def test_the_command(bundle: Bundle, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    call = ["bench", str(bundle.folder), "--backend", "onnxruntime", "--frame", "64x48", "--rounds", "2", "--threads"]
    with pytest.raises(SystemExit) as ended:
        main([*call, "1", "--json"])
    assert ended.value.code == 0
    report = json.loads(capsys.readouterr().out)
    assert [(row["route"], row["backend"]) for row in report["rows"]] == [
        ("low", "onnxruntime"),
        ("high", "onnxruntime"),
    ]
    assert report["frame_wh"] == [64, 48]
    with pytest.raises(SystemExit):
        main([*call, "1"])
    assert "onnxruntime" in capsys.readouterr().out
