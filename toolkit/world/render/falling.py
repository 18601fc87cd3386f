"""What falls through the air between camera and scene: streaks of rain and flakes of snow.

Only light changes. Depth and labels stay those of the scene: a depth sensor's user wants to know what stands behind the
rain. Drops and flakes have places in the air before the camera, so near ones are large, long and blurred, far ones many
and faint, and none is seen before something that is nearer.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.camera import Camera
from edgedepth.world.builder import Dice
from edgedepth.world.render.pose import world_from_camera
from edgedepth.world.render.sensor import Image
from edgedepth.world.scene import Array, Sky, View

_NEAREST_M = 0.35
_LAYERS = 6
_MOST = 6000  # in one picture
_COARSE_PX = 56  # width of the picture in which the light around drops is blurred
_DARK = 0.25  # intensity of a sky below which what falls is lit by lamps


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """How something falls: its speed, size, and how far it is seen; shares of light from around and from the sky."""

    speed_m_s: tuple[float, float]
    size_m: tuple[float, float]
    cover: tuple[float, float]
    reach_m: float
    around: float
    above: float


_RAIN = _Kind(speed_m_s=(5.0, 9.0), size_m=(0.002, 0.005), cover=(0.25, 0.6), reach_m=8.0, around=0.6, above=0.55)
_SNOW = _Kind(speed_m_s=(0.7, 1.8), size_m=(0.006, 0.02), cover=(0.6, 0.95), reach_m=14.0, around=0.3, above=0.6)


def with_fall(radiance: Image, depth_m: NDArray[np.float32], camera: Camera, view: View, sky: Sky, dice: Dice) -> Image:
    """The radiance with the rain and snow of `sky` in the air before the camera.

    Args:
        radiance: (H, W, 3) float32 linear RGB.
        depth_m: (H, W) float32, 0 where there is only sky: what hides drops behind it.
        camera: the intrinsics.
        view: where the camera is and how it is turned, so that things fall downwards.
        sky: `rain` and `snow` say how much falls, `intensity` how bright it is.
        dice: source of every drop.

    Returns:
        (H, W, 3) float32; the radiance itself where nothing falls.
    """
    for kind, density in ((_RAIN, sky.rain), (_SNOW, sky.snow)):
        if density > 0:
            radiance = _fallen(radiance, depth_m, camera, view, sky, kind, density, dice)
    return radiance


def _fallen(
    radiance: Image, depth_m: NDArray[np.float32], camera: Camera, view: View, sky: Sky, kind: _Kind,
    density: float, dice: Dice,
) -> Image:  # fmt: skip
    start = _places(camera, kind.reach_m, density, dice)
    end = start + _path(view, kind, len(start), dice)
    size, cover = dice.uniform(0.6, 1.4), dice.uniform(*kind.cover)
    diameter = size * (kind.size_m[0] + (kind.size_m[1] - kind.size_m[0]) * dice.rng.random(len(start)) ** 2)
    aperture = dice.uniform(0.0005, 0.004)
    edges = np.geomspace(_NEAREST_M, kind.reach_m, _LAYERS + 1)
    light = _light(radiance, sky, kind)
    image = radiance
    for near, far in reversed(list(pairwise(edges))):
        which = (start[:, 2] >= near) & (start[:, 2] < far) & (end[:, 2] > 0.5 * _NEAREST_M)
        middle = float(np.sqrt(near * far))
        mask = _drawn(camera, start[which], end[which], diameter[which])
        blur = camera.fx * aperture / middle / 2
        if blur > 0.2:
            mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), blur), np.float32)
        free = (depth_m == 0) | (depth_m > middle)
        share = (cover * mask * free)[..., None]
        image = np.asarray(image * (1 - share) + light * share, np.float32)
    return image


def _places(camera: Camera, reach_m: float, density: float, dice: Dice) -> Array:
    """(N, 3) points in the camera's frame, evenly spread over what it sees and a little beside it."""
    wide, high = 1.3 * camera.width, 1.3 * camera.height
    volume = wide / camera.fx * high / camera.fy * (reach_m**3 - _NEAREST_M**3) / 3
    count = min(int(density * volume), _MOST)
    draws = dice.rng.random((3, count))
    z = np.cbrt(_NEAREST_M**3 + draws[2] * (reach_m**3 - _NEAREST_M**3))
    x = (draws[0] - 0.5) * wide / camera.fx * z
    y = (draws[1] - 0.5) * high / camera.fy * z
    return np.stack([x, y, z], 1)


def _path(view: View, kind: _Kind, count: int, dice: Dice) -> Array:
    """(N, 3) how far each falls in the camera's frame while the shutter is open."""
    shutter_s = np.exp(dice.uniform(np.log(1 / 200), np.log(1 / 40)))
    wind = np.array([dice.normal(1.2), dice.normal(1.2), -dice.uniform(*kind.speed_m_s)])
    metres = np.tile(wind, (count, 1)) + 0.25 * wind[2] * (dice.rng.random((count, 3)) - 0.5)
    down = np.asarray(metres @ world_from_camera(view)[:3, :3] * shutter_s)
    if dice.chance(0.3):  # a camera that drives
        down[:, 2] -= dice.uniform(1.0, 9.0) * shutter_s
    return down


def _drawn(camera: Camera, start: Array, end: Array, diameter_m: Array) -> Image:
    """(H, W) in 0..1: lines from start to end; one that is thinner than a pixel is drawn fainter instead."""
    mask = np.zeros((camera.height, camera.width), np.uint8)
    focal, middle = (camera.fx, camera.fy), (camera.cx, camera.cy)
    first = np.rint((start[:, :2] / start[:, 2:] * focal + middle) * 16).astype(int).tolist()
    last = np.rint((end[:, :2] / end[:, 2:] * focal + middle) * 16).astype(int).tolist()
    width = camera.fx * diameter_m / start[:, 2]
    grey = np.rint(255 * np.minimum(width, 1.0)).astype(int).tolist()
    thick = np.maximum(np.rint(width), 1).astype(int).tolist()
    for p, q, shade, pixels in zip(first, last, grey, thick, strict=True):
        cv2.line(mask, p, q, shade, pixels, cv2.LINE_AA, 4)
    return np.asarray(mask / 255, np.float32)


def _light(radiance: Image, sky: Sky, kind: _Kind) -> Image:
    """What a drop shines with: the light of all that is around it and of the sky; at night, of the lamps near by."""
    height, width = radiance.shape[:2]
    small = cv2.resize(radiance, (_COARSE_PX, max(1, round(_COARSE_PX * height / width))), interpolation=cv2.INTER_AREA)
    around = cv2.resize(cv2.GaussianBlur(small, (0, 0), _COARSE_PX / 14), (width, height))
    above = np.array([0.82, 0.86, 0.9], np.float32) * np.float32(kind.above * sky.intensity)
    day = kind.around * around + above
    night = 1.6 * around
    dark = float(np.clip(1 - sky.intensity / _DARK, 0, 1))
    return np.asarray(day * (1 - dark) + night * dark, np.float32)
