"""Makes `toolkit/assets/golden`: the rendered scenes that every exported bundle carries to check engines with.

    python scripts/make_golden.py

Together the scenes of a route reach from one end of its range to the other; bright and dark ones are among them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2

from edgedepth.core.routing import Route
from edgedepth.datasets import open_dataset
from edgedepth.world.shard import World
from edgedepth.world.synth import SynthConfig, write_dataset

OUT = Path(__file__).parents[1] / "toolkit" / "assets" / "golden"
SEED = 21
WH = {Route.LOW: (320, 240), Route.HIGH: (448, 256)}
# A bedroom from the floor, a bright office, a dark corridor; a jam, a motorway, a forest in the sun.
SCENES: dict[Route, tuple[tuple[World, int], ...]] = {
    Route.LOW: (("indoor", 0), ("indoor", 4), ("indoor", 6)),
    Route.HIGH: (("jam", 1), ("street", 2), ("street", 6)),
}


def main() -> None:
    """Render the worlds as far as the scenes that are wanted, and keep those."""
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        for route, scenes in SCENES.items():
            for number, (world, index) in enumerate(scenes):
                config = SynthConfig(
                    out=Path(name) / world,
                    world=world,
                    count=max(i for other, i in scenes if other == world) + 1,
                    wh=WH[route],
                    seed=SEED,
                    views_per_scene=1,
                    quality="lit",
                )
                write_dataset(config)
                samples = sorted(open_dataset(f"synth:{config.out}"), key=lambda sample: sample.id.split("/")[1])
                path = OUT / f"{route}-{number}.jpg"
                cv2.imwrite(str(path), samples[index].image_bgr, [cv2.IMWRITE_JPEG_QUALITY, 92])
                print(path, samples[index].category)


if __name__ == "__main__":
    main()
