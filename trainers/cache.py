"""Frames decoded once: RGB and depth of whole data sets in two flat files that processes map instead of reading."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import zlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError, OutputError
from edgedepth.core.files import locked, output_error, write_atomic
from edgedepth.core.preprocess import Placement
from edgedepth.core.spec import ResizePolicy
from edgedepth.datasets.registry import reader_of
from edgedepth.datasets.sample import DepthDataset, DepthSample, Entry, SampleInfo

_FORMAT = 2
_COMPARED = 8  # frames that are read again when a cache is opened: files may be written anew under their names
_BAD_SHARE = 0.1  # samples that may be unusable before a data set is refused
_NO_DEPTH = "not one pixel of depth"


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

    Samples whose files are missing or damaged, and with `need_depth` those without a measured pixel, are left out;
    they are tried again whenever the cache is opened, and a few of the others are compared with what they were.

    folder: where this cache lies. bad: what was left out, reasons by the data set's number and the sample's name.
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
        self._entries = [(entry, _void_id(dataset)) for dataset in datasets for entry in dataset.entries]
        self._cover_wh, self._policy = cover_wh, policy
        self._need_depth = need_depth
        self.folder = folder / (_fingerprint(datasets, cover_wh, policy) + ("" if need_depth else "-all"))
        index = self.folder / "index.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._alone(progress):
                if not index.exists() or self._outdated(index):
                    self._fill(index, progress)
                content = json.loads(index.read_text())
        except OSError as error:
            raise output_error(self.folder, error) from error
        records: list[dict[str, Any]] = content["frames"]
        self.token = str(content["files"])
        if len(records) != len(self._entries):
            raise OutputError(f"the cache {self.folder} is damaged; delete the folder and run again")
        pairs = list(zip(self._entries, records, strict=True))
        sets = [number for number, dataset in enumerate(datasets) for _ in dataset.entries]
        self.bad = {
            (number, entry.info.id): str(record["bad"])
            for number, (entry, _), record in zip(sets, self._entries, records, strict=True)
            if "bad" in record
        }
        self._entries = [entry for entry, record in pairs if "bad" not in record]
        self._records = [record for record in records if "bad" not in record]
        areas = [record["wh"][0] * record["wh"][1] for record in self._records]
        self._offsets: list[int] = np.cumsum([0, *areas]).tolist()
        self._map()

    def _alone(self, progress: Progress | None) -> AbstractContextManager[None]:
        """Hold off other runs that would fill this folder; nobody fills one that cannot be written."""
        if not os.access(self.folder, os.W_OK):
            return nullcontext()

        def waiting() -> None:
            if progress is not None:
                progress.console.print("another run is filling this cache; waiting for it", soft_wrap=True)

        return locked(self.folder / ".lock", waiting)

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

    @property
    def infos(self) -> tuple[SampleInfo, ...]:
        """What is known of every frame without its pixels."""
        return tuple(entry.info for entry, _ in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Frame:  # type: ignore[override]  # slices have no use here
        record = self._records[index]
        width, height = record["wh"]
        first, last = self._offsets[index], self._offsets[index + 1]
        intrinsics = record["camera"]
        return Frame(
            info=self._entries[index][0].info,
            rgb=self._rgb[3 * first : 3 * last].reshape(height, width, 3),
            depth_m=self._depth[first:last].reshape(height, width),
            camera=None if intrinsics is None else Camera(**intrinsics, width=width, height=height),
        )

    def _fill(self, index: Path, progress: Progress | None) -> None:
        stale = [*self.folder.glob("*.bin"), *self.folder.glob("baseline-*.npy")]
        if not index.exists():  # nobody maps what a killed fill has left
            _remove(stale)
        token = secrets.token_hex(4)
        files = _data_files(self.folder, token)
        try:
            records = self._decode(*files, progress)
            self._refuse(records)
            # last: a folder without it is no cache; a run that has mapped the files before keeps them
            write_atomic(index, json.dumps({"files": token, "frames": records}))
        except BaseException:
            _remove(files)
            raise
        _remove(stale)

    def _decode(self, rgb: Path, depth: Path, progress: Progress | None) -> list[dict[str, Any]]:
        """Write the pixels of all samples; answers their records."""
        task = None if progress is None else progress.add_task("decoding", total=len(self._entries))
        records: list[dict[str, Any]] = []
        with (
            rgb.open("wb") as rgb_file,
            depth.open("wb") as depth_file,
            ThreadPoolExecutor(2) as pool,
        ):
            # in slices, so that few frames are in memory however slow the disk is
            for first in range(0, len(self._entries), 64):
                for found in pool.map(self._load, self._entries[first : first + 64]):
                    if isinstance(found, str):
                        records.append({"bad": found})
                    else:
                        records.append(_append(found, rgb_file, depth_file))
                    if progress is not None and task is not None:
                        progress.advance(task)
        if progress is not None and task is not None:
            progress.remove_task(task)
        return records

    def _load(self, entry_and_void: tuple[Entry, int | None]) -> DepthSample | str:
        """The sample at the size it is stored at, or why it cannot be used."""
        entry, void = entry_and_void
        try:
            sample = entry.load()
        except (InputError, ValueError, OSError) as error:  # ValueError: image, depth and labels differ in size
            return str(error)
        if self._need_depth and not np.isfinite(sample.depth_m).any():
            return _NO_DEPTH
        if void is not None and sample.semantic is not None:
            sample.depth_m[np.isnan(sample.depth_m) & (sample.semantic != void)] = np.inf
        return _shrunk(sample, self._cover_wh, self._policy)

    def _refuse(self, records: Sequence[dict[str, Any]]) -> None:
        bad = [(entry, record["bad"]) for (entry, _), record in zip(self._entries, records, strict=True)
               if "bad" in record]  # fmt: skip
        if len(bad) > _BAD_SHARE * len(records):
            entry, reason = bad[0]
            raise InputError(
                f"{len(bad)} of {len(records)} samples cannot be used, the first is {entry.info.id}: {reason};"
                " see: edgedepth data check"
            )

    def _outdated(self, index: Path) -> bool:
        """Whether pixels are gone, a sample that was left out can be read now, or one of a few others has changed."""
        content = json.loads(index.read_text())
        records = content["frames"]
        if not _whole(_data_files(self.folder, content["files"]), records):
            return True
        pairs = list(zip(self._entries, records, strict=False))
        if any(not isinstance(self._load(entry), str) for entry, record in pairs if "bad" in record):
            return True
        kept = [pair for pair in pairs if "bad" not in pair[1]]
        for number in {len(kept) * n // _COMPARED for n in range(_COMPARED)} if kept else ():
            entry, record = kept[number]
            found = self._load(entry)
            if not isinstance(found, str) and _encoded(found)[2] != record:
                return True
        return False


def _data_files(folder: Path, token: str) -> tuple[Path, Path]:
    return folder / f"rgb-{token}.bin", folder / f"depth-{token}.bin"


def _whole(files: tuple[Path, Path], records: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the data files are there, as long as the records of their frames say."""
    pixels = sum(record["wh"][0] * record["wh"][1] for record in records if "bad" not in record)
    sizes = zip(files, (3 * pixels, 2 * pixels), strict=True)
    return all(path.is_file() and path.stat().st_size == size for path, size in sizes)


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


