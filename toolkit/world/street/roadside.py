"""Street furniture: lamps, signs, signals, poles and wires, fences, rails, benches, bins, gantries, bridges.

Makers take the open object's frame: y forward along the road, x to its right, z up.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from edgedepth.world import palette
from edgedepth.world.builder import Dice, SceneBuilder
from edgedepth.world.scene import Array, PointLight, Texture
from edgedepth.world.solids import boxes
from edgedepth.world.street.course import Course, sweep
from edgedepth.world.street.site import Site

_UP = np.array([0.0, 0.0, 1.0])
_MAX_STREET_LAMPS_LIT = 4


def _post_material(b: SceneBuilder, dice: Dice) -> int:
    return palette.flat(b, palette.grey(dice.choice((0.03, 0.12, 0.35, 0.5))), reflectance=0.04)


def _pole(b: SceneBuilder, radius: float, height: float, material: int, x: float = 0.0, y: float = 0.0) -> None:
    b.lathe([(radius, -0.3), (radius * 0.75, height), (0.0, height)], material, centre=(x, y, 0), segments=7)


def lamp_post(site: Site, side: float) -> None:
    """A street lamp whose arm reaches towards x = `side` (-1 or 1); lit when it is dark."""
    b, dice = site.builder, site.dice
    height, arm = dice.uniform(4.5, 9.5), side * dice.uniform(0.4, 2.0)
    post = _post_material(b, dice)
    _pole(b, 0.09, height, post)
    b.capsule((0, 0, height - 0.1), (arm, 0, height + 0.15), 0.045, post, segments=5)
    bulb = palette.glow(b, (1.0, 0.85, 0.6), 8.0) if site.weather.dark else palette.flat(b, palette.grey(0.6))
    b.box((arm, 0, height + 0.14), (0.6, 0.24, 0.1), post)
    b.box((arm, 0, height + 0.08), (0.45, 0.18, 0.04), bulb, semantic="lamp")
    if site.weather.dark and len(b.lights) < _MAX_STREET_LAMPS_LIT:
        r, g, blue = palette.warm_light(dice)
        power = 0.12 * height * height * dice.uniform(0.6, 1.8)
        place = b.to_world((arm, 0, height - 0.15))
        b.lights.append(
            PointLight(position=(float(place[0]), float(place[1]), float(place[2])),
                       colour=(r * power, g * power, blue * power))
        )  # fmt: skip


def sign_post(site: Site, side: float = 1.0) -> None:
    """One or two traffic signs on a post, facing backwards (towards who drives forward)."""
    b, dice = site.builder, site.dice
    height = dice.uniform(2.3, 3.1)
    _pole(b, 0.035, height, _post_material(b, dice), x=0.05 * side)
    z = height - 0.3
    for _ in range(dice.choice((1, 1, 2))):
        shape = dice.choice((4, 4, 3, 8, 20))
        size = dice.uniform(0.28, 0.45)
        angle = np.pi / 2 + np.pi / shape * (shape == 4) + 2 * np.pi * np.arange(shape) / shape
        rim = palette.flat(b, dice.choice(((0.7, 0.03, 0.03), (0.85, 0.85, 0.85), (0.03, 0.1, 0.5), (0.8, 0.5, 0.02))))
        face = dice.choice((
            palette.flat(b, palette.grey(0.8)), palette.printed(b, dice, 0.12),
            palette.flat(b, palette.vivid_colour(dice)),
        ))  # fmt: skip
        for scale, y, material in ((size, -0.06, rim), (size * 0.8, -0.075, face)):
            disc = np.column_stack([scale * np.cos(angle), np.full(shape, y), z + scale * np.sin(angle)])
            fan = [[0, i, i + 1] for i in range(1, shape - 1)]
            b.triangles(disc, fan, material, semantic="sign")
        z -= 2 * size + 0.05


def traffic_light(site: Site, side: float = 1.0) -> None:
    """A signal on a post, sometimes with a second head on an arm over the road."""
    b, dice = site.builder, site.dice
    height = dice.uniform(2.8, 3.6)
    post = _post_material(b, dice)
    black = palette.flat(b, palette.grey(0.02))
    heads = [(0.0, height)]
    if dice.chance(0.4):
        arm = -side * dice.uniform(2.0, 4.5)
        _pole(b, 0.1, 6.0, post)
        b.capsule((0, 0, 5.8), (arm, 0, 6.0), 0.06, post, segments=5)
        heads.append((arm, 5.9))
    else:
        _pole(b, 0.07, height, post)
    lit = dice.integer(0, 2)
    for x, z in heads:
        b.box((x, -0.12, z - 0.4), (0.32, 0.22, 0.95), black)
        for i, colour in enumerate(((0.9, 0.05, 0.05), (0.9, 0.5, 0.05), (0.05, 0.8, 0.3))):
            lens = palette.flat(b, palette.shade(colour, 1.0 if i == lit else 0.25), emission=3.0 if i == lit else 0.0)
            b.ellipsoid((x, -0.23, z - 0.1 - 0.3 * i), (0.1, 0.04, 0.1), lens, segments=8, rings=5)


def bollard(site: Site, _side: float = 1.0) -> None:
    """A waist-high post."""
    b, dice = site.builder, site.dice
    b.cylinder((0, 0, -0.1), dice.uniform(0.05, 0.12), dice.uniform(0.8, 1.15), _post_material(b, dice), segments=8)


def bin_(site: Site, _side: float = 1.0) -> None:
    """A litter bin or wheeled rubbish bin."""
    b, dice = site.builder, site.dice
    colour = palette.plastic(b, dice)
    if dice.chance(0.5):
        b.cylinder((0, 0, -0.1), 0.26, 1.0, colour, segments=10, semantic="bin")
    else:
        b.box((0, 0, 0.55), (0.56, 0.6, 1.0), colour, semantic="bin")
        b.box((0, 0, 1.08), (0.6, 0.68, 0.07), palette.plastic(b, dice), semantic="bin")


def bench(site: Site, side: float = 1.0) -> None:
    """A bench along the road whose back is on the side away from it."""
    b, dice = site.builder, site.dice
    wood, iron = palette.wood(b, dice), _post_material(b, dice)
    boxes(b, [(x, 0, 0.45) for x in (-0.18, 0.0, 0.18)], (0.13, 1.7, 0.04), wood, semantic="chair")
    if dice.chance(0.8):
        boxes(b, [(side * 0.27, 0, z) for z in (0.62, 0.82)], (0.04, 1.7, 0.12), wood, semantic="chair")
    boxes(b, [(0, y, 0.2) for y in (-0.65, 0.65)], (0.45, 0.07, 0.46), iron, semantic="chair")


def planter(site: Site, _side: float = 1.0) -> None:
    """A tub with a bush."""
    b, dice = site.builder, site.dice
    size = dice.uniform(0.5, 1.0)
    b.box((0, 0, 0.25), (size, size * dice.uniform(1, 2), 0.6), palette.stone(b, dice), semantic="clutter")
    b.ellipsoid((0, 0, 0.8), (size * 0.5, size * 0.55, 0.45), palette.foliage(b, dice), wobble=0.3, semantic="plant")


def cabinet(site: Site, _side: float = 1.0) -> None:
    """A street cabinet, parcel box or electricity box."""
    b, dice = site.builder, site.dice
    b.box((0, 0, 0.6), (0.45, dice.uniform(0.6, 1.6), dice.uniform(1.1, 1.5)), palette.plastic(b, dice), semantic="box")


def shelter(site: Site, side: float = 1.0) -> None:
    """A bus shelter open to the road."""
    b, dice = site.builder, site.dice
    iron, pane = _post_material(b, dice), palette.flat(b, (0.12, 0.15, 0.16), reflectance=0.12)
    b.box((0, 0, 2.45), (1.5, 3.6, 0.1), iron)
    boxes(b, [(side * 0.65, y, 1.2) for y in (-1.75, 1.75)], (0.08, 0.08, 2.5), iron)
    b.box((side * 0.68, 0, 1.3), (0.03, 3.4, 1.9), pane, semantic="glass")
    b.box((0.0, 1.75, 1.3), (1.2, 0.1, 1.8), palette.picture(b, dice), semantic="sign")
    b.box((side * 0.4, 0, 0.45), (0.35, 2.4, 0.06), palette.wood(b, dice), semantic="chair")


Furniture = Callable[[Site, float], None]

# (maker, half width to keep free) of what stands beside a kerb.
FURNITURE: dict[Furniture, tuple[float, float]] = {
    lamp_post: (0.15, 0.15), sign_post: (0.2, 0.2), traffic_light: (0.2, 0.2), bollard: (0.15, 0.15),
    bin_: (0.35, 0.4), bench: (0.35, 0.95), planter: (0.5, 1.0), cabinet: (0.3, 0.85), shelter: (0.8, 1.9),
}  # fmt: skip


def put(site: Site, maker: Furniture, course: Course, s: float, t: float, h: float = 0.0, turn: float = 0.0) -> bool:
    """Stand a piece of furniture at (s, t) if there is room; it faces the line's middle."""
    position, yaw = course.place(s, t, h, turn)
    half_x, half_y = FURNITURE[maker]
    if not site.take(position, yaw, half_x, half_y):
        return False
    site.builder.begin("pole", position, yaw)
    maker(site, 1.0 if t > 0 else -1.0) if maker is not lamp_post else maker(site, -1.0 if t > 0 else 1.0)
    return True


