"""The rendered data sets of the recipe of the shipped weights, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgedepth.world.shard import World  # imports warp, which only rendering needs


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """One rendered data set: `count` views of a world at `wh` pixels, `views_per_scene` of them in each scene.

    lens: "straight" or "mixed", see `edgedepth.world.synth.SynthConfig`.
    """

    world: World
    count: int
    wh: tuple[int, int]
    seed: int
    views_per_scene: int
    lens: str = "straight"


RENDERINGS: Mapping[str, Rendering] = {
    "indoor": Rendering(world="indoor", count=3348, wh=(320, 240), seed=1, views_per_scene=3),
    "street": Rendering(world="street", count=2988, wh=(384, 220), seed=1, views_per_scene=3),
    "bare": Rendering(world="bare", count=1200, wh=(128, 96), seed=1, views_per_scene=2),
    "gallery": Rendering(world="gallery", count=1200, wh=(128, 96), seed=1, views_per_scene=4),
    "gallery-more": Rendering(world="gallery", count=1600, wh=(128, 96), seed=2, views_per_scene=4),
    "indoor-more": Rendering(world="indoor", count=6000, wh=(208, 156), seed=2, views_per_scene=2),
    "street-more": Rendering(world="street", count=2400, wh=(288, 165), seed=2, views_per_scene=2),
    "jam": Rendering(world="jam", count=1600, wh=(288, 165), seed=1, views_per_scene=2),
    "company": Rendering(world="company", count=1200, wh=(128, 96), seed=1, views_per_scene=4),
    "crossing": Rendering(world="crossing", count=1200, wh=(128, 96), seed=1, views_per_scene=3),
    "indoor-third": Rendering(world="indoor", count=5310, wh=(208, 156), seed=3, views_per_scene=2),
    "company-bent": Rendering(world="company", count=1400, wh=(208, 156), seed=3, views_per_scene=2, lens="mixed"),
    "gallery-bent": Rendering(world="gallery", count=1000, wh=(208, 156), seed=3, views_per_scene=2, lens="mixed"),
    "indoor-bent": Rendering(world="indoor", count=700, wh=(320, 240), seed=4, views_per_scene=2, lens="mixed"),
    "street-third": Rendering(world="street", count=2590, wh=(288, 165), seed=3, views_per_scene=2),
    "jam-bent": Rendering(world="jam", count=800, wh=(288, 165), seed=3, views_per_scene=2, lens="mixed"),
    "crossing-bent": Rendering(world="crossing", count=600, wh=(288, 165), seed=3, views_per_scene=2, lens="mixed"),
    "close": Rendering(world="close", count=1600, wh=(208, 156), seed=5, views_per_scene=2, lens="mixed"),
    "jam-more": Rendering(world="jam", count=1600, wh=(288, 165), seed=5, views_per_scene=2, lens="mixed"),
    "weather": Rendering(world="weather", count=400, wh=(288, 165), seed=5, views_per_scene=2, lens="mixed"),
    "halls": Rendering(world="halls", count=1200, wh=(256, 168), seed=5, views_per_scene=2, lens="mixed"),
    # Version 2 of the world: pictures with black and burnt parts, floor robots, cyclists; the ground has no seams.
    "indoor-tones": Rendering(world="indoor", count=2600, wh=(208, 156), seed=9, views_per_scene=2, lens="mixed"),
    "street-tones": Rendering(world="street", count=420, wh=(288, 165), seed=9, views_per_scene=2, lens="mixed"),
    "jam-tones": Rendering(world="jam", count=950, wh=(288, 165), seed=9, views_per_scene=2, lens="mixed"),
    "indoor-world": Rendering(world="indoor", count=6000, wh=(208, 156), seed=12, views_per_scene=2, lens="mixed"),
    "street-world": Rendering(world="street", count=2000, wh=(288, 165), seed=12, views_per_scene=2, lens="mixed"),
    "jam-world": Rendering(world="jam", count=2000, wh=(288, 165), seed=12, views_per_scene=2, lens="mixed"),
    "crossing-world": Rendering(world="crossing", count=600, wh=(288, 165), seed=12, views_per_scene=2, lens="mixed"),
    "weather-world": Rendering(world="weather", count=500, wh=(288, 165), seed=12, views_per_scene=2, lens="mixed"),
    "halls-world": Rendering(world="halls", count=800, wh=(256, 168), seed=12, views_per_scene=2, lens="mixed"),
    "company-world": Rendering(world="company", count=600, wh=(208, 156), seed=12, views_per_scene=2, lens="mixed"),
    "gallery-world": Rendering(world="gallery", count=600, wh=(208, 156), seed=12, views_per_scene=2, lens="mixed"),
    "close-world": Rendering(world="close", count=400, wh=(208, 156), seed=12, views_per_scene=2, lens="mixed"),
    # The same at the size of the shipped networks.
    "indoor-large": Rendering(world="indoor", count=1500, wh=(320, 240), seed=14, views_per_scene=2, lens="mixed"),
    "company-large": Rendering(world="company", count=300, wh=(320, 240), seed=14, views_per_scene=2, lens="mixed"),
    "gallery-large": Rendering(world="gallery", count=300, wh=(320, 240), seed=14, views_per_scene=2, lens="mixed"),
    "close-large": Rendering(world="close", count=300, wh=(320, 240), seed=14, views_per_scene=2, lens="mixed"),
    "jam-large": Rendering(world="jam", count=400, wh=(448, 256), seed=14, views_per_scene=2, lens="mixed"),
    "street-large": Rendering(world="street", count=400, wh=(448, 256), seed=14, views_per_scene=2, lens="mixed"),
    "crossing-large": Rendering(world="crossing", count=160, wh=(448, 256), seed=14, views_per_scene=2, lens="mixed"),
    "jam-single": Rendering(world="jam", count=300, wh=(448, 256), seed=15, views_per_scene=1, lens="mixed"),
    "street-single": Rendering(world="street", count=400, wh=(448, 256), seed=15, views_per_scene=1, lens="mixed"),
    "crossing-single": Rendering(world="crossing", count=150, wh=(448, 256), seed=15, views_per_scene=1, lens="mixed"),
    "weather-single": Rendering(world="weather", count=120, wh=(448, 256), seed=15, views_per_scene=1, lens="mixed"),
    # Version 3: what stands on furniture is never in the air.
    "indoor-fresh": Rendering(world="indoor", count=4400, wh=(208, 156), seed=31, views_per_scene=2, lens="mixed"),
    "sunny-fresh": Rendering(world="sunny", count=700, wh=(208, 156), seed=31, views_per_scene=2, lens="mixed"),
    "close-fresh": Rendering(world="close", count=700, wh=(208, 156), seed=31, views_per_scene=2, lens="mixed"),
    "company-fresh": Rendering(world="company", count=400, wh=(208, 156), seed=31, views_per_scene=2, lens="mixed"),
    "gallery-fresh": Rendering(world="gallery", count=300, wh=(208, 156), seed=31, views_per_scene=2, lens="mixed"),
    "halls-fresh": Rendering(world="halls", count=900, wh=(256, 168), seed=31, views_per_scene=2, lens="mixed"),
    "indoor-later": Rendering(world="indoor", count=4400, wh=(208, 156), seed=41, views_per_scene=2, lens="mixed"),
    "halls-later": Rendering(world="halls", count=2000, wh=(256, 168), seed=41, views_per_scene=2, lens="mixed"),
    "close-later": Rendering(world="close", count=1200, wh=(208, 156), seed=41, views_per_scene=2, lens="mixed"),
    "sunny-later": Rendering(world="sunny", count=600, wh=(208, 156), seed=41, views_per_scene=2, lens="mixed"),
    "company-later": Rendering(world="company", count=500, wh=(208, 156), seed=41, views_per_scene=2, lens="mixed"),
    "scan-later": Rendering(world="scan", count=4400, wh=(208, 156), seed=51, views_per_scene=2, lens="mixed"),
    # For the router, which sees no more than 128x96 of it.
    "close-small": Rendering(world="close", count=1200, wh=(160, 120), seed=21, views_per_scene=4, lens="mixed"),
    "halls-small": Rendering(world="halls", count=800, wh=(160, 120), seed=21, views_per_scene=4, lens="mixed"),
    "crossing-small": Rendering(world="crossing", count=500, wh=(192, 110), seed=21, views_per_scene=4),
    "weather-small": Rendering(world="weather", count=500, wh=(192, 110), seed=21, views_per_scene=4),
    "street-small": Rendering(world="street", count=500, wh=(192, 110), seed=21, views_per_scene=4),
}
