"""Far scenes in heavy weather: fog, rain, snow, and nights with lamps.

A robot that works outdoors meets all of them, and they look like nothing on a fair day: far things fade into white, the
road mirrors, the ground is as bright as the sky. `weather` is any far scene with one of these, drawn per scene. What
lies or stands anywhere is part of the scene; what is in the air (`Sky.rain`, `Sky.snow`) only changes the light.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgedepth.world import palette
from edgedepth.world.builder import Dice, SceneBuilder
from edgedepth.world.recipe import Build, BuiltScene, dice_for
from edgedepth.world.render.sensor import SensorModel
from edgedepth.world.scene import SEMANTIC_ID, Array, Colour, Material, PointLight, Scene, Sky, Texture
from edgedepth.world.street.roadside import lamp_post
from edgedepth.world.street.site import Site
from edgedepth.world.street.weather import Weather, set_weather

Faces = NDArray[np.bool_]
Change = Callable[[Material], Material]

_GROUND = ("road", "pavement", "kerb", "terrain", "grass")
_ROADS = ("residential_street", "city_street", "motorway", "country_road", "suburb", "alley")  # traffic in lanes
_CLEAN = ("person", "animal", "lamp", "glass", "mirror", "water", "void", "sky")  # no snow stays on these
# How level a face must be for snow to lie on it, where that is not 0.65: leaves hold it, windscreens do not.
_LEAST_SLOPE: tuple[tuple[tuple[str, ...], float], ...] = (
    (("tree", "plant"), 0.3), (("building",), 0.45), (("car",), 0.85),
)  # fmt: skip
_MOST_HEADLIGHTS = 6
_PUDDLE_M = 0.014  # above the ground; paint on roads lies at 0.012


def weather(build: Build) -> Build:
    """The recipe whose scenes are those of `build` in fog, rain, snow or at night."""

    def build_weather(dice: Dice) -> BuiltScene:
        kind = drawn_kind(dice)
        built = build(own_dice(dice, dark=kind is night))
        scene = built.scene
        if kind is night and not scene.lights:
            scene = with_lamps(scene, [built.sample_view(dice).position[:2] for _ in range(6)], dice)
        return replace(built, scene=kind(scene, dice))

    return build_weather


def is_night(sky: Sky) -> bool:
    """Whether the light is that of lamps, or of the moon."""
    return sky.intensity < 0.1


def is_dark(sky: Sky) -> bool:
    """Whether it is dusk or darker: what is made up in mode 'flat' is daylight."""
    return sky.intensity < 0.4


def sensor_in(sky: Sky, sensor: SensorModel, dice: Dice) -> SensorModel:
    """The camera in this weather: fog and snow stay bright, nights dark, and in dim light there are bands of noise."""
    dim = sky.intensity < 0.6
    lift = 0.0 if dim else dice.uniform(0.0, 0.9)
    most = math.exp(dice.uniform(math.log(6.0), math.log(40.0))) if is_night(sky) else math.inf
    banded = dice.chance(0.6 if is_night(sky) else 0.3 if dim else 0.05)
    return replace(
        sensor,
        exposure_ev=sensor.exposure_ev + lift,
        most_gain=most,
        noise_rows=dice.uniform(0.0005, 0.004) if banded else 0.0,
    )


# -- kinds ---------------------------------------------------------------------------------------------------


def fog(scene: Scene, dice: Dice) -> Scene:
    """Thick air that hides what is more than 30 to 150 m away, and the sky."""
    haze = math.exp(dice.uniform(math.log(0.015), math.log(0.08)))
    sky = _grey_sky(dice, bright=(0.7, 1.3), haze_per_m=haze, haze_top_m=dice.uniform(60.0, 200.0))
    damp = wet(scene, dice, dice.uniform(0.1, 0.4)) if dice.chance(0.4) else scene
    return replace(damp, sky=sky)


def rain(scene: Scene, dice: Dice) -> Scene:
    """A dark sky, streaks in the air, and everything on the ground wet."""
    haze = math.exp(dice.uniform(math.log(0.002), math.log(0.015)))
    sky = _grey_sky(dice, bright=(0.35, 0.8), haze_per_m=haze, haze_top_m=dice.uniform(80.0, 250.0))
    return replace(wet(scene, dice, dice.uniform(0.5, 1.0)), sky=replace(sky, rain=dice.uniform(3.0, 16.0)))


def snow(scene: Scene, dice: Dice) -> Scene:
    """Snow on everything that faces up, on some roads cleared or driven to slush, mostly falling still."""
    haze = math.exp(dice.uniform(math.log(0.002), math.log(0.025)))
    sky = _grey_sky(dice, bright=(0.7, 1.2), haze_per_m=haze, haze_top_m=dice.uniform(80.0, 250.0))
    falling = dice.uniform(0.6, 7.0) if dice.chance(0.8) else 0.0
    return replace(snowed(scene, dice), sky=replace(sky, snow=falling))


def night(scene: Scene, dice: Dice) -> Scene:
    """A black sky over lamps and headlights, half the time in rain; the moon where there is none of them."""
    rainy = dice.chance(0.5)
    lamps = (*scene.lights, *headlights(scene, dice))
    moon = dice.uniform(0.0, 0.01) if lamps else dice.uniform(0.02, 0.06)
    azimuth = dice.uniform(0, 2 * math.pi)
    sky = Sky(
        sun_direction=(0.6 * math.cos(azimuth), 0.6 * math.sin(azimuth), 0.8),
        sun_colour=(0.8 * moon, 0.9 * moon, moon),
        intensity=dice.uniform(0.003, 0.02),
        cloud=dice.uniform(0.4, 1.3),
        ambient=dice.uniform(0.001, 0.004),
        haze_per_m=dice.uniform(0.002, 0.012) if rainy else 0.0,
        haze_top_m=200.0 if rainy else 0.0,
        rain=dice.uniform(4.0, 16.0) if rainy else 0.0,
    )
    return replace(wet(scene, dice, dice.uniform(0.6, 1.0)) if rainy else scene, sky=sky, lights=lamps)


_KINDS: tuple[tuple[Callable[[Scene, Dice], Scene], float], ...] = (
    (fog, 0.27), (rain, 0.27), (snow, 0.27), (night, 0.19),
)  # fmt: skip


def drawn_kind(dice: Dice) -> Callable[[Scene, Dice], Scene]:
    """One of the kinds, by their shares."""
    draw = dice.uniform()
    for kind, share in _KINDS[:-1]:
        if draw < share:
            return kind
        draw -= share
    return _KINDS[-1][0]


def own_dice(dice: Dice, *, dark: bool) -> Dice:
    """Dice for a recipe whose own weather, the first thing that it draws, is dark (lamps are lit then) or is not."""
    while True:
        seed = dice.integer(0, 2**31 - 1)
        if set_weather(SceneBuilder(), dice_for(seed)).dark == dark:
            return dice_for(seed)


def _grey_sky(dice: Dice, *, bright: tuple[float, float], haze_per_m: float, haze_top_m: float) -> Sky:
    return Sky(
        intensity=dice.uniform(*bright), cloud=dice.uniform(1.1, 1.3), haze_per_m=haze_per_m, haze_top_m=haze_top_m
    )


# -- water ---------------------------------------------------------------------------------------------------


def wet(scene: Scene, dice: Dice, wetness: float) -> Scene:
    """The scene with its ground `wetness` (0 to 1) wet: darker, and mirroring where it is sealed; with puddles."""
    shine = wetness * dice.uniform(0.06, 0.32)
    shares = {"road": shine, "pavement": 0.8 * shine, "kerb": 0.6 * shine, "bridge": 0.5 * shine,
              "terrain": 0.1 * shine, "grass": 0.0}  # fmt: skip
    for name, mirror in shares.items():
        dark = 1 - wetness * dice.uniform(0.25, 0.5)
        scene = remade(scene, _of(scene, (name,)), partial(_wetted, dark=dark, mirror=mirror))
    return with_puddles(scene, dice, count=round(wetness * dice.uniform(0, 60)))


def _wetted(material: Material, dark: float, mirror: float) -> Material:
    first, second = palette.shade(material.colour_a, dark), palette.shade(material.colour_b, dark)
    return replace(material, colour_a=first, colour_b=second, reflectance=max(material.reflectance, mirror))


def with_puddles(scene: Scene, dice: Dice, count: int) -> Scene:
    """The scene with up to `count` puddles on its roads and pavements, each part of the surface that it lies on."""
    level = np.flatnonzero(_of(scene, ("road", "pavement")) & (upward(scene) > 0.98))
    corners = scene.positions[level].astype(np.float64)
    water = Material(
        texture=Texture.NOISE, colour_a=(0.03, 0.03, 0.03), colour_b=(0.05, 0.045, 0.04), scale_m=0.8,
        reflectance=dice.uniform(0.45, 0.65),
    )  # fmt: skip
    shapes, grounds = [], []
    for _ in range(count):
        rim = _rim(dice)
        face, height = _under(corners, rim)
        if (face >= 0).all() and np.ptp(height) < 0.05:
            shapes.append(np.column_stack([rim, height + _PUDDLE_M]))
            grounds.append(level[face[0]])
    return _with_discs(scene, shapes, grounds, water)


def _rim(dice: Dice) -> Array:
    """(1 + 16, 2) a middle within 30 m and the bent outline of a puddle around it."""
    away, turn = 30 * math.sqrt(dice.uniform(0.002, 1)), dice.uniform(0, 2 * math.pi)
    middle = away * np.array([math.cos(turn), math.sin(turn)])
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    bends = sum(np.sin(k * angle + dice.uniform(0, 6.3)) * dice.uniform(0, 0.5) / k for k in (2, 3, 5))
    radius = math.exp(dice.uniform(math.log(0.15), math.log(1.6))) * (1 + bends)
    axis, flat = dice.uniform(0, math.pi), dice.uniform(0.35, 1.0)
    x, y = radius * np.cos(angle), flat * radius * np.sin(angle)
    turned = np.column_stack([x * math.cos(axis) - y * math.sin(axis), x * math.sin(axis) + y * math.cos(axis)])
    return np.concatenate([middle[None], middle + turned])


def _under(corners: Array, points: Array) -> tuple[NDArray[np.int64], Array]:
    """By plan point (N, 2), the highest of the triangles (T, 3, 3) above or below it (-1: none), and its height."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    det = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    px, py = points[:, :1] - a[:, 0], points[:, 1:] - a[:, 1]  # (N, T)
    with np.errstate(divide="ignore", invalid="ignore"):
        v = (px * (c[:, 1] - a[:, 1]) - py * (c[:, 0] - a[:, 0])) / det
        w = (py * (b[:, 0] - a[:, 0]) - px * (b[:, 1] - a[:, 1])) / det
        inside = (v >= 0) & (w >= 0) & (v + w <= 1)
        height = np.where(inside, a[:, 2] + v * (b[:, 2] - a[:, 2]) + w * (c[:, 2] - a[:, 2]), -np.inf)
    if not len(corners):
        return np.full(len(points), -1), np.zeros(len(points))
    best = height.argmax(axis=1)
    found = np.take_along_axis(height, best[:, None], axis=1)[:, 0]
    return np.where(np.isfinite(found), best, -1), np.where(np.isfinite(found), found, 0.0)


