"""Where a camera may stand in a room, and which way a photographer would point it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgedepth.world.builder import Dice
from edgedepth.world.indoor.placing import FloorPlan
from edgedepth.world.indoor.rooms import Room
from edgedepth.world.scene import Scene, View

Sampler = Callable[[Dice], View]

_COLUMNS, _ROWS = 7, 4  # the coarse grid of probing rays
_FLOOR_ROBOTS = 0.1  # share of the views of rooms
_FLOOR_M = (0.06, 0.25)  # height of their cameras


def first_hits(
    scene: Scene, origin: NDArray[np.float64], rays: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distance along each of the (N, 3) unit rays to the first triangle and its index; inf and -1 without one.

    Möller and Trumbore, "Fast, minimum storage ray/triangle intersection" (1997), over all pairs at once.
    """
    a = scene.positions[:, 0].astype(np.float64)
    e1 = scene.positions[:, 1] - a
    e2 = scene.positions[:, 2] - a
    t = origin - a
    q = np.cross(t, e1)
    along = (e2 * q).sum(1)
    best = np.full(len(rays), np.inf)
    index = np.full(len(rays), -1, np.int64)
    for i, ray in enumerate(rays):
        p = np.cross(ray, e2)
        det = (e1 * p).sum(1)
        det[np.abs(det) < 1e-12] = 1e-12  # parallel: u or v comes out absurd and misses
        u, v, distance = (t * p).sum(1) / det, (q @ ray) / det, along / det
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 1e-4)
        if hit.any():
            index[i] = np.argmin(np.where(hit, distance, np.inf))
            best[i] = distance[index[i]]
    return best, index


def _probe_rays(yaw: float, pitch: float, hfov_deg: float) -> NDArray[np.float64]:
    half = math.tan(math.radians(hfov_deg) / 2) * 0.85
    side, up = np.meshgrid(np.linspace(-half, half, _COLUMNS), np.linspace(-half, half, _ROWS) * 0.7)
    forward = np.ones_like(side)
    c, s = math.cos(pitch), math.sin(pitch)
    ahead, z = c * forward - s * up, s * forward + c * up
    cy, sy = math.cos(yaw), math.sin(yaw)
    rays = np.stack([cy * ahead + sy * side, sy * ahead - cy * side, z], -1).reshape(-1, 3)
    return np.asarray(rays / np.linalg.norm(rays, axis=1, keepdims=True))


def clear_view(scene: Scene, view: View, near_m: float, typical_m: tuple[float, float], *, objects: int = 1) -> bool:
    """Whether a view is worth taking.

    At most a tenth of it is nearer than `near_m`, its median distance lies in `typical_m`, and the probing rays
    meet at least `objects` different objects (a bare wall is one).
    """
    rays = _probe_rays(view.yaw, view.pitch, view.hfov_deg)
    hits, triangles = first_hits(scene, np.asarray(view.position), rays)
    if (hits < near_m).mean() > 0.1 or not typical_m[0] <= np.median(hits) <= typical_m[1]:
        return False
    return len(np.unique(scene.instance[triangles[triangles >= 0]])) >= objects


def stands_free(plan: FloorPlan, x: float, y: float, z: float, margin: float) -> bool:
    """Whether a camera may be at a point: inside, off the walls, not in or just above furniture."""
    if not plan.inside(x, y, margin):
        return False
    return all(not f.solid or z > f.top + 0.3 or not f.contains(x, y, 0.18) for f in plan.footprints)


def _height_and_pitch(dice: Dice, ceiling: float) -> tuple[float, float]:
    """Camera height (m) and pitch (rad): mostly held in the hand, sometimes a robot's or a shelf's."""
    draw = dice.uniform()
    if draw < 0.12:
        z, pitch = dice.uniform(0.2, 0.6), dice.uniform(-8, 12)
    elif draw < 0.88:
        z, pitch = dice.uniform(0.9, 1.7), dice.uniform(-25, 5)
    else:
        z, pitch = dice.uniform(1.6, 2.5), dice.uniform(-50, -10)
    if dice.chance(0.08):
        pitch = dice.uniform(-50, 15)
    return min(z, ceiling - 0.25), math.radians(pitch)


