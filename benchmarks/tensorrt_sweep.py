"""Every network at its paper's size, in FP32 and FP16, through onnxruntime, OpenVINO and TensorRT-RTX, without a GPU.

Steps, so that two versions of TensorRT-RTX build from the same files::

    python benchmarks/tensorrt_sweep.py export FOLDER     # ONNX with random weights, and torch's answers to a frame
    python benchmarks/tensorrt_sweep.py run FOLDER        # all of it in onnxruntime and OpenVINO, against torch
    python benchmarks/tensorrt_sweep.py build FOLDER      # engines of all of it; writes FOLDER/VERSION.json
    python benchmarks/tensorrt_sweep.py report FOLDER --write docs/benchmarks.md

`make sweep` is all of them, with the third in two environments, with TensorRT-RTX 1.7 (the API of TensorRT 11) and 1.4
(that of 10.16). The exit code is 1 if anything does not run or build, is not typed as its file says, or is not what
torch answers. What is exported already is not exported again.
"""

from __future__ import annotations

import argparse
import json
import re
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
PRECISIONS = ("fp32", "fp16")


def export(folder: Path, names: list[str] | None, size_wh: tuple[int, int] | None) -> None:
    """Write NETWORK.fp32.onnx, .fp16.onnx and .npz for every network; `size_wh` is for depth networks only."""
    import onnx
    import torch
    from sweep_cpu import keep_answers, settle

    from edgedepth.core.files import atomic_path
    from edgedepth.export import export_onnx, spec_for
    from edgedepth.export.precision import to_float16
    from edgedepth.trainers.models.registry import classifier_names, classifier_spec, create_network, network_names

    folder.mkdir(parents=True, exist_ok=True)
    for name in names or (*network_names(), *classifier_names()):
        answers = folder / f"{name}.npz"
        if answers.is_file():
            continue
        started = time.monotonic()
        torch.manual_seed(0)
        spec: Any = classifier_spec(name) if name in classifier_names() else spec_for(name, size_wh)
        plain = folder / f"{name}.fp32.onnx"
        network = settle(create_network(name))
        export_onnx(network, spec, plain)
        with atomic_path(folder / f"{name}.fp16.onnx") as half:
            onnx.save(to_float16(onnx.load(plain)), half)
        keep_answers(network, spec.input_wh, answers)
        width, height = spec.input_wh
        print(f"exported {name} at {width}x{height} in {time.monotonic() - started:.0f} s", file=sys.stderr)


def build(folder: Path) -> int:
    """Build every file of the folder and write the figures; the number of failures."""
    flavour = load_flavour("tensorrt-rtx")
    rows = []
    for path in sorted(folder.glob("*.onnx")):
        name, precision = path.name.split(".")[:2]
        try:
            engine = engine_from_onnx(path, BuildConfig(targets=TARGETS), flavour)
        except EdgeDepthError as error:
            rows.append({"network": name, "precision": precision, "error": str(error)})
        else:
            rows.append(_row(name, precision, engine))
        print(rows[-1].get("error") or f"built {name} {precision} with {flavour.title}", file=sys.stderr)
    (folder / f"{flavour.version_text}.json").write_text(json.dumps(rows, indent=1) + "\n")
    failures = sum("error" in row for row in rows)
    print(f"{flavour.title}: {len(rows)} engines, {failures} failures")
    return failures


def _row(name: str, precision: str, engine: Engine) -> dict[str, Any]:
    types = types_by_kind(engine.layers)
    convolutions = {kind: types[kind] for kind in CONVOLUTIONS if kind in types}
    row: dict[str, Any] = {
        "network": name,
        "precision": precision,
        "input": _size(engine.sidecar.inputs[0]),
        "layers": len(engine.layers),
        "kernels": len(engine.kernels),
        "convolutions": convolutions,
        "plan_mb": round(len(engine.plan) / 1e6, 1),
        "activation_mb": round(engine.sidecar.memory_bytes.get("activation", 0) / 1e6, 1),
        "seconds": round(engine.sidecar.build_seconds, 1),
    }
    wanted = {"fp32": "FLOAT", "fp16": "HALF"}[precision]
    wrong = {dtype for counts in convolutions.values() for dtype in counts} - {wanted}
    if wrong:
        row["error"] = f"convolutions of {name} {precision} are {sorted(wrong)}, not {wanted}"
    return row


def _size(text: str) -> str:
    """WxH of a frame's "frame: uint8 1xHxWx3"; other inputs as they are."""
    match = re.search(r" 1x(\d+)x(\d+)x3$", text)
    return text if match is None else f"{match[2]}x{match[1]}"


def report(folder: Path) -> list[str]:
    """One line per network: for every version the kernels, activation memory and build time, fp16 / fp32 each."""
    versions = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"), reverse=True)}
    heads = ["network", "input"]
    for version in versions:
        heads += [f"RTX {version}: kernels", "activations, MB", "build, s"]
    lines = [f"| {' | '.join(heads)} |", "|---" * 2 + "|---:" * (len(heads) - 2) + "|"]
    for name in sorted({row["network"] for rows in versions.values() for row in rows}):
        cells = [name, ""]
        for rows in versions.values():
            of_both = [_found(rows, name, precision) for precision in reversed(PRECISIONS)]
            cells[1] = cells[1] or next((row["input"] for row in of_both if "input" in row), "")
            cells += [_pair(of_both, key) for key in ("kernels", "activation_mb", "seconds")]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _found(rows: list[dict[str, Any]], name: str, precision: str) -> dict[str, Any]:
    return next((row for row in rows if (row["network"], row["precision"]) == (name, precision)), {})


def _pair(rows: list[dict[str, Any]], key: str) -> str:
    return " / ".join("failed" if "error" in row else str(row.get(key, "-")) for row in rows)


def main() -> int:
    """Read the command line and run a step."""
    from edgedepth.core.spec import parse_size

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("export", "run", "build", "report"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--networks", nargs="*", help="export: these networks only")
    parser.add_argument("--size", type=parse_size, help="export: WxH of the depth networks instead of their own")
    parser.add_argument("--write", type=Path, help="report: page whose marked tables are replaced")
    arguments = parser.parse_args()
    if arguments.step == "export":
        export(arguments.folder, arguments.networks, arguments.size)
    elif arguments.step == "run":
        from sweep_cpu import run

        return 1 if run(arguments.folder) else 0
    elif arguments.step == "build":
        return 1 if build(arguments.folder) else 0
    else:
        _tell(arguments.folder, arguments.write)
    return 0


def _tell(folder: Path, page: Path | None) -> None:
    from pages import write_section
    from sweep_cpu import table

    for name, lines in {"sweep-cpu": table(folder), "sweep-engines": report(folder)}.items():
        print("\n".join(lines), end="\n\n")
        if page is not None:
            write_section(page, name, lines)


if __name__ == "__main__":
    raise SystemExit(main())
