"""Furniture of living, sleeping, eating and working: each function draws a `Piece` to stand on the floor.

A piece's back is at -y of its own frame; it faces +y.
"""

from __future__ import annotations

import math
from itertools import pairwise

from edgedepth.world import palette
from edgedepth.world.builder import Dice, rotation_x
from edgedepth.world.indoor import props
from edgedepth.world.indoor.placing import Kit, Piece, Pose
from edgedepth.world.people import loft
from edgedepth.world.scene import PointLight, Texture


def _legs(kit: Kit, width: float, depth: float, height: float, material: int, size: float = 0.05) -> None:
    for x in (-1, 1):
        for y in (-1, 1):
            middle = (x * (width / 2 - size * 0.8), y * (depth / 2 - size * 0.8), height / 2)
            kit.b.box(middle, (size, size, height), material)


# -- tables and seats ----------------------------------------------------------------------------------------


def table(
    dice: Dice,
    *,
    width: tuple[float, float] = (0.7, 1.8),
    depth: tuple[float, float] = (0.6, 1.0),
    height: tuple[float, float] = (0.7, 0.78),
    clutter: tuple[props.Prop, ...] = props.TABLE_PROPS,
    amount: int = 5,
) -> Piece:
    """A dining, coffee or side table, rectangular or round, with things on it."""
    w, d, h = dice.uniform(*width), dice.uniform(*depth), dice.uniform(*height)
    is_round = dice.chance(0.25)
    if is_round:
        w = d = min(w, d * 1.3)

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("table", pose)
        top = kit.body()
        legs = top if kit.dice.chance(0.5) else kit.look.metal
        slab = kit.dice.uniform(0.02, 0.05)
        if is_round:
            kit.b.cylinder((0, 0, h - slab), w / 2, slab, top, segments=22)
            kit.b.cylinder((0, 0, 0), 0.045, h - slab, legs, segments=10)
            kit.b.cylinder((0, 0, 0), w * 0.27, 0.025, legs, segments=16)
        else:
            kit.b.box((0, 0, h - slab / 2), (w, d, slab), top)
            _legs(kit, w, d, h - slab, legs, kit.dice.uniform(0.035, 0.08))
            if kit.dice.chance(0.5):
                kit.b.box((0, 0, h - slab - 0.04), (w - 0.12, d - 0.12, 0.07), legs)
        if kit.dice.chance(0.12):
            cloth = kit.make(palette.fabric)
            kit.b.box((0, 0, h - 0.1), (w + 0.02, d + 0.02, 0.2 + 0.008), cloth)
        scale = 0.68 if is_round else 1.0
        props.scatter(kit, pose.at(0, 0, h + 0.005), w * scale, d * scale, kit.dice.integer(0, amount), clutter)

    return Piece(width=w, depth=d, height=h, build=build)


def desk(dice: Dice) -> Piece:
    """A work desk with screens or a laptop, keyboard, papers and drawers."""
    w, d, h = dice.uniform(1.0, 1.8), dice.uniform(0.6, 0.85), dice.uniform(0.7, 0.78)

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("table", pose)
        top = kit.body()
        kit.b.box((0, 0, h - 0.015), (w, d, 0.03), top)
        legs = kit.look.metal if kit.dice.chance(0.5) else top
        _legs(kit, w, d, h - 0.03, legs)
        if kit.dice.chance(0.4):
            side = kit.dice.choice((-1, 1)) * (w / 2 - 0.25)
            kit.b.box((side, -0.04, h / 2 - 0.03), (0.4, d * 0.8, h - 0.1), kit.body())
            for i in range(3):
                kit.b.box((side, -0.04 + d * 0.4, 0.16 + 0.2 * i), (0.36, 0.02, 0.17), top)
        if kit.dice.chance(0.5):
            kit.b.box((0, -d / 2 + 0.02, h * 0.65), (w - 0.1, 0.02, h * 0.45), legs)
        desk_things(kit, pose.at(0, 0, h), w, d)

    return Piece(width=w, depth=d, height=h, build=build)


