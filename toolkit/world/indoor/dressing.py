"""What any room gets after its furniture: light, things on the walls, clutter, people."""

from __future__ import annotations

import math
from dataclasses import replace

from edgedepth.world import palette
from edgedepth.world.indoor import fixtures, furniture
from edgedepth.world.indoor.placing import Footprint, Kit, Piece, Pose
from edgedepth.world.indoor.rooms import Room
from edgedepth.world.people import person
from edgedepth.world.scene import PointLight, Sky


def light_room(room: Room, *, sunny: bool = False) -> None:
    """Lamps at the ceiling, daylight or night outside; dim and coloured light sometimes.

    sunny: it is day, and the sun stands before one of the windows.
    """
    kit, dice = room.kit, room.kit.dice
    day = bool(room.windows) and (sunny or dice.chance(0.7))
    _set_sky(kit, day)
    if day and sunny:
        _shine_in(kit, dice.choice(room.windows))
    if day:
        for pose in room.windows:  # the sky's light, led through each window by a wide lamp in its opening
            inside = pose.at(0, 0.25)
            cool = palette.mix((1.0, 1.0, 1.0), (0.75, 0.88, 1.0), dice.uniform())
            strength = dice.uniform(1.0, 6.0)
            kit.b.lights.append(
                PointLight(position=inside.position, colour=palette.brightened(cool, strength), radius_m=0.35)
            )
    count = dice.integer(0, 2) if day else dice.choice((1, 1, 2, 2, 3, 4))
    if not kit.b.lights and count == 0:
        count = 1
    tint = palette.warm_light(dice)
    if dice.chance(0.06):
        tint = palette.hsv(dice.uniform(), dice.uniform(0.3, 0.7), 1.0)
    strength = dice.uniform(2.0, 7.0) * (0.2 if dice.chance(0.12) else 1.0) / math.sqrt(max(count, 1))
    style = dice.integer(0, 3)
    for i in range(count):
        along = (i + 0.5) / count + dice.uniform(-0.1, 0.1) / count
        x, y = room.width * dice.uniform(0.35, 0.65), room.length * along
        if room.width > room.length:
            x, y = room.width * along, room.length * dice.uniform(0.35, 0.65)
        if room.plan.inside(x, y, 0.2):
            _ceiling_lamp(room, x, y, style, palette.brightened(tint, strength))
    if not kit.b.lights:
        _ceiling_lamp(room, room.width * 0.25, room.length * 0.25, 0, palette.brightened(tint, strength))


def _set_sky(kit: Kit, day: bool) -> None:
    dice = kit.dice
    turn, rise = dice.uniform(0, 2 * math.pi), dice.uniform(0.25, 1.1)
    direction = (math.cos(turn) * math.cos(rise), math.sin(turn) * math.cos(rise), math.sin(rise))
    shining = day and dice.chance(0.55)
    sun = palette.brightened((1.0, 0.92, 0.8), dice.uniform(1.5, 6.0) if shining else 0.0)
    kit.b.sky = Sky(
        sun_direction=direction, sun_colour=sun, sun_radius=0.02,
        intensity=dice.uniform(0.8, 3.0) if day else dice.uniform(0.005, 0.06),
        cloud=dice.uniform(0.0, 1.2), ambient=dice.uniform(0.02, 0.06),
    )  # fmt: skip


def _shine_in(kit: Kit, window: Pose) -> None:
    """A clear sky, and the sun where it shines through a window."""
    dice = kit.dice
    turn, rise = window.yaw - math.pi / 2 + dice.normal(0.6), dice.uniform(0.3, 0.95)
    kit.b.sky = replace(
        kit.b.sky,
        sun_direction=(math.cos(turn) * math.cos(rise), math.sin(turn) * math.cos(rise), math.sin(rise)),
        sun_colour=palette.brightened((1.0, 0.92, 0.8), dice.uniform(6.0, 20.0)),
        intensity=dice.uniform(1.0, 3.0),
        cloud=dice.uniform(0.0, 0.5),
    )


def _ceiling_lamp(room: Room, x: float, y: float, style: int, light: tuple[float, float, float]) -> None:
    """A panel, a pendant, a globe or a spot; the light itself hangs just below it."""
    kit, b, dice = room.kit, room.kit.b, room.kit.dice
    top = room.height_at(x)
    bright = palette.glow(b, (1.0, 0.97, 0.9), 3.0)
    b.begin("lamp", (x, y, top))
    drop = 0.12
    if style == 0:
        size = dice.choice(((0.6, 0.6), (0.3, 1.2), (0.25, 0.25), (0.15, 1.5)))
        b.box((0, 0, -0.02), (*size, 0.05), bright)
    elif style == 1 and top > 2.2:
        drop = min(dice.uniform(0.3, 0.9), top - 1.95)
        b.cylinder((0, 0, -drop), 0.006, drop, kit.look.metal, segments=5)
        r = dice.uniform(0.12, 0.28)
        shade = kit.make(palette.plastic) if dice.chance(0.6) else bright
        b.lathe([(r, -drop), (r * dice.uniform(0.15, 0.7), -drop + 0.2)], shade, segments=14)
        drop += 0.08
    elif style == 2:
        r = dice.uniform(0.1, 0.2)
        b.ellipsoid((0, 0, -0.06), (r, r, 0.08), bright, segments=12, rings=8)
        drop = 0.26
    else:
        for dx in (-0.2, 0.2):
            b.cylinder((dx, 0, -0.1), 0.05, 0.1, bright, segments=10)
        drop = 0.22
    b.lights.append(PointLight(position=(x, y, top - drop - 0.05), colour=light, radius_m=dice.uniform(0.05, 0.25)))


