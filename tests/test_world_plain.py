"""Plain rooms: painted shell, fewer things, and the gallery's straight looks at a wall."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("warp", reason="the procedural world needs warp-lang: pip install 'edgedepth[world]'")

from edgedepth.world.recipe import dice_for
from edgedepth.world.scene import SEMANTIC_ID, Scene, Texture
from edgedepth.world.shard import recipes


def materials_of(scene: Scene, semantic: str) -> set[int]:
    return set(np.unique(scene.material[scene.semantic == SEMANTIC_ID[semantic]]).tolist())


@pytest.mark.parametrize("world", ["bare", "gallery"])
def test_shell_is_painted_light_and_things_are_taken_out(world: str) -> None:
    furnished = recipes("indoor")["office"](dice_for(5, 0)).scene
    plain = recipes(world)["office"](dice_for(5, 0)).scene  # type: ignore[arg-type]
    for semantic in ("wall", "ceiling"):
        (number,) = materials_of(plain, semantic)
        paint = plain.materials[number]
        assert paint.texture is Texture.FLAT
        assert min(paint.colour_a) > 0.6
    assert len(np.unique(plain.instance)) < 0.8 * len(np.unique(furnished.instance))
    kept = furnished.semantic == SEMANTIC_ID["door"]
    assert (plain.semantic == SEMANTIC_ID["door"]).sum() == kept.sum()  # openings stay


def test_gallery_floors_are_mostly_boards() -> None:
    boards = 0
    for seed in range(12):
        scene = recipes("gallery")["bedroom"](dice_for(seed, 0)).scene
        kinds = {scene.materials[number].texture for number in materials_of(scene, "floor")}
        boards += len(kinds) == 1 and kinds <= {Texture.PLANKS, Texture.WOOD}
    assert 5 <= boards <= 12


def test_gallery_looks_straight_at_a_wall_and_a_little_down() -> None:
    built = recipes("gallery")["living_room"](dice_for(2, 0))
    for number in range(20):
        view = built.sample_view(dice_for(2, 1 + number))
        off = (view.yaw + math.pi / 4) % (math.pi / 2) - math.pi / 4
        assert abs(off) <= 3 * 0.14 + 1e-9
        assert -0.35 <= view.pitch <= -0.02
        assert 36 <= view.hfov_deg <= 64
