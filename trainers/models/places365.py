"""The 365 categories of Places365, each near or far."""

from __future__ import annotations

import csv
from importlib.resources import files

from edgedepth.core.routing import SceneCategory

# Indoor places whose views commonly reach beyond the low network's 10 m: halls, and the few that the release
# labels indoor although they lie open. Every other indoor category is near, every outdoor one far.
FAR_INDOOR = frozenset(
    {
        "airport_terminal",
        "archaelogical_excavation",
        "arena/hockey",
        "arena/performance",
        "arena/rodeo",
        "assembly_line",
        "atrium/public",
        "auditorium",
        "auto_factory",
        "auto_showroom",
        "ballroom",
        "banquet_hall",
        "basketball_court/indoor",
        "bazaar/indoor",
        "bowling_alley",
        "church/indoor",
        "conference_center",
        "department_store",
        "flea_market/indoor",
        "food_court",
        "greenhouse/indoor",
        "gymnasium/indoor",
        "hangar/indoor",
        "ice_skating_rink/indoor",
        "legislative_chamber",
        "market/indoor",
        "movie_theater/indoor",
        "museum/indoor",
        "natural_history_museum",
        "orchestra_pit",
        "parking_garage/indoor",
        "science_museum",
        "shopping_mall/indoor",
        "stage/indoor",
        "subway_station/platform",
        "supermarket",
        "swimming_hole",
        "swimming_pool/indoor",
        "train_station/platform",
    }
)

# Depth in metres that scenes of a kind typically reach, for the router's expected-range vote.
_ROOM_M, _HALL_M, _OUTDOOR_M = 5.0, 25.0, 60.0


def places365_categories() -> tuple[SceneCategory, ...]:
    """The categories in the order of the public classifiers' outputs."""
    text = files("edgedepth.assets").joinpath("places365.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return tuple(_category(row["category"], outdoor=row["place"] == "outdoor") for row in rows)


def _category(name: str, *, outdoor: bool) -> SceneCategory:
    if outdoor:
        return SceneCategory(name=name, far=True, range_m=_OUTDOOR_M)
    if name in FAR_INDOOR:
        return SceneCategory(name=name, far=True, range_m=_HALL_M)
    return SceneCategory(name=name, far=False, range_m=_ROOM_M)
