"""Far scenes in fog, rain, snow and at night: the air and the ground change the light, never depth or labels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("warp", reason="the procedural world needs warp-lang: pip install 'edgedepth[world]'")

from edgedepth.world import shard
from edgedepth.world.builder import Dice, SceneBuilder
from edgedepth.world.categories import FAR_CATEGORIES
from edgedepth.world.recipe import BuiltScene, dice_for
from edgedepth.world.render.falling import with_fall
from edgedepth.world.render.renderer import Renderer, Rendering
from edgedepth.world.render.sensor import SensorModel
from edgedepth.world.scene import SEMANTIC_ID, Scene, Sky, Texture, View
from edgedepth.world.shard import STREETS, recipes
from edgedepth.world.street import storm
from edgedepth.world.street import weather as fair
from edgedepth.world.street.site import new_site
from edgedepth.world.synth import SynthConfig, write_dataset

WH = (96, 60)
VIEW = View(position=(0.0, 0.0, 1.5), yaw=0.0, hfov_deg=70)
OVERCAST = Sky(intensity=0.8, cloud=1.3)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer()


def row_of_posts() -> Scene:
    """A road along x, and dark boxes beside it every 10 m."""
    builder = SceneBuilder()
    light = builder.material(Texture.FLAT, (0.4, 0.4, 0.4), (0.4, 0.4, 0.4))
    dark = builder.material(Texture.FLAT, (0.05, 0.05, 0.05), (0.05, 0.05, 0.05))
    builder.begin("road")
    builder.quad([[-90, -90, 0], [90, -90, 0], [90, 90, 0], [-90, 90, 0]], light)
    for number in range(1, 6):
        builder.begin("box", (10.0 * number, 2.0 * number * (number - 3), 1.0))
        builder.box((0, 0, 0), (1, 1, 2), dark)
    builder.sky = OVERCAST
    return builder.finish("city_street")


def rendered(renderer: Renderer, scene: Scene) -> Rendering:
    renderer.load(scene)
    return renderer.render(VIEW, WH, mode="flat", seed=4)


def same_labels(one: Rendering, other: Rendering) -> bool:
    names = ("depth_m", "semantic", "instance")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_fog_takes_contrast_with_distance_and_leaves_depth(renderer: Renderer) -> None:
    scene = row_of_posts()
    clear = rendered(renderer, scene)
    misty = rendered(renderer, replace(scene, sky=replace(OVERCAST, haze_per_m=0.04, haze_top_m=100.0)))
    assert same_labels(clear, misty)
    sky = clear.depth_m == 0
    box = clear.semantic == SEMANTIC_ID["box"]
    air = misty.radiance[sky].mean()
    contrast = []
    for number in np.unique(clear.instance[box]):
        inner = cv2.erode((clear.instance == number).astype(np.uint8), np.ones((2, 1), np.uint8)) > 0
        contrast.append(abs(float(misty.radiance[inner].mean()) - air))
    assert contrast == sorted(contrast, reverse=True)
    assert contrast[-1] < 0.3 * contrast[0]
    # all that is far away is of one colour, the sky too
    assert misty.radiance[sky].std(axis=0).max() < 0.1 * clear.radiance[sky].std(axis=0).max() + 0.01


def test_haze_without_a_top_leaves_the_sky_alone(renderer: Renderer) -> None:
    scene = row_of_posts()
    clear = rendered(renderer, scene)
    hazy = rendered(renderer, replace(scene, sky=replace(OVERCAST, haze_per_m=0.01)))
    top = slice(0, WH[1] // 4)
    assert not clear.depth_m[top].any()
    np.testing.assert_array_equal(clear.radiance[top], hazy.radiance[top])


@pytest.mark.parametrize("fall", [{"rain": 20.0}, {"snow": 6.0}])
def test_what_falls_changes_the_light_where_it_is_asked_for(renderer: Renderer, fall: dict[str, float]) -> None:
    view = rendered(renderer, row_of_posts())

    def light(sky: Sky, seed: int) -> np.ndarray:
        return with_fall(view.radiance, view.depth_m, view.camera, VIEW, sky, dice_for(seed))

    assert light(OVERCAST, 1) is view.radiance
    falling = light(replace(OVERCAST, **fall), 1)
    changed = (falling != view.radiance).any(axis=2)
    assert 0.01 < changed.mean() < 0.95
    assert np.isfinite(falling).all()
    assert (falling >= 0).all()
    np.testing.assert_array_equal(falling, light(replace(OVERCAST, **fall), 1))
    assert not np.array_equal(falling, light(replace(OVERCAST, **fall), 2))


def test_nothing_falls_behind_what_is_near(renderer: Renderer) -> None:
    view = rendered(renderer, row_of_posts())
    close = np.full_like(view.depth_m, 0.3)
    sky = replace(OVERCAST, rain=30.0, snow=10.0)
    np.testing.assert_array_equal(with_fall(view.radiance, close, view.camera, VIEW, sky, dice_for(1)), view.radiance)


def test_rain_falls_down_in_a_rolled_picture_too(renderer: Renderer) -> None:
    grey = np.full((120, 160, 3), 0.2, np.float32)
    far = np.zeros((120, 160), np.float32)
    renderer.load(row_of_posts())
    for roll, upright in ((0.0, True), (np.pi / 2, False)):
        view = replace(VIEW, roll=roll)
        camera = renderer.render(view, (160, 120), mode="flat").camera
        steps = []
        for seed in range(6):
            rain = with_fall(grey, far, camera, view, replace(OVERCAST, rain=6.0), dice_for(seed))[..., 0]
            steps.append([float(np.abs(np.diff(rain, axis=axis)).mean()) for axis in (0, 1)])
        along, across = np.mean(steps, axis=0)
        assert (along < across) == upright


def test_snow_lies_on_what_faces_up_and_nowhere_else() -> None:
    builder = SceneBuilder()
    red = builder.material(Texture.FLAT, (0.5, 0.05, 0.05), (0.5, 0.05, 0.05))
    for name in ("box", "person", "building"):
        builder.begin(name)
        builder.box((0, 0, 1), (2, 2, 2), red)
    scene = builder.finish("square")
    for seed in range(5):
        snowy = storm.snowed(scene, dice_for(seed))
        np.testing.assert_array_equal(snowy.positions, scene.positions)
        np.testing.assert_array_equal(snowy.semantic, scene.semantic)
        np.testing.assert_array_equal(snowy.instance, scene.instance)
        white = np.array([min(material.colour_a) > 0.6 for material in snowy.materials])[snowy.material]
        top = scene.positions[..., 2].min(axis=1) > 1.9
        np.testing.assert_array_equal(white, top & (scene.semantic != SEMANTIC_ID["person"]))


def test_the_upper_side_of_everything_in_a_street_is_found() -> None:
    built = recipes("street")["residential_street"](dice_for(5, 0))
    slope = storm.upward(built.scene)
    for name in ("road", "grass"):
        assert slope[built.scene.semantic == SEMANTIC_ID[name]].min() > -1e-6
    scene = built.scene
    cars = scene.semantic == SEMANTIC_ID["car"]
    for number in np.unique(scene.instance[cars])[:8]:
        own = scene.instance == number
        z = scene.positions[own][..., 2].mean(axis=1)
        roof = z > z.max() - 0.15  # the car may stand on a slope
        assert slope[own][roof].max() > 0.9
        assert slope[own][z < z.min() + 0.3].max() < 0.5  # nothing lies below a car


def test_a_wet_road_is_darker_and_mirrors(renderer: Renderer) -> None:
    scene = row_of_posts()
    damp = storm.wet(scene, dice_for(2), 1.0)
    road = damp.materials[damp.material[0]]
    assert max(road.colour_a) < 0.4
    assert road.reflectance >= 0.06
    box = damp.materials[damp.material[np.flatnonzero(scene.semantic == SEMANTIC_ID["box"])[0]]]
    assert box == scene.materials[1]
    lit = []
    for one in (scene, damp):
        renderer.load(one)
        lit.append(renderer.render(VIEW, WH, seed=1))
    dry, wet = lit
    lower = (dry.semantic == SEMANTIC_ID["road"]) & (dry.depth_m > 5)
    # the boxes hang upside down in the wet road: it is less even than the dry one
    spread = [float((r.radiance[lower].std(axis=0) / r.radiance[lower].mean(axis=0)).mean()) for r in (dry, wet)]
    assert spread[1] > 1.5 * spread[0]


def test_puddles_lie_on_the_road_and_belong_to_it() -> None:
    scene = row_of_posts()
    wet = storm.with_puddles(scene, dice_for(3), 40)
    new = slice(len(scene.positions), None)
    assert len(wet.positions) > len(scene.positions)
    assert set(wet.semantic[new]) == {SEMANTIC_ID["road"]}
    assert set(wet.instance[new]) == {int(scene.instance[0])}
    assert wet.positions[new][..., 2].max() < 0.02
    np.testing.assert_array_equal(wet.positions[: len(scene.positions)], scene.positions)


def test_every_far_category_has_weather_of_every_kind() -> None:
    assert "weather" in STREETS
    assert set(recipes("weather")) == set(FAR_CATEGORIES)
    kinds = [storm.drawn_kind(dice_for(seed)) for seed in range(60)]
    assert set(kinds) == {storm.fog, storm.rain, storm.snow, storm.night}


def test_nights_have_lamps_and_days_have_no_sun() -> None:
    seen = set()
    for seed in range(12):
        sky = recipes("weather")["field"](dice_for(seed, 0)).scene.sky
        dark = sky.intensity < 0.1
        seen.add(dark)
        if dark:
            assert max(sky.sun_colour) < 0.1  # a moon at most
        else:
            assert sky.sun_colour == (0.0, 0.0, 0.0)
            assert sky.haze_per_m > 0
    assert seen == {True, False}


def test_a_clear_sky_lights_level_ground_less_than_its_sun() -> None:
    ratios = []
    for seed in range(200):
        sky = fair._clear(dice_for(seed))
        sun = sky.sun_colour[0] * sky.sun_direction[2]
        ratios.append(sun / (0.6 * sky.intensity))
    assert 2.2 < min(ratios) < 3.5
    assert 7.0 < max(ratios) < 8.1
    assert np.quantile(ratios, 0.9) - np.quantile(ratios, 0.1) > 3


@pytest.mark.parametrize(("world", "category"), [("street", "field"), ("crossing", "field"), ("weather", "field")])
def test_no_daylight_is_made_up_under_a_dark_sky(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: shard.World, category: str
) -> None:
    build = recipes(world)[category]

    def dusk(dice: Dice) -> BuiltScene:
        built = build(dice)
        return replace(built, scene=replace(built.scene, sky=fair._dusk(dice)))

    monkeypatch.setattr(shard, "recipes", lambda _: {category: dusk})
    job = shard.ShardJob(
        out=tmp_path, world=world, index=0, scene_seed=1, split="train", category=category, views=6, wh=(32, 24),
        quality="mixed", device="cpu",
    )  # fmt: skip
    assert {entry["mode"] for entry in shard.write_shard(job)} == {"lit"}


@pytest.mark.parametrize("dark", [True, False])
def test_the_dice_of_a_recipe_give_the_light_that_is_asked_for(dark: bool) -> None:
    for seed in range(5):
        assert new_site(storm.own_dice(dice_for(seed), dark=dark)).weather.dark == dark


def test_rows_are_noisy_only_where_asked_for() -> None:
    radiance, depth_m = np.full((60, 80, 3), 0.3, np.float32), np.ones((60, 80), np.float32)
    camera = SensorModel(noise_shot=0.01, noise_read=0.002)
    plain = camera.photograph(radiance, depth_m, dice_for(1))
    banded = replace(camera, noise_rows=0.02).photograph(radiance, depth_m, dice_for(1))
    rows = [picture.astype(float).mean(axis=(1, 2)).std() for picture in (plain, banded)]
    columns = [picture.astype(float).mean(axis=(0, 2)).std() for picture in (plain, banded)]
    assert rows[1] > 3 * rows[0]
    assert columns[1] == pytest.approx(columns[0], rel=0.3)
    for seed in range(20):
        assert SensorModel.draw(dice_for(seed)).noise_rows == 0


def test_other_worlds_ask_for_nothing_of_this() -> None:
    assert (Sky().haze_top_m, Sky().rain, Sky().snow) == (0.0, 0.0, 0.0)
    for world in ("street", "crossing"):
        for seed in range(3):
            sky = recipes(world)["field"](dice_for(seed, 0)).scene.sky
            assert (sky.haze_top_m, sky.rain, sky.snow) == (0.0, 0.0, 0.0)


def test_a_data_set_is_the_same_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard, "recipes", lambda world: dict.fromkeys(FAR_CATEGORIES, recipes(world)["field"]))
    pictures = []
    for name in ("a", "b"):
        config = SynthConfig(
            out=tmp_path / name, world="weather", count=3, wh=(48, 32), seed=2, views_per_scene=1, workers=1
        )
        write_dataset(config)
        entries = json.loads((tmp_path / name / "pairs.json").read_text())
        assert {(entry["route"], entry["depth_scale"]) for entry in entries} == {("high", 500.0)}
        keys = ("rgb", "depth", "semantic")
        pictures.append([(tmp_path / name / entry[key]).read_bytes() for entry in entries for key in keys])
    assert pictures[0] == pictures[1]
