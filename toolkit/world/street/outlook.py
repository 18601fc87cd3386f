"""Where cameras stand outdoors: in the traffic, on the pavement, on a robot, on a pole or balcony."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgedepth.world.builder import Dice
from edgedepth.world.scene import Array, View
from edgedepth.world.street.course import Course
from edgedepth.world.street.site import Obstacles

_TRIES = 60
_FAR_M = 12.0  # beyond the near networks' 10 m, off the axis too
_DRIVEN_HALF_M = 0.95  # half the width of what drives before the camera, or behind it


@dataclass(frozen=True, kw_only=True)
class Stand:
    """A family of viewpoints along a line; ranges are (low, high), angles in degrees.

    `facing` lists the base directions against the line's (0 forward, 180 back), `spread` is added to either
    side of it; `ground` is the height of the ground at that t above the line; `driven`: on a vehicle in its
    lane.
    """

    share: float
    s: tuple[float, float]
    t: tuple[float, float]
    height: tuple[float, float]
    facing: Sequence[float] = (0.0,)
    spread: float = 8.0
    pitch: tuple[float, float] = (-5.0, 2.0)
    hfov: tuple[float, float] = (50.0, 85.0)
    ground: float = 0.0
    driven: bool = False


Sampler = Callable[[Course, Obstacles, Sequence[Stand]], Callable[[Dice], View]]


def dashcam(s: tuple[float, float], t: tuple[float, float], *, share: float = 1.0, back: bool = False) -> Stand:
    """A camera behind a windscreen: 1.2-2.2 m up, level, looking along the lane."""
    return Stand(share=share, s=s, t=t, height=(1.2, 2.2), facing=(180.0,) if back else (0.0,), spread=6.0,
                 pitch=(-4.0, 2.0), hfov=(45.0, 95.0), driven=True)  # fmt: skip


def walker(
    s: tuple[float, float], t: tuple[float, float], *, share: float = 1.0, ground: float = 0.0, any_way: bool = True
) -> Stand:
    """A person with a phone: eye height, any direction or mostly along the way."""
    facing = (0.0, 0.0, 180.0, 90.0, -90.0) if any_way else (0.0, 180.0)
    return Stand(share=share, s=s, t=t, height=(1.25, 1.8), facing=facing, spread=45.0 if any_way else 15.0,
                 pitch=(-14.0, 3.0), hfov=(45.0, 80.0), ground=ground)  # fmt: skip


def robot(s: tuple[float, float], t: tuple[float, float], *, share: float = 1.0, ground: float = 0.0) -> Stand:
    """A ground robot: 0.35-1 m up, wide lens."""
    return Stand(share=share, s=s, t=t, height=(0.35, 1.0), facing=(0.0, 180.0), spread=40.0, pitch=(-6.0, 8.0),
                 hfov=(60.0, 100.0), ground=ground)  # fmt: skip


def raised(s: tuple[float, float], t: tuple[float, float], *, share: float = 1.0) -> Stand:
    """A camera on a pole or balcony, 3-6 m up, tilted down."""
    return Stand(share=share, s=s, t=t, height=(3.0, 6.0), facing=(0.0, 180.0, 90.0, -90.0), spread=40.0,
                 pitch=(-32.0, -12.0), hfov=(55.0, 90.0))  # fmt: skip


def _drawn(stands: Sequence[Stand], dice: Dice) -> Stand:
    """One of them, by their shares."""
    pick = dice.uniform(0, sum(stand.share for stand in stands))
    for stand in stands:
        pick -= stand.share
        if pick < 0:
            return stand
    return stands[-1]


def _openness(obstacles: Obstacles, point: Array, yaw: float, half_fov: float) -> float:
    """Free distance ahead in metres (up to 4), the least over three directions."""
    reach = np.array([0.8, 1.4, 2.0, 2.7, 3.4, 4.0])
    angles = yaw + half_fov * np.array([-0.7, 0.0, 0.7])
    points = point[:2] + reach[None, :, None] * np.stack([np.cos(angles), np.sin(angles)], -1)[:, None]
    blocked = obstacles.clearance(points.reshape(-1, 2)).reshape(3, -1) < 0.2
    first = np.where(blocked.any(axis=1), reach[blocked.argmax(axis=1)], 4.5)
    return float(first.min())


def _interest(obstacles: Obstacles, point: Array, yaw: float, half_fov: float) -> int:
    """How many things stand within 35 m in view."""
    offset = obstacles.middles() - point[:2]
    distance = np.hypot(offset[:, 0], offset[:, 1])
    inside = offset @ np.array([np.cos(yaw), np.sin(yaw)]) > distance * np.cos(half_fov)
    return int((inside & (distance < 35.0)).sum())


def view_sampler(course: Course, obstacles: Obstacles, stands: Sequence[Stand]) -> Callable[[Dice], View]:
    """A function that draws free views from the stands by their shares."""

    def draw(dice: Dice) -> tuple[View, float]:
        stand = _drawn(stands, dice)
        s = dice.uniform(*stand.s)
        height = stand.ground + dice.uniform(*stand.height)
        position = course.points(s, dice.uniform(*stand.t), height)
        turn = np.radians(dice.choice(stand.facing) + dice.normal(stand.spread / 2))
        hfov = dice.choice((65.0, 81.0, dice.uniform(*stand.hfov), dice.uniform(*stand.hfov)))
        slope = float(np.arctan(course.slope(s)) * np.cos(turn))
        view = View(
            position=(float(position[0]), float(position[1]), float(position[2])),
            yaw=float(course.heading(s) + turn),
            pitch=slope + float(np.radians(dice.uniform(*stand.pitch))),
            roll=float(np.radians(dice.normal(1.5))),
            hfov_deg=hfov,
        )
        room = float(obstacles.clearance(position[:2])[0])
        open_m = _openness(obstacles, position, view.yaw, np.radians(hfov) / 2) if room > 0.45 else 0.0
        return view, open_m

    def sample(dice: Dice) -> View:
        """Mostly the liveliest of four free views: an empty corner teaches little."""
        views = [free_view(dice) for _ in range(4 if dice.chance(0.75) else 1)]
        return max(views, key=_liveliness)

    def _liveliness(view: View) -> int:
        return _interest(obstacles, np.asarray(view.position), view.yaw, np.radians(view.hfov_deg) / 2)

    def free_view(dice: Dice) -> View:
        wanted = dice.choice((1.9, 2.6, 3.3, 4.2))
        best, best_open = draw(dice)
        for _ in range(_TRIES):
            if best_open >= wanted:
                break
            view, open_m = draw(dice)
            if open_m > best_open:
                best, best_open = view, open_m
        return best

    return sample


def far_views(
    course: Course, obstacles: Obstacles, stands: Sequence[Stand], share: float = 0.5
) -> Callable[[Dice], View]:
    """As `view_sampler`, for places with walls: draws until `share` of the width reaches far (`_FAR_M`)."""
    draw = view_sampler(course, obstacles, stands)

    def sample(dice: Dice) -> View:
        best, most = draw(dice), 0.0
        view = best
        for _ in range(_TRIES):
            found = _far_share(obstacles, view)
            if found > most:
                best, most = view, found
            if most >= share:
                break
            view = draw(dice)
        return best

    return sample


def _far_share(obstacles: Obstacles, view: View) -> float:
    """The share of eleven directions over a view's width in which nothing stands nearer than `_FAR_M`."""
    angles = view.yaw + np.radians(view.hfov_deg) / 2 * np.linspace(-0.9, 0.9, 11)
    steps = np.arange(1.0, _FAR_M, 0.75)
    points = np.asarray(view.position[:2]) + steps[:, None] * np.stack([np.cos(angles), np.sin(angles)], -1)[:, None]
    return float((obstacles.clearance(points.reshape(-1, 2)).reshape(11, -1) > 0.1).all(axis=1).mean())