# -- along a line --------------------------------------------------------------------------------------------


def _block_line(site: Site, course: Course, s0: float, s1: float, t: float, half: float) -> None:
    for s in np.arange(s0 + 1.0, s1, 2.0):
        site.obstacles.add(course.points(s, t), course.heading(s), 1.0, half)


def fence(site: Site, course: Course, s0: float, s1: float, t: float, h: float = 0.0) -> None:
    """A garden fence, wall, railing or wire fence along a line."""
    b, dice = site.builder, site.dice
    b.begin("fence")
    height = dice.uniform(0.8, 2.0)
    kind = dice.choice(("wall", "boards", "pickets", "railing", "rails"))
    if kind in ("wall", "boards"):
        material = palette.brick(b, dice) if kind == "wall" else palette.planks(b, dice)
        if dice.chance(0.3):
            material = palette.pattern(b, dice, Texture.CONCRETE, palette.grey(dice.uniform(0.3, 0.7)))
        half = 0.11 if kind == "wall" else 0.03
        profile = [(t - half, h - 0.4), (t - half, h + height), (t + half, h + height), (t + half, h - 0.4)]
        sweep(b, course, s0, s1, profile, material, step=4.0)
    else:
        material = palette.paint(b, dice) if kind == "pickets" else _post_material(b, dice)
        gap, bar = {"pickets": (0.16, 0.09), "railing": (0.14, 0.025), "rails": (2.2, 0.1)}[kind]
        s = np.arange(s0, s1, gap if s1 - s0 < 40 else 2 * gap)
        _upright_bars(b, course, s, t, h, height, bar, material)
        for z in (0.45, 0.95) if kind == "rails" else (0.2, 0.88):
            profile = [(t, h + z * height - 0.04), (t, h + z * height + 0.04)]
            sweep(b, course, s0, s1, profile, material, step=4.0)
    _block_line(site, course, s0, s1, t, 0.12)


