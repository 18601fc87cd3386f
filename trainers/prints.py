"""Printed matter: posters, rugs, tiles, packaging and signs, laid on the planes that a frame shows.

Photographs are full of edges that are only painted on: depth does not change there. A print lies in a plane of the
scene, seen in perspective, behind what stands before it and under the light that falls there, so depth stays true.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.camera import Camera

Picture: TypeAlias = NDArray[np.uint8]  # (H, W, 3)
Vector: TypeAlias = NDArray[np.float32]  # (3,)

_MOST = 5  # prints of a frame
_TRIES = 12  # places looked at for them: many are no plane
_REACH = 3  # pixels to every side that a plane is fitted to
_ROUGHNESS = 0.012  # by what share of its depth a point may lie before or behind the plane
_LEAST_SHARE = 0.002  # of the frame that a print covers
_EVERYWHERE = 0.25  # chance that a print covers its plane without end, as wallpaper and tiles do
_PICTURE = 0.4  # chance that a print shows a picture and not a pattern
_PATTERN_PX = 64


@dataclass(frozen=True)
class Plane:
    """A plane of the scene: 1 / z = a u + b v + c at pixel (u, v), with z in metres."""

    a: float
    b: float
    c: float

    def inverse_depth(self, columns: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """1 / z in 1/m at pixels."""
        return np.asarray(self.a * columns + self.b * rows + self.c, np.float32)

    def normal(self, camera: Camera) -> Vector:
        """Unit vector at right angles to the plane, in the optical frame."""
        normal = np.array((self.a * camera.fx, self.b * camera.fy, self.a * camera.cx + self.b * camera.cy + self.c))
        return np.asarray(normal / np.linalg.norm(normal), np.float32)


def print_on_planes(
    image: Picture, depth_m: NDArray[np.float32], camera: Camera, picture: Picture, rng: np.random.Generator
) -> int:
    """Lay one to five prints on planes of a frame, in place; answers how many found a plane.

    Args:
        image: (H, W, 3) uint8, changed.
        depth_m: (H, W) float32 z-depth; pixels that are not finite stay as they are.
        camera: of this image.
        picture: (h, w, 3) uint8, what the prints show that are pictures.
        rng: where all randomness comes from.
    """
    height, width = depth_m.shape
    if min(height, width) <= 2 * _REACH:
        return 0
    wanted, laid = int(rng.integers(1, _MOST + 1)), 0
    for _ in range(_TRIES):
        row, column = (int(rng.integers(_REACH, side - _REACH)) for side in (height, width))
        plane = plane_at(depth_m, row, column)
        if plane is not None:
            laid += _lay(image, depth_m, camera, plane, (row, column), picture, rng)
        if laid == wanted:
            break
    return laid


def plane_at(depth_m: NDArray[np.float32], row: int, column: int) -> Plane | None:
    """The plane of the surface around a pixel of a (H, W) depth map; None where the surface is not flat or unknown."""
    around = depth_m[row - _REACH : row + _REACH + 1, column - _REACH : column + _REACH + 1]
    if not np.isfinite(around).all() or around.min() <= 0:
        return None
    inverse = 1 / around
    offset = np.arange(-_REACH, _REACH + 1, dtype=np.float32)
    spread = float((offset**2).sum() * len(offset))
    a, b = float((inverse * offset).sum()) / spread, float((inverse * offset[:, None]).sum()) / spread  # least squares
    middle = float(inverse.mean())
    rest = inverse - (middle + a * offset + b * offset[:, None])
    if np.abs(rest).max() > _ROUGHNESS / 2 * middle:
        return None
    return Plane(a, b, middle - a * column - b * row)


def _lay(
    image: Picture,
    depth_m: NDArray[np.float32],
    camera: Camera,
    plane: Plane,
    at: tuple[int, int],
    picture: Picture,
    rng: np.random.Generator,
) -> bool:
    """Print something on the plane around a pixel, or on all of it; False where too little of it can be seen."""
    height, width = depth_m.shape
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    where = np.abs(plane.inverse_depth(columns, rows) * depth_m - 1) < _ROUGHNESS  # False for NaN and inf
    half_px = width * math.exp(rng.uniform(math.log(0.04), math.log(0.35)))  # if it were seen from the front
    distance = 1 / float(plane.inverse_depth(columns[at[1]], rows[at[0], 0]))
    half_m = half_px / camera.fx * distance
    half_wh = half_m, half_m * math.exp(rng.uniform(-0.7, 0.7))
    v, u = np.nonzero(where)
    points = np.stack(((u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(len(u))), axis=1)
    points = points.astype(np.float32) * depth_m[where][:, None]
    middle = distance * np.array(((at[1] - camera.cx) / camera.fx, (at[0] - camera.cy) / camera.fy, 1), np.float32)
    across, down = _directions(plane.normal(camera), rng)
    beside = points - middle
    x, y = beside @ (across / half_wh[0]), beside @ (down / half_wh[1])  # -1..1 on one print
    if rng.random() >= _EVERYWHERE:
        on = (np.abs(x) < 1) & (np.abs(y) < 1)
        u, v, x, y = u[on], v[on], x[on], y[on]
    if len(u) < _LEAST_SHARE * width * height:
        return False
    design = _design(picture, rng, max(4, min(_PATTERN_PX, round(2 * half_px))))
    seen = _sampled(design, x, y)
    box = slice(v.min(), v.max() + 1), slice(u.min(), u.max() + 1)
    light = cv2.blur(cv2.cvtColor(np.ascontiguousarray(image[box]), cv2.COLOR_RGB2GRAY), (7, 7))[
        v - box[0].start, u - box[1].start
    ]
    mean_light = max(float(light.mean()), 1.0)
    # as bright on the whole as what it covers, give or take, and with its shadows
    gain = mean_light / max(float(seen.mean()), 1.0) * math.exp(rng.normal(0.0, 0.35))
    gains = gain * np.clip(light / np.float32(mean_light), 0.3, 1.7)[:, None]
    cover = np.float32(rng.uniform(0.5, 1.0))
    image[v, u] = np.clip(image[v, u] * (1 - cover) + seen * gains * cover, 0, 255).astype(np.uint8)
    return True


def _directions(normal: Vector, rng: np.random.Generator) -> tuple[Vector, Vector]:
    """Unit vectors across and down a print: level on walls, any way round on floors and tables."""
    level = np.array((normal[2], 0.0, -normal[0]))  # at right angles to the normal and to y
    if math.hypot(normal[0], normal[2]) < 0.5:
        turn = rng.uniform(0, math.pi)
        level = np.cross(normal, (math.cos(turn), 0.0, math.sin(turn)))
    across = np.asarray(level / np.linalg.norm(level), np.float32)
    return across, np.cross(normal, across)


def _sampled(design: Picture, x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """The design's colours (N, 3) at places on it, -1..1 from edge to edge; beyond, it is repeated."""
    height, width = design.shape[:2]
    columns = np.floor((x + 1) * (width / 2)).astype(np.int64) % width
    rows = np.floor((y + 1) * (height / 2)).astype(np.int64) % height
    return np.asarray(design[rows, columns], np.float32)


