"""Depth maps that lie in a folder, made by whatever program, as a predictor: evaluated like a network of ours."""

from __future__ import annotations

import json
import math
import tokenize
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError
from edgedepth.datasets import DepthSample
from edgedepth.datasets.files import read_depth_png
from edgedepth.evaluation.evaluate import Prediction

SUFFIXES = (".npz", ".npy", ".png")
_PNG_NOTE = "depth_png.json"  # what our 16-bit PNG output writes beside its pictures
# what NumPy lets through of files that are empty, cut short, altered or of another kind
_UNREADABLE = (
    OSError, ValueError, LookupError, TypeError, EOFError, RuntimeError,
    tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class PredictionFolder:
    """One file of dense depth for every sample, of any size.

    A sample "kitchen/0001" is looked for as kitchen/0001, kitchen_0001 and 0001 with one of `SUFFIXES`: `.npz` with
    the array depth_m, `.npy` of (H, W) metres, or a 16-bit `.png` whose values are `units_per_m` for each metre. A file
    answers for one sample: numbers that begin anew in every scene are no names.

    Raises:
        InputError: there is no such folder, or it holds PNG of unknown scale.
    """

    folder: Path
    units_per_m: float | None = None
    _answered: dict[Path, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise InputError(f"no folder of predictions at {self.folder}")
        if self.units_per_m is not None and not (math.isfinite(self.units_per_m) and self.units_per_m > 0):
            raise InputError(f"a depth scale is a positive number of values per metre, but got {self.units_per_m}")

    def __call__(self, sample: DepthSample) -> Prediction:
        """The prediction for a sample.

        Raises:
            InputError: there is none, or it is not a depth map, or it is another sample's.
        """
        path = self._path(sample.id)
        other = self._answered.setdefault(path, sample.id)
        if other != sample.id:
            raise InputError(
                f"{path} would answer for {other!r} and for {sample.id!r}; name it {sample.id}{path.suffix} or"
                f" {sample.id.replace('/', '_')}{path.suffix}"
            )
        if path.suffix == ".png":
            return Prediction(read_depth_png(path, self._png_scale(path)))
        return Prediction(_read_array(path))

    def _path(self, id: str) -> Path:
        # a path from the root would lead out of the folder
        for name in dict.fromkeys((id.lstrip("/"), id.replace("/", "_"), id.rpartition("/")[2])):
            for suffix in SUFFIXES:
                path = self.folder / f"{name}{suffix}"
                if path.is_file():
                    return path
        raise InputError(f"{self.folder} has no prediction for {id!r}; expected {id}{', '.join(SUFFIXES)}")

    def _png_scale(self, path: Path) -> float:
        if self.units_per_m is not None:
            return self.units_per_m
        note = self.folder / _PNG_NOTE
        if note.is_file():
            try:
                return float(json.loads(note.read_text())["scale"])
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{note} does not name the scale of its pictures ({error!r}); give it") from None
        raise InputError(f"how many values of {path} are a metre? Say it with --depth-scale, for example 256 or 1000")


def _read_array(path: Path) -> NDArray[np.float32]:
    try:
        with path.open("rb") as file:  # NumPy leaves a file open that is no archive
            content = np.load(file, allow_pickle=False)
            depth_m = np.asarray(content["depth_m"] if path.suffix == ".npz" else content, np.float32)
    except _UNREADABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__  # some of them are several lines, some none
        raise InputError(f"{path} holds no depth map that can be read ({reason}); write it again") from None
    if depth_m.ndim != 2:
        raise InputError(f"{path} must hold (H, W) metres, but has shape {depth_m.shape}")
    return depth_m


def holds_predictions(path: Path) -> bool:
    """Whether a path is a folder of predictions rather than a bundle."""
    if not path.is_dir() or (path / "bundle.json").exists():
        return False
    return any(file.suffix in SUFFIXES for file in path.rglob("*"))
