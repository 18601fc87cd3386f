"""A part to validate on, out of training data that name none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgedepth.datasets.sample import DepthDataset, SampleInfo

SHARE = 0.1


def held_out(dataset: DepthDataset) -> tuple[DepthDataset, DepthDataset]:
    """What is left to train on, and a tenth to validate on: whole scenes, because frames of one scene look alike.

    Taken are the last scenes that are no more than a tenth together, or the smallest scene where each is more. Frames
    that name no scene, or all the same, count one by one, so that the last of them go in one piece. Of two frames or
    more, at least one is held out and at least one left.
    """
    taken = _taken(dataset.infos)
    left, out = (
        tuple(entry for number, entry in enumerate(dataset.entries) if (number in taken) is wanted)
        for wanted in (False, True)
    )
    return replace(dataset, entries=left), replace(dataset, entries=out)


def _taken(infos: Sequence[SampleInfo]) -> set[int]:
    """Places of the samples that are held out."""
    if len(infos) < 2:
        return set()
    scenes: dict[str | int, list[int]] = {}
    for number, info in enumerate(infos):
        scenes.setdefault(number if info.scene is None else info.scene, []).append(number)
    if len(scenes) == 1:
        scenes = {number: [number] for number in range(len(infos))}
    from_the_last = list(scenes.values())[::-1]
    wanted = max(1, int(len(infos) * SHARE))
    taken: set[int] = set()
    for scene in from_the_last:
        if len(taken) + len(scene) <= wanted:
            taken.update(scene)
    smallest = min(from_the_last, key=len)
    return taken or set(smallest)
