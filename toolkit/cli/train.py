"""`edgedepth train`: train a network, or fine-tune shipped weights on one's own pairs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgedepth.cli.common import JSON_HELP, print_json, say
from edgedepth.core.errors import InputError, require
from edgedepth.core.spec import parse_size

if TYPE_CHECKING:
    from edgedepth.trainers.loop import FitResult

_DEFAULT_EPOCHS = 20.0
_LR, _LR_FINE = 2e-3, 4e-4
_PICTURES = 4
_OUT = Path("runs/train")


def train(
    network: Annotated[
        str,
        typer.Argument(help="Network to train, a recipe (papers/4 or FILE.toml), or 'default' for the shipped trio."),
    ],
    data: Annotated[
        list[str] | None, typer.Option("--data", help="Data set as kind:path, for example synth:DIR; repeat for more.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help=f"Folder of the run; {_OUT} if not given.")] = None,
    init: Annotated[
        str | None, typer.Option(help="Start from 'default', 'imagenet' or a checkpoint; random if not given.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option", metavar="NAME=VALUE", help="Option of the network, such as stack=shg; repeat for more."
        ),
    ] = None,
    loss: Annotated[
        str | None, typer.Option(help="'hard' classification, or a paper's losses by name, such as berhu or hu.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Train at this size; the network's own if not given.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Budget in minutes.")] = None,
    epochs: Annotated[
        float | None, typer.Option(help=f"Budget in epochs; {_DEFAULT_EPOCHS:g} if no budget is given.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Images per step; 16, or the recipe's.")] = None,
    lr: Annotated[float | None, typer.Option(help=f"Peak learning rate; {_LR:g}, or {_LR_FINE:g} with --init.")] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any other setting, such as accumulate=4, patience=5, optimizer=sgd or loss.gradient=0.2; repeat.",
        ),
    ] = None,
    pictures: Annotated[
        int | None, typer.Option(min=0, help="Validation frames to draw after every epoch; 4 if not given.")
    ] = None,
    tensorboard: Annotated[
        bool | None, typer.Option("--tensorboard", help="Write events for TensorBoard, too.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="0 if not given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, by its settings.")] = False,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that load data; none if not given.")] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of PyTorch; its own choice if not given.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda; auto if not given.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32, or bf16 for mixed precision.")] = None,
    watch: Annotated[str | None, typer.Option(help="Data set to evaluate on beside the validation split.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for decoded frames; OUT/cache if not given.")] = None,
    stage: Annotated[
        list[str] | None, typer.Option(help="With 'default': only this stage of the recipe; repeat for more.")
    ] = None,
    pause: Annotated[
        float | None,
        typer.Option(help="Minutes after which this call ends, saved; the same again (with --resume) goes on."),
    ] = None,
    scale: Annotated[
        float | None, typer.Option(help="With 'default': multiplies image counts and minutes; 1 if not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Train a depth network or the router's scene classifier; a stopped run goes on with --resume.

    'default' repeats the recipe of the shipped weights, rendering included; given again, it goes on where it stopped.

    Examples:
    edgedepth train edge-low --data synth:out/ --minutes 60 -o runs/low;
    edgedepth train edge-low --init default --data pairs:my/pairs.json --epochs 10 -o runs/mine;
    edgedepth train drnet --init imagenet --data nyu:DIR --option backbone=senet154 --option diagonal=false;
    edgedepth train papers/4 --data nyu:DIR --batch 4 --set accumulate=2;
    torchrun --nproc-per-node 4 -m edgedepth train papers/3 --data nyu:DIR
    """
    require("torch", extra="train")
    require("lightning_fabric", extra="train")
    if network == "default":
        from edgedepth.trainers.default.recipe import Recipe, run_recipe

        _refuse(
            "the stages of 'default' say that themselves; train the network by its name",
            {"--init": init, "--option": option, "--loss": loss, "--size": size, "--minutes": minutes,
             "--epochs": epochs, "--batch": batch, "--lr": lr, "--set": setting, "--pictures": pictures,
             "--tensorboard": tensorboard, "--device": device, "--precision": precision, "--cache": cache},
        )  # fmt: skip
        recipe = Recipe(
            out=out or _OUT,
            data=tuple(data or ()),
            stages=tuple(stage or ()),
            seed=seed or 0,
            threads=threads,
            workers=workers or 0,
            scale=1.0 if scale is None else scale,
            watch=watch,
            pause=pause,
        )
        _report(run_recipe(recipe, say), as_json)
        return
    from edgedepth.trainers.pause import Deadline, Paused
    from edgedepth.trainers.recipe_files import (
        config_from,
        is_recipe,
        merged,
        read_recipe,
        settings_of_run,
        with_overrides,
    )
    from edgedepth.trainers.train import train as run

    _refuse("it is for 'default', the recipe of the shipped weights", {"--stage": stage, "--scale": scale})
    recipe_says: dict[str, Any] = read_recipe(network) if is_recipe(network) else {"network": network}
    given = {
        "data": tuple(data) if data else None,
        "out": out,
        "init": init,
        "size": None if size is None else parse_size(size),
        "batch": batch,
        "lr": lr,
        "pictures": pictures,
        "precision": precision,
        "threads": threads,
        "watch": watch,
        "cache": cache,
        "seed": seed,
        "resume": resume or None,
        "workers": workers,
        "device": device,
        "tensorboard": tensorboard,
    }
    said: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if minutes is not None or epochs is not None:  # a budget of one's own takes the place of the recipe's
        said |= {"minutes": minutes, "epochs": epochs}
    if option:
        said["options"] = _options(option)
    if loss is not None:
        said["loss"] = {"hard": True} if loss == "hard" else {"metric": loss}
    said = with_overrides(said, setting or [])
    settings = merged(recipe_says, said)
    settings.setdefault("out", _OUT)
    if settings.get("resume"):  # what the command does not say again stays as it was
        stored = settings_of_run(Path(settings["out"]), str(settings.get("network")))
        if not stored:
            say(f"no run in {settings['out']} to go on with: a new one begins")
        settings = {**merged(merged(recipe_says, stored), said), "out": settings["out"]}
    if not settings.get("data"):
        raise InputError("training needs data: give --data synth:DIR or --data pairs:FILE")
    settings.setdefault("pictures", _PICTURES)
    settings.setdefault("lr", _LR if settings.get("init") is None else _LR_FINE)
    if settings.get("minutes") is None and settings.get("epochs") is None:
        settings["epochs"] = _DEFAULT_EPOCHS
    config = dataclasses.replace(config_from(settings), deadline=Deadline(pause))
    try:
        results = {config.network: run(config)}
    except Paused:
        say(f"paused after {pause:g} minutes; the same command with --resume goes on")
        results = {}
    _report(results, as_json)


