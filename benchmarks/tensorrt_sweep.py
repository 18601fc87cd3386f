"""Every network, in FP32 and FP16, as an engine of whichever TensorRT-RTX is installed; no GPU is needed.

Two steps, so that two versions of the library build from the same files::

    python benchmarks/tensorrt_sweep.py export FOLDER     # ONNX with random weights, at the networks' own sizes
    python benchmarks/tensorrt_sweep.py build FOLDER      # engines of all of it; writes FOLDER/VERSION.json and .md

`make sweep` runs the second step in two environments, with TensorRT-RTX 1.7 (the API of TensorRT 11) and 1.4 (that of
10.16). The exit code is 1 if anything does not build, or is not typed as its file says.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from edgedepth.core.errors import EdgeDepthError
from edgedepth.engines.tensorrt.build import Engine, engine_from_onnx
from edgedepth.engines.tensorrt.config import BuildConfig
from edgedepth.engines.tensorrt.flavour import load_flavour
from edgedepth.engines.tensorrt.network import CONVOLUTIONS, types_by_kind

TARGETS = ("sm86", "sm89", "sm120")


def export(folder: Path, names: list[str] | None, scale: float) -> None:
    """Write NETWORK.fp32.onnx and NETWORK.fp16.onnx for every network; those that exist are left alone."""
    import onnx
    import torch

    from edgedepth.export import export_onnx, spec_for
    from edgedepth.export.precision import to_float16
    from edgedepth.trainers.models.registry import classifier_names, classifier_spec, create_network, network_names

    folder.mkdir(parents=True, exist_ok=True)
    for name in names or (*network_names(), *classifier_names()):
        plain, half = folder / f"{name}.fp32.onnx", folder / f"{name}.fp16.onnx"
        if half.is_file():
            continue
        torch.manual_seed(0)
        if name in classifier_names():
            spec: Any = classifier_spec(name)
        else:
            width, height = spec_for(name).input_wh
            spec = spec_for(name, (max(round(width * scale / 32), 1) * 32, max(round(height * scale / 32), 1) * 32))
        export_onnx(create_network(name), spec, plain)
        onnx.save(to_float16(onnx.load(plain)), half)
        print(f"{name}: {spec.input_wh[0]}x{spec.input_wh[1]}", file=sys.stderr)


def build(folder: Path) -> int:
    """Build every file of the folder and write the table; the number of failures."""
    flavour = load_flavour("tensorrt-rtx")
    rows = []
    for path in sorted(folder.glob("*.onnx")):
        name, precision = path.name.split(".")[:2]
        started = time.monotonic()
        try:
            engine = engine_from_onnx(path, BuildConfig(targets=TARGETS), flavour)
        except EdgeDepthError as error:
            rows.append({"network": name, "precision": precision, "error": str(error)})
        else:
            rows.append(_row(name, precision, engine, time.monotonic() - started))
        print(rows[-1], file=sys.stderr)
    (folder / f"{flavour.version_text}.json").write_text(json.dumps(rows, indent=1) + "\n")
    table = _table(flavour.title, rows)
    (folder / f"{flavour.version_text}.md").write_text(table)
    print(table)
    return sum("error" in row for row in rows)


def _row(name: str, precision: str, engine: Engine, seconds: float) -> dict[str, Any]:
    types = types_by_kind(engine.layers)
    convolutions = {kind: types[kind] for kind in CONVOLUTIONS if kind in types}
    row: dict[str, Any] = {
        "network": name,
        "precision": precision,
        "layers": len(engine.layers),
        "kernels": len(engine.kernels),
        "convolutions": convolutions,
        "plan_mb": round(len(engine.plan) / 1e6, 1),
        "activation_mb": round(engine.sidecar.memory_bytes.get("activation", 0) / 1e6, 1),
        "seconds": round(seconds, 1),
    }
    wanted = {"fp32": "FLOAT", "fp16": "HALF"}[precision]
    wrong = {dtype for counts in convolutions.values() for dtype in counts} - {wanted}
    if wrong:
        row["error"] = f"convolutions are {sorted(wrong)}, not {wanted}"
    return row


def _table(title: str, rows: list[dict[str, Any]]) -> str:
    heads = ("network", "precision", "layers", "kernels", "plan_mb", "activation_mb", "seconds")
    lines = [f"## {title}, for {', '.join(TARGETS)}", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows:
        if "kernels" in row:
            cells = [row[key] for key in heads]
        else:
            cells = [row["network"], row["precision"], row["error"], "", "", "", ""]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Read the command line and run a step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("export", "build"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--networks", nargs="*", help="these networks only")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the networks' own input size")
    arguments = parser.parse_args()
    if arguments.step == "export":
        export(arguments.folder, arguments.networks, arguments.scale)
        return 0
    return 1 if build(arguments.folder) else 0


if __name__ == "__main__":
    raise SystemExit(main())
