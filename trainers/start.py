"""How a run begins and signs its work: its folder, the weights it starts from, its provenance."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.progress import Progress
from torch import nn

from edgedepth.core.errors import CheckpointError, InputError
from edgedepth.core.files import write_atomic
from edgedepth.core.spec import ClassifierSpec, DepthSpec
from edgedepth.datasets import DepthDataset, SampleInfo, open_dataset
from edgedepth.trainers.cache import FrameCache
from edgedepth.trainers.checkpoint import Checkpoint, load_checkpoint, load_state, shipped_checkpoint
from edgedepth.trainers.config import TrainConfig
from edgedepth.trainers.models.registry import create_network
from edgedepth.trainers.pause import in_pieces, unpack

CONFIG_NAME = "config.json"
_NAMED = 5  # samples that are named where some are left out
IMAGENET = "imagenet"  # what `TrainConfig.init` calls the weights that a paper's backbone starts from


def prepare_folder(config: TrainConfig, parts: Sequence[str] = ()) -> None:
    """Make the run's folder and write the configuration into it.

    parts: folders in it that runs of its parts have.

    Raises:
        InputError: the folder holds another run, which must not be mixed with a new one.
        OutputError: the folder cannot be written.
        CheckpointError: what a paused recipe left in pieces is not whole.
    """
    states = [config.out / part / "state.pt" for part in ("", *parts)]
    if config.resume and config.out.is_dir():
        unpack(config.out)
    elif any(state.exists() or in_pieces(state) for state in states):
        raise InputError(
            f"{config.out} holds a training run; go on with it by --resume, or choose another folder with --out"
        )
    settings = {name: value for name, value in asdict(config).items() if name != "deadline"}
    write_atomic(config.out / CONFIG_NAME, json.dumps(settings, indent=1, default=str))


def default_checkpoint(network: str) -> Path:
    """The shipped checkpoint of a network.

    Raises:
        InputError: no weights of this network are shipped.
    """
    path = shipped_checkpoint(network)
    if not path.is_file():
        raise InputError(f"no weights of {network} are shipped; leave --init out or give a checkpoint file")
    return path


def initial_checkpoint(config: TrainConfig) -> Checkpoint | None:
    """The checkpoint that `config.init` names, None for random weights and for backbones trained on ImageNet.

    Raises:
        InputError: there is no such file.
        CheckpointError: it is of another network.
    """
    return None if config.init in (None, IMAGENET) else _checkpoint_of(config, str(config.init))


def blended_checkpoint(config: TrainConfig) -> Checkpoint | None:
    """The checkpoint that the finished weights are blended with, None where they are not.

    Raises:
        InputError: there is no such file.
        CheckpointError: it is of another network.
    """
    return None if config.blend == 1 else _checkpoint_of(config, str(config.blend_from or config.init))


def _checkpoint_of(config: TrainConfig, name: str) -> Checkpoint:
    path = default_checkpoint(config.network) if name == "default" else Path(name)
    checkpoint = load_checkpoint(path)
    if checkpoint.network != config.network:
        raise CheckpointError(
            f"{path} holds {checkpoint.network}, but {config.network} is to be trained; name that network instead"
        )
    return checkpoint


def network_from(config: TrainConfig, start: Checkpoint | None) -> tuple[nn.Module, dict[str, Any]]:
    """The network to train, with the weights of `start`, and its options: those of `start` under `config.options`.

    Raises:
        CheckpointError: the weights do not fit, or options contradict what the checkpoint says of its answers.
        UnknownNameError, InputError: the options are not this network's.
    """
    options = {**({} if start is None else start.options), **config.options}
    network = create_network(config.network, **options)
    if start is not None:
        replace(start, options=options).check_options()
        load_state(network, start.state, config.network, rebuilt=options != start.options)
    return network, options


def cached(
    config: TrainConfig,
    spec: DepthSpec | ClassifierSpec,
    bar: Progress,
    datasets: Sequence[DepthDataset],
    *,
    whole: bool = False,
    need_depth: bool = True,
) -> FrameCache:
    """The decoded frames of data sets for a network of `spec`, which is at training size; says what was left out.

    whole: they are evaluated, so resized as a run resizes them; else with room for the largest zoom.
    """
    width, height = spec.input_wh
    zoom = config.augment.max_zoom
    exactly = whole and spec.resize != "pad"  # frames larger than what is padded have no place otherwise
    cache = FrameCache(
        datasets,
        config.cache or config.out / "cache",
        cover_wh=(width, height) if exactly else (round(width * zoom), round(height * zoom)),
        policy=spec.resize if exactly else None,
        need_depth=need_depth,
        progress=bar,
    )
    tell_left_out(cache, bar)
    return cache


def watched(
    config: TrainConfig,
    spec: DepthSpec | ClassifierSpec,
    bar: Progress,
    keep: Callable[[SampleInfo], bool],
    **options: bool,
) -> FrameCache | None:
    """The frames of `TrainConfig.watch` that a network can be judged on; None, told on stderr, where there are none."""
    if config.watch is None:
        return None
    samples = open_dataset(config.watch).where(keep)
    if not len(samples):
        bar.console.print(
            f"{config.watch} holds nothing that {config.network} can be judged on", soft_wrap=True, markup=False
        )
        return None
    return cached(config, spec, bar, [samples], whole=True, **options)


def tell_left_out(cache: FrameCache, bar: Progress) -> None:
    """Say on stderr how many samples a cache left out, and which."""
    shown = [f"{name} ({reason})" for (_, name), reason in list(cache.bad.items())[:_NAMED]]
    if shown:
        more = f" and {len(cache.bad) - len(shown)} more" if len(cache.bad) > len(shown) else ""
        total = len(cache) + len(cache.bad)
        bar.console.print(
            f"left out {len(cache.bad)} of {total} samples: {'; '.join(shown)}{more}", soft_wrap=True, markup=False
        )


def provenance(
    config: TrainConfig, *, images: int, begun_from: str | None, facts: Mapping[str, str], left_out: int = 0
) -> dict[str, str]:
    """How the weights were made: versions, date, data and the configuration that shaped them.

    begun_from: what `config.init` says, None where those weights could not be had.
    """
    return {
        "made_by": f"edgedepth {version('edgedepth')}, torch {version('torch')}",
        "date": datetime.now(timezone.utc).date().isoformat(),
        "data": ", ".join(Path(name).name for name in config.data),
        "images": str(images),
        **({"left_out": str(left_out)} if left_out else {}),
        "init": "random" if begun_from is None else Path(begun_from).name,
        **({"blend": f"{config.blend:g}, the rest {_where(config)}"} if config.blend < 1 else {}),
        "seed": str(config.seed),
        "batch": str(config.batch),
        "lr": str(config.lr),
        "size": "full" if config.size is None else f"{config.size[0]}x{config.size[1]}",
        **facts,
    }


def _where(config: TrainConfig) -> str:
    return "/".join(Path(str(config.blend_from or config.init)).parts[-2:])
