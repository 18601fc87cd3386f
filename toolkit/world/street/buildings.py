"""Houses, terraces, blocks, towers, shops and sheds.

A building's own frame: its front is the plane x = 0, x grows into the building, y along the street, z = 0 at the
pavement; walls go a metre below so that slopes leave no gap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgedepth.world import palette
from edgedepth.world.builder import Dice, SceneBuilder
from edgedepth.world.scene import Array, Colour, Texture
from edgedepth.world.solids import boxes
from edgedepth.world.street.site import Site

_SUNK_M = 1.0


@dataclass(frozen=True)
class Plot:
    """The ground a building stands on, in metres: width along the street, depth away from it.

    Where `near` is false nobody comes close: windows are painted on instead of built.
    """

    width: float
    depth: float
    near: bool = True


def wall_colour(dice: Dice) -> Colour:
    """Plaster, brick, stone or paint as towns have it."""
    draw = dice.uniform()
    if draw < 0.35:
        return palette.hsv(dice.uniform(0.02, 0.14), dice.uniform(0.05, 0.4), dice.uniform(0.35, 0.8))
    if draw < 0.6:
        return palette.hsv(dice.uniform(0.0, 0.07), dice.uniform(0.3, 0.65), dice.uniform(0.15, 0.45))
    if draw < 0.85:
        return palette.grey(dice.uniform(0.15, 0.8))
    return palette.hsv(dice.uniform(), dice.uniform(0.1, 0.45), dice.uniform(0.3, 0.75))


def facade_material(b: SceneBuilder, dice: Dice, colour: Colour, storey: float, bay: float | None = None) -> int:
    """A wall with rows of windows."""
    return b.material(
        Texture.FACADE,
        colour,
        palette.hsv(dice.uniform(0.5, 0.65), dice.uniform(0, 0.4), dice.uniform(0.05, 0.3)),
        scale_m=dice.uniform(1.5, 3.4) if bay is None else bay,
        aux=storey,
        seed=dice.integer(1, 9999),
    )


def _bare_wall(b: SceneBuilder, dice: Dice, colour: Colour) -> int:
    kind = dice.choice((Texture.NOISE, Texture.BRICK, Texture.CONCRETE, Texture.BRICK, Texture.PLANKS))
    return palette.pattern(b, dice, kind, colour, palette.shade(colour, dice.uniform(0.6, 0.92)),
                           scale_m=0.25 if kind is Texture.BRICK else None)  # fmt: skip


def _roof_material(b: SceneBuilder, dice: Dice) -> int:
    colour = dice.choice(
        (palette.hsv(dice.uniform(0.01, 0.06), 0.6, dice.uniform(0.15, 0.4)), palette.grey(dice.uniform(0.05, 0.3)),
         palette.hsv(0.07, 0.3, dice.uniform(0.1, 0.3)))
    )  # fmt: skip
    kind = dice.choice((Texture.TILES, Texture.BRICK, Texture.STRIPES, Texture.NOISE))
    return palette.pattern(b, dice, kind, colour, palette.shade(colour, 0.65), scale_m=dice.uniform(0.25, 0.45))


def gable(b: SceneBuilder, plot: Plot, eaves: float, rise: float, roof: int, wall: int, *, along: bool) -> None:
    """A pitched roof with its ridge along the street, or towards it, and the gable walls."""
    half_y, over = plot.width / 2, 0.35
    low, drop = eaves, rise * over / ((plot.depth if along else plot.width) / 2)
    if along:
        ridge = plot.depth / 2
        ends = [(-over, low - drop), (ridge, low + rise), (plot.depth + over, low - drop)]
        top = [(x, y, z) for y in (-half_y - 0.2, half_y + 0.2) for x, z in ends]
        sides = [[(0, y, low), (plot.depth, y, low), (ridge, y, low + rise)] for y in (-half_y, half_y)]
    else:
        ends = [(-half_y - over, low - drop), (0.0, low + rise), (half_y + over, low - drop)]
        top = [(x, y, z) for x in (-over, plot.depth + over) for y, z in ends]
        sides = [[(x, -half_y, low), (x, half_y, low), (x, 0.0, low + rise)] for x in (0.0, plot.depth)]
    b.triangles(top, [[0, 3, 4], [0, 4, 1], [1, 4, 5], [1, 5, 2]], roof)
    thick = np.asarray(top) - [0, 0, 0.18]
    b.triangles(thick, [[0, 4, 3], [0, 1, 4], [1, 5, 4], [1, 2, 5]], roof)
    for side in sides:
        b.triangles(side, [[0, 1, 2]], wall)


def _hip(b: SceneBuilder, plot: Plot, eaves: float, rise: float, roof: int) -> None:
    over, y, d = 0.4, plot.width / 2, plot.depth
    run = min(y, d / 2) * 0.9
    x0, x1, y1 = -over, d + over, y + over
    points = [(x0, -y1, eaves), (x1, -y1, eaves), (x1, y1, eaves), (x0, y1, eaves),
              (d / 2, -y + run, eaves + rise), (d / 2, y - run, eaves + rise)]  # fmt: skip
    b.triangles(points, [[0, 1, 4], [2, 3, 5], [1, 2, 5], [1, 5, 4], [3, 0, 4], [3, 4, 5], [0, 2, 1], [0, 3, 2]], roof)


def _body(b: SceneBuilder, plot: Plot, height: float, material: int) -> None:
    b.box((plot.depth / 2, 0, (height - _SUNK_M) / 2), (plot.depth, plot.width, height + _SUNK_M), material)


def _door(b: SceneBuilder, dice: Dice, y: float, *, width: float = 1.0) -> None:
    leaf = palette.paint(b, dice, palette.any_colour(dice, 0.8, 0.05, 0.6))
    frame = palette.flat(b, palette.grey(dice.uniform(0.3, 0.85)))
    b.box((0.0, y, 1.08), (0.1, width + 0.16, 2.2), frame, semantic="door")
    b.box((-0.04, y, 1.02), (0.06, width, 2.05), leaf, semantic="door")
    b.box((-0.25, y, 0.02), (0.6, width + 0.4, 0.22), palette.stone(b, dice))


def _windows(
    b: SceneBuilder, dice: Dice, positions: list[tuple[float, float]], size: tuple[float, float], *, lit: bool
) -> None:
    """Modelled windows on the front: (y, z) middles; frame, pane and sill."""
    if not positions:
        return
    w, h = size
    frame = palette.flat(b, palette.grey(dice.choice((0.05, 0.3, 0.8, 0.85))))
    glass = palette.flat(b, palette.hsv(0.6, 0.3, dice.uniform(0.02, 0.08)), reflectance=dice.uniform(0.06, 0.15))
    warm = palette.flat(b, (0.95, 0.72, 0.4), emission=dice.uniform(0.4, 1.0))
    centre = np.array([(0.0, y, z) for y, z in positions])
    boxes(b, centre, (0.1, w + 0.14, h + 0.14), frame)
    glow = np.array([lit and dice.chance(0.45) for _ in positions])
    halves = np.array([(0.0, -w / 4, 0.0), (0.0, w / 4, 0.0)])
    for chosen, material in ((glow, warm), (~glow, glass)):
        panes = (centre[chosen][:, None] + halves - [0.035, 0, 0]).reshape(-1, 3)
        boxes(b, panes, (0.06, w / 2 - 0.04, h - 0.02), material, semantic="window")
    boxes(b, centre - [0.08, 0, h / 2 + 0.1], (0.22, w + 0.24, 0.07), frame)
    if dice.chance(0.2):
        shutter = palette.paint(b, dice, palette.any_colour(dice, 0.7, 0.1, 0.5))
        for side in (-1, 1):
            boxes(b, centre + np.array([-0.03, side * (w * 0.75 + 0.1), 0.0]), (0.06, w * 0.5, h), shutter)


def _grid(dice: Dice, plot: Plot, storeys: range, storey: float, keep: float = 1.0) -> list[tuple[float, float]]:
    bays = max(1, int(plot.width / dice.uniform(2.3, 3.4)))
    ys = (np.arange(bays) + 0.5) * plot.width / bays - plot.width / 2
    return [(float(y), (f + 0.55) * storey) for f in storeys for y in ys if dice.chance(keep)]


def house(site: Site, plot: Plot) -> float:
    """A detached or semi-detached house with pitched roof, chimney, porch or garage. Returns its height."""
    b, dice = site.builder, site.dice
    storeys, storey = dice.choice((1, 2, 2)), dice.uniform(2.6, 3.0)
    eaves = storeys * storey
    colour = wall_colour(dice)
    wall = _bare_wall(b, dice, colour) if plot.near else facade_material(b, dice, colour, storey)
    roof = _roof_material(b, dice)
    _body(b, plot, eaves, wall)
    rise = dice.uniform(1.5, 3.2)
    if dice.chance(0.3):
        _hip(b, plot, eaves, rise, roof)
    else:
        gable(b, plot, eaves, rise, roof, wall, along=dice.chance(0.6))
    door_y = dice.uniform(-0.3, 0.3) * plot.width
    size = (dice.uniform(1.0, 1.7), dice.uniform(1.1, 1.4))
    places = _grid(dice, plot, range(storeys), storey) if plot.near else []
    _windows(b, dice, [(y, z) for y, z in places if z > storey or abs(y - door_y) > size[0] / 2 + 0.7], size,
             lit=site.weather.dark)  # fmt: skip
    _door(b, dice, door_y)
    if dice.chance(0.5):
        b.box((plot.depth * dice.uniform(0.3, 0.7), plot.width * dice.choice((-0.3, 0.3)), eaves + rise * 0.75),
              (0.6, 0.7, 1.4 + rise * 0.5), palette.brick(b, dice))  # fmt: skip
    if dice.chance(0.35):
        cover = palette.wood(b, dice)
        b.box((-0.8, door_y, 2.45), (1.7, 2.4, 0.14), roof)
        boxes(b, [(-1.5, door_y - 1.0, 1.2), (-1.5, door_y + 1.0, 1.2)], (0.12, 0.12, 2.4), cover)
    if dice.chance(0.25):
        b.box((-0.6, -plot.width * 0.28 if door_y > 0 else plot.width * 0.28, 1.3), (1.3, 2.4, 2.6), wall)
    return eaves + rise


def _shop_front(site: Site, plot: Plot) -> None:
    b, dice = site.builder, site.dice
    lit = site.weather.dark or dice.chance(0.15)
    inside = dice.choice((palette.picture(b, dice), palette.flat(b, (0.04, 0.05, 0.06), reflectance=0.12)))
    glass = (
        b.material(Texture.PICTURE, (0.9, 0.75, 0.5), (0.6, 0.5, 0.4), scale_m=0.4, emission=0.8,
                   seed=dice.integer(1, 999))
        if lit else inside
    )  # fmt: skip
    trim = palette.paint(b, dice, palette.any_colour(dice, 0.8, 0.03, 0.6))
    b.box((-0.05, 0, 1.75), (0.16, plot.width * 0.97, 3.5), trim)
    panes = max(2, int(plot.width / (2.2 if plot.near else 4.5)))
    door = dice.integer(0, panes - 1)
    w = plot.width * 0.95 / panes
    for i in range(panes):
        y = (i + 0.5 - panes / 2) * w
        if i == door:
            _door(b, dice, y)
        else:
            b.box((-0.13, y, 1.55), (0.04, w - 0.18, 2.0), glass, semantic="window")
    if dice.chance(0.85):
        board = b.material(Texture.TEXT, palette.vivid_colour(dice) if dice.chance(0.6) else palette.dull_colour(dice),
                           palette.grey(dice.choice((0.05, 0.9))), scale_m=dice.uniform(0.3, 0.6),
                           emission=0.9 if lit else 0.0, seed=dice.integer(1, 9999))  # fmt: skip
        b.box((-0.2, 0, 3.05), (0.2, plot.width * dice.uniform(0.5, 0.95), 0.62), board, semantic="sign")
    if dice.chance(0.4):
        cloth = palette.pattern(b, dice, Texture.STRIPES, palette.vivid_colour(dice), palette.grey(0.85), scale_m=0.5)
        y, out = plot.width * 0.46, dice.uniform(0.9, 1.6)
        corners = [(-0.15, -y, 2.85), (-0.15, y, 2.85), (-out, y, 2.3), (-out, -y, 2.3)]
        b.quad(corners, cloth)
        b.quad([(x, yy, z - 0.02) for x, yy, z in corners[::-1]], cloth)
    if dice.chance(0.3):
        b.box((-0.55, plot.width * 0.35, 3.4), (0.9, 0.12, dice.uniform(0.5, 1.2)), palette.printed(b, dice, 0.2),
              semantic="sign")  # fmt: skip


def _balconies(b: SceneBuilder, dice: Dice, plot: Plot, storeys: int, storey: float) -> None:
    slab, rail = palette.flat(b, palette.grey(dice.uniform(0.3, 0.8))), palette.metal(b, dice, shiny=False)
    columns = max(1, int(plot.width / 5))
    ys = (np.arange(columns) + 0.5) * plot.width / columns - plot.width / 2
    centres = np.array([(-0.55, y, f * storey) for f in range(1, storeys) for y in ys])
    wide = min(3.0, plot.width / columns * 0.7)
    boxes(b, centres, (1.1, wide, 0.14), slab)
    boxes(b, centres + np.array([-0.53, 0.0, 0.55]), (0.05, wide, 0.9 if dice.chance(0.4) else 0.06), rail)
    for y in np.linspace(-wide / 2, wide / 2, 5):
        boxes(b, centres + np.array([-0.53, y, 0.5]), (0.04, 0.04, 1.0), rail)


def town_house(site: Site, plot: Plot, *, shop: float = 0.5, storeys: int | None = None) -> float:
    """A house in a closed row: shop or door below, two to six storeys, cornice, balconies. Returns its height."""
    b, dice = site.builder, site.dice
    count = dice.choice((2, 3, 3, 4, 4, 5, 6)) if storeys is None else storeys
    storey = dice.uniform(2.8, 3.6)
    height = count * storey + 0.4
    colour = wall_colour(dice)
    modelled = plot.near and plot.width * count < 46 and dice.chance(0.55)
    wall = _bare_wall(b, dice, colour) if modelled else facade_material(b, dice, colour, storey)
    _body(b, plot, height, wall)
    has_shop = dice.chance(shop)
    if modelled:
        size = (dice.uniform(0.9, 1.5), dice.uniform(1.3, 1.9))
        door_y = dice.uniform(-0.35, 0.35) * plot.width
        ground = 1 if has_shop else 0
        places = _grid(dice, plot, range(ground, count), storey)
        _windows(b, dice, [(y, z) for y, z in places if z > storey or abs(y - door_y) > 1.4], size,
                 lit=site.weather.dark)  # fmt: skip
        if not has_shop:
            _door(b, dice, door_y)
    elif not has_shop:
        _door(b, dice, dice.uniform(-0.35, 0.35) * plot.width, width=dice.uniform(1.0, 1.8))
    if has_shop:
        _shop_front(site, plot)
    if dice.chance(0.6):
        band = palette.flat(b, palette.shade(colour, dice.uniform(0.7, 1.3)))
        levels = [height - 0.2, storey] + ([f * storey for f in range(2, count)] if dice.chance(0.4) else [])
        boxes(b, [(-0.1, 0, z) for z in levels], (0.3, plot.width, 0.22), band)
    if plot.near and dice.chance(0.3):
        _balconies(b, dice, plot, count, storey)
    if dice.chance(0.5):
        rise = dice.uniform(1.2, 3.0)
        gable(b, plot, height, rise, _roof_material(b, dice), wall, along=dice.chance(0.8))
        return height + rise
    return height


def tower(site: Site, plot: Plot) -> float:
    """An office or apartment block of 6 to 25 storeys: glass, bands or windows. Returns its height."""
    b, dice = site.builder, site.dice
    storey, count = dice.uniform(2.9, 3.8), dice.integer(6, 25)
    height = storey * count
    if dice.chance(0.45):  # curtain wall: dark or bluish glass
        colour = palette.hsv(dice.uniform(0.48, 0.62), dice.uniform(0.1, 0.5), dice.uniform(0.04, 0.25))
        skin = b.material(Texture.TILES, colour, palette.grey(dice.uniform(0.1, 0.5)), scale_m=dice.uniform(1.2, 1.9),
                          reflectance=dice.uniform(0.06, 0.16), seed=dice.integer(1, 9999))  # fmt: skip
    else:
        skin = facade_material(b, dice, wall_colour(dice), storey)
    setback = dice.uniform(0.0, 3.0)
    b.box(
        (setback + plot.depth / 2, 0, (height - _SUNK_M) / 2), (plot.depth, plot.width * 0.94, height + _SUNK_M), skin
    )
    if dice.chance(0.5):
        band = palette.flat(b, palette.grey(dice.uniform(0.2, 0.8)))
        boxes(b, [(setback - 0.12, 0, f * storey) for f in range(1, count)], (0.35, plot.width * 0.94, 0.5), band)
    podium = dice.uniform(3.5, 6)
    b.box((plot.depth / 2, 0, (podium - _SUNK_M) / 2), (plot.depth, plot.width, podium + _SUNK_M),
          palette.stone(b, dice))  # fmt: skip
    _shop_front(site, plot)
    return height


def shed(site: Site, plot: Plot) -> float:
    """A warehouse or workshop: corrugated or block walls, roller doors, shallow roof. Returns its height."""
    b, dice = site.builder, site.dice
    height = dice.uniform(4.0, 9.0)
    colour = dice.choice((palette.grey(dice.uniform(0.2, 0.75)), palette.any_colour(dice, 0.6, 0.15, 0.7)))
    kind = dice.choice((Texture.STRIPES, Texture.STRIPES, Texture.CONCRETE, Texture.BRICK))
    wall = palette.pattern(b, dice, kind, colour, palette.shade(colour, 0.8), scale_m=0.3)
    _body(b, plot, height, wall)
    gable(b, plot, height, dice.uniform(0.5, 2.0), _roof_material(b, dice), wall, along=dice.chance(0.5))
    roller = palette.pattern(b, dice, Texture.STRIPES, palette.any_colour(dice, 0.6, 0.1, 0.8), scale_m=0.2)
    doors = max(1, int(plot.width / 7))
    for i in range(doors):
        y = (i + 0.5 - doors / 2) * plot.width / doors
        b.box((-0.03, y, 1.9), (0.12, 3.4, 3.8), roller, semantic="door")
    if dice.chance(0.5):
        strip = palette.flat(b, (0.06, 0.07, 0.09), reflectance=0.1)
        b.box((-0.02, 0, height - 0.9), (0.1, plot.width * 0.9, 0.8), strip)
    if dice.chance(0.5):
        b.box((-0.1, 0, height - 1.0), (0.12, plot.width * 0.4, 1.2), palette.printed(b, dice, 0.5), semantic="sign")
    return height


BuildingMaker = Callable[[Site, Plot], float]


def put_building(site: Site, maker: BuildingMaker, position: Array, yaw: float, plot: Plot) -> None:
    """A building whose front middle stands at `position`, its x axis (into the building) turned by `yaw`."""
    c, s = float(np.cos(yaw)), float(np.sin(yaw))
    middle = np.asarray(position)[:2] + np.array([c, s]) * plot.depth / 2
    site.obstacles.add(middle, yaw, plot.depth / 2, plot.width / 2)
    site.builder.begin("building", position, yaw)
    maker(site, plot)
