"""Frames are turned and their channels ordered as bytes, and become numbers of four bytes only then.

Casting changes values one by one, and moving them about changes none, so the two commute; a quarter is moved.
TensorRT wants the cast of an input first, and does the moving in its first kernel anyway.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx
from onnx import NodeProto

from edgedepth.export.passes.graph import Graph
from edgedepth.export.passes.machine import Rewrite

_MOVERS = ("Transpose", "Gather")


@dataclass(frozen=True)
class Moved:
    """A cast of bytes, and what moves its result about before anybody computes with it."""

    cast: NodeProto
    movers: tuple[NodeProto, ...]

    @property
    def where(self) -> str:
        """The tensor that the last of them makes."""
        return str(self.movers[-1].output[0])


def _find(graph: Graph) -> Iterator[Moved]:
    for cast in graph.of_type("Cast"):
        if graph.dtype(cast.input[0]) != onnx.TensorProto.UINT8:
            continue
        movers: list[NodeProto] = []
        reader = graph.only_consumer(cast.output[0])
        while reader is not None and reader.op_type in _MOVERS:
            movers.append(reader)
            reader = graph.only_consumer(reader.output[0])
        if movers:
            yield Moved(cast, tuple(movers))


def _refuse(graph: Graph, match: Moved) -> str | None:
    made = [match.cast.output[0], *(mover.output[0] for mover in match.movers[:-1])]
    if any(mover.input[0] != name for mover, name in zip(match.movers, made, strict=True)):
        return "the bytes are not what is moved"
    return "it leaves the graph" if graph.is_output(match.where) else None


def _rewrite(graph: Graph, match: Moved) -> None:
    final = match.where
    tensor = match.cast.input[0]
    for mover in match.movers:
        mover.input[0] = tensor
        tensor = mover.output[0] = graph.fresh(f"{mover.output[0]}/bytes")
    match.cast.input[0], match.cast.output[0] = tensor, final


CAST_LAST: Rewrite[Moved] = Rewrite(
    name="cast-last", find=_find, refuse=_refuse, rewrite=_rewrite, backends=frozenset({"openvino"})
)
