"""What a scene is: triangles, materials, lights and sky, free of any renderer.

World frame: z up, metres. Everything is numpy, so a scene can be built, saved or hashed without a renderer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Colour = tuple[float, float, float]  # linear RGB, 0..1

SEMANTIC_CLASSES = (
    "void", "wall", "floor", "ceiling", "door", "window", "table", "chair", "shelf", "sofa", "bed", "cabinet",
    "box", "person", "lamp", "picture", "plant", "rug", "clutter", "screen", "curtain", "pillar", "appliance",
    "sanitary", "road", "pavement", "kerb", "building", "car", "tree", "pole", "fence", "sign", "grass", "bin",
    "terrain", "water", "bridge", "animal", "glass", "mirror", "sky",
)  # fmt: skip
SEMANTIC_ID = {name: index for index, name in enumerate(SEMANTIC_CLASSES)}
# What depth means where it is not simply that of an opaque surface. A real sensor looks through glass and into mirrors.
DEPTH_STATES = {"void": "unknown", "sky": "beyond", "glass": "pane", "mirror": "pane"}


class Texture(IntEnum):
    """Procedural surface patterns; the renderer evaluates them in the object's own coordinates (metres)."""

    FLAT = 0
    NOISE = 1
    WOOD = 2
    BRICK = 3
    TILES = 4
    CHECKER = 5
    TEXT = 6
    STRIPES = 7
    FABRIC = 8
    FOLIAGE = 9
    FACADE = 10
    ROAD = 11
    PICTURE = 12
    BOOKS = 13
    SCREEN = 14
    GRASS = 15
    MARBLE = 16
    SPECKLE = 17
    PLANKS = 18
    CONCRETE = 19
    METAL = 20
    GRAVEL = 21


@dataclass(frozen=True, kw_only=True)
class Material:
    """One surface: a pattern of two colours, and how it reflects and emits.

    `scale_m` is the size of the pattern's main feature and `aux` its second parameter (facade storey height in
    metres, share of a stripe, length of a road dash). `reflectance` is the mirror share at normal incidence,
    `emission` multiplies the pattern's colour into radiance.
    """

    texture: Texture
    colour_a: Colour
    colour_b: Colour
    scale_m: float = 1.0
    aux: float = 0.5
    reflectance: float = 0.0
    emission: float = 0.0
    seed: int = 1


@dataclass(frozen=True, kw_only=True)
class PointLight:
    """A small lamp with soft shadows."""

    position: Colour
    colour: Colour
    radius_m: float = 0.15


@dataclass(frozen=True, kw_only=True)
class Sky:
    """Sun, sky and air. `sun_direction` points to the sun (unit); `sun_colour` of zeros means no sun.

    `intensity` is the sky's radiance scale (about 1 by day, 0.02 at night), `cloud` 0 (clear) to 1.3 (overcast),
    `haze_per_m` the extinction of air, `ambient` a constant fill light for what the one bounce misses.
    `haze_top_m` is how high the haze reaches before the sky (0: the sky is as clear as without it). `rain` and `snow`
    are the drops and flakes in a cubic metre of air that a camera can see (see `render.falling`).
    """

    sun_direction: Colour = (0.3, 0.3, 0.9)
    sun_colour: Colour = (0.0, 0.0, 0.0)
    sun_radius: float = 0.01
    intensity: float = 1.0
    cloud: float = 0.5
    haze_per_m: float = 0.0
    ambient: float = 0.02
    haze_top_m: float = 0.0
    rain: float = 0.0
    snow: float = 0.0


@dataclass(frozen=True, kw_only=True)
class View:
    """A camera pose in a scene: position in metres, angles in radians, horizontal field of view in degrees.

    Yaw 0 looks along +x and grows towards +y; pitch is positive upwards; roll is clockwise.
    `bend` is lambda of the division model of lens distortion: what a pixel sees at radius r from the middle, in units
    of the focal length, a straight lens shows at r / (1 + bend r^2). Negative is a barrel (Fitzgibbon, "Simultaneous
    linear estimation of multiple view geometry and lens distortion", 2001).
    """

    position: Colour
    yaw: float
    pitch: float = 0.0
    roll: float = 0.0
    hfov_deg: float = 65.0
    bend: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A complete scene.

    `positions`, `normals`, `local` are (T, 3, 3) float32: per triangle and corner the world position, the
    shading normal and the texture coordinate in the object's own frame. `material`, `semantic`, `instance` and
    `group` are (T,) int32: objects of one group stand and fall together, as a chair and who sits on it. `category` is
    one of the names in `categories.py`.
    """

    category: str
    positions: NDArray[np.float32]
    normals: NDArray[np.float32]
    local: NDArray[np.float32]
    material: NDArray[np.int32]
    semantic: NDArray[np.int32]
    instance: NDArray[np.int32]
    group: NDArray[np.int32]
    materials: tuple[Material, ...]
    lights: tuple[PointLight, ...]
    sky: Sky
