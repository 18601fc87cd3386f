"""Small things that lie, stand or hang about: what clutters tables, shelves, floors and walls.

A prop is made at a pose whose z is the surface it rests on.
"""

from __future__ import annotations

from collections.abc import Callable

from edgedepth.world import palette
from edgedepth.world.builder import rotation_x
from edgedepth.world.indoor.placing import Kit, Pose
from edgedepth.world.scene import Texture

Prop = Callable[[Kit, Pose], None]


def mug(kit: Kit, pose: Pose) -> None:
    """A mug or a glass."""
    kit.begin("clutter", pose)
    r, h = kit.dice.uniform(0.03, 0.048), kit.dice.uniform(0.07, 0.14)
    material = kit.make(palette.ceramic if kit.dice.chance(0.5) else palette.plastic)
    profile = [(0.0, 0.0), (r * 0.85, 0.0), (r, h), (r * 0.9, h), (r * 0.75, 0.015), (0.0, 0.015)]
    kit.b.lathe(profile, material, segments=kit.segments)
    if kit.dice.chance(0.6):
        kit.b.box((r + 0.018, 0, h * 0.5), (0.035, 0.012, h * 0.55), material)


def bottle(kit: Kit, pose: Pose) -> None:
    """A bottle, flask or spray can."""
    kit.begin("clutter", pose)
    r, h = kit.dice.uniform(0.025, 0.05), kit.dice.uniform(0.15, 0.34)
    neck = kit.dice.uniform(0.25, 0.7)
    profile = [(0.0, 0.0), (r, 0.0), (r, h * 0.62), (r * neck, h * 0.8), (r * neck, h), (0.0, h)]
    kit.b.lathe(profile, kit.make(palette.plastic), segments=kit.segments)
    if kit.dice.chance(0.6):
        kit.b.cylinder((0, 0, h * 0.15), r * 1.02, h * 0.35, kit.make(palette.printed), segments=kit.segments)


def tin(kit: Kit, pose: Pose) -> None:
    """A can, jar or round tin."""
    kit.begin("clutter", pose)
    r = kit.dice.uniform(0.025, 0.07)
    kit.b.cylinder((0, 0, 0), r, kit.dice.uniform(0.04, 0.16), kit.make(palette.thing), segments=kit.segments)


def books(kit: Kit, pose: Pose) -> None:
    """A pile of books, magazines or papers."""
    kit.begin("clutter", pose)
    z = 0.0
    for _ in range(kit.dice.integer(1, 5)):
        w, d, t = kit.dice.uniform(0.12, 0.22), kit.dice.uniform(0.17, 0.3), kit.dice.uniform(0.008, 0.045)
        material = kit.make(palette.printed if kit.dice.chance(0.5) else palette.picture)
        kit.b.box((kit.dice.uniform(-0.02, 0.02), kit.dice.uniform(-0.02, 0.02), z + t / 2), (w, d, t), material)
        z += t


def paper(kit: Kit, pose: Pose) -> None:
    """Loose sheets."""
    kit.begin("clutter", pose)
    material = kit.make(palette.printed)
    for i in range(kit.dice.integer(1, 3)):
        turned = kit.dice.uniform(-0.08, 0.08)
        kit.b.box((turned, kit.dice.uniform(-0.08, 0.08), 0.001 + 0.002 * i), (0.21, 0.297, 0.002), material)


def carton(kit: Kit, pose: Pose) -> None:
    """A small box: packaging, a tissue box, a case."""
    kit.begin("clutter", pose)
    w, d, h = kit.dice.uniform(0.05, 0.3), kit.dice.uniform(0.04, 0.25), kit.dice.uniform(0.03, 0.26)
    kit.b.box((0, 0, h / 2), (w, d, h), kit.make(palette.thing))


