"""Which tensors do not fit into float16, on the evidence of real frames?

An engine on a CPU computes float16 graphs in float32 and hides what a GPU would do. So the float32 graph itself is
asked: for every tensor that typing would make float16, the largest magnitude, and the share that rounding to float16
loses, are computed inside the graph on every frame. Rounding to nearest costs about 1 part in 3500 (root mean square)
where values are normal numbers; it costs more only where they are so small that float16 has no digits left.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgedepth.engines import open_session
from edgedepth.export.passes.graph import Graph
from edgedepth.export.precision import float_islands, to_float16

# An eighth of float16's range: accumulation inside a kernel, and frames nobody tried, have room above it.
MAX_MAGNITUDE = 8192.0
MAX_LOSS = 1e-3


@dataclass(frozen=True, kw_only=True)
class TensorRange:
    """The largest magnitude a tensor took, and the relative error (root mean square) of rounding it to float16."""

    magnitude: float
    loss: float

    @property
    def fits(self) -> bool:
        """True where float16 holds the tensor with room to spare."""
        return self.magnitude <= MAX_MAGNITUDE and self.loss <= MAX_LOSS


def audited_float16(model: onnx.ModelProto, inputs: Sequence[NDArray[Any]]) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """The typed FP16 form of a model with what does not fit kept in float32, and the tensors that did not.

    inputs: arrays for the model's one input.
    """
    ranges = audit(model, inputs)
    unfit = tuple(name for name, found in ranges.items() if not found.fits)
    return to_float16(model, keep=nodes_around(model, unfit)), unfit


def audit(model: onnx.ModelProto, inputs: Sequence[NDArray[Any]]) -> dict[str, TensorRange]:
    """The range of every tensor that `to_float16` would make float16, over all inputs."""
    graph = Graph(model)
    islands = float_islands(graph)
    tensors = [
        name
        for node in graph.nodes
        if node.output[0] not in islands
        for name in node.output
        if graph.dtype(name) == TensorProto.FLOAT
    ]
    if not tensors:
        return {}
    probes = {name: _probe(graph, name) for name in tensors}
    feed = graph.model.graph.input[0].name
    worst = dict.fromkeys(tensors, (0.0, 0.0))
    with tempfile.TemporaryDirectory(prefix="edgedepth-audit-") as folder:
        path = Path(folder) / "audit.onnx"
        onnx.save(graph.model, path)
        with open_session(path, "onnxruntime") as session:
            for array in inputs:
                answer = session.run({feed: array}, [probe for group in probes.values() for probe in group])
                for name, group in probes.items():
                    highest, lowest, lost, power = (float(answer[probe]) for probe in group)
                    magnitude = max(abs(highest), abs(lowest))
                    loss = math.sqrt(lost / power) if power > 0 else 0.0
                    worst[name] = (max(worst[name][0], magnitude), max(worst[name][1], loss))
    return {name: TensorRange(magnitude=magnitude, loss=loss) for name, (magnitude, loss) in worst.items()}


def nodes_around(model: onnx.ModelProto, tensors: Collection[str]) -> frozenset[str]:
    """The nodes, by their first output, that make or read these tensors: all must compute in float32."""
    unfit = set(tensors)
    return frozenset(
        node.output[0]
        for node in Graph(model).nodes
        if unfit.intersection(node.output) or unfit.intersection(node.input)
    )


def _probe(graph: Graph, name: str) -> tuple[str, str, str, str]:
    """Add to the graph: a tensor's maximum and minimum, the power that rounding takes from it, and its power."""
    highest = graph.add("ReduceMax", [name], f"{name}/highest", keepdims=0)
    lowest = graph.add("ReduceMin", [name], f"{name}/lowest", keepdims=0)
    # A clip keeps infinities out of the difference; what is beyond it fails by its magnitude.
    low, high = (graph.add_constant(np.float32(sign * 65504.0), f"{name}/limit") for sign in (-1, 1))
    held = graph.add("Clip", [_sampled(graph, name), low, high], f"{name}/held")
    rounded = graph.add("Cast", [held], f"{name}/rounded", to=TensorProto.FLOAT16)
    back = graph.add("Cast", [rounded], f"{name}/back", to=TensorProto.FLOAT)
    difference = graph.add("Sub", [held, back], f"{name}/difference")
    lost = graph.add("ReduceSumSquare", [difference], f"{name}/lost", keepdims=0)
    power = graph.add("ReduceSumSquare", [held], f"{name}/power", keepdims=0)
    probes = (highest, lowest, lost, power)
    for probe in probes:
        graph.model.graph.output.append(helper.make_tensor_value_info(probe, TensorProto.FLOAT, []))
    return probes


def _sampled(graph: Graph, name: str) -> str:
    """Every fourth row and column of a large map: an average needs no more, and it is the costly part."""
    shape = graph.shape(name)
    if shape is None or len(shape) != 4 or min(shape[2:]) < 16:
        return name
    arguments = ([0, 0], [shape[2], shape[3]], [2, 3], [4, 4])
    names = [graph.add_constant(np.array(values, np.int64), f"{name}/sample") for values in arguments]
    return graph.add("Slice", [name, *names], f"{name}/sampled")
