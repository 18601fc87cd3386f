"""Rooms seen from close: what is before a robot's arm, a floor robot, or a camera held over a desk.

From there a frame shows one thing and little of its room, and how far it is has to be told from what it is. A quarter
of the scenes are table tops, the others kitchens, workshops and offices in which the camera has come up to a thing.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from edgedepth.world.builder import Dice
from edgedepth.world.indoor.recipes import INDOOR_RECIPES
from edgedepth.world.indoor.viewpoints import first_hits, on_floor
from edgedepth.world.recipe import Build, BuiltScene
from edgedepth.world.scene import SEMANTIC_ID, Scene, View

# What every view of a room shows, from whatever distance, and what it shows through a window.
_SHELL = tuple(SEMANTIC_ID[name] for name in ("wall", "floor", "ceiling", "window", "glass", "door", "curtain"))
_OUTSIDE = tuple(SEMANTIC_ID[name] for name in ("terrain", "building", "tree"))
_RAYS = 12
_DISTANCE_M = (0.4, 1.4)


def close(build: Build) -> Build:
    """The recipe whose rooms are those of `build`, seen from just before one of their things."""

    def build_close(dice: Dice) -> BuiltScene:
        built = build(dice)
        return replace(
            built, sample_view=lambda view_dice: come_close(built.sample_view(view_dice), built.scene, view_dice)
        )

    return build_close


def come_close(view: View, scene: Scene, dice: Dice) -> View:
    """The view from 0.4 to 1.4 m before a thing that it shows, along the free line to it.

    It stays as it is if it shows none, or if its camera is a floor robot's.
    """
    if on_floor(view):
        return view
    half = math.radians(view.hfov_deg) / 2
    yaw = np.array([view.yaw + dice.uniform(-half, half) for _ in range(_RAYS)])
    pitch = np.array([view.pitch + dice.uniform(-0.75 * half, 0.75 * half) for _ in range(_RAYS)])
    rays = np.stack([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)], 1)
    away, triangles = first_hits(scene, np.asarray(view.position, np.float64), rays)
    distance = dice.uniform(*_DISTANCE_M)
    things = (triangles >= 0) & ~np.isin(scene.semantic[triangles], (*_SHELL, *_OUTSIDE)) & (away > distance)
    if not things.any():
        return view
    chosen = int(dice.choice(tuple(np.flatnonzero(things).tolist())))
    x, y, z = np.asarray(view.position) + rays[chosen] * (away[chosen] - distance)
    return replace(
        view,
        position=(float(x), float(y), float(z)),
        yaw=float(yaw[chosen]) + dice.normal(0.12),
        pitch=float(pitch[chosen]) + dice.normal(0.1),
    )


CLOSE_RECIPES: dict[str, Build] = {
    "tabletop": INDOOR_RECIPES["tabletop"],
    **{name: close(INDOOR_RECIPES[name]) for name in ("kitchen", "workshop", "office")},
}
"""Close views, by the categories whose rooms they are in."""
