"""Train the Region Support Network in the stages of papers/5, section 3.3.

Generation alone (linear loss, then logarithmic), refinement alone on the true region support, refinement on the
generated one, generation through the refinement, and both together. One run trains one stage when its options or its
start ask for a row of Table 3 instead of the whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgedepth.core.errors import InputError
from edgedepth.core.files import write_atomic
from edgedepth.datasets import DepthDataset
from edgedepth.trainers.augment import to_float
from edgedepth.trainers.cache import FrameCache
from edgedepth.trainers.checkpoint import load_checkpoint
from edgedepth.trainers.config import TrainConfig
from edgedepth.trainers.data import DepthBatch, endless, in_order
from edgedepth.trainers.loop import FitResult, train_task
from edgedepth.trainers.losses.regions import true_guidance
from edgedepth.trainers.models.registry import resolve_options
from edgedepth.trainers.models.rsn import RSN, Guidance, Modules
from edgedepth.trainers.processes import rank
from edgedepth.trainers.regions.data import RegionBatch, RegionFrames, collate_regions
from edgedepth.trainers.start import prepare_folder
from edgedepth.trainers.train_depth import DepthTask
from edgedepth.trainers.validation import Predict, depth_figures, draw_batches


@dataclass(frozen=True, kw_only=True)
class RegionStage:
    """One stage: what exists, what guides, which loss, which module stands still, and its epochs in the paper."""

    modules: Modules = "both"
    guidance: Guidance = "region"
    loss: str = "region-log"
    frozen: str | None = None
    epochs: float


# The paper gives 17 and 40 epochs for the generation module, 63 for the refinement, 5 and 3 with one of them frozen;
# none for the last stage, which gets 20 here.
STAGES: Mapping[str, RegionStage] = {
    "generation-linear": RegionStage(modules="generation", loss="region-linear", epochs=17),
    "generation": RegionStage(modules="generation", epochs=23),
    "refinement": RegionStage(modules="refinement", guidance="truth", epochs=63),
    "refinement-on-generated": RegionStage(loss="region-log-refined", frozen="generation", epochs=5),
    "generation-through-refinement": RegionStage(loss="region-log-refined", frozen="refinement", epochs=3),
    "together": RegionStage(epochs=20),
}


def train_region(config: TrainConfig) -> FitResult:
    """Train `rsn`: all stages in order, or one run where the options name a part of the network or `init` is given.

    The budget is shared out by the paper's epochs. Each stage has a folder below `config.out`; the finished network is
    `<out>/rsn.safetensors`.

    Raises:
        InputError: the data cannot be read, have no semantic labels, or hold nothing to train on; a setting has no use.
        OutputError: the folder cannot be written.
    """
    options = resolve_options(config.network, config.options)
    if config.init is not None or options.modules != "both" or options.guidance != "region":
        return train_task(RegionTask, config)
    if config.loss.metric is not None:
        raise InputError(
            "the stages of rsn have losses of their own; leave --loss out, or train a part of it by --option modules"
        )
    return _train_stages(config)


def _train_stages(config: TrainConfig) -> FitResult:
    prepare_folder(config, tuple(STAGES))
    total = sum(stage.epochs for stage in STAGES.values())
    state: dict[str, Tensor] = {}
    result = None
    for name, stage in STAGES.items():
        run = _stage_config(config, name, stage, stage.epochs / total)
        done = run.out / "done.json"
        if not done.exists():
            result = train_task(partial(RegionTask, frozen=stage.frozen, state=state), run)
            if rank() == 0:  # who has figures
                write_atomic(done, json.dumps(result.figures))
        checkpoint = run.out / f"{config.network}.safetensors"
        state |= load_checkpoint(checkpoint).state
        last = checkpoint
    finished = config.out / last.name
    write_atomic(finished, last.read_bytes())
    if result is None:  # every stage was done before
        result = FitResult(checkpoint=finished, steps=0, seconds=0.0, figures=json.loads(done.read_text()))
    baseline = last.with_suffix(".baseline.npy")
    write_atomic(finished.with_suffix(".baseline.npy"), baseline.read_bytes())
    return replace(result, checkpoint=finished)


def _stage_config(config: TrainConfig, name: str, stage: RegionStage, share: float) -> TrainConfig:
    return replace(
        config,
        out=config.out / name,
        cache=config.cache or config.out / "cache",
        minutes=None if config.minutes is None else config.minutes * share,
        epochs=None if config.epochs is None else config.epochs * share,
        options={**config.options, "modules": stage.modules, "guidance": stage.guidance},
        loss=replace(config.loss, metric=stage.loss),
    )


class RegionTask(DepthTask):
    """A `DepthTask` whose frames come with regions, and whose network may be guided by them.

    frozen: the module, "generation" or "refinement", that keeps its weights and statistics.
    state: weights that earlier stages trained; a stage's modules keep their names in every network.
    """

    def __init__(
        self, config: TrainConfig, frozen: str | None = None, state: Mapping[str, Tensor] | None = None
    ) -> None:
        super().__init__(config)
        assert isinstance(self.network, RSN)
        self.rsn = self.network
        earlier = state or {}
        own = self.rsn.state_dict()
        self.rsn.load_state_dict({name: earlier.get(name, tensor) for name, tensor in own.items()})
        self.still: nn.Module | None = None if frozen is None else getattr(self.network, frozen)
        if self.still is not None:
            self.still.requires_grad_(False)

    def _open_data(self) -> None:
        super()._open_data()
        config = self.config
        train, validation = self._split()
        train = _readable(train, self.frames.cache)
        validation = _readable(validation, self.validation.cache)
        self.region_frames = RegionFrames(train, self.training_spec, config.augment, config.seed)
        self.region_validation = RegionFrames(validation, self.training_spec)

    def batches(self, start: int) -> Iterable[RegionBatch]:
        """Training batches from number `start` on."""
        return endless(self.region_frames, len(self.region_frames), collate_regions, self.config, start)

    def prepare(self, batch: DepthBatch, draw: int, device: torch.device) -> tuple[Tensor, ...]:
        """What `DepthTask` prepares, the regions, and the guidance where the network takes one."""
        assert isinstance(batch, RegionBatch)
        if self.still is not None:
            self.still.eval()  # statistics of batch norm stand still, too
        prepared = (*super().prepare(batch, draw, device), batch.regions.to(device))
        return (*prepared, self._guidance(batch, device)) if self.rsn.options.needs_guidance else prepared

    def _guidance(self, batch: RegionBatch, device: torch.device) -> Tensor:
        if self.rsn.options.guidance == "semantic":
            return batch.semantic.to(device)
        spec = self.training_spec
        guidance = true_guidance(batch.depth_m, batch.focal, batch.regions, min_m=spec.min_m, max_m=spec.max_m)
        return guidance.to(device)

    def evaluate(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """As `DepthTask`, or on the validation split alone where the network takes a guidance."""
        if not self.rsn.options.needs_guidance:
            return super().evaluate(network, device)

        batches = in_order(self.region_validation, collate_regions, self.config.batch, self.config.eval_images)
        return depth_figures(self._guided(network, device), batches, self.training_spec)

    def picture(self, network: nn.Module, device: torch.device, count: int) -> NDArray[np.uint8] | None:
        """As `DepthTask`, with the guidance where the network takes one."""
        if not self.rsn.options.needs_guidance:
            return super().picture(network, device, count)
        batches = in_order(self.region_validation, collate_regions, 1, count)
        return draw_batches(self._guided(network, device), batches, self.training_spec)

    def _guided(self, network: nn.Module, device: torch.device) -> Predict:
        def predict(batch: DepthBatch) -> NDArray[np.float32]:
            assert isinstance(batch, RegionBatch)
            with torch.inference_mode():
                answer = network(to_float(batch.image.to(device)), self._guidance(batch, device))
            depth: NDArray[np.float32] = answer[:, 0].float().cpu().numpy()
            return depth

        return predict

    def save(self, network: nn.Module, path: Path, facts: Mapping[str, str]) -> None:
        """The checkpoint, and in its provenance the loss."""
        super().save(network, path, {**facts, "loss": self.config.loss.metric or self.rsn.paper_loss})


def _readable(datasets: Sequence[DepthDataset], cache: FrameCache) -> list[DepthDataset]:
    """The data sets without what their cache left out."""

    def kept(number: int, dataset: DepthDataset) -> DepthDataset:
        return dataset.where(lambda info: (number, info.id) not in cache.bad)

    return [kept(number, dataset) for number, dataset in enumerate(datasets)]
