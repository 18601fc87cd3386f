"""Half-size files that compute in full precision: large float32 constants are stored as float16 with a Cast.

Engines fold the Cast when they load the file, so nothing is slower. A checkpoint's own weights may be float16, but
batch norms are folded into them on export, which multiplies each output channel by a number of its own; stored
naively, the products would be rounded. So each such weight is stored as float16 base times float32 scale per output
channel, with the checkpoint's weights as the base where they are known: then next to nothing is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_SMALLEST = 1024  # elements; below this the Cast costs more than it saves
_FLOAT16_MAX = float(np.finfo(np.float16).max)


def compact(model: onnx.ModelProto, weights: Mapping[str, NDArray[Any]] | None = None) -> onnx.ModelProto:
    """A copy of a model whose large float32 initialisers are float16 with a Cast, and a per-channel scale.

    weights: the checkpoint's tensors by their name in the network; an initialiser whose name ends in such a name
        and whose channels are multiples of it is stored by that base.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    nodes: list[onnx.NodeProto] = []
    kept: list[onnx.TensorProto] = []
    for initializer in graph.initializer:
        value = numpy_helper.to_array(initializer)
        if not _worthwhile(initializer, value):
            kept.append(initializer)
            continue
        base, scale = _split(value, _base_of(initializer.name, value, weights or {}))
        name = initializer.name
        kept.append(numpy_helper.from_array(base, f"{name}/fp16"))
        cast = name if scale is None else f"{name}/base"
        nodes.append(helper.make_node("Cast", [f"{name}/fp16"], [cast], name=cast, to=TensorProto.FLOAT))
        if scale is not None:
            kept.append(numpy_helper.from_array(scale, f"{name}/scale"))
            nodes.append(helper.make_node("Mul", [cast, f"{name}/scale"], [name], name=name))
    nodes += list(graph.node)
    del graph.node[:]
    del graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
    onnx.checker.check_model(result, full_check=True)
    return result


def _worthwhile(initializer: onnx.TensorProto, value: NDArray[Any]) -> bool:
    return (
        initializer.data_type == TensorProto.FLOAT
        and value.size >= _SMALLEST
        and bool(np.abs(value).max() < _FLOAT16_MAX)
    )


def _base_of(name: str, value: NDArray[Any], weights: Mapping[str, NDArray[Any]]) -> NDArray[Any] | None:
    for own, weight in weights.items():
        if (name == own or name.endswith(f".{own}")) and weight.shape == value.shape:
            return weight
    return None


def _split(
    value: NDArray[np.float32], base: NDArray[Any] | None
) -> tuple[NDArray[np.float16], NDArray[np.float32] | None]:
    """float16 base and float32 scale per first axis; no scale where the base alone is exact."""
    plain = value.astype(np.float16)
    if np.array_equal(plain.astype(np.float32), value):
        return plain, None
    if base is not None and value.ndim == 4:
        half = base.astype(np.float16)
        wide = half.astype(np.float64)
        axes = tuple(range(1, value.ndim))
        power = (wide * wide).sum(axis=axes, keepdims=True)
        scale = (value * wide).sum(axis=axes, keepdims=True) / np.where(power > 0, power, 1.0)
        if _error(half, scale, value) < _error(plain, 1.0, value):
            return half, scale.astype(np.float32)
    return plain, None


def _error(half: NDArray[np.float16], scale: NDArray[Any] | float, value: NDArray[np.float32]) -> float:
    return float(np.abs(half.astype(np.float64) * scale - value).max())
