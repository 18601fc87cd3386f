"""The kernels an engine consists of after fusion, as the builder's verbose log lists them.

TensorRT logs one message that begins with "Layers:" and has a line per kernel: name, kind, tensors with types, and the
ONNX nodes that went into it. It is the only account of fusion that can be had without a GPU.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from edgedepth.engines.tensorrt.logger import LogLine

# Kinds that multiply and accumulate: convolutions, and small 1x1 ones as matrix products. What else there is moves data
# or works element by element.
COMPUTING = ("correlation", "runtime_fusion", "gemm")

_FIELDS = re.compile(r"(?:^|, )(Name|LayerType|Inputs|Constants|Outputs|Metadata): ")
_TENSOR = re.compile(r"Name: ([^,{}]+), Dimensions: \[([\d,-]*)\]")
_TYPE = re.compile(r"(?:Datatype|Format/Datatype): ([A-Za-z0-9]+)")
_NODE = re.compile(r"\[ONNX Layer: ([^\]]+)\]")
_MEMORY = re.compile(r"Total (Activation|Weights) Memory: (\d+) bytes|Max (Scratch) Memory: (\d+) bytes")


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """One kernel: its name and kind, the types it reads and writes, and the ONNX nodes fused into it."""

    name: str
    kind: str
    input_types: tuple[str, ...]
    output_types: tuple[str, ...]
    output_shapes: tuple[tuple[int, ...], ...]
    nodes: tuple[str, ...]


def kernels_of(lines: Iterable[LogLine]) -> tuple[Kernel, ...]:
    """The kernels of the engine built last, in order; empty where the flavour does not tell."""
    found: tuple[Kernel, ...] = ()
    for line in lines:
        if line.text.startswith("Layers:"):
            entries = line.text.splitlines()[1:]
            found = tuple(_kernel(entry) for entry in entries if entry.startswith("Name: "))
    return found


def memory_of(lines: Iterable[LogLine]) -> dict[str, int]:
    """Bytes of device memory the builder speaks of: activations, weights, scratch; empty where it does not."""
    found: dict[str, int] = {}
    for line in lines:
        match = _MEMORY.search(line.text)
        if match is not None:
            found[(match[1] or match[3]).lower()] = int(match[2] or match[4])
    return found


def _kernel(entry: str) -> Kernel:
    fields = _split(entry)
    outputs = fields.get("Outputs", "")
    return Kernel(
        name=fields.get("Name", ""),
        kind=fields.get("LayerType", ""),
        input_types=tuple(_TYPE.findall(fields.get("Inputs", ""))),
        output_types=tuple(_TYPE.findall(outputs)),
        output_shapes=tuple(tuple(int(s) for s in sizes.split(",") if s) for _, sizes in _TENSOR.findall(outputs)),
        nodes=tuple(_NODE.findall(fields.get("Metadata", ""))),
    )


def _split(entry: str) -> dict[str, str]:
    """The fields of an entry; "Name:" also stands inside braces, where it is a tensor's."""
    fields: dict[str, str] = {}
    marks = [
        match
        for match in _FIELDS.finditer(entry)
        if entry.count("{", 0, match.start()) == entry.count("}", 0, match.start())
    ]
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        end = following.start() if following is not None else len(entry)
        fields.setdefault(mark[1], entry[mark.end() : end])
    return fields
