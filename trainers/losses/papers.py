"""What the networks of papers/2 to 5 are trained for: one named combination of losses per row of their tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from edgedepth.core.errors import UnknownNameError
from edgedepth.trainers.losses import metric
from edgedepth.trainers.losses.classes import class_cross_entropy, interval_class
from edgedepth.trainers.losses.regions import (
    REFINEMENT_WEIGHT,
    SUPPORT_WEIGHT,
    iteration_loss,
    region_loss,
    region_means,
    squared_log_loss,
)
from edgedepth.trainers.models.metric import MetricHeads
from edgedepth.trainers.models.sid_deeplab import IntervalHeads

MapLoss = Callable[[Tensor, Tensor, Tensor], Tensor]  # (prediction_m, depth_m, weight), all (B, 1, H, W)
_SMALLEST_LEVEL = 3  # rows and columns that a Sobel gradient needs


@dataclass(frozen=True)
class MapLosses:
    """Terms that are computed on every supervised level and added, by name."""

    terms: tuple[tuple[str, MapLoss], ...]


@dataclass(frozen=True)
class RegionLosses:
    """L_r, L_i and L_c of papers/5, on depth or on its logarithm.

    support: False leaves L_i alone. inference: the generation module learns each pixel's depth instead of its region's
        mean.
    """

    log: bool
    support: bool = True
    inference: bool = False


_BERHU = ("depth", metric.berhu_loss)
_MAGNITUDE = ("magnitude", metric.gradient_magnitude_loss)
_DIRECTION = ("direction", metric.gradient_direction_loss)

METRIC_LOSSES: Mapping[str, MapLosses | RegionLosses] = {
    "l1": MapLosses((("depth", metric.regression_loss),)),
    "l2": MapLosses((("depth", metric.squared_loss),)),
    # papers/3, Table 1, from "w/ l_depth" to "w/ full loss" (eq. 7 with lambda = mu = 1)
    "berhu": MapLosses((_BERHU,)),
    "berhu+magnitude": MapLosses((_BERHU, _MAGNITUDE)),
    "berhu+magnitude+direction": MapLosses((_BERHU, _MAGNITUDE, _DIRECTION)),
    # Hu et al. 2019; papers/4 eq. 2 takes it on every level
    "hu": MapLosses(
        (
            ("depth", metric.hu_depth_loss),
            ("gradient", metric.hu_gradient_loss),
            ("normal", metric.hu_normal_loss),
        )
    ),
    # papers/5, Table 3
    "region-linear": RegionLosses(log=False),
    "region-log": RegionLosses(log=True),
    "region-log-refined": RegionLosses(log=True, support=False),
    "region-log-depth": RegionLosses(log=True, inference=True),
    "region-linear-depth": RegionLosses(log=False, inference=True),
    "l2-log": MapLosses((("depth", squared_log_loss),)),
}


def metric_loss(name: str) -> MapLosses | RegionLosses:
    """The combination of a name.

    Raises:
        UnknownNameError: there is none; the message lists the known ones.
    """
    if name not in METRIC_LOSSES:
        raise UnknownNameError.of("metric loss", name, METRIC_LOSSES)
    return METRIC_LOSSES[name]


def metric_objective(
    heads: MetricHeads, depth_m: Tensor, weight: Tensor, name: str, regions: Tensor | None = None
) -> dict[str, Tensor]:
    """Loss terms of a regressing network.

    Args:
        heads: what the network computed.
        depth_m, weight: (B, 1, H, W), known where weight is positive.
        name: a key of `METRIC_LOSSES`.
        regions: (B, 1, H, W) whole numbers for the losses of papers/5; None takes each image as one region.

    Raises:
        UnknownNameError: there is no such combination.
    """
    chosen = metric_loss(name)
    if isinstance(chosen, RegionLosses):
        return _region_terms(heads, depth_m, weight, regions, chosen)
    return _map_terms(heads, depth_m, weight, chosen)


def _map_terms(heads: MetricHeads, depth_m: Tensor, weight: Tensor, chosen: MapLosses) -> dict[str, Tensor]:
    totals: dict[str, Tensor] = {}
    for level in heads.levels_m:
        size_hw = (level.shape[2], level.shape[3])
        if min(size_hw) < _SMALLEST_LEVEL:
            continue  # a level of a thumbnail has no gradients to compare
        target, share = metric.shrink_target(depth_m, weight, size_hw)
        for name, loss in chosen.terms:
            value = loss(level.float(), target, share)
            totals[name] = totals[name] + value if name in totals else value
    return totals


def _region_terms(
    heads: MetricHeads, depth_m: Tensor, weight: Tensor, regions: Tensor | None, chosen: RegionLosses
) -> dict[str, Tensor]:
    """L_r on the support against the regions' mean depth, L_i on the iterations against depth; eq. 4 where both are.

    With `chosen.inference`, and where there are no regions, the generation module learns depth itself ("for depth
    inference" in Table 3).
    """
    terms: dict[str, Tensor] = {}
    supported = heads.support_m if chosen.support else None
    both = supported is not None and heads.levels_m[-1] is not supported
    if supported is not None:
        target = depth_m
        if regions is not None and not chosen.inference:
            target = region_means(depth_m, (weight > 0).to(weight.dtype), regions)
        support = region_loss(supported.float(), target, weight, regions, log=chosen.log)
        terms["support"] = support * (SUPPORT_WEIGHT if both else 1.0)
    if both or supported is None:
        levels = [level.float() for level in heads.levels_m]
        iterations = iteration_loss(levels, depth_m, weight, regions, log=chosen.log)
        terms["iterations"] = iterations * (REFINEMENT_WEIGHT if both else 1.0)
    return terms


def interval_objective(heads: IntervalHeads, depth_m: Tensor, index: Tensor, weight: Tensor, max_m: float) -> Tensor:
    """Cross-entropy over depth intervals; depths at or beyond `max_m` are ignored (papers/2, section 4.1)."""
    assert heads.logits is not None
    classes = interval_class(index, heads.logits.shape[1])
    return class_cross_entropy(heads.logits, classes, weight * (depth_m < max_m))
