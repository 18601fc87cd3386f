"""Train a depth network: data, network, baseline and checkpoint around the loop."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgedepth.core.errors import CheckpointError, InputError
from edgedepth.core.files import write_atomic
from edgedepth.core.spec import DepthSpec
from edgedepth.datasets import DepthDataset
from edgedepth.evaluation import map_at_size
from edgedepth.trainers.augment import training_image
from edgedepth.trainers.baseline import mean_log_depth
from edgedepth.trainers.checkpoint import save_checkpoint
from edgedepth.trainers.config import TrainConfig
from edgedepth.trainers.data import DepthBatch, DepthFrames, collate, endless, in_order, keys_for
from edgedepth.trainers.loop import FitResult, progress_bar, train_task
from edgedepth.trainers.losses.objectives import DepthObjective
from edgedepth.trainers.models.backbones import load_imagenet
from edgedepth.trainers.models.registry import default_spec
from edgedepth.trainers.splits import route_served, serves, training_split
from edgedepth.trainers.start import (
    IMAGENET,
    cached,
    initial_checkpoint,
    network_from,
    provenance,
    watched,
)
from edgedepth.trainers.validation import depth_figures, draw_batches, map_predictor, network_predictor

_BASELINE_FRAMES = 2000  # evenly spread; more move the mean of a pixel by less than 1 %


def train_depth(config: TrainConfig) -> FitResult:
    """Train the depth network `config.network`; see `TrainConfig`.

    Writes into `config.out`: `<network>.safetensors` (averaged weights, spec at the network's full size),
    `<network>.baseline.npy` (mean log-depth map of the training split), `log.jsonl`, `state.pt` (to resume from)
    and `cache/`.

    Raises:
        InputError: the data cannot be read, or hold nothing to train on.
        CheckpointError: `init` is of another network, or the state to resume from is damaged.
        OutputError: the folder cannot be written.
    """
    return train_task(DepthTask, config)


class DepthTask:
    """A depth network on its data; a `edgedepth.trainers.loop.Task`."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        start = initial_checkpoint(config)
        self.network, self.options = network_from(config, start)
        self._check_batch(config.batch, f"give --batch {self._least_batch}")
        self.spec = default_spec(config.network, **self.options)
        self.begun_from = config.init
        if config.init == IMAGENET and not load_imagenet(self.network):
            self.begun_from = None
        if start is not None:
            if not isinstance(start.spec, DepthSpec):
                raise CheckpointError(f"{config.init} holds a classifier, but {config.network} is a depth network")
            self.spec = start.spec
        self.training_spec = self.spec if config.size is None else self.spec.at_size(config.size)
        self._keep = serves(route_served(config.network, self.spec))
        self.objective = DepthObjective(self.network, self.spec, config.loss)
        self._open_data()

    def _split(self) -> tuple[list[DepthDataset], list[DepthDataset]]:
        """What is trained on, and what is validated on."""
        return training_split(self.config.data, self._keep, patience=self.config.patience)

    def _open_data(self) -> None:
        config = self.config
        train, validation = self._split()
        with progress_bar() as bar:
            opened = partial(cached, config, self.training_spec, bar)
            self.frames = DepthFrames(opened(train), self.training_spec, augment=config.augment, seed=config.seed)
            self.validation = DepthFrames(opened(validation, whole=True), self.training_spec)
            watching = watched(config, self.training_spec, bar, self._keep)
            self.watched = None if watching is None else DepthFrames(watching, self.training_spec)
        keys = keys_for(len(self.frames), config)
        self._check_batch(
            keys.batch, f"{len(self.frames)} frames make batches of {keys.batch}: add data or accumulate less"
        )
        self.steps_per_epoch = keys.per_epoch
        self.baseline = self._baseline()

    @property
    def _least_batch(self) -> int:
        return int(getattr(self.network, "least_batch", 1))

    def _check_batch(self, batch: int, remedy: str) -> None:
        """Refuse batches that batch norm cannot take."""
        if batch < self._least_batch:
            raise InputError(
                f"{self.config.network} takes batches of at least {self._least_batch} images, for batch norm needs"
                f" them; {remedy}"
            )

    def _baseline(self) -> NDArray[np.float32]:
        """The baseline at training size; written at full size, for the bundle. Runs that share a cache share it."""
        # frames of the cache are shrunk to the training size, so a network that pads at its own has no map there
        spec = self.spec if self.spec.resize == self.training_spec.resize else self.training_spec
        known = hashlib.sha256(spec.model_dump_json().encode()).hexdigest()[:16]
        cache = self.frames.cache
        kept = cache.folder / f"baseline-{known}-{cache.token}.npy"
        if kept.is_file():
            log_depth = np.load(kept, allow_pickle=False)
        else:
            whole = DepthFrames(self.frames.cache, spec)
            log_depth = mean_log_depth(in_order(whole, collate, 16, _BASELINE_FRAMES), spec)
            if os.access(cache.folder, os.W_OK):  # a cache that is shared may be closed to others
                _save_array(kept, log_depth)
        _save_array(self.config.out / f"{self.config.network}.baseline.npy", log_depth)
        # depth for the canonical camera does not depend on the size it is seen at
        return map_at_size(log_depth, self.training_spec.input_wh)

    def batches(self, start: int) -> Iterable[DepthBatch]:
        """Training batches from number `start` on."""
        return endless(self.frames, len(self.frames), collate, self.config, start)

    def prepare(self, batch: DepthBatch, draw: int, device: torch.device) -> tuple[Tensor, ...]:
        """Image (colours changed), depth and focal length on the device."""
        image = training_image(batch.image, batch.content, self.config, draw, device)
        return image, batch.depth_m.to(device), batch.focal.to(device)

    def evaluate(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Figures on the validation split and the watched set, each with the baseline's abs_rel."""
        network_says, map_says = network_predictor(network, device), map_predictor(self.baseline)
        figures: dict[str, float] = {}
        for prefix, frames in (("", self.validation), ("watch_", self.watched)):
            if frames is None:
                continue
            count, batch = self.config.eval_images, self.config.batch
            measured = depth_figures(network_says, in_order(frames, collate, batch, count), self.training_spec)
            base = depth_figures(map_says, in_order(frames, collate, batch, count), self.training_spec)
            figures |= {f"{prefix}{name}": value for name, value in measured.items()}
            figures |= {f"{prefix}baseline_{name}": base[name] for name in ("abs_rel", "delta1") if name in base}
        return figures

    def picture(self, network: nn.Module, device: torch.device, count: int) -> NDArray[np.uint8] | None:
        """Image, truth, answer and error of validation frames, one row each."""
        return draw_batches(
            network_predictor(network, device), in_order(self.validation, collate, 1, count), self.training_spec
        )

    def save(self, network: nn.Module, path: Path, facts: Mapping[str, str]) -> None:
        """The checkpoint, with the spec of the network's full size."""
        save_checkpoint(
            path,
            network,
            network=self.config.network,
            options=self.options,
            spec=self.spec,
            provenance=provenance(
                self.config,
                images=len(self.frames),
                left_out=len(self.frames.cache.bad),
                begun_from=self.begun_from,
                facts=facts,
            ),
        )


def _save_array(path: Path, array: NDArray[np.float32]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array)
    write_atomic(path, buffer.getvalue())
