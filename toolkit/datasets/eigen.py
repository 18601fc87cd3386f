"""The training lists of Eigen et al. 2014, section 4: frames evened over scenes, each changed at random (section 3.3).

They train on 120,000 frames of NYU Depth v2 and 20,000 of KITTI. A list here is fixed: the same frames with the same
changes for the same seed, whoever reads them and in which order.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgedepth.datasets.sample import DepthDataset, DepthSample, Entry, SampleInfo
from edgedepth.datasets.transforms import turned

CROP = 0.95  # of the frame's width and height: 304x228 of 320x240
MAX_ZOOM = 1.5
MAX_ROLL_DEG = 5.0
GAINS = (0.8, 1.2)


def eigen_list(dataset: DepthDataset, count: int, seed: int = 0) -> DepthDataset:
    """`count` samples: every scene equally often, every frame of a scene equally often, all of them changed.

    Samples without a scene count as one scene. Ids get a number, as in `0001#17`.
    """
    rng = np.random.default_rng(seed)
    chosen = _evened([info.scene for info in dataset.infos], count, rng)
    entries = tuple(
        replace(entry, info=replace(entry.info, id=f"{entry.info.id}#{number}"), read=Changed(entry, (seed, number)))
        for number, entry in enumerate(dataset.entries[index] for index in chosen)
    )
    return replace(dataset, entries=entries)


def _evened(scenes: list[str | None], count: int, rng: np.random.Generator) -> list[int]:
    """Indices of `count` samples in random order: as many of each scene, give or take one, and of its frames."""
    frames: dict[str | None, list[int]] = defaultdict(list)
    for index, scene in enumerate(scenes):
        frames[scene].append(index)
    chosen: list[int] = []
    for number, scene in enumerate(rng.permutation(np.arange(len(frames)))):
        own = list(frames.values())[int(scene)]
        quota = count // len(frames) + (number < count % len(frames))
        rounds = [rng.permutation(own) for _ in range(-(-quota // len(own)))]
        chosen += [int(index) for index in np.concatenate(rounds)[:quota]] if quota else []
    return [chosen[place] for place in rng.permutation(len(chosen))]


@dataclass(frozen=True)
class Changed:
    """Reads a sample and changes it: zoom 1 to 1.5, a roll within 5 degrees, a crop, a mirror image, colour gains.

    Indoors, pixels of the least and the greatest depth that a frame has are unknown: there the sensor saw windows,
    doors and mirrors (section 4.1).
    """

    entry: Entry
    key: tuple[int, int]

    def __call__(self, info: SampleInfo) -> DepthSample:
        """The changed sample, under the name in `info`."""
        rng = np.random.default_rng(self.key)
        sample = self.entry.load()
        depth_m = _without_extremes(sample.depth_m) if sample.domain == "indoor" else sample.depth_m
        height, width = depth_m.shape
        wh = (round(width * CROP), round(height * CROP))
        zoom = rng.uniform(1.0, MAX_ZOOM)
        changed = turned(
            replace(sample, depth_m=depth_m),
            zoom=zoom,
            roll_deg=rng.uniform(-MAX_ROLL_DEG, MAX_ROLL_DEG),
            mirrored=bool(rng.random() < 0.5),
            offset=(rng.uniform(0, zoom * width - wh[0]), rng.uniform(0, zoom * height - wh[1])),
            wh=wh,
        )
        coloured = np.rint(changed.image_bgr * rng.uniform(*GAINS, 3)).clip(0, 255).astype(np.uint8)
        return replace(changed, **vars(info), image_bgr=coloured)


def _without_extremes(depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
    known = depth_m[np.isfinite(depth_m)]
    if not known.size:
        return depth_m
    return np.where((depth_m == known.min()) | (depth_m == known.max()), np.float32(np.nan), depth_m)
