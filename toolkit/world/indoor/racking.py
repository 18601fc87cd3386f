"""Racks of a store, bay by bay, what stands on them, and what carries it: pallets, trucks, forklifts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgedepth.world import palette
from edgedepth.world.builder import Dice
from edgedepth.world.indoor.placing import FloorPlan, Kit, Piece, Pose
from edgedepth.world.scene import Colour, Texture
from edgedepth.world.solids import boxes, limbs, stamp

_PALLET_M = 0.14


@dataclass(frozen=True, kw_only=True)
class Stock:
    """One make of rack and the goods of a store; metres, and material indices.

    `detailed` builds stacks of single boxes where a large store makes do with their pattern.
    """

    bay: float
    depth: float
    levels: tuple[float, ...]  # heights of the boards
    height: float
    post: int
    beam: int
    board: int
    wood: int
    goods: tuple[int, ...]
    stacks: tuple[int, ...]
    filled: float
    detailed: bool


def cardboard(dice: Dice) -> Colour:
    """The colour of a box."""
    return palette.hsv(dice.uniform(0.06, 0.1), dice.uniform(0.3, 0.5), dice.uniform(0.3, 0.62))


def draw_stock(
    kit: Kit, *, bay: tuple[float, float], depth: tuple[float, float], height: float, detailed: bool = False
) -> Stock:
    """Draw a make of rack and its goods; the topmost load stays below `height`."""
    b, dice = kit.b, kit.dice
    step = dice.uniform(0.5, 0.85) if detailed else dice.uniform(1.3, 1.9)
    first = dice.choice((0.1, step)) if detailed else step
    count = max(2, int((height - first) / step))
    goods = [palette.paint(b, dice, cardboard(dice)) for _ in range(4)]
    goods += [palette.plastic(b, dice), palette.plastic(b, dice), palette.thing(b, dice), palette.printed(b, dice)]
    stacks = [
        palette.pattern(b, dice, dice.choice((Texture.TILES, Texture.BRICK)), tint, palette.shade(tint, 0.6),
                        scale_m=dice.uniform(0.25, 0.5))
        for tint in (cardboard(dice), cardboard(dice), cardboard(dice), palette.any_colour(dice))
    ]  # fmt: skip
    stacks += [palette.flat(b, palette.grey(dice.uniform(0.5, 0.85)), reflectance=0.06), goods[4], goods[7]]
    blue = palette.flat(b, palette.hsv(0.61, dice.uniform(0.6, 0.9), dice.uniform(0.15, 0.5)))
    orange = palette.flat(b, palette.hsv(dice.choice((0.05, 0.06, 0.14)), 0.85, dice.uniform(0.5, 0.85)))
    steel = palette.flat(b, palette.grey(dice.uniform(0.2, 0.65)), reflectance=0.05)
    post, beam = dice.choice(((blue, orange), (blue, orange), (steel, orange), (steel, steel), (steel, blue)))
    board = dice.choice((steel, palette.planks(b, dice), palette.wood(b, dice)))
    return Stock(
        bay=dice.uniform(*bay), depth=dice.uniform(*depth), levels=tuple(first + i * step for i in range(count)),
        height=first + (count - 0.6) * step, post=post, beam=beam, board=board, wood=palette.planks(b, dice),
        goods=tuple(goods), stacks=tuple(stacks), filled=dice.uniform(0.55, 0.97), detailed=detailed,
    )  # fmt: skip


def row(plan: FloorPlan, kit: Kit, stock: Stock, x: float, start: float, end: float) -> None:
    """Bays side by side along y at `x`, left out where something stands or a door opens."""
    count = int((end - start) / stock.bay)
    wide = stock.bay - 0.004  # neighbours must not count as one in the other
    piece = Piece(width=wide, depth=stock.depth, height=stock.height + 0.3, build=lambda k, p: _bay(k, p, stock))
    for i in range(count):
        plan.beside(kit, piece, Pose(x, start + (i + 0.5) * stock.bay, 0.0, math.pi / 2))


def _bay(kit: Kit, pose: Pose, stock: Stock) -> None:
    b, w, d, h = kit.b, stock.bay, stock.depth, stock.height
    thick = 0.045 if stock.detailed else 0.1
    kit.begin("shelf", pose)
    xs = (-w / 2 + thick / 2, w / 2 - thick / 2)
    boxes(b, [(x, y * (d - thick) / 2, h / 2) for x in xs for y in (-1, 1)], (thick, thick, h), stock.post)
    for x in xs:  # braces between the front and the back posts
        z = np.arange(0.3, h - 0.3, max(0.9, 1.4 * d))
        starts = np.stack([np.full_like(z, x), np.full_like(z, -d / 2 + 0.03), z], 1)
        ends = starts * [1, -1, 1] + [0, 0, min(0.8, d)]
        stamp(b, limbs(starts, ends, 0.018, sides=3, taper=1.0), stock.post)
    z = np.array(stock.levels)
    size = (w - 2 * thick, 0.04, thick * 1.2)
    boxes(b, [(0, y * (d / 2 - 0.02), k - 0.05) for k in z for y in (-1, 1)], size, stock.beam)
    boxes(b, [(0, 0, k - 0.01) for k in z], (w - 2 * thick, d - 0.04, 0.02), stock.board)
    floors = list(stock.levels) if stock.levels[0] < 0.2 else [0.0, *stock.levels]
    for low, high in zip(floors, [*floors[1:], floors[-1] + stock.levels[1] - stock.levels[0]], strict=True):
        _load(kit, pose.at(0, 0, low), stock, high - low - 0.16)


def _load(kit: Kit, pose: Pose, stock: Stock, room_m: float) -> None:
    """What stands on one board: pallets or single boxes."""
    dice, inner = kit.dice, stock.bay - 0.22
    if not stock.detailed:
        count = max(1, int(inner / 1.1))
        for i in range(count):
            if dice.chance(stock.filled):
                x = (i - (count - 1) / 2) * inner / count
                place = pose.at(x + dice.normal(0.02), dice.normal(0.02), 0.0, dice.normal(0.015))
                pallet_load(kit, place, stock, (min(1.15, inner / count - 0.06), stock.depth - 0.06), room_m)
        return
    x = -inner / 2
    while x < inner / 2 - 0.15:
        run = min(dice.uniform(0.22, 0.6), inner / 2 - x)
        if dice.chance(stock.filled):
            kit.begin("box", pose.at(x + run / 2, dice.normal(0.02), 0.0, dice.normal(0.03)))
            material = dice.choice(stock.goods)
            tiers = dice.choice((1, 1, 2, 3))
            high = max(0.08, room_m * dice.uniform(0.35, 0.95) / tiers)
            deep = stock.depth * dice.uniform(0.65, 0.95)
            middles = [(dice.normal(0.01), dice.normal(0.01), (i + 0.5) * high) for i in range(tiers)]
            boxes(kit.b, middles, (run - 0.04, deep, high - 0.006), material)
            if dice.chance(0.4):
                label = (min(0.18, run * 0.5), 0.004, min(0.12, high * 0.5))
                boxes(kit.b, [(0, s * (deep / 2 + 0.012), high / 2) for s in (-1, 1)], label, stock.goods[7])
        x += run


def pallet_load(kit: Kit, pose: Pose, stock: Stock, size: tuple[float, float], room_m: float) -> None:
    """A pallet and what is on it: a wrapped block, a stack of boxes, drums; up to `room_m` high."""
    b, dice = kit.b, kit.dice
    w, d = size
    kit.begin("box", pose)
    b.box((0, 0, 0.12), (w, d, 0.04), stock.wood)
    boxes(b, [(x * (w / 2 - 0.06), 0, 0.05) for x in (-1, 0, 1)], (0.12, d, 0.1), stock.wood)
    high = (room_m - _PALLET_M) * dice.uniform(0.4, 0.95)
    draw = dice.uniform()
    if draw < 0.72:
        share = dice.uniform(0.82, 1.0)
        b.box((0, 0, _PALLET_M + high / 2), (w * share, d * share, high), dice.choice(stock.stacks))
    elif draw < 0.86:
        r, tall = min(w, d) / 4.2, min(high, 0.9)
        for x in (-1, 1):
            for y in (-1, 1):
                drum = [(r, 0.0), (r, tall), (0.0, tall + 0.001)]
                b.lathe(drum, stock.goods[5], centre=(x * w / 4, y * d / 4, _PALLET_M), segments=9, smooth=False)
    else:
        for _ in range(3):
            tall = high * dice.uniform(0.3, 1.0)
            middle = (dice.uniform(-0.3, 0.3) * w, dice.uniform(-0.25, 0.25) * d, _PALLET_M + tall / 2)
            b.box(middle, (w * 0.38, d * 0.45, tall), dice.choice(stock.goods))


def pallet(dice: Dice) -> Piece:
    """Some empty pallets on the floor, mostly with boxes on top."""
    count, w, d = dice.integer(1, 5), 1.15, 0.8
    load = dice.uniform(0.3, 0.9) if dice.chance(0.6) else 0.0

    def build(kit: Kit, pose: Pose) -> None:
        b, dice = kit.b, kit.dice
        kit.begin("box", pose)
        wood = palette.planks(b, dice)
        for i in range(count):
            x, y = dice.normal(0.015), dice.normal(0.015)
            boxes(b, [(x, y, i * _PALLET_M + z) for z in (0.125, 0.015)], (w, d, 0.03), wood)
            boxes(b, [(x + k * 0.5, y, i * _PALLET_M + 0.07) for k in (-1, 0, 1)], (0.1, d, 0.08), wood)
        if load:
            box = palette.pattern(b, dice, Texture.TILES, cardboard(dice), scale_m=0.4)
            b.box((0, 0, count * _PALLET_M + load / 2), (w * 0.9, d * 0.9, load), box)

    return Piece(width=w, depth=d, height=count * _PALLET_M + load, build=build)


def hand_truck(_dice: Dice) -> Piece:
    """A pallet truck pulled by hand."""

    def build(kit: Kit, pose: Pose) -> None:
        b = kit.b
        kit.begin("appliance", pose)
        paint = palette.plastic(b, kit.dice, palette.vivid_colour(kit.dice))
        boxes(b, [(x, 0.1, 0.08) for x in (-0.2, 0.2)], (0.16, 1.15, 0.06), paint)
        b.box((0, -0.52, 0.18), (0.5, 0.14, 0.36), paint)
        b.capsule((0, -0.55, 0.3), (0, -0.72, 1.15), 0.025, kit.look.metal, segments=6)
        b.box((0, -0.72, 1.2), (0.3, 0.04, 0.16), paint)

    return Piece(width=0.56, depth=1.6, height=1.25, build=build)


def forklift(dice: Dice) -> Piece:
    """A forklift truck, its forks ahead, sometimes with a pallet on them."""
    lifted = dice.uniform(0.05, 0.3) if dice.chance(0.8) else dice.uniform(0.5, 1.5)

    def build(kit: Kit, pose: Pose) -> None:
        b, dice = kit.b, kit.dice
        kit.begin("car", pose)
        paint = palette.flat(b, palette.hsv(dice.choice((0.03, 0.08, 0.13, 0.6)), 0.85, 0.7), reflectance=0.05)
        black = palette.flat(b, palette.grey(0.03), reflectance=0.02)
        b.box((0, -0.35, 0.5), (1.05, 1.5, 0.5), paint)
        b.box((0, -0.95, 0.75), (1.05, 0.5, 0.75), paint)
        b.box((0, -0.25, 0.85), (0.5, 0.5, 0.2), black)
        b.box((0, -0.5, 1.1), (0.48, 0.12, 0.45), black)
        corners = [(x * 0.46, y) for x in (-1, 1) for y in (-1.0, 0.3)]
        boxes(b, [(x, y, 1.4) for x, y in corners], (0.06, 0.06, 1.5), black)
        b.box((0, -0.35, 2.16), (1.0, 1.4, 0.06), black)
        boxes(b, [(x, 0.48, 1.1) for x in (-0.32, 0.32)], (0.1, 0.14, 2.1), black)
        boxes(b, [(0, 0.48, z) for z in (0.5, 1.3, 2.1)], (0.64, 0.08, 0.1), black)
        boxes(b, [(x, 1.1, lifted) for x in (-0.22, 0.22)], (0.12, 1.1, 0.045), black)
        b.box((0, 0.57, lifted + 0.25), (0.9, 0.05, 0.5), black)
        turned = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # a lathe's axis from z to x
        for x, y, r in ((-0.56, 0.25, 0.32), (0.4, 0.25, 0.32), (-0.54, -0.95, 0.26), (0.4, -0.95, 0.26)):
            b.cylinder((x, y, r), r, 0.16, black, segments=12, rotation=turned)
        if dice.chance(0.5):
            wood = palette.planks(b, dice)
            b.box((0, 1.15, lifted + 0.09), (1.1, 0.9, 0.13), wood, semantic="box")
            load = palette.pattern(b, dice, Texture.TILES, cardboard(dice), scale_m=0.4)
            b.box((0, 1.15, lifted + 0.6), (1.0, 0.85, 0.88), load, semantic="box")

    return Piece(width=1.2, depth=3.4, height=2.2, build=build)