def _with_discs(scene: Scene, shapes: list[Array], grounds: list[np.int64], material: Material) -> Scene:
    """The scene with fans of triangles (first point, then outline), each of class and object of a face of the scene."""
    if not shapes:
        return scene
    fans = []
    for shape in shapes:
        outline = shape[1:]
        fans.append(np.stack([np.repeat(shape[:1], len(outline), 0), outline, np.roll(outline, -1, 0)], 1))
    corners = np.concatenate(fans).astype(np.float32)
    ground = np.repeat(np.array(grounds), [len(fan) for fan in fans])
    up = np.broadcast_to(np.array([0, 0, 1], np.float32), corners.shape)
    water = np.full(len(corners), len(scene.materials), np.int32)
    return replace(
        scene,
        positions=np.concatenate([scene.positions, corners]),
        normals=np.concatenate([scene.normals, up]),
        local=np.concatenate([scene.local, corners]),
        material=np.concatenate([scene.material, water]),
        semantic=np.concatenate([scene.semantic, scene.semantic[ground]]),
        instance=np.concatenate([scene.instance, scene.instance[ground]]),
        group=np.concatenate([scene.group, scene.group[ground]]),
        materials=(*scene.materials, material),
    )


# -- snow ----------------------------------------------------------------------------------------------------


