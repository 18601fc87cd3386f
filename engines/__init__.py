"""Inference engines behind one seam: `open_session` gives a `Session` of the fastest backend installed."""

from __future__ import annotations

from edgedepth.engines.registry import (
    BACKENDS,
    Backend,
    auto_backend,
    backend_named,
    choose_backend,
    open_session,
    probe_all,
)
from edgedepth.engines.session import Availability, Precision, Session, SessionConfig, TensorInfo

__all__ = [
    "BACKENDS",
    "Availability",
    "Backend",
    "Precision",
    "Session",
    "SessionConfig",
    "TensorInfo",
    "auto_backend",
    "backend_named",
    "choose_backend",
    "open_session",
    "probe_all",
]
