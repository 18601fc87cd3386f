"""Rewrites that INT8 files for OpenVINO come with: each fires, computes the same, and refuses what would be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgedepth.calibration.forms import form_for
from edgedepth.export.passes import PASSES, Rewrite, run_passes
from edgedepth.export.passes.cast_last import CAST_LAST
from edgedepth.export.passes.resize_product import RESIZE_PRODUCT, bilinear
from edgedepth.export.passes.shuffle_order import SHUFFLE_ORDER
from tests.test_passes import Build, Net, evaluate, ops


def resize(net: Net, x: str, *factors: float, mode: str = "linear", at: str = "half_pixel") -> str:
    scales = net.const(np.array([1, 1, *factors]))
    node = net.op("Resize", x, "", scales, mode=mode, coordinate_transformation_mode=at)
    net.constants[scales] = net.constants[scales].astype(np.float32)  # which ONNX asks for
    return node


def chain_of_resizes(net: Net) -> Sequence[str]:
    x = net.input("x", 1, 1, 3, 5)
    return [resize(net, resize(net, resize(net, x, 2, 2), 2, 2), 1, 3)]


def resize_read_in_between(net: Net) -> Sequence[str]:
    x = net.input("x", 1, 1, 3, 4)
    first = resize(net, x, 2, 2)
    return [net.op("Relu", first), net.op("Relu", resize(net, first, 2, 2))]


def shuffled_convolution(net: Net) -> Sequence[str]:
    x = net.input("x", 1, 3, 4, 4)
    made = net.op("Relu", net.conv(x, 3, 12))
    return [net.op("DepthToSpace", made, blocksize=2, mode="CRD")]


def shuffled_convolution_without_bias(net: Net) -> Sequence[str]:
    x = net.input("x", 1, 3, 4, 4)
    return [net.op("DepthToSpace", net.conv(x, 3, 18, bias=False), blocksize=3, mode="CRD")]


@pytest.mark.parametrize(
    ("entry", "build", "times", "left"),
    [
        (RESIZE_PRODUCT, chain_of_resizes, 1, {"MatMul": 2, "Resize": 0}),
        (RESIZE_PRODUCT, resize_read_in_between, 2, {"MatMul": 4, "Resize": 0}),
        (SHUFFLE_ORDER, shuffled_convolution, 1, {"DepthToSpace": 1}),
        (SHUFFLE_ORDER, shuffled_convolution_without_bias, 1, {"DepthToSpace": 1}),
    ],
)
def test_fires_and_computes_the_same(entry: Rewrite, build: Build, times: int, left: dict[str, int]) -> None:
    net = Net()
    model = net.model(*build(net))
    made, reports = run_passes(model, [entry])
    assert len(reports[0].fired) == times, reports[0]
    assert {name: ops(made)[name] for name in left} == left
    feed = net.feed()
    for before, after in zip(evaluate(model, feed), evaluate(made, feed), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-12, atol=1e-12)
    assert [value.name for value in made.graph.output] == [value.name for value in model.graph.output]


def features(net: Net) -> Sequence[str]:
    return [resize(net, net.input("x", 1, 2, 3, 4), 2, 2)]


def nearest(net: Net) -> Sequence[str]:
    return [resize(net, net.input("x", 1, 1, 3, 4), 2, 2, mode="nearest")]


def corners(net: Net) -> Sequence[str]:
    return [resize(net, net.input("x", 1, 1, 3, 4), 2, 2, at="align_corners")]


def smaller(net: Net) -> Sequence[str]:
    return [resize(net, net.input("x", 1, 1, 4, 4), 0.5, 0.5)]


def fractional(net: Net) -> Sequence[str]:
    return [resize(net, net.input("x", 1, 1, 20, 20), 1.99, 1.99)]  # 39 pixels, sampled as if they were 39.8


def shuffled_twice(net: Net) -> Sequence[str]:
    made = net.conv(net.input("x", 1, 3, 4, 4), 3, 12)
    return [net.op("DepthToSpace", made, blocksize=2, mode="CRD"), net.op("Relu", made)]


def shuffled_group(net: Net) -> Sequence[str]:
    made = net.conv(net.input("x", 1, 4, 4, 4), 4, 12, group=2)
    return [net.op("DepthToSpace", made, blocksize=2, mode="CRD")]


@pytest.mark.parametrize(
    ("entry", "build", "reason"),
    [
        (RESIZE_PRODUCT, features, "more than one channel"),
        (RESIZE_PRODUCT, nearest, "not bilinear"),
        (RESIZE_PRODUCT, corners, "not bilinear"),
        (RESIZE_PRODUCT, smaller, "makes the map smaller"),
        (RESIZE_PRODUCT, fractional, "scale is not the ratio of its sizes"),
        (SHUFFLE_ORDER, shuffled_twice, "somebody else reads it"),
        (SHUFFLE_ORDER, shuffled_group, "grouped"),
    ],
)
def test_refuses_with_the_reason(entry: Rewrite, build: Build, reason: str) -> None:
    net = Net()
    _, reports = run_passes(net.model(*build(net)), [entry])
    assert not reports[0].fired
    assert reason in reports[0].refused[0][1]


def frame_model(*, shown: bool = False) -> onnx.ModelProto:
    """(1, 4, 5, 3) uint8 BGR -> (1, 3, 4, 5) float32 RGB, doubled."""
    nodes = [
        helper.make_node("Cast", ["frame"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Gather", ["planes", "order"], ["rgb"], axis=1),
        helper.make_node("Add", ["rgb", "rgb"], ["doubled"]),
    ]
    outputs = ["doubled", "rgb"] if shown else ["doubled"]
    graph = helper.make_graph(
        nodes,
        "frame",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, (1, 4, 5, 3))],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 3, 4, 5)) for name in outputs],
        [numpy_helper.from_array(np.array([2, 1, 0]), "order")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_bytes_are_moved_and_not_numbers() -> None:
    model = frame_model()
    made, reports = run_passes(model, [CAST_LAST])
    assert reports[0].fired == ("rgb",)
    assert [node.op_type for node in made.graph.node] == ["Transpose", "Gather", "Cast", "Add"]
    frame = np.random.default_rng(0).integers(0, 256, (1, 4, 5, 3), np.uint8)
    before, after = (ReferenceEvaluator(entry).run(None, {"frame": frame})[0] for entry in (model, made))
    np.testing.assert_array_equal(before, after)
    assert run_passes(made, [CAST_LAST])[1][0].fired == ()  # once is enough
    assert "leaves the graph" in run_passes(frame_model(shown=True), [CAST_LAST])[1][0].refused[0][1]


def test_weights_of_interpolation() -> None:
    np.testing.assert_allclose(bilinear(2, 4), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    np.testing.assert_allclose(bilinear(1, 3), np.ones((3, 1)))
    np.testing.assert_allclose(bilinear(7, 13).sum(axis=1), 1)


def test_only_openvino_gets_them(tmp_path: Path) -> None:
    rewrites = form_for("openvino").rewrites
    assert set(rewrites) == {RESIZE_PRODUCT, SHUFFLE_ORDER, CAST_LAST}
    assert not set(rewrites) & set(PASSES)
    for backend in ("onnxruntime", "tensorrt"):
        assert form_for(backend).rewrites == ()
