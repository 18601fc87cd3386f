"""The shell of a room: outline, walls with doors and windows, floor, ceiling, beams, and what lies outside."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgedepth.world import palette
from edgedepth.world.builder import Dice, rotation_y
from edgedepth.world.indoor.placing import FloorPlan, Kit, Pose, Wall
from edgedepth.world.indoor.terrace import terrace
from edgedepth.world.scene import PointLight, Texture

_OVERLAP_M = 0.005  # of parts that meet
_APART_M = 0.001  # of faces that would else lie in one plane, where either may be seen

OpeningKind = Literal["door", "window"]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a category of room looks like before furniture: ranges are (low, high) in metres or counts.

    glass_doors: windows are wide and reach from the floor nearly to the ceiling, with a terrace before them.
    """

    width: tuple[float, float]
    length: tuple[float, float]
    ceiling: tuple[float, float] = (2.3, 2.9)
    l_shaped: float = 0.15
    sloped: float = 0.1
    doors: tuple[int, int] = (1, 2)
    windows: tuple[int, int] = (0, 2)
    glass_doors: bool = False
    wall_material: palette.MaterialDraw | None = None
    floor_material: palette.MaterialDraw | None = None


@dataclass(frozen=True)
class Opening:
    """A hole in a wall: from `low` to `high` along it, from `sill` to `top` above the floor."""

    kind: OpeningKind
    low: float
    high: float
    sill: float
    top: float


@dataclass(frozen=True, kw_only=True)
class Room:
    """A built shell: its size (bounding box from the origin), the plan to furnish and its windows."""

    kit: Kit
    plan: FloorPlan
    width: float
    length: float
    height: float
    low_height: float
    windows: tuple[Pose, ...]

    def height_at(self, x: float) -> float:
        """Ceiling height above a place: sloped ceilings rise along x."""
        share = min(max(x / self.width, 0.0), 1.0)
        return self.low_height + (self.height - self.low_height) * share


def build_room(kit: Kit, shape: Shape) -> Room:
    """Draw a room of the given shape and build everything but its furniture."""
    dice = kit.dice
    width, length = dice.uniform(*shape.width), dice.uniform(*shape.length)
    height = dice.uniform(*shape.ceiling)
    bent = width > 3.2 and length > 3.2 and dice.chance(shape.l_shaped)
    low_height = height * dice.uniform(0.62, 0.85) if dice.chance(shape.sloped) and not bent else height
    if low_height < height:
        height, low_height = max(height, 2.6), max(low_height, 1.9)
    plan = _outline(dice, width, length, bent)
    openings = _openings(kit, plan, shape, low_height)
    windows = []
    for index, wall in enumerate(plan.walls):
        material = kit.look.accent_wall if index == 0 else kit.look.wall
        thickness = dice.uniform(0.12, 0.3)
        _wall(kit, wall, openings[index], height, thickness, material, _corner_gaps(plan.walls, index, thickness))
        for opening in openings[index]:
            if opening.kind == "window":
                windows.append(_window(kit, wall, opening, thickness))
                if shape.glass_doors:
                    terrace(kit, wall.pose((opening.low + opening.high) / 2, -thickness), opening.high - opening.low)
            else:
                _door(kit, plan, wall, opening, thickness)
    _floor_and_ceiling(kit, width, length, height, low_height)
    _extras(kit, plan, width, length, low_height)
    if windows:
        _outside(kit, width, length)
    return Room(
        kit=kit, plan=plan, width=width, length=length, height=height, low_height=low_height,
        windows=tuple(windows),
    )  # fmt: skip


def _outline(dice: Dice, width: float, length: float, bent: bool) -> FloorPlan:
    corners = [(0.0, 0.0), (width, 0.0), (width, length), (0.0, length)]
    inner: tuple[int, ...] = ()
    if bent:
        x, y = width * dice.uniform(0.4, 0.72), length * dice.uniform(0.4, 0.72)
        corners = [(0.0, 0.0), (width, 0.0), (width, y), (x, y), (x, length), (0.0, length)]
        inner = (2, 3)
    ends = [*corners[1:], corners[0]]
    walls = [Wall(a, c, i not in inner) for i, (a, c) in enumerate(zip(corners, ends, strict=True))]
    return FloorPlan(corners, walls)


