"""Where things stand in a room: poses, pieces of furniture with a footprint, and the plan that keeps them apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgedepth.world import palette
from edgedepth.world.builder import Dice, SceneBuilder
from edgedepth.world.scene import Array


@dataclass(frozen=True)
class Pose:
    """A place (metres) and a heading (radians about z); things face +y of their own frame."""

    x: float
    y: float
    z: float = 0.0
    yaw: float = 0.0

    @property
    def position(self) -> tuple[float, float, float]:
        """The place as a triple."""
        return self.x, self.y, self.z

    def at(self, dx: float, dy: float, dz: float = 0.0, turn: float = 0.0) -> Pose:
        """The pose `dx` to the right and `dy` ahead of this one, raised by `dz` and turned by `turn`."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return Pose(self.x + c * dx - s * dy, self.y + s * dx + c * dy, self.z + dz, self.yaw + turn)


@dataclass(frozen=True, kw_only=True)
class Kit:
    """What a maker of things needs: the builder, the dice and the room's materials."""

    b: SceneBuilder
    dice: Dice
    look: palette.RoomPalette
    implausible: bool = False
    segments: int = 10

    def make(self, maker: palette.MaterialDraw) -> int:
        """A fresh material; in an implausible room often any pattern at all."""
        if self.implausible and self.dice.chance(0.6):
            return palette.wild(self.b, self.dice)
        return maker(self.b, self.dice)

    def body(self) -> int:
        """The material of a piece of furniture: the room's first or second, or one of its own."""
        draw = self.dice.uniform()
        if draw < 0.45:
            return self.look.furniture
        return self.look.second if draw < 0.7 else self.make(palette.surface)

    def begin(self, semantic: str, pose: Pose) -> None:
        """Open an object at a pose."""
        self.b.begin(semantic, pose.position, pose.yaw)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Something to stand on the floor: its extent in metres and how to make it at a pose."""

    width: float
    depth: float
    height: float
    build: Callable[[Kit, Pose], None]


@dataclass(frozen=True)
class Footprint:
    """An occupied rectangle of the floor up to the height `top`; `solid` ones stop cameras too."""

    x: float
    y: float
    half_width: float
    half_depth: float
    yaw: float
    top: float
    solid: bool = True

    def corners(self, margin: float = 0.0) -> Array:
        """The four corners grown by `margin`, (4, 2)."""
        w, d = self.half_width + margin, self.half_depth + margin
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        shape = np.array([[-w, -d], [w, -d], [w, d], [-w, d]])
        return np.asarray(shape @ np.array([[c, s], [-s, c]]) + [self.x, self.y])

    def contains(self, x: float, y: float, margin: float = 0.0) -> bool:
        """Whether a point lies in the rectangle grown by `margin`."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        dx, dy = x - self.x, y - self.y
        inside = abs(c * dx + s * dy) < self.half_width + margin
        return inside and abs(c * dy - s * dx) < self.half_depth + margin

    def overlaps(self, other: Footprint) -> bool:
        """Whether two rectangles share area (separating axes)."""
        if math.hypot(self.x - other.x, self.y - other.y) > math.hypot(self.half_width, self.half_depth) + math.hypot(
            other.half_width, other.half_depth
        ):
            return False
        mine, theirs = self.corners(), other.corners()
        for yaw in (self.yaw, other.yaw):
            for axis in (np.array([math.cos(yaw), math.sin(yaw)]), np.array([-math.sin(yaw), math.cos(yaw)])):
                a, c = mine @ axis, theirs @ axis
                if a.max() <= c.min() or c.max() <= a.min():
                    return False
        return True


@dataclass(frozen=True)
class Wall:
    """A straight stretch of wall from `start` to `end`; the room lies to its left."""

    start: tuple[float, float]
    end: tuple[float, float]
    outer: bool = True

    @property
    def length(self) -> float:
        """Length in metres."""
        return math.hypot(self.end[0] - self.start[0], self.end[1] - self.start[1])

    @property
    def yaw(self) -> float:
        """Heading of the wall's own frame: x along it, y into the room."""
        return math.atan2(self.end[1] - self.start[1], self.end[0] - self.start[0])

    def pose(self, along: float, off: float = 0.0, z: float = 0.0) -> Pose:
        """The pose at `along` metres from the start and `off` metres from the wall, facing the room."""
        return Pose(self.start[0], self.start[1], z, self.yaw).at(along, off)


@dataclass
class Stretch:
    """A part of a wall that is taken between two heights: an opening, furniture, a picture."""

    low: float
    high: float
    bottom: float
    top: float


