"""ScanNet as its SensReader exports it: `scannet:DIR`.

Layout, below DIR or DIR/scans: `<scene>/color/N.jpg` (1296x968), `<scene>/depth/N.png` (640x480, millimetres) and
`<scene>/intrinsic/intrinsic_color.txt`, one folder for each scene such as scene0000_00. The splits "train", "val" and
"test" are the lists of scenes `scannetv2_<split>.txt` in DIR.

The colour image is brought to the size of the depth map, as in papers/1, section 5.1, and its camera with it. Both
sensors look the same way from nearly the same place; their offset is left as it is, as the benchmarks do.
"""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.preprocess import Placement
from edgedepth.core.routing import Route
from edgedepth.datasets.files import read_depth_png, read_image_bgr
from edgedepth.datasets.sample import DepthDataset, DepthSample, Entry, SampleInfo

UNITS_PER_M = 1000.0
SPLITS = ("train", "val", "test")


def open_scannet(path: Path, split: str | None = None) -> DepthDataset:
    """Open one split, or all exported scenes for None.

    Raises:
        InputError: the split is unknown or has no list, or no frame is exported.
    """
    if split is not None and split not in SPLITS:
        raise InputError(f"ScanNet has the splits {', '.join(SPLITS)}, but got {split!r}")
    scenes, missing = _scenes(path, split)
    entries = tuple(entry for scene in scenes for entry in _entries(scene, split))
    if not entries:
        raise InputError(
            f"{path} holds no exported frames: expected <scene>/color/0.jpg with <scene>/depth/0.png;"
            " export the .sens files with ScanNet's SensReader"
        )
    notes = (f"{missing} scenes of the list are not there and are left out",) if missing else ()
    return DepthDataset(name=f"scannet:{path}", entries=entries, notes=notes)


def _scenes(path: Path, split: str | None) -> tuple[list[Path], int]:
    """Folders of the scenes of a split, and how many listed ones are missing."""
    root = path / "scans" if (path / "scans").is_dir() else path
    if split is None:
        return sorted(folder for folder in root.iterdir() if (folder / "depth").is_dir()), 0
    listed = path / f"scannetv2_{split}.txt"
    try:
        names = listed.read_text().split()
    except OSError:
        raise InputError(f"the split {split!r} needs its list of scenes as {listed}; ScanNet publishes it") from None
    there = [root / name for name in names if (root / name / "depth").is_dir()]
    return there, len(names) - len(there)


def _entries(scene: Path, split: str | None) -> list[Entry]:
    depths = sorted((scene / "depth").glob("*.png"), key=lambda file: (len(file.stem), file.stem))  # 2 before 10
    return [_entry(scene, depth, split) for depth in depths]


def _entry(scene: Path, depth: Path, split: str | None) -> Entry:
    info = SampleInfo(
        id=f"{scene.name}/{depth.stem}",
        route=Route.LOW,
        domain="indoor",
        split=split,
        scene=scene.name[: len("scene0000")],  # scans of one room differ in their suffix only
    )
    colour = scene / "color" / f"{depth.stem}.jpg"
    if not colour.is_file():
        colour = colour.with_suffix(".png")
    files = (colour, depth, scene / "intrinsic" / "intrinsic_color.txt")
    return Entry(info, partial(_read, *files), files)


def _read(colour: Path, depth: Path, intrinsics: Path, info: SampleInfo) -> DepthSample:
    image_bgr = read_image_bgr(colour)
    depth_m = read_depth_png(depth, UNITS_PER_M)
    fx, fy, cx, cy = _intrinsics(intrinsics)
    height, width = depth_m.shape
    camera = Camera(fx=fx, fy=fy, cx=cx, cy=cy, width=image_bgr.shape[1], height=image_bgr.shape[0])
    if image_bgr.shape[:2] != depth_m.shape:
        placement = Placement.of((camera.width, camera.height), (width, height), "stretch")
        image_bgr, camera = placement.to_input(image_bgr), camera.resized(width, height)
    return DepthSample(**vars(info), image_bgr=image_bgr, depth_m=depth_m, camera=camera)


@lru_cache(maxsize=64)
def _intrinsics(path: Path) -> tuple[float, float, float, float]:
    try:
        matrix = np.array(path.read_text().split(), float).reshape(4, 4)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; export the intrinsics, too") from None
    except ValueError:
        raise InputError(f"{path} must hold a 4x4 matrix; export the intrinsics again") from None
    return float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]), float(matrix[1, 2])
