"""The ground outdoors is closed: no ray from a camera falls through a seam onto the plane far below."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("warp", reason="the procedural world needs warp-lang: pip install 'edgedepth[world]'")

from edgedepth.world.builder import SceneBuilder
from edgedepth.world.categories import FAR_CATEGORIES
from edgedepth.world.recipe import BuiltScene, dice_for
from edgedepth.world.render.pose import world_from_camera
from edgedepth.world.render.renderer import Renderer
from edgedepth.world.scene import View
from edgedepth.world.shard import recipes
from edgedepth.world.street.course import random_course
from edgedepth.world.street.ground import grass, land
from edgedepth.world.street.site import new_site
from edgedepth.world.street.storm import _under
from edgedepth.world.street.vegetation import _shrub
from tests.streets import GROUP, street

pytestmark = GROUP
WH = (240, 180)
NEAR_M = 30.0


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer()


def fallen(renderer: Renderer, view: View, base_m: float) -> int:
    """How many pixels show the plane at `base_m`, which lies a metre and more below all ground, nearby."""
    depth_m, _ = renderer.survey(view, WH)
    half = np.tan(np.radians(view.hfov_deg) / 2)
    x, y = np.meshgrid(np.linspace(-half, half, WH[0]), np.linspace(-half, half, WH[1]) * WH[1] / WH[0])
    away = np.stack([x, y, np.ones_like(x)], -1) * depth_m[..., None] @ world_from_camera(view)[:3, :3].T
    deep = np.abs(away[..., 2] + view.position[2] - base_m) < 0.05
    near = np.hypot(away[..., 0], away[..., 1]) < NEAR_M
    return int((deep & near & (depth_m > 0)).sum())


def seams(renderer: Renderer, built: BuiltScene, views: int = 2) -> int:
    renderer.load(built.scene)
    plane = np.abs(built.scene.positions[..., 0]).min(axis=1) >= 899
    base_m = float(built.scene.positions[plane][..., 2].min())
    found = 0
    for number in range(views):
        view = built.sample_view(dice_for(11, number))
        found += fallen(renderer, replace(view, yaw=0.0, pitch=-np.pi / 2, roll=0.0, hfov_deg=130.0), base_m)
        found += fallen(renderer, replace(view, pitch=-0.25), base_m)
    return found


@pytest.mark.parametrize("name", FAR_CATEGORIES)
def test_no_ray_falls_through_the_ground(renderer: Renderer, name: str) -> None:
    for seed in (0, 1):
        assert seams(renderer, street(name, seed)) == 0


def test_the_median_of_a_motorway_is_closed(renderer: Renderer) -> None:
    assert seams(renderer, recipes("jam")["motorway"](dice_for(7, 0)), views=3) == 0


def test_every_lobe_of_a_bush_reaches_the_ground() -> None:
    for seed in range(40):
        bush = _shrub(SceneBuilder(), dice_for(seed))
        assert bush.crown is not None
        assert bush.crown_far is not None
        far = bush.crown_far.vertices.reshape(-1, 5 * 7, 3)
        near = bush.crown.vertices[: len(far) * 8 * 13].reshape(-1, 8 * 13, 3)
        assert far[..., 2].min(axis=1).max() <= 0.0
        assert near[..., 2].min(axis=1).max() <= 0.0


def test_what_grows_beside_a_path_stands_on_the_bumps_of_the_land() -> None:
    site = new_site(dice_for(3))
    course = random_course(dice_for(4), bend=0.02, slope=0.0, straight=0.0)
    land(site, course, 2.0, 2.0, grass(site), bumps=1.0, drop=0.0)
    corners = site.builder.finish("field").positions.astype(np.float64)
    corners = corners[np.abs(corners[..., 0]).min(axis=1) < 899]
    points = course.points(np.linspace(0, 60, 40), np.tile([-25.0, -9.0, 9.0, 25.0], 10))
    _, height = _under(corners, points[:, :2])
    stood = np.array([site.on_land(point)[2] for point in points])
    assert np.ptp(height) > 0.5
    assert np.abs(stood - height).max() < 0.35
