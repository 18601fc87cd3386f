"""Engines really built with TensorRT-RTX, on a machine without a GPU; and every failure a user can meet."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper, save

from edgedepth.core.errors import BackendError, EdgeDepthError, InputError, UnknownNameError
from edgedepth.core.preprocess import Placement
from edgedepth.engines.cache import PlanCache
from edgedepth.engines.machine import Gpu
from edgedepth.engines.tensorrt.build import Engine, engine_from_onnx
from edgedepth.engines.tensorrt.camera import _content
from edgedepth.engines.tensorrt.config import BuildConfig, CameraInput
from edgedepth.engines.tensorrt.flavour import Flavour, flavour_of, load_flavour
from edgedepth.engines.tensorrt.network import precision_of, types_by_kind
from edgedepth.engines.tensorrt.plans import Plan
from edgedepth.engines.tensorrt.profiles import InputRange, Profile, SizeRange
from edgedepth.engines.tensorrt.session import deserialise
from edgedepth.engines.tensorrt.shapes import ShapeArithmetic
from tests.alone import passes_alone
from tests.fakes_tensorrt import fake_trt, onnx_text
from tests.networks import depth_network

SM86 = BuildConfig(targets=("sm86",))


@pytest.fixture(scope="module")
def rtx() -> Flavour:
    return load_flavour("tensorrt-rtx")


def model(
    nodes: list[Any], shape: tuple[int | str, ...], constants: dict[str, np.ndarray], *, dtype: int = TensorProto.FLOAT
) -> ModelProto:
    """A model of one input x and one output y."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


WEIGHT = np.random.default_rng(0).normal(size=(8, 3, 3, 3)).astype(np.float32)


def conv(shape: tuple[int | str, ...]) -> ModelProto:
    """Convolution + bias + ReLU."""
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], name="conv1", pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["y"], name="relu1"),
    ]
    return model(nodes, shape, {"w": WEIGHT, "b": np.ones(8, np.float32)})


def odd_skip() -> ModelProto:
    """Halves its input, doubles it again and adds it: odd sizes do not meet."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["d"], name="down", pads=[1] * 4, strides=[2, 2]),
        helper.make_node("Resize", ["d", "", "s"], ["u"], name="up", mode="nearest"),
        helper.make_node("Conv", ["x", "w"], ["k"], name="skip", pads=[1] * 4),
        helper.make_node("Add", ["u", "k"], ["y"], name="merge"),
    ]
    return model(nodes, ("n", 3, "h", "w"), {"w": WEIGHT, "s": np.array([1, 1, 2, 2], np.float32)})


ZERO = np.int8(0)


def quantised(zero: Any = ZERO, *, bias: bool = False) -> ModelProto:
    """Convolution between int8 (or, by the type of `zero`, uint8) quantisers; with `bias`, that is quantised too."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="quantise"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "s", "zw"], ["dw"]),
    ]
    constants = {"s": np.float32(0.1), "z": zero, "zw": np.int8(0), "w": np.ones((8, 3, 3, 3), np.int8)}
    if bias:
        constants |= {"b": np.ones(8, np.int32), "zb": np.int32(0)}
        nodes.append(helper.make_node("DequantizeLinear", ["b", "s", "zb"], ["db"], name="bias_q"))
    inputs = ["d", "dw", "db"] if bias else ["d", "dw"]
    nodes.append(helper.make_node("Conv", inputs, ["y"], name="conv1", pads=[1] * 4))
    return model(nodes, (1, 3, 8, 8), constants)


