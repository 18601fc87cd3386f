"""A small depth network of the kinds of layers that INT8 treats differently, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper, save

from edgedepth.core.bundle import Bundle, file_entry, write_manifest
from edgedepth.core.manifest import DepthNetwork, Golden, Manifest
from edgedepth.core.routing import Route
from edgedepth.core.spec import DepthSpec
from tests.bundles import fixed_router

INPUT_WH = (32, 24)
SPEC = DepthSpec(input_wh=INPUT_WH, min_m=0.3, max_m=10, num_bins=8, f_canonical_px=26, beyond_m=9.7)


class _Net:
    """Collects nodes and constants."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def add(self, op_type: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op_type, inputs, [output], name=output, **attributes))
        return output

    def const(self, name: str, value: Any) -> str:
        self.constants[name] = np.asarray(value)
        return name

    def conv(self, source: str, output: str, c_in: int, c_out: int, k: int = 1, group: int = 1, stride: int = 1) -> str:
        fan_in = c_in // group * k * k
        weight = self.rng.normal(0, (2 / fan_in) ** 0.5, (c_out, c_in // group, k, k)).astype(np.float32)
        bias = self.rng.normal(0, 0.1, c_out).astype(np.float32)
        names = [source, self.const(f"{output}.weight", weight), self.const(f"{output}.bias", bias)]
        return self.add(
            "Conv", names, output, pads=[k // 2] * 4, strides=[stride] * 2, group=group, kernel_shape=[k] * 2
        )

    def relu(self, source: str) -> str:
        return self.add("Relu", [source], f"{source}.relu")


def depth_graph(seed: int = 0, *, spread: float = 1.0) -> ModelProto:
    """`frame` uint8 (1, 24, 32, 3) -> `depth_m` (1, 1, 24, 32): first, depthwise, residual, shuffle, head.

    spread: how many times larger the depthwise layer's largest channel is than its smallest; what reads the channels
        undoes it, so that the network computes the same but for rounding.
    """
    net = _Net(seed)
    width, height = INPUT_WH
    net.add("Cast", ["frame"], "float", to=TensorProto.FLOAT)
    net.add("Transpose", ["float"], "planes", perm=[0, 3, 1, 2])
    net.add("Mul", ["planes", net.const("unit", np.float32(1 / 255))], "image")
    stem = net.relu(net.conv("image", "stem", 3, 16, 3, stride=2))  # (1, 16, 12, 16)
    deep = net.conv(stem, "depthwise", 16, 16, 3, group=16)
    body = net.conv(deep, "pointwise", 16, 16)
    factor = np.geomspace(1, spread, 16).astype(np.float32)
    net.constants["depthwise.weight"] *= factor[:, None, None, None]
    net.constants["depthwise.bias"] *= factor
    net.constants["pointwise.weight"] /= factor[None, :, None, None]
    joined = net.add("Relu", [net.add("Add", [stem, body], "residual")], "residual.relu")
    up = net.relu(net.conv(joined, "up", 16, 32))
    net.add("DepthToSpace", [up], "shuffled", blocksize=2, mode="CRD")  # (1, 8, 24, 32)
    net.add("Concat", ["shuffled", "image"], "joined", axis=1)
    features = net.relu(net.conv("joined", "mix", 11, 8, 3))
    logits = net.conv(features, "logits", 8, 8)
    net.add("Softmax", [logits], "probabilities", axis=1)
    net.add("Mul", ["probabilities", net.const("index", np.arange(8, dtype=np.float32).reshape(1, 8, 1, 1))], "weighed")
    net.add("ReduceSum", ["weighed", net.const("axes", np.array([1]))], "expected", keepdims=1)
    net.add("Mul", ["expected", net.const("step", np.float32(np.log(SPEC.max_m / SPEC.min_m) / 7))], "scaled")
    net.add("Add", ["scaled", net.const("start", np.float32(np.log(SPEC.min_m)))], "log_depth")
    net.add("Exp", ["log_depth"], "depth_m")
    graph = helper.make_graph(
        net.nodes,
        "int8-test",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, (1, height, width, 3))],
        [helper.make_tensor_value_info("depth_m", TensorProto.FLOAT, (1, 1, height, width))],
        [numpy_helper.from_array(value, name) for name, value in net.constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    checker.check_model(model, full_check=True)
    return model


def frames(count: int, seed: int = 0, wh: tuple[int, int] = INPUT_WH) -> list[NDArray[np.uint8]]:
    """Distinct smooth pictures with noise, (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    width, height = wh
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    pictures = []
    for _ in range(count):
        a, b, c = rng.uniform(-200, 200, (3, 3))
        picture = a * x[..., None] + b * y[..., None] + c * (x * y)[..., None] + 128
        pictures.append(np.clip(picture + rng.normal(0, 12, picture.shape), 0, 255).astype(np.uint8))
    return pictures


def int8_bundle(folder: Path, *, golden: NDArray[np.uint8] | None = None, **options: Any) -> Bundle:
    """A bundle of one network, on the fixed route LOW; golden: a frame that engines are checked on."""
    folder.mkdir(parents=True, exist_ok=True)
    save(depth_graph(**options), folder / "small.fp32.onnx")
    network = DepthNetwork(
        network="small", params=1, gmacs=0.001, variants={"fp32": file_entry(folder, "small.fp32.onnx")}, spec=SPEC
    )
    kept = []
    if golden is not None:
        cv2.imwrite(str(folder / "golden.png"), golden)
        np.save(folder / "golden.npy", np.ones(golden.shape[:2], np.float32))  # calibration asks FP32 itself
        files = [file_entry(folder, name) for name in ("golden.png", "golden.npy")]
        kept.append(Golden(route=Route.LOW, frame=files[0], depth=files[1]))
    manifest = Manifest(
        name="small",
        edgedepth_version="0",
        router=fixed_router(Route.LOW),
        networks={Route.LOW: network},
        golden=tuple(kept),
    )
    return write_manifest(folder, manifest)
