"""Q/DQ insertion: where rounding stands in the graph, what it computes, and what TensorRT-RTX makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgedepth.calibration.bias_correction import correct_biases
from edgedepth.calibration.equalise import apply_scales, equalise, streams_of
from edgedepth.calibration.forms import FORMS, form_for
from edgedepth.calibration.layers import layers_of, share_of_macs
from edgedepth.calibration.observe import observe
from edgedepth.calibration.qdq import Form, insert_qdq, quantisable, shared_ranges, tensors_to_observe
from edgedepth.calibration.ranges import ranges_of
from edgedepth.calibration.unpack import unpack
from edgedepth.core.errors import InputError, UnknownNameError
from edgedepth.engines import open_session
from edgedepth.export.passes.graph import Graph
from edgedepth.export.precision import to_float16
from edgedepth.export.storage import compact
from tests.int8_networks import depth_graph, frames

INPUTS_ONLY = Form(activations="int8")


def _run(model: onnx.ModelProto, folder: Path, backend: str = "onnxruntime", seed: int = 9) -> np.ndarray:
    onnx.save(model, folder / "model.onnx")
    with open_session(folder / "model.onnx", backend, threads=1) as session:
        return np.stack([session.run({"frame": f[None]})["depth_m"][0, 0].copy() for f in frames(4, seed)])


def _ranges(model: onnx.ModelProto, method: str = "minmax") -> dict[str, tuple[float, float]]:
    return ranges_of(observe(model, frames(6), tensors_to_observe(Graph(model))), method)


def _rounded_by(graph: Graph, tensor: str) -> str | None:
    """The tensor that a DequantizeLinear's integers were made from."""
    dequantise = graph.producer(tensor)
    if dequantise is None or dequantise.op_type != "DequantizeLinear":
        return None
    quantise = graph.producer(dequantise.input[0])
    return dequantise.input[0] if quantise is None else quantise.input[0]


def test_kinds_of_layers() -> None:
    graph = Graph(depth_graph())
    layers = {layer.name: layer for layer in layers_of(graph)}
    assert {name: layer.kind for name, layer in layers.items()} == {
        "stem": "first", "depthwise": "depthwise", "pointwise": "dense", "up": "dense", "mix": "dense",
        "logits": "head",
    }  # fmt: skip
    assert layers["stem"].macs == 16 * 27 * 12 * 16
    assert share_of_macs([layers["stem"]], graph) < 0.5


@pytest.mark.parametrize("op", ["ConvTranspose", "MatMul"])
def test_the_share_of_the_work_counts_what_is_never_quantised(op: str) -> None:
    weights = {"ConvTranspose": np.ones((8, 4, 2, 2), np.float32), "MatMul": np.ones((16, 16), np.float32)}
    attributes = {"ConvTranspose": {"strides": [2, 2]}, "MatMul": {}}
    nodes = [
        helper.make_node("Conv", ["x", "first"], ["y"], name="conv", kernel_shape=[1, 1]),
        helper.make_node(op, ["y", "second"], ["z"], name="rest", **attributes[op]),
    ]
    initializers = [
        numpy_helper.from_array(np.ones((8, 3, 1, 1), np.float32), "first"),
        numpy_helper.from_array(weights[op], "second"),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 12, 16))
    shape = {"ConvTranspose": (1, 4, 24, 32), "MatMul": (1, 8, 12, 16)}[op]
    answer = helper.make_tensor_value_info("z", TensorProto.FLOAT, shape)
    graph = Graph(helper.make_model(helper.make_graph(nodes, "g", [given], [answer], initializers)))
    rest = {"ConvTranspose": 8 * 4 * 4 * 12 * 16, "MatMul": 8 * 12 * 16 * 16}[op]
    assert share_of_macs(layers_of(graph), graph) == pytest.approx(24 * 192 / (24 * 192 + rest))