def separated(graph: ModelProto) -> bytes:
    """The same model with its weights in another file, which stays behind."""
    tensor = next(entry for entry in graph.graph.initializer if entry.name == "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    return bytes(graph.SerializeToString())


def squares(name: str, *sizes: int) -> Profile:
    low, usual, high = ((1, 3, size, size) for size in sizes)
    return Profile(name=name, ranges=(InputRange(input="x", min=low, opt=usual, max=high),))


def build(
    folder: Path, graph: ModelProto | bytes, flavour: Flavour, config: BuildConfig = SM86, **options: Any
) -> Engine:
    path = folder / "net.onnx"
    if isinstance(graph, bytes):
        path.write_bytes(graph)
    else:
        save(graph, path)
    return engine_from_onnx(path, config, flavour, **options)


# -- what is built -----------------------------------------------------------------------------------------


def test_plan_sidecar_layers_and_kernels(tmp_path: Path, rtx: Flavour) -> None:
    told: list[tuple[str, float]] = []
    engine = build(tmp_path, conv((1, 3, 32, 32)), rtx, report=lambda phase, share: told.append((phase, share)))
    sidecar = engine.sidecar
    assert sidecar.plan_bytes == len(engine.plan) > 1000
    assert sidecar.plan_sha256 == hashlib.sha256(engine.plan).hexdigest()
    assert sidecar.onnx_sha256 == hashlib.sha256((tmp_path / "net.onnx").read_bytes()).hexdigest()
    assert (sidecar.flavour, sidecar.version) == ("tensorrt-rtx", rtx.version_text)
    assert sidecar.compute_capabilities == ("8.6",)
    assert (sidecar.inputs, sidecar.outputs) == (("x: float32 1x3x32x32",), ("y: float32 1x8x32x32",))
    assert sidecar.memory_bytes["weights"] > 0
    assert [layer.kind for layer in engine.layers] == ["CONVOLUTION", "ACTIVATION"]
    assert types_by_kind(engine.layers)["CONVOLUTION"] == {"FLOAT": 1}
    (fused,) = (kernel for kernel in engine.kernels if "relu1" in kernel.nodes)
    assert {"conv1", "relu1"} <= set(fused.nodes)  # with the bias: one kernel
    assert sidecar.kernels == len(engine.kernels)
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_one_engine_for_several_gpus_that_are_not_here(tmp_path: Path, rtx: Flavour) -> None:
    one = build(tmp_path, conv((1, 3, 32, 32)), rtx)
    several = build(tmp_path, conv((1, 3, 32, 32)), rtx, BuildConfig(targets=("sm86", "SM89", "sm120", "sm86")))
    assert several.sidecar.compute_capabilities == ("8.6", "8.9", "12.0")
    assert len(several.plan) > len(one.plan)
    assert build(tmp_path, conv((1, 3, 32, 32)), rtx, BuildConfig()).sidecar.compute_capabilities == (
        "8.6",
        "8.9",
        "12.0",
    )


def test_dynamic_batch_and_size_with_two_profiles(tmp_path: Path, rtx: Flavour) -> None:
    ranges = InputRange(input="x", min=(1, 3, 32, 32), opt=(2, 3, 64, 64), max=(4, 3, 128, 128))
    config = BuildConfig(
        targets=("sm86",), profiles=(squares("small", 32, 32, 64), Profile(name="batch", ranges=(ranges,)))
    )
    engine = build(tmp_path, conv(("n", 3, "h", "w")), rtx, config)
    assert engine.sidecar.inputs == ("x: float32 ?x3x?x?",)
    assert [profile["name"] for profile in engine.sidecar.config["profiles"]] == ["small", "batch"]


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_resize_on_the_gpu_is_fused_into_the_preprocessing(tmp_path: Path, rtx: Flavour, resize: Any) -> None:
    camera = CameraInput.fixed((160, 90), resize)
    engine = build(tmp_path, depth_network((64, 48), 0.1), rtx, dataclasses.replace(SM86, camera=camera))
    assert engine.sidecar.inputs == ("frame: uint8 1x90x160x3",)
    assert engine.sidecar.outputs[0] == "depth_m: float32 1x1x48x64"
    kinds = [layer.kind for layer in engine.layers]
    assert kinds.count("RESIZE") == 1
    assert kinds.count("PADDING") == (1 if resize == "letterbox" else 0)
    assert len(engine.kernels) <= 4


def test_camera_of_network_size_changes_nothing(tmp_path: Path, rtx: Flavour) -> None:
    camera = CameraInput.fixed((64, 48), "letterbox")
    engine = build(tmp_path, depth_network((64, 48), 0.1), rtx, dataclasses.replace(SM86, camera=camera))
    assert "RESIZE" not in {layer.kind for layer in engine.layers}


@pytest.mark.parametrize("resize", ["letterbox", "stretch", "pad"])
@pytest.mark.parametrize("sizes", ["33x25..160x90", "qvga + 99x80 + 320x240..800x600"])
def test_one_engine_for_several_camera_sizes(tmp_path: Path, rtx: Flavour, resize: Any, sizes: str) -> None:
    ranges = tuple(SizeRange.parse(part.strip()) for part in sizes.split("+"))
    input_wh = (800, 608) if resize == "pad" else (64, 48)
    config = dataclasses.replace(SM86, camera=CameraInput(sizes=ranges, resize=resize))
    engine = build(tmp_path, depth_network(input_wh, 0.1), rtx, config)
    assert engine.sidecar.inputs == ("frame: uint8 1x?x?x3",)
    assert engine.sidecar.outputs[0] == f"depth_m: float32 1x1x{input_wh[1]}x{input_wh[0]}"
    kinds = {layer.kind for layer in engine.layers}
    assert ("RESIZE" in kinds) is (resize != "pad")
    shape_of = [layer.output_shapes[0] for layer in engine.layers if layer.kind == "SLICE"]
    assert ((1, 3, input_wh[1], input_wh[0]) in shape_of) is (resize != "stretch")


@pytest.mark.parametrize("input_wh", [(160, 120), (224, 128), (448, 256), (1248, 384), (64, 48)])
def test_engine_finds_the_place_of_a_frame_as_the_cpu_does(input_wh: tuple[int, int]) -> None:
    class Numpy(ShapeArithmetic):
        """The arithmetic of the engine, done by numpy."""

        def constant(self, *values: int) -> Any:
            return np.array(values)

        def flipped(self, pair: Any) -> Any:
            return pair[::-1]

        def _two(self, name: str, left: Any, right: Any) -> Any:
            functions = {"SUM": np.add, "SUB": np.subtract, "PROD": np.multiply, "FLOOR_DIV": np.floor_divide}
            return {**functions, "MIN": np.minimum, "MAX": np.maximum}[name](left, right)

    sizes = np.random.default_rng(0).integers(1, 5000, (500, 2)).tolist()
    for frame in (*sizes, (22, 352), (640, 45), (384, 210), (1, 5000), input_wh):  # with ties, and very narrow
        content = _content(Numpy(None, None), np.array(frame[::-1]), input_wh)
        assert tuple(content[::-1]) == Placement.of(tuple(frame), input_wh, "letterbox").content_wh, frame


def test_resize_refuses_a_network_it_cannot_stand_in_front_of(tmp_path: Path, rtx: Flavour) -> None:
    camera = dataclasses.replace(SM86, camera=CameraInput.fixed((640, 480), "pad"))
    with pytest.raises(BackendError, match=r"one fixed input 'frame'.*takes x"):
        build(tmp_path, conv((1, 3, 32, 32)), rtx, camera)
    with pytest.raises(InputError, match="larger than the padded input"):
        build(tmp_path, depth_network((64, 48), 0.1), rtx, camera)


def test_version_compatible_engine(tmp_path: Path, rtx: Flavour) -> None:
    engine = build(tmp_path, conv((1, 3, 8, 8)), rtx, BuildConfig(targets=("sm86",), version_compatible=True))
    assert engine.sidecar.config["version_compatible"] is True


# -- what fails, in our words and theirs -------------------------------------------------------------------


def fails(folder: Path, graph: ModelProto | bytes, flavour: Flavour, config: BuildConfig = SM86) -> str:
    with pytest.raises(EdgeDepthError) as caught:
        build(folder, graph, flavour, config)
    message = str(caught.value)
    assert "\n" not in message
    assert "/_src/" not in message
    assert "catchCudaError" not in message
    return message


def node(kind: str, **attributes: Any) -> Any:
    inputs = ["x", "", "s"] if kind == "Resize" else ["x"]
    return helper.make_node(kind, inputs, ["y"], name=f"{kind.lower()}1", **attributes)


FAULTY: dict[str, tuple[ModelProto | bytes, BuildConfig, str]] = {
    "no profile": (conv(("n", 3, "h", "w")), SM86, r"input x \(\?x3x\?x\?\) is dynamic and no profile.*fixed --size"),
    "profile of another rank": (
        conv(("n", 3, "h", "w")),
        BuildConfig(targets=("sm86",), profiles=(Profile.fixed("flat", x=(1, 3, 32)),)),
        r"profile flat gives x 1x3x32 .*the network's input is \?x3x\?x\?",
    ),
    "profile of an unknown input": (
        conv(("n", 3, "h", "w")),
        BuildConfig(targets=("sm86",), profiles=(Profile.fixed("image", image=(1, 3, 32, 32)),)),
        r"unknown input in profile image 'image'; known: x",
    ),
    "odd sizes": (
        odd_skip(),
        BuildConfig(targets=("sm86",), profiles=(squares("odd", 33, 33, 33),)),
        r'cannot build net.onnx: ".*merge.*conformable.*"; the sizes of a profile must be multiples',
    ),
    "unknown operator": (
        model([node("Foo", domain="mine")], (1, 3), {}),
        SM86,
        r"cannot read net.onnx: node 'foo1' \(Foo\): \".*\"; TensorRT has no such operator",
    ),
    "unsupported resize": (
        model(
            [node("Resize", mode="linear", coordinate_transformation_mode="half_pixel_symmetric")],
            (1, 1, 4, 4),
            {"s": np.array([1, 1, 2, 2], np.float32)},
        ),
        SM86,
        r"node 'resize1' \(Resize\): \".*only supports half_pixel.*\"; TensorRT has no such mode; export",
    ),
    "antialiased resize": (
        model(
            [node("Resize", mode="linear", antialias=1)], (1, 1, 8, 8), {"s": np.array([1, 1, 0.5, 0.5], np.float32)}
        ),
        SM86,
        r"node 'resize1' \(Resize\): \".*[Aa]ntialias.*\"; TensorRT has no such mode",
    ),
    "uint8 that is not cast first": (
        model(
            [
                helper.make_node("Transpose", ["x"], ["t"], name="swap", perm=[0, 3, 1, 2]),
                helper.make_node("Cast", ["t"], ["y"], to=TensorProto.FLOAT),
            ],
            (1, 4, 4, 3),
            {},
            dtype=TensorProto.UINT8,
        ),
        SM86,
        r"node 'swap' \(Transpose\): \".*type UInt8 but must.*\"; a uint8 input must be cast first",
    ),
    "types that do not meet": (
        model([helper.make_node("Add", ["x", "h"], ["y"], name="sum")], (1, 3), {"h": np.zeros((1, 3), np.float16)}),
        SM86,
        r"node 'sum' \(Add\): \".*types Float and Half\"; tensors of two types meet.*--fp16",
    ),
    "resize that rounds otherwise": (
        model(
            [node("Resize", nearest_mode="ceil", coordinate_transformation_mode="tf_half_pixel_for_nn")],
            (1, 1, 4, 4),
            {"s": np.array([1, 1, 2, 2], np.float32)},
        ),
        SM86,
        r"node 'resize1' \(Resize\): \".*round_prefer_floor.*\"; TensorRT has no such mode",
    ),
    "asymmetric quantisation": (
        quantised(zero=np.int8(3)),
        SM86,
        r"node 'quantise' \(QuantizeLinear\): \".*Non-zero zero point.*\"; quantisation must be symmetric int8",
    ),
    "unsigned quantisation": (
        quantised(zero=np.uint8(128)),
        SM86,
        r"node 'quantise' \(QuantizeLinear\): \".*Non-zero zero point.*\"; quantisation must be symmetric int8",
    ),
    "quantised bias": (
        quantised(bias=True),
        SM86,
        r"node 'bias_q' \(DequantizeLinear\): \".*type Int32 but must.*\"; biases are quantised.*QuantizeBias=False",
    ),
    "operator without an importer": (
        model([helper.make_node("Unique", ["x"], ["y"], name="unique")], (4,), {}),
        SM86,
        r"node 'unique' \(Unique\): .*; TensorRT has no such operator; replace it",
    ),
    "operator without a kernel": (
        model(
            [
                helper.make_node("NonZero", ["x"], ["n"], name="nonzero"),
                helper.make_node("Cast", ["n"], ["y"], to=TensorProto.FLOAT),
            ],
            (1, 3),
            {},
        ),
        SM86,
        r"\".*(nonzero|NonZero).*\"; TensorRT has no such operator; replace it",
    ),
    "weights in another file": (
        separated(conv((1, 3, 8, 8))),
        SM86,
        r"Failed to import initializer.*\"; its weights are in another file; save the model as one file",
    ),
    "file cut off": (
        conv((1, 3, 8, 8)).SerializeToString()[:-200],
        SM86,
        r"Failed to parse the ONNX model\"; the file is cut off or damaged; export",
    ),
    "empty file": (b"", SM86, r"cannot read net.onnx: it is not an ONNX model; run edgedepth export"),
    "not an ONNX file": (b"hello world", SM86, r"cannot read net.onnx: it is not an ONNX model; run edgedepth export"),
    "unknown target": (conv((1, 3, 8, 8)), BuildConfig(targets=("sm87",)), r"knows no target sm87; it knows sm75"),
    "hardware compatibility": (
        conv((1, 3, 8, 8)),
        BuildConfig(targets=("sm86",), hardware="ampere+"),
        r"has no hardware compatibility 'ampere\+'; give --target",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTY)
def test_failure_says_what_and_which_node_and_what_to_do(tmp_path: Path, rtx: Flavour, case: str) -> None:
    graph, config, pattern = FAULTY[case]
    assert re.search(pattern, fails(tmp_path, graph, rtx, config))


def test_workspace_too_small(tmp_path: Path, rtx: Flavour) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], name="conv1", pads=[1] * 4)]
    weight = np.ones((64, 64, 3, 3), np.float32)
    large = model(nodes, (1, 64, 240, 320), {"w": weight})
    message = fails(tmp_path, large, rtx, BuildConfig(targets=("sm86",), workspace_mib=1))
    assert re.search(r"within workspace limit.*\"; allow more workspace with --workspace", message)


