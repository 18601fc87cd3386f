"""What is built in or has a trade: kitchens, bathrooms, workshops, stores, offices' walls."""

from __future__ import annotations

import math

from edgedepth.world import palette
from edgedepth.world.builder import Dice
from edgedepth.world.indoor import props
from edgedepth.world.indoor.furniture import fronts
from edgedepth.world.indoor.placing import Kit, Piece, Pose
from edgedepth.world.people import loft
from edgedepth.world.scene import Texture

# -- kitchen -------------------------------------------------------------------------------------------------


def kitchen_run(dice: Dice, length: float, things: int = 3) -> Piece:
    """A row of base units with sink, stove and hood, wall units above and up to thrice `things` on the counter."""
    d, h = dice.uniform(0.58, 0.66), dice.uniform(0.86, 0.94)
    upper = dice.chance(0.75)

    def build(kit: Kit, pose: Pose) -> None:
        dice, b = kit.dice, kit.b
        kit.begin("cabinet", pose)
        front = kit.look.furniture
        b.box((0, 0, (h - 0.04) / 2 + 0.04), (length, d - 0.04, h - 0.12), kit.look.second)
        b.box((0, -0.05, 0.04), (length, d - 0.12, 0.08), palette.flat(b, palette.grey(0.08)))
        fronts(kit, length, d - 0.04, 0.1, h - 0.05, front)
        top = kit.make(palette.stone) if dice.chance(0.6) else kit.make(palette.wood)
        b.box((0, 0, h - 0.02), (length, d, 0.04), top)
        if dice.chance(0.6):
            splash = kit.make(palette.tiles)
            b.box((0, -d / 2 + 0.004, h + 0.28), (length, 0.008, 0.56), splash, semantic="wall")
        sink_x = dice.uniform(-0.4, -0.15) * length if dice.chance(0.5) else dice.uniform(0.15, 0.4) * length
        _sink(kit, pose.at(sink_x, 0.03, h))
        stove_x = -math.copysign(dice.uniform(0.12, 0.33) * length, sink_x)
        _stove(kit, pose.at(stove_x, 0, h), d)
        for x in (-0.42, 0.0, 0.42):
            count = dice.integer(0, things)
            if abs(x * length - sink_x) > 0.45 and abs(x * length - stove_x) > 0.45:
                props.scatter(kit, pose.at(x * length, -0.05, h), 0.5, d - 0.1, count, props.KITCHEN_PROPS)
        if upper:
            _wall_units(kit, pose, length, d, stove_x)

    return Piece(width=length, depth=d, height=2.0 if upper else h, build=build)


def _sink(kit: Kit, pose: Pose) -> None:
    kit.begin("sanitary", pose)
    steel = kit.make(palette.ceramic) if kit.dice.chance(0.3) else palette.metal(kit.b, kit.dice, shiny=True)
    dark = palette.shade((0.4, 0.4, 0.42), kit.dice.uniform(0.4, 0.9))
    kit.b.box((0, 0, 0.004), (0.55, 0.42, 0.012), steel)
    kit.b.box((0, 0, 0.008), (0.42, 0.32, 0.008), palette.flat(kit.b, dark, reflectance=0.1))
    tap(kit, pose.at(0, -0.18, 0.01), kit.dice.uniform(0.15, 0.32))


def tap(kit: Kit, pose: Pose, height: float) -> None:
    """A tap that rises and bends forward."""
    kit.begin("sanitary", pose)
    chrome = palette.metal(kit.b, kit.dice, shiny=True)
    kit.b.capsule((0, 0, 0), (0, 0, height), 0.014, chrome, segments=6)
    kit.b.capsule((0, 0, height), (0, 0.16, height - 0.02), 0.012, chrome, segments=6)