def _openings(kit: Kit, plan: FloorPlan, shape: Shape, ceiling: float) -> list[list[Opening]]:
    dice = kit.dice
    holes: list[list[Opening]] = [[] for _ in plan.walls]
    wanted: list[OpeningKind] = ["door"] * dice.integer(*shape.doors)
    wanted += ["window"] * dice.integer(*shape.windows)
    sill = dice.choice((0.05, 0.5, 0.8, 0.9, 0.9, 1.1))
    for kind in wanted:
        for _ in range(8):
            index = dice.integer(0, len(plan.walls) - 1)
            wall = plan.walls[index]
            if not wall.outer or any(hole.kind != kind for hole in holes[index]):
                continue
            wide = dice.uniform(*_widths(kind, shape, wall))
            if wall.length < wide + 0.5:
                continue
            low = dice.uniform(0.22, wall.length - wide - 0.22)
            if not plan.wall_free(index, low - 0.12, low + wide + 0.12, 0.0, 3.0):
                continue
            if kind == "door":
                hole = Opening("door", low, low + wide, 0.0, min(dice.uniform(1.95, 2.15), ceiling - 0.06))
                pose = wall.pose(low + wide / 2, 0.45)
                plan.occupy(pose, wide + 0.1, 0.88, 0.0, solid=False)
            elif shape.glass_doors:
                hole = Opening("window", low, low + wide, 0.02, min(dice.uniform(1.9, 2.5), ceiling - 0.12))
            else:
                hole = Opening("window", low, low + wide, sill, min(sill + dice.uniform(0.8, 1.6), ceiling - 0.12))
            holes[index].append(hole)
            plan.take_wall(index, low - 0.08, low + wide + 0.08, hole.sill, hole.top + 0.1)
            break
    return holes


def _widths(kind: OpeningKind, shape: Shape, wall: Wall) -> tuple[float, float]:
    if kind == "door":
        return 0.75, 1.0
    return (1.1, max(1.2, min(4.5, 0.85 * wall.length))) if shape.glass_doors else (0.6, min(2.6, 0.8 * wall.length))


def _corner_gaps(walls: list[Wall], index: int, thickness: float) -> tuple[float, float]:
    """How far a wall reaches beyond its ends: around the corners of the room, but not into it where it is L-shaped.

    There the ends stay behind the next wall's face.
    """
    here, turns = walls[index], []
    for first, second in ((walls[index - 1], here), (here, walls[(index + 1) % len(walls)])):
        turns.append(math.sin(second.yaw - first.yaw) > 0)
    return thickness if turns[0] else -_APART_M, thickness if turns[1] else -_APART_M


def _wall(
    kit: Kit, wall: Wall, openings: list[Opening], height: float, thickness: float, material: int,
    corner_gaps: tuple[float, float],
) -> None:  # fmt: skip
    """Boxes around the openings, thick to the outside, and a skirting board.

    The boxes overlap each other, and those of the next walls by `corner_gaps`: seams would let the sky through.
    """
    b = kit.b
    kit.begin("wall", wall.pose(0.0))
    before, after = corner_gaps
    skirting = kit.dice.uniform(0.05, 0.14) if kit.dice.chance(0.75) else 0.0

    def piece(low: float, high: float, bottom: float, top: float) -> None:
        if high - low > 1e-3 and top - bottom > 1e-3:
            low -= _OVERLAP_M if low > 0 else before
            high += _OVERLAP_M if high < wall.length else after
            middle = ((low + high) / 2, -thickness / 2, (bottom + top) / 2)
            b.box(middle, (high - low, thickness, top - bottom), material)

    def skirt(low: float, high: float) -> None:
        if skirting and high > low:
            b.box(((low + high) / 2, 0.007, skirting / 2), (high - low, 0.014, skirting), kit.look.trim)

    at = foot = 0.0
    for hole in sorted(openings, key=lambda o: o.low):
        piece(at, hole.low, 0.0, height)
        piece(hole.low, hole.high, hole.top, height)
        piece(hole.low, hole.high, 0.0, hole.sill)
        at = hole.high
        if hole.sill < skirting:
            skirt(foot, hole.low)
            foot = hole.high
    piece(at, wall.length, 0.0, height)
    skirt(foot, wall.length)