def test_interrupt_during_a_build_arrives_after_it(tmp_path: Path, rtx: Flavour) -> None:
    if passes_alone(__file__, "test_interrupt_during_a_build_arrives_after_it"):
        return
    shares: list[float] = []

    def press(phase: str, share: float) -> None:
        if not shares:
            signal.raise_signal(signal.SIGINT)
        shares.append(share)

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, conv((1, 3, 32, 32)), rtx, report=press)
    stopped = len(shares)
    build(tmp_path, conv((1, 3, 32, 32)), rtx, report=lambda phase, share: shares.append(share))
    assert stopped < len(shares) - stopped  # the library stopped before its end


def test_what_the_report_raises_comes_out_of_the_build(tmp_path: Path, rtx: Flavour) -> None:
    def broken(phase: str, share: float) -> None:
        raise OSError("the terminal is gone")

    with pytest.raises(OSError, match="the terminal is gone"):
        build(tmp_path, conv((1, 3, 32, 32)), rtx, report=broken)


def test_missing_file(tmp_path: Path, rtx: Flavour) -> None:
    with pytest.raises(BackendError, match=r"no ONNX file at .*absent.onnx.*edgedepth export"):
        engine_from_onnx(tmp_path / "absent.onnx", SM86, rtx)


def test_gpu_that_rtx_does_not_know_is_named(tmp_path: Path, rtx: Flavour) -> None:
    with pytest.raises(BackendError, match=r"no target sm90.*data centre sm90.*onnxruntime-cuda"):
        build(tmp_path, conv((1, 3, 8, 8)), rtx, BuildConfig(), gpu=Gpu(name="H200", capability="9.0"))