def desk_things(kit: Kit, top: Pose, w: float, d: float) -> None:
    """What stands on a desk used from its +y side."""
    draw = kit.dice.uniform()
    if draw < 0.6:
        count = kit.dice.choice((1, 1, 2)) if w > 1.2 else 1
        for i in range(count):
            x = (i - (count - 1) / 2) * 0.62 + kit.dice.uniform(-0.1, 0.1)
            props.monitor(kit, top.at(x, -d * 0.28, 0, (x * -0.25) + kit.dice.uniform(-0.15, 0.15)))
        props.keyboard(kit, top.at(kit.dice.uniform(-0.1, 0.1), d * 0.22, 0, kit.dice.uniform(-0.1, 0.1)))
    elif draw < 0.85:
        props.laptop(kit, top.at(kit.dice.uniform(-0.2, 0.2), 0, 0, kit.dice.uniform(-0.3, 0.3)))
    for side in (-1, 1):
        count = kit.dice.integer(0, 3)
        props.scatter(kit, top.at(side * (w / 2 - 0.2), 0), 0.38, d, count, props.DESK_PROPS[:-2])


def chair(dice: Dice) -> Piece:
    """A dining or kitchen chair, or a stool."""
    w, d, seat = dice.uniform(0.38, 0.48), dice.uniform(0.4, 0.5), dice.uniform(0.43, 0.48)
    back = seat + dice.uniform(0.3, 0.55) if dice.chance(0.88) else seat

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("chair", pose)
        material = kit.body()
        seat_material = material if kit.dice.chance(0.5) else kit.make(palette.fabric)
        kit.b.box((0, 0, seat - 0.02), (w, d, kit.dice.uniform(0.025, 0.06)), seat_material)
        _legs(kit, w, d, seat - 0.02, material, 0.035)
        if back > seat:
            _chair_back(kit, w, d, seat, back - seat, material, seat_material)

    return Piece(width=w, depth=d + 0.06, height=back, build=build)


def _chair_back(kit: Kit, w: float, d: float, seat: float, tall: float, frame: int, panel: int) -> None:
    """Two posts that lean back, and a panel or three slats between them."""
    lean = kit.dice.uniform(0.03, 0.2)
    turned = rotation_x(lean)
    for side in (-1, 1):
        middle = (side * (w / 2 - 0.02), -d / 2 + 0.02 - lean * tall / 2, seat + tall / 2)
        kit.b.box(middle, (0.03, 0.03, tall), frame, rotation=turned)
    if kit.dice.chance(0.5):
        middle = (0.0, -d / 2 + 0.02 - lean * tall * 0.62, seat + tall * 0.62)
        kit.b.box(middle, (w - 0.05, 0.025, tall * 0.7), panel, rotation=turned)
        return
    for share in (0.4, 0.67, 0.94):
        kit.b.box((0, -d / 2 + 0.02 - lean * tall * share, seat + tall * share), (w - 0.05, 0.02, 0.06), frame)


def lounge_chair(dice: Dice) -> Piece:
    """A low armchair of bent tube or wood that stands on two runners, with a seat and a back of cloth or leather."""
    w, d, seat = dice.uniform(0.55, 0.72), dice.uniform(0.7, 0.9), dice.uniform(0.34, 0.44)
    back, lean = seat + dice.uniform(0.4, 0.65), dice.uniform(0.2, 0.5)

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("chair", pose)
        b, radius = kit.b, kit.dice.uniform(0.012, 0.025)
        frame = kit.look.metal if kit.dice.chance(0.7) else kit.make(palette.wood)
        cloth = kit.make(palette.leather) if kit.dice.chance(0.4) else kit.make(palette.fabric)
        front, rear, arm = d / 2 - radius, -d / 2 + 0.15, seat + kit.dice.uniform(0.15, 0.25)
        side_view = ((rear, radius), (front, radius), (front, arm), (front - 0.12, arm + 0.03), (rear, arm - 0.05))
        for x in (-w / 2, w / 2):
            for (y0, z0), (y1, z1) in pairwise(side_view):
                b.capsule((x, y0, z0), (x, y1, z1), radius, frame, segments=8)
        thick, deep = kit.dice.uniform(0.04, 0.12), d * 0.68
        b.box((0, 0.06, seat - thick / 2), (w - 0.05, deep, thick), cloth, rotation=rotation_x(0.15))
        tall = (back - seat) / math.cos(lean)
        middle = (0.0, 0.06 - deep / 2 - math.sin(lean) * tall / 2, seat + (back - seat) / 2 - thick / 2)
        b.box(middle, (w - 0.05, thick, tall), cloth, rotation=rotation_x(lean))

    return Piece(width=w + 0.05, depth=d + 0.1, height=back, build=build)


