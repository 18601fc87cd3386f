"""Image and depth pairs listed in a JSON file: `pairs:FILE`, the form to bring one's own data in.

The file is a list of objects; paths are relative to its folder::

    {"id": "kitchen/0001", "rgb": "kitchen/0001.jpg", "depth": "kitchen/0001.png", "depth_scale": 1000.0,
     "intrinsics": [fx, fy, cx, cy], "domain": "indoor"}

`depth` is a 16-bit PNG of z-depth, metres = value / depth_scale, 0 = no measurement. `intrinsics` are in
pixels of the stored image. Optional: `id`, `intrinsics`, `domain`, `route` ("low" or "high"; else taken from
a domain that begins with "indoor" or "outdoor"), `category`, `split`, `scene_seed` or `scene`, `semantic`
(PNG of class ids).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.routing import Route
from edgedepth.datasets.files import read_depth_png, read_image_bgr, read_labels_png
from edgedepth.datasets.sample import DepthDataset, DepthSample, Entry, SampleInfo

_DOMAIN_ROUTES = {"indoor": Route.LOW, "outdoor": Route.HIGH}


@dataclass(frozen=True, kw_only=True)
class PairRecord:
    """One object of the list, checked: where the files lie, and what is known of the pair."""

    info: SampleInfo
    rgb: str
    depth: str
    depth_scale: float
    intrinsics: tuple[float, float, float, float] | None
    semantic: str | None

    @classmethod
    def of(cls, item: Any) -> PairRecord:
        """Check one object; keys that are not ours are the user's own and ignored.

        Raises:
            ValueError: the first key that is missing or of the wrong kind.
        """
        if not isinstance(item, dict):
            raise ValueError(f"expected an object with rgb, depth and depth_scale, but got {item!r:.60}")
        rgb, depth = _text(item, "rgb"), _text(item, "depth")
        if rgb is None or depth is None:
            raise ValueError(f"{'rgb' if rgb is None else 'depth'} is missing")
        id, domain, scene = _text(item, "id"), _text(item, "domain"), _text(item, "scene")
        if scene is None and item.get("scene_seed") is not None:
            scene = str(item["scene_seed"])
        return cls(
            info=SampleInfo(
                id=id if id is not None else Path(rgb).with_suffix("").as_posix(),
                route=_route(item, domain),
                domain=domain,
                category=_text(item, "category"),
                split=_text(item, "split"),
                scene=scene,
            ),
            rgb=rgb,
            depth=depth,
            depth_scale=_positive(item, "depth_scale"),
            intrinsics=_intrinsics(item),
            semantic=_text(item, "semantic"),
        )


def open_pairs(path: Path, split: str | None = None) -> DepthDataset:
    """Open a list of pairs; `split` keeps the pairs of that split.

    Raises:
        InputError: the file is missing, not of this form, empty, or has no pair of the split.
    """
    records = read_records(path)
    if split is not None:
        known = sorted({record.info.split for record in records if record.info.split is not None})
        if split not in known:
            has = f"choose with --split: {', '.join(known)}" if known else "its pairs name none; leave the split out"
            raise InputError(f"{path} has no split {split!r}; {has}")
        records = tuple(record for record in records if record.info.split == split)
    return DepthDataset(name=f"pairs:{path}", entries=tuple(_entry(path, record) for record in records))


def _entry(path: Path, record: PairRecord) -> Entry:
    named = (name for name in (record.rgb, record.depth, record.semantic) if name is not None)
    files = (path, *(path.parent / name for name in named))  # the list, too: it tells scale and intrinsics
    return Entry(record.info, partial(_read_pair, path.parent, record), files)


def read_records(path: Path) -> tuple[PairRecord, ...]:
    """Read and check the list in a pairs file.

    Raises:
        InputError: the file is missing, empty or not of this form; the message names the first fault.
    """
    return tuple(_record(path, index, item) for index, item in enumerate(_items(path)))


def faults_of(path: Path) -> dict[int, str]:
    """What is wrong with the entries of a pairs file that are none, by their place in the list.

    Raises:
        InputError: the file is missing, empty or no list.
    """
    found = {index: _fault(item) for index, item in enumerate(_items(path))}
    return {index: fault for index, fault in found.items() if fault}


def _fault(item: Any) -> str:
    try:
        PairRecord.of(item)
    except ValueError as error:
        return str(error)
    return ""


def _items(path: Path) -> list[Any]:
    try:
        content: Any = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read the list of pairs {path}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); it must be a list of pairs") from None
    if not isinstance(content, list) or not content:
        raise InputError(f"{path} must be a list of objects with rgb, depth and depth_scale, and not empty")
    return content


def _record(path: Path, index: int, item: Any) -> PairRecord:
    try:
        return PairRecord.of(item)
    except ValueError as error:
        raise InputError(f"{path} is not a list of pairs: entry {index}: {error}") from None


def _text(item: dict[str, Any], key: str) -> str | None:
    value = item.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{key} must be text, but is {value!r:.60}")
    return value


def _positive(item: dict[str, Any], key: str) -> float:
    value = item.get(key)
    if not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
        raise ValueError(f"{key} must be a positive number, but is {value!r:.60}")
    return float(value)


def _intrinsics(item: dict[str, Any]) -> tuple[float, float, float, float] | None:
    values = item.get("intrinsics")
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != 4 or not all(isinstance(v, (int, float)) for v in values):
        raise ValueError(f"intrinsics must be [fx, fy, cx, cy] in pixels, but is {values!r:.60}")
    fx, fy, cx, cy = (float(value) for value in values)
    # ICL-NUIM publishes a negative fy because its y axis points up; image rows still count down
    return fx, abs(fy), cx, cy


def _route(item: dict[str, Any], domain: str | None) -> Route | None:
    route = _text(item, "route")
    if route is not None:
        if route not in {known.value for known in Route}:
            raise ValueError(f"route must be low or high, but is {route!r}")
        return Route(route)
    return next((known for start, known in _DOMAIN_ROUTES.items() if domain and domain.startswith(start)), None)


def _read_pair(folder: Path, record: PairRecord, info: SampleInfo) -> DepthSample:
    image_bgr = read_image_bgr(folder / record.rgb)
    depth_m = read_depth_png(folder / record.depth, record.depth_scale)
    height, width = image_bgr.shape[:2]
    if depth_m.shape != (height, width):
        raise InputError(
            f"{info.id}: depth is {depth_m.shape[1]}x{depth_m.shape[0]}, but the image is {width}x{height};"
            " bring both to one size"
        )
    camera = None
    if record.intrinsics is not None:
        fx, fy, cx, cy = record.intrinsics
        camera = Camera(fx=fx, fy=fy, cx=cx, cy=cy, width=width, height=height)
    return DepthSample(
        **vars(info),
        image_bgr=image_bgr,
        depth_m=depth_m,
        camera=camera,
        semantic=None if record.semantic is None else read_labels_png(folder / record.semantic),
    )
