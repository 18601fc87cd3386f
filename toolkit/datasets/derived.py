"""Training data made of other data: `eigen-120k:nyu:DIR` is what a paper makes of `nyu:DIR`.

A prefix that changes frames changes what a network is trained on alone; validation and tests see the frames as they
are. One that picks frames picks them in every part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from edgedepth.core.errors import InputError
from edgedepth.core.routing import Route
from edgedepth.datasets.eigen import eigen_list
from edgedepth.datasets.sample import DepthDataset, DepthSample, Entry, SampleInfo
from edgedepth.datasets.transforms import cropped, resized, zero_padded

PADDED_WH, COARSE_WH, PATCH_WH = (1248, 384), (832, 256), (320, 240)
PATCHES = 3  # of a frame; three span the width of 832
NEAR_M = 10.0


@dataclass(frozen=True, kw_only=True)
class Derivation:
    """A prefix: the data set it makes of another, and what that is, for messages and help.

    picks: it picks frames and leaves their pixels as they are, so it is for every split; others are for training alone.
    """

    apply: Callable[[DepthDataset], DepthDataset]
    what: str
    picks: bool = False


def coarse_patches(dataset: DepthDataset, seed: int = 0) -> DepthDataset:
    """Street frames for the coarse network of papers/1, section 5.1: 320x240 patches of frames at 832x256.

    Frames are zero-padded to 1248x384, brought to 832x256, and cut at random places; three patches of each.
    """
    patches = [(entry, number) for entry in dataset.entries for number in range(PATCHES)]
    entries = tuple(
        replace(entry, info=replace(entry.info, id=f"{entry.info.id}#{number}"), read=Patch(entry, (seed, place)))
        for place, (entry, number) in enumerate(patches)
    )
    return replace(dataset, entries=entries)


@dataclass(frozen=True)
class Patch:
    """Reads a frame and cuts the patch that its key says out of it."""

    entry: Entry
    key: tuple[int, int]

    def __call__(self, info: SampleInfo) -> DepthSample:
        """The patch, under the name in `info`."""
        rng = np.random.default_rng(self.key)
        whole = resized(zero_padded(self.entry.load(), PADDED_WH), COARSE_WH)
        x, y = (int(rng.integers(0, COARSE_WH[axis] - PATCH_WH[axis] + 1)) for axis in (0, 1))
        return replace(cropped(whole, x, y, PATCH_WH), **vars(info))


def near_frames(dataset: DepthDataset, limit_m: float = NEAR_M) -> DepthDataset:
    """The frames whose greatest measured depth is below `limit_m`, as frames of the low range (papers/1, R2).

    Reads every frame to know; one that cannot be read stays, to be named where it is used.
    """
    chosen = tuple(entry for entry in dataset.entries if _is_near(entry, limit_m))
    entries = tuple(replace(entry, info=replace(entry.info, route=Route.LOW)) for entry in chosen)
    note = f"{len(entries)} of {len(dataset)} frames have no depth of {limit_m:g} m or more"
    return replace(dataset, entries=entries, notes=(*dataset.notes, note))


def _is_near(entry: Entry, limit_m: float) -> bool:
    try:
        depth_m = entry.load().depth_m
    except (InputError, ValueError, OSError):
        return True
    return not bool((depth_m >= limit_m).any())


DERIVATIONS: Mapping[str, Derivation] = {
    "eigen-20k": Derivation(
        apply=partial(eigen_list, count=20_000), what="Eigen et al.'s 20,000 changed samples, for KITTI"
    ),
    "eigen-120k": Derivation(
        apply=partial(eigen_list, count=120_000), what="Eigen et al.'s 120,000 changed samples, for NYU Depth v2"
    ),
    "coarse": Derivation(apply=coarse_patches, what="320x240 patches of KITTI at 832x256, for the coarse network"),
    "near": Derivation(apply=near_frames, what="the frames without depth of 10 m or more, as near ones", picks=True),
}


def derivation_of(name: str) -> tuple[Derivation | None, str]:
    """Split `prefix:kind:path` into the derivation, None without a prefix, and the rest of the name."""
    prefix, _, rest = name.partition(":")
    return (DERIVATIONS[prefix], rest) if prefix in DERIVATIONS else (None, name)