def office_chair(dice: Dice) -> Piece:
    """A swivel chair on castors."""
    seat = dice.uniform(0.43, 0.54)
    tall = dice.uniform(0.4, 0.75)

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("chair", pose)
        cloth = (
            kit.make(palette.fabric)
            if kit.dice.chance(0.4)
            else palette.plastic(kit.b, kit.dice, palette.grey(kit.dice.uniform(0.02, 0.12)))
        )
        frame = palette.plastic(kit.b, kit.dice, palette.grey(kit.dice.choice((0.03, 0.05, 0.4))))
        kit.b.box((0, 0, seat - 0.035), (0.48, 0.46, 0.07), cloth)
        kit.b.cylinder((0, 0, 0.08), 0.03, seat - 0.12, frame, segments=8)
        for i in range(5):
            turn = i * 2 * math.pi / 5
            foot = (0.28 * math.cos(turn), 0.28 * math.sin(turn), 0.06)
            kit.b.capsule((0, 0, 0.1), foot, 0.022, frame, segments=5)
            kit.b.ellipsoid((foot[0], foot[1], 0.03), 0.03, frame, segments=6, rings=4)
        lean = rotation_x(kit.dice.uniform(0.0, 0.25))
        kit.b.box((0, -0.25, seat + 0.1 + tall / 2), (0.44, 0.06, tall), cloth, rotation=lean)
        kit.b.box((0, -0.24, seat + 0.03), (0.06, 0.03, 0.25), frame)
        if kit.dice.chance(0.6):
            for x in (-0.26, 0.26):
                kit.b.box((x, -0.02, seat + 0.2), (0.06, 0.26, 0.03), frame)
                kit.b.box((x, -0.05, seat + 0.09), (0.03, 0.04, 0.22), frame)

    return Piece(width=0.6, depth=0.6, height=seat + tall, build=build)


def sofa(dice: Dice, *, seats: int | None = None) -> Piece:
    """A sofa (two to four seats) or an armchair (one), with cushions."""
    count = dice.choice((1, 2, 2, 3, 3)) if seats is None else seats
    arm = dice.uniform(0.08, 0.24)
    w = 0.62 * count * dice.uniform(0.95, 1.2) + 2 * arm
    d, seat, back = dice.uniform(0.78, 1.0), dice.uniform(0.38, 0.46), dice.uniform(0.68, 0.95)

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("sofa", pose)
        leather = kit.dice.chance(0.25)
        cloth = (
            kit.make(palette.leather)
            if leather
            else (kit.look.cloth if kit.dice.chance(0.4) else kit.make(palette.fabric))
        )
        b, inner = kit.b, w - 2 * arm
        foot = kit.dice.choice((0.0, 0.05, 0.12))
        b.box((0, 0, foot + (seat - 0.14 - foot) / 2), (w, d, seat - 0.14 - foot), cloth)
        if foot:
            _legs(kit, w, d, foot, kit.look.trim)
        thick = kit.dice.uniform(0.16, 0.26)
        b.box((0, -d / 2 + thick / 2, foot + (back - foot) / 2), (w, thick, back - foot), cloth)
        arm_top = seat + kit.dice.uniform(0.08, 0.22)
        for side in (-1, 1):
            b.box((side * (w - arm) / 2, 0, foot + (arm_top - foot) / 2), (arm, d, arm_top - foot), cloth)
        for i in range(count):
            x = (i - (count - 1) / 2) * inner / count
            b.box((x, thick / 2, seat - 0.065), (inner / count - 0.012, d - thick - 0.01, 0.15), cloth)
            lean = rotation_x(0.18)
            size = (inner / count - 0.02, 0.15, back - seat)
            b.box((x, -d / 2 + thick + 0.09, seat + (back - seat) / 2), size, cloth, rotation=lean)
        for _ in range(kit.dice.integer(0, 3)):
            x = kit.dice.uniform(-0.45, 0.45) * inner
            _pillow(kit, pose.at(x, -d / 2 + thick + 0.22, seat + 0.18, kit.dice.uniform(-0.3, 0.3)), 0.22)
        if kit.dice.chance(0.25):
            props.cloth_heap(kit, pose.at(kit.dice.uniform(-0.3, 0.3) * inner, 0.1, seat + 0.01))

    return Piece(width=w, depth=d, height=back, build=build)


