"""Colours and materials that the grammars share, drawn from `Dice` and registered on a `SceneBuilder`.

Every function returns a material index for the builder's primitives. Colours are linear RGB in 0..1.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgedepth.world.builder import Dice, SceneBuilder
from edgedepth.world.scene import Colour, Texture

ColourDraw = Callable[[Dice], Colour]
MaterialDraw = Callable[[SceneBuilder, Dice], int]

# The patterns that can cover anything when realism is given up on purpose (domain randomisation).
_ANY_PATTERN = (
    Texture.FLAT, Texture.NOISE, Texture.WOOD, Texture.BRICK, Texture.TILES, Texture.CHECKER, Texture.TEXT,
    Texture.STRIPES, Texture.FABRIC, Texture.PICTURE, Texture.MARBLE, Texture.SPECKLE, Texture.PLANKS,
    Texture.CONCRETE, Texture.METAL, Texture.GRAVEL, Texture.FOLIAGE, Texture.BOOKS,
)  # fmt: skip

# Typical feature sizes in metres of the patterns, for surfaces that are neither tiny nor vast.
_SCALE_M: dict[Texture, tuple[float, float]] = {
    Texture.NOISE: (0.1, 1.5),
    Texture.WOOD: (0.08, 0.4),
    Texture.BRICK: (0.2, 0.4),
    Texture.TILES: (0.1, 0.6),
    Texture.CHECKER: (0.05, 0.5),
    Texture.TEXT: (0.02, 0.15),
    Texture.STRIPES: (0.03, 0.4),
    Texture.FABRIC: (0.01, 0.06),
    Texture.PICTURE: (0.2, 0.8),
    Texture.MARBLE: (0.3, 1.2),
    Texture.SPECKLE: (0.02, 0.1),
    Texture.PLANKS: (0.08, 0.22),
    Texture.CONCRETE: (0.5, 2.0),
    Texture.METAL: (0.05, 0.3),
    Texture.GRAVEL: (0.03, 0.12),
    Texture.FOLIAGE: (0.05, 0.3),
    Texture.BOOKS: (0.03, 0.06),
}


# -- colours -------------------------------------------------------------------------------------------------


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Linear RGB from hue (0..1, wraps), saturation and value."""
    return colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))


def grey(value: float) -> Colour:
    """A grey of the given value."""
    return value, value, value


def shade(colour: Colour, factor: float) -> Colour:
    """A colour made brighter or darker, kept within 0..1."""
    r, g, b = (min(max(c * factor, 0.0), 1.0) for c in colour)
    return r, g, b


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour between two: `share` of the second."""
    r, g, b = (a + (c - a) * share for a, c in zip(first, second, strict=True))
    return r, g, b


def any_colour(dice: Dice, saturation: float = 0.7, low: float = 0.1, high: float = 0.85) -> Colour:
    """A random colour, mostly muted: saturation up to the given one, value within [low, high]."""
    return hsv(dice.uniform(), saturation * dice.uniform() ** 1.4, dice.uniform(low, high))


def vivid_colour(dice: Dice) -> Colour:
    """A saturated colour, as of toys, cars, packaging and jackets."""
    return hsv(dice.uniform(), dice.uniform(0.55, 0.95), dice.uniform(0.35, 0.9))


def dull_colour(dice: Dice) -> Colour:
    """A grey, beige, brown, navy or olive, as most furniture and clothes are."""
    if dice.chance(0.4):
        return grey(dice.uniform(0.03, 0.75))
    hue = dice.choice((0.05, 0.08, 0.1, 0.12, 0.2, 0.3, 0.58, 0.6, 0.64, 0.98))
    return hsv(hue + dice.uniform(-0.03, 0.03), dice.uniform(0.05, 0.5), dice.uniform(0.06, 0.7))


def pale_colour(dice: Dice) -> Colour:
    """White, cream, beige, light grey, or (one in three) a light tint of any hue: painted walls, ware."""
    if dice.chance(0.66):
        return hsv(dice.uniform(0.07, 0.16), dice.uniform(0.0, 0.22), dice.uniform(0.55, 0.93))
    return hsv(dice.uniform(), dice.uniform(0.03, 0.3), dice.uniform(0.55, 0.93))


def wood_colour(dice: Dice) -> Colour:
    """Pine to walnut, sometimes greyed."""
    return hsv(dice.uniform(0.045, 0.11), dice.uniform(0.2, 0.68), dice.uniform(0.12, 0.72))


def skin_colour(dice: Dice) -> Colour:
    """A human skin tone from very dark to very light."""
    return mix((0.09, 0.045, 0.025), (0.85, 0.6, 0.47), dice.uniform() ** 0.7)


def leaf_colour(dice: Dice) -> Colour:
    """Green, from yellowish to bluish; sometimes autumnal."""
    hue = dice.uniform(0.02, 0.14) if dice.chance(0.1) else dice.uniform(0.17, 0.38)
    return hsv(hue, dice.uniform(0.3, 0.75), dice.uniform(0.1, 0.5))


def brightened(tint: Colour, strength: float) -> Colour:
    """A light's colour: a tint times a strength, which may exceed 1."""
    return tint[0] * strength, tint[1] * strength, tint[2] * strength


