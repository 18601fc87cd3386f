"""What a parsed network says of itself, layer by layer, before an engine is made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgedepth.engines.session import Precision

CONVOLUTIONS = ("CONVOLUTION", "DECONVOLUTION")


@dataclass(frozen=True, kw_only=True)
class LayerFact:
    """A layer: its name, kind, and the types and shapes of what it reads and makes (types as "FLOAT", "HALF")."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    input_types: tuple[str, ...]
    outputs: tuple[str, ...]
    output_types: tuple[str, ...]
    output_shapes: tuple[tuple[int, ...], ...]


def layers_of(network: Any) -> tuple[LayerFact, ...]:
    """Every layer of an `INetworkDefinition`, in order."""
    return tuple(_fact(network.get_layer(index)) for index in range(network.num_layers))


def _fact(layer: Any) -> LayerFact:
    given = [layer.get_input(index) for index in range(layer.num_inputs)]
    inputs = [tensor for tensor in given if tensor is not None]
    outputs = [layer.get_output(index) for index in range(layer.num_outputs)]
    return LayerFact(
        name=layer.name,
        kind=layer.type.name,
        inputs=tuple(tensor.name for tensor in inputs),
        input_types=tuple(tensor.dtype.name for tensor in inputs),
        outputs=tuple(tensor.name for tensor in outputs),
        output_types=tuple(tensor.dtype.name for tensor in outputs),
        output_shapes=tuple(tuple(tensor.shape) for tensor in outputs),
    )


def precision_of(layers: Sequence[LayerFact]) -> Precision:
    """The precision a network computes its convolutions in: the lowest that one of them has."""
    dequantised = {name for layer in layers if layer.kind == "DEQUANTIZE" for name in layer.outputs}
    convolutions = [layer for layer in layers if layer.kind in (*CONVOLUTIONS, "MATRIX_MULTIPLY")]
    if any(layer.inputs and layer.inputs[0] in dequantised for layer in convolutions):
        return "int8"
    if any("HALF" in layer.output_types for layer in convolutions or layers):
        return "fp16"
    return "fp32"


def types_by_kind(layers: Sequence[LayerFact]) -> dict[str, dict[str, int]]:
    """How many layers of each kind make which type: {"CONVOLUTION": {"HALF": 40}}."""
    table: dict[str, Counter[str]] = {}
    for layer in layers:
        for dtype in layer.output_types[:1]:
            table.setdefault(layer.kind, Counter())[dtype] += 1
    return {kind: dict(counts) for kind, counts in sorted(table.items())}