@pytest.mark.parametrize(
    ("harm", "pattern"),
    [
        (lambda plan: plan, r"; check the NVIDIA driver"),
        (lambda plan: plan[:-100], r"header\.size == blobSize failed\"; the plan is damaged"),
        (lambda plan: plan[:50], r"bufferSize >= minBufferSize failed.*the plan is damaged"),
        (lambda plan: b"x" * 5000, r"magicTag.*the plan is damaged or not one of this flavour"),
        (lambda plan: b"", r"empty memory buffer.*the plan is damaged"),
    ],
    ids=["no driver", "truncated", "a few bytes", "something else", "empty"],
)
def test_plan_that_cannot_be_opened(tmp_path: Path, rtx: Flavour, harm: Any, pattern: str) -> None:
    engine = build(tmp_path, conv((1, 3, 8, 8)), rtx)
    with pytest.raises(BackendError) as caught:
        deserialise(rtx, Plan(key="k", plan=harm(engine.plan), sidecar=engine.sidecar))
    assert re.search(r"cannot open the engine of net.onnx: \".*" + pattern, str(caught.value))
    assert "\n" not in str(caught.value)


# -- the other flavour, through fakes ------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["10.3", "10.16", "11.4"])
def test_same_build_for_every_tensorrt(tmp_path: Path, shape: str) -> None:
    trt = fake_trt(shape)
    flavour = flavour_of("tensorrt", trt)
    gpu = Gpu(name="Orin", capability="8.7")
    timing = tmp_path / "t.timing"
    config = BuildConfig(workspace_mib=256, optimization_level=4, hardware="ampere+", version_compatible=True)
    told: list[float] = []
    engine = build(
        tmp_path,
        onnx_text().encode(),
        flavour,
        config,
        gpu=gpu,
        timing_cache=timing,
        report=lambda _, s: told.append(s),
    )
    settings = trt.state["configs"][0]
    assert settings.pools == {"WORKSPACE": 256 << 20}
    assert settings.builder_optimization_level == 4
    assert settings.hardware_compatibility_level.name == "AMPERE_PLUS"
    assert settings.flags == ["VERSION_COMPATIBLE"]
    assert timing.read_bytes() == b"times of nothing"
    assert told[-1] == 1.0
    assert (engine.sidecar.gpu, engine.sidecar.compute_capabilities) == ("Orin", ("8.7",))
    build(tmp_path, onnx_text().encode(), flavour, gpu=gpu, config=BuildConfig(), timing_cache=timing)
    assert trt.state["configs"][1].timing == b"times of nothing"
    timing.write_bytes(b"of another GPU")
    build(tmp_path, onnx_text().encode(), flavour, gpu=gpu, config=BuildConfig(), timing_cache=timing)
    assert trt.state["configs"][2].timing == b""