def warm_light(dice: Dice) -> Colour:
    """The tint of a lamp: candle-like to cool white, of value 1."""
    return 1.0, dice.uniform(0.72, 1.0), dice.uniform(0.42, 1.05)


# -- materials -----------------------------------------------------------------------------------------------


def _seed(dice: Dice) -> int:
    return dice.integer(1, 65535)


def pattern(
    b: SceneBuilder,
    dice: Dice,
    texture: Texture,
    colour_a: Colour,
    colour_b: Colour | None = None,
    *,
    scale_m: float | None = None,
    aux: float = 0.5,
    reflectance: float = 0.0,
) -> int:
    """A material of a given pattern; scale (unless given) and seed are drawn to suit the pattern."""
    low, high = _SCALE_M.get(texture, (0.5, 1.5))
    return b.material(
        texture,
        colour_a,
        shade(colour_a, dice.uniform(0.5, 0.9)) if colour_b is None else colour_b,
        scale_m=dice.uniform(low, high) if scale_m is None else scale_m,
        aux=aux,
        reflectance=reflectance,
        seed=_seed(dice),
    )


def flat(b: SceneBuilder, colour: Colour, *, reflectance: float = 0.0, emission: float = 0.0) -> int:
    """One plain colour."""
    return b.material(Texture.FLAT, colour, colour, reflectance=reflectance, emission=emission)


def glow(b: SceneBuilder, colour: Colour = (1.0, 1.0, 0.95), emission: float = 4.0) -> int:
    """The visible surface of a lamp."""
    return flat(b, colour, emission=emission)


def draw_colour(dice: Dice, makers: Sequence[ColourDraw]) -> Colour:
    """A colour from one of the makers; list one twice to make it likelier."""
    return dice.choice(makers)(dice)


def draw_material(b: SceneBuilder, dice: Dice, makers: Sequence[MaterialDraw]) -> int:
    """A material from one of the makers; list one twice to make it likelier."""
    return dice.choice(makers)(b, dice)


def wild(b: SceneBuilder, dice: Dice) -> int:
    """Any pattern in any two colours: implausible on purpose."""
    kind = dice.choice(_ANY_PATTERN)
    first, second = any_colour(dice, 1.0, 0.02, 0.95), any_colour(dice, 1.0, 0.02, 0.95)
    shine = dice.choice((0.0, 0.0, 0.0, 0.1))
    return pattern(b, dice, kind, first, second, aux=dice.uniform(0.2, 0.8), reflectance=shine)


def wood(b: SceneBuilder, dice: Dice, colour: Colour | None = None) -> int:
    """Grained wood, sometimes lacquered."""
    base = wood_colour(dice) if colour is None else colour
    return pattern(b, dice, Texture.WOOD, base, reflectance=dice.choice((0.0, 0.0, 0.03, 0.06)))


def planks(b: SceneBuilder, dice: Dice, colour: Colour | None = None) -> int:
    """Boards side by side: parquet, decking, panelling."""
    base = wood_colour(dice) if colour is None else colour
    return pattern(b, dice, Texture.PLANKS, base, reflectance=dice.choice((0.0, 0.02, 0.05, 0.08)))


def paint(b: SceneBuilder, dice: Dice, colour: Colour | None = None) -> int:
    """Smooth or faintly stained paint."""
    base = pale_colour(dice) if colour is None else colour
    if dice.chance(0.5):
        return flat(b, base, reflectance=dice.choice((0.0, 0.0, 0.02)))
    return pattern(b, dice, Texture.NOISE, base, shade(base, dice.uniform(0.86, 0.97)))


def fabric(b: SceneBuilder, dice: Dice, colour: Colour | None = None) -> int:
    """Cloth: woven, plain, striped, checked or printed."""
    base = draw_colour(dice, (dull_colour, dull_colour, any_colour, vivid_colour)) if colour is None else colour
    kind = dice.choice(
        (Texture.FABRIC, Texture.FABRIC, Texture.FABRIC, Texture.FLAT, Texture.NOISE, Texture.STRIPES,
         Texture.CHECKER, Texture.PICTURE)
    )  # fmt: skip
    second = shade(base, dice.uniform(0.55, 0.9)) if dice.chance(0.7) else any_colour(dice)
    return pattern(b, dice, kind, base, second)


