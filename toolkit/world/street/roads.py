"""Grammars of roads with traffic: residential and city street, suburb, alley, motorway, country road."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgedepth.world import palette
from edgedepth.world.builder import Dice
from edgedepth.world.recipe import BuiltScene
from edgedepth.world.scene import Texture
from edgedepth.world.street import buildings, ground, outlook, roadside
from edgedepth.world.street.avenue import (
    KERB_M,
    Frontage,
    StreetPlan,
    carriageway,
    frontage,
    junction,
    kerbside,
    parked_cars,
    pavements,
    traffic,
)
from edgedepth.world.street.course import Course, random_course, skirted, sweep
from edgedepth.world.street.crowd import Crowd
from edgedepth.world.street.site import Site, new_site
from edgedepth.world.street.vegetation import Flora, hedge, tufts
from edgedepth.world.street.vehicles import CITY_TRAFFIC, ROAD_TRAFFIC, TOWN_TRAFFIC, park


def _finish(
    site: Site,
    course: Course,
    category: str,
    stands: list[outlook.Stand],
    views: outlook.Sampler = outlook.view_sampler,
) -> BuiltScene:
    return BuiltScene(site.builder.finish(category), views(course, site.obstacles, stands))


def _town_stands(plan: StreetPlan, *, elevated: float = 0.12) -> list[outlook.Stand]:
    """Views of a street with pavements: drivers, walkers, robots and a raised camera."""
    lanes = plan.lane_middles()
    drive = [t for t, ahead in lanes if ahead] or [t for t, _ in lanes]
    left, right = plan.half
    stands = [
        outlook.dashcam((-8, 55), (min(drive) - 0.4, max(drive) + 0.4), share=0.42),
        outlook.raised((-5, 55), (-left - 1, right + 1), share=elevated),
    ]
    for side, index, width in ((-1, 0, plan.pavement[0]), (1, 1, plan.pavement[1])):
        deep = max(width, 1.2)
        span = sorted((side * (plan.half[index] + 0.4), side * (plan.half[index] + deep - 0.4)))
        base = KERB_M if width > 0 else 0.0
        stands.append(outlook.walker((-8, 60), (span[0], span[1]), share=0.17, ground=base))
        stands.append(outlook.robot((-8, 60), (span[0], span[1]), share=0.06, ground=base))
    return stands


def residential_street(dice: Dice, *, jam: bool = False, views: outlook.Sampler = outlook.view_sampler) -> BuiltScene:
    """A street of closed rows or houses behind small front gardens, cars parked on both sides."""
    site = new_site(dice)
    cross = dice.chance(0.4)
    course = random_course(dice, slope=0.0 if cross else 0.05)
    plan = StreetPlan(
        lanes_back=1, lanes_ahead=1, lane=dice.uniform(2.6, 3.3),
        parking=(dice.choice((0.0, 2.1)), dice.choice((0.0, 2.2, 2.2))),
        pavement=(dice.uniform(1.4, 3.2), dice.uniform(1.4, 3.2)), jam=jam,
    )  # fmt: skip
    return _street(site, course, plan, "residential_street", cross=cross, traffic_gap=dice.uniform(25, 90),
                   fronts=_homes(dice), trees=dice.choice((0.0, 0.1, 0.35)), people=0.1,
                   park_density=dice.uniform(0.2, 0.9), views=views)  # fmt: skip


def _row_house(site: Site, plot: buildings.Plot) -> float:
    return buildings.town_house(site, plot, shop=0.06, storeys=site.dice.choice((2, 2, 3, 3, 4)))


def _homes(dice: Dice) -> tuple[Frontage, Frontage]:
    garden = dice.choice(((0.0, 0.6), (2.0, 5.0)))
    rows = Frontage(makers=(_row_house,), width=(5.5, 11), garden=garden, built=0.95)
    villas = Frontage(makers=(buildings.house,), width=(7, 12), depth=(8, 11), garden=(3.0, 6.5), gap=(1.5, 5.0))
    return dice.choice(((rows, rows), (villas, villas), (rows, villas)))


def _street(
    site: Site, course: Course, plan: StreetPlan, category: str, *, cross: bool, traffic_gap: float,
    fronts: tuple[Frontage, Frontage], trees: float, people: float, park_density: float, city: bool = False,
    crowd_limit: int = 14, views: outlook.Sampler,
) -> BuiltScene:  # fmt: skip
    """What all town streets share, from the ground up."""
    dice = site.dice
    flora, crowd = Flora(site), Crowd(site, limit=crowd_limit)
    gaps: list[float] = []
    side_road = StreetPlan(lanes_back=1, lanes_ahead=1, lane=dice.uniform(2.8, 3.5))
    at = dice.uniform(14, 65)
    ground.land(site, course, plan.outer[0], plan.outer[1], ground.grass(site), drop=0.1)
    if cross:
        gaps.append(at)
    carriageway(site, course, plan, marked=city or dice.chance(0.6), gaps=gaps)
    pavements(site, course, plan, gaps=gaps, gap_half=side_road.half[0])
    if cross:
        line = junction(site, course, at, plan, side_road)
        with site.obstacles.reserved(course.points(at), line.heading(0.0), 140.0, side_road.half[0] + 2.6):
            _both_fronts(site, course, plan, fronts, flora)
        _side_fronts(site, line, plan, side_road, fronts, flora)
    else:
        _both_fronts(site, course, plan, fronts, flora)
    if not cross and dice.chance(0.3):
        ground.zebra(site, course, at, min(plan.half))
    parked_cars(site, course, plan, density=park_density, gaps=gaps)
    traffic(site, course, plan, spacing=traffic_gap, makers=CITY_TRAFFIC if city else TOWN_TRAFFIC)
    kerbside(site, course, plan, flora, crowd, trees=trees, furniture=0.35, people=people, gaps=gaps,
             gap_half=side_road.half[0])  # fmt: skip
    if city or dice.chance(0.2):
        for _ in range(dice.integer(0, 4)):
            crowd.group(course, at - 4 + dice.normal(1.0), dice.uniform(-0.9, 0.9) * min(plan.half))
    if dice.chance(0.15) and not city:
        roadside.power_line(site, course, -40, 140, plan.outer[1] - 0.4)
    ground.skyline(site, trees=0.5, town=0.7 if city else 0.4, hills=0.25)
    return _finish(site, course, category, _town_stands(plan), views)


def _both_fronts(site: Site, course: Course, plan: StreetPlan, fronts: tuple[Frontage, Frontage], flora: Flora) -> None:
    for side, index in ((-1, 0), (1, 1)):
        frontage(site, course, side, plan.outer[index], fronts[index], flora)


def _side_fronts(
    site: Site, line: Course, plan: StreetPlan, side_road: StreetPlan, fronts: tuple[Frontage, Frontage], flora: Flora
) -> None:
    """Buildings along the side road, beyond those of the main street."""
    for index, first, last in ((0, -75.0, -plan.outer[0] - 4), (1, plan.outer[1] + 4, 75.0)):
        front = replace(fronts[index], reach=(first, last), garden=(0.0, 1.0))
        for side in (-1, 1):
            frontage(site, line, side, side_road.half[0] + 2.5, front, flora, yard=False)


def city_street(dice: Dice, *, jam: bool = False, views: outlook.Sampler = outlook.view_sampler) -> BuiltScene:
    """A busy street of shops and blocks with several lanes, wide pavements and many people."""
    site = new_site(dice)
    cross = dice.chance(0.55)
    course = random_course(dice, bend=0.006, slope=0.0 if cross else 0.035, straight=0.6)
    lanes = dice.choice(((1, 1), (1, 1), (2, 2), (2, 2), (1, 2), (0, 2), (0, 3), (3, 3)))
    plan = StreetPlan(
        lanes_back=lanes[0], lanes_ahead=lanes[1], lane=dice.uniform(2.9, 3.5),
        parking=(dice.choice((0.0, 2.2)), dice.choice((0.0, 2.2))),
        pavement=(dice.uniform(2.2, 6), dice.uniform(2.2, 6)), jam=jam,
    )  # fmt: skip
    towers = Frontage(makers=(buildings.tower, buildings.tower, buildings.town_house), width=(14, 30), depth=(14, 24))
    shops = Frontage(
        makers=(lambda s, p: buildings.town_house(s, p, shop=0.75),), width=(6, 16), depth=(10, 14), built=0.96
    )
    mixed = Frontage(makers=(buildings.town_house, buildings.town_house, buildings.tower), width=(9, 20), built=0.9)
    fronts = (dice.choice((towers, shops, shops, mixed)), dice.choice((towers, shops, shops, mixed)))
    return _street(site, course, plan, "city_street", cross=cross, traffic_gap=dice.uniform(11, 40), fronts=fronts,
                   trees=dice.choice((0.0, 0.1, 0.3)), people=dice.uniform(0.2, 0.6),
                   park_density=dice.uniform(0.4, 0.95), city=True, crowd_limit=18, views=views)  # fmt: skip


def suburb(dice: Dice, *, views: outlook.Sampler = outlook.view_sampler) -> BuiltScene:
    """Detached houses far apart, lawns, drives, wide quiet road, often without pavements."""
    site = new_site(dice)
    cross = dice.chance(0.3)
    course = random_course(dice, bend=0.016, slope=0.0 if cross else 0.06, straight=0.25)
    walk = dice.choice((0.0, 1.5, 1.8))
    plan = StreetPlan(lanes_back=1, lanes_ahead=1, lane=dice.uniform(2.8, 4.0), parking=(0.0, dice.choice((0.0, 2.2))),
                      pavement=(walk or 0.01, walk or 0.01))  # fmt: skip
    villas = Frontage(
        makers=(buildings.house,), width=(9, 15), depth=(8, 12), garden=(5.5, 11), gap=(4.0, 12.0), built=0.8
    )
    return _street(site, course, plan, "suburb", cross=cross, traffic_gap=dice.uniform(40, 140),
                   fronts=(villas, villas), trees=dice.choice((0.1, 0.3)), people=0.05,
                   park_density=dice.uniform(0.1, 0.5), crowd_limit=6, views=views)  # fmt: skip


def alley(dice: Dice) -> BuiltScene:
    """A narrow lane between walls and backs of houses: bins, pipes, doors, a few people."""
    site = new_site(dice)
    course = random_course(dice, bend=0.02, slope=0.05, straight=0.55)
    plan = StreetPlan(lanes_back=0, lanes_ahead=1, lane=dice.uniform(3.0, 5.5), pavement=(0.8, 0.8))
    plan = StreetPlan(
        lanes_back=1, lanes_ahead=1, lane=plan.lane / 2, pavement=(dice.uniform(0.4, 1.2), dice.uniform(0.4, 1.2))
    )
    flora, crowd = Flora(site), Crowd(site, limit=9)
    b = site.builder
    ground.land(site, course, plan.outer[0], plan.outer[1], ground.bare_ground(site), drop=0.1)
    b.begin("road")
    surface = ground.asphalt(site) if dice.chance(0.4) else ground.paving(site)
    sweep(b, course, course.start, course.end, skirted([(-plan.half[0], 0.0), (plan.half[1], 0.0)]), surface)
    pavements(site, course, plan)
    rows = Frontage(
        makers=(lambda s, p: buildings.town_house(s, p, shop=0.12),), width=(4.5, 12), depth=(8, 12), built=0.93
    )
    for side, index in ((-1, 0), (1, 1)):
        frontage(site, course, side, plan.outer[index], rows, flora)
        for s in np.arange(-25.0, 80.0, 4.0):
            at = float(s) + dice.uniform(0, 3)
            edge = side * (plan.outer[index] - 0.35)
            draw = dice.uniform()
            if draw < 0.3:
                maker = dice.choice((roadside.bin_, roadside.bin_, roadside.cabinet, roadside.planter))
                roadside.put(site, maker, course, at, edge, KERB_M)
            elif draw < 0.36:
                roadside.put(site, roadside.lamp_post, course, at, edge, KERB_M)
            elif draw < 0.46:
                crowd.group(course, at, side * dice.uniform(0.2, plan.half[index]))
    if dice.chance(0.4):
        s, t, turn = dice.uniform(12, 35), dice.choice((-1, 1)) * (plan.half[0] - 1.05), dice.choice((0.0, np.pi))
        position, yaw = course.place(s, t, 0.0, turn)
        park(site, position, yaw, pitch=course.pitch(s, turn))
    ground.skyline(site, trees=0.2, town=0.5, hills=0.2)
    width = plan.half[0] * 0.6
    stands = [
        outlook.walker((-12, 55), (-width, width), share=0.6, any_way=False),
        outlook.walker((-12, 55), (-width, width), share=0.15),
        outlook.robot((-12, 55), (-width, width), share=0.15),
        outlook.raised((-12, 45), (-width, width), share=0.1),
    ]
    return _finish(site, course, "alley", stands)


def motorway(dice: Dice, *, jam: bool = False, views: outlook.Sampler = outlook.view_sampler) -> BuiltScene:
    """Two to four lanes each way, barriers, hard shoulder, verges, gantries and bridges."""
    site = new_site(dice)
    course = random_course(dice, bend=0.0035, slope=0.025, straight=0.4)
    lanes, lane = dice.integer(2, 4), dice.uniform(3.4, 3.75)
    plan = StreetPlan(
        lanes_back=lanes, lanes_ahead=lanes, lane=lane, median=dice.uniform(1.2, 10.0), pavement=(0.0, 0.0), jam=jam
    )
    flora = Flora(site, woodland=True)
    shoulder = dice.uniform(1.0, 3.4)
    left, right = plan.half[0] + shoulder, plan.half[1] + shoulder
    verge = ground.grass(site)
    ground.land(site, course, left, right, verge, bumps=dice.choice((0.0, 0.6, 1.8)))
    _motorway_surface(site, course, plan, shoulder, verge)
    for t in (-left - 0.4, right + 0.4):
        if dice.chance(0.6):
            roadside.guard_rail(site, course, -60, 220, t, concrete=dice.chance(0.3))
    if plan.median < 3 or dice.chance(0.5):
        roadside.guard_rail(site, course, -60, 260, 0.0, concrete=dice.chance(0.5))
    elif dice.chance(0.4):
        hedge(site, course, -40, 120, 0.0, dice.uniform(0.8, 1.8), 1.2)
    if dice.chance(0.35):
        roadside.gantry(site, course, dice.uniform(30, 120), plan.median / 2 - 0.6, right + 1.0)
    if dice.chance(0.35):
        roadside.overpass(site, course, dice.uniform(35, 130), max(left, right))
    traffic(site, course, plan, spacing=dice.uniform(16, 70), makers=ROAD_TRAFFIC, reach=220)
    _verge_plants(site, course, left + 3, right + 3, flora, density=dice.uniform(0.05, 0.6))
    if dice.chance(0.3):
        wall_side = dice.choice((-1, 1))
        _noise_wall(site, course, wall_side * ((left if wall_side < 0 else right) + 2.5))
    ground.skyline(site, trees=0.8, town=0.35, hills=0.6)
    first = plan.median / 2 + lane / 2
    stands = [
        outlook.dashcam((-10, 60), (first - 0.4, first + (lanes - 1) * lane + 0.4), share=0.85),
        outlook.dashcam((20, 90), (-first - (lanes - 1) * lane, -first), share=0.07, back=True),
        outlook.raised((0, 60), (right - 1.0, right + 1.5), share=0.08),
    ]
    return _finish(site, course, "motorway", stands, views)


def _motorway_surface(site: Site, course: Course, plan: StreetPlan, shoulder: float, verge: int) -> None:
    b, dice = site.builder, site.dice
    tarmac = ground.asphalt(site)
    white = ground.paint(b, dice)
    inner = ground.paint(b, dice, yellow=True) if dice.chance(0.5) else white
    length, gap = dice.choice(((3.0, 9.0), (6.0, 12.0), (6.0, 6.0), (3.0, 6.0), (4.0, 8.0)))
    for side in (-1, 1):
        first, last = plan.median / 2, plan.half[1]
        edge = max(0.0, first - 0.8)
        profile = sorted((side * edge, side * (last + shoulder)))
        b.begin("road")
        sweep(b, course, course.start, course.end, skirted([(profile[0], 0.0), (profile[1], 0.0)]), tarmac)
        ground.solid_line(b, course, course.start, course.end, side * last, white, 0.18)
        ground.solid_line(b, course, course.start, course.end, side * first, inner, 0.16)
        lanes = plan.lanes_ahead if side > 0 else plan.lanes_back
        for i in range(1, lanes):
            ground.dashes(b, course, course.start, 240.0, side * (first + i * plan.lane), white, length=length, gap=gap,
                          width=0.15)  # fmt: skip
    if plan.median > 1.7:
        b.begin("grass")
        half = plan.median / 2 - 0.8
        sweep(b, course, course.start, course.end, [(-half, -0.02), (0.0, -0.1), (half, -0.02)], verge)


def _noise_wall(site: Site, course: Course, t: float) -> None:
    b, dice = site.builder, site.dice
    b.begin("fence")
    kind = dice.choice((Texture.PLANKS, Texture.CONCRETE, Texture.STRIPES, Texture.TILES))
    material = palette.pattern(b, dice, kind, palette.dull_colour(dice))
    height = dice.uniform(2.0, 4.5)
    sweep(b, course, -50, 200, [(t - 0.1, -0.3), (t - 0.1, height), (t + 0.1, height), (t + 0.1, -0.3)], material)


def _verge_plants(site: Site, course: Course, left: float, right: float, flora: Flora, *, density: float) -> None:
    """Trees and bushes beyond both verges, denser further away."""
    dice = site.dice
    for side, edge in ((-1, left), (1, right)):
        reach = min(28.0, max(1.0, 0.8 / max(course.max_curvature, 1e-6) - edge))
        for s in np.arange(-35.0, 160.0, 6.0):
            if dice.chance(density):
                place = course.points(s + dice.uniform(0, 5), side * (edge + reach * dice.uniform() ** 1.5), -0.1)
                grow = flora.shrub if dice.chance(0.35) else flora.tree
                grow(place)


def country_road(dice: Dice, *, views: outlook.Sampler = outlook.view_sampler) -> BuiltScene:
    """A road through fields and woods: verges, posts, fences, power lines, farms."""
    site = new_site(dice)
    course = random_course(dice, bend=0.012, slope=0.06, straight=0.25)
    plan = StreetPlan(lanes_back=1, lanes_ahead=1, lane=dice.uniform(2.5, 3.6), pavement=(0.0, 0.0))
    flora = Flora(site, woodland=dice.chance(0.6))
    left, right = plan.half
    verge = ground.grass(site)
    ground.land(site, course, left, right, verge, bumps=dice.choice((0.0, 0.5, 1.5)))
    carriageway(site, course, plan, marked=dice.chance(0.8))
    for side, edge in ((-1, left), (1, right)):
        draw = dice.uniform()
        if draw < 0.3:
            roadside.fence(site, course, -30, 90, side * (edge + dice.uniform(1.5, 4)))
        elif draw < 0.45:
            hedge(site, course, -30, 110, side * (edge + dice.uniform(1.2, 3)), dice.uniform(0.8, 2.2), 1.0)
        elif draw < 0.6:
            roadside.guard_rail(site, course, -40, 110, side * (edge + 0.7))
        if dice.chance(0.6):
            s = dice.rng.random(350) * 70 - 12
            t = side * (edge + 0.4 + 5 * dice.rng.random(350) ** 2)
            tufts(site, course.points(s, t, 0.0), dice.uniform(0.15, 0.5), verge)
    _verge_plants(site, course, left + 2.5, right + 2.5, flora, density=dice.choice((0.08, 0.3, 0.85)))
    if dice.chance(0.45):
        roadside.power_line(site, course, -50, 220, dice.choice((-1, 1)) * (right + dice.uniform(2, 6)))
    for _ in range(dice.integer(0, 4)):
        roadside.put(site, roadside.sign_post, course, dice.uniform(8, 70), right + 0.9)
    for _ in range(dice.integer(0, 3)):
        position, yaw = course.place(dice.uniform(20, 120), dice.choice((-1, 1)) * dice.uniform(12, 25) + 0.0,
                                     -0.2, dice.uniform(0, 6.28))  # fmt: skip
        plot = buildings.Plot(dice.uniform(8, 18), dice.uniform(8, 11))
        if site.take(position, yaw, 13.0, 13.0):
            site.builder.begin("building", position, yaw)
            dice.choice((buildings.house, buildings.shed))(site, plot)
    traffic(site, course, plan, spacing=dice.uniform(35, 140), makers=ROAD_TRAFFIC, reach=160)
    ground.skyline(site, trees=0.8, town=0.1, hills=0.6)
    stands = [
        outlook.dashcam((-10, 60), (0.6, right - 0.6), share=0.6),
        outlook.dashcam((20, 80), (-left + 0.6, -0.6), share=0.08, back=True),
        outlook.walker((-10, 60), (-left - 1.0, right + 1.0), share=0.22),
        outlook.robot((-10, 60), (-left, right), share=0.1),
    ]
    return _finish(site, course, "country_road", stands, views)
