"""A 5x5 convolution as nine smaller ones at half size: 64 multiply-adds per four outputs where there were 100.

Split what is read and what is made into even and odd rows, x_s[i] = x[2i + s] and y_s[i] = y[2i + s], and the five taps
W[-2..2] into E = (W[-2], W[0], W[2]) and O = (W[-1], W[1]). Then, along one axis::

    y_0[i] = (E x_0)[i] + (O x_1)[i]          E at d = -1, 0, 1 and O at d = -1, 0
    y_1[i] = (E x_1)[i] + (O x_0)[i + 1]      which reads x_0[i] and x_0[i + 1]

That is ten taps per two outputs. The second line is also what is left of one product of sums::

    y_1[i] = ((E + O') (x_0 + x_1))[i] - (E x_0)[i] - (O x_1)[i + 1]      O' is O at d = 0, 1

and its last two terms are already there: 3 + 2 + 3 taps. This is the fast FIR algorithm (Mou and Duhamel, "Short-length
FIR filters and their use in fast nonrecursive filtering", 1991, section III). Both axes together take 8 x 8 taps at a
quarter of the positions, and sums of maps, which cost little where there are many channels. A bias of b becomes biases
of (1, 0, 2) x (1, 0, 2) b, which the same sums bring back to b everywhere. Maps of odd size are padded by a row or
column of the zeros that the convolution would have read.

The sums change rounding, not the function; in INT8 they would double the range, so that only floating point takes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from onnx import NodeProto

from edgedepth.export.passes.graph import Array, Graph, attribute, attributes, not_dense
from edgedepth.export.passes.machine import SHARING, Rewrite
from edgedepth.export.passes.unpool_conv import crop

_LEAST_CHANNELS = 16  # read or made; with 16 of both the sums cost what they save (2.6 and 2.8 ms at 160x120, OpenVINO)

Part = Literal["even", "odd", "sum"]
_PARTS: tuple[Part, ...] = ("even", "odd", "sum")
_IN_FOUR = {"axis": 1, "num_outputs": 4}
_BIAS = {"even": 1, "odd": 0, "sum": 2}


@dataclass(frozen=True)
class _Match:
    conv: NodeProto

    @property
    def where(self) -> str:
        return str(self.conv.output[0])


def _find(graph: Graph) -> Iterator[_Match]:
    for conv in graph.of_type("Conv"):
        if (graph.dims(conv.input[1]) or ())[2:] == (5, 5):
            yield _Match(conv)


def _refuse(graph: Graph, match: _Match) -> str | None:
    conv = match.conv
    if not all(graph.is_constant(name) for name in conv.input[1:]):
        return "the weights are computed"
    if (reason := not_dense(conv)) is not None:
        return reason
    if attribute(conv, "pads", [0] * 4) != [2] * 4:
        return "the padding does not keep the size"
    if graph.shape(conv.input[0]) is None:
        return "the size of the map is open"
    if min((graph.shape(conv.input[1]) or ())[:2]) < _LEAST_CHANNELS:
        return f"it reads or makes fewer than {_LEAST_CHANNELS} channels, where the sums cost more than they save"
    return None


def _rewrite(graph: Graph, match: _Match) -> None:
    conv, where = match.conv, match.where
    weight, shape = graph.constant(conv.input[1]), graph.shape(where)
    assert weight is not None
    assert shape is not None
    bias = graph.constant(conv.input[2]) if len(conv.input) > 2 else None
    half = [(size + 1) // 2 for size in shape[2:]]
    read = _parts(graph, conv.input[0], half)
    made = {}
    for (row, column), tensor in read.items():
        name = f"{where}/{row}_{column}"
        kernel = part_of(part_of(weight, row, 2), column, 3)
        inputs = [tensor, graph.add_constant(kernel, f"{name}/weight")]
        if bias is not None and _BIAS[row] * _BIAS[column]:
            inputs.append(graph.add_constant(bias * _BIAS[row] * _BIAS[column], f"{name}/bias"))
        made[row, column] = graph.add("Conv", inputs, name, kernel_shape=list(kernel.shape[2:]), pads=[1, 1, 1, 1])
    rows = [
        _joined(graph, *(made[row, column] for row in _PARTS), axis=2, size=half[0], where=where) for column in _PARTS
    ]  # for each part of the columns: even rows, odd rows
    outputs = [
        phase
        for products in zip(*rows, strict=True)
        for phase in _joined(graph, *products, axis=3, size=half[1], where=where)
    ]
    phases = graph.add("Concat", outputs, f"{where}/phases", axis=1)
    result = graph.add("DepthToSpace", [phases], f"{where}/shuffled", blocksize=2, mode="DCR")
    result = crop(graph, result, shape, where)
    graph.remove([conv])
    graph.redirect(where, result)


def part_of(weight: Array, part: Part, axis: int) -> Array:
    """The taps of E, O or E + O' along an axis of five taps."""
    taps = np.moveaxis(weight, axis, 0)
    even, odd = taps[0::2], taps[1::2]
    if part == "sum":
        even = even.copy()
        even[1:] += odd
    return np.ascontiguousarray(np.moveaxis(odd if part == "odd" else even, 0, axis))


