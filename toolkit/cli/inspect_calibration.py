"""The part of `edgedepth inspect` that looks into calibration files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedepth.cli.common import plain_console, plain_table, print_json
from edgedepth.core.errors import require

if TYPE_CHECKING:
    from edgedepth.calibration.record import CalibrationRecord


def inspect_calibration(path: Path, against: Path | None, as_json: bool) -> None:
    """Print the range of every tensor by every method, and how much wider or narrower another file has it.

    Raises:
        InputError: a file is missing or is no calibration file.
    """
    require("onnx", extra="export")
    from edgedepth.calibration.record import CalibrationRecord

    record = CalibrationRecord.load(path)
    other = None if against is None else CalibrationRecord.load(against)
    described = describe_calibration(record, other)
    if as_json:
        print_json(described)
    else:
        _print(described)


def describe_calibration(record: CalibrationRecord, other: CalibrationRecord | None) -> dict[str, Any]:
    """A calibration as plain data; with another, each tensor's width as a multiple of the other's, None if it has none.

    Widths are of the ranges that each file chose.
    """
    chosen, theirs = record.chosen(), {} if other is None else other.chosen()
    tensors: dict[str, dict[str, Any]] = {}
    for name, ranges in record.ranges.items():
        tensors[name] = {"range": list(chosen[name]), "ranges": {key: list(span) for key, span in ranges.items()}}
        if other is not None:
            span = theirs.get(name)
            wide = 0.0 if span is None else span[1] - span[0]
            tensors[name]["times_other"] = (chosen[name][1] - chosen[name][0]) / wide if wide else None
    return {
        "network": record.network,
        "graph_sha256": record.graph_sha256,
        "source": record.source,
        "frames": record.frames,
        "digest": record.digest,
        "method": record.method,
        "equalised_streams": len(record.scales),
        "bias_corrected": bool(record.means),
        "same_graph": None if other is None else record.graph_sha256 == other.graph_sha256,
        "same_frames": None if other is None else record.digest == other.digest,
        "tensors": tensors,
    }


def _print(described: dict[str, Any]) -> None:
    from rich.text import Text

    console = plain_console()
    console.print(Text(described["network"], "bold"), f" {described['frames']} frames of {described['source']}, "
                  f"digest {described['digest'][:12]}", highlight=False)  # fmt: skip
    console.print(f"method {described['method']}; {described['equalised_streams']} streams equalised; biases "
                  f"{'corrected' if described['bias_corrected'] else 'as they are'}", highlight=False)  # fmt: skip
    if described["same_graph"] is not None:
        console.print(f"the other file: {'the same' if described['same_graph'] else 'another'} FP32 graph, "
                      f"{'the same' if described['same_frames'] else 'other'} frames", highlight=False)  # fmt: skip
    rows = described["tensors"]
    methods = list(next(iter(rows.values()))["ranges"]) if rows else []
    compared = described["same_graph"] is not None
    table = plain_table("tensor", *methods, *["x other"] * compared)
    for name, row in rows.items():
        cells = [f"{low:.4g} .. {high:.4g}" for low, high in row["ranges"].values()]
        if compared:
            times = row["times_other"]
            cells.append("-" if times is None else f"{times:.2f}")
        table.add_row(name, *cells)
    console.print(table)
