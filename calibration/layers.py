"""Which convolutions of a graph can become INT8, what kind each is, and what share of the work it does."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from onnx import NodeProto

from edgedepth.export.measure import count_macs
from edgedepth.export.passes.graph import Graph, attribute

Kind = Literal["dense", "depthwise", "first", "thin", "head", "vector"]

_THIN = 4  # output channels up to which a layer makes depth, or a correction of it, and not features
_CONVOLUTIONS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A convolution that could be quantised.

    name: its output tensor, which names it everywhere. source: the activation it reads. weight: its constant.
    kind: "first" reads nothing but the image; "head" makes the logits of a softmax, or reads a map of bin indices;
        "thin" makes depth or a correction of it; "vector" works on 1x1 maps, where there is nothing to gain;
        "depthwise" has one input channel per filter; the rest is "dense".
    macs: multiply-adds per frame.
    """

    name: str
    source: str
    weight: str
    kind: Kind
    macs: int


def layers_of(graph: Graph) -> tuple[Layer, ...]:
    """The convolutions with constant weights, in order. Transposed ones are not among them: no engine gains there."""
    return tuple(_layer(graph, node) for node in graph.of_type("Conv") if graph.is_constant(node.input[1]))


def share_of_macs(chosen: Iterable[Layer], graph: Graph) -> float:
    """The part of a graph's multiply-adds that the chosen layers do, 0..1; products of matrices count among them."""
    total = count_macs(graph)
    return sum(layer.macs for layer in chosen) / total if total else 0.0


def _layer(graph: Graph, node: NodeProto) -> Layer:
    weight, output = graph.shape(node.input[1]) or (), graph.shape(node.output[0]) or ()
    macs = math.prod(weight) * math.prod(output[2:]) * (output[0] if output else 0)
    return Layer(
        name=node.output[0],
        source=node.input[0],
        weight=node.input[1],
        kind=_kind(graph, node, weight, output),
        macs=macs,
    )


def _kind(graph: Graph, node: NodeProto, weight: tuple[int, ...], output: tuple[int, ...]) -> Kind:
    if _reaches_softmax(graph, node) or weight[1] * attribute(node, "group", 1) == 1:
        return "head"
    if weight[0] <= _THIN:
        return "thin"
    if math.prod(output[2:]) == 1:
        return "vector"
    if _reads_only_the_image(graph, node.input[0]):
        return "first"
    if weight[1] == 1 and attribute(node, "group", 1) == weight[0]:
        return "depthwise"
    return "dense"


def _reaches_softmax(graph: Graph, node: NodeProto) -> bool:
    """True where a softmax comes before the next convolution."""
    waiting, seen = [node.output[0]], set[str]()
    while waiting:
        tensor = waiting.pop()
        for reader in graph.consumers(tensor):
            if reader.op_type in ("Softmax", "LogSoftmax"):
                return True
            if reader.op_type not in _CONVOLUTIONS and reader.output[0] not in seen:
                seen.add(reader.output[0])
                waiting.append(reader.output[0])
    return False


def _reads_only_the_image(graph: Graph, tensor: str) -> bool:
    """True where no convolution comes between the graph's input and a tensor."""
    waiting, seen = [tensor], set[str]()
    while waiting:
        maker = graph.producer(waiting.pop())
        if maker is None:
            continue
        if maker.op_type in _CONVOLUTIONS:
            return False
        for name in maker.input:
            if name and name not in seen:
                seen.add(name)
                waiting.append(name)
    return True
