"""Everything of a result as numpy arrays."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from edgedepth.core.results import DepthResult
from edgedepth.io.frames import Frame
from edgedepth.io.sink import FilePerFrame


class NpzSink(FilePerFrame):
    """Writes `<name>.npz`, to be read with `np.load(path)` without pickle.

    depth_m (H, W) float32; valid (H, W) uint8 `PixelState`; confidence (H, W) float32 where there is one;
    intrinsics [fx, fy, cx, cy] in pixels; camera_given; unit "m"; route; score; frame_index; time_s (NaN: none).
    """

    kind = "npz"
    suffix = ".npz"

    def encode(self, frame: Frame, result: DepthResult) -> bytes:
        """The archive, uncompressed: float depth hardly shrinks and compressing takes longer than inference."""
        camera = result.camera
        arrays: dict[str, Any] = {
            "depth_m": result.depth_m,
            "valid": result.valid,
            "intrinsics": np.array([camera.fx, camera.fy, camera.cx, camera.cy]),
            "camera_given": np.array(result.camera_given),
            "unit": np.array("m"),
            "route": np.array(str(result.route)),
            "score": np.array(result.score),
            "frame_index": np.array(frame.index),
            "time_s": np.array(np.nan if frame.time_s is None else frame.time_s),
        }
        if result.confidence is not None:
            arrays["confidence"] = result.confidence
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return buffer.getvalue()
