"""edgedepth: metric monocular depth at camera rate.

>>> import edgedepth
>>> with edgedepth.DepthRuntime.load() as depth:      # doctest: +SKIP
...     result = depth(frame_bgr)                     # (H, W, 3) uint8
...     result.depth_m                                # (H, W) float32 metres, NaN where unknown

Public names load when first used, so that importing edgedepth costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from edgedepth.core import errors as errors
    from edgedepth.core.bundle import Bundle as Bundle
    from edgedepth.core.camera import Camera as Camera
    from edgedepth.core.colour import MetricColours as MetricColours
    from edgedepth.core.lens import Lens as Lens
    from edgedepth.core.results import DepthResult as DepthResult
    from edgedepth.core.results import PixelState as PixelState
    from edgedepth.core.routing import Decision as Decision
    from edgedepth.core.routing import Route as Route
    from edgedepth.core.routing import RouteKeeper as RouteKeeper
    from edgedepth.deployment import deploy as deploy
    from edgedepth.io.frames import Frame as Frame
    from edgedepth.io.rectify import Rectifier as Rectifier
    from edgedepth.runtime.depth_runtime import DepthRuntime as DepthRuntime
    from edgedepth.runtime.steady import Steadier as Steadier

_HOMES = {
    "Bundle": "edgedepth.core.bundle",
    "Camera": "edgedepth.core.camera",
    "Decision": "edgedepth.core.routing",
    "DepthResult": "edgedepth.core.results",
    "DepthRuntime": "edgedepth.runtime.depth_runtime",
    "Frame": "edgedepth.io.frames",
    "Lens": "edgedepth.core.lens",
    "MetricColours": "edgedepth.core.colour",
    "PixelState": "edgedepth.core.results",
    "Rectifier": "edgedepth.io.rectify",
    "Route": "edgedepth.core.routing",
    "RouteKeeper": "edgedepth.core.routing",
    "Steadier": "edgedepth.runtime.steady",
    "deploy": "edgedepth.deployment",
}

__all__ = [
    "Bundle", "Camera", "Decision", "DepthResult", "DepthRuntime", "Frame", "Lens", "MetricColours", "PixelState",
    "Rectifier", "Route", "RouteKeeper", "Steadier", "deploy", "errors",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "errors":
        return importlib.import_module("edgedepth.errors")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'edgedepth' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
