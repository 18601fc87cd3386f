"""Cars, vans, trucks, buses, motorbikes and bicycles; y forward, standing on z = 0, centred in plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgedepth.world import palette
from edgedepth.world.builder import Dice, SceneBuilder, rotation_x
from edgedepth.world.people import person
from edgedepth.world.scene import Array, Colour, Texture
from edgedepth.world.solids import boxes, limbs, repeated_faces, stamp
from edgedepth.world.street.site import Site

# Turns a lathe's axis from z to x: wheels.
_AXLE = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@dataclass(frozen=True)
class Finish:
    """The materials one vehicle is made of."""

    body: int
    glass: int
    tyre: int
    rim: int
    front_lamp: int
    rear_lamp: int
    plate: int
    trim: int


def _car_colour(dice: Dice) -> Colour:
    draw = dice.uniform()
    if draw < 0.62:  # most cars are white, silver, grey or black
        return palette.grey(dice.choice((0.015, 0.03, 0.08, 0.2, 0.35, 0.5, 0.75, 0.85)) * dice.uniform(0.8, 1.1))
    if draw < 0.85:
        return palette.hsv(dice.choice((0.0, 0.6, 0.62, 0.98, 0.3, 0.08)), dice.uniform(0.5, 0.9),
                           dice.uniform(0.08, 0.6))  # fmt: skip
    return palette.vivid_colour(dice)


def _finish(b: SceneBuilder, dice: Dice, *, colour: Colour | None = None, lit: bool = False) -> Finish:
    body = _car_colour(dice) if colour is None else colour
    return Finish(
        body=palette.flat(b, body, reflectance=dice.uniform(0.04, 0.14)),
        glass=palette.flat(b, palette.grey(dice.uniform(0.01, 0.05)), reflectance=dice.uniform(0.06, 0.14)),
        tyre=palette.flat(b, palette.grey(0.02)),
        rim=palette.flat(b, palette.grey(dice.choice((0.05, 0.3, 0.5))), reflectance=0.15),
        front_lamp=palette.flat(b, (0.85, 0.85, 0.8), reflectance=0.1, emission=6.0 if lit else 0.0),
        rear_lamp=palette.flat(b, (0.5, 0.02, 0.02), emission=2.5 if lit or dice.chance(0.2) else 0.0),
        plate=b.material(Texture.TEXT, (0.85, 0.85, 0.75), (0.03, 0.03, 0.05), scale_m=0.09,
                         seed=dice.integer(1, 999)),
        trim=palette.flat(b, palette.grey(0.03), reflectance=0.03),
    )  # fmt: skip


def _hull(
    b: SceneBuilder, outline: Sequence[tuple[float, float]], width: float, material: int, *, top: float = 1.0,
    chamfer: float = 0.0,
) -> None:  # fmt: skip
    """A convex side view (y, z) of a body of some width, narrowed at its top by the factor `top`.

    `chamfer` rounds the vertical edges: the share by which the outermost eighth of the width is shorter.
    """
    shape = np.asarray(outline, np.float64)
    low, high = shape[:, 1].min(), shape[:, 1].max()
    half = width / 2 * (1 + (top - 1) * (shape[:, 1] - low) / (high - low))
    middle = shape.mean(axis=0)
    slim = middle + (shape - middle) * [1 - chamfer, 1 - 0.4 * chamfer]
    slices = [(-1.0, slim), (-0.78, shape), (0.78, shape), (1.0, slim)] if chamfer else [(-1.0, shape), (1.0, shape)]
    n = len(shape)
    vertices = np.concatenate([np.column_stack([side * half, points]) for side, points in slices])
    i, j = np.arange(n), (np.arange(n) + 1) % n
    k = np.arange(1, n - 1)
    last = (len(slices) - 1) * n
    rims = [
        np.stack(face, 1)
        for base in range(0, last, n)
        for face in ((base + i, base + j, base + n + j), (base + i, base + n + j, base + n + i))
    ]
    caps = [np.stack([0 * k, k + 1, k], 1), last + np.stack([0 * k, k, k + 1], 1)]
    b.triangles(vertices, np.concatenate(rims + caps), material)


def _wheels(b: SceneBuilder, f: Finish, width: float, axles: Sequence[float], radius: float) -> None:
    """Wheels at both ends of each axle: treads and side walls, and the rims just outside them."""
    thick, n = 0.62 * radius, 12
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    circle = np.column_stack([0 * angle, np.cos(angle), np.sin(angle)])
    i, j = np.arange(n), (np.arange(n) + 1) % n
    tread = np.concatenate([np.stack([i, j, n + j], 1), np.stack([i, n + j, n + i], 1)])
    fan = np.stack([0 * i[1:-1], i[1:-1], i[2:]], 1)
    tyres, rims = [], []
    for y in axles:
        for side in (-1, 1):
            hub, out = np.array([0.0, y, radius]), np.array([side * width / 2, 0.0, 0.0])
            disc = hub + radius * circle
            tyres.append(np.concatenate([disc + out - [side * thick, 0, 0], disc + out]))
            rims.append(hub + 0.62 * radius * circle + out * (1 + 0.008 / width))
    faces = np.concatenate([tread, fan, fan + n])
    count = len(tyres)
    b.triangles(np.concatenate(tyres), repeated_faces(faces, 2 * n, count), f.tyre)
    b.triangles(np.concatenate(rims), repeated_faces(fan, n, count), f.rim)


def _lamps(b: SceneBuilder, f: Finish, width: float, half_length: float, z: float) -> None:
    w = width * 0.33
    boxes(b, [(-w, half_length - 0.06, z), (w, half_length - 0.06, z)], (0.32, 0.08, 0.13), f.front_lamp)
    boxes(b, [(-w - 0.03, 0.06 - half_length, z + 0.1), (w + 0.03, 0.06 - half_length, z + 0.1)],
          (0.2, 0.08, 0.18), f.rear_lamp)  # fmt: skip
    boxes(b, [(0, half_length, z - 0.22), (0, -half_length, z - 0.05)], (0.52, 0.03, 0.11), f.plate)


def _cabin(b: SceneBuilder, f: Finish, side: Sequence[tuple[float, float]], width: float, top: float) -> None:
    """Windows all round (side view of four points, bottom front first), with roof and pillars of body colour."""
    _hull(b, side, width, f.glass, top=top, chamfer=0.05)
    (fy, fz), (ty, tz), (by, bz), (ry, rz) = side
    b.box((0, (ty + by) / 2, tz + 0.015), (width * top * 0.99, abs(ty - by) + 0.06, 0.05), f.body)
    starts, ends = [], []
    for sign in (-1, 1):
        lower, upper = sign * width / 2, sign * width / 2 * top
        starts += [(lower, fy, fz), (lower, ry, rz), (lower, (fy + ry) / 2, fz)]
        ends += [(upper, ty, tz), (upper, by, bz), (upper, 0.55 * ty + 0.45 * by, tz)]
    pillars = limbs(starts, ends, np.array([0.045, 0.065, 0.045] * 2), taper=1.0)
    stamp(b, pillars, f.body)


def car(b: SceneBuilder, dice: Dice, *, lit: bool = False) -> tuple[float, float]:
    """A saloon, hatchback, estate or SUV. Returns half width and half length."""
    f = _finish(b, dice, lit=lit)
    kind = dice.choice(("hatch", "saloon", "estate", "suv"))
    length = {"hatch": 3.9, "saloon": 4.7, "estate": 4.6, "suv": 4.6}[kind] * dice.uniform(0.93, 1.06)
    width = dice.uniform(1.68, 1.88)
    height = dice.uniform(1.62, 1.78) if kind == "suv" else dice.uniform(1.4, 1.54)
    a, ground = length / 2, 0.27 if kind == "suv" else 0.2
    belt = height * dice.uniform(0.58, 0.62)
    lower = [(-a, ground), (a, ground), (a, belt * 0.7), (a * 0.93, belt * 0.84), (a * 0.45, belt),
             (-a * 0.9, belt * 1.02), (-a, belt * 0.9)]  # fmt: skip
    _hull(b, lower, width, f.body, top=0.95, chamfer=0.045)
    rear_roof = {"hatch": -0.72, "saloon": -0.42, "estate": -0.85, "suv": -0.8}[kind]
    rear_base = {"hatch": -0.95, "saloon": -0.72, "estate": -0.97, "suv": -0.96}[kind]
    side = [(a * 0.5, belt - 0.02), (a * dice.uniform(0.08, 0.2), height), (a * rear_roof, height - 0.02),
            (a * rear_base, belt)]  # fmt: skip
    _cabin(b, f, side, width * 0.93, 0.8)
    b.box((0, 0, ground + 0.06), (width * 1.01, length * 0.97, 0.12), f.trim)
    b.box((0, a - 0.01, belt * 0.55), (width * 0.5, 0.04, 0.14), f.trim)
    _wheels(b, f, width + 0.03, (a * 0.62, -a * 0.62), 0.36 if kind == "suv" else 0.32)
    _lamps(b, f, width, a, belt * 0.72)
    boxes(b, [(s * (width / 2 + 0.07), a * 0.36, belt + 0.05) for s in (-1, 1)], (0.14, 0.1, 0.13), f.body)
    return width / 2, a


def van(b: SceneBuilder, dice: Dice, *, lit: bool = False) -> tuple[float, float]:
    """A delivery van or minibus."""
    white = palette.grey(dice.uniform(0.6, 0.85)) if dice.chance(0.55) else None
    f = _finish(b, dice, colour=white, lit=lit)
    length, width, height = dice.uniform(4.6, 5.9), dice.uniform(1.85, 2.0), dice.uniform(1.9, 2.6)
    a, belt = length / 2, 1.12
    body = [(-a, 0.3), (a, 0.3), (a, 0.8), (a * 0.92, belt - 0.05), (a * 0.72, belt + 0.05), (a * 0.42, height),
            (-a * 0.97, height), (-a, belt)]  # fmt: skip
    _hull(b, body, width, f.body, top=0.9, chamfer=0.04)
    b.quad([(-width * 0.42, a * 0.735, belt + 0.05), (width * 0.42, a * 0.735, belt + 0.05),
            (width * 0.39, a * 0.46, height - 0.12), (-width * 0.39, a * 0.46, height - 0.12)], f.glass)  # fmt: skip
    windows = 4 if dice.chance(0.3) else 1
    for sign in (-1, 1):
        for i in range(windows):
            y = a * 0.4 - i * length * 0.19
            b.box((sign * width * 0.475, y, belt + 0.32), (0.03, length * 0.16, 0.5), f.glass)
    b.box((0, -a, height * 0.7), (width * 0.7, 0.03, 0.45), f.glass if dice.chance(0.6) else f.body)
    if dice.chance(0.4):
        sign_mat = palette.printed(b, dice, 0.25)
        boxes(b, [(s * width * 0.482, -a * 0.4, height * 0.62) for s in (-1, 1)], (0.03, length * 0.3, 0.6), sign_mat)
    _wheels(b, f, width + 0.03, (a * 0.65, -a * 0.62), 0.34)
    _lamps(b, f, width, a, 0.75)
    return width / 2, a


def truck(b: SceneBuilder, dice: Dice, *, lit: bool = False) -> tuple[float, float]:
    """A lorry: cab and box, tank, tarpaulin or flat bed."""
    f = _finish(b, dice, lit=lit)
    length, width = dice.choice((dice.uniform(6.5, 8.5), dice.uniform(11, 16))), 2.45
    a, cab_h, height = length / 2, dice.uniform(2.6, 3.4), dice.uniform(3.2, 3.9)
    cab = [(a - 2.0, 0.5), (a, 0.5), (a, 1.5), (a - 0.2, cab_h), (a - 2.0, cab_h)]
    _hull(b, cab, width, f.body, top=0.95)
    b.quad([(-1.1, a + 0.02, 1.6), (1.1, a + 0.02, 1.6), (1.05, a - 0.16, 2.4), (-1.05, a - 0.16, 2.4)], f.glass)
    boxes(b, [(s * width * 0.49, a - 0.8, 2.0) for s in (-1, 1)], (0.04, 0.8, 0.7), f.glass)
    b.box((0, -1.0, 0.85), (width * 0.7, length - 2.0, 0.3), f.trim)
    back = length - 2.3
    middle = -a + back / 2
    load = dice.choice(("box", "box", "box", "tank", "flat"))
    if load == "tank":
        steel = palette.metal(b, dice, shiny=True) if dice.chance(0.5) else f.body
        b.cylinder((0, -a + 0.1, 2.15), 1.1, back - 0.2, steel, segments=16, rotation=rotation_x(-np.pi / 2))
    elif load == "box":
        cover = dice.choice((palette.flat(b, palette.any_colour(dice, 0.8, 0.1, 0.85)), palette.printed(b, dice, 0.6),
                             palette.pattern(b, dice, Texture.STRIPES, palette.grey(0.7), scale_m=0.25)))  # fmt: skip
        b.box((0, middle, (1.0 + height) / 2), (width, back, height - 1.0), cover)
    else:
        b.box((0, middle, 1.1), (width, back, 0.15), f.trim)
        for i in range(3):
            b.box((0, -a + back * (0.2 + 0.3 * i), 1.2 + 0.4), (width * 0.8, back * 0.22, dice.uniform(0.4, 1.4)),
                  palette.thing(b, dice))  # fmt: skip
    hazard = b.material(Texture.STRIPES, (0.8, 0.1, 0.05), (0.85, 0.8, 0.6), scale_m=0.3, aux=0.5)
    b.box((0, -a - 0.01, 0.95), (width * 0.95, 0.04, 0.16), hazard if dice.chance(0.6) else f.trim)
    axles = (a - 1.2, -a + 1.2, -a + 2.4) if length > 9 else (a - 1.2, -a + 1.4)
    _wheels(b, f, width, axles, 0.5)
    _lamps(b, f, width, a, 0.85)
    return width / 2, a


def bus(b: SceneBuilder, dice: Dice, *, lit: bool = False) -> tuple[float, float]:
    """A city bus or coach, sometimes a double-decker or a tram without rails."""
    f = _finish(b, dice, colour=palette.vivid_colour(dice) if dice.chance(0.7) else None, lit=lit)
    double = dice.chance(0.15)
    length, width, height = dice.uniform(9.5, 13), 2.5, 4.3 if double else dice.uniform(2.9, 3.4)
    a = length / 2
    body = [(-a, 0.35), (a, 0.35), (a + 0.02, 1.2), (a - 0.12, height), (-a, height)]
    _hull(b, body, width, f.body, top=0.98)
    pane = palette.flat(b, (0.9, 0.8, 0.6), emission=0.6) if lit else f.glass
    for deck in (0, 1) if double else (0,):
        z = 1.75 + 2.0 * deck
        count = int(length / 1.5)
        y = -a + 0.9 + (np.arange(count) + 0.5) * (length - 1.6) / count
        for side in (-1, 1):
            centres = np.column_stack([np.full(count, side * width * 0.497), y, np.full(count, z)])
            boxes(b, centres, (0.03, 1.25, 0.95), pane)
        b.box((0, a - 0.02, z), (width * 0.92, 0.06, 1.1), f.glass)
        b.box((0, -a + 0.01, z + 0.1), (width * 0.8, 0.05, 0.7), f.glass)
    b.box((0, a - 0.03, height - 0.3), (1.4, 0.1, 0.28), palette.printed(b, dice, 0.12))
    b.box((0, 0, 0.55), (width * 1.005, length * 0.98, 0.25), palette.flat(b, palette.any_colour(dice)))
    _wheels(b, f, width, (a * 0.62, -a * 0.55), 0.48)
    _lamps(b, f, width, a, 0.75)
    return width / 2, a


def _two_wheels(b: SceneBuilder, material: int, base: float, radius: float, thick: float) -> None:
    for y in (-base / 2, base / 2):
        outline = [(radius - thick, -thick / 2), (radius, -thick / 2), (radius, thick / 2), (radius - thick, thick / 2)]
        b.lathe(outline, material, centre=(0, y, radius), segments=14, rotation=_AXLE, smooth=False)


def bicycle(b: SceneBuilder, dice: Dice, *, lit: bool = False) -> tuple[float, float]:
    """A bicycle."""
    black = palette.flat(b, palette.grey(0.03))
    frame = palette.flat(b, palette.any_colour(dice, 0.9), reflectance=0.05)
    _two_wheels(b, black, 1.04, 0.34, 0.035)
    rods = [((-0.52, 0.34), (-0.1, 0.3)), ((-0.1, 0.3), (-0.22, 0.88)), ((-0.22, 0.8), (0.34, 0.86)),
            ((-0.1, 0.3), (0.36, 0.78)), ((0.34, 0.98), (0.52, 0.34)), ((-0.2, 0.75), (-0.52, 0.34))]  # fmt: skip
    for (y0, z0), (y1, z1) in rods:
        b.capsule((0, y0, z0), (0, y1, z1), 0.02, frame, segments=5)
    b.box((0, -0.23, 0.93), (0.15, 0.26, 0.06), black)
    b.box((0, 0.36, 1.02), (0.56, 0.04, 0.04), black)
    if lit:
        b.box((0, 0.42, 0.9), (0.06, 0.05, 0.06), palette.glow(b, emission=5.0))
    return 0.28, 0.87


def motorbike(b: SceneBuilder, dice: Dice, *, lit: bool = False) -> tuple[float, float]:
    """A motorbike or scooter."""
    black = palette.flat(b, palette.grey(0.03))
    paint = palette.flat(b, palette.any_colour(dice, 0.9), reflectance=0.1)
    _two_wheels(b, black, 1.35, 0.31, 0.11)
    b.ellipsoid((0, 0.12, 0.82), (0.17, 0.33, 0.18), paint, segments=10, rings=6)
    b.box((0, 0.02, 0.5), (0.26, 0.62, 0.34), black)
    b.box((0, -0.38, 0.8), (0.26, 0.62, 0.1), black, rotation=rotation_x(-0.08))
    b.box((0, -0.62, 0.7), (0.2, 0.4, 0.14), paint)
    b.capsule((0, 0.42, 1.0), (0, 0.68, 0.33), 0.05, black, segments=6)
    b.box((0, 0.42, 1.05), (0.72, 0.06, 0.05), black)
    b.ellipsoid((0, 0.52, 0.92), (0.1, 0.08, 0.1), palette.flat(b, (0.9, 0.9, 0.85), emission=6.0 if lit else 0.0),
                segments=8, rings=5)  # fmt: skip
    return 0.36, 0.98


Maker = Callable[..., tuple[float, float]]

# What drives in a street: list a maker twice to make it likelier.
TOWN_TRAFFIC: tuple[Maker, ...] = (car,) * 10 + (van, van, truck, bus, motorbike)
CITY_TRAFFIC: tuple[Maker, ...] = (car,) * 9 + (van, van, truck, bus, bus, motorbike, bicycle)
ROAD_TRAFFIC: tuple[Maker, ...] = (car,) * 9 + (van, van, truck, truck, truck, bus)
PARKED: tuple[Maker, ...] = (car,) * 9 + (van, motorbike)

# Half width and half length to keep free before a vehicle's exact size is known.
_ROOM: dict[Maker, tuple[float, float]] = {
    car: (0.98, 2.55), van: (1.05, 3.0), truck: (1.28, 8.1), bus: (1.3, 6.6), bicycle: (0.3, 0.9),
    motorbike: (0.4, 1.0),
}  # fmt: skip

# Where the rider of a two-wheeler sits: y and height.
_SADDLE: dict[Maker, tuple[float, float]] = {bicycle: (-0.23, 0.94), motorbike: (-0.3, 0.84)}


def room_length(maker: Maker) -> float:
    """Metres of a lane that a vehicle of this kind takes at most."""
    return 2 * _ROOM[maker][1]


def park(
    site: Site, position: Array, yaw: float, makers: Sequence[Maker] = PARKED, *, driving: bool = False,
    pitch: float = 0.0,
) -> bool:  # fmt: skip
    """Put a vehicle at a place and heading if there is room; returns whether it fitted."""
    maker = site.dice.choice(makers)
    half_width, half_length = _ROOM[maker]
    if not site.take(position, yaw, half_width, half_length):
        return False
    b = site.builder
    with b.together():
        b.begin("car", position, yaw, pitch=pitch)
        maker(b, site.dice, lit=driving and (site.weather.dark or site.dice.chance(0.25)))
        if driving and maker in _SADDLE:
            y, z = _SADDLE[maker]
            person(b, site.dice, b.to_world((0.0, y, 0.0)), yaw, "riding", height_m=site.dice.uniform(1.55, 1.9),
                   seat_m=z, segments=5)  # fmt: skip
    return True
