"""Grammars of open places in towns: square, car park, industrial yard."""

from __future__ import annotations

import numpy as np

from edgedepth.world import palette
from edgedepth.world.builder import Dice
from edgedepth.world.recipe import BuiltScene
from edgedepth.world.scene import Texture
from edgedepth.world.street import buildings, ground, outlook, roadside
from edgedepth.world.street.buildings import BuildingMaker, Plot, put_building
from edgedepth.world.street.course import Course, patches, sweep
from edgedepth.world.street.crowd import Crowd
from edgedepth.world.street.site import Site, new_site
from edgedepth.world.street.vegetation import Flora
from edgedepth.world.street.vehicles import PARKED, ROAD_TRAFFIC, park


def _open_stands(half: float, depth: float) -> list[outlook.Stand]:
    area_s, area_t = (2.0, depth - 4.0), (-half + 3.0, half - 3.0)
    return [
        outlook.walker(area_s, area_t, share=0.5),
        outlook.robot(area_s, area_t, share=0.2),
        outlook.dashcam(area_s, area_t, share=0.12),
        outlook.raised(area_s, area_t, share=0.18),
    ]


def _finish(site: Site, course: Course, category: str, stands: list[outlook.Stand]) -> BuiltScene:
    return BuiltScene(site.builder.finish(category), outlook.view_sampler(course, site.obstacles, stands))


def _surround(
    site: Site, course: Course, half: float, depth: float, makers: tuple[BuildingMaker, ...],
    width: tuple[float, float], *, built: float,
) -> None:  # fmt: skip
    """Buildings on the four sides of a rectangle: |t| < half, 0 < s < depth, with streets let in at random."""
    dice = site.dice
    sides = ((-half, 0.0, depth, np.pi), (half, 0.0, depth, 0.0))
    for t, s0, s1, turn in sides:
        s = s0
        while s < s1:
            w = dice.uniform(*width)
            if dice.chance(built):
                position, yaw = course.place(s + w / 2, t, 0.0, turn)
                put_building(site, dice.choice(makers), position, yaw, Plot(w, dice.uniform(9, 14)))
            s += w + (dice.uniform(3, 9) if dice.chance(0.15) else 0.05)
    for s, turn in ((depth, np.pi / 2), (0.0, -np.pi / 2)):
        t = -half
        while t < half:
            w = dice.uniform(*width)
            if dice.chance(built):
                position, yaw = course.place(s, t + w / 2, 0.0, turn)
                put_building(site, dice.choice(makers), position, yaw, Plot(w, dice.uniform(9, 14)))
            t += w + (dice.uniform(3, 9) if dice.chance(0.15) else 0.05)


def _floor(site: Site, course: Course, half: float, depth: float, material: int, semantic: str) -> None:
    site.builder.begin(semantic)
    sweep(site.builder, course, -40.0, depth + 40.0, [(-half - 30, 0.0), (half + 30, 0.0)], material)


def square(dice: Dice) -> BuiltScene:
    """A paved square among buildings: people, cafe tables, trees, monument, stalls."""
    site = new_site(dice)
    course = Course()
    b, flora, crowd = site.builder, Flora(site), Crowd(site, limit=24)
    half, depth = dice.uniform(11, 28), dice.uniform(28, 62)
    ground.land(site, course, half + 29, half + 29, ground.grass(site), drop=0.1)
    _floor(site, course, half, depth, ground.paving(site), "pavement")
    makers: tuple[BuildingMaker, ...] = dice.choice(
        ((buildings.town_house,), (buildings.town_house, buildings.tower), (buildings.town_house, buildings.house))
    )
    _surround(site, course, half, depth, makers, (7, 18), built=dice.uniform(0.75, 1.0))
    if dice.chance(0.6):
        _monument(site, course, depth)
    for _ in range(dice.integer(0, 4)):
        _cafe(site, course, dice.uniform(3, depth - 3), dice.choice((-1, 1)) * (half - dice.uniform(2.5, 5)))
    for _ in range(dice.choice((0, 0, 3, 6))):
        _stall(site, course, dice.uniform(4, depth - 4), dice.uniform(-0.8, 0.8) * half)
    spacing = dice.uniform(6, 12)
    if dice.chance(0.6):
        for s in np.arange(5.0, depth - 3, spacing):
            for t in (-half + 6, half - 6):
                flora.tree(course.points(float(s), t), dice.uniform(4.5, 8.5))
    furniture: tuple[roadside.Furniture, ...] = (
        roadside.bench, roadside.bench, roadside.lamp_post, roadside.lamp_post, roadside.bollard, roadside.bin_,
        roadside.planter, roadside.planter, roadside.sign_post,
    )  # fmt: skip
    for _ in range(dice.integer(5, 16)):
        roadside.put(site, dice.choice(furniture), course, dice.uniform(3, depth - 3), dice.uniform(-0.9, 0.9) * half)
    for _ in range(dice.integer(3, 20)):
        crowd.group(course, dice.uniform(2, depth - 2), dice.uniform(-0.9, 0.9) * half)
    for _ in range(dice.integer(0, 3)):
        position, yaw = course.place(
            dice.uniform(5, depth), dice.choice((-1, 1)) * (half - 2.0), 0.0, dice.choice((0.0, np.pi))
        )
        park(site, position, yaw)
    b.begin("pavement")
    ground.skyline(site, trees=0.2, town=0.8, hills=0.2)
    return _finish(site, course, "square", _open_stands(half, depth))