def _upright_bars(
    b: SceneBuilder, course: Course, s: Array, t: float, h: float, height: float, width: float, material: int
) -> None:
    """Flat uprights across the line's direction: two crossed patches each."""
    ds = np.array([[-1.0, 1.0, 1.0, -1.0]]) * width / 2
    up = np.array([[0.0, 0.0, 1.0, 1.0]]) * height + h
    along = course.points(s[:, None] + ds, t, up)
    across = course.points(s[:, None] + 0 * ds, t + ds, up)
    corners = np.concatenate([along, across])
    faces = (np.array([[0, 1, 2], [0, 2, 3]])[None] + 4 * np.arange(len(corners))[:, None, None]).reshape(-1, 3)
    b.triangles(corners.reshape(-1, 3), faces, material)


def guard_rail(site: Site, course: Course, s0: float, s1: float, t: float, *, concrete: bool = False) -> None:
    """A crash barrier: steel beam on posts, or a concrete wall."""
    b, dice = site.builder, site.dice
    b.begin("fence")
    if concrete:
        grey = palette.pattern(b, dice, Texture.CONCRETE, palette.grey(dice.uniform(0.35, 0.65)))
        profile = [
            (t - 0.3, -0.1),
            (t - 0.15, 0.3),
            (t - 0.08, 0.85),
            (t + 0.08, 0.85),
            (t + 0.15, 0.3),
            (t + 0.3, -0.1),
        ]
        sweep(b, course, s0, s1, profile, grey, step=6.0)
    else:
        steel = palette.flat(b, palette.grey(dice.uniform(0.3, 0.6)), reflectance=0.12)
        profile = [(t, 0.45), (t + 0.06, 0.52), (t, 0.6), (t + 0.06, 0.68), (t, 0.76)]
        sweep(b, course, s0, s1, profile, steel, step=6.0)
        _upright_bars(b, course, np.arange(s0, s1, 4.0), t, -0.1, 0.8, 0.12, steel)
    _block_line(site, course, s0, min(s1, 60.0), t, 0.3)


