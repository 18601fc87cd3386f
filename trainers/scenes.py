"""Scene categories for the router: labelled frames, the loss, and the vote that serves best on validation data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from edgedepth.core.preprocess import Placement
from edgedepth.core.routing import Route, SceneCategory, SceneRule
from edgedepth.core.spec import ClassifierSpec
from edgedepth.trainers.augment import degrade, random_window
from edgedepth.trainers.cache import FrameCache
from edgedepth.trainers.config import AugmentConfig
from edgedepth.trainers.data import Key, spread

UNKNOWN = -1  # label of a frame whose category is not told; it counts for routing only


@dataclass(frozen=True, kw_only=True)
class SceneItem:
    """A frame at the classifier's size, the index of its category (or `UNKNOWN`), and whether it is far."""

    image: NDArray[np.uint8]
    content: tuple[int, int, int, int]
    label: int
    far: bool


@dataclass(frozen=True, kw_only=True)
class SceneBatch:
    """image: (B, H, W, 3) uint8 RGB. content: (B, 4), see `DepthBatch`. label: (B,) int64. far: (B,) bool."""

    image: Tensor
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
        image = self.cache[index].rgb
        rng = np.random.default_rng((self.seed, epoch, index))
        if self.augment is not None:
            image = random_window(rng, (image.shape[1], image.shape[0]), self.augment).of(image)
        placement = Placement.of((image.shape[1], image.shape[0]), self.spec.input_wh, self.spec.resize)
        placed = placement.to_input(np.ascontiguousarray(image))
        rows, columns = placement.content
        if self.augment is not None:
            degrade(placed[rows, columns], rng, self.augment.photometric)
        return SceneItem(
            image=placed,
            content=(rows.start, rows.stop, columns.start, columns.stop),
            label=self.labels[index],
            far=self.far[index],
        )


def collate_scenes(items: Sequence[SceneItem]) -> SceneBatch:
    """Stack items into a batch of tensors."""
    return SceneBatch(
        image=torch.from_numpy(np.stack([item.image for item in items])),
        content=torch.tensor([item.content for item in items]),
        label=torch.tensor([item.label for item in items]),
        far=torch.tensor([item.far for item in items]),
    )


def scenes_in_order(frames: SceneFrames, batch: int, limit: int | None = None) -> Iterator[SceneBatch]:
    """Batches in order, for evaluation; `limit` takes that many frames, evenly spread."""
    indices = spread(len(frames), limit)
    for first in range(0, len(indices), batch):
        yield collate_scenes([frames[0, index] for index in indices[first : first + batch]])


def side_smoothed(label: Tensor, far: Tensor, *, side: float, whole: float) -> Tensor:
    """Soft labels (B, C): `side` of the mass spread over the categories on the label's side (near or far) and
    `whole` over all of them, the rest on the category itself.

    The vote of the most probable K asks that the runners-up lie on the right side; these labels say so.
    `label` is (B,) int64, `far` (C,) bool.
    """
    count = len(far)
    same = (far[None, :] == far[label][:, None]).float()  # (B, C)
    return F.one_hot(label, count) * (1 - side - whole) + same / same.sum(1, keepdim=True) * side + whole / count


class SceneObjective(nn.Module):
    """A classifier together with its loss: cross-entropy against side-smoothed labels, and on the side itself."""

    def __init__(self, network: nn.Module, categories: Sequence[SceneCategory]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("far", torch.tensor([category.far for category in categories]), persistent=False)

    far: Tensor

    def forward(self, image: Tensor, label: Tensor, far: Tensor) -> dict[str, Tensor]:
        """Loss terms for (B, 3, H, W) images in 0..1, categories (B,), `UNKNOWN` among them, and sides (B,) bool."""
        log_p = F.log_softmax(self.network(image).float(), dim=1)  # (B, C)
        known = label != UNKNOWN
        target = side_smoothed(label.clamp_min(0), self.far, side=0.15, whole=0.02)
        category = -(target * log_p).sum(1)
        log_far = log_p[:, self.far].logsumexp(1)
        log_near = log_p[:, ~self.far].logsumexp(1)
        side = -torch.where(far, log_far, log_near)
        terms = {
            "category": (category * known).sum() / known.sum().clamp_min(1),
            "side": 0.5 * side.mean(),
        }
        return {"loss": terms["category"] + terms["side"], **terms}


def rules(categories: Sequence[SceneCategory]) -> list[SceneRule]:
    """Candidate votes, the default first: majority and weighted votes of odd K below half of the categories."""
    few = [k for k in (5, 3, 7, 9, 11, 1) if k < max(2, len(categories) / 2)]
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
