"""Makes the geometry of a scene out of primitives.

A `SceneBuilder` collects triangles. `begin` opens an object: it sets the semantic class, the instance and the
placement (position, yaw) of everything added until the next `begin`; primitives take coordinates in that frame.
Objects begun within `together` are one group: none of them may be taken away without the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgedepth.world.scene import SEMANTIC_ID, Array, Colour, Material, PointLight, Scene, Sky, Texture

T = TypeVar("T")

_BOX_FACES = np.array(
    [[0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7], [0, 1, 5], [0, 5, 4],
     [1, 2, 6], [1, 6, 5], [2, 3, 7], [2, 7, 6], [3, 0, 4], [3, 4, 7]]
)  # fmt: skip
_BOX_CORNERS = 0.5 * np.array(
    [[-1, -1, -1], [1, -1, -1], [1, 1, -1], [-1, 1, -1], [-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]]
)


def rotation_z(angle: float) -> Array:
    """Rotation about z by `angle` radians, (3, 3)."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def rotation_x(angle: float) -> Array:
    """Rotation about x by `angle` radians, (3, 3)."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def rotation_y(angle: float) -> Array:
    """Rotation about y by `angle` radians, (3, 3)."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


class Dice:
    """Random draws of a recipe, made only from `random()` and `integers()` so that streams stay stable."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """A number in [low, high)."""
        return low + (high - low) * float(self.rng.random())

    def normal(self, sigma: float = 1.0) -> float:
        """A bell-shaped number of standard deviation `sigma`, within three of it (sum of three uniforms)."""
        return sigma * 2.0 * float(self.rng.random() + self.rng.random() + self.rng.random() - 1.5)

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return float(self.rng.random()) < probability

    def integer(self, low: int, high: int) -> int:
        """An integer in [low, high], both ends included."""
        return int(self.rng.integers(low, high + 1))

    def choice(self, options: Sequence[T]) -> T:
        """One of the options; list one twice to make it likelier."""
        return options[int(self.rng.integers(len(options)))]


class SceneBuilder:
    """Collects triangles, materials and lights, and makes the `Scene`."""

    def __init__(self) -> None:
        self.materials: list[Material] = []
        self.lights: list[PointLight] = []
        self.sky = Sky()
        self._positions: list[Array] = []
        self._normals: list[Array] = []
        self._local: list[Array] = []
        self._material: list[NDArray[np.int32]] = []
        self._semantic: list[NDArray[np.int32]] = []
        self._instance: list[NDArray[np.int32]] = []
        self._group: list[NDArray[np.int32]] = []
        self._instances = 0
        self._groups = 0
        self._joined = False
        self._class = 0
        self._rotation: Array = np.eye(3)
        self._origin: Array = np.zeros(3)

    # -- objects and materials ---------------------------------------------------------------------------

    def begin(
        self,
        semantic: str,
        position: ArrayLike = (0, 0, 0),
        yaw: float = 0.0,
        *,
        pitch: float = 0.0,
        same_instance: bool = False,
    ) -> None:
        """Open an object of a semantic class at a position, turned by `yaw` about z, its y axis raised by `pitch`."""
        self._class = SEMANTIC_ID[semantic]
        self._rotation = rotation_z(yaw) @ rotation_x(pitch) if pitch else rotation_z(yaw)
        self._origin = np.asarray(position, np.float64)
        if not same_instance:
            self._instances += 1
            if not self._joined:
                self._groups += 1

    @contextmanager
    def together(self) -> Iterator[None]:
        """Objects begun within stand and fall together, as a table and what is on it; the outermost counts."""
        if self._joined:
            yield
            return
        self._groups += 1
        self._joined = True
        try:
            yield
        finally:
            self._joined = False

    def to_world(self, point: ArrayLike) -> Array:
        """A point of the open object's frame in world coordinates."""
        return np.asarray(self._rotation @ np.asarray(point, np.float64) + self._origin)

    def material(
        self,
        texture: Texture,
        colour_a: Colour | Array,
        colour_b: Colour | Array | None = None,
        *,
        scale_m: float = 1.0,
        aux: float = 0.5,
        reflectance: float = 0.0,
        emission: float = 0.0,
        seed: int = 1,
    ) -> int:
        """Register a material and return its index; without `colour_b` the pattern is a darker `colour_a`."""
        second = np.asarray(colour_a) * 0.7 if colour_b is None else colour_b
        self.materials.append(
            Material(
                texture=texture,
                colour_a=_colour(colour_a),
                colour_b=_colour(second),
                scale_m=scale_m,
                aux=aux,
                reflectance=reflectance,
                emission=emission,
                seed=seed,
            )
        )
        return len(self.materials) - 1

    # -- primitives --------------------------------------------------------------------------------------

    def triangles(
        self,
        vertices: ArrayLike,
        faces: ArrayLike,
        material: int,
        *,
        normals: Array | None = None,
        local: Array | None = None,
        semantic: str | None = None,
    ) -> None:
        """Add faces (F, 3) over vertices (V, 3) of the object's frame.

        `normals` (V, 3) smooth the shading; `local` (V, 3) are texture coordinates if not the vertices.
        """
        points = np.asarray(vertices, np.float64)
        index = np.asarray(faces, np.int64)
        corners = (points @ self._rotation.T + self._origin)[index]  # (F, 3, 3)
        area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        length = np.linalg.norm(area, axis=1)
        keep = length > 1e-12
        if normals is None:
            shading = np.repeat((area[keep] / length[keep, None])[:, None], 3, axis=1)
        else:
            shading = (normals @ self._rotation.T)[index][keep]
        count = int(keep.sum())
        self._positions.append(corners[keep])
        self._normals.append(shading)
        self._local.append((points if local is None else local)[index][keep])
        self._material.append(np.full(count, material, np.int32))
        self._semantic.append(np.full(count, self._class if semantic is None else SEMANTIC_ID[semantic], np.int32))
        self._instance.append(np.full(count, self._instances, np.int32))
        self._group.append(np.full(count, self._groups, np.int32))

    def box(
        self,
        centre: ArrayLike,
        size: ArrayLike,
        material: int,
        *,
        rotation: Array | None = None,
        semantic: str | None = None,
    ) -> None:
        """A box of full edge lengths `size` around `centre`, turned about its centre by `rotation` (3, 3)."""
        shape = _BOX_CORNERS * np.asarray(size, np.float64)
        turned = shape if rotation is None else shape @ rotation.T
        middle = np.asarray(centre, np.float64)
        self.triangles(turned + middle, _BOX_FACES, material, local=shape + middle, semantic=semantic)

    def quad(self, corners: ArrayLike, material: int, *, semantic: str | None = None) -> None:
        """A flat four-cornered patch, corners (4, 3) in order."""
        self.triangles(corners, [[0, 1, 2], [0, 2, 3]], material, semantic=semantic)

    def lathe(
        self,
        profile: Sequence[tuple[float, float]],
        material: int,
        *,
        centre: ArrayLike = (0, 0, 0),
        segments: int = 12,
        rotation: Array | None = None,
        smooth: bool = True,
        semantic: str | None = None,
    ) -> None:
        """A surface of revolution about z from (radius, height) pairs, then turned and moved to `centre`."""
        outline = np.asarray(profile, np.float64)
        angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)
        ring = np.stack([np.cos(angle), np.sin(angle)], 1)
        rows = len(outline)
        vertices = np.zeros((rows, segments, 3))
        vertices[..., :2] = outline[:, None, :1] * ring[None]
        vertices[..., 2] = outline[:, 1:]
        slope = np.gradient(outline, axis=0)
        across = np.stack([slope[:, 1], -slope[:, 0]], 1)
        across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
        normals = np.zeros_like(vertices)
        normals[..., :2] = across[:, None, :1] * ring[None]
        normals[..., 2] = across[:, 1:]
        low = (np.arange(rows - 1)[:, None] * segments + np.arange(segments)).ravel()
        next_low = (np.arange(rows - 1)[:, None] * segments + (np.arange(segments) + 1) % segments).ravel()
        faces = np.concatenate(
            [
                np.stack([low, next_low, next_low + segments], 1),
                np.stack([low, next_low + segments, low + segments], 1),
            ]
        )
        local = vertices.reshape(-1, 3)
        shading = normals.reshape(-1, 3)
        turned = local if rotation is None else local @ rotation.T
        shading = shading if rotation is None else shading @ rotation.T
        self.triangles(
            turned + np.asarray(centre, np.float64),
            faces,
            material,
            normals=shading if smooth else None,
            local=local,
            semantic=semantic,
        )

    def cylinder(
        self,
        centre: ArrayLike,
        radius: float,
        height: float,
        material: int,
        *,
        top_radius: float | None = None,
        segments: int = 12,
        rotation: Array | None = None,
        semantic: str | None = None,
    ) -> None:
        """A closed cylinder (or cone stump) standing on `centre`."""
        top = radius if top_radius is None else top_radius
        profile = [(0.0, 0.0), (radius, 0.0), (radius, 1e-4), (top, height - 1e-4), (top, height), (0.0, height)]
        self.lathe(
            profile, material, centre=centre, segments=segments, rotation=rotation, smooth=segments > 8,
            semantic=semantic,
        )  # fmt: skip

    def ellipsoid(
        self,
        centre: ArrayLike,
        radii: ArrayLike,
        material: int,
        *,
        segments: int = 12,
        rings: int = 8,
        wobble: float = 0.0,
        phase: float = 0.0,
        semantic: str | None = None,
    ) -> None:
        """An ellipsoid of three radii (or one); `wobble` dents it (0.25 makes a shrub)."""
        latitude = np.linspace(-np.pi / 2, np.pi / 2, rings)
        angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)
        sphere = np.zeros((rings, segments, 3))
        sphere[..., 0] = np.cos(latitude)[:, None] * np.cos(angle)
        sphere[..., 1] = np.cos(latitude)[:, None] * np.sin(angle)
        sphere[..., 2] = np.sin(latitude)[:, None]
        unit = sphere.reshape(-1, 3)
        radius = np.broadcast_to(np.asarray(radii, np.float64), 3)
        dent = 1.0 + 1.5 * wobble * np.prod(np.sin(unit * [5.0, 6.0, 5.0] + phase), axis=1, keepdims=True)
        local = unit * dent * radius
        normals = unit / radius
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        low = (np.arange(rings - 1)[:, None] * segments + np.arange(segments)).ravel()
        next_low = (np.arange(rings - 1)[:, None] * segments + (np.arange(segments) + 1) % segments).ravel()
        faces = np.concatenate(
            [
                np.stack([low, next_low, next_low + segments], 1),
                np.stack([low, next_low + segments, low + segments], 1),
            ]
        )
        self.triangles(
            local + np.asarray(centre, np.float64), faces, material, normals=normals, local=local, semantic=semantic
        )

    def capsule(
        self,
        start: ArrayLike,
        end: ArrayLike,
        radius: float,
        material: int,
        *,
        end_radius: float | None = None,
        segments: int = 10,
        semantic: str | None = None,
    ) -> None:
        """A rounded rod from `start` to `end`: limbs, pipes, branches."""
        first, last = np.asarray(start, np.float64), np.asarray(end, np.float64)
        axis = last - first
        length = float(np.linalg.norm(axis))
        z = axis / length
        x = np.cross(z, [0.3, 0.9, 0.2])
        x /= np.linalg.norm(x)
        frame = np.stack([x, np.cross(z, x), z], 1)
        r1 = radius
        r2 = radius if end_radius is None else end_radius
        profile = [(0.0, -r1), (0.7 * r1, -0.7 * r1), (r1, 0.0), (r2, length), (0.7 * r2, length + 0.7 * r2),
                   (0.0, length + r2)]  # fmt: skip
        self.lathe(profile, material, centre=first, segments=segments, rotation=frame, semantic=semantic)

    # -- joining and finishing ---------------------------------------------------------------------------

    def add_scene(self, other: Scene, offset: ArrayLike = (0, 0, 0), yaw: float = 0.0) -> None:
        """Add another scene's geometry, materials and lamps, turned by `yaw` and moved by `offset`."""
        rotation = rotation_z(yaw)
        shift = np.asarray(offset, np.float64)
        self._positions.append(other.positions.astype(np.float64) @ rotation.T + shift)
        self._normals.append(other.normals.astype(np.float64) @ rotation.T)
        self._local.append(other.local.astype(np.float64))
        self._material.append(other.material + np.int32(len(self.materials)))
        self._semantic.append(other.semantic)
        self._instance.append(other.instance + np.int32(self._instances))
        self._instances += int(other.instance.max(initial=0))
        self._group.append(other.group + np.int32(self._groups))
        self._groups += int(other.group.max(initial=0))
        self.materials.extend(other.materials)
        for light in other.lights:
            place = rotation @ np.asarray(light.position) + shift
            self.lights.append(PointLight(position=_colour(place), colour=light.colour, radius_m=light.radius_m))

    def finish(self, category: str) -> Scene:
        """The scene built so far."""
        return Scene(
            category=category,
            positions=np.concatenate(self._positions).astype(np.float32),
            normals=np.concatenate(self._normals).astype(np.float32),
            local=np.concatenate(self._local).astype(np.float32),
            material=np.concatenate(self._material),
            semantic=np.concatenate(self._semantic),
            instance=np.concatenate(self._instance),
            group=np.concatenate(self._group),
            materials=tuple(self.materials),
            lights=tuple(self.lights),
            sky=self.sky,
        )


def _colour(values: Colour | Array) -> Colour:
    r, g, b = (float(v) for v in values)
    return r, g, b
