"""The outdoor grammars and the walk: complete, repeatable, within budget, with cameras in the open."""

from __future__ import annotations

import numpy as np
import pytest

from edgedepth.world.builder import SceneBuilder
from edgedepth.world.categories import FAR_CATEGORIES
from edgedepth.world.recipe import dice_for
from edgedepth.world.scene import SEMANTIC_CLASSES, SEMANTIC_ID, Scene, View
from edgedepth.world.shard import recipes
from edgedepth.world.street.avenue import StreetPlan, traffic
from edgedepth.world.street.course import Course, patches, random_course, sweep
from edgedepth.world.street.recipes import JAM_RECIPES, STREET_RECIPES
from edgedepth.world.street.site import Obstacles, new_site
from edgedepth.world.street.vehicles import Maker, bicycle, motorbike, park
from edgedepth.world.walk.walk import build_walk
from tests.streets import GROUP, street

pytestmark = GROUP
SEEDS = (1, 2)
MAX_TRIANGLES = 70_000


def _hits(scene: Scene, origin: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Distance along each direction (N, 3) to the first triangle, inf where there is none (Moller-Trumbore)."""
    a, b, c = (scene.positions[:, i].astype(np.float64) for i in range(3))
    e1, e2, to = b - a, c - a, origin - a
    out = np.full(len(directions), np.inf)
    for i, d in enumerate(directions):
        p = np.cross(d, e2)
        det = (e1 * p).sum(1)
        usable = np.abs(det) > 1e-12
        det = np.where(usable, det, 1.0)
        u = (to * p).sum(1) / det
        q = np.cross(to, e1)
        v = q @ d / det
        t = (e2 * q).sum(1) / det
        good = usable & (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 1e-6)
        out[i] = t[good].min(initial=np.inf)
    return out


def _fan(view: View, columns: int = 5, rows: int = 3) -> np.ndarray:
    """Unit directions spread over a view (roll ignored)."""
    half = np.radians(view.hfov_deg) / 2
    yaw = view.yaw + np.linspace(-0.8, 0.8, columns)[None] * half
    pitch = view.pitch + np.linspace(-0.5, 0.5, rows)[:, None] * half
    yaw, pitch = np.broadcast_arrays(yaw, pitch)
    return np.stack([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)], -1).reshape(-1, 3)


def test_there_is_a_recipe_for_every_far_category() -> None:
    assert tuple(STREET_RECIPES) == FAR_CATEGORIES


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", FAR_CATEGORIES)
def test_scene_is_sound(name: str, seed: int) -> None:
    scene = street(name, seed).scene
    count = len(scene.positions)
    assert scene.category == name
    assert 1_000 < count < MAX_TRIANGLES
    assert np.isfinite(scene.positions).all()
    assert np.isfinite(scene.local).all()
    assert np.allclose(np.linalg.norm(scene.normals, axis=2), 1.0, atol=1e-3)
    assert 0 <= scene.material.min() <= scene.material.max() < len(scene.materials)
    assert 0 < scene.semantic.min() <= scene.semantic.max() < len(SEMANTIC_CLASSES)
    assert (scene.semantic != SEMANTIC_ID["sky"]).all()
    assert scene.instance.min() > 0


@pytest.mark.parametrize("name", FAR_CATEGORIES)
def test_a_seed_names_one_scene(name: str) -> None:
    first, again = street(name, 1), STREET_RECIPES[name](dice_for(7, 1))
    assert np.array_equal(first.scene.positions, again.scene.positions)
    assert first.scene.materials == again.scene.materials
    assert first.scene.sky == again.scene.sky
    assert first.sample_view(dice_for(3)) == again.sample_view(dice_for(3))
    other = street(name, 2).scene
    assert other.positions.shape != first.scene.positions.shape or other.materials != first.scene.materials


@pytest.mark.parametrize("name", FAR_CATEGORIES)
def test_cameras_stand_in_the_open_above_near_ground(name: str) -> None:
    scene = street(name, 1)
    for i in range(3):
        view = scene.sample_view(dice_for(11, i))
        eye = np.asarray(view.position)
        assert 0.05 < float(_hits(scene.scene, eye, np.array([[0.0, 0.0, -1.0]]))[0]) < 7.0
        seen = _hits(scene.scene, eye, _fan(view))
        assert (seen < 0.5).mean() <= 0.2
        assert ((seen > 1.0) & (seen < 80.0)).mean() >= 0.25


@pytest.mark.parametrize("name", ["residential_street", "motorway", "city_street"])
def test_cars_and_lanes_have_real_sizes(name: str) -> None:
    scene = street(name, 1).scene
    cars = scene.semantic == SEMANTIC_ID["car"]
    assert cars.any()
    for instance in np.unique(scene.instance[cars])[:8]:
        corners = scene.positions[scene.instance == instance].reshape(-1, 3)
        assert 0.9 < np.ptp(corners[:, 2]) < 4.6
        assert 1.6 < np.linalg.norm(np.ptp(corners[:, :2], axis=0)) < 17.5


def test_course_keeps_distances_and_sides() -> None:
    course = Course(curvature=[(0.0, 0.0), (20.0, 0.01)], slope=[(0.0, 0.03)])
    s = np.linspace(0, 60, 200)
    steps = np.linalg.norm(np.diff(course.points(s)[:, :2], axis=0), axis=1)
    assert steps.sum() == pytest.approx(60.0, abs=0.05)
    assert course.points(40.0)[2] == pytest.approx(1.2, abs=0.01)
    assert np.linalg.norm(course.points(35.0, 3.0) - course.points(35.0)) == pytest.approx(3.0)
    assert np.allclose(course.points(0.0, 2.0), [2.0, 0.0, 0.0])  # heading +y: right is +x
    position, yaw = course.place(0.0, 2.0)
    assert np.allclose(position, [2.0, 0.0, 0.0])
    assert yaw == pytest.approx(0.0)


def test_crossing_runs_to_the_right() -> None:
    line = random_course(dice_for(5)).crossing(10.0)
    course = random_course(dice_for(5))
    assert np.allclose(line.points(4.0), course.points(10.0, 4.0), atol=0.05)


def test_swept_strips_and_paint_face_up() -> None:
    builder = SceneBuilder()
    course = random_course(dice_for(8), straight=0.0)
    builder.begin("road")
    grey = builder.material(0, (0.1, 0.1, 0.1))  # type: ignore[arg-type]
    sweep(builder, course, -20, 80, [(-3.0, 0.0), (3.0, 0.0)], grey)
    patches(builder, course, [5.0, 11.0], 0.0, 3.0, 0.15, grey)
    assert (builder.finish("x").normals[..., 2] > 0.9).all()


def test_obstacles_measure_clearance_to_turned_rectangles() -> None:
    obstacles = Obstacles()
    assert np.isinf(obstacles.clearance([(0.0, 0.0)])).all()
    obstacles.add((0.0, 0.0), np.pi / 2, 2.0, 1.0)  # long side along y
    assert np.allclose(obstacles.clearance([(0.0, 1.5), (0.0, 3.0), (2.5, 0.0)]), [0.0, 1.0, 1.5])
    with obstacles.reserved((10.0, 0.0), 0.0, 1.0, 1.0):
        assert obstacles.clearance([(10.0, 0.0)])[0] == 0.0
    assert obstacles.clearance([(10.0, 0.0)])[0] == pytest.approx(9.0)


def test_walk_leads_from_a_room_into_the_street() -> None:
    walk = build_walk(dice_for(21, 0))
    assert len(walk.scene.positions) < MAX_TRIANGLES
    views = walk.views(40)
    assert len(views) == 40
    eyes = np.array([view.position for view in views])
    steps = np.linalg.norm(np.diff(eyes, axis=0), axis=1)
    assert steps.max() < 3.0 * steps[10:].mean()  # no jumps
    up = np.array([[0.0, 0.0, 1.0]])
    above = [float(_hits(walk.scene, eyes[i], up)[0]) for i in (0, 5, -1)]
    assert above[0] < 2.0  # a ceiling
    assert above[1] < 2.0
    assert above[2] > 2.0  # the open air, or the crown of a tree
    first, last = (_hits(walk.scene, np.asarray(view.position), _fan(view)) for view in (views[0], views[-1]))
    assert (first < 10.0).mean() > 0.8
    assert np.median(first) < 6.0
    assert ((last > 10.0) | ~np.isfinite(last)).mean() > 0.2
    for view in views[::4]:
        assert _hits(walk.scene, np.asarray(view.position), _fan(view)).min() > 0.25


def test_walk_frames_do_not_depend_on_their_number() -> None:
    walk = build_walk(dice_for(21, 0))
    few, many = walk.views(5), walk.views(9)
    assert few[0] == many[0]
    assert few[-1] == many[-1]
    assert np.allclose(few[1].position, many[2].position, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_traffic_in_a_jam_stands_close(seed: int) -> None:
    def y_of_vehicles(jam: bool) -> np.ndarray:
        site = new_site(dice_for(seed))
        plan = StreetPlan(lanes_back=0, lanes_ahead=2, lane=3.4, jam=jam)
        traffic(site, Course(curvature=[(0.0, 0.0)], slope=[(0.0, 0.0)]), plan, spacing=30.0)
        scene = site.builder.finish("x")
        cars = [scene.positions[scene.instance == number].reshape(-1, 3) for number in np.unique(scene.instance)]
        middles = np.sort([corners[:, 1].mean() for corners in cars if len(corners)])
        return middles[(middles > -16) & (middles < 90)]

    standing = y_of_vehicles(jam=True)
    assert len(standing) > 1.5 * len(y_of_vehicles(jam=False))
    assert np.diff(standing).max() < 28.0  # a lorry's length and the widest gap


def test_a_jam_has_the_categories_of_roads() -> None:
    assert set(JAM_RECIPES) < set(STREET_RECIPES)
    assert set(recipes("jam")) == set(JAM_RECIPES)


def test_a_jam_leaves_room_for_the_camera() -> None:
    for seed in range(4):
        built = JAM_RECIPES["motorway"](dice_for(seed, 0))
        scene = built.scene
        cars = scene.positions[scene.semantic == SEMANTIC_ID["car"]].reshape(-1, 3)
        for number in range(3):
            position = np.asarray(built.sample_view(dice_for(seed, 1 + number)).position)
            assert np.linalg.norm(cars - position, axis=1).min() > 0.4


def test_vehicles_lie_along_the_slope() -> None:
    site, course = new_site(dice_for(3)), Course(slope=[(0.0, 0.08)])
    traffic(site, course, StreetPlan(lanes_back=1, lanes_ahead=1, lane=3.4), spacing=20.0)
    scene = site.builder.finish("x")
    cars = np.unique(scene.instance[scene.semantic == SEMANTIC_ID["car"]])
    assert len(cars) > 5
    for number in cars:
        corners = scene.positions[scene.instance == number].reshape(-1, 3)
        over = corners[:, 2] - 0.08 * corners[:, 1]  # above the course, which runs along y
        front = corners[:, 1] > np.median(corners[:, 1])
        assert over[front].min() == pytest.approx(over[~front].min(), abs=0.05)


@pytest.mark.parametrize("maker", [bicycle, motorbike])
def test_two_wheelers_in_traffic_have_riders(maker: Maker) -> None:
    for driving in (False, True):
        site = new_site(dice_for(3))
        assert park(site, np.array([5.0, 9.0, 1.0]), 0.7, (maker,), driving=driving)
        scene = site.builder.finish("x")
        rider = scene.positions[scene.semantic == SEMANTIC_ID["person"]].reshape(-1, 3)
        assert bool(len(rider)) == driving
    assert 1.1 < rider[:, 2].min() < 1.6  # the feet are off the ground
    assert 2.4 < rider[:, 2].max() < 3.1
    assert np.abs(rider[:, :2] - [5.0, 9.0]).max() < 1.0