def test_inputs_only_placement() -> None:
    model = depth_graph()
    form = form_for("tensorrt")
    graph = Graph(insert_qdq(model, quantisable(Graph(model), form), _ranges(model), form))
    for name in ("pointwise", "up", "mix"):
        conv = graph.producer(name)
        assert conv is not None
        assert _rounded_by(graph, conv.input[0]) is not None
        weight = graph.producer(conv.input[1])
        assert weight is not None
        assert weight.op_type == "DequantizeLinear"
        assert graph.dtype(weight.input[0]) == onnx.TensorProto.INT8
        assert graph.shape(weight.input[1]) == (graph.shape(name) or ())[1:2]  # a scale per output channel
        assert graph.is_constant(conv.input[2])  # the bias is not rounded
        assert not any(reader.op_type == "QuantizeLinear" for reader in graph.consumers(name))
    for name in ("stem", "depthwise", "logits"):
        conv = graph.producer(name)
        assert conv is not None
        assert graph.is_constant(conv.input[1])
    add = graph.producer("residual")
    assert add is not None
    assert _rounded_by(graph, add.input[0]) == "stem.relu"  # the residual branch
    for node in graph.of_type("QuantizeLinear"):
        assert graph.constant(node.input[2]) == 0  # symmetric


def test_a_tensor_is_rounded_once_for_all_its_readers() -> None:
    model = depth_graph()
    graph = Graph(insert_qdq(model, quantisable(Graph(model), INPUTS_ONLY), _ranges(model), INPUTS_ONLY))
    sources = [node.input[0] for node in graph.of_type("QuantizeLinear")]
    assert len(sources) == len(set(sources))
    assert sources.count("stem.relu") == 1  # read by the depthwise layer and by the addition


def test_early_rounding_computes_the_same(tmp_path: Path) -> None:
    model, ranges = depth_graph(), _ranges(depth_graph())
    answers = []
    for early in (False, True):
        form = Form(activations="uint8", early=early)
        rounded = insert_qdq(model, quantisable(Graph(model), form), ranges, form)
        sources = {node.input[0] for node in Graph(rounded).of_type("QuantizeLinear")}
        assert ("joined" in sources) is not early
        assert ("up.relu" in sources) is early
        answers.append(_run(rounded, tmp_path))
    # the same numbers but where onnxruntime's integer kernels, which it now finds more of, round a tie the other way
    np.testing.assert_allclose(answers[0], answers[1], rtol=0.01)
    assert np.isclose(answers[0], answers[1], rtol=1e-5).mean() > 0.9


def test_early_rounding_reaches_through_all_that_only_moves_values() -> None:
    model, form = depth_graph(), Form(activations="uint8", early=True)
    graph = Graph(insert_qdq(model, quantisable(Graph(model), form), _ranges(model), form))
    for mover in ("joined", "shuffled"):
        node = graph.producer(mover)
        assert node is not None
        assert all(_rounded_by(graph, name) or name == "shuffled" for name in node.input)
    assert not any(node.input[0] in ("joined", "shuffled") for node in graph.of_type("QuantizeLinear"))


def test_what_is_joined_shares_a_range_that_is_nearly_its_own() -> None:
    model = depth_graph()
    ranges = _ranges(model)
    graph, form = Graph(model), Form(activations="uint8", early=True, shared=True)
    layers = quantisable(graph, form)
    image = ranges["image"][1]
    for wide, times in ((1.2 * image, True), (5 * image, False)):
        given = {**ranges, "joined": (0.0, wide), "image": (0.0, image)}
        shared = shared_ranges(graph, layers, given)
        assert (shared["image"] == shared["joined"]) is times
        assert shared["joined"] == (0.0, wide)
        assert {name for name in given if shared[name] != given[name]} == ({"image"} if times else set())
        rounded = Graph(insert_qdq(model, layers, given, form))
        readers = [node for node in rounded.of_type("QuantizeLinear") if node.input[0] == "image"]
        assert len(readers) == (1 if times else 2)


def test_depth_itself_is_not_rounded() -> None:
    # a thin layer makes a correction of depth; what it is added to is depth, and stays exact
    model = depth_graph()
    graph = Graph(model)
    layers = quantisable(graph, form_for("openvino"))
    thin = [replace(layer, kind="thin") if layer.name == "pointwise" else layer for layer in layers]
    for given, rounded in ((layers, "stem.relu"), (thin, None)):
        found = Graph(insert_qdq(model, given, _ranges(model), form_for("openvino")))
        add = found.producer("residual")
        assert add is not None
        assert _rounded_by(found, add.input[0]) == rounded


def test_early_rounding_spares_whoever_reads_exact_values() -> None:
    model = depth_graph()
    form = Form(activations="uint8", kinds=frozenset({"dense"}), early=True)
    kept = [layer for layer in quantisable(Graph(model), form) if layer.name != "mix"]
    graph = Graph(insert_qdq(model, kept, _ranges(model), form))
    conv = graph.producer("mix")
    assert conv is not None
    assert conv.input[0] == "joined"
    concat = graph.producer("joined")
    assert concat is not None
    assert list(concat.input) == ["shuffled", "image"]


