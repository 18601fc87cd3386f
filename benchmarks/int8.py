"""INT8 against floating point: accuracy on labelled data, speed in turn, and other calibrators' ranges.

    python benchmarks/int8.py accuracy BUNDLE --data synth:DIR --data pairs:FILE   # a calibrated bundle
    python benchmarks/int8.py speed BUNDLE                                         # its networks on CPU backends
    python benchmarks/int8.py ds-sidenet                                           # the paper's, random weights
    python benchmarks/int8.py calibrators [--modelopt VENV/bin/python]             # ranges, ours and theirs

Files of one network are timed in turn in one run, so that a busy machine slows them alike. ModelOpt pins other
versions of our packages, so it runs in an environment of its own: `pip install nvidia-modelopt[onnx]`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from edgedepth import Bundle, DepthRuntime
from edgedepth.calibration.forms import form_for
from edgedepth.calibration.observe import observe
from edgedepth.calibration.qdq import insert_qdq, quantisable, tensors_to_observe
from edgedepth.calibration.ranges import METHODS, ranges_of
from edgedepth.calibration.speed import Timing, compare_speed
from edgedepth.calibration.unpack import unpack
from edgedepth.core.routing import Route
from edgedepth.datasets import DepthSample, open_dataset
from edgedepth.engines import probe_all
from edgedepth.evaluation import Prediction, evaluate_samples, protocol_named
from edgedepth.export import export_onnx, spec_for
from edgedepth.export.frames import probe_frames
from edgedepth.export.passes.graph import Graph

_PRECISIONS = ("fp32", "fp16", "int8")
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


def accuracy(bundle: str, data: list[str], backend: str, limit: int | None) -> Iterator[str]:
    """Rows of a Markdown table: every precision of a bundle on every data set, unaligned, by its own protocol."""
    yield "| data | route | images | precision | abs_rel | delta1 |"
    yield "|---|---|---:|---|---:|---:|"
    opened = Bundle.load(bundle)
    known = {key.partition("@")[0] for network in opened.manifest.networks.values() for key in network.variants}
    for name in data:
        split = "test" if name.startswith("synth:") else None
        samples = open_dataset(name, split)
        for route in opened.manifest.networks:
            chosen = samples.where(lambda info, route=route: info.route is route).limited(limit)
            for precision in (p for p in _PRECISIONS if p in known and len(chosen)):
                with DepthRuntime.load(opened, backend=backend, precision=precision) as runtime:
                    report = evaluate_samples(
                        _predictor(runtime, route), chosen, protocol_named("native"), alignments=("none",)
                    )
                row = report.alignment["none"]
                cells = [name.rpartition("/")[2], route.value, str(len(report.images)), precision]
                yield f"| {' | '.join(cells)} | {row['abs_rel']:.4f} | {row['delta1']:.4f} |"


def _predictor(runtime: DepthRuntime, route: Route):  # type: ignore[no-untyped-def]
    def predict(sample: DepthSample) -> Prediction:
        result = runtime(sample.image_bgr, camera=sample.camera, route=route)
        return Prediction(result.raw_depth_m, route)

    return predict


def speed(bundle: str, threads: int | None, rounds: int) -> Iterator[str]:
    """Rows of a Markdown table: every network and precision of a bundle on every CPU backend."""
    yield "| network | backend | file | ms | times as fast as fp32 |"
    yield "|---|---|---|---:|---:|"
    opened = Bundle.load(bundle)
    for backend in ("openvino", "onnxruntime"):
        if not probe_all()[backend].available:
            continue
        for network in opened.manifest.networks.values():
            keys = {key.partition("@")[0] for key in network.variants if key.partition("@")[2] in ("", backend)}
            files = {p: opened.path(network.variant(p, backend)) for p in _PRECISIONS if p in keys}
            frame = probe_frames(network.spec.input_wh)[-1]
            timing = compare_speed(files, backend, frame, rounds=rounds, threads=threads)
            yield from _speed_rows(network.network, backend, timing)


def _speed_rows(network: str, backend: str, timing: Timing) -> Iterator[str]:
    for name, ms in timing.ms.items():
        yield f"| {network} | {backend} | {name} | {ms:.2f} | {timing.speedup[name]:.2f} |"


def ds_sidenet(size_wh: tuple[int, int], threads: int | None, rounds: int) -> Iterator[str]:
    """The paper's low network: plain export on onnxruntime FP32 against the rewritten INT8 form in OpenVINO."""
    import torch

    from edgedepth.trainers import create_network

    torch.manual_seed(0)
    network, spec = create_network("ds-sidenet-low"), spec_for("ds-sidenet-low", size_wh)
    frames = probe_frames(spec.input_wh)
    with tempfile.TemporaryDirectory() as folder:
        plain, common, int8 = (Path(folder) / f"{name}.onnx" for name in ("plain", "common", "int8"))
        export_onnx(network, spec, plain, optimise=False)
        export_onnx(network, spec, common)
        form, model = form_for("openvino"), onnx.load(common)
        ranges = ranges_of(observe(model, frames, tensors_to_observe(Graph(model))), "minmax")
        onnx.save(insert_qdq(model, quantisable(Graph(model), form), ranges, form), int8)
        times: dict[str, list[float]] = {"onnxruntime plain fp32": [], "openvino fp32": [], "openvino int8": []}
        for _ in range(rounds):
            # a few of each in turn: a session is opened every time, so rounds are short
            times["onnxruntime plain fp32"].append(_ms(plain, "onnxruntime", frames[-1], threads))
            times["openvino fp32"].append(_ms(common, "openvino", frames[-1], threads))
            times["openvino int8"].append(_ms(int8, "openvino", frames[-1], threads))
    base = np.array(times["onnxruntime plain fp32"])
    yield "| ds-sidenet-low | ms | times as fast as the plain export |"
    yield "|---|---:|---:|"
    for name, values in times.items():
        yield f"| {name} | {np.median(values):.2f} | {np.median(base / np.array(values)):.2f} |"


