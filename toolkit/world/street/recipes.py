"""The grammar of outdoor scenes: one recipe per far category."""

from __future__ import annotations

from functools import partial

from edgedepth.world.recipe import Build
from edgedepth.world.street.greens import field, forest_path, park
from edgedepth.world.street.outlook import driving_views
from edgedepth.world.street.places import car_park, industrial_yard, square
from edgedepth.world.street.roads import alley, city_street, country_road, motorway, residential_street, suburb

STREET_RECIPES: dict[str, Build] = {
    "residential_street": residential_street,
    "city_street": city_street,
    "motorway": motorway,
    "country_road": country_road,
    "suburb": suburb,
    "park": park,
    "forest_path": forest_path,
    "field": field,
    "square": square,
    "car_park": car_park,
    "alley": alley,
    "industrial_yard": industrial_yard,
}

JAM_RECIPES: dict[str, Build] = {
    "city_street": partial(city_street, jam=True),
    "motorway": partial(motorway, jam=True),
    "residential_street": partial(residential_street, jam=True),
}
"""Roads whose traffic stands in queues, with the camera in the middle of it."""

DRIVE_RECIPES: dict[str, Build] = {
    "residential_street": partial(residential_street, views=driving_views),
    "city_street": partial(city_street, views=driving_views),
    "motorway": partial(motorway, views=driving_views),
    "country_road": partial(country_road, views=driving_views),
    "suburb": partial(suburb, views=driving_views),
}
"""Roads as a camera on a vehicle sees them."""
