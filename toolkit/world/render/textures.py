"""Procedural surface patterns as Warp device functions, one per member of `scene.Texture`.

A pattern is evaluated at a point of the object's own frame (metres), so there are no texture images and no
texture coordinates to bake. Flat patterns use the two coordinates across the face: (x, y) on faces that look
up or down, (x, z) or (y, z) on upright ones. Every pattern is given the width of one pixel on the surface
(`footprint`, metres) and fades to its mean colour where its features are smaller than that, which is what
keeps distant bricks from flickering.

What `scale_m` (s), `aux` and `seed` mean beyond the obvious:

- WOOD, PLANKS: s = board width; boards lie along the first coordinate, planks stand along the second
- BRICK: s = brick length; TEXT: s = line height; STRIPES: aux = share of the second colour
- FACADE: s = width of a window bay, aux = storey height; colour_b tints panes; seed % 4 = 0 bricks, 1 panels
- ROAD: s = half width of the carriageway (x across, y along), aux = dash length; seed % 4 = 0 dashed centre
  line, 1 double solid line, 2 dashed lanes every 3.5 m, 3 none; (seed // 4) % 2 = 0 edge lines
- BOOKS: s = thickness of a book; SCREEN: s = size of a window on the desktop; METAL: aux = share of rust
"""
# Warp compiles this code itself: to a type checker and a linter of Python its casts, which declare variables
# that change, and its plain branches look wrong.
# mypy: ignore-errors
# ruff: noqa: UP018, SIM102, SIM108

import warp as wp

vec3 = wp.vec3


@wp.struct
class Surface:
    """Device form of `scene.Material`."""

    texture: int
    seed: int
    a: vec3
    b: vec3
    scale: float
    aux: float
    reflectance: float
    emission: float


# -- noise ------------------------------------------------------------------------------------------------


@wp.func
def hash01(i: int, j: int, seed: int) -> float:
    """A number in [0, 1) that depends only on three integers."""
    state = wp.rand_init(seed * 7919 + i * 31337 + j * 1013)
    return wp.randf(state)


@wp.func
def saturate(x: float) -> float:
    """Clamp to [0, 1]."""
    return wp.clamp(x, 0.0, 1.0)


@wp.func
def fraction(x: float) -> float:
    """Fractional part."""
    return x - wp.floor(x)


@wp.func
def mix(a: vec3, b: vec3, t: float) -> vec3:
    """Linear blend."""
    return a + (b - a) * t


@wp.func
def fbm(p: vec3, seed: int) -> float:
    """Three octaves of gradient noise, about 0.5 +- 0.35."""
    state = wp.rand_init(seed)
    return 0.5 + 0.5 * wp.noise(state, p) + 0.28 * wp.noise(state, p * 2.1) + 0.14 * wp.noise(state, p * 4.3)


@wp.func
def noise1(p: vec3, seed: int) -> float:
    """One octave of gradient noise, about 0.5 +- 0.35."""
    state = wp.rand_init(seed)
    return 0.5 + 0.6 * wp.noise(state, p)


@wp.func
def detail(feature: float, footprint: float) -> float:
    """How much of a feature of this size (metres) survives a pixel of this width: 1 down to 0."""
    return saturate(2.0 - 2.5 * footprint / feature)


@wp.func
def line(x: float, width: float, blur: float) -> float:
    """1 inside [0, width) of a unit period, softened by `blur` on both sides."""
    return saturate((width - x) / blur + 0.5) * saturate(x / blur + 0.5) + saturate((x - 1.0) / blur + 0.5)


# -- patterns ---------------------------------------------------------------------------------------------


@wp.func
def plain(s: Surface, p: vec3) -> vec3:
    """FLAT: paint, a little uneven."""
    return s.a * (0.96 + 0.08 * noise1(p * 2.0, s.seed))


