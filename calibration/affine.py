"""Scales and integers: how a range of real numbers becomes eight bits, in one place for every backend.

Scales are numbers of float16, so that a typed FP16 graph holds exactly the scale that the integers were made with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Range = tuple[float, float]
Signedness = Literal["int8", "uint8"]

_DIGITS = 6  # of numbers in calibration files

_SMALLEST = float(np.finfo(np.float16).smallest_subnormal)


def written(values: Iterable[float]) -> list[float]:
    """Numbers as a calibration file holds them, so that what is made at once and from the file is the same."""
    return [float(f"{value:.{_DIGITS}g}") for value in values]


@dataclass(frozen=True, kw_only=True)
class Affine:
    """real = scale * (integer - zero_point), for integers of `dtype`, clipped to [low, high]."""

    scale: float
    zero_point: int
    dtype: Signedness

    @property
    def low(self) -> int:
        """The smallest integer in use; -127, so that INT8 is symmetric."""
        return 0 if self.dtype == "uint8" else -127

    @property
    def high(self) -> int:
        """The largest integer in use."""
        return 255 if self.dtype == "uint8" else 127

    def quantise(self, values: NDArray[Any]) -> NDArray[Any]:
        """Round half to even, as ONNX does, and clip."""
        steps = np.rint(np.asarray(values, np.float64) / self.scale) + self.zero_point
        integers: NDArray[Any] = np.clip(steps, self.low, self.high).astype(self.dtype)
        return integers


def affine_of(span: Range, dtype: Signedness) -> Affine:
    """The numbers for an activation whose values lie in [low, high]; zero is always exact.

    INT8 is symmetric, which TensorRT demands. UINT8 spends all 256 steps on the range, and on activations after a
    ReLU twice as many as INT8.
    """
    low, high = min(span[0], 0.0), max(span[1], 0.0)
    if dtype == "int8":
        return Affine(scale=_half(max(-low, high) / 127), zero_point=0, dtype=dtype)
    scale = _half((high - low) / 255)
    return Affine(scale=scale, zero_point=int(np.clip(round(-low / scale), 0, 255)), dtype=dtype)


def quantise_weights(weight: NDArray[np.float32], largest: int = 127) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Integers of a (C_out, ...) weight, -largest to largest, and one scale per output channel (C_out,)."""
    amax = np.abs(weight).reshape(weight.shape[0], -1).max(axis=1)
    scales = np.array([_half(value / largest) for value in amax], np.float32)
    return np.clip(np.rint(weight / _column(scales, weight.ndim)), -largest, largest).astype(np.int8), scales


def rounded_weights(weight: NDArray[np.float32], largest: int = 127) -> NDArray[np.float64]:
    """What a (C_out, ...) weight is after rounding to integers from -largest to largest."""
    integers, scales = quantise_weights(weight, largest)
    return integers * _column(scales, weight.ndim)


def _column(scales: NDArray[np.float32], ndim: int) -> NDArray[np.float64]:
    """Scales per output channel (C_out,), in the shape in which they multiply a weight."""
    return scales.reshape(-1, *[1] * (ndim - 1)).astype(np.float64)


def _half(scale: float) -> float:
    """The smallest positive number of float16 that is not below: rounded down, a tiny scale would clip its values."""
    half = np.float16(scale)
    if float(half) < scale:
        half = np.nextafter(half, np.float16(np.inf))
    return max(float(half), _SMALLEST)
