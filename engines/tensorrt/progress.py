"""How far a build is, through the library's progress monitor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# called with the name of the innermost phase and the finished share of the whole, 0..1
Report = Callable[[str, float], object]


def monitor_for(trt: Any, tree: PhaseTree) -> Any | None:
    """An object the builder takes as `progress_monitor`, or None where the library has no such thing."""
    base: Any = getattr(trt, "IProgressMonitor", None)
    if base is None:
        return None

    class Monitor(base):  # type: ignore[misc]  # the library's class is known at run time only
        """Hands everything to the tree."""

        def __init__(self) -> None:
            base.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            tree.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return tree.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            tree.finish(phase_name)

    return Monitor()


class PhaseTree:
    """The phases under way and what share of the whole is done.

    A phase covers the part of its parent's step in which it began. The share never falls.

    stop: asked after every step whether the library shall stop.
    error: what the report raised: that must not reach the library, stops it, and is for whoever started it.
    """

    def __init__(self, report: Report | None, stop: Callable[[], bool] = lambda: False) -> None:
        self._report, self._stop = report, stop
        self._spans: dict[str, tuple[float, float, int]] = {}  # phase -> (begin, length, steps)
        self._done: dict[str, int] = {}
        self._share = 0.0
        self.error: BaseException | None = None

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
        """A step is done; False tells the library to stop."""
        if phase in self._spans:
            self._done[phase] = step + 1
            self._tell(phase)
        return self.error is None and not self._stop()

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
        if self._report is not None and self.error is None:
            try:
                self._report(phase, self._share)
            except BaseException as error:
                self.error = error
