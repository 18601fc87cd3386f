"""The one place that imports timm, whose own import of torchvision fails beside some builds of PyTorch.

A torchvision whose compiled operators were built for another PyTorch (its CUDA wheel beside a CPU build, for
example) cannot be imported: it registers meta kernels for operators that its library never defined. No network here
uses those operators, so it is enough that their schemas exist.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from edgedepth.core.errors import require

_SCHEMAS = ("nms", "qnms")
_kept: list[torch.library.Library] = []  # the definitions live as long as these objects


def import_timm() -> Any:
    """The module timm.

    Raises:
        MissingPackageError: timm or torchvision is not installed.
    """
    if "timm" not in sys.modules and "torchvision" not in sys.modules:
        _make_torchvision_importable()
    require("torchvision", extra="timm")
    module: ModuleType = require("timm", extra="timm")
    return module


def _make_torchvision_importable() -> None:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return  # `require` says what is missing
    for name in [name for name in sys.modules if name.startswith("torchvision.")]:
        del sys.modules[name]  # what an earlier, failed import left half done
    try:
        torch.ops.load_library(next(Path(spec.origin).parent.glob("_C*")))  # type: ignore[no-untyped-call]
    except (OSError, StopIteration):
        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for operator in _SCHEMAS:
            if not hasattr(torch.ops.torchvision, operator):
                schema = f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                library.define(schema)  # type: ignore[no-untyped-call]
        _kept.append(library)
