"""Whole-number arithmetic on sizes inside an engine: shape tensors, which TensorRT computes before it runs kernels."""

from __future__ import annotations

from typing import Any

import numpy as np


class ShapeArithmetic:
    """Makes tensors of a few int64 numbers in a network; an operand that is an int is that number throughout."""

    def __init__(self, trt: Any, network: Any) -> None:
        self._trt, self._network = trt, network

    def constant(self, *values: int) -> Any:
        """Fixed numbers."""
        array = np.array(values, np.int64)
        return self._network.add_constant(array.shape, self._trt.Weights(array)).get_output(0)

    def sizes_of(self, tensor: Any, axes: tuple[int, ...]) -> Any:
        """The sizes of a tensor along axes."""
        shape = self._network.add_shape(tensor).get_output(0)
        return self._network.add_gather(shape, self.constant(*axes), 0).get_output(0)

    def flipped(self, pair: Any) -> Any:
        """The two numbers in the other order."""
        return self._network.add_gather(pair, self.constant(1, 0), 0).get_output(0)

    def joined(self, *parts: Any) -> Any:
        """One tensor after the other."""
        return self._network.add_concatenation(list(parts)).get_output(0)

    def sum(self, left: Any, right: Any) -> Any:
        """left + right."""
        return self._two("SUM", left, right)

    def difference(self, left: Any, right: Any) -> Any:
        """left - right."""
        return self._two("SUB", left, right)

    def product(self, left: Any, right: Any) -> Any:
        """left * right."""
        return self._two("PROD", left, right)

    def quotient(self, left: Any, right: Any) -> Any:
        """left / right, rounded down."""
        return self._two("FLOOR_DIV", left, right)

    def smaller(self, left: Any, right: Any) -> Any:
        """The smaller of each two."""
        return self._two("MIN", left, right)

    def larger(self, left: Any, right: Any) -> Any:
        """The larger of each two."""
        return self._two("MAX", left, right)

    def _two(self, name: str, left: Any, right: Any) -> Any:
        operation = getattr(self._trt.ElementWiseOperation, name)
        operands = (self.constant(side) if isinstance(side, int) else side for side in (left, right))
        return self._network.add_elementwise(*operands, operation).get_output(0)