def _pillow(kit: Kit, pose: Pose, size: float) -> None:
    kit.begin("sofa", pose)
    radii = (size, 0.08, size * 0.85)
    kit.b.ellipsoid((0, 0, 0), radii, kit.make(palette.fabric), segments=10, rings=7)


def bench(dice: Dice) -> Piece:
    """A bench or a pouffe."""
    w, d, h = dice.uniform(0.5, 1.6), dice.uniform(0.32, 0.5), dice.uniform(0.4, 0.48)

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("chair", pose)
        material = kit.body()
        if kit.dice.chance(0.4):
            kit.b.box((0, 0, h / 2), (w, d, h), kit.make(palette.fabric))
        else:
            kit.b.box((0, 0, h - 0.025), (w, d, 0.05), material)
            _legs(kit, w, d, h - 0.05, material, 0.06)

    return Piece(width=w, depth=d, height=h, build=build)


# -- beds ----------------------------------------------------------------------------------------------------


def bed(dice: Dice) -> Piece:
    """A single or double bed with headboard, mattress, pillows and a blanket; its head is at the wall."""
    double = dice.chance(0.55)
    w = dice.uniform(1.4, 1.9) if double else dice.uniform(0.85, 1.2)
    length, h = dice.uniform(1.95, 2.15), dice.uniform(0.35, 0.62)
    head = h + dice.uniform(0.1, 0.75)

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("bed", pose)
        b = kit.b
        frame = kit.body()
        b.box((0, 0, (h - 0.2) / 2 + 0.06), (w, length, h - 0.28), frame)
        _legs(kit, w, length, 0.1, frame, 0.07)
        sheet = palette.fabric(b, kit.dice, palette.pale_colour(kit.dice)) if kit.dice.chance(0.6) else kit.look.cloth
        b.box((0, 0.02, h - 0.1), (w - 0.04, length - 0.06, 0.2), sheet)
        if kit.dice.chance(0.85):
            board = frame if kit.dice.chance(0.6) else kit.make(palette.fabric)
            b.box((0, -length / 2 + 0.02, head / 2), (w + 0.06, 0.05, head), board)
        cover = kit.make(palette.fabric)
        share = kit.dice.uniform(0.45, 0.8)
        thick = kit.dice.uniform(0.03, 0.1)
        hang = kit.dice.uniform(0.05, 0.25)
        middle = (0, length / 2 - share * length / 2, h + thick / 2 - hang / 2)
        b.box(middle, (w + 0.03, share * length + 0.02, thick + hang), cover)
        if kit.dice.chance(0.5):  # a fold, a heap
            fold = (w * kit.dice.uniform(0.3, 0.5), 0.25, kit.dice.uniform(0.04, 0.12))
            y = length / 2 - share * length + 0.15
            b.ellipsoid((0, y, h + thick), fold, cover, segments=12, rings=7, wobble=0.5)
        pillow = sheet if kit.dice.chance(0.5) else kit.make(palette.fabric)
        for x in (-w / 4, w / 4) if double else (0.0,):
            at = (x + kit.dice.uniform(-0.05, 0.05), -length / 2 + 0.32, h + 0.06)
            b.ellipsoid(at, (0.32, 0.21, 0.09), pillow, segments=12, rings=7)
        if kit.dice.chance(0.3):
            spread = pose.at(0, 0.3, h + thick + 0.01)
            props.scatter(kit, spread, w * 0.7, 0.8, 3, (props.cloth_heap, props.books, props.laptop, props.bag))

    return Piece(width=w + 0.06, depth=length, height=head, build=build)


