"""An existing ONNX file behind this project's contract: bytes of a camera frame in, metres out.

What stands before and after the network is traced from the same torch modules that adapt networks of torch
(`edgedepth.export.adapter`) and joined to the file's graph, so that there is one definition of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, inliner, numpy_helper
from torch import Tensor, nn

from edgedepth.core.errors import InputError
from edgedepth.core.foreign import ForeignSpec
from edgedepth.core.preprocess import BgrFrame, network_input
from edgedepth.engines import Session, open_session
from edgedepth.export.adapter import NetworkInput, NetworkOutput
from edgedepth.export.simplify import first_inner, simplify
from edgedepth.export.torch_onnx import IR_VERSION, OPSET, InferenceGraph, trace

_HALF_PIXEL = 11  # the opset from which a resize says what it takes for the place of a pixel


class _After(nn.Module):
    """The network's own answer to metres."""

    def __init__(self, output: NetworkOutput, input_hw: tuple[int, int]) -> None:
        super().__init__()
        self.output, self.input_hw = output, input_hw

    def forward(self, answer: Tensor) -> Tensor:
        depth_m: Tensor = self.output(answer, self.input_hw)
        return depth_m


@dataclass
class OnnxOriginal:
    """A network in an ONNX file, run as it is by onnxruntime for the answers its exported graphs must give."""

    path: Path
    foreign: ForeignSpec
    kind: str = "the ONNX file"
    confidence: bool = False
    _model: onnx.ModelProto = field(init=False)
    _session: Session | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if not self.path.is_file():
            raise InputError(f"no ONNX file at {self.path}; check `onnx` in the TOML file")
        try:
            self._model = onnx.load(self.path)
            onnx.checker.check_model(self._model)
        except Exception as error:  # protobuf's, onnx's and the file system's, with no common root
            raise InputError(f"{self.path} is not a valid ONNX file: {_line(error)}") from error
        self._prepare = NetworkInput(self.foreign.input).eval()
        self._output = NetworkOutput(
            self.foreign.output, self.foreign.depth_spec(), layout=self.foreign.input.layout
        ).eval()
        self._given = _only_input(self._model, self.path)
        self._taken = _output_named(self._model, self.foreign.output.tensor, self.path)

    @property
    def weights(self) -> Mapping[str, NDArray[Any]]:
        """Its stored constants."""
        return {entry.name: numpy_helper.to_array(entry) for entry in self._model.graph.initializer}

    def trace(self, input_wh: tuple[int, int], *, output: str, dynamic: bool) -> onnx.ModelProto:
        """The file's graph between preprocessing and decoding, at a fixed size.

        Raises:
            InputError: the graph cannot be brought to this size or to the opset all graphs here have.
        """
        if dynamic:
            raise InputError(f"{self.path.name} is exported at fixed sizes; leave --dynamic away")
        width, height = input_wh
        shape = (1, 3, height, width) if self.foreign.input.layout == "nchw" else (1, height, width, 3)
        core = self._at(shape)
        taken = f"net/{_in_float32(core, self._taken)}"
        answer = self._run(np.zeros(shape, np.float32))
        frame = torch.zeros(1, height, width, 3, dtype=torch.uint8)
        before = trace(InferenceGraph(self._prepare, "frame"), (frame,), inputs=["frame"], outputs=["prepared"])
        decode = _After(self._output, (height, width)).eval()
        after = trace(decode, (torch.from_numpy(answer),), inputs=["answer"], outputs=[output])
        for part in (before, after):
            part.ir_version = core.ir_version
        head = compose.merge_models(
            compose.add_prefix(before, "in/", rename_inputs=False, rename_outputs=False),
            compose.add_prefix(core, "net/", rename_inputs=True, rename_outputs=True),
            io_map=[("prepared", f"net/{self._given.name}")],
            outputs=[taken],
        )
        whole = compose.merge_models(
            head,
            compose.add_prefix(after, "out/", rename_inputs=True, rename_outputs=False),
            io_map=[(taken, "out/answer")],
        )
        whole.graph.name = "edgedepth"
        whole.producer_name = "edgedepth"
        onnx.checker.check_model(whole, full_check=True)
        return whole

    def answer(self, frame_bgr: BgrFrame) -> NDArray[np.float32]:
        """Metres by the untouched file."""
        height, width = frame_bgr.shape[:2]
        with torch.no_grad():
            prepared = self._prepare(torch.from_numpy(network_input("image", frame_bgr)))
            raw = self._run(np.ascontiguousarray(prepared.numpy()))
            depth_m = self._output(torch.from_numpy(raw), (height, width))
        result: NDArray[np.float32] = depth_m.numpy()
        return result

    def exact(self, frame_bgr: BgrFrame) -> None:  # noqa: ARG002
        """The file says what is computed in float32."""
        return

    def _run(self, prepared: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._session is None:
            self._session = open_session(self.path, "onnxruntime")
        # a copy: the array belongs to the session
        return self._session.run({self._given.name: prepared}, [self._taken])[self._taken].astype(np.float32)

    def _at(self, shape: tuple[int, ...]) -> onnx.ModelProto:
        """The graph with a fixed input shape, in our opset and IR version, without local functions."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        if model.functions:
            model = inliner.inline_local_functions(model)
        foreign = {entry.domain for entry in model.opset_import} - {"", "ai.onnx"}
        used = {node.domain for node in model.graph.node} & foreign
        if used:
            raise InputError(f"{self.path.name} uses operators of {min(used)!r}; export it with standard ONNX only")
        _open_negative(model.graph)
        _fix_shape(_only_input(model, self.path), shape, self.path)
        del model.graph.value_info[:]
        version = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
        kept = [entry for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
        del model.opset_import[:]
        model.opset_import.extend(kept)
        del model.metadata_props[:]
        if first_inner(model) is not None:
            model = simplify(model)  # at a fixed size most decisions are constants; what is left is refused
        try:
            model = onnx.version_converter.convert_version(model, OPSET) if version != OPSET else model
            model.ir_version = IR_VERSION
            if version < _HALF_PIXEL:
                _place_at_corners(model.graph)
            return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        except Exception as error:  # the converter raises RuntimeError and worse
            raise InputError(
                f"{self.path.name} (opset {version}) cannot be brought to opset {OPSET} at this size: {_line(error)}"
            ) from error


def _only_input(model: onnx.ModelProto, path: Path) -> onnx.ValueInfoProto:
    stored = {entry.name for entry in model.graph.initializer}
    inputs: list[onnx.ValueInfoProto] = [value for value in model.graph.input if value.name not in stored]
    if len(inputs) != 1 or inputs[0].type.tensor_type.elem_type != TensorProto.FLOAT:
        raise InputError(f"{path.name} must take one float32 image, but takes {[value.name for value in inputs]}")
    return inputs[0]


def _output_named(model: onnx.ModelProto, which: int | str, path: Path) -> str:
    names: list[str] = [value.name for value in model.graph.output]
    if isinstance(which, str) and which in names:
        return which
    if isinstance(which, int) and -len(names) <= which < len(names):
        return names[which]
    raise InputError(f"{path.name} has no output {which!r}, but {names}; set output.tensor in the TOML file")


def _in_float32(model: onnx.ModelProto, name: str) -> str:
    """The name of an output in the type that decoding reads; a cast is added where the file answers in another."""
    (answer,) = (value for value in model.graph.output if value.name == name)
    if answer.type.tensor_type.elem_type == TensorProto.FLOAT:
        return name
    cast = f"{name}/float32"
    model.graph.node.append(helper.make_node("Cast", [name], [cast], name=cast, to=TensorProto.FLOAT))
    added = model.graph.output.add()
    added.CopyFrom(answer)
    added.name, added.type.tensor_type.elem_type = cast, TensorProto.FLOAT
    return cast


def _open_negative(graph: onnx.GraphProto) -> None:
    """Some exporters write -1 where others write nothing; onnxruntime takes both for an open size."""
    for value in (*graph.input, *graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_value < 0:
                dim.Clear()


def _place_at_corners(graph: onnx.GraphProto) -> None:
    """Say of resizes what held before they could say it: onnx's converter leaves it at today's default."""
    for node in graph.node:
        if node.op_type == "Resize":
            told = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            node.attribute.extend(helper.make_attribute(name, value) for name, value in told.items())


def _fix_shape(value: onnx.ValueInfoProto, shape: tuple[int, ...], path: Path) -> None:
    dims = value.type.tensor_type.shape.dim
    fits = len(dims) == len(shape) and all(
        not dim.HasField("dim_value") or dim.dim_value == size for dim, size in zip(dims, shape, strict=True)
    )
    if not fits:
        has = "x".join(str(dim.dim_value) if dim.HasField("dim_value") else "?" for dim in dims)
        wanted = "x".join(map(str, shape))
        raise InputError(
            f"{path.name} takes {has}, but the TOML file's layout and size (or --size) make it {wanted}; change those"
        )
    for dim, size in zip(dims, shape, strict=True):
        dim.dim_value = size


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
