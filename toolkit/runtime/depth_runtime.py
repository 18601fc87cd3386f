"""`DepthRuntime`: frames in, metric depth out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.bundle import DEFAULT_BUNDLE, Bundle
from edgedepth.core.camera import Camera
from edgedepth.core.errors import BackendError, InputError, UnknownNameError
from edgedepth.core.manifest import ROUTER, DepthNetwork, MetricScale
from edgedepth.core.preprocess import BgrFrame, Placement, canonical_camera, check_frame, focal_scale
from edgedepth.core.results import DepthResult, PixelState
from edgedepth.core.routing import Decision, Route, RouteKeeper
from edgedepth.core.spec import DepthSpec, Upsampling
from edgedepth.core.upsampling import Upsampler
from edgedepth.engines.choice import chosen_precision
from edgedepth.engines.registry import auto_backend, backend_named, open_session
from edgedepth.engines.session import Session, as_precision
from edgedepth.io.frames import Frame, Source
from edgedepth.io.rectify import Rectifier
from edgedepth.io.sources import open_source
from edgedepth.runtime.golden import check_new_engines
from edgedepth.runtime.network import FrameNetwork
from edgedepth.runtime.profiling import stopwatch
from edgedepth.runtime.router import FrameRouter
from edgedepth.runtime.steady import Steadier

# A negative shift leaves no pixel behind the camera.
_NEAREST_M = 0.01


class DepthRuntime:
    """Runs a bundle: routes each frame and runs the depth network of its range.

    One runtime serves one thread; several may live in one process. Use it as a context manager, or `close` it.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        backend: str,
        precision: str,
        threads: int | None = None,
        frame_wh: tuple[int, int] | None = None,
        build: bool = True,
        upsampling: Upsampling | None = None,
    ) -> None:
        if upsampling is not None and upsampling not in get_args(Upsampling):
            raise UnknownNameError.of("upsampling", upsampling, get_args(Upsampling))
        self.bundle = bundle
        self.backend = auto_backend() if backend == "auto" else backend_named(backend).name
        self.precision = chosen_precision(bundle.manifest, precision, self.backend)
        self._threads, self._frame_wh, self._build = threads, frame_wh, build
        self._scratch = np.empty((0, 0), np.bool_)
        self._turn = threading.Lock()
        self._upsampling, self._upsampler = upsampling, Upsampler()
        with ExitStack() as opened:
            self._router = opened.enter_context(FrameRouter.of(bundle, lambda _: self._open(ROUTER)))
            # All networks are opened at once: a stream must not stall when its route first changes.
            self._networks = {
                route: opened.enter_context(FrameNetwork(self._open(route), entry.input_wh, entry.resize))
                for route, entry in bundle.manifest.networks.items()
            }
            sessions = {str(route): network.session for route, network in self._networks.items()}
            if self._router.session is not None:
                sessions[ROUTER] = self._router.session
            check_new_engines(bundle, sessions)
            self._opened = opened.pop_all()

    @classmethod
    def load(
        cls,
        bundle: str | Path | Bundle = DEFAULT_BUNDLE,
        *,
        backend: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        frame_wh: tuple[int, int] | None = None,
        build: bool = True,
        upsampling: Upsampling | None = None,
    ) -> DepthRuntime:
        """Open a bundle (folder, zip or `default`) on a backend.

        backend: a name of `edgedepth doctor`, or "auto" for the fastest that is installed.
        precision: "fp32", "fp16", "int8" as far as the bundle has them, or "auto": "int8" where every network's
            calibration held its budget and was measured to be faster on this backend, else "fp16" on a GPU if the
            bundle has it, else "fp32".
        threads: CPU threads of a CPU backend; None takes all cores.
        frame_wh: size of the camera's frames, where all have it: TensorRT then resizes them on the GPU.
        build: False refuses where an engine would first have to be built.
        upsampling: how depth comes to the frame's size, "linear" or "guided" (see `Upsampler`); None is what
            each network's contract says.

        Raises:
            BundleError: the bundle is missing, malformed or altered.
            BackendError: the backend is not available or cannot run the bundle, or a new engine fails its golden
                check.
            UnknownNameError: there is no such backend or upsampling.
        """
        opened = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
        return cls(
            opened,
            backend=backend,
            precision=precision,
            threads=threads,
            frame_wh=frame_wh,
            build=build,
            upsampling=upsampling,
        )

    @property
    def device(self) -> str:
        """The device the depth networks run on."""
        return next(iter(self._networks.values())).session.device

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes this bundle has networks for."""
        return tuple(self.bundle.manifest.networks)

    def spec(self, route: Route) -> DepthSpec:
        """The contract of the network of a route."""
        return self._entry(route).spec

    def upsampling(self, route: Route) -> Upsampling:
        """How the depth of a route comes to the frame's size; a map with unknown depths always comes linearly."""
        return self._upsampling or self._entry(route).spec.upsampling

    def keeper(self) -> RouteKeeper:
        """A hysteresis for one ordered stream, to pass to every call of that stream."""
        return self._router.keeper()

    def steadier(self, share: float = 0.8) -> Steadier:
        """A temporal smoothing for one ordered stream, to pass to every call of that stream (see `Steadier`)."""
        return Steadier(share)

    def decide(self, frame_bgr: NDArray[np.uint8]) -> Decision:
        """What the router says of one (H, W, 3) uint8 BGR frame by itself, without running a depth network."""
        check_frame(frame_bgr)
        with self._alone():
            return self._router.decide(frame_bgr)

    def __call__(
        self,
        frame_bgr: NDArray[np.uint8],
        *,
        camera: Camera | None = None,
        route: Route | str | None = None,
        keeper: RouteKeeper | None = None,
        steadier: Steadier | None = None,
        confidence: bool = False,
        outside: NDArray[np.bool_] | None = None,
        out: DepthResult | None = None,
    ) -> DepthResult:
        """Metric depth of one frame.

        frame_bgr: (H, W, 3) uint8, any size.
        camera: intrinsics in pixels of the frame; without them the network's canonical field of view is assumed
            and `result.camera_given` is False.
        route: force a route, "low" or "high", instead of asking the router.
        keeper: hysteresis of an ordered stream (see `keeper`); without one every frame is routed by itself.
        steadier: smooths the depth of an ordered stream over time (see `steadier`); without one every frame's
            answer stands alone.
        confidence: also answer the per-pixel confidence.
        outside: (H, W) bool: pixels that show nothing (see `Rectifier`); their depth is unknown.
        out: an earlier result of the same frame size, whose arrays are overwritten and returned, so that nothing
            of frame size is allocated.

        Raises:
            UnknownNameError: there is no such route.
            InputError: the frame is not (H, W, 3) uint8, or the camera or `outside` is for another size, or the network
                has no confidence, or the bundle's scale was measured without a camera and one is given.
            BackendError: another thread is being answered, or the engine failed.
        """
        check_frame(frame_bgr)
        _check_beside(frame_bgr, camera, outside)
        _check_kinds(keeper, steadier, out)
        with self._alone():
            return self._answer(frame_bgr, camera, route, keeper, steadier, confidence, outside, out)

    def stream(
        self,
        source: str | int | Path | Source | Iterable[NDArray[np.uint8]],
        *,
        camera: Camera | Rectifier | Literal["assumed"] | None = None,
        route: Route | str | None = None,
        steady: float = 0.0,
        confidence: bool = False,
    ) -> Iterator[DepthResult]:
        """Results of every frame of a source: a path, a camera index, an open `Source` or any iterable of frames.

        camera: intrinsics of every frame, or what rectifies it; without it a photo's EXIF data count, and a recording's
            camera_info, by which its frames are rectified; "assumed" leaves both out.

        Ordered sources (videos, cameras, iterables) are routed with hysteresis, photos one by one. `steady` is the
        share of the past that depth keeps where an ordered source stands still, 0 for none (see `Steadier`).
        """
        for _, result in self.stream_frames(source, camera=camera, route=route, steady=steady, confidence=confidence):
            yield result

    def stream_frames(
        self,
        source: str | int | Path | Source | Iterable[NDArray[np.uint8]],
        *,
        camera: Camera | Rectifier | Literal["assumed"] | None = None,
        route: Route | str | None = None,
        steady: float = 0.0,
        confidence: bool = False,
    ) -> Iterator[tuple[Frame, DepthResult]]:
        """Like `stream`, with the frame that each result is of: the rectified one where a lens is undone."""
        if isinstance(source, (str, int, Path)):
            with open_source(source) as opened:
                yield from self.stream_frames(opened, camera=camera, route=route, steady=steady, confidence=confidence)
            return
        items: Iterable[Frame | NDArray[np.uint8]] = source
        frames = (item if isinstance(item, Frame) else _frame_of(index, item) for index, item in enumerate(items))
        if camera is None and isinstance(source, Source) and source.lens is not None:
            camera = Rectifier(source.lens)
        yield from self.over(
            map(_seen_by(camera), frames),
            ordered=source.ordered if isinstance(source, Source) else True,
            route=route,
            steady=steady,
            confidence=confidence,
        )

    def over(
        self,
        frames: Iterable[Frame],
        *,
        ordered: bool,
        route: Route | str | None = None,
        steady: float = 0.0,
        confidence: bool = False,
    ) -> Iterator[tuple[Frame, DepthResult]]:
        """Each frame with its depth, one by one as they are asked for.

        Args:
            frames: of one size or of several, with the intrinsics that they bring.
            ordered: they are a stream: the route is kept from frame to frame, and depth by the share `steady`.
            route: forces the route of every frame.
            steady: share of the past that depth keeps where an ordered source stands still (see `Steadier`).
            confidence: also answer confidence.
        """
        keeper = self.keeper() if ordered else None
        steadier = self.steadier(steady) if ordered and steady else None
        for frame in frames:
            result = self(
                frame.image_bgr,
                camera=frame.camera,
                route=route,
                keeper=keeper,
                steadier=steadier,
                confidence=confidence,
                outside=frame.outside,
            )
            yield frame, result.at(frame.index, frame.time_s)

    def close(self) -> None:
        """Release every session; the runtime cannot be used afterwards."""
        self._opened.close()

    def __enter__(self) -> DepthRuntime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- inside ------------------------------------------------------------------------------------------

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Refuse a second thread meanwhile: both would read the same buffers, and get each other's depth."""
        if not self._turn.acquire(blocking=False):
            raise BackendError("this runtime is answering another thread; load a runtime for each thread")
        try:
            yield
        finally:
            self._turn.release()

    def _answer(
        self,
        frame_bgr: NDArray[np.uint8],
        camera: Camera | None,
        route: Route | str | None,
        keeper: RouteKeeper | None,
        steadier: Steadier | None,
        confidence: bool,
        outside: NDArray[np.bool_] | None,
        out: DepthResult | None,
    ) -> DepthResult:
        times: dict[str, float] = {}
        with stopwatch(times, "route"):
            decision = self._decide(frame_bgr, route, keeper)
        entry = self._entry(decision.route)
        network = self._networks[decision.route]
        if confidence and not entry.confidence:
            raise InputError(f"{entry.network} answers no confidence; export a network with bins")
        _check_scale(entry, camera)
        with stopwatch(times, "preprocess"):
            placement = network.load(frame_bgr)
        with stopwatch(times, "infer"):
            answer = network.run(("depth_m", "confidence") if confidence else ("depth_m",))
        with stopwatch(times, "postprocess"):
            if steadier is not None:
                depth_m = steadier(network.seen_bgr(), answer["depth_m"][0, 0], decision.route)
                answer = {**answer, "depth_m": depth_m[None, None]}
            scale = focal_scale(camera, placement, entry.spec)
            result = self._result(
                frame_bgr, answer, placement, entry, scale, decision, camera, confidence, outside, out
            )
        result.timings_ms.update(times)
        return result

    def _entry(self, route: Route) -> DepthNetwork:
        networks = self.bundle.manifest.networks
        if route not in networks:
            known = ", ".join(networks)
            raise InputError(f"bundle {self.bundle.manifest.name} has no network for route {route}; it has: {known}")
        return networks[route]

    def _open(self, role: str) -> Session:
        network = self.bundle.manifest.by_role()[role]
        precision = self.bundle.manifest.precision_of(role, self.precision, self.backend)
        return open_session(
            self.bundle.path(network.variant(precision, self.backend)),
            backend=self.backend,
            threads=self._threads,
            precision=as_precision(precision),
            frame_wh=self._frame_wh,
            resize=network.resize,
            build=self._build,
        )

    def _decide(self, frame: NDArray[np.uint8], route: Route | str | None, keeper: RouteKeeper | None) -> Decision:
        if route is not None:
            return Decision.forced(_route_named(route))
        if keeper is None:
            return self._router.decide(frame)
        return keeper.advance(self._router.decide(frame) if keeper.due else None)

    def _result(
        self,
        frame_bgr: NDArray[np.uint8],
        answer: dict[str, NDArray[np.float32]],
        placement: Placement,
        entry: DepthNetwork,
        scale: float,
        decision: Decision,
        camera: Camera | None,
        confidence: bool,
        outside: NDArray[np.bool_] | None,
        out: DepthResult | None,
    ) -> DepthResult:
        width, height = placement.frame_wh
        shape = (height, width)
        if out is not None and out.depth_m.shape != shape:
            raise InputError(f"out is for {out.depth_m.shape}, but the frame is {shape}; pass a result of this size")
        raw_out = None if out is None else out.raw_depth_m
        small = answer["depth_m"][0, 0]
        raw, upsampling = self._upsampler(small, placement, frame_bgr, self.upsampling(decision.route), raw_out)
        depth = np.empty(shape, np.float32) if out is None else out.depth_m
        valid = np.empty(shape, np.uint8) if out is None else out.valid
        self._mark(raw, entry.spec, valid)
        if outside is not None:
            np.copyto(valid, np.uint8(PixelState.UNKNOWN), where=outside)
        _to_camera(raw, scale, entry.scale)
        np.copyto(depth, raw)
        mask = self._mask(shape)
        for state in (PixelState.UNKNOWN, PixelState.BEYOND):
            np.equal(valid, state, out=mask)
            np.copyto(depth, np.float32(np.nan), where=mask)
        sure = None
        if confidence:
            sure = placement.to_frame(answer["confidence"][0, 0], out=None if out is None else out.confidence)
        return DepthResult(
            depth_m=depth,
            valid=valid,
            raw_depth_m=raw,
            confidence=sure,
            upsampling=upsampling,
            route=decision.route,
            score=decision.score,
            votes=decision.votes,
            camera=canonical_camera(placement, entry.spec) if camera is None else camera,
            camera_given=camera is not None,
        )

    def _mark(self, raw: NDArray[np.float32], spec: DepthSpec, valid: NDArray[np.uint8]) -> None:
        """Fill `valid` from the network's own depth, before it is scaled to the camera."""
        valid.fill(PixelState.MEASURED)
        mask = self._mask(raw.shape)
        np.less_equal(raw, np.float32(spec.nearer_m), out=mask)
        np.copyto(valid, np.uint8(PixelState.NEARER), where=mask)
        if spec.beyond_m is not None:
            np.greater_equal(raw, np.float32(spec.beyond_m), out=mask)
            np.copyto(valid, np.uint8(PixelState.BEYOND), where=mask)
        np.isfinite(raw, out=mask)
        np.logical_not(mask, out=mask)
        np.copyto(valid, np.uint8(PixelState.UNKNOWN), where=mask)

    def _mask(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        if self._scratch.shape != shape:
            self._scratch = np.empty(shape, np.bool_)
        return self._scratch


def _frame_of(index: int, image_bgr: NDArray[np.uint8]) -> Frame:
    return Frame(index=index, image_bgr=image_bgr, time_s=None, name=f"{index:06d}")


def _seen_by(camera: Camera | Rectifier | Literal["assumed"] | None) -> Callable[[Frame], Frame]:
    """What gives each frame its intrinsics; without a camera it keeps those that it brings."""
    if isinstance(camera, Rectifier):
        return camera.frame
    if camera is None:
        return lambda frame: frame
    if camera == "assumed":
        return lambda frame: replace(frame, camera=None)
    if not isinstance(camera, Camera):
        raise InputError(
            f"camera is a Camera, a Rectifier (Rectifier.of_file of a calibration) or 'assumed', but got {camera!r}"
        )
    return lambda frame: replace(frame, camera=camera, camera_source="given")


def _route_named(route: Route | str) -> Route:
    try:
        return Route(route)
    except ValueError:
        raise UnknownNameError.of("route", str(route), tuple(Route)) from None


def _check_beside(frame: BgrFrame, camera: Camera | None, outside: NDArray[np.bool_] | None) -> None:
    """Refuse what is given beside a frame and is not of it."""
    if isinstance(camera, Rectifier):
        raise InputError("rectify the frame first: image_bgr, camera, outside = rectify(frame_bgr)")
    if camera is not None and not isinstance(camera, Camera):
        raise InputError(f"camera is an edgedepth.Camera, but got {type(camera).__name__}")
    if outside is None:
        return
    if getattr(outside, "dtype", None) != np.bool_:
        got = getattr(outside, "dtype", type(outside).__name__)
        raise InputError(f"outside must be bool, but got {got}; of a mask of 0 and 255 it is mask > 0")
    if outside.shape != frame.shape[:2]:
        raise InputError(f"outside must be {frame.shape[:2]} as the frame is, but got {outside.shape}")


def _check_kinds(keeper: RouteKeeper | None, steadier: Steadier | None, out: DepthResult | None) -> None:
    """Refuse in one line what is not of its kind, such as `steadier=0.8`."""
    for name, given, kind, source in (
        ("keeper", keeper, RouteKeeper, "what keeper() gives"),
        ("steadier", steadier, Steadier, "what steadier() gives"),
        ("out", out, DepthResult, "an earlier result"),
    ):
        if given is not None and not isinstance(given, kind):
            raise InputError(f"{name} is {source}, but got {type(given).__name__}")


def _check_scale(entry: DepthNetwork, camera: Camera | None) -> None:
    """Refuse to count the ratio of focal lengths twice."""
    if camera is not None and entry.scale is not None and entry.scale.camera_given is False:
        raise InputError(
            f"the scale of {entry.network} was measured without intrinsics, so it holds the focal length, too;"
            " give no camera (--camera assumed), or measure again with: edgedepth scale --camera"
        )


def _to_camera(raw_m: NDArray[np.float32], focal: float, correction: MetricScale | None) -> None:
    """Bring a network's depth to the user's camera, in place: by focal length, then by the stored correction."""
    factor = focal if correction is None else focal * correction.factor
    if factor != 1.0:
        raw_m *= np.float32(factor)
    if correction is not None and correction.shift_m != 0.0:
        raw_m += np.float32(correction.shift_m)
        np.maximum(raw_m, np.float32(_NEAREST_M), out=raw_m)
