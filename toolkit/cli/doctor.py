"""`edgedepth doctor`: what works on this machine, and what to install for what does not."""

from __future__ import annotations

import platform
import sys
from typing import Annotated, Any

import typer

from edgedepth.cli.common import JSON_HELP, print_json


def doctor(as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False) -> None:
    """Say which backends work here, which one `auto` takes, and why the others do not.

    Example: edgedepth doctor --json
    """
    report = diagnose()
    if as_json:
        print_json(report)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("backend", "works", "version", "devices", "note")
    for name, backend in report["backends"].items():
        table.add_row(
            name,
            "yes" if backend["available"] else "no",
            backend["version"] or "",
            ", ".join(backend["devices"]),
            backend["why"],
        )
    console = Console()
    console.print(table)
    console.print(f"auto takes: [bold]{report['auto']}[/bold]   bundle: {report['bundle']}")
    console.print(f"edgedepth {report['edgedepth']}, Python {report['python']}, {report['machine']}")


def diagnose() -> dict[str, Any]:
    """The report as plain data."""
    from edgedepth import __version__
    from edgedepth.core.bundle import Bundle
    from edgedepth.core.errors import EdgeDepthError
    from edgedepth.engines.registry import auto_backend, probe_all

    backends = {
        name: {
            "available": found.available,
            "version": found.version,
            "devices": list(found.devices),
            "why": found.why,
        }
        for name, found in probe_all().items()
    }
    try:
        auto: str | None = auto_backend()
    except EdgeDepthError:
        auto = None
    try:
        bundle = f"default, digest {Bundle.load().digest[:12]}"
    except EdgeDepthError as error:
        bundle = str(error)
    return {
        "backends": backends,
        "auto": auto,
        "bundle": bundle,
        "edgedepth": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "executable": sys.executable,
    }
