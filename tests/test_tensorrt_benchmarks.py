"""The benchmark scripts that build engines run to their end on a machine without a GPU."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, load, save

from tests.conftest import REPOSITORY
from tests.networks import depth_network, routed_bundle
from tests.test_tensorrt_session import Bench


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    sys.path.insert(0, str(REPOSITORY / "benchmarks"))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


def test_gpu_benchmark_says_what_it_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGEDEPTH_CACHE", str(tmp_path / "cache"))
    bundle = routed_bundle(tmp_path / "bundle").folder
    gpu = script("gpu")
    monkeypatch.setattr(gpu, "WARM_UP", 1)
    monkeypatch.setattr("sys.argv", ["gpu.py", str(bundle), "--runs", "2", "--output", str(tmp_path / "out" / "table")])
    assert gpu.main() == 0
    rows = json.loads((tmp_path / "out" / "table.json").read_text())
    measured = [row for row in rows if row["p50_ms"] is not None]
    assert {(row["engine"], row["precision"]) for row in measured} >= {("onnxruntime", "fp32")}
    assert all(row["abs_rel"] < 1e-5 and row["non_finite"] == 0 for row in measured)
    assert all(row["skipped"] for row in rows if row["p50_ms"] is None)
    assert {row["engine"] for row in rows} >= {"tensorrt", "tensorrt-rtx", "onnxruntime-cuda", "pytorch"}
    assert {row["graphs"] for row in rows if row["engine"] == "tensorrt"} == {True, False}
    text = (tmp_path / "out" / "table.md").read_text()
    assert "- tensorrt (fp32 with CUDA graphs, fp32, fp16 with CUDA graphs, fp16" in text
    assert "- pytorch (fp32 with CUDA graphs, fp16, fp16 with CUDA graphs): PyTorch has no CUDA device here" in text
    assert "| depth-test | onnxruntime | fp32 | no |" in text
    assert text.strip() in capsys.readouterr().out


def test_gpu_benchmark_of_random_weights_measures_pytorch_and_onnxruntime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEDEPTH_CACHE", str(tmp_path / "cache"))
    gpu = script("gpu")
    monkeypatch.setattr(gpu, "WARM_UP", 1)
    out = tmp_path / "table"
    options = ["--networks", "edge-low", "--size", "96x64", "--runs", "2", "--output", str(out)]
    monkeypatch.setattr("sys.argv", ["gpu.py", *options])
    assert gpu.main() == 0
    rows = json.loads(out.with_suffix(".json").read_text())
    measured = {(row["engine"], row["precision"]) for row in rows if row["p50_ms"] is not None}
    assert measured >= {("pytorch", "fp32"), ("onnxruntime", "fp32"), ("onnxruntime", "fp16")}
    skipped = {(row["engine"], row["precision"], row["graphs"]): row["skipped"] for row in rows if row["skipped"]}
    assert skipped["pytorch", "fp16", True] == "PyTorch has no CUDA device here"
    assert "calibrate" in skipped["onnxruntime", "int8", False]


def test_weights_that_are_stored_narrow_are_not_cast_for_every_frame() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Conv2d(8, 1, 1)).eval()
    image = torch.rand(1, 3, 16, 24)
    answers: list[torch.Tensor] = []

    def casts() -> int:
        """How often tensors of a weight's shape are cast in one answer."""
        narrow = torch.autocast("cpu", dtype=torch.bfloat16)
        with torch.inference_mode(), torch.profiler.profile(record_shapes=True) as seen, narrow:
            answers.append(network(image))
        shapes = {str(list(weight.shape)) for weight in network.parameters() if weight.dim() == 4}
        return sum(str(e.input_shapes[0]) in shapes for e in seen.events() if e.name == "aten::_to_copy")

    assert casts() == 2
    script("gpu").store_weights(network, torch.bfloat16)
    assert casts() == 0
    assert torch.equal(*answers)  # the same rounding, once


def test_gpu_benchmark_counts_what_an_engine_holds_on_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu, bench = script("gpu"), Bench(tmp_path)
    monkeypatch.setattr(
        gpu,
        "open_session",
        lambda *_, **__: bench.open(
            inputs=[{"name": "frame", "shape": [1, 600, 800, 3], "dtype": "uint8"}],
            outputs=[{"name": "depth_m", "shape": [1, 1, 600, 800], "dtype": "float32"}],
        ),
    )
    case = gpu.Case(network="n", input_wh=(800, 600), files={})
    row = gpu.Row(network="n", engine="tensorrt", precision="fp16")
    gpu._fill(row, case, tmp_path, "tensorrt", np.ones((1, 1, 600, 800), np.float32), 1)
    assert row.skipped == ""
    assert row.device_mb == 3.4  # 0.48 M pixels of 3 bytes and of 4, each once