def _monument(site: Site, course: Course, depth: float) -> None:
    b, dice = site.builder, site.dice
    position, yaw = course.place(depth * dice.uniform(0.35, 0.65), dice.normal(3.0))
    size = dice.uniform(1.2, 3.0)
    if not site.take(position, yaw, size, size):
        return
    b.begin("pillar", position, yaw)
    stone = palette.stone(b, dice)
    if dice.chance(0.4):  # a fountain
        b.lathe([(size, 0.0), (size, 0.6), (size - 0.25, 0.6), (size - 0.25, 0.3)], stone, segments=18)
        water = palette.flat(b, (0.04, 0.06, 0.07), reflectance=0.3)
        b.lathe([(size - 0.25, 0.45), (0.0, 0.46)], water, segments=18, smooth=False, semantic="water")
        b.lathe([(0.3, 0.0), (0.2, 1.6), (0.8, 1.8), (0.15, 1.9), (0.1, 2.6), (0.0, 2.7)], stone, segments=12)
    else:
        b.box((0, 0, 0.2), (2 * size, 2 * size, 0.4), stone)
        b.box((0, 0, 1.3), (size, size, 2.0), stone)
        bronze = palette.flat(b, (0.1, 0.12, 0.09), reflectance=0.08)
        tall = dice.uniform(1.8, 6.0)
        b.lathe([(0.35, 2.3), (0.25, 2.3 + tall * 0.4), (0.4, 2.3 + tall * 0.7), (0.15, 2.3 + tall * 0.85),
                 (0.2, 2.3 + tall * 0.93), (0.0, 2.3 + tall)], bronze, segments=12)  # fmt: skip


def _cafe(site: Site, course: Course, s: float, t: float) -> None:
    """Tables, chairs and a parasol."""
    b, dice = site.builder, site.dice
    top, iron, cloth = palette.surface(b, dice), palette.metal(b, dice), palette.fabric(b, dice)
    for i in range(dice.integer(1, 4)):
        position, yaw = course.place(s + i * 2.2, t)
        if not site.take(position, yaw, 0.9, 0.9):
            continue
        b.begin("table", position, yaw)
        b.cylinder((0, 0, 0.7), 0.38, 0.03, top, segments=12)
        b.cylinder((0, 0, 0), 0.03, 0.7, iron, segments=6)
        for angle in (0.3, 2.4, 4.5):
            x, y = 0.65 * np.cos(angle), 0.65 * np.sin(angle)
            b.box((x, y, 0.44), (0.4, 0.4, 0.04), top, semantic="chair")
            b.box((1.28 * x, 1.28 * y, 0.66), (0.36, 0.36, 0.4), top, semantic="chair")
            b.box((x, y, 0.22), (0.3, 0.3, 0.42), iron, semantic="chair")
        if dice.chance(0.5):
            b.cylinder((0, 0, 0.7), 0.025, 1.9, iron, segments=6)
            b.lathe([(1.35, 2.15), (0.0, 2.65)], cloth, segments=8, smooth=False)


