"""`edgedepth synth`: rendered rooms and streets with exact depth and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, cast

import typer

from edgedepth.cli.common import JSON_HELP, print_json, say


def synth(
    out: Annotated[Path, typer.Argument(help="Folder of the data set; an unfinished one is continued.")],
    world: Annotated[
        str,
        typer.Option(
            help="indoor, scan, sunny, close, street, drive, jam, weather, halls, walk; "
            "for routers bare, gallery, company, crossing"
        ),
    ],
    count: Annotated[int, typer.Option(min=1, help="How many views (of a walk: frames).")] = 100,
    size: Annotated[str, typer.Option(metavar="WxH", help="Size of the pictures.")] = "320x240",
    seed: Annotated[int, typer.Option(min=0, help="Another seed gives other scenes.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 is one per core.")] = 0,
    views_per_scene: Annotated[int, typer.Option(min=1, help="Views rendered of each scene.")] = 4,
    quality: Annotated[
        str,
        typer.Option(help="mixed draws the shading per view; flat is quick, lit is better, fine is slow."),
    ] = "mixed",
    lens: Annotated[
        str, typer.Option(help="straight, as rectified pictures are; mixed bends lines in about half of the views.")
    ] = "straight",
    split: Annotated[
        str | None,
        typer.Option(help="Render only the scenes of this split (train, val, test), as they are in the whole set."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Write a procedural data set: photographs, exact depth, semantic and instance labels, intrinsics.

    The same seed gives the same files, whatever the number of workers. Example:
    edgedepth synth out/ --world indoor --count 1000 --size 320x240 --seed 7
    """
    from edgedepth.core.errors import require
    from edgedepth.core.spec import parse_size

    require("warp", extra="world")
    from edgedepth.world.shard import World
    from edgedepth.world.synth import SynthConfig, write_dataset

    config = SynthConfig(
        out=out,
        world=cast(World, world),
        count=count,
        wh=parse_size(size),
        seed=seed,
        workers=workers,
        views_per_scene=views_per_scene,
        quality=quality,
        device=device,
        lens=lens,
        split=split,
    )
    with _progress() as report:
        summary = write_dataset(config, report)
    if as_json:
        print_json({"out": str(out), **summary})
    else:
        splits = ", ".join(f"{name} {number}" for name, number in summary["splits"].items())
        say(f"{summary['count']} views ({splits}) in {out}; train with --data synth:{out}")


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr; rich hides it where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("rendering", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
