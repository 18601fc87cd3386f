"""Frames decoded once: RGB and depth of whole data sets in two flat files that processes map instead of reading."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.files import locked, output_error, write_atomic
from edgedepth.core.preprocess import Placement
from edgedepth.core.spec import ResizePolicy
from edgedepth.datasets.sample import DepthDataset, DepthSample, Entry, SampleInfo

_FORMAT = 3
_BAD_SHARE = 0.1  # samples that may be unusable before a data set is refused
_NO_DEPTH = "not one pixel of depth"

_Record = dict[str, Any]  # of a sample: its stamp, and its size and camera or why it is bad


class _Sample(NamedTuple):
    """An entry, the label of nothing in its set, and what changes with its files: None where one is gone."""

    entry: Entry
    void: int | None
    stamp: str | None


@dataclass(frozen=True)
class Frame:
    """A decoded frame; the arrays are read-only views.

    rgb: (H, W, 3) uint8. depth_m: (H, W) float16 metres, NaN = not measured, inf = sky or too far to store.
    camera: in pixels of these arrays, None if unknown.
    """

    info: SampleInfo
    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float16]
    camera: Camera | None


class FrameCache(Sequence[Frame]):
    """The decoded frames of `datasets` in a folder below `folder`; the first run fills it, later ones only map it.

    Frames are stored no larger than it takes to cover `cover_wh` (resized as `Placement` does), or, with `policy`, as
    `Placement` brings them to exactly that size, so that evaluation sees them resized once, as a run does. Half
    precision keeps depth to 0.05 %. The folder's name follows from the data sets and that size, so different sets never
    meet. One run fills a folder while others wait; what is mapped by a run that goes on is never written again.

    Samples whose files are missing or damaged, and with `need_depth` those without a measured pixel, are left out.
    A sample is decoded again when one of its files has another path, size or time than before; until then it stays left
    out, or as it was decoded, which it also stays when a file of it is gone: a cache outlives its source.

    folder: where this cache lies. infos: what is known of every frame without its pixels.
    bad: what was left out, reasons by the data set's number and the sample's name.
    token: names what was decoded, another one after the data have changed.

    Raises:
        InputError: more than a tenth of the samples cannot be used; the message names the first.
        OutputError: the folder cannot be written.
    """

    def __init__(
        self,
        datasets: Sequence[DepthDataset],
        folder: Path,
        *,
        cover_wh: tuple[int, int],
        policy: ResizePolicy | None = None,
        need_depth: bool = True,
        progress: Progress | None = None,
    ) -> None:
        self._cover_wh, self._policy = cover_wh, policy
        self._need_depth = need_depth
        self.folder = folder / (_fingerprint(datasets, cover_wh, policy) + ("" if need_depth else "-all"))
        index = self.folder / "index.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._alone(progress):
                self._open(index)
                samples = _stamped(datasets)
                if any(self._is_stale(place, sample.stamp) for place, sample in enumerate(samples)):
                    self._fill(index, samples, progress)
        except OSError as error:
            raise output_error(self.folder, error) from error
        named = [(number, info) for number, dataset in enumerate(datasets) for info in dataset.infos]
        told = zip(named, self._records, strict=True)
        self.bad = {(number, info.id): str(record["bad"]) for (number, info), record in told if "bad" in record}
        self._places = [place for place, record in enumerate(self._records) if "bad" not in record]
        self.infos = tuple(named[place][1] for place in self._places)

    def _alone(self, progress: Progress | None) -> AbstractContextManager[None]:
        """Hold off other runs that would fill this folder; nobody fills one that cannot be written."""
        if not os.access(self.folder, os.W_OK):
            return nullcontext()

        def waiting() -> None:
            if progress is not None:
                progress.console.print("another run is filling this cache; waiting for it", soft_wrap=True)

        return locked(self.folder / ".lock", waiting)

    def _open(self, index: Path) -> None:
        """Take over what the folder holds; nothing where there is no index, or the pixels it tells of are gone."""
        content: dict[str, Any] = json.loads(index.read_text()) if index.exists() else {"files": "", "frames": []}
        self.token: str = content["files"]
        self._records: list[_Record] = content["frames"]
        areas = [0 if "bad" in record else record["wh"][0] * record["wh"][1] for record in self._records]
        self._offsets: list[int] = np.cumsum([0, *areas]).tolist()
        sizes = zip(_data_files(self.folder, self.token), (3 * self._offsets[-1], 2 * self._offsets[-1]), strict=True)
        if not all(path.is_file() and path.stat().st_size == size for path, size in sizes):
            self._records, self._offsets = [], [0]
        self._map()

    def _is_stale(self, place: int, stamp: str | None) -> bool:
        """Whether a sample was never tried, or has other files than it was made of."""
        if place >= len(self._records):
            return True
        record = self._records[place]
        return bool(stamp != record["stamp"] and (stamp is not None or "bad" in record))

    def _map(self) -> None:
        self._rgb: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._depth: NDArray[np.float16] = np.empty(0, np.float16)
        if self._offsets[-1]:  # an empty file cannot be mapped
            rgb, depth = _data_files(self.folder, self.token)
            self._rgb = np.memmap(rgb, np.uint8, mode="r")
            self._depth = np.memmap(depth, np.float16, mode="r")

    def __getstate__(self) -> dict[str, Any]:
        # a pickled map would carry all its data to the worker process; it maps the files again instead
        return {name: value for name, value in vars(self).items() if name not in ("_rgb", "_depth")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._map()

    def __len__(self) -> int:
        return len(self.infos)

    def __getitem__(self, index: int) -> Frame:  # type: ignore[override]  # slices have no use here
        place = self._places[index]
        rgb, depth_m = self._pixels(place)
        width, height = self._records[place]["wh"]
        intrinsics = self._records[place]["camera"]
        return Frame(
            info=self.infos[index],
            rgb=rgb.reshape(height, width, 3),
            depth_m=depth_m.reshape(height, width),
            camera=None if intrinsics is None else Camera(**intrinsics, width=width, height=height),
        )

    def _pixels(self, place: int) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
        first, last = self._offsets[place], self._offsets[place + 1]
        return self._rgb[3 * first : 3 * last], self._depth[first:last]

    def _fill(self, index: Path, samples: Sequence[_Sample], progress: Progress | None) -> None:
        old = [*self.folder.glob("*.bin"), *self.folder.glob("baseline-*.npy")]
        if not index.exists():  # nobody maps what a killed fill has left
            _remove(old)
        token = secrets.token_hex(4)
        files = _data_files(self.folder, token)
        try:
            records = self._decode(*files, samples, progress)
            _refuse(samples, records)
            # last: a folder without it is no cache; a run that has mapped the files before keeps them
            write_atomic(index, json.dumps({"files": token, "frames": records}))
        except BaseException:
            _remove(files)
            raise
        self._open(index)
        _remove(old)

    def _decode(self, rgb: Path, depth: Path, samples: Sequence[_Sample], progress: Progress | None) -> list[_Record]:
        """Write the pixels of all samples, copied where the old ones hold; answers their records."""
        task = None if progress is None else progress.add_task("decoding", total=len(samples))
        todo = [sample if self._is_stale(place, sample.stamp) else None for place, sample in enumerate(samples)]
        records: list[_Record] = []
        with rgb.open("wb") as rgb_file, depth.open("wb") as depth_file, ThreadPoolExecutor(2) as pool:
            # in slices, so that few frames are in memory however slow the disk is
            for first in range(0, len(samples), 64):
                for found in pool.map(self._load, todo[first : first + 64]):
                    place = len(records)
                    if found is None:
                        rgb_pixels, depth_pixels = self._pixels(place)
                        rgb_file.write(rgb_pixels.tobytes())
                        depth_file.write(depth_pixels.tobytes())
                        records.append(self._records[place])
                    else:
                        record = {"bad": found} if isinstance(found, str) else _append(found, rgb_file, depth_file)
                        records.append({**record, "stamp": samples[place].stamp})
                    if progress is not None and task is not None:
                        progress.advance(task)
        if progress is not None and task is not None:
            progress.remove_task(task)
        return records

    def _load(self, wanted: _Sample | None) -> DepthSample | str | None:
        """The sample at the size it is stored at, or why it cannot be used; None for None."""
        if wanted is None:
            return None
        try:
            sample = wanted.entry.load()
        except (InputError, ValueError, OSError) as error:  # ValueError: image, depth and labels differ in size
            return str(error)
        if self._need_depth and not np.isfinite(sample.depth_m).any():
            return _NO_DEPTH
        if wanted.void is not None and sample.semantic is not None:
            sample.depth_m[np.isnan(sample.depth_m) & (sample.semantic != wanted.void)] = np.inf
        return _shrunk(sample, self._cover_wh, self._policy)


def _refuse(samples: Sequence[_Sample], records: Sequence[_Record]) -> None:
    bad = [(sample.entry, record["bad"]) for sample, record in zip(samples, records, strict=True) if "bad" in record]
    if len(bad) > _BAD_SHARE * len(records):
        entry, reason = bad[0]
        raise InputError(
            f"{len(bad)} of {len(records)} samples cannot be used, the first is {entry.info.id}: {reason};"
            " see: edgedepth data check"
        )


def _data_files(folder: Path, token: str) -> tuple[Path, Path]:
    return folder / f"rgb-{token}.bin", folder / f"depth-{token}.bin"


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _shrunk(sample: DepthSample, cover_wh: tuple[int, int], policy: ResizePolicy | None) -> DepthSample:
    """The sample as it is stored, never enlarged: by a policy, else at the smallest size that covers `cover_wh`."""
    height, width = sample.depth_m.shape
    if policy is None:
        scale = max(cover_wh[0] / width, cover_wh[1] / height)
        stored_wh = (round(width * scale), round(height * scale))
    else:
        stored_wh = Placement.of((width, height), cover_wh, policy).content_wh
    if stored_wh[0] >= width or stored_wh[1] >= height:
        return sample
    placement = Placement.of((width, height), stored_wh, "stretch")
    return DepthSample(
        id=sample.id,
        image_bgr=placement.to_input(sample.image_bgr),
        depth_m=placement.labels_to_input(sample.depth_m),
        camera=None if sample.camera is None else sample.camera.resized(*stored_wh),
    )


def _append(sample: DepthSample, rgb_file: BinaryIO, depth_file: BinaryIO) -> _Record:
    """Write a frame's pixels; answers its record."""
    rgb_file.write(np.ascontiguousarray(sample.image_bgr[:, :, ::-1]).tobytes())
    depth_file.write(sample.depth_m.astype(np.float16).tobytes())
    camera = sample.camera
    height, width = sample.depth_m.shape
    intrinsics = None if camera is None else {"fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy}
    return {"wh": [width, height], "camera": intrinsics}


def _void_id(dataset: DepthDataset) -> int | None:
    """The label of nothing, in data sets whose labels tell it.

    There, a labelled pixel without depth is not unknown: it is sky, or farther than 16 bits can say.
    """
    classes = dataset.semantic_classes
    return classes.index("void") if "void" in classes and "sky" in classes else None


def _fingerprint(datasets: Sequence[DepthDataset], cover_wh: tuple[int, int], policy: ResizePolicy | None) -> str:
    """A name that changes when a data set gains or loses samples."""
    sets = [(dataset.name, _void_id(dataset), [info.id for info in dataset.infos]) for dataset in datasets]
    return hashlib.sha256(repr((_FORMAT, cover_wh, policy, sets)).encode()).hexdigest()[:16]


def _stamped(datasets: Sequence[DepthDataset]) -> list[_Sample]:
    @cache  # a list or a container is many samples' file
    def state(file: Path) -> tuple[str, int, int] | None:
        if not os.access(file, os.R_OK):  # as good as gone
            return None
        found = file.stat()
        return str(file), found.st_size, found.st_mtime_ns

    def stamp(entry: Entry) -> str | None:
        states = [state(file) for file in entry.files]
        return None if None in states else hashlib.sha256(repr(states).encode()).hexdigest()[:16]

    return [_Sample(entry, _void_id(dataset), stamp(entry)) for dataset in datasets for entry in dataset.entries]