def _stove(kit: Kit, pose: Pose, depth: float) -> None:
    b, dice = kit.b, kit.dice
    kit.begin("appliance", pose)
    b.box((0, 0.02, 0.005), (0.58, 0.5, 0.012), palette.glass(b))
    case = palette.metal(b, dice) if dice.chance(0.6) else palette.glass(b)
    b.box((0, depth / 2, -0.42), (0.58, 0.03, 0.55), case)
    b.box((0, depth / 2 + 0.018, -0.45), (0.46, 0.006, 0.32), palette.glass(b))
    b.box((0, depth / 2 + 0.035, -0.2), (0.46, 0.02, 0.02), kit.look.metal)
    for x, y in ((-0.14, -0.1), (0.14, 0.12), (0.14, -0.1)):
        if dice.chance(0.35):
            r, h = dice.uniform(0.08, 0.13), dice.uniform(0.05, 0.2)
            pot = kit.make(palette.metal)
            b.cylinder((x, y, 0.012), r, h, pot, segments=14)
            b.box((x, y + r + 0.07, h), (0.025, 0.15, 0.02), pot)


def _wall_units(kit: Kit, pose: Pose, length: float, depth: float, stove_x: float) -> None:
    b, dice = kit.b, kit.dice
    bottom, tall, deep = dice.uniform(1.38, 1.5), dice.uniform(0.45, 0.7), 0.34
    back = -depth / 2 + deep / 2
    for low, high in ((-length / 2, stove_x - 0.31), (stove_x + 0.31, length / 2)):
        wide = high - low
        if wide < 0.3 or dice.chance(0.15):
            continue
        here = pose.at((low + high) / 2, back, bottom)
        if dice.chance(0.2):  # open board instead of closed units
            kit.begin("shelf", here)
            b.box((0, 0, 0), (wide, deep, 0.025), kit.look.second)
            props.scatter(kit, here.at(0, 0, 0.013), wide, 0.3, 5, props.KITCHEN_PROPS)
            continue
        kit.begin("cabinet", here)
        b.box((0, 0, tall / 2), (wide, deep, tall), kit.look.second)
        fronts(kit, wide, deep, 0.0, tall, kit.look.furniture)
    kit.begin("appliance", pose.at(stove_x, back, bottom))
    steel = kit.make(palette.metal)
    if dice.chance(0.6):
        b.cylinder((0, 0.05, 0.05), 0.3, 0.25, steel, top_radius=0.13, segments=4)
        b.box((0, -0.02, 0.5), (0.24, 0.24, 0.5), steel)
    else:
        b.box((0, 0.03, 0.06), (0.58, deep + 0.08, 0.12), steel)
        b.box((0, 0, 0.12 + tall / 2 - 0.06), (0.58, deep, tall - 0.12), kit.look.furniture)


def fridge(dice: Dice) -> Piece:
    """A fridge-freezer, tall or low."""
    w, h = dice.uniform(0.54, 0.75), dice.choice((0.85, 1.6, 1.8, 2.0))

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("appliance", pose)
        if kit.dice.chance(0.5):
            skin = palette.metal(kit.b, kit.dice, shiny=False)
        else:
            skin = palette.plastic(kit.b, kit.dice, palette.pale_colour(kit.dice))
        kit.b.box((0, -0.02, h / 2), (w, 0.6, h), skin)
        split = h * kit.dice.uniform(0.3, 0.65)
        for low, high in ((0.05, split - 0.005), (split + 0.005, h - 0.005)):
            kit.b.box((0, 0.3, (low + high) / 2), (w - 0.005, 0.05, high - low), skin)
            kit.b.box((-w / 2 + 0.06, 0.345, high - 0.22), (0.02, 0.03, 0.3), kit.look.metal)
        for _ in range(kit.dice.integer(0, 4)):
            size = kit.dice.uniform(0.04, 0.2)
            spot = (kit.dice.uniform(-0.2, 0.2), 0.328, kit.dice.uniform(0.6, 0.92) * h)
            kit.b.box(spot, (size, 0.004, size), kit.make(palette.picture))

    return Piece(width=w, depth=0.68, height=h, build=build)


