"""Soft-argmax as a softmax over the last axis and a matrix product.

The expectation of bin indices over the channel axis of logits L (N, K, H, W)::

    e[n, 0, y, x] = sum_k j_k * softmax_k(L[n, :, y, x])

is exported as Softmax(axis=1), Mul by the indices j (1, K, 1, 1), ReduceSum(axis=1). Softmax along a strided axis
walks memory badly, and the product writes K maps that are only summed. With T = transpose(L) to (N, H, W, K)::

    e = reshape(matmul(softmax(T, axis=-1), j as (K, 1)), (N, 1, H, W))

which is the same sum, since moving an axis changes no value; the softmax subtracts the maximum in either form. Other
readers of the probabilities, such as a confidence, get them back in the original order by a transpose.

TensorRT compiles the exported form into one kernel and this one into three, so it keeps the exported form.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from edgedepth.export.passes.graph import Graph, attribute
from edgedepth.export.passes.machine import SHARING, Rewrite


@dataclass(frozen=True)
class _Match:
    softmax: NodeProto
    product: NodeProto
    total: NodeProto
    index: str

    @property
    def where(self) -> str:
        return str(self.total.output[0])


def _find(graph: Graph) -> Iterator[_Match]:
    for softmax in graph.of_type("Softmax"):
        for product in graph.consumers(softmax.output[0]):
            if product.op_type != "Mul":
                continue
            index = next((name for name in product.input if graph.is_constant(name)), None)
            total = graph.only_consumer(product.output[0])
            if index is not None and total is not None and total.op_type == "ReduceSum":
                yield _Match(softmax, product, total, index)


def _refuse(graph: Graph, match: _Match) -> str | None:
    shape = graph.dims(match.softmax.input[0])
    if shape is None or len(shape) != 4 or shape[1] is None:
        return f"the logits' shape {shape} is not (N, K, H, W)"
    if attribute(match.softmax, "axis", -1) not in (1, -3):
        return "the softmax is not over the channels"
    axes = graph.constant(match.total.input[1]) if len(match.total.input) > 1 else None
    if axes is None or axes.tolist() not in ([1], [-3]):
        return "the sum is not over the channels"
    index = graph.constant(match.index)
    if index is None or index.shape not in ((shape[1], 1, 1), (1, shape[1], 1, 1)):
        return "the bin indices are not one number per channel"
    return None


def _rewrite(graph: Graph, match: _Match) -> None:
    n, _, h, w = graph.dims(match.softmax.input[0]) or ()
    base = match.where
    others = [node for node in graph.consumers(match.softmax.output[0]) if node.output[0] != match.product.output[0]]
    last = graph.add("Transpose", [match.softmax.input[0]], f"{base}/logits_last", perm=[0, 2, 3, 1])
    probabilities = graph.add("Softmax", [last], f"{base}/probabilities", axis=-1)
    index = graph.constant(match.index)
    assert index is not None
    column = graph.add_constant(index.reshape(-1, 1), f"{base}/index")
    mean = graph.add("MatMul", [probabilities, column], f"{base}/expected")  # (N, H, W, 1)
    keep = attribute(match.total, "keepdims", 1)
    if None not in (n, h, w):
        shape = np.array([n, 1, h, w] if keep else [n, h, w], np.int64)
        expected = graph.add("Reshape", [mean, graph.add_constant(shape, f"{base}/shape")], f"{base}/map")
    elif keep:  # an axis of length one moves without a copy
        expected = graph.add("Transpose", [mean], f"{base}/map", perm=[0, 3, 1, 2])
    else:
        axis = graph.add_constant(np.array([3], np.int64), f"{base}/axis")
        expected = graph.add("Squeeze", [mean, axis], f"{base}/map")
    graph.remove([match.product, match.total])
    graph.redirect(base, expected)
    if others or graph.is_output(match.softmax.output[0]):
        first = graph.add("Transpose", [probabilities], f"{base}/first", perm=[0, 3, 1, 2])
        graph.remove([match.softmax])
        graph.redirect(match.softmax.output[0], first)


SOFT_ARGMAX = Rewrite(
    name="soft-argmax", find=_find, refuse=_refuse, rewrite=_rewrite, backends=SHARING | {"onnxruntime-cuda"}
)
