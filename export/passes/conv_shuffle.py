"""A 1x1 convolution and a pixel-shuffle as one transposed convolution.

With K output channels of the convolution numbered k = (c r + i) r + j, a pixel-shuffle of factor r puts channel k
of pixel (p, q) at channel c of pixel (r p + i, r q + j). A transposed convolution of kernel r and stride r writes,
from each input pixel, an r x r block that no other pixel touches::

    y[c, r p + i, r q + j] = sum_m V[m, c, i, j] x[m, p, q],    V[m, c, i, j] = W[(c r + i) r + j, m]

which are the same products. An activation between the two works element by element, so it moves behind. A transposed
convolution has one bias per channel, while here it may differ between the sub-pixels of a channel (a folded batch norm
makes it so): then a tiled map of the bias is added instead.

TensorRT makes one kernel of a transposed convolution with its own bias and activation, where the convolution and the
shuffle are two. With a bias map it is two again, and so it is where the shuffled map is cropped or concatenated: that
copy is one kernel with the shuffle, and stays without it. CPU engines are slower with either. So `CONV_SHUFFLE`, for
the one-bias case that gains, goes into TensorRT's own file, and `CONV_SHUFFLE_MAP`, for all, into none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from edgedepth.export.passes.graph import Graph, attribute
from edgedepth.export.passes.machine import TENSORRT, Rewrite

_ACTIVATIONS = ("Relu", "LeakyRelu", "Clip", "Sigmoid", "Tanh", "HardSwish")


@dataclass(frozen=True)
class _Match:
    conv: NodeProto
    activation: NodeProto | None
    shuffle: NodeProto

    @property
    def where(self) -> str:
        return str(self.shuffle.output[0])


def _find(graph: Graph) -> Iterator[_Match]:
    for shuffle in graph.of_type("DepthToSpace"):
        feed = graph.producer(shuffle.input[0])
        activation = None
        if feed is not None and feed.op_type in _ACTIVATIONS:
            activation, feed = feed, graph.producer(feed.input[0])
        if feed is not None and feed.op_type == "Conv":
            yield _Match(feed, activation, shuffle)


def _refuse(graph: Graph, match: _Match) -> str | None:
    conv, shuffle = match.conv, match.shuffle
    if attribute(shuffle, "mode", "DCR") != "CRD":
        return "the shuffle takes channels in DCR order"
    weight = graph.constant(conv.input[1])
    if weight is None or weight.shape[2:] != (1, 1) or attribute(conv, "group", 1) != 1:
        return "the convolution is not a dense 1x1 of constant weights"
    if len(conv.input) > 2 and conv.input[2] and graph.constant(conv.input[2]) is None:
        return "the bias is computed"
    if attribute(conv, "strides", [1, 1]) != [1, 1] or any(attribute(conv, "pads", [0] * 4)):
        return "the convolution is strided or padded"
    between = [conv.output[0]] if match.activation is None else [conv.output[0], match.activation.output[0]]
    if any(graph.only_consumer(tensor) is None for tensor in between):
        return "others read the maps before the shuffle"
    if graph.shape(match.where) is None:
        return "the size is not fixed"
    return None


def _refuse_map(graph: Graph, match: _Match) -> str | None:
    reason = _refuse(graph, match)
    if reason is None and _per_pixel_bias(graph, match) is not None:
        return "the bias differs between sub-pixels, and adding it costs the kernel that is saved"
    if reason is None and any(reader.op_type in ("Concat", "Slice") for reader in graph.consumers(match.where)):
        return "the shuffled map is copied into another, which is one kernel with the shuffle"
    return reason


def _per_pixel_bias(graph: Graph, match: _Match) -> NDArray[Any] | None:
    """The bias as (C, r, r) where it differs between the sub-pixels of a channel, else None."""
    bias = graph.constant(match.conv.input[2]) if len(match.conv.input) > 2 else None
    if bias is None:
        return None
    factor = int(attribute(match.shuffle, "blocksize", 0))
    per_pixel = bias.reshape(-1, factor, factor)
    return None if (per_pixel == per_pixel[:, :1, :1]).all() else per_pixel


def _rewrite(graph: Graph, match: _Match) -> None:
    conv, where = match.conv, match.where
    factor = int(attribute(match.shuffle, "blocksize", 0))
    weight = graph.constant(conv.input[1])
    assert weight is not None
    c_out, c_in = weight.shape[0] // factor**2, weight.shape[1]
    blocks = weight.reshape(c_out, factor, factor, c_in).transpose(3, 0, 1, 2)
    inputs = [conv.input[0], graph.add_constant(blocks, f"{conv.input[1]}/transposed")]
    bias = graph.constant(conv.input[2]) if len(conv.input) > 2 else None
    per_pixel = _per_pixel_bias(graph, match)
    if bias is not None and per_pixel is None:
        inputs.append(graph.add_constant(bias[:: factor**2], f"{where}/bias"))
    result = graph.add("ConvTranspose", inputs, f"{where}/spread", kernel_shape=[factor] * 2, strides=[factor] * 2)
    if per_pixel is not None:
        result = graph.add("Add", [result, _tiled(graph, per_pixel, where)], f"{where}/biased")
    if match.activation is not None:
        activation = match.activation
        kept = {entry.name: attribute(activation, entry.name, None) for entry in activation.attribute}
        result = graph.add(activation.op_type, [result, *activation.input[1:]], f"{where}/activated", **kept)
    graph.remove([match.shuffle])
    graph.redirect(where, result)


def _tiled(graph: Graph, per_pixel: NDArray[Any], where: str) -> str:
    """The bias of every output pixel; tiled in the graph, as engines fold it and files stay small."""
    shape = graph.shape(where)
    assert shape is not None
    block = graph.add_constant(per_pixel[None], f"{where}/bias")
    times = np.array([1, 1, shape[2] // per_pixel.shape[1], shape[3] // per_pixel.shape[2]], np.int64)
    return graph.add("Tile", [block, graph.add_constant(times, f"{where}/times")], f"{where}/bias_map")


CONV_SHUFFLE = Rewrite(name="conv-shuffle", find=_find, refuse=_refuse_map, rewrite=_rewrite, backends=TENSORRT)
CONV_SHUFFLE_MAP = Rewrite(name="conv-shuffle-map", find=_find, refuse=_refuse, rewrite=_rewrite, backends=frozenset())
