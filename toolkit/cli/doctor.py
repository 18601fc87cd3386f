"""`edgedepth doctor`: what works on this machine, and what to install for what does not."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgedepth.cli.common import JSON_HELP, plain_console, plain_table, print_json

if TYPE_CHECKING:
    from edgedepth.core.bundle import Bundle


def doctor(
    bundle: Annotated[
        str | None, typer.Argument(help="Also hold this bundle's engines against its golden frames.")
    ] = None,
    backend: Annotated[str, typer.Option(help="Backend of the golden check.")] = "auto",
    precision: Annotated[
        str | None, typer.Option(help="Precision of the golden check; all that the bundle has if not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Say what works here, which backend `auto` takes and why, and how to get what is missing.

    With a bundle, its golden frames go through the FP32 reference on the CPU and through the backend, and the
    difference is held against the bundle's limits. Exit code 1 if it is beyond.

    Examples:
    edgedepth doctor --json;
    edgedepth doctor mybundle --backend tensorrt --precision fp16
    """
    report = diagnose()
    if bundle is not None:
        report["golden"] = _golden(bundle, backend, precision)
        report["golden_bundle"] = bundle
    if as_json:
        print_json(report)
    else:
        _print(report)
    failed = [check["fault"] for check in report.get("golden", []) if not check["passed"]]
    if failed:
        raise typer.Exit(1)


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
        "auto_why": _auto_why(backends, auto),
        "gpu": _gpu(),
        "media": _media(),
        "bundle": bundle,
        "edgedepth": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "executable": sys.executable,
    }


def _auto_why(backends: dict[str, dict[str, Any]], auto: str | None) -> str:
    """Why `auto` is what it is: it is the first in order of speed that works."""
    if auto is None:
        return "no backend works here"
    passed_over = list(backends)[: list(backends).index(auto)]
    reason = "the fastest that works here"
    return reason + (
        f"; before it in order of speed, and not available: {', '.join(passed_over)}" if passed_over else ""
    )


def _gpu() -> dict[str, Any]:
    """Driver, GPUs and Jetson, without any package."""
    import dataclasses

    from edgedepth.engines.machine import driver, driver_version, jetson

    cuda, board = driver(), jetson()
    return {
        "driver": driver_version(),
        "cuda": cuda.cuda,
        "gpus": [dataclasses.asdict(gpu) for gpu in cuda.gpus],
        "why": cuda.why,
        "jetson": None if board is None else dataclasses.asdict(board),
        "tensorrt_cache": _cache(),
    }


def _cache() -> str:
    from edgedepth.core.errors import EdgeDepthError
    from edgedepth.engines.cache import PlanCache, cache_folder

    if not cache_folder().is_dir():
        return f"none yet, in {cache_folder()}"
    try:
        store = PlanCache()
    except EdgeDepthError as error:
        return str(error)
    return f"{len(store.entries())} engines in {store.folder}"


def _media() -> dict[str, Any]:
    """What reads and writes video here."""
    import re
    from importlib import metadata

    import cv2

    from edgedepth.io.gstreamer import has_gstreamer

    information = cv2.getBuildInformation()
    found: dict[str, Any] = {"opencv": cv2.__version__, "pyav": metadata.version("av")}
    for name in ("FFMPEG", "CUDA"):
        match = re.search(rf"^\s*(?:NVIDIA )?{name}:\s*(\S+)", information, re.MULTILINE)
        found[f"opencv_{name.lower()}"] = match is not None and match[1].upper() == "YES"
    found["gstreamer"] = has_gstreamer()
    if not found["gstreamer"]:
        found["why"] = "csi:// and gst: sources need GStreamer's tools: sudo apt install gstreamer1.0-tools"
    return found


def _golden(place: str, backend: str, precision: str | None) -> list[dict[str, Any]]:
    """The golden check in one precision, or in all that the bundle has."""
    from edgedepth.core.bundle import Bundle
    from edgedepth.engines.registry import choose_backend
    from edgedepth.runtime.golden import check_bundle

    bundle = Bundle.load(place)
    chosen = choose_backend(backend)
    if precision is not None or not bundle.manifest.golden:
        return [check.as_dict() for check in check_bundle(bundle, backend=chosen, precision=precision or "fp32")]
    return [check for each in bundle.manifest.precisions(chosen) for check in _checks(bundle, chosen, each)]


def _checks(bundle: Bundle, backend: str, precision: str) -> list[dict[str, Any]]:
    """The golden check in a precision of the bundle; what does not open is a failed check."""
    from edgedepth.core.errors import EdgeDepthError
    from edgedepth.runtime.golden import check_bundle

    try:
        return [check.as_dict() for check in check_bundle(bundle, backend=backend, precision=precision)]
    except EdgeDepthError as error:
        return [{"precision": precision, "backend": backend, "passed": False, "fault": str(error)}]


def _print(report: dict[str, Any]) -> None:
    from rich.text import Text

    table = plain_table("backend", "works", "version", "devices", "note")
    for name, backend in report["backends"].items():
        works = "yes" if backend["available"] else "no"
        table.add_row(name, works, backend["version"] or "", ", ".join(backend["devices"]), backend["why"])
    console = plain_console()
    console.print(table)
    console.print("auto takes:", Text(str(report["auto"]), "bold"), f"({report['auto_why']})")
    console.print(f"GPU: {_gpu_line(report['gpu'])}")
    console.print(f"engines: {report['gpu']['tensorrt_cache']}")
    media = report["media"]
    gstreamer = "with" if media["gstreamer"] else "without"
    console.print(f"video: OpenCV {media['opencv']}, PyAV {media['pyav']}, {gstreamer} GStreamer's tools")
    if "why" in media:
        console.print(f"  {media['why']}")
    console.print(f"shipped bundle: {report['bundle']}")
    console.print(f"edgedepth {report['edgedepth']}, Python {report['python']}, {report['machine']}")
    for number, check in enumerate(report.get("golden", [])):
        if number == 0:
            console.print(f"golden check of {report['golden_bundle']}:")
        verdict = Text("passed") if check["passed"] else Text.assemble(("failed", "bold red"), f": {check['fault']}")
        console.print(f"golden {_golden_line(check)}:", verdict, soft_wrap=True)


def _golden_line(check: dict[str, Any]) -> str:
    if "network" not in check:
        return f"{check['precision']} on {check['backend']}"
    figures = ", ".join(f"{name} {check[name]:.5f}" for name in ("abs_rel", "delta1", "moved") if name in check)
    return (
        f"{check['role']}: {check['network']} {check['precision']} on {check['backend']}: {figures},"
        f" {check['non_finite']} non-finite"
    )


def _gpu_line(gpu: dict[str, Any]) -> str:
    if gpu["jetson"] is not None:
        board = gpu["jetson"]
        where = f"{board['model']}, L4T {board['l4t']}, JetPack {board['jetpack'] or 'not installed as a package'}; "
    else:
        where = ""
    if not gpu["gpus"]:
        return f"{where}{gpu['why']}"
    cards = ", ".join(f"{card['name']} (compute capability {card['capability']})" for card in gpu["gpus"])
    return f"{where}{cards}; driver {gpu['driver'] or 'unknown'}, CUDA {gpu['cuda']}"
