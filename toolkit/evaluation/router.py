"""How well the router chooses: accuracy where the route is known, shares of frames where it is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from edgedepth.core.routing import Route


@dataclass(frozen=True)
class RoutingScore:
    """Decisions on images whose route is known.

    counts: images by (expected, chosen). wrong: ids of images that went the wrong way.
    """

    counts: dict[tuple[Route, Route], int]
    wrong: tuple[str, ...]

    @property
    def images(self) -> int:
        """How many images had a known route."""
        return sum(self.counts.values())

    @property
    def accuracy(self) -> float:
        """Share of images that went the right way; NaN without images."""
        return 1 - len(self.wrong) / self.images if self.images else float("nan")

    def as_json(self) -> dict[str, Any]:
        """Plain data for reports."""
        counts = {f"{expected}->{chosen}": count for (expected, chosen), count in self.counts.items()}
        accuracy = self.accuracy if self.images else None
        return {"images": self.images, "accuracy": accuracy, "counts": counts, "wrong": list(self.wrong)}


@dataclass(frozen=True)
class RouteShares:
    """How the frames of one ordered source were routed, and how often the route changed."""

    frames: dict[Route, int]
    switches: int

    def share(self, route: Route) -> float:
        """Share of frames that took a route; NaN without frames."""
        total = sum(self.frames.values())
        return self.frames[route] / total if total else float("nan")


def score_routes(decisions: Iterable[tuple[str, Route, Route]]) -> RoutingScore:
    """Count decisions given as (id, expected route, chosen route)."""
    counts = {(expected, chosen): 0 for expected in Route for chosen in Route}
    wrong = []
    for id, expected, chosen in decisions:
        counts[expected, chosen] += 1
        if expected is not chosen:
            wrong.append(id)
    return RoutingScore(counts, tuple(wrong))


def route_shares(routes: Iterable[Route]) -> RouteShares:
    """Count the routes of the frames of a video, in order."""
    frames, switches, last = dict.fromkeys(Route, 0), 0, None
    for route in routes:
        frames[route] += 1
        switches += last is not None and route is not last
        last = route
    return RouteShares(frames, switches)
