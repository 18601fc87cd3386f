"""Tables of the papers: their data, their comparison, and the command at a budget that only shows that it runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'edgedepth[train]'")
pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric: pip install 'edgedepth[train]'")

from edgedepth.core.errors import InputError, UnknownNameError  # noqa: E402
from edgedepth.core.metrics import METRICS  # noqa: E402
from edgedepth.core.routing import Route  # noqa: E402
from edgedepth.trainers.models.registry import resolve_options  # noqa: E402
from edgedepth.trainers.papers import reproduce as module  # noqa: E402
from edgedepth.trainers.papers import runs as table_runs  # noqa: E402
from edgedepth.trainers.papers.comparison import Comparison, larger_is_better  # noqa: E402
from edgedepth.trainers.papers.reproduce import ReproduceConfig, reproduce  # noqa: E402
from edgedepth.trainers.papers.tables import TABLES, PaperTable, table_named  # noqa: E402
from tests.test_train_region import write_labelled  # noqa: E402


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_tables_are_whole(table: PaperTable) -> None:
    labels = [row.label for row in table.rows]
    assert len(set(labels)) == len(labels)
    assert table.reference in labels
    assert {name for row in table.rows for name in row.trainings} == set(table.trainings)
    assert {metric.removeprefix("near_").removeprefix("far_") for metric in table.metrics} <= set(METRICS)
    for better, worse in table.claims:
        assert {better, worse} <= set(labels)
    for row in table.rows:
        training = table.trainings[row.training]
        for reduced in ({}, table.small if training.small else {}):
            resolve_options(training.network, {**training.options, **reduced, **row.answer})


def test_an_unknown_table_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="papers/1:table6"):
        table_named("papers/1:table66")


def test_order_and_ratios_against_the_paper() -> None:
    table = table_named("papers/1:table7")
    none, encoding, rgb, both = (row.label for row in table.rows)
    figures = {none: 0.40, encoding: 0.30, rgb: 0.28, both: 0.20}  # the paper has rgb behind encoding
    comparison = Comparison(table, {label: [{"abs_rel": v, "rmse": v}] for label, v in figures.items()})
    order = comparison.order("abs_rel")
    assert (order.pairs, order.alike) == (6, 5)
    assert comparison.ratio(none, "abs_rel") == pytest.approx(2.0)
    assert comparison.paper_ratio(table.rows[0], "abs_rel") == pytest.approx(0.126 / 0.113)
    text = comparison.markdown()
    assert "| upproj, no skips | 0.126 | 0.400 | 1.12 / 2.00 |" in text
    assert "- abs_rel: 5 of 6 pairs of rows in the paper's order." in text


def test_seeds_tell_which_rows_are_apart() -> None:
    table = table_named("papers/2:sid-ud")
    rows = {"SID": [0.30, 0.34], "UD": [0.33, 0.37]}
    seeds = {label: [dict.fromkeys(table.metrics, value) for value in values] for label, values in rows.items()}
    order = Comparison(table, seeds).order("abs_rel")
    assert (order.pairs, order.alike, order.apart) == (1, 1, 0)  # said in words; the difference is what seeds make
    assert "0.320 ± 0.020" in Comparison(table, seeds).markdown()


def world(folder: Path) -> str:
    """Labelled frames in the form of a rendered world, all splits."""
    pairs = write_labelled(folder, 20)
    records = json.loads(pairs.read_text())
    for number, record in enumerate(records):
        record["split"] = ("train", "train", "train", "val", "test")[number % 5]
    pairs.write_text(json.dumps(records))
    (folder / "dataset.json").write_text("{}")
    return f"synth:{folder}"


@pytest.mark.parametrize("name", ["papers/4:table3", "papers/5:table3"])
def test_a_table_runs_row_by_row_and_goes_on(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # of papers/5 the rows without stages, two of them guided by what the data know
    table = table_named(name)
    rows = tuple(row for row in table.rows if row.training != "staged")
    monkeypatch.setattr(module, "table_named", lambda _: replace(table, rows=rows))
    folder = tmp_path / "world"
    folder.mkdir()
    config = ReproduceConfig(
        table=name, out=tmp_path / "out", data=(world(folder),), steps=1, size=(16, 12), test_images=2, threads=1
    )
    said: list[str] = []

    def stop(line: str) -> None:
        said.append(line)
        if len(said) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reproduce(config, stop)
    done = json.loads((config.out / "results.json").read_text())
    assert len(done["rows"]) == 2
    trained: list[str] = []
    whole = reproduce(config, trained.append)
    assert len(trained) == len(whole.table.rows) - 2
    assert all(np.isfinite(whole.mean(row.label, "rmse")) for row in whole.table.rows)
    results = json.loads((config.out / "results.json").read_text())
    assert results["budget"]["steps"] == 1
    assert [row["seeds"] for row in results["rows"][:2]] == [row["seeds"] for row in done["rows"]]
    assert "steps 1" in (config.out / "results.md").read_text()
    monkeypatch.setattr(table_runs, "train", None)  # nothing is trained again
    reproduce(config, trained.append)
    with pytest.raises(InputError, match="of another budget or table"):
        reproduce(replace(config, steps=2))


def test_columns_of_one_range_are_ordered_as_their_metric() -> None:
    assert larger_is_better("delta1")
    assert larger_is_better("far_delta1")
    assert not larger_is_better("near_rmse")


def two_worlds(folder: Path) -> tuple[str, str]:
    """Near and far frames of every split, in two folders; one far frame of the training split is all near."""
    names = []
    for side, scale in (("indoor", 1000.0), ("outdoor", 100.0)):
        folder.joinpath(side).mkdir(parents=True)
        names.append(world(folder / side))
        pairs = folder / side / "pairs.json"
        records = json.loads(pairs.read_text())
        for number, record in enumerate(records):
            record |= {"domain": side, "depth_scale": 1000.0 if number == 1 else scale, "category": "kitchen"}
        pairs.write_text(json.dumps(records))
    return names[0], names[1]


def test_the_two_stage_framework_is_repeated_with_either_router(tmp_path: Path) -> None:
    data = two_worlds(tmp_path)
    config = ReproduceConfig(
        table="papers/1:table9", out=tmp_path / "out", data=data, steps=1, size=(32, 24), test_images=2, threads=1
    )
    said: list[str] = []
    comparison = reproduce(config, said.append)
    assert [row.label for row in comparison.rows] == [row.label for row in comparison.table.rows]
    rows = json.loads((config.out / "results.json").read_text())["rows"]
    figures = {row["label"]: row["seeds"][0] for row in rows}
    for own in figures.values():
        assert np.isfinite([own[metric] for metric in comparison.table.metrics]).all()
        assert {f"mean_map_{metric}" for metric in comparison.table.metrics} <= set(own)
    sigma = json.loads((config.out / "sigma-seed0.json").read_text())
    assert sigma["sigma_m"] > 0
    images = {name: _finished(config, name)["images"] for name in ("low", "high", "coarse", "scene", "mixed")}
    assert images == {"low": 12, "high": 12, "coarse": 24, "scene": 24, "mixed": 13}
    # a network that answers both ranges routes nothing; the others say how many frames went right
    assert "near_routed_right" not in figures["cde only"]
    assert 0 <= figures["Ours-sc"]["far_routed_right"] <= 1
    # after one step the coarse network still answers about the middle of its range, 5 m: below 10 m, everything is near
    for row in ("R1: sigma = 10 m", "R2: sigma = 10 m, low retrained"):
        assert (figures[row]["near_routed_right"], figures[row]["far_routed_right"]) == (1.0, 0.0)


def _finished(config: ReproduceConfig, name: str) -> dict[str, int]:
    found: dict[str, int] = json.loads((config.out / name / "seed0" / "finished.json").read_text())
    return found


def test_frames_of_one_range_come_out_of_all_data_sets(tmp_path: Path) -> None:
    data = two_worlds(tmp_path)
    config = ReproduceConfig(table="papers/1:table9", out=tmp_path / "out", data=(*data, data[0]))
    runs = table_runs.TableRuns(table_named(config.table), config, config.data, 0)
    near, far = (len(runs._samples("test", route)) for route in (Route.LOW, Route.HIGH))
    assert near == 2 * far > 0


def test_a_table_of_two_worlds_needs_both(tmp_path: Path) -> None:
    config = ReproduceConfig(table="papers/1:table9", out=tmp_path, data=("synth:indoor",))
    with pytest.raises(
        InputError, match="needs a data set of each of its worlds, indoor and street, but got synth:indoor"
    ):
        reproduce(config)


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        reproduce(ReproduceConfig(table="papers/4:table3", out=tmp_path, data=("synth:nowhere",)))


def test_trainings_of_another_budget_are_not_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the first row, which may need several, was not finished."""
    (tmp_path / "world").mkdir()
    config = ReproduceConfig(
        table="papers/4:table3", out=tmp_path / "out", data=(world(tmp_path / "world"),), steps=1, test_images=2
    )

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(table_runs.TableRuns, "figures", stop)
    with pytest.raises(KeyboardInterrupt):
        reproduce(config)
    with pytest.raises(InputError, match="of another budget or table; choose another folder"):
        reproduce(replace(config, steps=2))
    with pytest.raises(KeyboardInterrupt):
        reproduce(config)