def test_gpu_benchmark_goes_on_after_a_library_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEDEPTH_CACHE", str(tmp_path / "cache"))
    bundle = routed_bundle(tmp_path / "bundle").folder
    gpu = script("gpu")
    real = gpu.open_session

    def breaks(file: Path, backend: str, **options: object) -> object:
        if backend == "openvino":
            raise MemoryError("out of\nmemory")
        return real(file, backend, **options)

    monkeypatch.setattr(gpu, "open_session", breaks)
    monkeypatch.setattr("sys.argv", ["gpu.py", str(bundle), "--runs", "1", "--output", str(tmp_path / "table")])
    assert gpu.main() == 0
    assert "- openvino (fp32): MemoryError: out of memory" in (tmp_path / "table.md").read_text()


def test_sweep_fails_for_what_does_not_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(depth_network((64, 48), 0.1), tmp_path / "good.fp32.onnx")
    sweep = script("tensorrt_sweep")
    assert sweep.build(tmp_path) == 0
    nodes = [helper.make_node("Foo", ["x"], ["y"], name="foo", domain="mine")]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1,)) for name in ("x", "y")]
    save(helper.make_model(helper.make_graph(nodes, "g", values[:1], values[1:])), tmp_path / "bad.fp16.onnx")
    assert sweep.build(tmp_path) == 1
    (figures,) = tmp_path.glob("*.json")
    rows = {row["network"]: row for row in json.loads(figures.read_text())}
    assert rows["good"]["kernels"] > 0
    assert "no such operator" in rows["bad"]["error"]
    assert "2 engines, 1 failures" in capsys.readouterr().out
    (tmp_path / "1.4.0.76.json").write_text(figures.read_text().replace('"kernels": ', '"kernels": 9'))
    kernels = rows["good"]["kernels"]
    table = sweep.report(tmp_path)
    assert table[0].startswith(
        f"| network | input | RTX {figures.stem}: kernels | activations, MB | build, s | RTX 1.4"
    )
    assert table[2].startswith("| bad |  | failed / - | failed / - |")
    assert table[3].startswith(f"| good | 64x48 | - / {kernels} | - / ")
    assert f"| - / 9{kernels} |" in table[3]


def test_sweep_exports_in_both_precisions_and_runs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = script("tensorrt_sweep")
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    arguments = ["export", str(tmp_path), "--networks", "edge-low", "--size", "96x64"]
    monkeypatch.setattr("sys.argv", ["sweep", *arguments])
    assert sweep.main() == 0
    sweep.main()  # nothing is left to do
    assert capsys.readouterr().err.count("exported edge-low") == 1
    monkeypatch.setattr("sys.argv", ["sweep", "run", str(tmp_path)])
    assert sweep.main() == 0
    assert "6 answers, 0 failures" in capsys.readouterr().out
    page = tmp_path / "page.md"
    marks = "".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in ("sweep-cpu", "sweep-engines"))
    page.write_text(marks)
    monkeypatch.setattr("sys.argv", ["sweep", "report", str(tmp_path), "--write", str(page)])
    assert sweep.main() == 0
    assert "| 4 of 4 |" in page.read_text()
    monkeypatch.setattr("sys.argv", ["sweep", "run", str(tmp_path)])
    with np.load(tmp_path / "edge-low.npz") as arrays:
        answers = dict(arrays)
    np.savez(tmp_path / "edge-low.npz", **{**answers, "float32": answers["float32"] * 1.1,
                                           "float64": answers["float64"] * 1.1})  # fmt: skip
    assert sweep.main() == 1
    assert "does not agree with float64" in capsys.readouterr().err
    for precision, dtype in (("fp32", TensorProto.FLOAT), ("fp16", TensorProto.FLOAT16)):
        graph = load(tmp_path / f"edge-low.{precision}.onnx").graph
        weights = {tensor.name: tensor for tensor in graph.initializer}
        kinds = {weights[node.input[1]].data_type for node in graph.node if node.op_type == "Conv"}
        assert kinds == {dtype}
        assert [axis.dim_value for axis in graph.input[0].type.tensor_type.shape.dim] == [1, 64, 96, 3]
