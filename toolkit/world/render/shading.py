"""Device functions of light: what a ray meets, the sky, lamps and sun, mirrors and haze.

Everything is linear RGB radiance. A scene is lit by point lamps, by the sun and by the sky; what bounces more
than once is the constant `ambient`.
"""
# Warp compiles this code itself: to a type checker and a linter of Python its casts, which declare variables
# that change, and its plain branches look wrong.
# mypy: ignore-errors
# ruff: noqa: UP018, RUF046, SIM102

import warp as wp

from edgedepth.world.render.textures import Surface, fbm, mix, saturate, surface_colour

vec3 = wp.vec3

FAR_M = wp.constant(1.0e4)
# A lamp's light falls off as 1 / (d^2 + this), so that a wall close to a lamp does not burn out.
LAMP_SOFTENING_M2 = wp.constant(0.3)


@wp.struct
class World:
    """A scene on the device. Corners of triangle f are at 3 f, 3 f + 1, 3 f + 2.

    `openness` is the share of the sky that the camera's place sees; it scales the sky's light on surfaces for
    which no ray is cast (after a bounce, in mirrors).
    """

    mesh: wp.uint64
    normals: wp.array(dtype=vec3)
    local: wp.array(dtype=vec3)
    material: wp.array(dtype=int)
    semantic: wp.array(dtype=int)
    instance: wp.array(dtype=int)
    surfaces: wp.array(dtype=Surface)
    lamp_position: wp.array(dtype=vec3)
    lamp_colour: wp.array(dtype=vec3)
    lamp_radius: wp.array(dtype=float)
    lamps: int
    sun_direction: vec3
    sun_colour: vec3
    sun_radius: float
    intensity: float
    cloud: float
    haze: float
    haze_top: float
    ambient: float
    openness: float
    seed: int


@wp.struct
class Eye:
    """A camera: the ray through pixel (u, v) is forward + right (u - cx) + down (v - cy), one metre deep.

    With a `bend` both distances grow by 1 / (1 + bend r^2), see `scene.View`.
    """

    origin: vec3
    right: vec3
    down: vec3
    forward: vec3
    cx: float
    cy: float
    bend: float
    width: int
    height: int


@wp.struct
class Hit:
    """What a ray meets: `distance` < 0 means sky. `albedo` is the pattern's colour, `glow` what it emits."""

    distance: float
    face: int
    point: vec3
    normal: vec3
    albedo: vec3
    glow: vec3
    reflectance: float


# -- rays -------------------------------------------------------------------------------------------------


@wp.func
def ray_through(eye: Eye, u: float, v: float) -> vec3:
    """Direction with unit depth along the optical axis (not normalised)."""
    x = u - eye.cx
    y = v - eye.cy
    if eye.bend != 0.0:
        r2 = x * x * wp.length_sq(eye.right) + y * y * wp.length_sq(eye.down)
        grown = 1.0 / (1.0 + eye.bend * r2)
        return eye.forward + eye.right * (x * grown) + eye.down * (y * grown)
    return eye.forward + eye.right * x + eye.down * y


@wp.func
def meet(world: World, origin: vec3, direction: vec3, spread: float) -> Hit:
    """The nearest surface along a unit direction.

    `spread` is a pixel's width per metre of distance. Negative means that the pattern does not matter (after a
    bounce): the albedo is then its mean colour, which costs nothing.
    """
    hit = Hit()
    hit.distance = -1.0
    query = wp.mesh_query_ray(world.mesh, origin, direction, FAR_M)
    if query.result:
        third = 1.0 - query.u - query.v
        c = query.face * 3
        normal = wp.normalize(
            world.normals[c] * query.u + world.normals[c + 1] * query.v + world.normals[c + 2] * third
        )
        facing = wp.dot(normal, direction)
        if facing > 0.0:
            normal = -normal
        surface = world.surfaces[world.material[query.face]]
        hit.distance = query.t
        hit.face = query.face
        hit.normal = normal
        hit.point = origin + direction * query.t + normal * (1.0e-3 + 1.0e-4 * query.t)
        if spread < 0.0:
            hit.albedo = (surface.a + surface.b) * 0.45
        else:
            local = world.local[c] * query.u + world.local[c + 1] * query.v + world.local[c + 2] * third
            face = wp.cross(world.local[c + 1] - world.local[c], world.local[c + 2] - world.local[c])
            footprint = spread * query.t / wp.max(wp.sqrt(wp.abs(facing)), 0.15)
            hit.albedo = surface_colour(surface, local, face, footprint)
        hit.glow = hit.albedo * surface.emission
        hit.reflectance = surface.reflectance
    return hit


