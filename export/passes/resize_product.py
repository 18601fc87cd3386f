"""Bilinear resizing of maps of one channel as two matrix products, which exactly is what it is.

A resize is linear in rows and in columns, so for a map X (H, W) ::

    resize(X) = R X C^T        R (H', H), C (W', W): two weights per row

and resizes one after another multiply: R2 (R1 X C1^T) C2^T = (R2 R1) X (C2 C1)^T. Engines lay depth and confidence out
as they do the features around them, and OpenVINO's resize of one channel in that layout takes longer than any layer of
the network in INT8; the products cost little and a chain of resizes becomes one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper

from edgedepth.export.passes.graph import Graph, attribute
from edgedepth.export.passes.machine import Rewrite


@dataclass(frozen=True)
class Resizes:
    """Bilinear resizes of a map of one channel, one after another."""

    nodes: tuple[NodeProto, ...]

    @property
    def where(self) -> str:
        """The tensor that the last one makes."""
        return str(self.nodes[-1].output[0])


def _find(graph: Graph) -> Iterator[Resizes]:
    for node in graph.of_type("Resize"):
        maker = graph.producer(node.input[0])
        if maker is not None and maker.op_type == "Resize" and graph.only_consumer(node.input[0]) is not None:
            continue  # found from its first
        chain = [node]
        while (reader := graph.only_consumer(chain[-1].output[0])) is not None and reader.op_type == "Resize":
            chain.append(reader)
        yield Resizes(tuple(chain))


def _refuse(graph: Graph, match: Resizes) -> str | None:
    for node in match.nodes:
        mode = attribute(node, "mode", "nearest"), attribute(node, "coordinate_transformation_mode", "half_pixel")
        if mode != ("linear", "half_pixel") or attribute(node, "antialias", 0):
            return "not bilinear with half-pixel centres"
        before, after = graph.shape(node.input[0]), graph.shape(node.output[0])
        if before is None or after is None or len(before) != 4:
            return "its sizes are not fixed"
        if attribute(node, "axes", None) is not None:
            return "it names its axes"
        if before[:2] != (1, 1):
            return "more than one channel"
        if after[2] < before[2] or after[3] < before[3]:
            return "it makes the map smaller"
        scales = graph.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else None
        if scales is not None and scales.size and (scales * before != after).any():
            return "its scale is not the ratio of its sizes"
    return None


def _rewrite(graph: Graph, match: Resizes) -> None:
    first, last = match.nodes[0], match.nodes[-1]
    rows, columns = np.eye(1), np.eye(1)
    for number, node in enumerate(match.nodes):
        before, after = graph.shape(node.input[0]), graph.shape(node.output[0])
        assert before is not None
        assert after is not None
        row, column = bilinear(before[2], after[2]), bilinear(before[3], after[3])
        rows, columns = (row, column) if number == 0 else (row @ rows, column @ columns)
    base = last.output[0]
    kind = helper.tensor_dtype_to_np_dtype(graph.dtype(first.input[0]))
    right = graph.add_constant(columns.T.astype(kind), f"{base}/columns")
    wide = graph.add("MatMul", [first.input[0], right], f"{base}/wide")
    left = graph.add_constant(rows.astype(kind), f"{base}/rows")
    made = graph.add("MatMul", [left, wide], f"{base}/product")
    graph.remove(match.nodes)
    graph.redirect(base, made)


def bilinear(before: int, after: int) -> NDArray[np.float64]:
    """(after, before) weights of linear interpolation with half-pixel centres, the border repeated."""
    at = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    low = np.minimum(np.floor(at).astype(int), max(before - 2, 0))
    weights = np.zeros((after, before))
    weights[np.arange(after), low] = 1 - (at - low)
    weights[np.arange(after), np.minimum(low + 1, before - 1)] += at - low
    return weights


RESIZE_PRODUCT: Rewrite[Resizes] = Rewrite(
    name="resize-product", find=_find, refuse=_refuse, rewrite=_rewrite, backends=frozenset({"openvino"})
)
