"""A 1x1 convolution after an upsampling moves before it.

Interpolation makes every output pixel a weighted mean of input pixels, the same weights for all channels, and a 1x1
convolution mixes channels the same way at every pixel; both are linear and work on different axes, so they commute.
The weights of a mean sum to one, so the bias commutes too::

    conv(up(x)) = up(conv(x))

At scale r the convolution then runs on 1 / r^2 of the pixels, and the upsampling on c_out instead of c_in channels.

Where upsampled maps are concatenated with others first, linearity splits the convolution over the channels::

    conv(concat(up(a), b)) = up(conv_a(a)) + conv_b(b)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from edgedepth.export.passes.graph import Graph, attribute
from edgedepth.export.passes.machine import Rewrite


@dataclass(frozen=True)
class _Match:
    conv: NodeProto
    joined: tuple[str, ...]  # what the convolution reads, in channel order
    position: int  # which of these is the upsampled map
    resize: NodeProto

    @property
    def where(self) -> str:
        return str(self.conv.output[0])


def _find(graph: Graph) -> Iterator[_Match]:
    for conv in graph.of_type("Conv"):
        joined = graph.channel_parts(conv.input[0])
        for position, tensor in enumerate(joined):
            resize = graph.producer(tensor)
            if resize is not None and resize.op_type == "Resize":
                yield _Match(conv, joined, position, resize)
                break


def _refuse(graph: Graph, match: _Match) -> str | None:
    conv, resize = match.conv, match.resize
    weight = graph.constant(conv.input[1])
    if weight is None or weight.shape[2:] != (1, 1) or attribute(conv, "group", 1) != 1:
        return "the convolution is not a dense 1x1 of constant weights"
    if attribute(conv, "strides", [1, 1]) != [1, 1] or any(attribute(conv, "pads", [0] * 4)):
        return "the convolution is strided or padded"
    if attribute(resize, "coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        return "the resize extrapolates, so its weights do not sum to one"
    before, after = graph.shape(resize.input[0]), graph.shape(resize.output[0])
    if before is None or after is None:
        return "the size is not fixed"
    if any(graph.shape(tensor) is None for tensor in match.joined):
        return "the shape of what is joined is not known"
    if len(before) != 4 or before[:2] != after[:2]:
        return "the resize is not over height and width alone"
    if before[2] * before[3] >= after[2] * after[3]:
        return "the resize does not enlarge"
    if attribute(resize, "axes", None) is not None:
        return "the resize names its axes"
    if weight.shape[0] > before[1]:
        return "the convolution widens, so more maps would have to be upsampled"
    if len(match.joined) == 1 and graph.only_consumer(resize.output[0]) is None:
        return "others read the upsampled map too"
    return None


def _rewrite(graph: Graph, match: _Match) -> None:
    conv, resize, where = match.conv, match.resize, match.where
    weight = graph.constant(conv.input[1])
    assert weight is not None
    widths = [(graph.shape(tensor) or ())[1] for tensor in match.joined]
    start = sum(widths[: match.position])
    own = np.arange(start, start + widths[match.position])
    kernel = graph.add_constant(weight[:, own], f"{conv.input[1]}/low")
    low = graph.add("Conv", [resize.input[0], kernel, *conv.input[2:]], f"{where}/low", kernel_shape=[1, 1])
    kept = {entry.name: attribute(resize, entry.name, None) for entry in resize.attribute}
    result = graph.add("Resize", [low, *_extent(graph, match, weight.shape[0])], f"{where}/up", **kept)
    others = [tensor for index, tensor in enumerate(match.joined) if index != match.position]
    if others:
        feed = others[0] if len(others) == 1 else graph.add("Concat", others, f"{where}/joined", axis=1)
        rest = graph.add_constant(np.delete(weight, own, axis=1), f"{conv.input[1]}/rest")
        partial = graph.add("Conv", [feed, rest], f"{where}/rest", kernel_shape=[1, 1])
        result = graph.add("Add", [partial, result], f"{where}/sum")
    graph.remove([conv])
    graph.redirect(where, result)


def _extent(graph: Graph, match: _Match, channels: int) -> list[str]:
    """The inputs that say how far to resize: scales where the resize had them, else the output's size.

    A size is not turned into scales: 10 x 3.8 in single precision is 37.99, and the result a row short.
    """
    resize, where = match.resize, match.where
    if len(resize.input) > 2 and resize.input[2]:
        scales = graph.constant(resize.input[2])
        if scales is not None and scales.size == 4:
            return ["", graph.add_constant(scales, f"{where}/scales")]
    after = graph.shape(resize.output[0])
    assert after is not None
    sizes = np.array([after[0], channels, *after[2:]], np.int64)
    return ["", "", graph.add_constant(sizes, f"{where}/sizes")]


UPSAMPLE_CONV = Rewrite(name="upsample-conv", find=_find, refuse=_refuse, rewrite=_rewrite)
