"""The recipe of the shipped weights: render the world, train the router and both depth networks. One command.

Every stage writes into a folder of its own and is skipped when it is done, so that a stopped recipe goes on where it
was: `edgedepth train default --out OUT` again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.progress import Progress

from edgedepth.core.errors import InputError, require
from edgedepth.core.files import locked, output_error, write_atomic
from edgedepth.trainers.config import TrainConfig
from edgedepth.trainers.default.renderings import RENDERINGS
from edgedepth.trainers.default.stages import STAGES
from edgedepth.trainers.loop import FitResult, progress_bar
from edgedepth.trainers.pause import Deadline, Paused, pack, unpack
from edgedepth.trainers.processes import rank, with_others
from edgedepth.trainers.train import train

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Where and how to repeat it.

    data: rendered data sets that every stage takes, instead of rendering its own below `out`.
    stages: those to run, all of them if empty. `scale` multiplies image counts and minutes. `seed` is that of the
        first stage's weights and batches, each stage counts one on; the data have their own.
    pause: minutes after which a call ends, with what it leaves in the stages' folders in pieces that travel (see
        `pause`); the same call goes on, there or on another machine, and one without it puts the files together.
    """

    out: Path
    data: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    seed: int = 0
    threads: int | None = None
    workers: int = 0
    scale: float = 1.0
    watch: str | None = None
    pause: float | None = None

    def __post_init__(self) -> None:
        for name in self.stages:
            if name not in STAGES:
                raise InputError(f"unknown stage {name!r} of the recipe; known: {', '.join(STAGES)}")
        if self.scale <= 0:
            raise InputError(f"scale must be positive, but got {self.scale}")


def run_recipe(recipe: Recipe, say: Say = print) -> dict[str, FitResult]:
    """Run the stages that are not done yet, in order; answers the results of those that ran, by stage.

    Every stage leaves its checkpoint in its folder, as `<out>/low/edge-low.safetensors`; `ship.FINISHED` says which of
    them are the finished ones.

    Raises:
        InputError: data are missing or no stage can run.
        OutputError: the folder cannot be written.
        CheckpointError: files that a paused call left in pieces are not whole.
    """
    deadline = Deadline(recipe.pause)
    results: dict[str, FitResult] = {}
    for folder in _stage_folders(recipe):
        unpack(folder)
    try:
        wanted = [name for name in recipe.stages or tuple(STAGES) if _wanted(recipe, name, say)]
        needed = {rendering for name in wanted for rendering in STAGES[name].data}
        rendered = {} if recipe.data else render_worlds(recipe, needed, deadline, say)
        for name in wanted:
            if not with_others():  # who pause together, in the loop
                deadline.check()
            data = recipe.data or tuple(rendered[rendering] for rendering in STAGES[name].data)
            say(f"{name}: {STAGES[name].network} for {STAGES[name].minutes * recipe.scale:.0f} minutes")
            results[name] = train(replace(stage_config(recipe, name, data), deadline=deadline))
            if rank() == 0:  # who has figures
                write_atomic(recipe.out / name / "done.json", json.dumps(results[name].figures, indent=1))
    except Paused:
        say(f"paused after {recipe.pause:g} minutes; the same command goes on")
    if recipe.pause is not None and rank() == 0:
        for folder in _stage_folders(recipe):
            pack(folder)
    return results


def _wanted(recipe: Recipe, name: str, say: Say) -> bool:
    """Whether a stage is to be trained now; says so if not."""
    if (recipe.out / name / "done.json").exists():
        say(f"{name}: done before")
        return False
    if STAGES[name].gpu and name not in recipe.stages and not torch.cuda.is_available():
        say(f"{name}: left out, for it needs a GPU (--stage {name} trains it all the same)")
        return False
    return True


def _stage_folders(recipe: Recipe) -> list[Path]:
    """The folders of the stages that have begun."""
    return [recipe.out / name for name in STAGES if (recipe.out / name).is_dir()]


def stage_config(recipe: Recipe, name: str, data: tuple[str, ...]) -> TrainConfig:
    """The training run of one stage."""
    stage = STAGES[name]
    init, other = (
        None if name is None else str(recipe.out / name / f"{stage.network}.safetensors")
        for name in (stage.after, stage.blend_from)
    )
    return TrainConfig(
        network=stage.network,
        data=data,
        out=recipe.out / name,
        init=init,
        size=stage.size,
        minutes=stage.minutes * recipe.scale,
        batch=stage.batch,
        lr=stage.lr,
        seed=recipe.seed + list(STAGES).index(name),  # or stages on the same data would repeat their order and cuts
        threads=recipe.threads,
        workers=recipe.workers,
        watch=recipe.watch,
        resume=True,
        cache=recipe.out / "cache",
        augment=stage.augment,
        loss=stage.loss,
        precision=stage.precision,
        optimizer=stage.optimizer,
        blend=stage.blend,
        blend_from=other,
        options=dict(stage.options),
    )


def render_worlds(recipe: Recipe, needed: Collection[str], deadline: Deadline, say: Say) -> dict[str, str]:
    """Render what is needed and not rendered yet below `<out>/data`; the data sets' names by rendering.

    One process at a time: where several train together, the others find what the first has rendered.
    """
    if not needed:
        return {}
    require("warp", extra="world")
    from edgedepth.world.synth import SynthConfig, write_dataset

    names = {}
    try:
        recipe.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(recipe.out, error) from error
    with locked(recipe.out / ".rendering"), progress_bar() as bar:
        for name, rendering in RENDERINGS.items():
            if name not in needed:
                continue
            config = SynthConfig(
                out=recipe.out / "data" / name,
                world=rendering.world,
                count=max(24, round(rendering.count * recipe.scale)),
                wh=rendering.wh,
                seed=rendering.seed,
                views_per_scene=rendering.views_per_scene,
                lens=rendering.lens,
            )
            say(f"{name}: {config.count} views into {config.out}")
            write_dataset(config, _shown(bar, name, deadline))
            names[name] = f"synth:{config.out}"
    return names


def _shown(bar: Progress, name: str, deadline: Deadline) -> Callable[[int, int], None]:
    shown = bar.add_task(f"rendering {name}", total=None)

    def show(done: int, total: int) -> None:
        bar.update(shown, completed=done, total=total)
        deadline.check()

    return show