def _parts(graph: Graph, tensor: str, half: list[int]) -> dict[tuple[Part, Part], str]:
    """The maps that the nine convolutions read; convolutions of the same map share them."""
    names = _phases(graph, tensor, half)
    found: dict[tuple[Part, Part], str] = {
        ("even", "even"): names[0],
        ("even", "odd"): names[1],
        ("odd", "even"): names[2],
        ("odd", "odd"): names[3],
    }
    for column in ("even", "odd"):
        found["sum", column] = _sum(graph, found["even", column], found["odd", column])
    for row in _PARTS:
        found[row, "sum"] = _sum(graph, found[row, "even"], found[row, "odd"])
    return found


def _phases(graph: Graph, tensor: str, half: list[int]) -> tuple[str, ...]:
    """The even and odd rows and columns of a map: (even, even), (even, odd), (odd, even), (odd, odd)."""
    shape = graph.shape(tensor)
    assert shape is not None
    missing = [2 * size - had for size, had in zip(half, shape[2:], strict=True)]
    if any(missing):
        amounts = np.array([0, 0, 0, 0, 0, 0, *missing], np.int64)
        tensor = _once(graph, "Pad", [tensor], [amounts], f"{tensor}/padded")
    depth = _once(graph, "SpaceToDepth", [tensor], [], f"{tensor}/depth", blocksize=2)
    for node in graph.consumers(depth):
        if node.op_type == "Split" and attributes(node) == _IN_FOUR:
            return tuple(str(name) for name in node.output)
    return graph.add_many("Split", [depth], f"{tensor}/phase", 4, **_IN_FOUR)


def _sum(graph: Graph, first: str, second: str) -> str:
    return _once(graph, "Add", [first, second], [], f"{first}/sum")


def _once(
    graph: Graph, op_type: str, inputs: Sequence[str], constants: Sequence[Array], base: str, **wanted: Any
) -> str:
    """A node of this kind on these inputs: the one that is there, if there is one."""
    for node in graph.consumers(inputs[0]):
        own, rest = list(node.input[: len(inputs)]), [graph.constant(name) for name in node.input[len(inputs) :]]
        if (
            (node.op_type, own, attributes(node)) == (op_type, list(inputs), wanted)
            and len(rest) == len(constants)
            and all(v is not None and np.array_equal(v, other) for v, other in zip(rest, constants, strict=True))
        ):
            return str(node.output[0])
    stored = [graph.add_constant(value, f"{base}/{number}") for number, value in enumerate(constants)]
    return graph.add(op_type, [*inputs, *stored], base, **wanted)


def _joined(graph: Graph, even: str, odd: str, both: str, *, axis: int, size: int, where: str) -> tuple[str, str]:
    """Along one axis: what is made at even and at odd places, from the three products; `odd` is one longer."""
    begins = _slice(graph, odd, axis, 0, size, where)
    ends = _slice(graph, odd, axis, 1, size + 1, where)
    rest = graph.add("Sub", [graph.add("Sub", [both, even], f"{where}/less"), ends], f"{where}/odd")
    return graph.add("Add", [even, begins], f"{where}/even"), rest


def _slice(graph: Graph, tensor: str, axis: int, start: int, end: int, where: str) -> str:
    bounds = [graph.add_constant(np.array([value], np.int64), f"{where}/bounds") for value in (start, end, axis)]
    return graph.add("Slice", [tensor, *bounds], f"{where}/part")


FAST_CONV = Rewrite(name="fast-conv", find=_find, refuse=_refuse, rewrite=_rewrite, backends=SHARING, floating=True)