def driving_views(course: Course, obstacles: Obstacles, stands: Sequence[Stand]) -> Callable[[Dice], View]:
    """As `view_sampler`, of drivers alone: cameras on cars, seldom on lorries or low robots, with road before them.

    They are level and look along the lane, but for a turn now and then. How much of the road before them is free is
    drawn, 4 to 40 m, as far as the traffic allows; nothing is chosen for what else is seen.
    """
    driven = [stand for stand in stands if stand.driven]

    def free_m(s: float, t: float, way: float, most: float) -> float:
        """Free road ahead in metres, up to `most`."""
        ahead = np.arange(0.0, most + 1.0)
        blocked = obstacles.clearance(course.points(s + way * ahead, t)[:, :2]) < _DRIVEN_HALF_M
        return float(ahead[blocked.argmax()]) if blocked.any() else most

    def place(dice: Dice) -> tuple[float, float, float]:
        """Where on the line and which way (1 or -1): the first of some draws with as much free road as was wanted."""
        wanted = dice.choice((4.0, 7.0, 10.0, 16.0, 25.0, 40.0))
        best, most = (0.0, 0.0, 1.0), -1.0
        for _ in range(_TRIES):
            stand = _drawn(driven, dice)
            s, t = dice.uniform(*stand.s), dice.uniform(*stand.t)
            way = -1.0 if dice.choice(stand.facing) == 180.0 else 1.0
            free = free_m(s, t, way, wanted)
            if free > most:
                best, most = (s, t, way), free
            if most >= wanted:
                break
        return best

    def sample(dice: Dice) -> View:
        s, t, way = place(dice)
        height = dice.choice((dice.uniform(1.2, 1.75),) * 7 + (dice.uniform(1.8, 2.8), dice.uniform(0.4, 1.2)))
        turn = (0.0 if way > 0 else np.pi) + np.radians(dice.normal(2.0 if dice.chance(0.8) else 14.0))
        x, y, z = (float(v) for v in course.points(s, t, height))
        return View(
            position=(x, y, z),
            yaw=float(course.heading(s) + turn),
            pitch=float(np.arctan(course.slope(s)) * np.cos(turn) + np.radians(dice.normal(1.5) - 0.5)),
            roll=float(np.radians(dice.normal(0.7))),
            hfov_deg=dice.choice((48.0, 58.0, 65.0, 81.0, dice.uniform(45.0, 100.0), dice.uniform(45.0, 100.0))),
        )

    return sample
