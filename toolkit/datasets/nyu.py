"""NYU Depth v2: `nyu:DIR`, the official labelled file or the folders made of it.

Labelled file: `nyu_depth_v2_labeled.mat` (1449 pairs; HDF5), with `splits.mat` (795 train, 654 test) beside
it for a split. Folders: `<split>/<scene>/rgb_NNNNN.jpg` (or .png) with `sync_depth_NNNNN.png` in millimetres,
the layout of BTS. Depth is what the sensor measured (`rawDepths`), not the in-painted map.

The labelled file of v1 is read, too, for `edgedepth.datasets.nyu_fused`. There `rawDepths` are the Kinect's own
numbers, so depth is the in-painted map (`depths`), which is in metres.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError, require
from edgedepth.core.routing import Route
from edgedepth.datasets.files import read_depth_png, read_image_bgr
from edgedepth.datasets.matlab import read_arrays
from edgedepth.datasets.sample import DepthDataset, DepthSample, Entry, SampleInfo

LABELLED_FILE = "nyu_depth_v2_labeled.mat"
SPLITS_FILE = "splits.mat"
SPLITS = ("train", "test")
_PART = re.compile(r"(?<=\d)[a-z]$")  # study_room_0005a and study_room_0005b are one room
_OF_V2_ALONE = frozenset(("instances", "rawDepthFilenames", "rawRgbFilenames", "sceneTypes"))  # v1 has none of them

# colour camera of the data set's toolbox (camera_params.m)
_CAMERA = Camera(fx=518.85790, fy=519.46961, cx=325.58245, cy=253.73617, width=640, height=480)


def open_nyu(path: Path, split: str | None = None) -> DepthDataset:
    """Open the labelled file or the folders; `split` is "train", "test" or None for all.

    Raises:
        InputError: neither layout is there, or the split's list is missing.
        MissingPackageError: the labelled file needs h5py.
    """
    if split is not None and split not in SPLITS:
        raise InputError(f"NYU Depth v2 has the splits {' and '.join(SPLITS)}, but got {split!r}")
    labelled = path if path.suffix == ".mat" else path / LABELLED_FILE
    if labelled.is_file():
        entries = _labelled_entries(labelled, split)
    else:
        entries = _folder_entries(path, SPLITS if split is None else (split,))
    return DepthDataset(name=f"nyu:{path}", entries=entries)


def _labelled_entries(path: Path, split: str | None) -> tuple[Entry, ...]:
    content = open_h5(path, os.getpid())
    count = content["images"].shape[0]
    scenes: Sequence[str | None] = scene_names(content) or [None] * count
    splits = path.parent / SPLITS_FILE
    if split is None:
        chosen: list[int] = list(range(count))
    elif splits.is_file():
        chosen = _split_indices(splits, split, count)
    else:
        raise InputError(f"the split {split!r} needs {SPLITS_FILE} beside {path}; download it from the data set's page")
    return tuple(
        Entry(
            SampleInfo(id=f"{index + 1:04d}", route=Route.LOW, domain="indoor", split=split, scene=scenes[index]),
            partial(read_labelled, path, index),
            (path,),
        )
        for index in chosen
    )


def scene_names(content: Any) -> list[str]:
    """The scene of every frame of a labelled file, empty if it does not tell them."""
    if "scenes" not in content:
        return []
    # a MATLAB cell array of text: references to arrays of character codes
    return ["".join(map(chr, np.asarray(content[reference]).ravel())) for reference in np.ravel(content["scenes"])]


def _split_indices(path: Path, split: str, count: int) -> list[int]:
    arrays, name = read_arrays(path), f"{split}Ndxs"
    if name not in arrays:
        raise InputError(f"{path} holds no {name}; download it again from the data set's page")
    indices = [int(value) - 1 for value in arrays[name].ravel()]  # MATLAB counts from 1
    if not indices or min(indices) < 0 or max(indices) >= count:
        raise InputError(f"{path} names images outside 1..{count} of the labelled file; both must be the official ones")
    return indices


@lru_cache(maxsize=2)
def open_h5(path: Path, process: int) -> Any:  # noqa: ARG001 (an HDF5 handle must not cross a fork)
    """The open labelled file; `process` is the id of the one that reads.

    Raises:
        InputError: it is not HDF5, or lacks images or depth.
        MissingPackageError: h5py is not installed.
    """
    h5py = require("h5py", extra="train")
    try:
        content = h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path} is not a readable HDF5 file ({error}); download it again") from None
    missing = {"images", depth_variable(content)} - set(content)
    if missing:
        raise InputError(f"{path} lacks {', '.join(sorted(missing))}; use the official {LABELLED_FILE}")
    return content


def depth_variable(content: Any) -> str:
    """The variable of a labelled file that holds metres: `rawDepths` of v2, `depths` of v1."""
    of_v1 = "depths" in content and not _OF_V2_ALONE & set(content)
    return "depths" if of_v1 else "rawDepths"


def read_labelled(path: Path, index: int, info: SampleInfo) -> DepthSample:
    """Frame `index` (from 0) of a labelled file."""
    content = open_h5(path, os.getpid())
    # MATLAB's column-major arrays arrive transposed: (3, W, H) and (W, H)
    image_rgb: NDArray[np.uint8] = np.asarray(content["images"][index], np.uint8).transpose(2, 1, 0)
    depth_m = np.ascontiguousarray(np.asarray(content[depth_variable(content)][index], np.float32).T)
    depth_m[depth_m <= 0] = np.nan
    labels = None
    if "labels" in content:
        labels = np.ascontiguousarray(np.asarray(content["labels"][index], np.uint16).T)
    return DepthSample(
        **vars(info),
        image_bgr=np.ascontiguousarray(image_rgb[..., ::-1]),
        depth_m=depth_m,
        camera=_camera_for(depth_m),
        semantic=labels,
    )


def _folder_entries(path: Path, splits: tuple[str, ...]) -> tuple[Entry, ...]:
    entries = []
    for split in splits:
        for depth in sorted((path / split).glob("*/sync_depth_*.png")):
            number = depth.stem.removeprefix("sync_depth_")
            info = SampleInfo(
                id=f"{split}/{depth.parent.name}/{number}",
                route=Route.LOW,
                domain="indoor",
                category=depth.parent.name,
                split=split,
                scene=_PART.sub("", depth.parent.name),
            )
            image = depth.with_name(f"rgb_{number}.jpg")
            files = (image if image.is_file() else image.with_suffix(".png"), depth)
            entries.append(Entry(info, partial(_read_folder, *files), files))
    if not entries:
        raise InputError(
            f"{path} holds no NYU Depth v2: expected {LABELLED_FILE}, or folders like"
            f" {splits[-1]}/<scene>/rgb_00000.jpg with sync_depth_00000.png"
        )
    return tuple(entries)


def _read_folder(image: Path, depth: Path, info: SampleInfo) -> DepthSample:
    depth_m = read_depth_png(depth, units_per_m=1000)
    return DepthSample(
        **vars(info),
        image_bgr=read_image_bgr(image),
        depth_m=depth_m,
        camera=_camera_for(depth_m),
    )


def _camera_for(depth_m: NDArray[np.float32]) -> Camera:
    height, width = depth_m.shape
    return _CAMERA if (width, height) == (640, 480) else _CAMERA.resized(width, height)
