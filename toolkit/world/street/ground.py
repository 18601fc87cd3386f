"""The surfaces of a street: carriageway, lane paint, kerbs, pavements, verges, land and what stands far off."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgedepth.world import palette
from edgedepth.world.builder import Dice, SceneBuilder
from edgedepth.world.scene import Array, Colour, Texture
from edgedepth.world.solids import grid_faces
from edgedepth.world.street.course import Course, patches, relief, sweep
from edgedepth.world.street.site import Site

_UNDER_M = 0.4  # how far the land runs under what lies beside it


def asphalt(site: Site) -> int:
    """Asphalt or concrete of any brightness, shiny when wet; markings are added as geometry."""
    b, dice = site.builder, site.dice
    value = dice.choice((0.03, 0.05, 0.08, 0.12, 0.17, 0.26)) * dice.uniform(0.8, 1.2)
    tint = palette.hsv(dice.choice((0.08, 0.6)), dice.uniform(0, 0.12), value)
    wet = site.weather.wetness
    tint = palette.shade(tint, 1 - 0.5 * wet)
    return b.material(Texture.ROAD, tint, tint, scale_m=9.0, aux=3.0, reflectance=0.035 * wet,
                      seed=8 * dice.integer(1, 4000) + 7)  # fmt: skip


def paving(site: Site) -> int:
    """Slabs, cobbles, asphalt or concrete of a pavement."""
    b, dice = site.builder, site.dice
    colour = palette.hsv(dice.uniform(0.02, 0.14), dice.uniform(0, 0.25), dice.uniform(0.08, 0.4))
    kind = dice.choice(
        (
            Texture.TILES,
            Texture.TILES,
            Texture.BRICK,
            Texture.CONCRETE,
            Texture.SPECKLE,
            Texture.SPECKLE,
            Texture.CONCRETE,
            Texture.TILES,
            Texture.CHECKER,
        )
    )
    size = {Texture.TILES: dice.uniform(0.3, 0.9), Texture.BRICK: dice.uniform(0.12, 0.3), Texture.CHECKER: 0.4}
    return palette.pattern(b, dice, kind, colour, palette.shade(colour, dice.uniform(0.6, 0.9)), scale_m=size.get(kind),
                           reflectance=0.03 * site.weather.wetness)  # fmt: skip


def grass(site: Site) -> int:
    """Lawn, meadow or dry grass."""
    b, dice = site.builder, site.dice
    dry = dice.chance(0.3)
    hue = dice.uniform(0.1, 0.16) if dry else dice.uniform(0.17, 0.3)
    colour = palette.hsv(hue, dice.uniform(0.3, 0.7), dice.uniform(0.08, 0.32))
    second = palette.hsv(hue - dice.uniform(0, 0.06), dice.uniform(0.25, 0.6), dice.uniform(0.08, 0.3))
    return b.material(Texture.GRASS, colour, second, scale_m=dice.uniform(0.4, 1.5), seed=dice.integer(1, 9999))


def bare_ground(site: Site) -> int:
    """Earth, sand, gravel, dead leaves or snow."""
    b, dice = site.builder, site.dice
    colour: Colour = palette.hsv(dice.uniform(0.05, 0.12), dice.uniform(0.15, 0.5), dice.uniform(0.07, 0.38))
    if dice.chance(0.08):
        colour = palette.grey(dice.uniform(0.7, 0.9))
    kind = dice.choice((Texture.GRAVEL, Texture.GRAVEL, Texture.NOISE, Texture.SPECKLE))
    return palette.pattern(b, dice, kind, colour, palette.shade(colour, dice.uniform(0.45, 0.8)))


def paint(b: SceneBuilder, dice: Dice, *, yellow: bool = False) -> int:
    """Road paint, worn in places."""
    fresh = (0.75, 0.5, 0.05) if yellow else palette.grey(dice.uniform(0.5, 0.8))
    return palette.pattern(b, dice, Texture.NOISE, palette.shade(fresh, dice.uniform(0.8, 1.1)),
                           palette.shade(fresh, dice.uniform(0.5, 0.95)), scale_m=0.25)  # fmt: skip


def solid_line(
    b: SceneBuilder, course: Course, s0: float, s1: float, t: float, material: int, width: float = 0.14
) -> None:
    """A continuous line of paint."""
    sweep(b, course, s0, s1, [(t - width / 2, 0.012), (t + width / 2, 0.012)], material)


def dashes(
    b: SceneBuilder, course: Course, s0: float, s1: float, t: float, material: int, *, length: float, gap: float,
    width: float = 0.13,
) -> None:  # fmt: skip
    """A broken line of paint."""
    middles = np.arange(s0 + length / 2, s1 - length / 2, length + gap)
    patches(b, course, middles, t, length, width, material)


def zebra(site: Site, course: Course, s: float, half_width: float, length: float = 3.2) -> None:
    """A pedestrian crossing with stop lines before it, or two thin lines only."""
    b, dice = site.builder, site.dice
    b.begin("road")
    white = paint(b, dice, yellow=dice.chance(0.12))
    if dice.chance(0.8):
        across = np.arange(-half_width + 0.4, half_width - 0.2, 1.0)
        patches(b, course, s, across, length, 0.5, white)
    else:
        patches(b, course, [s - length / 2, s + length / 2], 0.0, 0.25, 2 * half_width, white)
    if dice.chance(0.6):
        patches(b, course, [s - length / 2 - 1.6], half_width / 2, 0.4, half_width, white)


def arrows(site: Site, course: Course, s: float, lanes: Sequence[float]) -> None:
    """A lane arrow or a word on the road in each lane."""
    b, dice = site.builder, site.dice
    white = paint(b, dice)
    for t in lanes:
        patches(b, course, [s], t, 3.0, 0.16, white)
        for side in (-1, 1):
            patches(b, course, [s + 1.6], t + side * 0.22, 1.3, 0.2, white, shear=-side * 0.55)


def wear(site: Site, course: Course, half_width: float) -> None:
    """Repairs, manholes and gullies."""
    b, dice = site.builder, site.dice
    b.begin("road")
    count = dice.integer(0, 7)
    if not count:
        return
    dark = palette.pattern(b, dice, Texture.SPECKLE, palette.grey(dice.uniform(0.03, 0.16)))
    s = [dice.uniform(-10, 70) for _ in range(count)]
    t = [dice.uniform(-0.8, 0.8) * half_width for _ in range(count)]
    patches(b, course, s, t, [dice.uniform(0.6, 6) for _ in s], [dice.uniform(0.5, 2.0) for _ in s], dark, h=0.006)
    iron = palette.flat(b, palette.grey(0.06), reflectance=0.05)
    for _ in range(dice.integer(0, 4)):
        position, yaw = course.place(dice.uniform(0, 40), dice.uniform(-0.7, 0.7) * half_width, 0.008)
        b.begin("road", position, yaw)
        b.lathe([(0.34, 0.0), (0.0, 0.002)], iron, segments=12, smooth=False)


def land(
    site: Site, course: Course, left: float, right: float, material: int, *, bumps: float = 0.0,
    drop: float = 0.03, semantic: str = "grass", step: float = 5.0,
) -> None:  # fmt: skip
    """The ground on both sides from t = -left and t = right outwards, with gentle bumps (metres) away from it.

    It is cut as often as a strip swept with the same `step`, and runs under it: their edges leave no gap on bends.
    """
    b, dice = site.builder, site.dice
    phase = [dice.uniform(0, 6.3) for _ in range(4)]
    reach = min(170.0, 0.8 / max(course.max_curvature, 1e-6))
    steps = np.array([-_UNDER_M, 0.0, 0.6, 2.0, 5.0, 10.0, 18.0, 30.0, 55.0, 100.0, 170.0])
    s = course.stations(course.start, course.end, step)
    if bumps > 0 and len(s) == 2:
        s = np.linspace(course.start, course.end, 50)
    if bumps > 0:
        line = course.points(np.arange(course.start, course.end))[:, :2]

        def rise_at(plan: Array) -> float:
            out = np.hypot(*(line - plan).T).min() - (left + right) / 2
            return float(bumps * np.clip((out - 1.0) / 25, 0, 1) * relief(phase, plan[0], plan[1]))

        site.rise = rise_at
    b.begin(semantic)
    for side, edge in ((-1, left), (1, right)):
        out = steps[steps <= max(reach - edge, 1.0)]
        if course.is_straight and bumps == 0:
            out = out[[0, -1]]
        t = side * (edge + out)
        flat = course.points(s[:, None], t[None])
        rise = bumps * np.clip((out - 1.0) / 25, 0, 1) * relief(phase, flat[..., 0], flat[..., 1])
        flat[..., 2] += rise - drop
        local = np.stack([np.broadcast_to(t, rise.shape), np.broadcast_to(s[:, None], rise.shape), 0 * rise], -1)
        faces = grid_faces(len(s), len(t))
        b.triangles(flat.reshape(-1, 3), faces if side > 0 else faces[:, ::-1], material, local=local.reshape(-1, 3))
    low = float(course.points(np.linspace(course.start, course.end, 40))[:, 2].min()) - 1.2 - 2 * bumps
    r = 900.0
    b.quad([(-r, -r, low), (r, -r, low), (r, r, low), (-r, r, low)], material)


def skyline(site: Site, *, trees: float = 0.5, town: float = 0.4, hills: float = 0.4) -> None:
    """What closes the view beyond 90 m: tree belts, blocks, hills, each with its own chance."""
    b, dice = site.builder, site.dice
    if dice.chance(hills):
        for _ in range(dice.integer(1, 2)):
            _ridge(site, dice.uniform(400, 850), dice.uniform(20, 150), "terrain", rough=0.06)
    if dice.chance(trees):
        for _ in range(dice.integer(1, 2)):
            _ridge(site, dice.uniform(170, 330), dice.uniform(6, 16), "tree", rough=0.6)
    if dice.chance(town):
        for _ in range(dice.integer(6, 14)):
            angle, far = dice.uniform(0, 2 * np.pi), dice.uniform(190, 420)
            b.begin("building", (far * np.cos(angle), far * np.sin(angle), -2.0), dice.uniform(0, 3.1))
            height = dice.uniform(8, 45)
            colour = palette.hsv(dice.uniform(0, 0.15), dice.uniform(0, 0.3), dice.uniform(0.2, 0.7))
            skin = b.material(Texture.FACADE, colour, (0.1, 0.12, 0.15), scale_m=2.5, aux=3.0,
                              seed=dice.integer(1, 9999))  # fmt: skip
            b.box((0, 0, height / 2), (dice.uniform(12, 40), dice.uniform(12, 25), height), skin)


def _ridge(site: Site, distance: float, height: float, semantic: str, *, rough: float) -> None:
    b, dice = site.builder, site.dice
    angle = np.linspace(0, 2 * np.pi, 181)
    wave = np.zeros_like(angle)
    for k in (2, 3, 5, 9, 17, 31):
        wave += np.sin(k * angle + dice.uniform(0, 6.3)) / (k ** (1.0 - rough))
    wave = (wave - wave.min()) / (wave.max() - wave.min())
    top = height * (0.25 + 0.75 * wave) + height * rough * 0.3 * dice.rng.random(len(angle))
    top[-1] = top[0]
    radius = distance * (1 + 0.15 * np.sin(2 * angle + dice.uniform(0, 6)))
    radius[-1] = radius[0]
    ring: list[Array] = [
        np.stack([r * np.cos(angle), r * np.sin(angle), z], 1)
        for r, z in ((radius, 0 * angle - 15.0), (radius * 1.03, 0.6 * top), (radius * 1.15, top))
    ]
    colour = palette.hsv(dice.uniform(0.2, 0.4), dice.uniform(0.2, 0.5), dice.uniform(0.06, 0.3))
    if semantic == "terrain" and dice.chance(0.5):
        colour = palette.hsv(dice.uniform(0.06, 0.65), dice.uniform(0.1, 0.3), dice.uniform(0.2, 0.5))
    material = palette.pattern(b, dice, Texture.FOLIAGE if semantic == "tree" else Texture.NOISE, colour,
                               scale_m=2.5 if semantic == "tree" else 40.0)  # fmt: skip
    b.begin(semantic)
    b.triangles(np.concatenate(ring), grid_faces(3, len(angle)), material)
