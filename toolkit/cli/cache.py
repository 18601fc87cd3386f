"""`edgedepth cache`: the TensorRT engines kept on this machine."""

from __future__ import annotations

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
            {"key": e.key, "bytes": e.bytes, "used_at": e.used_at, **e.sidecar.model_dump()} for e in entries
        ]
        print_json({"folder": str(store.folder), "limit_bytes": store.limit_bytes, "engines": plain})
        return
    table = plain_table("network", "engine", "size", "state")
    for entry in entries:
        sidecar = entry.sidecar
        found = "rejected" if sidecar.rejected else ("passed" if sidecar.checked else "not yet")
        lines = (  # each cell is a few lines: as columns of their own they would not fit a terminal
            (sidecar.network, *sidecar.inputs, sidecar.precision),
            (sidecar.flavour, sidecar.version, f"for {', '.join(sidecar.compute_capabilities)}"),
            (f"{entry.bytes / 1e6:.2g} MB", f"{sidecar.kernels} kernels" if sidecar.kernels else ""),
            (f"golden: {found}", "last used", time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used_at))),
        )
        table.add_row(*("\n".join(cell) for cell in lines), end_section=True)
    console = plain_console()
    console.print(table)
    total = sum(entry.bytes for entry in entries)
    console.print(f"{total / 1e6:.1f} MB of {store.limit_bytes / 1e6:.0f} MB in {store.folder}")
