"""Writes data sets of rendered views: deterministic by seed, parallel, resumable.

Layout of a data set (all paths in the files are relative to its folder)::

    dataset.json              what it is: world, seed, size, depth unit, categories, classes, counts by split
    pairs.json                one entry per view: id, domain, rgb, depth, depth_scale, semantic, instance,
                              intrinsics [fx, fy, cx, cy], category, route, scene_seed, split, mode;
                              with `lens` "mixed" also bend, the lens's distortion (see `scene.View`);
                              of a walk also world_from_camera (4x4)
    <split>/<name>.jpg        the photograph
    <split>/<name>.depth.png  16-bit z-depth; metres = value / depth_scale, 0 = sky or beyond 16 bits
    <split>/<name>.semantic.png, .instance.png
    .shards/                  one record per finished scene; what a second run need not do again

A scene's seed comes from the data set's seed and the scene's number, its split from the scene's seed alone,
so data sets of different seeds can be joined without a test scene getting into the training split.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import edgedepth
from edgedepth.core.errors import EdgeDepthError, InputError, OutputError, UnknownNameError
from edgedepth.world.categories import CATEGORIES, FAR_CATEGORIES, NEAR_CATEGORIES
from edgedepth.world.render.renderer import compile_kernels
from edgedepth.world.scene import DEPTH_STATES, SEMANTIC_CLASSES
from edgedepth.world.shard import (
    DEPTH_SCALE,
    LENSES,
    QUALITIES,
    VIEW_FILES,
    WALK_CHUNK,
    WORLDS,
    ShardJob,
    World,
    recipes,
    write_json,
    write_shard,
)

FORMAT_VERSION = 1
SPLITS = ("train", "val", "test")
RECIPE_VERSION = 3  # raise it whenever the same seed would give other pictures

_BEFORE = {"lens": "straight"}  # what data sets have that were written before they said so

Progress = Callable[[int, int], None]  # (views done, views in all)


@dataclass(frozen=True, kw_only=True)
class SynthConfig:
    """What to write: `count` views of `wh` (width, height), `views_per_scene` of them in each scene.

    `workers` 0 means one process per core. `quality` is one of `shard.QUALITIES`: 'mixed' draws the shading
    mode per view. Pictures are the same for any number of workers; another `device` differs by rounding.
    `lens` is one of `shard.LENSES`: 'mixed' gives about half of the views a lens that bends straight lines.
    `split` (one of `SPLITS`) renders only the scenes of that split: the same pictures that the whole set would have.

    Raises:
        InputError: a number is out of range.
        UnknownNameError: no such world or quality.
    """

    out: Path
    world: World
    count: int
    wh: tuple[int, int] = (320, 240)
    seed: int = 0
    workers: int = 0
    views_per_scene: int = 4
    quality: str = "mixed"
    device: str = "cpu"
    lens: str = "straight"
    split: str | None = None

    def __post_init__(self) -> None:
        if self.world not in WORLDS:
            raise UnknownNameError.of("world", self.world, WORLDS)
        if self.quality not in QUALITIES:
            raise UnknownNameError.of("quality", self.quality, QUALITIES)
        if self.lens not in LENSES:
            raise UnknownNameError.of("lens", self.lens, LENSES)
        if self.lens != "straight" and self.world == "walk":
            raise InputError("a walk is seen through a straight lens; leave --lens out")
        least = {"count": 1, "views_per_scene": 1, "seed": 0, "workers": 0}
        for name, minimum in least.items():
            if getattr(self, name) < minimum:
                raise InputError(f"{name} must be at least {minimum}, but got {getattr(self, name)}")
        if self.split is not None and (self.split not in SPLITS or self.world == "walk"):
            kinds = "a walk has no splits" if self.world == "walk" else f"known: {', '.join(SPLITS)}"
            raise InputError(f"cannot render the split {self.split!r} alone; {kinds}")
        if not all(16 <= side <= 4096 for side in self.wh):
            raise InputError(f"size must lie between 16x16 and 4096x4096, but got {self.wh[0]}x{self.wh[1]}")

    def identity(self) -> dict[str, Any]:
        """What must agree for a run to continue another."""
        walk = {"frames": self.count} if self.world == "walk" else {"views_per_scene": self.views_per_scene}
        return {
            "format": "edgedepth-synth",
            "format_version": FORMAT_VERSION,
            "recipe_version": RECIPE_VERSION,
            "world": self.world,
            "seed": self.seed,
            "size": list(self.wh),
            "quality": self.quality,
            "device": self.device,
            "lens": self.lens,
            **walk,
            "only_split": self.split,
        }


def scene_seed_of(seed: int, world: World, index: int) -> int:
    """The seed of a data set's scene number `index`: 32 well mixed bits."""
    sequence = np.random.SeedSequence((seed, WORLDS.index(world), index))
    return int(sequence.generate_state(1)[0])


def split_of(scene_seed: int) -> str:
    """The split a scene belongs to, in every data set: 1 of 20 test, 1 of 20 val, the rest train."""
    return {0: "test", 1: "val"}.get(scene_seed % 20, "train")