# -- sources ----------------------------------------------------------------------------------------------


@wp.func
def haze_colour(world: World) -> vec3:
    """Radiance of thick air."""
    return vec3(0.8, 0.84, 0.88) * (0.8 * world.intensity)


@wp.func
def sky_colour(world: World, direction: vec3) -> vec3:
    """Radiance of the sky: a blue gradient, warm when the sun is low, clouds; below the horizon, ground.

    Haze with a top hides it, towards the horizon more than overhead.
    """
    z = wp.max(direction[2], 0.0)
    low_sun = saturate(1.0 - 3.0 * world.sun_direction[2]) * saturate(world.sun_colour[0])
    horizon = mix(vec3(0.75, 0.82, 0.9), vec3(0.95, 0.75, 0.55), low_sun)
    c = mix(horizon, vec3(0.18, 0.38, 0.8), wp.sqrt(z))
    q = 0.35 / (z + 0.08)
    density = fbm(vec3(direction[0] * q * 1.5, direction[1] * q * 1.5, 0.3), world.seed)
    cover = saturate((density - 0.85 + 0.6 * world.cloud) * 2.2) * saturate(z * 12.0 + 0.3)
    lit = 0.6 + 0.4 * fbm(vec3(direction[0] * q * 4.0, direction[1] * q * 4.0, 7.0), world.seed)
    c = mix(c, vec3(0.9, 0.9, 0.92) * lit, cover)
    s = wp.max(wp.dot(direction, world.sun_direction), 0.0)
    c = c + world.sun_colour * (0.06 * wp.pow(s, 8.0) + 0.4 * wp.pow(s, 300.0)) * (1.0 - 0.7 * cover)
    if direction[2] < 0.0:
        c = c * 0.5
    c = c * world.intensity
    if world.haze_top > 0.0:
        metres = world.haze_top / wp.max(wp.abs(direction[2]), 0.02)
        c = mix(haze_colour(world), c, wp.exp(-world.haze * metres))
    return c


@wp.func
def sky_fill(world: World, normal: vec3) -> vec3:
    """The sky's irradiance on a surface, without casting a ray: blue from above, ground light from below."""
    up = 0.5 + 0.5 * normal[2]
    return mix(vec3(0.22, 0.2, 0.17), vec3(0.55, 0.62, 0.75), up) * (world.intensity * world.openness)


@wp.func
def on_sphere(u1: float, u2: float) -> vec3:
    """A point of the unit sphere from two numbers in [0, 1)."""
    z = 1.0 - 2.0 * u1
    r = wp.sqrt(wp.max(0.0, 1.0 - z * z))
    a = 6.2831853 * u2
    return vec3(r * wp.cos(a), r * wp.sin(a), z)


@wp.func
def unshadowed(world: World, lamp: int, point: vec3, normal: vec3, offset: vec3) -> vec3:
    """Irradiance from a lamp (or from the sun, lamp = -1) if nothing stands between."""
    result = vec3(0.0, 0.0, 0.0)
    if lamp < 0:
        d = wp.normalize(world.sun_direction + offset * world.sun_radius)
        result = world.sun_colour * wp.max(wp.dot(normal, d), 0.0)
    else:
        d = world.lamp_position[lamp] + offset * world.lamp_radius[lamp] - point
        square = wp.dot(d, d)
        cosine = wp.max(wp.dot(normal, d), 0.0) / wp.sqrt(square + 1.0e-6)
        result = world.lamp_colour[lamp] * (cosine / (square + LAMP_SOFTENING_M2))
    return result


