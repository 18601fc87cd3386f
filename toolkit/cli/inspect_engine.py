"""The part of `edgedepth inspect` that looks into ONNX files and engines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedepth.cli.common import plain_console, plain_table, print_json
from edgedepth.core.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table


def inspect_file(path: Path, backend: str | None, as_json: bool) -> None:
    """Print what is in an ONNX file or a plan.

    Raises:
        InputError: the file is missing.
        BackendError: it cannot be read or built, or is a plan that this user's cache does not know.
    """
    from edgedepth.cli.build import flavour_to_build_with
    from edgedepth.engines.cache import PlanCache
    from edgedepth.engines.tensorrt.describe import PLAN_SUFFIXES, describe_onnx, describe_plan
    from edgedepth.engines.tensorrt.plans import present_gpu

    if not path.is_file():
        raise InputError(f"no file at {path}")
    if path.suffix.lower() in PLAN_SUFFIXES:
        report = describe_plan(path, PlanCache())
    else:
        report = describe_onnx(path, flavour_to_build_with(backend), gpu=present_gpu())
    if as_json:
        print_json(report)
    else:
        _print(report)


def _print(report: dict[str, Any]) -> None:
    from rich.text import Text

    console = plain_console()
    console.print(Text(report["file"], "bold"), f" {report['precision']}, {report['flavour']}")
    for name in ("inputs", "outputs"):
        console.print(f"{name}: {', '.join(report[name])}")
    memory = ", ".join(f"{kind} {size / 1e6:.1f} MB" for kind, size in report["memory_bytes"].items())
    console.print(f"device memory: {memory or 'not told'}")
    if report["kind"] == "plan":
        console.print(
            f"for compute capability {', '.join(report['compute_capabilities'])}; {report['kernels']} kernels"
        )
        console.print(f"golden check: {report['rejected'] or report['checked'] or 'not yet'}")
        console.print(report.get("note") or _layers(report["layers"]))
        return
    console.print(_types(report["types"]))
    if report["kernels"]:
        console.print(_kernels(report["kernels"]))
    by_role = report["kernels_by_role"]
    kinds = ", ".join(f"{count} {role}" for role, count in by_role.items())
    total = f"{sum(by_role.values())} kernels ({kinds})" if by_role else "an untold number of kernels"
    console.print(f"{len(report['layers'])} layers become {total}", soft_wrap=True)


def _layers(layers: list[Any]) -> Table:
    """The layers of an engine as its inspector gives them: JSON objects, or names where the plan has no details."""
    table = plain_table("#", "layer", "kind", "reads", "writes", title="layers of the engine")
    for number, layer in enumerate(layers):
        known = layer if isinstance(layer, dict) else {"Name": str(layer)}
        cells = [known.get("Name", ""), known.get("LayerType", "")]
        cells += [", ".join(map(_tensor, known.get(side, ()))) for side in ("Inputs", "Outputs")]
        table.add_row(str(number), *cells)
    return table


def _tensor(known: Any) -> str:
    """A tensor of a layer: "Half 1x64x48x64"; 10.x says its type as a part of its format, 11.x by itself."""
    if not isinstance(known, dict):
        return str(known)
    dtype = known.get("Datatype") or str(known.get("Format/Datatype", "")).partition(" ")[0]
    return f"{dtype} {'x'.join(map(str, known.get('Dimensions', ())))}".strip()


def _types(types: dict[str, dict[str, int]]) -> Table:
    table = plain_table("layer", "count by type", title="before fusion")
    for kind, counts in types.items():
        table.add_row(kind.lower(), ", ".join(f"{count} {dtype}" for dtype, count in counts.items()))
    return table


def _kernels(kernels: list[dict[str, Any]]) -> Table:
    table = plain_table("#", "kernel", "reads", "writes", "made of", title="after fusion")
    for number, kernel in enumerate(kernels):
        shapes = ["x".join(map(str, shape)) for shape in kernel["output_shapes"]]
        writes = [f"{dtype} {shape}" for dtype, shape in zip(kernel["output_types"], shapes, strict=False)]
        table.add_row(
            str(number),
            kernel["kind"],
            ", ".join(kernel["input_types"]),
            ", ".join(writes),
            ", ".join(kernel["nodes"]),
        )
    return table
