"""People: standing, walking and sitting, of varied bodies and clothes; rooms and streets share them.

A person faces +y of its own frame and stands (or sits) on z = 0 of the position it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from edgedepth.world import palette
from edgedepth.world.builder import Dice, SceneBuilder
from edgedepth.world.scene import Array, Texture

Posture = Literal["standing", "walking", "sitting", "riding"]
_SEATED = ("sitting", "riding")
Section = tuple[float, float, float, float]  # y, z of an ellipse's centre and its half width and half depth


def loft(b: SceneBuilder, sections: Sequence[Section], material: int, segments: int = 10) -> None:
    """A closed skin over horizontal ellipses, given from bottom to top: torsos, skirts, coats, cushions."""
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    rings, normals = [], []
    for y, z, half_width, half_depth in sections:
        rings.append(
            np.column_stack([half_width * np.cos(angle), y + half_depth * np.sin(angle), np.full(segments, z)])
        )
        outward = np.column_stack([np.cos(angle) / half_width, np.sin(angle) / half_depth, np.zeros(segments)])
        normals.append(outward / np.linalg.norm(outward, axis=1, keepdims=True))
    for (y, z, _, _), up in ((sections[0], -1.0), (sections[-1], 1.0)):
        rings.append(np.array([[0.0, y, z]]))
        normals.append(np.array([[0.0, 0.0, up]]))
    count = len(sections)
    here = np.arange((count - 1) * segments)
    beside = here - here % segments + (here + 1) % segments
    around = np.arange(segments)
    beyond = (around + 1) % segments
    top = (count - 1) * segments
    faces = np.concatenate(
        [
            np.stack([here, beside, beside + segments], 1),
            np.stack([here, beside + segments, here + segments], 1),
            np.stack([np.full(segments, count * segments), beyond, around], 1),
            np.stack([np.full(segments, count * segments + 1), top + around, top + beyond], 1),
        ]
    )
    b.triangles(np.concatenate(rings), faces, material, normals=np.concatenate(normals))


@dataclass(frozen=True, kw_only=True)
class _Clothes:
    skin: int
    hair: int
    top: int
    legs: int
    shoes: int
    sleeve: int
    shin: int


@dataclass(frozen=True, kw_only=True)
class _Body:
    """Joint positions and girths in the person's frame; `k` scales lengths (1 for 1.8 m)."""

    k: float
    girth: float
    hip_z: float
    lean: float
    segments: int

    def spine(self, height: float) -> tuple[float, float]:
        """(y, z) of the point of the spine that lies `height` * k above the hips."""
        length = height * self.k
        return float(np.sin(self.lean)) * length, self.hip_z + float(np.cos(self.lean)) * length


def person(
    b: SceneBuilder,
    dice: Dice,
    position: ArrayLike,
    yaw: float,
    posture: Posture = "standing",
    *,
    height_m: float | None = None,
    seat_m: float = 0.45,
    segments: int = 7,
) -> None:
    """Add a person facing +y of `yaw`; `seat_m` is the height of the seat, or of the saddle for riding.

    `segments` sets the detail: 7 makes about 1100 triangles, 5 (for people far away) about 700.
    """
    b.begin("person", position, yaw)
    height = _height(dice) if height_m is None else height_m
    clothes = _clothes(b, dice)
    k = height / 1.8
    stride = {"standing": 0.12, "walking": 0.5, "sitting": 0.0, "riding": 0.0}[posture] * dice.uniform(0.4, 1.1)
    hip = seat_m + 0.1 * k if posture in _SEATED else (0.1 + 0.84 * float(np.cos(stride))) * k
    lean = dice.uniform(*{"sitting": (-0.25, 0.35), "riding": (0.15, 0.45)}.get(posture, (-0.02, 0.14)))
    body = _Body(k=k, girth=dice.uniform(0.82, 1.3), hip_z=hip, lean=lean, segments=segments)
    _legs(b, dice, body, clothes, posture, stride)
    _torso(b, dice, body, clothes, posture)
    _arms(b, dice, body, clothes, posture, stride)
    _head(b, dice, body, clothes)


