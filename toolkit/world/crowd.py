"""Pedestrians: standing or walking, alone or in small groups, wherever there is room."""

from __future__ import annotations

import numpy as np

from edgedepth.world.course import Course
from edgedepth.world.people import Posture, person
from edgedepth.world.scene import Array
from edgedepth.world.site import Site


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
        person(self.site.builder, dice, position, yaw, posture, segments=5)
        return True

    def group(self, course: Course, s: float, t: float, h: float = 0.0) -> None:
        """One to three people walking the same way along a line, or standing together."""
        dice = self.site.dice
        turn = dice.choice((0.0, np.pi, 0.0, np.pi, dice.uniform(0, 6.28)))
        for i in range(dice.choice((1, 1, 1, 2, 2, 3))):
            position, yaw = course.place(
                s + dice.normal(0.3), t + 0.65 * i * (-1 if t > 0 else 1), h, turn + dice.normal(0.15)
            )
            self.person(position, yaw)