def ball(kit: Kit, pose: Pose) -> None:
    """A ball or a piece of fruit."""
    kit.begin("clutter", pose)
    r = kit.dice.uniform(0.03, 0.11)
    kit.b.ellipsoid((0, 0, r), r, kit.make(palette.plastic), segments=kit.segments, rings=7)


def bowl(kit: Kit, pose: Pose) -> None:
    """A bowl or a plate, sometimes with fruit."""
    kit.begin("clutter", pose)
    r, h = kit.dice.uniform(0.08, 0.15), kit.dice.uniform(0.015, 0.09)
    profile = [(0.0, 0.0), (r * 0.5, 0.0), (r, h), (r * 0.95, h), (r * 0.45, 0.012), (0.0, 0.012)]
    kit.b.lathe(profile, kit.make(palette.ceramic), segments=kit.segments + 2)
    if h > 0.05 and kit.dice.chance(0.5):
        for _ in range(kit.dice.integer(2, 4)):
            spot = (kit.dice.uniform(-0.5, 0.5) * r, kit.dice.uniform(-0.5, 0.5) * r, 0.05)
            kit.b.ellipsoid(spot, 0.035, kit.make(palette.plastic), segments=7, rings=5)


def vase(kit: Kit, pose: Pose) -> None:
    """A vase, sometimes with flowers."""
    kit.begin("clutter", pose)
    r, h = kit.dice.uniform(0.03, 0.08), kit.dice.uniform(0.12, 0.35)
    profile = [(0.0, 0.0), (r * 0.6, 0.0), (r, h * 0.4), (r * 0.45, h * 0.85), (r * 0.6, h), (r * 0.4, h)]
    kit.b.lathe(profile, kit.make(palette.ceramic), segments=kit.segments)
    if kit.dice.chance(0.5):
        leaves(kit, pose.at(0, 0, h), kit.dice.uniform(0.08, 0.18), 5)


def leaves(kit: Kit, pose: Pose, radius: float, count: int) -> None:
    """A tuft of pointed leaves and shoots of about `radius`."""
    kit.b.begin("plant", pose.position, pose.yaw, same_instance=True)
    material = kit.make(palette.foliage)
    for i in range(count):
        turn = 6.283 * i / count + kit.dice.uniform(-0.4, 0.4)
        here = Pose(0.0, 0.0, 0.0, turn)
        rise, reach = radius * kit.dice.uniform(0.5, 1.6), radius * kit.dice.uniform(0.5, 1.1)
        half = radius * kit.dice.uniform(0.1, 0.28)
        tip = here.at(0, reach, rise * kit.dice.uniform(0.5, 1.0))
        sides = here.at(half, 0.5 * reach, 0.6 * rise), here.at(-half, 0.5 * reach, 0.7 * rise)
        outline = (here.at(-0.2 * half, 0), sides[0], tip, sides[1])
        kit.b.quad([p.position for p in outline], material)


def pot_plant(kit: Kit, pose: Pose) -> None:
    """A small plant in a pot."""
    kit.begin("plant", pose)
    r, h = kit.dice.uniform(0.04, 0.1), kit.dice.uniform(0.06, 0.16)
    kit.b.cylinder((0, 0, 0), r * 0.75, h, kit.make(palette.ceramic), top_radius=r, segments=kit.segments)
    if kit.dice.chance(0.4):
        leaf = kit.make(palette.foliage)
        kit.b.ellipsoid((0, 0, h + r), (r * 1.5, r * 1.5, r * 1.4), leaf, segments=9, rings=7, wobble=0.3)
    else:
        leaves(kit, pose.at(0, 0, h), r * 2.2, 9)