def _design(picture: Picture, rng: np.random.Generator, side: int) -> Picture:
    """What is printed, (side, side, 3): a part of the picture, or a pattern of leaves, lines of writing, or tiles."""
    if rng.random() < _PICTURE:
        height, width = picture.shape[:2]
        w, h = (int(rng.integers(size // 3, size + 1)) for size in (width, height))
        x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        design = picture[y : y + h, x : x + w]
    else:
        design = (_leaves, _writing, _tiles)[int(rng.integers(3))](rng)
    return np.asarray(cv2.resize(design, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _colours(rng: np.random.Generator, count: int) -> list[list[int]]:
    """Colours, mostly pale ones."""
    grey = rng.uniform(0, 255, (count, 1))
    drawn = np.clip(grey + rng.normal(0, 1, (count, 3)) * rng.uniform(0, 70, (count, 1)), 0, 255)
    colours: list[list[int]] = drawn.astype(int).tolist()
    return colours


def _plain(colour: list[int]) -> Picture:
    return np.full((_PATTERN_PX, _PATTERN_PX, 3), colour, np.uint8)


def _leaves(rng: np.random.Generator) -> Picture:
    """Shapes of all sizes, one over the other, as natural pictures have them (Lee, Mumford and Huang 2001)."""
    count = int(rng.integers(20, 90))
    ground, *colours = _colours(rng, count + 1)
    design = _plain(ground)
    radii = np.maximum(1, (2 / rng.uniform(0.08, 1.0, count)).astype(int))  # sizes r with density 1 / r^2
    longs = (radii * rng.uniform(0.5, 2.0, count)).astype(int)
    places = rng.integers(0, _PATTERN_PX, (count, 2)).tolist()
    round_ones = rng.random(count) < 0.5
    for (x, y), radius, long, is_round, colour in zip(
        places, radii.tolist(), longs.tolist(), round_ones, colours, strict=True
    ):
        if is_round:
            cv2.circle(design, (x, y), radius, colour, cv2.FILLED)
        else:
            cv2.rectangle(design, (x - radius, y - long), (x + radius, y + long), colour, cv2.FILLED)
    return design


def _writing(rng: np.random.Generator) -> Picture:
    """Rows of short dark or light strokes of uneven length, as a page or a label seen from afar."""
    ground, ink, other = _colours(rng, 3)
    design, height = _plain(ground), int(rng.integers(2, 10))
    for top in range(height, _PATTERN_PX - height, 2 * height):
        left = int(rng.integers(2, 12))
        while left < _PATTERN_PX - 4:
            right = left + int(rng.integers(1, 3 * height + 2))
            design[top : top + height, left : min(right, _PATTERN_PX - 2)] = ink
            left = right + int(rng.integers(1, height + 1))
        if rng.random() < 0.15:
            ink, other = other, ink
    return design


def _tiles(rng: np.random.Generator) -> Picture:
    """Stripes, a grid with joints, or a chequer, of two colours."""
    ground, second = _colours(rng, 2)
    across, down = (_PATTERN_PX // int(rng.integers(1, 9)) for _ in range(2))
    kind = rng.integers(3)
    columns, rows = np.meshgrid(np.arange(_PATTERN_PX), np.arange(_PATTERN_PX))
    if kind == 0:
        painted = columns // max(across // 2, 1) % 2 == 0
    elif kind == 1:
        joint = int(rng.integers(1, 4))
        painted = (columns % across < joint) | (rows % down < joint)
    else:
        painted = (columns // max(across // 2, 1) + rows // max(down // 2, 1)) % 2 == 0
    return np.where(painted[..., None], second, ground).astype(np.uint8)