@dataclass
class FloorPlan:
    """The floor's outline (counter-clockwise), its walls and everything that stands on it."""

    outline: Sequence[tuple[float, float]]
    walls: list[Wall] = field(default_factory=list)
    footprints: list[Footprint] = field(default_factory=list)
    taken: dict[int, list[Stretch]] = field(default_factory=dict)

    def inside(self, x: float, y: float, margin: float = 0.0) -> bool:
        """Whether a point lies in the room and `margin` metres away from every wall."""
        if not _in_polygon(self.outline, x, y):
            return False
        return all(_distance(w.start, w.end, x, y) >= margin for w in self.walls)

    def free(self, footprint: Footprint) -> bool:
        """Whether a footprint lies in the room and overlaps nothing."""
        if not all(_in_polygon(self.outline, float(x), float(y)) for x, y in footprint.corners(-0.005)):
            return False
        if not all(_in_polygon(self.outline, *p) for p in _edge_points(footprint)):
            return False
        return not any(footprint.overlaps(other) for other in self.footprints)

    def occupy(self, pose: Pose, width: float, depth: float, top: float, *, solid: bool = True) -> Footprint:
        """Record that something stands at a pose."""
        footprint = Footprint(pose.x, pose.y, width / 2, depth / 2, pose.yaw, top, solid)
        self.footprints.append(footprint)
        return footprint

    def wall_free(self, wall: int, low: float, high: float, bottom: float, top: float) -> bool:
        """Whether nothing is on a stretch of wall between two heights."""
        if low < 0.02 or high > self.walls[wall].length - 0.02:
            return False
        return not any(
            low < s.high and s.low < high and bottom < s.top and s.bottom < top for s in self.taken.get(wall, [])
        )

    def take_wall(self, wall: int, low: float, high: float, bottom: float, top: float) -> None:
        """Record that a stretch of wall is taken."""
        self.taken.setdefault(wall, []).append(Stretch(low, high, bottom, top))

    def against_wall(
        self, kit: Kit, piece: Piece, *, gap: float = 0.03, tries: int = 12, wall: int | None = None
    ) -> Pose | None:
        """Stand a piece with its back to a wall; None where no place was found."""
        for _ in range(tries):
            index = kit.dice.integer(0, len(self.walls) - 1) if wall is None else wall
            side = self.walls[index]
            room = side.length - piece.width - 0.08
            if room < 0:
                continue
            along = 0.04 + piece.width / 2 + (_corner_loving(kit.dice) * room)
            pose = side.pose(along, piece.depth / 2 + gap)
            if self._put(kit, piece, pose, index, along):
                return pose
        return None

    def at_wall(self, kit: Kit, piece: Piece, wall: int, along: float, gap: float = 0.01) -> bool:
        """Stand a piece with its back to a wall, its middle `along` metres from the start, if that is free."""
        return self._put(kit, piece, self.walls[wall].pose(along, piece.depth / 2 + gap), wall, along)

    def beside(self, kit: Kit, piece: Piece, pose: Pose) -> Pose | None:
        """Stand a piece at a given pose if that is free."""
        print_ = Footprint(pose.x, pose.y, piece.width / 2, piece.depth / 2, pose.yaw, piece.height)
        if not self.free(print_):
            return None
        self.footprints.append(print_)
        with kit.b.together():
            piece.build(kit, pose)
        return pose

    def anywhere(self, kit: Kit, piece: Piece, *, tries: int = 12, wobble: float = 0.3) -> Pose | None:
        """Stand a piece somewhere on the open floor, roughly aligned with the walls."""
        xs, ys = [p[0] for p in self.outline], [p[1] for p in self.outline]
        for _ in range(tries):
            x, y = kit.dice.uniform(min(xs), max(xs)), kit.dice.uniform(min(ys), max(ys))
            yaw = kit.dice.integer(0, 3) * math.pi / 2 + kit.dice.uniform(-wobble, wobble)
            pose = self.beside(kit, piece, Pose(x, y, 0.0, yaw))
            if pose is not None:
                return pose
        return None

    def _put(self, kit: Kit, piece: Piece, pose: Pose, wall: int, along: float) -> bool:
        low, high = along - piece.width / 2, along + piece.width / 2
        if not self.wall_free(wall, low, high, 0.0, piece.height):
            return False
        if self.beside(kit, piece, pose) is None:
            return False
        self.take_wall(wall, low, high, 0.0, piece.height)
        return True


def _corner_loving(dice: Dice) -> float:
    """A share 0..1, often near an end: furniture gathers in corners."""
    t = dice.uniform()
    return t * t * 0.3 if dice.chance(0.25) else (1 - t * t * 0.3 if dice.chance(0.33) else t)


def _edge_points(footprint: Footprint) -> list[tuple[float, float]]:
    corners = footprint.corners(-0.005)
    middles = (corners + np.roll(corners, 1, axis=0)) / 2
    return [(float(x), float(y)) for x, y in middles]


def _in_polygon(outline: Sequence[tuple[float, float]], x: float, y: float) -> bool:
    inside = False
    for (x0, y0), (x1, y1) in zip(outline, [*outline[1:], outline[0]], strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            inside = not inside
    return inside


def _distance(start: tuple[float, float], end: tuple[float, float], x: float, y: float) -> float:
    dx, dy = end[0] - start[0], end[1] - start[1]
    t = min(max(((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy), 0.0), 1.0)
    return math.hypot(x - start[0] - t * dx, y - start[1] - t * dy)
