"""Exact rewrites of ONNX graphs, one per file, in one ordered table."""

from __future__ import annotations

from typing import Any

from edgedepth.export.passes.conv_shuffle import CONV_SHUFFLE, CONV_SHUFFLE_MAP
from edgedepth.export.passes.fast_conv import FAST_CONV
from edgedepth.export.passes.machine import PassReport, Rewrite, run_passes
from edgedepth.export.passes.merge_affine import MERGE_AFFINE
from edgedepth.export.passes.pad_channels import PAD_CHANNELS
from edgedepth.export.passes.small_kernels import SMALL_KERNELS
from edgedepth.export.passes.soft_argmax import SOFT_ARGMAX
from edgedepth.export.passes.sum_first import SUM_FIRST
from edgedepth.export.passes.unpool_conv import UNPOOL_CONV
from edgedepth.export.passes.upsample_conv import UPSAMPLE_CONV

# In the order of application; each says on which backends it pays, and conv-shuffle-map pays on none measured yet.
PASSES: tuple[Rewrite[Any], ...] = (
    MERGE_AFFINE,
    UPSAMPLE_CONV,
    UNPOOL_CONV,
    SOFT_ARGMAX,
    PAD_CHANNELS,
    SMALL_KERNELS,
    FAST_CONV,
    SUM_FIRST,
    CONV_SHUFFLE,
    CONV_SHUFFLE_MAP,
)

__all__ = ["PASSES", "PassReport", "Rewrite", "passes_for", "run_passes"]


def passes_for(backend: str | None) -> tuple[Rewrite[Any], ...]:
    """The rewrites that pay on a backend; None: the file that backends share."""
    return tuple(entry for entry in PASSES if entry.pays_on(backend))
