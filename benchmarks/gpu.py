"""Latency and agreement of every engine that this machine can run, and why the others were skipped.

    python benchmarks/gpu.py [BUNDLE] [--runs 300] [--output runs/gpu]
    python benchmarks/gpu.py --networks edge-low --size 640x480

On a machine with an NVIDIA GPU it builds TensorRT engines of the bundle's networks, holds each against the FP32 network
on the CPU, and measures from a frame in host memory to depth in host memory, p50 and p99, with and without CUDA graphs.
ONNX Runtime's providers and PyTorch (eager, and recorded as a CUDA graph) stand beside them, and in for them where
TensorRT is not: Hopper is outside TensorRT-RTX's list. It runs to its end anywhere: what cannot run is a row that says
why. Without BUNDLE, networks with random weights are exported: same speed, but nothing to say about accuracy. INT8
needs a bundle that has it (`edgedepth calibrate`).

Writes OUTPUT.json and OUTPUT.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.bundle import Bundle
from edgedepth.core.errors import EdgeDepthError
from edgedepth.core.manifest import FILE_PRECISIONS, variant_keys
from edgedepth.core.metrics import DepthErrors
from edgedepth.core.spec import parse_size
from edgedepth.engines.machine import driver, driver_version
from edgedepth.engines.registry import BACKENDS, open_session
from edgedepth.engines.session import one_line
from edgedepth.engines.tensorrt.session import TensorRtSession

WARM_UP = 20
NETWORKS = ("edge-low", "edge-high")  # where no bundle is given
Run = Callable[[], Any]


@dataclass(kw_only=True)
class Case:
    """A depth network: its name, input size, and ONNX file by bundle key ("fp16", "fp16@tensorrt")."""

    network: str
    input_wh: tuple[int, int]
    files: dict[str, Path]

    def frame(self) -> NDArray[np.uint8]:
        """A frame with edges and gradients, (1, H, W, 3)."""
        width, height = self.input_wh
        y, x = np.mgrid[:height, :width]
        ramp = np.stack([x * 255 / width, y * 255 / height, (x // 16 + y // 16) % 2 * 255], axis=-1)
        noise = np.random.default_rng(0).integers(0, 40, ramp.shape)
        return np.clip(ramp * 0.8 + noise, 0, 255).astype(np.uint8)[None]

    def file(self, precision: str, backend: str) -> Path | None:
        """The file a backend takes, None where the bundle has none."""
        return next((self.files[key] for key in variant_keys(precision, backend) if key in self.files), None)


@dataclass(kw_only=True)
class Row:
    """One measurement; `skipped` says why there is none."""

    network: str
    engine: str
    precision: str
    graphs: bool = False
    p50_ms: float | None = None
    p99_ms: float | None = None
    abs_rel: float | None = None
    delta1: float | None = None
    non_finite: int | None = None
    device_mb: float | None = None
    note: str = ""
    skipped: str = ""


def cases_of(place: str | None, folder: Path, names: Sequence[str], size_wh: tuple[int, int] | None) -> list[Case]:
    """The networks of a bundle, or those of these names with random weights, at their own size or this one."""
    if place is not None:
        bundle = Bundle.load(place)
        return [
            Case(
                network=entry.network,
                input_wh=entry.spec.input_wh,
                files={key: bundle.path(file) for key, file in entry.variants.items()},
            )
            for entry in bundle.manifest.networks.values()
        ]
    import onnx
    import torch

    from edgedepth.export import export_onnx, spec_for
    from edgedepth.export.precision import to_float16
    from edgedepth.trainers.models.registry import create_network

    cases = []
    for name in names:
        torch.manual_seed(0)
        spec = spec_for(name, size_wh)
        plain, half = folder / f"{name}.fp32.onnx", folder / f"{name}.fp16.onnx"
        export_onnx(create_network(name), spec, plain)
        onnx.save(to_float16(onnx.load(plain)), half)
        cases.append(Case(network=name, input_wh=spec.input_wh, files={"fp32": plain, "fp16": half}))
    return cases


def measure(run: Run, runs: int) -> tuple[float, float]:
    """p50 and p99 of a call that returns only when its result is in host memory, in milliseconds."""
    for _ in range(WARM_UP):
        run()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - started))
    return float(np.percentile(times, 50)), float(np.percentile(times, 99))


def engine_rows(case: Case, truth: NDArray[np.float32], runs: int) -> Iterator[Row]:
    """Every backend in every precision, TensorRT with and without CUDA graphs."""
    for backend in BACKENDS:
        for precision in FILE_PRECISIONS:
            file = case.file(precision, backend.name)
            recording = (True, False) if backend.folder == "tensorrt" else (False,)
            for graphs in recording:
                row = Row(network=case.network, engine=backend.name, precision=precision, graphs=graphs)
                availability = backend.probe()
                if not availability.available:
                    row.skipped = availability.why
                elif file is None:
                    row.skipped = f"no {precision} file; make one with edgedepth export or calibrate"
                else:
                    _fill(row, case, file, backend.name, truth, runs)
                yield row


def _fill(row: Row, case: Case, file: Path, backend: str, truth: NDArray[np.float32], runs: int) -> None:
    frame = case.frame()
    try:
        with open_session(file, backend, precision=row.precision) as session:  # type: ignore[arg-type]
            if isinstance(session, TensorRtSession) and not row.graphs:
                session.record_graphs = False
            _compare(row, session.run({"frame": frame}, ["depth_m"])["depth_m"], truth)
            row.p50_ms, row.p99_ms = measure(lambda: session.run({"frame": frame}, ["depth_m"]), runs)
            if isinstance(session, TensorRtSession):  # now that its tensors have their memory
                held = session.memory_bytes
                row.device_mb = round((sum(held.values()) - held["tensors_host"]) / 1e6, 1)
            row.note = "; ".join(getattr(session, "notes", []) if row.graphs else [])
    except Exception as error:  # whatever a library throws, the others are still measured
        row.skipped = _reason(error)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, EdgeDepthError) else f"{type(error).__name__}: {one_line(error)}"


def _compare(row: Row, depth: NDArray[np.float32], truth: NDArray[np.float32]) -> None:
    good = np.isfinite(depth) & (depth > 0)
    row.non_finite = int(good.size - good.sum())
    if good.any():
        values = DepthErrors.of(depth[good], truth[good]).values()
        row.abs_rel, row.delta1 = values["abs_rel"], values["delta1"]


def torch_rows(case: Case, runs: int) -> Iterator[Row]:
    """PyTorch with random weights: eager and, on a GPU, recorded as a CUDA graph."""
    for precision, graphs in (("fp32", False), ("fp32", True), ("fp16", False), ("fp16", True)):
        row = Row(network=case.network, engine="pytorch", precision=precision, graphs=graphs)
        try:
            import torch
        except ImportError as error:
            row.skipped = f"{error}; pip install torch"
            yield row
            continue
        if not torch.cuda.is_available() and (graphs or precision == "fp16"):
            row.skipped = "PyTorch has no CUDA device here"
        else:
            try:
                with torch.inference_mode():
                    row.p50_ms, row.p99_ms = measure(_torch_run(case, precision, graphs), runs)
            except Exception as error:  # also a network of one's own, which is known by its ONNX alone
                row.skipped = _reason(error)
        yield row


def _torch_run(case: Case, precision: str, graphs: bool) -> Run:
    """A call that takes the frame from host memory, runs the network, and waits for depth in host memory."""
    import torch

    from edgedepth.export.torch_onnx import InferenceGraph
    from edgedepth.trainers.models.registry import create_network

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = InferenceGraph(create_network(case.network), "frame").eval().to(device)
    host = torch.from_numpy(case.frame())
    if device.type == "cpu":
        return lambda: network(host)
    pinned, given = host.pin_memory(), host.to(device)
    if precision == "fp16":
        store_weights(network, torch.float16)

    def forward() -> Any:
        with torch.autocast("cuda", dtype=torch.float16, enabled=precision == "fp16"):
            return network(given).float()

    answer = torch.empty_like(forward(), device="cpu", pin_memory=True)
    replay, result = (forward, None) if not graphs else _recorded(torch, forward)

    def run() -> Any:
        given.copy_(pinned, non_blocking=True)
        output = replay()
        answer.copy_(output if result is None else result, non_blocking=True)
        torch.cuda.synchronize()
        return answer

    return run


def store_weights(network: Any, dtype: Any) -> None:
    """Keep the weights of convolutions in `dtype`, as a deployment does; else autocast casts them for every frame."""
    import torch

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d | torch.nn.Linear):
            module.to(dtype)


def _recorded(torch: Any, forward: Run) -> tuple[Run, Any]:
    """A CUDA graph of `forward`, and the tensor it writes."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            forward()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = forward()
    return graph.replay, result


