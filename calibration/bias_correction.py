"""Bias correction: rounding the weights shifts a layer's mean output, and the bias takes that back.

With weights W rounded to W + dW, the mean of output channel o moves by sum_i (sum of the taps of dW[o, i]) E[x_i]
(M. Nagel et al., Data-Free Quantization through Weight Equalization and Bias Correction, ICCV 2019, section 4.2), with
E[x_i] the mean activation of input channel i, here observed. Pixels beyond the border count as any other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray

from edgedepth.calibration.affine import rounded_weights
from edgedepth.calibration.layers import Layer
from edgedepth.export.passes.graph import Graph, attribute


def correct_biases(
    model: onnx.ModelProto,
    layers: Collection[Layer],
    means: Mapping[str, NDArray[np.float64]],
    largest_weight: int = 127,
) -> onnx.ModelProto:
    """A model whose quantised layers, once their weights are rounded, have the mean output of the FP32 ones.

    means: (C,) mean of the activations that the layers read, by tensor. Layers without one stay as they are.
    largest_weight: see `edgedepth.calibration.qdq.Form`.
    """
    graph = Graph(model)
    for layer in layers:
        bias = corrected_bias(graph, layer, means, largest_weight)
        node = graph.producer(layer.name)
        if bias is None or node is None:
            continue
        name = graph.add_constant(bias, f"{layer.name}/corrected_bias")
        del node.input[2:]
        node.input.append(name)
    graph.tidy()
    return graph.model


def corrected_bias(
    graph: Graph, layer: Layer, means: Mapping[str, NDArray[np.float64]], largest_weight: int = 127
) -> NDArray[np.float32] | None:
    """(C_out,) the bias of a layer that makes up for the rounding of its weights; None where it cannot be known."""
    node = graph.producer(layer.name)
    weight = graph.constant(layer.weight)
    mean = means.get(layer.source)
    if node is None or weight is None or mean is None or mean.size == 0:
        return None
    bias = graph.constant(node.input[2]) if len(node.input) > 2 else np.zeros(weight.shape[0], np.float32)
    if bias is None:
        return None
    change = rounded_weights(weight, largest_weight) - weight
    return (bias - _shift(change, mean, attribute(node, "group", 1))).astype(np.float32)


def _shift(change: NDArray[np.float64], mean: NDArray[np.float64], group: int) -> NDArray[np.float64]:
    """(C_out,) how much a change of the weights moves the mean of each output channel."""
    taps = change.sum(axis=(2, 3))  # (C_out, C_in / group)
    inputs = mean.reshape(group, -1).repeat(change.shape[0] // group, axis=0)  # (C_out, C_in / group)
    shift: NDArray[np.float64] = (taps * inputs).sum(axis=1)
    return shift