@wp.func
def wood(s: Surface, u: float, v: float, width: float, length: float, footprint: float) -> vec3:
    """WOOD, PLANKS: boards along u with grain, each of its own shade."""
    row = int(wp.floor(v / width))
    along = u + hash01(row, 0, s.seed) * length
    piece = int(wp.floor(along / length))
    shade = hash01(row, piece, s.seed)
    grain = fbm(vec3(along * 1.5, v * 28.0, shade * 20.0), s.seed)
    rings = 0.5 + 0.5 * wp.sin((v * 14.0 + grain * 2.5 + shade * 30.0 + 0.6 * wp.sin(along * 2.0)) * 3.0)
    t = 0.5 + (0.55 * grain + 0.45 * rings - 0.5) * detail(0.04, footprint)
    colour = mix(s.a, s.b, saturate(t)) * (0.8 + 0.35 * shade)
    gap = wp.max(line(fraction(v / width), 0.025, 0.01), line(fraction(along / length), 0.003, 0.003))
    return colour * (1.0 - 0.6 * gap * detail(width * 0.1, footprint))


@wp.func
def brick(s: Surface, p: vec3, u: float, v: float, footprint: float) -> vec3:
    """BRICK: running bond with mortar."""
    height = s.scale * 0.33
    row = int(wp.floor(v / height))
    along = u + 0.5 * s.scale * float(row % 2)
    piece = int(wp.floor(along / s.scale))
    keep = detail(height, footprint)
    t = 0.5 + (hash01(row, piece, s.seed) - 0.5) * keep
    colour = mix(s.a, s.b, t) * (0.8 + 0.2 * noise1(p * 0.8, s.seed + 1) + 0.2 * noise1(p * 14.0, s.seed))
    joint = wp.max(line(fraction(v / height), 0.13, 0.04), line(fraction(along / s.scale), 0.045, 0.015))
    mortar = (s.a + s.b) * 0.25 + vec3(0.25, 0.24, 0.22)
    return mix(colour, mortar, (joint - 0.16) * keep + 0.16)


@wp.func
def tiles(s: Surface, p: vec3, u: float, v: float, footprint: float) -> vec3:
    """TILES: square tiles with grout."""
    row = int(wp.floor(v / s.scale))
    column = int(wp.floor(u / s.scale))
    shade = 0.35 * hash01(row, column, s.seed) + 0.3 * fbm(p * 3.0, s.seed)
    grout = wp.max(line(fraction(v / s.scale), 0.03, 0.012), line(fraction(u / s.scale), 0.03, 0.012))
    return mix(mix(s.a, s.b, shade), s.b * 0.7, grout * detail(s.scale * 0.12, footprint))


@wp.func
def checker(s: Surface, p: vec3, u: float, v: float, footprint: float) -> vec3:
    """CHECKER: two colours in squares."""
    odd = (int(wp.floor(u / s.scale)) + int(wp.floor(v / s.scale))) & 1
    t = 0.5 + (float(odd) - 0.5) * detail(s.scale, footprint)
    return mix(s.a, s.b, t) * (0.92 + 0.16 * noise1(p * 5.0, s.seed))


@wp.func
def text(s: Surface, p: vec3, u: float, v: float, footprint: float) -> vec3:
    """TEXT: lines of letter-like marks in words; some lines are missing."""
    row = int(wp.floor(v / s.scale))
    cell = s.scale * 0.6
    column = int(wp.floor(u / cell))
    y = fraction(v / s.scale)
    x = fraction(u / cell)
    ink = float(0.0)
    if y > 0.25 and y < 0.85 and x > 0.1 and x < 0.85:
        if hash01(row, column, s.seed) > 0.2 and hash01(row, 999, s.seed) > 0.15:
            i = int(wp.floor((x - 0.1) / 0.25))
            j = int(wp.floor((y - 0.25) / 0.12))
            if hash01(row * 64 + j, column * 64 + i, s.seed + 3) > 0.45:
                ink = 1.0
    keep = detail(s.scale * 0.3, footprint)
    return mix(s.a * (0.95 + 0.1 * noise1(p * 4.0, s.seed)), s.b, ink * keep + 0.2 * (1.0 - keep))


@wp.func
def stripes(s: Surface, p: vec3, u: float, footprint: float) -> vec3:
    """STRIPES: upright bands."""
    band = line(fraction(u / s.scale), s.aux, 0.02)
    keep = detail(s.scale * wp.min(s.aux, 1.0 - s.aux) * 2.0, footprint)
    return mix(s.a, s.b, band * keep + s.aux * (1.0 - keep)) * (0.92 + 0.16 * noise1(p * 4.0, s.seed))


