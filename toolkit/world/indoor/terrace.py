"""What lies before a glass door: paving, and a wall, fence, hedge or railing around it."""

from __future__ import annotations

from edgedepth.world import palette
from edgedepth.world.builder import Dice, SceneBuilder
from edgedepth.world.indoor import furniture
from edgedepth.world.indoor.placing import Kit, Pose


def terrace(kit: Kit, threshold: Pose, wide: float) -> None:
    """A terrace before a door `wide` metres wide; `threshold` is the middle of its sill outside, facing the room."""
    b, dice = kit.b, kit.dice
    deep, side, drop = dice.uniform(1.0, 6.0), dice.uniform(0.1, 2.5), dice.choice((0.03, 0.06, 0.16))
    half = wide / 2 + side
    kit.begin("terrain", threshold)
    b.box((0, -deep / 2, -drop - 0.1), (2 * half, deep, 0.2), _paving(b, dice))
    enclose = dice.choice((_wall, _wall, _fence, _hedge, _railing))
    enclose(kit, threshold.at(0, -deep, -drop), 2 * half)
    for edge in (-half, half):
        if dice.chance(0.7):
            turned = threshold.at(edge, -deep / 2, -drop, 1.5708)
            enclose(kit, turned, deep)
    for _ in range(dice.integer(0, 3)):
        thing = dice.choice((furniture.plant, furniture.plant, furniture.chair, furniture.lounge_chair))(dice)
        place = threshold.at(dice.uniform(-0.8, 0.8) * half, -dice.uniform(0.3, 0.85) * deep, -drop)
        thing.build(kit, place.at(0, 0, 0, dice.uniform(0, 6.3)))


def _paving(b: SceneBuilder, dice: Dice) -> int:
    draw = dice.uniform()
    if draw < 0.3:
        return palette.brick(b, dice)
    if draw < 0.55:
        return palette.planks(b, dice)
    return palette.tiles(b, dice) if draw < 0.75 else palette.stone(b, dice)


def _wall(kit: Kit, middle: Pose, long: float) -> None:
    kit.begin("building", middle)
    tall = kit.dice.choice((0.5, 0.8, 1.1, 1.9)) * kit.dice.uniform(0.8, 1.2)
    material = palette.brick(kit.b, kit.dice) if kit.dice.chance(0.6) else palette.wall(kit.b, kit.dice)
    kit.b.box((0, 0, tall / 2), (long, 0.2, tall), material)
    if kit.dice.chance(0.5):
        kit.b.box((0, 0, tall + 0.03), (long, 0.26, 0.06), palette.stone(kit.b, kit.dice))


def _fence(kit: Kit, middle: Pose, long: float) -> None:
    kit.begin("fence", middle)
    tall = kit.dice.uniform(0.9, 2.0)
    material = palette.wood(kit.b, kit.dice)
    if kit.dice.chance(0.5):  # boards side by side
        step = kit.dice.uniform(0.08, 0.18)
        for i in range(int(long / step)):
            kit.b.box((-long / 2 + (i + 0.5) * step, 0, tall / 2), (step * 0.85, 0.02, tall), material)
        return
    step = kit.dice.uniform(0.1, 0.2)
    for i in range(int(tall / step)):
        kit.b.box((0, 0, (i + 0.5) * step), (long, 0.02, step * 0.88), material)


def _hedge(kit: Kit, middle: Pose, long: float) -> None:
    kit.begin("tree", middle)
    tall, material = kit.dice.uniform(0.7, 2.2), palette.foliage(kit.b, kit.dice)
    count = max(2, round(long / 0.7))
    for i in range(count):
        x = (i + 0.5) / count * long - long / 2
        radii = (0.6 * long / count, 0.4, tall * kit.dice.uniform(0.5, 0.6))
        kit.b.ellipsoid((x, 0, tall / 2), radii, material, segments=10, rings=8, wobble=0.25)


def _railing(kit: Kit, middle: Pose, long: float) -> None:
    kit.begin("fence", middle)
    tall, metal = kit.dice.uniform(0.9, 1.1), kit.look.metal
    kit.b.box((0, 0, tall), (long, 0.05, 0.04), metal)
    kit.b.box((0, 0, 0.1), (long, 0.03, 0.03), metal)
    step = kit.dice.uniform(0.1, 0.14)
    for i in range(int(long / step)):
        kit.b.box((-long / 2 + (i + 0.5) * step, 0, tall / 2), (0.014, 0.014, tall), metal)
