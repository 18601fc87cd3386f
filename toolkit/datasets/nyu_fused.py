"""The labelled frames of NYU Depth v1 and v2 together, split by scene as papers/5 does: `nyu-fused:DIR`.

DIR holds `nyu_depth_data_labeled.mat` (v1, 2284 frames) and `nyu_depth_v2_labeled.mat` (v2, 1449 frames), as published.
Depth is v1's in-painted `depths`, whose `rawDepths` are not in metres, and v2's `rawDepths`.
The paper (section 4) tests on several frames, chosen at random, of scenes with many, and on all of scenes with few:
483 for testing, 3264 for training. Its list is not published. Here the choice is by a hash of each frame's name, the
same on every machine: all frames of scenes with at most two, and a seventh of each other scene, at least one.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from functools import partial
from pathlib import Path

from edgedepth.core.errors import InputError
from edgedepth.core.routing import Route
from edgedepth.datasets.nyu import LABELLED_FILE, depth_variable, open_h5, read_labelled, scene_names
from edgedepth.datasets.sample import DepthDataset, Entry, SampleInfo

V1_FILE = "nyu_depth_data_labeled.mat"
SPLITS = ("train", "test")
_FEW = 2  # frames of a scene that are all for testing
_EVERY = 7


def open_nyu_fused(path: Path, split: str | None = None) -> DepthDataset:
    """Open the training or the test split, or both for None.

    Raises:
        InputError: a file is missing or has no scenes, or the split is unknown.
        MissingPackageError: reading needs h5py.
    """
    if split is not None and split not in SPLITS:
        raise InputError(f"the fused NYU set has the splits {' and '.join(SPLITS)}, but got {split!r}")
    frames = [
        frame for version, name in (("v1", V1_FILE), ("v2", LABELLED_FILE)) for frame in _frames(path / name, version)
    ]
    chosen = _testing(frames)
    entries = tuple(
        Entry(
            SampleInfo(id=id, route=Route.LOW, domain="indoor", split=SPLITS[id in chosen], scene=scene),
            partial(read_labelled, file, index),
            (file,),
        )
        for id, scene, file, index in frames
        if split is None or SPLITS[id in chosen] == split
    )
    return DepthDataset(name=f"nyu-fused:{path}", entries=entries)


Frame = tuple[str, str, Path, int]  # name, scene, file, index in it


def _frames(file: Path, version: str) -> list[Frame]:
    if not file.is_file():
        raise InputError(f"the fused NYU set needs {file}; download it from the data set's page")
    content = open_h5(file, os.getpid())
    if version == "v1" and depth_variable(content) != "depths":
        raise InputError(f"{file} is not v1, whose depth is in depths; use the official file")
    names = scene_names(content)
    if not names:
        raise InputError(f"{file} does not name its scenes; use the official file")
    return [(f"{version}/{index + 1:04d}", name, file, index) for index, name in enumerate(names)]


def _testing(frames: list[Frame]) -> set[str]:
    """Names of the frames to test on; scenes of v1 and v2 that share a name are one scene."""
    scenes: dict[str, list[str]] = defaultdict(list)
    for id, scene, _, _ in frames:
        scenes[scene].append(id)
    testing: set[str] = set()
    for ids in scenes.values():
        ranked = sorted(ids, key=lambda id: hashlib.sha256(id.encode()).digest())
        testing.update(ids if len(ids) <= _FEW else ranked[: max(1, len(ids) // _EVERY)])
    return testing
