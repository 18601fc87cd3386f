"""The inference path of a torch network as a plain ONNX graph, through `torch.onnx.export`."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import onnx
import torch
from torch import Tensor, nn

from edgedepth.core.errors import InputError

# The newest that TensorRT 10.3 (JetPack 6) and onnxruntime 1.23 (the last for Python 3.10) are known to read.
OPSET = 20
IR_VERSION = 10

InputKind = Literal["frame", "image"]


class InferenceGraph(nn.Module):
    """What is exported: a network in evaluation mode behind the input a bundle's network takes.

    kind: "frame" is uint8 (N, H, W, 3) BGR, cameras' own form; "image" is float32 (N, 3, H, W) RGB in 0..1.
    confidence: also answer the confidence of a network whose forward offers it.
    """

    channels: Tensor

    def __init__(self, network: nn.Module, kind: InputKind, *, confidence: bool = False) -> None:
        super().__init__()
        if confidence and not offers_confidence(network):
            raise InputError(f"{type(network).__name__} answers no confidence; export it without")
        self.network = network
        self.kind = kind
        self.confidence = confidence
        self.register_buffer("channels", torch.tensor([2, 1, 0]), persistent=False)
        self.eval()

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """The network's answer: (N, 1, H, W) metres, or (N, C) probabilities, and the confidence if asked for."""
        image = self._image(x) if self.kind == "frame" else x
        if self.confidence:
            depth_m, mass = self.network(image, confidence=True)
            return depth_m, mass
        answer: Tensor = self.network(image)
        return answer

    def _image(self, frame: Tensor) -> Tensor:
        # The cast comes first, as TensorRT moves no uint8 tensor about; channels are then whole planes to swap.
        planes = frame.to(torch.float32).permute(0, 3, 1, 2)  # (N, 3, H, W)
        return torch.index_select(planes, 1, self.channels) * (1.0 / 255.0)

    def example(self, input_wh: tuple[int, int], batch: int = 1) -> Tensor:
        """An input of the right shape and type."""
        width, height = input_wh
        if self.kind == "frame":
            return torch.zeros(batch, height, width, 3, dtype=torch.uint8)
        return torch.zeros(batch, 3, height, width)


def offers_confidence(network: nn.Module) -> bool:
    """True for networks that answer a per-pixel confidence: forward takes `confidence` and does not refuse it."""
    if "confidence" not in inspect.signature(network.forward).parameters:
        return False
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            network(torch.zeros(1, 3, 64, 64), confidence=True)
    except InputError:  # a network with bins whose regression branch answers
        return False
    finally:
        network.train(was_training)
    return True


def to_onnx(
    network: nn.Module,
    input_wh: tuple[int, int],
    *,
    kind: InputKind = "frame",
    output: str = "depth_m",
    confidence: bool = False,
    batch: int = 1,
) -> onnx.ModelProto:
    """Trace the inference path at a fixed size: opset 20, IR 10, one input named by `kind`, static shapes.

    Batch norms are already folded into the convolutions before them by torch's exporter. The module is left in
    the mode it came in.

    Raises:
        InputError: `confidence` is asked of a network that has none.
    """
    was_training = network.training
    graph = InferenceGraph(network, kind, confidence=confidence)
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                graph,
                (graph.example(input_wh, batch),),
                None,
                dynamo=True,
                opset_version=OPSET,
                input_names=[kind],
                output_names=[output, "confidence"] if confidence else [output],
                verbose=False,
            )
    finally:
        network.train(was_training)
    assert program is not None
    model = program.model_proto
    _strip(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def _strip(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes, which carry paths of the exporting machine, and pin the IR version."""
    model.ir_version = min(model.ir_version, IR_VERSION)
    model.producer_name, model.producer_version = "edgedepth", ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    model.graph.name = "edgedepth"
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]


@contextmanager
def _quiet() -> Iterator[None]:
    """torch's exporter warns about its own internals and about torchvision; neither is the user's business."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            warnings.filterwarnings("ignore", category=UserWarning, module="torch")
            yield
    finally:
        logger.setLevel(level)
