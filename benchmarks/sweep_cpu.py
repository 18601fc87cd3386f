"""The files of `tensorrt_sweep.py` in onnxruntime and OpenVINO, against what torch answers in float32 and float64."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from edgedepth.core.errors import EdgeDepthError
from edgedepth.core.files import atomic_path, write_atomic
from edgedepth.engines import open_session
from edgedepth.export.emulation import emulated_float16
from edgedepth.export.frames import probe_frames
from edgedepth.export.original import exact_reference, reference
from edgedepth.export.parity import measure, parity_with

BACKENDS = ("onnxruntime", "openvino")
ROUNDED = "fp16, every tensor rounded"
# What is measured of each network, in the order of the table.
SUBJECTS = ("torch", *(f"{backend} fp32" for backend in BACKENDS), ROUNDED)
_SETTLED_AT = (128, 96)


def settle(network: nn.Module) -> nn.Module:
    """Random weights whose activations neither grow nor fade: batch norms get the statistics of a few frames."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    network.train()
    with torch.no_grad():
        for frame in probe_frames(_SETTLED_AT)[2:]:
            image = torch.from_numpy(frame[None].repeat(2, 0).transpose(0, 3, 1, 2) / np.float32(255))
            network(image)
    return network.eval()


def keep_answers(network: nn.Module, input_wh: tuple[int, int], path: Path) -> None:
    """Write a frame, and torch's answers to it in float32 and float64, as npz."""
    frame = probe_frames(input_wh)[-1]
    with atomic_path(path) as given, given.open("wb") as file:
        np.savez(file, frame=frame, float32=reference(network, frame), float64=exact_reference(network, frame))


def run(folder: Path) -> int:
    """Run every file on every backend; writes FOLDER/cpu/run.json; the number of failures."""
    rows = []
    for answers in sorted(folder.glob("[!.]*.npz")):  # not what a killed export left
        for row in _of_network(folder, answers):
            rows.append(row)
            state = row.get("error") or f"p99.9 {row['p999']:.1e}, maximum {row['maximum']:.1e} from float64"
            print(f"{row['network']} {row['subject']}: {state}", file=sys.stderr)
    (folder / "cpu").mkdir(exist_ok=True)
    write_atomic(folder / "cpu" / "run.json", json.dumps(rows, indent=1).encode() + b"\n")
    failures = sum("error" in row for row in rows)
    print(f"CPU backends: {len(rows)} answers, {failures} failures")
    return failures


def _of_network(folder: Path, path: Path) -> Iterator[dict[str, Any]]:
    name = path.stem
    kept = np.load(path)
    frame, expected, exact = kept["frame"], kept["float32"], kept["float64"]
    yield _row(name, "torch", exact, expected)
    for precision in ("fp32", "fp16"):
        file = folder / f"{name}.{precision}.onnx"
        for backend in BACKENDS:
            subject = f"{backend} {precision}"
            try:
                answer = _answer(file, backend, frame)
                if precision == "fp32":  # a failure has the numbers
                    parity_with(
                        [expected], file, [frame], against="torch", exact=lambda _: kept["float64"], backend=backend
                    )
            except EdgeDepthError as error:
                yield {"network": name, "subject": subject, "error": str(error)}
            else:
                yield _row(name, subject, exact, answer)
    with tempfile.TemporaryDirectory() as scratch:
        rounded = Path(scratch) / file.name
        onnx.save(emulated_float16(onnx.load(file)), rounded)
        yield _row(name, ROUNDED, exact, _answer(rounded, "onnxruntime", frame))


def _answer(file: Path, backend: str, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    with open_session(file, backend) as session:
        name = session.outputs[0].name
        return session.run({"frame": frame[None]}, [name])[name].copy()


def _row(name: str, subject: str, exact: NDArray[Any], answer: NDArray[Any]) -> dict[str, Any]:
    try:
        parity = measure([exact], [answer], against="float64")
    except EdgeDepthError as error:
        return {"network": name, "subject": subject, "error": str(error)}
    return {"network": name, "subject": subject, "p999": parity.p999_relative, "maximum": parity.max_relative}


def table(folder: Path) -> list[str]:
    """A line per network: relative difference from float64, 99.9th percentile / maximum."""
    rows = json.loads((folder / "cpu" / "run.json").read_text())
    lines = [f"| network | {' | '.join(SUBJECTS)} | files that ran |", "|---" + "|---:" * (len(SUBJECTS) + 1) + "|"]
    for name in dict.fromkeys(row["network"] for row in rows):
        of_network = {row["subject"]: row for row in rows if row["network"] == name}
        files = [row for subject, row in of_network.items() if subject.startswith(BACKENDS)]
        ran = sum("error" not in row for row in files)
        cells = [_cell(of_network.get(subject, {})) for subject in SUBJECTS]
        lines.append(f"| {name} | {' | '.join(cells)} | {ran} of {len(files)} |")
    return lines


def _cell(row: dict[str, Any]) -> str:
    return "failed" if "p999" not in row else f"{row['p999']:.0e} / {row['maximum']:.0e}"