@wp.func
def fabric(s: Surface, p: vec3, u: float, v: float, footprint: float) -> vec3:
    """FABRIC: a weave near by, soft blotches and folds further away."""
    weave = (0.25 * wp.sin(u * 900.0) + 0.25 * wp.sin(v * 900.0)) * detail(0.007, footprint)
    blotch = noise1(p * (0.6 / s.scale), s.seed)
    fine = noise1(p * 60.0, s.seed + 1) * detail(0.02, footprint)
    return mix(s.a, s.b, saturate(0.3 * weave + 0.75 * blotch - 0.1)) * (0.9 + 0.2 * fine)


@wp.func
def foliage(s: Surface, p: vec3, footprint: float) -> vec3:
    """FOLIAGE: leaves as light and dark specks at two sizes."""
    coarse = fbm(p * (3.0 / s.scale), s.seed)
    fine = 0.5 + (fbm(p * (11.0 / s.scale), s.seed + 5) - 0.5) * detail(s.scale * 0.2, footprint)
    c = mix(s.a, s.b, 0.4 * saturate(noise1(p * 0.7, s.seed + 7))) * (
        0.25 + 1.1 * saturate(coarse * 0.5 + fine * 0.7 - 0.1)
    )
    return vec3(c[0] * (0.8 + 0.5 * fine), c[1], c[2] * 0.9)


@wp.func
def facade_wall(s: Surface, p: vec3, u: float, v: float, footprint: float) -> vec3:
    """The wall between a facade's windows: plaster, bricks or panels, stained towards the ground."""
    colour = s.a * (0.8 + 0.25 * noise1(p * 0.7, s.seed) + 0.15 * noise1(vec3(u * 3.0, v * 0.4, 0.0), s.seed + 2))
    kind = s.seed % 4
    if kind == 0:
        row = int(wp.floor(v / 0.08))
        piece = int(wp.floor((u + 0.12 * float(row % 2)) / 0.24))
        colour = colour * (1.0 + (0.35 * hash01(row, piece, s.seed) - 0.2) * detail(0.1, footprint))
        joint = line(fraction(v / 0.08), 0.15, 0.06) * detail(0.06, footprint)
        colour = mix(colour, vec3(0.55, 0.54, 0.5), 0.6 * joint)
    elif kind == 1:
        panel = wp.max(line(fraction(u / 1.2), 0.012, 0.01), line(fraction(v / s.aux), 0.02, 0.01))
        colour = colour * (1.0 - 0.4 * panel * detail(0.1, footprint))
    return colour


@wp.func
def facade(s: Surface, p: vec3, u: float, v: float, upright: bool, footprint: float) -> vec3:
    """FACADE: windows on a grid of bays and storeys; some have blinds, some are lit within."""
    row = int(wp.floor(v / s.aux))
    column = int(wp.floor(u / s.scale))
    y = fraction(v / s.aux)
    x = fraction(u / s.scale)
    colour = facade_wall(s, p, u, v, footprint)
    side = 0.14 + 0.18 * hash01(1, 2, s.seed)
    sill = 0.12 + 0.22 * hash01(5, 2, s.seed)
    top = 0.8 + 0.1 * hash01(6, 2, s.seed)
    inside = x > side and x < 1.0 - side and y > sill and y < top
    if upright and inside:
        pane = hash01(row, column, s.seed + 9)
        level = (y - sill) / (top - sill)
        glass = mix(s.b * 0.25, vec3(0.30, 0.36, 0.42), pane * pane * (0.4 + 0.6 * level))
        if pane > 0.78:
            glass = vec3(0.62, 0.59, 0.52) * (0.85 + 0.1 * wp.sin(u * 40.0) * detail(0.1, footprint))
        elif pane < 0.3 and level > 0.55 + pane:
            glass = vec3(0.55, 0.53, 0.48)
        frame = x < side + 0.03 or x > 0.97 - side or y < sill + 0.025 or y > top - 0.025
        frame = frame or wp.abs(x - 0.5) < 0.012
        paint = vec3(0.75, 0.74, 0.71) * (0.15 + 0.85 * hash01(3, 4, s.seed))
        if frame:
            colour = mix(glass, paint, detail(0.1, footprint))
        else:
            colour = glass
    elif upright and x > side - 0.04 and x < 1.04 - side and y > sill - 0.05 and y < top + 0.04:
        colour = colour * 0.7 + vec3(0.13, 0.13, 0.12)
    return colour


