"""The plan for a network on this machine: from the cache if it is there, else built."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from edgedepth.core.errors import BackendError
from edgedepth.core.files import sha256_of
from edgedepth.engines.cache import Miss, PlanCache
from edgedepth.engines.machine import Gpu, driver
from edgedepth.engines.tensorrt.build import capabilities, engine_from_onnx
from edgedepth.engines.tensorrt.config import BuildConfig
from edgedepth.engines.tensorrt.flavour import Flavour
from edgedepth.engines.tensorrt.progress import Report
from edgedepth.engines.tensorrt.sidecar import PlanRequest, Sidecar

_LOG = logging.getLogger("edgedepth.tensorrt")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan that may be opened here.

    why_built: empty if it came from the cache, else why no plan in it did.
    """

    key: str
    plan: bytes
    sidecar: Sidecar
    why_built: str = ""


def present_gpu() -> Gpu | None:
    """The GPU that engines run on: the driver's first."""
    gpus = driver().gpus
    return gpus[0] if gpus else None


def request_for(
    onnx: Path, config: BuildConfig, flavour: Flavour, gpu: Gpu | None, *, strict: bool = True
) -> PlanRequest:
    """What to look for in the cache; see `PlanRequest.strict`.

    Raises:
        BackendError: the flavour cannot build for the targets, or the file is missing.
    """
    if not onnx.is_file():
        raise BackendError(f"no ONNX file at {onnx}; export one with: edgedepth export")
    targets = flavour.resolve_targets(config.targets, None if gpu is None else gpu.capability)
    return PlanRequest(
        onnx_sha256=sha256_of(onnx),
        flavour=flavour,
        compute_capabilities=capabilities(targets, gpu),
        gpu=None if gpu is None else gpu.name,
        config=config.as_dict(),
        strict=strict,
    )


def plan_for(
    onnx: Path,
    config: BuildConfig,
    flavour: Flavour,
    *,
    gpu: Gpu | None,
    cache: PlanCache | None = None,
    strict: bool = True,
    build: bool = True,
    again: bool = False,
    report: Report | None = None,
) -> Plan:
    """Find a network's plan in the cache, or build it and keep it there.

    strict: False also takes a plan that was tuned otherwise (see `PlanRequest.strict`).
    build: False refuses where a plan would have to be built.
    again: build a plan anew that was rejected by its golden check.

    Raises:
        BackendError: it cannot be built, or may not; the message says in which fields the nearest plan differs.
    """
    store = PlanCache() if cache is None else cache
    request = request_for(onnx, config, flavour, gpu, strict=strict)
    found = store.find(request, again=again)
    if isinstance(found, Miss) and build:
        with store.lock(request.key):
            found = store.find(request, again=again)  # another process may have built it while this one waited
            if isinstance(found, Miss):
                return _built(onnx, config, flavour, gpu, store, request, found.why, report)
    if isinstance(found, Miss):
        command = "edgedepth build BUNDLE" + ("" if config.camera is None else " --size WxH")
        raise BackendError(
            f"no {flavour.name} engine of {onnx.name} for this machine: {found.why}; build it with: {command}"
        )
    return Plan(key=found.key, plan=found.plan, sidecar=found.sidecar)


def _built(
    onnx: Path,
    config: BuildConfig,
    flavour: Flavour,
    gpu: Gpu | None,
    store: PlanCache,
    request: PlanRequest,
    why: str,
    report: Report | None,
) -> Plan:
    """Build a plan and keep it; the lock of its key is held."""
    if report is None:  # whoever watches the build sees it anyway
        _LOG.warning("building the %s engine of %s: %s", flavour.name, onnx.name, why)
    timing = store.timing_cache(f"{flavour.name}-{flavour.version_text}-{'+'.join(request.compute_capabilities)}")
    engine = engine_from_onnx(onnx, config, flavour, gpu=gpu, report=report, timing_cache=timing)
    if engine.sidecar.onnx_sha256 != request.onnx_sha256:
        raise BackendError(f"{onnx} was changed while its engine was built; run again")
    store.put(request.key, engine.plan, engine.sidecar)
    return Plan(key=request.key, plan=engine.plan, sidecar=engine.sidecar, why_built=why)
