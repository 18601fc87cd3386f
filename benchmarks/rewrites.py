"""What the graph rewrites are worth: latency of a plain `torch.onnx.export` against our export, per rewrite.

    python benchmarks/rewrites.py ds-sidenet-low edge-low --repeats 30
    python benchmarks/rewrites.py --check          # every network: plain against ours only; 1 if ours is slower

All variants of a network are timed in turn in one run, so that a busy machine slows them alike, and a speed-up is the
median over the rounds of the ratio within a round: against the plain graph on onnxruntime ("total"), and against the
plain graph on the same backend ("of rewrites"). Weights are random: they change no time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from edgedepth.core.spec import parse_size
from edgedepth.engines import Precision, open_session
from edgedepth.export import spec_for
from edgedepth.export.measure import count_gmacs
from edgedepth.export.network import optimise_graph
from edgedepth.export.passes import PASSES, run_passes
from edgedepth.export.simplify import simplify
from edgedepth.export.torch_onnx import to_onnx
from edgedepth.trainers.models.registry import classifier_names, classifier_spec, create_network, network_names

# (backend, precision of its arithmetic)
TARGETS: tuple[tuple[str, Precision], ...] = (
    ("onnxruntime", "fp32"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
)
BASE = ("plain", "onnxruntime", "fp32")
# Slower than the plain export by no more than this, on any backend.
SLACK = 1.03


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

    def speedup_over(self, other: Row) -> float:
        """How many times faster than another variant, round by round."""
        return statistics.median(theirs / own for own, theirs in zip(self.times_ms, other.times_ms, strict=True))


def forms(network: nn.Module, wh: tuple[int, int], output: str, *, each: bool) -> Iterator[tuple[str, onnx.ModelProto]]:
    """The graphs to time: plain, all heads, each rewrite alone, all that the common file has, and a backend's own.

    each: False leaves out what is neither plain nor ours.
    """
    plain = to_onnx(network, wh, output=output, constant_pools=False)
    yield "plain", plain
    ours = to_onnx(network, wh, output=output)
    if each:
        if type(network).__name__ == "DSSideNet":
            yield "all heads", to_onnx(AllHeads(network), wh)
        yield "onnxsim", simplify(plain)
        for entry in PASSES:
            rewritten, (report,) = run_passes(ours, [entry])
            if report.fired:
                yield entry.name, rewritten
    common, _ = optimise_graph(ours)
    yield "ours", common
    special, _ = optimise_graph(ours, backend="onnxruntime")
    if special != common:
        yield "ours for onnxruntime", special


def measure(name: str, wh: tuple[int, int] | None, *, repeats: int, threads: int, each: bool) -> list[Row]:
    """Time every form of a network on every target, interleaved."""
    classifier = name in classifier_names()
    spec = classifier_spec(name) if classifier else spec_for(name, wh)
    output = "probabilities" if classifier else "depth_m"
    torch.manual_seed(0)
    network = create_network(name).eval()
    rows: list[Row] = []
    timed: list[Callable[[], object]] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for form, model in forms(network, spec.input_wh, output, each=each):
            path = Path(folder) / f"{form}.onnx"
            onnx.save(model, path)
            for backend, precision in TARGETS:
                session = stack.enter_context(open_session(path, backend, threads=threads, precision=precision))
                entry = session.inputs[0]
                frame = np.random.default_rng(0).integers(0, 256, entry.static_shape).astype(entry.dtype)
                timed.append(partial(session.run, {entry.name: frame}, [session.outputs[0].name]))
                timed[-1]()  # warm up
                rows.append(
                    Row(network=name, form=form, backend=backend, precision=precision,
                        gmacs=count_gmacs(model), times_ms=[])
                )  # fmt: skip
        for _ in range(repeats):
            for run, row in zip(timed, rows, strict=True):
                start = time.perf_counter()
                run()
                row.times_ms.append((time.perf_counter() - start) * 1e3)
    return rows


def plain_of(rows: list[Row], row: Row) -> Row:
    """The plain graph on the same backend."""
    same = (row.backend, row.precision)
    return next(other for other in rows if other.form == "plain" and (other.backend, other.precision) == same)


def table(rows: list[Row]) -> str:
    """Markdown, one line per form and target."""
    base = next(row for row in rows if (row.form, row.backend, row.precision) == BASE)
    lines = [
        f"### {rows[0].network}",
        "",
        "| form | GMACs | backend | median ms | speed-up in total | of rewrites |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.form} | {row.gmacs:.2f} | {row.backend} {row.precision} | {row.median_ms:.1f} "
        f"| {row.speedup_over(base):.2f}x | {row.speedup_over(plain_of(rows, row)):.2f}x |"
        for row in rows
    ]
    return "\n".join([*lines, ""])


def slower(rows: list[Row]) -> list[str]:
    """What breaks the promise that our export is slower nowhere: a line for each."""
    ours = [row for row in rows if row.form == "ours" or row.form == f"ours for {row.backend}"]
    return [
        f"{row.network}: {row.form} on {row.backend} {row.precision} takes {1 / ratio:.2f} times as long as plain"
        for row in ours
        if (ratio := row.speedup_over(plain_of(rows, row))) < 1 / SLACK
    ]


def main() -> int:
    """Time the networks named and print a table each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", help="names; every network if none is given")
    parser.add_argument("--size", type=parse_size, help="input size WxH; each network's own by default")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--check", action="store_true", help="plain and ours only; exit with 1 where ours is slower")
    parser.add_argument("--json", action="store_true", help="print every time instead of tables")
    arguments = parser.parse_args()
    lost: list[str] = []
    for name in arguments.networks or (*network_names(), *classifier_names()):
        rows = measure(
            name, arguments.size, repeats=arguments.repeats, threads=arguments.threads, each=not arguments.check
        )
        print(json.dumps([vars(row) for row in rows]) if arguments.json else table(rows), flush=True)
        lost += slower(rows)
    for line in lost:
        print(line, file=sys.stderr)
    return 1 if arguments.check and lost else 0


if __name__ == "__main__":
    raise SystemExit(main())
