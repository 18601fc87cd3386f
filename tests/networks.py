"""Tiny ONNX networks with answers that can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper, save

from edgedepth.core.bundle import Bundle
from tests.bundles import HIGH_SPEC, LOW_SPEC, write_bundle

SCENE_WH = (32, 24)


def depth_network(input_wh: tuple[int, int], scale: float, offset_m: float = 0.0) -> ModelProto:
    """`frame` -> `depth_m` = mean of the three channels times `scale`, plus `offset_m`; `confidence` = blue / 255."""
    width, height = input_wh
    nodes = [
        helper.make_node("Cast", ["frame"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["bgr"], perm=[0, 3, 1, 2]),
        helper.make_node("ReduceMean", ["bgr", "channels"], ["grey"], keepdims=1),
        helper.make_node("Mul", ["grey", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["depth_m"]),
        helper.make_node("Slice", ["bgr", "zero", "one", "channels"], ["blue"]),
        helper.make_node("Div", ["blue", "full"], ["confidence"]),
    ]
    return _model(
        nodes,
        (1, height, width, 3),
        {"depth_m": (1, 1, height, width), "confidence": (1, 1, height, width)},
        {"scale": np.float32(scale), "offset": np.float32(offset_m), "channels": np.array([1]),
         "zero": np.array([0]), "one": np.array([1]), "full": np.float32(255)},
    )  # fmt: skip


def scene_network() -> ModelProto:
    """`frame` -> probabilities of (room, hall, street): street gets the share of brightness, room the rest."""
    width, height = SCENE_WH
    nodes = [
        helper.make_node("Cast", ["frame"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "full"], ["street"]),
        helper.make_node("Sub", ["one", "street"], ["room"]),
        helper.make_node("Concat", ["room", "zero", "street"], ["row"], axis=0),
        helper.make_node("Unsqueeze", ["row", "first"], ["probabilities"]),
    ]
    return _model(
        nodes,
        (1, height, width, 3),
        {"probabilities": (1, 3)},
        {"axes": np.array([1, 2, 3]), "full": np.float32(255), "one": np.ones(1, np.float32),
         "zero": np.zeros(1, np.float32), "first": np.array([0])},
    )  # fmt: skip


def routed_bundle(folder: Path) -> Bundle:
    """Bright frames are far: low answers brightness / 25.5 metres (0..10), high brightness / 3.1875 (0..80)."""
    folder.mkdir(parents=True, exist_ok=True)
    save(depth_network(LOW_SPEC.input_wh, 1 / 25.5), folder / "low.onnx")
    save(depth_network(HIGH_SPEC.input_wh, 1 / 3.1875), folder / "high.onnx")
    save(scene_network(), folder / "scene.onnx")
    return write_bundle(folder, dict.fromkeys(("low.onnx", "high.onnx", "scene.onnx")))


def _model(
    nodes: list[object],
    input_shape: tuple[int, ...],
    outputs: dict[str, tuple[int, ...]],
    constants: dict[str, np.ndarray],
) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, input_shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    checker.check_model(model)
    return model
