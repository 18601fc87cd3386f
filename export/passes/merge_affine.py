"""Consecutive multiplications and additions by constants become one of each.

A chain of Mul, Div, Add and Sub with constants is an affine map of its input, y = a * x + b, with a and b composed
step by step (in float64)::

    Mul c: (a c, b c)    Div c: (a / c, b / c)    Add c: (a, b + c)    x - c: (a, b - c)    c - x: (-a, c - b)

Normalisation of an image (/ 255, - mean, * 1/std) and the scaling of bin indices are such chains. The result is
exact up to the rounding of float32; constants must not widen the tensor they meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper

from edgedepth.export.passes.graph import Graph
from edgedepth.export.passes.machine import Rewrite

_LARGEST = 2.0**16  # how many times a number added and taken off again may be what is left of it

_STEPS = ("Mul", "Div", "Add", "Sub")


@dataclass(frozen=True)
class _Match:
    chain: tuple[NodeProto, ...]

    @property
    def where(self) -> str:
        return str(self.chain[-1].output[0])


def _find(graph: Graph) -> Iterator[_Match]:
    for node in graph.of_type(*_STEPS):
        if _operand(graph, node) is None:
            continue
        if _continues(graph, node):
            continue
        chain = [node]
        while (after := graph.only_consumer(chain[-1].output[0])) is not None:
            if after.op_type not in _STEPS or _operand(graph, after) is None:
                break
            chain.append(after)
        steps = {"Mul" if step.op_type in ("Mul", "Div") else "Add" for step in chain}
        if len(chain) > len(steps):
            yield _Match(tuple(chain))


def _continues(graph: Graph, node: NodeProto) -> bool:
    """True where the node belongs to the chain of the one before it."""
    source = _variable(graph, node)
    before = graph.producer(source)
    if before is None or before.op_type not in _STEPS or _operand(graph, before) is None:
        return False
    return graph.only_consumer(source) is not None


def _refuse(graph: Graph, match: _Match) -> str | None:
    source = _variable(graph, match.chain[0])
    dims = graph.dims(source)
    if graph.dtype(source) not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        return "the tensor is not float32 or float64"
    for node in match.chain:
        value = _operand(graph, node)
        assert value is not None
        if dims is None or _widens(dims, value.shape):
            return "a constant widens the tensor"
        if node.op_type == "Div" and graph.is_constant(node.input[0]):
            return "a constant is divided by the tensor"
    return _refuse_numbers(graph, match)


def _refuse_numbers(graph: Graph, match: _Match) -> str | None:
    """Why the constants of a chain must not become two, or None."""
    limit = np.finfo(helper.tensor_dtype_to_np_dtype(graph.dtype(_variable(graph, match.chain[0])))).max
    shifts = []  # in units of the input
    for factor, offset in _composed(graph, match):
        if not np.maximum(np.abs(factor).max(), np.abs(offset).max()) <= limit:  # NaN is not
            return "a factor or an offset is not finite"
        shifts.append(np.abs(offset / np.where(factor == 0, 1, factor)).max())
    if max(shifts) > _LARGEST * max(1.0, shifts[-1]):
        return "a large number is added and taken off again, which rounds"
    largest = max(value.size for node in match.chain if (value := _operand(graph, node)) is not None)
    return "the constants widen one another" if max(factor.size, offset.size) > largest else None


def _widens(dims: tuple[int | None, ...], constant: tuple[int, ...]) -> bool:
    """True unless a constant of this shape fits into the tensor; of open dimensions, only 1 surely does."""
    if len(constant) > len(dims):
        return True
    own = dims[len(dims) - len(constant) :]
    return any(theirs not in (1, size) for size, theirs in zip(own, constant, strict=True))


def _rewrite(graph: Graph, match: _Match) -> None:
    source = _variable(graph, match.chain[0])
    dtype = helper.tensor_dtype_to_np_dtype(graph.dtype(source))
    *_, (factor, offset) = _composed(graph, match)
    graph.remove(match.chain)
    result = source
    if np.any(factor != 1):
        name = graph.add_constant(factor.astype(dtype), f"{match.where}/factor")
        result = graph.add("Mul", [result, name], f"{match.where}/scaled")
    if np.any(offset != 0) or result == source:
        name = graph.add_constant(offset.astype(dtype), f"{match.where}/offset")
        result = graph.add("Add", [result, name], f"{match.where}/shifted")
    graph.redirect(match.where, result)


def _composed(graph: Graph, match: _Match) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Factor and offset after each step."""
    factor: NDArray[Any] = np.ones((), np.float64)
    offset: NDArray[Any] = np.zeros((), np.float64)
    with np.errstate(all="ignore"):  # a chain that divides by zero is not merged
        for node in match.chain:
            factor, offset = _compose(graph, node, factor, offset)
            yield factor, offset


def _compose(
    graph: Graph, node: NodeProto, factor: NDArray[Any], offset: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    value = _operand(graph, node)
    assert value is not None
    c = value.astype(np.float64)
    if node.op_type == "Mul":
        return factor * c, offset * c
    if node.op_type == "Div":
        return factor / c, offset / c
    if node.op_type == "Add":
        return factor, offset + c
    return (-factor, c - offset) if graph.is_constant(node.input[0]) else (factor, offset - c)


def _operand(graph: Graph, node: NodeProto) -> NDArray[Any] | None:
    """The constant of a step; None where both or neither input is one."""
    constants = [graph.is_constant(name) for name in node.input]
    return graph.constant(node.input[constants.index(True)]) if sum(constants) == 1 else None


def _variable(graph: Graph, node: NodeProto) -> str:
    return str(next(name for name in node.input if not graph.is_constant(name)))


MERGE_AFFINE = Rewrite(name="merge-affine", find=_find, refuse=_refuse, rewrite=_rewrite)
