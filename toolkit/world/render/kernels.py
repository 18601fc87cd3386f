"""Kernels of the renderer, one thread per pixel.

`trace_centres` finds what each pixel's centre sees (exact depth and labels); `find_edges` marks the pixels
that need more samples and `refine_edges` takes them. Mode 'lit' then gathers irradiance with one path per
pixel, smooths it along surfaces (`smooth`, an a-trous filter after Dammertz et al. 2010) and multiplies
(`compose`). Mode 'flat' shades each sample on the spot.
"""
# Warp compiles this code itself: to a type checker and a linter of Python its casts, which declare variables
# that change, and its plain branches look wrong.
# mypy: ignore-errors
# ruff: noqa: UP018, RUF046, SIM102, SIM108

import warp as wp

from edgedepth.world.render.shading import (
    Eye,
    Hit,
    World,
    direct_light,
    haze_colour,
    meet,
    mirrored,
    on_sphere,
    quick_light,
    ray_through,
    sky_colour,
    strength,
    unshadowed,
    visible,
)
from edgedepth.world.render.textures import mix

# The kernels are never differentiated; without their adjoints they compile in half the time.
wp.set_module_options({"enable_backward": False})

vec3 = wp.vec3


@wp.struct
class Look:
    """How mode 'flat' shades: hemisphere light from `below` to `above` along `axis`, a headlight, a key.

    `key_lamp` is the light that throws shadows: a lamp's index, -1 for the scene's sun, -2 for none.
    """

    enabled: int
    axis: vec3
    above: vec3
    below: vec3
    headlight: float
    key_lamp: int
    key_gain: float


@wp.struct
class Buffers:
    """Per-pixel results, row after row. `albedo` multiplies irradiance, `glow` is added."""

    depth: wp.array(dtype=float)
    semantic: wp.array(dtype=int)
    instance: wp.array(dtype=int)
    normal: wp.array(dtype=vec3)
    albedo: wp.array(dtype=vec3)
    glow: wp.array(dtype=vec3)
    edge: wp.array(dtype=int)


@wp.struct
class Sample:
    """What one ray adds to a pixel."""

    albedo: vec3
    glow: vec3


@wp.func
def flat_light(world: World, look: Look, hit: Hit, direction: vec3) -> vec3:
    """Irradiance of mode 'flat'."""
    light = mix(look.below, look.above, 0.5 + 0.5 * wp.dot(hit.normal, look.axis))
    light = light + vec3(1.0, 1.0, 1.0) * (look.headlight * wp.abs(wp.dot(hit.normal, direction)))
    if look.key_lamp > -2:
        zero = vec3(0.0, 0.0, 0.0)
        gain = unshadowed(world, look.key_lamp, hit.point, hit.normal, zero)
        if strength(gain) > 0.02:
            light = light + gain * (look.key_gain * visible(world, look.key_lamp, hit.point, zero))
    return light


@wp.func
def sample_of(world: World, look: Look, hit: Hit, direction: vec3, spread: float) -> Sample:
    """Albedo and added radiance along one ray, with mirrors and haze."""
    sample = Sample()
    if hit.distance > 0.0:
        sample.albedo = hit.albedo
        sample.glow = hit.glow
        if look.enabled != 0:
            sample.glow = hit.glow + wp.cw_mul(hit.albedo, flat_light(world, look, hit, direction))
            sample.albedo = vec3(0.0, 0.0, 0.0)
            if hit.reflectance > 0.25:
                sample.glow = sample.glow + mirrored(world, hit, direction, spread)
        else:
            sample.glow = hit.glow + mirrored(world, hit, direction, spread)
            sample.albedo = hit.albedo * (1.0 - 0.8 * wp.min(hit.reflectance, 1.0))
        if world.haze > 0.0:
            clear = wp.exp(-world.haze * hit.distance)
            sample.albedo = sample.albedo * clear
            sample.glow = sample.glow * clear + haze_colour(world) * (1.0 - clear)
    else:
        sample.glow = sky_colour(world, direction)
    return sample


@wp.kernel
def probe_sky(world: World, origin: vec3, rays: int, seen: wp.array(dtype=float)):
    """Which of `rays` directions, spread over the upper hemisphere by a golden spiral, see the sky."""
    t = wp.tid()
    z = (float(t) + 0.5) / float(rays)
    r = wp.sqrt(1.0 - z * z)
    a = 2.3999632 * float(t)
    seen[t] = 1.0
    if wp.mesh_query_ray_anyhit(world.mesh, origin, vec3(r * wp.cos(a), r * wp.sin(a), z), 1.0e4):
        seen[t] = 0.0


