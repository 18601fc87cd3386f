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
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.routing import Route
from edgedepth.datasets.files import read_depth_png, read_image_bgr, read_labels_png
from edgedepth.datasets.sample import DepthDataset, DepthSample, Entry, SampleInfo


class PairRecord(BaseModel):
    """One object of the list; unknown keys are the user's own and ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rgb: str
    depth: str
    depth_scale: float = Field(gt=0)
    id: str | None = None
    intrinsics: tuple[float, float, float, float] | None = None
    domain: str | None = None
    route: Route | None = None
    category: str | None = None
    split: str | None = None
    scene: str | None = None
    scene_seed: int | None = None
    semantic: str | None = None

    def info(self) -> SampleInfo:
        """What is known of the pair without reading it."""
        return SampleInfo(
            id=self.id if self.id is not None else Path(self.rgb).with_suffix("").as_posix(),
            route=self.route if self.route is not None else _route_of(self.domain),
            domain=self.domain,
            category=self.category,
            split=self.split,
            scene=str(self.scene_seed) if self.scene is None and self.scene_seed is not None else self.scene,
        )


_RECORDS = TypeAdapter(tuple[PairRecord, ...])


def open_pairs(path: Path, split: str | None = None) -> DepthDataset:
    """Open a list of pairs; `split` keeps the pairs of that split.

    Raises:
        InputError: the file is missing, not of this form, empty, or has no pair of the split.
    """
    records = read_records(path)
    if split is not None:
        known = sorted({record.split for record in records if record.split is not None})
        if split not in known:
            has = f"it has: {', '.join(known)}" if known else "its pairs name none; leave the split out"
            raise InputError(f"{path} has no split {split!r}; {has}")
        records = tuple(record for record in records if record.split == split)
    folder = path.parent
    return DepthDataset(
        name=f"pairs:{path}",
        entries=tuple(Entry(record.info(), partial(_read_pair, folder, record)) for record in records),
    )


def read_records(path: Path) -> tuple[PairRecord, ...]:
    """Read and check the list in a pairs file.

    Raises:
        InputError: the file is missing, empty or not of this form; the message names the first fault.
    """
    try:
        content: Any = json.loads(path.read_bytes())
        records = _RECORDS.validate_python(content)
    except OSError as error:
        raise InputError(f"cannot read the list of pairs {path}: {error.strerror}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is not JSON ({error}); see pairs:FILE in the documentation of data sets"
        ) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise InputError(f"{path} is not a list of pairs: entry {place}: {first['msg']}") from None
    if not records:
        raise InputError(f"{path} lists no pair")
    return records


def _route_of(domain: str | None) -> Route | None:
    if domain is None:
        return None
    return {"indoor": Route.LOW, "outdoor": Route.HIGH}.get(domain.partition("_")[0])


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
        # ICL-NUIM publishes a negative fy because its y axis points up; image rows still count down
        camera = Camera(fx=fx, fy=abs(fy), cx=cx, cy=cy, width=width, height=height)
    return DepthSample(
        **vars(info),
        image_bgr=image_bgr,
        depth_m=depth_m,
        camera=camera,
        semantic=None if record.semantic is None else read_labels_png(folder / record.semantic),
    )