def washing_machine(_dice: Dice) -> Piece:
    """A front loader."""

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("appliance", pose)
        skin = palette.plastic(kit.b, kit.dice, palette.grey(kit.dice.choice((0.85, 0.85, 0.4, 0.1))))
        kit.b.box((0, 0, 0.425), (0.6, 0.56, 0.85), skin)
        kit.b.ellipsoid((0, 0.28, 0.43), (0.19, 0.035, 0.19), kit.look.metal, segments=14, rings=8)
        kit.b.ellipsoid((0, 0.29, 0.43), (0.15, 0.04, 0.15), palette.glass(kit.b), segments=14, rings=8)
        props.scatter(kit, pose.at(0, 0, 0.85), 0.6, 0.5, 3, props.BATH_PROPS)

    return Piece(width=0.6, depth=0.6, height=0.85, build=build)


# -- bathroom ------------------------------------------------------------------------------------------------


def basin(dice: Dice) -> Piece:
    """A wash-basin on a cabinet or a pedestal, with tap, mirror above and bottles."""
    w, d, h = dice.uniform(0.45, 1.1), dice.uniform(0.4, 0.55), dice.uniform(0.8, 0.9)
    on_cabinet = dice.chance(0.55)

    def build(kit: Kit, pose: Pose) -> None:
        b, dice = kit.b, kit.dice
        kit.begin("sanitary", pose)
        ware = kit.make(palette.ceramic)
        if on_cabinet:
            b.box((0, 0, h / 2 + 0.1), (w - 0.01, d - 0.04, h - 0.3), kit.body(), semantic="cabinet")
            fronts(kit, w, d - 0.04, 0.25, h - 0.08, kit.look.furniture)
        else:
            b.cylinder((0, -0.05, 0), 0.09, h - 0.1, ware, top_radius=0.12, segments=12)
        b.box((0, 0, h - 0.05), (w, d, 0.1), ware)
        hollow = palette.flat(b, palette.shade((0.75, 0.75, 0.75), dice.uniform(0.6, 1.0)), reflectance=0.06)
        b.lathe([(min(w, d) * 0.38, 0.004), (min(w, d) * 0.25, 0.002), (0.0, 0.001)], hollow, centre=(0, 0.03, h))
        props.scatter(kit, pose.at(w / 2 - 0.1, -0.1, h), 0.2, 0.3, dice.integer(0, 2), props.BATH_PROPS)
        tap(kit, pose.at(0, -d / 2 + 0.06, h), 0.13)
        if dice.chance(0.75):
            wide, tall = dice.uniform(0.4, 1.0), dice.uniform(0.5, 0.9)
            kit.begin("mirror", pose.at(0, -d / 2 - 0.02, 0))
            b.box((0, 0, 1.15 + tall / 2), (wide, 0.02, tall), palette.mirror(b))
            if dice.chance(0.4):
                b.box((0, 0.0, 1.15 + tall / 2), (wide + 0.06, 0.012, tall + 0.06), kit.look.trim, semantic="wall")

    return Piece(width=w, depth=d, height=1.9, build=build)


def toilet(dice: Dice) -> Piece:
    """A toilet with cistern and seat, lid up or down."""
    is_open = dice.chance(0.3)

    def build(kit: Kit, pose: Pose) -> None:
        b = kit.b
        kit.begin("sanitary", pose)
        ware = kit.make(palette.ceramic)
        loft(b, [(0.0, 0.0, 0.12, 0.2), (0.02, 0.2, 0.13, 0.22), (0.06, 0.39, 0.19, 0.26)], ware, 14)
        loft(b, [(0.06, 0.39, 0.2, 0.27), (0.06, 0.425, 0.19, 0.26)], ware, 14)
        if is_open:
            loft(b, [(-0.17, 0.43, 0.17, 0.02), (-0.2, 0.65, 0.19, 0.02), (-0.23, 0.85, 0.1, 0.02)], ware, 12)
        b.box((0, -0.27, 0.6), (0.38, 0.17, 0.38), ware)
        b.box((0, -0.26, 0.2), (0.2, 0.14, 0.42), ware)
        if kit.dice.chance(0.5):
            b.cylinder((0.32, -0.2, 0.0), 0.05, 0.36, kit.look.metal, segments=8)

    return Piece(width=0.5, depth=0.72, height=0.85, build=build)


