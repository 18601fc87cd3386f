"""The table of data set kinds, and how a name like `nyu:DIR` or `eigen-120k:nyu:DIR` is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgedepth.core.errors import InputError, UnknownNameError
from edgedepth.datasets.derived import DERIVATIONS, derivation_of
from edgedepth.datasets.kitti import open_kitti, open_kitti_eigen
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
    training_splits: the splits to train and to validate on, the latter None where the data set has none; None where
        samples name their own split, or there are no official ones.
    """

    open: Callable[[Path, str | None], DepthDataset]
    what: str
    evaluation_split: str | None
    protocol: str
    training_splits: tuple[str, str | None] | None = None


_VALIDATION_SHARE = 0.1

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
        training_splits=("train", None),
    ),
    "nyu-fused": Reader(
        open=open_nyu_fused,
        what="a folder with the labelled files of NYU Depth v1 and v2",
        evaluation_split="test",
        protocol="nyu-full",
        training_splits=("train", None),
    ),
    "kitti": Reader(
        open=open_kitti,
        what="a folder with KITTI and its annotated depth",
        evaluation_split="val",
        protocol="kitti-eigen-garg",
        training_splits=("train", "val"),
    ),
    "kitti-eigen": Reader(
        open=open_kitti_eigen,
        what="a folder with KITTI, its annotated depth and the lists of Eigen et al.",
        evaluation_split="test",
        protocol="kitti-eigen-garg",
        training_splits=("train", None),
    ),
    "scannet": Reader(
        open=open_scannet,
        what="a folder with exported frames of ScanNet",
        evaluation_split="val",
        protocol="scannet-rob",
        training_splits=("train", "val"),
    ),
    "synthia": Reader(
        open=open_synthia,
        what="a folder with SYNTHIA-RAND-CITYSCAPES",
        evaluation_split=None,
        protocol="native",
    ),
}


def reader_of(name: str) -> tuple[Reader, Path]:
    """Split `kind:path`, after any prefix such as `eigen-120k:`, into the kind's reader and the path.

    Raises:
        InputError: the name is not of this form.
        UnknownNameError: there is no such kind.
    """
    _, base = derivation_of(name)
    kind, colon, path = base.partition(":")
    if not colon or not path:
        forms = ", ".join(f"{kind}:{'FILE' if kind == 'pairs' else 'DIR'}" for kind in READERS)
        raise InputError(f"a data set is named kind:path ({forms}), but got {name!r}")
    if kind not in READERS:
        raise UnknownNameError.of("kind of data set", kind, (*READERS, *DERIVATIONS))
    return READERS[kind], Path(path).expanduser()


def open_dataset(name: str, split: str | None = None) -> DepthDataset:
    """Open a data set by its name, for example `open_dataset("synth:out", split="train")`.

    Raises:
        InputError: the name is malformed, or the data are missing or not of the kind's form.
        UnknownNameError: there is no such kind.
    """
    reader, path = reader_of(name)
    derivation, base = derivation_of(name)
    if not path.exists():
        raise InputError(f"{path} does not exist; {base.partition(':')[0]}: wants {reader.what}")
    found = reader.open(path, split)
    return found if derivation is None else replace(derivation.apply(found), name=name)


def open_for_training(name: str) -> tuple[DepthDataset, DepthDataset]:
    """The parts of a data set to train and to validate on; its test split is never among them.

    A kind that has official splits is taken by them. Where samples name their split, those of "train" and those that
    name none are for training, those of "val" for validation. Where nothing is "val", the last tenth of the training
    part is, in one piece, because neighbours in a recording look alike. A prefix changes the training part alone.

    Raises:
        InputError: the name is malformed, or the data are missing, lack their list of a split, or are not of the kind.
        UnknownNameError: there is no such kind.
    """
    derivation, base = derivation_of(name)
    splits = reader_of(name)[0].training_splits
    if splits is not None and splits[1] is not None:
        train, validation = open_dataset(base, splits[0]), open_dataset(base, splits[1])
    else:
        train, validation = _divided(open_dataset(base, splits and splits[0]), named=splits is None)
    return (train if derivation is None else replace(derivation.apply(train), name=name)), validation


def _divided(dataset: DepthDataset, *, named: bool) -> tuple[DepthDataset, DepthDataset]:
    train = dataset.where(lambda info: info.split in (None, "train")) if named else dataset
    validation = dataset.where(lambda info: named and info.split == "val")
    if len(validation):
        return train, validation
    cut = len(train) - int(len(train) * _VALIDATION_SHARE)
    return train[:cut], train[cut:]