def snowed(scene: Scene, dice: Dice) -> Scene:
    """The scene with snow on all that faces up; steep leaves and ground are only dusted."""
    slope, least = upward(scene), np.full(len(scene.positions), 0.65)
    for names, threshold in _LEAST_SLOPE:
        least[_of(scene, names)] = threshold
    lamps = np.array([material.emission > 0 for material in scene.materials])[scene.material]
    able = ~(_of(scene, _CLEAN) | lamps | _some_cars(scene, dice, share=0.25))
    lies = able & (slope > least)
    dust = able & ~lies & ((_of(scene, ("tree", "plant")) & (slope > -0.15)) | _of(scene, ("grass", "terrain")))
    road, path = lies & _of(scene, ("road",)), lies & _of(scene, ("pavement",))
    scene = remade(scene, dust, partial(_dusted, share=dice.uniform(0.35, 0.75)))
    scene = remade(scene, lies & ~road & ~path, _white(dice))
    scene = remade(scene, path, dice.choice((_white, _trodden, _trodden, _cleared))(dice))
    styles = (_white, _tracks, _tracks, _cleared) if scene.category in _ROADS else (_white, _trodden, _cleared)
    return remade(scene, road, dice.choice(styles)(dice))


def _some_cars(scene: Scene, dice: Dice, share: float) -> Faces:
    """The faces of a random share of the cars: they have come from somewhere dry."""
    cars = _of(scene, ("car",))
    gone = [int(i) for i in np.unique(scene.instance[cars]) if dice.chance(share)]
    return np.asarray(cars & np.isin(scene.instance, gone))