def leather(b: SceneBuilder, dice: Dice) -> int:
    """Leather or its imitation: dark and slightly shiny."""
    return pattern(b, dice, Texture.NOISE, dull_colour(dice), scale_m=dice.uniform(0.02, 0.2), reflectance=0.04)


def metal(b: SceneBuilder, dice: Dice, *, shiny: bool | None = None) -> int:
    """Steel, chrome, brass, or black metal."""
    polished = dice.chance(0.3) if shiny is None else shiny
    base = grey(dice.uniform(0.25, 0.7)) if dice.chance(0.8) else hsv(dice.uniform(0.08, 0.13), 0.5, 0.6)
    if dice.chance(0.25) and not polished:
        base = grey(dice.uniform(0.02, 0.1))
    return pattern(b, dice, Texture.METAL, base, reflectance=dice.uniform(0.3, 0.6) if polished else 0.08)


def plastic(b: SceneBuilder, dice: Dice, colour: Colour | None = None) -> int:
    """Plain plastic, matt or glossy."""
    base = draw_colour(dice, (dull_colour, vivid_colour, pale_colour)) if colour is None else colour
    return flat(b, base, reflectance=dice.choice((0.0, 0.0, 0.03, 0.06)))


def ceramic(b: SceneBuilder, dice: Dice, colour: Colour | None = None) -> int:
    """Glazed white or tinted ware: basins, toilets, mugs."""
    base = hsv(dice.uniform(), dice.uniform() ** 3 * 0.3, dice.uniform(0.7, 0.93)) if colour is None else colour
    return flat(b, base, reflectance=0.06)


def stone(b: SceneBuilder, dice: Dice) -> int:
    """Marble, granite or concrete."""
    base = mix(grey(dice.uniform(0.15, 0.75)), hsv(dice.uniform(0.03, 0.15), 0.4, 0.5), dice.uniform(0, 0.4))
    kind = dice.choice((Texture.MARBLE, Texture.SPECKLE, Texture.CONCRETE))
    return pattern(b, dice, kind, base, reflectance=dice.choice((0.0, 0.04, 0.08)))


def tiles(b: SceneBuilder, dice: Dice, colour: Colour | None = None, scale_m: float | None = None) -> int:
    """Square tiles with joints; `scale_m` is the edge of one."""
    base = draw_colour(dice, (pale_colour, pale_colour, dull_colour, any_colour)) if colour is None else colour
    joint = grey(dice.uniform(0.3, 0.8)) if dice.chance(0.6) else shade(base, dice.uniform(0.4, 0.85))
    return pattern(b, dice, Texture.TILES, base, joint, scale_m=scale_m, reflectance=dice.choice((0.0, 0.03, 0.08)))


def brick(b: SceneBuilder, dice: Dice) -> int:
    """Bare or painted brickwork."""
    bare = hsv(dice.uniform(0.0, 0.09), dice.uniform(0.2, 0.65), dice.uniform(0.2, 0.6))
    return pattern(b, dice, Texture.BRICK, bare if dice.chance(0.75) else pale_colour(dice))


def carpet(b: SceneBuilder, dice: Dice) -> int:
    """Carpet: plain, speckled, patterned or in squares."""
    base = draw_colour(dice, (dull_colour, dull_colour, any_colour))
    kind = dice.choice(
        (
            Texture.FABRIC,
            Texture.FABRIC,
            Texture.SPECKLE,
            Texture.NOISE,
            Texture.NOISE,
            Texture.STRIPES,
            Texture.STRIPES,
            Texture.PICTURE,
        )
    )
    return pattern(b, dice, kind, base, mix(base, any_colour(dice), dice.uniform(0.2, 0.7)))


def glass(b: SceneBuilder, colour: Colour = (0.05, 0.06, 0.07)) -> int:
    """Dark glossy glass, as of screens and car windows (nothing shines through)."""
    return flat(b, colour, reflectance=0.12)


def mirror(b: SceneBuilder) -> int:
    """A looking-glass."""
    return flat(b, (0.05, 0.05, 0.05), reflectance=0.9)


def picture(b: SceneBuilder, dice: Dice) -> int:
    """Something to hang up: a painting, a poster, a chart, a printed page."""
    kind = dice.choice((Texture.PICTURE, Texture.PICTURE, Texture.PICTURE, Texture.TEXT, Texture.CHECKER,
                        Texture.STRIPES, Texture.MARBLE, Texture.FOLIAGE))  # fmt: skip
    if kind is Texture.TEXT:
        return printed(b, dice)
    return pattern(b, dice, kind, any_colour(dice, 0.9, 0.05, 0.9), any_colour(dice, 0.9, 0.05, 0.9))