def _height(dice: Dice) -> float:
    return dice.uniform(0.95, 1.5) if dice.chance(0.12) else dice.uniform(1.52, 1.93)


def _clothes(b: SceneBuilder, dice: Dice) -> _Clothes:
    skin = palette.flat(b, palette.skin_colour(dice))
    tint = palette.hsv(dice.uniform(0.02, 0.11), dice.uniform(0.1, 0.7), dice.uniform(0.01, 0.45) ** 1.5)
    hair = palette.pattern(b, dice, Texture.NOISE, tint, scale_m=0.02)
    top = palette.fabric(b, dice)
    legs = palette.fabric(b, dice, palette.dull_colour(dice)) if dice.chance(0.85) else palette.fabric(b, dice)
    return _Clothes(
        skin=skin,
        hair=hair,
        top=top,
        legs=legs,
        shoes=palette.plastic(b, dice, palette.dull_colour(dice)),
        sleeve=top if dice.chance(0.65) else skin,
        shin=legs if dice.chance(0.82) else skin,
    )


def _legs(b: SceneBuilder, dice: Dice, body: _Body, clothes: _Clothes, posture: Posture, stride: float) -> None:
    k, girth = body.k, body.girth
    for side in (-1, 1):
        thigh = side * stride
        bend = 0.06 if side > 0 else 0.1 + 0.6 * stride
        if posture == "sitting":
            thigh = 1.5 + dice.uniform(-0.12, 0.05)
            bend = 1.5 + dice.uniform(-0.25, 0.3)
        elif posture == "riding":  # one foot up, one down, on pedals or pegs
            thigh, bend = 1.0 + 0.3 * side, 1.05 + 0.25 * side
        apart = side * (0.09 + (dice.uniform(0.0, 0.08) if posture == "sitting" else 0.0)) * k
        hip = np.array([side * 0.085 * k, 0.0, body.hip_z])
        knee = hip + 0.43 * k * np.array([0.0, np.sin(thigh), -np.cos(thigh)])
        knee[0] = apart
        ankle = knee + 0.42 * k * np.array([0.0, np.sin(thigh - bend), -np.cos(thigh - bend)])
        ankle[2] = max(ankle[2], 0.08 * k)
        b.capsule(hip, knee, 0.088 * k * girth, clothes.legs, end_radius=0.065 * k, segments=body.segments)
        b.capsule(knee, ankle, 0.062 * k, clothes.shin, end_radius=0.042 * k, segments=body.segments)
        b.box(np.add(ankle, (0, 0.06 * k, -0.035 * k)), (0.09 * k, 0.26 * k, 0.085 * k), clothes.shoes)


def _torso(b: SceneBuilder, dice: Dice, body: _Body, clothes: _Clothes, posture: Posture) -> None:
    k, girth = body.k, body.girth
    # (height above the hips, half width, half depth) of a body of girth 1
    shape = ((-0.06, 0.15, 0.11), (0.03, 0.172, 0.125), (0.16, 0.15, 0.115), (0.32, 0.175, 0.125),
             (0.46, 0.19, 0.115), (0.52, 0.13, 0.09), (0.57, 0.06, 0.06))  # fmt: skip
    sections: list[Section] = []
    for height, half_width, half_depth in shape:
        y, z = body.spine(height)
        sections.append((y, z, half_width * k * girth, half_depth * k * girth))
    loft(b, sections, clothes.top, body.segments + 2)
    if posture not in _SEATED and dice.chance(0.25):  # a skirt or the tail of a coat
        hem = body.hip_z - dice.uniform(0.2, 0.6) * k
        wide = dice.uniform(0.17, 0.3) * k * girth
        waist = body.hip_z + 0.05 * k
        skirt: list[Section] = [
            (0.0, hem, wide, wide * 0.8),
            (0.0, waist, 0.175 * k * girth, 0.13 * k * girth),
        ]
        loft(b, skirt, clothes.top if dice.chance(0.5) else palette.fabric(b, dice), body.segments + 2)
    if posture != "sitting" and dice.chance(0.18):  # a backpack
        y, z = body.spine(0.32)
        b.box((0, y - 0.2 * k * girth, z), (0.3 * k, 0.17 * k, 0.45 * k), palette.fabric(b, dice))