@wp.func
def road(s: Surface, u: float, v: float, level: bool, footprint: float) -> vec3:
    """ROAD: asphalt with patches, cracks, wheel tracks and worn markings."""
    patches = noise1(vec3(u * 0.5, v * 0.12, 0.0), s.seed + 1) - 0.5
    grain = 0.5 + (noise1(vec3(u * 30.0, v * 30.0, 0.0), s.seed) - 0.5) * detail(0.04, footprint)
    colour = s.a * (0.82 + 0.3 * grain + 0.35 * patches)
    crack = wp.abs(fbm(vec3(u * 1.1, v * 1.1, 3.0), s.seed + 2) - 0.5)
    colour = colour * (1.0 - 0.45 * saturate(1.0 - crack / 0.008) * detail(0.03, footprint))
    if level:
        wear = 0.45 + 0.55 * saturate(noise1(vec3(u * 6.0, v * 6.0, 1.0), s.seed + 4) * 1.5)
        soft = wp.max(0.01, 0.5 * footprint)
        dashed = float(0.0)
        if fraction(v / (s.aux * 2.5)) < 0.4:
            dashed = 1.0
        kind = s.seed % 4
        mark = float(0.0)
        if kind == 0:
            mark = saturate((0.07 - wp.abs(u)) / soft + 0.5) * dashed
        elif kind == 1:
            mark = saturate((0.06 - wp.abs(wp.abs(u) - 0.12)) / soft + 0.5)
        elif kind == 2:
            lane = wp.abs(u - 3.5 * wp.round(u / 3.5))
            if wp.abs(u) < s.scale - 1.5:
                mark = saturate((0.07 - lane) / soft + 0.5) * dashed
        if (s.seed / 4) % 2 == 0:
            mark = wp.max(mark, saturate((0.07 - wp.abs(wp.abs(u) - s.scale + 0.35)) / soft + 0.5))
        colour = mix(colour, s.b, mark * wear)
    return colour


@wp.func
def picture(s: Surface, u: float, v: float, footprint: float) -> vec3:
    """PICTURE: patches of many colours around scattered seeds, as in a painting, poster or quilt."""
    i0 = int(wp.floor(u / s.scale))
    j0 = int(wp.floor(v / s.scale))
    best = float(9.0)
    t = float(0.0)
    for i in range(-1, 2):
        for j in range(-1, 2):
            x = float(i0 + i) + hash01(i0 + i, j0 + j, s.seed) - u / s.scale
            y = float(j0 + j) + hash01(i0 + i, j0 + j, s.seed + 1) - v / s.scale
            if x * x + y * y < best:
                best = x * x + y * y
                t = hash01(i0 + i, j0 + j, s.seed + 2)
    c = mix(s.a, s.b, fraction(t * 5.0)) * (1.1 - 0.4 * best)
    patch = vec3(c[0] * (0.4 + t), c[1] * (0.4 + fraction(t * 7.0)), c[2] * (0.4 + fraction(t * 11.0)))
    return mix((s.a + s.b) * 0.45, patch, detail(s.scale * 0.7, footprint))


@wp.func
def books(s: Surface, u: float, v: float, footprint: float) -> vec3:
    """BOOKS: spines of many colours with a printed label."""
    j = int(wp.floor(u / s.scale))
    t = hash01(j, 0, s.seed)
    own = vec3(
        0.06 + 0.7 * hash01(j, 1, s.seed),
        0.06 + 0.6 * hash01(j, 2, s.seed),
        0.06 + 0.6 * hash01(j, 3, s.seed),
    )
    colour = mix(own, s.a, 0.5 * t)
    x = fraction(u / s.scale)
    y = fraction(v * 6.0 + t)
    if x < 0.06:
        colour = colour * 0.3
    if x > 0.35 and x < 0.65 and y > 0.2 and y < 0.7 and hash01(j, int(v * 200.0), s.seed + 4) > 0.4:
        colour = s.b
    return mix(s.a * 0.5 + vec3(0.15, 0.14, 0.13), colour, detail(s.scale, footprint))