def room_views(scene: Scene, room: Room) -> Sampler:
    """A sampler of views across the room, from near its walls or from its middle."""

    def sample(dice: Dice) -> View:
        objects = dice.choice((3, 5, 6, 7, 8))
        view = _candidate(dice, room)
        for attempt in range(18):
            relaxed = attempt > 12
            near, typical = (0.35, (0.6, 9.0)) if relaxed else (0.55, (1.1, 9.0))
            if clear_view(scene, view, near, typical, objects=max(objects - attempt // 4, 2)):
                break
            view = _candidate(dice, room)
        return _from_floor(dice, scene, room, view) if dice.chance(_FLOOR_ROBOTS) else view

    return sample


def window_views(scene: Scene, room: Room) -> Sampler:
    """A sampler of views across the room, most of them turned to where they show a window or what is beside it."""
    sample = room_views(scene, room)

    def turned(dice: Dice) -> View:
        view = sample(dice)
        if not room.windows or dice.chance(0.3):
            return view
        window = dice.choice(room.windows)
        x, y, _ = view.position
        yaw = math.atan2(window.y - y, window.x - x) + dice.uniform(-0.7, 0.7) * math.radians(view.hfov_deg)
        return replace(view, yaw=yaw)

    return turned


def on_floor(view: View) -> bool:
    """Whether the camera of a room is that of a robot as low as a vacuum cleaner: it sees floor from very close."""
    return view.position[2] < _FLOOR_M[1]


def _from_floor(dice: Dice, scene: Scene, room: Room, view: View) -> View:
    """A view from just above the floor, level or slightly upwards, with free room ahead; `view` if none is found."""
    for _ in range(24):
        x, y, z = dice.uniform(0, room.width), dice.uniform(0, room.length), dice.uniform(*_FLOOR_M)
        yaw, _ = _aim(dice, room, x, y, z, 0.0)
        hfov_deg = dice.uniform(60, 95)
        if not stands_free(room.plan, x, y, z, 0.2):
            continue
        turns = yaw + math.radians(hfov_deg) * np.linspace(-0.45, 0.45, 7)
        level = np.stack([np.cos(turns), np.sin(turns), 0 * turns], 1)
        ahead, _ = first_hits(scene, np.array([x, y, z]), level)
        if ahead.min() > 0.6 and np.median(ahead) > 1.2:
            pitch, roll = math.radians(dice.uniform(0, 12)), math.radians(dice.normal(1.0))
            return View(position=(x, y, z), yaw=yaw, pitch=pitch, roll=roll, hfov_deg=hfov_deg)
    return view


def _candidate(dice: Dice, room: Room) -> View:
    margin = min(0.3, 0.22 * min(room.width, room.length))
    x, y, z, pitch = room.width / 2, room.length / 2, 1.4, 0.0
    for attempt in range(60):
        wide = 0.0 if attempt < 40 else -0.1
        x, y = dice.uniform(0, room.width), dice.uniform(0, room.length)
        if dice.chance(0.45):  # backed against a wall or into a corner, as photographers of rooms do
            x = dice.choice((x, margin + 0.05, room.width - margin - 0.05))
            y = dice.choice((y, margin + 0.05, room.length - margin - 0.05))
        z, pitch = _height_and_pitch(dice, room.height_at(x))
        if stands_free(room.plan, x, y, z, max(margin + wide, 0.15)):
            break
    yaw, pitch = _aim(dice, room, x, y, z, pitch)
    return View(
        position=(x, y, z), yaw=yaw, pitch=pitch, roll=math.radians(dice.normal(2.5)),
        hfov_deg=dice.uniform(45, 95) if dice.chance(0.5) else dice.uniform(54, 72),
    )  # fmt: skip


def _aim(dice: Dice, room: Room, x: float, y: float, z: float, pitch: float) -> tuple[float, float]:
    """Heading and pitch: at a piece of furniture 0.9-4.5 m away, across the room, or anywhere."""
    subjects = [f for f in room.plan.footprints if f.solid and 0.9 < math.hypot(f.x - x, f.y - y) < 4.5]
    if subjects and dice.chance(0.55):
        pair = dice.choice(subjects), dice.choice(subjects)
        subject = max(pair, key=lambda f: f.half_width * f.half_depth)
        far = math.hypot(subject.x - x, subject.y - y)
        rise = dice.uniform(0.3, 1.1) * min(subject.top, 1.8) + dice.uniform(0.0, 0.3) - z
        yaw = math.atan2(subject.y - y, subject.x - x) + dice.normal(0.2)
        low, high = math.radians(-50), math.radians(15)
        return yaw, min(max(math.atan2(rise, far) + dice.normal(0.08), low), high)
    if dice.chance(0.2):
        return dice.uniform(-math.pi, math.pi), pitch
    across = room.length * dice.uniform(0.2, 0.8) - y, room.width * dice.uniform(0.2, 0.8) - x
    return math.atan2(*across) + dice.normal(0.35), pitch


def scanning_views(scene: Scene, room: Room) -> Sampler:
    """A sampler of views from a camera in the hand that goes over a room's furniture and walls, 0.8-2.6 m before them.

    It looks mostly downwards and is held askew; what it sees is one side of a room and seldom the whole.
    """

    def candidate(dice: Dice) -> View:
        x, y, z = room.width / 2, room.length / 2, 1.4
        for attempt in range(60):
            x, y, z = dice.uniform(0, room.width), dice.uniform(0, room.length), dice.uniform(1.0, 1.8)
            z = min(z, room.height_at(x) - 0.3)
            if stands_free(room.plan, x, y, z, 0.25 if attempt < 40 else 0.15):
                break
        yaw, far, rise = _before(dice, room, x, y, z)
        pitch = min(max(math.atan2(rise, far) + dice.normal(0.12), math.radians(-60)), math.radians(10))
        return View(
            position=(x, y, z), yaw=yaw + dice.normal(0.25), pitch=pitch, roll=math.radians(dice.normal(6.0)),
            hfov_deg=dice.uniform(50, 76),
        )  # fmt: skip

    def sample(dice: Dice) -> View:
        view = candidate(dice)
        for attempt in range(24):
            if clear_view(scene, view, 0.5, (0.9, 2.8), objects=4 if attempt < 16 else 2):
                break
            view = candidate(dice)
        return view

    return sample


def _before(dice: Dice, room: Room, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Heading to a piece of furniture or a wall 0.8-2.6 m away, how far it is, and how much higher than `z` the aim."""
    subjects = [(f.x, f.y, f.top) for f in room.plan.footprints if f.solid]
    for wall in room.plan.walls:
        place = wall.pose(dice.uniform(0.1, 0.9) * wall.length)
        subjects.append((place.x, place.y, 2.2))
    near = [s for s in subjects if 0.8 < math.hypot(s[0] - x, s[1] - y) < 2.6]
    to_x, to_y, top = dice.choice(near or subjects)
    aim = dice.uniform(0.2, 1.1) * min(top, 1.6)
    return math.atan2(to_y - y, to_x - x), max(math.hypot(to_x - x, to_y - y), 0.1), aim - z


def close_views(scene: Scene, room: Room, top: tuple[float, float, float], size: tuple[float, float]) -> Sampler:
    """A sampler of views of a table top from 0.3-1.5 m; `top` is its middle, `size` its extent in metres."""

    def candidate(dice: Dice) -> View:
        for _ in range(40):
            aim = (
                top[0] + dice.uniform(-0.3, 0.3) * size[0],
                top[1] + dice.uniform(-0.3, 0.3) * size[1],
                top[2] + dice.uniform(0.0, 0.15),
            )
            far, turn = dice.uniform(0.45, 1.5), dice.uniform(-math.pi, math.pi)
            steep = math.radians(dice.uniform(12, 68))
            x = aim[0] + far * math.cos(steep) * math.cos(turn)
            y = aim[1] + far * math.cos(steep) * math.sin(turn)
            z = aim[2] + far * math.sin(steep)
            if z < room.height_at(x) - 0.15 and room.plan.inside(x, y, 0.12):
                break
        yaw = math.atan2(aim[1] - y, aim[0] - x) + dice.normal(0.08)
        return View(
            position=(x, y, z), yaw=yaw, pitch=-steep + dice.normal(0.08), roll=math.radians(dice.normal(3.0)),
            hfov_deg=dice.uniform(45, 80),
        )  # fmt: skip

    def sample(dice: Dice) -> View:
        view = candidate(dice)
        for _ in range(14):
            if clear_view(scene, view, 0.22, (0.3, 2.2)):
                break
            view = candidate(dice)
        return view

    return sample
