"""The table of data set kinds, and how a name like `nyu:DIR` is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgedepth.core.errors import InputError, UnknownNameError
from edgedepth.datasets.kitti import open_kitti
from edgedepth.datasets.nyu import open_nyu
from edgedepth.datasets.nyu_fused import open_nyu_fused
from edgedepth.datasets.pairs import open_pairs
from edgedepth.datasets.sample import DepthDataset
from edgedepth.datasets.scannet import open_scannet
from edgedepth.datasets.synth import open_synth
from edgedepth.datasets.synthia import open_synthia


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One kind of data set.

    open: takes the path and a split (None for the reader's own default).
    what: what the path is, for messages and help.
    evaluation_split: the split to report on where the user names none.
    protocol: the evaluation protocol that figures on it are usually given with.
    """

    open: Callable[[Path, str | None], DepthDataset]
    what: str
    evaluation_split: str | None
    protocol: str


READERS: Mapping[str, Reader] = {
    "synth": Reader(
        open=open_synth,
        what="a folder written by edgedepth synth",
        evaluation_split="test",
        protocol="native",
    ),
    "pairs": Reader(
        open=open_pairs,
        what="a JSON list of image and depth pairs",
        evaluation_split=None,
        protocol="native",
    ),
    "nyu": Reader(
        open=open_nyu,
        what="a folder with NYU Depth v2",
        evaluation_split="test",
        protocol="nyu-eigen",
    ),
    "nyu-fused": Reader(
        open=open_nyu_fused,
        what="a folder with the labelled files of NYU Depth v1 and v2",
        evaluation_split="test",
        protocol="nyu-full",
    ),
    "kitti": Reader(
        open=open_kitti,
        what="a folder with KITTI and its annotated depth",
        evaluation_split="val",
        protocol="kitti-eigen-garg",
    ),
    "scannet": Reader(
        open=open_scannet,
        what="a folder with exported frames of ScanNet",
        evaluation_split="val",
        protocol="scannet-rob",
    ),
    "synthia": Reader(
        open=open_synthia,
        what="a folder with SYNTHIA-RAND-CITYSCAPES",
        evaluation_split=None,
        protocol="native",
    ),
}


def reader_of(name: str) -> tuple[Reader, Path]:
    """Split `kind:path` into the kind's reader and the path.

    Raises:
        InputError: the name is not of this form.
        UnknownNameError: there is no such kind.
    """
    kind, colon, path = name.partition(":")
    if not colon or not path:
        forms = ", ".join(f"{kind}:{'FILE' if kind == 'pairs' else 'DIR'}" for kind in READERS)
        raise InputError(f"a data set is named kind:path ({forms}), but got {name!r}")
    if kind not in READERS:
        raise UnknownNameError.of("kind of data set", kind, READERS)
    return READERS[kind], Path(path).expanduser()


def open_dataset(name: str, split: str | None = None) -> DepthDataset:
    """Open a data set by its name, for example `open_dataset("synth:out", split="train")`.

    Raises:
        InputError: the name is malformed, or the data are missing or not of the kind's form.
        UnknownNameError: there is no such kind.
    """
    reader, path = reader_of(name)
    if not path.exists():
        raise InputError(f"{path} does not exist; {name.partition(':')[0]}: wants {reader.what}")
    return reader.open(path, split)