def table(rows: list[Row], title: str) -> str:
    """What was measured, then what was skipped and why."""
    heads = [field.name for field in fields(Row) if field.name != "skipped"]
    lines = [f"## {title}", "", "From a frame in host memory to depth in host memory, one frame at a time.", ""]
    lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows:
        if row.p50_ms is not None:
            lines.append("| " + " | ".join(_cell(getattr(row, head)) for head in heads) + " |")
    return "\n".join([*lines, "", "Skipped:", "", *(_skipped(rows) or ["- nothing"])]) + "\n"


def _skipped(rows: list[Row]) -> list[str]:
    """Each reason once, with all that it kept from being measured."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        what = f"{row.precision} with CUDA graphs" if row.graphs else row.precision
        if row.skipped and what not in found.setdefault((row.engine, row.skipped), []):
            found[row.engine, row.skipped].append(what)
    return [f"- {engine} ({', '.join(what)}): {reason}" for (engine, reason), what in found.items()]


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def machine() -> str:
    """The device and the date, for the title."""
    cuda = driver()
    gpu = cuda.gpus[0].name if cuda.gpus else f"no GPU, {os.cpu_count()} cores of {_processor()}"
    return f"{gpu}, driver {driver_version() or 'none'}, {time.strftime('%Y-%m-%d')}"


def _processor() -> str:
    """The processor's name as Linux tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.is_file() else ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main() -> int:
    """Measure everything and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", help="bundle folder, zip, or 'default'; random weights if not given")
    parser.add_argument("--networks", nargs="+", default=NETWORKS, help="where no bundle is given")
    parser.add_argument("--size", help="WxH of those networks' input, instead of their own")
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--output", type=Path, default=Path("runs/gpu"))
    arguments = parser.parse_args()
    size = None if arguments.size is None else parse_size(arguments.size)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases_of(arguments.bundle, Path(folder), arguments.networks, size):
            with open_session(case.files["fp32"], "onnxruntime") as reference:
                truth = reference.run({"frame": case.frame()}, ["depth_m"])["depth_m"].copy()
            for row in (*engine_rows(case, truth, arguments.runs), *torch_rows(case, arguments.runs)):
                rows.append(row)
                print(row.network, row.engine, row.precision, row.p50_ms or row.skipped, file=sys.stderr)
    report = table(rows, machine())
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.with_suffix(".md").write_text(report)
    arguments.output.with_suffix(".json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    print(report)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
