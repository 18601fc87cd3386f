"""Grammars of green places: park, forest path, field."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgedepth.world import palette
from edgedepth.world.builder import Dice
from edgedepth.world.recipe import BuiltScene
from edgedepth.world.scene import Array, Texture
from edgedepth.world.street import buildings, ground, outlook, roadside
from edgedepth.world.street.course import Course, random_course, skirted, sweep
from edgedepth.world.street.crowd import Crowd
from edgedepth.world.street.site import Site, new_site
from edgedepth.world.street.vegetation import Flora, hedge, tufts


def _path_stands(half: float, *, lawn: float) -> list[outlook.Stand]:
    """Views of walkers and robots on a path and beside it, and a raised one."""
    return [
        outlook.walker((-12, 55), (-half, half), share=0.4, any_way=False),
        outlook.walker((-12, 55), (-lawn, lawn), share=0.3),
        outlook.robot((-12, 55), (-half, half), share=0.18),
        outlook.raised((-10, 45), (-lawn, lawn), share=0.12),
    ]


def _finish(site: Site, course: Course, category: str, stands: list[outlook.Stand]) -> BuiltScene:
    return BuiltScene(site.builder.finish(category), outlook.view_sampler(course, site.obstacles, stands))


def _scatter(
    dice: Dice,
    course: Course,
    count: int,
    s: tuple[float, float],
    t: tuple[float, float],
    put: Callable[[Array], object],
) -> None:
    """Place `count` things at random on both sides, at distances `t` from the line."""
    for _ in range(count):
        side = dice.choice((-1, 1))
        put(course.points(dice.uniform(*s), side * dice.uniform(*t), -0.03))


def _path_surface(site: Site) -> int:
    return site.dice.choice((ground.bare_ground, ground.bare_ground, ground.paving, ground.asphalt))(site)


def _litter(site: Site, course: Course, half: float, count: int, height: float) -> None:
    """Tufts of grass or weeds on both sides of a path, denser near it."""
    rng = site.dice.rng
    s = rng.random(count) * 75 - 14
    side = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    t = side * (half + 7 * rng.random(count) ** 1.5)
    tufts(site, course.points(s, t, -0.02), height, ground.grass(site))


def park(dice: Dice) -> BuiltScene:
    """Lawns, scattered trees, paths, benches, people, dogs' meadow, a pond, buildings far behind."""
    site = new_site(dice)
    course = random_course(dice, bend=0.03, slope=0.03, straight=0.2)
    b, flora, crowd = site.builder, Flora(site), Crowd(site, limit=12)
    half = dice.uniform(0.9, 3.0)
    ground.land(site, course, half, half, ground.grass(site), bumps=dice.choice((0.0, 0.4, 1.0)), drop=0.02,
                step=3.0)  # fmt: skip
    b.begin("pavement")
    surface = _path_surface(site)
    sweep(b, course, course.start, course.end, skirted([(-half, 0.0), (half, 0.0)]), surface, step=3.0)
    _pond(site, course, half)
    for side in (-1, 1):
        if dice.chance(0.25):
            hedge(site, course, -20, 70, side * (half + dice.uniform(0.8, 4)), dice.uniform(0.5, 1.6))
        elif dice.chance(0.15):
            roadside.fence(site, course, -20, 80, side * (half + dice.uniform(0.5, 3)))
        if dice.chance(0.4):  # an avenue
            for s in np.arange(-24.0, 90.0, dice.uniform(6, 11)):
                flora.tree(course.points(float(s), side * (half + 1.8)), dice.uniform(7, 12))
    furniture: tuple[roadside.Furniture, ...] = (
        roadside.bench, roadside.bench, roadside.bench, roadside.lamp_post, roadside.bin_,
        roadside.sign_post, roadside.planter,
    )  # fmt: skip
    for s in np.arange(-15.0, 70.0, 6.0):
        if dice.chance(0.45):
            side = dice.choice((-1, 1))
            roadside.put(site, dice.choice(furniture), course, s + dice.uniform(0, 5), side * (half + 0.7))
        if dice.chance(0.35):
            crowd.group(course, s + dice.uniform(0, 5), dice.uniform(-0.8, 0.8) * half)
        if dice.chance(0.15):
            crowd.group(course, s + dice.uniform(0, 5), dice.choice((-1, 1)) * dice.uniform(3, 20))
    _scatter(dice, course, dice.integer(6, 34), (-25, 100), (half + 1.5, 40), flora.tree)
    _scatter(dice, course, dice.integer(0, 12), (-15, 60), (half + 1.5, 25), flora.shrub)
    if dice.chance(0.5):
        _litter(site, course, half, 250, dice.uniform(0.06, 0.25))
    ground.skyline(site, trees=0.9, town=0.5, hills=0.2)
    return _finish(site, course, "park", _path_stands(half, lawn=10.0))


