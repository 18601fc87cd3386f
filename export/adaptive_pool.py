"""Adaptive average pooling as pooling of constant size, decided while a network is traced.

To a size that divides the input's, adaptive pooling is plain pooling, and torch's exporter writes that. To other sizes
it writes a gather, or hundreds of slices and additions, that no engine makes fast. Its windows are fixed once the input
size is: along one axis, output j is the mean of inputs floor(j n / m) to ceil((j + 1) n / m) - 1, a linear map with a
constant matrix A (m, n). Rows and columns are averaged independently, so::

    pool(X) = A_h X A_w^T

two matrix products with constants, exact up to the order of summation. A graph that is there already has lost the
operator, so this is done here and not among the passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray


def pooling_matrix(size: int, pooled: int) -> NDArray[np.float64]:
    """(pooled, size) float64: row j averages the window of output j; every row sums to one."""
    matrix = np.zeros((pooled, size))
    for j in range(pooled):
        first, last = j * size // pooled, -(-(j + 1) * size // pooled)
        matrix[j, first:last] = 1.0 / (last - first)
    return matrix


def constant_pools() -> dict[Callable[..., Any], Callable[..., Any]]:
    """What to give `torch.onnx.export` as `custom_translation_table`."""
    return {
        torch.ops.aten._adaptive_avg_pool2d.default: _translate,
        torch.ops.aten.adaptive_avg_pool2d.default: _translate,
    }


def _translate(x: Any, output_size: Sequence[int]) -> Any:
    from onnxscript import opset20 as op

    pooled = [int(size) for size in output_size]
    if pooled == [1, 1]:
        return op.GlobalAveragePool(x)
    height, width = x.shape[2:]
    if not isinstance(height, int) or not isinstance(width, int):
        raise TypeError(f"adaptive pooling to {pooled} needs a fixed input size")
    if height % pooled[0] == 0 and width % pooled[1] == 0:
        window = [height // pooled[0], width // pooled[1]]
        return op.AveragePool(x, kernel_shape=window, strides=window)
    rows = onnx.numpy_helper.from_array(pooling_matrix(height, pooled[0]).astype(np.float32))
    columns = onnx.numpy_helper.from_array(pooling_matrix(width, pooled[1]).T.astype(np.float32, order="C"))
    return op.MatMul(op.MatMul(op.Constant(value=rows), x), op.Constant(value=columns))
