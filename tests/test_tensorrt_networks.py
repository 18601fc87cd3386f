"""The networks themselves as TensorRT-RTX engines: what they are typed as, and what is fused.

The default bundle's networks are whole, at a small input size; the other families have small members. `make test` also
builds the same files with TensorRT-RTX 1.4, in an environment of its own. The full matrix is `make sweep`.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from edgedepth.core.spec import ClassifierSpec, DepthSpec
from edgedepth.engines.tensorrt.build import Engine, engine_from_onnx
from edgedepth.engines.tensorrt.config import BuildConfig
from edgedepth.engines.tensorrt.flavour import load_flavour
from edgedepth.engines.tensorrt.fusion import kernels_by_role, steps_of, work_of
from edgedepth.engines.tensorrt.kernels import COMPUTING
from edgedepth.engines.tensorrt.network import CONVOLUTIONS
from edgedepth.export import spec_for
from edgedepth.export.network import optimise_graph
from edgedepth.export.precision import to_float16
from edgedepth.export.torch_onnx import to_onnx
from edgedepth.trainers.models.registry import classifier_names, classifier_spec, create_network, network_names
from tests.conftest import REPOSITORY
from tests.older import older_python

pytestmark = pytest.mark.xdist_group("engines")  # each file is exported once

DEFAULT = ("edge-low", "edge-high", "scene-small")
# options that make the members of the other families small
REDUCED: dict[str, dict[str, Any]] = {
    "sid-deeplab": {"backbone": "small", "num_bins": 8},
    "hqmd": {"backbone": "small", "width": 16},
    "drnet": {"backbone": "small"},
    "rside": {"backbone": "small"},
    "rsn": {"width": 0.125, "iterations": 1},
}
SIZE_WH = (96, 64)
_ACTIVATIONS = ("Relu", "LeakyRelu", "Clip")

# Every network whose convolutions and pixel-shuffles are held to their kernels; classifiers have no shuffle.
ALL = (*network_names(), *classifier_names())

Build = Callable[..., tuple[onnx.ModelProto, Engine]]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Gives the graph and the engine of a network in a precision; each is made once.

    form: "tensorrt", with the rewrites that pay there, or "plain", before any.
    """
    folder = tmp_path_factory.mktemp("engines")

    @cache
    def traced(name: str) -> onnx.ModelProto:
        spec: DepthSpec | ClassifierSpec
        spec = classifier_spec(name) if name in classifier_names() else spec_for(name, SIZE_WH)
        output = "probabilities" if name in classifier_names() else "depth_m"
        torch.manual_seed(0)
        return to_onnx(create_network(name, **REDUCED.get(name, {})), spec.input_wh, output=output)

    @cache
    def exported(name: str, form: str) -> onnx.ModelProto:
        return traced(name) if form == "plain" else optimise_graph(traced(name), backend=form)[0]

    @cache
    def made(name: str, precision: str, form: str = "tensorrt") -> tuple[onnx.ModelProto, Engine]:
        # typed by rule: what an audit would keep in float32 besides depends on the weights, and these are random
        graph = exported(name, form) if precision == "fp32" else to_float16(exported(name, form))
        path = folder / f"{name}.{form}.{precision}.onnx"
        onnx.save(graph, path)
        return graph, engine_from_onnx(path, BuildConfig(targets=("sm86",)), load_flavour("tensorrt-rtx"))

    return made


def test_every_network_is_here() -> None:
    assert set(REDUCED) <= set(network_names())


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", ALL)
def test_network_builds_in_the_precision_of_its_file(
    build: Build, name: str, precision: str, record_property: Callable[[str, object], None]
) -> None:
    _, engine = build(name, precision)
    assert engine.sidecar.precision == precision
    assert engine.kernels
    record_property(f"kernels[{name}.{precision}]", len(engine.kernels))


@pytest.mark.parametrize("name", DEFAULT)
def test_convolutions_are_half_and_islands_are_float(build: Build, name: str) -> None:
    _, engine = build(name, "fp16")
    for layer in engine.layers:
        if layer.kind in CONVOLUTIONS:
            assert layer.input_types[0] == "HALF", layer
            assert layer.output_types == ("HALF",), layer
        if layer.kind in ("SOFTMAX", "REDUCE"):
            assert layer.input_types[0] == "FLOAT", layer
    _, plain = build(name, "fp32")
    assert "HALF" not in {dtype for layer in plain.layers for dtype in layer.output_types}
    of_convolutions = [kernel for kernel in engine.kernels if kernel.kind in COMPUTING]
    assert of_convolutions
    assert {kernel.output_types for kernel in of_convolutions} == {("Half",)}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", ALL)
