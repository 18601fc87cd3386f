"""Training data at network size: which samples, and in which order batches come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from edgedepth.core.errors import InputError
from edgedepth.core.spec import DepthSpec
from edgedepth.trainers import processes
from edgedepth.trainers.cache import FrameCache
from edgedepth.trainers.config import AugmentConfig, TrainConfig
from edgedepth.trainers.fitting import camera_or_canonical, fit_frame


@dataclass(frozen=True, kw_only=True)
class DepthBatch:
    """Frames at network size.

    image: (B, H, W, 3) uint8 RGB.
    depth_m: (B, 1, H, W) float32 metres of the frame's own camera; NaN = not measured, inf = sky.
    focal: (B,) float32, focal length at network size over the canonical one: depth_m / focal is what the network
        learns.
    content: (B, 4) int64, the rows and columns [top, bottom, left, right) that are no padding.
    ids: names of the frames, so that a bad one can be told.
    """

    image: Tensor
    depth_m: Tensor
    focal: Tensor
    content: Tensor
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DepthItem:
    """One frame at network size; see `DepthBatch`."""

    image: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    focal: float
    content: tuple[int, int, int, int]
    id: str


T = TypeVar("T")
Item = TypeVar("Item", covariant=True)
Batch = TypeVar("Batch")
Key = tuple[int, int]  # (epoch, index): all randomness of an item follows from it


class Frames(Protocol[Item]):
    """Frames that are asked for one by one."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Key, /) -> Item: ...


class DepthFrames(Dataset[DepthItem]):
    """Frames of a cache cut to the size of `spec`: whole for evaluation, randomly bent for training.

    Items are asked for by (epoch, index); the same key gives the same item whatever process makes it.
    """

    def __init__(self, cache: FrameCache, spec: DepthSpec, augment: AugmentConfig | None = None, seed: int = 0) -> None:
        self.cache = cache
        self.spec = spec
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.cache)

    def __getitem__(self, key: Key) -> DepthItem:
        epoch, index = key
        frame = self.cache[index]
        rng = np.random.default_rng((self.seed, epoch, index))
        camera = camera_or_canonical(frame.camera, frame.rgb, self.spec)
        fitted = fit_frame(frame.rgb, frame.depth_m, camera, self.spec, augment=self.augment, rng=rng)
        assert fitted.f_px is not None
        return DepthItem(
            image=fitted.image,
            depth_m=fitted.depth_m,
            focal=fitted.f_px / self.spec.f_canonical_px,
            content=fitted.content,
            id=frame.info.id,
        )


def collate(items: Sequence[DepthItem]) -> DepthBatch:
    """Stack items into a batch of tensors."""
    return DepthBatch(
        image=torch.from_numpy(np.stack([item.image for item in items])),
        depth_m=torch.from_numpy(np.stack([item.depth_m for item in items])[:, None]),
        focal=torch.tensor([item.focal for item in items], dtype=torch.float32),
        content=torch.tensor([item.content for item in items]),
        ids=tuple(item.id for item in items),
    )


class EndlessKeys(Sampler[list[Key]]):
    """Batches of (epoch, index) keys: every epoch a new permutation, from step `start` on, without end.

    A step takes `accumulate` batches in each of `processes`; together they are the frames that one process with one
    larger batch would take. Which keys make step n depends on the seed and n alone, so a resumed run sees the batches
    it would have seen.

    Raises:
        InputError: there are fewer frames than batches in a step.
    """

    def __init__(
        self,
        count: int,
        batch: int,
        seed: int,
        start: int = 0,
        *,
        accumulate: int = 1,
        process: int = 0,
        processes: int = 1,
    ) -> None:
        self.count = count
        self.parts = accumulate * processes
        if count < self.parts:
            raise InputError(f"{count} frames cannot make a step of {self.parts} batches; accumulate less, or add data")
        self.batch = min(batch, count // self.parts)
        self.seed = seed
        self.start = start
        self.process, self.processes = process, processes

    @property
    def per_epoch(self) -> int:
        """Steps in an epoch; the few frames left over wait for the next permutation."""
        return self.count // (self.batch * self.parts)

    def __iter__(self) -> Iterator[list[Key]]:
        number = self.start
        while True:
            epoch, position = divmod(number, self.per_epoch)
            order = np.random.default_rng((self.seed, epoch)).permutation(self.count)
            whole = self.batch * self.parts
            step = order[position * whole : (position + 1) * whole]
            for part in range(self.process, self.parts, self.processes):
                yield [(epoch, int(index)) for index in step[part * self.batch : (part + 1) * self.batch]]
            number += 1


def keys_for(count: int, config: TrainConfig, start: int = 0) -> EndlessKeys:
    """The batches of this process in a run on `count` frames."""
    return EndlessKeys(
        count,
        config.batch,
        config.seed,
        start,
        accumulate=config.accumulate,
        process=processes.rank(),
        processes=processes.world_size(),
    )


def endless(
    frames: Dataset[T],
    count: int,
    collate_fn: Callable[[list[T]], Any],
    config: TrainConfig,
    start: int,
) -> DataLoader[T]:
    """A loader of training batches, from step `start` on, for a data set of `count` items asked for by `Key`."""
    return DataLoader(
        frames,
        batch_sampler=keys_for(count, config, start),
        num_workers=config.workers,
        collate_fn=collate_fn,
        persistent_workers=config.workers > 0,
    )


def spread(count: int, limit: int | None) -> list[int]:
    """At most `limit` indices, evenly spread over 0..count - 1."""
    chosen = count if limit is None else min(limit, count)
    return [int(i) for i in np.linspace(0, count - 1, chosen).round()] if chosen else []


def in_order(
    frames: Frames[Item], stack: Callable[[list[Item]], Batch], batch: int, limit: int | None = None
) -> Iterator[Batch]:
    """Batches of frames in their order, for evaluation; `limit` takes that many, evenly spread over the set."""
    indices = spread(len(frames), limit)
    for first in range(0, len(indices), batch):
        yield stack([frames[0, index] for index in indices[first : first + batch]])
