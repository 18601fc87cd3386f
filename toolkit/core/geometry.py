"""From depth maps to points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError


def point_cloud(depth_m: NDArray[np.float32], camera: Camera) -> NDArray[np.float32]:
    """Back-project a z-depth map through a pinhole camera.

    Args:
        depth_m: (H, W) metres along the optical axis; pixels that are not finite and positive give no point.
        camera: intrinsics in pixels of this depth map.

    Returns:
        (N, 3) float32 metres in the optical frame (x right, y down, z forward), in row-major pixel order.

    Raises:
        InputError: the camera is of another image size than the depth map.
    """
    seen = _seen(depth_m, camera)
    slope_x = ((np.arange(camera.width) - camera.cx) / camera.fx).astype(np.float32)
    slope_y = ((np.arange(camera.height) - camera.cy) / camera.fy).astype(np.float32)
    points = np.empty((np.count_nonzero(seen), 3), np.float32)
    # One axis at a time: a mask over (H, W, 3) is ten times slower.
    points[:, 0] = (depth_m * slope_x)[seen]
    points[:, 1] = (depth_m * slope_y[:, None])[seen]
    points[:, 2] = depth_m[seen]
    return points


def coloured_points(
    depth_m: NDArray[np.float32], camera: Camera, image_bgr: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The points of `point_cloud` and their colours: (N, 3) float32 metres and (N, 3) uint8 RGB.

    Raises:
        InputError: the camera or the image is of another size than the depth map.
    """
    if image_bgr.shape != (*depth_m.shape, 3):
        raise InputError(f"image must be {(*depth_m.shape, 3)} like the depth map, but got {image_bgr.shape}")
    points = point_cloud(depth_m, camera)
    seen = _seen(depth_m, camera)
    colours = np.empty(points.shape, np.uint8)
    for channel in range(3):
        colours[:, channel] = image_bgr[..., 2 - channel][seen]
    return points, colours


def _seen(depth_m: NDArray[np.float32], camera: Camera) -> NDArray[np.bool_]:
    if depth_m.shape != (camera.height, camera.width):
        height, width = depth_m.shape
        raise InputError(
            f"camera is for {camera.width}x{camera.height} but the depth map is {width}x{height};"
            f" use camera.resized({width}, {height})"
        )
    return np.isfinite(depth_m) & (depth_m > 0)