@wp.kernel
def trace_centres(world: World, eye: Eye, look: Look, sky_class: int, out: Buffers):
    """Depth, labels, normal and one colour sample through every pixel centre."""
    t = wp.tid()
    ray = ray_through(eye, float(t % eye.width), float(t / eye.width))
    length = wp.length(ray)
    direction = ray / length
    spread = wp.length(eye.right)
    hit = meet(world, eye.origin, direction, spread)
    out.depth[t] = 0.0
    out.semantic[t] = sky_class
    out.instance[t] = 0
    out.normal[t] = vec3(0.0, 0.0, 0.0)
    if hit.distance > 0.0:
        out.depth[t] = hit.distance / length
        out.semantic[t] = world.semantic[hit.face]
        out.instance[t] = world.instance[hit.face]
        out.normal[t] = hit.normal
    sample = sample_of(world, look, hit, direction, spread)
    out.albedo[t] = sample.albedo
    out.glow[t] = sample.glow


@wp.kernel
def find_edges(width: int, height: int, threshold: float, out: Buffers):
    """Mark pixels that differ from a neighbour in object, direction or colour."""
    t = wp.tid()
    x = t % width
    y = t / width
    colour = out.albedo[t] + out.glow[t]
    limit = threshold * wp.length(colour) + 0.2 * threshold
    mark = int(0)
    for k in range(4):
        dx = (k - 1) * ((k + 1) % 2)
        dy = (k - 2) * (k % 2)
        i = wp.clamp(y + dy, 0, height - 1) * width + wp.clamp(x + dx, 0, width - 1)
        if out.instance[i] != out.instance[t] or wp.dot(out.normal[i], out.normal[t]) < 0.9:
            if i != t:
                mark = 1
        if wp.length(out.albedo[i] + out.glow[i] - colour) > limit:
            mark = 1
    out.edge[t] = mark


@wp.kernel
def refine_edges(world: World, eye: Eye, look: Look, samples: int, out: Buffers):
    """Average `samples` more rays per edge pixel, in a stratified 2x2 pattern from a random quarter on."""
    t = wp.tid()
    if out.edge[t] != 0:
        state = wp.rand_init(world.seed, t)
        spread = wp.length(eye.right)
        albedo = out.albedo[t]
        glow = out.glow[t]
        first = wp.randi(state, 0, 4)
        for s in range(samples):
            quarter = (first + s * 3) % 4
            dx = 0.5 * (float(quarter % 2) + wp.randf(state)) - 0.5
            dy = 0.5 * (float(quarter / 2) + wp.randf(state)) - 0.5
            ray = ray_through(eye, float(t % eye.width) + dx, float(t / eye.width) + dy)
            direction = wp.normalize(ray)
            hit = meet(world, eye.origin, direction, spread)
            sample = sample_of(world, look, hit, direction, spread)
            albedo = albedo + sample.albedo
            glow = glow + sample.glow
        out.albedo[t] = albedo / float(samples + 1)
        out.glow[t] = glow / float(samples + 1)


@wp.func
def stratum(x: int, y: int, turn: int) -> int:
    """A number 0..15 that takes every value once in each 4x4 block of pixels, as an ordered dither does."""
    a = (x ^ y) & 1
    b = (y >> 0) & 1
    c = ((x ^ y) >> 1) & 1
    d = (y >> 1) & 1
    return ((a * 8 + b * 4 + c * 2 + d) + turn) & 15


