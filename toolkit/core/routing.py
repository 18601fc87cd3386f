"""The two-stage router's decision rules (papers/1, section 3), free of any network.

Stage one says whether a frame is of low or high depth range; stage two runs the network of that range.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgedepth.core.errors import InputError


class Route(str, Enum):
    """Which depth range a frame belongs to."""

    LOW = "low"
    HIGH = "high"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One decision of the router.

    `score` is the rule's evidence for HIGH in 0..1 (share of votes, or of the range), except for the coarse rule,
    where it is d_max in metres; `votes` counts (low, high) votes where the rule votes. `margin` is how far the evidence
    is from a tie, in 0..1: |2 score - 1|, or |d_max - sigma| / (d_max + sigma) of the coarse rule.
    """

    route: Route
    score: float
    votes: tuple[int, int] | None = None
    margin: float = 1.0

    @classmethod
    def forced(cls, route: Route) -> Decision:
        """A route that is given and not decided."""
        return cls(route=route, score=float(route is Route.HIGH))


class _Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SceneCategory(_Rule):
    """A scene category: its name, whether its scenes are far, and the depth in metres they typically reach."""

    name: str
    far: bool
    range_m: float = Field(gt=0)


class SceneRule(_Rule):
    """Votes of the top-K categories of a scene classifier.

    "majority" gives every one of the K most probable categories one vote (more than K/2 decide); "weighted"
    weighs each vote by its probability; "expected" compares the expected depth range of the distribution, the
    probability-weighted mean of `range_m` over all categories, with `sigma_m`. Ties go to HIGH.
    """

    kind: Literal["scene"] = "scene"
    categories: tuple[SceneCategory, ...] = Field(min_length=2)
    top_k: int = Field(default=15, ge=1)
    vote: Literal["majority", "weighted", "expected"] = "majority"
    sigma_m: float = Field(default=10.0, gt=0)

    @model_validator(mode="after")
    def _enough(self) -> SceneRule:
        if self.top_k > len(self.categories):
            raise ValueError(f"top_k {self.top_k} exceeds the {len(self.categories)} categories")
        return self

    def decide(self, probabilities: NDArray[np.float32]) -> Decision:
        """Decide from the (C,) class probabilities."""
        far = np.array([category.far for category in self.categories])
        top = np.argsort(-probabilities, kind="stable")[: self.top_k]
        high = int(far[top].sum())
        votes = (self.top_k - high, high)
        if self.vote == "majority":
            score = high / self.top_k
        elif self.vote == "weighted":
            score = float(probabilities[top][far[top]].sum() / probabilities[top].sum())
        else:
            ranges = np.array([category.range_m for category in self.categories])
            expected = float((probabilities * ranges).sum() / probabilities.sum())
            score = expected / (expected + self.sigma_m)
        route = Route.HIGH if score >= 0.5 else Route.LOW
        return Decision(route=route, score=score, votes=votes, margin=abs(2 * score - 1))


def parse_scene_rule(text: bytes, *, where: str) -> SceneRule:
    """Read a rule that training wrote.

    Raises:
        InputError: the text, found at `where`, is no scene rule.
    """
    try:
        return SceneRule.model_validate_json(text)
    except ValidationError:
        raise InputError(f"{where} is not a router's rule; train again or remove it") from None


class CoarseRule(_Rule):
    """Threshold on the largest depth of a coarse map, taken on unpadded pixels; d_max >= sigma is HIGH."""

    kind: Literal["coarse"] = "coarse"
    sigma_m: float = Field(default=5.89, gt=0)

    def decide(self, depth_m: NDArray[np.float32]) -> Decision:
        """Decide from the (h, w) coarse depth of the frame's own pixels."""
        d_max = float(depth_m.max())
        route = Route.HIGH if d_max >= self.sigma_m else Route.LOW
        return Decision(route=route, score=d_max, margin=abs(d_max - self.sigma_m) / (d_max + self.sigma_m))


class FixedRule(_Rule):
    """Always the same route: for bundles of one network and for users who know their scene."""

    kind: Literal["fixed"] = "fixed"
    route: Route


Rule = Annotated[SceneRule | CoarseRule | FixedRule, Field(discriminator="kind")]


class Hysteresis(_Rule):
    """How often an ordered source is routed, and how slowly it switches.

    The router runs on every `every`-th frame; the route changes once `agree` decisions say so without one for the route
    in force between them. Those closer to a tie than `margin` do not count: with 0.34, 6 votes of 9 keep a route, but
    change none. The first decision counts at once, whatever its margin.
    """

    every: int = Field(default=5, ge=1)
    agree: int = Field(default=3, ge=1)
    margin: float = Field(default=0.15, ge=0, lt=1)

    @classmethod
    def of_votes(cls) -> Hysteresis:
        """For rules that count votes: more than two thirds of them have to ask for a change."""
        return cls(margin=0.34)


class RouteKeeper:
    """Applies a `Hysteresis` to the decisions of one stream; one keeper per stream."""

    def __init__(self, hysteresis: Hysteresis) -> None:
        self._hysteresis = hysteresis
        self._frame = 0
        self._current: Decision | None = None
        self._dissent = 0

    @property
    def due(self) -> bool:
        """True when the next frame wants a decision of the router."""
        return self._frame % self._hysteresis.every == 0

    def advance(self, decision: Decision | None) -> Decision:
        """Count one frame, with the router's decision if one was due, and return the decision in force."""
        self._frame += 1
        if self._current is None:
            if decision is None:
                raise ValueError("the first frame of a stream needs a decision")
            self._current = decision
        elif decision is not None:
            if decision.route == self._current.route:
                self._current, self._dissent = decision, 0
            elif decision.margin >= self._hysteresis.margin:
                self._dissent += 1
                if self._dissent >= self._hysteresis.agree:
                    self._current, self._dissent = decision, 0
        return self._current
