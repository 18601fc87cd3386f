"""The renderer against analytic geometry, and the sensor model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("warp")

from edgedepth.core.errors import BackendError, InputError, UnknownNameError
from edgedepth.world.builder import SceneBuilder
from edgedepth.world.recipe import dice_for
from edgedepth.world.render.pose import world_from_camera
from edgedepth.world.render.renderer import MODES, Renderer
from edgedepth.world.render.sensor import SensorModel
from edgedepth.world.scene import SEMANTIC_ID, PointLight, Scene, Sky, Texture, View

WH = (48, 36)
SUNNY = Sky(sun_direction=(0.0, 0.6, 0.8), sun_colour=(2.0, 2.0, 2.0), intensity=1.0)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer()


def box_on_floor(texture: Texture = Texture.FLAT, **material: float) -> Scene:
    """A floor at z = 0 and a box whose near face is the plane x = 3."""
    builder = SceneBuilder()
    grey = builder.material(texture, (0.5, 0.5, 0.5), (0.3, 0.2, 0.1), scale_m=0.3, **material)
    builder.begin("floor")
    builder.quad([[-50, -50, 0], [50, -50, 0], [50, 50, 0], [-50, 50, 0]], grey)
    builder.begin("box")
    builder.box((4, 0, 0.5), (2, 2, 1), grey)
    builder.lights.append(PointLight(position=(0.0, 0.0, 3.0), colour=(5.0, 5.0, 5.0)))
    builder.sky = SUNNY
    return builder.finish("store_room")


def test_depth_of_a_facing_plane_is_constant_over_the_image(renderer: Renderer) -> None:
    builder = SceneBuilder()
    material = builder.material(Texture.NOISE, (0.5, 0.5, 0.5))
    builder.begin("wall")
    builder.box((5.5, 0, 0), (1, 100, 100), material)
    renderer.load(builder.finish("corridor"))
    # A yaw of 0.3 turns the plane; the pose undoes it, so depth must be that of the turned plane.
    for yaw in (0.0, 0.3):
        view = View(position=(1.0, 0.2, 0.4), yaw=yaw, hfov_deg=70)
        rendering = renderer.render(view, WH)
        directions = rendering.camera.rays() @ world_from_camera(view)[:3, :3].T
        np.testing.assert_allclose(rendering.depth_m, 4.0 / directions[..., 0], rtol=2e-5)
        assert (rendering.semantic == SEMANTIC_ID["wall"]).all()


@pytest.mark.parametrize("roll", [0.0, 0.2])
def test_depth_and_labels_of_floor_and_box_are_analytic(renderer: Renderer, roll: float) -> None:
    renderer.load(box_on_floor())
    view = View(position=(0.0, 0.0, 1.2), yaw=0.05, pitch=-0.15, roll=roll, hfov_deg=80)
    rendering = renderer.render(view, WH)
    pose = world_from_camera(view)
    points = rendering.camera.rays() * rendering.depth_m[..., None] @ pose[:3, :3].T + pose[:3, 3]
    floor = rendering.semantic == SEMANTIC_ID["floor"]
    box = rendering.semantic == SEMANTIC_ID["box"]
    sky = rendering.semantic == SEMANTIC_ID["sky"]
    assert floor.sum() > 200
    assert box.sum() > 100
    assert sky.sum() > 100
    np.testing.assert_allclose(points[floor][:, 2], 0.0, atol=2e-4)
    on_front = np.abs(points[box][:, 0] - 3.0) < 2e-4
    on_top = np.abs(points[box][:, 2] - 1.0) < 2e-4
    assert (on_front | on_top).all()
    assert on_front.any()
    assert on_top.any()
    assert (rendering.depth_m[sky] == 0).all()
    assert (rendering.instance[sky] == 0).all()
    assert set(np.unique(rendering.instance[~sky])) == {1, 2}


@pytest.mark.parametrize("bend", [-0.12, 0.04])
def test_a_bent_lens_sees_the_same_points_elsewhere(renderer: Renderer, bend: float) -> None:
    renderer.load(box_on_floor())
    view = View(position=(0.0, 0.0, 1.2), yaw=0.05, pitch=-0.15, hfov_deg=80, bend=bend)
    rendering = renderer.render(view, WH)
    rays = rendering.camera.rays()  # (H, W, 3) with z = 1, of a straight lens
    grown = 1 / (1 + bend * (rays[..., :1] ** 2 + rays[..., 1:2] ** 2))
    rays = np.concatenate([rays[..., :2] * grown, rays[..., 2:]], -1)
    pose = world_from_camera(view)
    points = rays * rendering.depth_m[..., None] @ pose[:3, :3].T + pose[:3, 3]
    floor = rendering.semantic == SEMANTIC_ID["floor"]
    assert floor.sum() > 200
    np.testing.assert_allclose(points[floor][:, 2], 0.0, atol=3e-4)
    straight = renderer.render(replace(view, bend=0.0), WH)
    assert (straight.depth_m != rendering.depth_m).mean() > 0.3


def test_roll_is_clockwise_and_pitch_is_upwards() -> None:
    pose = world_from_camera(View(position=(1.0, 2.0, 3.0), yaw=0.0, pitch=0.1))
    np.testing.assert_allclose(pose[:3, 2], [np.cos(0.1), 0, np.sin(0.1)], atol=1e-12)
    np.testing.assert_allclose(pose[:3, 3], [1, 2, 3])
    rolled = world_from_camera(View(position=(0.0, 0.0, 0.0), yaw=0.0, roll=0.1))
    assert rolled[2, 0] < 0  # the right hand sinks
    np.testing.assert_allclose(rolled[:3, :3] @ rolled[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rolled[:3, :3]) == pytest.approx(1.0)


@pytest.mark.parametrize("texture", list(Texture))
def test_every_texture_gives_radiance_in_a_plausible_range(renderer: Renderer, texture: Texture) -> None:
    renderer.load(box_on_floor(texture, aux=0.4))
    rendering = renderer.render(View(position=(0.0, 0.0, 1.2), yaw=0.0, pitch=-0.2), WH, mode="flat")
    assert rendering.radiance.shape == (36, 48, 3)
    assert np.isfinite(rendering.radiance).all()
    assert rendering.radiance.min() >= 0
    assert 0.005 < rendering.radiance.mean() < 5


@pytest.mark.parametrize("mode", MODES)
def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(renderer: Renderer, mode: str) -> None:
    view = View(position=(0.0, 0.0, 1.2), yaw=0.0, pitch=-0.2)
    other = Renderer()
    for each in (renderer, other):
        each.load(box_on_floor(Texture.BRICK))
    first = renderer.render(view, WH, mode=mode, seed=5)
    again = other.render(view, WH, mode=mode, seed=5)
    different = renderer.render(view, WH, mode=mode, seed=6)
    assert first.radiance.tobytes() == again.radiance.tobytes()
    assert first.depth_m.tobytes() == again.depth_m.tobytes()
    assert first.radiance.tobytes() != different.radiance.tobytes()
    assert first.depth_m.tobytes() == different.depth_m.tobytes()


def test_the_box_throws_a_shadow_in_lit_mode(renderer: Renderer) -> None:
    scene = box_on_floor()
    renderer.load(replace(scene, lights=(), sky=replace(SUNNY, intensity=0.1, cloud=0.0)))
    # The sun stands at +y, so the floor on the -y side of the box (y from -1 to -1.75) is dark.
    view = View(position=(4.0, -1.3, 6.0), yaw=0.0, pitch=-1.57, hfov_deg=60)
    rendering = renderer.render(view, (60, 60))
    rays = rendering.camera.rays() * rendering.depth_m[..., None]
    pose = world_from_camera(view)
    y = (rays @ pose[:3, :3].T + pose[:3, 3])[..., 1]
    x = (rays @ pose[:3, :3].T + pose[:3, 3])[..., 0]
    floor = (rendering.semantic == SEMANTIC_ID["floor"]) & (np.abs(x - 4) < 0.7)
    shadow = rendering.radiance[floor & (y > -1.6) & (y < -1.1)].mean()
    sunlit = rendering.radiance[floor & (y < -2.2)].mean()
    assert shadow < 0.4 * sunlit


def test_a_mirror_shows_what_stands_before_it(renderer: Renderer) -> None:
    builder = SceneBuilder()
    red = builder.material(Texture.FLAT, (0.9, 0.05, 0.05))
    mirror = builder.material(Texture.FLAT, (0.1, 0.1, 0.1), reflectance=0.9)
    builder.begin("mirror")
    builder.box((3, 0, 0), (0.1, 4, 4), mirror)
    builder.begin("wall")
    builder.box((-3, 0, 0), (0.1, 40, 40), red)
    builder.sky = replace(SUNNY, sun_direction=(0.8, 0.0, 0.6))
    renderer.load(builder.finish("bathroom"))
    rendering = renderer.render(View(position=(0.0, 0.0, 0.0), yaw=0.0, hfov_deg=40), WH)
    red_mean, green_mean, _ = rendering.radiance.mean((0, 1))
    assert red_mean > 2 * green_mean
    assert rendering.depth_m[18, 24] == pytest.approx(2.95, rel=1e-4)  # the mirror's own depth


def test_lit_walls_are_smooth(renderer: Renderer) -> None:
    """One light path per pixel must not leave blotches on an even wall lit by a lamp and by the room."""
    builder = SceneBuilder()
    white = builder.material(Texture.CONCRETE, (0.8, 0.8, 0.8), (0.8, 0.8, 0.8), scale_m=100.0)
    builder.begin("wall")
    for sign in (-1, 1):
        builder.box((4 * sign, 0, 1.3), (0.1, 8, 2.6), white)
        builder.box((0, 4 * sign, 1.3), (8, 0.1, 2.6), white)
        builder.box((0, 0, 1.3 + 1.3 * sign), (8, 8, 0.1), white)
    builder.lights.append(PointLight(position=(0.0, 0.0, 2.3), colour=(5.0, 5.0, 5.0)))
    renderer.load(builder.finish("office"))
    rendering = renderer.render(View(position=(-1.0, 0.0, 1.3), yaw=0.0, hfov_deg=20), (64, 48))
    luma = rendering.radiance.mean(2)
    # Residual noise: what is left of the wall's light after a smooth quadratic surface is taken away.
    y, x = np.mgrid[-1:1:48j, -1:1:64j]
    basis = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1).reshape(-1, 6)
    fit, *_ = np.linalg.lstsq(basis, luma.ravel(), rcond=None)
    residual = luma.ravel() - basis @ fit
    assert residual.std() < 0.04 * luma.mean()


def test_survey_agrees_with_render(renderer: Renderer) -> None:
    renderer.load(box_on_floor())
    view = View(position=(0.0, 0.0, 1.2), yaw=0.0, pitch=-0.2)
    depth_m, instance = renderer.survey(view, WH)
    rendering = renderer.render(view, WH, mode="flat")
    np.testing.assert_array_equal(depth_m, rendering.depth_m)
    np.testing.assert_array_equal(instance, rendering.instance)


def test_wrong_calls_say_what_is_wrong(renderer: Renderer) -> None:
    with pytest.raises(InputError, match="load"):
        Renderer().render(View(position=(0.0, 0.0, 0.0), yaw=0.0), WH)
    renderer.load(box_on_floor())
    with pytest.raises(UnknownNameError, match="lit, flat"):
        renderer.render(View(position=(0.0, 0.0, 0.0), yaw=0.0), WH, mode="shiny")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="size"):
        renderer.render(View(position=(0.0, 0.0, 0.0), yaw=0.0), (0, 36))
    with pytest.raises(BackendError, match="device"):
        Renderer("cuda:99")


# -- sensor --------------------------------------------------------------------------------------------------


def scene_radiance(level: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    radiance = (level * rng.random((60, 80, 3)) ** 2).astype(np.float32)
    radiance[:5, :5] = 50 * level  # a lamp
    depth_m = np.linspace(0.5, 20, 80, dtype=np.float32)[None].repeat(60, 0)
    depth_m[:10] = 0
    return radiance, depth_m


def test_every_drawn_camera_gives_a_usable_photograph() -> None:
    radiance, depth_m = scene_radiance()
    means = []
    for seed in range(60):
        dice = dice_for(seed)
        picture = SensorModel.draw(dice).photograph(radiance, depth_m, dice)
        assert picture.dtype == np.uint8
        assert picture.shape == radiance.shape
        means.append(picture.mean())
    assert 60 < np.median(means) < 170
    assert min(means) > 8
    assert max(means) < 245


def test_exposure_adapts_to_the_light() -> None:
    photographs = []
    for level in (0.001, 1.0, 1000.0):
        radiance, depth_m = scene_radiance(level)
        photographs.append(SensorModel().photograph(radiance, depth_m, dice_for(0)).astype(int))
    assert np.abs(photographs[0] - photographs[1]).max() <= 1
    assert np.abs(photographs[2] - photographs[1]).max() <= 1


def test_highlights_hold_the_exposure_back() -> None:
    """A bright window over a tenth of the picture: a plain mean meter would burn it out."""
    radiance = np.full((60, 80, 3), 0.05, np.float32)
    radiance[:, 70:] = 3.0
    depth_m = np.ones((60, 80), np.float32)
    picture = SensorModel(highlight=1.5, curve="film").photograph(radiance, depth_m, dice_for(0))
    assert picture[:, 70:].max() < 255
    assert picture[:, :70].min() > 20


def test_photograph_is_repeatable_and_noise_depends_on_the_dice() -> None:
    radiance, depth_m = scene_radiance()
    sensor = SensorModel(noise_shot=0.05, noise_read=0.01)
    first, again, other = (sensor.photograph(radiance, depth_m, dice_for(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5


def test_defocus_blurs_what_is_out_of_focus_only() -> None:
    radiance, depth_m = scene_radiance()
    radiance = np.clip(radiance, 0, 1)
    depth_m = np.full((60, 80), 2.0, np.float32)
    depth_m[:, 40:] = 50.0
    sharp = SensorModel(highlight=100.0).photograph(radiance, depth_m, dice_for(0)).astype(float)
    camera = SensorModel(highlight=100.0, aperture_m=0.04, focus_at=(-0.2, 0.0))
    soft = camera.photograph(radiance, depth_m, dice_for(0), focal_px=400.0)
    left, right = np.s_[10:50, 5:30], np.s_[10:50, 50:75]
    assert soft[left].std() > 0.9 * sharp[left].std()
    assert soft[right].std() < 0.6 * sharp[right].std()


def test_blur_follows_from_aperture_focal_length_and_depth() -> None:
    """c = A f |1 / z - 1 / focus|, the thin lens; the far half is the sky."""
    depth_m = np.full((60, 80), 2.0, np.float32)
    depth_m[:, 50:] = 0.0
    camera = SensorModel(aperture_m=0.004)
    blur = 4 * camera._confusion(depth_m, 250.0)
    assert blur[:, :50].max() == 0
    assert blur[0, 60] == pytest.approx(0.004 * 250 / 2, rel=1e-5)
    assert 4 * replace(camera, focus_miss=0.5)._confusion(depth_m, 250.0)[0, 0] == pytest.approx(0.5, rel=1e-5)
    drawn = [SensorModel.draw(dice_for(seed)) for seed in range(300)]
    assert all(0.001 <= one.aperture_m <= 0.006 for one in drawn)
    assert 0.08 < np.mean([one.focus_miss != 1 for one in drawn]) < 0.22


def test_noise_is_that_of_the_pixels_the_sensor_has() -> None:
    radiance, depth_m = np.full((60, 80, 3), 0.3, np.float32), np.ones((60, 80), np.float32)
    camera = SensorModel(noise_shot=0.05, noise_read=0.01)
    spread = [
        replace(camera, native_px=wide).photograph(radiance, depth_m, dice_for(1)).astype(float).std()
        for wide in (0, 80, 320)
    ]
    assert spread[0] == spread[1]
    assert spread[2] == pytest.approx(spread[0] / 4, rel=0.1)
    natives = [SensorModel.draw(dice_for(seed)).native_px for seed in range(600)]
    assert 0.01 < np.mean([wide == 0 for wide in natives]) < 0.05
    assert all(wide == 0 or 640 <= wide <= 1920 for wide in natives)


def test_some_cameras_let_the_sky_burn_out_and_some_have_hard_curves() -> None:
    radiance, depth_m = np.full((60, 80, 3), 0.05, np.float32), np.ones((60, 80), np.float32)
    radiance[:30] = 1.0
    low, whole = (
        SensorModel(meter_low=low, highlight=2.0, curve="clip").photograph(radiance, depth_m, dice_for(0))
        for low in (True, False)
    )
    assert low[:30].min() == 255
    assert low[30:].mean() > 1.2 * whole[30:].mean()
    ramp = np.broadcast_to(np.geomspace(0.01, 2.0, 80, dtype=np.float32)[None, :, None], (60, 80, 3))
    hard = SensorModel(curve="clip", contrast=1.0, black=0.02, burnt=0.1).photograph(ramp, depth_m, dice_for(0))
    assert (hard < 20).mean() > 0.05
    assert (hard > 245).mean() > 0.05
    drawn = [SensorModel.draw(dice_for(seed), skies=True) for seed in range(400)]
    assert 0.22 < np.mean([one.meter_low for one in drawn]) < 0.38
    assert 0.18 < np.mean([one.burnt > 0 for one in drawn]) < 0.32
    assert not any(SensorModel.draw(dice_for(seed)).meter_low for seed in range(50))


def test_the_sensor_refuses_bad_arrays() -> None:
    radiance, depth_m = scene_radiance()
    with pytest.raises(InputError, match=r"\(H, W, 3\)"):
        SensorModel().photograph(radiance[..., 0], depth_m, dice_for(0))
    radiance[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="finite"):
        SensorModel().photograph(radiance, depth_m, dice_for(0))
