"""The recipe of the shipped weights: render the world, train the router and both depth networks. One command.

Every stage writes into a folder of its own and is skipped when it is done, so that a stopped recipe goes on where it
was: `edgedepth train default --out OUT` again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from rich.progress import Progress

from edgedepth.core.errors import InputError, require
from edgedepth.core.files import write_atomic
from edgedepth.trainers.config import AugmentConfig, LossConfig, Precision, TrainConfig
from edgedepth.trainers.loop import FitResult, progress_bar
from edgedepth.trainers.pause import Deadline, Paused, pack, unpack
from edgedepth.trainers.processes import rank, with_others
from edgedepth.trainers.train import train

if TYPE_CHECKING:
    from edgedepth.world.shard import World  # imports warp, which only rendering needs

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """One rendered data set: `count` views of a world at `wh` pixels, `views_per_scene` of them in each scene."""

    world: World
    count: int
    wh: tuple[int, int]
    seed: int
    views_per_scene: int


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One training run of the recipe: on which renderings, and after which stage, whose checkpoint it starts from.

    blend: share of what it has learned in the weights it hands on; the rest is of the stage `blend_from`: halfway
        between two kinds of data or augmentation is better on pictures of neither kind.
    gpu: would take days on a CPU, and is left out where there is no GPU unless it is asked for by name.
    """

    network: str
    minutes: float
    lr: float
    batch: int
    size: tuple[int, int] | None = None
    after: str | None = None
    data: tuple[str, ...] = ("indoor", "street")
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    precision: Precision = "fp32"
    options: Mapping[str, object] = field(default_factory=dict)
    blend: float = 1.0
    blend_from: str | None = None
    gpu: bool = False


RENDERINGS: Mapping[str, Rendering] = {
    "indoor": Rendering(world="indoor", count=3348, wh=(320, 240), seed=1, views_per_scene=3),
    "street": Rendering(world="street", count=2988, wh=(384, 220), seed=1, views_per_scene=3),
    "bare": Rendering(world="bare", count=1200, wh=(128, 96), seed=1, views_per_scene=2),
    "gallery": Rendering(world="gallery", count=1200, wh=(128, 96), seed=1, views_per_scene=4),
    "gallery-more": Rendering(world="gallery", count=1600, wh=(128, 96), seed=2, views_per_scene=4),
    "company": Rendering(world="company", count=1200, wh=(128, 96), seed=1, views_per_scene=4),
    "crossing": Rendering(world="crossing", count=1200, wh=(128, 96), seed=1, views_per_scene=3),
}

# A router sees whole scenes: little zoom, but every colour there is. Every window takes a random shape, for rooms and
# streets are rendered in different ones, and the shape must not tell them apart.
# Exchanged spectra keep it from telling far from near by their light alone.
_SCENE = AugmentConfig(
    max_zoom=1.35, aspects=(0.8, 2.2), reshape=1.0, whole=0.0, photometric=0.9, spectra=0.25, cutout=0.15
)
# The last stage comes closer to what cameras give, very wide frames among it.
_SCENE_FINE = AugmentConfig(
    max_zoom=1.3, aspects=(0.9, 3.4), reshape=0.7, whole=0.1, photometric=0.7, spectra=0.1, cutout=0.1
)
_SCENES = ("indoor", "street", "bare")
# Letterboxed frames of the high network are often very wide (KITTI's are 3.3 : 1).
_WIDE = AugmentConfig(aspects=(0.9, 3.4))
_FINE, _FINE_WIDE = AugmentConfig(max_zoom=1.3), AugmentConfig(max_zoom=1.3, aspects=(0.9, 3.4))
# Real cameras and rooms look like none of the world's: colours, textures and light of every kind over the same shapes.
_STYLE = AugmentConfig(photometric=1.0, spectra=0.4, texture=0.5)
_STYLE_WIDE = replace(_STYLE, aspects=_WIDE.aspects)
_STYLE_FINE = AugmentConfig(max_zoom=1.3, photometric=1.0, spectra=0.3, texture=0.5)
_STYLE_FINE_WIDE = replace(_STYLE_FINE, aspects=_WIDE.aspects)
_NO_SECOND_HEAD = {"regression": False}
# Once the layout is learned, errors count as abs_rel counts them: too far is worse than too near.
_RELATIVE, _RELATIVE_MORE = LossConfig(relative=0.5), LossConfig(relative=2.0)
# What is left then is soft: the last stage asks for steps where the scene has them.
_RELATIVE_AND_EDGES = LossConfig(relative=2.0, gradient=2.0)

