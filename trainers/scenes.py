"""Scene categories for the router: labelled frames, the loss, and the vote that serves best on validation data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from edgedepth.core.routing import Route, SceneCategory, SceneRule
from edgedepth.core.spec import HIGH_RANGE_M, LOW_RANGE_M, ClassifierSpec
from edgedepth.trainers.cache import FrameCache
from edgedepth.trainers.config import AugmentConfig
from edgedepth.trainers.data import Key
from edgedepth.trainers.fitting import fit_frame
from edgedepth.trainers.models.scene import SceneSmall

UNKNOWN = -1  # label of a frame whose category is not told; it counts for routing only


@dataclass(frozen=True, kw_only=True)
class SceneItem:
    """A frame at the classifier's size, its depth, the index of its category (or `UNKNOWN`), and whether it is far."""

    image: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    content: tuple[int, int, int, int]
    label: int
    far: bool


@dataclass(frozen=True, kw_only=True)
class SceneBatch:
    """image, depth_m, content: see `DepthBatch`. label: (B,) int64. far: (B,) bool."""

    image: Tensor
    depth_m: Tensor
    content: Tensor
    label: Tensor
    far: Tensor


class SceneFrames(Dataset[SceneItem]):
    """Frames of a cache with their categories, whole for evaluation or randomly cut for training."""

    def __init__(
        self, cache: FrameCache, spec: ClassifierSpec, augment: AugmentConfig | None = None, seed: int = 0
    ) -> None:
        self.cache = cache
        self.spec = spec
        self.augment = augment
        self.seed = seed
        index = {category.name: number for number, category in enumerate(spec.categories)}
        self.labels = [index.get(info.category or "", UNKNOWN) for info in cache.infos]
        self.far = [
            spec.categories[label].far if label != UNKNOWN else info.route is Route.HIGH
            for label, info in zip(self.labels, cache.infos, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.cache)

    def __getitem__(self, key: Key) -> SceneItem:
        epoch, index = key
        frame = self.cache[index]
        rng = np.random.default_rng((self.seed, epoch, index))
        fitted = fit_frame(frame.rgb, frame.depth_m, None, self.spec, augment=self.augment, rng=rng)
        return SceneItem(
            image=fitted.image,
            depth_m=fitted.depth_m,
            content=fitted.content,
            label=self.labels[index],
            far=self.far[index],
        )


def collate_scenes(items: Sequence[SceneItem]) -> SceneBatch:
    """Stack items into a batch of tensors."""
    return SceneBatch(
        image=torch.from_numpy(np.stack([item.image for item in items])),
        depth_m=torch.from_numpy(np.stack([item.depth_m for item in items])[:, None]),
        content=torch.tensor([item.content for item in items]),
        label=torch.tensor([item.label for item in items]),
        far=torch.tensor([item.far for item in items]),
    )


def side_smoothed(label: Tensor, far: Tensor, *, side: float, whole: float) -> Tensor:
    """Soft labels (B, C): `side` of the mass spread over the categories on the label's side (near or far) and
    `whole` over all of them, the rest on the category itself.

    The vote of the most probable K asks that the runners-up lie on the right side; these labels say so.
    `label` is (B,) int64, `far` (C,) bool.
    """
    count = len(far)
    same = (far[None, :] == far[label][:, None]).float()  # (B, C)
    return F.one_hot(label, count) * (1 - side - whole) + same / same.sum(1, keepdim=True) * side + whole / count


_GEOMETRY_LEVEL = 3  # the map at 1/16 of the image; (8, 6) cells of the working size
_RANGE_M = (LOW_RANGE_M[0], HIGH_RANGE_M[1])


def mean_log_depth(depth_m: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Mean natural log of depth in each cell of a coarse grid, (B, 1, *size_hw); NaN where under a quarter is known.

    `depth_m` is (B, 1, H, W) metres, NaN = not measured, inf = sky; it is held to 0.3-80 m.
    """
    known = depth_m.isnan().logical_not().float()
    log_depth = depth_m.float().nan_to_num(nan=1.0, posinf=_RANGE_M[1]).clamp(*_RANGE_M).log() * known
    share = F.adaptive_avg_pool2d(known, size_hw)
    mean = F.adaptive_avg_pool2d(log_depth, size_hw) / share.clamp_min(1e-6)
    return mean.masked_fill(share < 0.25, torch.nan)


class SceneObjective(nn.Module):
    """A classifier together with its loss: cross-entropy against side-smoothed labels, and on the side itself.

    scene-small learns coarse depth as well, through a head that is trained with it and then dropped: how far things are
    is what its categories are asked for, and every cell of a frame tells it.
    """

    def __init__(self, network: nn.Module, categories: Sequence[SceneCategory]) -> None:
        super().__init__()
        self.network = network
        self.depth_head: nn.Module | None = None
        if isinstance(network, SceneSmall):
            self.depth_head = nn.Conv2d(network.options.widths[_GEOMETRY_LEVEL], 1, 1)
        self.register_buffer("far", torch.tensor([category.far for category in categories]), persistent=False)

    far: Tensor

    def forward(self, image: Tensor, depth_m: Tensor, label: Tensor, far: Tensor) -> dict[str, Tensor]:
        """Loss terms for (B, 3, H, W) images in 0..1, depth (B, 1, H, W), categories (B,), `UNKNOWN` among them, and
        sides (B,) bool."""
        terms: dict[str, Tensor] = {}
        if isinstance(self.network, SceneSmall) and self.depth_head is not None:
            features = self.network.features(image)
            logits = self.network.classify(features)
            terms["geometry"] = _geometry(self.depth_head(features[_GEOMETRY_LEVEL]).float(), depth_m)
        else:
            logits = self.network(image)
        log_p = F.log_softmax(logits.float(), dim=1)  # (B, C)
        known = label != UNKNOWN
        target = side_smoothed(label.clamp_min(0), self.far, side=0.15, whole=0.02)
        category = -(target * log_p).sum(1)
        log_far = log_p[:, self.far].logsumexp(1)
        log_near = log_p[:, ~self.far].logsumexp(1)
        terms["category"] = (category * known).sum() / known.sum().clamp_min(1)
        terms["side"] = 0.5 * -torch.where(far, log_far, log_near).mean()
        return {"loss": torch.stack(list(terms.values())).sum(), **terms}


def _geometry(log_depth: Tensor, depth_m: Tensor) -> Tensor:
    """Smooth L1 between predicted and true mean log depth of the cells that are known; 0 if there are none."""
    target = mean_log_depth(depth_m, (log_depth.shape[-2], log_depth.shape[-1]))
    known = target.isnan().logical_not()
    error = F.smooth_l1_loss(log_depth, target.nan_to_num(), reduction="none", beta=0.5)
    return (error * known).sum() / known.sum().clamp_min(1)


def rules(categories: Sequence[SceneCategory]) -> list[SceneRule]:
    """Candidate votes, the default first: majority and weighted votes of odd K below half of the categories."""
    few = [k for k in (9, 7, 11, 5, 3, 1) if k < max(2, len(categories) / 2)]
    votes = [SceneRule(categories=tuple(categories), top_k=k, vote="majority") for k in few]
    return votes + [SceneRule(categories=tuple(categories), top_k=k, vote="weighted") for k in few if k > 1]


def routing_accuracy(rule: SceneRule, probabilities: NDArray[np.float32], far: NDArray[np.bool_]) -> float:
    """Share of frames that the rule sends to the right network; probabilities (N, C), far (N,)."""
    wanted = [Route.HIGH if is_far else Route.LOW for is_far in far]
    right = [rule.decide(p).route is route for p, route in zip(probabilities, wanted, strict=True)]
    return float(np.mean(right))


def choose_rule(
    categories: Sequence[SceneCategory], probabilities: NDArray[np.float32], far: NDArray[np.bool_]
) -> tuple[SceneRule, float]:
    """The rule that routes most validation frames right, and that share; ties go to the earlier candidate."""
    scored = [(routing_accuracy(rule, probabilities, far), rule) for rule in rules(categories)]
    best = max(score for score, _ in scored)
    return next(rule for score, rule in scored if score == best), best
