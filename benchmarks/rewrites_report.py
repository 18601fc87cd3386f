"""Tables of what `rewrites.py` measured, and the promises that the figures are held to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rewrites_forms import PLAIN, Form, load_forms, size_of
from rewrites_times import TARGETS, Timed, load_times

_TARGETS = tuple(f"{backend} {precision}" for backend, precision in TARGETS)
# Ours takes no more than this many times as long as the plain graph, on any backend.
SLACK = 1.03
# At least so many times as fast as the plain graph on onnxruntime in float32, with more than one thread: a second one
# helps the plain graph less.
PROMISED: dict[str, dict[str, float]] = {
    "ds-sidenet-low": {"onnxruntime fp32": 1.8, "openvino fp32": 2.8},
    "ds-sidenet-high": {"onnxruntime fp32": 1.7, "openvino fp32": 2.5},
}


def summary(folder: Path, names: Sequence[str]) -> Iterator[str]:
    """A line per network: milliseconds of the plain export, and how many times faster ours is."""
    heads = [f"{target}" for target in _TARGETS]
    yield f"| network | input | plain, onnxruntime fp32 | {' | '.join(heads)} |"
    yield "|---|---|---:|" + "---:|" * len(heads)
    for name in names:
        timed = load_times(folder / name)
        cells = []
        for target in _TARGETS:
            ours = timed.ours(target)
            total, gain = timed.total(target, ours), timed.gain(target, ours)
            cells.append("" if total is None else f"{_times(total)} ({_times(gain)})")
        width, height = size_of(folder / name)
        plain_ms = timed.median_ms(_TARGETS[0], PLAIN)
        yield f"| {name} | {width}x{height} | {plain_ms:.1f} ms | {' | '.join(cells)} |"


def each_rewrite(folder: Path, names: Sequence[str]) -> Iterator[str]:
    """A line per graph of a network: work, speed against the plain graph on the same backend, kernels, difference."""
    yield f"| network | graph | GMACs | {' | '.join(_TARGETS)} | kernels fp32 / fp16 | differs by |"
    yield "|---|---|---:|" + "---:|" * (len(_TARGETS) + 2)
    for name in names:
        timed = load_times(folder / name)
        for number, form in enumerate(load_forms(folder / name)):
            cells = [f"{form.gmacs:.2f}", *(_cell(timed, target, form) for target in _TARGETS)]
            cells += [" / ".join(map(str, form.kernels.values())), _difference(form)]
            yield f"| {'' if number else name} | {form.name} | {' | '.join(cells)} |"


def _cell(timed: Timed, target: str, form: Form) -> str:
    if form.name == PLAIN:
        median_ms = timed.median_ms(target, PLAIN)
        return "" if median_ms is None else f"{median_ms:.1f} ms"
    return _times(timed.gain(target, form.name))


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}x"


def _difference(form: Form) -> str:
    if form.difference is None:
        return ""
    return "0" if form.difference == 0 else f"{form.difference:.0e}"


def broken_promises(folder: Path, names: Sequence[str]) -> list[str]:
    """A line for each figure that is not what is promised."""
    broken = []
    for name in names:
        timed = load_times(folder / name)
        for target in _TARGETS:
            for form in (form for form in timed.times[target] if form.startswith("ours")):
                ratio = timed.gain(target, form) or 0.0
                if ratio < 1 / SLACK:
                    broken.append(f"{name}: {form} on {target} takes {1 / ratio:.2f} times as long as plain")
        for target, least in (PROMISED.get(name, {}) if timed.threads > 1 else {}).items():
            total = timed.total(target, timed.ours(target)) or 0.0
            if total < least:
                broken.append(f"{name}: ours on {target} is {total:.2f} times as fast as plain, not {least}")
    return broken
