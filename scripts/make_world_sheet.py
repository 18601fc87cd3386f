"""Makes `docs/images/world.jpg`: a view of every category of the procedural world, its depth below it.

Two rows of the other worlds follow: bad weather, halls and tunnels, close views, sun through glass doors, people,
traffic jams and plain rooms.

python scripts/make_world_sheet.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.colour import MetricColours
from edgedepth.datasets import open_dataset
from edgedepth.evaluation.evaluate import ROUTE_RANGES_M
from edgedepth.world.categories import CATEGORIES, FAR_CATEGORIES, NEAR_CATEGORIES
from edgedepth.world.shard import World
from edgedepth.world.synth import SynthConfig, write_dataset

OUT = Path(__file__).parents[1] / "docs" / "images" / "world.jpg"
TILE_WH = (240, 160)
PER_ROW = 6
SEED = 11
# Which views of each, in the order of the world's categories.
OTHERS: dict[World, tuple[int, ...]] = {
    "weather": (0, 1),
    "halls": (4, 7),
    "close": (2,),
    "scan": (4,),
    "sunny": (0,),
    "company": (0,),
    "gallery": (0,),
    "crossing": (0,),
    "jam": (0,),
    "drive": (0,),
}


def tiles(world: World, count: int, folder: Path) -> list[tuple[str, NDArray[np.uint8]]]:
    """Pictures above their depth, with their categories, which a world gives in turn."""
    config = SynthConfig(
        out=folder / world, world=world, count=count, wh=TILE_WH, seed=SEED, views_per_scene=1, quality="fine"
    )
    write_dataset(config)
    made = []
    for sample in open_dataset(f"synth:{config.out}"):
        assert sample.route is not None
        low, high = ROUTE_RANGES_M[sample.route]
        colours = MetricColours(min_m=low, max_m=high)
        made.append((str(sample.category), np.vstack([sample.image_bgr, colours(sample.depth_m)])))
    return made


def captioned(picture: NDArray[np.uint8], caption: str) -> NDArray[np.uint8]:
    """The picture with white letters on a black edge at the top."""
    where, look = (5, 15), (cv2.FONT_HERSHEY_SIMPLEX, 0.45)
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(picture, caption.replace("_", " "), where, *look, colour, width, cv2.LINE_AA)
    return picture


def main() -> None:
    """Render and paste together."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = dict(tiles("indoor", len(NEAR_CATEGORIES), folder) + tiles("street", len(FAR_CATEGORIES), folder))
        ordered = [captioned(made[category], category) for category in CATEGORIES]
        for world, chosen in OTHERS.items():
            views = tiles(world, max(chosen) + 1, folder)
            ordered += [captioned(views[i][1], f"{world}: {views[i][0]}") for i in chosen]
    rows = [np.hstack(ordered[i : i + PER_ROW]) for i in range(0, len(ordered), PER_ROW)]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(OUT), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 80])
    print(OUT)


if __name__ == "__main__":
    main()
