"""What a grammar hands to the renderer: a scene, and where cameras may stand in it.

A recipe is a function `Dice -> BuiltScene`. Every random draw of a recipe comes from its `Dice`, so a seed
names the same scene on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgedepth.world.builder import Dice
from edgedepth.world.scene import Scene, View


@dataclass(frozen=True)
class BuiltScene:
    """A scene and its cameras: `sample_view` draws a view whose position is free of geometry."""

    scene: Scene
    sample_view: Callable[[Dice], View]


@dataclass(frozen=True)
class BuiltWalk:
    """A scene and a path through it: `views(count)` gives `count` consecutive views along the path."""

    scene: Scene
    views: Callable[[int], list[View]]


Build = Callable[[Dice], BuiltScene]


def dice_for(*key: int) -> Dice:
    """Dice whose stream is named by a tuple of integers, such as (seed, scene, view)."""
    return Dice(np.random.Generator(np.random.PCG64(np.random.SeedSequence(key))))