# -- storage -------------------------------------------------------------------------------------------------


def night_table(dice: Dice) -> Piece:
    """A bedside or side table with a lamp and small things."""
    w, d, h = dice.uniform(0.35, 0.55), dice.uniform(0.32, 0.45), dice.uniform(0.42, 0.65)

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("cabinet", pose)
        material = kit.body()
        kit.b.box((0, 0, h / 2 + 0.03), (w, d, h - 0.06), material)
        _legs(kit, w, d, 0.06, material, 0.04)
        for i in range(kit.dice.integer(1, 2)):
            kit.b.box((0, d / 2 + 0.006, h * (0.4 + 0.35 * i)), (w - 0.05, 0.02, h * 0.28), kit.look.second)
        if kit.dice.chance(0.6):
            props.desk_lamp(kit, pose.at(0, -0.05, h))
        props.scatter(kit, pose.at(0, 0.05, h), w, d, 2, props.DESK_PROPS[:9])

    return Piece(width=w, depth=d, height=h, build=build)


def cabinet(
    dice: Dice,
    *,
    width: tuple[float, float] = (0.5, 1.6),
    height: tuple[float, float] = (0.7, 1.2),
    depth: tuple[float, float] = (0.35, 0.6),
    clutter: tuple[props.Prop, ...] = props.SHELF_PROPS,
) -> Piece:
    """A chest of drawers, sideboard or (tall) wardrobe with fronts and handles."""
    w, d, h = dice.uniform(*width), dice.uniform(*depth), dice.uniform(*height)

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("cabinet", pose)
        body = kit.body()
        front = body if kit.dice.chance(0.5) else kit.body()
        kit.b.box((0, 0, h / 2 + 0.03), (w, d, h - 0.06), body)
        kit.b.box((0, -0.02, 0.03), (w - 0.04, d - 0.06, 0.06), kit.look.trim)
        fronts(kit, w, d, 0.08, h - 0.02, front)
        if h < 1.5:
            amount = kit.dice.integer(0, 5)
            props.scatter(kit, pose.at(0, 0, h), w, d, amount, clutter)
            if kit.dice.chance(0.2):
                props.monitor(kit, pose.at(0, 0, h))
        elif kit.dice.chance(0.4):
            props.scatter(kit, pose.at(0, 0, h), w, d, 3, (props.cardboard, props.carton, props.bag))

    return Piece(width=w, depth=d, height=h, build=build)


def fronts(kit: Kit, w: float, d: float, bottom: float, top: float, material: int) -> None:
    """Doors or drawers on a cabinet's face at y = d / 2, in the open object's frame."""
    b, tall = kit.b, top - bottom
    columns = max(1, round(w / kit.dice.uniform(0.38, 0.7)))
    rows = 1 if tall > 1.4 or kit.dice.chance(0.35) else kit.dice.integer(2, 4)
    for i in range(columns):
        for j in range(rows):
            x, z = (i + 0.5) * w / columns - w / 2, bottom + (j + 0.5) * tall / rows
            b.box((x, d / 2 + 0.008, z), (w / columns - 0.012, 0.018, tall / rows - 0.012), material)
            if rows > 1:
                b.box((x, d / 2 + 0.03, z), (0.12, 0.02, 0.015), kit.look.metal)
            else:
                side = (1 if i % 2 == 0 else -1) * (w / columns / 2 - 0.05)
                b.box((x + side, d / 2 + 0.03, z), (0.015, 0.02, 0.14), kit.look.metal)


