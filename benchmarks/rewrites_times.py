"""Times the graphs of `rewrites_forms.py` in turn, so that a busy machine slows them alike."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rewrites_forms import HEADS, OURS, PLAIN, Form, load_forms

from edgedepth.core.errors import BackendError
from edgedepth.core.files import write_atomic
from edgedepth.engines import Precision, Session, open_session

# (backend, precision of its arithmetic)
TARGETS: tuple[tuple[str, Precision], ...] = (
    ("onnxruntime", "fp32"),
    ("onnxruntime", "int8"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("openvino", "int8"),
)
BASE = f"{PLAIN} on onnxruntime fp32"  # in every round of every target
_ROUNDS = (3, 60)  # at least, and at most

Times = Mapping[str, list[float]]  # milliseconds of every round, by form


@dataclass(frozen=True)
class Timed:
    """The times of a network: by target, "backend precision", and form, with the plain graph's beside each."""

    times: Mapping[str, Times]
    threads: int = 1

    def gain(self, target: str, form: str) -> float | None:
        """How many times faster than the plain graph on the same backend, the median over rounds."""
        return _ratio(self.times[target], PLAIN, form)

    def total(self, target: str, form: str) -> float | None:
        """The same against the plain graph on onnxruntime in float32."""
        return _ratio(self.times[target], BASE, form)

    def median_ms(self, target: str, form: str) -> float | None:
        """The middle of the runs; None where the target does not run here."""
        return float(np.median(self.times[target][form])) if form in self.times[target] else None

    def ours(self, target: str) -> str:
        """Our graph for a target: its backend's own where there is one."""
        special = f"{OURS} for {target.split()[0]}"
        return special if special in self.times[target] else OURS


def load_times(folder: Path) -> Timed:
    """What `take_times` wrote."""
    kept = json.loads((folder / "times.json").read_text())
    return Timed(kept["times"], kept["threads"])


def take_times(folder: Path, *, seconds: float, threads: int) -> None:
    """Time every form of a network on every target and write `times.json`.

    seconds: for all targets together, besides loading. threads: with one, CPU time is measured, which other work on
    the machine lengthens little; with more, the clock on the wall.
    """
    forms = load_forms(folder)
    times: dict[str, Times] = {}
    for backend, precision in TARGETS:
        with ExitStack() as stack:
            sessions = _open(stack, folder, forms, backend, precision, threads)
            times[f"{backend} {precision}"] = in_turn(sessions, seconds / len(TARGETS), threads=threads)
    text = json.dumps({"threads": threads, "times": times})
    write_atomic(folder / "times.json", text.encode() + b"\n")


def _open(
    stack: ExitStack, folder: Path, forms: list[Form], backend: str, precision: Precision, threads: int
) -> dict[str, Session]:
    """One session per form, and the plain graph on onnxruntime; that alone where this CPU has no bfloat16."""
    key = f"int8@{backend}" if precision == "int8" else "fp32"
    base = folder / forms[0].files["fp32"]
    sessions = {BASE: stack.enter_context(open_session(base, "onnxruntime", threads=threads))}
    for form in forms:
        if key in form.files and form.serves(backend) and not (form.name == HEADS and precision == "bf16"):
            path = folder / form.files[key]
            try:
                opened = open_session(path, backend, threads=threads, precision=precision)
            except BackendError:
                if precision != "bf16":
                    raise
                return sessions
            sessions[form.name] = stack.enter_context(opened)
    return sessions


def in_turn(sessions: Mapping[str, Session], seconds: float, *, threads: int) -> Times:
    """Milliseconds by session and round, in another order every round, for about so many seconds."""
    clock = time.process_time if threads == 1 else time.perf_counter
    rng = np.random.default_rng(0)
    feeds = {
        name: {entry.name: rng.integers(0, 256, entry.static_shape or ()).astype(entry.dtype)}
        for name, session in sessions.items()
        for entry in session.inputs
    }
    found: dict[str, list[float]] = {name: [] for name in sessions}
    names = list(sessions)
    for name in names:
        sessions[name].run(feeds[name], [sessions[name].outputs[0].name])  # warm up
    began = time.perf_counter()
    for number in range(_ROUNDS[1]):
        if number >= _ROUNDS[0] and time.perf_counter() - began > seconds:
            break
        for name in rng.permutation(names):
            session = sessions[name]
            start = clock()
            session.run(feeds[name], [session.outputs[0].name])
            found[name].append((clock() - start) * 1e3)
    return found


def _ratio(times: Times, over: str, form: str) -> float | None:
    if form not in times:
        return None
    return float(np.median([theirs / own for own, theirs in zip(times[form], times[over], strict=True)]))
