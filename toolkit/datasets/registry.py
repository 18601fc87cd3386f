"""The table of data set kinds, and how a name like `nyu:DIR` or `eigen-120k:nyu:DIR` is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from edgedepth.core.errors import InputError, UnknownNameError
from edgedepth.datasets.derived import DERIVATIONS, derivation_of
from edgedepth.datasets.holdout import held_out
from edgedepth.datasets.kitti import has_list, open_kitti, open_kitti_eigen
from edgedepth.datasets.nyu import open_nyu
from edgedepth.datasets.nyu_fused import open_nyu_fused
from edgedepth.datasets.pairs import open_pairs
from edgedepth.datasets.sample import DepthDataset, SampleInfo
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
    split_protocols: the same for splits whose figures are given otherwise.
    training_splits: the splits to train and to validate on, the latter None where the data set has none; None where
        samples name their own split, or there are no official ones.
    validates: tells whether the split to validate on lies at a path, of kinds that do without it; None where it must.
    """

    open: Callable[[Path, str | None], DepthDataset]
    what: str
    evaluation_split: str | None
    protocol: str
    split_protocols: Mapping[str, str] = field(default_factory=dict)
    training_splits: tuple[str, str | None] | None = None
    validates: Callable[[Path], bool] | None = None

    def protocol_for(self, split: str | None) -> str:
        """The protocol that figures on a split are usually given with."""
        return self.protocol if split is None else self.split_protocols.get(split, self.protocol)


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
        split_protocols={"selection": "kitti-server"},  # cropped as the server's test images are, and scored whole
        training_splits=("train", "val"),
    ),
    "kitti-eigen": Reader(
        open=open_kitti_eigen,
        what="a folder with KITTI, its annotated depth and the lists of Eigen et al.",
        evaluation_split="test",
        protocol="kitti-eigen-garg",
        training_splits=("train", "val"),
        validates=partial(has_list, part="val"),
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

    Frames come as they are: a prefix that changes them is passed over, with a note, because it is for training; see
    `open_for_training`. One that picks frames picks them here, too.

    Raises:
        InputError: the name is malformed, or the data are missing or not of the kind's form.
        UnknownNameError: there is no such kind.
    """
    reader, path = reader_of(name)
    derivation, base = derivation_of(name)
    if not path.exists():
        raise InputError(f"{path} does not exist; {base.partition(':')[0]}: wants {reader.what}")
    found = reader.open(path, split)
    if derivation is None:
        return found
    if derivation.picks:
        return replace(derivation.apply(found), name=name)
    note = f"{name.partition(':')[0]}: changes frames for training alone; these are the frames of {base} as they are"
    return replace(found, notes=(*found.notes, note))


def open_for_evaluation(name: str, split: str | None = None) -> tuple[DepthDataset, str | None]:
    """What figures are taken on, and the split it is, None for all there is.

    Without `split`, the kind's own to report on; where samples name theirs, those of "test". A note tells which samples
    that leaves out, or how many that are for training are among them.

    Raises:
        InputError: the name is malformed, or the data are missing, not of the kind's form or without such a split.
        UnknownNameError: there is no such kind.
    """
    chosen = split if split is not None else reader_of(name)[0].evaluation_split
    if chosen is not None:
        return open_dataset(name, chosen), chosen
    named = Counter(info.split for info in open_dataset(derivation_of(name)[1]).infos)
    total, trained = named.total(), named["train"] + named[None]
    note = None
    if "test" in named:
        chosen = "test"
        if named["test"] < total:
            note = f"{named['test']} of {total} samples are of the split test, and evaluated; --split names another"
    elif set(named) != {None} and trained:
        note = f"{trained} of {total} samples are for training, and flatter what learned them; --split takes others"
    found = open_dataset(name, chosen)
    return (found if note is None else replace(found, notes=(*found.notes, note))), chosen


def training_splits_of(name: str) -> tuple[str, str | None] | None:
    """The splits that a data set is trained and validated on, as `Reader.training_splits` but by the files there are.

    Raises:
        InputError: the name is malformed.
        UnknownNameError: there is no such kind.
    """
    reader, path = reader_of(name)
    if reader.training_splits is None or reader.validates is None or reader.validates(path):
        return reader.training_splits
    return reader.training_splits[0], None


def _any_sample(_: SampleInfo) -> bool:
    return True


def open_for_training(name: str, keep: Callable[[SampleInfo], bool] = _any_sample) -> tuple[DepthDataset, DepthDataset]:
    """The parts of a data set to train and to validate on; its test split is never among them.

    A kind that has official splits is taken by them. Where samples name their split, those of "train" and those that
    name none are for training, those of "val" for validation. Where nothing is "val", a tenth of what `keep` takes of
    the training part is held out, in whole scenes; see `edgedepth.datasets.holdout`. A prefix that picks frames picks
    them in both parts, one that changes them changes the training part alone.

    keep: which samples to take, for example those of one route.

    Raises:
        InputError: the name is malformed, or the data are missing, lack their list of a split, or are not of the kind.
        UnknownNameError: there is no such kind.
    """
    derivation, base = derivation_of(name)
    train, validation = _parts(base)
    official = len(validation) > 0
    if derivation is not None and derivation.picks:
        train, validation = (replace(derivation.apply(part), name=name) for part in (train, validation))
    train, validation = train.where(keep), validation.where(keep)
    if not official:
        train, validation = held_out(train)
    if derivation is not None and not derivation.picks:
        train = replace(derivation.apply(train), name=name)
    return train, validation


def _parts(name: str) -> tuple[DepthDataset, DepthDataset]:
    """What is for training, and what is named to validate on, which may be nothing."""
    splits = training_splits_of(name)
    if splits is None:
        whole = open_dataset(name)
        return whole.where(lambda info: info.split in (None, "train")), whole.where(lambda info: info.split == "val")
    train = open_dataset(name, splits[0])
    return train, train[:0] if splits[1] is None else open_dataset(name, splits[1])