def wardrobe(dice: Dice) -> Piece:
    """A tall cupboard."""
    return cabinet(dice, width=(0.8, 2.2), height=(1.75, 2.2), depth=(0.5, 0.65))


def bookshelf(dice: Dice, *, low: bool = False) -> Piece:
    """Open shelves with books and things."""
    w, d = dice.uniform(0.5, 1.6), dice.uniform(0.24, 0.4)
    h = dice.uniform(0.7, 1.2) if low else dice.uniform(1.4, 2.15)

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("shelf", pose)
        b, material = kit.b, kit.body()
        for x in (-1, 1):
            b.box((x * (w / 2 - 0.01), 0, h / 2), (0.022, d, h), material)
        if kit.dice.chance(0.7):
            b.box((0, -d / 2 + 0.005, h / 2), (w, 0.01, h), material)
        boards = max(2, round(h / kit.dice.uniform(0.3, 0.42)))
        for i in range(boards + 1):
            b.box((0, 0, min(0.05 + i * (h - 0.06) / boards, h - 0.011)), (w - 0.02, d, 0.022), material)
        for i in range(boards):
            z, gap = 0.062 + i * (h - 0.06) / boards, (h - 0.06) / boards - 0.03
            fill_board(kit, pose, w - 0.06, d, z, gap)
        if h < 1.6 and kit.dice.chance(0.6):
            props.scatter(kit, pose.at(0, 0, h), w, d, 3, props.SHELF_PROPS)

    return Piece(width=w, depth=d, height=h, build=build)


def fill_board(kit: Kit, pose: Pose, w: float, d: float, z: float, gap: float) -> None:
    """Rows of books, boxes and gaps on one board."""
    x = -w / 2
    while x < w / 2 - 0.08:
        run = min(kit.dice.uniform(0.1, 0.5), w / 2 - x)
        draw = kit.dice.uniform()
        if draw < 0.5:
            kit.b.begin("shelf", pose.position, pose.yaw, same_instance=True)
            high = gap * kit.dice.uniform(0.55, 0.92)
            deep = d * kit.dice.uniform(0.55, 0.9)
            cover = palette.pattern(
                kit.b, kit.dice, Texture.BOOKS, palette.any_colour(kit.dice), palette.any_colour(kit.dice)
            )
            kit.b.box((x + run / 2, -0.03, z + high / 2), (run - 0.01, deep, high), cover)
        elif draw < 0.65:
            kit.b.begin("box", pose.position, pose.yaw)
            high = gap * kit.dice.uniform(0.4, 0.85)
            kit.b.box((x + run / 2, 0, z + high / 2), (run - 0.03, d * 0.8, high), kit.make(palette.thing))
        elif draw < 0.82 and gap > 0.2:
            prop = kit.dice.choice((props.mug, props.tin, props.ball, props.bowl, props.carton))
            prop(kit, pose.at(x + run / 2, 0, z, kit.dice.uniform(-0.4, 0.4)))
        x += run


def tv_unit(dice: Dice) -> Piece:
    """A low board with a television on it."""
    w, d, h = dice.uniform(1.0, 2.0), dice.uniform(0.35, 0.5), dice.uniform(0.3, 0.6)
    wide = min(dice.uniform(0.7, 1.45), w)

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("cabinet", pose)
        kit.b.box((0, 0, h / 2), (w, d, h), kit.body())
        fronts(kit, w, d, 0.03, h - 0.02, kit.look.second)
        kit.begin("screen", pose.at(kit.dice.uniform(-0.1, 0.1), 0, h))
        case = palette.plastic(kit.b, kit.dice, palette.grey(0.02))
        tall = wide * 0.58
        kit.b.box((0, 0, 0.01), (wide * 0.4, 0.22, 0.02), case)
        kit.b.box((0, 0, 0.07 + tall / 2), (wide, 0.05, tall), case)
        kit.b.box((0, 0, 0.05), (0.1, 0.04, 0.1), case)
        kit.b.box((0, 0.027, 0.07 + tall / 2), (wide - 0.03, 0.006, tall - 0.03), palette.screen(kit.b, kit.dice))

    return Piece(width=w, depth=d, height=h + 0.07 + wide * 0.58, build=build)