def _arms(b: SceneBuilder, dice: Dice, body: _Body, clothes: _Clothes, posture: Posture, stride: float) -> None:
    k = body.k
    y, z = body.spine(0.48)
    for side in (-1, 1):
        swing, bend = -side * stride * dice.uniform(0.6, 1.0), dice.uniform(0.1, 0.4)
        if posture == "sitting":
            swing, bend = dice.uniform(0.2, 0.8), dice.uniform(0.5, 1.3)
        elif posture == "riding":  # hands on the bar
            swing, bend = dice.uniform(0.65, 0.95), dice.uniform(0.1, 0.25)
        elif dice.chance(0.25):  # carrying, pointing, a telephone, hands in front
            swing, bend = dice.uniform(0.0, 0.9), dice.uniform(0.6, 2.1)
        outward = side * dice.uniform(0.05, 0.22)
        shoulder = np.array([side * 0.185 * k * body.girth, y, z])
        elbow = shoulder + 0.29 * k * _direction(swing, outward)
        wrist = elbow + 0.25 * k * _direction(swing + bend, outward * -0.8)
        b.capsule(shoulder, elbow, 0.053 * k, clothes.top, end_radius=0.043 * k, segments=body.segments)
        b.capsule(elbow, wrist, 0.042 * k, clothes.sleeve, end_radius=0.03 * k, segments=body.segments)
        hand = wrist + 0.07 * k * _direction(swing + bend, 0.0)
        b.ellipsoid(hand, (0.03 * k, 0.05 * k, 0.07 * k), clothes.skin, segments=6, rings=5)
        if posture not in _SEATED and bend < 0.4 and dice.chance(0.2):  # a bag in the hand
            bag = (0.12 * k, dice.uniform(0.2, 0.4) * k, dice.uniform(0.2, 0.38) * k)
            b.box(np.subtract(hand, (0, 0, bag[2] / 2 + 0.05 * k)), bag, palette.thing(b, dice))


def _direction(forward: float, outward: float) -> Array:
    """Where an arm points: hanging down, then swung `forward` and `outward` (radians)."""
    return np.array([np.sin(outward), np.sin(forward) * np.cos(outward), -np.cos(forward) * np.cos(outward)])


def _head(b: SceneBuilder, dice: Dice, body: _Body, clothes: _Clothes) -> None:
    k, segments = body.k, body.segments + 2
    y, z = body.spine(0.5)
    top_y, top_z = y + 0.02 * k, z + 0.24 * k
    b.capsule((0, y, z), (0, top_y, z + 0.15 * k), 0.055 * k, clothes.skin, segments=body.segments)
    b.ellipsoid((0, top_y + 0.01, top_z), (0.078 * k, 0.098 * k, 0.118 * k), clothes.skin, segments=segments)
    style = dice.integer(0, 5)
    if style == 0:  # bald
        return
    if style == 1:  # hat or cap
        hat = palette.fabric(b, dice)
        brim = dice.uniform(0.1, 0.16) * k
        b.cylinder((0, top_y, top_z + 0.04 * k), brim, 0.015, hat, segments=segments)
        b.cylinder((0, top_y, top_z + 0.05 * k), 0.092 * k, 0.09 * k, hat, top_radius=0.07 * k, segments=segments)
        return
    crown = (0.087 * k, 0.1 * k, 0.112 * k)
    b.ellipsoid((0, top_y - 0.018 * k, top_z + 0.022 * k), crown, clothes.hair, segments=segments)
    if style == 2:  # long hair
        mane = (0.1 * k, 0.055 * k, 0.17 * k)
        b.ellipsoid((0, top_y - 0.065 * k, top_z - 0.1 * k), mane, clothes.hair, segments=segments, rings=6)
