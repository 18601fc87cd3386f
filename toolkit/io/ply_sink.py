"""Coloured point clouds as binary PLY."""

from __future__ import annotations

import numpy as np

from edgedepth.core.camera import Camera
from edgedepth.core.geometry import coloured_points
from edgedepth.core.results import DepthResult
from edgedepth.io.frames import Frame
from edgedepth.io.sink import FilePerFrame

_VERTEX = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")])
_PLY_TYPES = {"<f4": "float", "|u1": "uchar"}


class PlySink(FilePerFrame):
    """Writes `<name>.ply`: the pixels with a depth as coloured points in metres, optical frame."""

    kind = "ply"
    suffix = ".ply"

    def encode(self, frame: Frame, result: DepthResult) -> bytes:
        """A binary little-endian PLY; a frame without any is a cloud of no points."""
        depth_m = np.where(result.known, result.depth_m, np.float32(np.nan))
        points, colours = coloured_points(depth_m, result.camera, frame.image_bgr)
        vertices = np.empty(len(points), _VERTEX)
        for axis, name in enumerate(("x", "y", "z")):
            vertices[name] = points[:, axis]
        for channel, name in enumerate(("red", "green", "blue")):
            vertices[name] = colours[:, channel]
        return _header(len(points), result.camera, given=result.camera_given) + vertices.tobytes()


def _header(count: int, camera: Camera, *, given: bool) -> bytes:
    origin = "given" if given else "assumed"
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        "comment edgedepth: metres, optical frame (x right, y down, z forward)",
        f"comment camera {origin}: fx {camera.fx:g} fy {camera.fy:g} cx {camera.cx:g} cy {camera.cy:g}"
        f" of {camera.width}x{camera.height}",
        f"element vertex {count}",
        *(f"property {_PLY_TYPES[_VERTEX[name].str]} {name}" for name in _VERTEX.names or ()),
        "end_header",
    ]
    return ("\n".join(lines) + "\n").encode("ascii")
