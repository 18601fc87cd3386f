"""What is held out for validation: whole scenes, or the last frames where there are none."""

from __future__ import annotations

import pytest

from edgedepth.datasets import DepthDataset, DepthSample, Entry, SampleInfo
from edgedepth.datasets.holdout import held_out


def unread(info: SampleInfo) -> DepthSample:
    raise AssertionError("parting a set reads no pixels")


def of_scenes(scenes: list[str | None]) -> DepthDataset:
    infos = [SampleInfo(id=str(number), scene=scene) for number, scene in enumerate(scenes)]
    return DepthDataset(name="pairs:nowhere", entries=tuple(Entry(info, unread) for info in infos))


@pytest.mark.parametrize(
    ("scenes", "out"),
    [
        ([None] * 20, [18, 19]),
        ([None] * 39, [36, 37, 38]),
        ([None] * 10, [9]),
        ([None] * 2, [1]),
        ([None], []),
        ([], []),
        (["a"] * 20, [18, 19]),  # of one scene only
        ([str(number) for number in range(20)], [18, 19]),  # each its own
        ([*"a" * 17, *"b", *"c", *"d"], [18, 19]),
        ([*"a" * 16, *"bb", *"cc"], [18, 19]),
        ([*"a" * 9, *"b" * 2, *"c" * 9], [9, 10]),  # a scene in the middle that is no more than a tenth
        ([*"a" * 5, *"b" * 15], [0, 1, 2, 3, 4]),  # each is more than a tenth: the smallest
        (["a", "b"] * 10, list(range(1, 20, 2))),  # of two alike the last
        ([*"a" * 18, None, None], [18, 19]),
        ([None, None, *"a" * 18], [0, 1]),
    ],
)
def test_a_tenth_is_held_out_in_whole_scenes(scenes: list[str | None], out: list[int]) -> None:
    train, validation = held_out(of_scenes(scenes))
    assert [info.id for info in validation.infos] == [str(number) for number in out]
    assert [info.id for info in train.infos] == [str(n) for n in range(len(scenes)) if n not in out]
    shared = {info.scene for info in train.infos} & {info.scene for info in validation.infos} - {None}
    assert not shared or len(set(scenes)) == 1


@pytest.mark.parametrize("scenes", [[None] * 7, ["a"] * 3, list("ab"), [*"aaab"], ["a", None]])
def test_both_parts_have_a_frame(scenes: list[str | None]) -> None:
    assert all(len(part) for part in held_out(of_scenes(scenes)))