def _ms(path: Path, backend: str, frame: NDArray[np.uint8], threads: int | None) -> float:
    return compare_speed({"it": path}, backend, frame, rounds=5, threads=threads).ms["it"]


def calibrators(bundle: str, modelopt: Path | None, count: int) -> Iterator[str]:
    """Ranges of one network's activations by our methods, onnxruntime's and ModelOpt's, as ratios of ours to theirs."""
    opened = Bundle.load(bundle)
    network = next(iter(opened.manifest.networks.values()))
    model = unpack(onnx.load(opened.path(network.variants["fp32"])))
    rng = np.random.default_rng(0)
    frames = [
        frame
        for seed in rng.integers(0, 1 << 30, count)
        for frame in probe_frames(network.spec.input_wh, seed=int(seed))[-1:]
    ]
    layers = quantisable(Graph(model), form_for("openvino"))
    tensors = sorted({layer.source for layer in layers})
    seen = observe(model, frames, tensors)
    ours = {method: {t: max(-low, high) for t, (low, high) in ranges_of(seen, method).items()} for method in METHODS}
    yield f"{network.network}, {len(tensors)} activations, {len(frames)} frames; ours / theirs, median (5th..95th)"
    yield "| calibrator | compared with | ratio |"
    yield "|---|---|---:|"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        for method in ("minmax", "percentile", "entropy"):
            yield _ratio(f"onnxruntime {method}", method, ours[method], _onnxruntime(path, method, frames))
        for theirs, method in (("max", "minmax"), ("entropy", "entropy")) if modelopt is not None else ():
            assert modelopt is not None
            yield _ratio(f"ModelOpt {theirs}", method, ours[method], _of_modelopt(modelopt, path, theirs, frames))


def _ratio(name: str, method: str, ours: Mapping[str, float], theirs: Mapping[str, float]) -> str:
    ratios = [ours[tensor] / theirs[tensor] for tensor in ours if theirs.get(tensor, 0.0) > 0]
    low, middle, high = np.quantile(ratios, [0.05, 0.5, 0.95])
    return f"| {name} ({len(ratios)} tensors) | {method} | {middle:.3f} ({low:.2f}..{high:.2f}) |"


def _onnxruntime(path: Path, method: str, frames: list[NDArray[np.uint8]]) -> dict[str, float]:
    from onnxruntime.quantization import calibrate as theirs

    class Reader(theirs.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._frames = iter(frames)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            frame = next(self._frames, None)
            return None if frame is None else {"frame": frame[None]}

    kinds = {"minmax": "MinMax", "percentile": "Percentile", "entropy": "Entropy"}
    options: dict[str, float] = {} if method == "minmax" else {"num_bins": 2048}
    calibrator = theirs.create_calibrator(
        path,
        ["Conv"],
        augmented_model_path=str(path.with_name("augmented.onnx")),
        calibrate_method=theirs.CalibrationMethod[kinds[method]],
        extra_options=options | ({"percentile": 99.99} if method == "percentile" else {}),
    )
    calibrator.collect_data(Reader())
    found = calibrator.compute_data().data
    return {
        name: float(np.abs(np.ravel(np.asarray(entry.range_value, np.float64))).max()) for name, entry in found.items()
    }


def _of_modelopt(python: Path, path: Path, method: str, frames: list[NDArray[np.uint8]]) -> dict[str, float]:
    data, out = path.with_name("frames.npy"), path.with_name(f"modelopt-{method}.json")
    np.save(data, np.concatenate([frame[None] for frame in frames]))
    subprocess.run([str(python), "-c", _MODELOPT, str(path), str(data), method, str(out)], check=True)
    return {name: 127 * scale for name, scale in json.loads(out.read_text()).items()}


def main() -> None:
    """Parse and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("accuracy", "speed", "ds-sidenet", "calibrators"))
    parser.add_argument("bundle", nargs="?", default="default")
    parser.add_argument("--data", action="append", default=[])
    parser.add_argument("--backend", default="openvino")
    parser.add_argument("--limit", type=int, help="at most so many samples of each data set and route")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--modelopt", type=Path, help="the Python of an environment with ModelOpt")
    given = parser.parse_args()
    rows = {
        "accuracy": lambda: accuracy(given.bundle, given.data, given.backend, given.limit),
        "speed": lambda: speed(given.bundle, given.threads, given.rounds),
        "ds-sidenet": lambda: ds_sidenet((320, 240), given.threads, given.rounds),
        "calibrators": lambda: calibrators(given.bundle, given.modelopt, count=24),
    }[given.what]()
    for row in rows:
        print(row, flush=True)


if __name__ == "__main__":
    main()
