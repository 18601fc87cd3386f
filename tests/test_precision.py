"""Typed FP16: what becomes half, what stays float, and that the result runs and agrees."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from edgedepth.core.errors import InputError
from edgedepth.engines.tensorrt.build import engine_from_onnx
from edgedepth.engines.tensorrt.config import BuildConfig
from edgedepth.engines.tensorrt.flavour import load_flavour
from edgedepth.export.emulation import emulated_float16
from edgedepth.export.passes.graph import Graph
from edgedepth.export.precision import float_islands, to_float16
from edgedepth.export.range_audit import TensorRange, audit, audited_float16, nodes_around
from tests.test_passes import Net, resized

HALF, FLOAT = TensorProto.FLOAT16, TensorProto.FLOAT


def types(model: onnx.ModelProto) -> dict[str, int]:
    """The element type of each computed tensor, by the operator that made it where that is unique."""
    graph = Graph(model)
    found: dict[str, set[int]] = {}
    for node in graph.nodes:
        found.setdefault(node.op_type, set()).add(graph.dtype(node.output[0]))
    return {op: kinds.pop() for op, kinds in found.items() if len(kinds) == 1}


def run(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, feed)[0])


def decoder() -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """A little depth network: normalise, convolve, softmax expectation, upsample, correct, exp."""
    net = Net(dtype=np.float32)
    image = net.op("Sub", net.input("x", 1, 3, 8, 8), net.random(1, 3, 1, 1))
    features = net.op("Relu", net.conv(image, 3, 8))
    logits = net.conv(features, 8, 16, 1)
    last = net.op("Transpose", logits, perm=[0, 2, 3, 1])
    mean = net.op("MatMul", net.op("Softmax", last, axis=-1), net.const(np.arange(1.0, 17).reshape(16, 1)))
    index = net.op("Reshape", mean, net.const(np.array([1, 1, 8, 8])))
    up = resized(net, index)
    wide = resized(net, features)
    corrected = net.op("Add", up, net.conv(wide, 8, 1))
    depth = net.op("Exp", net.op("Mul", net.op("Clip", corrected, net.const(0.0), net.const(16.0)), net.const(0.1)))
    return net.model(depth), net.feed()


def test_islands_of_a_depth_network() -> None:
    model, feed = decoder()
    typed = to_float16(model)
    onnx.checker.check_model(typed, full_check=True)
    assert typed.ir_version == 10
    assert {op: types(typed)[op] for op in ("Conv", "Relu", "Transpose")} == dict.fromkeys(
        ("Conv", "Relu", "Transpose"), HALF
    )
    floats = ("Sub", "Softmax", "MatMul", "Reshape", "Add", "Clip", "Mul", "Exp")
    assert {op: types(typed)[op] for op in floats} == dict.fromkeys(floats, FLOAT)
    graph = Graph(typed)
    thin, wide = graph.of_type("Resize")
    assert (graph.dtype(thin.output[0]), graph.dtype(wide.output[0])) == (FLOAT, HALF)
    # no tensor is cast twice to the same type, and nothing is cast back and forth
    casts = [(node.input[0], graph.dtype(node.output[0])) for node in graph.of_type("Cast")]
    assert len(casts) == len(set(casts)) == 3
    np.testing.assert_allclose(run(typed, feed), run(model, feed), rtol=2e-2)


def test_inputs_and_outputs_keep_their_types() -> None:
    net = Net(dtype=np.float32)
    convolved = net.conv(net.input("x", 1, 8, 5, 5), 8, 8)
    model = net.model(convolved, net.op("Relu", convolved))
    typed = to_float16(model)
    for values in (typed.graph.input, typed.graph.output):
        assert [value.type.tensor_type.elem_type for value in values] == [FLOAT] * len(values)
    assert [out.name for out in typed.graph.output] == [out.name for out in model.graph.output]
    assert types(typed)["Conv"] == HALF
    feed = net.feed()
    np.testing.assert_allclose(run(typed, feed), run(model, feed), atol=0.1)


def test_weights_are_stored_in_the_type_they_are_read_in() -> None:
    net = Net(dtype=np.float32)
    shared = net.const(np.full((1, 8, 1, 1), 0.5))
    wide = net.op("Mul", net.conv(net.input("x", 1, 8, 4, 4), 8, 8), shared)
    summed = net.op("ReduceSum", wide, net.const(np.array([2, 3])), keepdims=1)
    model = net.model(net.op("Pow", net.op("Mul", net.op("Exp", summed), shared), shared))
    typed = to_float16(model)
    stored = {entry.name: entry.data_type for entry in typed.graph.initializer}
    assert stored[shared] == FLOAT  # read by the power, an island
    assert stored[f"{shared}/fp16"] == HALF
    assert len(typed.SerializeToString()) < 0.75 * len(model.SerializeToString())


def test_uint8_frames_are_cast_once() -> None:
    net = Net(dtype=np.float32)
    cast = net.op("Cast", "frame", to=FLOAT)
    image = net.op("Transpose", cast, perm=[0, 3, 1, 2])
    net.inputs["frame"] = (1, 6, 6, 3)
    model = net.model(net.conv(image, 3, 8))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    typed = to_float16(onnx.shape_inference.infer_shapes(model))
    assert typed.graph.node[0].op_type == "Cast"
    assert types(typed)["Transpose"] == FLOAT
    assert types(typed)["Conv"] == HALF


def test_keep_names_more_islands() -> None:
    net = Net(dtype=np.float32)
    first = net.conv(net.input("x", 1, 8, 4, 4), 8, 8)
    second = net.conv(first, 8, 8)
    typed = to_float16(net.model(second), keep={first})
    graph = Graph(typed)
    assert sorted(graph.dtype(node.input[1]) for node in graph.of_type("Conv")) == [FLOAT, HALF]


def test_weights_beyond_half_range_stay_float() -> None:
    net = Net(dtype=np.float32)
    weight = net.const(np.full((8, 8, 1, 1), 1e5))
    model = net.model(net.op("Conv", net.input("x", 1, 8, 4, 4), weight))
    assert types(to_float16(model))["Conv"] == FLOAT


@pytest.mark.parametrize("tiny", [1e-8, 1e-3])
def test_what_keeps_a_divisor_from_zero_stays_float(tiny: float) -> None:
    net = Net(dtype=np.float32)
    x = net.input("x", 1, 8, 4, 4)
    model = net.model(net.op("Div", x, net.op("Add", net.op("Abs", x), net.const(np.full(1, tiny)))))
    typed = to_float16(model)
    answer = run(typed, {"x": np.zeros((1, 8, 4, 4), np.float32)})
    np.testing.assert_array_equal(answer, 0)
    assert (types(typed)["Add"] == FLOAT) == (tiny < 1e-7)


def attention(values: int) -> onnx.ModelProto:
    """Two heads of 64 queries, and keys of as many numbers: a mean of `values` computed numbers for each query."""
    net = Net(dtype=np.float32)
    x = net.input("x", 1, 2, 64, 64)
    query, value = net.op("MatMul", x, net.random(64, 64)), net.op("MatMul", x, net.random(64, values))
    key = net.op("Transpose", net.op("MatMul", x, net.random(64, 64)), perm=[0, 1, 3, 2])
    weights = net.op("Softmax", net.op("MatMul", query, key), axis=-1)
    return net.model(net.op("MatMul", weights, value))


@pytest.mark.parametrize(("values", "kind"), [(64, HALF), (1, FLOAT)])
def test_attention_is_half_and_an_expectation_of_computed_depths_is_not(values: int, kind: int) -> None:
    graph = Graph(to_float16(attention(values)))
    (softmax,) = graph.of_type("Softmax")
    assert graph.dtype(softmax.output[0]) == FLOAT
    assert graph.dtype(graph.of_type("MatMul")[-1].output[0]) == kind


def made_of_a_size(maker: str) -> onnx.ModelProto:
    """A convolution, plus what `maker` makes of its size."""
    net = Net(dtype=np.float32)
    features = net.conv(net.input("x", 1, 8, 4, 6), 8, 8)
    if maker == "Range":
        width = net.op("Cast", net.op("Squeeze", net.op("Shape", features, start=3, end=4)), to=FLOAT)
        extra = net.op("Range", net.const(0.0), width, net.const(1.0))
    else:
        value = numpy_helper.from_array(np.array([0.5], np.float32))
        extra = net.op("ConstantOfShape", net.op("Shape", features), value=value)
    return net.model(net.op("Add", features, extra))


@pytest.mark.parametrize("maker", ["Range", "ConstantOfShape"])
def test_what_knows_no_half_precision_is_made_in_float_and_cast(maker: str) -> None:
    model = made_of_a_size(maker)
    typed = to_float16(model)
    assert types(typed)["Add"] == HALF
    x = np.random.default_rng(0).normal(size=(1, 8, 4, 6)).astype(np.float32)
    np.testing.assert_allclose(run(typed, {"x": x}), run(model, {"x": x}), rtol=1e-2, atol=0.05)


def control_flow() -> onnx.ModelProto:
    branch = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["b"])], "b", [], [helper.make_tensor_value_info("b", FLOAT, [1])]
    )
    graph = helper.make_graph(
        [helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)],
        "g",
        [helper.make_tensor_value_info("c", TensorProto.BOOL, []), helper.make_tensor_value_info("x", FLOAT, [1])],
        [helper.make_tensor_value_info("y", FLOAT, [1])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def double() -> onnx.ModelProto:
    net = Net(dtype=np.float64)
    return net.model(net.op("Relu", net.input("x", 1, 2)))


@pytest.mark.parametrize(
    ("build", "keep", "message"),
    [(control_flow, (), "control flow"), (double, (), "not float32"), (lambda: decoder()[0], ("y",), "no such tensor")],
)
def test_refuses(build: Callable[[], onnx.ModelProto], keep: Sequence[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        to_float16(build(), keep=keep)


def loud_and_quiet() -> tuple[onnx.ModelProto, str, str, str]:
    """Three convolutions: one of normal size, one beyond 8192, one where float16 has no digits left."""
    net = Net(dtype=np.float32)
    x = net.input("x", 1, 8, 4, 4)
    normal = net.conv(x, 8, 8)
    loud = net.op("Mul", normal, net.const(2e4))
    calm = net.op("Mul", loud, net.const(1e-4))
    quiet = net.op("Mul", calm, net.const(1e-7))
    return net.model(net.conv(net.op("Mul", quiet, net.const(1e7)), 8, 8)), normal, loud, quiet


def test_audit_measures_ranges_and_losses() -> None:
    model, normal, loud, quiet = loud_and_quiet()
    x = np.random.default_rng(0).normal(size=(1, 8, 4, 4)).astype(np.float32)
    ranges = audit(model, [x * np.float32(0.5), x])
    session = onnxruntime.InferenceSession(
        with_output(model, normal).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    expected = np.abs(session.run([normal], {"x": x})[0]).max()
    assert ranges[normal].magnitude == pytest.approx(float(expected), rel=1e-5)
    assert 1e-4 < ranges[normal].loss < 4e-4
    assert ranges[normal].fits
    assert ranges[loud].magnitude > 65504
    assert not ranges[loud].fits
    assert ranges[quiet].loss > 1e-3
    assert not ranges[quiet].fits


def with_output(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.output.append(helper.make_tensor_value_info(name, FLOAT, None))
    return copy


def test_what_does_not_fit_stays_float_with_its_readers() -> None:
    model, normal, loud, quiet = loud_and_quiet()
    x = np.random.default_rng(0).normal(size=(1, 8, 4, 4)).astype(np.float32)
    typed, unfit = audited_float16(model, [x])
    assert set(unfit) == {loud, quiet}
    graph = Graph(typed)
    assert graph.dtype(normal) == HALF
    assert graph.dtype(loud) == graph.dtype(quiet) == FLOAT
    for tensor in unfit:
        assert all(node.op_type != "Cast" for node in graph.consumers(tensor))
    np.testing.assert_allclose(run(typed, {"x": x}), run(model, {"x": x}), rtol=2e-2, atol=0.1)
    assert np.isfinite(run(typed, {"x": x})).all()


def test_nodes_around_are_makers_and_readers() -> None:
    net = Net(dtype=np.float32)
    a = net.op("Relu", net.input("x", 1, 2))
    b = net.op("Neg", a)
    c = net.op("Abs", b)
    assert nodes_around(net.model(c), [a]) == {a, b}


def test_nothing_to_audit() -> None:
    net = Net(dtype=np.float32)
    model = net.model(net.op("Exp", net.input("x", 1, 8, 2, 2)))
    assert audit(model, [np.zeros((1, 8, 2, 2), np.float32)]) == {}
    assert TensorRange(magnitude=1.0, loss=0.0).fits


def test_islands_are_named_by_their_first_output() -> None:
    model, _ = decoder()
    graph = Graph(model)
    islands = float_islands(graph)
    assert {graph.producer(name).op_type for name in islands} >= {"Softmax", "MatMul", "Exp"}  # type: ignore[union-attr]


@pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="tensorrt-rtx is not installed")
def test_builds_strongly_typed(tmp_path: Path) -> None:
    import tensorrt_rtx as trt

    path = tmp_path / "net.onnx"
    onnx.save(to_float16(decoder()[0]), path)
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    assert parser.parse_from_file(str(path)), parser.get_error(0).desc()
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    assert builder.build_serialized_network(network, config) is not None
    layers = [network.get_layer(number) for number in range(network.num_layers)]
    convolutions = [layer for layer in layers if layer.type == trt.LayerType.CONVOLUTION]
    assert {layer.get_output(0).dtype for layer in convolutions} == {trt.DataType.HALF}


@pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="tensorrt-rtx is not installed")
def test_attention_becomes_one_kernel(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(to_float16(attention(64)), path)
    engine = engine_from_onnx(path, BuildConfig(targets=("sm89",)), load_flavour("tensorrt-rtx"))
    assert [kernel.name for kernel in engine.kernels if "mha" in kernel.name]


# -- emulation -------------------------------------------------------------------------------------------------


def test_emulation_rounds_and_overflows_as_half_precision_does() -> None:
    """(x * 3) * 30000 + 1: what float16 stores after each step, although the CPU computes float32."""
    names = ["x", "three", "much", "one"]
    constants = dict(zip(names[1:], np.array([[3.0], [30000.0], [1.0]], np.float32), strict=True))
    nodes = [
        helper.make_node("Mul", ["x", "three"], ["a"]),
        helper.make_node("Mul", ["a", "much"], ["b"]),
        helper.make_node("Add", ["b", "one"], ["y"]),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8, 1, 2]) for name in ("x", "y")]
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    x = np.array([0.1, 0.2, 0.5, 0.7, 0.9, 1e-3, 1e-8, 1.0] * 2, np.float32).reshape(1, 8, 1, 2)
    with np.errstate(over="ignore"):
        half = ((x.astype(np.float16) * np.float16(3)) * np.float16(30000)) + np.float16(1)
    emulated = emulated_float16(to_float16(model))
    assert {entry.type.tensor_type.elem_type for entry in emulated.graph.output} == {TensorProto.FLOAT}
    session = onnxruntime.InferenceSession(emulated.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": x})
    np.testing.assert_array_equal(found, half.astype(np.float32))
    assert np.isinf(found).any()
    assert (found != x * 90000 + 1).any()


def test_emulation_of_a_network_is_near_it_but_not_equal() -> None:
    from edgedepth.export.torch_onnx import to_onnx
    from edgedepth.trainers import create_network

    torch.manual_seed(0)
    options = {"widths": (8, 8, 8, 16, 16), "depths": (0, 0, 1, 0, 0), "decoder_widths": (8, 8, 8, 8), "num_bins": 16}
    model = to_onnx(create_network("edge-low", **options, regression=False), (64, 48))
    frame = np.random.default_rng(0).integers(0, 256, (1, 48, 64, 3), np.uint8)
    answers = []
    for form in (model, emulated_float16(to_float16(model))):
        session = onnxruntime.InferenceSession(form.SerializeToString(), providers=["CPUExecutionProvider"])
        answers.append(session.run(["depth_m"], {"frame": frame})[0])
    difference = np.abs(answers[1] - answers[0]) / answers[0]
    assert 0 < difference.max() < 0.05