@wp.func
def screen(s: Surface, p: vec3, u: float, v: float, footprint: float) -> vec3:
    """SCREEN: a desktop with windows, bars and lines of text."""
    column = int(wp.floor(u / s.scale))
    row = int(wp.floor(v / (s.scale * 0.7)))
    t = hash01(row, column, s.seed)
    x = fraction(u / s.scale)
    y = fraction(v / (s.scale * 0.7))
    colour = mix(s.a, s.b, saturate(fbm(p * (1.0 / s.scale), s.seed)))
    if t > 0.35 and x > 0.05 and x < 0.95 and y > 0.06 and y < 0.94:
        colour = mix(s.b, vec3(0.85, 0.86, 0.88), hash01(row, column, s.seed + 1))
        if y > 0.84:
            colour = s.a
        elif (
            fraction(y * 12.0) > 0.55
            and hash01(int(y * 12.0), int(x * 24.0), s.seed + row) > 0.35
            and x < 0.3 + t * 0.6
        ):
            colour = mix(colour, colour * 0.25, detail(s.scale * 0.08, footprint))
    return colour


@wp.func
def grass(s: Surface, p: vec3, u: float, v: float, footprint: float) -> vec3:
    """GRASS: patches of two colours and blades near by."""
    patch = saturate(fbm(vec3(u * 0.6, v * 0.6, 0.0) * (0.7 / s.scale), s.seed))
    blades = 0.5 + (fbm(vec3(u * 25.0, v * 25.0, p[2] * 25.0), s.seed + 1) - 0.5) * detail(0.05, footprint)
    clumps = noise1(vec3(u * 3.0, v * 3.0, p[2]), s.seed + 2) * detail(0.4, footprint)
    return mix(s.a, s.b, patch) * (0.4 + 0.7 * blades + 0.3 * clumps)


@wp.func
def marble(s: Surface, p: vec3, u: float) -> vec3:
    """MARBLE: bent veins."""
    bend = fbm(p * (1.0 / s.scale), s.seed)
    vein = 0.5 + 0.5 * wp.sin((u / s.scale + bend * 3.0) * 6.0)
    return mix(s.a, s.b, vein * vein * vein)


@wp.func
def speckle(s: Surface, p: vec3, u: float, v: float, footprint: float) -> vec3:
    """SPECKLE: grains of the second colour, as in terrazzo, granite or a carpet."""
    i = int(wp.floor(u / s.scale))
    j = int(wp.floor(v / s.scale))
    x = fraction(u / s.scale) - 0.3 - 0.4 * hash01(i, j, s.seed + 1)
    y = fraction(v / s.scale) - 0.3 - 0.4 * hash01(i, j, s.seed + 2)
    size = 0.35 * hash01(i, j, s.seed)
    keep = detail(s.scale, footprint)
    grain = float(0.0)
    if x * x + y * y < size * size:
        grain = hash01(i, j, s.seed + 3)
    return mix(s.a, s.b, grain * keep + 0.05 * (1.0 - keep)) * (0.93 + 0.14 * noise1(p * 2.0, s.seed))


@wp.func
def concrete(s: Surface, p: vec3, u: float, v: float, footprint: float) -> vec3:
    """CONCRETE: stains, pores and the joints of the formwork."""
    stain = fbm(p * (0.5 / s.scale), s.seed)
    streak = noise1(vec3(u * 5.0, v * 0.5, 0.0), s.seed + 1)
    colour = mix(s.a, s.b, saturate(0.7 * stain + 0.3 * streak - 0.15))
    pore = saturate((0.22 - noise1(p * 45.0, s.seed + 2)) * 10.0) * detail(0.03, footprint)
    joint = wp.max(line(fraction(u / (2.0 * s.scale)), 0.008, 0.006), line(fraction(v / s.scale), 0.012, 0.008))
    return colour * (1.0 - 0.35 * pore) * (1.0 - 0.4 * joint * detail(0.05, footprint))


