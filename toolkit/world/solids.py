"""Many equal parts in one call: boxes, flat patches and stamped meshes, where a loop would be too slow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgedepth.world.builder import SceneBuilder
from edgedepth.world.scene import Array

_CORNERS = 0.5 * np.array(
    [[-1, -1, -1], [1, -1, -1], [1, 1, -1], [-1, 1, -1], [-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]]
)
_FACES = np.array(
    [[0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7], [0, 1, 5], [0, 5, 4],
     [1, 2, 6], [1, 6, 5], [2, 3, 7], [2, 7, 6], [3, 0, 4], [3, 4, 7]]
)  # fmt: skip


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh to stamp: vertices (V, 3), faces (F, 3), and normals (V, 3) where it is smooth."""

    vertices: Array
    faces: NDArray[np.int64]
    normals: Array | None = None


def repeated_faces(faces: ArrayLike, vertices_each: int, count: int) -> NDArray[np.int64]:
    """The faces of `count` copies of a part that has `vertices_each` vertices."""
    one = np.asarray(faces, np.int64)
    return np.asarray((one[None] + vertices_each * np.arange(count)[:, None, None]).reshape(-1, one.shape[1]))


def boxes(b: SceneBuilder, centres: ArrayLike, sizes: ArrayLike, material: int, *, semantic: str | None = None) -> None:
    """Axis-aligned boxes of the open object's frame: centres (N, 3), full sizes (N, 3) or (3,)."""
    middle = np.asarray(centres, np.float64).reshape(-1, 3)
    if not len(middle):
        return
    size = np.broadcast_to(np.asarray(sizes, np.float64), middle.shape)
    vertices = (_CORNERS[None] * size[:, None] + middle[:, None]).reshape(-1, 3)
    b.triangles(vertices, repeated_faces(_FACES, 8, len(middle)), material, semantic=semantic)


def stamp(b: SceneBuilder, mesh: Mesh, material: int, *, scale: ArrayLike = 1.0, semantic: str | None = None) -> None:
    """Add a mesh, scaled (one factor or three), to the open object."""
    factor = np.broadcast_to(np.asarray(scale, np.float64), 3)
    normals = mesh.normals
    if normals is not None:
        normals = normals / factor
        normals = normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12)
    b.triangles(mesh.vertices * factor, mesh.faces, material, normals=normals, semantic=semantic)


def grid_faces(rows: int, columns: int) -> NDArray[np.int64]:
    """Faces of a grid of vertices (rows, columns), facing the side from which columns run left to right."""
    index = np.arange(rows * columns).reshape(rows, columns)
    a, c = index[:-1, :-1].ravel(), index[:-1, 1:].ravel()
    d, e = index[1:, 1:].ravel(), index[1:, :-1].ravel()
    return np.concatenate([np.stack([a, c, d], 1), np.stack([a, d, e], 1)])


def limbs(starts: ArrayLike, ends: ArrayLike, radii: ArrayLike, *, sides: int = 5, taper: float = 0.6) -> Mesh:
    """Tapered prisms from starts (N, 3) to ends (N, 3): trunks and branches."""
    first, last = np.asarray(starts, np.float64).reshape(-1, 3), np.asarray(ends, np.float64).reshape(-1, 3)
    radius = np.broadcast_to(np.asarray(radii, np.float64), len(first))
    axis = last - first
    axis = axis / (np.linalg.norm(axis, axis=1, keepdims=True) + 1e-9)
    x = np.cross(axis, [0.31, 0.9, 0.2])
    x /= np.linalg.norm(x, axis=1, keepdims=True) + 1e-9
    y = np.cross(axis, x)
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    ring = np.cos(angle)[:, None] * x[:, None] + np.sin(angle)[:, None] * y[:, None]  # (N, sides + 1, 3)
    low = first[:, None] + radius[:, None, None] * ring
    high = last[:, None] + taper * radius[:, None, None] * ring
    vertices = np.stack([low, high], 1).reshape(-1, 3)
    faces = repeated_faces(grid_faces(2, sides + 1), 2 * (sides + 1), len(first))
    return Mesh(vertices, faces, np.stack([ring, ring], 1).reshape(-1, 3))
