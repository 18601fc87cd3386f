"""The kernels of TensorRT-RTX engines before and after our rewrites, per network, in FP32 and FP16; no GPU is needed.

    python benchmarks/fusion.py                         # every network, small members of the large families
    python benchmarks/fusion.py edge-low --size 320x240

"plain" is the graph as torch exports it, "ours" the bundle's file for all backends, "for TensorRT" the one that
`edgedepth export --backend tensorrt` adds. Numbers are kernels: all, and in brackets convolutions + resampling +
arithmetic + movement of data (`edgedepth.engines.tensorrt.fusion`). Weights are random: they change no kernel.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import onnx
import torch
from pages import write_section

from edgedepth.core.spec import parse_size
from edgedepth.engines.tensorrt.build import engine_from_onnx
from edgedepth.engines.tensorrt.config import BuildConfig
from edgedepth.engines.tensorrt.flavour import load_flavour
from edgedepth.engines.tensorrt.fusion import ROLES, kernels_by_role
from edgedepth.export import spec_for
from edgedepth.export.measure import count_gmacs
from edgedepth.export.network import optimise_graph
from edgedepth.export.precision import to_float16
from edgedepth.export.torch_onnx import to_onnx
from edgedepth.trainers.models.registry import classifier_names, classifier_spec, create_network, network_names

FORMS = ("plain", "ours", "for TensorRT")
REDUCED: dict[str, dict[str, object]] = {
    "sid-deeplab": {"backbone": "small"},
    "hqmd": {"backbone": "small", "width": 32},
    "drnet": {"backbone": "small"},
    "rside": {"backbone": "small"},
    "rsn": {"width": 0.125, "iterations": 1},
}
Counts = dict[str, int]


def count(name: str, wh: tuple[int, int] | None) -> dict[str, dict[str, Counts]]:
    """Kernels by role for each precision and form of a network."""
    torch.manual_seed(0)
    classifier = name in classifier_names()
    spec = classifier_spec(name) if classifier else spec_for(name, wh or (96, 64))
    output = "probabilities" if classifier else "depth_m"
    plain = to_onnx(create_network(name, **REDUCED.get(name, {})), spec.input_wh, output=output)
    graphs = {
        "plain": plain,
        "ours": optimise_graph(plain)[0],
        "for TensorRT": optimise_graph(plain, backend="tensorrt")[0],
    }
    found: dict[str, dict[str, Counts]] = {
        "gmacs": {form: {"": round(1e6 * count_gmacs(g))} for form, g in graphs.items()}
    }
    flavour = load_flavour("tensorrt-rtx")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        for precision in ("fp32", "fp16"):
            found[precision] = {}
            for form, graph in graphs.items():
                onnx.save(graph if precision == "fp32" else to_float16(graph), path)
                engine = engine_from_onnx(path, BuildConfig(targets=("sm86",)), flavour)
                found[precision][form] = kernels_by_role(engine.kernels)
    return found


def row(name: str, found: dict[str, dict[str, Counts]]) -> str:
    """A line of the table."""
    counts = [found[precision][form] for precision in ("fp32", "fp16") for form in FORMS]
    cells = [f"{sum(of.values())} ({'+'.join(str(of.get(role, 0)) for role in ROLES)})" for of in counts]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Print a table of the networks named, of all if none is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=[*network_names(), "scene-small"])
    parser.add_argument("--size", type=parse_size, help="input size WxH; 96x64 by default")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", type=Path, help="page whose table between the marks fusion is replaced")
    arguments = parser.parse_args()
    columns = (f"{precision} {form}" for precision in ("fp32", "fp16") for form in FORMS)
    lines = [f"| network | {' | '.join(columns)} |", "|---" * 7 + "|"]
    if not arguments.json:
        print("\n".join(lines))
    for name in arguments.networks:
        found = count(name, arguments.size)
        lines.append(row(name, found))
        print(json.dumps({name: found}) if arguments.json else lines[-1], flush=True)
    if arguments.write is not None:
        write_section(arguments.write, "fusion", lines)


if __name__ == "__main__":
    main()
