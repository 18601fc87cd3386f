"""The golden check: does an engine on this device compute what the bundle's FP32 networks compute on a CPU?

Depth is held to it by its error, a scene classifier by how much of its probability lies elsewhere.

Known to fail: TensorRT 10.3 on JetPack 6 is silently wrong on transformers, and FP16 that overflows gives NaN. So a new
engine answers the frames that the bundle carries for this, and is turned away by name where it is beyond the limits.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.bundle import Bundle
from edgedepth.core.errors import BackendError, OutputError
from edgedepth.core.manifest import DEFAULT_LIMITS, ROUTER, Golden, GoldenLimits, Network, SceneNetwork
from edgedepth.core.metrics import DepthErrors
from edgedepth.core.preprocess import Placement
from edgedepth.engines.cache import PlanCache
from edgedepth.engines.registry import open_session
from edgedepth.engines.session import Session, as_precision
from edgedepth.engines.tensorrt.bundle import BuiltPlan
from edgedepth.engines.tensorrt.plans import Plan
from edgedepth.engines.tensorrt.session import TensorRtSession, open_plan
from edgedepth.io.image_source import read_image
from edgedepth.runtime.network import FrameNetwork

_LOG = logging.getLogger("edgedepth.tensorrt")
REFERENCE_BACKEND = "onnxruntime"
Answers = list[NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class GoldenResult:
    """What the check found of one network: over its golden frames, against the FP32 reference.

    role: "low" and "high", the depth networks of these routes, or "router".
    figures: of depth `abs_rel` and `delta1` (see `edgedepth.core.metrics`), pooled over the pixels where the engine
        answers a number; of a scene classifier `moved`, the largest share of the probability that lies on other
        categories (total variation), 0 to 1.
    non_finite: numbers of its answers that are NaN or infinity, of depths also those that are not positive.
    camera_wh: the size of the frames that it was given, of an engine that resizes them.
    """

    role: str
    network: str
    backend: str
    device: str
    precision: str
    frames: int
    figures: Mapping[str, float]
    non_finite: int
    fault: str = ""
    camera_wh: tuple[int, int] | None = None

    @property
    def passed(self) -> bool:
        """Whether the engine is within the bundle's limits."""
        return not self.fault

    def as_dict(self) -> dict[str, Any]:
        """Plain data, the figures among the rest."""
        data = asdict(self)
        figures = data.pop("figures")
        return {**data, **figures, "passed": self.passed}

    def __str__(self) -> str:
        figures = ", ".join(f"{name} {value:.5f}" for name, value in self.figures.items())
        frames_of = "" if self.camera_wh is None else f" from {self.camera_wh[0]}x{self.camera_wh[1]}"
        return (
            f"{self.role}: {self.network} {self.precision}{frames_of} on {self.backend} ({self.device}): {figures},"
            f" {self.non_finite} non-finite on {self.frames} golden frames: {self.fault or 'within the limits'}"
        )


def check_bundle(bundle: Bundle, *, backend: str, precision: str) -> list[GoldenResult]:
    """Check every network of a bundle that has golden frames, as a backend runs it in a precision.

    A router that has no file of the precision is checked in FP32, as it runs.

    Raises:
        BackendError: the bundle has no golden frames, or a session does not open.
    """
    if not bundle.manifest.golden:
        raise BackendError(
            f"bundle {bundle.manifest.name} has no golden frames to check with; export it again with --golden"
        )

    results = []
    for role, network in bundle.manifest.by_role().items():
        if _frames(bundle, role):
            chosen = bundle.manifest.precision_of(role, precision, backend)
            path = bundle.path(network.variant(chosen, backend))
            with open_session(path, backend, precision=as_precision(chosen)) as session:
                results.append(check_network(bundle, role, session))
    return results


def check_network(bundle: Bundle, role: str, session: Session) -> GoldenResult:
    """Compare an open session of a network with the FP32 reference on the CPU (see `check_session`).

    What comes out of a TensorRT engine is written down: one beyond the limits is refused from now on.

    Raises:
        BackendError: the reference does not open, or either fails to run.
    """
    result = check_session(bundle, role, session)
    if isinstance(session, TensorRtSession) and (session.profiles == 1 or not result.passed):
        _write_down(session, [result])
    return result


