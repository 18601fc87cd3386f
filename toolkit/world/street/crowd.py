"""Pedestrians: standing or walking, alone or in small groups, wherever there is room."""

from __future__ import annotations

import numpy as np

from edgedepth.world import palette
from edgedepth.world.people import Posture, person
from edgedepth.world.scene import Array, Texture
from edgedepth.world.solids import limbs, stamp
from edgedepth.world.street.course import Course
from edgedepth.world.street.site import Site


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
        dice = self.site.dice
        posture: Posture = "walking" if dice.chance(0.6) else "standing"
        person(self.site.builder, dice, self.site.on_land(position), yaw, posture, segments=5)
        return True

    def group(self, course: Course, s: float, t: float, h: float = 0.0) -> None:
        """One to three people walking the same way along a line, or standing together; some with a dog."""
        dice = self.site.dice
        turn = dice.choice((0.0, np.pi, 0.0, np.pi, dice.uniform(0, 6.28)))
        placed = False
        for i in range(dice.choice((1, 1, 1, 2, 2, 3))):
            position, yaw = course.place(
                s + dice.normal(0.3), t + 0.65 * i * (-1 if t > 0 else 1), h, turn + dice.normal(0.15)
            )
            placed = self.person(position, yaw)
        if placed and dice.chance(0.08):
            self._dog(*course.place(s + 0.8, t, h, turn))

    def _dog(self, position: Array, yaw: float) -> None:
        if not self.site.free(position, 0.4):
            return
        b, dice = self.site.builder, self.site.dice
        self.site.obstacles.add(position, yaw, 0.15, 0.4)
        coat = palette.pattern(b, dice, Texture.NOISE, palette.wood_colour(dice), scale_m=0.1)
        k = dice.uniform(0.5, 1.25)  # size against a shoulder height of 0.55 m
        b.begin("animal", position, yaw)
        hips = np.array([(x, y, 0.4) for x in (-0.08, 0.08) for y in (-0.26, 0.24)])
        stamp(b, limbs(hips, hips * [1, 1, 0] + [0, 0.03, 0.0], 0.05, sides=5), coat, scale=k)
        b.ellipsoid((0, 0, 0.45 * k), (0.13 * k, 0.38 * k, 0.14 * k), coat, segments=8, rings=6)
        b.ellipsoid((0, 0.46 * k, 0.62 * k), (0.08 * k, 0.16 * k, 0.09 * k), coat, segments=8, rings=6)
        stamp(
            b,
            limbs([(0, 0.28, 0.5), (0, -0.34, 0.5)], [(0, 0.42, 0.62), (0, -0.52, 0.66)], [0.08, 0.03]),
            coat,
            scale=k,
        )