def bath_tub(dice: Dice) -> Piece:
    """A built-in tub, sometimes with a curtain."""
    w, d, h = dice.uniform(1.4, 1.8), dice.uniform(0.68, 0.82), dice.uniform(0.5, 0.62)

    def build(kit: Kit, pose: Pose) -> None:
        b = kit.b
        kit.begin("sanitary", pose)
        ware, rim = kit.make(palette.ceramic), 0.07
        apron = ware if kit.dice.chance(0.5) else kit.make(palette.tiles)
        b.box((0, 0, 0.06), (w, d, 0.12), ware)
        for y in (-1, 1):
            b.box((0, y * (d - rim) / 2, h / 2), (w, rim, h), apron if y > 0 else ware)
        for side in (-1, 1):
            b.box((side * (w - rim) / 2, 0, h / 2), (rim, d, h), ware)
        tap(kit, pose.at(0, -d / 2 + 0.03, h), 0.1)
        if kit.dice.chance(0.3):
            kit.begin("curtain", pose.at(0, d / 2 - 0.03, 0))
            cloth, x = kit.make(palette.fabric), -w / 2
            wide = w * kit.dice.uniform(0.15, 0.8)
            for i in range(int(wide / 0.08)):
                b.box((x + 0.08 * i, 0.02 * (-1) ** i, 1.2), (0.085, 0.012, 1.5), cloth)

    return Piece(width=w, depth=d, height=h, build=build)


def shower(dice: Dice) -> Piece:
    """A shower corner: tray, head, rail and a framed frosted screen at one side."""
    size = dice.uniform(0.8, 1.0)

    def build(kit: Kit, pose: Pose) -> None:
        b = kit.b
        kit.begin("sanitary", pose)
        chrome = palette.metal(b, kit.dice, shiny=True)
        b.box((0, 0, 0.04), (size, size, 0.08), kit.make(palette.ceramic))
        b.capsule((0, -size / 2 + 0.05, 1.0), (0, -size / 2 + 0.05, 2.0), 0.012, chrome, segments=6)
        b.capsule((0, -size / 2 + 0.05, 2.0), (0, -0.1, 2.02), 0.012, chrome, segments=6)
        b.cylinder((0, -0.1, 1.97), 0.11, 0.02, chrome, segments=12)
        frost = palette.plastic(b, kit.dice, palette.hsv(0.5, 0.1, kit.dice.uniform(0.5, 0.8)))
        kit.begin("glass", pose)
        b.box((size / 2 - 0.01, 0, 1.05), (0.012, size, 1.9), frost)
        for y in (-size / 2, size / 2):
            b.box((size / 2 - 0.01, y, 1.05), (0.03, 0.03, 1.95), chrome)

    return Piece(width=size, depth=size, height=2.05, build=build)


# -- workshop, store, office ---------------------------------------------------------------------------------


def workbench(dice: Dice) -> Piece:
    """A heavy bench with tools, a vice and a tool wall behind it."""
    w, d, h = dice.uniform(1.2, 2.6), dice.uniform(0.6, 0.85), dice.uniform(0.82, 0.95)

    def build(kit: Kit, pose: Pose) -> None:
        b, dice = kit.b, kit.dice
        kit.begin("table", pose)
        wood = kit.make(palette.wood)
        frame = wood if dice.chance(0.5) else kit.look.metal
        b.box((0, 0, h - 0.04), (w, d, 0.08), wood)
        for x in (-1, 1):
            for y in (-1, 1):
                b.box((x * (w / 2 - 0.06), y * (d / 2 - 0.06), h / 2 - 0.04), (0.09, 0.09, h - 0.08), frame)
        if dice.chance(0.6):
            b.box((0, 0, 0.25), (w - 0.1, d - 0.1, 0.03), frame)
            props.scatter(kit, pose.at(0, 0, 0.265), w - 0.3, d - 0.1, 4, (props.toolbox, props.carton, props.bucket))
        kit.begin("clutter", pose.at(dice.choice((-0.35, 0.35)) * w, d / 2 - 0.1, h))
        b.box((0, 0, 0.07), (0.14, 0.1, 0.14), kit.look.metal)
        b.box((0, 0.12, 0.1), (0.14, 0.06, 0.1), kit.look.metal)
        props.scatter(kit, pose.at(0, -0.05, h), w, d - 0.1, dice.integer(3, 11), props.BENCH_PROPS)
        if dice.chance(0.6):
            tool_wall(kit, pose.at(0, -d / 2 - 0.01, h + 0.25), w * 0.9)

    return Piece(width=w, depth=d, height=1.5, build=build)


