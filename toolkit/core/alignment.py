"""Ways to align a prediction with the truth before metrics are taken; "none" is what a robot gets.

Each alignment is fitted per image on the valid pixels and applied to the whole map, before it is clamped to
the evaluation range. Every figure names the alignment it was taken with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError, UnknownNameError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Affine:
    """depth -> scale * depth + shift."""

    scale: float
    shift: float = 0.0

    def __call__(self, depth_m: NDArray[Any]) -> Array:
        """Apply to depths in metres; the result may be negative where the shift is."""
        return np.asarray(depth_m, np.float64) * self.scale + self.shift


@dataclass(frozen=True)
class LogAffine:
    """ln depth -> scale * ln depth + shift, that is depth -> exp(shift) * depth ** scale, for depth > 0."""

    scale: float
    shift: float = 0.0

    def __call__(self, depth_m: NDArray[Any]) -> Array:
        """Apply to positive depths in metres."""
        return np.exp(np.log(np.asarray(depth_m, np.float64)) * self.scale + self.shift)


Transform = Affine | LogAffine


def fit_none(predicted_m: Array, truth_m: Array) -> Affine:  # noqa: ARG001 (one signature for all)
    """No alignment."""
    return Affine(1.0)


def fit_median(predicted_m: Array, truth_m: Array) -> Affine:
    """One scale: the ratio of the medians (the protocol of self-supervised networks)."""
    return Affine(float(np.median(truth_m) / np.median(predicted_m)))


def fit_lsq(predicted_m: Array, truth_m: Array) -> Affine:
    """Scale and shift in depth by least squares."""
    return Affine(*_line(predicted_m, truth_m))


def fit_log_lsq(predicted_m: Array, truth_m: Array) -> LogAffine:
    """Scale and shift in the logarithm of depth by least squares."""
    return LogAffine(*_line(np.log(predicted_m), np.log(truth_m)))


ALIGNMENTS: Mapping[str, Callable[[Array, Array], Transform]] = {
    "none": fit_none,
    "median": fit_median,
    "lsq": fit_lsq,
    "log_lsq": fit_log_lsq,
}


def fit_alignment(name: str, predicted_m: NDArray[Any], truth_m: NDArray[Any]) -> Transform:
    """Fit the alignment `name` on valid, positive depths in metres (two arrays of the same shape).

    Raises:
        UnknownNameError: no such alignment.
        InputError: the shapes differ, there is no pixel, or a depth is not finite and positive.
    """
    if name not in ALIGNMENTS:
        raise UnknownNameError.of("alignment", name, ALIGNMENTS)
    if predicted_m.shape != truth_m.shape or predicted_m.size == 0:
        raise InputError(
            "an alignment needs two arrays of one shape with at least one pixel,"
            f" but got {predicted_m.shape} and {truth_m.shape}"
        )
    p, g = np.asarray(predicted_m, np.float64).ravel(), np.asarray(truth_m, np.float64).ravel()
    for what, values in (("predicted", p), ("true", g)):
        if not (np.isfinite(values) & (values > 0)).all():
            raise InputError(
                f"an alignment needs finite, positive depths, but some {what} depths are not; mask them first"
            )
    return ALIGNMENTS[name](p, g)


def _line(x: Array, y: Array) -> tuple[float, float]:
    """Slope and intercept of the least-squares line; a constant x has slope 0, so y gets its mean."""
    x_mean, y_mean = x.mean(), y.mean()
    variance = float(np.square(x - x_mean).mean())
    if variance <= 1e-12 * float(np.square(x).mean()):
        return 0.0, float(y_mean)
    slope = float(((x - x_mean) * (y - y_mean)).mean() / variance)
    return slope, float(y_mean - slope * x_mean)