def laptop(kit: Kit, pose: Pose) -> None:
    """An open laptop."""
    kit.begin("screen", pose)
    w, d = kit.dice.uniform(0.28, 0.38), kit.dice.uniform(0.2, 0.26)
    case = kit.make(palette.metal)
    kit.b.box((0, 0, 0.01), (w, d, 0.02), case)
    keys = palette.pattern(kit.b, kit.dice, Texture.TILES, (0.03, 0.03, 0.03), (0.12, 0.12, 0.12), scale_m=0.02)
    kit.b.box((0, 0.02, 0.021), (w * 0.88, d * 0.5, 0.003), keys)
    tilt = rotation_x(kit.dice.uniform(0.1, 0.5))
    up = tilt @ (0, 0, d / 2)
    kit.b.box((0, -d / 2 + up[1], 0.02 + up[2]), (w, 0.008, d), case, rotation=tilt)
    front = up + tilt @ (0, 0.006, 0)
    glowing = palette.screen(kit.b, kit.dice)
    kit.b.box((0, -d / 2 + front[1], 0.02 + front[2]), (w * 0.93, 0.004, d * 0.9), glowing, rotation=tilt)


def monitor(kit: Kit, pose: Pose) -> None:
    """A desk monitor on its foot."""
    kit.begin("screen", pose)
    w = kit.dice.uniform(0.42, 0.8)
    h = w * kit.dice.uniform(0.5, 0.66)
    lift = kit.dice.uniform(0.08, 0.2)
    case = palette.plastic(kit.b, kit.dice, palette.grey(kit.dice.choice((0.02, 0.03, 0.05, 0.5, 0.75))))
    kit.b.box((0, 0, 0.008), (w * 0.4, 0.18, 0.016), case)
    kit.b.box((0, -0.02, lift / 2 + 0.05), (0.05, 0.03, lift + 0.1), case)
    kit.b.box((0, 0.01, lift + h / 2), (w, 0.04, h), case)
    shown = palette.screen(kit.b, kit.dice)
    kit.b.box((0, 0.032, lift + h / 2), (w - 0.03, 0.006, h - 0.03), shown)


def keyboard(kit: Kit, pose: Pose) -> None:
    """A keyboard, often with a mouse."""
    kit.begin("clutter", pose)
    shade = kit.dice.choice((0.03, 0.05, 0.6, 0.8))
    keys = palette.pattern(
        kit.b, kit.dice, Texture.TILES, palette.grey(shade), palette.grey(shade * 0.5), scale_m=0.019
    )
    kit.b.box((0, 0, 0.01), (0.44, 0.14, 0.02), keys)
    if kit.dice.chance(0.7):
        material = kit.make(palette.plastic)
        kit.b.ellipsoid((0.3, 0, 0.015), (0.03, 0.055, 0.02), material, segments=8, rings=5)


def desk_lamp(kit: Kit, pose: Pose) -> None:
    """A jointed desk lamp or a small shaded one."""
    kit.begin("lamp", pose)
    material = kit.make(palette.metal)
    kit.b.cylinder((0, 0, 0), 0.08, 0.02, material, segments=kit.segments)
    if kit.dice.chance(0.5):
        kit.b.capsule((0, 0, 0.02), (0, -0.12, 0.26), 0.01, material, segments=6)
        kit.b.capsule((0, -0.12, 0.26), (0, 0.1, 0.42), 0.01, material, segments=6)
        head = rotation_x(0.6)
        kit.b.lathe([(0.0, 0.05), (0.03, 0.04), (0.08, -0.06)], material, centre=(0, 0.12, 0.42), rotation=head)
    else:
        kit.b.cylinder((0, 0, 0.02), 0.012, 0.25, material, segments=6)
        cloth = palette.glow(kit.b, (1.0, 0.85, 0.6), kit.dice.choice((0.0, 1.0, 2.0)) + 0.3)
        kit.b.lathe([(0.13, 0.22), (0.09, 0.42)], cloth, segments=kit.segments)


