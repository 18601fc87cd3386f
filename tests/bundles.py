"""Builds small bundles for tests: real manifests over given or dummy files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgedepth.core.bundle import Bundle, file_entry, write_manifest
from edgedepth.core.manifest import DepthNetwork, Manifest, Router, SceneNetwork
from edgedepth.core.routing import FixedRule, Route, SceneCategory, SceneRule
from edgedepth.core.spec import DepthSpec

LOW_SPEC = DepthSpec(input_wh=(64, 48), min_m=0.3, max_m=10, num_bins=16, f_canonical_px=52, beyond_m=9.7)
HIGH_SPEC = DepthSpec(input_wh=(64, 48), min_m=1, max_m=80, num_bins=16, f_canonical_px=52, beyond_m=76)
CATEGORIES = (
    SceneCategory(name="room", far=False, range_m=5.0),
    SceneCategory(name="hall", far=False, range_m=9.0),
    SceneCategory(name="street", far=True, range_m=60.0),
)


def write_bundle(folder: Path, files: dict[str, bytes | None] | None = None, **fields: Any) -> Bundle:
    """Write a scene-routed bundle of two networks; `files` gives low.onnx, high.onnx and scene.onnx their bytes.

    A value of None means that the file is there already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("low", "high", "scene"):
        content = (files or {}).get(f"{name}.onnx", f"not a network: {name}".encode())
        if content is not None:
            (folder / f"{name}.onnx").write_bytes(content)
    scene = SceneNetwork(
        network="scene-test",
        params=10,
        gmacs=0.1,
        variants={"fp32": file_entry(folder, "scene.onnx")},
        input_wh=(32, 24),
    )
    manifest = Manifest(
        name="test",
        edgedepth_version="0",
        router=Router(rule=SceneRule(categories=CATEGORIES, top_k=1), scene=scene),
        networks={
            Route.LOW: depth_network(folder, "low.onnx", LOW_SPEC),
            Route.HIGH: depth_network(folder, "high.onnx", HIGH_SPEC),
        },
    )
    return write_manifest(folder, manifest.model_copy(update=fields))


def depth_network(folder: Path, name: str, spec: DepthSpec) -> DepthNetwork:
    """Describe a depth network whose FP32 file lies in the folder."""
    return DepthNetwork(
        network="depth-test", params=10, gmacs=0.1, variants={"fp32": file_entry(folder, name)}, spec=spec,
        confidence=True,
    )  # fmt: skip


def fixed_router(route: Route) -> Router:
    """A router that always says the same."""
    return Router(rule=FixedRule(route=route))
