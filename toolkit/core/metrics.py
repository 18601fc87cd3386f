"""Depth metrics, one definition for training, evaluation, calibration and reports.

Every metric is a function of sums over pixels. Figures of data sets are means over images (`mean_metrics`), as in the
literature; errors by distance, and those of golden frames, pool the pixels of all images (add the sums).

Sources: Eigen et al. 2014 for the seven standard ones (natural logarithm in rmse_log); the KITTI depth
development kit (evaluate_depth.cpp) for silog, irmse, abs_error_rel_pct and sq_error_rel_pct, whose squared
relative error divides by the square of the truth and so is not Eigen's sq_rel.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError

# name -> (unit, True if larger is better); the order is the order of tables and files
METRICS: Mapping[str, tuple[str, bool]] = {
    "abs_rel": ("", False),
    "sq_rel": ("m", False),
    "rmse": ("m", False),
    "rmse_log": ("", False),
    "log10": ("", False),
    "silog": ("x100", False),
    "delta1": ("", True),
    "delta2": ("", True),
    "delta3": ("", True),
    "mae": ("m", False),
    "irmse": ("1/km", False),
    "abs_error_rel_pct": ("%", False),
    "sq_error_rel_pct": ("%", False),
}

DELTA_BASE = 1.25


@dataclass(frozen=True)
class DepthErrors:
    """Sums over `count` pixels from which every metric follows; addition pools the pixels of two images.

    `DepthErrors.NONE`, the sums over no pixel, starts an addition.
    """

    NONE: ClassVar[DepthErrors]

    count: int
    absolute: float  # |p - g|
    squared: float  # (p - g)^2
    relative: float  # |p - g| / g
    squared_relative: float  # (p - g)^2 / g
    squared_relative_squared: float  # (p - g)^2 / g^2
    log: float  # ln p - ln g
    log_absolute: float  # |ln p - ln g|
    log_squared: float  # (ln p - ln g)^2
    inverse_squared: float  # (1/p - 1/g)^2
    within: tuple[int, int, int]  # pixels with max(p/g, g/p) below 1.25, 1.25^2, 1.25^3

    @classmethod
    def of(cls, predicted_m: NDArray[Any], truth_m: NDArray[Any]) -> DepthErrors:
        """Sum the errors of two arrays of the same shape, in metres, that hold valid pixels only, in float64.

        Raises:
            InputError: the shapes differ, there is no pixel, or a depth is not finite and positive.
        """
        if predicted_m.shape != truth_m.shape:
            raise InputError(f"prediction {predicted_m.shape} and truth {truth_m.shape} must have the same shape")
        p, g = _positive(predicted_m, "predicted"), _positive(truth_m, "true")
        difference = p - g
        relative = difference / g
        log = np.log(p) - np.log(g)
        ratio = np.maximum(p / g, g / p)
        return cls(
            count=p.size,
            absolute=float(np.abs(difference).sum()),
            squared=float(np.square(difference).sum()),
            relative=float(np.abs(relative).sum()),
            squared_relative=float((difference * relative).sum()),
            squared_relative_squared=float(np.square(relative).sum()),
            log=float(log.sum()),
            log_absolute=float(np.abs(log).sum()),
            log_squared=float(np.square(log).sum()),
            inverse_squared=float(np.square(1 / p - 1 / g).sum()),
            within=(
                int(np.count_nonzero(ratio < DELTA_BASE)),
                int(np.count_nonzero(ratio < DELTA_BASE**2)),
                int(np.count_nonzero(ratio < DELTA_BASE**3)),
            ),
        )

    def __add__(self, other: DepthErrors) -> DepthErrors:
        return DepthErrors(
            count=self.count + other.count,
            absolute=self.absolute + other.absolute,
            squared=self.squared + other.squared,
            relative=self.relative + other.relative,
            squared_relative=self.squared_relative + other.squared_relative,
            squared_relative_squared=self.squared_relative_squared + other.squared_relative_squared,
            log=self.log + other.log,
            log_absolute=self.log_absolute + other.log_absolute,
            log_squared=self.log_squared + other.log_squared,
            inverse_squared=self.inverse_squared + other.inverse_squared,
            within=(
                self.within[0] + other.within[0],
                self.within[1] + other.within[1],
                self.within[2] + other.within[2],
            ),
        )

    def values(self) -> dict[str, float]:
        """Every metric of `METRICS`, in its order and unit.

        Raises:
            InputError: there is no pixel.
        """
        n = self.count
        if n == 0:
            raise InputError("metrics need at least one valid pixel, but got none")
        log_mean = self.log / n
        # the variance of one pixel is 0 but may come out as -1e-17
        log_variance = max(self.log_squared / n - log_mean**2, 0.0)
        return {
            "abs_rel": self.relative / n,
            "sq_rel": self.squared_relative / n,
            "rmse": math.sqrt(self.squared / n),
            "rmse_log": math.sqrt(self.log_squared / n),
            "log10": self.log_absolute / n / math.log(10),
            "silog": 100 * math.sqrt(log_variance),
            "delta1": self.within[0] / n,
            "delta2": self.within[1] / n,
            "delta3": self.within[2] / n,
            "mae": self.absolute / n,
            "irmse": 1000 * math.sqrt(self.inverse_squared / n),
            "abs_error_rel_pct": 100 * self.relative / n,
            "sq_error_rel_pct": 100 * self.squared_relative_squared / n,
        }


DepthErrors.NONE = DepthErrors(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, (0, 0, 0))


def depth_metrics(predicted_m: NDArray[Any], truth_m: NDArray[Any]) -> dict[str, float]:
    """Every metric of `METRICS` for two arrays of valid depths in metres (see `DepthErrors.of`)."""
    return DepthErrors.of(predicted_m, truth_m).values()


def mean_metrics(images: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean over images of each metric: the literature's "per image" averaging.

    Raises:
        InputError: there is no image.
    """
    rows = list(images)
    if not rows:
        raise InputError("metrics need at least one image with valid depth, but got none")
    return {name: math.fsum(row[name] for row in rows) / len(rows) for name in METRICS}


def _positive(depth_m: NDArray[Any], what: str) -> NDArray[np.float64]:
    values = np.asarray(depth_m, np.float64).ravel()
    if values.size == 0:
        raise InputError("metrics need at least one valid pixel, but got none")
    bad = ~(np.isfinite(values) & (values > 0))
    if bad.any():
        raise InputError(
            f"{what} depth must be finite and positive, but {int(bad.sum())} of {values.size} values are not"
            f" (first: {values[bad][0]}); mask or clamp them first"
        )
    return values