@wp.func
def visible(world: World, lamp: int, point: vec3, offset: vec3) -> float:
    """1 if the lamp (or the sun, lamp = -1) is seen from a point, else 0.

    The ray stops short of a lamp by its radius and a little more: the lamp's own shade must not hide it.
    """
    direction = world.sun_direction + offset * world.sun_radius
    reach = FAR_M
    if lamp >= 0:
        direction = world.lamp_position[lamp] + offset * world.lamp_radius[lamp] - point
        reach = wp.length(direction) - world.lamp_radius[lamp] - 0.05
    seen = float(1.0)
    if reach > 0.0:
        if wp.mesh_query_ray_anyhit(world.mesh, point, wp.normalize(direction), reach):
            seen = 0.0
    return seen


@wp.func
def strength(c: vec3) -> float:
    """One number for a colour: the sum of its channels."""
    return c[0] + c[1] + c[2]


@wp.func
def direct_light(world: World, point: vec3, normal: vec3, u1: float, u2: float, u3: float) -> vec3:
    """Irradiance from sun and lamps with soft shadows: at most two shadow rays however many lamps there are.

    The source that would give most is tested, and one of the others, drawn in proportion to what it would
    give and weighted by the inverse of its chance. u1, u2 place the sample on the lamp, u3 draws the other.
    """
    offset = on_sphere(u1, u2)
    best = int(-1)
    most = float(-1.0)
    total = float(0.0)
    for lamp in range(-1, world.lamps):
        gain = strength(unshadowed(world, lamp, point, normal, offset))
        total = total + gain
        if gain > most:
            most = gain
            best = lamp
    result = vec3(0.0, 0.0, 0.0)
    if total > 1.0e-5:
        result = unshadowed(world, best, point, normal, offset) * visible(world, best, point, offset)
        rest = total - most
        if rest > 0.01 * most:
            mark = u3 * rest
            other = int(-2)
            for lamp in range(-1, world.lamps):
                if lamp != best and mark >= 0.0:
                    mark = mark - strength(unshadowed(world, lamp, point, normal, offset))
                    other = lamp
            if other > -2:
                light = unshadowed(world, other, point, normal, offset)
                weight = rest / wp.max(strength(light), 1.0e-6)
                result = result + light * (weight * visible(world, other, point, offset))
    return result


@wp.func
def quick_light(world: World, point: vec3, normal: vec3) -> vec3:
    """Irradiance for what is seen in mirrors and after a bounce: one shadow ray, the sky by `openness`."""
    light = vec3(1.0, 1.0, 1.0) * world.ambient + sky_fill(world, normal)
    best = int(-1)
    most = float(0.0)
    zero = vec3(0.0, 0.0, 0.0)
    for lamp in range(-1, world.lamps):
        gain = unshadowed(world, lamp, point, normal, zero)
        light = light + gain
        if strength(gain) > most:
            most = strength(gain)
            best = lamp
    if most > 1.0e-4:
        if visible(world, best, point, zero) < 0.5:
            light = light - unshadowed(world, best, point, normal, zero)
    return light


# -- what the eye gets on top of albedo x irradiance --------------------------------------------------------


@wp.func
def mirrored(world: World, hit: Hit, direction: vec3, spread: float) -> vec3:
    """Radiance that a shiny surface mirrors, times its share.

    The share grows towards grazing angles (Schlick 1994) but only to 0.6, and the sky is dimmed: what glass
    mirrors in a street is mostly the other side of it, and full Fresnel makes every car window white.
    """
    result = vec3(0.0, 0.0, 0.0)
    if hit.reflectance > 0.0:
        cosine = wp.abs(wp.dot(hit.normal, direction))
        grazing = wp.pow(1.0 - cosine, 5.0)
        share = hit.reflectance + wp.max(0.6 - hit.reflectance, 0.0) * grazing * saturate(hit.reflectance * 6.0)
        out = direction - hit.normal * (2.0 * wp.dot(hit.normal, direction))
        other = meet(world, hit.point, out, spread * 2.0)
        if other.distance > 0.0:
            light = quick_light(world, other.point, other.normal)
            result = (wp.cw_mul(other.albedo, light) + other.glow) * share
        else:
            result = sky_colour(world, out) * (share * 0.7)
    return result