def _stall(site: Site, course: Course, s: float, t: float) -> None:
    """A market stall: table of goods under a striped roof."""
    b, dice = site.builder, site.dice
    position, yaw = course.place(s, t, 0.0, dice.choice((0.0, np.pi / 2, np.pi)))
    if not site.take(position, yaw, 1.3, 1.6):
        return
    b.begin("table", position, yaw)
    cloth = palette.pattern(b, dice, Texture.STRIPES, palette.vivid_colour(dice), palette.grey(0.85), scale_m=0.4)
    post = palette.wood(b, dice)
    b.box((0, 0, 0.45), (1.0, 2.6, 0.9), palette.fabric(b, dice))
    for y in np.linspace(-1.1, 1.1, 6):
        b.box((0, y, 1.0), (0.8, 0.36, 0.2), palette.picture(b, dice), semantic="box")
    for x in (-0.9, 0.9):
        for y in (-1.4, 1.4):
            b.box((x, y, 1.15), (0.06, 0.06, 2.3), post)
    for side in (-1, 1):
        b.quad([(0, -1.6, 2.8), (0, 1.6, 2.8), (side * 1.2, 1.6, 2.25), (side * 1.2, -1.6, 2.25)], cloth)


def car_park(dice: Dice) -> BuiltScene:
    """Rows of parked cars in marked bays, lamps, trolleys, trees in islands, a supermarket or blocks behind."""
    site = new_site(dice)
    course = Course()
    b, flora, crowd = site.builder, Flora(site), Crowd(site, limit=8)
    half, depth = dice.uniform(18, 34), dice.uniform(45, 75)
    ground.land(site, course, half + 29, half + 29, ground.grass(site), drop=0.06)
    _floor(site, course, half, depth, ground.asphalt(site), "road")
    makers: tuple[BuildingMaker, ...] = dice.choice(
        (
            (buildings.shed,),
            (buildings.town_house, buildings.tower),
            (buildings.shed, buildings.house),
            (buildings.tower,),
        )
    )
    _surround(site, course, half + 3, depth + 6, makers, (14, 30), built=dice.uniform(0.2, 0.8))
    white = ground.paint(b, dice, yellow=dice.chance(0.15))
    cars = 0
    pitch, full = dice.uniform(15.5, 17.5), dice.uniform(0.25, 0.95)
    for row in np.arange(-half + 5.5, half - 4, pitch):
        for t, turn in ((row - 2.5, np.pi / 2), (row + 2.5, -np.pi / 2)):
            bays = np.arange(2.0, depth - 2, 2.6)
            b.begin("road")
            patches(b, course, bays, t, 0.1, 4.8, white)
            for s in bays[:-1]:
                if dice.chance(full * (1.0 if s < 45 else 0.6)) and cars < 85:
                    about = np.pi if dice.chance(0.3) else 0.0
                    where = (float(s) + 1.3, t + dice.normal(0.15), 0.0)
                    position, yaw = course.place(*where, turn + about + dice.normal(0.02))
                    cars += park(site, position, yaw, PARKED)
        for s in np.arange(4.0, depth, 14.0):
            roadside.put(site, roadside.lamp_post, course, s + 1.3, row)
            if dice.chance(0.3):
                flora.tree(course.points(s + 7, row), dice.uniform(3.5, 7))
        crowd.group(course, dice.uniform(4, depth - 5), row + dice.uniform(5.5, 9))
        if dice.chance(0.5):
            position, yaw = course.place(
                dice.uniform(10, depth), row + 7.5 + dice.normal(0.4), 0.0, dice.choice((0.0, np.pi))
            )
            park(site, position, yaw, driving=True)
    ground.skyline(site, trees=0.7, town=0.6, hills=0.3)
    return _finish(site, course, "car_park", _open_stands(half, depth))


