"""`edgedepth reproduce`: the rows of a paper's ablation table, trained at small scale, beside the paper's figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgedepth.cli.common import JSON_HELP, print_json, say
from edgedepth.core.errors import InputError, require
from edgedepth.core.spec import parse_size


def reproduce(
    table: Annotated[str, typer.Argument(help="Table, for example papers/1:table6, or 'list'.")] = "list",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the runs; runs/reproduce/TABLE if not given.")
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(help="Rendered data as synth:DIR, one of each world of the table; rendered if not given."),
    ] = None,
    images: Annotated[int, typer.Option(min=30, help="Views to render without --data.")] = 600,
    steps: Annotated[int, typer.Option(min=1, help="Training steps of every run.")] = 200,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of every row; more can be added later.")] = 1,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Size of the networks; the table's if not given.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="The paper's networks at their own size: for GPUs.")] = False,
    test_images: Annotated[int, typer.Option(min=1, help="Images of the test split.")] = 100,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of PyTorch.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Train the rows of an ablation table at small scale and compare order and ratios with the paper's.

    A stopped run goes on where it was. The budget stands in the results, which may disagree with the paper.

    Example: edgedepth reproduce papers/1:table6 --data synth:out/ --steps 300 --seeds 2
    """
    require("torch", extra="train")
    require("lightning_fabric", extra="train")
    from edgedepth.trainers.papers.tables import TABLES

    if table == "list":
        if as_json:
            print_json({name: known.title for name, known in TABLES.items()})
            return
        for name, known in TABLES.items():
            print(f"{name:18} {known.title}, {len(known.rows)} rows")
        return
    from edgedepth.trainers.papers.reproduce import ReproduceConfig
    from edgedepth.trainers.papers.reproduce import reproduce as run

    for name in data or []:
        if not name.startswith("synth:"):
            raise InputError(f"tables are repeated on the procedural world, synth:DIR, but got {name!r}")
    config = ReproduceConfig(
        table=table,
        out=out if out is not None else Path("runs/reproduce") / table.replace("/", "-").replace(":", "-"),
        data=tuple(data or ()),
        images=images,
        steps=steps,
        seeds=seeds,
        size=None if size is None else parse_size(size),
        full=full,
        test_images=test_images,
        threads=threads,
        device=device,
    )
    comparison = run(config, say)
    if as_json:
        print_json({"table": table, "out": str(config.out), **comparison.as_json()})
    else:
        print((config.out / "results.md").read_text())
