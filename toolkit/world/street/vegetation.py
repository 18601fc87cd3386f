"""Trees, bushes, hedges and grass tufts: a few meshes per scene, grown once and stamped many times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgedepth.world import palette
from edgedepth.world.builder import Dice, SceneBuilder
from edgedepth.world.scene import Array, Colour, Texture
from edgedepth.world.solids import Mesh, grid_faces, limbs, repeated_faces, stamp
from edgedepth.world.street.course import Course
from edgedepth.world.street.site import Site


def _unit_sphere(rings: int, segments: int) -> Mesh:
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rings)[:, None]
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)[None]
    unit = np.stack(
        [np.cos(latitude) * np.cos(angle), np.cos(latitude) * np.sin(angle), np.sin(latitude) + 0 * angle], -1
    )
    closed = np.concatenate([unit, unit[:, :1]], 1)
    return Mesh(closed.reshape(-1, 3), grid_faces(rings, segments + 1))


def _draws(dice: Dice, *shape: int) -> Array:
    """Uniform numbers in [0, 1)."""
    return dice.rng.random(shape)


def _directions(dice: Dice, count: int) -> Array:
    """Unit vectors spread over the sphere."""
    z, angle = 2 * _draws(dice, count) - 1, 2 * np.pi * _draws(dice, count)
    flat = np.sqrt(1 - z * z)
    return np.stack([flat * np.cos(angle), flat * np.sin(angle), z], 1)


def _merge(parts: Sequence[Mesh]) -> Mesh:
    offsets = np.cumsum([0] + [len(p.vertices) for p in parts])
    normals = [p.vertices * 0 if p.normals is None else p.normals for p in parts]
    return Mesh(
        np.concatenate([p.vertices for p in parts]),
        np.concatenate([p.faces + o for p, o in zip(parts, offsets, strict=False)]),
        np.concatenate(normals),
    )


def blobs(dice: Dice, centres: Array, radii: Array, *, rings: int = 6, segments: int = 8, dent: float = 0.3) -> Mesh:
    """Dented spheres of radii (N, 3) around centres (N, 3): masses of leaves."""
    ball = _unit_sphere(rings, segments)
    phase = 6.3 * _draws(dice, len(centres), 1, 3)
    wave = np.prod(np.sin(ball.vertices[None] * [4.0, 5.0, 4.0] + phase), axis=2, keepdims=True)
    vertices = ball.vertices[None] * (1 + 1.5 * dent * wave) * radii[:, None] + centres[:, None]
    normals = np.repeat(ball.vertices[None], len(centres), 0).reshape(-1, 3)
    return Mesh(vertices.reshape(-1, 3), repeated_faces(ball.faces, len(ball.vertices), len(centres)), normals)


def leaf_cards(dice: Dice, centres: Array, radii: Array, count: int, size: float) -> Mesh:
    """Loose triangles of leaves just outside blobs, which break their outline."""
    which = (_draws(dice, count) * len(centres)).astype(int)
    out = _directions(dice, count)
    middle = centres[which] + out * radii[which] * (0.85 + 0.4 * _draws(dice, count, 1))
    corners = middle[:, None] + size * (2 * _draws(dice, count, 3, 3) - 1)
    normals = np.repeat(out, 3, axis=0)
    return Mesh(corners.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3), normals)


@dataclass(frozen=True)
class Species:
    """A plant to stamp: its meshes for a height of one metre, the materials, and its natural size."""

    crown: Mesh | None
    crown_far: Mesh | None  # fewer triangles, for out of reach of any camera
    trunk: Mesh | None
    leaf: int
    bark: int
    height_m: tuple[float, float]
    trunk_radius: float


def _bark(b: SceneBuilder, dice: Dice) -> int:
    colour = palette.hsv(dice.uniform(0.05, 0.1), dice.uniform(0.1, 0.45), dice.uniform(0.06, 0.3))
    return palette.pattern(b, dice, Texture.NOISE, colour, palette.shade(colour, 0.4), scale_m=dice.uniform(0.05, 0.2))


def _leaf(b: SceneBuilder, dice: Dice, colour: Colour | None = None) -> int:
    base = palette.hsv(dice.uniform(0.17, 0.33), dice.uniform(0.35, 0.7), dice.uniform(0.12, 0.45))
    if dice.chance(0.12):
        base = palette.hsv(dice.uniform(0.03, 0.14), dice.uniform(0.5, 0.85), dice.uniform(0.15, 0.5))
    base = base if colour is None else colour
    return palette.pattern(b, dice, Texture.FOLIAGE, base, palette.shade(base, dice.uniform(0.3, 0.6)),
                           scale_m=dice.uniform(0.1, 0.4))  # fmt: skip


def _broadleaf(b: SceneBuilder, dice: Dice) -> Species:
    clear = dice.uniform(0.2, 0.38)  # share of the height without leaves
    spread = dice.uniform(0.2, 0.36)
    count = dice.integer(10, 15)
    out = _directions(dice, count) * _draws(dice, count, 1) ** 0.4
    half = (1 - clear) / 2
    centres = out * [spread * 0.72, spread * 0.72, half * 0.7] + [0, 0, clear + half]
    radii = (0.26 + 0.24 * _draws(dice, count, 1)) * np.array([spread, spread, half * 0.95])
    crown = _merge([blobs(dice, centres, radii, rings=6, segments=7), leaf_cards(dice, centres, radii, 220, 0.035)])
    sparse = blobs(dice, centres[::2], 1.2 * radii[::2], rings=5, segments=6)
    far = _merge([sparse, leaf_cards(dice, centres, radii, 40, 0.04)])
    forks = centres[:4]
    starts = np.concatenate([[[0, 0, -0.05]], np.tile([[0, 0, clear * 0.9]], (len(forks), 1))])
    trunk = limbs(starts, np.concatenate([[[0, 0, clear * 1.15]], forks]), [0.02] + [0.011] * len(forks), sides=6)
    return Species(crown, far, trunk, _leaf(b, dice), _bark(b, dice), (4.5, 16.0), 0.02)


def _conifer(b: SceneBuilder, dice: Dice) -> Species:
    spread, base, tiers, sides = dice.uniform(0.13, 0.24), dice.uniform(0.04, 0.25), 8, 16
    parts = []
    for i in range(tiers):
        low = base + (0.95 - base) * i / tiers
        radius = spread * (1 - i / tiers) ** 0.85 * dice.uniform(0.9, 1.1)
        ragged = radius * (0.75 + 0.5 * _draws(dice, sides)) * np.where(np.arange(sides) % 2, 0.6, 1.1)
        angle = np.linspace(0, 2 * np.pi, sides, endpoint=False) + dice.uniform(0, 1)
        rim = np.stack([ragged * np.cos(angle), ragged * np.sin(angle), low - 0.05 * ragged / spread], 1)
        tip = [[0, 0, min(low + 2.2 * (0.95 - base) / tiers, 1.0)]]
        faces = np.array([[j, (j + 1) % sides, sides] for j in range(sides)])
        normals = np.stack([np.cos(angle), np.sin(angle), 0 * angle + 0.5], 1)
        parts.append(Mesh(np.concatenate([rim, tip]), faces, np.concatenate([normals, [[0, 0, 1.0]]])))
    dark = palette.hsv(dice.uniform(0.25, 0.42), dice.uniform(0.25, 0.6), dice.uniform(0.05, 0.2))
    tiers_mesh = _merge(parts)
    trunk = limbs([[0, 0, -0.05]], [[0, 0, 0.9]], [0.016])
    return Species(tiers_mesh, tiers_mesh, trunk, _leaf(b, dice, dark), _bark(b, dice), (4.0, 20.0), 0.016)


def _poplar(b: SceneBuilder, dice: Dice) -> Species:
    count = 6
    z = np.linspace(0.2, 0.88, count)
    centres = np.stack([0.02 * (_draws(dice, count) - 0.5), 0.02 * (_draws(dice, count) - 0.5), z], 1)
    wide = dice.uniform(0.07, 0.11) * np.sin(np.pi * np.clip(z, 0.2, 0.85))
    radii = np.stack([wide, wide, np.full(count, 0.14)], 1)
    crown = _merge([blobs(dice, centres, radii, rings=6, segments=8), leaf_cards(dice, centres, radii, 70, 0.02)])
    far = blobs(dice, centres, radii, rings=5, segments=6)
    trunk = limbs([[0, 0, -0.05]], [[0, 0, 0.3]], [0.013])
    return Species(crown, far, trunk, _leaf(b, dice), _bark(b, dice), (6.0, 18.0), 0.013)


def _palm(b: SceneBuilder, dice: Dice) -> Species:
    fronds, joints = 13, 5
    angle = 2 * np.pi * (np.arange(fronds) + 0.5 * _draws(dice, fronds)) / fronds
    lift = 0.2 + 1.0 * _draws(dice, fronds)
    u = np.linspace(0, 1, joints)
    reach = 0.3 * u[None] * np.cos(lift)[:, None] ** 0.5
    height = 0.9 + 0.25 * (np.sin(lift)[:, None] * u[None] - 1.1 * u[None] ** 2)
    spine = np.stack([reach * np.cos(angle)[:, None], reach * np.sin(angle)[:, None], height], -1)
    side = (
        np.stack([-np.sin(angle), np.cos(angle), 0 * angle], -1)[:, None]
        * (0.035 * np.sin(np.pi * (0.15 + 0.85 * u)))[None, :, None]
    )
    vertices = np.stack([spine - side, spine + side], 2).reshape(-1, 3)
    crown = Mesh(vertices, repeated_faces(grid_faces(joints, 2), 2 * joints, fronds), None)
    bend = dice.normal(0.05)
    starts = [[0, 0, -0.03], [bend, 0, 0.45]]
    trunk = limbs(starts, [[bend, 0, 0.45], [0, 0, 0.91]], [0.022, 0.018], taper=0.85)
    return Species(crown, crown, trunk, _leaf(b, dice), _bark(b, dice), (5.0, 12.0), 0.022)


def _bare(b: SceneBuilder, dice: Dice) -> Species:
    starts, ends, radii = [np.array([[0, 0, -0.05]])], [np.array([[0, 0, 0.35]])], [np.array([0.02])]
    tips, directions, thickness, length = np.array([[0, 0, 0.33]]), np.array([[0, 0, 1.0]]), 0.013, 0.26
    for fan in (4, 4, 3):
        parents = np.repeat(np.arange(len(tips)), fan)
        new = directions[parents] + 0.75 * _directions(dice, len(parents)) + [0, 0, 0.25]
        new /= np.linalg.norm(new, axis=1, keepdims=True)
        base = tips[parents] - directions[parents] * (0.4 * length * _draws(dice, len(parents), 1))
        tip = base + new * length * (0.7 + 0.5 * _draws(dice, len(parents), 1))
        starts.append(base)
        ends.append(tip)
        radii.append(np.full(len(tip), thickness))
        tips, directions, thickness, length = tip, new, thickness * 0.5, length * 0.68
    trunk = limbs(np.concatenate(starts), np.concatenate(ends), np.concatenate(radii), sides=3, taper=0.45)
    return Species(None, None, trunk, 0, _bark(b, dice), (4.0, 14.0), 0.02)


def _shrub(b: SceneBuilder, dice: Dice) -> Species:
    count = dice.integer(2, 4)
    centres = np.column_stack([0.8 * (_draws(dice, count, 2) - 0.5), 0.35 + 0.25 * _draws(dice, count)])
    radii = (0.35 + 0.2 * _draws(dice, count, 3)) * [1.0, 1.0, 1.25]
    centres[:, 2] = np.minimum(centres[:, 2], 0.5 * radii[:, 2])  # dents take 0.45 of a radius: all reach the ground
    crown = _merge([blobs(dice, centres, radii, rings=8, segments=12), leaf_cards(dice, centres, radii, 40, 0.1)])
    return Species(crown, blobs(dice, centres, radii, rings=5, segments=6), None, _leaf(b, dice), 0, (0.5, 2.2), 0.5)


_Grower = Callable[[SceneBuilder, Dice], Species]
_TREES: tuple[_Grower, ...] = (
    _broadleaf,
    _broadleaf,
    _broadleaf,
    _broadleaf,
    _poplar,
    _conifer,
    _conifer,
    _bare,
    _palm,
)
_WOODS: tuple[_Grower, ...] = (_broadleaf, _broadleaf, _broadleaf, _conifer, _conifer, _bare)


_FAR_M = 50.0  # from the middle of the scene
_MAX_NEAR = 20  # trees and bushes in full detail


class Flora:
    """The plants that grow in one scene."""

    def __init__(self, site: Site, *, woodland: bool = False) -> None:
        dice = site.dice
        growers = _WOODS if woodland else _TREES
        kinds = [dice.choice(growers) for _ in range(dice.integer(2, 4) if woodland else dice.integer(1, 3))]
        if all(kind is _bare for kind in kinds):
            kinds.append(_broadleaf)
        self.site = site
        self._near_left = _MAX_NEAR
        self.trees = [grow(site.builder, dice) for grow in kinds]
        self.shrubs = [_shrub(site.builder, dice) for _ in range(2)]

    def _stamp(self, species: Species, position: Array, height: float) -> None:
        b, dice = self.site.builder, self.site.dice
        b.begin("tree", self.site.on_land(position), dice.uniform(0, 2 * np.pi))
        wide = height * dice.uniform(0.85, 1.2)
        far = self._near_left <= 0 or float(np.hypot(position[0], position[1])) > _FAR_M
        self._near_left -= 0 if far else 1
        crown = species.crown_far if far else species.crown
        for mesh, material in ((crown, species.leaf), (species.trunk, species.bark)):
            if mesh is not None:
                stamp(b, mesh, material, scale=(wide, wide, height))

    def tree(self, position: Array, height: float | None = None) -> bool:
        """A tree where there is room for its trunk; returns whether there was."""
        dice = self.site.dice
        species = dice.choice(self.trees)
        tall = dice.uniform(*species.height_m) if height is None else height
        radius = max(0.15, species.trunk_radius * tall)
        if not self.site.free(position, radius + 0.1):
            return False
        self.site.obstacles.add(position, 0.0, radius, radius)
        self._stamp(species, position, tall)
        return True

    def shrub(self, position: Array, height: float | None = None) -> bool:
        """A bush; returns whether there was room for it."""
        dice = self.site.dice
        species = dice.choice(self.shrubs)
        tall = dice.uniform(*species.height_m) if height is None else height
        if not self.site.free(position, 0.6 * tall):
            return False
        self.site.obstacles.add(position, 0.0, 0.6 * tall, 0.6 * tall)
        self._stamp(species, position, tall)
        return True


def hedge(site: Site, course: Course, s0: float, s1: float, t: float, height: float, width: float = 0.7) -> None:
    """A clipped or shaggy hedge along a line."""
    b, dice = site.builder, site.dice
    b.begin("tree")
    shaggy = dice.uniform(0.03, 0.12)
    s = np.linspace(s0, s1, max(2, int((s1 - s0) / 0.8)))
    section = np.array([(-1, 0.0), (-1.05, 0.55), (-0.75, 1.0), (0.75, 1.0), (1.05, 0.55), (1, 0.0)])
    across = t + section[None, :, 0] * width / 2 + shaggy * (2 * _draws(dice, len(s), 6) - 1)
    up = section[None, :, 1] * (height + 1.5 * shaggy * (2 * _draws(dice, len(s), 6) - 1)) - 0.05
    world = course.points(s[:, None], across, up).reshape(-1, 3)
    local = np.stack([across, np.broadcast_to(s[:, None], across.shape), up], -1).reshape(-1, 3)
    b.triangles(world, grid_faces(len(s), 6), _leaf(b, dice), local=local)
    for s_end in np.arange(s0 + 1.0, s1 - 0.5, 2.0):
        site.obstacles.add(course.points(s_end, t), course.heading(s_end), 1.2, width / 2)


def tufts(site: Site, points: Array, height: float, material: int) -> None:
    """Tufts of long grass or reeds at points (N, 3): three crossed blades each."""
    n = len(points)
    if not n:
        return
    dice = site.dice
    angle = 2 * np.pi * _draws(dice, n, 3)
    lean = np.stack([np.cos(angle), np.sin(angle), 0 * angle], -1) * height * 0.45
    side = np.stack([-np.sin(angle), np.cos(angle), 0 * angle], -1) * height * 0.2
    tip = points[:, None] + lean + [0, 0, height] * (0.6 + 0.6 * _draws(dice, n, 3, 1))
    base = points[:, None] - [0, 0, 0.03]
    vertices = np.stack([base - side, base + side, tip], 2).reshape(-1, 3)
    site.builder.begin("grass")
    site.builder.triangles(vertices, np.arange(len(vertices)).reshape(-1, 3), material)
