"""Back-projection on hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.geometry import coloured_points, point_cloud

CAMERA = Camera(fx=2.0, fy=4.0, cx=1.0, cy=0.5, width=3, height=2)


def test_by_hand():
    depth_m = np.array([[2, np.nan, 4], [0, 1, np.inf]], np.float32)
    points = point_cloud(depth_m, CAMERA)
    # (u - 1) / 2 * z, (v - 0.5) / 4 * z, z
    expected = [(-1, -0.25, 2), (2, -0.5, 4), (0, 0.125, 1)]
    assert points.dtype == np.float32
    np.testing.assert_allclose(points, expected)


def test_points_project_back_onto_their_pixels():
    camera = Camera.from_hfov(70, 32, 20)
    depth_m = np.random.default_rng(3).uniform(0.5, 20, (20, 32)).astype(np.float32)
    x, y, z = point_cloud(depth_m, camera).T
    u, v = x / z * camera.fx + camera.cx, y / z * camera.fy + camera.cy
    rows, columns = np.mgrid[:20, :32]
    np.testing.assert_allclose(u, columns.ravel(), atol=1e-3)
    np.testing.assert_allclose(v, rows.ravel(), atol=1e-3)
    np.testing.assert_array_equal(z, depth_m.ravel())


def test_agrees_with_the_rays_of_the_camera():
    depth_m = np.full((2, 3), 3.0, np.float32)
    np.testing.assert_allclose(point_cloud(depth_m, CAMERA), 3 * CAMERA.rays().reshape(-1, 3), rtol=1e-6)


def test_colours_are_rgb_of_the_same_pixels():
    depth_m = np.array([[np.nan, 1, 2], [3, np.nan, np.nan]], np.float32)
    image_bgr = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    points, colours = coloured_points(depth_m, CAMERA, image_bgr)
    assert points[:, 2].tolist() == [1, 2, 3]
    assert colours.tolist() == [[5, 4, 3], [8, 7, 6], [11, 10, 9]]
    assert colours.dtype == np.uint8


def test_nothing_measured_gives_no_points():
    points, colours = coloured_points(np.full((2, 3), np.nan, np.float32), CAMERA, np.zeros((2, 3, 3), np.uint8))
    assert points.shape == colours.shape == (0, 3)


def test_sizes_must_agree():
    with pytest.raises(InputError, match=r"camera is for 3x2 but the depth map is 6x4; use camera.resized\(6, 4\)"):
        point_cloud(np.ones((4, 6), np.float32), CAMERA)
    with pytest.raises(InputError, match="image must be"):
        coloured_points(np.ones((2, 3), np.float32), CAMERA, np.zeros((4, 6, 3), np.uint8))
