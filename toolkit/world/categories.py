"""The scene categories of the procedural world, each near or far: what the router learns to tell apart.

Near scenes are those the low depth-range network covers (0.3-10 m), far scenes those of the high one (1-80 m).
"""

from __future__ import annotations

NEAR_CATEGORIES = (
    "bedroom", "living_room", "kitchen", "bathroom", "office", "meeting_room", "corridor", "dining_room",
    "workshop", "store_room", "tabletop", "stairwell",
)  # fmt: skip
FAR_CATEGORIES = (
    "residential_street", "city_street", "motorway", "country_road", "suburb", "park", "forest_path", "field",
    "square", "car_park", "alley", "industrial_yard",
)  # fmt: skip
CATEGORIES = NEAR_CATEGORIES + FAR_CATEGORIES
