"""Cross-layer equalisation: channels are rescaled so that one range fits all of them, without changing the function.

Between layers that are linear in each channel's scale, a channel may be divided by s and what reads it multiplied by
s (M. Nagel et al., Data-Free Quantization through Weight Equalization and Bias Correction, ICCV 2019, section 4.1)::

    relu(W1 x / s + b1 / s) = relu(W1 x + b1) / s        for s > 0

Nagel balances the weight ranges of both layers. Here weights have a scale per output channel, so the maker's side is
free, and so is a depthwise reader's; what suffers is the one scale of the activation between them. Therefore::

    s_c = a_c                  where only depthwise layers read: every channel then fills the range
    s_c = sqrt(a_c / w_c)      where a dense layer reads, with w_c the largest weight that reads channel c

with a_c the largest activation observed. Residual streams are rescaled as a whole: all that is added together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto

from edgedepth.calibration.affine import written
from edgedepth.calibration.observe import Statistics
from edgedepth.export.passes.graph import Graph, attribute

# Operators through which a positive scale per channel passes unchanged.
_CARRIERS = ("Relu", "Add", "MaxPool", "AveragePool", "GlobalAveragePool", "Resize", "ReduceMean")
# No channel is stretched or shrunk by more than this: a channel that is nearly always zero says little of its range.
_MOST = 64.0


@dataclass
class Stream:
    """Tensors that share one scale per channel: what is added together, and what only passes through.

    makers: the convolutions whose outputs they are. readers: (convolution, its first channel of the stream).
    """

    tensors: set[str] = field(default_factory=set)
    makers: list[NodeProto] = field(default_factory=list)
    readers: list[tuple[NodeProto, int]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The stream's name: its first maker's output."""
        return str(self.makers[0].output[0])


def equalise(model: onnx.ModelProto, seen: Mapping[str, Statistics]) -> tuple[onnx.ModelProto, dict[str, list[float]]]:
    """An equal FP32 model whose streams are balanced, and the scale of every stream's channels by its name."""
    graph = Graph(model)
    scales = {}
    for stream in streams_of(graph):
        scale = _scale(graph, stream, seen)
        if scale is not None:
            scales[stream.name] = written(scale)
    return apply_scales(model, scales), scales


def apply_scales(model: onnx.ModelProto, scales: Mapping[str, list[float]]) -> onnx.ModelProto:
    """The equal FP32 model in which each named stream's channels are divided by its scales."""
    graph = Graph(model)
    for stream in streams_of(graph):
        if stream.name in scales:
            _divide(graph, stream, np.asarray(scales[stream.name], np.float64))
    graph.tidy()
    return graph.model


def streams_of(graph: Graph) -> list[Stream]:
    """The streams that can be rescaled, in order: made by convolutions only and read by convolutions only."""
    done: set[str] = set()
    streams = []
    for node in graph.of_type("Conv"):
        if node.output[0] in done:
            continue
        stream, closed = _grow(graph, node.output[0])
        done |= stream.tensors
        if closed and stream.makers and stream.readers:
            streams.append(stream)
    return streams


def _grow(graph: Graph, start: str) -> tuple[Stream, bool]:
    """Everything tied to a tensor, and whether it may be rescaled."""
    stream, waiting, closed = Stream(), [start], True
    while waiting:
        tensor = waiting.pop()
        if tensor in stream.tensors:
            continue
        stream.tensors.add(tensor)
        closed &= not graph.is_output(tensor)
        maker = graph.producer(tensor)
        if maker is not None and maker.op_type == "Conv" and all(map(graph.is_constant, maker.input[1:])):
            stream.makers.append(maker)
        elif maker is not None and maker.op_type in _CARRIERS and not _has_constant_term(graph, maker):
            waiting += maker.input[:2] if maker.op_type == "Add" else maker.input[:1]
        else:
            closed = False
        for reader in graph.consumers(tensor):
            if reader.op_type == "Conv" and reader.input[0] == tensor and graph.is_constant(reader.input[1]):
                stream.readers.append((reader, 0))
            elif reader.op_type == "Concat" and _joins_channels(graph, reader):
                closed &= _read_through(graph, stream, reader, tensor)
            elif reader.op_type in _CARRIERS and _keeps_channels(graph, reader):
                waiting.append(reader.output[0])
            else:
                closed = False
    widths = {(graph.shape(tensor) or (0, -1))[1] for tensor in stream.tensors}
    return stream, closed and len(widths) == 1


