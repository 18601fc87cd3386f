"""Rooms that robots work in, near ones: a garage, the aisle of a store, a canteen, a lobby."""

from __future__ import annotations

import math
from dataclasses import replace

from edgedepth.world import palette
from edgedepth.world.builder import Dice, SceneBuilder
from edgedepth.world.indoor import dressing, fixtures, furniture, props, racking
from edgedepth.world.indoor.placing import Kit, Piece, Pose, Wall
from edgedepth.world.indoor.rooms import Room, Shape, build_room
from edgedepth.world.indoor.viewpoints import room_views
from edgedepth.world.recipe import BuiltScene, dice_for
from edgedepth.world.solids import boxes
from edgedepth.world.street import vehicles

_CAR = (1.96, 5.1)  # metres that a parked car takes at most: across, along


def bare_kit(dice: Dice) -> Kit:
    """A builder and the materials of a hall: painted or bare walls, a hard floor, light or bare steel above."""
    b = SceneBuilder()
    look = palette.room_palette(b, dice)
    if dice.chance(0.6):
        wall = palette.draw_material(b, dice, (palette.paint, palette.paint, palette.brick, palette.stone))
        look = replace(look, wall=wall, accent_wall=wall)
    hard = palette.draw_material(b, dice, (palette.stone, palette.stone, palette.stone, palette.paint, palette.tiles))
    return Kit(b=b, dice=dice, look=replace(look, floor=hard))


def _finish(room: Room, category: str) -> BuiltScene:
    scene = room.kit.b.finish(category)
    return BuiltScene(scene, room_views(scene, room))


# -- garage --------------------------------------------------------------------------------------------------


def garage(dice: Dice) -> BuiltScene:
    """A garage or repair shop: a roll door, one or two cars, shelves, benches, tyres and tools."""
    shape = Shape(
        width=(3.6, 7.5), length=(6.2, 8.6), ceiling=(2.4, 3.4), l_shaped=0.0, sloped=0.12, doors=(0, 1), windows=(0, 1)
    )
    room = build_room(bare_kit(dice), shape)
    kit, plan = room.kit, room.plan
    dressing.light_room(room)
    gate = dice.choice((0, 2))
    for index in (gate, 2 - gate):
        wide = dice.choice((2.3, 2.5, 2.8, 4.8))
        wide, tall = min(wide, room.width - 0.6), min(dice.uniform(2.0, 2.3), room.low_height - 0.34)
        if plan.wall_free(index, room.width / 2 - wide / 2 - 0.1, room.width / 2 + wide / 2 + 0.1, 0.0, tall + 0.3):
            roll_door(kit, plan.walls[index], room.width / 2, wide, tall)
            plan.take_wall(index, room.width / 2 - wide / 2, room.width / 2 + wide / 2, 0.0, tall + 0.3)
            break
    spots = [0.5 + dice.normal(0.06)] if room.width < 5.6 or dice.chance(0.4) else [0.28, 0.72]
    for spot in spots:
        _park(room, spot)
    for index in (1, 3):
        first = dice.choice((fixtures.workbench, fixtures.rack, furniture.wardrobe))(dice)
        plan.against_wall(kit, first, wall=index, tries=16)
    for maker in (fixtures.workbench, fixtures.rack, fixtures.rack, fixtures.machine, tyres, bicycle, furniture.boxes):
        if dice.chance(0.65):
            plan.against_wall(kit, maker(dice), tries=16)
    if dice.chance(0.5):
        plan.anywhere(kit, dice.choice((fixtures.ladder, tyres, furniture.boxes))(dice))
    if dice.chance(0.25):
        dressing.add_people(room, 1)
    dressing.dress_walls(room, dice.integer(1, 6))
    dressing.add_clutter(room, dice.integer(1, 7))
    return _finish(room, "workshop")


