"""Concatenations padded with zero channels to a multiple of 16 before a convolution.

Engines that keep tensors in blocks of 16 channels fall back to a slower layout where a convolution reads a number of
channels that is no multiple of it, as a concatenation with a 3-channel image gives. Channels of zeros, with zero
weights, add nothing to any sum; not even rounding changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from edgedepth.export.passes.graph import Graph, attribute
from edgedepth.export.passes.machine import Rewrite

BLOCK = 16


@dataclass(frozen=True)
class _Match:
    concat: NodeProto

    @property
    def where(self) -> str:
        return str(self.concat.output[0])


def _find(graph: Graph) -> Iterator[_Match]:
    for concat in graph.of_type("Concat"):
        shape = graph.shape(concat.output[0])
        readers = graph.consumers(concat.output[0])
        if attribute(concat, "axis", 0) not in (1, -3) or shape is None or len(shape) != 4:
            continue
        if shape[1] % BLOCK and any(reader.op_type == "Conv" for reader in readers):
            yield _Match(concat)


def _refuse(graph: Graph, match: _Match) -> str | None:
    shape = graph.shape(match.where)
    assert shape is not None
    if shape[1] < 2 * BLOCK:
        return f"padding {shape[1]} channels to {BLOCK * -(-shape[1] // BLOCK)} costs more than the layout gains"
    if graph.is_output(match.where):
        return "the concatenation leaves the graph"
    for reader in graph.consumers(match.where):
        if reader.op_type != "Conv" or attribute(reader, "group", 1) != 1 or not graph.is_constant(reader.input[1]):
            return "others than dense convolutions of constant weights read the concatenation"
    if any(graph.shape(name) is None for name in match.concat.input):
        return "the shape of what is concatenated is not known"
    return None


def _rewrite(graph: Graph, match: _Match) -> None:
    shape = graph.shape(match.where)
    assert shape is not None
    missing = -shape[1] % BLOCK
    small = _smallest(graph, match.concat)
    start = 0
    for name in match.concat.input:
        start += (graph.shape(name) or ())[1]
        if name == small:
            break
    pads = graph.add_constant(np.array([0, 0, 0, 0, 0, missing, 0, 0], np.int64), f"{match.where}/pads")
    padded = graph.add("Pad", [small, pads], f"{match.where}/filled")
    feeds = list(match.concat.input)
    feeds[feeds.index(small)] = padded
    joined = graph.add("Concat", feeds, f"{match.where}/padded", axis=1)
    for reader in graph.consumers(match.where):
        weight = graph.constant(reader.input[1])
        assert weight is not None
        zeros = np.zeros((weight.shape[0], missing, *weight.shape[2:]), weight.dtype)
        wide = np.concatenate([weight[:, :start], zeros, weight[:, start:]], axis=1)
        reader.input[1] = graph.add_constant(wide, f"{reader.input[1]}/padded")
        reader.input[0] = joined


def _smallest(graph: Graph, concat: NodeProto) -> str:
    """The input with the fewest channels: padding it copies the least."""
    return min(map(str, concat.input), key=lambda name: (graph.shape(name) or (0, 1 << 30))[1])


PAD_CHANNELS = Rewrite(
    name="pad-channels", find=_find, refuse=_refuse, rewrite=_rewrite, backends=frozenset({"onnxruntime"})
)
