"""`edgedepth sigma`: choose the coarse router's threshold from validation data."""

from __future__ import annotations

from typing import Annotated

import typer

from edgedepth.cli.common import JSON_HELP, print_json, say
from edgedepth.core.errors import BundleError, InputError


def sigma(
    bundle: Annotated[str, typer.Argument(help="Bundle folder whose router is of the coarse kind.")],
    data: Annotated[str, typer.Option(help="Data set with near and far samples, for example synth:DIR.")],
    split: Annotated[str | None, typer.Option(help="Split to choose on.")] = "val",
    limit: Annotated[int | None, typer.Option(min=2, help="Use at most this many samples, spread evenly.")] = None,
    backend: Annotated[str, typer.Option(help="Backend by name, or auto.")] = "auto",
    write: Annotated[bool, typer.Option("--write", help="Store the threshold in the bundle.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Find the depth threshold that routes most validation frames right.

    Example: edgedepth sigma mybundle --data synth:world --write
    """
    import numpy as np

    from edgedepth.core.bundle import Bundle, write_manifest
    from edgedepth.core.routing import CoarseRule, Route
    from edgedepth.datasets.registry import open_dataset
    from edgedepth.evaluation.sigma import choose_sigma
    from edgedepth.runtime.depth_runtime import DepthRuntime

    opened = Bundle.load(bundle)
    router = opened.manifest.router
    if not isinstance(router.rule, CoarseRule):
        raise BundleError(
            f"bundle {opened.manifest.name} has a {router.rule.kind} router; sigma belongs to coarse ones"
        )
    samples = open_dataset(data, split).where(lambda info: info.route is not None).limited(limit)
    if not len(samples):
        raise InputError(
            f"{data} says of no sample whether it is near or far; use a data set with routes, as synth:DIR"
        )
    d_max, far = [], []
    with DepthRuntime.load(opened, backend=backend) as runtime:
        for sample in samples:
            d_max.append(runtime.decide(sample.image_bgr).score)
            far.append(sample.route is Route.HIGH)
    choice = choose_sigma(np.array(d_max), np.array(far))
    if write:
        rule = router.rule.model_copy(update={"sigma_m": round(choice.sigma_m, 3)})
        changed = opened.manifest.model_copy(update={"router": router.model_copy(update={"rule": rule})})
        write_manifest(opened.folder, changed)
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
