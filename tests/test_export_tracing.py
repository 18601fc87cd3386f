"""What tracing and simplification leave for the rewrites: no batch norm, no stray cast or transpose, constant pools."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn
from torch.nn import functional as F

from edgedepth.core.errors import InputError
from edgedepth.export.adaptive_pool import pooling_matrix
from edgedepth.export.passes import passes_for, run_passes
from edgedepth.export.simplify import simplify
from edgedepth.export.torch_onnx import to_onnx, trace


def ops(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    return np.asarray(ReferenceEvaluator(model).run(None, {model.graph.input[0].name: x})[0])


class Pool(nn.Module):
    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, self.size)


# -- adaptive pooling ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "pooled", "expected"),
    [
        ((12, 20), (6, 5), {"AveragePool": 1}),
        ((13, 20), (6, 7), {"MatMul": 2}),
        ((7, 9), (3, 3), {"MatMul": 2}),
        ((5, 7), (1, 1), {"GlobalAveragePool": 1}),
        ((4, 5), (6, 8), {"MatMul": 2}),  # it may enlarge too
    ],
)
def test_adaptive_pools_become_constant(
    given: tuple[int, int], pooled: tuple[int, int], expected: dict[str, int]
) -> None:
    x = torch.randn(1, 3, *given, generator=torch.Generator().manual_seed(0))
    model = trace(Pool(pooled).eval(), (x,), inputs=["x"], outputs=["y"])
    assert ops(model) == expected
    found = run(model, x.numpy())
    np.testing.assert_allclose(found, F.adaptive_avg_pool2d(x, pooled).numpy(), atol=1e-6)


@pytest.mark.parametrize(("size", "pooled"), [(13, 6), (320, 128), (7, 7), (4, 9), (48, 1)])
def test_pooling_matrix_is_torch_s_pooling_in_float64(size: int, pooled: int) -> None:
    x = np.random.default_rng(0).normal(size=(1, 1, size, 1))
    expected = F.adaptive_avg_pool2d(torch.from_numpy(x), (pooled, 1)).numpy()[0, 0]
    weights = pooling_matrix(size, pooled)
    np.testing.assert_allclose(weights @ x[0, 0], expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-12)


def test_the_plain_export_keeps_torch_s_own_form() -> None:
    model = trace(Pool((3, 3)).eval(), (torch.zeros(1, 2, 7, 9),), inputs=["x"], outputs=["y"], constant_pools=False)
    assert "MatMul" not in ops(model)


def test_adaptive_pools_of_open_size_are_refused() -> None:
    axes = ({2: torch.export.Dim("height")},)
    with pytest.raises(InputError, match=r"needs a fixed input size.*without --dynamic"):
        trace(Pool((3, 3)).eval(), (torch.zeros(1, 2, 64, 64),), inputs=["x"], outputs=["y"], open_axes=axes)


# -- batch norms, casts and transposes ---------------------------------------------------------------------------


class Separable(nn.Module):
    """Depthwise and pointwise convolution with batch norm and activation after each, as MobileNets have it."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False)
        self.pointwise = nn.Conv2d(6, 10, 1, bias=False)
        self.first, self.second = nn.BatchNorm2d(6), nn.BatchNorm2d(10)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.pointwise(F.relu6(self.first(self.depthwise(x))))))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-5)])