def _frame(kit: Kit, opening: Opening, width: float, depth: float, y: float) -> None:
    """Jambs and lintel, `width` wide and `depth` deep, in the wall's frame."""
    for x in (opening.low + width / 2, opening.high - width / 2):
        tall = opening.top - opening.sill
        kit.b.box((x, y, opening.sill + tall / 2), (width, depth, tall), kit.look.trim)
    middle = (opening.low + opening.high) / 2
    wide = opening.high - opening.low + 2 * _OVERLAP_M
    kit.b.box((middle, y, opening.top - width / 2), (wide, depth, width + 2 * _OVERLAP_M), kit.look.trim)


def _door(kit: Kit, plan: FloorPlan, wall: Wall, opening: Opening, thickness: float) -> None:
    """A frame, a leaf that is shut or open, and a lit room behind when it is open."""
    dice = kit.dice
    kit.begin("door", wall.pose(0.0))
    _frame(kit, opening, 0.06, thickness + 0.04, -thickness / 2)
    wide, tall = opening.high - opening.low - 0.12, opening.top - 0.07
    is_open = wall.outer and dice.chance(0.45)
    leaf = kit.make(palette.surface) if dice.chance(0.6) else kit.look.trim
    if not is_open:  # into its frame: nothing stands behind it
        _leaf(kit, wall.pose(opening.low + 0.06 - _OVERLAP_M, -0.05), wide + 2 * _OVERLAP_M, tall + 0.02, leaf)
        return
    if dice.chance(0.75):
        inward = dice.chance(0.6)
        angle = dice.uniform(1.0, 1.65)
        hinge = wall.pose(opening.low + 0.06, -0.03 if inward else -thickness)
        turned = hinge.at(0, 0, 0, angle if inward else -angle)
        _leaf(kit, turned, wide, tall, leaf)
        if inward:
            plan.occupy(turned.at(wide / 2, 0), wide, 0.1, tall)
    _annex(kit, wall, opening, thickness)


def _leaf(kit: Kit, hinge: Pose, wide: float, tall: float, material: int) -> None:
    kit.begin("door", hinge)
    kit.b.box((wide / 2, 0, tall / 2), (wide, 0.04, tall), material)
    if kit.dice.chance(0.5):  # panels
        inset = palette.shade((0.75, 0.72, 0.68), kit.dice.uniform(0.3, 1.2))
        panel = palette.flat(kit.b, inset) if kit.dice.chance(0.4) else material
        for low, high in ((0.1, 0.45), (0.55, 0.93)):
            size = (wide * 0.65, 0.055, tall * (high - low))
            kit.b.box((wide / 2, 0, tall * (low + high) / 2), size, panel)
    kit.b.box((wide - 0.08, 0, min(1.02, tall / 2)), (0.13, 0.13, 0.022), kit.look.metal)


