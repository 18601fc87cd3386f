"""`edgedepth sigma`: choose the coarse router's threshold from validation data, or set it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgedepth.cli.common import JSON_HELP, print_json, say
from edgedepth.core.errors import BundleError, InputError

if TYPE_CHECKING:
    from edgedepth.datasets import DepthDataset, SampleInfo


def sigma(
    bundle: Annotated[str, typer.Argument(help="Bundle folder whose router is of the coarse kind.")],
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data", help="Data set to choose from, as kind:path; repeat until there are near and far samples."
        ),
    ] = None,
    value_m: Annotated[
        float | None, typer.Option("--set", metavar="METRES", help="Store this threshold, whatever any data say.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split to choose on; by default what training validates on.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=2, help="Use at most this many samples of each data set.")] = None,
    backend: Annotated[str, typer.Option(help="Backend by name, or auto.")] = "auto",
    write: Annotated[bool, typer.Option("--write", help="Store the chosen threshold in the bundle.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the changed bundle to this folder instead of changing it in place."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Choose the threshold of a coarse router: the depth that routes most validation frames right.

    Example: edgedepth sigma mybundle --data synth:world/indoor --data synth:world/street --write
    """
    if bool(data) == (value_m is not None):
        raise InputError("sigma needs --data to choose the threshold from, or --set to be told it; give one of them")
    import numpy as np

    from edgedepth.core.bundle import Bundle, editable
    from edgedepth.core.routing import CoarseRule, Route
    from edgedepth.evaluation.sigma import choose_sigma
    from edgedepth.runtime.depth_runtime import DepthRuntime

    write = write or value_m is not None or output is not None
    # what cannot be changed is told at once; nothing is copied before the threshold is good
    opened = editable(bundle, None) if write and output is None else Bundle.load(bundle)
    router = opened.manifest.router
    if not isinstance(router.rule, CoarseRule):
        raise BundleError(
            f"bundle {opened.manifest.name} has a {router.rule.kind} router; sigma belongs to coarse ones"
        )
    if value_m is not None:
        _store(bundle, output, value_m)
        if as_json:
            print_json({"sigma_m": value_m, "written": True})
        else:
            say(f"sigma {value_m:g} m stored in the bundle")
        return
    datasets = [_with_routes(name, split) for name in data or ()]
    d_max, far = [], []
    with DepthRuntime.load(opened, backend=backend) as runtime:
        for samples in datasets:
            for sample in samples.limited(limit):
                d_max.append(runtime.decide(sample.image_bgr).score)
                far.append(sample.route is Route.HIGH)
    choice = choose_sigma(np.array(d_max), np.array(far))
    if write:
        _store(bundle, output, round(choice.sigma_m, 3))
    result = {
        "sigma_m": round(choice.sigma_m, 3),
        "accuracy": choice.accuracy,
        "wrong_low": choice.wrong_low,
        "wrong_high": choice.wrong_high,
        "margin": choice.margin,
        "images": len(d_max),
        "written": write,
    }
    if as_json:
        print_json(result)
    else:
        say(
            f"sigma {choice.sigma_m:.2f} m routes {choice.accuracy:.1%} of {len(d_max)} frames right"
            f" ({choice.wrong_low} near sent high, {choice.wrong_high} far sent low)"
            + ("; stored in the bundle" if write else "; store it with --write")
        )


def _with_routes(name: str, split: str | None) -> DepthDataset:
    """The samples of a split, of the validation part if none is named, that say whether they are near or far."""
    from edgedepth.datasets.registry import open_dataset, open_for_training

    def routed(info: SampleInfo) -> bool:
        return info.route is not None

    samples = open_for_training(name, routed)[1] if split is None else open_dataset(name, split).where(routed)
    if not len(samples):
        raise InputError(f"{name} says of no sample whether it is near or far; use a set with routes, as synth:DIR")
    return samples


def _store(place: str, output: Path | None, sigma_m: float) -> None:
    from edgedepth.core.bundle import editable, write_manifest
    from edgedepth.core.routing import CoarseRule

    if not 0 < sigma_m < float("inf"):
        raise InputError(f"a threshold must be a positive number of metres, but got {sigma_m:g}")
    bundle = editable(place, output)
    router = bundle.manifest.router.model_copy(update={"rule": CoarseRule(sigma_m=sigma_m)})
    write_manifest(bundle.folder, bundle.manifest.model_copy(update={"router": router}))
