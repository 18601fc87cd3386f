"""Checkpoints and networks to fused, explicitly typed ONNX and bundles.

Public names load on first use, so that `edgedepth.export.passes` and `edgedepth.export.precision`, which are plain
ONNX, never import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgedepth.export.bundle_export import export_bundle
    from edgedepth.export.network import export_onnx, spec_for

_HOMES = {
    "export_bundle": "edgedepth.export.bundle_export",
    "export_onnx": "edgedepth.export.network",
    "spec_for": "edgedepth.export.network",
}

__all__ = ["export_bundle", "export_onnx", "spec_for"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
