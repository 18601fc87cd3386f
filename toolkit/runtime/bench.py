"""How fast a bundle runs here: every backend and precision on the same frame, in turn."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.bundle import Bundle
from edgedepth.core.errors import BackendError, EdgeDepthError, InputError
from edgedepth.core.results import DepthResult
from edgedepth.core.routing import Route
from edgedepth.engines.registry import probe_all
from edgedepth.runtime.depth_runtime import DepthRuntime
from edgedepth.runtime.profiling import PERCENTILES

_WARM_UP = 5


@dataclass(frozen=True, order=True)
class Setup:
    """A choice of what a bundle runs with."""

    backend: str
    precision: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """Milliseconds per frame of one route in one setup.

    infer_ms: the depth network alone, by percentile. frame_ms: resize, network and answer at camera size; `route_ms`,
    the median of what the router takes when it is asked, comes on top every few frames.
    speedup: median over the rounds of the first setup's frame time over this one's, taken next to each other in time.
    """

    route: Route
    setup: Setup
    device: str
    infer_ms: dict[str, float]
    frame_ms: dict[str, float]
    route_ms: float
    speedup: float

    @property
    def fps(self) -> float:
        """Frames per second at the median, one frame after the other."""
        return 1e3 / self.frame_ms["p50"]


@dataclass(frozen=True, kw_only=True)
class BenchReport:
    """rows: in the order of the setups, route by route. skipped: setups that do not run here, and why."""

    frame_wh: tuple[int, int]
    rounds: int
    rows: tuple[Row, ...]
    skipped: dict[Setup, str]


def setups_of(bundle: Bundle, backends: Sequence[str] = (), precisions: Sequence[str] = ()) -> list[Setup]:
    """Every combination of the backends and precisions; those available here and those in the bundle if none given."""
    found = [name for name, availability in probe_all().items() if availability.available]
    return [
        Setup(backend, precision)
        for backend in backends or found
        for precision in precisions
        or (*bundle.manifest.precisions(backend), *(["bf16"] if backend == "openvino" else []))
    ]


def bench(
    bundle: Bundle,
    setups: Sequence[Setup],
    *,
    frame_wh: tuple[int, int] = (1280, 720),
    rounds: int = 50,
    threads: int | None = None,
) -> BenchReport:
    """Time every route of a bundle in every setup, one frame of each after the other, `rounds` times.

    A setup that cannot run here is skipped and told. What a network computes does not depend on what it sees: the frame
    is noise.

    Raises:
        BackendError: no setup runs here; the message gives each one's reason.
        InputError: rounds is not positive.
    """
    if rounds < 1:
        raise InputError(f"rounds must be positive, but got {rounds}")
    frame = np.random.default_rng(0).integers(0, 256, (frame_wh[1], frame_wh[0], 3), np.uint8)
    skipped: dict[Setup, str] = {}
    with ExitStack() as stack:
        runtimes: dict[Setup, DepthRuntime] = {}
        for setup in setups:
            opened = _open(bundle, setup, threads)
            if isinstance(opened, EdgeDepthError):
                skipped[setup] = str(opened)
            else:
                runtimes[setup] = stack.enter_context(opened)
        if not runtimes:
            reasons = "; ".join(f"{setup.backend} {setup.precision}: {why}" for setup, why in skipped.items())
            raise BackendError(f"nothing to time: {reasons or 'no backend is available'}")
        rows = [row for route in bundle.manifest.networks for row in _time_route(runtimes, route, frame, rounds)]
    return BenchReport(frame_wh=frame_wh, rounds=rounds, rows=tuple(rows), skipped=skipped)


def _open(bundle: Bundle, setup: Setup, threads: int | None) -> DepthRuntime | EdgeDepthError:
    try:
        return DepthRuntime.load(bundle, backend=setup.backend, precision=setup.precision, threads=threads)
    except EdgeDepthError as error:
        return error


def _time_route(runtimes: dict[Setup, DepthRuntime], route: Route, frame: NDArray[np.uint8], rounds: int) -> list[Row]:
    infer: dict[Setup, list[float]] = {setup: [] for setup in runtimes}
    whole: dict[Setup, list[float]] = {setup: [] for setup in runtimes}
    deciding: dict[Setup, list[float]] = {setup: [] for setup in runtimes}
    results: dict[Setup, DepthResult | None] = dict.fromkeys(runtimes)
    for number in range(-_WARM_UP, rounds):
        for setup, runtime in runtimes.items():
            started = time.perf_counter()
            results[setup] = result = runtime(frame, route=route, out=results[setup])
            elapsed = time.perf_counter() - started
            started = time.perf_counter()
            runtime.decide(frame)
            asked = time.perf_counter() - started
            if number >= 0:
                infer[setup].append(result.timings_ms["infer"])
                whole[setup].append(elapsed * 1e3)
                deciding[setup].append(asked * 1e3)
    base = np.array(whole[next(iter(runtimes))])
    return [
        Row(
            route=route,
            setup=setup,
            device=runtime.device,
            infer_ms=_percentiles(infer[setup]),
            frame_ms=_percentiles(whole[setup]),
            route_ms=round(float(np.median(deciding[setup])), 3),
            speedup=round(float(np.median(base / np.array(whole[setup]))), 3),
        )
        for setup, runtime in runtimes.items()
    ]


def _percentiles(samples: Sequence[float]) -> dict[str, float]:
    values = np.percentile(samples, PERCENTILES)
    return {f"p{p}": round(float(value), 3) for p, value in zip(PERCENTILES, values, strict=True)}
