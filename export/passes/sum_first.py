"""The sum of two maps that were moved in the same way as one movement of their sum.

A pixel-shuffle, a crop or a concatenation changes the places of values and not the values, so that
f(a) + f(b) = f(a + b). The movement happens once instead of twice, and the sum stands next to the convolutions, which
add it while they write.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onnx import NodeProto

from edgedepth.export.passes.graph import Graph, attributes
from edgedepth.export.passes.machine import SHARING, Rewrite

_DATA = {"DepthToSpace": 1, "Slice": 1, "Concat": None}  # how many of the inputs are moved; None: all


@dataclass(frozen=True)
class _Match:
    add: NodeProto
    first: NodeProto
    second: NodeProto

    @property
    def where(self) -> str:
        return str(self.add.output[0])


def _find(graph: Graph) -> Iterator[_Match]:
    for add in graph.of_type("Add"):
        makers = [graph.producer(name) for name in add.input]
        first, second = makers
        if first is not None and second is not None and first.op_type == second.op_type and first.op_type in _DATA:
            yield _Match(add, first, second)


def _refuse(graph: Graph, match: _Match) -> str | None:
    first, second = match.first, match.second
    if first is second or any(graph.only_consumer(node.output[0]) is None for node in (first, second)):
        return "somebody else reads a map that was moved"
    if attributes(first) != attributes(second) or len(first.input) != len(second.input):
        return "the maps are moved in different ways"
    moved = _DATA[first.op_type] or len(first.input)
    if any(graph.shape(a) is None for a in first.input[:moved]):
        return "the size of a map is open"
    if any(graph.shape(a) != graph.shape(b) for a, b in zip(first.input[:moved], second.input[:moved], strict=True)):
        return "the maps are of different sizes"
    for a, b in zip(first.input[moved:], second.input[moved:], strict=True):
        one, other = graph.constant(a), graph.constant(b)
        if one is None or other is None or one.tolist() != other.tolist():
            return "the maps are cut in different ways"
    return None


def _rewrite(graph: Graph, match: _Match) -> None:
    first, second, where = match.first, match.second, match.where
    moved = _DATA[first.op_type] or len(first.input)
    sums = [
        graph.add("Add", [a, b], f"{where}/before")
        for a, b in zip(first.input[:moved], second.input[:moved], strict=True)
    ]
    inputs = [*sums, *first.input[moved:]]
    result = graph.add(first.op_type, inputs, f"{where}/moved", **attributes(first))
    graph.remove([match.add])
    graph.redirect(where, result)


SUM_FIRST = Rewrite(name="sum-first", find=_find, refuse=_refuse, rewrite=_rewrite, backends=SHARING, floating=True)
