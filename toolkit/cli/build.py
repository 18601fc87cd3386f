"""`edgedepth build`: TensorRT engines of a bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgedepth.cli.common import JSON_HELP, print_json, say

if TYPE_CHECKING:
    from edgedepth.core.bundle import Bundle
    from edgedepth.engines.machine import Gpu
    from edgedepth.engines.tensorrt.bundle import BuiltPlan
    from edgedepth.engines.tensorrt.flavour import Flavour
    from edgedepth.runtime.golden import GoldenResult


def build(
    bundle: Annotated[str, typer.Argument(help="Bundle folder or zip, or 'default'.")] = "default",
    backend: Annotated[
        str | None, typer.Option(help="tensorrt or tensorrt-rtx; the installed one if not given.")
    ] = None,
    precision: Annotated[
        str,
        typer.Option(help="fp16, int8 or fp32; auto: int8 where it was measured to be faster, else fp16, else fp32."),
    ] = "auto",
    target: Annotated[
        list[str] | None,
        typer.Option(help="GPUs to build for, as sm86,sm89,sm120 (tensorrt-rtx); this machine's if not given."),
    ] = None,
    size: Annotated[
        list[str] | None,
        typer.Option(
            help="Camera sizes to resize from on the GPU: 1280x720 or vga, hd, fhd. vga,hd makes an engine for each,"
            " vga+hd one for both, vga..fhd one for all between."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a copy of the bundle that carries the engines.")
    ] = None,
    carry: Annotated[
        bool | None,
        typer.Option("--carry/--no-carry", help="Put the engines into the bundle; the default with --target or -o."),
    ] = None,
    workspace: Annotated[int | None, typer.Option(min=1, metavar="MiB", help="Memory kernels may use.")] = None,
    level: Annotated[int | None, typer.Option(min=0, max=5, help="Optimisation level; 5 searches longest.")] = None,
    hardware: Annotated[
        str, typer.Option(help="exact, ampere+ or same-capability: which other GPUs the engine runs on (tensorrt).")
    ] = "exact",
    version_compatible: Annotated[
        bool, typer.Option("--version-compatible", help="The engine also loads in later versions.")
    ] = False,
    no_build: Annotated[
        bool, typer.Option("--no-build", help="Only say what is there; fail if any is missing.")
    ] = False,
    no_check: Annotated[bool, typer.Option("--no-check", help="Skip the golden check on the device.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Build the engines of a bundle that are missing, check them on the device, and keep them in the cache.

    Examples:
    edgedepth build mybundle --size hd;
    edgedepth build mybundle --size vga..hd..fhd;
    edgedepth build mybundle --backend tensorrt-rtx --target sm86,sm89,sm120
    """
    from edgedepth.core.bundle import Bundle, edited
    from edgedepth.engines.tensorrt.bundle import build_bundle, carry_plans
    from edgedepth.engines.tensorrt.config import BuildConfig
    from edgedepth.engines.tensorrt.plans import present_gpu
    from edgedepth.engines.tensorrt.profiles import SizeRange
    from edgedepth.runtime.golden import check_built

    flavour = flavour_to_build_with(backend)
    targets = _listed(target)
    carried = carry if carry is not None else bool(targets or output)
    config = BuildConfig(
        targets=targets,
        workspace_mib=workspace,
        optimization_level=level,
        hardware=hardware,  # type: ignore[arg-type]  # the configuration checks it
        version_compatible=version_compatible,
    )
    gpu = present_gpu()
    with edited(bundle, output) if carried else nullcontext(Bundle.load(bundle)) as opened, _progress() as report:
        built = build_bundle(
            opened,
            flavour,
            precision=precision,
            config=config,
            cameras=[tuple(map(SizeRange.parse, text.split("+"))) for text in _listed(size)],
            gpu=gpu,
            build=not no_build,
            again=not no_build,
            report=report,
        )
        if carried:
            opened = carry_plans(opened, built)
    why_not = "skipped" if no_check else _why_not_here(flavour.name, gpu, built)
    checks = [] if why_not else check_built(opened, built)
    if as_json:
        print_json(_describe(opened, built, checks))
        return
    for entry in built:
        say(built_line(entry))
    for check in checks:
        say(str(check))
    if not checks:
        say(f"not checked: {why_not or _why_unchecked(opened)}")
    if carried:
        say(f"{opened.folder} carries the engines; on the machine that runs them: edgedepth trust {opened.folder}")


def flavour_to_build_with(backend: str | None) -> Flavour:
    """The flavour of that name, or the one that is installed.

    Raises:
        BackendError: it is not installed, or none is; the message has the remedy.
    """
    from edgedepth.core.errors import BackendError
    from edgedepth.engines.tensorrt.flavour import installed_flavours, load_flavour
    from edgedepth.engines.tensorrt.probe import install_hint

    if backend is not None:
        return load_flavour(backend)
    for name in installed_flavours():
        return load_flavour(name)
    hints = " or ".join(install_hint(name) for name in ("tensorrt", "tensorrt-rtx"))
    raise BackendError(f"no TensorRT is installed to build with; {hints}")


def _listed(values: list[str] | None) -> tuple[str, ...]:
    """Options that may be repeated, or hold several values with commas."""
    return tuple(part.strip() for value in values or () for part in value.split(",") if part.strip())


def _why_not_here(flavour: str, gpu: Gpu | None, built: list[BuiltPlan]) -> str:
    """Why these engines cannot be run on this machine; empty where they can."""
    from edgedepth.engines.tensorrt.probe import probe

    if gpu is None or not all(gpu.capability in b.plan.sidecar.compute_capabilities for b in built):
        return "no device here runs these engines"
    found = probe(flavour)
    return "" if found.available else found.why  # an available one may have notes


def _why_unchecked(bundle: Bundle) -> str:
    if not bundle.manifest.golden:
        return "the bundle has no golden frames; export it again with --golden"
    return "they passed their golden check before"


def built_line(entry: BuiltPlan) -> str:
    """What was built, or found, in a line for people."""
    sidecar = entry.plan.sidecar
    why = entry.plan.why_built
    how = f"built in {sidecar.build_seconds:.1f} s ({why})" if why else "in the cache"
    size = f" from {entry.sizes_text}" if entry.sizes else ""
    gpus = ", ".join(sidecar.compute_capabilities)
    kernels = f", {sidecar.kernels} kernels" if sidecar.kernels else ""
    return (
        f"{entry.role}: {entry.network} {sidecar.precision}{size} for {gpus}, {sidecar.flavour} {sidecar.version}:"
        f" {how}, {sidecar.plan_bytes / 1e6:.1f} MB{kernels}"
    )


def _describe(bundle: Bundle, built: list[BuiltPlan], checks: list[GoldenResult]) -> dict[str, Any]:
    return {
        "bundle": str(bundle.folder),
        "digest": bundle.digest,
        "engines": [
            {
                "role": entry.role,
                "network": entry.network,
                "precision": entry.precision,
                "sizes": [str(size) for size in entry.sizes],
                "built": bool(entry.plan.why_built),
                "why_built": entry.plan.why_built,
                "sidecar": entry.plan.sidecar.model_dump(),
            }
            for entry in built
        ],
        "carried": [entry.file for entry in bundle.manifest.plans],
        "golden": [check.as_dict() for check in checks],
    }


@contextmanager
def _progress() -> Iterator[Callable[[str, str, float], None]]:
    """A bar per network on stderr; rich hides it where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def report(name: str, phase: str, share: float) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=1.0)
            bar.update(tasks[name], completed=share, description=f"{name}: {phase[:40]}")

        yield report
