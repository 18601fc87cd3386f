"""Plain rooms: any near scene with light, even walls and ceiling and with most of its things taken out.

Most real rooms are white and emptier than the grammar's; a router that has never seen a bare white wall above a floor
takes it for an overcast sky above the ground. `bare` looks at such rooms from where any room is looked at, `gallery`
straight at a white wall above a floor, mostly of boards, as a fixed camera does.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from edgedepth.world.builder import Dice
from edgedepth.world.recipe import Build, BuiltScene
from edgedepth.world.scene import SEMANTIC_ID, Colour, Material, Scene, Texture, View

_SHELL = tuple(SEMANTIC_ID[name] for name in ("wall", "ceiling"))
# What a room cannot do without stays: any group with a part of the room itself, and any group of nothing but such
# parts, lamps and people. A desk's lamp or who sits at it is in a group with furniture.
_ROOM = tuple(SEMANTIC_ID[name] for name in ("floor", "ceiling", "door", "window", "pillar"))
_ALONE = (*_ROOM, *(SEMANTIC_ID[name] for name in ("wall", "glass", "lamp", "person")))


def bare(build: Build) -> Build:
    """The recipe whose rooms are those of `build`, made plain."""

    def build_bare(dice: Dice) -> BuiltScene:
        built = build(dice)
        kept = emptied(built.scene, dice, share=dice.uniform(0.3, 0.9))
        return replace(built, scene=painted(kept, dice))

    return build_bare


def gallery(build: Build) -> Build:
    """The recipe whose rooms are those of `build`, made plain and white and seen square on."""

    def build_gallery(dice: Dice) -> BuiltScene:
        built = build(dice)
        kept = emptied(built.scene, dice, share=dice.uniform(0.6, 0.97))
        scene = boarded(painted(kept, dice, least=0.86), dice) if dice.chance(0.7) else painted(kept, dice, least=0.86)
        return BuiltScene(scene=scene, sample_view=lambda view_dice: square_on(built.sample_view(view_dice), view_dice))

    return build_gallery


def square_on(view: View, dice: Dice) -> View:
    """The view turned to the nearest wall direction, looking slightly down through a longer lens."""
    quarter = math.pi / 2
    return replace(
        view,
        yaw=round(view.yaw / quarter) * quarter + dice.normal(0.14),
        pitch=dice.uniform(-0.35, -0.02),
        hfov_deg=dice.uniform(36.0, 64.0),
    )


def emptied(scene: Scene, dice: Dice, *, share: float) -> Scene:
    """The scene without a random share of its furniture, and of what lies, stands or sits on that."""
    furniture = np.setdiff1d(scene.group[~np.isin(scene.semantic, _ALONE)], scene.group[np.isin(scene.semantic, _ROOM)])
    gone = [group for group in furniture if dice.chance(share)]
    keep = ~np.isin(scene.group, gone)
    return replace(
        scene,
        positions=scene.positions[keep],
        normals=scene.normals[keep],
        local=scene.local[keep],
        material=scene.material[keep],
        semantic=scene.semantic[keep],
        instance=scene.instance[keep],
        group=scene.group[keep],
    )


def painted(scene: Scene, dice: Dice, least: float = 0.7) -> Scene:
    """The scene with walls and ceiling in plain paint, `least` to 0.95 light."""
    first = len(scene.materials)
    material = scene.material.copy()
    for offset, semantic in enumerate(_SHELL):
        material[scene.semantic == semantic] = first + offset
    return replace(scene, material=material, materials=(*scene.materials, _paint(dice, least), _paint(dice, least)))


def boarded(scene: Scene, dice: Dice) -> Scene:
    """The scene with a floor of boards, from pale oak to red brown."""
    material = scene.material.copy()
    material[scene.semantic == SEMANTIC_ID["floor"]] = len(scene.materials)
    light, red = dice.uniform(0.18, 0.6), dice.uniform(1.1, 1.9)
    colour: Colour = (light, light / red, light / red**2.2)
    seam: Colour = (0.75 * colour[0], 0.75 * colour[1], 0.75 * colour[2])
    boards = Material(
        texture=dice.choice((Texture.PLANKS, Texture.PLANKS, Texture.WOOD)),
        colour_a=colour,
        colour_b=seam,
        scale_m=dice.uniform(0.06, 0.25),
        reflectance=dice.choice((0.0, 0.03, 0.06, 0.1)),
        seed=1 + dice.integer(0, 9999),
    )
    return replace(scene, material=material, materials=(*scene.materials, boards))


def _paint(dice: Dice, least: float) -> Material:
    light, warmth = dice.uniform(least, 0.95), dice.uniform(-0.03, 0.07)
    colour: Colour = (light, light - 0.4 * max(0.0, warmth), light - warmth)
    return Material(texture=Texture.FLAT, colour_a=colour, colour_b=colour, seed=1 + dice.integer(0, 9999))
