"""Cross-entropy over classes.

Those of depth are of papers/2 and of the "hard" classification of papers/1, Table 6; semantic ones come beside it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from edgedepth.trainers.losses import weighted_mean


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


def label_cross_entropy(logits: Tensor, labels: Tensor, unlabelled: int) -> Tensor:
    """Cross-entropy of coarse class logits against every fine pixel of their cell, scaled by 1 / log K.

    The pixels of a cell together make the cell's histogram of classes. `logits` is (B, K, h, w), `labels` (B, 1, H, W)
    uint8 of a size that h and w divide, those that are `unlabelled` do not count.
    """
    cell = labels.shape[-2] // logits.shape[-2]
    fine = F.pixel_unshuffle(labels, cell)  # (B, cell^2, h, w)
    known = fine != unlabelled
    log_p = F.log_softmax(logits.float(), dim=1)
    entropy = -log_p.gather(1, fine.masked_fill(~known, 0).long())
    return weighted_mean(entropy, known.to(entropy)) / math.log(logits.shape[1])


def class_accuracy(logits: Tensor, classes: Tensor, weight: Tensor) -> Tensor:
    """Share of weighted pixels whose most probable class is the true one."""
    hit = (logits.argmax(dim=1, keepdim=True) == classes).to(torch.float32)
    return weighted_mean(hit, weight)