def _has_constant_term(graph: Graph, node: NodeProto) -> bool:
    return node.op_type == "Add" and any(graph.is_constant(name) for name in node.input)


def _keeps_channels(graph: Graph, node: NodeProto) -> bool:
    """False for a mean over the channels, and for the addition of a constant."""
    if node.op_type == "ReduceMean":
        axes = graph.constant(node.input[1]) if len(node.input) > 1 else None
        return axes is not None and bool(attribute(node, "keepdims", 1)) and 1 not in axes and -3 not in axes
    return not _has_constant_term(graph, node)


def _joins_channels(graph: Graph, node: NodeProto) -> bool:
    return attribute(node, "axis", 0) in (1, -3) and not graph.is_output(node.output[0])


def _read_through(graph: Graph, stream: Stream, concat: NodeProto, tensor: str) -> bool:
    """Add the convolutions that read a tensor through a concatenation; False where others read it too."""
    offset = 0
    for name in concat.input:
        if name == tensor:
            break
        shape = graph.shape(name)
        if shape is None:
            return False
        offset += shape[1]
    readers = graph.consumers(concat.output[0])
    if list(concat.input).count(tensor) > 1:
        return False
    if any(reader.op_type != "Conv" or not graph.is_constant(reader.input[1]) for reader in readers):
        return False
    # a grouped convolution's weights have no axis of all input channels to scale
    if any(attribute(reader, "group", 1) != 1 for reader in readers):
        return False
    stream.readers += [(reader, offset) for reader in readers]
    return True


def _scale(graph: Graph, stream: Stream, seen: Mapping[str, Statistics]) -> NDArray[np.float64] | None:
    """(C,) what the channels are divided by; None where nothing was observed."""
    observed = [seen[name].channel_max for name in stream.tensors if name in seen and seen[name].channel_max.size]
    width = (graph.shape(stream.makers[0].output[0]) or (0, 0))[1]
    observed = [values for values in observed if values.size == width]
    if not observed:
        return None
    active = np.max(observed, axis=0)
    weights = [
        w for w in (_reading(graph, reader, offset, width) for reader, offset in stream.readers) if w is not None
    ]
    read = np.max(weights, axis=0) if weights else np.ones(width)
    raw = np.sqrt(active / np.maximum(read, 1e-12)) if weights else active
    alive = (active > 0) & (read > 0)
    if not alive.any():
        return None
    middle = float(np.exp(np.log(raw[alive]).mean()))
    return np.where(alive, np.clip(raw / middle, 1 / _MOST, _MOST), 1.0)


def _reading(graph: Graph, node: NodeProto, offset: int, width: int) -> NDArray[np.float64] | None:
    """(C,) largest weight that reads each channel; None for a depthwise layer, whose channels have their own scale."""
    weight = graph.constant(node.input[1])
    assert weight is not None
    if attribute(node, "group", 1) != 1:
        return None
    part: NDArray[Any] = np.abs(weight[:, offset : offset + width]).max(axis=(0, 2, 3))
    return part.astype(np.float64)


def _divide(graph: Graph, stream: Stream, scale: NDArray[np.float64]) -> None:
    for maker in stream.makers:
        _multiply(graph, maker, 1, (1.0 / scale)[:, None, None, None])
        if len(maker.input) > 2:
            _multiply(graph, maker, 2, 1.0 / scale)
    width = scale.size
    for reader, offset in stream.readers:
        weight = graph.constant(reader.input[1])
        assert weight is not None
        group = attribute(reader, "group", 1)
        if group == 1:
            factor = np.ones((1, weight.shape[1], 1, 1))
            factor[0, offset : offset + width, 0, 0] = scale
        else:
            per_group = weight.shape[1]
            filters = weight.shape[0] // group
            factor = scale.reshape(group, per_group).repeat(filters, axis=0)[:, :, None, None]
        _multiply(graph, reader, 1, factor)


def _multiply(graph: Graph, node: NodeProto, index: int, factor: NDArray[np.float64]) -> None:
    """Replace a constant input by its product; the constant itself may have other readers."""
    value = graph.constant(node.input[index])
    assert value is not None
    base = node.input[index].removesuffix("/equalised")
    node.input[index] = graph.add_constant((value * factor).astype(np.float32), f"{base}/equalised")
