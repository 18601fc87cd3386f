"""Which of several files is faster here: timed in turn, so that whatever else the machine does hits all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgedepth.core.preprocess import BgrFrame, network_input
from edgedepth.engines import Session, open_session

_WARM_UP = 3
Clock = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Median milliseconds per frame of each file, and how many times faster each is than the first.

    The speedup is the median of the ratios of runs that lie next to each other in time.
    """

    ms: Mapping[str, float]
    speedup: Mapping[str, float]
    device: str


def compare_speed(
    files: Mapping[str, Path],
    backend: str,
    frame: BgrFrame,
    *,
    rounds: int = 30,
    threads: int | None = None,
    clock: Clock = time.perf_counter,
) -> Timing:
    """Time files of one network on a backend; the first is what the others are compared with.

    frame: (h, w, 3) uint8 at network size. clock: see `time_in_turn`.

    Raises:
        BackendError: a file cannot be run.
    """
    with ExitStack() as stack:
        sessions = {
            name: stack.enter_context(open_session(path, backend, threads=threads)) for name, path in files.items()
        }
        return time_in_turn(sessions, frame, rounds=rounds, clock=clock)


def time_in_turn(
    sessions: Mapping[str, Session], frame: BgrFrame, *, rounds: int = 30, clock: Clock = time.perf_counter
) -> Timing:
    """Time open sessions, which may be of several backends; the first is what the others are compared with.

    A session's answer is in the host's memory when it returns, so the clock needs no synchronisation of its own.
    clock: seconds; `time.process_time` for sessions of one thread on a CPU, which no other work there lengthens much.
    """
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for number in range(rounds + _WARM_UP):
        for name, session in sessions.items():
            taken = session.inputs[0].name
            inputs = {taken: network_input(taken, frame)}
            start = clock()
            session.run(inputs, [session.outputs[0].name])
            if number >= _WARM_UP:
                times[name].append(clock() - start)
    base = np.array(next(iter(times.values())))
    return Timing(
        ms={name: float(np.median(values) * 1e3) for name, values in times.items()},
        speedup={name: float(np.median(base / np.array(values))) for name, values in times.items()},
        device=next(iter(sessions.values())).device,
    )