def check_session(bundle: Bundle, role: str, session: Session) -> GoldenResult:
    """Compare an open session of a network with the FP32 reference on the CPU.

    For an engine that resizes, the golden frames are first brought to its camera's size, and the reference gets them
    through the resize on the CPU. Otherwise the reference itself is held to the depth that the bundle stores.

    Raises:
        BackendError: a session does not open or fails to run, or the reference is not what the bundle was made with.
    """
    network = bundle.manifest.by_role()[role]
    runner = _runner(network, session)
    kept = _frames(bundle, role)
    frames = [_at_size(read_image(bundle.path(golden.frame))[0], runner.camera_wh) for golden in kept]
    output = "probabilities" if isinstance(network, SceneNetwork) else "depth_m"
    found = _answers(runner, frames, output)
    with open_session(bundle.path(network.variant("fp32", REFERENCE_BACKEND)), REFERENCE_BACKEND) as cpu:
        truth = _answers(_runner(network, cpu), frames, output)
    if runner.camera_wh is None and role != ROUTER:
        _check_reference(network, truth, [_stored(bundle, golden) for golden in kept])
    limits = bundle.manifest.limits.get(session.precision, DEFAULT_LIMITS.get(session.precision))
    figures, non_finite, fault = (_compared_scenes if output == "probabilities" else _compared_depths)(
        truth, found, limits
    )
    return GoldenResult(
        role=str(role),
        network=network.network,
        backend=session.backend,
        device=session.device,
        precision=session.precision,
        frames=len(frames),
        figures=figures,
        non_finite=non_finite,
        fault=fault,
        camera_wh=runner.camera_wh,
    )


def check_new_engines(bundle: Bundle, sessions: Mapping[str, Session]) -> list[GoldenResult]:
    """Check the TensorRT engines among open sessions, by role, that nobody has checked yet, and write down the result.

    Networks without golden frames are passed over: their engines stay unchecked.

    Raises:
        BackendError: an engine is beyond the bundle's limits; from now on the cache refuses it.
    """
    results = []
    for role, session in sessions.items():
        if isinstance(session, TensorRtSession) and not session.sidecar.checked and _frames(bundle, role):
            results.append(_accepted(bundle, role, session))
            if session.profiles == 1:  # of the others nobody knows yet
                _write_down(session, results[-1:])
    return results


def check_built(bundle: Bundle, built: Sequence[BuiltPlan]) -> list[GoldenResult]:
    """Open every engine that was built or found and hold it to the bundle's limits, at each of its camera sizes.

    Raises:
        BackendError: an engine computes something else than the network, or does not open.
    """
    results: list[GoldenResult] = []
    for entry in built:
        if entry.plan.sidecar.checked or not _frames(bundle, entry.role):
            continue
        found = []
        sizes: list[tuple[int, int] | None] = [size.opt_wh for size in entry.sizes]
        for frame_wh in sizes or [None]:
            with open_plan(
                entry.plan.sidecar.flavour, entry.plan, precision=as_precision(entry.precision), frame_wh=frame_wh
            ) as session:
                found.append(_accepted(bundle, entry.role, session))
        _write_down(entry.plan, found)
        results += found
    return results


def _accepted(bundle: Bundle, role: str, session: TensorRtSession) -> GoldenResult:
    """The result of the check; an engine that fails is refused from now on.

    Raises:
        BackendError: it is beyond the bundle's limits.
    """
    result = check_session(bundle, role, session)
    if not result.passed:
        _write_down(session, [result])
        raise BackendError(f"engine rejected: {result}; use another precision or backend")
    return result


def _frames(bundle: Bundle, role: str) -> list[Golden]:
    """The golden frames of a network: those of its route, or all for a router."""
    return [golden for golden in bundle.manifest.golden if role in (ROUTER, golden.route)]