def test_torch_folds_batch_norms_into_depthwise_and_pointwise_alike(dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    block = Separable()
    block.train()
    for _ in range(5):
        block(3 * torch.randn(4, 6, 9, 7) + 1)
    block.eval().to(dtype)
    x = torch.randn(1, 6, 9, 7, dtype=dtype)
    model = trace(block, (x,), inputs=["x"], outputs=["y"])
    assert [node.op_type for node in model.graph.node] == ["Conv", "Clip", "Conv", "Relu"]
    with torch.no_grad():
        np.testing.assert_allclose(run(model, x.numpy()), block(x).numpy(), rtol=0, atol=tolerance)


def legacy(op_types: list[tuple[str, dict[str, Any]]], dtype: int = TensorProto.FLOAT) -> onnx.ModelProto:
    """A chain on (1, 4, 7, 5), with random constants where an operator needs them."""
    rng = np.random.default_rng(0)
    nodes, constants, name = [], {}, "x"
    for number, (op_type, attributes) in enumerate(op_types):
        inputs = [name]
        shapes = {"Conv": [(4, 4 // attributes.get("group", 1), 3, 3)], "BatchNormalization": [(4,)] * 4}
        for shape in shapes.get(op_type, []):
            inputs.append(f"c{len(constants)}")
            constants[inputs[-1]] = rng.uniform(0.5, 1.5, shape).astype(np.float32)
        name = f"t{number}"
        nodes.append(helper.make_node(op_type, inputs, [name], **attributes))
    values = [helper.make_tensor_value_info(n, dtype, [1, 4, 7, 5]) for n in ("x", name)]
    stored = [numpy_helper.from_array(value, key) for key, value in constants.items()]
    graph = helper.make_graph(nodes, "legacy", values[:1], values[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


CONV = {"kernel_shape": [3, 3], "pads": [1] * 4}


@pytest.mark.parametrize(
    ("chain", "left"),
    [
        ([("Conv", CONV), ("BatchNormalization", {}), ("Relu", {})], ["Conv", "Relu"]),
        ([("Conv", {**CONV, "group": 4}), ("BatchNormalization", {}), ("Relu", {})], ["Conv", "Relu"]),
        ([("Transpose", {"perm": [0, 2, 3, 1]}), ("Transpose", {"perm": [0, 3, 1, 2]}), ("Relu", {})], ["Relu"]),
        ([("Cast", {"to": TensorProto.FLOAT}), ("Relu", {}), ("Identity", {})], ["Relu"]),
    ],
)
def test_simplification_leaves_nothing_of_older_exporters_forms(
    chain: list[tuple[str, dict[str, Any]]], left: list[str]
) -> None:
    """Why there is no pass of ours for these: onnxsim does them, and this holds it to it."""
    model = legacy(chain)
    simple = simplify(model)
    assert [node.op_type for node in simple.graph.node] == left
    x = np.random.default_rng(1).normal(size=(1, 4, 7, 5)).astype(np.float32)
    np.testing.assert_allclose(run(simple, x), run(model, x), rtol=1e-5, atol=1e-5)


# -- preprocessing and batch norms, exactly ----------------------------------------------------------------------


def widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph computing in float64: constants, casts, and the types of inputs and outputs."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    for entry in wide.graph.initializer:
        if entry.data_type == TensorProto.FLOAT:
            entry.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(entry).astype(np.float64), entry.name))
    for node in wide.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.DOUBLE
    for value in (*wide.graph.input, *wide.graph.output):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    del wide.graph.value_info[:]
    return wide


class Bordered(nn.Module):
    """Normalisation before a padded convolution: zeros stand for the mean, not for black."""

    def __init__(self) -> None:
        super().__init__()
        # numbers that float32 holds exactly, so that widening the graph adds nothing
        self.register_buffer("mean", torch.tensor([0.5, 0.25, 0.375]).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor([4.0, 4.5, 5.0]).view(1, 3, 1, 1))
        self.conv = nn.Conv2d(3, 8, 5, padding=2)

    def forward(self, image: Tensor) -> Tensor:
        return self.conv((image - self.mean) * self.scale)


def test_bytes_are_normalised_without_an_error_at_the_border() -> None:
    """uint8 NHWC BGR in the graph against torch in float64, at an odd size. Folding the mean into the bias of the
    convolution, which is cheaper, would be wrong in the outermost two rows and columns."""
    torch.manual_seed(0)
    block = Bordered().eval()
    frame = np.random.default_rng(0).integers(0, 256, (1, 9, 7, 3), np.uint8)
    plain = to_onnx(block, (7, 9))
    ours, _ = run_passes(simplify(plain), passes_for(None))
    rgb = np.ascontiguousarray(frame[..., ::-1].transpose(0, 3, 1, 2)).astype(np.float64)
    (factor,) = [numpy_helper.to_array(e) for e in plain.graph.initializer if e.dims == [] and e.data_type == 1]
    with torch.no_grad():
        wide = copy.deepcopy(block).double()
        expected = wide(torch.from_numpy(rgb * float(factor))).numpy()  # 1 / 255 as float32 has it
        centred = wide.conv(torch.from_numpy(rgb / 255) * wide.scale) - (
            wide.conv.weight * (wide.mean * wide.scale)
        ).sum(dim=(1, 2, 3)).view(1, -1, 1, 1)
    np.testing.assert_allclose(run(widened(plain), frame), expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(run(ours, frame), expected, rtol=0, atol=2e-5)
    assert np.abs(centred.numpy() - expected).max() > 1  # what folding would have made of the border
    assert np.abs(centred.numpy() - expected)[:, :, 2:-2, 2:-2].max() < 1e-4


class OneSize(torch.nn.Module):
    """A network that adds what it learned for each row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = torch.nn.Parameter(torch.ones(1, 1, 64, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.mean(dim=1, keepdim=True) + self.rows


def test_a_network_of_one_size_is_not_open() -> None:
    assert to_onnx(OneSize(), (96, 64), kind="image").graph.input
    with pytest.raises(InputError, match=r"OneSize (works at one size only|cannot be traced).*without --dynamic"):
        to_onnx(OneSize(), (96, 64), kind="image", dynamic=True)