def _white(dice: Dice) -> Change:
    """Fresh snow, a little uneven."""
    light = dice.uniform(0.8, 0.92)
    first: Colour = (light, light, min(1.02 * light, 0.95))
    second: Colour = (0.86 * light, 0.88 * light, 0.94 * light)
    return _covered(Texture.NOISE, first, second, dice.uniform(0.5, 3.0), dice)


def _trodden(dice: Dice) -> Change:
    """Snow that has been walked on."""
    grey = dice.uniform(0.62, 0.8)
    return _covered(Texture.GRAVEL, (0.84, 0.85, 0.87), (grey, grey, 1.03 * grey), dice.uniform(0.15, 0.4), dice)


def _tracks(dice: Dice) -> Change:
    """Snow on a road with two dark tracks in every lane."""
    slush = dice.uniform(0.15, 0.5)
    colour: Colour = (slush, 0.98 * slush, 0.95 * slush)
    return _covered(Texture.STRIPES, (0.8, 0.81, 0.84), colour, 1.75, dice, aux=dice.uniform(0.2, 0.45))


def _covered(
    texture: Texture, first: Colour, second: Colour, scale_m: float, dice: Dice, *, aux: float = 0.5
) -> Change:
    """What makes one material of whatever lies beneath."""
    material = Material(
        texture=texture, colour_a=first, colour_b=second, scale_m=scale_m, aux=aux, seed=dice.integer(1, 9999)
    )
    return lambda _: material


def _cleared(dice: Dice) -> Change:
    """A surface that a plough and salt have made bare, wet and a little grey."""
    share, mirror = dice.uniform(0.0, 0.2), dice.uniform(0.0, 0.08)
    return lambda material: replace(_dusted(material, share), reflectance=mirror)


def _dusted(material: Material, share: float) -> Material:
    """The material with a share of its colour gone white."""
    snow: Colour = (0.85, 0.86, 0.88)
    first, second = palette.mix(material.colour_a, snow, share), palette.mix(material.colour_b, snow, share)
    return replace(material, colour_a=first, colour_b=second, reflectance=(1 - share) * material.reflectance)


# -- lamps ---------------------------------------------------------------------------------------------------