def power_line(site: Site, course: Course, s0: float, s1: float, t: float) -> None:
    """Wooden poles with crossbars and sagging wires."""
    b, dice = site.builder, site.dice
    wood, wire = palette.wood(b, dice), palette.flat(b, palette.grey(0.03))
    height, span = dice.uniform(6.5, 10), dice.uniform(28, 45)
    stations = np.arange(s0, s1, span)
    for s in stations:
        position, yaw = course.place(float(s), t)
        site.obstacles.add(position, yaw, 0.2, 0.2)
        b.begin("pole", position, yaw)
        _pole(b, 0.14, height, wood)
        b.box((0, 0, height - 0.4), (2.0, 0.12, 0.14), wood)
    b.begin("pole")
    for offset in (-0.9, 0.0, 0.9):
        for first, last in pairwise(stations):
            u = np.linspace(0, 1, 7)
            points = course.points(first + (last - first) * u, t + offset, height - 0.25 - 4 * 0.8 * u * (1 - u))
            strip = np.concatenate([points - _UP * 0.015, points + _UP * 0.015])
            faces = [f for i in range(6) for f in ([i, i + 1, i + 8], [i, i + 8, i + 7])]
            b.triangles(strip, faces, wire)


def gantry(site: Site, course: Course, s: float, t0: float, t1: float) -> None:
    """A sign bridge over a motorway from t0 to t1."""
    b, dice = site.builder, site.dice
    position, yaw = course.place(s)
    b.begin("pole", position, yaw)
    steel = palette.flat(b, palette.grey(dice.uniform(0.3, 0.6)), reflectance=0.05)
    boxes(b, [(t0, 0, 3.2), (t1, 0, 3.2)], (0.35, 0.35, 7.0), steel)
    boxes(b, [((t0 + t1) / 2, y, z) for y in (-0.3, 0.3) for z in (6.1, 6.9)], (t1 - t0, 0.14, 0.14), steel)
    colour = dice.choice(((0.02, 0.12, 0.5), (0.02, 0.25, 0.1), (0.7, 0.7, 0.7)))
    width = (t1 - t0) / 3
    for i in range(dice.integer(1, 3)):
        board = b.material(Texture.TEXT, colour, (0.9, 0.9, 0.9), scale_m=0.55, seed=dice.integer(1, 9999))
        b.box(
            (t0 + (i + 0.5) * width, -0.45, 6.6), (width * 0.85, 0.12, dice.uniform(1.8, 3.0)), board, semantic="sign"
        )


def overpass(site: Site, course: Course, s: float, half_road: float) -> None:
    """A bridge that crosses the line at s, on pillars beside the road, with railings and lamps above."""
    b, dice = site.builder, site.dice
    position, yaw = course.place(s, turn=dice.uniform(-0.25, 0.25))
    b.begin("bridge", position, yaw)
    concrete = palette.pattern(b, dice, Texture.CONCRETE, palette.grey(dice.uniform(0.25, 0.6)))
    height, width = dice.uniform(5.2, 7.0), dice.uniform(6, 14)
    b.box((0, 0, height + 0.6), (160, width, 1.2), concrete)
    boxes(
        b,
        [(0, y, height + 1.7) for y in (-width / 2, width / 2)],
        (160, 0.15, 1.0),
        palette.metal(b, dice, shiny=False),
    )
    for x in (-half_road - 2.0, half_road + 2.0):
        for y in (-width * 0.3, width * 0.3):
            b.cylinder((x, y, -0.5), 0.55, height + 0.6, concrete, segments=10)
            site.obstacles.add(b.to_world((x, y, 0)), yaw, 0.6, 0.6)
