"""The default calibration set: frames of the procedural world, shipped as seeds and rendered when first asked for."""

from __future__ import annotations

from collections.abc import Callable
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
# Views to compare the files of a network on: what matters there is that all see the same, not how fine it is, so few
# and small ones do, of any network's size. Rendering costs by the pixel.
VALIDATION_FRAMES = 24
VALIDATION_WIDTH = 160


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
    datasets = []
    for number, (route, network) in enumerate(bundle.manifest.networks.items()):
        counted = partial(_tell, progress, number * frames)
        datasets.append(world_dataset(route, network.spec.input_wh, frames=frames, folder=folder, tell=counted))
    return datasets


def world_dataset(
    route: Route,
    input_wh: tuple[int, int],
    *,
    frames: int = FRAMES,
    folder: Path | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> DepthDataset:
    """The rendered frames for one route; see `world_datasets`.

    tell: called with how many are rendered, and of how many.

    Raises:
        MissingPackageError: the renderer is not installed.
        OutputError: the cache cannot be written.
    """
    require("warp", extra="world")
    from edgedepth.world.synth import RECIPE_VERSION, SynthConfig, write_dataset

    world, seed = SEEDS[route]
    width, height = input_wh
    name = f"{world}-{width}x{height}-{frames}-v{RECIPE_VERSION}"
    out = (cache_folder() / "calibration" if folder is None else folder) / name
    write_dataset(SynthConfig(out=out, world=world, count=frames, wh=input_wh, seed=seed), tell)
    return open_dataset(f"synth:{out}")


def validation_dataset(route: Route, input_wh: tuple[int, int]) -> DepthDataset:
    """Few views for one route, of the shape of a network's input but no wider than `VALIDATION_WIDTH`; see above.

    Raises:
        MissingPackageError: the renderer is not installed.
        OutputError: the cache cannot be written.
    """
    width, height = input_wh
    if width > VALIDATION_WIDTH:
        width, height = VALIDATION_WIDTH, max(16, round(VALIDATION_WIDTH * height / width))
    return world_dataset(route, (width, height), frames=VALIDATION_FRAMES)


def _tell(progress: Progress, before: int, done: int, total: int) -> None:  # noqa: ARG001 (the renderer's signature)
    progress(before + done)
