"""Train a scene classifier for the router, and choose its vote on validation data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgedepth.core.errors import CheckpointError, InputError
from edgedepth.core.files import write_atomic
from edgedepth.core.routing import SceneRule
from edgedepth.core.spec import ClassifierSpec
from edgedepth.datasets import SampleInfo
from edgedepth.trainers.augment import to_float, training_image
from edgedepth.trainers.checkpoint import save_checkpoint
from edgedepth.trainers.config import TrainConfig
from edgedepth.trainers.data import endless, in_order, keys_for
from edgedepth.trainers.loop import FitResult, progress_bar, train_task
from edgedepth.trainers.models.registry import classifier_spec
from edgedepth.trainers.scenes import (
    UNKNOWN,
    SceneBatch,
    SceneFrames,
    SceneObjective,
    choose_rule,
    collate_scenes,
    routing_accuracy,
    rules,
)
from edgedepth.trainers.splits import training_split
from edgedepth.trainers.start import (
    IMAGENET,
    cached,
    initial_checkpoint,
    network_from,
    provenance,
    watched,
)


def train_scene(config: TrainConfig) -> FitResult:
    """Train the classifier `config.network` on the categories (or, where untold, the routes) of its data.

    Writes into `config.out`: `<network>.safetensors`, `<network>.rule.json` (the `SceneRule` that routes the
    validation split best), `log.jsonl`, `state.pt` and `cache/`.

    Raises:
        InputError: the data cannot be read, or no frame has a known category.
        CheckpointError: `init` is of another network, or the state to resume from is damaged.
        OutputError: the folder cannot be written.
    """
    return train_task(SceneTask, config)


class SceneTask:
    """A classifier on its data; a `edgedepth.trainers.loop.Task`."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.rule: SceneRule | None = None
        if config.init == IMAGENET:
            raise InputError(f"{config.network} has no backbone with ImageNet weights; leave --init out")
        start = initial_checkpoint(config)
        self.network, self.options = network_from(config, start)
        self.spec: ClassifierSpec = classifier_spec(config.network)
        if start is not None:
            if not isinstance(start.spec, ClassifierSpec):
                raise CheckpointError(f"{config.init} holds a depth network, but {config.network} is a classifier")
            self.spec = start.spec
        self.training_spec = self.spec
        if config.size is not None:
            self.training_spec = self.spec.model_copy(update={"input_wh": config.size})
        self.objective = SceneObjective(self.network, self.spec.categories)
        names = {category.name for category in self.spec.categories}

        def keep(info: SampleInfo) -> bool:
            return info.category in names or info.route is not None

        train, validation = training_split(config.data, keep, patience=config.patience)
        with progress_bar() as bar:
            opened = partial(cached, config, self.training_spec, bar, need_depth=False)
            self.frames = SceneFrames(opened(train), self.training_spec, config.augment, config.seed)
            self.validation = SceneFrames(opened(validation, whole=True), self.training_spec)
            watching = watched(config, self.training_spec, bar, keep, need_depth=False)
            self.watched = None if watching is None else SceneFrames(watching, self.training_spec)
        if all(label == UNKNOWN for label in self.frames.labels):
            raise InputError(f"no training frame has a category of {config.network}; known: {', '.join(sorted(names))}")
        self.steps_per_epoch = keys_for(len(self.frames), config).per_epoch

    def batches(self, start: int) -> Iterable[SceneBatch]:
        """Training batches from number `start` on."""
        return endless(self.frames, len(self.frames), collate_scenes, self.config, start)

    def prepare(self, batch: SceneBatch, draw: int, device: torch.device) -> tuple[Tensor, ...]:
        """Image (colours changed), depth, category and side on the device."""
        image = training_image(batch.image, batch.content, self.config, draw, device)
        return image, batch.depth_m.to(device), batch.label.to(device), batch.far.to(device)

    def evaluate(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Accuracy of category and of routing by the default rule; also chooses the best rule, which `save` writes."""
        figures: dict[str, float] = {}
        default = rules(self.spec.categories)[0]
        if len(self.validation) and self.config.eval_images:
            probabilities, labels, far = self._classified(network, device, self.validation)
            known = labels != UNKNOWN
            if known.any():
                figures["accuracy"] = float(np.mean(probabilities.argmax(1)[known] == labels[known]))
            figures["routing"] = routing_accuracy(default, probabilities, far)
            rule, figures["routing_best"] = choose_rule(self.spec.categories, probabilities, far)
            figures["top_k"] = rule.top_k
            self.rule = rule
        if self.watched is not None and len(self.watched) and self.config.eval_images:
            probabilities, _, far = self._classified(network, device, self.watched)
            figures["watch_routing"] = routing_accuracy(default, probabilities, far)
        return figures

    def _classified(
        self, network: nn.Module, device: torch.device, frames: SceneFrames
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
        """Probabilities (N, C), labels (N,) and sides (N,) of evaluation frames."""
        rows = []
        for batch in in_order(frames, collate_scenes, self.config.batch, self.config.eval_images):
            with torch.inference_mode():
                probabilities = network(to_float(batch.image.to(device))).float().cpu().numpy()
            rows.append((probabilities, batch.label.numpy(), batch.far.numpy()))
        stacked, labels, far = (np.concatenate(column) for column in zip(*rows, strict=True))
        return stacked, labels, far

    def picture(self, network: nn.Module, device: torch.device, count: int) -> None:
        """None: a category is no picture."""

    def save(self, network: nn.Module, path: Path, facts: Mapping[str, str]) -> None:
        """The checkpoint with the classifier's contract, and beside it the rule that was chosen for it."""
        if self.rule is not None:
            write_atomic(path.with_suffix(".rule.json"), self.rule.model_dump_json(indent=1))
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
                begun_from=self.config.init,
                facts=facts,
            ),
        )
