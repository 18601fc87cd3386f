"""Renders a scene: radiance, exact z-depth, semantic and instance labels, on a CPU core or on CUDA.

Two shading modes, so that a network does not learn the habits of one renderer: 'lit' has soft shadows, one
bounce of light, mirrors and haze; 'flat' is a hemisphere light, a lamp at the camera and one hard shadow.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import warp as wp
from numpy.typing import NDArray

from edgedepth.core.camera import Camera
from edgedepth.core.errors import BackendError, InputError, UnknownNameError
from edgedepth.world.builder import Dice
from edgedepth.world.recipe import dice_for
from edgedepth.world.render import kernels
from edgedepth.world.render.pose import world_from_camera
from edgedepth.world.render.shading import Eye, World
from edgedepth.world.render.textures import Surface
from edgedepth.world.scene import SEMANTIC_ID, Material, Scene, View

Mode = Literal["lit", "flat"]
MODES: tuple[Mode, ...] = ("lit", "flat")

_SKY_PROBES = 256
_EDGE_THRESHOLD = 0.18  # relative colour difference above which a pixel is sampled again
_EXTRA_SAMPLES: dict[Mode, int] = {"lit": 2, "flat": 1}  # more rays per edge pixel
_DIRECT_PASSES = ((1, 3.0), (2, 2.0))  # (step in pixels, contrast) of the a-trous filter
_INDIRECT_PASSES = ((1, 20.0), (2, 8.0), (4, 5.0), (8, 4.0))


@dataclass(frozen=True)
class Rendering:
    """One rendered view.

    `radiance` (H, W, 3) float32 linear RGB; `depth_m` (H, W) float32, depth along the optical axis through
    each pixel's centre, 0 where there is only sky; `semantic` (H, W) uint8, indices of
    `scene.SEMANTIC_CLASSES`; `instance` (H, W) uint16, 0 for sky; `camera` the intrinsics.
    """

    radiance: NDArray[np.float32]
    depth_m: NDArray[np.float32]
    semantic: NDArray[np.uint8]
    instance: NDArray[np.uint16]
    camera: Camera


def start_warp() -> None:
    """Initialise Warp without its banner, and without its complaint where there is no CUDA driver."""
    if hasattr(wp, "LOG_WARNING"):
        wp.config.log_level = wp.LOG_WARNING
    else:  # before 1.12
        wp.config.quiet = True  # type: ignore[attr-defined]
    with _muted_stderr():
        wp.init()  # type: ignore[no-untyped-call]


def compile_kernels(device: str = "cpu") -> None:
    """Compile the kernels into Warp's cache, if they are not there: some ten seconds, once per version."""
    start_warp()
    wp.load_module(kernels, device=device)


@contextmanager
def _muted_stderr() -> Iterator[None]:
    """Send file descriptor 2 nowhere: native code does not ask Python where to print."""
    sys.stderr.flush()
    keep = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(keep, 2)
        os.close(keep)
        os.close(nowhere)


