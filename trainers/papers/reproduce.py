"""Train the rows of a paper's ablation table at small scale and hold them against the paper's figures.

Every run has the same budget of steps on the procedural world. A stopped run of the command goes on at the row, and the
step, where it was. What comes out is a comparison at that budget, which the report names: it may disagree.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedepth.core.errors import InputError, require
from edgedepth.core.files import write_atomic
from edgedepth.trainers.papers.comparison import Comparison, Figures
from edgedepth.trainers.papers.runs import TableRuns
from edgedepth.trainers.papers.tables import PaperTable, World, table_named

Say = Callable[[str], None]
_VIEWS_PER_SCENE = 3
_RENDERED_WH: Mapping[World, tuple[int, int]] = {"indoor": (160, 120), "street": (224, 128)}


@dataclass(frozen=True, kw_only=True)
class ReproduceConfig:
    """What to repeat, and with how much.

    data: `synth:DIR` to train and test on, one for each of the table's worlds; none renders `images` views of each
        below `out`.
    steps: training steps of each run; seeds: how many runs of each.
    size: (width, height) of the networks, None for the table's own; full: the paper's networks instead of reduced
        ones. test_images: of the test split.
    """

    table: str
    out: Path
    data: tuple[str, ...] = ()
    images: int = 600
    steps: int = 200
    seeds: int = 1
    size: tuple[int, int] | None = None
    full: bool = False
    test_images: int = 100
    lr: float = 2e-3
    threads: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        for name in ("images", "steps", "seeds", "test_images", "lr"):
            if getattr(self, name) <= 0:
                raise InputError(f"{name} must be positive, but got {getattr(self, name)}")


def reproduce(config: ReproduceConfig, say: Say = print) -> Comparison:
    """Train and test every row that is not done yet; writes `results.json` and `results.md` into `config.out`.

    Raises:
        UnknownNameError: there is no such table.
        InputError: the folder holds results of another budget, or the data are no good.
        OutputError: the folder cannot be written.
    """
    table = table_named(config.table)
    budget = _budget(table, config)
    seeds = _earlier(config.out / "results.json", budget)
    data = config.data or tuple(_render(world, config, say) for world in table.worlds)
    if len(data) != len(table.worlds):
        raise InputError(
            f"{table.name} needs a data set of each of its worlds, {' and '.join(table.worlds)}, but got"
            f" {', '.join(data)}; give --data {len(table.worlds)} times"
        )
    _write(config.out, budget, Comparison(table, {k: v for k, v in seeds.items() if v}))  # what trainings are of
    for seed in range(config.seeds):
        runs = TableRuns(table, config, data, seed)
        for row in table.rows:
            done = seeds.setdefault(row.label, [])
            if len(done) > seed:
                continue
            say(f"{table.name}, seed {seed}: {row.label}")
            done.append(runs.figures(row))
            _write(config.out, budget, Comparison(table, {k: v for k, v in seeds.items() if v}))
    return Comparison(table, seeds)


def _budget(table: PaperTable, config: ReproduceConfig) -> dict[str, Any]:
    """What figures depend on; the number of seeds is not among it, so that more can be added."""
    return {
        "table": table.name,
        "data": ", ".join(config.data) or f"{config.images} rendered views",
        "steps": config.steps,
        "batch": table.batch,
        "size": list(config.size or table.wh),
        "networks": "full" if config.full else dict(table.small),
        "lr": config.lr,
        "test_images": config.test_images,
    }


def _earlier(results: Path, budget: dict[str, Any]) -> dict[str, list[Figures]]:
    if not results.is_file():
        return {}
    try:
        found = json.loads(results.read_text())
        same, rows = found["budget"] == budget, {row["label"]: list(row["seeds"]) for row in found["rows"]}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{results} is damaged ({error!r}); delete it, trained rows are kept") from None
    if not same:
        raise InputError(f"{results} is of another budget or table; choose another folder with --out")
    return rows


def _write(out: Path, budget: dict[str, Any], comparison: Comparison) -> None:
    write_atomic(out / "results.json", json.dumps({"budget": budget, **comparison.as_json()}, indent=1))
    said = ", ".join(f"{name} {value}" for name, value in budget.items() if name != "table")
    title = f"# {comparison.table.name}: {comparison.table.title}"
    write_atomic(out / "results.md", f"{title}\n\nBudget: {said}.\n\n{comparison.markdown()}")


def _render(world: World, config: ReproduceConfig, say: Say) -> str:
    require("warp", extra="world")
    from edgedepth.world.synth import SynthConfig, write_dataset

    folder = config.out / "data" / world
    say(f"rendering {config.images} views into {folder}")
    write_dataset(
        SynthConfig(
            out=folder,
            world=world,
            count=config.images,
            wh=_RENDERED_WH[world],
            seed=1,
            views_per_scene=_VIEWS_PER_SCENE,
        )
    )
    return f"synth:{folder}"
