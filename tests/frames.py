"""Tiny labelled frames on disk for tests of training."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from edgedepth.datasets import DepthDataset


def write_planes(folder: Path, count: int, *, size_wh: tuple[int, int] = (64, 48)) -> Path:
    """Frames of slanted planes whose brightness tells their depth, as pairs.json."""
    folder.mkdir(parents=True, exist_ok=True)
    width, height = size_wh
    rng = np.random.default_rng(0)
    records = []
    for number in range(count):
        near, far = rng.uniform(0.8, 2.0), rng.uniform(2.5, 8.0)
        depth = np.linspace(far, near, height)[:, None] * np.ones(width)
        image = np.repeat((255 * (1 - depth / 10))[..., None], 3, axis=2)
        noisy = (image + rng.normal(0, 4, image.shape)).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), noisy)
        cv2.imwrite(str(folder / f"{number}.depth.png"), (depth * 1000).astype(np.uint16))
        records.append(
            {
                "id": str(number),
                "domain": "indoor",
                "rgb": f"{number}.png",
                "depth": f"{number}.depth.png",
                "depth_scale": 1000.0,
                "intrinsics": [52.0, 52.0, (width - 1) / 2, (height - 1) / 2],
            }
        )
    path = folder / "pairs.json"
    path.write_text(json.dumps(records))
    return path


def files_below(folder: Path, dataset: DepthDataset) -> list[set[str]]:
    """The files of each sample, which must be there, by their names below a folder."""
    assert all(file.is_file() for entry in dataset.entries for file in entry.files)
    return [{file.relative_to(folder).as_posix() for file in entry.files} for entry in dataset.entries]
