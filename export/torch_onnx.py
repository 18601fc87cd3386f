"""The inference path of a torch network as a plain ONNX graph, through `torch.onnx.export`."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import onnx
import torch
from torch import Tensor, nn

from edgedepth.core.errors import EdgeDepthError, InputError
from edgedepth.export import adaptive_pool

# The newest that TensorRT 10.3 (JetPack 6) and onnxruntime 1.23 (the last for Python 3.10) are known to read.
OPSET = 20
IR_VERSION = 10
# Of graphs with open size: most networks halve five times, and crops for sizes between would have to be traced too.
# A network that halves more often says so by its attribute `stride`.
STRIDE = 32

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
    dynamic: bool = False,
    constant_pools: bool = True,
) -> onnx.ModelProto:
    """Trace the inference path: opset 20, IR 10, one input named by `kind`.

    Batch norms are already folded into the convolutions before them by torch's exporter. The module is left in
    the mode it came in.

    dynamic: leave height and width open, to be multiples of the network's stride; the shape is static otherwise.
    constant_pools: write adaptive pooling as `edgedepth.export.adaptive_pool` does.

    Raises:
        InputError: `confidence` is asked of a network that has none, or the network cannot be traced.
    """
    stride = int(getattr(network, "stride", STRIDE))
    if dynamic and (input_wh[0] % stride or input_wh[1] % stride):
        wider = "x".join(str(-(-side // stride) * stride) for side in input_wh)
        raise InputError(
            f"a graph of open size takes multiples of {stride}, but the network's input is "
            f"{input_wh[0]}x{input_wh[1]}; give --size, for example {wider}"
        )
    was_training = network.training
    graph = InferenceGraph(network, kind, confidence=confidence)
    example = graph.example(input_wh, batch)
    first = 1 if kind == "frame" else 2
    open_axes = {first: torch.export.Dim("height"), first + 1: torch.export.Dim("width")}
    try:
        model = trace(
            graph,
            (example,),
            inputs=[kind],
            outputs=[output, "confidence"] if confidence else [output],
            open_axes=(open_axes,) if dynamic else None,
            constant_pools=constant_pools,
        )
    finally:
        network.train(was_training)
    sides = model.graph.input[0].type.tensor_type.shape.dim[first : first + 2]
    if dynamic and any(side.HasField("dim_value") for side in sides):
        raise InputError(
            f"{type(network).__name__} works at one size only, for its forward fixes height or width; export it at"
            " fixed sizes, without --dynamic"
        )
    return model


def trace(
    module: nn.Module,
    example: tuple[Tensor, ...],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    open_axes: tuple[dict[int, Any], ...] | None = None,
    constant_pools: bool = True,
) -> onnx.ModelProto:
    """A module in evaluation mode as ONNX through torch's exporter, checked.

    open_axes: for each input, the dimensions that stay open, with torch's names for them.

    Raises:
        InputError: the module cannot be traced.
    """
    table = adaptive_pool.constant_pools() if constant_pools else None
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                module,
                example,
                None,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=open_axes,
                custom_translation_table=table,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise _untraceable(module, error, dynamic=open_axes is not None) from error
    assert program is not None
    model = program.model_proto
    _strip(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def _untraceable(module: nn.Module, error: Exception, *, dynamic: bool) -> Exception:
    """One line of what torch's exporter says in hundreds; our own errors from inside come out as they are."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
        if isinstance(cause, EdgeDepthError):
            return cause
    named = module.network if isinstance(module, InferenceGraph) else module
    remedy = "export it at fixed sizes, without --dynamic" if dynamic else "make its forward traceable by torch.export"
    reason = " ".join(str(cause).split())[:200]
    return InputError(f"{type(named).__name__} cannot be traced ({reason}); {remedy}")


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
