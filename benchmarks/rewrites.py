"""What the graph rewrites are worth: latency of a plain `torch.onnx.export` against our export, per rewrite.

    python benchmarks/rewrites.py ds-sidenet-low edge-low --repeats 30

All variants of a network are timed in turn in one run, so that a busy machine slows them alike; ratios are of medians
against the plain inference-path export on onnxruntime. Weights are random: they change no time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from edgedepth.core.spec import parse_size
from edgedepth.engines import Precision, Session, open_session
from edgedepth.export import spec_for
from edgedepth.export.measure import count_gmacs
from edgedepth.export.passes import PASSES, passes_for, run_passes
from edgedepth.export.simplify import simplify
from edgedepth.export.torch_onnx import to_onnx
from edgedepth.trainers import create_network

# (backend, precision of its arithmetic)
TARGETS: tuple[tuple[str, Precision], ...] = (
    ("onnxruntime", "fp32"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
)
BASE = ("plain", "onnxruntime", "fp32")


class AllHeads(nn.Module):
    """A network with its training-only branches, in evaluation arithmetic: what a careless export carries along."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def train(self, mode: bool = True) -> AllHeads:
        """Only the network's own flag says "training": its layers stay in evaluation."""
        super().train(mode)
        self.network.training = True
        return self

    def forward(self, image: Tensor) -> Tensor:
        """Every head, reduced to one map so that none is pruned."""
        heads = self.network(image)
        maps = [m for m in (*heads.indices, heads.depth_m) if m is not None]
        return torch.stack([m.mean() for m in maps]).sum().reshape(1, 1, 1, 1)


@dataclass(kw_only=True)
class Row:
    """One variant of a network on one backend, with the milliseconds of each run."""

    network: str
    form: str
    backend: str
    precision: Precision
    gmacs: float
    times_ms: list[float]

    @property
    def median_ms(self) -> float:
        """The middle of the runs: least bent by other work on the machine."""
        return statistics.median(self.times_ms)


def forms(network: nn.Module, wh: tuple[int, int]) -> Iterator[tuple[str, onnx.ModelProto]]:
    """The graphs to time: plain, all heads, each rewrite alone, all that the common file has, and a backend's own."""
    plain = to_onnx(network, wh)
    yield "plain", plain
    if type(network).__name__ == "DSSideNet":
        yield "all heads", to_onnx(AllHeads(network), wh)
    yield "onnxsim", simplify(plain)
    for entry in PASSES:
        rewritten, (report,) = run_passes(plain, [entry])
        if report.fired:
            yield entry.name, rewritten
    yield "ours", run_passes(plain, passes_for(None))[0]
    yield "ours for onnxruntime", run_passes(plain, passes_for("onnxruntime"))[0]


def measure(name: str, wh: tuple[int, int], *, repeats: int, threads: int) -> list[Row]:
    """Time every form of a network on every target, interleaved."""
    network = create_network(name).eval()
    rows: list[Row] = []
    sessions: list[tuple[Session, dict[str, Any], str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for form, model in forms(network, wh):
            path = Path(folder) / f"{form}.onnx"
            onnx.save(model, path)
            for backend, precision in TARGETS:
                session = open_session(path, backend, threads=threads, precision=precision)
                entry = session.inputs[0]
                frame = np.random.default_rng(0).integers(0, 256, entry.static_shape).astype(entry.dtype)
                output = session.outputs[0].name
                session.run({entry.name: frame}, [output])  # warm up
                sessions.append((session, {entry.name: frame}, output))
                rows.append(
                    Row(network=name, form=form, backend=backend, precision=precision,
                        gmacs=count_gmacs(model), times_ms=[])
                )  # fmt: skip
        for _ in range(repeats):
            for (session, inputs, output), row in zip(sessions, rows, strict=True):
                start = time.perf_counter()
                session.run(inputs, [output])
                row.times_ms.append((time.perf_counter() - start) * 1e3)
        for session, _, _ in sessions:
            session.close()
    return rows


def table(rows: list[Row]) -> str:
    """Markdown, one line per form and target, with the speed-up over the plain export on onnxruntime."""
    base = next(row.median_ms for row in rows if (row.form, row.backend, row.precision) == BASE)
    lines = [f"### {rows[0].network}", "", "| form | GMACs | backend | median ms | speed-up |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.form} | {row.gmacs:.2f} | {row.backend} {row.precision} | {row.median_ms:.1f} "
        f"| {base / row.median_ms:.2f}x |"
        for row in rows
    ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Time the networks named and print a table each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", help="names of depth networks")
    parser.add_argument("--size", type=parse_size, help="input size WxH; each network's own by default")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print every time instead of tables")
    arguments = parser.parse_args()
    for name in arguments.networks:
        wh = arguments.size or spec_for(name).input_wh
        rows = measure(name, wh, repeats=arguments.repeats, threads=arguments.threads)
        print(json.dumps([vars(row) for row in rows]) if arguments.json else table(rows), flush=True)


if __name__ == "__main__":
    main()
