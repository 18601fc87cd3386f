"""What is in an ONNX file or a plan, as plain data for `edgedepth inspect`."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from edgedepth.core.errors import BackendError, EdgeDepthError
from edgedepth.engines.cache import PlanCache
from edgedepth.engines.machine import Gpu
from edgedepth.engines.tensorrt.build import engine_from_onnx
from edgedepth.engines.tensorrt.config import BuildConfig
from edgedepth.engines.tensorrt.device import SHARED
from edgedepth.engines.tensorrt.flavour import Flavour, installed_flavours, load_flavour
from edgedepth.engines.tensorrt.fusion import kernels_by_role
from edgedepth.engines.tensorrt.logger import log_of
from edgedepth.engines.tensorrt.network import types_by_kind
from edgedepth.engines.tensorrt.plans import Plan
from edgedepth.engines.tensorrt.session import deserialise

PLAN_SUFFIXES = (".plan", ".engine", ".trt")


def describe_onnx(
    path: Path, flavour: Flavour, *, gpu: Gpu | None, config: BuildConfig | None = None
) -> dict[str, Any]:
    """The layers of a network before fusion and the kernels after it, by building an engine that is not kept.

    Raises:
        BackendError: it cannot be read or built.
    """
    engine = engine_from_onnx(path, BuildConfig() if config is None else config, flavour, gpu=gpu)
    sidecar = engine.sidecar
    return {
        "file": str(path),
        "kind": "onnx",
        "sha256": sidecar.onnx_sha256,
        "flavour": f"{sidecar.flavour} {sidecar.version}",
        "precision": sidecar.precision,
        "inputs": list(sidecar.inputs),
        "outputs": list(sidecar.outputs),
        "memory_bytes": sidecar.memory_bytes,
        "types": types_by_kind(engine.layers),
        "layers": [dataclasses.asdict(layer) for layer in engine.layers],
        "kernels": [dataclasses.asdict(kernel) for kernel in engine.kernels],
        "kernels_by_role": kernels_by_role(engine.kernels),
    }


def describe_plan(path: Path, cache: PlanCache) -> dict[str, Any]:
    """What the cache knows of a plan; its layers too, where the library and the GPU it is for are here.

    A plan that the cache does not know is not opened.

    Raises:
        BackendError: this user's cache did not write it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BackendError(f"cannot read {path}: {error.strerror or error}") from error
    digest = hashlib.sha256(content).hexdigest()
    known = [entry for entry in cache.entries() if entry.sidecar.plan_sha256 == digest]
    if not known:
        raise BackendError(
            f"{path} is not a plan of this user's cache, and plans are code: it stays closed; if it belongs to a bundle"
            " you trust, run: edgedepth trust BUNDLE"
        )
    entry = known[0]
    report: dict[str, Any] = {"file": str(path), "kind": "plan", **entry.sidecar.model_dump(), "layers": []}
    flavour = _flavour_for(entry.sidecar.flavour, entry.sidecar.version)
    if flavour is None:
        report["note"] = f"layers need {entry.sidecar.flavour} {entry.sidecar.version}"
        return report
    plan = Plan(key=entry.key, plan=content, sidecar=entry.sidecar)
    try:
        report["layers"] = _layers(flavour, plan)
    except EdgeDepthError as error:
        report["note"] = f"layers need the GPU: {error}"
    return report


def _flavour_for(name: str, version: str) -> Flavour | None:
    """The installed flavour that can open a plan of that version; None where there is none."""
    if name not in installed_flavours():
        return None
    flavour = load_flavour(name)
    return flavour if flavour.version_text == version else None


def _layers(flavour: Flavour, plan: Plan) -> list[Any]:
    SHARED.acquire()
    try:
        with log_of(flavour.trt).collect(), SHARED.turn():
            return flavour.engine_layers(deserialise(flavour, plan))
    finally:
        SHARED.release()
