"""The worker's half of `synth`: renders the views of one scene, or a stretch of a walk, and writes them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.files import write_atomic
from edgedepth.world.builder import Dice
from edgedepth.world.categories import NEAR_CATEGORIES
from edgedepth.world.indoor.viewpoints import on_floor
from edgedepth.world.recipe import Build, BuiltScene, dice_for
from edgedepth.world.render.falling import with_fall
from edgedepth.world.render.pose import world_from_camera
from edgedepth.world.render.renderer import Mode, Renderer, Rendering
from edgedepth.world.render.sensor import SensorModel
from edgedepth.world.scene import SEMANTIC_ID, View
from edgedepth.world.street.storm import is_dark, sensor_in

# Seeds depend on the order: append only.
World = Literal[
    "indoor",
    "street",
    "walk",
    "bare",
    "gallery",
    "company",
    "crossing",
    "jam",
    "weather",
    "halls",
    "close",
    "sunny",
    "scan",
    "drive",
]
WORLDS: tuple[World, ...] = get_args(World)

# What a quality is: (share of views in mode 'lit', light paths per pixel there).
QUALITIES = {"mixed": (0.6, 1), "lit": (1.0, 1), "flat": (0.0, 1), "fine": (1.0, 4)}

LENSES = ("straight", "mixed")
_LENS_STREAM = 7
_WEATHER_STREAM = 11

# Worlds of near scenes and of far ones; a walk passes through both, and halls are of either kind.
ROOMS: tuple[World, ...] = ("indoor", "bare", "gallery", "company", "close", "sunny", "scan")
STREETS: tuple[World, ...] = ("street", "crossing", "jam", "weather", "drive")

# 16-bit units per metre: 0.2 mm to 13.1 m indoors, 2 mm to 131 m outdoors and where there is both.
DEPTH_SCALE: dict[World, int] = {world: 5000 if world in ROOMS else 500 for world in WORLDS}

VIEW_FILES = ("rgb", "depth", "semantic", "instance")  # what an entry names of a view
WALK_CHUNK = 24  # frames per shard of a walk

_JPEG_QUALITY = 95
_VIEW_TRIES = 24
_SURVEY_WIDTH = 48
_NEAR_M: dict[World, float] = {world: 1.2 if world in STREETS else 0.4 for world in WORLDS} | {"close": 0.25}
_NEAR_ON_FLOOR_M = 0.12  # the floor itself is this near
_MOST_NEAR = 0.2  # share of pixels that may be nearer than that
_MOST_ONE_OBJECT = 0.9  # share of pixels that may belong to one object: no views of a bare wall
_WALK_FAR_M = 10.0  # a frame of a walk is far when this share of it is beyond this depth
_WALK_FAR_SHARE = 0.2


@dataclass(frozen=True, kw_only=True)
class ShardJob:
    """One scene to render: `scene_seed` makes it, `views` says how many views of it; files go below `out`."""

    out: Path
    world: World
    index: int
    scene_seed: int
    split: str
    category: str
    views: int
    wh: tuple[int, int]
    quality: str
    device: str
    lens: str = "straight"
    total: int = 0  # of a walk: frames of the whole path

    @property
    def path(self) -> Path:
        """The record that says this shard is complete."""
        return self.out / ".shards" / f"{self.index:06d}.json"


def write_shard(job: ShardJob) -> list[dict[str, Any]]:
    """Render and write one shard, its record last, and return its entries of pairs.json.

    Raises:
        OutputError: a file cannot be written.
    """
    renderer = _renderer(job.device)
    entries = _walk_entries(job, renderer) if job.world == "walk" else _scene_entries(job, renderer)
    write_json(job.path, entries)
    return entries


def recipes(world: World) -> dict[str, Build]:
    """The recipes of a world by category."""
    from edgedepth.world.company import company, crossing
    from edgedepth.world.halls import HALL_RECIPES
    from edgedepth.world.indoor.bare import bare, gallery
    from edgedepth.world.indoor.close import CLOSE_RECIPES
    from edgedepth.world.indoor.recipes import INDOOR_RECIPES, inhabited_recipes, scanned_recipes, sunny_recipes
    from edgedepth.world.street.recipes import DRIVE_RECIPES, JAM_RECIPES, STREET_RECIPES
    from edgedepth.world.street.storm import weather

    if world == "company":
        return {name: company(build) for name, build in inhabited_recipes().items()}
    if world == "crossing":
        return {name: crossing(build) for name, build in STREET_RECIPES.items()}
    if world == "jam":
        return dict(JAM_RECIPES)
    if world == "drive":
        return dict(DRIVE_RECIPES)
    if world == "close":
        return dict(CLOSE_RECIPES)
    if world == "halls":
        return dict(HALL_RECIPES)
    if world == "sunny":
        return sunny_recipes()
    if world == "scan":
        return scanned_recipes()
    if world == "weather":
        return {name: weather(build) for name, build in STREET_RECIPES.items()}
    if world in ROOMS:
        made = {"indoor": lambda build: build, "bare": bare, "gallery": gallery}[world]
        return {name: made(build) for name, build in INDOOR_RECIPES.items()}
    return dict(STREET_RECIPES)


# -- files ---------------------------------------------------------------------------------------------------


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that the file is either complete or absent."""
    write_atomic(path, json.dumps(value, indent=1) + "\n")