def roll_door(kit: Kit, wall: Wall, along: float, width: float, height: float) -> None:
    """A shut roller or sectional door on a wall, in its guides, with the roller's case above."""
    b, dice = kit.b, kit.dice
    kit.begin("door", wall.pose(along))
    grey = palette.grey(dice.uniform(0.25, 0.8))
    leaf = palette.flat(b, grey if dice.chance(0.6) else palette.any_colour(dice), reflectance=0.03)
    joint = palette.flat(b, palette.grey(0.08))
    slat = dice.choice((0.1, 0.22, 0.5))
    count = max(2, round(height / slat))
    slat = height / count
    b.box((0, 0.012, height / 2), (width, 0.02, height), joint)
    boxes(b, [(0, 0.035, (i + 0.5) * slat) for i in range(count)], (width, 0.04, slat - 0.014), leaf)
    boxes(b, [(s * (width / 2 + 0.05), 0.05, height / 2) for s in (-1, 1)], (0.1, 0.1, height), kit.look.metal)
    b.box((0, 0.13, height + 0.13), (width + 0.2, 0.24, 0.26), kit.look.metal)
    b.box((0, 0.065, 0.04), (width, 0.03, 0.08), joint)


def _park(room: Room, share: float) -> None:
    """A car at this share of the room's width, its nose to the door or to the wall."""
    kit, dice = room.kit, room.kit.dice

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("car", pose)
        vehicles.car(kit.b, kit.dice)

    piece = Piece(width=_CAR[0], depth=_CAR[1], height=1.8, build=build)
    turn = dice.choice((0.0, math.pi))
    for attempt in range(16):
        y = dice.uniform(_CAR[1] / 2 + 0.3, room.length - _CAR[1] / 2 - 0.3)
        x = share * room.width + dice.normal(0.08 + 0.06 * attempt)
        if room.plan.beside(kit, piece, Pose(x, y, 0.0, turn + dice.normal(0.015))) is not None:
            return
    room.plan.anywhere(kit, piece, tries=60, wobble=0.1)


def tyres(dice: Dice) -> Piece:
    """A stack of tyres."""
    count, radius = dice.integer(1, 5), dice.uniform(0.29, 0.36)

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("clutter", pose)
        rubber = palette.flat(kit.b, palette.grey(0.025), reflectance=0.01)
        r, t = radius, 0.2
        profile = [(0.58 * r, 0.03), (0.7 * r, 0.0), (0.93 * r, 0.01), (r, 0.05), (r, t - 0.05), (0.93 * r, t - 0.01),
                   (0.7 * r, t), (0.58 * r, t - 0.03), (0.58 * r, 0.03)]  # fmt: skip
        for i in range(count):
            x, y = kit.dice.normal(0.015), kit.dice.normal(0.015)
            kit.b.lathe(profile, rubber, centre=(x, y, i * t), segments=16)

    return Piece(width=2 * radius, depth=2 * radius, height=0.2 * count, build=build)


def bicycle(_dice: Dice) -> Piece:
    """A bicycle parked along a wall."""

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("clutter", pose.at(0, 0, 0, math.pi / 2))
        vehicles.bicycle(kit.b, kit.dice)

    return Piece(width=1.8, depth=0.6, height=1.1, build=build)


# -- store ---------------------------------------------------------------------------------------------------


def store_aisle(dice: Dice) -> BuiltScene:
    """A small warehouse: rows of racks from floor to ceiling with an aisle or two between them."""
    shape = Shape(
        width=(3.4, 6.6), length=(5.5, 9.5), ceiling=(2.8, 4.6), l_shaped=0.0, sloped=0.0, doors=(1, 2), windows=(0, 0)
    )
    room = build_room(bare_kit(dice), shape)
    kit = room.kit
    dressing.light_room(room)
    stock = racking.draw_stock(
        kit, bay=(1.2, 2.3), depth=(0.45, 0.9), height=room.low_height - dice.uniform(0.3, 0.9), detailed=True
    )
    rows = [stock.depth / 2 + 0.06, room.width - stock.depth / 2 - 0.06]
    inner = room.width - 2 * stock.depth
    if inner > stock.depth + 2.2:
        rows.append(room.width / 2)
    elif inner < 1.15:
        rows.pop()
    for x in rows:
        racking.row(room.plan, kit, stock, x, 0.1, room.length - dice.uniform(0.1, 1.6))
    for _ in range(dice.integer(1, 5)):
        maker = dice.choice((furniture.boxes, furniture.boxes, fixtures.ladder, racking.pallet, racking.hand_truck))
        room.plan.anywhere(kit, maker(dice), wobble=0.5)
    if dice.chance(0.25):
        dressing.add_people(room, 1)
    dressing.dress_walls(room, dice.integer(0, 3))
    dressing.add_clutter(room, dice.integer(0, 5))
    return _finish(room, "store_room")