def _annex(kit: Kit, wall: Wall, opening: Opening, thickness: float) -> None:
    """The room or corridor one sees through an open door: a lit box with something at its end."""
    dice = kit.dice
    deep, wide, tall = dice.uniform(1.2, 5.0), dice.uniform(1.3, 3.5), max(opening.top + 0.12, 2.3)
    shift = dice.uniform(-0.3, 0.3)
    here = wall.pose((opening.low + opening.high) / 2 + shift, -thickness)
    kit.begin("wall", here)
    own = kit.make(palette.wall)
    for x in (-wide / 2 - 0.05, wide / 2 + 0.05):
        kit.b.box((x, -deep / 2, tall / 2), (0.1, deep, tall), own)
    kit.b.box((0, -deep - 0.05, tall / 2), (wide + 0.2, 0.1, tall), own)
    half = (opening.high - opening.low) / 2
    for low, high in ((-wide / 2, -half - shift), (half - shift, wide / 2)):
        if high - low > 0.02:
            kit.b.box(((low + high) / 2, -0.01, tall / 2), (high - low, 0.02, tall), own)
    floor = kit.make(palette.floor) if dice.chance(0.6) else kit.look.floor
    slab = (wide + 0.2, deep + 0.2, 0.1)
    kit.b.box((0, -deep / 2, -0.05 - _APART_M), slab, floor, semantic="floor")  # the room's own reaches in above it
    kit.b.box((0, -deep / 2, tall + 0.05), slab, kit.look.ceiling, semantic="ceiling")
    if dice.chance(0.8):
        place = here.at(0, -deep * 0.5, tall - 0.25).position
        strength = dice.uniform(0.5, 3.5)
        tint = palette.warm_light(dice)
        kit.b.lights.append(PointLight(position=place, colour=palette.brightened(tint, strength), radius_m=0.12))
    end = here.at(dice.uniform(-0.3, 0.3) * wide, -deep)
    kit.begin(dice.choice(("picture", "cabinet", "door", "shelf")), end)
    high = dice.uniform(0.6, min(2.0, tall - 0.3))
    size = (dice.uniform(0.5, 1.0), dice.uniform(0.03, 0.4), high)
    kit.b.box((0, size[1] / 2, high / 2), size, kit.make(palette.surface))


def _window(kit: Kit, wall: Wall, opening: Opening, thickness: float) -> Pose:
    """Frame and mullions; sometimes frosted or blown out; curtains or blinds. Returns its middle, facing in."""
    dice, b = kit.dice, kit.b
    kit.begin("window", wall.pose(0.0))
    y = -thickness * 0.6
    _frame(kit, opening, 0.05, 0.06, y)
    wide, tall = opening.high - opening.low, opening.top - opening.sill
    middle = (opening.low + opening.high) / 2
    b.box((middle, y, opening.sill + 0.025), (wide, 0.06, 0.05), kit.look.trim)
    panes = max(1, round(wide / dice.uniform(0.5, 1.2)))
    for i in range(1, panes):
        b.box((opening.low + wide * i / panes, y, opening.sill + tall / 2), (0.05, 0.05, tall), kit.look.trim)
    if dice.chance(0.35):
        b.box((middle, y, opening.sill + tall * dice.uniform(0.5, 0.75)), (wide, 0.05, 0.04), kit.look.trim)
    if opening.sill > 0.3:
        b.box((middle, 0.06, opening.sill - 0.015 + _APART_M), (wide + 0.1, 0.2, 0.03), kit.look.trim)
    if dice.chance(0.18):
        pane = palette.glow(b, palette.hsv(dice.uniform(0.5, 0.65), 0.1, 0.95), dice.uniform(0.8, 3.5))
        b.box((middle, y - 0.04, opening.sill + tall / 2), (wide, 0.01, tall), pane)
    draw = dice.uniform()
    if draw < 0.45:
        _curtains(kit, wall, opening)
    elif draw < 0.65:
        _blind(kit, wall, opening, y)
    return wall.pose(middle, 0.0, opening.sill + tall / 2)


