"""Stage times of a stream, and their percentiles."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

STAGES = ("decode", "preprocess", "route", "infer", "postprocess", "encode")
AGE = "age"  # no stage: how old a live picture is when its depth is ready
PERCENTILES = (50, 90, 99)
_KEPT = 10_000  # samples of a stage: percentiles of a camera that runs for weeks need no more


class StageTimes:
    """Collects milliseconds per stage. Each stage must be added to by one thread only.

    Memory is bounded: of more than 10,000 frames a random sample is kept, each of them with equal chance.
    """

    def __init__(self) -> None:
        self._samples: dict[str, list[float]] = defaultdict(list)
        self._counts: Counter[str] = Counter()
        self._totals_ms: dict[str, float] = defaultdict(float)
        self._random = random.Random(0)

    def add(self, times_ms: Mapping[str, float]) -> None:
        """Count one frame's milliseconds per stage."""
        for stage, milliseconds in times_ms.items():
            kept = self._samples[stage]
            self._counts[stage] += 1
            self._totals_ms[stage] += milliseconds
            if len(kept) < _KEPT:
                kept.append(milliseconds)
            elif (place := self._random.randrange(self._counts[stage])) < _KEPT:
                kept[place] = milliseconds

    def total_s(self, *stages: str) -> float:
        """Seconds spent in the given stages."""
        return sum(self._totals_ms[stage] for stage in stages) / 1e3

    def percentiles(self) -> dict[str, dict[str, float]]:
        """p50, p90 and p99 in milliseconds of every stage that ran, in the order of `STAGES`."""
        found = {stage: self.percentiles_of(stage) for stage in STAGES}
        return {stage: percentiles for stage, percentiles in found.items() if percentiles}

    def percentiles_of(self, stage: str) -> dict[str, float]:
        """p50, p90 and p99 in milliseconds; empty if the stage never ran."""
        if not self._samples[stage]:
            return {}
        values = np.percentile(self._samples[stage], PERCENTILES)
        return {f"p{p}": round(float(value), 3) for p, value in zip(PERCENTILES, values, strict=True)}


@contextmanager
def stopwatch(times_ms: dict[str, float], stage: str) -> Iterator[None]:
    """Add the block's wall milliseconds to `times_ms[stage]`."""
    start = time.perf_counter()
    try:
        yield
    finally:
        times_ms[stage] = times_ms.get(stage, 0.0) + (time.perf_counter() - start) * 1e3
