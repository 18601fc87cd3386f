"""Networks, losses, augmentation and training; needs the extra `train` (PyTorch).

Public names load when first used, so that importing this package does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgedepth.core.errors import require

if TYPE_CHECKING:
    from edgedepth.trainers.checkpoint import Checkpoint as Checkpoint
    from edgedepth.trainers.checkpoint import load_checkpoint as load_checkpoint
    from edgedepth.trainers.checkpoint import save_checkpoint as save_checkpoint
    from edgedepth.trainers.models.registry import classifier_names as classifier_names
    from edgedepth.trainers.models.registry import create_network as create_network
    from edgedepth.trainers.models.registry import network_names as network_names

_HOMES = {
    "Checkpoint": "edgedepth.trainers.checkpoint",
    "classifier_names": "edgedepth.trainers.models.registry",
    "create_network": "edgedepth.trainers.models.registry",
    "load_checkpoint": "edgedepth.trainers.checkpoint",
    "network_names": "edgedepth.trainers.models.registry",
    "save_checkpoint": "edgedepth.trainers.checkpoint",
}

__all__ = [
    "Checkpoint",
    "classifier_names",
    "create_network",
    "load_checkpoint",
    "network_names",
    "save_checkpoint",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        require("torch", extra="train")
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'edgedepth.trainers' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