@pytest.mark.parametrize("name", list(FORMS))
def test_every_form_is_close_to_fp32(name: str, tmp_path: Path) -> None:
    model, form = depth_graph(), FORMS[name]
    rounded = insert_qdq(model, quantisable(Graph(model), form), _ranges(model), form)
    rounded = to_float16(rounded) if form.half else rounded
    exact, actual = _run(model, tmp_path), _run(rounded, tmp_path)
    difference = np.abs(actual - exact) / exact
    assert 0 < difference.mean() < 0.05, difference.mean()


def test_openvino_computes_what_the_graph_says(tmp_path: Path) -> None:
    model, form = depth_graph(), form_for("openvino")
    rounded = insert_qdq(model, quantisable(Graph(model), form), _ranges(model), form)
    difference = np.abs(_run(rounded, tmp_path, "openvino") / _run(rounded, tmp_path) - 1)
    assert np.quantile(difference, 0.99) < 0.03


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_two_products_fit_into_16_bits_on_cpus(backend: str) -> None:
    """Without VNNI a CPU adds products of an activation and a weight in pairs there, and cuts off what is more."""
    model, form = depth_graph(), form_for(backend)
    rounded = insert_qdq(model, quantisable(Graph(model), form), _ranges(model), form)
    weights = [onnx.numpy_helper.to_array(i) for i in rounded.graph.initializer if i.data_type == onnx.TensorProto.INT8]
    assert weights
    largest = max(int(np.abs(weight.astype(int)).max()) for weight in weights)
    assert largest == 64
    assert 2 * 255 * largest <= np.iinfo(np.int16).max


def test_missing_and_infinite_ranges_are_refused() -> None:
    model = depth_graph()
    layers = quantisable(Graph(model), INPUTS_ONLY)
    ranges = _ranges(model)
    with pytest.raises(InputError, match=r"no range for tensor 'residual\.relu'"):
        insert_qdq(model, layers, {k: v for k, v in ranges.items() if k != "residual.relu"}, INPUTS_ONLY)
    with pytest.raises(InputError, match="not finite"):
        insert_qdq(model, layers, {**ranges, "stem.relu": (0.0, float("nan"))}, INPUTS_ONLY)
    with pytest.raises(UnknownNameError, match="openvino, onnxruntime, tensorrt"):
        form_for("coreml")


def test_half_size_storage_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgedepth.export.storage._SMALLEST", 16)
    model = depth_graph()
    packed = compact(model)
    assert not {"pointwise", "up", "mix"} & {layer.name for layer in layers_of(Graph(packed))}
    again = unpack(packed)
    assert {layer.name for layer in layers_of(Graph(again))} == {layer.name for layer in layers_of(Graph(model))}
    np.testing.assert_allclose(_run(again, tmp_path), _run(packed, tmp_path), rtol=1e-6)


# -- corrections -----------------------------------------------------------------------------------------


def test_streams_are_what_is_added_together() -> None:
    streams = {stream.name: stream for stream in streams_of(Graph(depth_graph()))}
    assert set(streams) == {"stem", "depthwise", "mix"}  # what is shuffled keeps its channels
    assert {node.output[0] for node in streams["stem"].makers} == {"stem", "pointwise"}
    assert {node.output[0] for node, _ in streams["stem"].readers} == {"depthwise", "up"}


def test_equalisation_changes_no_answer_and_narrows_ranges(tmp_path: Path) -> None:
    model = depth_graph(spread=300.0)
    seen = observe(model, frames(6), tensors_to_observe(Graph(model)))
    balanced, scales = equalise(model, seen)
    np.testing.assert_allclose(_run(balanced, tmp_path), _run(model, tmp_path), rtol=1e-4)
    np.testing.assert_allclose(_run(apply_scales(model, scales), tmp_path), _run(balanced, tmp_path), rtol=1e-6)
    after = observe(balanced, frames(6), ["depthwise"])["depthwise"].channel_max
    before = seen["depthwise"].channel_max
    assert after.max() / np.median(after) < 0.2 * before.max() / np.median(before)


