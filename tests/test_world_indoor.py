from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

pytest.importorskip("warp", reason="the procedural world needs warp-lang: pip install 'edgedepth[world]'")

from edgedepth.world import palette
from edgedepth.world.builder import Dice, SceneBuilder
from edgedepth.world.categories import NEAR_CATEGORIES
from edgedepth.world.indoor.placing import FloorPlan, Footprint, Kit, Piece, Pose, Wall
from edgedepth.world.indoor.recipes import INDOOR_RECIPES
from edgedepth.world.indoor.rooms import _corner_gaps
from edgedepth.world.indoor.viewpoints import clear_view, first_hits
from edgedepth.world.people import person
from edgedepth.world.recipe import dice_for
from edgedepth.world.render.renderer import Renderer
from edgedepth.world.scene import SEMANTIC_CLASSES, SEMANTIC_ID, Scene

SEEDS = (0, 1, 2)


def _box_room(side: float = 4.0) -> FloorPlan:
    corners = [(0.0, 0.0), (side, 0.0), (side, side), (0.0, side)]
    walls = [Wall(a, c) for a, c in zip(corners, [*corners[1:], corners[0]], strict=True)]
    return FloorPlan(corners, walls)


def _kit(seed: int = 0) -> Kit:
    b, dice = SceneBuilder(), dice_for(seed)
    return Kit(b=b, dice=dice, look=palette.room_palette(b, dice))


def _block(width: float = 1.0, depth: float = 0.5) -> Piece:
    def build(kit: Kit, pose: Pose) -> None:
        kit.begin("box", pose)
        kit.b.box((0, 0, 0.25), (width, depth, 0.5), kit.look.furniture)

    return Piece(width=width, depth=depth, height=0.5, build=build)


def test_recipes_are_the_near_categories() -> None:
    assert set(INDOOR_RECIPES) == set(NEAR_CATEGORIES)


@pytest.mark.parametrize("name", NEAR_CATEGORIES)
def test_recipe_makes_a_sound_scene(name: str) -> None:
    for seed in SEEDS:
        scene = INDOOR_RECIPES[name](dice_for(seed)).scene
        assert scene.category == name
        assert 300 < len(scene.positions) <= 16_000
        assert np.isfinite(scene.positions).all()
        assert np.isfinite(scene.normals).all()
        assert scene.semantic.min() >= 1
        assert scene.semantic.max() < len(SEMANTIC_CLASSES)
        assert 0 <= scene.material.min() <= scene.material.max() < len(scene.materials)
        assert scene.instance.min() >= 1
        assert 1 <= len(scene.lights) <= 12
        assert {SEMANTIC_ID[c] for c in ("wall", "floor", "ceiling")} <= set(scene.semantic.tolist())


@pytest.mark.parametrize("name", NEAR_CATEGORIES)
def test_same_seed_same_scene_and_views(name: str) -> None:
    first, again = (INDOOR_RECIPES[name](dice_for(7)) for _ in range(2))
    other = INDOOR_RECIPES[name](dice_for(8))
    np.testing.assert_array_equal(first.scene.positions, again.scene.positions)
    assert first.scene.materials == again.scene.materials
    assert first.scene.lights == again.scene.lights
    assert first.sample_view(dice_for(1)) == again.sample_view(dice_for(1))
    assert first.scene.positions.shape != other.scene.positions.shape


@pytest.mark.parametrize("name", NEAR_CATEGORIES)
def test_views_look_like_photographs_from_free_places(name: str) -> None:
    for seed in SEEDS:
        built = INDOOR_RECIPES[name](dice_for(seed, 1))
        for k in range(3):
            view = built.sample_view(dice_for(seed, k))
            assert 0.05 <= view.position[2] <= 2.6
            assert math.radians(-75) <= view.pitch <= math.radians(20)
            assert 45 <= view.hfov_deg <= 95
            assert _enclosed(built.scene, view.position)


def _enclosed(scene: Scene, position: tuple[float, float, float]) -> bool:
    """Whether a point has floor beneath it, something above it, and nothing within a hand's breadth around it."""
    down_up = np.array([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0]])
    vertical, _ = first_hits(scene, np.asarray(position), down_up)
    angle = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    level = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(8)])
    around, _ = first_hits(scene, np.asarray(position), level)
    return bool(np.isfinite(vertical).all() and around.min() > 0.05)


