"""A street along a line: lanes and their paint, kerbs, parked and moving traffic, furniture, frontages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgedepth.world import palette
from edgedepth.world.scene import Array, Texture
from edgedepth.world.street import roadside
from edgedepth.world.street.buildings import BuildingMaker, Plot, put_building
from edgedepth.world.street.course import Course, skirted, sweep
from edgedepth.world.street.crowd import Crowd
from edgedepth.world.street.ground import arrows, asphalt, dashes, grass, paint, paving, solid_line, wear, zebra
from edgedepth.world.street.roadside import Furniture
from edgedepth.world.street.site import Site
from edgedepth.world.street.vegetation import Flora, hedge
from edgedepth.world.street.vehicles import PARKED, TOWN_TRAFFIC, Maker, park, room_length, truck

KERB_M = 0.12
_MAX_MOVING = 48  # vehicles
_JAM_START, _JAM_END = -16.0, 85.0
_NEAR_END = 95.0  # beyond this, details are left out


@dataclass(frozen=True, kw_only=True)
class StreetPlan:
    """Cross-section of a street, in metres; left and right pairs are (t < 0, t > 0)."""

    lanes_back: int  # lanes that come towards s = 0
    lanes_ahead: int
    lane: float
    parking: tuple[float, float] = (0.0, 0.0)  # width of the parking strip at each side
    pavement: tuple[float, float] = (2.0, 2.0)  # 0 for a plain verge
    median: float = 0.0
    jam: bool = False  # whether its traffic stands in queues

    @property
    def half(self) -> tuple[float, float]:
        """Distance of the left and right edge of the carriageway from the line."""
        middle = self.median / 2
        return (
            middle + self.lanes_back * self.lane + self.parking[0],
            middle + self.lanes_ahead * self.lane + self.parking[1],
        )

    @property
    def outer(self) -> tuple[float, float]:
        """Distance of the outer edges of the pavements."""
        return self.half[0] + self.pavement[0], self.half[1] + self.pavement[1]

    def lane_middles(self) -> list[tuple[float, bool]]:
        """(t, whether it leads ahead) of every lane."""
        middle = self.median / 2
        back = [(-middle - (i + 0.5) * self.lane, False) for i in range(self.lanes_back)]
        return back + [(middle + (i + 0.5) * self.lane, True) for i in range(self.lanes_ahead)]


def carriageway(
    site: Site, course: Course, plan: StreetPlan, *, marked: bool = True, gaps: Sequence[float] = ()
) -> None:
    """Asphalt with lane lines of real width; no paint within 8 m of the distances in `gaps`."""
    b, dice = site.builder, site.dice
    left, right = plan.half
    b.begin("road")
    sweep(b, course, course.start, course.end, skirted([(-left, 0.0), (right, 0.0)]), asphalt(site))
    wear(site, course, min(left, right))
    if not marked:
        return
    b.begin("road")
    white = paint(b, dice)
    centre = paint(b, dice, yellow=True) if dice.chance(0.35) else white
    length, gap = dice.choice(((3.0, 3.0), (3.0, 6.0), (3.0, 9.0), (6.0, 6.0), (4.0, 4.0), (2.0, 2.0)))
    style = dice.choice(("dash", "dash", "double", "solid"))
    edges = dice.chance(0.5)
    for s0, s1 in _between(course.start, min(course.end, 220.0), gaps, 8.0):
        if plan.median == 0 and plan.lanes_back and plan.lanes_ahead:
            if style == "dash":
                dashes(b, course, s0, s1, 0.0, centre, length=length, gap=gap)
            else:
                for t in (-0.12, 0.12) if style == "double" else (0.0,):
                    solid_line(b, course, s0, s1, t, centre, 0.12)
        middle = plan.median / 2
        inner = [-middle - i * plan.lane for i in range(1, plan.lanes_back)]
        inner += [middle + i * plan.lane for i in range(1, plan.lanes_ahead)]
        for t in inner:
            dashes(b, course, s0, s1, t, white, length=length, gap=gap)
        if edges:
            for t in (-left + 0.25 + plan.parking[0], right - 0.25 - plan.parking[1]):
                solid_line(b, course, s0, s1, t, white)
    if dice.chance(0.25):
        arrows(site, course, dice.uniform(12, 45), [t for t, ahead in plan.lane_middles() if ahead])


def _between(s0: float, s1: float, gaps: Sequence[float], half: float) -> list[tuple[float, float]]:
    """The pieces of [s0, s1] further than `half` from every gap."""
    edges = [s0]
    for gap in sorted(gaps):
        edges += [gap - half, gap + half]
    edges.append(s1)
    return [(a, z) for a, z in zip(edges[::2], edges[1::2], strict=True) if z > a + 0.5]


def pavements(
    site: Site, course: Course, plan: StreetPlan, *, gaps: Sequence[float] = (), gap_half: float = 0.0
) -> None:
    """Kerbs and pavements on the sides that have one."""
    b, dice = site.builder, site.dice
    slabs = paving(site)
    stone = palette.pattern(b, dice, Texture.CONCRETE, palette.grey(dice.uniform(0.2, 0.6)))
    for side, index in ((-1, 0), (1, 1)):
        width = plan.pavement[index]
        if width <= 0:
            continue
        edge, outer = side * plan.half[index], side * plan.outer[index]
        inner = edge + side * 0.15
        for s0, s1 in _between(course.start, course.end, gaps, gap_half):
            b.begin("kerb")
            sweep(b, course, s0, s1, [(edge, -0.02), (edge, KERB_M), (inner, KERB_M)], stone)
            b.begin("pavement")
            sweep(b, course, s0, s1, [(inner, KERB_M), (outer, KERB_M), (outer, -0.3)], slabs)
            if gaps:  # the ends at a junction
                for s in (s0, s1):
                    corners = course.points([s] * 4, [edge, outer, outer, edge], [-0.05, -0.05, KERB_M, KERB_M])
                    b.quad(corners, stone, semantic="kerb")


def parked_cars(site: Site, course: Course, plan: StreetPlan, *, density: float, gaps: Sequence[float] = ()) -> None:
    """Vehicles in the parking strips, or half on the pavement where there is none."""
    dice = site.dice
    for side, index in ((-1, 0), (1, 1)):
        strip = plan.parking[index]
        if strip <= 0:
            continue
        s = -38.0 + dice.uniform(0, 5)
        while s < _NEAR_END:
            if dice.chance(density) and all(abs(s - gap) > 11 for gap in gaps):
                turn = (0.0 if side > 0 else np.pi) + dice.normal(0.02)
                position, yaw = course.place(s, side * (plan.half[index] - strip / 2 + dice.normal(0.08)), 0.0, turn)
                park(site, position, yaw, PARKED, pitch=course.pitch(s, turn))
            s += dice.uniform(5.2, 7.0)


def traffic(
    site: Site, course: Course, plan: StreetPlan, *, spacing: float, makers: Sequence[Maker] = TOWN_TRAFFIC,
    reach: float = 140.0,
) -> None:  # fmt: skip
    """Vehicles on the move, on average one every `spacing` metres of lane, or fewer where there are many lanes.

    In a jam they stand in queues instead.
    """
    dice = site.dice
    if plan.jam:
        _queues(site, course, plan, makers)
        return
    spacing = max(spacing, len(plan.lane_middles()) * (reach + 45.0) / _MAX_MOVING)
    for t, ahead in plan.lane_middles():
        s = -45.0 + dice.uniform(0, spacing)
        while s < reach:
            turn = (0.0 if ahead else np.pi) + dice.normal(0.015)
            position, yaw = course.place(s, t + dice.normal(0.2), 0.0, turn)
            park(site, position, yaw, makers, driving=True, pitch=course.pitch(s, turn))
            s += max(6.5, spacing * dice.uniform(0.25, 1.75))


def _queues(site: Site, course: Course, plan: StreetPlan, makers: Sequence[Maker]) -> None:
    """Traffic at a standstill: nearly every lane ahead is full, with a gap now and then where a camera has room."""
    dice = site.dice
    lorries = dice.choice((0.0, 0.15, 0.4))
    for t, ahead in plan.lane_middles():
        if not dice.chance(0.9 if ahead else 0.3):
            continue
        turn = 0.0 if ahead else np.pi
        s = _JAM_START + dice.uniform(0, 8)
        while s < _JAM_END:
            maker = truck if dice.chance(lorries) else dice.choice(makers)
            length = room_length(maker)
            position, yaw = course.place(s + length / 2, t + dice.normal(0.15), 0.0, turn + dice.normal(0.015))
            park(site, position, yaw, (maker,), driving=True, pitch=course.pitch(s + length / 2, turn))
            s += length + (dice.uniform(4.0, 11.0) if dice.chance(0.25) else dice.uniform(0.2, 2.5))


def kerbside(
    site: Site, course: Course, plan: StreetPlan, flora: Flora, crowd: Crowd, *, trees: float, furniture: float,
    people: float, gaps: Sequence[float] = (), gap_half: float = 0.0,
) -> None:  # fmt: skip
    """Street trees, furniture and people along both pavements; the densities are chances per five metres."""
    dice = site.dice
    makers: tuple[Furniture, ...] = (
        roadside.lamp_post, roadside.lamp_post, roadside.sign_post, roadside.sign_post, roadside.bollard, roadside.bin_,
        roadside.bench, roadside.planter, roadside.cabinet, roadside.shelter,
    )  # fmt: skip
    for side, index in ((-1, 0), (1, 1)):
        width, edge = plan.pavement[index], plan.half[index]
        deep = max(width, 1.5)
        for s in np.arange(-35.0, _NEAR_END, 5.0):
            at = float(s) + dice.uniform(0, 4)
            if any(abs(at - gap) < gap_half + 2 for gap in gaps):
                continue
            ground = KERB_M if width > 0 else 0.0
            if dice.chance(trees):
                flora.tree(course.points(at, side * (edge + 0.75), ground))
            elif dice.chance(furniture):
                maker = dice.choice(makers)
                off = 1.2 if maker is roadside.shelter else 0.5
                if off < width - 1.5 or maker is not roadside.shelter:
                    roadside.put(site, maker, course, at, side * (edge + off), ground)
            if dice.chance(people):
                crowd.group(course, at, side * (edge + dice.uniform(0.5, max(0.6, deep - 0.3))), ground)


def junction(site: Site, course: Course, s: float, plan: StreetPlan, cross: StreetPlan) -> Course:
    """A side road that crosses at s, with its pavements, signals or signs, and crossings. Returns its line."""
    b, dice = site.builder, site.dice
    line = course.crossing(s)
    b.begin("road")
    wide = cross.half[0]
    under = wide + 0.4  # on a bend the pavements do not end square to the side road
    sweep(b, line, line.start, line.end, [(-under, 0.004), (under, 0.004)], asphalt(site))
    slabs = paving(site)
    for first, last in ((line.start, -plan.outer[0]), (plan.outer[1], line.end)):
        for side in (-1, 1):
            b.begin("pavement")
            profile = [
                (side * wide, -0.02),
                (side * wide, KERB_M),
                (side * (wide + 2.5), KERB_M),
                (side * (wide + 2.5), -0.3),
            ]
            sweep(b, line, first, last, profile, slabs)
    signals = dice.chance(0.5)
    for ds, t in ((-wide - 1.2, plan.half[1] + 0.6), (wide + 1.2, -plan.half[0] - 0.6)):
        maker = roadside.traffic_light if signals else roadside.sign_post
        roadside.put(site, maker, course, s + ds, t, KERB_M, 0.0 if ds < 0 else np.pi)
    for ds in (-wide - 3.0, wide + 3.0):
        if dice.chance(0.6):
            zebra(site, course, s + ds, min(plan.half))
    for side in (-1, 1):
        distance, lane = dice.uniform(9, 40), side * wide / 2
        position, yaw = line.place(-side * distance, lane, 0.0, 0.0 if side > 0 else np.pi)
        if dice.chance(0.6):
            park(site, position, yaw, TOWN_TRAFFIC, driving=True)
    return line


@dataclass(frozen=True, kw_only=True)
class Frontage:
    """What stands along one side of a street; widths and depths in metres."""

    makers: Sequence[BuildingMaker]
    width: tuple[float, float]
    depth: tuple[float, float] = (8.0, 12.0)
    garden: tuple[float, float] = (0.0, 0.0)
    gap: tuple[float, float] = (0.0, 0.0)
    built: float = 0.85  # chance that a plot is built on
    reach: tuple[float, float] = (-60.0, 150.0)


def frontage(
    site: Site, course: Course, side: int, edge: float, front: Frontage, flora: Flora, *, yard: bool = True
) -> None:
    """Buildings, gardens, hedges and fences along the outer edge of a pavement (side -1 left, 1 right).

    `yard` also lays the ground between and around the buildings.
    """
    dice = site.dice
    garden = dice.uniform(*front.garden)
    base = KERB_M - 0.02
    if yard:
        _yard(site, course, side, edge, edge + garden + front.depth[1] + 12.0, lawn=garden > 1.5)
    s = front.reach[0] + dice.uniform(0, 5)
    while s < front.reach[1]:
        width, depth = dice.uniform(*front.width), dice.uniform(*front.depth)
        if s + width > front.reach[1]:
            break
        setback = garden + dice.uniform(0, 0.25) * (1 + garden)
        position, yaw = course.place(s + width / 2, side * (edge + setback), base, 0.0 if side > 0 else np.pi)
        if dice.chance(front.built) and _room_for(site, position, yaw, width, depth):
            put_building(site, dice.choice(front.makers), position, yaw, Plot(width, depth, -25.0 < s < 65.0))
            if garden > 1.5:
                _garden(site, course, side, edge, garden, s, width, flora)
        elif s < _NEAR_END:
            for _ in range(dice.integer(1, 3)):
                flora.tree(course.points(s + dice.uniform(0, width), side * (edge + dice.uniform(1.5, 9)), base))
            if dice.chance(0.6):
                roadside.fence(site, course, s, s + width, side * (edge + 0.2), base)
        s += width + dice.uniform(*front.gap) + 0.02


def _yard(site: Site, course: Course, side: int, edge: float, out: float, *, lawn: bool) -> None:
    site.builder.begin("grass" if lawn else "pavement")
    out = min(out, max(0.75 / max(course.max_curvature, 1e-6), edge + 0.5))
    base = KERB_M - 0.02
    profile = skirted([(side * edge, base), (side * out, base)], 1.0)
    sweep(site.builder, course, course.start, course.end, profile, grass(site) if lawn else paving(site))


def _room_for(site: Site, position: Array, yaw: float, width: float, depth: float) -> bool:
    """Whether a building fits; a touching neighbour is allowed."""
    c, s = np.cos(yaw), np.sin(yaw)
    grid = np.array([(x * depth, y * (width / 2 - 0.5)) for x in (0.06, 0.5, 1.0) for y in (-1, 0, 1)])
    points = np.asarray(position)[:2] + grid @ np.array([[c, s], [-s, c]])
    return bool((site.obstacles.clearance(points) > 0.1).all())


def _garden(
    site: Site, course: Course, side: int, edge: float, garden: float, s: float, width: float, flora: Flora
) -> None:
    dice = site.dice
    if s > 75.0:
        return
    base = KERB_M - 0.02
    border = dice.choice(("hedge", "fence", "fence", "open"))
    gate = s + width * dice.uniform(0.3, 0.6)
    for first, last in ((s, gate), (gate + 2.8, s + width)):
        if last - first > 1.0:
            if border == "hedge":
                hedge(site, course, first, last, side * (edge + 0.45), dice.uniform(0.7, 2.0))
            elif border == "fence":
                roadside.fence(site, course, first, last, side * (edge + 0.15), base)
    if dice.chance(0.4) and garden > 5:
        position, yaw = course.place(gate + 1.4, side * (edge + garden * 0.55), base, np.pi / 2)
        park(site, position, yaw)
    for _ in range(dice.integer(0, 2)):
        grow = dice.choice((flora.shrub, flora.tree))
        place = course.points(
            s + dice.uniform(0.5, width), side * (edge + dice.uniform(1.2, max(1.3, garden - 0.8))), base
        )
        grow(place, dice.uniform(0.6, 1.6) if grow == flora.shrub else dice.uniform(3, 7))
