"""Makes the sample clip `examples/walk.mp4`: a walk from a room through a door into a street.

    python scripts/make_walk.py            # renders and encodes (minutes on a CPU)

The frames, with their exact depth, are an ordinary rendered data set; for the clip's ground truth run
`edgedepth synth walk_truth --world walk --count 144 --size 448x256 --seed 3 --quality lit`
and compare with `edgedepth eval default --data synth:walk_truth --split walk`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import typer

from edgedepth.datasets import open_dataset
from edgedepth.io.video_sink import H264File
from edgedepth.world.synth import SynthConfig, write_dataset

OUT = Path(__file__).parents[1] / "examples" / "walk.mp4"
FRAMES, WH, FPS, SEED, QUALITY = 144, (448, 256), 12.0, 3, "lit"


def main(out: Path = OUT, frames: int = FRAMES, seed: int = SEED) -> None:
    """Render the walk and encode it."""
    with tempfile.TemporaryDirectory() as folder:
        config = SynthConfig(out=Path(folder), world="walk", count=frames, wh=WH, seed=seed, quality=QUALITY)
        write_dataset(config)
        clip = H264File(out, wh=WH, fps=FPS)
        for index, sample in enumerate(open_dataset(f"synth:{folder}", "walk")):
            clip.write(sample.image_bgr, index / FPS)
        clip.close()
    typer.echo(out)


if __name__ == "__main__":
    typer.run(main)
