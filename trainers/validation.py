"""Figures taken during training: unaligned and median-aligned error at network size, per image, and the baseline's.

They steer a run. Reports come from `edgedepth.evaluation`, which works at the size of the ground truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgedepth.core.alignment import fit_alignment
from edgedepth.core.errors import EdgeDepthError
from edgedepth.core.metrics import depth_metrics
from edgedepth.core.spec import DepthSpec
from edgedepth.evaluation.pictures import comparison, contact_sheet
from edgedepth.trainers.augment import to_float
from edgedepth.trainers.data import DepthBatch

Predict = Callable[[DepthBatch], NDArray[np.float32]]
_MIN_PIXELS = 50


def network_predictor(network: nn.Module, device: torch.device) -> Predict:
    """A batch to (B, H, W) metres of the canonical camera, by a network in eval mode."""

    def predict(batch: DepthBatch) -> NDArray[np.float32]:
        with torch.inference_mode():
            image = to_float(batch.image.to(device)).contiguous(memory_format=torch.channels_last)
            depth: NDArray[np.float32] = network(image)[:, 0].float().cpu().numpy()
        return depth

    return predict


def map_predictor(log_depth: NDArray[np.float32]) -> Predict:
    """The baseline: the same (H, W) log-depth map for every frame."""

    def predict(batch: DepthBatch) -> NDArray[np.float32]:
        return np.broadcast_to(np.exp(log_depth), (len(batch.image), *log_depth.shape))

    return predict


def depth_figures(predict: Predict, batches: Iterable[DepthBatch], spec: DepthSpec) -> dict[str, float]:
    """abs_rel, rmse and delta1 unaligned, abs_rel and delta1 median-aligned; means over frames.

    Frames with fewer than 50 pixels of depth inside the range are left out; an empty dictionary if none is left.

    Raises:
        EdgeDepthError: a predicted depth is not finite.
    """
    rows: list[dict[str, float]] = []
    for batch in batches:
        focal = batch.focal.numpy()[:, None, None]
        for predicted, truth in zip(predict(batch) * focal, batch.depth_m.numpy()[:, 0], strict=True):
            if not np.isfinite(predicted).all():
                raise EdgeDepthError("the network's depth is not finite any more; train again with a smaller --lr")
            valid = (truth >= spec.min_m) & (truth <= spec.max_m)
            if np.count_nonzero(valid) >= _MIN_PIXELS:
                rows.append(_figures(predicted[valid], truth[valid], spec))
    if not rows:
        return {}
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def draw_batches(predict: Predict, batches: Iterable[DepthBatch], spec: DepthSpec) -> NDArray[np.uint8] | None:
    """A contact sheet of frames, BGR: image, truth, answer and error, one row each; None if there are none."""
    rows = []
    for batch in batches:
        focal = batch.focal.numpy()[:, None, None]
        for number, predicted in enumerate(predict(batch) * focal):
            image_bgr = np.ascontiguousarray(batch.image[number].numpy()[..., ::-1])
            truth = batch.depth_m[number, 0].numpy().copy()
            truth[np.isinf(truth)] = np.nan  # sky has no metres to compare
            caption = batch.ids[number] if batch.ids else ""
            rows.append(comparison(image_bgr, truth, predicted, (spec.min_m, spec.max_m), caption))
    return contact_sheet(rows) if rows else None


def _figures(predicted: NDArray[np.float32], truth: NDArray[np.float32], spec: DepthSpec) -> dict[str, float]:
    aligned = fit_alignment("median", predicted, truth)(predicted)
    plain = depth_metrics(predicted.clip(spec.min_m, spec.max_m), truth)
    median = depth_metrics(aligned.clip(spec.min_m, spec.max_m), truth)
    return {
        "abs_rel": plain["abs_rel"],
        "rmse": plain["rmse"],
        "delta1": plain["delta1"],
        "abs_rel_median": median["abs_rel"],
        "delta1_median": median["delta1"],
    }