def _encoded(suffix: str, image: NDArray[Any], *options: int) -> bytes:
    _, data = cv2.imencode(suffix, image, list(options))
    return bytes(data.tobytes())


def _depth_code(depth_m: NDArray[np.float32], scale: int) -> NDArray[np.uint16]:
    """Depth in units of 1 / scale metres; 0 where there is none or it does not fit 16 bits."""
    code = np.rint(depth_m * np.float32(scale))
    return np.where(code <= 65535, code, 0).astype(np.uint16)


def _write_view(job: ShardJob, name: str, picture: NDArray[np.uint8], view: Rendering) -> dict[str, Any]:
    """Write the four files of a view and return its entry, without what only the caller knows."""
    files = {
        "rgb": (".jpg", _encoded(".jpg", picture[..., ::-1], cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY)),
        "depth": (".depth.png", _encoded(".png", _depth_code(view.depth_m, DEPTH_SCALE[job.world]))),
        "semantic": (".semantic.png", _encoded(".png", view.semantic)),
        "instance": (".instance.png", _encoded(".png", view.instance)),
    }
    for suffix, data in files.values():
        write_atomic(job.out / job.split / f"{name}{suffix}", data)
    camera = view.camera
    return {
        "id": f"{job.split}/{name}",
        **{key: f"{job.split}/{name}{suffix}" for key, (suffix, _) in files.items()},
        "depth_scale": float(DEPTH_SCALE[job.world]),
        "intrinsics": [camera.fx, camera.fy, camera.cx, camera.cy],
        "category": job.category,
        "scene_seed": job.scene_seed,
        "split": job.split,
    }


# -- scenes --------------------------------------------------------------------------------------------------

_renderers: dict[str, Renderer] = {}


def _renderer(device: str) -> Renderer:
    """This process's renderer, kept between shards: starting one takes longer than a picture."""
    if device not in _renderers:
        _renderers[device] = Renderer(device)
    return _renderers[device]


def _scene_entries(job: ShardJob, renderer: Renderer) -> list[dict[str, Any]]:
    built = recipes(job.world)[job.category](dice_for(job.scene_seed, 0))
    renderer.load(built.scene)
    near = job.category in NEAR_CATEGORIES
    skies = not near or bool((built.scene.semantic == SEMANTIC_ID["window"]).any())
    entries = []
    for number in range(job.views):
        dice = dice_for(job.scene_seed, 1 + number)
        view = choose_view(renderer, built, dice, job)
        lit_share, samples = QUALITIES[job.quality]
        mode: Mode = "lit" if dice.chance(lit_share) else "flat"
        if not near and is_dark(built.scene.sky) and lit_share > 0:
            mode = "lit"
        noise = dice.integer(0, 2**30)
        if job.lens == "mixed":  # dice of its own: all else is drawn as without it
            view = replace(view, bend=draw_bend(view, job.wh, dice_for(job.scene_seed, number, _LENS_STREAM)))
        rendering = renderer.render(view, job.wh, mode=mode, samples=samples, seed=noise)
        sensor, radiance = SensorModel.draw(dice, skies=skies), rendering.radiance
        if job.world == "weather":
            air = dice_for(job.scene_seed, number, _WEATHER_STREAM)
            sensor = sensor_in(built.scene.sky, sensor, air)
            radiance = with_fall(radiance, rendering.depth_m, rendering.camera, view, built.scene.sky, air)
        picture = sensor.photograph(radiance, rendering.depth_m, dice, focal_px=rendering.camera.fx)
        entry = _write_view(job, f"{job.index:06d}_{number}", picture, rendering)
        routing = {"domain": "indoor" if near else "outdoor", "route": "low" if near else "high"}
        lens = {"bend": view.bend} if job.lens == "mixed" else {}
        entries.append({**entry, **routing, **lens, "mode": mode})
    return entries


