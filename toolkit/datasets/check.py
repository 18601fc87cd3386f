"""What is missing or odd in a data set, found before hours are spent on training with it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError
from edgedepth.datasets.derived import derivation_of
from edgedepth.datasets.pairs import faults_of
from edgedepth.datasets.registry import READERS, open_dataset, open_for_training, reader_of, training_splits_of
from edgedepth.datasets.sample import DepthDataset, DepthSample, Entry

Level = Literal["error", "warning"]

# What a camera of these data sets can be: outside, intrinsics are mistaken for another size or another unit.
_VIEW_DEG = (15.0, 150.0)
_NEAREST_M, _FARTHEST_M = 0.02, 1000.0
_TYPICAL_M = (0.2, 200.0)  # median depth of a frame
_MALFORMED = 20  # entries of a list that are told one by one
_KEPT = 1_000_000  # depths that percentiles are taken of, of all samples together
_SPARSE = 0.005  # share of measured pixels; KITTI's laser gives 0.05 raw, 0.16 annotated


@dataclass(frozen=True)
class Finding:
    """One kind of fault: how bad, what, how many samples have it and the first of them."""

    level: Level
    what: str
    count: int
    first: str


@dataclass(frozen=True, kw_only=True)
class DataCheck:
    """What was looked at and what was found.

    splits: samples by split. looked_at: samples whose pixels were read. sizes: image sizes with their counts.
    depth_m: 1st percentile, median and 99th percentile of measured depth over those samples.
    """

    name: str
    samples: int
    splits: dict[str, int]
    looked_at: int
    sizes: dict[str, int]
    depth_m: tuple[float, float, float] | None
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def usable(self) -> bool:
        """No sample that was looked at is beyond use."""
        return not any(finding.level == "error" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            **{name: value for name, value in vars(self).items() if name != "findings"},
            "notes": list(self.notes),
            "usable": self.usable,
            "findings": [vars(finding) for finding in self.findings],
        }


def guess_name(text: str) -> str:
    """A data set's name from what the user typed: `kind:path` as it is, a bare path by the files in it.

    Raises:
        InputError: no kind of data set lies there; the message lists the kinds.
    """
    derivation, base = derivation_of(text)
    if derivation is not None or re.match(r"[a-z][a-z0-9-]+:", base):  # no kind is one letter, as drives are
        reader_of(base)
        return text
    path = Path(text).expanduser()
    marks: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("synth", ("dataset.json",)),
        ("nyu", ("nyu_depth_v2_labeled.mat", "*/*/sync_depth_*.png")),
        ("synthia", ("Depth/Depth/*.png", "RGB/*.png")),
        ("scannet", ("scans/*/depth", "scene*_*/depth", "scannetv2_*.txt")),
        ("kitti", ("val_selection_cropped", "*/*/proj_depth", "data_depth_annotated", "*_drive_*_sync")),
    )
    if path.is_file():
        return f"nyu:{path}" if path.suffix == ".mat" else f"pairs:{path}"
    for kind, patterns in marks:
        if any(next(path.glob(pattern), None) is not None for pattern in patterns):
            return f"{kind}:{path}"
    if (path / "pairs.json").is_file():
        return f"pairs:{path / 'pairs.json'}"
    if not path.exists():
        raise InputError(f"{path} does not exist")
    raise InputError(f"{path} is no data set of a kind known here; name it as kind:path, kinds: {', '.join(READERS)}")


def check_dataset(
    name: str, split: str | None = None, limit: int | None = None, progress: Callable[[], None] = lambda: None
) -> DataCheck:
    """Read the samples of a data set (`limit` of them, evenly spread) and say what is missing or odd.

    Without a split, those of all splits that it is trained and evaluated on; one that is not there is told in a note.
    A list of pairs with malformed entries cannot be used, and they are all that is told of it.

    Raises:
        InputError: the data set cannot be opened at all.
    """
    malformed = faults_of(reader_of(name)[1]) if reader_of(name)[0] is READERS["pairs"] else {}
    if malformed:
        return _of_malformed(name, malformed)
    dataset = open_dataset(name, split) if split is not None else _whole(name)
    chosen = dataset.limited(limit)
    tally = _Tally(len(chosen))
    for sample, what in _of_the_list(dataset):
        tally.add("warning", what, sample)
    for entry in chosen.entries:
        try:
            tally.look(entry.load())
        except (InputError, ValueError, OSError) as error:
            tally.add("error", _kind_of(str(error), entry), f"{entry.info.id}: {error}")
        progress()
    return DataCheck(
        name=dataset.name,
        samples=len(dataset),
        splits=dict(Counter(info.split or "unnamed" for info in dataset.infos)),
        looked_at=len(chosen),
        sizes=dict(tally.sizes.most_common()),
        depth_m=tally.depth_m,
        findings=tally.findings,
        notes=dataset.notes,
    )


def _of_malformed(name: str, faults: dict[int, str]) -> DataCheck:
    """What is told of a list of pairs some of whose entries are none: them, each by itself up to a number."""
    told = [Finding("error", fault, 1, f"entry {place}") for place, fault in list(faults.items())[:_MALFORMED]]
    rest = list(faults)[_MALFORMED:]
    if rest:
        told.append(Finding("error", "other malformed entries", len(rest), f"entry {rest[0]}"))
    return DataCheck(
        name=name, samples=0, splits={}, looked_at=0, sizes={}, depth_m=None, findings=tuple(told), notes=()
    )


def _whole(name: str) -> DepthDataset:
    """All splits of a kind that has official ones, what is trained on where a prefix changes it; else what is there."""
    derivation, _ = derivation_of(name)
    if derivation is not None and not derivation.picks:
        return open_for_training(name)[0]
    splits = training_splits_of(name)
    if splits is None:
        return open_dataset(name)
    parts, notes = [], []
    for split in dict.fromkeys((*splits, reader_of(name)[0].evaluation_split)):
        if split is not None:
            try:
                parts.append(open_dataset(name, split))
            except InputError as error:
                notes.append(f"split {split}: {error}")
    if not parts:
        raise InputError(notes[0])
    entries = tuple(entry for part in parts for entry in part.entries)
    known = dict.fromkeys(note for part in parts for note in part.notes)
    return replace(parts[0], entries=entries, notes=(*known, *notes))


def _kind_of(message: str, entry: Entry) -> str:
    """Faults of one kind are counted together, so the kind must name neither the sample nor its files."""
    if not all(file.exists() for file in entry.files):
        return "a file is missing"
    if "not a readable image" in message:
        return "a file is damaged"
    if "must be a 16-bit PNG" in message:
        return "depth is not a 16-bit PNG of one channel"
    id = entry.info.id
    own = f"...{message.removeprefix(id)}" if message.startswith(f"{id}:") else message
    return "cannot be used: " + re.sub(r"\S*/\S*", "...", own)[:80]


def _of_the_list(dataset: DepthDataset) -> Iterator[tuple[str, str]]:
    """Faults that show without reading pixels: names that come twice, scenes that are in two splits."""
    seen: Counter[str] = Counter(info.id for info in dataset.infos)
    for id, count in seen.items():
        if count > 1:
            yield id, "a name is there more than once"
    home: dict[str, str] = {}
    for info in dataset.infos:
        if info.scene is None or info.split is None:
            continue
        if home.setdefault(info.scene, info.split) != info.split:
            yield f"{info.id} ({home[info.scene]} and {info.split})", "a scene is in two splits"
    if not any(info.route for info in dataset.infos):
        yield dataset.name, "no sample has a route, so near and far networks both train on all"


class _Tally:
    """Findings so far, of `samples` that will be looked at."""

    def __init__(self, samples: int) -> None:
        self._kept = min(1000, max(1, _KEPT // max(1, samples)))  # of each: memory must not grow with the set
        self.sizes: Counter[str] = Counter()
        self._found: dict[tuple[Level, str], list[str]] = {}
        self._depths: list[NDArray[np.float32]] = []

    def add(self, level: Level, what: str, sample: str) -> None:
        self._found.setdefault((level, what), []).append(sample)

    def look(self, sample: DepthSample) -> None:
        """Look at one sample's pixels and camera."""
        height, width = sample.depth_m.shape
        self.sizes[f"{width}x{height}"] += 1
        known = sample.depth_m[np.isfinite(sample.depth_m)]
        if known.size == 0:
            self.add("error", "not one pixel of depth", sample.id)
            return
        step = max(1, known.size // self._kept)
        self._depths.append(known[step // 2 :: step].copy())  # a view would keep the whole frame
        for wrong, what in (
            (known.size < _SPARSE * sample.depth_m.size, f"less than {100 * _SPARSE:g} % of the pixels have depth"),
            (known.min() < _NEAREST_M, f"depth below {_NEAREST_M} m: negative, or in another unit"),
            (known.max() > _FARTHEST_M, f"depth beyond {_FARTHEST_M:g} m: the depth scale may be wrong"),
            (
                not _TYPICAL_M[0] <= float(np.median(known)) <= _TYPICAL_M[1],
                f"median depth outside {_TYPICAL_M[0]} to {_TYPICAL_M[1]:g} m: the depth scale may be wrong",
            ),
            (known.size > 100 and float(np.ptp(known)) == 0, "all depth is the same"),
            (int(np.ptp(sample.image_bgr)) == 0, "the image is of one colour"),
        ):
            if wrong:
                self.add("warning", what, sample.id)
        self._look_at_camera(sample)

    def _look_at_camera(self, sample: DepthSample) -> None:
        camera = sample.camera
        if camera is None:
            self.add("warning", "no intrinsics: taken to be from the network's own camera", sample.id)
            return
        view = 2 * np.degrees(np.arctan(camera.width / (2 * camera.fx)))
        if not _VIEW_DEG[0] <= view <= _VIEW_DEG[1]:
            self.add("warning", f"a field of view outside {_VIEW_DEG[0]:g} to {_VIEW_DEG[1]:g} degrees", sample.id)
        off = max(abs(camera.cx / camera.width - 0.5), abs(camera.cy / camera.height - 0.5))
        if off > 0.25:
            self.add("warning", "the principal point is far from the middle: intrinsics of another size?", sample.id)

    @property
    def depth_m(self) -> tuple[float, float, float] | None:
        if not self._depths:
            return None
        low, middle, high = np.percentile(np.concatenate(self._depths), (1, 50, 99))
        return round(float(low), 3), round(float(middle), 3), round(float(high), 3)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Errors first, the most frequent first."""
        found = [Finding(level, what, len(samples), samples[0]) for (level, what), samples in self._found.items()]
        return tuple(sorted(found, key=lambda finding: (finding.level, -finding.count)))
