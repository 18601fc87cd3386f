"""Depth as 16-bit PNG: small, lossless to its step, read by everything."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import OutputError
from edgedepth.core.files import write_atomic
from edgedepth.core.results import DepthResult
from edgedepth.io.frames import Frame
from edgedepth.io.png import png_bytes
from edgedepth.io.sink import FilePerFrame, SinkOptions

# Values per metre, finest first: millimetres (to 65.5 m), KITTI's 1/256 m (to 256 m), 1/64 m (to 1024 m).
_SCALES = (1000, 256, 64)
_ZERO = "no depth: unknown, sky or beyond range (the npz output tells which)"


def scale_for(max_m: float) -> int:
    """The finest scale, in values per metre, whose 16 bits hold `max_m`.

    Raises:
        OutputError: no scale does.

    >>> scale_for(10.0), scale_for(80.0)
    (1000, 256)
    """
    for scale in _SCALES:
        if max_m * scale <= np.iinfo(np.uint16).max:
            return scale
    raise OutputError(f"16-bit PNG holds depth up to {65535 // _SCALES[-1]} m, but got {max_m:g} m; save npz instead")


class Png16Sink(FilePerFrame):
    """Writes depth_m * scale as 16-bit PNG, 0 where nothing was measured, and depth_png.json beside.

    One scale for the whole run, named in every file (tEXt chunks DepthScale, DepthUnit, DepthZero) and in the
    JSON. Depth too large for 16 bits is written as 0, never as the largest value, and counted in the JSON.
    """

    kind = "png16"
    suffix = ".png"

    def __init__(self, options: SinkOptions) -> None:
        super().__init__(options)
        self._scale = scale_for(options.max_m)
        self._too_far = 0
        self._text = {"DepthScale": str(self._scale), "DepthUnit": "m", "DepthZero": _ZERO}
        self._note = self.folder / "depth_png.json"

    @property
    def warnings(self) -> list[str]:
        """As every file per frame, and depth that 16 bits cannot say."""
        told = super().warnings
        if self._too_far:
            told.append(
                f"png16: {self._too_far} pixels beyond {65535 / self._scale:.0f} m are 0; the npz output has them"
            )
        return told

    def encode(self, frame: Frame, result: DepthResult) -> bytes:  # noqa: ARG002
        """The PNG of one depth map."""
        values, too_far = quantise(result, self._scale)
        self._too_far += too_far
        return png_bytes(values, self._text)

    def write(self, frame: Frame, result: DepthResult) -> None:
        """Write one PNG; the first brings the JSON, so that a killed run has it too."""
        if self._frames == 0:
            self._write_note()
        super().write(frame, result)

    def close(self) -> list[Path]:
        """Complete the JSON with the count of pixels that were too far."""
        outputs = super().close()
        if not self._frames:
            return outputs
        self._write_note()
        return outputs if self._ordered else [*outputs, self._note]

    def _write_note(self) -> None:
        note = {
            "unit": "m",
            "scale": self._scale,
            "depth_m": f"value / {self._scale}",
            "zero": _ZERO,
            "pixels_too_far_for_16_bits": self._too_far,
        }
        write_atomic(self._note, json.dumps(note, indent=2) + "\n")


def quantise(result: DepthResult, scale: int) -> tuple[NDArray[np.uint16], int]:
    """(H, W) uint16 of `scale` values per metre, 0 where there is no depth, and how many pixels were too far for it.

    A depth is at least 1: zero never stands for something near.
    """
    largest = np.iinfo(np.uint16).max
    known = result.known
    values = np.where(known, result.depth_m, 0) * np.float32(scale)
    np.rint(values, out=values)
    too_far = values > largest
    np.maximum(values, 1, out=values, where=known)
    values[too_far] = 0
    return values.astype(np.uint16), int(np.count_nonzero(too_far))
