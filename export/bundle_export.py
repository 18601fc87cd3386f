"""Checkpoints to a bundle: every network in every precision asked for, checked against torch, with its manifest."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import edgedepth
from edgedepth.core.bundle import Bundle, file_entry, write_manifest
from edgedepth.core.bundle_install import files_to_replace, install
from edgedepth.core.files import scratch_in, write_atomic
from edgedepth.core.manifest import (
    BundleFile,
    DepthNetwork,
    Golden,
    Manifest,
    Router,
    SceneNetwork,
)
from edgedepth.core.preprocess import BgrFrame, Placement
from edgedepth.core.routing import CoarseRule, FixedRule, Hysteresis, Route, SceneRule
from edgedepth.core.spec import ClassifierSpec, DepthSpec
from edgedepth.evaluation import map_at_size
from edgedepth.export.frames import probe_frames, scene_frames
from edgedepth.export.measure import count_gmacs, count_params
from edgedepth.export.original import Exportable, Original
from edgedepth.export.passes import PassReport
from edgedepth.export.request import BundleRequest, exportable
from edgedepth.export.variants import Variants, Written

# Frames of each route kept in the bundle with the depth they must give, to check a device against.
GOLDEN_PER_ROUTE = 3
# Places365's own number of votes (papers/1, section 3), where there are categories enough for it.
_TOP_K = 15


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """A written bundle; by network, what the rewrites did to its common graph and what float16 cannot hold.

    own_wh: by network, the size of its checkpoint, where it was exported at another.
    """

    bundle: Bundle
    passes: dict[str, tuple[PassReport, ...]]
    unfit: dict[str, tuple[str, ...]]
    own_wh: dict[str, tuple[int, int]] = field(default_factory=dict)


def export_bundle(request: BundleRequest, output: str | Path) -> ExportReport:
    """Write a bundle folder, in the place of the bundle that lies there, once every file of it is made and checked.

    Raises:
        ParityError: a graph disagrees with its network; the message has the numbers.
        OutputError: the folder cannot be written.
        InputError: the request does not make a bundle.
    """
    folder = Path(output)
    earlier = files_to_replace(folder)
    with scratch_in(folder) as made:
        writer = _Writer(request, made)
        networks = {route: writer.depth_network(route, exportable(source)) for route, source in request.depth.items()}
        manifest = Manifest(
            name=request.name,
            edgedepth_version=edgedepth.__version__,
            router=writer.router(),
            networks=networks,
            golden=tuple(writer.golden),
            provenance=_provenance(request),
            licence=request.licence,
        )
        write_manifest(made, manifest)
        install(made, folder, earlier)
    return ExportReport(bundle=Bundle.load(folder), passes=writer.passes, unfit=writer.unfit, own_wh=writer.own_wh)


class _Writer:
    """Writes the files of one bundle and remembers what the manifest says of them."""

    def __init__(self, request: BundleRequest, folder: Path) -> None:
        self.request = request
        self.folder = folder
        self.golden: list[Golden] = []
        self.passes: dict[str, tuple[PassReport, ...]] = {}
        self.unfit: dict[str, tuple[str, ...]] = {}
        self.own_wh: dict[str, tuple[int, int]] = {}

    def depth_network(self, route: Route, source: Exportable) -> DepthNetwork:
        assert isinstance(source.spec, DepthSpec)
        size = self.request.input_wh
        spec = source.spec if size is None else source.spec.at_size(size)
        if spec.input_wh != source.spec.input_wh:
            self.own_wh[source.network] = source.spec.input_wh
        original = source.open()
        scenes = [_place(frame, spec) for frame in self.request.golden.get(route) or scene_frames(route)]
        frames = [*scenes, *probe_frames(spec.input_wh)]
        written = self._written(original, str(route), source, spec, frames, route)
        self._keep_golden(route, original, scenes[:GOLDEN_PER_ROUTE])
        return DepthNetwork(
            network=source.network,
            params=count_params(written.plain),
            gmacs=round(count_gmacs(written.plain), 4),
            variants=written.variants,
            spec=spec,
            confidence=original.confidence,
            parity=written.parity,
            accuracy=written.accuracy,
            baseline=self._baseline(route, spec),
        )

    def router(self) -> Router:
        request = self.request
        if request.router is None:
            return Router(rule=FixedRule(route=next(iter(request.depth))))
        source = exportable(request.router)
        spec = source.spec
        scenes = [_place(frame, spec) for route in Route for frame in scene_frames(route)]
        written = self._written(source.open(), "router", source, spec, [*scenes, *probe_frames(spec.input_wh)])
        params, gmacs = count_params(written.plain), round(count_gmacs(written.plain), 4)
        if isinstance(spec, ClassifierSpec):
            rule = request.rule or SceneRule(categories=spec.categories, top_k=_votes(len(spec.categories)))
            scene = SceneNetwork(
                network=source.network,
                params=params,
                gmacs=gmacs,
                variants=written.variants,
                input_wh=spec.input_wh,
                resize=spec.resize,
            )
            votes = isinstance(rule, SceneRule) and rule.vote != "expected"
            usual = Hysteresis.of_votes() if votes else Hysteresis()
            return Router(rule=rule, scene=scene, hysteresis=request.hysteresis or usual)
        coarse = DepthNetwork(
            network=source.network,
            params=params,
            gmacs=gmacs,
            variants=written.variants,
            spec=spec,
            parity=written.parity,
        )
        hysteresis = request.hysteresis or Hysteresis()
        return Router(rule=request.rule or CoarseRule(), coarse=coarse, hysteresis=hysteresis)

    def _written(
        self,
        original: Original,
        part: str,
        source: Exportable,
        spec: DepthSpec | ClassifierSpec,
        frames: Sequence[BgrFrame],
        route: Route | None = None,
    ) -> Written:
        """The files of a network, called by its name, or by its part in the bundle too where two have the same."""
        twins = [other for other in self.request.networks.values() if other.network == source.network]
        stem = source.network if len(twins) == 1 else f"{part}-{source.network}"
        files = Variants(original, spec, stem=stem, folder=self.folder, request=self.request, route=route)
        written = files.write(frames)
        self.passes[stem], self.unfit[stem] = written.passes, written.unfit
        return written

    def _keep_golden(self, route: Route, original: Original, frames: Sequence[BgrFrame]) -> None:
        for number, frame in enumerate(frames):
            base = f"golden/{route}-{number}"
            done, png = cv2.imencode(".png", frame)
            assert done
            write_atomic(self.folder / f"{base}.png", png.tobytes())
            write_atomic(self.folder / f"{base}.npy", _npy(original.answer(frame)[0, 0]))
            self.golden.append(
                Golden(
                    route=route,
                    frame=file_entry(self.folder, f"{base}.png"),
                    depth=file_entry(self.folder, f"{base}.npy"),
                )
            )

    def _baseline(self, route: Route, spec: DepthSpec) -> BundleFile | None:
        if route not in self.request.baselines:
            return None
        log_depth = self.request.baselines[route].astype(np.float32)
        file = f"baseline/{route}.npy"
        write_atomic(self.folder / file, _npy(map_at_size(log_depth, spec.input_wh)))
        return file_entry(self.folder, file)


def _place(frame: BgrFrame, spec: DepthSpec | ClassifierSpec) -> BgrFrame:
    return Placement.of((frame.shape[1], frame.shape[0]), spec.input_wh, spec.resize).to_input(frame)


def _votes(categories: int) -> int:
    """An odd number of votes, below half of the categories where they are few."""
    below_half = (categories - 1) // 2
    return min(_TOP_K, max(1, below_half - (below_half + 1) % 2))


def _npy(array: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _provenance(request: BundleRequest) -> dict[str, str]:
    return {
        f"{part}.{key}": value for part, source in request.networks.items() for key, value in source.provenance.items()
    }
