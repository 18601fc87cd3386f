"""What a labelled sample is, and a data set as a sequence of samples that are read when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.camera import Camera
from edgedepth.core.routing import Route


@dataclass(frozen=True, kw_only=True)
class SampleInfo:
    """What is known of a sample without reading its pixels.

    route: the depth range its scene belongs to, where the data set says so.
    domain, category, split: names as the data set gives them.
    scene: samples of one scene (room, drive, seed) share it, so that splits can keep scenes apart.
    """

    id: str
    route: Route | None = None
    domain: str | None = None
    category: str | None = None
    split: str | None = None
    scene: str | None = None


@dataclass(frozen=True, kw_only=True)
class DepthSample(SampleInfo):
    """An image with its measured depth.

    image_bgr: (H, W, 3) uint8.
    depth_m: (H, W) float32 metres along the optical axis, NaN where nothing was measured.
    camera: intrinsics in pixels of the image, where known.
    semantic: (H, W) uint8 or uint16 class ids of the data set, where it has them.
    """

    image_bgr: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    camera: Camera | None = None
    semantic: NDArray[np.uint8] | NDArray[np.uint16] | None = None

    def __post_init__(self) -> None:
        if self.image_bgr.ndim != 3 or self.image_bgr.shape[2] != 3 or self.image_bgr.dtype != np.uint8:
            raise ValueError(
                f"image_bgr must be (H, W, 3) uint8, but got {self.image_bgr.shape} {self.image_bgr.dtype}"
            )
        shape = self.image_bgr.shape[:2]
        if self.depth_m.shape != shape or self.depth_m.dtype != np.float32:
            raise ValueError(f"depth_m must be {shape} float32, but got {self.depth_m.shape} {self.depth_m.dtype}")
        if self.semantic is not None and self.semantic.shape != shape:
            raise ValueError(f"semantic must be {shape}, but got {self.semantic.shape}")
        if self.camera is not None and (self.camera.height, self.camera.width) != shape:
            raise ValueError(f"camera must be for {shape}, but is for {self.camera.height, self.camera.width}")


@dataclass(frozen=True)
class Entry:
    """One sample of a data set: what is known of it, and how to read it (picklable, for worker processes).

    files: all that `read` reads, there or missing: what was made of the sample holds until one of them changes.
    """

    info: SampleInfo
    read: Callable[[SampleInfo], DepthSample]
    files: tuple[Path, ...] = ()

    def load(self) -> DepthSample:
        """Read the sample's pixels."""
        return self.read(self.info)


@dataclass(frozen=True)
class DepthDataset(Sequence[DepthSample]):
    """A sequence of samples; indexing reads files, `infos` and `where` do not.

    name: `kind:path`, as it was opened.
    notes: lines worth telling the user, for example how many listed frames have no ground truth.
    semantic_classes: names of the ids in `DepthSample.semantic`, where the data set tells them.
    """

    name: str
    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()
    semantic_classes: tuple[str, ...] = ()

    @property
    def infos(self) -> tuple[SampleInfo, ...]:
        """What is known of every sample without reading it."""
        return tuple(entry.info for entry in self.entries)

    def where(self, keep: Callable[[SampleInfo], bool]) -> DepthDataset:
        """The samples for which `keep` is true, for example `lambda info: info.route is Route.LOW`."""
        return replace(self, entries=tuple(entry for entry in self.entries if keep(entry.info)))

    def limited(self, count: int | None) -> DepthDataset:
        """At most `count` samples, spread evenly over the whole set; None keeps all."""
        if count is None or count >= len(self.entries):
            return self
        chosen = np.linspace(0, len(self.entries) - 1, count).round().astype(int)
        return replace(self, entries=tuple(self.entries[i] for i in chosen))

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[DepthSample]:
        return (entry.load() for entry in self.entries)

    @overload
    def __getitem__(self, index: int) -> DepthSample: ...

    @overload
    def __getitem__(self, index: slice) -> DepthDataset: ...

    def __getitem__(self, index: int | slice) -> DepthSample | DepthDataset:
        if isinstance(index, slice):
            return replace(self, entries=self.entries[index])
        return self.entries[index].load()
