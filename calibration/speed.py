"""Which of two files is faster here: timed in turn, so that whatever else the machine does hits both alike."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgedepth.calibration.observe import Frame, as_inputs
from edgedepth.engines import open_session

_WARM_UP = 3


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Median milliseconds per frame of each file, and how many times faster each is than the first.

    The speedup is the median of the ratios of runs that lie next to each other in time.
    """

    ms: Mapping[str, float]
    speedup: Mapping[str, float]
    device: str


def compare_speed(
    files: Mapping[str, Path], backend: str, frame: Frame, *, rounds: int = 30, threads: int | None = None
) -> Timing:
    """Time files of one network on a backend; the first is what the others are compared with.

    frame: (h, w, 3) uint8 at network size.

    Raises:
        BackendError: a file cannot be run.
    """
    sessions = {name: open_session(path, backend, threads=threads) for name, path in files.items()}
    try:
        times: dict[str, list[float]] = {name: [] for name in sessions}
        for number in range(rounds + _WARM_UP):
            for name, session in sessions.items():
                inputs = as_inputs(session.inputs[0].name, frame)
                start = time.perf_counter()
                session.run(inputs, [session.outputs[0].name])
                if number >= _WARM_UP:
                    times[name].append(time.perf_counter() - start)
        device = next(iter(sessions.values())).device
    finally:
        for session in sessions.values():
            session.close()
    base = np.array(times[next(iter(times))])
    return Timing(
        ms={name: float(np.median(values) * 1e3) for name, values in times.items()},
        speedup={name: float(np.median(base / np.array(values))) for name, values in times.items()},
        device=device,
    )
