"""Training data of papers/5: frames with their regions, cut and mirrored together, read straight from the data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from edgedepth.core.errors import InputError
from edgedepth.core.spec import DepthSpec
from edgedepth.datasets import DepthDataset
from edgedepth.trainers.config import AugmentConfig
from edgedepth.trainers.data import DepthBatch, DepthItem, Key, collate
from edgedepth.trainers.fitting import camera_or_canonical, fit_frame
from edgedepth.trainers.regions.support import regions_of

HIGHEST_CLASS = np.float32(1000)  # NYU's labelled file has 894 classes


@dataclass(frozen=True, kw_only=True)
class RegionBatch(DepthBatch):
    """Frames at network size with what papers/5 supervises and guides by.

    regions: (B, 1, H, W) int64, 0 = none; see `edgedepth.trainers.regions.support`.
    semantic: (B, 1, H, W) float32, class ids over 1000, so in 0..1.
    """

    regions: Tensor
    semantic: Tensor


@dataclass(frozen=True, kw_only=True)
class RegionItem(DepthItem):
    """One frame; see `RegionBatch`."""

    regions: NDArray[np.int32]
    semantic: NDArray[np.float32]


class RegionFrames(Dataset[RegionItem]):
    """Labelled frames at the size of `spec`, asked for by (epoch, index) like `DepthFrames`.

    Regions are found at that size, after the cut, so that a region never has parts outside the frame.
    """

    def __init__(
        self,
        datasets: Sequence[DepthDataset],
        spec: DepthSpec,
        augment: AugmentConfig | None = None,
        seed: int = 0,
    ) -> None:
        self.entries = [entry for dataset in datasets for entry in dataset.entries]
        self.spec = spec
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, key: Key) -> RegionItem:
        epoch, index = key
        sample = self.entries[index].load()
        if sample.semantic is None:
            raise InputError(
                f"{sample.id} has no semantic labels, which regions are made of; use data that has them,"
                " such as synth:DIR or the labelled file of nyu:DIR"
            )
        fitted = fit_frame(
            np.ascontiguousarray(sample.image_bgr[..., ::-1]),
            sample.depth_m,
            camera_or_canonical(sample.camera, sample.image_bgr, self.spec),
            self.spec,
            labels=sample.semantic,
            augment=self.augment,
            rng=np.random.default_rng((self.seed, epoch, index)),
        )
        assert fitted.labels is not None
        assert fitted.f_px is not None
        return RegionItem(
            image=fitted.image,
            depth_m=fitted.depth_m,
            focal=fitted.f_px / self.spec.f_canonical_px,
            content=fitted.content,
            regions=regions_of(fitted.labels, fitted.depth_m),
            semantic=fitted.labels.astype(np.float32) / HIGHEST_CLASS,
            id=sample.id,
        )


def collate_regions(items: Sequence[RegionItem]) -> RegionBatch:
    """Stack items into a batch of tensors."""
    return RegionBatch(
        **vars(collate(items)),
        regions=torch.from_numpy(np.stack([item.regions for item in items])[:, None]).long(),
        semantic=torch.from_numpy(np.stack([item.semantic for item in items])[:, None]),
    )
