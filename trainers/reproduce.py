"""Train the rows of a paper's ablation table at small scale and hold them against the paper's figures.

Every run has the same budget of steps on the procedural world. A stopped run of the command goes on at the row, and the
step, where it was. What comes out is a comparison at that budget, which the report names: it may disagree.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edgedepth.core.errors import InputError, require
from edgedepth.core.files import write_atomic
from edgedepth.datasets import open_dataset
from edgedepth.evaluation import evaluate_samples, protocol_named
from edgedepth.trainers.comparison import MEAN_MAP, Comparison, Figures
from edgedepth.trainers.config import AugmentConfig, TrainConfig
from edgedepth.trainers.paper_tables import PaperTable, Row, Training, table_named
from edgedepth.trainers.predictor import baselines_beside, predictor_of
from edgedepth.trainers.splits import route_of, serves, training_split
from edgedepth.trainers.train import train
from edgedepth.trainers.train_depth import train_depth

Say = Callable[[str], None]
_VIEWS_PER_SCENE = 3
# Little bending: budgets are too small to learn more than the pictures there are.
_AUGMENT = AugmentConfig(max_zoom=1.2, reshape=0.0, whole=0.5, photometric=0.3, cutout=0.0)


@dataclass(frozen=True, kw_only=True)
class ReproduceConfig:
    """What to repeat, and with how much.

    data: `synth:DIR` to train and test on; None renders `images` views below `out`.
    steps: training steps of each run; seeds: how many runs of each.
    size: (width, height) of the networks, None for the table's own; full: the paper's networks instead of reduced
        ones. test_images: of the test split.
    """

    table: str
    out: Path
    data: str | None = None
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
    data = config.data or _render(table, config, say)
    for seed in range(config.seeds):
        for row in table.rows:
            done = seeds.setdefault(row.label, [])
            if len(done) > seed:
                continue
            say(f"{table.name}, seed {seed}: {row.label}")
            run = _trained(table, row.training, config, data, seed)
            done.append(_figures(table, row, config, data, run))
            _write(config.out, budget, Comparison(table, {k: v for k, v in seeds.items() if v}))
    return Comparison(table, seeds)


def _budget(table: PaperTable, config: ReproduceConfig) -> dict[str, Any]:
    """What figures depend on; the number of seeds is not among it, so that more can be added."""
    return {
        "table": table.name,
        "data": config.data or f"{config.images} rendered views",
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


def _render(table: PaperTable, config: ReproduceConfig, say: Say) -> str:
    require("warp", extra="world")
    from edgedepth.world.synth import SynthConfig, write_dataset

    folder = config.out / "data"
    say(f"rendering {config.images} views into {folder}")
    wh = (160, 120) if table.world == "indoor" else (224, 128)
    write_dataset(
        SynthConfig(out=folder, world=table.world, count=config.images, wh=wh, seed=1, views_per_scene=_VIEWS_PER_SCENE)
    )
    return f"synth:{folder}"


def _options(table: PaperTable, config: ReproduceConfig, training: Training) -> dict[str, Any]:
    """Reduced ones win over the row's: the backbone of a row is not what the row is about."""
    return dict(training.options) if config.full else {**training.options, **table.small}


def _trained(table: PaperTable, name: str, config: ReproduceConfig, data: str, seed: int) -> Path:
    """The folder of a finished run."""
    training = table.trainings[name]
    folder = config.out / name / f"seed{seed}"
    finished = folder / "finished.json"
    if finished.is_file():
        return folder
    train_sets, _ = training_split([data], serves(route_of(training.network)))
    per_epoch = max(1, sum(map(len, train_sets)) // table.batch)
    run = TrainConfig(
        network=training.network,
        data=(data,),
        out=folder,
        size=config.size or (None if config.full else table.wh),
        epochs=training.share * config.steps / per_epoch,
        batch=table.batch,
        lr=config.lr,
        ema=0.98,
        seed=seed,
        threads=config.threads,
        device=config.device,
        eval_seconds=1e9,  # once, at the end
        eval_images=50,
        cache=config.out / "cache",
        resume=True,
        options=_options(table, config, training),
        loss=training.loss,
        augment=_AUGMENT,
    )
    result = (train_depth if training.plain else train)(run)
    write_atomic(finished, json.dumps({"steps": result.steps, "seconds": round(result.seconds, 1)}))
    return folder


def _figures(table: PaperTable, row: Row, config: ReproduceConfig, data: str, run: Path) -> Figures:
    """Unaligned figures of a row on the test split, averaged per image, and those of the mean depth map beside them."""
    network = table.trainings[row.training].network
    device = "cuda" if config.device != "cpu" and torch.cuda.is_available() else "cpu"
    predictor = predictor_of(
        run / row.stage / f"{network}.safetensors",
        size=config.size or (None if config.full else table.wh),
        options=row.answer,
        device=device,
    )
    samples = open_dataset(data, "test").where(serves(route_of(network))).limited(config.test_images)
    report = evaluate_samples(
        predictor,
        samples,
        protocol_named("native"),
        alignments=["none"],
        baselines=baselines_beside(run / f"{network}.safetensors", predictor.spec),
    )
    assert report.baseline is not None  # every run writes its map
    mean_map = {f"{MEAN_MAP}{name}": value for name, value in report.baseline["none"].items()}
    return {name: round(value, 5) for name, value in {**report.alignment["none"], **mean_map}.items()}
