"""The router's rules on hand-computed votes, and the hysteresis frame by frame."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import ValidationError

from edgedepth.core.errors import BackendError
from edgedepth.core.preprocess import Placement
from edgedepth.core.routing import (
    CoarseRule,
    Decision,
    FixedRule,
    Hysteresis,
    Route,
    RouteKeeper,
    SceneCategory,
    SceneRule,
)  # fmt: skip
from edgedepth.runtime.router import FrameRouter

CATEGORIES = tuple(
    SceneCategory(name=name, far=far, range_m=range_m)
    for name, far, range_m in [
        ("kitchen", False, 4.0), ("office", False, 6.0), ("street", True, 60.0), ("park", True, 40.0),
        ("hall", False, 10.0),
    ]
)  # fmt: skip


def _probabilities(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


@pytest.mark.parametrize(
    ("probabilities", "top_k", "route", "votes"),
    [
        ((0.5, 0.2, 0.2, 0.05, 0.05), 3, Route.LOW, (2, 1)),
        ((0.1, 0.2, 0.4, 0.25, 0.05), 3, Route.HIGH, (1, 2)),
        ((0.6, 0.0, 0.4, 0.0, 0.0), 2, Route.HIGH, (1, 1)),  # a tie goes to HIGH: low needs more than K/2
        ((0.6, 0.1, 0.1, 0.1, 0.1), 1, Route.LOW, (1, 0)),
    ],
)
def test_majority_vote(probabilities: tuple[float, ...], top_k: int, route: Route, votes: tuple[int, int]) -> None:
    decision = SceneRule(categories=CATEGORIES, top_k=top_k).decide(_probabilities(*probabilities))
    assert (decision.route, decision.votes) == (route, votes)
    assert decision.score == pytest.approx(votes[1] / top_k)


def test_weighted_vote_can_overrule_the_majority() -> None:
    probabilities = _probabilities(0.15, 0.15, 0.6, 0.05, 0.05)
    assert SceneRule(categories=CATEGORIES, top_k=3).decide(probabilities).route is Route.LOW
    weighted = SceneRule(categories=CATEGORIES, top_k=3, vote="weighted").decide(probabilities)
    assert weighted.route is Route.HIGH
    assert weighted.score == pytest.approx(0.6 / 0.9)


@pytest.mark.parametrize(("sigma_m", "route"), [(22.0, Route.HIGH), (26.0, Route.LOW)])
def test_expected_range(sigma_m: float, route: Route) -> None:
    # 0.4 * 4 + 0.2 * 6 + 0.2 * 60 + 0.2 * 40 + 0.05 * 10 = 23.3 over a total of 1.05 -> 22.19
    probabilities = _probabilities(0.4, 0.2, 0.2, 0.2, 0.05)
    rule = SceneRule(categories=CATEGORIES, top_k=3, vote="expected", sigma_m=sigma_m)
    decision = rule.decide(probabilities)
    assert decision.route is route
    assert decision.score == pytest.approx(22.1905 / (22.1905 + sigma_m), abs=1e-4)
    assert decision.margin == pytest.approx(abs(22.1905 - sigma_m) / (22.1905 + sigma_m), abs=1e-4)


@pytest.mark.parametrize(("d_max", "route"), [(5.88, Route.LOW), (5.89, Route.HIGH), (30.0, Route.HIGH)])
def test_coarse_rule_compares_the_maximum_with_sigma(d_max: float, route: Route) -> None:
    depth = np.full((4, 5), 1.0, np.float32)
    depth[2, 3] = d_max
    decision = CoarseRule(sigma_m=float(np.float32(5.89))).decide(depth)
    assert (decision.route, decision.score) == (route, pytest.approx(d_max))
    assert decision.margin == pytest.approx(abs(d_max - 5.89) / (d_max + 5.89), abs=1e-6)


def test_rules_are_validated() -> None:
    with pytest.raises(ValidationError, match="top_k 9 exceeds the 5 categories"):
        SceneRule(categories=CATEGORIES, top_k=9)
    with pytest.raises(ValidationError):
        FixedRule(route="middle")


@pytest.mark.parametrize(("far", "changes"), [(9, True), (7, True), (6, False), (5, False)])
def test_more_than_two_thirds_of_the_votes_change_a_route(far: int, changes: bool) -> None:
    rooms = tuple(SceneCategory(name=f"room {n}", far=False, range_m=5.0) for n in range(10))
    streets = tuple(SceneCategory(name=f"street {n}", far=True, range_m=50.0) for n in range(10))
    rule = SceneRule(categories=(*rooms, *streets), top_k=9)
    near, mixed = np.zeros(20, np.float32), np.zeros(20, np.float32)
    near[:9] = 1 / 9
    mixed[: 9 - far], mixed[10 : 10 + far] = 1 / 9, 1 / 9
    keeper = RouteKeeper(Hysteresis.of_votes().model_copy(update={"every": 1}))
    keeper.advance(rule.decide(near))
    routes = [keeper.advance(rule.decide(mixed)).route for _ in range(4)]
    assert routes[-1] is (Route.HIGH if changes else Route.LOW)
    assert rule.decide(mixed).route is Route.HIGH  # a photo goes by the simple majority


def _run(decisions: str, every: int, agree: int) -> str:
    """Feed l/h decisions (m: high by a narrow margin) where due; return the route in force per frame."""
    keeper = RouteKeeper(Hysteresis(every=every, agree=agree))
    supply = iter(decisions)
    shown = ""
    for _ in range(len(decisions) * every):
        decision = None
        if keeper.due:
            said = next(supply)
            route = Route.LOW if said == "l" else Route.HIGH
            decision = Decision(route=route, score=float(route is Route.HIGH), margin=0.1 if said == "m" else 0.2)
        shown += str(keeper.advance(decision).route)[0]
    return shown


@pytest.mark.parametrize(
    ("decisions", "every", "agree", "expected"),
    [
        ("lhlhl", 1, 2, "lllll"),  # flapping never switches
        ("lhhhl", 1, 2, "llhhh"),
        ("hl", 1, 1, "hl"),
        ("lhh", 3, 2, "llllllhhh"),
        ("lhh", 2, 2, "llllhh"),
        ("lmmm", 1, 2, "llll"),  # what is nearly a tie changes nothing,
        ("lhmh", 1, 2, "lllh"),  # breaks no row of clear decisions,
        ("mll", 1, 2, "hhl"),  # decides where nothing else did,
        ("hlml", 1, 2, "hhhh"),  # and keeps the route in force
    ],
)
def test_hysteresis(decisions: str, every: int, agree: int, expected: str) -> None:
    assert _run(decisions, every, agree) == expected


def test_first_frame_needs_a_decision() -> None:
    with pytest.raises(ValueError, match="first frame"):
        RouteKeeper(Hysteresis()).advance(None)


@pytest.mark.parametrize("rule", [SceneRule(categories=CATEGORIES, top_k=3), CoarseRule()])
def test_a_router_that_answers_nan_is_not_a_route(rule: SceneRule | CoarseRule) -> None:
    """An FP16 engine whose values overflow: every comparison with NaN is false, which would be LOW for ever."""

    class Overflows:
        session = SimpleNamespace(backend="tensorrt", precision="fp16")

        def load(self, frame_bgr: np.ndarray) -> Placement:
            return Placement.of((8, 6), (8, 6), "stretch")

        def run(self, outputs: tuple[str, ...]) -> dict[str, np.ndarray]:
            return {name: np.full((1, 1, 6, 8), np.nan, np.float32) for name in outputs}

    router = FrameRouter(rule, Overflows(), Hysteresis())  # type: ignore[arg-type]
    with pytest.raises(BackendError, match="the router answers NaN on tensorrt in fp16; run with --precision fp32"):
        router.decide(np.zeros((6, 8, 3), np.uint8))
