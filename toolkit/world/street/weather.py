"""Sky, sun and air of an outdoor scene: clear, overcast, hazy, dusk, night."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgedepth.world.builder import Dice, SceneBuilder
from edgedepth.world.scene import Colour, Sky

_SKY_ON_GROUND = 0.6  # what a sky of intensity 1 gives level ground, in the unit of the sun's colour


@dataclass(frozen=True, kw_only=True)
class Weather:
    """What the weather asks of the rest of a scene: lamps when dark, shine (0..1) when wet, whitened ground."""

    dark: bool = False
    wetness: float = 0.0


def _sun(dice: Dice, low: float, high: float) -> Colour:
    azimuth, elevation = dice.uniform(0, 2 * np.pi), np.radians(dice.uniform(low, high))
    flat = np.cos(elevation)
    return float(np.cos(azimuth) * flat), float(np.sin(azimuth) * flat), float(np.sin(elevation))


def _light(strength: float, green: float, blue: float) -> Colour:
    return strength, strength * green, strength * blue


def _clear(dice: Dice) -> Sky:
    """The sun gives level ground 3 to 8 times the light of the sky, somewhat less when it stands below 24 degrees."""
    sun = _sun(dice, 18, 70)
    ratio, green, blue = dice.uniform(3.0, 8.0), dice.uniform(0.9, 0.98), dice.uniform(0.75, 0.92)
    intensity = dice.uniform(0.8, 1.4)
    return Sky(
        sun_direction=sun,
        sun_colour=_light(ratio * _SKY_ON_GROUND * intensity / max(sun[2], 0.4), green, blue),
        intensity=intensity,
        cloud=dice.uniform(0.0, 0.85),
        haze_per_m=dice.choice((0.0, 0.0, dice.uniform(0.0002, 0.0015))),
    )


def _low_sun(dice: Dice) -> Sky:
    return Sky(
        sun_direction=_sun(dice, 5, 18),
        sun_colour=_light(dice.uniform(1.8, 4.0), dice.uniform(0.7, 0.9), dice.uniform(0.4, 0.7)),
        intensity=dice.uniform(0.5, 0.9),
        cloud=dice.uniform(0.1, 0.8),
        haze_per_m=dice.uniform(0.0, 0.002),
    )


def _overcast(dice: Dice) -> Sky:
    return Sky(
        sun_direction=_sun(dice, 25, 70),
        sun_colour=_light(dice.uniform(0.0, 0.4), 0.98, 0.95),
        sun_radius=0.2,
        intensity=dice.uniform(0.8, 1.4),
        cloud=dice.uniform(0.95, 1.3),
        haze_per_m=dice.choice((0.0, dice.uniform(0.0, 0.002))),
    )


def _haze(dice: Dice) -> Sky:
    return Sky(
        sun_direction=_sun(dice, 20, 60),
        sun_colour=_light(dice.uniform(0.0, 1.2), 0.95, 0.88),
        sun_radius=0.1,
        intensity=dice.uniform(0.9, 1.3),
        cloud=dice.uniform(0.9, 1.3),
        haze_per_m=dice.uniform(0.003, 0.009),
    )


def _dusk(dice: Dice) -> Sky:
    return Sky(
        sun_direction=_sun(dice, 2, 6),
        sun_colour=_light(dice.uniform(0.2, 0.8), 0.6, 0.35),
        intensity=dice.uniform(0.15, 0.4),
        cloud=dice.uniform(0.1, 1.1),
    )


def _night(dice: Dice) -> Sky:
    return Sky(
        sun_direction=_sun(dice, 30, 60),
        intensity=dice.uniform(0.012, 0.04),
        cloud=dice.uniform(0.2, 1.2),
        ambient=dice.uniform(0.004, 0.012),
    )


# Kinds of weather and their shares.
_KINDS = (
    (_clear, 0.44), (_overcast, 0.26), (_low_sun, 0.12), (_dusk, 0.07), (_night, 0.07), (_haze, 0.04),
)  # fmt: skip


def set_weather(builder: SceneBuilder, dice: Dice) -> Weather:
    """Draw the weather, give the builder its sky, and return what the grammar must know of it."""
    draw, total = dice.uniform(), 0.0
    kind = _KINDS[0][0]
    for candidate, share in _KINDS:
        total += share
        if draw < total:
            kind = candidate
            break
    builder.sky = kind(dice)
    wet = dice.uniform(0.2, 1.0) if kind is not _clear and dice.chance(0.25) else 0.0
    return Weather(dark=kind in (_dusk, _night), wetness=wet)


def fair_weather(builder: SceneBuilder, dice: Dice) -> Weather:
    """A clear day, for scenes that must be seen well."""
    builder.sky = _clear(dice)
    return Weather()
