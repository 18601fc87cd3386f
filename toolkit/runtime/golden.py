"""The golden check: does an engine on this device compute what the bundle's FP32 networks compute on a CPU?

Known to fail: TensorRT 10.3 on JetPack 6 is silently wrong on transformers, and FP16 that overflows gives NaN. So a new
engine answers the frames that the bundle carries for this, and is turned away by name where it is beyond the limits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.bundle import Bundle
from edgedepth.core.errors import BackendError
from edgedepth.core.manifest import DEFAULT_LIMITS, DepthNetwork, Golden, GoldenLimits
from edgedepth.core.metrics import DepthErrors
from edgedepth.core.preprocess import Placement
from edgedepth.core.routing import Route
from edgedepth.engines.cache import PlanCache
from edgedepth.engines.registry import open_session
from edgedepth.engines.session import Session, as_precision
from edgedepth.engines.tensorrt.bundle import BuiltPlan
from edgedepth.engines.tensorrt.session import TensorRtSession, open_plan
from edgedepth.io.image_source import read_image
from edgedepth.runtime.network import FrameNetwork

REFERENCE_BACKEND = "onnxruntime"
OpenNetwork = Callable[[DepthNetwork], Session]


@dataclass(frozen=True, kw_only=True)
class GoldenResult:
    """What the check found of one network: pooled over its frames, against the FP32 reference.

    abs_rel, delta1: see `edgedepth.core.metrics`; both over the pixels where the engine answers a number.
    non_finite: pixels where it answers NaN or infinity.
    """

    route: str
    network: str
    backend: str
    device: str
    precision: str
    frames: int
    abs_rel: float
    delta1: float
    non_finite: int
    fault: str = ""

    @property
    def passed(self) -> bool:
        """Whether the engine is within the bundle's limits."""
        return not self.fault

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "passed": self.passed}

    def __str__(self) -> str:
        verdict = self.fault or "within the limits"
        return (
            f"{self.route}: {self.network} {self.precision} on {self.backend} ({self.device}): abs_rel"
            f" {self.abs_rel:.5f}, delta1 {self.delta1:.5f}, {self.non_finite} non-finite on {self.frames} golden"
            f" frames: {verdict}"
        )


def check_bundle(bundle: Bundle, *, backend: str, precision: str) -> list[GoldenResult]:
    """Check every depth network of a bundle that has golden frames, as a backend runs it in a precision.

    Raises:
        BackendError: the bundle has no golden frames, or a session does not open.
    """
    if not bundle.manifest.golden:
        raise BackendError(
            f"bundle {bundle.manifest.name} has no golden frames to check with; export it again with --golden"
        )

    def open_network(network: DepthNetwork) -> Session:
        path = bundle.path(network.variant(precision, backend))
        return open_session(path, backend, precision=as_precision(precision))

    routes = {golden.route for golden in bundle.manifest.golden}
    return [check_network(bundle, route, open_network) for route in Route if route in routes]


def check_network(bundle: Bundle, route: Route, open_network: OpenNetwork) -> GoldenResult:
    """Run the golden frames of a route through the FP32 reference on the CPU and through a session, and compare.

    What comes out of a TensorRT engine is written down: one beyond the limits is refused from now on.

    Raises:
        BackendError: a session does not open or fails to run.
    """
    with open_network(bundle.manifest.networks[route]) as session:
        result = check_session(bundle, route, session)
        if isinstance(session, TensorRtSession):
            _write_down(session, result)
        return result


def check_session(bundle: Bundle, route: Route, session: Session) -> GoldenResult:
    """Compare an open session of a route's network with the FP32 reference on the CPU.

    For an engine that resizes, the golden frames are first brought to its camera's size, and the reference gets them
    through the resize on the CPU. Otherwise the reference itself is held to the depth that the bundle stores.

    Raises:
        BackendError: a session does not open or fails to run, or the reference is not what the bundle was made with.
    """
    network = bundle.manifest.networks[route]
    runner = FrameNetwork(session, network.spec.input_wh, network.spec.resize)
    kept = [golden for golden in bundle.manifest.golden if golden.route is route]
    frames = [_at_size(read_image(bundle.path(golden.frame))[0], runner.camera_wh) for golden in kept]
    found = _depths(runner, frames)
    reference = bundle.path(network.variant("fp32", REFERENCE_BACKEND))
    with open_session(reference, REFERENCE_BACKEND) as cpu:
        truth = _depths(FrameNetwork(cpu, network.spec.input_wh, network.spec.resize), frames)
    if runner.camera_wh is None:
        _check_reference(network, truth, [_stored(bundle, golden) for golden in kept])
    limits = bundle.manifest.limits.get(session.precision, DEFAULT_LIMITS.get(session.precision))
    return _compare(route, network, session, truth, found, limits)


