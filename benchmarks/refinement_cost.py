"""Frames per second and memory of the Double Refinement Network and its competitor (papers/4, Table 2).

    python benchmarks/refinement_cost.py --write docs/papers.md     # both networks on every backbone of the table
    python benchmarks/refinement_cost.py --only resnet50            # one of them

PyTorch in float32 at 304x228 with batch 1, on the GPU where there is one, else on one CPU thread. The two networks of a
backbone answer in turn in one process, so that their ratio holds on a busy machine; without a GPU a frame's time is the
CPU time of the process, which other work does not lengthen. "net" is the memory of the weights, "per image" what a
forward pass needs beyond them in a process of its own: peak of the device, or of the resident set (Linux).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pages import write_section

# of the paper: frames per second at batch 1, and gigabytes per image ("Gb")
PAPER: Mapping[tuple[str, str], tuple[float, float]] = {
    ("rside", "resnet50"): (2.0, 21.0),
    ("rside", "densenet161"): (1.7, 22.0),
    ("rside", "senet154"): (1.5, 21.9),
    ("drnet", "resnet50"): (36.0, 2.0),
    ("drnet", "resnet152"): (25.0, 2.9),
    ("drnet", "densenet161"): (17.0, 3.2),
    ("drnet", "senet154"): (6.0, 4.0),
}
BACKBONES = ("resnet50", "resnet152", "densenet161", "senet154")
NETWORKS = ("rside", "drnet")
WH = (304, 228)
SECTION = "refinement-cost"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one network costs: seconds of a frame, bytes of its weights, and bytes that a pass needs beyond them."""

    seconds: float
    net_bytes: int
    image_bytes: int
    device: str


def measure_times(backbone: str, rounds: int) -> dict[str, float]:
    """Median seconds of a frame of both networks, which take turns."""
    networks = {name: _network(name, backbone) for name in NETWORKS}
    image = _image()
    times: dict[str, list[float]] = {name: [] for name in NETWORKS}
    for number in range(rounds + 1):
        for name in NETWORKS:
            begun = _clock()
            _pass(networks[name], image)
            if number:  # the first round warms up
                times[name].append(_clock() - begun)
    return {name: statistics.median(found) for name, found in times.items()}


def measure_memory(name: str, backbone: str) -> dict[str, Any]:
    """Bytes of the weights and of a pass, and where they lie."""
    import torch

    network, image = _network(name, backbone), _image()
    before = _reset_peak()
    _pass(network, image)
    return {
        "net_bytes": sum(t.numel() * t.element_size() for t in network.state_dict().values()),
        "image_bytes": _peak() - before,
        "device": torch.cuda.get_device_name() if image.is_cuda else "one CPU thread",
    }


def _network(name: str, backbone: str) -> Any:
    import torch

    from edgedepth.trainers import create_network

    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    return create_network(name, backbone=backbone).eval().to("cuda" if torch.cuda.is_available() else "cpu")


def _image() -> Any:
    import torch

    return torch.rand(1, 3, WH[1], WH[0], device="cuda" if torch.cuda.is_available() else "cpu")


def _pass(network: Any, image: Any) -> None:
    import torch

    with torch.inference_mode():
        network(image)
    if image.is_cuda:
        torch.cuda.synchronize()


def _clock() -> float:
    import torch

    return time.perf_counter() if torch.cuda.is_available() else time.process_time()


def _reset_peak() -> int:
    """Forget the peak of memory; answers what is in use."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return int(torch.cuda.memory_allocated())
    Path("/proc/self/clear_refs").write_text("5")  # the peak of the resident set begins anew
    return _resident("VmRSS")


def _peak() -> int:
    import torch

    return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else _resident("VmHWM")


def _resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024


def costs_of(backbone: str, rounds: int) -> dict[str, Cost]:
    """Both networks on a backbone, each figure from a process that does nothing else."""
    times = _in_process("times", backbone, str(rounds))
    return {name: Cost(seconds=times[name], **_in_process("memory", name, backbone)) for name in NETWORKS}


def _in_process(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--part", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(costs: Mapping[str, Mapping[str, Cost]]) -> Iterator[str]:
    """Rows by network and backbone, then the ratios, each beside the paper's."""
    yield "| network | backbone | fps here | fps, paper | net MB | MB per image | GB per image, paper |"
    yield "|---|---|--:|--:|--:|--:|--:|"
    for backbone, both in costs.items():
        for name, cost in both.items():
            fps, memory = (f"{value:g}" for value in PAPER[name, backbone]) if (name, backbone) in PAPER else ("-", "-")
            cells = f"{1 / cost.seconds:.2f} | {fps} | {cost.net_bytes / 1e6:.0f} | {cost.image_bytes / 1e6:.0f}"
            yield f"| `{name}` | {backbone} | {cells} | {memory} |"
    yield ""
    yield "| backbone | fps, `drnet` over `rside` | paper | memory per image, `rside` over `drnet` | paper |"
    yield "|---|--:|--:|--:|--:|"
    for backbone, both in costs.items():
        speed = both["rside"].seconds / both["drnet"].seconds
        memory_ratio = both["rside"].image_bytes / both["drnet"].image_bytes
        known = [PAPER.get((name, backbone)) for name in ("drnet", "rside")]
        papers = ("-", "-")
        if known[0] is not None and known[1] is not None:
            papers = (f"{known[0][0] / known[1][0]:.1f}", f"{known[1][1] / known[0][1]:.1f}")
        yield f"| {backbone} | {speed:.1f} | {papers[0]} | {memory_ratio:.1f} | {papers[1]} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and write them into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=BACKBONES, default=BACKBONES, help="these backbones alone")
    parser.add_argument("--rounds", type=int, default=5, help="frames of each network (default: %(default)s)")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into the page, between its marks")
    parser.add_argument("--part", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.part:
        what, first, second = given.part
        print(json.dumps(measure_times(first, int(second)) if what == "times" else measure_memory(first, second)))
        return
    costs: dict[str, dict[str, Cost]] = {}
    for backbone in given.only:
        costs[backbone] = costs_of(backbone, given.rounds)
        print(f"{backbone}: done on {costs[backbone]['drnet'].device}", file=sys.stderr, flush=True)
    lines = list(table(costs))
    print("\n".join(lines))
    if given.write is not None:
        write_section(given.write, SECTION, lines)


if __name__ == "__main__":
    main()
