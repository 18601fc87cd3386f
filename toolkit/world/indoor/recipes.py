"""The near recipes: one for each category of room, made of a shape, its furnishing and a way to look at it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from edgedepth.world import palette
from edgedepth.world.builder import Dice, SceneBuilder
from edgedepth.world.indoor import dressing, fixtures, furniture, props
from edgedepth.world.indoor.placing import Kit, Piece, Pose
from edgedepth.world.indoor.rooms import Room, Shape, build_room
from edgedepth.world.indoor.viewpoints import Sampler, close_views, room_views, scanning_views, window_views
from edgedepth.world.recipe import Build, BuiltScene
from edgedepth.world.scene import Scene

Maker = Callable[[Dice], Piece]


@dataclass(frozen=True, kw_only=True)
class _Category:
    """A category: its shapes, how it is furnished, and how much hangs on walls and lies about."""

    shapes: tuple[Shape, ...]
    furnish: Callable[[Room], None]
    wall_things: tuple[int, int] = (2, 8)
    clutter: tuple[int, int] = (0, 5)
    boards: float = 0.0
    people: float = 0.22
    sunny: bool = False
    rugs: float = 0.0
    filler: tuple[Maker, ...] = ()


def _kit(dice: Dice, segments: int = 10) -> Kit:
    b = SceneBuilder()
    implausible = dice.chance(0.13)
    look = palette.room_palette(b, dice, implausible=implausible)
    return Kit(b=b, dice=dice, look=look, implausible=implausible, segments=segments)


def _with_materials(kit: Kit, shape: Shape) -> Kit:
    """The kit with the walls and floor that suit a shape, unless the room is implausible on purpose."""
    if kit.implausible:
        return kit
    look = kit.look
    if shape.wall_material is not None and kit.dice.chance(0.75):
        wall = shape.wall_material(kit.b, kit.dice)
        look = replace(look, wall=wall, accent_wall=wall)
    if shape.floor_material is not None and kit.dice.chance(0.75):
        look = replace(look, floor=shape.floor_material(kit.b, kit.dice))
    return replace(kit, look=look)


def _furnished(dice: Dice, category: _Category, segments: int = 10) -> Room:
    shape = dice.choice(category.shapes)
    room = build_room(_with_materials(_kit(dice, segments), shape), shape)
    dressing.light_room(room, sunny=category.sunny)
    category.furnish(room)
    if category.filler and dice.chance(0.8):
        _fill(room, category.filler, dice.uniform(0.15, 0.5))
    if dice.chance(category.rugs):
        dressing.add_rug(room)
    if dice.chance(category.people):
        dressing.add_people(room, dice.choice((1, 1, 2, 3)))
    dressing.dress_walls(room, dice.integer(*category.wall_things), boards=category.boards)
    dressing.add_clutter(room, dice.integer(*category.clutter))
    return room


def _recipe(name: str, category: _Category, views: Callable[[Scene, Room], Sampler] = room_views) -> Build:
    def build(dice: Dice) -> BuiltScene:
        room = _furnished(dice, category)
        scene = room.kit.b.finish(name)
        return BuiltScene(scene, views(scene, room))

    return build


# -- helpers of furnishing -----------------------------------------------------------------------------------


def _along_walls(room: Room, makers: tuple[tuple[float, Maker], ...]) -> None:
    """Each maker with its probability, backs to the walls."""
    for probability, maker in makers:
        if room.kit.dice.chance(probability):
            room.plan.against_wall(room.kit, maker(room.kit.dice))


def _fill(room: Room, makers: tuple[Maker, ...], share: float) -> None:
    """More pieces along the walls until `share` of the floor is covered: lived-in rooms are full."""
    kit, dice = room.kit, room.kit.dice
    for _ in range(10):
        covered = sum(4 * f.half_width * f.half_depth for f in room.plan.footprints if f.solid)
        if covered > share * room.width * room.length:
            return
        room.plan.against_wall(kit, dice.choice(makers)(dice), tries=8)


def _table_with_chairs(room: Room, piece: Piece, seat: Maker, share: float, people: float) -> None:
    """A table on the open floor with chairs around it, some taken."""
    kit, dice = room.kit, room.kit.dice
    reserved = Piece(width=piece.width + 0.7, depth=piece.depth + 0.7, height=piece.height, build=piece.build)
    pose = room.plan.anywhere(kit, reserved, tries=25, wobble=0.12) or room.plan.against_wall(kit, piece)
    if pose is None:
        return
    per_side = max(1, int(piece.width / 0.65))
    places = [
        pose.at((i - (per_side - 1) / 2) * piece.width / per_side, side * (piece.depth / 2 + 0.14), 0.0,
                math.pi if side > 0 else 0.0)
        for i in range(per_side) for side in (-1, 1)
    ]  # fmt: skip
    places += [pose.at(side * (piece.width / 2 + 0.14), 0, 0, side * math.pi / 2) for side in (-1, 1)]
    model = seat(dice)
    for place in places:
        if not dice.chance(share):
            continue
        moved = place.at(dice.uniform(-0.08, 0.08), -dice.uniform(0.0, 0.3), 0.0, dice.normal(0.2))
        if not room.plan.inside(moved.x, moved.y, 0.3):
            continue
        with kit.b.together():
            model.build(kit, moved)
            room.plan.occupy(moved, model.width, model.depth, model.height)
            if dice.chance(people):
                dressing.seat_person(kit, moved.at(0, -0.05), 0.46)


def _chair_at(room: Room, desk_pose: Pose | None, desk: Piece, seat: Maker, people: float = 0.15) -> None:
    """A chair in front of a desk, sometimes pushed back, sometimes taken."""
    if desk_pose is None:
        return
    kit, dice = room.kit, room.kit.dice
    piece = seat(dice)
    back = desk.depth / 2 + dice.uniform(0.15, 0.6)
    pose = desk_pose.at(dice.uniform(-0.2, 0.2), back, 0.0, math.pi + dice.normal(0.4))
    if room.plan.inside(pose.x, pose.y, 0.3):
        with kit.b.together():
            piece.build(kit, pose)
            room.plan.occupy(pose, piece.width, piece.depth, piece.height)
            if dice.chance(people):
                dressing.seat_person(kit, pose.at(0, -0.04), 0.5)


# -- categories ----------------------------------------------------------------------------------------------


def _bedroom(room: Room) -> None:
    kit, dice = room.kit, room.kit.dice
    for _ in range(dice.choice((1, 1, 1, 2))):
        with kit.b.together():
            bed = furniture.bed(dice)
            pose = room.plan.against_wall(kit, bed, tries=20)
            if pose is not None:
                for side in (-1, 1):
                    stand = furniture.night_table(dice)
                    place = pose.at(side * (bed.width + stand.width + 0.08) / 2, (stand.depth - bed.depth) / 2)
                    if dice.chance(0.7):
                        room.plan.beside(kit, stand, place)
                if dice.chance(0.08):
                    dressing.seat_person(kit, pose.at(bed.width / 2 - 0.2, 0.3, 0.0, -math.pi / 2), 0.5)
    desk = furniture.desk(dice)
    if dice.chance(0.45):
        _chair_at(room, room.plan.against_wall(kit, desk), desk, dice.choice((furniture.chair, furniture.office_chair)))
    _along_walls(room, ((0.75, furniture.wardrobe), (0.6, furniture.cabinet), (0.4, furniture.bookshelf),
                        (0.2, furniture.tv_unit), (0.3, furniture.chair), (0.25, furniture.plant),
                        (0.3, furniture.floor_lamp), (0.2, furniture.bench)))  # fmt: skip


def _coffee_table(dice: Dice) -> Piece:
    return furniture.table(dice, width=(0.6, 1.2), depth=(0.45, 0.75), height=(0.36, 0.5), amount=7)


def _seats_around_a_table(room: Room) -> None:
    """Armchairs and sofas that face a low table in the middle of the floor."""
    kit, dice = room.kit, room.kit.dice
    table = _coffee_table(dice)
    pose = room.plan.anywhere(kit, table, tries=20)
    if pose is None:
        return
    for i in range(4):
        if dice.chance(0.25):
            continue
        seat = furniture.sofa(dice, seats=dice.choice((1, 1, 2)))
        half = table.depth / 2 if i % 2 == 0 else table.width / 2
        around = pose.at(0, 0, 0, i * math.pi / 2 + dice.normal(0.12))
        here = around.at(0, half + seat.depth / 2 + dice.uniform(0.15, 0.4))
        room.plan.beside(kit, seat, Pose(here.x, here.y, 0.0, here.yaw + math.pi))


def _living_room(room: Room) -> None:
    kit, dice = room.kit, room.kit.dice
    for _ in range(dice.choice((1, 1, 2))):
        with kit.b.together():
            sofa = furniture.sofa(dice, seats=dice.choice((2, 3, 3, 4)))
            pose = room.plan.against_wall(kit, sofa, tries=20) or room.plan.anywhere(kit, sofa, wobble=0.15)
            if pose is None:
                continue
            if dice.chance(0.75):
                table = _coffee_table(dice)
                room.plan.beside(kit, table, pose.at(dice.uniform(-0.3, 0.3), (sofa.depth + table.depth) / 2 + 0.35))
            if dice.chance(0.15):
                dressing.seat_person(kit, pose.at(dice.uniform(-0.4, 0.4), 0.05), 0.44)
    _along_walls(room, ((0.75, furniture.tv_unit), (0.6, furniture.bookshelf), (0.5, furniture.cabinet),
                        (0.5, furniture.floor_lamp), (0.55, furniture.plant), (0.3, furniture.bookshelf),
                        (0.3, furniture.plant)))  # fmt: skip
    if dice.chance(0.4):
        _seats_around_a_table(room)
    for _ in range(dice.integer(0, 2)):
        room.plan.anywhere(kit, furniture.sofa(dice, seats=1), wobble=0.6)
    if dice.chance(0.25):
        _table_with_chairs(room, furniture.table(dice), furniture.chair, 0.8, 0.05)


def _corner_kitchen(room: Room, things: int) -> bool:
    """Two runs that meet in a corner of the room; False where no corner is free."""
    kit, dice, plan = room.kit, room.kit.dice, room.plan
    for _ in range(6):
        first = dice.integer(0, len(plan.walls) - 1)
        wall, beside = plan.walls[first], plan.walls[(first + 1) % len(plan.walls)]
        lengths = [dice.uniform(1.3, max(1.31, min(3.4, side.length - 0.7))) for side in (wall, beside)]
        run = fixtures.kitchen_run(dice, lengths[0], things)
        if not plan.at_wall(kit, run, first, wall.length - lengths[0] / 2 - 0.03):
            continue
        other = fixtures.kitchen_run(dice, lengths[1], things)
        plan.at_wall(kit, other, (first + 1) % len(plan.walls), run.depth + 0.04 + lengths[1] / 2)
        return True
    return False


def _kitchen(room: Room, things: int = 3) -> None:
    kit, dice = room.kit, room.kit.dice
    if dice.chance(0.55) and _corner_kitchen(room, things):
        order = []
    else:
        order = sorted(range(len(room.plan.walls)), key=lambda i: -room.plan.walls[i].length + dice.uniform(0, 1.5))
    for index in order[: dice.choice((1, 2, 2))]:
        for _ in range(10):
            length = min(dice.uniform(1.3, 3.6), room.plan.walls[index].length - 0.12)
            if length <= 1.2:
                continue
            if room.plan.against_wall(kit, fixtures.kitchen_run(dice, length, things), wall=index, tries=3):
                break
    room.plan.against_wall(kit, fixtures.fridge(dice), tries=20)
    if dice.chance(0.6) and room.width * room.length > 7:
        _table_with_chairs(room, furniture.table(dice, width=(0.7, 1.4)), furniture.chair, 0.75, 0.08)
    _along_walls(room, ((0.3, furniture.bookshelf), (0.3, furniture.cabinet), (0.25, fixtures.washing_machine),
                        (0.2, furniture.plant), (0.2, furniture.chair)))  # fmt: skip


def _bathroom(room: Room) -> None:
    kit, dice = room.kit, room.kit.dice
    makers: tuple[tuple[float, Maker], ...] = (
        (0.55, fixtures.bath_tub), (0.95, fixtures.basin), (0.85, fixtures.toilet), (0.4, fixtures.shower),
        (0.3, fixtures.washing_machine), (0.2, fixtures.basin),
    )  # fmt: skip
    for probability, maker in makers:
        if dice.chance(probability):
            room.plan.against_wall(kit, maker(dice), tries=25)
    _along_walls(room, ((0.4, _narrow_cabinet), (0.2, furniture.bench), (0.15, furniture.plant)))


def _narrow_cabinet(dice: Dice) -> Piece:
    return furniture.cabinet(dice, width=(0.3, 0.6), height=(0.6, 1.8), depth=(0.25, 0.4), clutter=props.BATH_PROPS)


def _office(room: Room) -> None:
    kit, dice = room.kit, room.kit.dice
    for _ in range(dice.choice((1, 2, 2, 3, 4))):
        desk = furniture.desk(dice)
        pose = room.plan.against_wall(kit, desk)
        if pose is None or dice.chance(0.25):
            pose = room.plan.anywhere(kit, desk, wobble=0.1)
        _chair_at(room, pose, desk, furniture.office_chair, 0.15)
        if pose is not None and dice.chance(0.15):
            screen = fixtures.partition(dice, desk.width)
            room.plan.beside(kit, screen, pose.at(0, -desk.depth / 2 - 0.1))
    _along_walls(room, ((0.6, furniture.bookshelf), (0.5, furniture.cabinet), (0.3, fixtures.machine),
                        (0.4, furniture.bookshelf), (0.35, furniture.plant), (0.25, furniture.coat_stand),
                        (0.3, furniture.wardrobe), (0.2, furniture.boxes)))  # fmt: skip


def _meeting_room(room: Room) -> None:
    dice = room.kit.dice
    longest = max(1.4, max(room.width, room.length) - 2.2)
    table = furniture.table(dice, width=(1.2, min(longest, 4.5)), depth=(0.9, 1.3), clutter=props.DESK_PROPS, amount=9)
    seat = dice.choice((furniture.office_chair, furniture.office_chair, furniture.chair))
    _table_with_chairs(room, table, seat, 0.9, dice.choice((0.0, 0.0, 0.15, 0.4)))
    if dice.chance(0.25):
        room.plan.anywhere(room.kit, _bar_table(dice))
    _along_walls(room, ((0.4, furniture.cabinet), (0.4, furniture.plant), (0.3, furniture.tv_unit),
                        (0.2, furniture.coat_stand), (0.3, furniture.chair)))  # fmt: skip


def _corridor(room: Room) -> None:
    _along_walls(room, ((0.3, _slim_cabinet), (0.3, furniture.plant), (0.25, furniture.chair), (0.25, furniture.bench),
                        (0.2, furniture.boxes), (0.15, furniture.coat_stand), (0.2, _slim_cabinet),
                        (0.15, fixtures.machine), (0.2, furniture.plant), (0.2, _bar_table)))  # fmt: skip


def _slim_cabinet(dice: Dice) -> Piece:
    return furniture.cabinet(dice, width=(0.6, 1.4), height=(0.7, 1.9), depth=(0.25, 0.4))


def _dining_room(room: Room) -> None:
    dice = room.kit.dice
    for _ in range(dice.choice((1, 1, 1, 3)) if room.width * room.length > 22 else 1):
        table = furniture.table(dice, width=(0.9, 2.2), depth=(0.75, 1.0), amount=9)
        _table_with_chairs(room, table, furniture.chair, 0.9, dice.choice((0.0, 0.0, 0.1, 0.35)))
    _along_walls(room, ((0.7, furniture.cabinet), (0.4, furniture.bookshelf), (0.5, furniture.plant),
                        (0.3, furniture.floor_lamp), (0.3, furniture.cabinet), (0.2, furniture.tv_unit)))  # fmt: skip


def _workshop(room: Room) -> None:
    kit, dice = room.kit, room.kit.dice
    for _ in range(dice.integer(1, 3)):
        room.plan.against_wall(kit, fixtures.workbench(dice), tries=20)
    if dice.chance(0.4):
        bench = furniture.table(dice, width=(1.0, 2.0), height=(0.8, 0.95), clutter=props.BENCH_PROPS, amount=9)
        room.plan.anywhere(kit, bench)
    _along_walls(room, ((0.7, fixtures.rack), (0.6, fixtures.machine), (0.5, fixtures.machine), (0.5, fixtures.ladder),
                        (0.4, furniture.wardrobe), (0.4, furniture.boxes), (0.4, fixtures.rack),
                        (0.3, furniture.chair)))  # fmt: skip
    for _ in range(dice.integer(0, 2)):
        room.plan.anywhere(kit, dice.choice((fixtures.machine, fixtures.ladder, furniture.boxes))(dice))


def _store_room(room: Room) -> None:
    kit, dice = room.kit, room.kit.dice
    for _ in range(dice.integer(2, 6)):
        room.plan.against_wall(kit, fixtures.rack(dice), tries=10)
    if room.width * room.length > 16:
        yaw = dice.choice((0.0, math.pi / 2))
        for _ in range(dice.integer(0, 4)):
            rack = fixtures.rack(dice)
            x, y = dice.uniform(0.25, 0.75) * room.width, dice.uniform(0.25, 0.75) * room.length
            room.plan.beside(kit, rack, Pose(x, y, 0.0, yaw))
    for _ in range(dice.integer(1, 6)):
        room.plan.anywhere(kit, furniture.boxes(dice))
    _along_walls(room, ((0.5, fixtures.ladder), (0.4, furniture.cabinet), (0.3, fixtures.machine)))


def _bar_table(dice: Dice) -> Piece:
    return furniture.table(dice, width=(0.6, 0.8), depth=(0.6, 0.7), height=(0.98, 1.12), amount=4)


def _stairwell(room: Room) -> None:
    """One or two flights against the longest wall, with railing and a landing."""
    kit, dice, plan = room.kit, room.kit.dice, room.plan
    index = max(range(len(plan.walls)), key=lambda i: plan.walls[i].length)
    wall = plan.walls[index]
    wide = dice.uniform(0.85, min(1.4, 0.55 * min(room.width, room.length)))
    rise, tread = dice.uniform(0.15, 0.19), dice.uniform(0.25, 0.31)
    count = int(min((wall.length - 0.9) / tread, (room.low_height - 0.2) / rise))
    start = dice.uniform(0.4, max(0.41, wall.length - count * tread))
    up = dice.chance(0.5)
    material, nosing = kit.make(palette.floor), kit.look.trim
    open_steps = dice.chance(0.25)
    with kit.b.together():
        for i in range(count):
            along = start + (i + 0.5) * tread
            along = along if up else wall.length - along
            z = (i + 1) * rise
            kit.begin("floor", wall.pose(along, wide / 2 + 0.005))
            bottom = z - 0.05 if open_steps else 0.0
            kit.b.box((0, 0, (z + bottom) / 2), (tread, wide - 0.01, z - bottom), material)
            kit.b.box((0, 0, z + 0.004), (tread + 0.012, wide, 0.008), nosing)
            plan.occupy(wall.pose(along, wide / 2), tread, wide, z)
            if i % dice.choice((1, 1, 2)) == 0:
                kit.begin("fence", wall.pose(along, wide - 0.03, z))
                kit.b.box((0, 0, 0.45), (0.022, 0.022, 0.9), kit.look.metal)
        low, high = start, start + count * tread
        ends = [(low, rise + 0.9), (high, (count + 1) * rise + 0.9 - rise)]
        a, c = (wall.pose(x if up else wall.length - x, wide - 0.03, z) for x, z in ends)
        kit.b.begin("fence")
        kit.b.capsule(a.position, c.position, 0.03, kit.look.trim, segments=8)
    plan.take_wall(index, 0.0, wall.length, 0.0, 2.4)
    _along_walls(room, ((0.3, furniture.plant), (0.2, furniture.bench), (0.2, furniture.boxes)))


def _tabletop(dice: Dice) -> BuiltScene:
    """A cluttered desk or table seen from close by, in a room that is furnished behind it."""
    shape = Shape(width=(2.4, 5.0), length=(2.4, 5.0))
    room = build_room(_kit(dice, 16), shape)
    kit, plan = room.kit, room.plan
    dressing.light_room(room)
    if dice.chance(0.5):
        piece = furniture.desk(dice)
    else:
        things = dice.choice((props.DESK_PROPS, props.TABLE_PROPS, props.KITCHEN_PROPS, props.BENCH_PROPS))
        amount = dice.integer(5, 20)
        if dice.chance(0.7):
            piece = furniture.table(dice, width=(0.8, 1.8), clutter=things, amount=amount)
        else:
            piece = furniture.table(dice, width=(1.0, 2.0), height=(0.8, 0.95), clutter=things, amount=amount)
    pose = plan.against_wall(kit, piece, tries=30) if dice.chance(0.6) else plan.anywhere(kit, piece, tries=30)
    if pose is None:
        pose = Pose(room.width / 2, room.length / 2, 0.0, 0.0)
        with kit.b.together():
            piece.build(kit, pose)
        plan.occupy(pose, piece.width, piece.depth, piece.height)
    top = pose.at(0, 0.05, piece.height)
    _along_walls(room, ((0.5, furniture.bookshelf), (0.5, furniture.cabinet), (0.4, furniture.chair),
                        (0.3, furniture.sofa), (0.3, furniture.plant), (0.3, furniture.wardrobe)))  # fmt: skip
    _chair_at(room, pose, piece, furniture.office_chair, 0.1)
    dressing.dress_walls(room, dice.integer(1, 5))
    scene = kit.b.finish("tabletop")
    return BuiltScene(scene, close_views(scene, room, top.position, (piece.width, piece.depth)))


_HOME_FILLER: tuple[Maker, ...] = (
    furniture.bookshelf, furniture.cabinet, furniture.chair, furniture.wardrobe, furniture.plant, furniture.boxes,
    furniture.night_table, furniture.bench, furniture.floor_lamp, furniture.table,
)  # fmt: skip
_WORK_FILLER: tuple[Maker, ...] = (
    furniture.bookshelf, furniture.cabinet, furniture.wardrobe, furniture.boxes, furniture.plant, fixtures.machine,
    furniture.desk, furniture.office_chair,
)  # fmt: skip
_TRADE_FILLER: tuple[Maker, ...] = (
    fixtures.rack, fixtures.rack, fixtures.machine, furniture.boxes, furniture.cabinet, fixtures.ladder,
    furniture.table,
)  # fmt: skip

_CATEGORIES: dict[str, _Category] = {
    "bedroom": _Category(
        shapes=(Shape(width=(2.4, 4.6), length=(2.8, 5.0), windows=(1, 2), sloped=0.2),),
        furnish=_bedroom, filler=_HOME_FILLER, clutter=(0, 7), rugs=0.5, people=0.15,
    ),
    "living_room": _Category(
        shapes=(Shape(width=(3.0, 6.5), length=(3.5, 8.0), windows=(1, 3), l_shaped=0.25),),
        furnish=_living_room, filler=_HOME_FILLER, wall_things=(2, 9), clutter=(0, 6), rugs=0.7,
    ),
    "kitchen": _Category(
        shapes=(
            Shape(width=(1.9, 3.0), length=(2.4, 4.5), floor_material=palette.tiles),
            Shape(width=(2.8, 5.0), length=(3.0, 6.0), l_shaped=0.2, windows=(1, 2)),
        ),
        furnish=_kitchen, filler=_HOME_FILLER, wall_things=(1, 5), clutter=(0, 4), rugs=0.15,
    ),
    "bathroom": _Category(
        shapes=(Shape(width=(1.8, 2.8), length=(1.9, 3.8), doors=(1, 1), windows=(0, 1),
                      wall_material=palette.tiles, floor_material=palette.tiles),),
        furnish=_bathroom, wall_things=(1, 5), clutter=(0, 4), rugs=0.5, people=0.08,
    ),
    "office": _Category(
        shapes=(
            Shape(width=(2.4, 4.0), length=(2.8, 5.0), windows=(0, 2), sloped=0.05),
            Shape(width=(4.0, 8.0), length=(4.0, 9.0), windows=(1, 4), sloped=0.0, l_shaped=0.2),
        ),
        furnish=_office, filler=_WORK_FILLER, boards=0.12, clutter=(0, 5), people=0.3,
    ),
    "meeting_room": _Category(
        shapes=(Shape(width=(2.8, 5.5), length=(3.5, 8.0), windows=(0, 3), sloped=0.0, l_shaped=0.05),),
        furnish=_meeting_room, boards=0.35, clutter=(0, 2), people=0.2,
    ),
    "corridor": _Category(
        shapes=(
            Shape(width=(1.8, 2.6), length=(5.0, 12.0), doors=(2, 6), windows=(0, 1), sloped=0.0, l_shaped=0.0),
            Shape(width=(3.4, 6.0), length=(3.4, 8.0), doors=(2, 5), windows=(0, 1), sloped=0.0, l_shaped=0.9),
        ),
        furnish=_corridor, wall_things=(2, 14), clutter=(0, 4), rugs=0.3, people=0.3,
    ),
    "dining_room": _Category(
        shapes=(Shape(width=(2.8, 5.0), length=(3.2, 7.5), windows=(1, 3)),),
        furnish=_dining_room, filler=_HOME_FILLER, clutter=(0, 3), rugs=0.4,
    ),
    "workshop": _Category(
        shapes=(Shape(width=(2.6, 6.5), length=(3.0, 8.5), ceiling=(2.3, 3.5), windows=(0, 2), sloped=0.2,
                      floor_material=palette.stone),),
        furnish=_workshop, filler=_TRADE_FILLER, wall_things=(1, 6), clutter=(2, 10),
    ),
    "store_room": _Category(
        shapes=(Shape(width=(1.8, 6.0), length=(2.2, 8.0), ceiling=(2.2, 3.5), windows=(0, 1), doors=(1, 2),
                      floor_material=palette.stone),),
        furnish=_store_room, filler=_TRADE_FILLER, wall_things=(0, 3), clutter=(1, 8), people=0.12,
    ),
    "stairwell": _Category(
        shapes=(Shape(width=(1.9, 3.4), length=(3.4, 6.5), ceiling=(2.6, 3.5), sloped=0.0, l_shaped=0.05,
                      doors=(1, 3), windows=(0, 2)),),
        furnish=_stairwell, clutter=(0, 3), people=0.25,
    ),
}  # fmt: skip

INDOOR_RECIPES: dict[str, Build] = {
    **{name: _recipe(name, category) for name, category in _CATEGORIES.items()},
    "tabletop": _tabletop,
}
"""A recipe for each of the near categories."""


def inhabited_recipes() -> dict[str, Build]:
    """The same with somebody in every room that has space to stand; a tabletop stays as it is."""
    inhabited = {name: _recipe(name, replace(category, people=1.0)) for name, category in _CATEGORIES.items()}
    return {**inhabited, "tabletop": _tabletop}


def sunny_recipes() -> dict[str, Build]:
    """Rooms of homes and offices with glass doors to a terrace, the sun before one of them, and lounge chairs."""
    names = ("living_room", "bedroom", "dining_room", "kitchen", "office", "meeting_room")
    return {name: _recipe(name, _made_sunny(_CATEGORIES[name]), window_views) for name in names}


def _made_sunny(category: _Category) -> _Category:
    def furnish(room: Room) -> None:
        category.furnish(room)
        for _ in range(room.kit.dice.integer(0, 2)):
            room.plan.anywhere(room.kit, furniture.lounge_chair(room.kit.dice), wobble=0.6)

    glazed = tuple(replace(shape, glass_doors=True, windows=(1, 2), sloped=0.05) for shape in category.shapes)
    return replace(category, shapes=glazed, furnish=furnish, sunny=True)


def scanned_recipes() -> dict[str, Build]:
    """Furnished rooms with more on their walls and counters, as somebody who scans them with a camera sees them."""
    names = ("bedroom", "living_room", "kitchen", "bathroom", "office", "meeting_room", "dining_room", "workshop",
             "store_room")  # fmt: skip
    full = {name: replace(_CATEGORIES[name], wall_things=(3, 16), people=0.08) for name in names}
    full["kitchen"] = replace(full["kitchen"], furnish=partial(_kitchen, things=9))
    return {name: _recipe(name, category, scanning_views) for name, category in full.items()}
