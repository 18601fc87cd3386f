"""Printed matter lies in planes: it follows their slant, stays behind what is before them, and leaves depth alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch")

from edgedepth.core.camera import Camera
from edgedepth.trainers.prints import Plane, _sampled, plane_at, print_on_planes

CAMERA = Camera(fx=100.0, fy=100.0, cx=79.5, cy=59.5, width=160, height=120)
PICTURE = np.random.default_rng(0).integers(0, 255, (60, 80, 3)).astype(np.uint8)


def floor_depth(height_m: float) -> np.ndarray:
    """Depth of a level floor below the camera; above the horizon nothing is known."""
    down = CAMERA.rays()[..., 1]
    with np.errstate(divide="ignore"):
        return np.where(down > 0, height_m / down, np.nan).astype(np.float32)


def test_a_plane_is_found_with_its_normal() -> None:
    plane = plane_at(floor_depth(1.5), 100, 30)
    assert plane is not None
    np.testing.assert_allclose(plane.normal(CAMERA), (0, 1, 0), atol=1e-3)
    # 40.5 pixels below the axis: z = 1.5 m * 100 px / 40.5 px
    assert 1 / float(plane.inverse_depth(np.float32(30), np.float32(100))) == pytest.approx(150 / 40.5, rel=1e-3)


def test_a_wall_that_turns_away_has_the_normal_it_was_made_with() -> None:
    turn = math.radians(40)
    normal = np.array((math.sin(turn), 0.0, math.cos(turn)), np.float32)
    depth = 3 / (CAMERA.rays() @ normal)  # n . X = 3 m
    plane = plane_at(depth.astype(np.float32), 60, 80)
    assert plane is not None
    np.testing.assert_allclose(plane.normal(CAMERA), normal, atol=1e-3)


@pytest.mark.parametrize("gap", ["edge", "unknown", "sky"])
def test_no_plane_where_the_surface_ends(gap: str) -> None:
    depth = np.full((120, 160), 2.0, np.float32)
    depth[:, 80:] = {"edge": 2.2, "unknown": np.nan, "sky": np.inf}[gap]
    assert plane_at(depth, 60, 79) is None
    assert plane_at(depth, 60, 70) == Plane(0.0, 0.0, 0.5)


def test_prints_stay_behind_what_stands_before_the_plane_and_off_unknown_pixels() -> None:
    depth = np.full((120, 160), 3.0, np.float32)
    depth[40:80, 60:100] = 1.5 + np.random.default_rng(1).uniform(0, 0.5, (40, 40))  # rough: no plane
    depth[:10] = np.nan
    laid, changed = 0, np.zeros(depth.shape, bool)
    for seed in range(20):
        image = np.full((120, 160, 3), 128, np.uint8)
        laid += print_on_planes(image, depth, CAMERA, PICTURE, np.random.default_rng(seed))
        changed |= (image != 128).any(axis=2)
    assert laid >= 20
    assert changed[:10].sum() == 0
    assert changed[40:80, 60:100].sum() == 0
    assert changed.mean() > 0.5


def test_nothing_is_printed_where_there_is_no_plane() -> None:
    rough = np.random.default_rng(2).uniform(1, 5, (120, 160)).astype(np.float32)
    for depth in (rough, np.full((120, 160), np.nan, np.float32), np.full((4, 4), 1.0, np.float32)):
        image = np.full((*depth.shape, 3), 128, np.uint8)
        assert print_on_planes(image, depth, CAMERA, PICTURE, np.random.default_rng(0)) == 0
        assert (image == 128).all()


def test_what_is_printed_keeps_the_shadows_it_lies_in() -> None:
    depth = np.full((120, 160), 2.0, np.float32)
    sides = []
    for seed in range(40):
        image = np.full((120, 160, 3), 40, np.uint8)
        image[:, 80:] = 120
        before = image.copy()
        print_on_planes(image, depth, CAMERA, PICTURE, np.random.default_rng(seed))
        hit = (image != before).any(axis=2)
        hit[:, 70:90] = False
        if hit[:, :80].sum() > 500 and hit[:, 80:].sum() > 500:
            sides.append((image[:, :80][hit[:, :80]].mean(), image[:, 80:][hit[:, 80:]].mean()))
    dark, light = np.mean(sides, axis=0)
    assert len(sides) >= 5
    assert light > 1.5 * dark


def test_a_design_is_repeated_beyond_its_edges() -> None:
    design = np.arange(4, dtype=np.uint8).reshape(2, 2, 1).repeat(3, axis=2)
    x = np.array((-0.5, 0.5, 1.5, -1.5), np.float32)  # left, right, left again, right again
    y = np.array((-0.5, 0.5, 0.5, -0.5), np.float32)
    assert _sampled(design, x, y)[:, 0].tolist() == [0, 3, 2, 1]
