"""`edgedepth inspect`: what is in a bundle, an ONNX file, an engine or a calibration file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgedepth.cli.common import JSON_HELP, plain_console, plain_table, print_json
from edgedepth.core.bundle import MANIFEST_NAME, Bundle
from edgedepth.core.errors import InputError
from edgedepth.core.manifest import DepthNetwork, Router
from edgedepth.core.routing import FixedRule


def inspect(
    target: Annotated[
        str,
        typer.Argument(
            help="Bundle folder or zip, 'default', an ONNX file, an engine (.plan, .engine) or a .calibration.json."
        ),
    ] = "default",
    backend: Annotated[
        str | None,
        typer.Option(help="tensorrt or tensorrt-rtx, to look into an ONNX file; the installed one if not given."),
    ] = None,
    against: Annotated[Path | None, typer.Option(help="Another calibration file, to compare one with.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Check a bundle and print what it holds; of an ONNX file or engine: layers, types, shapes, memory and kernels.

    The kernels of an ONNX file are those of a TensorRT engine built for the purpose and thrown away.

    Examples:
    edgedepth inspect mybundle --json;
    edgedepth inspect mybundle/edge-low.fp16.onnx;
    edgedepth inspect mybundle/edge-low.calibration.json --against other/edge-low.calibration.json
    """
    path = Path(target)
    if path.name == MANIFEST_NAME:
        path = path.parent
        target = str(path)
    if path.suffix.lower() == ".json":
        from edgedepth.cli.inspect_calibration import inspect_calibration

        inspect_calibration(path, against, as_json)
        return
    if against is not None:
        raise InputError(f"--against compares calibration files (.json), but {target} is none")
    if path.suffix.lower() in (".onnx", ".plan", ".engine", ".trt"):
        from edgedepth.cli.inspect_engine import inspect_file

        inspect_file(path, backend, as_json)
        return
    opened = Bundle.load(target)
    if as_json:
        print_json(describe(opened))
        return
    from rich.text import Text

    manifest, console = opened.manifest, plain_console()
    console.print(Text(manifest.name, "bold"), f" schema {manifest.schema_version}, digest {opened.digest[:12]}")
    console.print(f"router: {_router_words(manifest.router)}")
    table = plain_table("", *(route.value for route in manifest.networks))
    columns = [_facts(network) for network in manifest.networks.values()]
    for name in columns[0]:
        table.add_row(name, *(facts[name] for facts in columns))
    console.print(table)
    for route, network in manifest.networks.items():
        for key, found in network.accuracy.items():
            console.print(f"{route} {key}: abs_rel {found.abs_rel:.4f}, delta1 {found.delta1:.4f} on "
                          f"{found.images} images of {found.data}", highlight=False)  # fmt: skip
        for key, record in network.int8.items():
            console.print(f"{route} {key}: {record.recipe}; {record.why}", highlight=False)
        if network.scale is not None:
            console.print(f"{route} scale: depth x {network.scale.factor:.4f} {network.scale.shift_m:+.3f} m, "
                          f"measured from {network.scale.source}")  # fmt: skip
    for key, value in manifest.provenance.items():
        console.print(f"{key}: {value}")
    console.print(f"licence: {manifest.licence}")


def _router_words(router: Router) -> str:
    """How the route is chosen, and the network that does it."""
    if isinstance(router.rule, FixedRule):
        return f"fixed, every frame is {router.rule.route}"
    chosen = router.scene or router.coarse
    assert chosen is not None
    files = ", ".join(f"{key} {file.bytes / 1e6:.2g} MB" for key, file in chosen.variants.items())
    return (
        f"{router.rule.kind}, {chosen.network} ({files}), every {router.hysteresis.every} frames, switches after"
        f" {router.hysteresis.agree} clear decisions"
    )


def _facts(network: DepthNetwork) -> dict[str, str]:
    """What the table says of a network, by the name of its row."""
    spec = network.spec
    width, height = spec.input_wh
    return {
        "network": network.network,
        "input": f"{width}x{height} {spec.resize}",
        "range": f"{spec.min_m:g}-{spec.max_m:g} m",
        "focal length": f"{spec.f_canonical_px:g} px",
        "upsampling": spec.upsampling,
        "confidence": "yes" if network.confidence else "no",
        "params": f"{network.params / 1e6:.3g} M",
        "work": f"{network.gmacs:.2g} GMACs",
        "files": "\n".join(f"{key} {file.bytes / 1e6:.2g} MB" for key, file in network.variants.items()),
        "parity (max rel.)": "\n".join(
            f"{'before rewrites' if key == 'plain' else key} {parity.max_relative:.1e}"
            for key, parity in network.parity.items()
        ),
    }


def describe(bundle: Bundle) -> dict[str, Any]:
    """The bundle as plain data."""
    manifest = bundle.manifest
    return {
        "name": manifest.name,
        "schema_version": manifest.schema_version,
        "digest": bundle.digest,
        "edgedepth_version": manifest.edgedepth_version,
        "router": manifest.router.model_dump(mode="json", exclude_none=True),
        "networks": {
            route.value: {
                "network": network.network,
                "input_wh": list(network.spec.input_wh),
                "resize": network.spec.resize,
                "min_m": network.spec.min_m,
                "max_m": network.spec.max_m,
                "beyond_m": network.spec.beyond_m,
                "f_canonical_px": network.spec.f_canonical_px,
                "upsampling": network.spec.upsampling,
                "params": network.params,
                "gmacs": network.gmacs,
                "confidence": network.confidence,
                "variants": {key: file.model_dump() for key, file in network.variants.items()},
                "parity": {key: parity.model_dump() for key, parity in network.parity.items()},
                "accuracy": {key: found.model_dump() for key, found in network.accuracy.items()},
                "int8": {key: record.model_dump(mode="json") for key, record in network.int8.items()},
                "scale": None if network.scale is None else network.scale.model_dump(mode="json"),
            }
            for route, network in manifest.networks.items()
        },
        "golden": len(manifest.golden),
        "plans": [file.model_dump() for file in manifest.plans],
        "provenance": manifest.provenance,
        "licence": manifest.licence,
    }
