"""`edgedepth trust`: let a bundle's own engines run on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from edgedepth.cli.common import JSON_HELP, print_json, say


def trust(
    bundle: Annotated[str, typer.Argument(help="Bundle folder or zip that carries engines.")],
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Accept the ready-built engines inside a bundle, after checking them against its digests.

    An engine is code that runs on the GPU: trust a bundle only if you trust who made it. Without this, engines are
    built here from the bundle's ONNX, and those it carries are never opened.

    Example: edgedepth trust mybundle
    """
    from edgedepth.core.bundle import Bundle
    from edgedepth.engines.tensorrt.bundle import trust_bundle

    opened = Bundle.load(bundle)
    taken = trust_bundle(opened)
    if as_json:
        print_json(
            {"bundle": opened.manifest.name, "digest": opened.digest, "trusted": [each.model_dump() for each in taken]}
        )
        return
    for sidecar in taken:
        gpus = ", ".join(sidecar.compute_capabilities)
        say(f"trusted {sidecar.network} {sidecar.precision} for {gpus}, {sidecar.flavour} {sidecar.version}")