def draw_bend(view: View, wh: tuple[int, int], dice: Dice) -> float:
    """A drawn lens: straight, as rectified pictures are, or a barrel, seldom a slight pincushion."""
    if dice.chance(0.5):
        return 0.0
    edge = math.tan(math.radians(view.hfov_deg) / 2) * max(1.0, wh[1] / wh[0])
    shift = dice.uniform(-0.03, 0.05) if dice.chance(0.5) else dice.uniform(0.05, 0.2)  # at the edges farthest apart
    return -shift / edge**2


def choose_view(renderer: Renderer, built: BuiltScene, dice: Dice, job: ShardJob) -> View:
    """Draw views until one is not blocked by something close and not filled by a single object.

    A scene that blocks every draw gives the least blocked one, so that a data set always has its count.
    """
    best, least = built.sample_view(dice), np.inf
    view = best
    wh = (_SURVEY_WIDTH, max(1, round(_SURVEY_WIDTH * job.wh[1] / job.wh[0])))
    for _ in range(_VIEW_TRIES):
        depth_m, instance = renderer.survey(view, wh)
        near_m = _NEAR_ON_FLOOR_M if job.world in ROOMS and on_floor(view) else _NEAR_M[job.world]
        near = float(np.mean((depth_m > 0) & (depth_m < near_m)))
        largest = float(np.bincount(instance.ravel()).max() / instance.size)
        badness = max(near / _MOST_NEAR, largest / _MOST_ONE_OBJECT)
        if badness <= 1.0:
            return view
        if badness < least:
            best, least = view, badness
        view = built.sample_view(dice)
    return best


# -- walks ---------------------------------------------------------------------------------------------------


def _walk_entries(job: ShardJob, renderer: Renderer) -> list[dict[str, Any]]:
    """Consecutive frames of one camera on its way from a room into the street, with their poses."""
    from edgedepth.world.walk.walk import build_walk

    walk = build_walk(dice_for(job.scene_seed, 0))
    renderer.load(walk.scene)
    first = job.index * WALK_CHUNK
    sensor = SensorModel(key=0.36, highlight=3.0, noise_shot=0.012, noise_read=0.002, contrast=0.25)
    lit_share, samples = QUALITIES[job.quality]
    mode: Mode = "lit" if lit_share > 0 else "flat"
    entries = []
    for number, view in enumerate(walk.views(job.total)[first : first + job.views], start=first):
        rendering = renderer.render(view, job.wh, mode=mode, samples=samples, seed=job.scene_seed % 2**30)
        dice = dice_for(job.scene_seed, 1 + number)
        picture = sensor.photograph(rendering.radiance, rendering.depth_m, dice, focal_px=rendering.camera.fx)
        beyond = (rendering.depth_m > _WALK_FAR_M) | (rendering.depth_m == 0)
        far = bool(beyond.mean() > _WALK_FAR_SHARE)
        entry = _write_view(job, f"{number:06d}", picture, rendering)
        routing = {"domain": "outdoor" if far else "indoor", "route": "high" if far else "low"}
        pose = world_from_camera(view).tolist()
        entries.append({**entry, **routing, "mode": mode, "world_from_camera": pose})
    return entries
