"""Halls, garages, stores and tunnels: complete, repeatable, near ones near and far ones far."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("warp")

from edgedepth.world.categories import CATEGORIES, FAR_CATEGORIES, NEAR_CATEGORIES
from edgedepth.world.halls import HALL_RECIPES
from edgedepth.world.indoor import racking
from edgedepth.world.indoor.halls import bare_kit
from edgedepth.world.indoor.placing import FloorPlan, Pose
from edgedepth.world.indoor.viewpoints import first_hits
from edgedepth.world.recipe import BuiltScene, dice_for
from edgedepth.world.render.renderer import Renderer
from edgedepth.world.scene import SEMANTIC_CLASSES, SEMANTIC_ID
from edgedepth.world.shard import DEPTH_SCALE, recipes
from edgedepth.world.street import outlook
from edgedepth.world.street.course import Course
from edgedepth.world.street.site import Obstacles
from edgedepth.world.synth import SynthConfig, write_dataset

pytestmark = pytest.mark.xdist_group("halls")  # each scene is built once
SEEDS = (1, 2, 3)
MAX_TRIANGLES = 75_000
_HAS = {
    "meeting_room": ("table", "door", "ceiling"),
    "workshop": ("car", "door", "ceiling"),
    "store_room": ("shelf", "box", "ceiling"),
    "city_street": ("road", "pavement", "wall", "bridge"),
    "motorway": ("road", "wall", "lamp", "car"),
    "square": ("pillar", "lamp", "person", "ceiling"),
    "car_park": ("car", "pillar", "lamp", "ceiling"),
    "industrial_yard": ("pillar", "lamp", "door", "ceiling"),
}


@pytest.fixture(scope="module")
def built() -> dict[tuple[str, int], BuiltScene]:
    return {(name, seed): HALL_RECIPES[name](dice_for(5, seed)) for name in HALL_RECIPES for seed in SEEDS}


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer("cpu")


def test_categories_are_known_ones_near_and_far() -> None:
    assert recipes("halls") == HALL_RECIPES
    assert set(HALL_RECIPES) <= set(CATEGORIES)
    assert len(set(HALL_RECIPES) & set(NEAR_CATEGORIES)) == 3
    assert len(set(HALL_RECIPES) & set(FAR_CATEGORIES)) == 5


@pytest.mark.parametrize("name", HALL_RECIPES)
def test_scene_is_sound(built: dict[tuple[str, int], BuiltScene], name: str) -> None:
    for seed in SEEDS:
        scene = built[name, seed].scene
        assert scene.category == name
        assert 1_000 < len(scene.positions) < MAX_TRIANGLES
        assert np.isfinite(scene.positions).all()
        assert np.isfinite(scene.local).all()
        assert np.allclose(np.linalg.norm(scene.normals, axis=2), 1.0, atol=1e-3)
        assert 0 <= scene.material.min() <= scene.material.max() < len(scene.materials)
        assert 0 < scene.semantic.min() <= scene.semantic.max() < len(SEMANTIC_CLASSES)
        assert 0 < scene.instance.min() <= scene.instance.max() <= 65535
        assert 1 <= len(scene.lights) <= 20
        assert {SEMANTIC_ID[kind] for kind in _HAS[name]} <= set(scene.semantic.tolist())


@pytest.mark.parametrize("name", HALL_RECIPES)
def test_a_seed_names_one_scene(built: dict[tuple[str, int], BuiltScene], name: str) -> None:
    first, again, other = built[name, 1], HALL_RECIPES[name](dice_for(5, 1)), built[name, 2]
    assert np.array_equal(first.scene.positions, again.scene.positions)
    assert first.scene.materials == again.scene.materials
    assert first.scene.lights == again.scene.lights
    assert first.sample_view(dice_for(3)) == again.sample_view(dice_for(3))
    assert first.scene.positions.shape != other.scene.positions.shape


@pytest.mark.parametrize("name", HALL_RECIPES)
def test_near_ones_are_near_and_far_ones_far(
    built: dict[tuple[str, int], BuiltScene], renderer: Renderer, name: str
) -> None:
    shares = []
    for seed in SEEDS:
        hall = built[name, seed]
        renderer.load(hall.scene)
        for number in range(3):
            depth_m, _ = renderer.survey(hall.sample_view(dice_for(seed, number)), (64, 48))
            shares.append(float(((depth_m > 10.0) | (depth_m == 0)).mean()))
    if name in NEAR_CATEGORIES:
        assert np.mean(shares) < 0.02
        assert max(shares) < 0.1
    else:
        assert np.mean(shares) > 0.2
        assert min(shares) > 0.08


@pytest.mark.parametrize("name", HALL_RECIPES)
def test_cameras_are_off_things_and_above_the_floor(
    built: dict[tuple[str, int], BuiltScene], renderer: Renderer, name: str
) -> None:
    angle = np.linspace(0, 2 * np.pi, 6, endpoint=False)
    rays = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(6)])
    hall = built[name, 2]
    for number in range(3):
        eye = np.asarray(hall.sample_view(dice_for(9, number)).position)
        vertical, _ = first_hits(hall.scene, eye, np.array([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0]]))
        around, _ = first_hits(hall.scene, eye, rays)
        assert 0.05 < vertical[0] < 5.5
        assert vertical[1] < 13.0 or name == "city_street"  # a roof, but before an underpass the sky
        assert around.min() > 0.05


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("detailed", [True, False])
def test_goods_stand_on_boards_or_on_the_floor(seed: int, detailed: bool) -> None:
    kit = bare_kit(dice_for(seed))
    stock = racking.draw_stock(kit, bay=(2.5, 3.0), depth=(0.9, 1.1), height=6.0, detailed=detailed)
    plan = FloorPlan([(0.0, 0.0), (4.0, 0.0), (4.0, 13.0), (0.0, 13.0)])
    racking.row(plan, kit, stock, 2.0, 0.5, 12.6)
    assert len(plan.footprints) == int(12.1 / stock.bay)
    scene = kit.b.finish("test")
    floors = np.array([0.0, *stock.levels])
    goods = scene.semantic == SEMANTIC_ID["box"]
    assert goods.any()
    for instance in np.unique(scene.instance[goods]):
        corners = scene.positions[scene.instance == instance].reshape(-1, 3)
        assert np.abs(floors - corners[:, 2].min()).min() < 0.02
        assert corners[:, 2].max() < 6.3


def test_a_row_leaves_doors_free() -> None:
    kit = bare_kit(dice_for(4))
    stock = racking.draw_stock(kit, bay=(2.0, 2.0), depth=(1.0, 1.0), height=4.0)
    plan = FloorPlan([(0.0, 0.0), (4.0, 0.0), (4.0, 12.5), (0.0, 12.5)])
    plan.occupy(Pose(2.0, 3.2), 1.0, 0.8, 0.0, solid=False)
    racking.row(plan, kit, stock, 2.0, 0.2, 12.4)
    assert len(plan.footprints) == 1 + 5  # six bays but for the one at the door


def test_far_views_look_down_the_long_way() -> None:
    obstacles = Obstacles()
    for x in (-4.0, 4.0):
        obstacles.add((x, 20.0), 0.0, 1.0, 20.0)
    for y in (-1.0, 41.0):
        obstacles.add((0.0, y), 0.0, 5.0, 1.0)
    stand = outlook.walker((1.0, 39.0), (-1.5, 1.5))
    draw = outlook.far_views(Course(), obstacles, [stand], 0.3)
    for number in range(12):
        view = draw(dice_for(number))
        ahead = 40.0 - view.position[1] if np.sin(view.yaw) > 0 else view.position[1]
        assert ahead > 10.0
        assert abs(np.sin(view.yaw)) > 0.8


def test_a_data_set_routes_by_category(tmp_path: Path) -> None:
    config = SynthConfig(out=tmp_path / "set", world="halls", count=8, wh=(32, 24), workers=1, views_per_scene=1)
    summary = write_dataset(config)
    assert summary["routes"] == {"high": 5, "low": 3}
    assert summary["depth_scale"] == DEPTH_SCALE["halls"] == 500  # far halls do not fit the scale of rooms
