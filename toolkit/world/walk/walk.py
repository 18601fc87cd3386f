"""A walk through a front door: a room in a house, the street outside, and one camera's path from one to the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgedepth.world.builder import Dice, SceneBuilder
from edgedepth.world.recipe import BuiltWalk
from edgedepth.world.scene import Array, View
from edgedepth.world.street import buildings, ground
from edgedepth.world.street.avenue import (
    KERB_M,
    Frontage,
    StreetPlan,
    carriageway,
    frontage,
    kerbside,
    parked_cars,
    pavements,
    traffic,
)
from edgedepth.world.street.course import Course
from edgedepth.world.street.crowd import Crowd
from edgedepth.world.street.site import Site
from edgedepth.world.street.vegetation import Flora
from edgedepth.world.street.vehicles import TOWN_TRAFFIC
from edgedepth.world.street.weather import fair_weather
from edgedepth.world.walk.frontroom import FrontRoom, build_front_room

Rows = Callable[[float, float, float], Frontage]  # (first s, last s, share of shops)

_HFOV_DEG = 68.0
_EYE_M = 1.55


def build_walk(dice: Dice) -> BuiltWalk:
    """A room and a street joined at an open front door, and the path of a camera through it.

    The house stands on the right of the street at s = 0; its room is a scene of its own that is moved behind
    the facade. The camera looks around the room, leaves through the door and turns down the street.
    """
    builder = SceneBuilder()
    site = Site(dice=dice, builder=builder, weather=fair_weather(builder, dice))
    course = Course(start=-90.0)
    plan = StreetPlan(lanes_back=1, lanes_ahead=1, lane=dice.uniform(3.0, 3.4), parking=(2.1, 2.1),
                      pavement=(dice.uniform(2.2, 3.5), dice.uniform(3.4, 4.2)))  # fmt: skip
    room = build_front_room(dice)
    edge = plan.outer[1]
    path = _path(room, edge, plan.half[1])
    _street(site, course, plan, room, path)
    builder.add_scene(room.scene, (edge, 0.0, KERB_M))
    return BuiltWalk(builder.finish("walk"), path.views)


@dataclass(frozen=True)
class Path:
    """A smooth path: positions (N, 3) and angles (N, 2) of yaw and pitch, evenly spaced in time."""

    positions: Array
    angles: Array

    def views(self, count: int) -> list[View]:
        """`count` views evenly spaced in time, from the first to the last."""
        at = np.linspace(0.0, len(self.positions) - 1.0, count)
        index = np.arange(len(self.positions))
        x, y, z = (np.interp(at, index, self.positions[:, i]) for i in range(3))
        yaw, pitch = (np.interp(at, index, self.angles[:, i]) for i in range(2))
        return [
            View(position=(float(x[i]), float(y[i]), float(z[i])), yaw=float(yaw[i]), pitch=float(pitch[i]),
                 hfov_deg=_HFOV_DEG)
            for i in range(count)
        ]  # fmt: skip


def _path(room: FrontRoom, edge: float, kerb: float) -> Path:
    """Keyframes (time, x, y, yaw, pitch) in degrees, joined smoothly; the last third is on the pavement."""
    out = (kerb + edge) / 2  # the middle of the pavement
    door_x, door_y = edge, room.door_y
    back_x, back_y = edge + room.depth - 0.8, room.stand_y
    hall_x = edge + 1.4
    away = float(np.sign(room.door_y - room.stand_y))  # towards the wall without the door
    keys = np.array(
        [
            (0.0, back_x, back_y, 180.0 + 52.0 * away, -9.0),
            (1.6, back_x, back_y, 180.0 + 20.0 * away, -8.0),
            (3.4, back_x - 0.5, back_y + 0.3 * (door_y - back_y), 180.0, -6.0),
            (6.0, hall_x, door_y, 180.0, -4.0),
            (7.4, door_x, door_y, 178.0, -3.0),
            (8.6, out + 0.3, door_y + 0.2, 150.0, -3.0),
            (9.6, out, door_y + 1.2, 100.0, -3.0),
            (11.0, out - 0.1, door_y + 3.0, 92.0, -2.0),
            (16.0, out - 0.1, door_y + 10.5, 90.0, -2.0),
        ]
    )
    time = np.linspace(0.0, keys[-1, 0], 800)
    columns = [_smooth(np.interp(time, keys[:, 0], keys[:, i])) for i in range(1, 5)]
    step = 2 * np.pi * 1.8 * time
    moving = np.clip((time - 2.0) / 1.5, 0, 1)
    height = KERB_M + _EYE_M + 0.012 * moving * np.sin(step)
    positions = np.stack([columns[0] + 0.008 * moving * np.sin(step / 2), columns[1], height], 1)
    angles = np.radians(np.stack([columns[2] + 0.3 * moving * np.sin(step / 2), columns[3]], 1))
    return Path(positions, angles)


def _smooth(values: Array, half: int = 45) -> Array:
    """A bell-weighted running mean, so that speed and turning change gently."""
    weights = np.hanning(2 * half + 3)[1:-1]
    padded = np.pad(values, half, mode="edge")
    return np.asarray(np.convolve(padded, weights / weights.sum(), mode="valid"))


def _street(site: Site, course: Course, plan: StreetPlan, room: FrontRoom, path: Path) -> None:
    """The street, with the room's plot and the camera's path kept free."""
    dice = site.dice
    edge = plan.outer[1]
    ground.land(site, course, plan.outer[0], edge + 30.0, ground.grass(site), drop=0.1)
    carriageway(site, course, plan)
    pavements(site, course, plan)
    flora, crowd = Flora(site), Crowd(site, limit=14)
    half = room.width / 2

    def rows(first: float, last: float, shops: float) -> Frontage:
        def maker(site: Site, plot: buildings.Plot) -> float:
            return buildings.town_house(site, plot, shop=shops, storeys=site.dice.choice((2, 3, 3, 4)))

        depth = (room.depth + 0.5, room.depth + 1.5)
        return Frontage(makers=(maker,), width=(6, 10), depth=depth, built=1.0, reach=(first, last))

    frontage(site, course, -1, plan.outer[0], rows(-60.0, 150.0, 0.35), flora)
    _row(site, course, edge, half, rows)
    site.obstacles.add((edge + room.depth / 2, 0.0), 0.0, room.depth / 2, half)
    outside = path.positions[path.positions[:, 0] < edge]
    middle, reach = outside.mean(axis=0), np.ptp(outside, axis=0) / 2
    with site.obstacles.reserved(middle, 0.0, reach[0] + 0.7, reach[1] + 1.2):
        parked_cars(site, course, plan, density=0.6)
        traffic(site, course, plan, spacing=dice.uniform(18, 30), makers=TOWN_TRAFFIC)
        kerbside(site, course, plan, flora, crowd, trees=0.3, furniture=0.4, people=0.3)
    ground.skyline(site, trees=0.6, town=0.6, hills=0.5)


def _row(site: Site, course: Course, edge: float, half: float, rows: Rows) -> None:
    """Houses wall to wall on both sides of the room's own house, so that the row has no gap."""
    dice = site.dice
    for direction in (-1, 1):
        reach = half
        while reach < 130:
            width = dice.uniform(6.0, 9.5)
            front = rows(0.0, 0.0, 0.0)
            position, yaw = course.place(direction * (reach + width / 2), edge, KERB_M - 0.02)
            plot = buildings.Plot(width, front.depth[0], reach < 60)
            buildings.put_building(site, front.makers[0], position, yaw, plot)
            reach += width
