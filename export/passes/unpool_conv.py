"""Zero-insert unpooling and a 5x5 convolution as a 3x3 convolution at low resolution and a pixel-shuffle.

Unpooling puts x[i, j] at U[2i, 2j] and zeros elsewhere, so of the 25 taps of::

    y[p, q] = sum_{a, b = -2..2} W[a, b] U[p + a, q + b]

only those meet a value whose row and column are even. At p = 2i + s, q = 2j + t (s, t in {0, 1}) these are
a = 2d - s, b = 2e - t, with d, e in {-1, 0, 1}::

    y[2i + s, 2j + t] = sum_{d, e} W[2d - s, 2e - t] x[i + d, j + e]     (taps beyond +-2 are zero)

which is a 3x3 convolution of x to four maps per channel, one per sub-pixel (s, t), interleaved by a pixel-shuffle:
36 multiply-adds per four outputs where there were 100. Zeros beyond the border are zeros in both forms, and cropping
the unpooled map to an odd size cuts off zeros only, so that cropping the result is the same.

Where the unpooled map is concatenated with others S before the convolution, linearity splits it: the 3x3 form for x,
plus the 5x5 convolution of S with its own part of the weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from edgedepth.export.passes.graph import Graph, attribute, not_dense
from edgedepth.export.passes.machine import Rewrite


@dataclass(frozen=True)
class _Match:
    conv: NodeProto
    joined: tuple[str, ...]  # what the convolution reads, in channel order
    position: int  # which of these is the unpooled map
    source: str  # the map before unpooling

    @property
    def where(self) -> str:
        return str(self.conv.output[0])


def _find(graph: Graph) -> Iterator[_Match]:
    for conv in graph.of_type("Conv"):
        joined = graph.channel_parts(conv.input[0])
        for position, tensor in enumerate(joined):
            source = _unpooled(graph, tensor)
            if source is not None:
                yield _Match(conv, joined, position, source)
                break


def _refuse(graph: Graph, match: _Match) -> str | None:
    conv = match.conv
    weight = graph.constant(conv.input[1])
    if weight is None or weight.shape[2:] != (5, 5):
        return "the kernel is not a constant 5x5, where the sub-pixel form would save nothing"
    if (reason := not_dense(conv)) is not None:
        return reason
    if attribute(conv, "pads", [0] * 4) != [2] * 4:
        return "the padding does not keep the size"
    if len(conv.input) > 2 and not graph.is_constant(conv.input[2]):
        return "the bias is computed"
    if any(graph.shape(tensor) is None for tensor in (*match.joined, match.where)):
        return "the shape of what is joined is not known"
    return None


def _rewrite(graph: Graph, match: _Match) -> None:
    conv, where = match.conv, match.where
    weight = graph.constant(conv.input[1])
    shape = graph.shape(where)
    channels = [(graph.shape(tensor) or ())[1] for tensor in match.joined]
    assert weight is not None
    assert shape is not None
    bias = graph.constant(conv.input[2]) if len(conv.input) > 2 else None
    start = sum(channels[: match.position])
    own = slice(start, start + channels[match.position])
    inputs = [match.source, graph.add_constant(sub_pixel_kernel(weight[:, own]), f"{conv.input[1]}/sub_pixel")]
    if bias is not None:
        inputs.append(graph.add_constant(np.repeat(bias, 4), f"{where}/sub_pixel_bias"))
    maps = graph.add("Conv", inputs, f"{where}/sub_pixels", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    result = graph.add("DepthToSpace", [maps], f"{where}/shuffled", blocksize=2, mode="CRD")
    result = crop(graph, result, shape, where)
    others = [tensor for index, tensor in enumerate(match.joined) if index != match.position]
    if others:
        rest = np.delete(weight, np.arange(own.start, own.stop), axis=1)
        kernel = graph.add_constant(rest, f"{conv.input[1]}/skips")
        skips = _joined(graph, others, where)
        partial = graph.add("Conv", [skips, kernel], f"{where}/skips", kernel_shape=[5, 5], pads=[2] * 4)
        result = graph.add("Add", [partial, result], f"{where}/sum")
    graph.remove([conv])
    graph.redirect(where, result)


def sub_pixel_kernel(weight: NDArray[Any]) -> NDArray[Any]:
    """(Co, Ci, 5, 5) to (4 Co, Ci, 3, 3): the taps of sub-pixel (s, t) of channel c at output 4c + 2s + t."""
    c_out, c_in = weight.shape[:2]
    kernel = np.zeros((c_out, 2, 2, c_in, 3, 3), weight.dtype)
    for s in (0, 1):
        for t in (0, 1):
            # row d of 0..2 takes tap 2 (d - 1) - s + 2 = 2d - s
            kernel[:, s, t, :, s:, t:] = weight[:, :, s::2, t::2]
    return kernel.reshape(4 * c_out, c_in, 3, 3)


def _joined(graph: Graph, tensors: list[str], where: str) -> str:
    """The concatenation of tensors; one that is there already is used again."""
    if len(tensors) == 1:
        return tensors[0]
    for node in graph.of_type("Concat"):
        if list(node.input) == tensors and attribute(node, "axis", 0) == 1:
            return str(node.output[0])
    return graph.add("Concat", tensors, f"{where}/joined", axis=1)


def crop(graph: Graph, tensor: str, shape: tuple[int, ...], where: str) -> str:
    """The map without the row or column that half of an odd size has too many."""
    if shape[2] % 2 == 0 and shape[3] % 2 == 0:
        return tensor
    starts = graph.add_constant(np.zeros(2, np.int64), f"{where}/starts")
    ends = graph.add_constant(np.array(shape[2:], np.int64), f"{where}/ends")
    axes = graph.add_constant(np.array([2, 3], np.int64), f"{where}/axes")
    return graph.add("Slice", [tensor, starts, ends, axes], f"{where}/cropped")


def _unpooled(graph: Graph, tensor: str) -> str | None:
    """The map that zero-insert unpooling made this tensor of; None where the tensor is something else.

    The form is Reshape to (n, c, h, 1, w, 1), Pad to (n, c, h, 2, w, 2), Reshape to (n, c, 2h, 2w), and at odd
    sizes a Slice that drops the last row or column.
    """
    final = graph.shape(tensor)
    node = graph.producer(tensor)
    while node is not None and node.op_type == "Slice" and _starts_at_zero(graph, node):
        node = graph.producer(node.input[0])
    if node is None or node.op_type != "Reshape":
        return None
    spread = graph.producer(node.input[0])
    if spread is None or spread.op_type != "Pad" or not _pads_with_zero(graph, spread):
        return None
    apart = graph.producer(spread.input[0])
    if apart is None or apart.op_type != "Reshape":
        return None
    source = str(apart.input[0])
    shape = graph.shape(source)
    if shape is None or len(shape) != 4 or final is None:
        return None
    n, c, h, w = shape
    expected = (
        graph.shape(apart.output[0]) == (n, c, h, 1, w, 1)
        and graph.shape(spread.output[0]) == (n, c, h, 2, w, 2)
        and graph.shape(node.output[0]) == (n, c, 2 * h, 2 * w)
        and final[:2] == (n, c)
        and final[2] in (2 * h, 2 * h - 1)
        and final[3] in (2 * w, 2 * w - 1)
    )
    return source if expected else None


def _starts_at_zero(graph: Graph, node: NodeProto) -> bool:
    starts = graph.constant(node.input[1])
    steps = graph.constant(node.input[4]) if len(node.input) > 4 else np.ones(1)
    return starts is not None and steps is not None and not starts.any() and bool((steps == 1).all())


def _pads_with_zero(graph: Graph, node: NodeProto) -> bool:
    pads = graph.constant(node.input[1])
    if pads is None or attribute(node, "mode", "constant") != "constant":
        return False
    value = graph.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
    return value is not None and not value.any() and not pads[: len(pads) // 2].any()


UNPOOL_CONV = Rewrite(name="unpool-conv", find=_find, refuse=_refuse, rewrite=_rewrite)