def test_tensorrt_needs_a_gpu_and_builds_for_that_one(tmp_path: Path) -> None:
    flavour = flavour_of("tensorrt", fake_trt("10.3"))
    with pytest.raises(BackendError, match="builds on the GPU, and there is none here; use --backend tensorrt-rtx"):
        build(tmp_path, onnx_text().encode(), flavour, BuildConfig())
    gpu = Gpu(name="Orin", capability="8.7")
    with pytest.raises(BackendError, match="targets belong to --backend tensorrt-rtx"):
        build(tmp_path, onnx_text().encode(), flavour, SM86, gpu=gpu)
    with pytest.raises(BackendError, match=r"no hardware compatibility 'same-capability'.*update TensorRT"):
        build(tmp_path, onnx_text().encode(), flavour, BuildConfig(hardware="same-capability"), gpu=gpu)


def test_parser_builder_and_driver_failures_of_tensorrt(tmp_path: Path) -> None:
    trt = fake_trt("10.3")
    flavour, gpu = flavour_of("tensorrt", trt), Gpu(name="Orin", capability="8.7")
    bias = [
        "w_DequantizeLinear",
        "DequantizeLinear",
        "input has type Int32 but must have type FP8, FP4, Int4, Int8, or UInt8",
    ]
    with pytest.raises(BackendError, match=r"node 'w_DequantizeLinear' .*biases are quantised"):
        build(tmp_path, onnx_text(parse_error=bias).encode(), flavour, BuildConfig(), gpu=gpu)
    with pytest.raises(BackendError, match=r"cannot build net.onnx: \"Out of memory.*; (free|allow)"):
        build(tmp_path, onnx_text(build_error="Out of memory: out of memory").encode(), flavour, BuildConfig(), gpu=gpu)
    strange = [{"name": "x", "shape": [1], "dtype": "fp8"}]
    with pytest.raises(BackendError, match="has the type FP8"):
        build(tmp_path, onnx_text(inputs=strange).encode(), flavour, BuildConfig(), gpu=gpu)
    trt.state["no_driver"] = True
    with pytest.raises(BackendError, match=r'cannot start a builder: "CUDA initialization failure.*nvidia-smi'):
        build(tmp_path, onnx_text().encode(), flavour, BuildConfig(), gpu=gpu)


