"""Cross-entropy over depth classes: papers/2, and the "hard" classification of papers/1, Table 6."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from edgedepth.trainers.losses.masked import weighted_mean


def interval_class(index: Tensor, count: int) -> Tensor:
    """The interval 0..K-1 that a continuous index lies in: class i is [i, i + 1) (papers/2 eq. 1 and 2)."""
    return index.floor().clamp(0, count - 1).long()


def rounded_class(index: Tensor, count: int) -> Tensor:
    """The class 0..K-1 of a rounded index 1..K (papers/1 eq. 1); see `edgedepth.core.bins.Bins.quantise`."""
    return (index.round().clamp(1, count) - 1).long()


def class_cross_entropy(logits: Tensor, classes: Tensor, weight: Tensor) -> Tensor:
    """-log p of the true class, in nats.

    `logits` is (B, K, h, w), `classes` and `weight` (B, 1, H, W); logits of another size are enlarged bilinearly, as
    score maps are (papers/2, section 3.1).
    """
    if logits.shape[-2:] != classes.shape[-2:]:
        logits = F.interpolate(logits, classes.shape[-2:], mode="bilinear", align_corners=False)
    log_p = F.log_softmax(logits.float(), dim=1)
    return weighted_mean(-log_p.gather(1, classes), weight)