def test_scenes_of_a_category_differ_in_shape_and_light() -> None:
    scenes = [INDOOR_RECIPES["living_room"](dice_for(seed)).scene for seed in range(12)]
    spans = {tuple(np.round(s.positions[s.semantic == SEMANTIC_ID["ceiling"]].max((0, 1)), 2)) for s in scenes}
    assert len(spans) == 12
    assert len({len(s.lights) for s in scenes}) > 1
    assert len({s.sky.intensity > 0.5 for s in scenes}) == 2


@pytest.mark.parametrize("posture", ["standing", "walking", "sitting"])
def test_person_has_a_person_size_and_stands_on_the_ground(posture: str) -> None:
    for seed in range(5):
        b = SceneBuilder()
        person(b, dice_for(seed), (2.0, 1.0, 0.5), 1.0, posture, height_m=1.8)  # type: ignore[arg-type]
        points = b.finish("test").positions.reshape(-1, 3)
        low, high = points.min(0), points.max(0)
        assert low[2] == pytest.approx(0.5, abs=0.07)
        tall = 1.8 if posture != "sitting" else 1.42
        assert high[2] - low[2] == pytest.approx(tall, abs=0.14)
        assert (high[:2] - low[:2]).max() < 1.6


def test_person_detail_is_set_by_segments() -> None:
    counts = []
    for segments in (5, 9):
        b = SceneBuilder()
        person(b, dice_for(3), (0, 0, 0), 0.0, segments=segments)
        counts.append(len(b.finish("test").positions))
    assert counts[0] < 0.7 * counts[1]


def test_pose_moves_in_its_own_frame() -> None:
    pose = Pose(1.0, 2.0, 0.0, math.pi / 2).at(1.0, 2.0, 0.5, 0.25)
    assert (pose.x, pose.y, pose.z) == pytest.approx((-1.0, 3.0, 0.5))
    assert pose.yaw == pytest.approx(math.pi / 2 + 0.25)


@pytest.mark.parametrize(
    ("x", "yaw", "expected"), [(0.9, 0.0, True), (1.1, 0.0, False), (1.1, math.pi / 4, True), (1.3, math.pi / 4, False)]
)
def test_footprints_overlap(x: float, yaw: float, expected: bool) -> None:
    square = Footprint(0.0, 0.0, 0.5, 0.5, 0.0, 1.0)
    assert square.overlaps(Footprint(x, 0.0, 0.5, 0.5, yaw, 1.0)) is expected


def test_plan_keeps_pieces_inside_and_apart() -> None:
    plan, kit = _box_room(), _kit()
    for _ in range(12):
        plan.against_wall(kit, _block())
        plan.anywhere(kit, _block(0.5, 0.5))
    prints = plan.footprints
    assert len(prints) > 8
    assert all(0 <= c <= 4 for f in prints for c in f.corners().ravel())
    assert not any(a.overlaps(c) for i, a in enumerate(prints) for c in prints[i + 1 :])


def test_plan_leaves_openings_free() -> None:
    plan, kit = _box_room(1.2), _kit()
    for wall in range(4):
        plan.take_wall(wall, 0.1, 1.1, 0.0, 2.0)
    assert plan.against_wall(kit, _block(0.5, 0.2), tries=40) is None


def test_plan_refuses_what_does_not_fit() -> None:
    plan, kit = _box_room(1.0), _kit()
    assert plan.anywhere(kit, _block(1.5, 1.5)) is None
    assert plan.footprints == []


def test_first_hits_measures_a_box() -> None:
    b = SceneBuilder()
    b.begin("box", (3.0, 0.0, 0.0))
    b.box((0, 0, 0), (1, 1, 1), b.material(palette.Texture.FLAT, (1, 1, 1)))
    scene = b.finish("test")
    hits, index = first_hits(scene, np.zeros(3), np.array([[1.0, 0.001, 0.002], [0.0, 1.0, 0.0]]))
    assert hits[0] == pytest.approx(2.5, abs=1e-4)
    assert index[0] >= 0
    assert (hits[1], index[1]) == (np.inf, -1)