def _stored(bundle: Bundle, golden: Golden) -> NDArray[np.float32]:
    return np.asarray(np.load(bundle.path(golden.depth), allow_pickle=False), np.float32)


def _check_reference(
    network: DepthNetwork, truth: list[NDArray[np.float32]], stored: list[NDArray[np.float32]]
) -> None:
    """Nothing can be held against a reference that answers otherwise here than where the bundle was made."""
    limit = DEFAULT_LIMITS["fp32"].max_abs_rel
    for here, there in zip(truth, stored, strict=True):
        off = float(np.mean(np.abs(here - there) / there)) if here.shape == there.shape else float("inf")
        if not off <= limit:  # NaN is not
            raise BackendError(
                f"{network.network} in FP32 on this CPU is {off:.4f} (abs_rel) away from the depth that the bundle"
                " stores; reinstall onnxruntime, or export the bundle again"
            )


def check_new_engines(bundle: Bundle, sessions: Mapping[Route, Session]) -> list[GoldenResult]:
    """Check the TensorRT engines among open sessions that nobody has checked yet, and write down what came out.

    Routes without golden frames are passed over: their engines stay unchecked.

    Raises:
        BackendError: an engine is beyond the bundle's limits; from now on the cache refuses it.
    """
    checked = {golden.route for golden in bundle.manifest.golden}
    results = []
    for route, session in sessions.items():
        if route not in checked or not isinstance(session, TensorRtSession) or session.sidecar.checked:
            continue
        result = check_session(bundle, route, session)
        results.append(result)
        _write_down(session, result)
        if not result.passed:
            raise BackendError(f"engine rejected: {result}; use another precision or backend")
    return results


def _write_down(session: TensorRtSession, result: GoldenResult) -> None:
    PlanCache().note(session.key, checked=str(result), rejected=result.fault)


def _at_size(frame: NDArray[np.uint8], frame_wh: tuple[int, int] | None) -> NDArray[np.uint8]:
    """A frame stretched to a camera's size; as it is for None."""
    if frame_wh is None:
        return frame
    return Placement.of((frame.shape[1], frame.shape[0]), frame_wh, "stretch").to_input(frame)


def _depths(runner: FrameNetwork, frames: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
    answers = []
    for frame in frames:
        runner.load(frame)
        answers.append(runner.run(("depth_m",))["depth_m"][0, 0].copy())
    return answers


def _compare(
    route: Route,
    network: DepthNetwork,
    session: Session,
    truth: list[NDArray[np.float32]],
    found: list[NDArray[np.float32]],
    limits: GoldenLimits | None,
) -> GoldenResult:
    errors, non_finite = DepthErrors.NONE, 0
    for reference, answer in zip(truth, found, strict=True):
        finite = np.isfinite(answer) & (answer > 0)
        non_finite += int(finite.size - finite.sum())
        if finite.any():
            errors += DepthErrors.of(answer[finite], reference[finite])
    values = errors.values() if errors.count else {"abs_rel": float("inf"), "delta1": 0.0}
    return GoldenResult(
        route=route.value,
        network=network.network,
        backend=session.backend,
        device=session.device,
        precision=session.precision,
        frames=len(truth),
        abs_rel=values["abs_rel"],
        delta1=values["delta1"],
        non_finite=non_finite,
        fault=_fault(values["abs_rel"], values["delta1"], non_finite, limits),
    )


def _fault(abs_rel: float, delta1: float, non_finite: int, limits: GoldenLimits | None) -> str:
    """Which limit is passed, in words; empty if none is."""
    if non_finite:
        return f"{non_finite} pixels are not finite positive numbers"
    if limits is None:
        return ""
    if abs_rel > limits.max_abs_rel:
        return f"abs_rel {abs_rel:.4f} is above the limit of {limits.max_abs_rel:g}"
    if delta1 < limits.min_delta1:
        return f"delta1 {delta1:.4f} is below the limit of {limits.min_delta1:g}"
    return ""


def check_built(bundle: Bundle, built: Sequence[BuiltPlan]) -> list[GoldenResult]:
    """Open every depth engine that was built or found and hold it to the bundle's limits.

    Raises:
        BackendError: an engine computes something else than the network, or does not open.
    """
    results: list[GoldenResult] = []
    for entry in built:
        if entry.role == "router":
            continue
        with open_plan(
            entry.plan.sidecar.flavour,
            entry.plan,
            precision=as_precision(entry.precision),
            frame_wh=entry.sizes[0].opt_wh if entry.sizes else None,
        ) as session:
            results += check_new_engines(bundle, {Route(entry.role): session})
    return results
