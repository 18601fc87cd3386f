"""Algorithm 1 of papers/5 in its corrected reading: by hand, and against a loop that follows the text."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="the trainers need PyTorch: pip install 'edgedepth[train]'")

from edgedepth.trainers.regions.support import SLICES, instances_of, regions_of


def slow_instances(semantic: NDArray[np.int64]) -> NDArray[np.int64]:
    """Grow each instance pixel by pixel, over distances of at most 2."""
    instances = np.zeros(semantic.shape, np.int64)
    label = 0
    for category in sorted({int(c) for c in semantic.flat if c > 0}, reverse=True):
        positions = [tuple(p) for p in np.argwhere(semantic == category)]  # reading order
        for start in positions:
            if instances[start]:
                continue
            label += 1
            instances[start] = label
            front = [start]
            while front:
                y, x = front.pop()
                for other in positions:
                    if not instances[other] and (other[0] - y) ** 2 + (other[1] - x) ** 2 <= 4:
                        instances[other] = label
                        front.append(other)
    return instances


def slow_support(semantic: NDArray[np.int64], depth: NDArray[np.float32]) -> NDArray[np.float64]:
    """Steps 2 to 4 with the paper's own variables."""
    instances = slow_instances(semantic)
    support = np.full(semantic.shape, np.nan)
    usable = np.isfinite(depth) & (depth > 0) & (instances > 0)
    if not usable.any():
        return support
    measured = depth[np.isfinite(depth) & (depth > 0)].astype(float)  # of the whole image, labelled or not
    var = (measured.max() - measured.min()) / SLICES
    for label in range(1, instances.max() + 1):
        inside = usable & (instances == label)
        if not inside.any():
            continue
        d = depth.astype(float)
        near, far = d[inside].min(), d[inside].max()
        if far - near < 2 * var or var == 0:
            support[inside] = d[inside].mean()
            continue
        share = inside.sum() / ((far - near) / var)
        start, number = near, 1
        while number + 1 <= int((far - near) / var):  # another whole slice fits behind this one
            end = near + number * var
            p = inside & (d >= start) & (d < end)
            if p.sum() > share:
                support[p] = d[p].mean()
                start = end
            number += 1
        p = inside & (d >= start)
        support[p] = d[p].mean()
    return support


def means_of(regions: NDArray[np.int32], depth: NDArray[np.float32]) -> NDArray[np.float64]:
    """Step 4: the mean depth of each pixel's region, NaN where there is none."""
    means = np.full(regions.shape, np.nan)
    for region in set(np.unique(regions)) - {0}:
        means[regions == region] = depth[regions == region].astype(float).mean()
    return means


def random_scene(seed: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    semantic = rng.integers(0, 4, (6, 7)).repeat(2, 0).repeat(2, 1)
    semantic[rng.random(semantic.shape) < 0.15] = 0
    depth = (rng.random(semantic.shape) * 8 + 0.5).astype(np.float32)
    depth[semantic == 2] = 3.0 + depth[semantic == 2] / 100
    depth[rng.random(semantic.shape) < 0.1] = np.nan
    depth[0, 0], depth[1, 1] = np.inf, 0.0
    return semantic, depth


@pytest.mark.parametrize("seed", range(12))
def test_it_agrees_with_the_slow_loop(seed: int) -> None:
    semantic, depth = random_scene(seed)
    np.testing.assert_array_equal(instances_of(semantic), slow_instances(semantic))
    regions = regions_of(semantic, depth)
    np.testing.assert_allclose(means_of(regions, depth), slow_support(semantic, depth), rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_regions_are_numbered_without_gaps_and_lie_in_one_instance(seed: int) -> None:
    semantic, depth = random_scene(seed)
    regions, instances = regions_of(semantic, depth), instances_of(semantic)
    assert set(np.unique(regions)) - {0} == set(range(1, int(regions.max()) + 1))
    for region in range(1, int(regions.max()) + 1):
        assert len(np.unique(instances[regions == region])) == 1


def test_instances_bridge_one_foreign_pixel_but_not_two() -> None:
    row = np.array([[5, 5, 0, 5, 0, 0, 5, 3]])
    np.testing.assert_array_equal(instances_of(row), [[1, 1, 0, 1, 0, 0, 2, 3]])
    np.testing.assert_array_equal(instances_of(row.T), np.array([[1, 1, 0, 1, 0, 0, 2, 3]]).T)
    diagonal = np.zeros((5, 5), int)
    diagonal[0, 0] = diagonal[1, 1] = diagonal[3, 2] = 7  # (1, 1) to (3, 2) is a distance of 2.24
    assert instances_of(diagonal).max() == 2


def test_instances_count_from_the_highest_category_in_reading_order() -> None:
    semantic = np.array([[1, 0, 0, 2, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(instances_of(semantic)[0], [2, 0, 0, 1, 0, 0, 3])


def test_a_flat_instance_is_one_region_and_a_deep_one_is_cut() -> None:
    """A wall at 10 m and a floor from 0 to 10 m in steps of 0.5: slices of 1 m, 2 pixels each, 2 a slice on average."""
    semantic = np.array([[1] * 21, [2] * 21])
    depth = np.stack([np.full(21, 10.5), np.arange(21) * 0.5 + 0.5]).astype(np.float32)
    regions = regions_of(semantic, depth)
    assert np.unique(regions[0]).size == 1
    # 21 pixels over 10 slices: the average share is 2.1, so slices of 2 pixels are joined in pairs; the last region
    # is slices 9 and 10 with the farthest pixel.
    sizes = [int((regions[1] == region).sum()) for region in dict.fromkeys(regions[1].tolist())]
    assert sizes == [4, 4, 4, 4, 5]


def test_slices_are_of_the_whole_image_not_of_what_is_labelled() -> None:
    semantic, depth = np.zeros((2, 11), int), np.tile(np.linspace(1, 10, 11, dtype=np.float32), (2, 1))
    semantic[0, 3:6] = 1  # 1.8 m of 9: less than two slices of 0.9 m
    depth[0, 3:6] = (4.0, 4.6, 5.0)
    assert np.unique(regions_of(semantic, depth)[0, 3:6]).size == 1


def test_scenes_without_anything_to_say() -> None:
    assert not regions_of(np.zeros((4, 5), int), np.ones((4, 5), np.float32)).any()
    assert (regions_of(np.ones((4, 5), int), np.full((4, 5), 2, np.float32)) == 1).all()
    assert not regions_of(np.ones((4, 5), int), np.full((4, 5), np.nan, np.float32)).any()
    with pytest.raises(ValueError, match=r"depth_m must be \(4, 5\)"):
        regions_of(np.ones((4, 5), int), np.ones((5, 4), np.float32))


def test_labels_of_any_whole_number_type() -> None:
    semantic, depth = random_scene(1)
    expected = regions_of(semantic, depth)
    for dtype in (np.uint8, np.uint16, np.int32):
        np.testing.assert_array_equal(regions_of(semantic.astype(dtype), depth), expected)
