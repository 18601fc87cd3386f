"""The rewrites benchmark prepares, times and reports, goes on where it ended, and says which promise is broken."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import openvino as ov
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.conftest import REPOSITORY

WIDTH, HEIGHT = 48, 32


@pytest.fixture(scope="module")
def scripts() -> Iterator[SimpleNamespace]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(REPOSITORY / "benchmarks")
        names = ("rewrites", "rewrites_forms", "rewrites_times", "rewrites_report")
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})


def soft_argmax_network(network: object, input_wh: tuple[int, int], **_: object) -> onnx.ModelProto:
    """What tracing gives: frame, two convolutions, the expectation of 16 bins."""
    rng = np.random.default_rng(0)
    constants = {
        "scale": np.float32(1 / 255),
        "first": rng.normal(size=(8, 3, 3, 3)).astype(np.float32),
        "second": rng.normal(size=(16, 8, 1, 1)).astype(np.float32),
        "index": np.arange(1, 17, dtype=np.float32).reshape(1, 16, 1, 1),
        "axis": np.array([1]),
    }
    nodes = [
        helper.make_node("Cast", ["frame"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["bgr"], perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["bgr", "scale"], ["image"]),
        helper.make_node("Conv", ["image", "first"], ["a"], kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "second"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["p"], axis=1),
        helper.make_node("Mul", ["p", "index"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "axis"], ["depth_m"], keepdims=1),
    ]
    for number, node in enumerate(nodes):
        node.name = f"node{number}"
    width, height = input_wh
    frame = helper.make_tensor_value_info("frame", TensorProto.UINT8, (1, height, width, 3))
    depth = helper.make_tensor_value_info("depth_m", TensorProto.FLOAT, (1, 1, height, width))
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "net", [frame], [depth], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.fixture(scope="module")
def made(scripts: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two runs of the command leave, the second of which finds nothing to do."""
    folder = tmp_path_factory.mktemp("rewrites")
    page = folder / "page.md"
    page.write_text("".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in ("rewrites", "rewrites-each")))
    command = ["--only", "edge-low", "--size", f"{WIDTH}x{HEIGHT}", "--folder", str(folder), "--seconds", "0.05",
               "--threads", "1", "--write", str(page)]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scripts.rewrites_forms, "to_onnx", soft_argmax_network)
        patch.setattr(scripts.rewrites_forms, "_kernels", lambda *_: {"fp32": 5, "fp16": 6})
        patch.setattr(scripts.rewrites_report, "SLACK", 100.0)  # times of a graph so small are noise
        patch.setattr("sys.argv", ["rewrites.py", *command])
        assert scripts.rewrites.main() == 0
        patch.setattr(scripts.rewrites, "prepare", None)
        patch.setattr(scripts.rewrites, "take_times", None)
        assert scripts.rewrites.main() == 0
    return folder


def test_every_form_is_made_and_timed(scripts: SimpleNamespace, made: Path) -> None:
    forms = scripts.rewrites_forms.load_forms(made / "edge-low")
    assert [form.name for form in forms] == ["plain", "onnxsim", "soft-argmax", "ours", "ours for tensorrt"]
    assert forms[2].difference < 1e-5
    assert set(forms[3].files) == {"fp32", "int8@onnxruntime", "int8@openvino"}
    assert set(forms[4].files) == {"fp32"}
    int8 = onnx.load(made / "edge-low" / forms[3].files["int8@openvino"])
    assert "QuantizeLinear" in {node.op_type for node in int8.graph.node}
    timed = scripts.rewrites_times.load_times(made / "edge-low")
    assert set(timed.times) == {
        "onnxruntime fp32", "onnxruntime int8", "openvino fp32", "openvino bf16", "openvino int8",
    }  # fmt: skip
    for target, times in timed.times.items():
        assert scripts.rewrites_times.BASE in times
        if target != "openvino bf16" or "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            assert {"plain", "ours"} <= set(times)
        assert "ours for tensorrt" not in times
        assert len({len(rounds) for rounds in times.values()}) == 1


def test_tables_are_written_into_the_page(made: Path) -> None:
    text = (made / "page.md").read_text()
    assert f"| edge-low | {WIDTH}x{HEIGHT} | " in text
    assert "|  | soft-argmax | " in text
    assert " | 5 / 6 | " in text


@pytest.mark.parametrize(
    ("ours_ms", "broken"),
    [(10.0, []), (35.0, ["takes 1.17 times as long as plain", "is 1.71 times as fast as plain, not 2.8"])],
)
def test_promises(scripts: SimpleNamespace, tmp_path: Path, ours_ms: float, broken: list[str]) -> None:
    times = {
        f"{backend} {precision}": {scripts.rewrites_times.BASE: [60.0] * 3, "plain": [30.0] * 3, "ours": [ours_ms] * 3}
        for backend, precision in scripts.rewrites_times.TARGETS
        if (backend, precision) == ("openvino", "fp32")
    }
    fast = {scripts.rewrites_times.BASE: [60.0], "plain": [60.0], "ours": [20.0]}
    rest = {f"{backend} {precision}": fast for backend, precision in scripts.rewrites_times.TARGETS}
    folder = tmp_path / "ds-sidenet-low"
    folder.mkdir()
    (folder / "times.json").write_text(json.dumps({"threads": 2, "times": {**rest, **times}}))
    found = scripts.rewrites_report.broken_promises(tmp_path, ["ds-sidenet-low"])
    assert len(found) == len(broken)
    assert all(part in line for part, line in zip(broken, found, strict=True))
    (folder / "times.json").write_text(json.dumps({"threads": 1, "times": {**rest, **times}}))
    found = scripts.rewrites_report.broken_promises(tmp_path, ["ds-sidenet-low"])
    assert len(found) == min(1, len(broken))  # speed in all is promised for several threads