def _pond(site: Site, course: Course, half: float) -> None:
    """A sheet of water beside the path, in a third of the parks."""
    b, dice = site.builder, site.dice
    if not dice.chance(0.3):
        return
    side, length, width = dice.choice((-1, 1)), dice.uniform(8, 22), dice.uniform(4, 10)
    position, yaw = course.place(dice.uniform(8, 40), side * (half + width + dice.uniform(1.5, 6)), 0.03)
    if not site.take(position, yaw, width, length):
        return
    b.begin("water", position, yaw)
    water = palette.pattern(
        b, dice, Texture.NOISE, (0.03, 0.05, 0.05), (0.06, 0.08, 0.07), scale_m=0.6, reflectance=0.35
    )
    b.lathe([(1.0, 0.02), (0.0, 0.021)], water, segments=24, smooth=False, rotation=np.diag([width, length, 1.0]))
    rim = palette.stone(b, dice)
    b.lathe([(1.06, -0.1), (1.06, 0.14), (0.99, 0.14), (0.99, -0.1)], rim, segments=24, smooth=False,
            rotation=np.diag([width, length, 1.0]), semantic="kerb")  # fmt: skip


def forest_path(dice: Dice) -> BuiltScene:
    """A track through trees: trunks near and far, undergrowth, roots, dappled light."""
    site = new_site(dice)
    course = random_course(dice, bend=0.03, slope=0.08, straight=0.2)
    b, flora, crowd = site.builder, Flora(site, woodland=True), Crowd(site, limit=5)
    half = dice.uniform(0.5, 2.2)
    ground.land(site, course, half, half, dice.choice((ground.bare_ground, ground.grass))(site),
                bumps=dice.choice((0.4, 1.0, 2.0)), semantic="terrain", step=3.0)  # fmt: skip
    b.begin("terrain")
    sweep(
        b,
        course,
        course.start,
        course.end,
        skirted([(-half, -0.02), (0.0, 0.0), (half, -0.02)]),
        ground.bare_ground(site),
        step=3.0,
    )
    tall = dice.uniform(8, 20)
    dense = dice.integer(34, 60)
    _scatter(dice, course, dense, (-20, 70), (half + 0.5, 14), lambda p: flora.tree(p, tall * dice.uniform(0.6, 1.15)))
    for _ in range(22):  # the wood closes behind
        side = dice.choice((-1, 1))
        ahead = course.points(dice.uniform(55, 110), side * dice.uniform(2, 25))
        aside = course.points(dice.uniform(-10, 60), side * dice.uniform(15, 40))
        flora.tree(dice.choice((ahead, aside)), tall * dice.uniform(0.8, 1.2))
    _scatter(dice, course, dice.integer(4, 22), (-12, 50), (half + 0.8, 12), flora.shrub)
    _litter(site, course, half, dice.integer(150, 900), dice.uniform(0.1, 0.4))
    wood = palette.pattern(b, dice, Texture.NOISE, palette.wood_colour(dice), scale_m=0.1)
    for _ in range(dice.integer(0, 6)):  # fallen logs and stumps
        position, yaw = course.place(dice.uniform(-5, 40), dice.choice((-1, 1)) * dice.uniform(half + 0.8, 8), 0.0,
                                     dice.uniform(0, 6.28))  # fmt: skip
        if site.take(position, yaw, 1.8, 0.25):
            b.begin("tree", position, yaw)
            b.capsule((-1.5, 0, 0.15), (1.5, 0, 0.15), dice.uniform(0.1, 0.28), wood, segments=8)
    for _ in range(dice.integer(0, 3)):
        crowd.group(course, dice.uniform(4, 40), dice.uniform(-0.6, 0.6) * half)
    ground.skyline(site, trees=1.0, town=0.0, hills=0.2)
    return _finish(site, course, "forest_path", _path_stands(half, lawn=4.0))