def _refuse(why: str, options: Mapping[str, object]) -> None:
    """Refuse options that would be ignored."""
    for name, value in options.items():
        if value not in (None, []):
            raise InputError(f"{name} has no use here: {why}")


def _options(pairs: list[str]) -> dict[str, Any]:
    """NAME=VALUE pairs; a value is JSON where it can be read as such (8, true, [8, 16]), else text."""
    options: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InputError(f"an option of the network is written NAME=VALUE, for example stack=shg, but got {pair!r}")
        try:
            options[name] = json.loads(value)
        except json.JSONDecodeError:
            options[name] = value
    return options


def _report(results: dict[str, FitResult], as_json: bool) -> None:
    if as_json:
        found: dict[str, Any] = {name: _plain(result) for name, result in results.items()}
        print_json(next(iter(found.values())) if len(found) == 1 else found)
        return
    for name, result in results.items():
        figures = ", ".join(f"{key} {value:.3f}" for key, value in result.figures.items())
        say(f"{name}: {result.steps} steps in {result.seconds / 60:.1f} min; {figures or 'no validation data'}")
        if result.bad_steps:
            say(f"{result.bad_steps} steps were left out because they were not finite; log.jsonl names their frames")
        say(f"checkpoint: {result.checkpoint}")


def _plain(result: FitResult) -> dict[str, Any]:
    return dataclasses.asdict(result) | {"checkpoint": str(result.checkpoint)}