# -- canteen and lobby ---------------------------------------------------------------------------------------


def gathering(dice: Dice) -> BuiltScene:
    """A canteen or a lobby."""
    shape = Shape(
        width=(5.0, 7.8), length=(6.0, 9.8), ceiling=(2.7, 4.0), l_shaped=0.12, sloped=0.0, doors=(1, 3), windows=(0, 1)
    )
    room = build_room(bare_kit(dice), shape)
    dressing.light_room(room)
    kit, plan = room.kit, room.plan
    plan.against_wall(kit, counter(dice, dice.uniform(1.8, 4.0)), tries=20)
    if dice.chance(0.6):
        _canteen(room)
    else:
        _lobby(room)
    for maker in (vending, furniture.plant, furniture.plant, furniture.coat_stand, furniture.cabinet, vending):
        if dice.chance(0.4):
            plan.against_wall(kit, maker(dice), tries=12)
    dressing.add_people(room, dice.choice((0, 0, 1, 2, 3)))
    dressing.dress_walls(room, dice.integer(2, 7), boards=0.2)
    return _finish(room, "meeting_room")


def _canteen(room: Room) -> None:
    """Rows of equal tables with equal chairs, some taken."""
    kit, dice = room.kit, room.kit.dice
    number = dice.integer(0, 2**30)  # what is drawn again for each copy
    wide, deep = dice.uniform(1.2, 2.0), dice.uniform(0.7, 0.9)
    taken, tidy = dice.choice((0.0, 0.1, 0.35)), dice.uniform(0.0, 0.12)
    gap_x, gap_y = dice.uniform(0.5, 1.0), dice.uniform(1.3, 1.7)
    columns, rows = int((room.width - 0.8) / (wide + gap_x)), int((room.length - 0.8) / (deep + gap_y))
    for i in range(columns):
        for j in range(rows):
            x = room.width / 2 + (i - (columns - 1) / 2) * (wide + gap_x)
            y = room.length / 2 + (j - (rows - 1) / 2) * (deep + gap_y)
            twin = replace(kit, dice=dice_for(number))
            table = furniture.table(twin.dice, width=(wide, wide), depth=(deep, deep), amount=0)
            around = Piece(width=table.width, depth=table.depth + 0.9, height=table.height, build=table.build)
            with kit.b.together():
                pose = room.plan.beside(twin, around, Pose(x, y, 0.0, dice.normal(tidy / 2)))
                if pose is not None:
                    props.scatter(kit, pose.at(0, 0, table.height + 0.005), table.width * 0.7, table.depth * 0.7,
                                  dice.integer(0, 4), props.TABLE_PROPS)  # fmt: skip
            if pose is not None:
                _chairs(room, pose, table, number, taken, tidy)


def _chairs(room: Room, pose: Pose, table: Piece, number: int, taken: float, tidy: float) -> None:
    kit, dice = room.kit, room.kit.dice
    per_side = max(1, int(table.width / 0.62))
    for i in range(per_side):
        for side in (-1, 1):
            x = (i - (per_side - 1) / 2) * table.width / per_side
            place = pose.at(x, side * (table.depth / 2 + 0.16), 0.0, math.pi if side > 0 else 0.0)
            place = place.at(dice.normal(tidy), -abs(dice.normal(0.1 + tidy)), 0.0, dice.normal(tidy))
            if not room.plan.inside(place.x, place.y, 0.3):
                continue
            twin = replace(kit, dice=dice_for(number, 1))
            with kit.b.together():
                furniture.chair(twin.dice).build(twin, place)
                if dice.chance(taken):
                    dressing.seat_person(kit, place.at(0, -0.05), 0.46)


