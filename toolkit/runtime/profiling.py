"""Stage times of a stream, and their percentiles."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

STAGES = ("decode", "preprocess", "route", "infer", "postprocess", "encode")
PERCENTILES = (50, 90, 99)


class StageTimes:
    """Collects milliseconds per stage. Each stage must be added to by one thread only."""

    def __init__(self) -> None:
        self._samples: dict[str, list[float]] = defaultdict(list)

    def add(self, times_ms: Mapping[str, float]) -> None:
        """Count one frame's milliseconds per stage."""
        for stage, milliseconds in times_ms.items():
            self._samples[stage].append(milliseconds)

    def total_s(self, *stages: str) -> float:
        """Seconds spent in the given stages."""
        return sum(sum(self._samples[stage]) for stage in stages) / 1e3

    def percentiles(self) -> dict[str, dict[str, float]]:
        """p50, p90 and p99 in milliseconds of every stage that ran, in the order of `STAGES`."""
        return {
            stage: {
                f"p{p}": round(float(value), 3)
                for p, value in zip(PERCENTILES, np.percentile(self._samples[stage], PERCENTILES), strict=True)
            }
            for stage in STAGES
            if self._samples[stage]
        }


@contextmanager
def stopwatch(times_ms: dict[str, float], stage: str) -> Iterator[None]:
    """Add the block's wall milliseconds to `times_ms[stage]`."""
    start = time.perf_counter()
    try:
        yield
    finally:
        times_ms[stage] = times_ms.get(stage, 0.0) + (time.perf_counter() - start) * 1e3