class Renderer:
    """Renders views of one scene at a time; not for use from several threads.

    Raises:
        BackendError: the device does not exist.
    """

    def __init__(self, device: str = "cpu") -> None:
        start_warp()
        known = ["cpu", *(["cuda"] if wp.is_cuda_available() else []), *map(str, wp.get_cuda_devices())]
        if device not in known:
            raise BackendError(f"no device {device!r} to render on; here are: {', '.join(known)}")
        self._device = device
        self._world: Any = None
        self._mesh: wp.Mesh | None = None
        self._scene: Scene | None = None
        self._buffers: tuple[tuple[int, int], _Frame] | None = None

    def load(self, scene: Scene) -> None:
        """Move a scene to the device and build its ray tree.

        Raises:
            InputError: the scene has no triangles.
        """
        if len(scene.positions) == 0:
            raise InputError(f"a scene needs at least one triangle, but {scene.category!r} has none")
        corners = np.ascontiguousarray(scene.positions.reshape(-1, 3))
        index = np.arange(len(corners), dtype=np.int32)
        self._mesh = wp.Mesh(self._array(corners, wp.vec3), self._array(index, int))
        self._scene = scene
        self._world = self._upload(scene, self._mesh)

    def render(
        self, view: View, wh: tuple[int, int], *, mode: Mode = "lit", samples: int = 1, seed: int = 0
    ) -> Rendering:
        """Render a view at `wh` (width, height).

        `samples` light paths per pixel (mode 'lit'); `seed` drives noise, clouds and the look of mode 'flat'.

        Raises:
            InputError: no scene is loaded, or the size is not positive.
            UnknownNameError: no such mode.
        """
        if self._scene is None:
            raise InputError("no scene to render; call load(scene) first")
        if mode not in MODES:
            raise UnknownNameError.of("shading mode", mode, MODES)
        camera = _camera_of(view, wh)
        frame = self._frame_for(wh)
        eye = _eye(view, camera)
        self._world.seed = seed
        self._world.openness = self._openness(view)
        look = _flat_look(self._scene, dice_for(seed, 2)) if mode == "flat" else kernels.Look()
        self._trace(frame, eye, look, extra=_EXTRA_SAMPLES[mode])
        if mode == "lit":
            self._light(frame, eye, samples)
            radiance = frame.radiance
        else:
            radiance = frame.pixels.glow
        return frame.read(radiance, camera)

    def survey(self, view: View, wh: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
        """Depth (H, W) and instances (H, W) of a view, without its light: a quick look at a small size.

        Raises:
            InputError: no scene is loaded, or the size is not positive.
        """
        if self._scene is None:
            raise InputError("no scene to look at; call load(scene) first")
        camera = _camera_of(view, wh)
        frame = _Frame(wh, self._device)
        self._trace(frame, _eye(view, camera), kernels.Look(), extra=0)
        rendering = frame.read(frame.pixels.glow, camera)
        return rendering.depth_m, rendering.instance

    # -- device side -------------------------------------------------------------------------------------

    def _array(self, values: NDArray[Any], dtype: Any) -> Any:
        return wp.array(values, dtype=dtype, device=self._device)

    def _launch(self, kernel: Any, count: int, *inputs: Any) -> None:
        wp.launch(kernel, count, inputs=list(inputs), device=self._device)

    def _upload(self, scene: Scene, mesh: wp.Mesh) -> Any:
        world: Any = World()
        world.mesh = mesh.id
        world.normals = self._array(scene.normals.reshape(-1, 3), wp.vec3)
        world.local = self._array(scene.local.reshape(-1, 3), wp.vec3)
        world.material = self._array(scene.material, int)
        world.semantic = self._array(scene.semantic, int)
        world.instance = self._array(scene.instance, int)
        world.surfaces = self._array(_surface_table(scene.materials), Surface)
        lamps = scene.lights
        places = np.array([lamp.position for lamp in lamps], np.float32).reshape(-1, 3)
        colours = np.array([lamp.colour for lamp in lamps], np.float32).reshape(-1, 3)
        world.lamp_position = self._array(places, wp.vec3)
        world.lamp_colour = self._array(colours, wp.vec3)
        world.lamp_radius = self._array(np.array([lamp.radius_m for lamp in lamps], np.float32), float)
        world.lamps = len(lamps)
        sky = scene.sky
        world.sun_direction = wp.vec3(*sky.sun_direction)
        world.sun_colour = wp.vec3(*sky.sun_colour)
        world.sun_radius = sky.sun_radius
        world.intensity, world.cloud = sky.intensity, sky.cloud
        world.haze, world.haze_top, world.ambient = sky.haze_per_m, sky.haze_top_m, sky.ambient
        return world

    def _openness(self, view: View) -> float:
        seen: Any = wp.empty(_SKY_PROBES, dtype=float, device=self._device)
        self._launch(kernels.probe_sky, _SKY_PROBES, self._world, wp.vec3(*view.position), _SKY_PROBES, seen)
        return float(seen.numpy().mean())

    def _frame_for(self, wh: tuple[int, int]) -> _Frame:
        if self._buffers is None or self._buffers[0] != wh:
            self._buffers = (wh, _Frame(wh, self._device))
        return self._buffers[1]

    def _trace(self, frame: _Frame, eye: Any, look: Any, extra: int) -> None:
        pixels = frame.pixels
        sky = SEMANTIC_ID["sky"]
        self._launch(kernels.trace_centres, frame.count, self._world, eye, look, sky, pixels)
        if extra == 0:
            return
        self._launch(kernels.find_edges, frame.count, *frame.wh, _EDGE_THRESHOLD, pixels)
        self._launch(kernels.refine_edges, frame.count, self._world, eye, look, extra, pixels)

    def _light(self, frame: _Frame, eye: Any, samples: int) -> None:
        inputs = (self._world, eye, samples, frame.pixels, frame.direct, frame.indirect)
        self._launch(kernels.gather_light, frame.count, *inputs)
        direct = self._smooth(frame, eye, frame.direct, _DIRECT_PASSES)
        spare = frame.direct if direct is not frame.direct else frame.spare
        frame.direct, frame.spare = direct, spare
        indirect = self._smooth(frame, eye, frame.indirect, _INDIRECT_PASSES)
        spare = frame.indirect if indirect is not frame.indirect else frame.spare
        frame.indirect, frame.spare = indirect, spare
        inputs = (*frame.wh, frame.pixels, frame.direct, frame.indirect, frame.radiance)
        self._launch(kernels.compose, frame.count, *inputs)

    def _smooth(self, frame: _Frame, eye: Any, light: Any, passes: tuple[tuple[int, float], ...]) -> Any:
        """Filter `light` between its own buffer and the spare one; the result is in the buffer returned."""
        source, target = light, frame.spare
        for step, contrast in passes:
            self._launch(kernels.smooth, frame.count, eye, step, contrast, frame.pixels, source, target)
            source, target = target, source
        return source


class _Frame:
    """Device buffers of one image size."""

    def __init__(self, wh: tuple[int, int], device: str) -> None:
        self.wh = wh
        self.count = wh[0] * wh[1]
        pixels: Any = kernels.Buffers()
        for name in ("depth",):
            setattr(pixels, name, wp.zeros(self.count, dtype=float, device=device))
        for name in ("semantic", "instance", "edge"):
            setattr(pixels, name, wp.zeros(self.count, dtype=int, device=device))
        for name in ("normal", "albedo", "glow"):
            setattr(pixels, name, wp.zeros(self.count, dtype=wp.vec3, device=device))
        self.pixels = pixels
        self.direct, self.indirect, self.spare, self.radiance = (
            wp.zeros(self.count, dtype=wp.vec3, device=device) for _ in range(4)
        )

    def read(self, radiance: Any, camera: Camera) -> Rendering:
        """Copy the results to numpy arrays of their own."""
        shape = (self.wh[1], self.wh[0])
        return Rendering(
            radiance=radiance.numpy().reshape(*shape, 3).astype(np.float32),
            depth_m=self.pixels.depth.numpy().reshape(shape).astype(np.float32),
            semantic=self.pixels.semantic.numpy().reshape(shape).astype(np.uint8),
            instance=self.pixels.instance.numpy().reshape(shape).astype(np.uint16),
            camera=camera,
        )


# -- host side of the device structs ------------------------------------------------------------------------


def _surface_table(materials: tuple[Material, ...]) -> NDArray[Any]:
    device_struct: Any = Surface
    table: NDArray[Any] = np.zeros(len(materials), dtype=device_struct.numpy_dtype())
    row: Any
    for row, material in zip(table, materials, strict=True):
        row["texture"], row["seed"] = int(material.texture), material.seed
        row["a"], row["b"] = material.colour_a, material.colour_b
        row["scale"], row["aux"] = material.scale_m, material.aux
        row["reflectance"], row["emission"] = material.reflectance, material.emission
    return table


def _camera_of(view: View, wh: tuple[int, int]) -> Camera:
    if min(wh) < 1:
        raise InputError(f"the size of a picture must be positive, but got {wh[0]}x{wh[1]}")
    return Camera.from_hfov(view.hfov_deg, *wh)


def _eye(view: View, camera: Camera) -> Any:
    pose = world_from_camera(view)
    eye: Any = Eye()
    eye.origin = wp.vec3(*pose[:3, 3])
    eye.right = wp.vec3(*(pose[:3, 0] / camera.fx))
    eye.down = wp.vec3(*(pose[:3, 1] / camera.fy))
    eye.forward = wp.vec3(*pose[:3, 2])
    eye.cx, eye.cy = camera.cx, camera.cy
    eye.bend = view.bend
    eye.width, eye.height = camera.width, camera.height
    return eye


def _flat_look(scene: Scene, dice: Dice) -> Any:
    """A drawn look for mode 'flat': its light is made up, whatever lamps and weather the scene has."""
    look: Any = kernels.Look()
    look.enabled = 1
    axis = np.array([dice.normal(0.3), dice.normal(0.3), 1.0])
    look.axis = wp.vec3(*(axis / np.linalg.norm(axis)))
    warm = dice.uniform(-0.15, 0.15)
    above, below = dice.uniform(0.35, 0.9), dice.uniform(0.1, 0.5)
    look.above = wp.vec3(above * (1 + warm), above, above * (1 - warm))
    look.below = wp.vec3(below * (1 - warm), below, below * (1 + warm))
    look.headlight = dice.uniform(0.0, 0.6) if dice.chance(0.4) else 0.0
    look.key_lamp, brightest = -2, 0.0
    sources = [(-1, scene.sky.sun_colour)] + [(i, lamp.colour) for i, lamp in enumerate(scene.lights)]
    for index, colour in sources:
        reach = max(colour) * (1.0 if index < 0 else 0.3)  # a lamp is usually one to two metres away
        if reach > brightest:
            look.key_lamp, brightest = index, reach
    look.key_gain = dice.uniform(0.2, 1.6) / max(brightest, 1e-6)
    return look