def tool_wall(kit: Kit, pose: Pose, width: float) -> None:
    """A board with hanging tools."""
    b, dice = kit.b, kit.dice
    kit.begin("clutter", pose)
    b.box((0, 0.008, 0.4), (width, 0.016, 0.8), kit.make(palette.surface))
    for i in range(int(width / 0.12)):
        if dice.chance(0.3):
            continue
        x, top = -width / 2 + 0.08 + 0.12 * i, dice.uniform(0.45, 0.75)
        long = dice.uniform(0.12, 0.38)
        kit.begin("clutter", pose.at(x, 0.03, top))
        b.box((0, 0, -long / 2), (0.025, 0.02, long), kit.make(palette.plastic))
        b.box((0, 0, 0), (dice.uniform(0.02, 0.1), 0.025, dice.uniform(0.02, 0.06)), kit.make(palette.metal))


def rack(dice: Dice) -> Piece:
    """A steel rack loaded with boxes, cans, bags."""
    w, d, h = dice.uniform(0.8, 2.0), dice.uniform(0.35, 0.6), dice.uniform(1.5, 2.3)

    def build(kit: Kit, pose: Pose) -> None:
        b, dice = kit.b, kit.dice
        kit.begin("shelf", pose)
        frame, board = kit.make(palette.metal), kit.look.second
        for x in (-1, 1):
            for y in (-1, 1):
                b.box((x * (w / 2 - 0.02), y * (d / 2 - 0.02), h / 2), (0.035, 0.035, h), frame)
        boards = dice.integer(3, 5)
        for i in range(boards):
            z = 0.1 + i * (h - 0.15) / (boards - 1)
            kit.b.begin("shelf", pose.position, pose.yaw, same_instance=True)
            b.box((0, 0, z), (w, d, 0.03), board)
            gap = (h - 0.15) / (boards - 1) - 0.05
            _load(kit, pose, w - 0.1, d, z + 0.015, gap if i < boards - 1 else 0.45)

    return Piece(width=w, depth=d, height=h + 0.3, build=build)


def _load(kit: Kit, pose: Pose, w: float, d: float, z: float, gap: float) -> None:
    x, dice = -w / 2, kit.dice
    while x < w / 2 - 0.12:
        run = min(dice.uniform(0.15, 0.55), w / 2 - x)
        draw = dice.uniform()
        if draw < 0.6:
            kit.begin("box", pose.at(x + run / 2, dice.uniform(-0.03, 0.03), z, dice.uniform(-0.08, 0.08)))
            high = gap * dice.uniform(0.3, 0.85)
            tint = palette.hsv(dice.uniform(0.06, 0.1), dice.uniform(0.3, 0.5), dice.uniform(0.3, 0.6))
            own = palette.paint(kit.b, dice, tint) if dice.chance(0.5) else kit.make(palette.thing)
            kit.b.box((0, 0, high / 2), (run * 0.9, d * dice.uniform(0.6, 0.9), high), own)
            if dice.chance(0.4):
                kit.b.box((0, d * 0.46, high * 0.5), (run * 0.4, 0.003, high * 0.35), kit.make(palette.printed))
        elif draw < 0.85 and gap > 0.2:
            prop = dice.choice((props.tin, props.bottle, props.toolbox, props.carton, props.books))
            prop(kit, pose.at(x + run / 2, 0, z, dice.uniform(-0.5, 0.5)))
        x += run


