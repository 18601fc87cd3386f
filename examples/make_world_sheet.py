"""Makes `docs/images/world.jpg`: a view of every category of the procedural world, its depth below it.

python examples/make_world_sheet.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.colour import MetricColours
from edgedepth.datasets import open_dataset
from edgedepth.world.categories import CATEGORIES, FAR_CATEGORIES, NEAR_CATEGORIES
from edgedepth.world.shard import World
from edgedepth.world.synth import SynthConfig, write_dataset

OUT = Path(__file__).parents[1] / "docs" / "images" / "world.jpg"
TILE_WH = (240, 160)
PER_ROW = 6
SEED = 11
RANGES_M = {"indoor": (0.3, 10.0), "street": (1.0, 80.0)}


def tiles(world: World, categories: tuple[str, ...], folder: Path) -> dict[str, NDArray[np.uint8]]:
    """A picture above its depth, by category; the world gives the categories in turn."""
    config = SynthConfig(
        out=folder / world, world=world, count=len(categories), wh=TILE_WH, seed=SEED, views_per_scene=1, quality="fine"
    )
    write_dataset(config)
    low, high = RANGES_M[world]
    colours = MetricColours(min_m=low, max_m=high)
    made = {}
    for sample in open_dataset(f"synth:{config.out}"):
        picture = np.vstack([sample.image_bgr, colours(sample.depth_m)])
        where, look = (5, 15), (cv2.FONT_HERSHEY_SIMPLEX, 0.45)
        name = str(sample.category)
        cv2.putText(picture, name.replace("_", " "), where, *look, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(picture, name.replace("_", " "), where, *look, (255, 255, 255), 1, cv2.LINE_AA)
        made[name] = picture
    return made


def main() -> None:
    """Render and paste together."""
    with tempfile.TemporaryDirectory() as folder:
        made = tiles("indoor", NEAR_CATEGORIES, Path(folder)) | tiles("street", FAR_CATEGORIES, Path(folder))
    ordered = [made[name] for name in CATEGORIES]
    rows = [np.hstack(ordered[i : i + PER_ROW]) for i in range(0, len(ordered), PER_ROW)]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(OUT), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 82])
    print(OUT)


if __name__ == "__main__":
    main()
