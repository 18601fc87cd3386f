"""Groups: what stands on, hangs from or sits on something is taken out with it, so that nothing is left in the air."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("warp", reason="the procedural world needs warp-lang: pip install 'edgedepth[world]'")

from edgedepth.world.builder import SceneBuilder
from edgedepth.world.categories import NEAR_CATEGORIES
from edgedepth.world.indoor.bare import emptied
from edgedepth.world.recipe import dice_for
from edgedepth.world.scene import SEMANTIC_CLASSES, SEMANTIC_ID, Scene, Texture
from edgedepth.world.shard import World, recipes

GAP_M = 0.03
ROOM = tuple(SEMANTIC_ID[name] for name in ("wall", "floor", "ceiling", "door", "window", "pillar"))


def in_the_air(scene: Scene) -> list[str]:
    """The classes of the objects that neither stand on the floor nor hang from the room, by themselves or others."""
    low, high = scene.positions.min(1), scene.positions.max(1)  # (T, 3)
    objects = [np.flatnonzero(scene.instance == number) for number in np.unique(scene.instance)]
    lows = np.array([low[own].min(0) for own in objects])
    highs = np.array([high[own].max(0) for own in objects])
    held = (lows[:, 2] < GAP_M) | [bool(np.isin(scene.semantic[own], ROOM).all()) for own in objects]
    holding = np.flatnonzero(held).tolist()
    while holding:
        one = holding.pop()
        for other in np.flatnonzero(~held & close(lows, highs, lows[one], highs[one])):
            a, c = objects[one], objects[other]
            a = a[close(low[a], high[a], lows[other], highs[other])]
            c = c[close(low[c], high[c], lows[one], highs[one])]
            if close(low[a][:, None], high[a][:, None], low[c], high[c]).any():
                held[other] = True
                holding.append(other)
    return [SEMANTIC_CLASSES[scene.semantic[objects[number][0]]] for number in np.flatnonzero(~held)]


def close(
    low: NDArray[np.float32], high: NDArray[np.float32], other_low: NDArray[np.float32], other_high: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Which boxes come within the gap of others; the last axis is x, y, z."""
    return np.asarray(((low <= other_high + GAP_M) & (high >= other_low - GAP_M)).all(-1))


def laid_table() -> Scene:
    """A room's floor, a table with a cup on it, and a box on the floor."""
    b = SceneBuilder()
    paint = b.material(Texture.FLAT, (0.5, 0.5, 0.5))
    b.begin("floor")
    b.box((0, 0, -0.1), (5, 5, 0.2), paint)
    with b.together():
        b.begin("table")
        b.box((0, 0, 0.35), (1, 1, 0.7), paint)
        with b.together():  # within another: of its group
            b.begin("clutter", (0.2, 0.0, 0.7))
            b.box((0, 0, 0.05), (0.1, 0.1, 0.1), paint)
    b.begin("box", (2.0, 0.0, 0.0))
    b.box((0, 0, 0.2), (0.4, 0.4, 0.4), paint)
    return b.finish("office")


def test_a_group_is_what_was_begun_together() -> None:
    scene = laid_table()
    assert scene.group.tolist() == np.repeat([1, 2, 2, 3], 12).tolist()
    assert scene.instance.tolist() == np.repeat([1, 2, 3, 4], 12).tolist()
    b = SceneBuilder()
    b.add_scene(scene)
    b.add_scene(scene, (9.0, 0.0, 0.0))
    assert b.finish("office").group.tolist() == np.repeat([1, 2, 2, 3, 4, 5, 5, 6], 12).tolist()


def test_a_group_is_taken_out_as_one_and_the_room_stays() -> None:
    scene, left = laid_table(), set()
    for seed in range(20):
        left.add(tuple(np.unique(emptied(scene, dice_for(seed), share=0.5).instance).tolist()))
    assert left == {(1,), (1, 2, 3), (1, 4), (1, 2, 3, 4)}


def test_a_cup_without_its_table_is_in_the_air() -> None:
    assert in_the_air(laid_table()) == []
    b = SceneBuilder()
    b.begin("clutter", (0.0, 0.0, 0.7))
    b.box((0, 0, 0.05), (0.1, 0.1, 0.1), b.material(Texture.FLAT, (0.5, 0.5, 0.5)))
    assert in_the_air(b.finish("office")) == ["clutter"]


@pytest.mark.parametrize("world", ["bare", "gallery", "company"])
def test_nothing_is_in_the_air(world: World) -> None:
    for seed, name in enumerate(NEAR_CATEGORIES):
        scene = recipes(world)[name](dice_for(seed, 0)).scene
        assert (name, in_the_air(scene)) == (name, [])


def test_who_sits_goes_with_the_seat_and_who_stands_stays() -> None:
    sitters = 0
    for seed in range(4):
        scene = recipes("company")["meeting_room"](dice_for(seed, 0)).scene
        people = scene.semantic == SEMANTIC_ID["person"]
        seated = np.intersect1d(scene.group[people], scene.group[scene.semantic == SEMANTIC_ID["chair"]])
        standing = np.setdiff1d(scene.group[people], seated)
        sitters += len(seated)
        left = emptied(scene, dice_for(seed), share=1.0)
        assert set(left.group[left.semantic == SEMANTIC_ID["person"]].tolist()) == set(standing.tolist())
    assert sitters > 0