@wp.kernel
def gather_light(
    world: World,
    eye: Eye,
    samples: int,
    out: Buffers,
    direct: wp.array(dtype=vec3),
    indirect: wp.array(dtype=vec3),
):
    """Irradiance at pixel centres: sun and lamps into `direct`, sky and one bounce into `indirect`.

    Random numbers are stratified over 4x4 blocks of pixels: any such block covers all sixteen cells of the
    lamp and of the hemisphere, so the filter that follows averages a well spread sample without blotches.
    """
    t = wp.tid()
    x = t % eye.width
    y = t / eye.width
    sum_direct = vec3(0.0, 0.0, 0.0)
    sum_indirect = vec3(0.0, 0.0, 0.0)
    z = out.depth[t]
    if z > 0.0:
        state = wp.rand_init(world.seed + 77, t)
        normal = out.normal[t]
        point = eye.origin + ray_through(eye, float(x), float(y)) * z + normal * (1.0e-3 + 2.0e-4 * z)
        for s in range(samples):
            cell = stratum(x, y, s * 5)
            u1 = (float(cell % 4) + wp.randf(state)) * 0.25
            u2 = (float(cell / 4) + wp.randf(state)) * 0.25
            u3 = (float((cell * 7 + 3) % 16) + wp.randf(state)) / 16.0
            sum_direct = sum_direct + direct_light(world, point, normal, u1, u2, u3)
            turned = stratum(x + 1, y + 2, s * 5 + 6)
            v1 = (float(turned % 4) + wp.randf(state)) * 0.25
            v2 = (float(turned / 4) + wp.randf(state)) * 0.25
            direction = wp.normalize(normal + on_sphere(v1, v2) * 0.999)
            hit = meet(world, point, direction, -1.0)
            got = vec3(0.0, 0.0, 0.0)
            if hit.distance > 0.0:
                light = quick_light(world, hit.point, hit.normal)
                got = wp.cw_mul(hit.albedo, light) + wp.min(hit.glow, vec3(0.5, 0.5, 0.5))
            else:
                got = sky_colour(world, direction)
            sum_indirect = sum_indirect + got + vec3(1.0, 1.0, 1.0) * world.ambient
    direct[t] = sum_direct / float(samples)
    indirect[t] = sum_indirect / float(samples)


@wp.kernel
def smooth(
    eye: Eye,
    step: int,
    contrast: float,
    out: Buffers,
    source: wp.array(dtype=vec3),
    target: wp.array(dtype=vec3),
):
    """One a-trous pass: 3x3 taps `step` pixels apart, weighted by plane distance, normal and (softly) light.

    `contrast` is the relative difference of light at which a tap counts half; it keeps shadow edges.
    """
    t = wp.tid()
    z = out.depth[t]
    centre = source[t]
    if z > 0.0:
        width = eye.width
        x = t % width
        y = t / width
        point = ray_through(eye, float(x), float(y)) * z
        normal = out.normal[t]
        level = strength(centre)
        total = centre
        weights = float(1.0)
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                i_x = x + dx * step
                i_y = y + dy * step
                if (dx != 0 or dy != 0) and i_x >= 0 and i_y >= 0 and i_x < width and i_y < eye.height:
                    i = i_y * width + i_x
                    zi = out.depth[i]
                    if zi > 0.0:
                        facing = wp.max(wp.dot(normal, out.normal[i]), 0.0)
                        facing = facing * facing
                        facing = facing * facing
                        facing = facing * facing
                        apart = ray_through(eye, float(i_x), float(i_y)) * zi - point
                        away = wp.dot(apart, normal) / (0.004 * z * float(step) + 1.0e-3)
                        value = source[i]
                        other = strength(value)
                        differ = (other - level) / (contrast * (0.5 * (other + level) + 0.02))
                        w = facing * facing / ((1.0 + away * away) * (1.0 + differ * differ))
                        if dx != 0 and dy != 0:
                            w = w * 0.25
                        else:
                            w = w * 0.5
                        total = total + value * w
                        weights = weights + w
        target[t] = total / weights
    else:
        target[t] = centre


@wp.kernel
def compose(
    width: int,
    height: int,
    out: Buffers,
    direct: wp.array(dtype=vec3),
    indirect: wp.array(dtype=vec3),
    radiance: wp.array(dtype=vec3),
):
    """Radiance = albedo x irradiance + glow.

    A pixel whose centre sees the sky but whose other samples meet an object takes its neighbours' light.
    """
    t = wp.tid()
    light = direct[t] + indirect[t]
    if out.depth[t] == 0.0 and strength(out.albedo[t]) > 0.0:
        x = t % width
        y = t / width
        count = float(0.0)
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                i = wp.clamp(y + dy, 0, height - 1) * width + wp.clamp(x + dx, 0, width - 1)
                if out.depth[i] > 0.0:
                    light = light + direct[i] + indirect[i]
                    count = count + 1.0
        light = light / wp.max(count, 1.0)
    radiance[t] = wp.cw_mul(out.albedo[t], light) + out.glow[t]