def write_dataset(config: SynthConfig, progress: Progress | None = None) -> dict[str, Any]:
    """Write a data set, or what is missing of it, and return what dataset.json says.

    Interrupted (KeyboardInterrupt), it leaves a valid data set of what is finished and raises again; the same
    call continues it. A larger `count` extends a data set (not a walk).

    Raises:
        InputError: the folder holds another data set.
        OutputError: the folder cannot be written.
        EdgeDepthError: a worker process died.
    """
    _claim(config)
    jobs = _jobs(config)
    wanted = sum(job.views for job in jobs)
    finished = {job.index: entries for job in jobs if (entries := _record(job)) is not None}
    done = sum(len(entries) for entries in finished.values())
    report = progress or (lambda _done, _total: None)
    report(done, wanted)
    try:
        for job, entries in _run([job for job in jobs if job.index not in finished], config):
            finished[job.index] = entries
            done += len(entries)
            report(done, wanted)
    finally:
        # Shards that workers finished after an interruption are taken along.
        records = (finished.get(job.index) or _record(job) for job in jobs)
        summary = _assemble(config, [entries for entries in records if entries], wanted)
    return summary


def _jobs(config: SynthConfig) -> list[ShardJob]:
    """The scenes of a data set or of its one split, categories in turn; of a walk, its stretches."""
    walk = config.world == "walk"
    known = {} if walk else recipes(config.world)
    categories = ("walk",) if walk else tuple(name for name in CATEGORIES if name in known)
    step = WALK_CHUNK if walk else config.views_per_scene
    jobs = []
    for index, start in enumerate(range(0, config.count, step)):
        scene_seed = scene_seed_of(config.seed, config.world, 0 if walk else index)
        split = "walk" if walk else split_of(scene_seed)
        if config.split not in (None, split):
            continue
        jobs.append(
            ShardJob(
                out=config.out,
                world=config.world,
                index=index,
                scene_seed=scene_seed,
                split=split,
                category=categories[index % len(categories)],
                views=min(step, config.count - start),
                wh=config.wh,
                quality=config.quality,
                device=config.device,
                lens=config.lens,
                total=config.count,
            )
        )
    return jobs


# -- resuming and assembling ---------------------------------------------------------------------------------


def _claim(config: SynthConfig) -> None:
    """Mark the folder as this data set's, or find that it already is."""
    path = config.out / "dataset.json"
    if path.exists():
        before = _read_json(path)
        for key, value in config.identity().items():
            found = before.get(key, _BEFORE.get(key)) if isinstance(before, dict) else None
            if found != value:
                raise InputError(
                    f"{config.out} holds a data set with {key} = {found!r}, not {value!r}; "
                    "give the same options to continue it, or another folder"
                )
        return
    if config.out.exists() and (not config.out.is_dir() or any(config.out.iterdir())):
        raise OutputError(f"{config.out} exists and is not a data set of ours; choose an empty folder")
    _assemble(config, [], config.count)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}; delete it or choose another folder") from error


def _record(job: ShardJob) -> list[dict[str, Any]] | None:
    """The entries of a finished shard; None if it is not there, has fewer views than asked for, or has lost a file."""
    if not job.path.exists():
        return None
    entries: list[dict[str, Any]] = _read_json(job.path)[: job.views]
    files = (job.out / entry[kind] for entry in entries for kind in VIEW_FILES)
    return entries if len(entries) == job.views and all(path.is_file() for path in files) else None


def _assemble(config: SynthConfig, shards: list[list[dict[str, Any]]], wanted: int) -> dict[str, Any]:
    """Write pairs.json and dataset.json for the shards that are finished, of `wanted` views."""
    entries = [entry for shard in shards for entry in shard]
    scale = DEPTH_SCALE[config.world]
    summary = {
        **config.identity(),
        "edgedepth_version": edgedepth.__version__,
        "complete": len(entries) == wanted,
        "count": len(entries),
        "splits": dict(sorted(Counter(entry["split"] for entry in entries).items())),
        "routes": dict(sorted(Counter(entry["route"] for entry in entries).items())),
        "unit": "m",
        "depth_scale": scale,
        "max_depth_m": 65535 / scale,
        "no_depth": "0 means sky, or farther than max_depth_m",
        "categories": [{"name": name, "route": "low"} for name in NEAR_CATEGORIES]
        + [{"name": name, "route": "high"} for name in FAR_CATEGORIES],
        "semantic_classes": list(SEMANTIC_CLASSES),
        "depth_states": {name: DEPTH_STATES.get(name, "surface") for name in SEMANTIC_CLASSES},
    }
    write_json(config.out / "pairs.json", entries)
    write_json(config.out / "dataset.json", summary)
    return summary


# -- processes -----------------------------------------------------------------------------------------------


def _run(jobs: list[ShardJob], config: SynthConfig) -> Iterator[tuple[ShardJob, list[dict[str, Any]]]]:
    """Render shards here or in worker processes, and yield them as they are finished."""
    workers = min(config.workers or os.cpu_count() or 1, len(jobs))
    if workers <= 1:
        for job in jobs:
            yield job, write_shard(job)
        return
    compile_kernels(config.device)  # once, here, so that the workers find them compiled
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_ignore_interrupt)
    try:
        futures: dict[Future[list[dict[str, Any]]], ShardJob] = {pool.submit(write_shard, job): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise EdgeDepthError(
            "a worker process died, perhaps for lack of memory; run the same command again to continue, "
            "with fewer --workers"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _ignore_interrupt() -> None:
    """Ctrl-C reaches every process of the terminal: the workers finish their shard, the parent decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