def cup_of_pens(kit: Kit, pose: Pose) -> None:
    """Pens or brushes in a cup."""
    kit.begin("clutter", pose)
    kit.b.cylinder((0, 0, 0), 0.04, 0.1, kit.make(palette.plastic), segments=kit.segments)
    for _ in range(kit.dice.integer(2, 5)):
        tip = (kit.dice.uniform(-0.05, 0.05), kit.dice.uniform(-0.05, 0.05), kit.dice.uniform(0.14, 0.2))
        kit.b.capsule((0, 0, 0.05), tip, 0.004, kit.make(palette.plastic), segments=4)


def telephone(kit: Kit, pose: Pose) -> None:
    """A mobile telephone, tablet or remote control, lying."""
    kit.begin("clutter", pose)
    w, d = kit.dice.choice(((0.07, 0.15), (0.16, 0.24), (0.05, 0.18)))
    kit.b.box((0, 0, 0.005), (w, d, 0.01), palette.screen(kit.b, kit.dice, kit.dice.chance(0.3)))


def toolbox(kit: Kit, pose: Pose) -> None:
    """A case with a handle: tools, a drill case, a basket."""
    kit.begin("clutter", pose)
    material = kit.make(palette.plastic)
    w, d, h = kit.dice.uniform(0.3, 0.5), kit.dice.uniform(0.18, 0.26), kit.dice.uniform(0.12, 0.22)
    kit.b.box((0, 0, h / 2), (w, d, h), material)
    for side in (-1, 1):
        kit.b.box((side * 0.09, 0, h + 0.02), (0.02, 0.02, 0.04), material)
    kit.b.box((0, 0, h + 0.045), (0.2, 0.025, 0.02), material)


def hand_tool(kit: Kit, pose: Pose) -> None:
    """A hammer, a spanner, a screwdriver: a lying rod with a head."""
    kit.begin("clutter", pose)
    length = kit.dice.uniform(0.15, 0.32)
    kit.b.box((0, 0, 0.015), (0.025, length, 0.022), kit.make(palette.plastic))
    width, depth = kit.dice.uniform(0.02, 0.11), kit.dice.uniform(0.02, 0.05)
    kit.b.box((0, length / 2, 0.018), (width, depth, 0.03), kit.make(palette.metal))


def cloth_heap(kit: Kit, pose: Pose) -> None:
    """A crumpled towel, jumper or blanket."""
    kit.begin("clutter", pose)
    size = kit.dice.uniform(0.12, 0.3)
    radii = (size, size * kit.dice.uniform(0.5, 0.9), size * kit.dice.uniform(0.15, 0.4))
    kit.b.ellipsoid(
        (0, 0, radii[2] * 0.75), radii, kit.make(palette.fabric), segments=11, rings=7, wobble=0.5,
        phase=kit.dice.uniform(0, 6),
    )  # fmt: skip


def bag(kit: Kit, pose: Pose) -> None:
    """A rucksack, handbag or sack standing on the floor."""
    kit.begin("clutter", pose)
    w, d, h = kit.dice.uniform(0.25, 0.45), kit.dice.uniform(0.14, 0.26), kit.dice.uniform(0.25, 0.5)
    material = kit.make(palette.fabric)
    kit.b.ellipsoid((0, 0, h * 0.47), (w / 2, d / 2, h / 2), material, segments=11, rings=8, wobble=0.2)
    kit.b.box((0, d * 0.35, h * 0.3), (w * 0.6, d * 0.3, h * 0.35), material)


def shoes(kit: Kit, pose: Pose) -> None:
    """A pair of shoes."""
    kit.begin("clutter", pose)
    material = kit.make(palette.leather)
    for side in (-0.07, 0.07):
        y = kit.dice.uniform(-0.05, 0.05)
        kit.b.box((side, y, 0.015), (0.09, 0.28, 0.03), kit.look.trim)
        kit.b.ellipsoid((side, y + 0.03, 0.04), (0.043, 0.13, 0.045), material, segments=8, rings=5)
        kit.b.ellipsoid((side, y - 0.07, 0.07), (0.04, 0.065, 0.06), material, segments=8, rings=5)


