"""Frames per second and memory of the Double Refinement Network and its competitor (papers/4, Table 2).

`python benchmarks/refinement_cost.py` measures every backbone of the table in a process of its own: PyTorch in float32
at 304x228 with batch 1, on the GPU where there is one, else on one CPU thread. "net" is the memory of the weights,
"per image" what a forward pass needs beyond them (peak of the device, or growth of the process's peak resident set).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

PAPER_FPS = {
    ("rside", "resnet50"): 2.0,
    ("rside", "densenet161"): 1.7,
    ("rside", "senet154"): 1.5,
    ("drnet", "resnet50"): 36.0,
    ("drnet", "resnet152"): 25.0,
    ("drnet", "densenet161"): 17.0,
    ("drnet", "senet154"): 6.0,
}
BACKBONES = ("resnet50", "resnet152", "densenet161", "senet154")
WH = (304, 228)


def measure(name: str, backbone: str, seconds: float) -> dict[str, Any]:
    """Median seconds of a frame, and MB of weights and of a pass."""
    import torch

    from edgedepth.trainers import create_network

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        torch.set_num_threads(1)
    network = create_network(name, backbone=backbone).eval().to(device)
    weights = sum(t.numel() * t.element_size() for t in network.state_dict().values())
    image = torch.rand(1, 3, WH[1], WH[0], device=device)
    before = _peak_bytes(device)
    times: list[float] = []
    with torch.inference_mode():
        network(image)
        memory = _peak_bytes(device) - before
        started = time.perf_counter()
        while time.perf_counter() - started < seconds or len(times) < 3:
            _wait(device)
            begun = time.perf_counter()
            network(image)
            _wait(device)
            times.append(time.perf_counter() - begun)
    median = sorted(times)[len(times) // 2]
    return {
        "fps": 1 / median,
        "net_mb": weights / 1e6,
        "image_mb": memory / 1e6,
        "frames": len(times),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "one CPU thread",
    }


def _wait(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()


def _peak_bytes(device: Any) -> int:
    import torch

    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Measure all, each in its own process, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=2, metavar=("NETWORK", "BACKBONE"), help="measure one and print JSON")
    parser.add_argument("--seconds", type=float, default=5.0, help="time for each (default: %(default)s)")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(*given.one, given.seconds)))
        return
    print("| network | backbone | fps | paper's fps | net MB | MB per image |\n|---|---|--:|--:|--:|--:|")
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for backbone in BACKBONES:
        for name in ("rside", "drnet"):
            command = [sys.executable, __file__, "--one", name, backbone, "--seconds", str(given.seconds)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            row = found[name, backbone] = json.loads(done.stdout.splitlines()[-1])
            paper = PAPER_FPS.get((name, backbone))
            cells = (f"{row['fps']:.2f}", "-" if paper is None else f"{paper:g}", f"{row['net_mb']:.0f}")
            print(f"| {name} | {backbone} | {' | '.join(cells)} | {row['image_mb']:.0f} |", flush=True)
    print()
    for backbone in BACKBONES:
        ours = found["drnet", backbone]["fps"] / found["rside", backbone]["fps"]
        both = [PAPER_FPS.get((name, backbone)) for name in ("drnet", "rside")]
        paper = f"{both[0] / both[1]:.1f}" if both[0] and both[1] else "-"
        memory = found["rside", backbone]["image_mb"] / found["drnet", backbone]["image_mb"]
        print(f"{backbone}: drnet {ours:.1f} times the fps (paper {paper}), 1/{memory:.1f} of the memory per image")
    print(found["drnet", BACKBONES[0]]["device"])


if __name__ == "__main__":
    main()
