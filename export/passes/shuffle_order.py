"""Pixel-shuffles whose sub-pixels are blocks of whole channels, so that runs of values are copied and not single ones.

PyTorch's pixel-shuffle reads channel c of sub-pixel k from c r^2 + k (ONNX: mode CRD). The convolution before it may
make its channels in any order; made as k C + c (mode DCR), all channels of a sub-pixel lie together, which is how
channels-last layouts, and so INT8, move them. Only weights and biases change places; no value changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto, helper

from edgedepth.export.passes.graph import Graph, attribute
from edgedepth.export.passes.machine import Rewrite


@dataclass(frozen=True)
class Shuffle:
    """A pixel-shuffle, and the convolution and activation that make what it shuffles."""

    shuffle: NodeProto
    convolution: NodeProto | None

    @property
    def where(self) -> str:
        """The tensor that is shuffled."""
        return str(self.shuffle.output[0])


def _find(graph: Graph) -> Iterator[Shuffle]:
    for shuffle in graph.of_type("DepthToSpace"):
        if attribute(shuffle, "mode", "DCR") == "CRD":
            tensor = shuffle.input[0]
            maker = graph.producer(tensor)
            while maker is not None and maker.op_type == "Relu" and graph.only_consumer(tensor) is not None:
                tensor = maker.input[0]
                maker = graph.producer(tensor)
            alone = graph.only_consumer(tensor) is not None
            yield Shuffle(shuffle, maker if maker is not None and maker.op_type == "Conv" and alone else None)


def _refuse(graph: Graph, match: Shuffle) -> str | None:
    if match.convolution is None:
        return "others than a convolution and its activation make what is shuffled, or somebody else reads it"
    if attribute(match.convolution, "group", 1) != 1:
        return "the convolution is grouped"
    if not all(graph.is_constant(name) for name in match.convolution.input[1:]):
        return "the weights are computed"
    return None


def _rewrite(graph: Graph, match: Shuffle) -> None:
    assert match.convolution is not None
    block = attribute(match.shuffle, "blocksize", 1) ** 2
    for index, name in enumerate(match.convolution.input[1:], start=1):
        value = graph.constant(name)
        assert value is not None
        blocks = value.reshape(-1, block, *value.shape[1:]).swapaxes(0, 1).reshape(value.shape)
        match.convolution.input[index] = graph.add_constant(np.ascontiguousarray(blocks), f"{name}/blocks")
    kept = [entry for entry in match.shuffle.attribute if entry.name != "mode"]
    del match.shuffle.attribute[:]
    match.shuffle.attribute.extend([*kept, helper.make_attribute("mode", "DCR")])


SHUFFLE_ORDER: Rewrite[Shuffle] = Rewrite(
    name="shuffle-order", find=_find, refuse=_refuse, rewrite=_rewrite, backends=frozenset({"openvino"})
)
