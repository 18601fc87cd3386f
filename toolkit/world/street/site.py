"""A place under construction outdoors: builder, dice, weather, and the ground that is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from edgedepth.world.builder import Dice, SceneBuilder
from edgedepth.world.scene import Array
from edgedepth.world.street.weather import Weather, set_weather


class Obstacles:
    """What stands on the ground, as turned rectangles in plan, so that nothing is put through another."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, float, float, float, float, float]] = []

    def add(self, position: ArrayLike, yaw: float, half_x: float, half_y: float) -> None:
        """Take a rectangle around `position`, turned by `yaw`, with these half edges in metres."""
        x, y = (float(v) for v in np.asarray(position)[:2])
        self._rows.append((x, y, float(np.cos(yaw)), float(np.sin(yaw)), half_x, half_y))

    @contextmanager
    def reserved(self, position: ArrayLike, yaw: float, half_x: float, half_y: float) -> Iterator[None]:
        """Take a rectangle only while other things are placed: a side road, a gate."""
        self.add(position, yaw, half_x, half_y)
        row = self._rows[-1]
        yield
        self._rows.remove(row)

    def middles(self) -> Array:
        """Plan positions (N, 2) of all obstacles."""
        return np.asarray(self._rows, np.float64).reshape(-1, 6)[:, :2]

    def clearance(self, points: ArrayLike) -> Array:
        """Distance in metres from each plan point (N, 2) to the nearest obstacle (0 inside)."""
        where = np.asarray(points, np.float64).reshape(-1, 2)
        if not self._rows:
            return np.full(len(where), np.inf)
        row = np.asarray(self._rows)
        dx, dy = where[:, :1] - row[:, 0], where[:, 1:] - row[:, 1]
        along = np.abs(dx * row[:, 2] + dy * row[:, 3]) - row[:, 4]
        across = np.abs(dy * row[:, 2] - dx * row[:, 3]) - row[:, 5]
        return np.asarray(np.hypot(np.maximum(along, 0), np.maximum(across, 0)).min(axis=1))


@dataclass
class Site:
    """Everything the outdoor grammars share while they build one scene."""

    dice: Dice
    builder: SceneBuilder
    weather: Weather
    obstacles: Obstacles = field(default_factory=Obstacles)
    rise: Callable[[Array], float] | None = None  # of the land's bumps at a plan point (2,), where it has any

    def on_land(self, position: Array) -> Array:
        """A point (3,) that is level with the line, lifted or lowered with the bumps of the land."""
        return position if self.rise is None else position + np.array([0.0, 0.0, self.rise(position[:2])])

    def free(self, position: ArrayLike, radius: float) -> bool:
        """Whether a circle on the ground touches nothing."""
        return bool(self.obstacles.clearance(np.asarray(position)[:2])[0] > radius)

    def take(self, position: ArrayLike, yaw: float, half_x: float, half_y: float) -> bool:
        """Claim a rectangle if it is free (tested at its middle, corners and edge middles)."""
        centre = np.asarray(position, np.float64)[:2]
        c, s = np.cos(yaw), np.sin(yaw)
        grid = np.array([(i * half_x, j * half_y) for i in (-1, 0, 1) for j in (-1, 0, 1)])
        around = centre + grid @ np.array([[c, s], [-s, c]])
        if bool((self.obstacles.clearance(around) < 0.05).any()):
            return False
        self.obstacles.add(centre, yaw, half_x, half_y)
        return True


def new_site(dice: Dice) -> Site:
    """An empty place with weather of its own."""
    builder = SceneBuilder()
    return Site(dice=dice, builder=builder, weather=set_weather(builder, dice))