def dress_walls(room: Room, amount: int, *, boards: float = 0.0) -> None:
    """Hang radiators beneath windows, then pictures, boards, shelves, screens and coats where there is room."""
    kit, dice, plan = room.kit, room.kit.dice, room.plan
    for index, wall in enumerate(plan.walls):
        for stretch in list(plan.taken.get(index, [])):
            if stretch.bottom > 0.7 and dice.chance(0.6):
                width, middle = (stretch.high - stretch.low) * 0.8, (stretch.low + stretch.high) / 2
                if plan.wall_free(index, middle - width / 2, middle + width / 2, 0.0, 0.7):
                    fixtures.radiator(kit, wall.pose(middle), width)
                    plan.take_wall(index, middle - width / 2, middle + width / 2, 0.0, 0.75)
    for _ in range(amount):
        index = dice.integer(0, len(plan.walls) - 1)
        wall = plan.walls[index]
        draw = dice.uniform()
        wide, tall = dice.uniform(0.18, 0.95), dice.uniform(0.2, 0.9)
        low = dice.uniform(1.05, 1.5)
        if draw < boards:
            wide, tall, low = dice.uniform(1.0, 2.4), dice.uniform(0.7, 1.2), dice.uniform(0.8, 1.0)
        tall = min(tall, room.low_height - low - 0.08)
        if wall.length < wide + 0.2 or tall < 0.1:
            continue
        along = dice.uniform(wide / 2 + 0.05, wall.length - wide / 2 - 0.05)
        if not plan.wall_free(index, along - wide / 2 - 0.02, along + wide / 2 + 0.02, low - 0.02, low + tall + 0.02):
            continue
        plan.take_wall(index, along - wide / 2, along + wide / 2, low, low + tall)
        pose = wall.pose(along, 0.002, low + tall / 2)
        if draw < boards:
            fixtures.board(kit, pose, wide, tall)
        elif draw < boards + 0.08:
            fixtures.wall_screen(kit, pose, min(wide, tall / 0.57))
        elif draw < boards + 0.2:
            fixtures.wall_shelf(kit, wall.pose(along, 0.002, low + 0.2), wide)
        elif draw < boards + 0.27:
            fixtures.hooks(kit, wall.pose(along, 0.002, min(1.7, low + tall)), wide)
        else:
            fixtures.picture(kit, pose, wide, tall)


def add_rug(room: Room) -> None:
    """A flat rug somewhere on the floor, beneath whatever stands there."""
    kit, dice = room.kit, room.kit.dice
    wide, long = dice.uniform(0.6, 2.4), dice.uniform(0.5, 1.7)
    for _ in range(6):
        x, y = dice.uniform(0.2, 0.8) * room.width, dice.uniform(0.2, 0.8) * room.length
        yaw = dice.choice((0.0, math.pi / 2)) + dice.normal(0.06)
        print_ = Footprint(x, y, wide / 2, long / 2, yaw, 0.0)
        if all(room.plan.inside(float(px), float(py), 0.02) for px, py in print_.corners()):
            kit.b.begin("rug", (x, y, 0.0), yaw)
            kit.b.box((0, 0, 0.005), (wide, long, 0.01), kit.make(palette.carpet))
            return


def add_clutter(room: Room, amount: int) -> None:
    """Things left on the floor."""
    for _ in range(amount):
        piece = furniture.floor_prop(room.kit.dice)
        if room.kit.dice.chance(0.4):
            room.plan.against_wall(room.kit, piece, tries=4)
        else:
            room.plan.anywhere(room.kit, piece, tries=4, wobble=1.5)


def add_people(room: Room, count: int) -> None:
    """People standing or walking on the free floor."""

    def build(kit: Kit, pose: Pose) -> None:
        person(kit.b, kit.dice, pose.position, pose.yaw, "walking" if kit.dice.chance(0.3) else "standing")

    for _ in range(count):
        height = min(1.75, room.low_height - 0.1)
        someone = Piece(width=0.5, depth=0.45, height=height, build=build)
        room.plan.anywhere(room.kit, someone, tries=8, wobble=3.1)


def seat_person(kit: Kit, seat: Pose, seat_m: float) -> None:
    """Somebody sitting on a chair, sofa or bed whose seat is at `seat`."""
    person(kit.b, kit.dice, seat.position, seat.yaw, "sitting", seat_m=seat_m)
