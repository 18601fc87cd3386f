"""How large errors are at which distance: counts of pixels by true depth and by signed error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

# upper edges of 2 m .. 256 m are the bands of the report; errors are ln(prediction / truth), +-0.69 a factor of two
LOG_ERRORS = np.round(np.linspace(-1.2, 1.2, 25), 2)


@dataclass(frozen=True)
class ErrorHistogram:
    """Pixels by true distance (rows) and ln(prediction / truth) (columns), pooled over images, unaligned.

    distances_m: (B + 1,) edges of the rows. counts: (B, len(LOG_ERRORS) + 1) int64; the first and last columns hold
    what lies beyond the outermost edges.
    """

    distances_m: tuple[float, ...]
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))

    @classmethod
    def empty(cls, distances_m: tuple[float, ...]) -> ErrorHistogram:
        """No pixel yet."""
        return cls(distances_m, np.zeros((len(distances_m) - 1, len(LOG_ERRORS) + 1), np.int64))

    def add(self, predicted_m: NDArray[Any], truth_m: NDArray[Any]) -> None:
        """Count pixels, in place: two arrays of one shape, positive metres."""
        rows = np.clip(np.digitize(truth_m, self.distances_m) - 1, 0, len(self.counts) - 1)
        columns = np.digitize(np.log(predicted_m / truth_m), LOG_ERRORS)
        flat = np.bincount(rows * self.counts.shape[1] + columns, minlength=self.counts.size)
        np.add(self.counts, flat.reshape(self.counts.shape), out=self.counts)

    def as_json(self) -> dict[str, Any]:
        """Plain data for reports."""
        return {
            "distances_m": list(self.distances_m),
            "log_errors": LOG_ERRORS.tolist(),
            "counts": self.counts.tolist(),
        }