def ladder(dice: Dice) -> Piece:
    """A step ladder."""
    h = dice.uniform(1.0, 2.0)

    def build(kit: Kit, pose: Pose) -> None:
        b = kit.b
        kit.begin("clutter", pose)
        metal = kit.make(palette.metal)
        for x in (-0.2, 0.2):
            b.capsule((x, 0.35, 0.02), (x * 0.7, 0, h), 0.02, metal, segments=5)
            b.capsule((x, -0.35, 0.02), (x * 0.7, 0, h), 0.02, metal, segments=5)
        steps = int(h / 0.27)
        for i in range(1, steps):
            share = i / steps
            b.box((0, 0.35 * (1 - share), h * share), (0.4 - 0.12 * share, 0.09, 0.025), metal)

    return Piece(width=0.5, depth=0.75, height=h, build=build)


def machine(dice: Dice) -> Piece:
    """A machine on its base: drill press, saw, compressor, boiler or printer."""
    w, d, h = dice.uniform(0.4, 0.9), dice.uniform(0.4, 0.7), dice.uniform(0.9, 1.7)

    def build(kit: Kit, pose: Pose) -> None:
        b, dice = kit.b, kit.dice
        kit.begin("appliance", pose)
        paint, metal = kit.make(palette.plastic), kit.make(palette.metal)
        b.box((0, 0, h * 0.25), (w, d, h * 0.5), paint)
        b.box((0, 0, h * 0.5), (w * 1.05, d + 0.01, 0.04), metal)
        if dice.chance(0.5):
            b.cylinder((0, -d * 0.3, h * 0.5), 0.05, h * 0.48, metal, segments=10)
            b.box((0, 0, h * 0.9), (w * 0.35, d * 0.7, h * 0.2), paint)
            b.cylinder((0, d * 0.25, h * 0.65), 0.03, h * 0.2, metal, segments=8)
        else:
            b.box((0, -d * 0.1, h * 0.75), (w * 0.8, d * 0.6, h * 0.45), metal)
            b.box((0, d * 0.22, h * 0.85), (w * 0.4, 0.01, h * 0.12), palette.screen(b, dice))

    return Piece(width=w, depth=d, height=h, build=build)


def partition(dice: Dice, width: float) -> Piece:
    """A free-standing office screen."""
    h = dice.uniform(1.2, 1.6)

    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("wall", pose)
        kit.b.box((0, 0, h / 2 + 0.05), (width, 0.05, h - 0.1), kit.look.cloth)
        kit.b.box((0, 0, h), (width, 0.06, 0.03), kit.look.metal)
        for x in (-1, 1):
            kit.b.box((x * width * 0.45, 0, 0.03), (0.05, 0.4, 0.05), kit.look.metal)

    return Piece(width=width, depth=0.1, height=h, build=build)


# -- walls ---------------------------------------------------------------------------------------------------


def radiator(kit: Kit, pose: Pose, width: float) -> None:
    """A ribbed radiator hanging low on a wall; `pose` is on the wall at floor height."""
    kit.begin("appliance", pose.at(0, 0.08))
    material = palette.plastic(kit.b, kit.dice, palette.grey(kit.dice.uniform(0.6, 0.9)))
    tall, low = kit.dice.uniform(0.4, 0.65), 0.12
    kit.b.box((0, 0, low + tall / 2), (width, 0.04, tall), material)
    for x in (-0.4, 0.4):  # brackets
        kit.b.box((x * width, -0.05, low + 0.8 * tall), (0.04, 0.07, 0.03), material)
    for i in range(int(width / 0.09)):
        kit.b.box((-width / 2 + 0.05 + 0.09 * i, 0.03, low + tall / 2), (0.05, 0.04, tall - 0.04), material)


