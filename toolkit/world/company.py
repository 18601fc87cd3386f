"""Rooms and streets looked at for the people in them.

Somebody in dark clothes before a white wall, or a few steps away on a crossing, fills much of a frame and says nothing
about how far the scene reaches: a router has to see people in both to look at what is behind them. `company` is any
near scene with people in it and a camera that turns to one, `crossing` any far scene whose camera has come close. Where
there is nobody (a tabletop, a motorway) the view is the usual one.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgedepth.world.builder import Dice
from edgedepth.world.indoor.bare import emptied, painted
from edgedepth.world.indoor.viewpoints import on_floor
from edgedepth.world.recipe import Build, BuiltScene
from edgedepth.world.scene import SEMANTIC_ID, Scene, View

Feet = NDArray[np.float64]


def company(build: Build) -> Build:
    """The recipe whose rooms are those of `build`, half of them made plain, seen towards somebody in them."""

    def build_company(dice: Dice) -> BuiltScene:
        built = build(dice)
        scene = built.scene
        if dice.chance(0.5):
            scene = painted(emptied(scene, dice, share=dice.uniform(0.2, 0.95)), dice, least=0.75)
        people = people_of(scene)
        return BuiltScene(scene, lambda view_dice: turned_to(built.sample_view(view_dice), people, view_dice))

    return build_company


def crossing(build: Build) -> Build:
    """The recipe whose streets are those of `build`, seen from a few metres before somebody in them."""

    def build_crossing(dice: Dice) -> BuiltScene:
        built = build(dice)
        people = people_of(built.scene)
        return BuiltScene(built.scene, lambda view_dice: close_to(built.sample_view(view_dice), people, view_dice))

    return build_crossing


def people_of(scene: Scene) -> Feet:
    """(N, 3) in metres where every person of the scene is: the middle seen from above, and the height of the feet."""
    somebody = scene.semantic == SEMANTIC_ID["person"]
    feet = []
    for instance in np.unique(scene.instance[somebody]):
        corners = scene.positions[somebody & (scene.instance == instance)].reshape(-1, 3)
        feet.append([*corners[:, :2].mean(axis=0), corners[:, 2].min()])
    return np.array(feet, np.float64).reshape(-1, 3)


def turned_to(view: View, people: Feet, dice: Dice) -> View:
    """The view turned to a person 1 to 6 m away, and a little down; as it is where there is none."""
    here = people[_between(view, people, 1.0, 6.0)]
    if not len(here):
        return view
    x, y, _ = here[dice.integer(0, len(here) - 1)]
    yaw = math.atan2(y - view.position[1], x - view.position[0])
    yaw, pitch = yaw + dice.normal(0.25), dice.uniform(-0.3, 0.05)
    return replace(view, yaw=yaw, pitch=view.pitch if on_floor(view) else pitch)


def close_to(view: View, people: Feet, dice: Dice) -> View:
    """The view from 2.5 to 9 m before a person, on the line from where it was; as it is where there is none."""
    metres = dice.uniform(2.5, 9.0)
    there = people[_between(view, people, metres, 45.0)]
    if not len(there):
        return view
    x, y, ground = there[dice.integer(0, len(there) - 1)]
    yaw = math.atan2(y - view.position[1], x - view.position[0])
    position = (x - metres * math.cos(yaw), y - metres * math.sin(yaw), ground + dice.uniform(0.9, 1.9))
    return replace(view, position=position, yaw=yaw + dice.normal(0.25), pitch=dice.normal(0.08))


def _between(view: View, people: Feet, least_m: float, most_m: float) -> NDArray[np.bool_]:
    away = np.hypot(people[:, 0] - view.position[0], people[:, 1] - view.position[1])
    found: NDArray[np.bool_] = (away > least_m) & (away < most_m)
    return found
