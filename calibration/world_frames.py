"""The default calibration set: frames of the procedural world, shipped as seeds and rendered when first asked for."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

from edgedepth.calibration.observe import Progress, silent
from edgedepth.core.bundle import Bundle
from edgedepth.core.errors import require
from edgedepth.core.routing import Route
from edgedepth.datasets import DepthDataset, open_dataset
from edgedepth.engines.cache import cache_folder

WORLD = "world"  # the name of this source
# The world of each route, and the seed of its views: none that the shipped weights were trained on.
SEEDS: dict[Route, tuple[Literal["indoor", "street"], int]] = {
    Route.LOW: ("indoor", 90210),
    Route.HIGH: ("street", 90211),
}
FRAMES = 192  # per route: 144 to observe and 48 to check on


def world_datasets(
    bundle: Bundle,
    *,
    frames: int = FRAMES,
    folder: Path | None = None,
    progress: Progress = silent,
) -> list[DepthDataset]:
    """The rendered frames for each route of a bundle, at its network's size; rendered once, then read from the cache.

    folder: where they lie; the user's cache where None. progress: called with the frames rendered so far.

    Raises:
        MissingPackageError: the renderer is not installed.
        OutputError: the cache cannot be written.
    """
    require("warp", extra="world")
    from edgedepth.world.synth import RECIPE_VERSION, SynthConfig, write_dataset

    datasets, before = [], 0
    for route, network in bundle.manifest.networks.items():
        world, seed = SEEDS[route]
        width, height = network.spec.input_wh
        name = f"{world}-{width}x{height}-{frames}-v{RECIPE_VERSION}"
        out = (cache_folder() / "calibration" if folder is None else folder) / name
        config = SynthConfig(out=out, world=world, count=frames, wh=(width, height), seed=seed)
        write_dataset(config, partial(_tell, progress, before))
        before += frames
        datasets.append(open_dataset(f"synth:{out}"))
    return datasets


def _tell(progress: Progress, before: int, done: int, total: int) -> None:  # noqa: ARG001 (the renderer's signature)
    progress(before + done)