def picture(kit: Kit, pose: Pose, width: float, height: float) -> None:
    """A framed picture, poster, notice board, clock or mirror; `pose` is its middle on the wall."""
    b, dice = kit.b, kit.dice
    kit.begin("picture", pose)
    deep = dice.uniform(0.008, 0.04)
    if dice.chance(0.1):
        kit.begin("mirror", pose)
        b.box((0, deep + 0.004, 0), (width - 0.04, 0.008, height - 0.04), palette.mirror(b))
        b.box((0, deep / 2, 0), (width, deep, height), kit.look.trim, semantic="picture")
        return
    if dice.chance(0.8):
        frame = kit.make(palette.surface)
        b.box((0, deep / 2, 0), (width, deep, height), frame)
        rim = dice.uniform(0.015, 0.06)
        b.box((0, deep, 0), (width - 2 * rim, 0.006, height - 2 * rim), kit.make(palette.picture))
        return
    b.box((0, 0.003, 0), (width, 0.006, height), kit.make(palette.picture))


def board(kit: Kit, pose: Pose, width: float, height: float) -> None:
    """A whiteboard, blackboard or cork board with notes."""
    b, dice = kit.b, kit.dice
    kit.begin("picture", pose)
    b.box((0, 0.01, 0), (width, 0.02, height), kit.look.metal)
    tint = dice.choice(((0.85, 0.86, 0.87), (0.85, 0.86, 0.87), (0.05, 0.12, 0.08), (0.45, 0.3, 0.16)))
    ink, size = palette.any_colour(dice, 0.9), dice.uniform(0.05, 0.14)
    scrawl = palette.pattern(b, dice, Texture.TEXT, tint, ink, scale_m=size)
    face = scrawl if dice.chance(0.5) else palette.flat(b, tint, reflectance=0.03)
    b.box((0, 0.021, 0), (width - 0.05, 0.006, height - 0.05), face)
    for _ in range(dice.integer(0, 6)):
        size = dice.uniform(0.08, 0.25)
        spot = (dice.uniform(-0.42, 0.42) * width, 0.027, dice.uniform(-0.35, 0.35) * height)
        b.box(spot, (size, 0.004, size * 1.2), kit.make(palette.printed))


def wall_screen(kit: Kit, pose: Pose, width: float) -> None:
    """A television or projected picture on a wall."""
    kit.begin("screen", pose)
    kit.b.box((0, 0.03, 0), (width, 0.05, width * 0.57), palette.plastic(kit.b, kit.dice, palette.grey(0.02)))
    shown = palette.screen(kit.b, kit.dice)
    kit.b.box((0, 0.057, 0), (width - 0.03, 0.006, width * 0.57 - 0.03), shown)


def wall_shelf(kit: Kit, pose: Pose, width: float) -> None:
    """A board on the wall with things on it."""
    with kit.b.together():
        kit.begin("shelf", pose)
        kit.b.box((0, 0.12, 0), (width, 0.24, 0.025), kit.body())
        props.scatter(kit, pose.at(0, 0.12, 0.013), width, 0.22, kit.dice.integer(1, 6), props.SHELF_PROPS)


def hooks(kit: Kit, pose: Pose, width: float) -> None:
    """A rail with coats, towels or bags hanging from it."""
    b, dice = kit.b, kit.dice
    with b.together():
        kit.begin("clutter", pose)
        b.box((0, 0.015, 0), (width, 0.03, 0.06), kit.look.trim)
        for i in range(max(1, int(width / 0.28))):
            if dice.chance(0.3):
                continue
            kit.begin("clutter", pose.at(-width / 2 + 0.16 + 0.28 * i, 0.1, 0))
            long = dice.uniform(0.4, 1.0)
            coat = [(0.0, -long, 0.15, 0.07), (0.0, -0.35, 0.14, 0.08), (-0.03, 0.0, 0.05, 0.04)]
            loft(b, coat, kit.make(palette.fabric), 9)