def field(dice: Dice) -> BuiltScene:
    """Open land: meadow, ploughed or sown field, track, fences, hay bales, lone trees, hills."""
    site = new_site(dice)
    course = random_course(dice, bend=0.01, slope=0.06, straight=0.4)
    b, flora, crowd = site.builder, Flora(site, woodland=dice.chance(0.5)), Crowd(site, limit=5)
    half = dice.uniform(0.8, 2.0)
    crop = _crop(site)
    ground.land(
        site, course, half, half, crop, bumps=dice.choice((0.3, 0.8, 2.0)), semantic=dice.choice(("grass", "terrain"))
    )
    b.begin("terrain")
    sweep(b, course, course.start, course.end, skirted([(-half, -0.02), (half, -0.02)]),
          dice.choice((ground.bare_ground, ground.grass))(site))  # fmt: skip
    if dice.chance(0.7):
        _litter(site, course, half, 900, dice.uniform(0.08, 0.5))
    for side in (-1, 1):
        draw, t = dice.uniform(), side * (half + dice.uniform(0.8, 5))
        if draw < 0.35:
            roadside.fence(site, course, -25, 80, t)
        elif draw < 0.5:
            hedge(site, course, -25, 110, t, dice.uniform(0.9, 2.2), 1.1)
    _scatter(dice, course, dice.integer(0, 8), (-20, 110), (half + 3, 60), flora.tree)
    _scatter(dice, course, dice.integer(0, 8), (-10, 60), (half + 2, 25), flora.shrub)
    if dice.chance(0.4):
        _bales(site, course, half)
    if dice.chance(0.35):
        roadside.power_line(site, course, -60, 230, dice.choice((-1, 1)) * dice.uniform(half + 4, 20))
    for _ in range(dice.integer(0, 2)):
        position, yaw = course.place(
            dice.uniform(35, 120), dice.choice((-1, 1)) * dice.uniform(18, 50), -0.5, dice.uniform(0, 6.28)
        )
        if site.take(position, yaw, 14.0, 14.0):
            b.begin("building", position, yaw)
            dice.choice((buildings.house, buildings.shed))(
                site, buildings.Plot(dice.uniform(9, 18), dice.uniform(8, 12))
            )
    for _ in range(dice.integer(0, 4)):
        crowd.group(course, dice.uniform(3, 40), dice.uniform(-6, 6))
    ground.skyline(site, trees=0.85, town=0.1, hills=0.7)
    return _finish(site, course, "field", _path_stands(half, lawn=9.0))


def _crop(site: Site) -> int:
    b, dice = site.builder, site.dice
    if dice.chance(0.3):  # furrows or rows along the line
        earth = palette.hsv(dice.uniform(0.05, 0.25), dice.uniform(0.25, 0.6), dice.uniform(0.12, 0.4))
        return palette.pattern(
            b, dice, Texture.STRIPES, earth, palette.shade(earth, 0.6), scale_m=dice.uniform(0.4, 1.0)
        )
    return dice.choice((ground.grass, ground.grass, ground.bare_ground))(site)


def _bales(site: Site, course: Course, half: float) -> None:
    b, dice = site.builder, site.dice
    straw = palette.pattern(b, dice, Texture.NOISE, (0.5, 0.38, 0.15), (0.3, 0.2, 0.08), scale_m=0.15)
    axle = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    for _ in range(dice.integer(2, 7)):
        position, yaw = course.place(
            dice.uniform(0, 70), dice.choice((-1, 1)) * dice.uniform(half + 3, 25), -0.05, dice.uniform(0, 6.28)
        )
        if site.take(position, yaw, 0.9, 0.8):
            b.begin("clutter", position, yaw)
            b.cylinder((-0.7, 0, 0.7), 0.75, 1.4, straw, segments=14, rotation=axle)
