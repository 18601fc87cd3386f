"""The frames that a calibration looks at: distinct, sorted to routes, at network size, and never too few.

Whatever the runtime can read is a source, and so is a labelled data set by its name `kind:path`. Three of four
frames are observed; the fourth is kept back to check the result on, with its truth where the source has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from edgedepth.calibration.distinct import DistinctFilter
from edgedepth.calibration.observe import Progress, silent
from edgedepth.calibration.vary import varied
from edgedepth.calibration.world_frames import WORLD, world_datasets
from edgedepth.core.bundle import Bundle
from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError, require
from edgedepth.core.preprocess import BgrFrame, Placement, focal_scale
from edgedepth.core.routing import Route
from edgedepth.core.spec import DepthSpec
from edgedepth.datasets import READERS, open_dataset, training_splits_of
from edgedepth.engines import open_session
from edgedepth.io import open_source
from edgedepth.io.rectify import Rectifier
from edgedepth.runtime.router import FrameRouter

ASKED = 128  # distinct frames per network below which a calibration is worth a warning
LEAST = 32  # and below which there is none
LIMIT = 256  # frames per network that are kept; of longer sources, frames are drawn at random, each alike
CHECK_EVERY = 4
_LIVE = 3600  # frames that are read of a camera, which has no end: two minutes of most
_SPREAD = 4  # samples of a data set that are looked at, per frame that may be kept: routes and duplicates take some


@dataclass(frozen=True)
class View:
    """One frame of a source: (H, W, 3) uint8 BGR, and what is known of it.

    truth_m: (H, W) float32 metres, NaN where unknown; None for sources without labels.
    """

    image_bgr: BgrFrame
    camera: Camera | None = None
    truth_m: NDArray[np.float32] | None = None
    route: Route | None = None


@dataclass(frozen=True)
class CheckFrame:
    """A frame at network size (h, w, 3), and its truth (h, w) in the network's own metres, NaN where unknown."""

    image: BgrFrame
    truth_m: NDArray[np.float32] | None


@dataclass(frozen=True)
class RouteFrames:
    """What was kept for one network: frames to observe, and frames to check on."""

    observed: tuple[BgrFrame, ...]
    check: tuple[CheckFrame, ...]

    @property
    def labelled(self) -> bool:
        """True where the check frames carry measured depth."""
        return bool(self.check) and all(frame.truth_m is not None for frame in self.check)

    @property
    def digest(self) -> str:
        """sha256 of the observed frames, in order."""
        state = hashlib.sha256()
        for frame in self.observed:
            state.update(frame.tobytes())
        return state.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """The frames of a source by route, and what became of the others.

    refused: routes that cannot be calibrated on this source, with the reason. warnings: one line each.
    """

    source: str
    routes: Mapping[Route, RouteFrames]
    refused: Mapping[Route, str]
    read: int
    duplicates: int
    constant: int
    warnings: tuple[str, ...] = ()


def check_source(source: str) -> None:
    """Refuse a source that `gather` could not read, before work is spent that it is needed for.

    Raises:
        InputError: there is no such source, or it cannot be opened.
        MissingPackageError: the renderer of "world" is not installed.
    """
    if source == WORLD:
        require("warp", extra="world")
    elif source.partition(":")[0] in READERS:
        open_dataset(source)
    else:
        open_source(source).close()


def gather(bundle: Bundle, source: str, *, limit: int = LIMIT, progress: Progress = silent) -> Gathered:
    """Read a source once and keep what a calibration of the bundle's networks needs.

    source: anything `edgedepth run` reads, a data set `kind:path`, or "world" for the rendered default.
    progress: called with the frames rendered or read so far.

    Raises:
        InputError: the source cannot be read, or leaves every network with fewer than `LEAST` frames.
    """
    specs = {route: network.spec for route, network in bundle.manifest.networks.items()}
    kept = {route: _Reservoir(limit) for route in specs}
    distinct = DistinctFilter()
    router = FrameRouter.of(bundle, lambda network: open_session(bundle.path(network.variants["fp32"]), "onnxruntime"))
    try:
        for view in _views(bundle, source, _SPREAD * limit, progress):
            progress(distinct.read)
            if not distinct.passes(view.image_bgr):
                continue
            route = view.route if view.route is not None else router.decide(view.image_bgr).route
            if route in kept:
                kept[route].offer(view, specs[route])
    finally:
        router.close()
    routes = {route: reservoir.split() for route, reservoir in kept.items()}
    refused = {
        route: _why_not(route, len(frames.observed), distinct) for route, frames in routes.items()
        if len(frames.observed) < LEAST
    }  # fmt: skip
    if len(refused) == len(routes):
        raise InputError(f"{source} cannot calibrate: " + "; ".join(refused.values()))
    usable = {route: frames for route, frames in routes.items() if route not in refused}
    return Gathered(
        source=source,
        routes=usable,
        refused=refused,
        read=distinct.read,
        duplicates=distinct.duplicates,
        constant=distinct.constant,
        warnings=tuple(
            f"{route}: {len(frames.observed)} distinct frames; {ASKED} or more give steadier ranges"
            for route, frames in usable.items()
            if len(frames.observed) < ASKED
        ),
    )


