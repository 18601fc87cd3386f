"""`edgedepth cache`: the TensorRT engines kept on this machine."""

from __future__ import annotations

import dataclasses
import time
from typing import Annotated, Any, Literal

import typer

from edgedepth.cli.common import JSON_HELP, plain_console, plain_table, print_json, say


def cache(
    action: Annotated[Literal["list", "clear"], typer.Argument(help="list or clear.")] = "list",
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """List the engines in the cache, the last used first, or remove them all.

    EDGEDEPTH_CACHE names its folder, EDGEDEPTH_CACHE_MIB its limit. Example: edgedepth cache list
    """
    from edgedepth.engines.cache import PlanCache

    store = PlanCache()
    if action == "clear":
        removed = store.clear()
        if as_json:
            print_json({"folder": str(store.folder), "removed": removed})
        else:
            say(f"removed {removed} engines from {store.folder}")
        return
    entries = store.entries()
    if as_json:
        plain: list[dict[str, Any]] = [
            {"key": e.key, "bytes": e.bytes, "used_at": e.used_at, **dataclasses.asdict(e.sidecar)} for e in entries
        ]
        print_json({"folder": str(store.folder), "limit_bytes": store.limit_bytes, "engines": plain})
        return
    table = plain_table(
        "network", "precision", "flavour", "for", "input", "size", "kernels", "golden check", "last used"
    )
    for entry in entries:
        sidecar = entry.sidecar
        table.add_row(
            sidecar.network,
            sidecar.precision,
            f"{sidecar.flavour} {sidecar.version}",
            ", ".join(sidecar.compute_capabilities),
            ", ".join(sidecar.inputs),
            f"{entry.bytes / 1e6:.1f} MB",
            str(sidecar.kernels or ""),
            "rejected" if sidecar.rejected else ("passed" if sidecar.checked else "not yet"),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used_at)),
        )
    console = plain_console()
    console.print(table)
    total = sum(entry.bytes for entry in entries)
    console.print(f"{total / 1e6:.1f} MB of {store.limit_bytes / 1e6:.0f} MB in {store.folder}")