def test_configuration_refuses_nonsense() -> None:
    for options, pattern in (
        ({"workspace_mib": 0}, "at least 1 MiB"),
        ({"optimization_level": 6}, "0 to 5"),
        ({"profiles": (squares("a", 1, 1, 1), squares("a", 2, 2, 2))}, "different names"),
    ):
        with pytest.raises(BackendError, match=pattern):
            BuildConfig(**options)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match=r"'turing\+'; known: exact"):
        BuildConfig(hardware="turing+")  # type: ignore[arg-type]
    with pytest.raises(BackendError, match=r"0 < min <= opt <= max, but that of x is 1x3x64x64 / 1x3x32x32"):
        squares("unordered", 64, 32, 128)
    with pytest.raises(BackendError, match="different rank"):
        InputRange(input="x", min=(1,), opt=(1, 1), max=(1, 1))


def test_precision_comes_from_the_network(rtx: Flavour, tmp_path: Path) -> None:
    half = [
        helper.make_node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16),
        helper.make_node("Conv", ["h", "w"], ["c"], name="conv1", pads=[1] * 4),
        helper.make_node("Cast", ["c"], ["y"], to=TensorProto.FLOAT),
    ]
    engine = build(tmp_path, model(half, (1, 3, 8, 8), {"w": WEIGHT.astype(np.float16)}), rtx)
    assert (engine.sidecar.precision, precision_of(engine.layers)) == ("fp16", "fp16")
    assert next(kernel for kernel in engine.kernels if "conv1" in kernel.nodes).output_types == ("Half",)
    if rtx.version >= (1, 5):
        assert build(tmp_path, quantised(), rtx).sidecar.precision == "int8"
    else:  # RTX 1.4 has no int8 convolutions
        with pytest.raises(BackendError, match=r"does not compute int8 convolutions; build --precision fp16"):
            build(tmp_path, quantised(), rtx)


def test_the_cache_takes_what_is_built(tmp_path: Path, rtx: Flavour) -> None:
    engine = build(tmp_path, conv((1, 3, 8, 8)), rtx)
    cache = PlanCache(tmp_path)
    cache.put("key", engine.plan, engine.sidecar)
    assert cache.entries()[0].sidecar == engine.sidecar