def test_convolution_bias_and_activation_are_one_kernel(build: Build, name: str, precision: str) -> None:
    graph, engine = build(name, precision)
    makers = {output: node for node in graph.graph.node for output in node.output}
    pairs = [
        (makers[node.input[0]].name, node.name)
        for node in graph.graph.node
        if node.op_type in _ACTIVATIONS and node.input[0] in makers and makers[node.input[0]].op_type == "Conv"
    ]
    assert pairs
    for convolution, activation in pairs:
        together = [kernel for kernel in engine.kernels if {convolution, activation} <= set(kernel.nodes)]
        assert together, f"{convolution} and {activation} are separate"


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", ALL)
def test_every_convolution_depthwise_or_not_is_computed_by_one_kernel(build: Build, name: str, precision: str) -> None:
    """One to a single map, a sum over a few channels, may become part of a kernel that does more."""
    graph, engine = build(name, precision)
    widths = {entry.name: entry.dims[0] for entry in graph.graph.initializer if entry.dims}
    for node in graph.graph.node:
        if node.op_type == "Conv":
            own = [kernel for kernel in engine.kernels if node.name in kernel.nodes and kernel.kind in COMPUTING]
            assert len(own) == 1 or (not own and widths[node.input[1]] == 1), (node.name, own)


def test_the_older_library_builds_the_same_files(build: Build, tmp_path: Path) -> None:
    names = [*network_names(), "scene-small"]
    for name in names:
        for precision in ("fp32", "fp16"):
            onnx.save(build(name, precision)[0], tmp_path / f"{name}.{precision}.onnx")
    script = REPOSITORY / "benchmarks" / "tensorrt_sweep.py"
    done = subprocess.run([older_python(), script, "build", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "1.4.0.76.json").read_text())
    assert {(row["network"], row["precision"]) for row in rows} == {
        (name, precision) for name in names for precision in ("fp32", "fp16")
    }
    for row in rows:  # that convolutions are typed as their file says, the script has looked at
        assert row["kernels"] > 0
        if row["network"] in DEFAULT:
            newer = len(build(row["network"], row["precision"])[1].kernels)
            assert abs(row["kernels"] - newer) <= 2, row


def test_first_kernel_takes_the_cameras_bytes(build: Build) -> None:
    _, engine = build("edge-low", "fp16")
    assert engine.kernels[0].input_types == ("UInt8",)
    assert [kernel for kernel in engine.kernels[1:] if "UInt8" in kernel.input_types] == []


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", ALL)
def test_a_pixel_shuffle_costs_one_kernel_at_most(build: Build, name: str, precision: str) -> None:
    """The convolution before it is one kernel; the shuffle goes with the concatenation or activation after it."""
    graph, engine = build(name, precision)
    for shuffle in (node for node in graph.graph.node if node.op_type == "DepthToSpace"):
        assert sum(shuffle.name in kernel.nodes for kernel in engine.kernels) == 1, shuffle.name


@pytest.mark.parametrize("name", ALL)
def test_typing_in_half_adds_no_stray_cast(build: Build, name: str) -> None:
    """Casts are parts of kernels that do something else. A kernel of its own is only what copies into a concatenation,
    and what follows a mean over a map, one number per channel, where the builder ends a kernel."""
    graph, engine = build(name, "fp16")
    makers = {output: node.op_type for node in graph.graph.node for output in node.output}
    casts = {node.name: node for node in graph.graph.node if node.op_type == "Cast"}
    readers: dict[str, set[str]] = {}
    for node in graph.graph.node:
        for source in node.input:
            readers.setdefault(source, set()).add(node.op_type)
    for kernel in work_of(engine.kernels):
        if set(steps_of(kernel)) == {"Cast"}:
            around = {makers.get(casts[node].input[0], "") for node in kernel.nodes if node in casts}
            around |= {op for node in kernel.nodes if node in casts for op in readers[casts[node].output[0]]}
            assert around & {"Concat", "ReduceMean", "GlobalAveragePool"}, (kernel, around)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", ALL)
def test_rewrites_add_no_kernel_that_they_do_not_account_for(build: Build, name: str, precision: str) -> None:
    """One per convolution that a rewrite splits off, and per pixel-shuffle the shuffle and a copy for the join."""
    plain, before = build(name, precision, "plain")
    ours, after = build(name, precision)

    def added(op_type: str) -> int:
        counts = [[node.op_type for node in graph.graph.node].count(op_type) for graph in (ours, plain)]
        return counts[0] - counts[1]

    allowed = len(work_of(before.kernels)) + max(0, added("Conv")) + 2 * max(0, added("DepthToSpace"))
    assert len(work_of(after.kernels)) <= allowed
    computing = [kernels_by_role(engine.kernels)["convolution"] for engine in (before, after)]
    assert computing[1] <= computing[0] + added("Conv")
