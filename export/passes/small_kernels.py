"""Sub-pixels whose kernels have a border of zeros as convolutions of their own, with smaller kernels.

In the 3x3 convolution that `unpool-conv` makes before a pixel-shuffle, three of the four sub-pixels use two rows or two
columns of taps only: 25 of 36. Each sub-pixel becomes a convolution without its zeros, padded by as much less. Their
maps are concatenated sub-pixel by sub-pixel, which is the order that a pixel-shuffle by blocks (mode DCR) reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from edgedepth.export.passes.graph import Array, Graph, attribute, not_dense
from edgedepth.export.passes.machine import SHARING, Rewrite


@dataclass(frozen=True)
class _Match:
    shuffle: NodeProto
    conv: NodeProto

    @property
    def where(self) -> str:
        return str(self.shuffle.output[0])


def _find(graph: Graph) -> Iterator[_Match]:
    for shuffle in graph.of_type("DepthToSpace"):
        conv = graph.producer(shuffle.input[0])
        if conv is not None and conv.op_type == "Conv":
            yield _Match(shuffle, conv)


def _refuse(graph: Graph, match: _Match) -> str | None:
    conv = match.conv
    if graph.only_consumer(match.shuffle.input[0]) is None:
        return "somebody else reads what is shuffled"
    if not all(graph.is_constant(name) for name in conv.input[1:]):
        return "the weights are computed"
    if (reason := not_dense(conv)) is not None:
        return reason
    if attribute(conv, "auto_pad", "NOTSET") != "NOTSET":
        return "the padding is not said in pixels"
    trims = [_zeros(weight) for weight, _ in _sub_pixels(graph, match)]
    if not any(any(trim) for trim in trims):
        return "no sub-pixel has a border of zeros"
    pads = attribute(conv, "pads", [0] * 4)
    if any(trim[side] > pads[side] for trim in trims for side in range(4)):
        return "there are more zeros than padding"
    return None


def _rewrite(graph: Graph, match: _Match) -> None:
    conv, where = match.conv, match.where
    pads = attribute(conv, "pads", [0] * 4)
    maps = []
    for number, (weight, bias) in enumerate(_sub_pixels(graph, match)):
        name = f"{conv.output[0]}/{number}"
        top, left, bottom, right = _zeros(weight)
        kernel = weight[:, :, top : weight.shape[2] - bottom, left : weight.shape[3] - right]
        inputs = [conv.input[0], graph.add_constant(kernel, f"{name}/weight")]
        if bias is not None:
            inputs.append(graph.add_constant(bias, f"{name}/bias"))
        less = [pad - zeros for pad, zeros in zip(pads, (top, left, bottom, right), strict=True)]
        maps.append(graph.add("Conv", inputs, name, kernel_shape=list(kernel.shape[2:]), pads=less))
    phases = graph.add("Concat", maps, f"{where}/phases", axis=1)
    size = attribute(match.shuffle, "blocksize", 1)
    graph.remove([match.shuffle])
    graph.redirect(where, graph.add("DepthToSpace", [phases], f"{where}/shuffled", blocksize=size, mode="DCR"))


def _sub_pixels(graph: Graph, match: _Match) -> list[tuple[Array, Array | None]]:
    """Weight and bias of each sub-pixel."""
    weight = graph.constant(match.conv.input[1])
    assert weight is not None
    bias = graph.constant(match.conv.input[2]) if len(match.conv.input) > 2 else None
    count = attribute(match.shuffle, "blocksize", 1) ** 2
    channels = np.arange(len(weight)).reshape(-1, count).T  # of mode CRD: the sub-pixels of a channel in a row
    if attribute(match.shuffle, "mode", "DCR") == "DCR":
        channels = np.arange(len(weight)).reshape(count, -1)
    return [(weight[own], None if bias is None else bias[own]) for own in channels]


def _zeros(weight: Array) -> tuple[int, int, int, int]:
    """Rows and columns of taps that are zero at the top, left, bottom and right; at least one tap is left."""
    rows, columns = (np.flatnonzero(weight.any(axis=(0, 1, other))) for other in (3, 2))
    if not len(rows):
        return (0, 0, 0, 0)
    height, width = weight.shape[2:]
    return (int(rows[0]), int(columns[0]), int(height - 1 - rows[-1]), int(width - 1 - columns[-1]))


SMALL_KERNELS = Rewrite(
    name="small-kernels", find=_find, refuse=_refuse, rewrite=_rewrite, backends=SHARING, floating=True
)