def _lobby(room: Room) -> None:
    """Groups of seats around low tables, pillars, plants."""
    kit, dice = room.kit, room.kit.dice
    if dice.chance(0.6):
        dressing.add_rug(room)
    for _ in range(dice.integer(0, 3)):
        room.plan.anywhere(kit, pillar(dice, room.low_height), wobble=0.0)
    for _ in range(dice.integer(2, 4)):
        low = furniture.table(dice, width=(0.5, 1.1), depth=(0.45, 0.7), height=(0.36, 0.48), amount=3)
        pose = room.plan.anywhere(kit, low, tries=20, wobble=0.05)
        if pose is None:
            continue
        for turn in (0.0, math.pi):
            seat = furniture.sofa(dice, seats=dice.choice((1, 2, 3)))
            there = pose.at(0, 0, 0, turn).at(0, -(low.depth + seat.depth) / 2 - dice.uniform(0.15, 0.4))
            with kit.b.together():
                if room.plan.beside(kit, seat, there) is not None and dice.chance(0.2):
                    dressing.seat_person(kit, there.at(dice.normal(0.2), 0.05), 0.44)
    for _ in range(dice.integer(1, 4)):
        room.plan.anywhere(kit, dice.choice((furniture.plant, furniture.bench))(dice))


def pillar(dice: Dice, height: float) -> Piece:
    """A pillar up to the ceiling, square or round."""
    size = dice.uniform(0.25, 0.5)

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("pillar", pose)
        own = kit.look.wall if kit.dice.chance(0.5) else kit.make(palette.stone)
        if kit.dice.chance(0.5):
            kit.b.cylinder((0, 0, 0), size / 2, height, own, segments=16)
        else:
            kit.b.box((0, 0, height / 2), (size, size, height), own)

    return Piece(width=size, depth=size, height=height, build=build)


def counter(dice: Dice, length: float) -> Piece:
    """A reception or serving counter with things on it; staff stand at its back."""
    d, h = dice.uniform(0.6, 0.8), dice.uniform(0.9, 1.12)
    back = 0.9  # metres behind it

    def build(kit: Kit, pose: Pose) -> None:
        b = kit.b
        kit.begin("table", pose)
        body, top = kit.body(), kit.make(palette.stone)
        y = back / 2
        b.box((0, y, h / 2 - 0.02), (length, d - 0.08, h - 0.04), body)
        b.box((0, y, h), (length + 0.06, d, 0.05), top)
        b.box((0, y + d / 2 - 0.03, 0.05), (length, 0.02, 0.1), kit.look.trim)
        made = (props.monitor, props.telephone, props.bowl, props.bottle, props.pot_plant, props.carton)
        props.scatter(kit, pose.at(0, y, h + 0.026), length * 0.9, d * 0.8, kit.dice.integer(2, 8), made)

    return Piece(width=length + 0.06, depth=d + back, height=h, build=build)


def vending(dice: Dice) -> Piece:
    """A vending machine with a lit front."""
    w, d, h = dice.uniform(0.7, 0.95), dice.uniform(0.6, 0.8), dice.uniform(1.7, 1.9)

    def build(kit: Kit, pose: Pose) -> None:
        b = kit.b
        kit.begin("appliance", pose)
        b.box((0, 0, h / 2), (w, d, h), palette.plastic(b, kit.dice, palette.any_colour(kit.dice, 0.95, 0.05, 0.6)))
        front = palette.screen(b, kit.dice, lit=True)
        b.box((-w * 0.1, d / 2 + 0.01, h * 0.6), (w * 0.66, 0.02, h * 0.62), front)
        b.box((w * 0.36, d / 2 + 0.01, h * 0.62), (w * 0.16, 0.02, h * 0.3), kit.look.metal)
        b.box((0, d / 2 + 0.01, h * 0.16), (w * 0.7, 0.02, h * 0.12), palette.flat(b, palette.grey(0.02)))

    return Piece(width=w, depth=d + 0.04, height=h, build=build)
