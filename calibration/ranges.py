"""From what was observed of an activation to the range that eight bits are spent on, by four methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from edgedepth.calibration.affine import Range
from edgedepth.calibration.observe import BINS, Statistics
from edgedepth.core.errors import UnknownNameError

# The share of values that the percentile method lets go on each side.
PERCENTILE_OUT = 1e-4
_LEVELS = 128  # magnitudes that symmetric INT8 tells apart
_ENTROPY_STRIDE = 8  # bins between two thresholds that are tried
# The share of magnitudes that entropy may clip: a threshold below nearly all of them leaves one bin, which diverges
# from itself by nothing.
_ENTROPY_OUT = 0.01
_SHRINKS = np.linspace(0.1, 1.0, 46)


def minmax(seen: Statistics) -> Range:
    """Everything that was seen."""
    return seen.low, seen.high


def percentile(seen: Statistics, out: float = PERCENTILE_OUT) -> Range:
    """All but a share `out` of the values on each side."""
    histogram = seen.histogram
    if histogram.limit == 0.0:
        return minmax(seen)
    allowed = out * histogram.total
    return (
        max(seen.low, -_upper(histogram.negative, allowed, histogram.limit)),
        min(seen.high, _upper(histogram.positive, allowed, histogram.limit)),
    )


def entropy(seen: Statistics) -> Range:
    """The range whose rounded distribution of magnitudes diverges least from the true one.

    Kullback-Leibler divergence as in S. Migacz, 8-bit inference with TensorRT (GTC 2017): what lies beyond the
    threshold is counted at it, and the inner bins are merged to 128 levels.
    """
    counts = seen.histogram.magnitude.astype(np.float64)
    last = int(np.nonzero(counts)[0].max(initial=0)) + 1
    if last <= _LEVELS:
        return minmax(seen)
    inside = np.cumsum(counts)
    first = max(_LEVELS, int(np.searchsorted(inside, (1 - _ENTROPY_OUT) * inside[-1])) + 1)
    candidates = [*range(first, last, _ENTROPY_STRIDE), last]
    best = min(candidates, key=lambda stop: _divergence(counts, stop))
    return _clip(seen, best * seen.histogram.limit / BINS)


def mse(seen: Statistics) -> Range:
    """The range of the least mean squared error, of rounding inside and clipping outside, with 255 steps."""
    histogram = seen.histogram
    if histogram.limit == 0.0:
        return minmax(seen)
    centres = np.concatenate([-histogram.centres[::-1], histogram.centres])
    counts = np.concatenate([histogram.negative[::-1], histogram.positive])
    kept = counts > 0
    values, weights = centres[kept], counts[kept]

    def error(shrink: float) -> float:
        low, high = min(seen.low, 0.0) * shrink, max(seen.high, 0.0) * shrink
        step = (high - low) / 255
        rounded = np.clip(np.rint(values / step) * step, low, high)
        return float((weights * np.square(rounded - values)).sum())

    shrink = float(min(_SHRINKS, key=error))
    return seen.low * shrink if seen.low < 0 else seen.low, seen.high * shrink if seen.high > 0 else seen.high


METHODS: Mapping[str, Callable[[Statistics], Range]] = {
    "minmax": minmax,
    "percentile": percentile,
    "entropy": entropy,
    "mse": mse,
}


def method_named(name: str) -> Callable[[Statistics], Range]:
    """The method of a name.

    Raises:
        UnknownNameError: there is none; the message lists the known ones.
    """
    if name not in METHODS:
        raise UnknownNameError.of("calibration method", name, METHODS)
    return METHODS[name]


def ranges_of(statistics: Mapping[str, Statistics], method: str) -> dict[str, Range]:
    """The range of every tensor by one method."""
    choose = method_named(method)
    return {name: choose(seen) for name, seen in statistics.items()}


def _upper(counts: NDArray[np.int64], allowed: float, limit: float) -> float:
    """The edge above which at most `allowed` values lie."""
    above = np.cumsum(counts[::-1])[::-1]  # values in this bin and beyond
    beyond = np.nonzero(above > allowed)[0]
    return 0.0 if beyond.size == 0 else float((beyond.max() + 1) * limit / BINS)


def _divergence(counts: NDArray[np.float64], stop: int) -> float:
    """KL(P || Q) of the first `stop` bins and their merger to 128 levels."""
    inner = counts[:stop]
    true = inner.copy()
    true[-1] += counts[stop:].sum()
    level = np.arange(stop) * _LEVELS // stop
    filled = inner > 0
    merged = np.bincount(level, inner, minlength=_LEVELS)
    members = np.bincount(level[filled], minlength=_LEVELS)
    coarse = np.where(filled, (merged / np.maximum(members, 1))[level], 0.0)
    p, q = true / true.sum(), coarse / max(coarse.sum(), 1e-12)
    # clipping may put values into an empty last bin, where Q has none: a floor makes the divergence large, not infinite
    present = p > 0
    return float((p[present] * np.log(p[present] / np.maximum(q[present], 1e-9))).sum())


def _clip(seen: Statistics, threshold: float) -> Range:
    return max(seen.low, -threshold), min(seen.high, threshold)
