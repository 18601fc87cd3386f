"""The interiors that robots work in and roads under a roof, by the categories whose range they have."""

from __future__ import annotations

from edgedepth.world.builder import Dice
from edgedepth.world.indoor.great_halls import concourse, sports_hall, warehouse
from edgedepth.world.indoor.halls import garage, gathering, store_aisle
from edgedepth.world.recipe import Build, BuiltScene
from edgedepth.world.street.tunnel import parking_deck, tunnel, underpass


def _great_hall(dice: Dice) -> BuiltScene:
    return dice.choice((warehouse, warehouse, sports_hall))(dice)


HALL_RECIPES: dict[str, Build] = {
    "meeting_room": gathering,
    "workshop": garage,
    "store_room": store_aisle,
    "city_street": underpass,
    "motorway": tunnel,
    "square": concourse,
    "car_park": parking_deck,
    "industrial_yard": _great_hall,
}
"""Near ones under near categories, those seen over tens of metres under far ones."""
