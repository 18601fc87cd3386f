"""From a view to a camera pose, in the conventions of `core.camera` and `scene.View`."""

from __future__ import annotations

import numpy as np

from edgedepth.world.scene import Array, View


def world_from_camera(view: View) -> Array:
    """The pose of a view: (4, 4), from the optical frame (x right, y down, z forward) to the world (z up)."""
    cos_yaw, sin_yaw = np.cos(view.yaw), np.sin(view.yaw)
    cos_pitch, sin_pitch = np.cos(view.pitch), np.sin(view.pitch)
    cos_roll, sin_roll = np.cos(view.roll), np.sin(view.roll)
    forward = np.array([cos_yaw * cos_pitch, sin_yaw * cos_pitch, sin_pitch])
    level_right = np.array([sin_yaw, -cos_yaw, 0.0])
    level_down = np.cross(forward, level_right)
    pose = np.eye(4)
    pose[:3, 0] = cos_roll * level_right + sin_roll * level_down
    pose[:3, 1] = cos_roll * level_down - sin_roll * level_right
    pose[:3, 2] = forward
    pose[:3, 3] = view.position
    return pose
