"""Halls that are seen over tens of metres: a warehouse of tall racks, a sports hall, a concourse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgedepth.world import palette
from edgedepth.world.builder import Dice
from edgedepth.world.indoor import dressing, furniture, racking
from edgedepth.world.indoor.halls import bare_kit, counter, pillar, roll_door, vending
from edgedepth.world.indoor.placing import FloorPlan, Footprint, Kit, Piece, Pose, Wall
from edgedepth.world.indoor.rooms import Room
from edgedepth.world.recipe import BuiltScene, dice_for
from edgedepth.world.scene import PointLight, Sky
from edgedepth.world.solids import boxes, limbs, stamp
from edgedepth.world.street import outlook
from edgedepth.world.street.course import Course
from edgedepth.world.street.site import Obstacles

_MAX_LAMPS_LIT = 14


# -- shell ---------------------------------------------------------------------------------------------------


def _shell(kit: Kit, width: float, length: float, height: float) -> Room:
    """Four walls with a band along their foot, columns and trusses, daylight from strips high up; no doors yet."""
    b, dice = kit.b, kit.dice
    corners = [(0.0, 0.0), (width, 0.0), (width, length), (0.0, length)]
    walls = [Wall(a, c) for a, c in zip(corners, [*corners[1:], corners[0]], strict=True)]
    band = dice.uniform(1.2, 3.0) if dice.chance(0.5) else 0.0
    low = kit.make(palette.wall)
    for wall in walls:
        kit.begin("wall", wall.pose(wall.length / 2))
        b.box((0, -0.15, height / 2), (wall.length + 0.6, 0.3, height), kit.look.wall)
        if band:
            b.box((0, 0.01, band / 2), (wall.length, 0.02, band), low)
    b.begin("floor")
    b.box((width / 2, length / 2, -0.1), (width + 0.6, length + 0.6, 0.2), kit.look.floor)
    b.begin("ceiling")
    b.box((width / 2, length / 2, height + 0.1), (width + 0.6, length + 0.6, 0.2), kit.look.ceiling)
    bays = max(3, round(length / dice.uniform(4.5, 7.5)))
    stations = [length * i / bays for i in range(1, bays)]
    _frames(kit, width, height, stations)
    _daylight(kit, width, length, height, bays)
    plan = FloorPlan(corners, walls)
    for y in stations:
        for x in (0.16, width - 0.16):
            plan.occupy(Pose(x, y), 0.32, 0.32, height)
    return Room(kit=kit, plan=plan, width=width, length=length, height=height, low_height=height, windows=())


def _frames(kit: Kit, width: float, height: float, stations: Sequence[float]) -> None:
    """A column at both walls and a beam or a truss between them at each station."""
    b, dice = kit.b, kit.dice
    steel = palette.flat(b, palette.grey(dice.uniform(0.2, 0.75)), reflectance=0.03)
    own = steel if dice.chance(0.6) else kit.make(palette.stone)
    kind, deep = dice.choice(("truss", "truss", "beam")), dice.uniform(0.5, 0.9)
    for y in stations:
        b.begin("pillar", (0, y, 0))
        boxes(b, [(x, 0, height / 2) for x in (0.15, width - 0.15)], (0.3, 0.3, height), own)
        b.begin("ceiling", (0, y, height))
        if kind == "beam":
            b.box((width / 2, 0, -deep / 2), (width, 0.3, deep), own)
            continue
        boxes(b, [(width / 2, 0, -0.08), (width / 2, 0, -deep)], (width, 0.14, 0.14), steel)
        x = np.linspace(0.3, width - 0.3, 2 * max(4, round(width / 2.4)) + 1)
        z = np.where(np.arange(len(x)) % 2 == 0, -deep, -0.08)
        ends = np.stack([x, 0 * x, z], 1)
        stamp(b, limbs(ends[:-1], ends[1:], 0.05, sides=4, taper=1.0), steel)


def _daylight(kit: Kit, width: float, length: float, height: float, bays: int) -> None:
    """Bright panes high in the long walls, or in the roof, or none."""
    b, dice = kit.b, kit.dice
    draw = dice.uniform()
    pane = palette.glow(b, palette.hsv(dice.uniform(0.5, 0.62), dice.uniform(0.0, 0.15), 0.95), dice.uniform(0.7, 2.2))
    long = length / bays
    if draw < 0.4:
        tall = dice.uniform(0.8, 1.6)
        b.begin("window")
        for x in (0.01, width - 0.01):
            middles = [(x, (i + 0.5) * long, height - 1.3 - tall / 2) for i in range(bays)]
            boxes(b, middles, (0.06, long * 0.8, tall), pane)
    elif draw < 0.65:
        b.begin("window")
        middles = [(width * t, (i + 0.5) * long, height - 0.01) for i in range(bays) for t in (0.25, 0.75)]
        boxes(b, middles, (1.2, long * 0.7, 0.04), pane)


def _light(room: Room) -> None:
    """Rows of lamps under the roof; of many, some throw the light of all."""
    kit, b, dice = room.kit, room.kit.b, room.kit.dice
    nx, ny = max(2, round(room.width / dice.uniform(5, 8))), max(3, round(room.length / dice.uniform(4.5, 7.5)))
    top = room.height - dice.uniform(0.7, 1.3)
    bright, case = palette.glow(b, (1.0, 0.97, 0.92), dice.uniform(3.0, 6.0)), kit.look.metal
    tubes = dice.chance(0.55)
    places = [((i + 0.5) * room.width / nx, (j + 0.5) * room.length / ny) for j in range(ny) for i in range(nx)]
    for x, y in places:
        b.begin("lamp", (x, y, top))
        b.box((0, 0, (room.height - top) / 2), (0.03, 0.03, room.height - top), case)
        if tubes:
            b.box((0, 0, 0.05), (0.26, 1.7, 0.08), case)
            b.box((0, 0, 0.0), (0.2, 1.6, 0.04), bright)
        else:
            b.lathe([(0.26, 0.0), (0.12, 0.28), (0.0, 0.34)], case, segments=10)
            b.cylinder((0, 0, 0.01), 0.22, 0.04, bright, segments=10)
    step = max(1, math.ceil(len(places) / _MAX_LAMPS_LIT))
    lit = places[step // 2 :: step]
    tint = palette.warm_light(dice)
    power = dice.uniform(0.6, 2.0) * room.width * room.length / (math.pi * len(lit))
    for x, y in lit:
        light = palette.brightened(tint, power * dice.uniform(0.85, 1.15))
        b.lights.append(PointLight(position=(x, y, top - 0.3), colour=light, radius_m=0.35))
    b.sky = Sky(intensity=0.6, ambient=dice.uniform(0.03, 0.08))


def _doors(room: Room, gates: tuple[int, int]) -> None:
    """Roll doors and doors for people, all shut."""
    kit, dice, plan = room.kit, room.kit.dice, room.plan
    leaf = palette.flat(kit.b, palette.any_colour(dice), reflectance=0.03)
    exit_sign = palette.glow(kit.b, (0.05, 0.8, 0.3), 1.2)
    kinds = ["gate"] * dice.integer(*gates) + ["door"] * dice.integer(2, 5)
    for kind in kinds:
        index = dice.integer(0, 3)
        wall = plan.walls[index]
        wide, tall = (dice.uniform(2.6, 4.2), dice.uniform(2.8, 4.4)) if kind == "gate" else (1.0, 2.1)
        tall = min(tall, room.height - 1.8)
        for _ in range(8):
            along = dice.uniform(wide / 2 + 0.6, wall.length - wide / 2 - 0.6)
            pose = wall.pose(along, 0.7)
            keep = Footprint(pose.x, pose.y, wide / 2 + 0.2, 0.66, pose.yaw, 0.0, solid=False)
            if not plan.free(keep):
                continue
            plan.footprints.append(keep)
            plan.take_wall(index, along - wide / 2 - 0.2, along + wide / 2 + 0.2, 0.0, tall + 0.5)
            if kind == "gate":
                roll_door(kit, wall, along, wide, tall)
                break
            kit.begin("door", wall.pose(along))
            kit.b.box((0, 0.02, tall / 2), (wide, 0.06, tall), leaf)
            boxes(kit.b, [(s * wide / 2, 0.03, tall / 2) for s in (-1, 1)], (0.08, 0.1, tall), kit.look.metal)
            kit.b.box((0, 0.03, tall + 0.04), (wide + 0.08, 0.1, 0.08), kit.look.metal)
            kit.b.box((wide * 0.38, 0.07, 1.02), (0.14, 0.05, 0.03), kit.look.metal)
            kit.b.box((0, 0.04, tall + 0.3), (0.5, 0.05, 0.2), exit_sign, semantic="sign")
            break


# -- views ---------------------------------------------------------------------------------------------------


def _obstacles(room: Room) -> Obstacles:
    """What stands in the hall, and its walls, as the outdoor cameras know it."""
    found = Obstacles()
    for thing in room.plan.footprints:
        if thing.solid and thing.top > 0.1:
            found.add((thing.x, thing.y), thing.yaw, thing.half_width, thing.half_depth)
    for wall in room.plan.walls:
        pose = wall.pose(wall.length / 2, -1.0)
        found.add(pose.position, pose.yaw, wall.length / 2, 1.0)
    return found


def _views(room: Room, category: str, aisles: Sequence[float] = ()) -> BuiltScene:
    """Finish the scene; its views look along the hall and across it, or along aisles (their x), and reach far."""
    s, t = (0.8, room.length - 0.8), (-room.width / 2 + 0.8, room.width / 2 - 0.8)
    stands = [
        outlook.walker(s, t, share=0.4),
        outlook.walker(s, t, share=0.2, any_way=False),
        replace(outlook.robot(s, t, share=0.25), facing=(0.0, 180.0, 90.0, -90.0)),
        replace(outlook.raised(s, t, share=0.15), height=(2.2, min(4.5, room.height - 1.8)), pitch=(-18.0, -6.0)),
    ]
    for x in aisles:
        span = (x - room.width / 2 - 0.5, x - room.width / 2 + 0.5)
        stands += [outlook.walker(s, span, share=0.7 / len(aisles), any_way=False),
                   outlook.robot(s, span, share=0.3 / len(aisles))]  # fmt: skip
    course = Course((room.width / 2, 0.0, 0.0))
    return BuiltScene(
        room.kit.b.finish(category), outlook.far_views(course, _obstacles(room), stands, 0.3 if aisles else 0.6)
    )


# -- warehouse -----------------------------------------------------------------------------------------------


def warehouse(dice: Dice) -> BuiltScene:
    """Rows of tall racks with aisles, pallets, forklifts, roll doors and a free end where goods come in."""
    kit = bare_kit(dice)
    room = _shell(kit, dice.uniform(15, 24), dice.uniform(26, 44), dice.uniform(5.5, 9.5))
    _light(room)
    _doors(room, (1, 5))
    stock = racking.draw_stock(kit, bay=(2.5, 3.0), depth=(0.95, 1.2), height=room.height - dice.uniform(1.6, 2.6))
    aisle = dice.uniform(2.6, 4.2)
    start, end = dice.uniform(4.0, 11.0), room.length - dice.uniform(1.5, 4.5)
    x, double = 0.4 + stock.depth / 2, False
    lines: list[float] = []
    while x < room.width - stock.depth / 2 - 0.3:
        racking.row(room.plan, kit, stock, x, start, end)
        x += stock.depth + (0.15 if double else aisle)
        if not double and x < room.width:
            lines.append(x - stock.depth / 2 - aisle / 2)
        double = not double
    _floor_marks(kit, lines, aisle, start, end)
    for _ in range(dice.integer(0, 2)):
        room.plan.anywhere(kit, racking.forklift(dice), wobble=0.3)
    for _ in range(dice.integer(3, 12)):
        maker = dice.choice((racking.pallet, racking.pallet, racking.hand_truck, furniture.boxes))
        room.plan.anywhere(kit, maker(dice), wobble=0.3)
    dressing.add_people(room, dice.choice((0, 1, 2, 4)))
    return _views(room, "industrial_yard", lines)


def _floor_marks(kit: Kit, lines: Sequence[float], aisle: float, start: float, end: float) -> None:
    """Yellow lines at both sides of every aisle."""
    if not kit.dice.chance(0.6):
        return
    kit.b.begin("floor")
    yellow = palette.flat(kit.b, (0.75, 0.55, 0.05))
    middles = [(x + s * (aisle / 2 - 0.2), (start + end) / 2, 0.002) for x in lines for s in (-1, 1)]
    boxes(kit.b, middles, (0.1, end - start, 0.004), yellow)


# -- sports hall ---------------------------------------------------------------------------------------------


def sports_hall(dice: Dice) -> BuiltScene:
    """A marked floor with baskets, goals, wall bars, benches, mats, sometimes rows of seats and players."""
    kit = bare_kit(dice)
    boards = palette.planks(kit.b, dice) if dice.chance(0.6) else palette.paint(kit.b, dice, palette.any_colour(dice))
    kit = replace(kit, look=replace(kit.look, floor=boards))
    room = _shell(kit, dice.uniform(14, 24), dice.uniform(24, 44), dice.uniform(6.0, 9.0))
    plan = room.plan
    _light(room)
    _doors(room, (0, 1))
    _court(room)
    tiers = dice.choice((0, 0, 3, 5))
    if tiers:
        plan.at_wall(kit, _seats(tiers, room.length * dice.uniform(0.4, 0.7)), 1, room.length / 2)
    for index in (0, 2):
        wall = plan.walls[index]
        if dice.chance(0.75):
            _basket(kit, wall.pose(wall.length / 2))
        if dice.chance(0.6):
            plan.beside(kit, _goal(), wall.pose(wall.length / 2, 1.0))
    for maker in (_wall_bars, _wall_bars, _mats, _mats, furniture.bench, furniture.bench, furniture.bench):
        if dice.chance(0.75):
            plan.against_wall(kit, maker(dice), tries=10)
    dressing.add_clutter(room, dice.integer(0, 4))
    dressing.add_people(room, dice.choice((0, 0, 3, 7)))
    return _views(room, "industrial_yard")


def _court(room: Room) -> None:
    """The lines of one or two courts, one over the other."""
    b, dice = room.kit.b, room.kit.dice
    b.begin("floor", (room.width / 2, room.length / 2, 0.0))
    for layer, share in enumerate((0.86, 0.6)[: dice.integer(1, 2)]):
        paint = palette.flat(b, palette.vivid_colour(dice) if layer else palette.grey(dice.uniform(0.6, 0.9)))
        w, h, z = room.width * share, room.length * (share + 0.04), 0.0015 + 0.002 * layer
        boxes(b, [(0, s * h / 2, z) for s in (-1, 0, 1)], (w, 0.06, 0.003), paint)
        boxes(b, [(s * w / 2, 0, z) for s in (-1, 1)], (0.06, h, 0.003), paint)
        for y, r in ((0.0, 1.8), (-h / 2 + 5.8, 1.8), (h / 2 - 5.8, 1.8)):
            b.lathe([(r + 0.03, z), (r - 0.03, z + 0.0005)], paint, centre=(0, y, 0.001), segments=36, smooth=False)
        for s in (-1, 1):
            boxes(b, [(x, s * (h / 2 - 2.9), z) for x in (-2.4, 2.4)], (0.06, 5.8, 0.003), paint)
            b.box((0, s * (h / 2 - 5.8), z), (4.8, 0.06, 0.003), paint)


def _basket(kit: Kit, pose: Pose) -> None:
    """A basketball board on arms from the wall."""
    b = kit.b
    kit.begin("sign", pose)
    white, red = palette.flat(b, palette.grey(0.8)), palette.flat(b, (0.7, 0.12, 0.03))
    boxes(b, [(x, 0.6, 3.4) for x in (-0.4, 0.4)], (0.07, 1.2, 0.07), kit.look.metal)
    b.box((0, 1.22, 3.4), (1.8, 0.04, 1.05), white)
    boxes(b, [(x, 1.245, 3.25) for x in (-0.28, 0.28)], (0.05, 0.01, 0.45), red)
    b.box((0, 1.245, 3.48), (0.6, 0.01, 0.05), red)
    b.lathe([(0.225, 0.0), (0.24, 0.01), (0.225, 0.02)], red, centre=(0, 1.5, 3.05), segments=16)


def _goal() -> Piece:
    """A handball goal, its posts in red and white."""

    def build(kit: Kit, pose: Pose) -> None:
        b = kit.b
        kit.begin("pole", pose)
        red = palette.flat(b, kit.dice.choice(((0.6, 0.04, 0.03), (0.05, 0.1, 0.5), (0.03, 0.03, 0.03))))
        white = palette.flat(b, palette.grey(0.85))
        for x in (-1.5, 1.5):
            boxes(b, [(x, 0, (i + 0.5) * 0.2) for i in range(0, 10, 2)], (0.08, 0.08, 0.2), red)
            boxes(b, [(x, 0, (i + 0.5) * 0.2) for i in range(1, 10, 2)], (0.08, 0.08, 0.2), white)
            b.capsule((x, 0, 1.98), (x, -0.8, 0.05), 0.02, kit.look.metal, segments=5)
        boxes(b, [(-1.4 + 0.4 * i, 0, 2.04) for i in range(8)], (0.2, 0.08, 0.08), white)
        boxes(b, [(-1.2 + 0.4 * i, 0, 2.04) for i in range(7)], (0.2, 0.08, 0.08), red)
        b.box((0, -0.8, 0.05), (3.0, 0.05, 0.05), kit.look.metal)

    return Piece(width=3.1, depth=1.7, height=2.1, build=build)


def _wall_bars(dice: Dice) -> Piece:
    """A climbing frame on the wall."""
    panels = dice.integer(2, 6)

    def build(kit: Kit, pose: Pose) -> None:
        b = kit.b
        kit.begin("fence", pose)
        wood = palette.wood(b, kit.dice)
        w = 0.9 * panels
        boxes(b, [(-w / 2 + 0.9 * i, 0, 1.3) for i in range(panels + 1)], (0.05, 0.12, 2.6), wood)
        boxes(b, [(0, 0.03, 0.18 + 0.18 * i) for i in range(13)], (w, 0.035, 0.04), wood)

    return Piece(width=0.9 * panels + 0.1, depth=0.16, height=2.6, build=build)


def _mats(dice: Dice) -> Piece:
    """A pile of mats."""
    count, thick = dice.integer(1, 6), dice.choice((0.08, 0.3))

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("box", pose)
        skin = palette.plastic(kit.b, kit.dice, palette.hsv(kit.dice.choice((0.6, 0.33, 0.02)), 0.7, 0.35))
        middles = [(kit.dice.normal(0.03), kit.dice.normal(0.03), (i + 0.5) * thick) for i in range(count)]
        boxes(kit.b, middles, (2.0, 1.2, thick - 0.012), skin)

    return Piece(width=2.1, depth=1.3, height=count * thick, build=build)


def _seats(tiers: int, length: float) -> Piece:
    """Steps to sit on along a wall."""

    def build(kit: Kit, pose: Pose) -> None:
        b = kit.b
        kit.begin("chair", pose)
        step, seat = kit.make(palette.stone), palette.plastic(b, kit.dice)
        for i in range(tiers):
            y, h = tiers * 0.4 - 0.8 * (i + 0.5), 0.4 * (i + 1)
            b.box((0, y, h / 2), (length, 0.8, h), step, semantic="floor")
            b.box((0, y - 0.15, h + 0.03), (length - 0.1, 0.35, 0.05), seat)

    return Piece(width=length, depth=0.8 * tiers, height=0.4 * tiers, build=build)


# -- concourse -----------------------------------------------------------------------------------------------


def concourse(dice: Dice) -> BuiltScene:
    """The public hall of a station, an airport or a fair: columns, rows of seats, counters, signs, people."""
    kit = bare_kit(dice)
    shine = palette.draw_material(kit.b, dice, (palette.stone, palette.stone, palette.tiles))
    kit = replace(kit, look=replace(kit.look, floor=shine))
    room = _shell(kit, dice.uniform(14, 26), dice.uniform(28, 50), dice.uniform(4.2, 8.0))
    plan = room.plan
    _light(room)
    _doors(room, (0, 0))
    number, pitch = dice.integer(0, 2**30), dice.uniform(6.0, 9.0)
    if dice.chance(0.7):
        for y in np.arange(pitch, room.length - 3, pitch):
            for t in (0.28, 0.72):
                twin = replace(kit, dice=dice_for(number))
                plan.beside(twin, pillar(twin.dice, room.height), Pose(t * room.width, float(y)))
    for maker in (vending, vending, furniture.plant, furniture.bench, furniture.plant):
        plan.against_wall(kit, maker(dice), tries=8)
    for _ in range(dice.integer(1, 4)):
        plan.against_wall(kit, counter(dice, dice.uniform(2.5, 6.0)), tries=8)
    for _ in range(dice.integer(3, 8)):
        _seat_group(room, number)
    for _ in range(dice.integer(1, 4)):
        _hanging_sign(room, dice.uniform(4, room.length - 4))
    for _ in range(dice.integer(1, 5)):
        plan.anywhere(kit, furniture.plant(dice), tries=8)
    dressing.add_people(room, dice.integer(3, 16))
    return _views(room, "square")


def _seat_group(room: Room, number: int) -> None:
    """One to three rows of seats behind one another."""
    kit, dice = room.kit, room.kit.dice
    pose = room.plan.anywhere(kit, _seat_row(dice, number), tries=8, wobble=0.0)
    if pose is None:
        return
    for i in range(dice.integer(0, 2)):
        room.plan.beside(kit, _seat_row(dice, number), pose.at(0, -1.5 * (i + 1)))


def _seat_row(dice: Dice, number: int) -> Piece:
    """A row of seats on one beam, of the make that `number` names."""
    count = dice.integer(3, 6)

    def build(kit: Kit, pose: Pose) -> None:
        b, own = kit.b, dice_for(number, 2)
        kit.begin("chair", pose)
        skin = palette.plastic(b, own) if own.chance(0.5) else palette.metal(b, own, shiny=False)
        w = 0.6 * count
        xs = [(i - (count - 1) / 2) * 0.6 for i in range(count)]
        boxes(b, [(x, 0.05, 0.43) for x in xs], (0.52, 0.46, 0.05), skin)
        boxes(b, [(x, -0.2, 0.7) for x in xs], (0.52, 0.05, 0.45), skin)
        b.box((0, 0, 0.36), (w, 0.08, 0.08), kit.look.metal)
        boxes(b, [(x, 0, 0.17) for x in (-w / 2 + 0.3, w / 2 - 0.3)], (0.08, 0.5, 0.34), kit.look.metal)

    return Piece(width=0.6 * count, depth=0.65, height=0.95, build=build)


def _hanging_sign(room: Room, y: float) -> None:
    """A board across the hall, hung from the roof."""
    kit, dice = room.kit, room.kit.dice
    wide, z = dice.uniform(1.5, 5.0), max(2.7, room.height - dice.uniform(1.6, 3.0))
    kit.b.begin("sign", (room.width * dice.uniform(0.3, 0.7), y, z), dice.choice((0.0, math.pi)))
    face = palette.printed(kit.b, dice, 0.18) if dice.chance(0.6) else palette.screen(kit.b, dice, lit=True)
    kit.b.box((0, 0, 0.3), (wide, 0.1, 0.6), face)
    rods = [(x * wide * 0.4, 0, (0.6 + room.height - z) / 2) for x in (-1, 1)]
    boxes(kit.b, rods, (0.04, 0.04, room.height - z - 0.6), kit.look.metal)
