"""Exact rewrites of ONNX graphs, one per file, in one ordered table."""

from __future__ import annotations

from typing import Any

from edgedepth.export.passes.machine import PassReport, Rewrite, run_passes
from edgedepth.export.passes.merge_affine import MERGE_AFFINE
from edgedepth.export.passes.soft_argmax import SOFT_ARGMAX

# In the order of application.
PASSES: tuple[Rewrite[Any], ...] = (MERGE_AFFINE, SOFT_ARGMAX)

# The rewrites that call for a file of a backend's own, by backend.
BACKEND_FORMS: dict[str, frozenset[str]] = {
    backend: frozenset(entry.name for entry in PASSES if backend in (entry.backends or ()))
    for backend in sorted({name for entry in PASSES for name in entry.backends or ()})
}

__all__ = ["BACKEND_FORMS", "PASSES", "PassReport", "Rewrite", "passes_for", "run_passes"]


def passes_for(backend: str | None) -> tuple[Rewrite[Any], ...]:
    """The rewrites that pay on a backend; for None those that pay everywhere, as in the file all backends share."""
    return tuple(entry for entry in PASSES if entry.pays_on(backend))
