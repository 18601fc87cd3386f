"""One network to one ONNX file: trace, simplify, rewrite, type, store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from edgedepth.core.errors import InputError, UnknownNameError
from edgedepth.core.files import write_atomic
from edgedepth.core.preprocess import network_input
from edgedepth.core.spec import ClassifierSpec, DepthSpec
from edgedepth.export.frames import probe_frames
from edgedepth.export.passes import PassReport, passes_for, run_passes
from edgedepth.export.range_audit import audited_float16
from edgedepth.export.simplify import simplify
from edgedepth.export.storage import compact
from edgedepth.export.torch_onnx import InputKind, to_onnx

ExportPrecision = Literal["fp32", "fp16"]
PRECISIONS: tuple[ExportPrecision, ...] = ("fp32", "fp16")


@dataclass(frozen=True, kw_only=True)
class ExportedGraph:
    """A written ONNX file, what the rewrites did to it, and the tensors that float16 cannot hold."""

    path: Path
    precision: str
    passes: tuple[PassReport, ...] = ()
    unfit: tuple[str, ...] = ()


def spec_for(name: str, input_wh: tuple[int, int] | None = None) -> DepthSpec:
    """The contract of a depth network by name, at its default size or another of the same field of view.

    Raises:
        UnknownNameError: no such network.
    """
    from edgedepth.trainers.models.registry import default_spec

    spec = default_spec(name)
    return spec if input_wh is None else spec.at_size(input_wh)


def export_onnx(
    module: nn.Module,
    spec: DepthSpec | ClassifierSpec,
    path: str | Path,
    *,
    precision: str = "fp32",
    backend: str | None = None,
    optimise: bool = True,
    input_kind: InputKind = "frame",
    confidence: bool = False,
    half_storage: bool = False,
) -> ExportedGraph:
    """Write a network's inference path as ONNX (opset 20, IR 10, static shape, batch 1).

    The input is `frame`, uint8 (1, H, W, 3) BGR, or `image`, float32 (1, 3, H, W) RGB in 0..1; the output is
    `depth_m`, float32 (1, 1, H, W) metres (`probabilities`, float32 (1, C), for classifiers), and `confidence`.

    precision: "fp32", or "fp16" for a typed graph that computes in half precision except where range or
        accumulation needs more (see `edgedepth.export.precision`); inputs and outputs are the same.
    backend: apply also the rewrites that pay on this backend only; None makes the common file.
    optimise: False writes the plain `torch.onnx.export` graph, untouched.
    half_storage: store large weights of an fp32 graph as float16 (see `edgedepth.export.storage`).

    Raises:
        UnknownNameError: no such precision.
        InputError: options that exclude each other, or confidence of a network without.
        OutputError: the file cannot be written.
    """
    if precision not in PRECISIONS:
        raise UnknownNameError.of("export precision", precision, PRECISIONS)
    if not optimise and (precision != "fp32" or backend is not None or half_storage):
        raise InputError("optimise=False writes the plain fp32 graph; leave precision, backend and storage alone")
    output = "depth_m" if isinstance(spec, DepthSpec) else "probabilities"
    model = to_onnx(module, spec.input_wh, kind=input_kind, output=output, confidence=confidence)
    reports: tuple[PassReport, ...] = ()
    unfit: tuple[str, ...] = ()
    if optimise:
        model, reports = optimise_graph(model, backend=backend)
    if precision == "fp16":
        inputs = [network_input(input_kind, frame) for frame in probe_frames(spec.input_wh)]
        model, unfit = audited_float16(model, inputs)
    elif half_storage:
        model = compact(model, _weights(module))
    write_atomic(Path(path), model.SerializeToString())
    return ExportedGraph(path=Path(path), precision=precision, passes=reports, unfit=unfit)


def optimise_graph(
    model: onnx.ModelProto, *, backend: str | None = None
) -> tuple[onnx.ModelProto, tuple[PassReport, ...]]:
    """Simplify a graph and apply the exact rewrites that pay on a backend, or everywhere for None."""
    return run_passes(simplify(model), passes_for(backend))


def _weights(module: nn.Module) -> dict[str, NDArray[np.float32]]:
    return {name: value.detach().cpu().numpy() for name, value in module.state_dict().items()}
