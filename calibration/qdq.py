"""Q/DQ insertion: which tensors of a graph are rounded to eight bits, said in the graph itself.

The form is the one that TensorRT 10, 11 and RTX read and fuse: activations are quantised where a quantised layer
reads them and nowhere else, once per tensor; weights are stored as INT8 with one scale per output channel; biases stay
floating point. What else pays differs by backend and is a `Form`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto

from edgedepth.calibration.affine import Affine, Range, Signedness, affine_of, quantise_weights
from edgedepth.calibration.layers import Kind, Layer, layers_of
from edgedepth.core.errors import EdgeDepthError, InputError
from edgedepth.export.passes.graph import Graph
from edgedepth.export.passes.machine import Rewrite

# Operators that move values about and change none.
_MOVERS = ("Concat", "DepthToSpace", "Slice")
# A range up to so many times wider costs little accuracy, and sharing it saves a rounding.
_NEARLY = 1.6


@dataclass(frozen=True, kw_only=True)
class Form:
    """What pays on a backend.

    activations: "int8" symmetric, or "uint8" with a zero point.
    largest_weight: integer that the largest weight of an output channel becomes.
    kinds: the kinds of layers that are quantised (see `Layer.kind`).
    residual: what is added to a quantised layer's output is read quantised too, where it is quantised anyway or
        its range is known: the addition then fuses with the layer.
    outputs: quantise the outputs of quantised layers as well, but for corrections of depth: for engines that only know
        whole integer operators.
    early: round before values are joined or shuffled, so that a quarter of the bytes are moved.
    shared: round a tensor once where what it is joined into has nearly its range, and not once for each reader.
    half: type the rest of the network FP16 (see `edgedepth.export.precision`); otherwise it stays FP32.
    rewrites: exact ones of the FP32 graph, that come first; they keep the names of what is quantised.
    """

    activations: Signedness
    largest_weight: int = 127
    kinds: frozenset[Kind] = field(default=frozenset({"dense", "depthwise", "first"}))
    residual: bool = True
    outputs: bool = False
    early: bool = False
    shared: bool = False
    half: bool = False
    rewrites: tuple[Rewrite[Any], ...] = ()


def quantisable(graph: Graph, form: Form) -> tuple[Layer, ...]:
    """The layers that a form quantises, in order."""
    return tuple(layer for layer in layers_of(graph) if layer.kind in form.kinds)


def tensors_to_observe(graph: Graph) -> tuple[str, ...]:
    """Every activation whose range some form may need: what convolutions read, what they make, and what is added."""
    names: dict[str, None] = {}
    for layer in layers_of(graph):
        names |= dict.fromkeys((layer.source, layer.name))
    for node in graph.of_type("Add"):
        names |= dict.fromkeys(node.input)
    return tuple(name for name in names if not graph.is_constant(name))


def insert_qdq(
    model: onnx.ModelProto, layers: Collection[Layer], ranges: Mapping[str, Range], form: Form
) -> onnx.ModelProto:
    """The INT8 form of a float32 model, before any FP16 typing; the model given is not changed.

    layers: those to quantise. ranges: of the activations by tensor, in the units of the FP32 graph.

    Raises:
        InputError: a range is missing, or not finite.
        EdgeDepthError: the result is not a valid model.
    """
    graph = Graph(model)
    writer = _Writer(graph, layers, ranges, form)
    for layer in layers:
        writer.quantise_layer(layer)
    if form.residual:
        writer.quantise_residuals()
    if form.outputs:
        writer.quantise_outputs()
    graph.tidy()
    try:
        onnx.checker.check_model(graph.model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise EdgeDepthError(f"Q/DQ insertion left an invalid graph: {' '.join(str(error).split())}") from error
    return graph.model


class _Writer:
    """Adds one Q/DQ pair per activation and one DQ per weight, and lets the readers read them."""

    def __init__(self, graph: Graph, layers: Collection[Layer], ranges: Mapping[str, Range], form: Form) -> None:
        self._graph = graph
        self._layers = [layer.name for layer in layers]
        # what a thin layer's correction is added to is depth itself, which eight bits are too few for
        self._features = {layer.name for layer in layers if layer.kind != "thin"}
        self._ranges = shared_ranges(graph, layers, ranges) if form.shared else ranges
        self._form = form
        self._pairs: dict[str, str] = {}
        self._moved: dict[tuple[str, Affine], str] = {}

    def quantise_layer(self, layer: Layer) -> None:
        node = self._graph.producer(layer.name)
        assert node is not None
        node.input[0] = self._rounded(layer.source)
        weight = self._graph.constant(layer.weight)
        assert weight is not None
        integers, scales = quantise_weights(weight, self._form.largest_weight)
        base = f"{layer.weight}/int8"
        names = [self._graph.add_constant(integers, base), self._graph.add_constant(scales, f"{base}/scale")]
        node.input[1] = self._graph.add("DequantizeLinear", names, f"{base}/real", axis=0)

    def quantise_residuals(self) -> None:
        for node in self._graph.of_type("Add"):
            made = [index for index, name in enumerate(node.input) if name in self._features]
            if len(made) != 1:
                continue
            other = 1 - made[0]
            name = node.input[other]
            if name in self._pairs or name in self._ranges:
                node.input[other] = self._rounded(name)

    def quantise_outputs(self) -> None:
        """Round what quantised layers make, after the ReLU where one follows at once; but no correction of depth."""
        for name in self._layers:
            if name not in self._features:
                continue
            reader = self._graph.only_consumer(name)
            tensor = reader.output[0] if reader is not None and reader.op_type == "Relu" else name
            if self._graph.is_output(tensor) or tensor not in self._ranges:
                continue
            # found before rounding is added, as that reads the tensor too
            readers = [node for node in self._graph.consumers(tensor) if node.op_type != "QuantizeLinear"]
            if readers:
                rounded = self._rounded(tensor)
                for node in readers:
                    _replace_input(node, tensor, rounded)

    def _rounded(self, tensor: str) -> str:
        """The tensor after rounding to eight bits; each is rounded once, for all its readers."""
        if tensor not in self._pairs:
            affine = affine_of(self._range(tensor), self._form.activations)
            self._pairs[tensor] = self._moved[tensor, affine] = self._add(tensor, affine)
        return self._pairs[tensor]

    def _add(self, tensor: str, affine: Affine, mover: NodeProto | None = None) -> str:
        """Round a tensor; before it is joined or shuffled from others, where the form says so and nobody else reads it.

        Rounding and moving values about commute, so this changes no value. mover: who reads it, where that too only
        moves what is rounded.
        """
        maker = self._graph.producer(tensor)
        if not self._form.early or maker is None or maker.op_type not in _MOVERS:
            return add_pair(self._graph, tensor, affine)
        readers = self._graph.consumers(tensor)
        exact = [node for node in readers if node != mover and node.output[0] not in self._layers]
        if exact or (mover is not None and len(readers) > 1) or self._graph.is_output(tensor):
            return add_pair(self._graph, tensor, affine)
        for index in range(len(maker.input) if maker.op_type == "Concat" else 1):
            maker.input[index] = self._add_once(maker.input[index], affine, maker)
        return tensor

    def _add_once(self, tensor: str, affine: Affine, mover: NodeProto) -> str:
        key = (tensor, affine)
        if key not in self._moved:
            self._moved[key] = self._add(tensor, affine, mover)
        return self._moved[key]

    def _range(self, tensor: str) -> Range:
        if tensor not in self._ranges:
            raise InputError(f"the calibration has no range for tensor {tensor!r}; calibrate this bundle again")
        low, high = self._ranges[tensor]
        if not (np.isfinite(low) and np.isfinite(high)):
            raise InputError(f"the range of tensor {tensor!r} is not finite: [{low}, {high}]; calibrate again")
        return low, high


def shared_ranges(graph: Graph, layers: Collection[Layer], ranges: Mapping[str, Range]) -> dict[str, Range]:
    """Ranges in which what is joined into a layer's source has the source's own, where the two are nearly the same."""
    changed = dict(ranges)
    sources = [layer.source for layer in layers if layer.source in ranges]
    for source in sources:
        near = [name for name in _joined_into(graph, source) if name in sources and _near(ranges, name, source)]
        spans = [changed[name] for name in (source, *near)]
        union = min(low for low, _ in spans), max(high for _, high in spans)
        changed |= dict.fromkeys((source, *near), union)
    return changed


def _joined_into(graph: Graph, tensor: str) -> list[str]:
    """What is only moved about on its way into a tensor."""
    found: list[str] = []
    waiting = [tensor]
    while waiting:
        maker = graph.producer(waiting.pop())
        if maker is not None and maker.op_type in _MOVERS:
            names = list(maker.input) if maker.op_type == "Concat" else [maker.input[0]]
            found += names
            waiting += names
    return found


def _near(ranges: Mapping[str, Range], tensor: str, other: str) -> bool:
    widths = [max(high, 0.0) - min(low, 0.0) for low, high in (ranges[tensor], ranges[other])]
    return max(widths) <= _NEARLY * min(widths)


def add_pair(graph: Graph, tensor: str, affine: Affine) -> str:
    """Add QuantizeLinear and DequantizeLinear after a tensor and return the name of what comes out."""
    scale = graph.add_constant(np.array(affine.scale, np.float32), f"{tensor}/scale")
    zero = graph.add_constant(np.array(affine.zero_point, affine.dtype), f"{tensor}/zero")
    integer = graph.add("QuantizeLinear", [tensor, scale, zero], f"{tensor}/{affine.dtype}")
    return graph.add("DequantizeLinear", [integer, scale, zero], f"{tensor}/rounded")


def _replace_input(node: NodeProto, old: str, new: str) -> None:
    for index, name in enumerate(node.input):
        if name == old:
            node.input[index] = new