@pytest.mark.parametrize("index", [1, 2], ids=["weight", "bias"])
def test_equalisation_leaves_what_a_network_computes(index: int) -> None:
    """A weight or bias that is no constant cannot be multiplied: not of who makes a stream, nor of who reads it."""
    graph = Graph(depth_graph())
    layer = graph.producer("logits" if index == 1 else "mix")
    assert layer is not None
    if index == 1:
        layer.input[0] = graph.add("Concat", [layer.input[0], "image"], "with_image", axis=1)
        layer.input[1] = graph.add_constant(np.ones((8, 11, 1, 1), np.float32), "wide")
    gain = graph.add("ReduceMax", ["image"], "gain", keepdims=0)
    layer.input[index] = graph.add("Mul", [layer.input[index], gain], "computed")
    graph.tidy()
    assert {stream.name for stream in streams_of(graph)} == {"stem", "depthwise"}
    _, scales = equalise(graph.model, observe(graph.model, frames(6), tensors_to_observe(graph)))
    assert set(scales) == {"stem", "depthwise"}


def test_equalisation_rescues_a_depthwise_layer(tmp_path: Path) -> None:
    model = depth_graph(spread=300.0)
    exact = _run(model, tmp_path)
    seen = observe(model, frames(6), tensors_to_observe(Graph(model)))
    balanced, _ = equalise(model, seen)
    errors = []
    for graph in (model, balanced):
        rounded = insert_qdq(graph, quantisable(Graph(graph), INPUTS_ONLY), _ranges(graph), INPUTS_ONLY)
        errors.append(float(np.abs(_run(rounded, tmp_path) / exact - 1).mean()))
    assert errors[1] < 0.5 * errors[0]


def test_bias_correction_takes_the_mean_shift_back() -> None:
    model = depth_graph()
    layers = [layer for layer in quantisable(Graph(model), INPUTS_ONLY) if layer.name == "up"]
    seen = observe(model, frames(6), tensors_to_observe(Graph(model)))
    means = {name: entry.channel_mean for name, entry in seen.items()}
    # only the weights are rounded: a range so fine that activations hardly are is not to be had with eight bits
    shifts = []
    for graph in (model, correct_biases(model, layers, means)):
        rounded = insert_qdq(graph, layers, _ranges(model), Form(activations="uint8", residual=False))
        float_inputs = Graph(rounded)
        conv = float_inputs.producer("up")
        assert conv is not None
        conv.input[0] = "residual.relu"
        float_inputs.tidy()
        after = observe(float_inputs.model, frames(6), ["up"])["up"].channel_mean
        shifts.append(float(np.abs(after - seen["up"].channel_mean).mean()))
    assert shifts[1] < 0.05 * shifts[0]


# -- TensorRT --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [(), ("up",)], ids=["half", "one in float32"])
def test_tensorrt_builds_int8_convolutions(keep: tuple[str, ...], tmp_path: Path) -> None:
    """Also those whose answers float16 cannot hold: their integers are dequantised to float32, and not cast to it."""
    pytest.importorskip("tensorrt_rtx", reason="pip install tensorrt-rtx")
    from edgedepth.engines.tensorrt.build import engine_from_onnx
    from edgedepth.engines.tensorrt.config import BuildConfig
    from edgedepth.engines.tensorrt.flavour import load_flavour

    model, form = depth_graph(), form_for("tensorrt")
    layers = quantisable(Graph(model), form)
    half = to_float16(insert_qdq(model, layers, _ranges(model), form), keep=keep)
    onnx.save(half, tmp_path / "int8.onnx")
    engine = engine_from_onnx(tmp_path / "int8.onnx", BuildConfig(targets=("sm86",)), load_flavour("tensorrt-rtx"))
    dequantised = {name for fact in engine.layers if fact.kind == "DEQUANTIZE" for name in fact.outputs}
    int8 = {
        fact.name
        for fact in engine.layers
        if fact.kind == "CONVOLUTION" and len([name for name in fact.inputs if name in dequantised]) == 2
    }
    assert int8 == {layer.name for layer in layers} == {"pointwise", "up", "mix"}
    for name in int8:
        kernels = [kernel for kernel in engine.kernels if name in kernel.nodes]
        assert kernels
        assert any("Int8" in kernel.input_types for kernel in kernels), (name, kernels)
    typed = {fact.name: fact.output_types[0] for fact in engine.layers if fact.kind == "CONVOLUTION"}
    assert typed["stem"] == typed["logits"] == "HALF"
    assert typed["up"] == ("FLOAT" if keep else "HALF")
