"""How far a build is, through the library's progress monitor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# called with the name of the innermost phase and the finished share of the whole, 0..1
Report = Callable[[str, float], object]


def monitor_for(trt: Any, report: Report) -> Any | None:
    """An object the builder takes as `progress_monitor`, or None where the library has no such thing."""
    base: Any = getattr(trt, "IProgressMonitor", None)
    if base is None:
        return None

    class Monitor(base):  # type: ignore[misc]  # the library's class is known at run time only
        """Adds up the phases: a phase is worth one step of its parent. Exceptions must not reach the library."""

        def __init__(self) -> None:
            base.__init__(self)
            self._tree = PhaseTree(report)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._tree.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return self._tree.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            self._tree.finish(phase_name)

    return Monitor()


class PhaseTree:
    """The phases under way and what share of the whole is done.

    A phase covers the part of its parent's step in which it began. The share never falls.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._spans: dict[str, tuple[float, float, int]] = {}  # phase -> (begin, length, steps)
        self._done: dict[str, int] = {}
        self._share = 0.0
        self.cancelled = False

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        """A phase of so many steps begins."""
        begin, length = 0.0, 1.0
        if parent in self._spans:
            begin, whole, count = self._spans[parent]
            length = whole / max(count, 1)
            begin += length * min(self._done[parent], count - 1)
        self._spans[phase] = (begin, length, steps)
        self._done[phase] = 0
        self._tell(phase)

    def step(self, phase: str, step: int) -> bool:
        """A step is done; False tells the library to stop, after an interrupt in the report."""
        if phase in self._spans:
            self._done[phase] = step + 1
            self._tell(phase)
        return not self.cancelled

    def finish(self, phase: str) -> None:
        """A phase is done."""
        if phase in self._spans:
            self._done[phase] = self._spans[phase][2]
            self._tell(phase)
            del self._spans[phase], self._done[phase]

    def _tell(self, phase: str) -> None:
        begin, length, steps = self._spans[phase]
        share = begin + length * min(self._done[phase] / max(steps, 1), 1.0)
        self._share = max(self._share, min(share, 1.0))
        try:
            self._report(phase, self._share)
        except KeyboardInterrupt:
            self.cancelled = True
