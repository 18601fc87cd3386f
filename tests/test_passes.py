"""Every rewrite: it fires where its pattern stands, computes the same in float64, and refuses what would be wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgedepth.core.errors import EdgeDepthError
from edgedepth.export.passes import PASSES, Rewrite, passes_for, run_passes
from edgedepth.export.passes.conv_shuffle import CONV_SHUFFLE, CONV_SHUFFLE_MAP
from edgedepth.export.passes.fast_conv import FAST_CONV
from edgedepth.export.passes.graph import Graph
from edgedepth.export.passes.merge_affine import MERGE_AFFINE
from edgedepth.export.passes.pad_channels import PAD_CHANNELS
from edgedepth.export.passes.small_kernels import SMALL_KERNELS
from edgedepth.export.passes.soft_argmax import SOFT_ARGMAX
from edgedepth.export.passes.sum_first import SUM_FIRST
from edgedepth.export.passes.unpool_conv import UNPOOL_CONV
from edgedepth.export.passes.upsample_conv import UPSAMPLE_CONV

Array = NDArray[Any]


@dataclass
class Net:
    """A little graph under construction, in float64 (for exactness) or float32 (as it ships)."""

    dtype: Any = np.float64
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def input(self, name: str, *shape: int) -> str:
        self.inputs[name] = shape
        return name

    def const(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        array = np.asarray(value)
        self.constants[name] = array if array.dtype == np.int64 else array.astype(self.dtype)
        return name

    def random(self, *shape: int) -> str:
        return self.const(self.rng.normal(size=shape))

    def op(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        name = f"{op_type.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, list(inputs), [name], **attributes))
        return name

    def conv(self, x: str, c_in: int, c_out: int, kernel: int = 3, *, bias: bool = True, **more: Any) -> str:
        names = [x, self.random(c_out, c_in // more.get("group", 1), kernel, kernel)]
        if bias:
            names.append(self.random(c_out))
        attributes = {"kernel_shape": [kernel] * 2, "pads": [kernel // 2] * 4, **more}
        return self.op("Conv", *names, **attributes)

    def unpool(self, x: str, n: int, c: int, h: int, w: int, size_hw: tuple[int, int], fill: float = 0.0) -> str:
        apart = self.op("Reshape", x, self.const(np.array([n, c, h, 1, w, 1])))
        pads = self.const(np.array([0] * 9 + [1, 0, 1]))
        spread = self.op("Pad", apart, pads, self.const(fill))
        whole = self.op("Reshape", spread, self.const(np.array([n, c, 2 * h, 2 * w])))
        if size_hw == (2 * h, 2 * w):
            return whole
        arguments = [np.array([0, 0]), np.array(size_hw), np.array([2, 3]), np.array([1, 1])]
        return self.op("Slice", whole, *(self.const(argument) for argument in arguments))

    def model(self, *outputs: str) -> onnx.ModelProto:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        graph = helper.make_graph(
            self.nodes,
            "test",
            [helper.make_tensor_value_info(name, kind, shape) for name, shape in self.inputs.items()],
            [helper.make_tensor_value_info(name, kind, None) for name in outputs],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        opset = helper.make_opsetid("", 20)
        model = onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[opset], ir_version=10))
        onnx.checker.check_model(model, full_check=True)
        return model

    def feed(self) -> dict[str, Array]:
        return {name: self.rng.normal(size=shape).astype(self.dtype) for name, shape in self.inputs.items()}


Build = Callable[[Net], Sequence[str]]


def evaluate(model: onnx.ModelProto, feed: dict[str, Array]) -> list[Array]:
    if next(iter(feed.values())).dtype == np.float64:
        return [np.asarray(x) for x in ReferenceEvaluator(model).run(None, feed)]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [np.asarray(x) for x in session.run(None, feed)]


def ops(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


# -- graphs in which a rewrite fires -----------------------------------------------------------------------


def normalisation(net: Net) -> Sequence[str]:
    x = net.input("x", 2, 3, 4, 5)
    scaled = net.op("Div", x, net.const(255.0))
    centred = net.op("Sub", scaled, net.random(1, 3, 1, 1))
    return [net.op("Mul", centred, net.random(1, 3, 1, 1))]


def reversed_difference(net: Net) -> Sequence[str]:
    x = net.input("x", 2, 3)
    turned = net.op("Sub", net.const(1.0), net.op("Mul", x, net.const(3.0)))
    return [net.op("Add", turned, net.const([1.0, 2.0, 3.0]))]


def chain_with_a_reader_in_the_middle(net: Net) -> Sequence[str]:
    x = net.input("x", 2, 3)
    first = net.op("Add", net.op("Add", x, net.const(1.0)), net.const(2.0))
    second = net.op("Mul", net.op("Mul", first, net.const(3.0)), net.const(0.5))
    return [net.op("Relu", first), second]


def expectation(net: Net) -> Sequence[str]:
    logits = net.input("x", 2, 7, 3, 5)
    product = net.op("Mul", net.op("Softmax", logits, axis=1), net.const(np.arange(1.0, 8).reshape(1, 7, 1, 1)))
    return [net.op("ReduceSum", product, net.const(np.array([1])), keepdims=1)]


def expectation_flat_with_confidence(net: Net) -> Sequence[str]:
    """The sum drops its axis, and the probabilities have another reader and leave the graph too."""
    logits = net.input("x", 1, 5, 4, 3)
    probabilities = net.op("Softmax", logits, axis=1)
    product = net.op("Mul", net.const(np.arange(1.0, 6).reshape(1, 5, 1, 1)), probabilities)
    return [
        net.op("ReduceSum", product, net.const(np.array([1])), keepdims=0),
        net.op("ReduceMax", probabilities, net.const(np.array([1]))),
        probabilities,
    ]


def unpooled_even(net: Net) -> Sequence[str]:
    x = net.input("x", 2, 3, 4, 5)
    return [net.conv(net.unpool(x, 2, 3, 4, 5, (8, 10)), 3, 4, 5)]


def unpooled_odd(net: Net) -> Sequence[str]:
    x = net.input("x", 1, 2, 4, 3)
    return [net.op("Relu", net.conv(net.unpool(x, 1, 2, 4, 3, (7, 5)), 2, 3, 5, bias=False))]


def unpooled_with_skips(net: Net) -> Sequence[str]:
    """As in upproj-con: two convolutions read one concatenation of the unpooled map, a skip and the image."""
    x, skip, image = net.input("x", 1, 4, 3, 4), net.input("skip", 1, 2, 5, 8), net.input("image", 1, 3, 5, 8)
    joined = net.op("Concat", skip, net.unpool(x, 1, 4, 3, 4, (5, 8)), image, axis=1)
    return [net.conv(joined, 9, 3, 5), net.conv(joined, 9, 2, 5)]


def resized(net: Net, x: str, scale: float = 2.0, **attributes: Any) -> str:
    scales = f"scales{len(net.nodes)}"
    net.constants[scales] = np.array([1, 1, scale, scale], np.float32)
    return net.op("Resize", x, "", scales, **{"mode": "linear", **attributes})


def upsampled(net: Net) -> Sequence[str]:
    return [net.conv(resized(net, net.input("x", 2, 6, 5, 3)), 6, 2, 1)]


def upsampled_by_axes(net: Net) -> Sequence[str]:
    net.constants["two"] = np.full(2, 2.0, np.float32)
    up = net.op("Resize", net.input("x", 2, 6, 5, 3), "", "two", mode="linear", axes=[2, 3])
    return [net.conv(up, 6, 2, 1)]


def upsampled_aligned(net: Net) -> Sequence[str]:
    x = net.input("x", 1, 4, 3, 5)
    up = resized(net, x, 4.0, coordinate_transformation_mode="align_corners")
    return [net.conv(up, 4, 4, 1, bias=False)]


def upsampled_and_joined(net: Net) -> Sequence[str]:
    a, b = net.input("a", 1, 4, 3, 5), net.input("b", 1, 2, 6, 10)
    joined = net.op("Concat", b, resized(net, a), axis=1)
    return [net.conv(joined, 6, 3, 1), net.op("Relu", joined)]


def shuffled_one_bias(net: Net) -> Sequence[str]:
    x = net.input("x", 2, 3, 4, 5)
    weight, bias = net.random(8, 3, 1, 1), net.const(np.repeat([0.5, -1.0], 4))
    maps = net.op("Relu", net.op("Conv", x, weight, bias))
    return [net.op("DepthToSpace", maps, blocksize=2, mode="CRD")]


def shuffled_no_bias(net: Net) -> Sequence[str]:
    x = net.input("x", 1, 2, 3, 3)
    return [net.op("DepthToSpace", net.conv(x, 2, 9, 1, bias=False), blocksize=3, mode="CRD")]


def shuffled_many_biases(net: Net) -> Sequence[str]:
    x = net.input("x", 1, 3, 4, 5)
    maps = net.op("LeakyRelu", net.conv(x, 3, 8, 1), alpha=0.25)
    return [net.op("DepthToSpace", maps, blocksize=2, mode="CRD")]


def joined_with_an_image(net: Net) -> Sequence[str]:
    """Two convolutions read 36 channels, of which 3 are an image in the middle."""
    parts = [net.input("a", 1, 20, 3, 4), net.input("image", 1, 3, 3, 4), net.input("b", 1, 13, 3, 4)]
    joined = net.op("Concat", *parts, axis=1)
    return [net.conv(joined, 36, 4, 3), net.conv(joined, 36, 2, 1, bias=False)]


def wide_5x5(net: Net) -> Sequence[str]:
    return [net.conv(net.input("x", 2, 16, 8, 6), 16, 17, 5)]


def wide_5x5_of_odd_size(net: Net) -> Sequence[str]:
    """Two convolutions read the map, one of them without a bias; others read what they make."""
    x = net.input("x", 1, 17, 7, 5)
    first, second = net.conv(x, 17, 16, 5), net.conv(x, 17, 16, 5, bias=False)
    return [net.op("Relu", first), net.op("Mul", first, second)]


def wide_5x5_of_a_padded_map(net: Net) -> Sequence[str]:
    """Others pad the map and take it apart, in ways of their own."""
    x = net.input("x", 1, 16, 7, 5)
    padded = net.op("Pad", x, net.const(np.array([0, 0, 1, 1, 0, 0, 2, 2])))
    apart = net.op("SpaceToDepth", net.op("Pad", x, net.const(np.array([0] * 5 + [0, 5, 3]))), blocksize=4)
    return [net.op("Relu", padded), net.op("Relu", apart), net.conv(x, 16, 16, 5)]


def border(net: Net, c_in: int, c_out: int, zeros: Sequence[tuple[int, int, int, int]]) -> Array:
    """3x3 weights whose sub-pixels 0, 1, ... of every channel have zero rows and columns at their borders."""
    weight = net.rng.normal(size=(c_out, len(zeros), c_in, 3, 3))
    for number, (top, left, bottom, right) in enumerate(zeros):
        keep = np.zeros((3, 3))
        keep[top : 3 - bottom, left : 3 - right] = 1
        weight[:, number] *= keep
    return weight


SUB_PIXELS = [(0, 0, 0, 0), (0, 1, 0, 0), (1, 0, 0, 0), (1, 1, 1, 0)]


def sub_pixels_in_turn(net: Net) -> Sequence[str]:
    weight = net.const(border(net, 3, 2, SUB_PIXELS).reshape(8, 3, 3, 3))
    maps = net.op("Conv", net.input("x", 2, 3, 5, 4), weight, net.random(8), pads=[1, 1, 1, 1])
    return [net.op("DepthToSpace", maps, blocksize=2, mode="CRD")]


def sub_pixels_in_blocks(net: Net) -> Sequence[str]:
    weight = net.const(border(net, 3, 2, SUB_PIXELS).swapaxes(0, 1).reshape(8, 3, 3, 3))
    maps = net.op("Conv", net.input("x", 1, 3, 5, 4), weight, pads=[2, 1, 1, 1])
    return [net.op("DepthToSpace", maps, blocksize=2, mode="DCR")]


def cropped(net: Net, x: str, height: int) -> str:
    return net.op("Slice", x, *(net.const(np.array(bounds)) for bounds in ([0], [height], [2])))


def moved_alike(net: Net) -> Sequence[str]:
    """A concatenation, a shuffle and a crop on both sides: the sum passes all three."""
    sides = []
    for name in "ab":
        parts = [net.input(f"{name}{number}", 1, channels, 3, 4) for number, channels in enumerate((3, 5))]
        shuffled = net.op("DepthToSpace", net.op("Concat", *parts, axis=1), blocksize=2, mode="DCR")
        sides.append(cropped(net, shuffled, 5))
    return [net.op("Add", *sides)]


FIRES: list[tuple[Rewrite[Any], Build, int]] = [
    (MERGE_AFFINE, normalisation, 1),
    (MERGE_AFFINE, reversed_difference, 1),
    (MERGE_AFFINE, chain_with_a_reader_in_the_middle, 2),
    (SOFT_ARGMAX, expectation, 1),
    (SOFT_ARGMAX, expectation_flat_with_confidence, 1),
    (UNPOOL_CONV, unpooled_even, 1),
    (UNPOOL_CONV, unpooled_odd, 1),
    (UNPOOL_CONV, unpooled_with_skips, 2),
    (UPSAMPLE_CONV, upsampled, 1),
    (UPSAMPLE_CONV, upsampled_aligned, 1),
    (UPSAMPLE_CONV, upsampled_and_joined, 1),
    (PAD_CHANNELS, joined_with_an_image, 1),
    (FAST_CONV, wide_5x5, 1),
    (FAST_CONV, wide_5x5_of_odd_size, 2),
    (FAST_CONV, wide_5x5_of_a_padded_map, 1),
    (SMALL_KERNELS, sub_pixels_in_turn, 1),
    (SMALL_KERNELS, sub_pixels_in_blocks, 1),
    (SUM_FIRST, moved_alike, 3),
    (CONV_SHUFFLE, shuffled_one_bias, 1),
    (CONV_SHUFFLE, shuffled_no_bias, 1),
    (CONV_SHUFFLE_MAP, shuffled_one_bias, 1),
    (CONV_SHUFFLE_MAP, shuffled_many_biases, 1),
]
CASES = [pytest.param(entry, build, count, id=f"{entry.name}-{build.__name__}") for entry, build, count in FIRES]


@pytest.mark.parametrize(("entry", "build", "count"), CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 2e-5)])
def test_fires_and_is_exact(entry: Rewrite[Any], build: Build, count: int, dtype: Any, tolerance: float) -> None:
    net = Net(dtype=dtype)
    model = net.model(*build(net))
    rewritten, (report,) = run_passes(model, [entry])
    assert len(report.fired) == count
    assert rewritten.ir_version == 10
    assert [out.name for out in rewritten.graph.output] == [out.name for out in model.graph.output]
    feed = net.feed()
    for before, after in zip(evaluate(model, feed), evaluate(rewritten, feed), strict=True):
        assert after.shape == before.shape
        assert np.abs(after - before).max() <= tolerance * max(1.0, np.abs(before).max())


@pytest.mark.parametrize("entry", PASSES, ids=lambda entry: str(entry.name))
def test_every_rewrite_is_tested(entry: Rewrite[Any]) -> None:
    assert entry.name in {fires.name for fires, _, _ in FIRES}
    assert entry.name in {refuses.name for refuses, _, _ in REFUSES}


def test_what_the_rewrites_leave() -> None:
    """The shape of the result: the work really went away."""

    def after(entry: Rewrite[Any], build: Build) -> Counter[str]:
        net = Net()
        return ops(run_passes(net.model(*build(net)), [entry])[0])

    assert after(MERGE_AFFINE, normalisation) == {"Mul": 1, "Add": 1}
    assert after(SOFT_ARGMAX, expectation) == {"Transpose": 1, "Softmax": 1, "MatMul": 1, "Reshape": 1}
    assert after(UNPOOL_CONV, unpooled_even) == {"Conv": 1, "DepthToSpace": 1}
    # the concatenation without the unpooled map is made once for both convolutions
    assert after(UNPOOL_CONV, unpooled_with_skips) == {
        "Concat": 1, "Conv": 4, "DepthToSpace": 2, "Slice": 2, "Add": 2,
    }  # fmt: skip
    assert after(UPSAMPLE_CONV, upsampled) == {"Conv": 1, "Resize": 1}
    assert after(PAD_CHANNELS, joined_with_an_image) == {"Pad": 1, "Concat": 1, "Conv": 2}
    fast = {"Conv": 9, "SpaceToDepth": 1, "Split": 1, "Concat": 1, "DepthToSpace": 1, "Slice": 10, "Sub": 10, "Add": 10}
    assert after(FAST_CONV, wide_5x5) == fast
    # the sums of what is read are made once for both convolutions
    assert after(FAST_CONV, wide_5x5_of_odd_size)["Add"] == 2 * 5 + 5
    assert after(SMALL_KERNELS, sub_pixels_in_turn) == {"Conv": 4, "Concat": 1, "DepthToSpace": 1}
    assert after(SUM_FIRST, moved_alike) == {"Add": 2, "Concat": 1, "DepthToSpace": 1, "Slice": 1}
    assert after(CONV_SHUFFLE, shuffled_one_bias) == {"ConvTranspose": 1, "Relu": 1}


# -- graphs that look alike but must be left -----------------------------------------------------------------


def widening(net: Net) -> Sequence[str]:
    x = net.input("x", 1, 3, 1, 1)
    return [net.op("Add", net.op("Add", x, net.random(1, 3, 4, 4)), net.const(1.0))]


def divided_by_zero(net: Net) -> Sequence[str]:
    return [net.op("Mul", net.op("Div", net.input("x", 1, 3, 2, 2), net.const(0.0)), net.const(0.5))]


def beyond_the_largest_number(net: Net) -> Sequence[str]:
    """Zero stays zero step by step, but is no number times infinity."""
    return [net.op("Mul", net.op("Mul", net.input("x", 1, 3, 2, 2), net.const(1e200)), net.const(1e200))]


def rounded_by_a_large_number(net: Net) -> Sequence[str]:
    """What rounds float32 to whole numbers."""
    large = net.const(2.0**23)
    return [net.op("Sub", net.op("Add", net.input("x", 1, 3, 2, 2), large), large)]


def rows_and_columns(net: Net) -> Sequence[str]:
    return [net.op("Add", net.op("Add", net.input("x", 1, 3, 4, 5), net.random(4, 1)), net.random(1, 5))]


def constant_divided(net: Net) -> Sequence[str]:
    x = net.input("x", 2, 3)
    return [net.op("Mul", net.op("Mul", net.op("Div", net.const(1.0), x), net.const(2.0)), net.const(2.0))]


def softmax_over_rows(net: Net) -> Sequence[str]:
    x = net.input("x", 1, 4, 4, 4)
    product = net.op("Mul", net.op("Softmax", x, axis=2), net.const(np.arange(4.0).reshape(1, 4, 1, 1)))
    return [net.op("ReduceSum", product, net.const(np.array([1])))]


def sum_over_rows(net: Net) -> Sequence[str]:
    x = net.input("x", 1, 4, 4, 4)
    product = net.op("Mul", net.op("Softmax", x, axis=1), net.const(np.arange(4.0).reshape(1, 4, 1, 1)))
    return [net.op("ReduceSum", product, net.const(np.array([2])))]


def index_of_another_axis(net: Net) -> Sequence[str]:
    """Of five axes, of which the sum takes another."""
    weighted = net.op("Mul", net.op("Softmax", net.input("x", 1, 5, 2, 3), axis=1), net.random(1, 1, 5, 1, 1))
    return [net.op("ReduceSum", weighted, net.const(np.array([1])))]


def weights_per_pixel(net: Net) -> Sequence[str]:
    x = net.input("x", 1, 4, 3, 3)
    product = net.op("Mul", net.op("Softmax", x, axis=1), net.random(1, 4, 3, 3))
    return [net.op("ReduceSum", product, net.const(np.array([1])))]


def unpooled_3x3(net: Net) -> Sequence[str]:
    return [net.conv(net.unpool(net.input("x", 1, 2, 3, 3), 1, 2, 3, 3, (6, 6)), 2, 2, 3)]


def unpooled_grouped(net: Net) -> Sequence[str]:
    return [net.conv(net.unpool(net.input("x", 1, 2, 3, 3), 1, 2, 3, 3, (6, 6)), 2, 2, 5, group=2)]


def unpooled_strided(net: Net) -> Sequence[str]:
    return [net.conv(net.unpool(net.input("x", 1, 2, 3, 3), 1, 2, 3, 3, (6, 6)), 2, 2, 5, strides=[2, 2])]


def unpooled_unpadded(net: Net) -> Sequence[str]:
    return [net.conv(net.unpool(net.input("x", 1, 2, 3, 3), 1, 2, 3, 3, (6, 6)), 2, 2, 5, pads=[0] * 4)]


def upsampled_3x3(net: Net) -> Sequence[str]:
    return [net.conv(resized(net, net.input("x", 1, 3, 4, 4)), 3, 2, 3)]


def upsampled_and_widened(net: Net) -> Sequence[str]:
    return [net.conv(resized(net, net.input("x", 1, 2, 4, 4)), 2, 3, 1)]


def downsampled(net: Net) -> Sequence[str]:
    return [net.conv(resized(net, net.input("x", 1, 3, 4, 4), 0.5), 3, 2, 1)]


def upsampled_and_read_twice(net: Net) -> Sequence[str]:
    up = resized(net, net.input("x", 1, 3, 4, 4))
    return [net.conv(up, 3, 2, 1), net.op("Relu", up)]


def joined_few(net: Net) -> Sequence[str]:
    joined = net.op("Concat", net.input("a", 1, 4, 3, 3), net.input("b", 1, 3, 3, 3), axis=1)
    return [net.conv(joined, 7, 2)]


def joined_and_read_otherwise(net: Net) -> Sequence[str]:
    joined = net.op("Concat", net.input("a", 1, 32, 3, 3), net.input("b", 1, 3, 3, 3), axis=1)
    return [net.conv(joined, 35, 2), net.op("Relu", joined)]


def joined_and_given_out(net: Net) -> Sequence[str]:
    joined = net.op("Concat", net.input("a", 1, 32, 3, 3), net.input("b", 1, 3, 3, 3), axis=1)
    return [net.conv(joined, 35, 2), joined]


def shuffled_dcr(net: Net) -> Sequence[str]:
    maps = net.conv(net.input("x", 1, 2, 3, 3), 2, 8, 1, bias=False)
    return [net.op("DepthToSpace", maps, blocksize=2, mode="DCR")]


def shuffled_computed_bias(net: Net) -> Sequence[str]:
    bias = net.op("Relu", net.input("bias", 8))
    maps = net.op("Conv", net.input("x", 1, 3, 4, 5), net.random(8, 3, 1, 1), bias)
    return [net.op("DepthToSpace", maps, blocksize=2, mode="CRD")]


def shuffled_3x3(net: Net) -> Sequence[str]:
    maps = net.conv(net.input("x", 1, 2, 3, 3), 2, 8, 3, bias=False)
    return [net.op("DepthToSpace", maps, blocksize=2, mode="CRD")]


def shuffled_and_joined(net: Net) -> Sequence[str]:
    maps = net.conv(net.input("x", 1, 2, 3, 3), 2, 8, 1, bias=False)
    shuffled = net.op("DepthToSpace", maps, blocksize=2, mode="CRD")
    return [net.op("Concat", shuffled, net.input("skip", 1, 3, 6, 6), axis=1)]


def shuffled_and_read_before(net: Net) -> Sequence[str]:
    maps = net.conv(net.input("x", 1, 2, 3, 3), 2, 8, 1, bias=False)
    return [net.op("DepthToSpace", maps, blocksize=2, mode="CRD"), net.op("Relu", maps)]


def wide_5x5_grouped(net: Net) -> Sequence[str]:
    return [net.conv(net.input("x", 1, 64, 6, 6), 64, 64, 5, group=2)]


def wide_5x5_strided(net: Net) -> Sequence[str]:
    return [net.conv(net.input("x", 1, 16, 6, 6), 16, 16, 5, strides=[2, 2])]


def wide_5x5_unpadded(net: Net) -> Sequence[str]:
    return [net.conv(net.input("x", 1, 16, 6, 6), 16, 16, 5, pads=[0] * 4)]


def narrow_5x5(net: Net) -> Sequence[str]:
    return [net.conv(net.input("x", 1, 16, 6, 6), 16, 8, 5)]


def sub_pixels_read_before(net: Net) -> Sequence[str]:
    weight = net.const(border(net, 3, 2, SUB_PIXELS).reshape(8, 3, 3, 3))
    maps = net.op("Conv", net.input("x", 1, 3, 5, 4), weight, pads=[1, 1, 1, 1])
    return [net.op("DepthToSpace", maps, blocksize=2, mode="CRD"), net.op("Relu", maps)]


def sub_pixels_unpadded(net: Net) -> Sequence[str]:
    weight = net.const(border(net, 3, 2, SUB_PIXELS).reshape(8, 3, 3, 3))
    maps = net.op("Conv", net.input("x", 1, 3, 5, 4), weight, pads=[0, 0, 0, 0])
    return [net.op("DepthToSpace", maps, blocksize=2, mode="CRD")]


def moved_and_read(net: Net) -> Sequence[str]:
    one, other = (net.op("DepthToSpace", net.input(name, 1, 4, 2, 2), blocksize=2) for name in "ab")
    return [net.op("Add", one, other), net.op("Relu", one)]


def cut_differently(net: Net) -> Sequence[str]:
    a, b = net.input("a", 1, 2, 5, 3), net.input("b", 1, 2, 5, 3)
    lower = net.op("Slice", b, *(net.const(np.array(bounds)) for bounds in ([1], [5], [2])))
    return [net.op("Add", cropped(net, a, 4), lower)]


def shuffled_differently(net: Net) -> Sequence[str]:
    a, b = net.input("a", 1, 8, 2, 2), net.input("b", 1, 8, 2, 2)
    one, other = (net.op("DepthToSpace", x, blocksize=2, mode=mode) for x, mode in ((a, "CRD"), (b, "DCR")))
    return [net.op("Add", one, other)]


def joined_differently(net: Net) -> Sequence[str]:
    sides = [[net.input(f"{side}{channels}", 1, channels, 2, 2) for channels in order]
             for side, order in (("a", (1, 3)), ("b", (3, 1)))]  # fmt: skip
    return [net.op("Add", *(net.op("Concat", *parts, axis=1) for parts in sides))]


def at_open_size(net: Net, x: str) -> str:
    """The map in a shape that is known when the graph runs only."""
    size = net.op("Cast", net.input("size", 4), to=TensorProto.INT64)
    return net.op("Reshape", x, size)


def unpooled_with_an_open_skip(net: Net) -> Sequence[str]:
    unpooled = net.unpool(net.input("x", 1, 4, 3, 4), 1, 4, 3, 4, (6, 8))
    skip = at_open_size(net, net.input("skip", 1, 2, 6, 8))
    return [net.conv(net.op("Concat", unpooled, skip, axis=1), 6, 3, 5)]


def upsampled_with_an_open_skip(net: Net) -> Sequence[str]:
    up, skip = resized(net, net.input("x", 1, 4, 3, 4)), at_open_size(net, net.input("skip", 1, 2, 6, 8))
    return [net.conv(net.op("Concat", up, skip, axis=1), 6, 3, 1)]


def joined_with_an_open_map(net: Net) -> Sequence[str]:
    """What is joined is of known size only because the smallest of it is."""
    own = net.conv(at_open_size(net, net.input("x", 1, 20, 3, 4)), 20, 30, 1)
    joined = net.op("Concat", own, net.input("image", 1, 3, 3, 4), axis=1)
    return [net.conv(joined, 33, 4, 3)]


REFUSES: list[tuple[Rewrite[Any], Build, str]] = [
    (MERGE_AFFINE, widening, "widens"),
    (MERGE_AFFINE, constant_divided, "divided by the tensor"),
    (MERGE_AFFINE, divided_by_zero, "not finite"),
    (MERGE_AFFINE, beyond_the_largest_number, "not finite"),
    (MERGE_AFFINE, rounded_by_a_large_number, "which rounds"),
    (MERGE_AFFINE, rows_and_columns, "widen one another"),
    (SOFT_ARGMAX, softmax_over_rows, "softmax is not over the channels"),
    (SOFT_ARGMAX, sum_over_rows, "sum is not over the channels"),
    (SOFT_ARGMAX, weights_per_pixel, "not one number per channel"),
    (SOFT_ARGMAX, index_of_another_axis, "not one number per channel"),
    (UNPOOL_CONV, unpooled_3x3, "not a constant 5x5"),
    (UNPOOL_CONV, unpooled_grouped, "grouped"),
    (UNPOOL_CONV, unpooled_strided, "strided"),
    (UNPOOL_CONV, unpooled_unpadded, "does not keep the size"),
    (UNPOOL_CONV, unpooled_with_an_open_skip, "not known"),
    (UPSAMPLE_CONV, upsampled_3x3, "not a dense 1x1"),
    (UPSAMPLE_CONV, upsampled_and_widened, "widens"),
    (UPSAMPLE_CONV, downsampled, "does not enlarge"),
    (UPSAMPLE_CONV, upsampled_by_axes, "names its axes"),
    (UPSAMPLE_CONV, upsampled_and_read_twice, "others read"),
    (UPSAMPLE_CONV, upsampled_with_an_open_skip, "not known"),
    (PAD_CHANNELS, joined_few, "costs more than the layout gains"),
    (PAD_CHANNELS, joined_and_read_otherwise, "others than dense convolutions"),
    (PAD_CHANNELS, joined_and_given_out, "leaves the graph"),
    (PAD_CHANNELS, joined_with_an_open_map, "not known"),
    (FAST_CONV, wide_5x5_grouped, "grouped"),
    (FAST_CONV, wide_5x5_strided, "strided"),
    (FAST_CONV, wide_5x5_unpadded, "does not keep the size"),
    (FAST_CONV, narrow_5x5, "fewer than 16 channels"),
    (SMALL_KERNELS, shuffled_3x3, "no sub-pixel has a border of zeros"),
    (SMALL_KERNELS, sub_pixels_read_before, "somebody else reads"),
    (SMALL_KERNELS, sub_pixels_unpadded, "more zeros than padding"),
    (SUM_FIRST, moved_and_read, "somebody else reads"),
    (SUM_FIRST, cut_differently, "cut in different ways"),
    (SUM_FIRST, shuffled_differently, "different ways"),
    (SUM_FIRST, joined_differently, "different sizes"),
    (CONV_SHUFFLE, shuffled_many_biases, "differs between sub-pixels"),
    (CONV_SHUFFLE, shuffled_and_joined, "one kernel with the shuffle"),
    (CONV_SHUFFLE, shuffled_dcr, "DCR"),
    (CONV_SHUFFLE, shuffled_3x3, "not a dense 1x1"),
    (CONV_SHUFFLE, shuffled_computed_bias, "the bias is computed"),
    (CONV_SHUFFLE_MAP, shuffled_computed_bias, "the bias is computed"),
    (CONV_SHUFFLE, shuffled_and_read_before, "others read"),
    (CONV_SHUFFLE_MAP, shuffled_dcr, "DCR"),
    (CONV_SHUFFLE_MAP, shuffled_3x3, "not a dense 1x1"),
]


@pytest.mark.parametrize(
    ("entry", "build", "reason"),
    [pytest.param(entry, build, reason, id=f"{entry.name}-{build.__name__}") for entry, build, reason in REFUSES],
)
def test_refuses_with_a_reason(entry: Rewrite[Any], build: Build, reason: str) -> None:
    net = Net()
    model = net.model(*build(net))
    rewritten, (report,) = run_passes(model, [entry])
    assert not report.fired
    assert [reason in why for _, why in report.refused] == [True]
    assert reason in str(report)
    assert ops(rewritten) == ops(model)


def test_unpooling_that_fills_with_ones_is_no_unpooling() -> None:
    net = Net()
    unpooled = net.unpool(net.input("x", 1, 2, 3, 3), 1, 2, 3, 3, (6, 6), fill=1.0)
    _, (report,) = run_passes(net.model(net.conv(unpooled, 2, 2, 5)), [UNPOOL_CONV])
    assert not report.fired


# -- the machine ---------------------------------------------------------------------------------------------


def test_unpooling_of_which_channels_are_cut_off_is_left() -> None:
    net = Net()
    unpooled = net.unpool(net.input("x", 1, 4, 3, 3), 1, 4, 3, 3, (6, 6))
    arguments = [net.const(np.array([value])) for value in (0, 2, 1)]
    _, (report,) = run_passes(net.model(net.conv(net.op("Slice", unpooled, *arguments), 2, 2, 5)), [UNPOOL_CONV])
    assert not report.fired


def test_rewrites_are_chosen_by_where_they_pay() -> None:
    common = {entry.name for entry in passes_for(None)}
    tensorrt = {entry.name for entry in passes_for("tensorrt")}
    assert "unpool-conv" in common & tensorrt
    assert "soft-argmax" in common - tensorrt
    assert "conv-shuffle" in tensorrt - common
    floating = {"small-kernels", "fast-conv", "sum-first"}  # not in the file that INT8 is made of
    assert {entry.name for entry in passes_for("openvino")} - common == floating
    assert {entry.name for entry in passes_for("onnxruntime")} - common == {"pad-channels"} | floating


def test_unpooling_with_skips_ends_in_one_shuffle() -> None:
    """All that OpenVINO gets, on what it is for: no map is made at full size before the pixel-shuffle."""
    net = Net()
    x, skip = net.input("x", 1, 18, 4, 5), net.input("skip", 1, 16, 7, 10)
    joined = net.op("Concat", net.unpool(x, 1, 18, 4, 5, (7, 10)), skip, axis=1)
    model = net.model(net.op("Relu", net.conv(joined, 34, 16, 5)))
    rewritten, _ = run_passes(model, passes_for("openvino"))
    count = ops(rewritten)
    assert (count["Conv"], count["DepthToSpace"], count["SpaceToDepth"], count["Concat"]) == (4 + 9, 1, 1, 1)
    feed = net.feed()
    (before,), (after,) = evaluate(model, feed), evaluate(rewritten, feed)
    assert np.abs(after - before).max() <= 1e-10 * np.abs(before).max()


def test_a_rewrite_that_breaks_the_graph_is_named() -> None:
    @dataclass(frozen=True)
    class Place:
        where: str

    def breaks(graph: Graph, place: Place) -> None:
        graph.nodes[0].input[0] = "nowhere"

    bad = Rewrite[Place](
        name="vandal",
        find=lambda graph: [Place(graph.nodes[0].output[0])] if "x" in graph.nodes[0].input else [],
        refuse=lambda graph, place: None,
        rewrite=breaks,
    )
    net = Net()
    with pytest.raises(EdgeDepthError, match="pass vandal left an invalid graph"):
        run_passes(net.model(net.op("Relu", net.input("x", 1, 2))), [bad])


def test_the_model_given_is_not_changed() -> None:
    net = Net()
    model = net.model(*unpooled_with_skips(net))
    before = model.SerializeToString(deterministic=True)
    run_passes(model, PASSES)
    assert model.SerializeToString(deterministic=True) == before


def test_graph_answers() -> None:
    net = Net(dtype=np.float32)
    x = net.input("x", 1, 2, 3, 3)
    node = helper.make_node("Constant", [], ["two"], value_float=2.0)
    net.nodes.append(node)
    product = net.op("Mul", x, "two")
    dead = net.op("Relu", x)
    graph = Graph(net.model(net.op("Relu", product)))
    assert [node.op_type for node in graph.nodes] == ["Mul", "Relu"]
    assert graph.producer(dead) is None
    assert graph.constant("two") == np.float32(2.0)
    assert graph.constant(product) is None
    assert graph.shape(product) == (1, 2, 3, 3)
    assert graph.dtype(product) == TensorProto.FLOAT
    assert graph.only_consumer(product) == graph.nodes[1]
    assert graph.fresh(product) == f"{product}_1"


def test_an_input_that_is_empty_at_the_end_is_none() -> None:
    """Exporters write "" for a convolution without a bias; rewrites ask how many inputs there are."""
    net = Net()
    x, weight, low = net.input("x", 1, 16, 6, 6), net.random(16, 16, 5, 5), net.const(0.0)
    conv = net.op("Conv", x, weight, "", pads=[2] * 4)
    graph = Graph(net.model(net.op("Clip", conv, "", low)))
    assert [list(node.input) for node in graph.nodes] == [[x, weight], [conv, "", low]]
    _, (report,) = run_passes(graph.model, [FAST_CONV])
    assert report.fired


def test_tidying_leaves_weights_where_they_are() -> None:
    """A copy of every weight after every rewrite would fill the memory: a message keeps what it once held."""
    net = Net()
    graph = Graph(net.model(net.conv(net.input("x", 1, 2, 4, 4), 2, 3)))
    weight = graph.model.graph.initializer[0]
    graph.add_constant(np.zeros(3), "unread")
    graph.tidy()
    weight.doc_string = "the same"
    assert [entry.doc_string for entry in graph.model.graph.initializer] == ["the same", ""]
