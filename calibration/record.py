"""The calibration file: what was observed and chosen for one network, as JSON that can be read, compared and reused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedepth.calibration.affine import Range, written
from edgedepth.calibration.observe import Statistics
from edgedepth.calibration.ranges import METHODS
from edgedepth.core.errors import InputError
from edgedepth.core.files import write_atomic

FORMAT = "edgedepth-calibration"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class CalibrationRecord:
    """Everything that INT8 files of a network are made from, besides its FP32 graph.

    graph_sha256: of the FP32 file that was observed. source, digest, frames: what it was observed on.
    method: the chosen one. ranges: of every tensor by every method, after equalisation.
    scales: what equalisation divided each stream's channels by; empty if it was not used.
    means: channel means of the activations that layers read, for bias correction; empty if it was not used.
    """

    network: str
    graph_sha256: str
    source: str
    digest: str
    frames: int
    method: str
    ranges: Mapping[str, Mapping[str, Range]]
    scales: Mapping[str, list[float]] = field(default_factory=dict)
    means: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def chosen(self, method: str | None = None) -> dict[str, Range]:
        """The range of every tensor by the chosen method, or by another."""
        return {name: methods[method or self.method] for name, methods in self.ranges.items()}

    def text(self) -> str:
        """The JSON text, one tensor per line, so that two files can be compared line by line."""
        head: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "network": self.network,
            "graph_sha256": self.graph_sha256,
            "data": {"source": self.source, "frames": self.frames, "digest": self.digest},
            "method": self.method,
        }
        tensors = {
            name: {
                "method": self.method,
                "range": written(methods[self.method]),
                "count": self.frames,
                "ranges": {method: written(span) for method, span in methods.items()},
            }
            for name, methods in self.ranges.items()
        }
        parts = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
        parts.append(_lines("tensors", tensors))
        parts.append(_lines("scales", {name: written(values) for name, values in self.scales.items()}))
        parts.append(_lines("means", {name: written(values) for name, values in self.means.items()}))
        return "{\n" + ",\n".join(parts) + "\n}\n"

    def save(self, path: Path) -> None:
        """Write the file.

        Raises:
            OutputError: it cannot be written.
        """
        write_atomic(path, self.text())

    @classmethod
    def load(cls, path: Path) -> CalibrationRecord:
        """Read a file that `save` wrote.

        Raises:
            InputError: it is missing, of another form or of a newer version.
        """
        try:
            data: Any = json.loads(path.read_bytes())
            if data["format"] != FORMAT or data["version"] != VERSION:
                raise InputError(f"{path} has the form {data['format']} {data['version']}, not {FORMAT} {VERSION}")
            record = cls(
                network=str(data["network"]),
                graph_sha256=str(data["graph_sha256"]),
                source=str(data["data"]["source"]),
                digest=str(data["data"]["digest"]),
                frames=int(data["data"]["frames"]),
                method=str(data["method"]),
                ranges={
                    name: {method: (float(low), float(high)) for method, (low, high) in entry["ranges"].items()}
                    for name, entry in data["tensors"].items()
                },
                scales={name: [float(v) for v in values] for name, values in data["scales"].items()},
                means={name: np.asarray(values, np.float64) for name, values in data["means"].items()},
            )
            _check_values(record)
            return record
        except OSError as error:
            raise InputError(f"cannot read the calibration file {path}: {error.strerror}") from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{path} is not a calibration file ({error!r}); make one with: edgedepth calibrate"
            ) from None


def _check_values(record: CalibrationRecord) -> None:
    """Refuse what a file made by hand may hold and `save` never wrote.

    Raises:
        ValueError: naming the first.
    """
    for name, methods in record.ranges.items():
        if record.method not in methods:
            raise ValueError(f"{name} has no range by {record.method}, but by {', '.join(methods)}")
    for name, scales in record.scales.items():
        if not all(0 < scale < np.inf for scale in scales):
            raise ValueError(f"a scale of {name} is not a positive number")
    for name, means in record.means.items():
        if not np.isfinite(means).all():
            raise ValueError(f"a mean of {name} is not a number")


def all_ranges(statistics: Mapping[str, Statistics]) -> dict[str, dict[str, Range]]:
    """The range of every tensor by every method."""
    return {name: {key: _written(method(seen)) for key, method in METHODS.items()} for name, seen in statistics.items()}


def _written(span: Range) -> Range:
    low, high = written(span)
    return low, high


def _lines(key: str, entries: Mapping[str, Any]) -> str:
    if not entries:
        return f" {json.dumps(key)}: {{}}"
    rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in entries.items())
    return f" {json.dumps(key)}: {{\n{rows}\n }}"