def industrial_yard(dice: Dice) -> BuiltScene:
    """Sheds, containers, pallets, tanks, lorries and fences around a concrete yard."""
    site = new_site(dice)
    course = Course()
    flora, crowd = Flora(site), Crowd(site, limit=6)
    half, depth = dice.uniform(12, 26), dice.uniform(38, 75)
    ground.land(site, course, half + 29, half + 29, ground.bare_ground(site), drop=0.06)
    surface = dice.choice((ground.asphalt, ground.asphalt, ground.bare_ground))(site)
    _floor(site, course, half, depth, surface, "road")
    makers = (buildings.shed, buildings.shed, buildings.shed, buildings.town_house)
    _surround(site, course, half, depth, makers, (12, 28), built=dice.uniform(0.4, 0.85))
    for _ in range(dice.integer(2, 9)):
        side = dice.choice((-1, 1))
        _containers(site, course, dice.uniform(2, depth - 3), side * (half - dice.uniform(1.8, 8)))
    for _ in range(dice.integer(2, 9)):
        _pallets(site, course, dice.uniform(2, depth - 3), dice.uniform(-0.9, 0.9) * half)
    for _ in range(dice.integer(0, 3)):
        _tank(site, course, dice.uniform(8, depth), dice.choice((-1, 1)) * (half - dice.uniform(3, 6)))
    for _ in range(dice.integer(2, 8)):
        position, yaw = course.place(dice.uniform(0, depth), dice.uniform(-0.8, 0.8) * half, 0.0,
                                     dice.choice((0.0, np.pi, np.pi / 2)) + dice.normal(0.15))  # fmt: skip
        park(site, position, yaw, ROAD_TRAFFIC)
    for side in (-1, 1):
        if dice.chance(0.4):
            roadside.fence(site, course, 0, depth, side * (half - 0.7))
    for _ in range(dice.integer(0, 5)):
        kinds: tuple[roadside.Furniture, ...] = (roadside.lamp_post, roadside.bollard, roadside.sign_post)
        where = dice.uniform(2, depth - 2), dice.choice((-1, 1)) * (half - 1.2)
        roadside.put(site, dice.choice(kinds), course, *where)
        crowd.group(course, dice.uniform(3, depth - 5), dice.uniform(-0.8, 0.8) * half)
    for _ in range(dice.integer(0, 6)):
        flora.tree(course.points(dice.uniform(0, depth + 20), dice.choice((-1, 1)) * (half + dice.uniform(1, 10))))
    ground.skyline(site, trees=0.5, town=0.6, hills=0.4)
    return _finish(site, course, "industrial_yard", _open_stands(half, depth))


def _containers(site: Site, course: Course, s: float, t: float) -> None:
    b, dice = site.builder, site.dice
    length = dice.choice((6.1, 12.2))
    position, yaw = course.place(s, t, 0.0, dice.choice((0.0, np.pi / 2)) + dice.normal(0.02))
    if not site.take(position, yaw, 1.25, length / 2):
        return
    for level in range(dice.choice((1, 1, 2, 3))):
        b.begin("box", position + np.array([0, 0, 2.6 * level]), yaw)
        steel = palette.pattern(b, dice, Texture.STRIPES, palette.any_colour(dice, 0.9, 0.1, 0.7), scale_m=0.28)
        b.box((0, 0, 1.3), (2.44, length, 2.58), steel)


def _pallets(site: Site, course: Course, s: float, t: float) -> None:
    b, dice = site.builder, site.dice
    position, yaw = course.place(s, t, 0.0, dice.uniform(0, 3.1))
    if not site.take(position, yaw, 0.7, 0.7):
        return
    b.begin("box", position, yaw)
    wood, load = palette.planks(b, dice), palette.thing(b, dice)
    for i in range(dice.integer(1, 6)):
        b.box((dice.normal(0.02), dice.normal(0.02), 0.08 + 0.15 * i), (1.2, 1.0, 0.13), wood)
    if dice.chance(0.6):
        b.box((0, 0, 0.9 + dice.uniform(0, 0.2)), (1.1, 0.95, dice.uniform(0.5, 1.2)), load)


def _tank(site: Site, course: Course, s: float, t: float) -> None:
    b, dice = site.builder, site.dice
    radius = dice.uniform(0.9, 2.4)
    position, yaw = course.place(s, t)
    if not site.take(position, yaw, radius, radius):
        return
    b.begin("pillar", position, yaw)
    skin = palette.metal(b, dice) if dice.chance(0.6) else palette.paint(b, dice)
    height = dice.uniform(2.5, 11)
    b.lathe([(radius, 0.0), (radius, height), (radius * 0.5, height + 0.4), (0.0, height + 0.5)], skin, segments=18)
    for y in (-0.2, 0.2):
        b.box((-radius - 0.1, y, height / 2), (0.05, 0.05, height), skin)