def bucket(kit: Kit, pose: Pose) -> None:
    """A bucket, basket or waste bin, open at the top."""
    kit.begin("bin", pose)
    r, h = kit.dice.uniform(0.12, 0.2), kit.dice.uniform(0.22, 0.5)
    profile = [(0.0, 0.01), (r * 0.8, 0.0), (r, h), (r * 0.95, h), (r * 0.75, 0.03), (0.0, 0.03)]
    kit.b.lathe(profile, kit.make(palette.plastic), segments=kit.segments + 3)


def cardboard(kit: Kit, pose: Pose) -> None:
    """A stack of moving boxes or crates."""
    kit.begin("box", pose)
    z = 0.0
    for _ in range(kit.dice.choice((1, 1, 2, 3))):
        w, d, h = kit.dice.uniform(0.25, 0.55), kit.dice.uniform(0.25, 0.45), kit.dice.uniform(0.18, 0.42)
        tint = palette.hsv(kit.dice.uniform(0.06, 0.1), kit.dice.uniform(0.3, 0.55), kit.dice.uniform(0.3, 0.6))
        own = palette.paint(kit.b, kit.dice, tint) if kit.dice.chance(0.7) else kit.make(palette.thing)
        middle = (kit.dice.uniform(-0.04, 0.04), kit.dice.uniform(-0.04, 0.04), z + h / 2)
        kit.b.box(middle, (w, d, h), own)
        kit.b.box((middle[0], middle[1], z + h + 0.001), (0.05, d, 0.002), kit.look.trim)
        z += h


DESK_PROPS: tuple[Prop, ...] = (
    mug, mug, books, books, paper, paper, telephone, cup_of_pens, bottle, carton, pot_plant, desk_lamp, tin,
    laptop, keyboard,
)  # fmt: skip
TABLE_PROPS: tuple[Prop, ...] = (
    mug, mug, bowl, bowl, bottle, vase, books, paper, telephone, carton, ball, tin, pot_plant, cloth_heap,
)  # fmt: skip
SHELF_PROPS: tuple[Prop, ...] = (vase, carton, carton, tin, ball, bottle, bowl, pot_plant, books, mug)
KITCHEN_PROPS: tuple[Prop, ...] = (bottle, bottle, tin, tin, bowl, mug, carton, carton, vase, pot_plant, cloth_heap)
BATH_PROPS: tuple[Prop, ...] = (bottle, bottle, tin, mug, carton, cloth_heap, pot_plant)
BENCH_PROPS: tuple[Prop, ...] = (
    hand_tool, hand_tool, hand_tool, toolbox, tin, tin, bottle, carton, carton, paper, books, desk_lamp,
)  # fmt: skip
FLOOR_PROPS: tuple[Prop, ...] = (
    shoes, shoes, bag, bag, bucket, cardboard, books, ball, cloth_heap, carton, toolbox, bottle, pot_plant,
)  # fmt: skip


def scatter(
    kit: Kit, pose: Pose, width: float, depth: float, count: int, props: tuple[Prop, ...] = TABLE_PROPS
) -> None:
    """Put up to `count` props on a surface of `width` x `depth` around `pose`, apart from each other."""
    spots: list[tuple[float, float]] = []
    for _ in range(count):
        for _ in range(5):
            x = kit.dice.uniform(-0.5, 0.5) * max(width - 0.18, 0.02)
            y = kit.dice.uniform(-0.5, 0.5) * max(depth - 0.18, 0.02)
            if all((x - a) ** 2 + (y - c) ** 2 > 0.15**2 for a, c in spots):
                spots.append((x, y))
                turn = kit.dice.uniform(-0.5, 0.5) if kit.dice.chance(0.7) else kit.dice.uniform(-3.14, 3.14)
                kit.dice.choice(props)(kit, pose.at(x, y, 0.0, turn))
                break