@wp.func
def metal(s: Surface, p: vec3, u: float, v: float, footprint: float) -> vec3:
    """METAL: brushed lines along u, with dull patches (rust) of the second colour."""
    brushed = 0.5 + (noise1(vec3(u * 3.0, v * 160.0, 0.0), s.seed) - 0.5) * detail(0.008, footprint)
    dull = saturate((fbm(p * (1.0 / s.scale), s.seed + 1) - 0.75 + 0.5 * s.aux) * 4.0)
    return mix(s.a * (0.85 + 0.3 * brushed), s.b, dull)


@wp.func
def gravel(s: Surface, p: vec3, u: float, v: float, footprint: float) -> vec3:
    """GRAVEL: stones of two colours with dark gaps."""
    i0 = int(wp.floor(u / s.scale))
    j0 = int(wp.floor(v / s.scale))
    best = float(9.0)
    t = float(0.0)
    for i in range(-1, 2):
        for j in range(-1, 2):
            x = float(i0 + i) + hash01(i0 + i, j0 + j, s.seed) - u / s.scale
            y = float(j0 + j) + hash01(i0 + i, j0 + j, s.seed + 1) - v / s.scale
            if x * x + y * y < best:
                best = x * x + y * y
                t = hash01(i0 + i, j0 + j, s.seed + 2)
    stone = mix(s.a, s.b, t) * (1.15 - 0.9 * best)
    base = mix(s.a, s.b, 0.3 + 0.4 * noise1(p * 0.8, s.seed + 3)) * 0.85
    return mix(base, stone, detail(s.scale, footprint))


# -- choice of pattern ------------------------------------------------------------------------------------


@wp.func
def surface_colour(s: Surface, p: vec3, face: vec3, footprint: float) -> vec3:
    """Albedo of a surface.

    `p` is the point in the object's frame, `face` the face normal there (any length), `footprint` the width
    of a pixel on the surface in metres. The branches are in the order of `scene.Texture`.
    """
    ax = wp.abs(face[0])
    ay = wp.abs(face[1])
    az = wp.abs(face[2])
    u = p[0]
    v = p[2]
    upright = True
    if az > ax and az > ay:
        v = p[1]
        upright = False
    elif ax > ay:
        u = p[1]
    k = s.texture
    c = s.a
    if k == 0:
        c = plain(s, p)
    elif k == 1:
        c = mix(s.a, s.b, saturate(fbm(p * (1.0 / s.scale), s.seed)))
    elif k == 2:
        c = wood(s, u, v, s.scale, 1.4, footprint)
    elif k == 3:
        c = brick(s, p, u, v, footprint)
    elif k == 4:
        c = tiles(s, p, u, v, footprint)
    elif k == 5:
        c = checker(s, p, u, v, footprint)
    elif k == 6:
        c = text(s, p, u, v, footprint)
    elif k == 7:
        c = stripes(s, p, u, footprint)
    elif k == 8:
        c = fabric(s, p, u, v, footprint)
    elif k == 9:
        c = foliage(s, p, footprint)
    elif k == 10:
        c = facade(s, p, u, v, upright, footprint)
    elif k == 11:
        c = road(s, u, v, not upright, footprint)
    elif k == 12:
        c = picture(s, u, v, footprint)
    elif k == 13:
        c = books(s, u, v, footprint)
    elif k == 14:
        c = screen(s, p, u, v, footprint)
    elif k == 15:
        c = grass(s, p, u, v, footprint)
    elif k == 16:
        c = marble(s, p, u)
    elif k == 17:
        c = speckle(s, p, u, v, footprint)
    elif k == 18:
        c = wood(s, v, u, s.scale, 2.6, footprint)
    elif k == 19:
        c = concrete(s, p, u, v, footprint)
    elif k == 20:
        c = metal(s, p, u, v, footprint)
    elif k == 21:
        c = gravel(s, p, u, v, footprint)
    return vec3(wp.clamp(c[0], 0.01, 0.95), wp.clamp(c[1], 0.01, 0.95), wp.clamp(c[2], 0.01, 0.95))