# What is learned first, how large things are and how they lie, does not need many pixels: a step at a third of the size
# costs a tenth. Each stage goes on from the one before; the size of the last one is the size that is shipped.
STAGES: Mapping[str, Stage] = {
    "router-third": Stage(
        network="scene-small", minutes=12, lr=2e-3, batch=32, size=(64, 48), data=_SCENES, augment=_SCENE
    ),
    "router-half": Stage(
        network="scene-small",
        minutes=18,
        lr=1e-3,
        batch=32,
        size=(96, 72),
        after="router-third",
        data=_SCENES,
        augment=_SCENE,
    ),
    "router-plain": Stage(
        network="scene-small",
        minutes=8,
        lr=1e-3,
        batch=32,
        size=(96, 72),
        after="router-half",
        data=(*_SCENES, "gallery"),
        augment=_SCENE_FINE,
    ),
    "router-full": Stage(
        network="scene-small",
        minutes=13,
        lr=6e-4,
        batch=32,
        size=(128, 96),
        after="router-plain",
        data=(*_SCENES, "gallery"),
        augment=_SCENE_FINE,
    ),
    "router-gallery": Stage(
        network="scene-small",
        minutes=25,
        lr=1e-3,
        batch=32,
        size=(128, 96),
        after="router-full",
        data=(*_SCENES, "gallery", "gallery-more"),
        augment=_SCENE_FINE,
    ),
    "router": Stage(
        network="scene-small",
        minutes=25,
        lr=1e-3,
        batch=32,
        size=(128, 96),
        after="router-gallery",
        blend=0.5,
        blend_from="router-gallery",
        data=(*_SCENES, "gallery", "gallery-more", "company", "crossing"),
        augment=_SCENE_FINE,
    ),
    "low-third": Stage(network="edge-low", minutes=26, lr=1.5e-3, batch=8, size=(96, 72), options=_NO_SECOND_HEAD),
    "low-half": Stage(
        network="edge-low", minutes=22, lr=1e-3, batch=16, size=(160, 120), after="low-third", loss=_RELATIVE
    ),
    "low-near": Stage(
        network="edge-low",
        minutes=12,
        lr=6e-4,
        batch=16,
        size=(160, 120),
        after="low-half",
        augment=_FINE,
        loss=_RELATIVE_MORE,
    ),
    "low-mid": Stage(
        network="edge-low",
        minutes=8,
        lr=4e-4,
        batch=16,
        size=(160, 120),
        after="low-near",
        augment=_FINE,
        loss=_RELATIVE_MORE,
    ),
    "low-long": Stage(
        network="edge-low",
        minutes=45,
        lr=1e-3,
        batch=16,
        size=(160, 120),
        after="low-mid",
        loss=_RELATIVE_MORE,
        precision="bf16",
    ),
    "low-full": Stage(
        network="edge-low",
        minutes=20,
        lr=5e-4,
        batch=16,
        after="low-long",
        augment=_FINE,
        loss=_RELATIVE_MORE,
        precision="bf16",
    ),
    "low-fine": Stage(
        network="edge-low",
        minutes=34,
        lr=6e-4,
        batch=16,
        after="low-full",
        augment=_FINE,
        loss=_RELATIVE_MORE,
        precision="bf16",
    ),
    "low-sharp": Stage(
        network="edge-low",
        minutes=85,
        lr=8e-4,
        batch=16,
        after="low-fine",
        augment=_FINE,
        loss=_RELATIVE_AND_EDGES,
        precision="bf16",
    ),
    "low-style": Stage(
        network="edge-low",
        minutes=35,
        lr=1e-3,
        batch=16,
        size=(160, 120),
        after="low-sharp",
        augment=_STYLE,
        loss=_RELATIVE_MORE,
        precision="bf16",
    ),
    "low": Stage(
        network="edge-low",
        minutes=50,
        lr=6e-4,
        batch=16,
        after="low-style",
        blend=0.5,
        blend_from="low-sharp",
        augment=_STYLE_FINE,
        loss=_RELATIVE_AND_EDGES,
        precision="bf16",
    ),
    "high-third": Stage(
        network="edge-high",
        minutes=26,
        lr=1.5e-3,
        batch=8,
        size=(144, 82),
        augment=_WIDE,
        options=_NO_SECOND_HEAD,
    ),
    "high-half": Stage(
        network="edge-high",
        minutes=22,
        lr=1e-3,
        batch=16,
        size=(224, 128),
        after="high-third",
        augment=_WIDE,
        loss=_RELATIVE,
    ),
    "high-near": Stage(
        network="edge-high",
        minutes=12,
        lr=6e-4,
        batch=16,
        size=(224, 128),
        after="high-half",
        augment=_FINE_WIDE,
        loss=_RELATIVE_MORE,
    ),
    "high-long": Stage(
        network="edge-high",
        minutes=40,
        lr=1e-3,
        batch=16,
        size=(224, 128),
        after="high-near",
        augment=_WIDE,
        loss=_RELATIVE_MORE,
        precision="bf16",
    ),
    "high-fine": Stage(
        network="edge-high",
        minutes=20,
        lr=5e-4,
        batch=16,
        after="high-long",
        augment=_FINE_WIDE,
        loss=_RELATIVE_MORE,
        precision="bf16",
    ),
    "high-sharp": Stage(
        network="edge-high",
        minutes=85,
        lr=8e-4,
        batch=16,
        after="high-fine",
        augment=_FINE_WIDE,
        loss=_RELATIVE_AND_EDGES,
        precision="bf16",
    ),
    "high-style": Stage(
        network="edge-high",
        minutes=35,
        lr=1e-3,
        batch=16,
        size=(224, 128),
        after="high-sharp",
        augment=_STYLE_WIDE,
        loss=_RELATIVE_MORE,
        precision="bf16",
    ),
    "high": Stage(
        network="edge-high",
        minutes=50,
        lr=6e-4,
        batch=16,
        after="high-style",
        blend=0.5,
        blend_from="high-sharp",
        augment=_STYLE_FINE_WIDE,
        loss=_RELATIVE_AND_EDGES,
        precision="bf16",
    ),
    "ds-sidenet-low-half": Stage(
        network="ds-sidenet-low", minutes=30, lr=1e-3, batch=32, size=(160, 120), precision="bf16", gpu=True
    ),
    "ds-sidenet-low": Stage(
        network="ds-sidenet-low", minutes=60, lr=5e-4, batch=16, after="ds-sidenet-low-half", precision="bf16", gpu=True
    ),
    "ds-sidenet-high-half": Stage(
        network="ds-sidenet-high",
        minutes=30,
        lr=1e-3,
        batch=16,
        size=(624, 192),
        augment=_WIDE,
        precision="bf16",
        gpu=True,
    ),
    "ds-sidenet-high": Stage(
        network="ds-sidenet-high",
        minutes=60,
        lr=5e-4,
        batch=8,
        after="ds-sidenet-high-half",
        augment=_WIDE,
        precision="bf16",
        gpu=True,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Where and how to repeat it.

    data: rendered data sets that every stage takes, instead of rendering its own below `out`.
    stages: those to run, all of them if empty. `scale` multiplies image counts and minutes. `seed` is that of the
        weights and batches; the data have their own.
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

    The finished weights are `<out>/router/scene-small.safetensors`, `<out>/low/edge-low.safetensors` and
    `<out>/high/edge-high.safetensors`.

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
        rendered = {} if recipe.data else render_worlds(recipe, deadline, say)
        for name in recipe.stages or tuple(STAGES):
            if _wanted(recipe, name, say):
                if not with_others():  # who pause together, in the loop
                    deadline.check()
                data = recipe.data or tuple(rendered[rendering] for rendering in STAGES[name].data)
                say(f"{name}: {STAGES[name].network} for {STAGES[name].minutes * recipe.scale:.0f} minutes")
                results[name] = train(replace(stage_config(recipe, name, data), deadline=deadline))
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
        seed=recipe.seed,
        threads=recipe.threads,
        workers=recipe.workers,
        watch=recipe.watch,
        resume=True,
        cache=recipe.out / "cache",
        augment=stage.augment,
        loss=stage.loss,
        precision=stage.precision,
        blend=stage.blend,
        blend_from=other,
        options={} if init else dict(stage.options),
    )


def render_worlds(recipe: Recipe, deadline: Deadline, say: Say) -> dict[str, str]:
    """Render what is not rendered yet below `<out>/data`; the data sets' names by rendering."""
    require("warp", extra="world")
    from edgedepth.world.synth import SynthConfig, write_dataset

    names = {}
    with progress_bar() as bar:
        for name, rendering in RENDERINGS.items():
            config = SynthConfig(
                out=recipe.out / "data" / name,
                world=rendering.world,
                count=max(24, round(rendering.count * recipe.scale)),
                wh=rendering.wh,
                seed=rendering.seed,
                views_per_scene=rendering.views_per_scene,
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
