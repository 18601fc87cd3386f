"""The line of a road or path: a curve in plan with a height profile, and strips swept along it.

Along the line runs `s`, to its right `t`, both in metres; objects placed by `place` have y forward, x right.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgedepth.world.builder import Dice, SceneBuilder
from edgedepth.world.scene import Array
from edgedepth.world.solids import grid_faces, repeated_faces

_STEP_M = 2.0


class Course:
    """A line from `start` to `end`; at s = 0 it lies in `origin` and runs along `heading` (0 = +x).

    `curvature` (1/m, positive turns left) and `slope` (rise over run) are given as (s, value) knots, between
    which they change linearly.
    """

    def __init__(
        self,
        origin: ArrayLike = (0.0, 0.0, 0.0),
        heading: float = np.pi / 2,
        *,
        start: float = -70.0,
        end: float = 330.0,
        curvature: Sequence[tuple[float, float]] = ((0.0, 0.0),),
        slope: Sequence[tuple[float, float]] = ((0.0, 0.0),),
    ) -> None:
        self.start, self.end = start, end
        self._s = np.arange(start - _STEP_M, end + 2 * _STEP_M, _STEP_M)
        bend = np.interp(self._s, [k for k, _ in curvature], [v for _, v in curvature])
        rise = np.interp(self._s, [k for k, _ in slope], [v for _, v in slope])
        turn = self._integral(bend)
        self._heading = heading + turn
        base = np.asarray(origin, np.float64)
        self._xyz = np.stack(
            [
                base[0] + self._integral(np.cos(self._heading)),
                base[1] + self._integral(np.sin(self._heading)),
                base[2] + self._integral(rise),
            ],
            1,
        )
        self.max_curvature = float(np.abs(bend).max())
        self.is_straight = self.max_curvature < 1e-6 and float(np.abs(np.diff(rise)).max()) < 1e-9
        self._slope = rise

    def _integral(self, values: Array) -> Array:
        steps = (values[1:] + values[:-1]) * _STEP_M / 2
        total = np.concatenate([[0.0], np.cumsum(steps)])
        return np.asarray(total - np.interp(0.0, self._s, total))

    def points(self, s: ArrayLike, t: ArrayLike = 0.0, h: ArrayLike = 0.0) -> Array:
        """World points (..., 3) at distance s, t to the right, h above the line."""
        s, t, h = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (s, t, h)))
        heading = np.interp(s, self._s, self._heading)
        out = np.stack([np.interp(s, self._s, self._xyz[:, axis]) for axis in range(3)], -1)
        out[..., 0] += t * np.sin(heading)
        out[..., 1] -= t * np.cos(heading)
        out[..., 2] += h
        return np.asarray(out)

    def heading(self, s: float) -> float:
        """Direction of the line at s, radians from +x."""
        return float(np.interp(s, self._s, self._heading))

    def slope(self, s: float) -> float:
        """Rise over run at s."""
        return float(np.interp(s, self._s, self._slope))

    def pitch(self, s: float, turn: float = 0.0) -> float:
        """How far an object placed at s with this `turn` is tipped up in front by the slope, in radians."""
        return float(np.arctan(self.slope(s) * np.cos(turn)))

    def place(self, s: float, t: float = 0.0, h: float = 0.0, turn: float = 0.0) -> tuple[Array, float]:
        """Position and yaw for an object whose y axis points forward (then turned by `turn`)."""
        return self.points(s, t, h), self.heading(s) - np.pi / 2 + turn

    def stations(self, s0: float, s1: float, step: float = 5.0) -> Array:
        """Distances from s0 to s1 close enough for the line to look smooth: two if it is straight."""
        pieces = 1 if self.is_straight else max(1, int(np.ceil((s1 - s0) / step)))
        return np.linspace(s0, s1, pieces + 1)

    def crossing(self, s: float, *, length: float = 160.0) -> Course:
        """A straight level line that crosses this one at right angles at s, running to the right."""
        return Course(self.points(s), self.heading(s) - np.pi / 2, start=-length, end=length)


def random_course(
    dice: Dice, *, bend: float = 0.012, slope: float = 0.05, straight: float = 0.4, start: float = -70.0
) -> Course:
    """A line that is straight with the given chance, else bends, snakes, climbs or falls."""
    curvature: list[tuple[float, float]] = [(0.0, 0.0)]
    if not dice.chance(straight):
        k = dice.choice((-1, 1)) * bend * dice.uniform(0.15, 1.0)
        first, length = dice.uniform(0, 50), min(dice.uniform(50, 160), 1.3 / abs(k))
        back = -k * dice.uniform(0, 1) if dice.chance(0.4) else 0.0
        curvature = [(first - 15, 0.0), (first + 10, k), (first + length, k), (first + length + 25, back),
                     (first + length + 80, 0.0)]  # fmt: skip
    rises: list[tuple[float, float]] = [(0.0, 0.0)]
    if slope > 0 and dice.chance(0.45):
        first, second = dice.normal(slope), dice.normal(slope)
        rises = [(-30, first), (dice.uniform(15, 40), first), (dice.uniform(70, 130), second), (260, 0.0)]
    return Course(start=start, curvature=curvature, slope=rises)


def sweep(
    b: SceneBuilder,
    course: Course,
    s0: float,
    s1: float,
    profile: Sequence[tuple[float, float]],
    material: int,
    *,
    step: float = 5.0,
    semantic: str | None = None,
) -> None:
    """Pull a cross-section of (t, h) points, left to right, along the line; texture coordinates (t, s, h)."""
    section = np.asarray(profile, np.float64)
    s = course.stations(s0, s1, step)
    world = course.points(s[:, None], section[None, :, 0], section[None, :, 1])
    local = np.empty_like(world)
    local[..., 0], local[..., 1], local[..., 2] = section[:, 0], s[:, None], section[:, 1]
    faces = grid_faces(len(s), len(section))
    b.triangles(world.reshape(-1, 3), faces, material, local=local.reshape(-1, 3), semantic=semantic)


def skirted(profile: Sequence[tuple[float, float]], deep: float = 0.25) -> list[tuple[float, float]]:
    """The cross-section with a riser down at both ends: no slot is left above lower ground beside it."""
    (first, low), (last, high) = profile[0], profile[-1]
    return [(first, low - deep), *profile, (last, high - deep)]


def patches(
    b: SceneBuilder,
    course: Course,
    s: ArrayLike,
    t: ArrayLike,
    length: ArrayLike,
    width: ArrayLike,
    material: int,
    *,
    h: float = 0.012,
    shear: float = 0.0,
) -> None:
    """Rectangles lying on the line (paint, manholes, repairs), centred on (s, t); all may be arrays (N,).

    `shear` moves the far edge to the right by that many metres.
    """
    s, t, length, width = np.broadcast_arrays(*(np.asarray(v, np.float64).ravel() for v in (s, t, length, width)))
    if not len(s):
        return
    ds = np.stack([-length, -length, length, length], 1) / 2
    dt = np.stack([-width, width, width, -width], 1) / 2 + shear * np.array([-0.5, -0.5, 0.5, 0.5])
    along, across = s[:, None] + ds, t[:, None] + dt
    world = course.points(along, across, h)
    local = np.stack([across, along, np.zeros_like(along)], -1)
    faces = repeated_faces([[0, 1, 2], [0, 2, 3]], 4, len(s))
    b.triangles(world.reshape(-1, 3), faces, material, local=local.reshape(-1, 3))


def relief(seed_phase: Sequence[float], x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """Smooth bumps of unit size over the plane, from a sum of four waves."""
    p, x, y = seed_phase, np.asarray(x), np.asarray(y)
    return np.asarray(
        np.sin(x * 0.021 + p[0]) * np.cos(y * 0.017 + p[1])
        + 0.5 * np.sin(x * 0.05 + y * 0.03 + p[2])
        + 0.25 * np.sin(y * 0.11 - x * 0.07 + p[3])
    )