# -- others --------------------------------------------------------------------------------------------------


def plant(dice: Dice) -> Piece:
    """A house plant from knee to head height."""
    size, h = dice.uniform(0.3, 0.6), dice.uniform(0.5, 1.9)

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("plant", pose)
        r, pot = size * 0.3, min(0.35, h * 0.3)
        kit.b.cylinder((0, 0, 0), r * 0.75, pot, kit.make(palette.ceramic), top_radius=r, segments=12)
        if kit.dice.chance(0.35):
            leaf = kit.make(palette.foliage)
            tall = (h - pot) / 2
            kit.b.ellipsoid((0, 0, pot + tall), (size / 2, size / 2, tall), leaf, segments=12, rings=10, wobble=0.35)
            return
        stem = kit.make(palette.wood)
        kit.b.capsule((0, 0, pot), (kit.dice.uniform(-0.08, 0.08), 0, h * 0.75), 0.015, stem, segments=5)
        for i in range(5):
            z = pot + (h * 0.8 - pot) * (i + 0.5) / 5
            props.leaves(kit, pose.at(0, 0, z, i), size * 0.5, 7)

    return Piece(width=size, depth=size, height=h, build=build)


def floor_lamp(dice: Dice) -> Piece:
    """A standing lamp, often lit."""
    h = dice.uniform(1.3, 1.8)

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("lamp", pose)
        metal = kit.make(palette.metal)
        kit.b.cylinder((0, 0, 0), 0.14, 0.025, metal, segments=14)
        kit.b.cylinder((0, 0, 0.025), 0.013, h - 0.2, metal, segments=6)
        lit = kit.dice.chance(0.5)
        shade = palette.glow(kit.b, (1.0, 0.85, 0.65), 2.5 if lit else 0.1)
        r = kit.dice.uniform(0.13, 0.22)
        kit.b.lathe([(r, h - 0.3), (r * 0.7, h)], shade, segments=14)
        if lit:
            tint = palette.warm_light(kit.dice)
            place = pose.at(0, 0, h + 0.1).position
            kit.b.lights.append(PointLight(position=place, colour=tint, radius_m=0.12))

    return Piece(width=0.4, depth=0.4, height=h, build=build)


def boxes(_dice: Dice) -> Piece:
    """Cardboard boxes or crates on the floor."""

    def build(kit: Kit, pose: Pose) -> None:
        props.cardboard(kit, pose)

    return Piece(width=0.6, depth=0.5, height=0.9, build=build)


def floor_prop(dice: Dice) -> Piece:
    """Something small left on the floor."""
    prop = dice.choice(props.FLOOR_PROPS)

    def build(kit: Kit, pose: Pose) -> None:
        prop(kit, pose)

    return Piece(width=0.42, depth=0.36, height=0.5, build=build)


def coat_stand(dice: Dice) -> Piece:
    """A stand with coats on it."""
    h = dice.uniform(1.6, 1.85)

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("clutter", pose)
        wood = kit.make(palette.wood)
        kit.b.cylinder((0, 0, 0), 0.2, 0.04, wood, segments=10)
        kit.b.cylinder((0, 0, 0.04), 0.02, h, wood, segments=6)
        for i in range(kit.dice.integer(1, 4)):
            turn = pose.at(0, 0, 0, 1.57 * i + kit.dice.uniform(-0.3, 0.3))
            kit.b.begin("clutter", turn.at(0, 0.12, 0).position, turn.yaw)
            low = kit.dice.uniform(0.6, 1.0)
            coat = [(0.0, low, 0.2, 0.08), (0.0, h - 0.5, 0.18, 0.09), (-0.04, h - 0.15, 0.06, 0.05)]
            loft(kit.b, coat, kit.make(palette.fabric), 9)

    return Piece(width=0.55, depth=0.55, height=h, build=build)