def with_lamps(scene: Scene, places: list[tuple[float, float]], dice: Dice) -> Scene:
    """The scene with a lit lamp post a few metres beside each plan place, where that is not on a road."""
    site = Site(dice=dice, builder=SceneBuilder(), weather=Weather(dark=True))
    site.builder.add_scene(scene)
    ground = np.flatnonzero(_of(scene, _GROUND) & (upward(scene) > 0.9))
    corners = scene.positions[ground].astype(np.float64)
    for place in places:
        away, turn = dice.uniform(3.0, 7.0), dice.uniform(0, 2 * math.pi)
        spot = np.array([place]) + away * np.array([[math.cos(turn), math.sin(turn)]])
        (face,), (height,) = _under(corners, spot)
        if face >= 0 and scene.semantic[ground[face]] != SEMANTIC_ID["road"]:
            site.builder.begin("pole", (*spot[0], height), dice.uniform(0, 2 * math.pi))
            lamp_post(site, 1.0)
    return replace(site.builder.finish(scene.category), sky=scene.sky)


def headlights(scene: Scene, dice: Dice) -> list[PointLight]:
    """A lamp before each of the nearest vehicles whose headlights are lit."""
    white = np.array([m.emission > 3 and min(m.colour_a) > 0.6 for m in scene.materials])[scene.material]
    front = white & _of(scene, ("car",))
    middles = scene.positions.mean(axis=1, dtype=np.float64)
    found = []
    for instance in np.unique(scene.instance[front]):
        own = scene.instance == instance
        lamps = middles[own & front].mean(axis=0)
        ahead = (lamps - middles[own].mean(axis=0))[:2]
        x, y = (float(v) for v in lamps[:2] + 0.8 * ahead / (np.linalg.norm(ahead) + 1e-6))
        found.append((math.hypot(x, y), (x, y, float(lamps[2]))))
    power = dice.uniform(0.6, 2.0)
    return [
        PointLight(position=(x, y, z), colour=(power, 0.95 * power, 0.85 * power), radius_m=0.1)
        for _, (x, y, z) in sorted(found)[:_MOST_HEADLIGHTS]
    ]


# -- faces ---------------------------------------------------------------------------------------------------


def upward(scene: Scene) -> Array:
    """(T,) how much each face looks up: the height of its outward normal, 1 for level ground, -1 for a ceiling.

    Which side of a face is outside follows from its class: ground is seen from above; leaves say it by their shading
    normals; the upper half of a vehicle faces up, the lower down. All else is closed and wound outwards.
    """
    corners = scene.positions.astype(np.float64)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    shading = scene.normals.mean(axis=1, dtype=np.float64)
    level = np.abs(normal[:, 2])
    sharp = np.abs((normal * shading).sum(axis=1)) > 0.999  # no normals of its own: a hedge, which has no underside
    leaf = np.where(sharp, level, shading[:, 2])
    z = corners[..., 2].mean(axis=1)
    vehicle = np.where(z > _middle_heights(scene)[scene.instance], level, -level)
    slope = np.where(_of(scene, ("tree", "plant")), leaf, normal[:, 2])
    slope = np.where(_of(scene, ("car",)), vehicle, slope)
    return np.asarray(np.where(_of(scene, _GROUND), level, slope))


def _middle_heights(scene: Scene) -> Array:
    """By object number, the height of its middle in metres."""
    low, high = (np.full(int(scene.instance.max(initial=0)) + 1, far) for far in (1e6, -1e6))
    z = scene.positions[..., 2].astype(np.float64)
    np.minimum.at(low, scene.instance, z.min(axis=1))
    np.maximum.at(high, scene.instance, z.max(axis=1))
    return np.asarray(0.5 * (low + high))


def remade(scene: Scene, faces: Faces, change: Change) -> Scene:
    """The scene with the materials of some faces changed, of these faces alone."""
    used = np.unique(scene.material[faces])
    number = np.zeros(len(scene.materials), np.int32)
    number[used] = len(scene.materials) + np.arange(len(used), dtype=np.int32)
    material = np.where(faces, number[scene.material], scene.material).astype(np.int32)
    changed = tuple(change(scene.materials[index]) for index in used)
    return replace(scene, material=material, materials=(*scene.materials, *changed))


def _of(scene: Scene, names: tuple[str, ...]) -> Faces:
    return np.isin(scene.semantic, [SEMANTIC_ID[name] for name in names])
