"""The FP16 benchmark runs to its end, looks at frames that ask for trouble, and fails where FP16 fails."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from edgedepth.core.bundle import Bundle, file_entry, write_manifest
from edgedepth.core.errors import InputError
from edgedepth.core.routing import Route
from edgedepth.datasets import DepthDataset, DepthSample
from edgedepth.datasets.sample import Entry
from tests.bundles import LOW_SPEC, fixed_router
from tests.networks import routed_bundle
from tests.test_tensorrt_benchmarks import script

WIDTH, HEIGHT = LOW_SPEC.input_wh


def bundle_of(folder: Path, gain: float) -> Bundle:
    """A network of 8 maps in half precision: the frame's mean brightness times a gain, brought back to 0.3..10 m."""
    bundle = routed_bundle(folder)
    constants = {
        "mix": np.full((8, 3, 1, 1), gain / 3, np.float32),
        "back": np.full((1, 8, 1, 1), 9.0 / (8 * 255 * gain), np.float32),
        "shift": np.full((1, 1, 1, 1), 0.5, np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["frame"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["bgr"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["bgr", "mix"], ["maps"]),
        helper.make_node("Conv", ["maps", "back"], ["one"]),
        helper.make_node("Add", ["one", "shift"], ["depth_m"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, (1, HEIGHT, WIDTH, 3))],
        [helper.make_tensor_value_info("depth_m", TensorProto.FLOAT, (1, 1, HEIGHT, WIDTH))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), folder / "low.onnx")
    manifest = bundle.manifest
    low = manifest.networks[Route.LOW]
    low = low.model_copy(update={"variants": {"fp32": file_entry(folder, "low.onnx")}})
    fields = {"networks": {Route.LOW: low}, "router": fixed_router(Route.LOW)}
    return write_manifest(folder, manifest.model_copy(update=fields))


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> str:
    """Labelled frames whose depth is their brightness."""
    rng = np.random.default_rng(0)
    frames = [cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (WIDTH, HEIGHT)).astype(np.uint8) for _ in range(6)]
    samples = [
        DepthSample(
            id=str(number),
            image_bgr=frame,
            depth_m=(0.5 + 9 / 255 * frame.mean(axis=2)).astype(np.float32),
            route=Route.LOW,
        )
        for number, frame in enumerate(frames)
    ]
    entries = tuple(Entry(sample, lambda info: info) for sample in samples)  # type: ignore[arg-type,return-value]
    monkeypatch.setattr(script("fp16"), "open_for_evaluation", lambda *_: (DepthDataset("synth:x", entries), "test"))
    return "synth:x"


def test_half_precision_that_holds_passes(tmp_path: Path, data: str, capsys: pytest.CaptureFixture[str]) -> None:
    fp16 = __import__("sys").modules["fp16"]
    result = fp16.compare(bundle_of(tmp_path, 1.0), Route.LOW, [data], 40)
    assert (result.frames, result.labelled, result.not_finite, result.kept_float32) == (40, 6, 0, 0)
    assert result.abs_rel_fp32 < 1e-3
    assert 0 < result.worst_p999 < 0.01
    assert result.passed
    assert f"| 40 (6) | {result.abs_rel_fp32:.4f} |" in fp16.table([result])


def test_the_audit_saves_what_would_overflow(tmp_path: Path, data: str) -> None:
    """The maps reach 255 x 1000, beyond float16: they stay float32, and nothing is lost."""
    fp16 = __import__("sys").modules["fp16"]
    result = fp16.compare(bundle_of(tmp_path, 1000.0), Route.LOW, [data], 30)
    assert result.kept_float32 > 0
    assert result.passed


def test_overflow_that_the_audit_did_not_see_fails(tmp_path: Path, data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgedepth.export.precision import to_float16

    fp16 = __import__("sys").modules["fp16"]
    monkeypatch.setattr(fp16, "audited_float16", lambda model, _: (to_float16(model), ()))
    result = fp16.compare(bundle_of(tmp_path, 300.0), Route.LOW, [data], 30)
    assert result.not_finite > 0
    assert not result.passed


def test_frames_that_ask_for_trouble() -> None:
    fp16 = script("fp16")
    base = [np.full((HEIGHT, WIDTH, 3), 90, np.uint8)]
    frames = list(islice(fp16.harsh_frames(base, (WIDTH, HEIGHT)), 60))
    assert {frame.shape for frame in frames} == {(HEIGHT, WIDTH, 3)}
    assert {frame.dtype for frame in frames} == {np.dtype(np.uint8)}
    assert any((frame == 0).all() for frame in frames)
    assert any((frame == 255).all() for frame in frames)
    assert sum(bool(frame.std() > 60) for frame in frames) > 10
    assert len({frame.tobytes() for frame in frames}) > 30


def test_data_without_a_frame_of_the_route_is_refused(data: str) -> None:
    fp16 = __import__("sys").modules["fp16"]
    with pytest.raises(InputError, match="no frame of the route high"):
        fp16.labelled_frames([data], Route.HIGH, LOW_SPEC, 10)