def _runner(network: Network, session: Session) -> FrameNetwork:
    return FrameNetwork(session, network.input_wh, network.resize)


def _stored(bundle: Bundle, golden: Golden) -> NDArray[np.float32]:
    return np.asarray(np.load(bundle.path(golden.depth), allow_pickle=False), np.float32)


def _check_reference(network: Network, truth: Answers, stored: Answers) -> None:
    """Nothing can be held against a reference that answers otherwise here than where the bundle was made."""
    limit = DEFAULT_LIMITS["fp32"].max_abs_rel
    for here, there in zip(truth, stored, strict=True):
        off = float(np.mean(np.abs(here - there) / there)) if here.shape == there.shape else float("inf")
        if not off <= limit:  # NaN is not
            raise BackendError(
                f"{network.network} in FP32 on this CPU is {off:.4f} (abs_rel) away from the depth that the bundle"
                " stores; reinstall onnxruntime, or export the bundle again"
            )


def _write_down(engine: TensorRtSession | Plan, results: Sequence[GoldenResult]) -> None:
    """Note what was found of an engine; where the cache is only read, it is found anew the next time."""
    rejected = next((result.fault for result in results if not result.passed), "")
    try:
        PlanCache().note(engine.key, engine.sidecar, checked="; ".join(map(str, results)), rejected=rejected)
    except OutputError as error:
        _LOG.warning("the golden check of an engine was not written down: %s", error)


def _at_size(frame: NDArray[np.uint8], frame_wh: tuple[int, int] | None) -> NDArray[np.uint8]:
    """A frame stretched to a camera's size; as it is for None."""
    if frame_wh is None:
        return frame
    return Placement.of((frame.shape[1], frame.shape[0]), frame_wh, "stretch").to_input(frame)


def _answers(runner: FrameNetwork, frames: Sequence[NDArray[np.uint8]], output: str) -> Answers:
    """(h, w) depths, or the probabilities of the categories."""
    answers = []
    for frame in frames:
        runner.load(frame)
        answer = runner.run((output,))[output][0]
        answers.append((answer[0] if output == "depth_m" else answer).copy())
    return answers


def _compared_depths(truth: Answers, found: Answers, limits: GoldenLimits | None) -> tuple[dict[str, float], int, str]:
    """Figures, count of what is no depth, and which limit is passed, in words; empty if none is."""
    errors, non_finite = DepthErrors.NONE, 0
    for reference, answer in zip(truth, found, strict=True):
        finite = np.isfinite(answer) & (answer > 0)
        non_finite += int(finite.size - finite.sum())
        if finite.any():
            errors += DepthErrors.of(answer[finite], reference[finite])
    values = errors.values() if errors.count else {"abs_rel": float("inf"), "delta1": 0.0}
    figures = {name: values[name] for name in ("abs_rel", "delta1")}
    fault = ""
    if non_finite:
        fault = f"{non_finite} pixels are not finite positive numbers"
    elif limits is not None and figures["abs_rel"] > limits.max_abs_rel:
        fault = f"abs_rel {figures['abs_rel']:.4f} is above the limit of {limits.max_abs_rel:g}"
    elif limits is not None and figures["delta1"] < limits.min_delta1:
        fault = f"delta1 {figures['delta1']:.4f} is below the limit of {limits.min_delta1:g}"
    return figures, non_finite, fault


def _compared_scenes(truth: Answers, found: Answers, limits: GoldenLimits | None) -> tuple[dict[str, float], int, str]:
    """As `_compared_depths`; no more of the probability may lie elsewhere than depth may be off."""
    non_finite = sum(int((~np.isfinite(answer)).sum()) for answer in found)
    moved = max(float(np.abs(np.nan_to_num(a) - b).sum() / 2) for a, b in zip(found, truth, strict=True))
    fault = ""
    if non_finite:
        fault = f"{non_finite} probabilities are not finite"
    elif limits is not None and moved > limits.max_abs_rel:
        fault = f"{moved:.4f} of the probability lies elsewhere, above the limit of {limits.max_abs_rel:g}"
    return {"moved": moved}, non_finite, fault
