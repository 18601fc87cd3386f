"""A ground-floor room with the house around it: facade, open front door, window, upper storeys and roof.

The house's own frame: the facade is the plane x = 0 and faces -x, the room lies behind it (x > 0) and is
centred on y = 0; z = 0 is the floor, level with the pavement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgedepth.world import palette
from edgedepth.world.builder import Dice, SceneBuilder
from edgedepth.world.indoor import furniture
from edgedepth.world.indoor.placing import FloorPlan, Footprint, Kit, Pose, Wall
from edgedepth.world.scene import PointLight, Scene, Texture
from edgedepth.world.street import buildings

_OUTER_M = 0.24  # masonry
_SKIN_M = 0.04  # plaster inside


@dataclass(frozen=True, kw_only=True)
class FrontRoom:
    """The built house: its scene in its own frame, and what a path through it needs to know (metres)."""

    scene: Scene
    width: float  # of the facade
    depth: float  # of the house
    door_y: float
    stand_y: float  # where a camera may stand at the back of the room


@dataclass(frozen=True)
class Hole:
    """An opening of the facade: y0 to y1 and z0 to z1."""

    y0: float
    y1: float
    z0: float
    z1: float


def build_front_room(dice: Dice) -> FrontRoom:
    """A living room behind an open front door."""
    b = SceneBuilder()
    kit = Kit(b=b, dice=dice, look=palette.room_palette(b, dice))
    width, depth, height = dice.uniform(6.2, 7.4), dice.uniform(5.8, 6.8), dice.uniform(2.5, 2.8)
    side = dice.choice((-1, 1))
    door = Hole(side * 1.3 - 0.5, side * 1.3 + 0.5, 0.0, 2.1)
    window = Hole(-side * 1.6 - 0.8, -side * 1.6 + 0.8, 0.85, 2.15)
    holes = sorted((door, window), key=lambda hole: hole.y0)
    _shell(kit, width, depth, height, holes)
    _front_door(kit, door, side)
    _window(kit, window)
    _upper(kit, width, depth, height)
    door_y = (door.y0 + door.y1) / 2
    stand_y = -0.35 * side
    _furnish(kit, width, depth, height, door_y, stand_y)
    return FrontRoom(scene=b.finish("living_room"), width=width, depth=depth, door_y=door_y, stand_y=stand_y)


def _pierced(
    b: SceneBuilder, x: float, thick: float, y0: float, y1: float, height: float, holes: Sequence[Hole], material: int
) -> None:
    """A wall from y0 to y1 whose near face is at x, made of boxes around the openings."""

    def piece(low: float, high: float, bottom: float, top: float) -> None:
        if high - low > 1e-3 and top - bottom > 1e-3:
            b.box((x + thick / 2, (low + high) / 2, (bottom + top) / 2), (thick, high - low, top - bottom), material)

    at = y0
    for hole in holes:
        piece(at, hole.y0, 0.0, height)
        piece(hole.y0, hole.y1, 0.0, hole.z0)
        piece(hole.y0, hole.y1, hole.z1, height)
        at = hole.y1
    piece(at, y1, 0.0, height)


def _shell(kit: Kit, width: float, depth: float, height: float, holes: Sequence[Hole]) -> None:
    """Outer masonry and inner plaster of the four walls, floor and ceiling."""
    b, dice, half = kit.b, kit.dice, width / 2
    b.begin("building")
    stone = palette.pattern(b, dice, Texture.BRICK, buildings.wall_colour(dice), scale_m=0.24)
    _pierced(b, 0.0, _OUTER_M, -half, half, height, holes, stone)
    b.box((depth - _OUTER_M / 2, 0, height / 2), (_OUTER_M, width, height), stone)
    for y in (-half + _OUTER_M / 2, half - _OUTER_M / 2):
        b.box((depth / 2, y, height / 2), (depth - 2 * _OUTER_M, _OUTER_M, height), stone)
    b.begin("wall")
    inner, look = half - _OUTER_M, kit.look
    _pierced(b, _OUTER_M, _SKIN_M, -inner, inner, height, holes, look.wall)
    b.box((depth - _OUTER_M - _SKIN_M / 2, 0, height / 2), (_SKIN_M, 2 * inner, height), look.accent_wall)
    for y in (-inner + _SKIN_M / 2, inner - _SKIN_M / 2):
        b.box((depth / 2, y, height / 2), (depth - 2 * _OUTER_M, _SKIN_M, height), look.wall)
    for y in (-inner + _SKIN_M + 0.01, inner - _SKIN_M - 0.01):
        b.box((depth / 2, y, 0.05), (depth - 2 * _OUTER_M, 0.02, 0.1), look.trim)
    b.box((depth - _OUTER_M - _SKIN_M - 0.01, 0, 0.05), (0.02, 2 * inner, 0.1), look.trim)
    b.begin("floor")
    b.box((depth / 2, 0, -0.14), (depth, width, 0.3), look.floor)
    b.begin("ceiling")
    b.box((depth / 2, 0, height + 0.1), (depth, width, 0.2), look.ceiling)


def _front_door(kit: Kit, hole: Hole, side: float) -> None:
    """Frame, and the leaf opened into the room against the wall beside it."""
    b, dice = kit.b, kit.dice
    thick = _OUTER_M + _SKIN_M
    b.begin("door")
    for y in (hole.y0 + 0.03, hole.y1 - 0.03):
        b.box((thick / 2, y, hole.z1 / 2), (thick + 0.06, 0.06, hole.z1), kit.look.trim)
    b.box((thick / 2, (hole.y0 + hole.y1) / 2, hole.z1 - 0.03), (thick + 0.06, hole.y1 - hole.y0, 0.06), kit.look.trim)
    leaf = palette.paint(b, dice, palette.vivid_colour(dice))
    hinge = hole.y1 - 0.06 if side > 0 else hole.y0 + 0.06
    b.begin("door", (thick, hinge, 0.0), -side * np.radians(8.0))
    b.box((0.44, side * 0.03, 1.02), (0.86, 0.045, 2.0), leaf)
    b.box((0.8, 0.0, 1.02), (0.03, 0.14, 0.03), kit.look.metal)


def _window(kit: Kit, hole: Hole) -> None:
    """Frame, mullions and sill of an open view to the street, with curtains."""
    b = kit.b
    b.begin("window")
    middle_y, middle_z = (hole.y0 + hole.y1) / 2, (hole.z0 + hole.z1) / 2
    wide, tall = hole.y1 - hole.y0, hole.z1 - hole.z0
    for y in (hole.y0 + 0.03, middle_y, hole.y1 - 0.03):
        b.box((0.14, y, middle_z), (0.07, 0.06, tall), kit.look.trim)
    for z in (hole.z0 + 0.03, hole.z1 - 0.03):
        b.box((0.14, middle_y, z), (0.07, wide, 0.06), kit.look.trim)
    b.box((0.34, middle_y, hole.z0 - 0.02), (0.26, wide + 0.2, 0.04), kit.look.trim)
    b.box((-0.06, middle_y, hole.z0 - 0.04), (0.24, wide + 0.2, 0.06), kit.look.trim)
    for y in (hole.y0 - 0.18, hole.y1 + 0.18):
        b.box((0.36, y, 1.25), (0.08, 0.36, 2.2), kit.look.cloth, semantic="curtain")


def _upper(kit: Kit, width: float, depth: float, height: float) -> None:
    """Upper storeys and roof."""
    b, dice = kit.b, kit.dice
    b.begin("building", (0.0, 0.0, height + 0.2))
    plot = buildings.Plot(width, depth)
    storey = dice.uniform(2.7, 3.0)
    top = storey * dice.integer(1, 2) + 0.3
    skin = buildings.facade_material(b, dice, buildings.wall_colour(dice), storey, bay=width / dice.integer(2, 3))
    b.box((depth / 2, 0, top / 2), (depth, width, top), skin)
    b.box((-0.06, 0, 0.0), (0.3, width, 0.25), palette.stone(b, dice))
    roof = palette.pattern(b, dice, Texture.TILES, palette.hsv(0.03, 0.5, 0.25), scale_m=0.3)
    buildings.gable(b, plot, top, dice.uniform(1.5, 2.5), roof, skin, along=True)


def _furnish(kit: Kit, width: float, depth: float, height: float, door_y: float, stand_y: float) -> None:
    """Furniture along the walls, a rug and a lamp; the way from the back of the room to the door stays free."""
    x0, x1, y1 = _OUTER_M + _SKIN_M, depth - _OUTER_M - _SKIN_M, width / 2 - _OUTER_M - _SKIN_M
    corners = [(x0, -y1), (x1, -y1), (x1, y1), (x0, y1)]
    plan = FloorPlan(corners, [Wall(a, c) for a, c in zip(corners, [*corners[1:], corners[0]], strict=True)])
    _keep_free(plan, (depth - 0.6, stand_y), (0.0, door_y))
    b, dice = kit.b, kit.dice
    far_wall, door_wall = (0, 2) if door_y > 0 else (2, 0)
    plan.occupy(Pose(x0 + 0.45, door_y + np.sign(door_y) * 0.5), 1.0, 0.3, 2.0)  # the open leaf
    plan.take_wall(3, 0.0, 2 * y1, 0.0, 2.2)
    for piece, wall in (
        (furniture.sofa(dice, seats=3), far_wall), (furniture.bookshelf(dice), 1), (furniture.cabinet(dice), door_wall),
        (furniture.tv_unit(dice), door_wall), (furniture.plant(dice), far_wall),
        (furniture.sofa(dice, seats=1), far_wall), (furniture.floor_lamp(dice), 1), (furniture.chair(dice), 1),
    ):  # fmt: skip
        plan.against_wall(kit, piece, wall=wall, tries=30)
    plan.anywhere(kit, furniture.table(dice), tries=30)
    for _ in range(2):
        plan.anywhere(kit, furniture.chair(dice), tries=20)
    for wall in (0, 1, 2):
        _picture(kit, plan, wall)
    b.begin("rug", (depth * 0.55, 0.0, 0.011), dice.normal(0.05))
    b.box((0, 0, 0.006), (2.2, 1.6, 0.012), palette.carpet(b, dice))
    b.begin("lamp", (depth / 2, 0.0, height))
    b.cylinder((0, 0, -0.5), 0.01, 0.5, kit.look.metal, segments=6)
    b.ellipsoid((0, 0, -0.6), 0.16, palette.glow(b, emission=3.0))
    b.lights.append(PointLight(position=(depth / 2, 0.0, height - 0.85), colour=(2.2, 1.9, 1.5), radius_m=0.2))


def _picture(kit: Kit, plan: FloorPlan, wall: int) -> None:
    """A framed picture above the furniture of a wall, where nothing tall stands."""
    dice, side = kit.dice, plan.walls[wall]
    wide, tall = dice.uniform(0.5, 1.1), dice.uniform(0.4, 0.8)
    for _ in range(10):
        along = dice.uniform(0.7, side.length - 0.7)
        if plan.wall_free(wall, along - wide / 2, along + wide / 2, 1.25, 2.0):
            kit.begin("picture", side.pose(along, 0.02, 1.62))
            kit.b.box((0, 0, 0), (wide, 0.03, tall), kit.look.furniture)
            kit.b.box((0, 0.016, 0), (wide * 0.88, 0.006, tall * 0.85), palette.picture(kit.b, dice))
            return


def _keep_free(plan: FloorPlan, start: tuple[float, float], end: tuple[float, float]) -> None:
    (xa, ya), (xb, yb) = start, end
    length, yaw = float(np.hypot(xb - xa, yb - ya)), float(np.arctan2(yb - ya, xb - xa))
    plan.footprints.append(Footprint((xa + xb) / 2, (ya + yb) / 2, length / 2, 0.5, yaw, 2.0, False))
    plan.footprints.append(Footprint(xa, ya, 0.6, 0.6, 0.0, 2.0, False))
