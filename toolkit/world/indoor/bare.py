"""Plain rooms: any near scene with light, even walls and ceiling and with most of its things taken out.

Most real rooms are white and emptier than the grammar's; a router that has never seen a bare white wall above a floor
takes it for an overcast sky above the ground.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgedepth.world.builder import Dice
from edgedepth.world.recipe import Build, BuiltScene
from edgedepth.world.scene import SEMANTIC_ID, Colour, Material, Scene, Texture

_SHELL = tuple(SEMANTIC_ID[name] for name in ("wall", "ceiling"))
# What a room cannot do without stays: its shell, its openings and its lamps.
_FIXED = tuple(
    SEMANTIC_ID[name] for name in ("wall", "floor", "ceiling", "door", "window", "glass", "lamp", "pillar", "person")
)


def bare(build: Build) -> Build:
    """The recipe whose rooms are those of `build`, made plain."""

    def build_bare(dice: Dice) -> BuiltScene:
        built = build(dice)
        kept = emptied(built.scene, dice, share=dice.uniform(0.3, 0.9))
        return replace(built, scene=painted(kept, dice))

    return build_bare


def emptied(scene: Scene, dice: Dice, *, share: float) -> Scene:
    """The scene without a random share of its furniture and things."""
    movable = ~np.isin(scene.semantic, _FIXED)
    gone = {int(i) for i in np.unique(scene.instance[movable]) if dice.chance(share)}
    keep = ~(movable & np.isin(scene.instance, sorted(gone)))
    return replace(
        scene,
        positions=scene.positions[keep],
        normals=scene.normals[keep],
        local=scene.local[keep],
        material=scene.material[keep],
        semantic=scene.semantic[keep],
        instance=scene.instance[keep],
    )


def painted(scene: Scene, dice: Dice) -> Scene:
    """The scene with walls and ceiling in plain light paint."""
    first = len(scene.materials)
    material = scene.material.copy()
    for offset, semantic in enumerate(_SHELL):
        material[scene.semantic == semantic] = first + offset
    return replace(scene, material=material, materials=(*scene.materials, _paint(dice), _paint(dice)))


def _paint(dice: Dice) -> Material:
    light, warmth = dice.uniform(0.7, 0.95), dice.uniform(-0.03, 0.07)
    colour: Colour = (light, light - 0.4 * max(0.0, warmth), light - warmth)
    return Material(texture=Texture.FLAT, colour_a=colour, colour_b=colour, seed=1 + dice.integer(0, 9999))