def printed(b: SceneBuilder, dice: Dice, scale_m: float | None = None) -> int:
    """Paper or packaging with lines of text."""
    paper = pale_colour(dice) if dice.chance(0.7) else vivid_colour(dice)
    size = dice.uniform(0.015, 0.08) if scale_m is None else scale_m
    return pattern(b, dice, Texture.TEXT, paper, grey(dice.uniform(0.02, 0.2)), scale_m=size)


def screen(b: SceneBuilder, dice: Dice, lit: bool | None = None) -> int:
    """A display: dark, or showing something that glows."""
    if not (dice.chance(0.6) if lit is None else lit):
        return glass(b)
    return b.material(
        Texture.SCREEN, any_colour(dice, 0.9, 0.05, 0.5), any_colour(dice, 0.8, 0.4, 0.95),
        scale_m=dice.uniform(0.05, 0.3), reflectance=0.04, emission=dice.uniform(0.3, 1.2), seed=_seed(dice),
    )  # fmt: skip


def foliage(b: SceneBuilder, dice: Dice) -> int:
    """Leaves in a mass."""
    return pattern(b, dice, Texture.FOLIAGE, leaf_colour(dice), scale_m=dice.uniform(0.1, 0.4))


def wall(b: SceneBuilder, dice: Dice) -> int:
    """An interior wall: mostly paint, also paper, brick, tiles, panels, concrete."""
    draw = dice.uniform()
    if draw < 0.58:
        strong = any_colour(dice, 0.55, 0.2, 0.8)
        return paint(b, dice, pale_colour(dice) if dice.chance(0.75) else strong)
    if draw < 0.74:
        base = pale_colour(dice) if dice.chance(0.6) else any_colour(dice, 0.5, 0.2, 0.85)
        kind = dice.choice((Texture.STRIPES, Texture.FABRIC, Texture.NOISE, Texture.MARBLE, Texture.FOLIAGE))
        return pattern(b, dice, kind, base, mix(base, any_colour(dice), dice.uniform(0.1, 0.5)))
    return draw_material(b, dice, (brick, tiles, planks, _bare_concrete))


def _bare_concrete(b: SceneBuilder, dice: Dice) -> int:
    return pattern(b, dice, Texture.CONCRETE, grey(dice.uniform(0.25, 0.6)))


def floor(b: SceneBuilder, dice: Dice) -> int:
    """An interior floor: boards, tiles, carpet, stone, concrete, linoleum."""
    return draw_material(b, dice, (planks, planks, wood, tiles, tiles, carpet, carpet, stone, _bare_concrete, paint))


def surface(b: SceneBuilder, dice: Dice) -> int:
    """Furniture: wood, paint, plastic, metal, sometimes stone."""
    return draw_material(b, dice, (wood, wood, wood, _lacquer, _lacquer, plastic, metal, stone))


def _lacquer(b: SceneBuilder, dice: Dice) -> int:
    return flat(b, draw_colour(dice, (pale_colour, pale_colour, dull_colour, any_colour, vivid_colour)),
                reflectance=dice.choice((0.0, 0.0, 0.03)))  # fmt: skip


def thing(b: SceneBuilder, dice: Dice) -> int:
    """A small object: anything from packaging to a toy."""
    return draw_material(b, dice, (plastic, plastic, printed, fabric, wood, metal, picture, ceramic))


@dataclass(frozen=True, kw_only=True)
class RoomPalette:
    """The materials one room shares, so that its furniture looks chosen together."""

    wall: int
    accent_wall: int
    floor: int
    ceiling: int
    trim: int
    furniture: int
    second: int
    cloth: int
    metal: int


def room_palette(b: SceneBuilder, dice: Dice, *, implausible: bool = False) -> RoomPalette:
    """Draw a room's materials; `implausible` gives random patterns to everything."""
    if implausible:
        return RoomPalette(
            wall=wild(b, dice), accent_wall=wild(b, dice), floor=wild(b, dice), ceiling=wild(b, dice),
            trim=wild(b, dice), furniture=wild(b, dice), second=wild(b, dice), cloth=wild(b, dice),
            metal=wild(b, dice),
        )  # fmt: skip
    main = wall(b, dice)
    return RoomPalette(
        wall=main,
        accent_wall=wall(b, dice) if dice.chance(0.25) else main,
        floor=floor(b, dice),
        ceiling=paint(b, dice, grey(dice.uniform(0.6, 0.92))) if dice.chance(0.85) else planks(b, dice),
        trim=paint(b, dice, grey(dice.uniform(0.6, 0.9))) if dice.chance(0.6) else wood(b, dice),
        furniture=surface(b, dice),
        second=surface(b, dice),
        cloth=fabric(b, dice),
        metal=metal(b, dice),
    )
