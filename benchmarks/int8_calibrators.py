"""Ranges of activations by our methods, onnxruntime's calibrators and ModelOpt's, on the same frames. See `int8.py`."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import calibrate as onnxruntime_calibrate

from edgedepth import Bundle
from edgedepth.calibration.forms import form_for
from edgedepth.calibration.frames import gather
from edgedepth.calibration.observe import observe
from edgedepth.calibration.qdq import quantisable
from edgedepth.calibration.ranges import METHODS, ranges_of
from edgedepth.calibration.unpack import unpack
from edgedepth.export.passes.graph import Graph

Frames = Sequence[NDArray[np.uint8]]
Amax = dict[str, float]  # the largest magnitude of a tensor that is told apart

# Runs ModelOpt's calibrator on MODEL with FRAMES and writes the activation scales it chose, by tensor.
_MODELOPT = """
import json, sys
import numpy as np, onnx
from modelopt.onnx.quantization import quantize
model, frames, method, out = sys.argv[1:]
quantize(model, quantize_mode="int8", calibration_data={"frame": np.load(frames)}, calibration_method=method,
         calibration_eps=["cpu"], output_path=out + ".onnx", high_precision_dtype="fp32")
graph = onnx.load(out + ".onnx").graph
constants = {entry.name: onnx.numpy_helper.to_array(entry) for entry in graph.initializer}
constants |= {n.output[0]: onnx.numpy_helper.to_array(n.attribute[0].t) for n in graph.node if n.op_type == "Constant"}
scales = {n.input[0]: float(constants[n.input[1]].ravel()[0]) for n in graph.node
          if n.op_type == "QuantizeLinear" and n.input[0] not in constants and constants[n.input[1]].size == 1}
json.dump(scales, open(out, "w"))
"""


class _Reader(onnxruntime_calibrate.CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, frames: Frames) -> None:
        self._frames = iter(frames)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        frame = next(self._frames, None)
        return None if frame is None else {"frame": frame[None]}


def calibrators(bundle: Bundle, source: str, modelopt: Path | None, count: int = 32) -> Iterator[str]:
    """Ranges as ratios of ours to theirs, over the activations that INT8 layers read."""
    route, frames = next(iter(gather(bundle, source).routes.items()))
    pictures = frames.observed[:count]
    network = bundle.manifest.networks[route]
    model = unpack(onnx.load(bundle.path(network.variants["fp32"])))
    tensors = sorted({layer.source for layer in quantisable(Graph(model), form_for("openvino"))})
    seen = observe(model, pictures, tensors)
    ours = {method: {t: max(-low, high) for t, (low, high) in ranges_of(seen, method).items()} for method in METHODS}
    yield f"| {network.network}, {len(pictures)} frames | tensors | ours / theirs, median | 5th and 95th percentile |"
    yield "|---|---:|---:|---|"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        for method in ("minmax", "percentile", "entropy"):
            yield _ratio(f"onnxruntime {method}", ours[method], _of_onnxruntime(path, method, pictures))
        if modelopt is not None:
            for theirs, method in (("max", "minmax"), ("entropy", "entropy")):
                yield _ratio(f"ModelOpt {theirs}", ours[method], _of_modelopt(modelopt, path, theirs, pictures))


def _ratio(name: str, ours: Mapping[str, float], theirs: Mapping[str, float]) -> str:
    ratios = [ours[tensor] / theirs[tensor] for tensor in ours if theirs.get(tensor, 0.0) > 0]
    low, middle, high = np.quantile(ratios, [0.05, 0.5, 0.95])
    return f"| {name} | {len(ratios)} of {len(ours)} | {middle:.3f} | {low:.2f} to {high:.2f} |"


def _of_onnxruntime(path: Path, method: str, frames: Frames) -> Amax:
    kinds = {"minmax": "MinMax", "percentile": "Percentile", "entropy": "Entropy"}
    options: dict[str, float] = {} if method == "minmax" else {"num_bins": 2048}
    calibrator = onnxruntime_calibrate.create_calibrator(
        path,
        ["Conv"],
        augmented_model_path=str(path.with_name("augmented.onnx")),
        calibrate_method=onnxruntime_calibrate.CalibrationMethod[kinds[method]],
        extra_options=options | ({"percentile": 99.99} if method == "percentile" else {}),
    )
    calibrator.collect_data(_Reader(frames))
    found = calibrator.compute_data().data
    return {name: float(np.abs(np.ravel(np.asarray(v.range_value, np.float64))).max()) for name, v in found.items()}


def _of_modelopt(python: Path, path: Path, method: str, frames: Frames) -> Amax:
    data, out = path.with_name("frames.npy"), path.with_name(f"modelopt-{method}.json")
    np.save(data, np.stack(frames))
    subprocess.run([str(python), "-c", _MODELOPT, str(path), str(data), method, str(out)], check=True)
    return {name: 127 * scale for name, scale in json.loads(out.read_text()).items()}
