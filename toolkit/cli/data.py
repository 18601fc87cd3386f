"""`edgedepth data`: a look at labelled data before they are trained on."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from edgedepth.cli.common import JSON_HELP, print_json, say


def data(
    action: Annotated[Literal["check"], typer.Argument(help="check.")],
    name: Annotated[str, typer.Argument(help="Data set as kind:path, or a folder whose kind is found out.")],
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Read this many samples, spread evenly; all if not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Say what is missing or odd in a data set: files, depth, scale, intrinsics, splits. Exit code 1 on errors.

    Example: edgedepth data check kitti:/data/kitti --split train --limit 500
    """
    from rich.console import Console
    from rich.progress import Progress

    from edgedepth.datasets.check import check_dataset, guess_name

    console = Console(stderr=True)
    assert action == "check"
    with Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("reading", total=limit)
        found = check_dataset(guess_name(name), split, limit, lambda: bar.advance(task))
    if as_json:
        print_json(found.as_json())
    else:
        splits = ", ".join(f"{split} {count}" for split, count in found.splits.items())
        print(f"{found.name}: {found.samples} samples ({splits}), {found.looked_at} read")
        print("sizes: " + (", ".join(f"{size} ({count})" for size, count in found.sizes.items()) or "none"))
        if found.depth_m is not None:
            print(f"depth: {found.depth_m[0]} m to {found.depth_m[2]} m, median {found.depth_m[1]} m")
        for note in found.notes:
            print(note)
        for finding in found.findings:
            print(f"{finding.level}: {finding.what}: {finding.count}, first {finding.first}")
        say("nothing odd" if not found.findings else "usable" if found.usable else "not usable as it is")
    if not found.usable:
        raise typer.Exit(1)
