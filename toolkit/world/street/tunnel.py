"""Roads under a roof: a tunnel, an underpass, a parking deck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgedepth.world import palette
from edgedepth.world.builder import Dice, SceneBuilder
from edgedepth.world.recipe import BuiltScene
from edgedepth.world.scene import Array, PointLight, Sky, Texture
from edgedepth.world.solids import boxes, grid_faces, limbs, stamp
from edgedepth.world.street import ground, outlook
from edgedepth.world.street.avenue import KERB_M, StreetPlan, carriageway, pavements, traffic
from edgedepth.world.street.course import Course, patches, random_course, sweep
from edgedepth.world.street.crowd import Crowd
from edgedepth.world.street.site import Site, new_site
from edgedepth.world.street.vegetation import Flora
from edgedepth.world.street.vehicles import CITY_TRAFFIC, PARKED, ROAD_TRAFFIC, park
from edgedepth.world.street.weather import Weather

_MAX_LAMPS_LIT = 14
_COVER_M = 1.2  # from the top of the inside to the ground above
_LIT_BEHIND, _LIT_AHEAD = -25.0, 130.0  # where lamps throw light; further ones only shine


@dataclass(frozen=True, kw_only=True)
class _Bore:
    """A tunnel's inside: from `start` to `end` along the line, `left` to `right` of it (t), up to `height`.

    `section` is its outline (t, h) from the foot of the left wall over the roof to the foot of the right wall.
    """

    start: float
    end: float
    left: float
    right: float
    height: float
    section: tuple[tuple[float, float], ...]

    def roof(self, t: float) -> float:
        """Height of the roof above t."""
        upper = [p for p in self.section if p[1] > 0]
        return float(np.interp(t, [p[0] for p in upper], [p[1] for p in upper]))


def _bore(dice: Dice, plan: StreetPlan, start: float, end: float, *, vault: float) -> _Bore:
    left, right = -plan.outer[0], plan.outer[1]
    height = dice.uniform(5.0, 6.6)
    section: list[tuple[float, float]] = [(left, 0.0), (left, height), (right, height), (right, 0.0)]
    if dice.chance(vault):
        foot, rise = dice.uniform(2.0, 3.4), dice.uniform(0.3, 0.42) * (right - left)
        angle = np.linspace(np.pi, 0.0, 13)
        middle, half = (left + right) / 2, (right - left) / 2
        arc = [(middle + half * float(np.cos(a)), foot + rise * float(np.sin(a))) for a in angle]
        section, height = [(left, 0.0), *arc, (right, 0.0)], foot + rise
    return _Bore(start=start, end=end, left=left, right=right, height=height, section=tuple(section))


def tunnel(dice: Dice) -> BuiltScene:
    """A road tunnel of one or two directions: lined walls, walkways, lamps, fans, emergency doors, traffic."""
    site = new_site(dice)
    course = random_course(dice, bend=0.006, slope=0.03, straight=0.35)
    back, ahead = dice.choice(((0, 2), (0, 2), (0, 3), (1, 1), (1, 1), (2, 2)))
    plan = StreetPlan(lanes_back=back, lanes_ahead=ahead, lane=dice.uniform(3.3, 3.8),
                      pavement=(dice.uniform(0.6, 1.2), dice.uniform(0.6, 1.2)))  # fmt: skip
    plan = _about_the_middle(plan)
    bore = _bore(dice, plan, -60.0, dice.choice((60.0, 110.0, 200.0, 320.0)), vault=0.5)
    inside = _road_under(site, course, plan, bore)
    _fittings(inside, course, bore)
    traffic(inside, course, plan, spacing=dice.uniform(14, 60), makers=ROAD_TRAFFIC, reach=200)
    ground.skyline(site, trees=0.6, town=0.4, hills=0.5)
    lanes = [t for t, leads in plan.lane_middles() if leads]
    stands = [
        outlook.dashcam((-15, 50), (min(lanes) - 0.4, max(lanes) + 0.4), share=0.8),
        outlook.walker((-10, 45), (plan.half[1] + 0.2, bore.right - 0.35), share=0.1, ground=KERB_M, any_way=False),
        outlook.robot((-10, 45), (-plan.half[0] + 0.5, plan.half[1] - 0.5), share=0.1),
    ]
    return _finish(site, course, "motorway", stands)


def _about_the_middle(plan: StreetPlan) -> StreetPlan:
    """A one-way road has its lanes to the right of the line: a wide walkway stands for what is left of it."""
    return plan if plan.lanes_back else replace(plan, pavement=(max(plan.pavement[0], 0.8), plan.pavement[1]))


def underpass(dice: Dice) -> BuiltScene:
    """A street that dives under a railway or another road: retaining walls, portals, pavements, daylight beyond."""
    site = new_site(dice)
    course = random_course(dice, bend=0.008, slope=0.03, straight=0.5)
    plan = StreetPlan(lanes_back=1, lanes_ahead=dice.choice((1, 1, 2)), lane=dice.uniform(2.9, 3.5),
                      pavement=(dice.uniform(1.2, 3.0), dice.uniform(1.2, 3.0)))  # fmt: skip
    start = dice.uniform(6, 26)
    bore = _bore(dice, plan, start, start + dice.uniform(14, 45), vault=0.2)
    inside = _road_under(site, course, plan, bore)
    traffic(inside, course, plan, spacing=dice.uniform(14, 60), makers=CITY_TRAFFIC)
    crowd = Crowd(site, limit=8)
    for _ in range(dice.integer(1, 7)):
        side = dice.choice((0, 1))
        t = (plan.half[side] + dice.uniform(0.4, plan.pavement[side] - 0.3)) * (2 * side - 1)
        crowd.group(course, dice.uniform(0, bore.end + 10), t, KERB_M)
    flora = Flora(site)
    for _ in range(dice.integer(0, 14)):
        t = dice.choice((bore.left - dice.uniform(3, 18), bore.right + dice.uniform(3, 18)))
        s = dice.uniform(bore.end + 20, 130) if dice.chance(0.6) else dice.uniform(-20, bore.start)
        flora.tree(course.points(s, t, _bank_height(bore, s) - 0.2))
    ground.skyline(site, trees=0.5, town=0.7, hills=0.3)
    left, right = plan.half
    stands = [
        outlook.dashcam((-14, bore.end - 4), (0.8, right - 0.8), share=0.55),
        outlook.walker((-10, bore.end), (right + 0.4, bore.right - 0.4), share=0.2, ground=KERB_M, any_way=False),
        outlook.walker((-10, bore.end), (bore.left + 0.4, -left - 0.4), share=0.15, ground=KERB_M, any_way=False),
        outlook.robot((-10, bore.end), (right + 0.4, bore.right - 0.4), share=0.1, ground=KERB_M),
    ]
    return _finish(site, course, "city_street", stands)


def _finish(
    site: Site, course: Course, category: str, stands: Sequence[outlook.Stand], share: float = 0.3
) -> BuiltScene:
    return BuiltScene(site.builder.finish(category), outlook.far_views(course, site.obstacles, stands, share))


def _road_under(site: Site, course: Course, plan: StreetPlan, bore: _Bore) -> Site:
    """The road, its tunnel and the land around; returns the site as it is inside, where vehicles have lights on."""
    carriageway(site, course, plan)
    pavements(site, course, plan)
    concrete = palette.pattern(site.builder, site.dice, Texture.CONCRETE, palette.grey(site.dice.uniform(0.25, 0.65)))
    _lining(site, course, bore, concrete)
    _portals(site, course, bore, concrete)
    _banks(site, course, bore, concrete)
    _lamps(site, course, bore)
    for s in np.arange(course.start + 1.0, 160.0, 2.0):  # no camera in a wall
        for t in (bore.left - 0.6, bore.right + 0.6):
            site.obstacles.add(course.points(s, t), course.heading(float(s)), 1.0, 0.6)
    return replace(site, weather=Weather(dark=True, wetness=site.weather.wetness))


def _lining(site: Site, course: Course, bore: _Bore, concrete: int) -> None:
    """The inside: concrete, and panels or tiles along the lower part of the walls."""
    b, dice = site.builder, site.dice
    b.begin("wall")
    sweep(b, course, bore.start, bore.end, bore.section, concrete)
    if dice.chance(0.75):
        tint = palette.hsv(dice.uniform(), dice.uniform(0, 0.25), dice.uniform(0.45, 0.85))
        size = dice.choice((0.15, 0.3, 1.2))
        panel = palette.pattern(b, dice, Texture.TILES, tint, palette.shade(tint, 0.8), scale_m=size,
                                reflectance=dice.choice((0.0, 0.04)))  # fmt: skip
        top = dice.uniform(1.6, 2.0 if len(bore.section) > 4 else 3.4)
        for t in (bore.left + 0.04, bore.right - 0.04):
            sweep(b, course, bore.start, bore.end, [(t, KERB_M), (t, top)], panel)
        if dice.chance(0.5):
            stripe = palette.flat(b, dice.choice(((0.7, 0.5, 0.05), (0.05, 0.25, 0.5), (0.6, 0.05, 0.04))))
            for t in (bore.left + 0.05, bore.right - 0.05):
                sweep(b, course, bore.start, bore.end, [(t, top - 0.3), (t, top)], stripe)


def _portals(site: Site, course: Course, bore: _Bore, concrete: int) -> None:
    """The faces above both mouths, and a parapet on each."""
    b = site.builder
    b.begin("bridge")
    roof = np.array([p for p in bore.section if p[1] > 0])
    top = bore.height + _COVER_M
    for s in (bore.start, bore.end):
        lower = course.points(s, roof[:, 0], roof[:, 1])
        upper = course.points(s, roof[:, 0], top)
        b.triangles(np.concatenate([lower, upper]), grid_faces(2, len(roof)), concrete)
        position, yaw = course.place(s, (bore.left + bore.right) / 2, top + 0.4)
        b.begin("bridge", position, yaw)
        b.box((0, 0, 0), (bore.right - bore.left + 8.0, 0.35, 1.0), concrete)


def _bank_height(bore: _Bore, s: float) -> float:
    """Height of the land beside the road: the roof's over the tunnel, down to the road's 45 m before and behind."""
    return float(np.interp(s, [bore.start - 45, bore.start, bore.end, bore.end + 45],
                           [0.15, bore.height + _COVER_M, bore.height + _COVER_M, 0.15]))  # fmt: skip


def _banks(site: Site, course: Course, bore: _Bore, concrete: int) -> None:
    """Retaining walls along the cutting, the land beside them, and what covers the tunnel."""
    b, dice = site.builder, site.dice
    turf = ground.grass(site) if dice.chance(0.7) else ground.bare_ground(site)
    knots = [course.start, bore.start - 45, bore.start, bore.end, bore.end + 45, course.end]
    inner = np.arange(course.start, course.end, 8.0)
    s = np.unique(np.clip(np.concatenate([inner, knots]), course.start, course.end))
    h = np.array([_bank_height(bore, float(x)) for x in s])
    reach = min(150.0, 0.75 / max(course.max_curvature, 1e-6))
    for side, edge in ((-1, bore.left), (1, bore.right)):
        outside = (s <= bore.start) | (s >= bore.end)
        for part in (outside & (s <= bore.start), outside & (s >= bore.end)):
            along = s[part]
            if len(along) < 2:
                continue
            b.begin("wall")
            _strip(b, course, along, [edge, edge], np.stack([0 * along - 0.3, h[part]], 1), concrete)
            b.begin("fence")
            rail = palette.flat(b, palette.grey(dice.uniform(0.2, 0.6)))
            for z in (0.5, 1.0):
                _strip(b, course, along, [edge, edge], h[part][:, None] + [z - 0.03, z + 0.03], rail)
            posts = np.arange(along[0], min(along[-1], 160.0), 2.5)
            feet = course.points(posts, edge, np.interp(posts, along, h[part]))
            stamp(b, limbs(feet, feet + np.array([0.0, 0.0, 1.0]), 0.035, sides=4, taper=1.0), rail)
        b.begin("grass")
        _strip(b, course, s, [edge, side * reach], np.stack([h, h], 1), turf)
    covered = s[(s >= bore.start) & (s <= bore.end)]
    top = bore.height + _COVER_M
    _strip(b, course, covered, [bore.left, bore.right], np.full((len(covered), 2), top), turf)
    low = float(course.points(s)[:, 2].min()) - 1.5
    b.quad([(-900, -900, low), (900, -900, low), (900, 900, low), (-900, 900, low)], turf)


def _strip(b: SceneBuilder, course: Course, s: Array, t: Sequence[float], h: Array, material: int) -> None:
    """A band along the line between two t, whose heights (N, 2) change with s."""
    across = np.broadcast_to(np.asarray(t, np.float64), h.shape)
    world = course.points(s[:, None], across, h)
    local = np.stack([across, np.broadcast_to(s[:, None], h.shape), h], -1)
    b.triangles(world.reshape(-1, 3), grid_faces(len(s), 2), material, local=local.reshape(-1, 3))


def _lamps(site: Site, course: Course, bore: _Bore) -> None:
    """One or two rows of lamps under the roof, and the light of those near the cameras."""
    b, dice = site.builder, site.dice
    width, gap = bore.right - bore.left, dice.uniform(5.0, 11.0)
    rows = dice.choice(((0.5,), (0.3, 0.7), (0.3, 0.7)))
    tint = palette.warm_light(dice) if dice.chance(0.6) else (1.0, dice.uniform(0.5, 0.65), dice.uniform(0.12, 0.3))
    bright = palette.glow(b, tint, dice.uniform(3.0, 6.0))
    case = palette.flat(b, palette.grey(0.25))
    places = []
    for share in rows:
        t = bore.left + share * width
        for s in np.arange(bore.start + 2.0, min(bore.end, 300.0) - 1.0, gap):
            position, yaw = course.place(float(s), t, bore.roof(t) - 0.16)
            b.begin("lamp", position, yaw)
            b.box((0, 0, 0.07), (0.36, 1.3, 0.14), case)
            b.box((0, 0, -0.01), (0.28, 1.2, 0.03), bright)
            if _LIT_BEHIND < s < _LIT_AHEAD:
                places.append((float(s), t))
    if not places:
        return
    places.sort()
    step = -(-len(places) // _MAX_LAMPS_LIT)
    lit = places[step // 2 :: step]
    reach = min(bore.end, _LIT_AHEAD) - max(bore.start, _LIT_BEHIND)
    power = dice.uniform(0.4, 1.2) * width * reach / (np.pi * len(lit))
    for s, t in lit:
        x, y, z = (float(v) for v in course.points(s, t, bore.roof(t) - 0.45))
        b.lights.append(PointLight(position=(x, y, z), colour=palette.brightened(tint, power), radius_m=0.3))


def _fittings(site: Site, course: Course, bore: _Bore) -> None:
    """Fans, lane signals, emergency doors and call boxes, cable trays."""
    b, dice = site.builder, site.dice
    steel = palette.flat(b, palette.grey(dice.uniform(0.3, 0.6)), reflectance=0.05)
    turned = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])  # a lathe's axis from z to y
    middle, last = (bore.left + bore.right) / 2, min(bore.end - 5.0, 200.0)
    if dice.chance(0.5):
        for s in np.arange(dice.uniform(5, 40), last, dice.uniform(50, 90)):
            for t in (middle - 0.8, middle + 0.8):
                position, yaw = course.place(float(s), t, bore.roof(t) - 0.75)
                b.begin("appliance", position, yaw)
                profile = [(0.3, 0.0), (0.42, 0.1), (0.42, 2.9), (0.3, 3.0), (0.28, 1.0), (0.0, 1.0)]
                b.lathe(profile, steel, segments=12, rotation=turned)
                boxes(b, [(0, y, 0.5) for y in (-0.5, -2.5)], (0.1, 0.1, 0.5), steel)
    green, glow = palette.flat(b, (0.02, 0.25, 0.1)), palette.glow(b, (0.1, 0.9, 0.35), 1.5)
    orange = palette.flat(b, (0.75, 0.25, 0.03))
    for s in np.arange(dice.uniform(8, 40), last, dice.uniform(25, 60)):
        side = dice.choice((-1, 1))
        t = bore.right - 0.06 if side > 0 else bore.left + 0.06
        position, yaw = course.place(float(s), t, KERB_M)
        b.begin("door", position, yaw)
        b.box((0, 0, 1.05), (0.06, 1.2, 2.1), green)
        b.box((-side * 0.1, 0, 2.4), (0.16, 0.7, 0.35), glow, semantic="sign")
        b.box((-side * 0.12, 2.2, 1.2), (0.3, 0.6, 0.8), orange, semantic="box")
    if dice.chance(0.4):
        red = dice.chance(0.2)
        lamp = palette.glow(b, (0.9, 0.05, 0.03) if red else (0.1, 0.9, 0.3), 3.0)
        for s in np.arange(dice.uniform(15, 50), last, dice.uniform(40, 80)):
            for share in (0.33, 0.67):
                t = bore.left + share * (bore.right - bore.left)
                position, yaw = course.place(float(s), t, bore.roof(t) - 0.55)
                b.begin("sign", position, yaw)
                b.box((0, 0, 0.1), (0.6, 0.12, 0.6), palette.flat(b, palette.grey(0.02)))
                b.box((0, -0.07, 0.1), (0.14, 0.02, 0.4), lamp)
    if dice.chance(0.5):
        b.begin("clutter")
        z = min(bore.roof(bore.left + 0.3), 4.4) - 0.4
        tray = [(bore.left + 0.05, z), (bore.left + 0.35, z), (bore.left + 0.35, z + 0.1)]
        sweep(b, course, bore.start, bore.end, tray, steel)


# -- parking deck --------------------------------------------------------------------------------------------


def parking_deck(dice: Dice) -> BuiltScene:
    """A low parking deck under ground: columns, marked bays, cars, pipes and lamps under the ceiling."""
    site = new_site(dice)
    site = replace(site, weather=Weather())
    course = Course()
    b = site.builder
    b.sky = Sky(intensity=0.5, ambient=dice.uniform(0.02, 0.06))
    aisle, bay, lanes = dice.uniform(5.6, 6.6), 5.0, dice.integer(1, 2)
    half, depth, height = lanes * (aisle / 2 + bay), dice.uniform(35, 65), dice.uniform(2.5, 3.4)
    _deck_shell(site, course, half, depth, height)
    white = ground.paint(b, dice, yellow=dice.chance(0.25))
    columns = palette.draw_material(b, dice, (palette.stone, palette.paint, palette.paint))
    hazard = b.material(Texture.STRIPES, (0.8, 0.6, 0.05), (0.03, 0.03, 0.03), scale_m=0.16)
    full = dice.uniform(0.3, 0.9)
    stations = np.arange(0.4, depth - 0.4, 2.55)
    middles = [0.0] if lanes == 1 else [-half / 2, half / 2]
    for middle in middles:
        for side in (-1, 1):
            t = middle + side * (aisle / 2 + bay / 2)
            b.begin("road")
            patches(b, course, stations, t, 0.1, bay, white)
            for s in stations[::3]:
                foot = middle + side * (aisle / 2 + bay - 0.35)
                _column(site, course, (float(s), foot), height, columns, hazard)
            for s in stations[:-1]:
                if dice.chance(full):
                    turn = side * np.pi / 2 + (np.pi if dice.chance(0.3) else 0.0)
                    position, yaw = course.place(float(s) + 1.28, t - side * 0.25, 0.0, turn + dice.normal(0.02))
                    park(site, position, yaw, PARKED)
        ground.arrows(site, course, dice.uniform(5, depth - 6), [middle])
        if dice.chance(0.3):
            position, yaw = course.place(dice.uniform(10, depth - 4), middle + dice.normal(0.8), 0.0,
                                         dice.choice((0.0, np.pi)))  # fmt: skip
            park(site, position, yaw, driving=True)
    crowd = Crowd(site, limit=4)
    for _ in range(dice.integer(0, 3)):
        crowd.group(course, dice.uniform(3, depth - 3), dice.choice(middles) + dice.normal(1.2))
    _deck_ceiling(site, half, depth, height, middles)
    lanes_t = [(m - aisle / 2 + 0.6, m + aisle / 2 - 0.6) for m in middles]
    stands = []
    for span in lanes_t:
        stands += [outlook.walker((1.0, depth - 1.0), span, share=0.3, any_way=False),
                   outlook.walker((1.0, depth - 1.0), span, share=0.2),
                   outlook.robot((1.0, depth - 1.0), span, share=0.25),
                   replace(outlook.dashcam((1.0, depth * 0.5), span, share=0.25), height=(1.2, 1.6))]  # fmt: skip
    return _finish(site, course, "car_park", stands, 0.6)


def _deck_shell(site: Site, course: Course, half: float, depth: float, height: float) -> None:
    b, dice = site.builder, site.dice
    b.begin("floor")
    slab = ground.asphalt(site) if dice.chance(0.4) else palette.draw_material(b, dice, (palette.stone, palette.paint))
    b.box((0, depth / 2, -0.1), (2 * half + 0.6, depth + 0.6, 0.2), slab)
    concrete = palette.pattern(b, dice, Texture.CONCRETE, palette.grey(dice.uniform(0.3, 0.75)))
    wall = concrete if dice.chance(0.5) else palette.paint(b, dice)
    b.begin("wall")
    boxes(b, [(s * (half + 0.15), depth / 2, height / 2) for s in (-1, 1)], (0.3, depth + 0.6, height), wall)
    boxes(b, [(0, depth / 2 + s * (depth / 2 + 0.15), height / 2) for s in (-1, 1)], (2 * half, 0.3, height), wall)
    if dice.chance(0.6):
        band = palette.flat(b, palette.vivid_colour(dice))
        boxes(b, [(s * (half - 0.01), depth / 2, 0.9) for s in (-1, 1)], (0.02, depth, 0.5), band)
        boxes(b, [(0, depth / 2 + s * (depth / 2 - 0.01), 0.9) for s in (-1, 1)], (2 * half, 0.02, 0.5), band)
    b.begin("ceiling")
    b.box((0, depth / 2, height + 0.1), (2 * half + 0.6, depth + 0.6, 0.2), concrete)
    for s in (-1.0, depth + 1.0):
        site.obstacles.add(course.points(s), course.heading(0.0), 1.0, half)
    for t in (-half - 1.0, half + 1.0):
        site.obstacles.add(course.points(depth / 2, t), course.heading(0.0), depth / 2, 1.0)
    leaf, glow = palette.flat(b, palette.any_colour(dice)), palette.glow(b, (0.1, 0.9, 0.35), 1.5)
    for s, turn in ((0.0, 0.0), (depth, np.pi)):
        position, yaw = course.place(s, dice.uniform(-0.25, 0.25) * half, 0.0, turn)
        b.begin("door", position, yaw)
        b.box((0, 0.02, 1.05), (1.0, 0.06, 2.1), leaf)
        b.box((0, 0.05, 2.25), (0.5, 0.06, 0.18), glow, semantic="sign")


def _column(site: Site, course: Course, place: tuple[float, float], height: float, material: int, hazard: int) -> None:
    position, yaw = course.place(*place)
    if not site.take(position, yaw, 0.2, 0.2):
        return
    b = site.builder
    b.begin("pillar", position, yaw)
    b.box((0, 0, height / 2), (0.4, 0.4, height), material)
    b.box((0, 0, 0.75), (0.42, 0.42, 0.6), hazard)


def _deck_ceiling(site: Site, half: float, depth: float, height: float, middles: Sequence[float]) -> None:
    """Beams, pipes, ducts and tubes of light."""
    b, dice = site.builder, site.dice
    concrete = palette.pattern(b, dice, Texture.CONCRETE, palette.grey(dice.uniform(0.3, 0.7)))
    b.begin("ceiling")
    if height > 2.6:
        stations = np.arange(2.9, depth, 2.55 * 3)
        boxes(b, [(0, s, height - 0.14) for s in stations], (2 * half, 0.35, 0.28), concrete)
    for _ in range(dice.integer(0, 4)):
        t, r = dice.uniform(-0.95, 0.95) * half, dice.uniform(0.03, 0.12)
        pipe = palette.flat(b, dice.choice((palette.grey(0.6), (0.6, 0.05, 0.03), palette.grey(0.3))), reflectance=0.04)
        b.begin("clutter")
        b.capsule((t, 0.1, height - 0.34 - r), (t, depth - 0.1, height - 0.34 - r), r, pipe, segments=8)
    bright = palette.glow(b, (1.0, 0.98, 0.92), dice.uniform(2.5, 5.0))
    gap, lit = dice.uniform(4.0, 7.0), []
    for t in middles:
        for s in np.arange(2.0, depth - 1.0, gap):
            b.begin("lamp", (t, s, height - 0.1))
            b.box((0, 0, 0), (0.14, 1.3, 0.1), bright)
            lit.append((t, float(s)))
    step = -(-len(lit) // _MAX_LAMPS_LIT)
    lit = lit[step // 2 :: step]
    tint = palette.warm_light(dice)
    power = dice.uniform(0.25, 0.9) * 2 * half * depth / (np.pi * len(lit))
    for t, s in lit:
        b.lights.append(PointLight(position=(t, s, height - 0.4), colour=palette.brightened(tint, power), radius_m=0.3))
