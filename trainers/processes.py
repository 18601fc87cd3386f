"""One run on several processes: `torchrun --nproc-per-node N -m edgedepth train ...`, on one machine or many.

Every process trains on its own share of each step's batch and gradients are averaged; the first of them validates and
writes. Without torchrun there is one process and all of this costs nothing.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, distributed

from edgedepth.core.errors import InputError
from edgedepth.trainers.config import TrainConfig
from edgedepth.trainers.memory import keep_freed_memory


def fabric_for(config: TrainConfig) -> Fabric:
    """Device, precision and processes of a run; on a CPU, its number of threads too. Seeds every generator.

    Call it before anything random is made: the weights of a network are.

    Raises:
        InputError: CUDA is asked for and PyTorch has none here.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "PyTorch finds no CUDA device here; leave --device out, or install the driver and a CUDA build"
        )
    if config.device != "cuda":
        keep_freed_memory()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    precision = "bf16-mixed" if config.precision == "bf16" else "32-true"
    if with_others():
        fabric = Fabric(
            accelerator=config.device,
            devices=int(os.environ["LOCAL_WORLD_SIZE"]),
            num_nodes=int(os.environ["GROUP_WORLD_SIZE"]),
            # heads without a loss term get no gradient in some rows of the papers' tables
            strategy=DDPStrategy(find_unused_parameters=True),
            precision=precision,  # type: ignore[arg-type]
        )
        fabric.launch()
        atexit.register(_leave)
    else:
        fabric = Fabric(accelerator=config.device, devices=1, precision=precision)  # type: ignore[arg-type]
    fabric.seed_everything(config.seed, verbose=False)
    return fabric


@contextmanager
def first_on_machine(fabric: Fabric) -> Iterator[None]:
    """The block runs in one process of each machine before the others, which find its files there."""
    with fabric.rank_zero_first(local=True):
        yield


def with_others() -> bool:
    """Whether torchrun has started this process, perhaps with others; known before they have met."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def world_size() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if _together() else 1


def rank() -> int:
    """The number of this process among them, from 0."""
    if _together():
        return distributed.get_rank()
    return int(os.environ["RANK"]) if with_others() else 0


def agreed(value: float, device: torch.device) -> float:
    """The first process's value, in all of them; clocks differ, and decisions must not."""
    if not _together():
        return value
    tensor = torch.tensor([value], dtype=torch.float64, device=device)
    distributed.broadcast(tensor, src=0)
    return float(tensor.item())


def mean_over_processes(terms: Mapping[str, Tensor]) -> dict[str, float]:
    """The mean of each term over all processes, which must all call this together."""
    names = sorted(terms)
    values = torch.stack([terms[name].detach().double() for name in names])
    if _together():
        distributed.all_reduce(values)
        values /= world_size()
    return dict(zip(names, values.tolist(), strict=True))


def of_all_processes(names: list[str]) -> list[str]:
    """The names that all processes have, which must all call this together, in their order."""
    if not _together():
        return names
    found: list[list[str]] = [[] for _ in range(world_size())]
    distributed.all_gather_object(found, names)
    return [name for part in found for name in part]


def _leave() -> None:
    """Join the threads of the process group: one that is alive when the interpreter ends may abort the process."""
    if _together():
        distributed.destroy_process_group()


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized()
