"""What a depth network is trained for: from a batch in metres to the terms of its loss."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor, nn

from edgedepth.core.bins import Bins
from edgedepth.core.errors import InputError
from edgedepth.core.spec import DepthSpec
from edgedepth.trainers.config import LossConfig
from edgedepth.trainers.losses import binned
from edgedepth.trainers.losses.classes import class_cross_entropy, rounded_class
from edgedepth.trainers.losses.metric import regression_loss
from edgedepth.trainers.losses.papers import interval_objective, metric_loss, metric_objective
from edgedepth.trainers.models.ds_sidenet import DSSideHeads, DSSideNet
from edgedepth.trainers.models.edge import EdgeNet
from edgedepth.trainers.models.heads import DepthHeads
from edgedepth.trainers.models.metric import MetricHeads
from edgedepth.trainers.models.sid_deeplab import IntervalHeads, SIDDeepLab

Terms = dict[str, Tensor]

# the fields of `LossConfig` that each kind of objective reads
_READ_BY_MULTI_TASK = {"beyond", "classification", "regression", "hard"}
_READ_BY_REFINEMENT = {
    "beyond",
    "regression",
    "level_decay",
    "coarse_ce",
    "gradient",
    "gradient_scales",
    "silog",
    "relative",
    "foreground",
}


@dataclass(frozen=True, kw_only=True)
class DepthTarget:
    """What a network should answer, all (B, 1, H, W): depth for the canonical camera, its index, its weight.

    `depth_m` and `index` are clamped to the range; `weight` is 0 where nothing was measured.
    """

    depth_m: Tensor
    index: Tensor
    weight: Tensor


def target_of(depth_m: Tensor, focal: Tensor, bins: Bins, beyond_weight: float) -> DepthTarget:
    """Normalise by focal length and clamp: sky and what lies beyond the range go to the last bin.

    Args:
        depth_m: (B, 1, H, W) metres of the frame's camera, NaN = not measured, inf = sky.
        focal: (B,) focal length over the canonical one; the canonical camera sees depth_m / focal.
        bins: range and discretisation.
        beyond_weight: weight of pixels beyond the range.
    """
    canonical = depth_m / focal[:, None, None, None]
    known = ~torch.isnan(canonical)
    inside = canonical.nan_to_num(nan=bins.max_m).clamp(bins.min_m, bins.max_m)
    weight = torch.where(canonical > bins.max_m, beyond_weight, 1.0) * known
    return DepthTarget(depth_m=inside, index=bins.index_of(inside, torch), weight=weight)


def multi_task_objective(heads: DepthHeads, target: DepthTarget, bins: Bins, config: LossConfig) -> Terms:
    """Classification and regression of one decoding (papers/1 eq. 3); a branch the network lacks adds none.

    Classification is soft, or with `config.hard` the cross-entropy of Table 6.
    """
    terms: Terms = {}
    if config.hard and heads.logits is not None:
        classes = rounded_class(target.index, bins.count)
        terms["classification"] = config.classification * class_cross_entropy(heads.logits, classes, target.weight)
    elif heads.indices:
        index = binned.soft_classification_loss(heads.indices[-1].float(), target.depth_m, target.weight, bins)
        terms["classification"] = config.classification * index
    if heads.depth_m is not None:
        regressed = regression_loss(heads.depth_m.float(), target.depth_m, target.weight)
        terms["regression"] = config.regression * regressed
    if isinstance(heads, DSSideHeads):
        for name, index in heads.further:
            loss = binned.soft_classification_loss(index.float(), target.depth_m, target.weight, bins)
            terms[name] = config.classification * loss
    return terms


def refinement_objective(heads: DepthHeads, target: DepthTarget, bins: Bins, config: LossConfig) -> Terms:
    """Every level of a refined index map against the target (the auxiliary losses of papers/4, section 3.2.3).

    Index L1 in log depth on each level, weighted `level_decay` for each step towards the coarse; the gradient term
    on the finest; cross-entropy on the distribution behind the first guess; L1 of the regression branch, in shares
    of the range so that it compares with the others. With `foreground`, all but the gradient and silog terms count
    pixels that stand before their row up to 1 + `foreground` times.
    """
    finest = heads.indices[-1].float()
    even = target.weight
    if config.foreground > 0:
        near = binned.foreground(target.index, even, bins)
        target = replace(target, weight=even * (1 + config.foreground * near))
    terms: Terms = {"index": binned.index_l1_loss(finest, target.index, target.weight, bins)}
    auxiliary = finest.new_zeros(())
    for step, level in enumerate(reversed(heads.indices[:-1]), start=1):
        size = (level.shape[2], level.shape[3])
        index, weight = binned.pool_target(target.index, target.weight, size)
        auxiliary = auxiliary + config.level_decay**step * binned.index_l1_loss(level.float(), index, weight, bins)
    terms["auxiliary"] = auxiliary
    if config.gradient > 0:
        terms["gradient"] = config.gradient * binned.gradient_loss(
            finest, target.index, even, bins, scales=config.gradient_scales
        )
    if config.coarse_ce > 0 and heads.logits is not None:
        entropy = binned.soft_bin_cross_entropy(heads.logits, target.index, target.weight)
        terms["coarse_ce"] = config.coarse_ce * entropy
    if config.silog > 0:
        terms["silog"] = config.silog * binned.silog_loss(finest, target.index, even, bins)
    if config.relative > 0:
        terms["relative"] = config.relative * binned.relative_loss(finest, target.index, target.weight, bins)
    if config.regression > 0 and heads.depth_m is not None:
        regressed = regression_loss(heads.depth_m.float(), target.depth_m, target.weight)
        terms["regression"] = config.regression * regressed / (bins.max_m - bins.min_m)
    return terms


class DepthObjective(nn.Module):
    """A depth network together with its loss: what the training loop calls.

    Networks that refine an index map over several levels are trained by `refinement_objective`, those of papers/2 to 5
    by `losses.papers`, the others by `multi_task_objective`.

    Raises:
        InputError: the configuration asks for losses that this network has no outputs for.
        UnknownNameError: it names losses that do not exist.
    """

    def __init__(self, network: nn.Module, spec: DepthSpec, config: LossConfig) -> None:
        super().__init__()
        _check_choice(network, config)
        self.network = network
        self.bins = spec.bins if spec.num_bins else Bins(count=64, min_m=spec.min_m, max_m=spec.max_m)
        self.config = config

    def forward(
        self,
        image: Tensor,
        depth_m: Tensor,
        focal: Tensor,
        regions: Tensor | None = None,
        guidance: Tensor | None = None,
    ) -> Terms:
        """Loss terms by name; what is minimised is their sum, under "loss".

        Args:
            image: (B, 3, H, W) RGB in 0..1.
            depth_m, focal: see `target_of`.
            regions: (B, 1, H, W), for the losses of papers/5.
            guidance: (B, 1, H, W), for networks that are given more than the image (papers/5).

        Raises:
            InputError: the weights of the loss leave nothing to minimise for this network.
        """
        heads: DepthHeads = self.network(image) if guidance is None else self.network(image, guidance)
        target = target_of(depth_m, focal, self.bins, self.config.beyond)
        terms = self._terms(heads, target, regions)
        if not terms:
            raise InputError("the loss has no term for this network; give some of its loss weights a positive value")
        return {"loss": torch.stack(list(terms.values())).sum(), **terms}

    def _terms(self, heads: DepthHeads, target: DepthTarget, regions: Tensor | None) -> Terms:
        if isinstance(heads, MetricHeads):
            name = self.config.metric or str(self.network.paper_loss)
            return metric_objective(heads, target.depth_m, target.weight, name, regions)
        if isinstance(heads, IntervalHeads):
            entropy = interval_objective(heads, target.depth_m, target.index, target.weight, self.bins.max_m)
            return {"classification": entropy}
        objective = refinement_objective if len(heads.indices) > 1 else multi_task_objective
        return objective(heads, target, self.bins, self.config)


def _check_choice(network: nn.Module, config: LossConfig) -> None:
    """Refuse losses that would be ignored."""
    name = type(network).__name__
    if config.metric is not None:
        metric_loss(config.metric)
        if not hasattr(network, "paper_loss"):
            raise InputError(f"the losses {config.metric!r} are for networks that only regress depth, not for {name}")
    if config.hard and not isinstance(network, DSSideNet):
        raise InputError(f"hard classification is a choice of ds-sidenet-low and ds-sidenet-high, not of {name}")
    if config.hard and network.classifier is None:
        raise InputError("hard classification needs the classification branch, but branches is 'reg'")
    if isinstance(network, EdgeNet):
        read = _READ_BY_REFINEMENT
    elif isinstance(network, DSSideNet):
        read = _READ_BY_MULTI_TASK
    elif hasattr(network, "paper_loss"):
        read = {"beyond", "metric"}
    elif isinstance(network, SIDDeepLab):
        read = set()
    else:
        return  # a network of the user's own, whose heads are known when it answers
    default = LossConfig()
    for field in fields(LossConfig):
        changed = getattr(config, field.name) != getattr(default, field.name)
        if changed and field.name not in read:
            raise InputError(f"loss.{field.name} has no use for {name}; leave it out")
