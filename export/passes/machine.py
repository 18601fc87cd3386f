"""Runs rewrites over a graph, checks the graph after each, and reports what fired, what refused and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import onnx

from edgedepth.core.errors import EdgeDepthError
from edgedepth.export.passes.graph import Graph

# The backends that run the common file; others compile a form of their own from it or from their variant.
SHARING = frozenset({"onnxruntime", "openvino"})
TENSORRT = frozenset({"tensorrt", "tensorrt-rtx"})
# Those that rewrites of their own pay on; TensorRT-RTX takes TensorRT's file.
FORM_BACKENDS = ("tensorrt", "onnxruntime", "openvino")


class Match(Protocol):
    """A place where a rewrite's pattern was found; each rewrite has its own form of it."""

    @property
    def where(self) -> str:
        """The tensor that names the place in reports."""


M = TypeVar("M", bound=Match)


@dataclass(frozen=True, kw_only=True)
class Rewrite(Generic[M]):
    """One exact rewrite.

    find: the places where the pattern stands; cheap, and without side effects.
    refuse: why a place must stay as it is, or None; everything that makes the algebra wrong is said here.
    rewrite: change the graph at one place. It may remove nodes; dead ones are dropped afterwards.
    backends: where it pays (measured, see docs/benchmarks.md); None for everywhere. The file that all backends
        share is made for those that run it as it is, the CPU backends: see `pays_on`.
    floating: it pays in floating point only, and stays out of the shared file, which INT8 files are made of.
    """

    name: str
    find: Callable[[Graph], Iterable[M]]
    refuse: Callable[[Graph, M], str | None]
    rewrite: Callable[[Graph, M], None]
    backends: frozenset[str] | None = None
    floating: bool = False

    def pays_on(self, backend: str | None) -> bool:
        """True where the rewrite belongs in the file for a backend; None is the file that all backends share."""
        if backend is None and self.floating:
            return False
        if self.backends is None:
            return True
        return self.backends.issuperset(SHARING) if backend is None else backend in self.backends


@dataclass(frozen=True, kw_only=True)
class PassReport:
    """What one rewrite did: the places it changed, and those it refused with the reason."""

    name: str
    fired: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        lines = [f"{self.name}: fired {len(self.fired)}x"]
        lines += [f"  refused at {where}: {reason}" for where, reason in self.refused]
        return "\n".join(lines)


def run_passes(
    model: onnx.ModelProto, passes: Sequence[Rewrite[Any]]
) -> tuple[onnx.ModelProto, tuple[PassReport, ...]]:
    """Apply rewrites in order; the model given is not changed.

    Raises:
        EdgeDepthError: a rewrite left a graph that the ONNX checker rejects; the message names it.
    """
    graph = Graph(model)
    reports = []
    for entry in passes:
        report = _run_one(graph, entry)
        reports.append(report)
        if report.fired:
            _check(graph, entry.name)
    return graph.model, tuple(reports)


def _check(graph: Graph, name: str) -> None:
    try:
        graph.check()
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        detail = " ".join(str(error).split())
        raise EdgeDepthError(f"pass {name} left an invalid graph: {detail}") from error


def _run_one(graph: Graph, entry: Rewrite[Any]) -> PassReport:
    fired: list[str] = []
    refused: dict[str, str] = {}
    while True:
        match = _next(graph, entry, refused)
        if match is None:
            return PassReport(name=entry.name, fired=tuple(fired), refused=tuple(refused.items()))
        fired.append(match.where)
        entry.rewrite(graph, match)
        graph.tidy()


def _next(graph: Graph, entry: Rewrite[Any], refused: dict[str, str]) -> Match | None:
    """The first place the rewrite accepts; refusals are recorded once."""
    for match in entry.find(graph):
        if match.where in refused:
            continue
        reason = entry.refuse(graph, match)
        if reason is None:
            found: Match = match
            return found
        refused[match.where] = reason
    return None
