"""How well the outlines of things are found: the boundary F1 of Depth Pro."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError

# Ratios of neighbouring depths that count as a boundary; sharper ones weigh more.
_RATIOS = np.linspace(1.05, 1.25, 10)


def boundary_f1(predicted_m: NDArray[np.float32], truth_m: NDArray[np.float32]) -> float | None:
    """F1 of the neighbours between which depth jumps, 0 to 1, or None where the truth has no such pair.

    Two neighbours in a row or column are a boundary if one is more than a ratio farther than the other. Precision is
    the share of predicted boundaries that are true ones, on the same side, recall the share of true ones that are
    predicted; the F1 of ratios 1.05 to 1.25 are averaged, weighted by the ratio. No scale matters, and a boundary that
    is one pixel off counts for nothing (Bochkovskii et al., "Depth Pro", arXiv:2410.02073, section 4).

    predicted_m, truth_m: (H, W) metres; pairs with a pixel whose truth is not finite and positive are left out.

    Raises:
        InputError: the shapes differ, or the prediction is not finite and positive.
    """
    if predicted_m.shape != truth_m.shape:
        raise InputError(f"prediction {predicted_m.shape} and truth {truth_m.shape} must have the same shape")
    if not (np.isfinite(predicted_m) & (predicted_m > 0)).all():
        raise InputError("predicted depth must be finite and positive everywhere; evaluate the raw depth")
    known = np.isfinite(truth_m) & (truth_m > 0)
    truth = np.log(np.where(known, truth_m, 1.0))
    both = np.concatenate([(known[:, 1:] & known[:, :-1]).ravel(), (known[1:] & known[:-1]).ravel()])
    true, found = _steps(truth)[both], _steps(np.log(predicted_m))[both]
    scores = [_f1(true, found, np.log(ratio)) for ratio in _RATIOS]
    weights = [ratio for ratio, score in zip(_RATIOS, scores, strict=True) if score is not None]
    if not weights:
        return None
    return float(np.average([score for score in scores if score is not None], weights=weights))


def _steps(log_depth: NDArray[np.floating]) -> NDArray[np.floating]:
    """Differences to the right and to the lower neighbour, in one row."""
    return np.concatenate([np.diff(log_depth, axis=1).ravel(), np.diff(log_depth, axis=0).ravel()])


def _f1(true: NDArray[np.floating], found: NDArray[np.floating], step: float) -> float | None:
    """F1 of the steps beyond `step`, up and down; None where there is no true one."""
    hits = np.count_nonzero((true > step) & (found > step)) + np.count_nonzero((true < -step) & (found < -step))
    real, claimed = np.count_nonzero(np.abs(true) > step), np.count_nonzero(np.abs(found) > step)
    return None if real == 0 else 2 * hits / (real + claimed)
