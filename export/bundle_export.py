"""Checkpoints to a bundle: every network in every precision asked for, checked against torch, with its manifest."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

import edgedepth
from edgedepth.core.bundle import MANIFEST_NAME, Bundle, file_entry, write_manifest
from edgedepth.core.errors import InputError, OutputError, UnknownNameError
from edgedepth.core.files import write_atomic
from edgedepth.core.manifest import (
    BundleFile,
    DepthNetwork,
    Golden,
    Manifest,
    Parity,
    Router,
    SceneNetwork,
    parse_manifest,
)
from edgedepth.core.preprocess import Placement
from edgedepth.core.routing import CoarseRule, FixedRule, Hysteresis, Route, SceneRule
from edgedepth.core.spec import ClassifierSpec, DepthSpec
from edgedepth.export.frames import probe_frames
from edgedepth.export.measure import count_gmacs, count_params
from edgedepth.export.network import PRECISIONS, optimise_graph
from edgedepth.export.parity import parity_of, reference
from edgedepth.export.passes import PassReport
from edgedepth.export.range_audit import audited_float16
from edgedepth.export.storage import compact
from edgedepth.export.torch_onnx import offers_confidence, to_onnx
from edgedepth.trainers.checkpoint import Checkpoint

Frame = NDArray[np.uint8]
# Frames of each route kept in the bundle with the depth they must give, to check a device against.
GOLDEN_PER_ROUTE = 2
# Places365's own number of votes (papers/1, section 3), where there are categories enough for it.
_TOP_K = 15


@dataclass(frozen=True, kw_only=True)
class BundleRequest:
    """What a bundle shall hold.

    depth: the checkpoint of each route.
    router: the scene classifier that chooses; or a depth checkpoint for the coarse rule; None for a fixed route.
    precisions: of `edgedepth.export.network.PRECISIONS`; fp32 is always made, as the reference.
    backends: also write the forms that pay on these backends only, where they differ from the common one.
    input_wh: another input size for the depth networks.
    golden: BGR frames of any size per route, for the parity check and to be kept; generated ones where absent.
    baselines: mean log-depth maps (h, w) float32 per route, for the canonical camera.
    half_storage: store fp32 graphs with float16 weights.
    notify: called with one line per step; the default does nothing.
    """

    depth: Mapping[Route, Checkpoint]
    router: Checkpoint | None = None
    rule: SceneRule | CoarseRule | None = None
    hysteresis: Hysteresis = field(default_factory=Hysteresis)
    name: str = "edgedepth"
    precisions: Sequence[str] = ("fp32",)
    backends: Sequence[str] = ()
    input_wh: tuple[int, int] | None = None
    golden: Mapping[Route, Sequence[Frame]] = field(default_factory=dict)
    baselines: Mapping[Route, NDArray[np.float32]] = field(default_factory=dict)
    half_storage: bool = False
    licence: str = "Apache-2.0"
    notify: Callable[[str], object] = str

    def __post_init__(self) -> None:
        if not self.depth:
            raise InputError("a bundle needs at least one depth checkpoint")
        for precision in self.precisions:
            if precision not in PRECISIONS:
                raise UnknownNameError.of("export precision", precision, PRECISIONS)
        if self.router is None and len(self.depth) > 1:
            raise InputError("two depth networks need a router; give a scene classifier's checkpoint too")
        if self.router is not None and len(self.depth) < 2:
            raise InputError("a router chooses between two depth networks; give a low and a high checkpoint")
        for checkpoint in self.depth.values():
            if not isinstance(checkpoint.spec, DepthSpec):
                raise InputError(f"{checkpoint.network} is a scene classifier; a route needs a depth network")


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """A written bundle; by network, what the rewrites did to its common graph and what float16 cannot hold."""

    bundle: Bundle
    passes: dict[str, tuple[PassReport, ...]]
    unfit: dict[str, tuple[str, ...]]


def export_bundle(request: BundleRequest, output: str | Path) -> ExportReport:
    """Write a bundle folder; `bundle.json` is written last, when every file is there and checked.

    Raises:
        ParityError: a graph disagrees with its network; the message has the numbers.
        OutputError: the folder cannot be written.
        InputError: the request does not make a bundle.
    """
    writer = _Writer(request, Path(output))
    networks = {route: writer.depth_network(route, checkpoint) for route, checkpoint in request.depth.items()}
    manifest = Manifest(
        name=request.name,
        edgedepth_version=edgedepth.__version__,
        router=writer.router(),
        networks=networks,
        golden=tuple(writer.golden),
        provenance=_provenance(request),
        licence=request.licence,
    )
    return ExportReport(bundle=write_manifest(writer.folder, manifest), passes=writer.passes, unfit=writer.unfit)


class _Writer:
    """Writes the files of one bundle and remembers what the manifest says of them."""

    def __init__(self, request: BundleRequest, folder: Path) -> None:
        self.request = request
        self.folder = _vacate(folder)
        self.golden: list[Golden] = []
        self.passes: dict[str, tuple[PassReport, ...]] = {}
        self.unfit: dict[str, tuple[str, ...]] = {}

    def depth_network(self, route: Route, checkpoint: Checkpoint) -> DepthNetwork:
        assert isinstance(checkpoint.spec, DepthSpec)
        size = self.request.input_wh
        spec = checkpoint.spec if size is None else checkpoint.spec.at_size(size)
        network = checkpoint.build()
        sure = offers_confidence(network)
        given = [_place(frame, spec) for frame in self.request.golden.get(route, ())]
        frames = [*given, *probe_frames(spec.input_wh)]
        graph = self._network(network, self._stem(route, checkpoint), spec, frames, confidence=sure)
        # the last probe is the one that looks most like a scene
        self._keep_golden(route, network, (given or frames[-1:])[:GOLDEN_PER_ROUTE])
        return DepthNetwork(
            network=checkpoint.network,
            params=count_params(graph.plain),
            gmacs=round(count_gmacs(graph.plain), 4),
            variants=graph.variants,
            spec=spec,
            confidence=sure,
            parity=graph.parity,
            baseline=self._baseline(route, spec),
        )

    def router(self) -> Router:
        request = self.request
        if request.router is None:
            return Router(rule=FixedRule(route=next(iter(request.depth))), hysteresis=request.hysteresis)
        checkpoint = request.router
        network, spec = checkpoint.build(), checkpoint.spec
        graph = self._network(network, self._stem("router", checkpoint), spec, probe_frames(spec.input_wh))
        params, gmacs = count_params(graph.plain), round(count_gmacs(graph.plain), 4)
        if isinstance(spec, ClassifierSpec):
            rule = request.rule or SceneRule(categories=spec.categories, top_k=_votes(len(spec.categories)))
            scene = SceneNetwork(
                network=checkpoint.network,
                params=params,
                gmacs=gmacs,
                variants=graph.variants,
                input_wh=spec.input_wh,
                resize=spec.resize,
            )
            return Router(rule=rule, scene=scene, hysteresis=request.hysteresis)
        coarse = DepthNetwork(
            network=checkpoint.network,
            params=params,
            gmacs=gmacs,
            variants=graph.variants,
            spec=spec,
            parity=graph.parity,
        )
        return Router(rule=request.rule or CoarseRule(), coarse=coarse, hysteresis=request.hysteresis)

    def _stem(self, role: str, checkpoint: Checkpoint) -> str:
        """What the files of a network are called: by its name, or by its role too where two have the same."""
        everyone = [*self.request.depth.values(), *([self.request.router] if self.request.router else [])]
        twins = [other for other in everyone if other.network == checkpoint.network]
        return checkpoint.network if len(twins) == 1 else f"{role}-{checkpoint.network}"

    def _network(
        self,
        network: nn.Module,
        name: str,
        spec: DepthSpec | ClassifierSpec,
        frames: Sequence[Frame],
        *,
        confidence: bool = False,
    ) -> _Graph:
        """Trace once, then write and check every variant."""
        output = "depth_m" if isinstance(spec, DepthSpec) else "probabilities"
        self.request.notify(f"tracing {name} at {spec.input_wh[0]}x{spec.input_wh[1]}")
        plain = to_onnx(network, spec.input_wh, output=output, confidence=confidence)
        graph = _Graph(plain=plain)
        weights = {key: value.numpy() for key, value in network.state_dict().items()}
        common, self.passes[name] = optimise_graph(plain)
        forms = {"": common}
        for backend in self.request.backends:
            special, _ = optimise_graph(plain, backend=backend)
            if special != common:
                forms[f"@{backend}"] = special
        for precision in dict.fromkeys(("fp32", *self.request.precisions)):
            for suffix, form in forms.items():
                model = form
                if precision == "fp16":
                    model, self.unfit[name] = audited_float16(form, [frame[None] for frame in frames])
                if precision == "fp32" and self.request.half_storage:
                    model = compact(model, weights)
                key = f"{precision}{suffix}"
                file = f"{name}.{key}.onnx"
                write_atomic(self.folder / file, model.SerializeToString())
                graph.parity[key] = parity_of(network, self.folder / file, frames, precision=precision)
                graph.variants[key] = file_entry(self.folder, file)
                self.request.notify(f"{file}: maximum relative difference {graph.parity[key].max_relative:.1e}")
        return graph

    def _keep_golden(self, route: Route, network: nn.Module, frames: Sequence[Frame]) -> None:
        for number, frame in enumerate(frames):
            base = f"golden/{route}-{number}"
            done, png = cv2.imencode(".png", frame)
            assert done
            write_atomic(self.folder / f"{base}.png", png.tobytes())
            write_atomic(self.folder / f"{base}.npy", _npy(reference(network, frame)[0, 0]))
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
        resized = np.asarray(cv2.resize(log_depth, spec.input_wh), np.float32)
        write_atomic(self.folder / file, _npy(resized))
        return file_entry(self.folder, file)


@dataclass(frozen=True, kw_only=True)
class _Graph:
    """A network's plain graph, for counting, and what was written of it."""

    plain: onnx.ModelProto
    variants: dict[str, BundleFile] = field(default_factory=dict)
    parity: dict[str, Parity] = field(default_factory=dict)


def _vacate(folder: Path) -> Path:
    """Make the folder ready: remove the bundle that lies there, manifest first, and nothing else.

    Raises:
        OutputError: the folder holds something that is not a bundle.
    """
    if not folder.exists():
        return folder
    if not folder.is_dir():
        raise OutputError(f"{folder} is a file; choose a folder with -o/--output")
    if not any(folder.iterdir()):
        return folder
    manifest = folder / MANIFEST_NAME
    if not manifest.is_file():
        raise OutputError(f"{folder} is not empty and is not a bundle; choose another folder with -o/--output")
    old = parse_manifest(manifest.read_text(), where=str(manifest)).files()
    manifest.unlink()
    for entry in old:
        (folder / entry.file).unlink(missing_ok=True)
    return folder


def _place(frame: Frame, spec: DepthSpec) -> Frame:
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
    checkpoints = {str(route): checkpoint for route, checkpoint in request.depth.items()}
    if request.router is not None:
        checkpoints["router"] = request.router
    return {
        f"{role}.{key}": value
        for role, checkpoint in checkpoints.items()
        for key, value in checkpoint.provenance.items()
    }