def _why_not(route: Route, found: int, distinct: DistinctFilter) -> str:
    reason = f"{route}: {found} distinct frames of this range to observe, but {LEAST} are needed (better {ASKED})"
    if distinct.constant:
        reason += f"; {distinct.constant} of {distinct.read} frames show nothing (one colour)"
    if distinct.duplicates:
        reason += f"; {distinct.duplicates} repeat another"
    return reason


def _views(bundle: Bundle, source: str, most: int, progress: Progress) -> Iterator[View]:
    """The frames of a source in order; of a data set, which can be read at any place, `most` samples all over it.

    The test split of a data set is never calibrated on, nor the validation split of a kind that has official ones:
    figures are given on them.
    """
    if source == WORLD:
        datasets = world_datasets(bundle, progress=progress)
    elif source.partition(":")[0] in READERS:
        splits = training_splits_of(source)
        datasets = [open_dataset(source, None if splits is None else splits[0])]
    else:
        with open_source(source) as frames:
            rectify = None if frames.lens is None else Rectifier(frames.lens)
            for frame in islice(frames, _LIVE if frames.live else None):
                seen = frame if rectify is None else rectify.frame(frame)  # as a run sees it
                yield View(seen.image_bgr, seen.camera)
        return
    for dataset in datasets:
        for number, sample in enumerate(dataset.where(lambda info: info.split != "test").limited(most)):
            image = varied(sample.image_bgr, number) if source == WORLD else sample.image_bgr
            yield View(image, sample.camera, sample.depth_m, sample.route)


class _Reservoir:
    """At most `limit` frames, each offered one with the same chance, however many come (J. Vitter, 1985)."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._offered = 0
        self._random = np.random.default_rng(0)  # the same source gives the same frames
        self._frames: list[tuple[int, CheckFrame]] = []

    def offer(self, view: View, spec: DepthSpec) -> None:
        place = len(self._frames) if self._offered < self._limit else int(self._random.integers(self._offered + 1))
        if place < self._limit:
            entry = (self._offered, at_network_size(view, spec))
            self._frames[place : place + 1] = [entry]
        self._offered += 1

    def split(self) -> RouteFrames:
        in_order = [frame for _, frame in sorted(self._frames, key=lambda entry: entry[0])]
        check = in_order[CHECK_EVERY - 1 :: CHECK_EVERY]
        observed = [f for i, f in enumerate(in_order) if i % CHECK_EVERY != CHECK_EVERY - 1]
        return RouteFrames(tuple(frame.image for frame in observed), tuple(check))


def at_network_size(view: View, spec: DepthSpec) -> CheckFrame:
    """Place a view in a network's input, and its truth with it, scaled to the network's canonical camera."""
    height, width = view.image_bgr.shape[:2]
    placement = Placement.of((width, height), spec.input_wh, spec.resize)
    truth = None
    if view.truth_m is not None:
        truth = placement.labels_to_input(view.truth_m, np.nan) / np.float32(focal_scale(view.camera, placement, spec))
        truth = np.where((truth > spec.min_m) & (truth < spec.max_m), truth, np.float32(np.nan)).astype(np.float32)
    return CheckFrame(placement.to_input(view.image_bgr), truth)


def with_truth(frames: RouteFrames, truths: Iterable[NDArray[np.float32]]) -> RouteFrames:
    """The same frames with other truths, for example what FP32 answers."""
    pairs = zip(frames.check, truths, strict=True)
    return replace(frames, check=tuple(replace(frame, truth_m=truth) for frame, truth in pairs))
