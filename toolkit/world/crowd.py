"""Pedestrians of a street, light enough for a crowd: standing or walking, alone or in small groups."""

from __future__ import annotations

import numpy as np

from edgedepth.world import palette
from edgedepth.world.builder import Dice, SceneBuilder
from edgedepth.world.course import Course
from edgedepth.world.scene import Array
from edgedepth.world.site import Site
from edgedepth.world.solids import stamp
from edgedepth.world.vegetation import limbs

_TORSO = ((0.0, 0.8), (0.16, 0.82), (0.175, 0.95), (0.155, 1.12), (0.195, 1.34), (0.185, 1.42), (0.07, 1.5), (0.05, 1.6))


def pedestrian(b: SceneBuilder, dice: Dice, *, child: float = 0.12) -> None:
    """A person of 1.5 to 1.95 m (or a child) facing +y of the open object."""
    k = dice.uniform(0.95, 1.4) / 1.75 if dice.chance(child) else dice.uniform(1.52, 1.93) / 1.75
    wide = dice.uniform(0.9, 1.25)
    skin = palette.flat(b, palette.skin_colour(dice))
    top, legs = palette.fabric(b, dice), palette.fabric(b, dice, palette.dull_colour(dice))
    stride = dice.normal(0.22)
    hips = np.array([(-0.09 * wide, 0, 0.86), (0.09 * wide, 0, 0.86)])
    sway = np.array([[-1.0], [1.0]]) * stride
    ahead = np.array([[0.0, 1.0, 0.0]])
    knees = hips * [1, 1, 0.55] + 0.5 * sway * ahead + [0, 0.02, 0]
    feet = hips * [1, 1, 0.07] + sway * ahead
    thighs = limbs(hips, knees, 0.095 * wide, sides=7, taper=0.75)
    shins = limbs(knees + [0, 0, 0.03], feet, 0.07 * wide, sides=7, taper=0.7)
    skirt = dice.chance(0.15)
    for mesh, material in ((thighs, legs), (shins, skin if skirt else legs)):
        stamp(b, mesh, material, scale=k)
    if skirt:
        b.lathe([(0.17 * wide * k, 1.0 * k), (0.27 * k, 0.45 * k)], legs, segments=9)
    shoe = palette.flat(b, palette.dull_colour(dice))
    for foot in feet:
        b.box((foot[0] * k, foot[1] * k + 0.05, 0.04), (0.1, 0.27, 0.09), shoe)
    shoulders = np.array([(-0.215 * wide, 0, 1.4), (0.215 * wide, 0, 1.4)])
    elbows = shoulders + [0, 0, -0.29] - 0.45 * sway * ahead
    bend = dice.choice((0.1, 0.1, 0.25))
    hands = elbows + [0, 0, -0.25 + bend * 0.5] - (0.3 * sway - bend) * ahead
    stamp(b, limbs(shoulders + [0, 0, 0.03], elbows, 0.058 * wide, sides=6, taper=0.8), top, scale=k)
    stamp(b, limbs(elbows, hands, 0.042, sides=6, taper=0.85), skin if dice.chance(0.4) else top, scale=k)
    b.lathe([(r * wide, z) for r, z in _TORSO], top, segments=9, rotation=np.diag([k * 1.08, k * 0.7, k]))
    b.ellipsoid((0, 0.015, 1.64 * k), (0.08 * k, 0.1 * k, 0.125 * k), skin, segments=9, rings=6)
    hair = palette.flat(b, palette.hsv(0.08, dice.uniform(0, 0.6), dice.uniform(0.02, 0.35)))
    b.ellipsoid((0, -0.02 * k, 1.67 * k), (0.09 * k, 0.105 * k, 0.12 * k), hair, segments=9, rings=6)
    if dice.chance(0.3):
        bag = palette.fabric(b, dice)
        if dice.chance(0.5):
            b.box((0, -0.2 * k, 1.2 * k), (0.3, 0.18, 0.45), bag)
        else:
            b.box((0.3 * k, 0, 0.75 * k), (0.12, 0.35, 0.3), bag)


class Crowd:
    """Puts people where there is room."""

    def __init__(self, site: Site, *, limit: int = 40) -> None:
        self.site = site
        self._left = limit

    def person(self, position: Array, yaw: float) -> bool:
        """One person facing `yaw` (0 = +y); returns whether there was room."""
        if self._left <= 0 or not self.site.free(position, 0.3):
            return False
        self._left -= 1
        self.site.obstacles.add(position, yaw, 0.28, 0.25)
        self.site.builder.begin("person", position, yaw)
        pedestrian(self.site.builder, self.site.dice)
        return True

    def group(self, course: Course, s: float, t: float, h: float = 0.0) -> None:
        """One to three people walking the same way along a line, or standing together."""
        dice = self.site.dice
        turn = dice.choice((0.0, np.pi, 0.0, np.pi, dice.uniform(0, 6.28)))
        for i in range(dice.choice((1, 1, 1, 2, 2, 3))):
            position, yaw = course.place(s + dice.normal(0.3), t + 0.65 * i * (-1 if t > 0 else 1), h, turn + dice.normal(0.15))
            self.person(position, yaw)
