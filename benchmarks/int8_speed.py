"""Speed of INT8 files on CPU backends, against the floating-point files. See `int8.py`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import onnx

from edgedepth import Bundle
from edgedepth.calibration.forms import form_for
from edgedepth.calibration.observe import observe
from edgedepth.calibration.qdq import insert_qdq, quantisable, tensors_to_observe
from edgedepth.calibration.ranges import ranges_of
from edgedepth.calibration.speed import Clock, Timing, compare_speed, time_in_turn
from edgedepth.engines import open_session, probe_all
from edgedepth.export import export_onnx, spec_for
from edgedepth.export.frames import probe_frames
from edgedepth.export.passes import run_passes
from edgedepth.export.passes.graph import Graph


def speed(bundle: Bundle, threads: int, rounds: int) -> Iterator[str]:
    """Every network and precision of a bundle on every CPU backend."""
    yield f"| network | backend | file | {unit(threads)} | times as fast as FP32 |"
    yield "|---|---|---|---:|---:|"
    for backend in ("openvino", "onnxruntime"):
        if not probe_all()[backend].available:
            continue
        for network in bundle.manifest.networks.values():
            keys = ("fp32", "fp16", f"int8@{backend}")
            files = {key: bundle.path(network.variants[key]) for key in keys if key in network.variants}
            frame = probe_frames(network.spec.input_wh)[-1]
            timing = compare_speed(files, backend, frame, rounds=rounds, threads=threads, clock=clock_for(threads))
            yield from (f"| {network.network} | {backend} | {row} |" for row in timed_rows(timing))


def clock_for(threads: int) -> Clock:
    """CPU time for one thread, which other work on the machine does not lengthen; the clock on the wall for more."""
    return time.process_time if threads == 1 else time.perf_counter


def unit(threads: int) -> str:
    """What `clock_for` measures, as a table's head."""
    return "ms of CPU, one thread" if threads == 1 else f"ms, {threads} threads"


def timed_rows(timing: Timing) -> Iterator[str]:
    """Cells of a table: name, milliseconds, times as fast as the first."""
    for name, ms in timing.ms.items():
        yield f"{name} | {ms:.2f} | {timing.speedup[name]:.2f}"


# The networks at the sizes they were designed for; the shipped bundle is smaller.
_DESIGNS = {"ds-sidenet-low": (320, 240), "edge-low": (320, 240), "edge-high": (448, 256)}


def designs(threads: int, rounds: int) -> Iterator[str]:
    """Networks with random weights: the plain export on onnxruntime FP32 against what OpenVINO makes of our files."""
    yield f"| network | file | {unit(threads)} | times as fast as the plain export |"
    yield "|---|---|---:|---:|"
    for name, size_wh in _DESIGNS.items():
        timing = _design(name, size_wh, threads, rounds)
        yield from (f"| {name}, {size_wh[0]}x{size_wh[1]} | {row} |" for row in timed_rows(timing))


def _design(name: str, size_wh: tuple[int, int], threads: int, rounds: int) -> Timing:
    import torch

    from edgedepth.trainers import create_network

    torch.manual_seed(0)
    network, spec = create_network(name), spec_for(name, size_wh)
    frames = probe_frames(spec.input_wh)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        plain, common, int8 = (Path(folder) / f"{label}.onnx" for label in ("plain", "common", "int8"))
        export_onnx(network, spec, plain, optimise=False)
        export_onnx(network, spec, common)
        form = form_for("openvino")
        model = run_passes(onnx.load(common), form.rewrites)[0]
        ranges = ranges_of(observe(model, frames, tensors_to_observe(Graph(model))), "minmax")
        onnx.save(insert_qdq(model, quantisable(Graph(model), form), ranges, form), int8)
        runs = {
            "plain export, onnxruntime FP32": (plain, "onnxruntime"),
            "rewritten, onnxruntime FP32": (common, "onnxruntime"),
            "rewritten, openvino FP32": (common, "openvino"),
            "rewritten, openvino INT8": (int8, "openvino"),
        }
        sessions = {
            label: stack.enter_context(open_session(path, backend, threads=threads))
            for label, (path, backend) in runs.items()
        }
        return time_in_turn(sessions, frames[-1], rounds=rounds, clock=clock_for(threads))
