"""Streets that several test files look at; each is built once, in the worker of the group `GROUP`."""

from __future__ import annotations

from functools import cache

import pytest

from edgedepth.world.recipe import BuiltScene, dice_for
from edgedepth.world.street.recipes import STREET_RECIPES

GROUP = pytest.mark.xdist_group("streets")


@cache
def street(name: str, seed: int) -> BuiltScene:
    """The scene of a far category and a seed."""
    return STREET_RECIPES[name](dice_for(7, seed))