def test_clear_view_refuses_a_blocked_lens_and_a_bare_wall() -> None:
    from edgedepth.world.scene import View

    b = SceneBuilder()
    b.begin("wall", (3.0, 0.0, 0.0))
    b.box((0, 0, 0), (0.1, 20, 20), b.material(palette.Texture.FLAT, (1, 1, 1)))
    scene = b.finish("test")
    far, near = (View(position=(x, 0.0, 0.0), yaw=0.0) for x in (0.0, 2.7))
    assert clear_view(scene, far, 0.5, (1.0, 9.0))
    assert not clear_view(scene, near, 0.5, (0.1, 9.0))
    assert not clear_view(scene, far, 0.5, (1.0, 9.0), objects=2)


def test_palette_colours_are_colours() -> None:
    dice = Dice(np.random.Generator(np.random.PCG64(0)))
    makers = (palette.any_colour, palette.vivid_colour, palette.dull_colour, palette.pale_colour, palette.wood_colour,
              palette.skin_colour, palette.leaf_colour)  # fmt: skip
    for maker in makers:
        values = np.array([maker(dice) for _ in range(50)])
        assert values.min() >= 0
        assert values.max() <= 1
        assert values.std() > 0.02


def test_palette_materials_are_registered() -> None:
    b, dice = SceneBuilder(), dice_for(0)
    makers = (palette.wood, palette.paint, palette.fabric, palette.metal, palette.plastic, palette.stone, palette.tiles,
              palette.brick, palette.carpet, palette.wild, palette.wall, palette.floor, palette.thing)  # fmt: skip
    indices = [maker(b, dice) for maker in makers]
    assert indices == list(range(len(makers)))
    assert all(m.scale_m > 0 for m in b.materials)


@pytest.mark.parametrize("seed", [0, 5])
def test_no_sky_shines_through_the_seams_of_a_shut_door(seed: int) -> None:
    built = INDOOR_RECIPES["corridor"](dice_for(5, seed))
    renderer = Renderer()
    renderer.load(built.scene)
    depth_m, _ = renderer.survey(built.sample_view(dice_for(11, 1)), (320, 240))
    count, _, stats, _ = cv2.connectedComponentsWithStats((depth_m == 0).astype(np.uint8), connectivity=8)
    assert not [size for size in stats[1:count, cv2.CC_STAT_AREA] if size <= 4]


def test_walls_overlap_around_corners_and_stay_out_of_the_room() -> None:
    corners = [(0.0, 0.0), (4.0, 0.0), (4.0, 2.0), (2.0, 2.0), (2.0, 4.0), (0.0, 4.0)]
    walls = [Wall(a, b) for a, b in zip(corners, [*corners[1:], corners[0]], strict=True)]
    gaps = [_corner_gaps(walls, index, 0.2) for index in range(6)]
    assert gaps == [(0.2, 0.2), (0.2, 0.2), (0.2, -0.001), (-0.001, 0.2), (0.2, 0.2), (0.2, 0.2)]


@pytest.mark.parametrize(("name", "seed"), [("corridor", 4), ("corridor", 5), ("living_room", 2), ("stairwell", 2)])
def test_no_faces_share_a_plane_where_they_are_seen(name: str, seed: int) -> None:
    # At the corner of an L, before an open door, on a sill and on stairs they would: pixels of one among the other's.
    built, renderer = INDOOR_RECIPES[name](dice_for(seed, 0)), Renderer()
    renderer.load(built.scene)
    alone = 0
    for number in (1, 2):
        depth_m, instance = renderer.survey(built.sample_view(dice_for(seed, number)), (320, 240))
        for z, label in ((depth_m, instance), (depth_m.T, instance.T)):
            odd = (label[1:-1] != label[:-2]) & (label[1:-1] != label[2:]) & (label[:-2] == label[2:])
            alone += int((odd & (np.abs(z[1:-1] - (z[:-2] + z[2:]) / 2) < 0.002)).sum())
    assert alone <= 5


def test_some_views_are_those_of_floor_robots_with_room_ahead() -> None:
    built = INDOOR_RECIPES["living_room"](dice_for(3, 0))
    views = [built.sample_view(dice_for(4, number)) for number in range(60)]
    low = [view for view in views if view.position[2] < 0.25 and view.pitch >= 0]
    assert 2 <= len(low) <= 14
    for view in low:
        assert view.position[2] >= 0.06
        assert view.pitch <= math.radians(12)
        ahead = np.array([[math.cos(view.yaw), math.sin(view.yaw), 0.0]])
        assert first_hits(built.scene, np.asarray(view.position), ahead)[0][0] > 0.6