def _curtains(kit: Kit, wall: Wall, opening: Opening) -> None:
    """Wavy cloth at both sides (or all across), clear of the wall by more than its waves."""
    dice = kit.dice
    amplitude = dice.uniform(0.02, 0.05)
    off = amplitude + 0.05
    bottom = 0.03 if dice.chance(0.6) else max(opening.sill - 0.15, 0.03)
    top = opening.top + 0.06
    drawn = dice.choice((0.15, 0.2, 0.25, 0.35, 0.52))
    material = kit.make(palette.fabric)
    wide = opening.high - opening.low
    kit.begin("curtain", wall.pose(0.0))
    low, high = max(opening.low - 0.12, 0.03), min(opening.high + 0.12, wall.length - 0.03)
    for start, stop in ((low, opening.low + drawn * wide), (opening.high - drawn * wide, high)):
        _wavy(kit, start, stop, bottom, top, off, amplitude, material)
    kit.b.box((low + (high - low) / 2, off, top + 0.01), (high - low, 0.03, 0.03), kit.look.metal)


def _wavy(
    kit: Kit, low: float, high: float, bottom: float, top: float, off: float, amplitude: float, material: int
) -> None:
    count = max(8, int((high - low) / 0.035))
    x = np.linspace(low, high, count)
    phase = x / kit.dice.uniform(0.018, 0.03) + kit.dice.uniform(0, 6)
    y = off + amplitude * np.sin(phase)
    slope = amplitude * np.cos(phase) / 0.024
    normal = np.column_stack([-slope, np.ones(count), np.zeros(count)])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    vertices = np.concatenate([np.column_stack([x, y, np.full(count, z)]) for z in (bottom, top)])
    i = np.arange(count - 1)
    faces = np.concatenate([np.stack([i, i + 1, i + 1 + count], 1), np.stack([i, i + 1 + count, i + count], 1)])
    local = vertices.copy()
    local[:, 1] = 0.0
    kit.b.triangles(vertices, faces, material, normals=np.tile(normal, (2, 1)), local=local)


def _blind(kit: Kit, wall: Wall, opening: Opening, y: float) -> None:
    """Slats over all or the upper part of a window, or a roller blind."""
    dice = kit.dice
    kit.begin("curtain", wall.pose(0.0))
    middle, wide = (opening.low + opening.high) / 2, opening.high - opening.low - 0.04
    down = (opening.top - opening.sill) * dice.choice((1.0, 1.0, 0.3, 0.6))
    material = kit.make(palette.plastic)
    if dice.chance(0.4):
        kit.b.box((middle, y + 0.06, opening.top - down / 2), (wide, 0.01, down), kit.make(palette.fabric))
        return
    tilt = np.array([[1.0, 0, 0], [0, 0.76, -0.65], [0, 0.65, 0.76]])
    step = 0.05
    for i in range(int(down / step)):
        kit.b.box((middle, y + 0.07, opening.top - step * (i + 0.5)), (wide, 0.045, 0.003), material, rotation=tilt)


def _floor_and_ceiling(kit: Kit, width: float, length: float, height: float, low_height: float) -> None:
    b, dice = kit.b, kit.dice
    b.begin("floor")
    b.box((width / 2, length / 2, -0.1), (width + 0.6, length + 0.6, 0.2), kit.look.floor)
    b.begin("ceiling")
    material = kit.look.ceiling
    if dice.chance(0.15):
        tint = palette.grey(dice.uniform(0.6, 0.85))
        material = palette.tiles(b, dice, tint, dice.choice((0.6, 0.6, 1.2)))
    rise = height - low_height
    angle = math.atan2(rise, width)
    slab = (width / math.cos(angle) + 0.8, length + 0.8, 0.1)
    normal = np.array([-math.sin(angle), 0.0, math.cos(angle)])
    centre = np.array([width / 2, length / 2, (height + low_height) / 2]) + 0.05 * normal
    b.box(centre, slab, material, rotation=rotation_y(-angle))


