"""The commands that put the papers' tables into the page: figures, ratios, and what beats the mean depth map."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("torch", reason="the papers' networks need PyTorch: pip install 'edgedepth[train]'")

from edgedepth.trainers import create_network
from tests.conftest import REPOSITORY
from tests.test_tensorrt_benchmarks import script


@pytest.fixture
def refinement(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    return script("refinement_cost")


def test_costs_stand_beside_the_papers(refinement: ModuleType) -> None:
    rside, drnet = (
        refinement.Cost(seconds=s, net_bytes=2_000_000, image_bytes=b * 10**6, device="cpu")
        for s, b in ((3.0, 900), (0.25, 100))
    )
    lines = list(
        refinement.table({"resnet50": {"rside": rside, "drnet": drnet}, "resnet152": {"rside": rside, "drnet": drnet}})
    )
    assert "| `drnet` | resnet50 | 4.00 | 36 | 2 | 100 | 2 |" in lines
    assert "| `rside` | resnet152 | 0.33 | - | 2 | 900 | - |" in lines
    assert "| resnet50 | 12.0 | 18.0 | 9.0 | 10.5 |" in lines
    assert "| resnet152 | 12.0 | - | 9.0 | - |" in lines


def test_costs_are_measured(
    refinement: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- refinement-cost -->\nold\n<!-- /refinement-cost -->\nafter\n")
    monkeypatch.setattr(refinement, "WH", (64, 48))
    monkeypatch.setattr(refinement, "_network", lambda name, _: create_network(name, backbone="small").eval())
    # in this process, whose memory is used already: a new one for every figure would import PyTorch three times
    monkeypatch.setattr(refinement, "_reset_peak", lambda: 0)
    monkeypatch.setattr(refinement, "_peak", lambda: 5_000_000)
    monkeypatch.setattr(
        refinement,
        "_in_process",
        lambda what, *rest: (
            refinement.measure_times(rest[0], int(rest[1])) if what == "times" else refinement.measure_memory(*rest)
        ),
    )
    refinement.main(["--only", "resnet50", "--rounds", "1", "--write", str(page)])
    printed = capsys.readouterr().out
    found = page.read_text()
    assert found.startswith("before\n<!-- refinement-cost -->\n| network |")
    assert "old" not in found
    rows = [line.split("|") for line in printed.splitlines() if line.startswith("| `")]
    assert [row[1].strip() for row in rows] == ["`rside`", "`drnet`"]
    assert all(row[6].strip() == "5" for row in rows)
    assert all(float(row[3]) > 0 for row in rows)


@contextmanager
def fresh_pages(size: int) -> Iterator[None]:
    """So many more bytes in use, taken from the system: malloc may hand out what the process still holds."""
    with mmap.mmap(-1, size) as pages:
        pages[:: mmap.PAGESIZE] = b"\1" * len(range(0, size, mmap.PAGESIZE))
        yield


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the resident set is read from Linux's /proc")
def test_the_peak_of_memory_begins_anew(refinement: ModuleType) -> None:
    with fresh_pages(160_000_000):
        pass
    before = refinement._reset_peak()
    assert refinement._peak() - before < 20e6
    with fresh_pages(80_000_000):
        assert 75e6 < refinement._peak() - before < 100e6


def test_tables_say_what_beats_the_mean_map(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    module = script("paper_tables")
    rows = [
        {"label": "SID", "seeds": [{"abs_rel": 0.3, "rmse_log": 0.4, "rmse": 9.0}]},
        {"label": "UD", "seeds": [{"abs_rel": 0.6, "rmse_log": 0.6, "rmse": 8.0}]},
    ]
    for row in rows:
        row["seeds"][0] |= {"mean_map_abs_rel": 0.5, "mean_map_rmse_log": 0.5, "mean_map_rmse": 7.0}
    budget = {"table": "papers/2:sid-ud", "steps": 9, "batch": 8, "size": [112, 64], "networks": {"backbone": "small"}}
    (tmp_path / "results.json").write_text(json.dumps({"budget": {**budget, "test_images": 5}, "rows": rows}))
    page = tmp_path / "page.md"
    page.write_text("<!-- papers/2:sid-ud -->\n<!-- /papers/2:sid-ud -->\n")
    module.main([str(tmp_path), "--write", str(page)])
    found = page.read_text().splitlines()
    assert found[1] == "9 steps of 8 frames at 112x64, networks: backbone=small; 5 test frames of each world, 1 seed."
    assert "| UD | - | 0.600 | - / 2.00 | - | 0.600 | - / 1.50 | - | 8.000 | - / 0.89 |" in found
    assert "- abs_rel: 1 of 2 rows better than the mean depth map." in found
    assert "- rmse: 0 of 2 rows better than the mean depth map." in found
    assert found[2:-1] == capsys.readouterr().out.splitlines()[3:-1]