def _append(sample: DepthSample, rgb_file: BinaryIO, depth_file: BinaryIO) -> dict[str, Any]:
    """Write a frame's pixels; answers its record."""
    rgb, depth, record = _encoded(sample)
    rgb_file.write(rgb)
    depth_file.write(depth)
    return record


def _encoded(sample: DepthSample) -> tuple[bytes, bytes, dict[str, Any]]:
    rgb = np.ascontiguousarray(sample.image_bgr[:, :, ::-1]).tobytes()
    depth = sample.depth_m.astype(np.float16).tobytes()
    camera = sample.camera
    height, width = sample.depth_m.shape
    intrinsics = None if camera is None else {"fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy}
    return rgb, depth, {"wh": [width, height], "camera": intrinsics, "crc32": zlib.crc32(depth, zlib.crc32(rgb))}


def _void_id(dataset: DepthDataset) -> int | None:
    """The label of nothing, in data sets whose labels tell it.

    There, a labelled pixel without depth is not unknown: it is sky, or farther than 16 bits can say.
    """
    classes = dataset.semantic_classes
    return classes.index("void") if "void" in classes and "sky" in classes else None


def _fingerprint(datasets: Sequence[DepthDataset], cover_wh: tuple[int, int], policy: ResizePolicy | None) -> str:
    """A name that changes when a data set gains, loses or (by the time of its list) rewrites samples."""
    digest = hashlib.sha256(repr((_FORMAT, cover_wh, policy)).encode())
    for dataset in datasets:
        path = reader_of(dataset.name)[1]
        listed = path / "pairs.json" if (path / "pairs.json").exists() else path
        written = listed.stat().st_mtime_ns if listed.exists() else None
        digest.update(repr((dataset.name, written, [info.id for info in dataset.infos])).encode())
    return digest.hexdigest()[:16]