def _extras(kit: Kit, plan: FloorPlan, width: float, length: float, low_height: float) -> None:
    """Beams and pipes under the ceiling, a pillar, a chimney breast in a corner."""
    b, dice = kit.b, kit.dice
    if low_height > 2.35 and dice.chance(0.18):
        b.begin("ceiling")
        material = palette.wood(b, dice) if dice.chance(0.6) else kit.look.ceiling
        size, count = dice.uniform(0.1, 0.24), dice.integer(1, 5)
        for i in range(count):
            y = length * (i + 0.5) / count
            b.box((width / 2, y, low_height - size / 2), (width, size, size), material)
    if low_height > 2.2 and dice.chance(0.12):
        b.begin("clutter")
        material, r = kit.look.metal, dice.uniform(0.02, 0.12)
        x = dice.choice((r + 0.05, width - r - 0.05))
        b.capsule((x, 0.0, low_height - r - 0.08), (x, length, low_height - r - 0.08), r, material, segments=9)
    if width * length > 12 and dice.chance(0.14):
        x, y = dice.uniform(0.25, 0.75) * width, dice.uniform(0.25, 0.75) * length
        size = dice.uniform(0.2, 0.45)
        if plan.inside(x, y, size):
            plan.occupy(Pose(x, y), size, size, 3.0)
            b.begin("pillar", (x, y, 0.0))
            own = kit.look.wall if dice.chance(0.5) else kit.make(palette.wall)
            if dice.chance(0.3):
                b.cylinder((0, 0, 0), size / 2, 3.4, own, segments=16)
            else:
                b.box((0, 0, 1.7), (size, size, 3.4), own)
    if dice.chance(0.15):
        size = dice.uniform(0.25, 0.6)
        deep = dice.uniform(0.2, 0.5)
        pose = plan.walls[0].pose(size / 2 + 0.001, deep / 2)
        footprint_free = all(not f.contains(pose.x, pose.y, size) for f in plan.footprints)
        if footprint_free and plan.wall_free(0, 0.03, size + 0.02, 0.0, 3.0):
            plan.occupy(pose, size, deep, 3.0)
            plan.take_wall(0, 0.0, size, 0.0, 9.0)
            kit.begin("pillar", pose)
            b.box((0, 0, 1.75), (size, deep, 3.5), kit.look.wall)


def _outside(kit: Kit, width: float, length: float) -> None:
    """Ground, far blocks and trees: what windows show beneath the sky."""
    b, dice = kit.b, kit.dice
    ground = dice.choice((-0.25, -0.3, -3.0, -6.0, -9.0))
    cx, cy = width / 2, length / 2
    b.begin("terrain", (cx, cy, ground))
    kind = dice.choice((Texture.GRASS, Texture.GRASS, Texture.CONCRETE, Texture.GRAVEL))
    tint = palette.leaf_colour(dice) if kind is Texture.GRASS else palette.grey(dice.uniform(0.2, 0.5))
    lawn = palette.pattern(b, dice, kind, tint, scale_m=dice.uniform(0.3, 1.0))
    b.box((0, 0, -0.1), (240, 240, 0.1), lawn)
    for _ in range(dice.integer(2, 7)):
        angle, far = dice.uniform(0, 6.283), dice.uniform(14, 55)
        b.begin("building", (cx + far * math.cos(angle), cy + far * math.sin(angle), ground), angle)
        tall = dice.uniform(4, 18)
        facade = palette.pattern(
            b, dice, Texture.FACADE, palette.dull_colour(dice), palette.dull_colour(dice),
            scale_m=dice.uniform(1.6, 3.0), aux=dice.uniform(2.6, 3.3),
        )  # fmt: skip
        b.box((0, 0, tall / 2), (7, dice.uniform(7, 22), tall), facade)
    for _ in range(dice.integer(0, 6)):
        angle, far = dice.uniform(0, 6.283), dice.uniform(8, 25)
        b.begin("tree", (cx + far * math.cos(angle), cy + far * math.sin(angle), ground))
        size = dice.uniform(1.0, 2.6)
        b.cylinder((0, 0, 0), 0.15, size * 1.6, palette.wood(b, dice), segments=6)
        b.ellipsoid((0, 0, size * 2.0), size, palette.foliage(b, dice), segments=10, rings=8, wobble=0.3)
