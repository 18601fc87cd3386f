"""SYNTHIA-RAND-CITYSCAPES: `synthia:DIR` (papers/2, section 4.1).

Layout: `RGB/NNNNNNN.png` (1280x760), `Depth/Depth/NNNNNNN.png` or `Depth/NNNNNNN.png` (16 bits, centimetres, three
equal channels) and, where it was unpacked, `GT/LABELS/NNNNNNN.png` (16 bits, the class in the first channel). The data
set has no official split: `split` names a list `<split>.txt` of frame numbers or file names in DIR, yours or a paper's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.routing import Route
from edgedepth.datasets.files import read_first_channel_png, read_image_bgr
from edgedepth.datasets.sample import DepthDataset, DepthSample, Entry, SampleInfo

UNITS_PER_M = 100.0
CLASSES = (
    "void", "sky", "building", "road", "sidewalk", "fence", "vegetation", "pole", "car", "traffic sign", "pedestrian",
    "bicycle", "motorcycle", "parking slot", "road work", "traffic light", "terrain", "rider", "truck", "bus", "train",
    "wall", "lane marking",
)  # fmt: skip

# the virtual camera, as published with the data
_CAMERA = Camera(fx=532.740352, fy=532.740352, cx=640.0, cy=380.0, width=1280, height=760)


def open_synthia(path: Path, split: str | None = None) -> DepthDataset:
    """Open the frames of a list, or all for None; those then name the split they are listed in.

    Raises:
        InputError: there are no frames, or the split has no list or names a frame that is not there.
    """
    depths = path / "Depth" / "Depth" if (path / "Depth" / "Depth").is_dir() else path / "Depth"
    frames = {depth.stem: depth for depth in sorted(depths.glob("*.png"))}
    if not frames:
        raise InputError(
            f"{path} holds no SYNTHIA-RAND-CITYSCAPES: expected RGB/0000000.png and Depth/Depth/0000000.png"
        )
    splits = _splits(path, frames) if split is None else dict.fromkeys(_listed(path / f"{split}.txt", frames), split)
    entries = tuple(_entry(path, frames[name], of) for name, of in splits.items())
    return DepthDataset(name=f"synthia:{path}", entries=entries, semantic_classes=CLASSES)


def _splits(path: Path, frames: dict[str, Path]) -> Mapping[str, str | None]:
    """The split of every frame by the lists there are, None without any: a tested frame is never trained on."""
    lists = [name for name in ("train", "val", "test") if (path / f"{name}.txt").is_file()]
    rest = None if not lists else "unlisted" if "train" in lists else "train"
    named = {frame: name for name in lists for frame in _listed(path / f"{name}.txt", frames)}
    return {frame: named.get(frame, rest) for frame in frames}


def _listed(path: Path, frames: dict[str, Path]) -> list[str]:
    try:
        lines = path.read_text().split()
    except OSError:
        raise InputError(f"the data set has no splits of its own; list the frames of yours in {path}") from None
    names = [Path(line).stem for line in lines]
    unknown = [name for name in names if name not in frames]
    if unknown or not names:
        problem = f"names {unknown[0]!r}, which is no frame here" if unknown else "is empty"
        raise InputError(f"{path} {problem}; a list holds one frame such as 0000000 a line")
    return names


def _entry(path: Path, depth: Path, split: str | None) -> Entry:
    info = SampleInfo(id=depth.stem, route=Route.HIGH, domain="outdoor", split=split, scene=depth.stem)
    labels = path / "GT" / "LABELS" / depth.name
    files = (path / "RGB" / depth.name, depth, *([labels] if labels.is_file() else []))
    return Entry(info, partial(_read, files), files)


def _read(files: tuple[Path, ...], info: SampleInfo) -> DepthSample:
    image, depth, *labels = files
    image_bgr = read_image_bgr(image)
    raw = read_first_channel_png(depth)
    depth_m = raw.astype(np.float32) / np.float32(UNITS_PER_M)
    depth_m[raw == 0] = np.nan
    height, width = image_bgr.shape[:2]
    return DepthSample(
        **vars(info),
        image_bgr=image_bgr,
        depth_m=depth_m,
        camera=_CAMERA if (width, height) == (1280, 760) else _CAMERA.resized(width, height),
        semantic=_classes(labels[0]) if labels else None,
    )


def _classes(path: Path) -> NDArray[Any]:
    return read_first_channel_png(path).astype(np.uint8)
