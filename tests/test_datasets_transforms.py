"""Samples that are resized, padded, cropped, turned and zoomed: known points stay where the camera says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.preprocess import canonical_camera, focal_scale, placement_for
from edgedepth.core.spec import DepthSpec
from edgedepth.datasets import DepthSample
from edgedepth.datasets.transforms import cropped, resized, turned, zero_padded

Change = Callable[[DepthSample], DepthSample]
MARKS = ((30, 20, 2.0), (90, 60, 4.0))  # column, row, metres


def marked(camera: bool = True) -> DepthSample:
    """Two white 5x5 marks at known depth before a dark wall at 8 m."""
    image, depth = np.full((80, 120, 3), 20, np.uint8), np.full((80, 120), 8.0, np.float32)
    labels = np.ones((80, 120), np.uint16)
    for number, (column, row, metres) in enumerate(MARKS):
        window = slice(row - 2, row + 3), slice(column - 2, column + 3)
        image[window], depth[window], labels[window] = 255, metres, 300 + number
    intrinsics = Camera(fx=100.0, fy=110.0, cx=52.0, cy=44.0, width=120, height=80)
    return DepthSample(id="a", image_bgr=image, depth_m=depth, camera=intrinsics if camera else None, semantic=labels)


def points(sample: DepthSample, number: int) -> np.ndarray:
    """x, y, z in metres of the middle of a mark, as the sample's own camera sees it."""
    assert sample.camera is not None
    assert sample.semantic is not None
    rows, columns = np.nonzero(sample.semantic == 300 + number)
    ray = sample.camera.rays()[rows, columns].mean(axis=0)
    return ray * float(sample.depth_m[rows, columns].mean())


@pytest.mark.parametrize(
    "change",
    [
        lambda s: resized(s, (60, 40)),
        lambda s: resized(s, (240, 120)),
        lambda s: zero_padded(s, (128, 96)),
        lambda s: cropped(s, 10, 5, (100, 70)),
        lambda s: cropped(resized(zero_padded(s, (150, 96)), (100, 64)), 3, 2, (80, 60)),
        lambda s: turned(s, zoom=1.4, roll_deg=0.0, mirrored=False, offset=(12.3, 7.8), wh=(140, 100)),
    ],
)
def test_points_stay_where_they_are(change) -> None:  # type: ignore[no-untyped-def]
    before, after = marked(), change(marked())
    for number in range(len(MARKS)):
        np.testing.assert_allclose(points(after, number), points(before, number), atol=0.02)


def test_a_roll_and_a_mirror_turn_the_world_about_the_axis() -> None:
    before = marked()
    after = turned(before, zoom=1.2, roll_deg=5.0, mirrored=True, offset=(4.0, 3.0), wh=(130, 90))
    c, s = np.cos(np.radians(5.0)), np.sin(np.radians(5.0))
    for number in range(len(MARKS)):
        x, y, z = points(before, number)
        np.testing.assert_allclose(points(after, number), [c * -x - s * y, s * -x + c * y, z], atol=0.03)


def test_a_mirror_alone_is_the_flipped_frame() -> None:
    before = marked()
    after = turned(before, zoom=1.0, roll_deg=0.0, mirrored=True, offset=(0.0, 0.0), wh=(120, 80))
    np.testing.assert_array_equal(after.image_bgr, before.image_bgr[:, ::-1])
    np.testing.assert_array_equal(after.depth_m, before.depth_m[:, ::-1])
    assert after.camera is not None
    assert after.camera.cx == 119 - 52


def test_what_the_frame_does_not_show_is_unknown() -> None:
    padded = zero_padded(marked(), (128, 96))
    assert not padded.image_bgr[80:].any()
    assert not padded.image_bgr[:, 120:].any()
    assert np.isnan(padded.depth_m[80:]).all()
    assert padded.semantic is not None
    assert not padded.semantic[:, 120:].any()
    rolled = turned(marked(), zoom=1.0, roll_deg=5.0, mirrored=False, offset=(0.0, 0.0), wh=(120, 80))
    assert np.isnan(rolled.depth_m[0, -1])
    assert not rolled.image_bgr[0, -1].any()
    assert np.isnan(rolled.depth_m).mean() < 0.1


def test_without_a_camera_a_narrower_view_brings_the_scene_nearer() -> None:
    after = turned(marked(camera=False), zoom=1.25, roll_deg=0.0, mirrored=False, offset=(0.0, 0.0), wh=(114, 76))
    assert after.camera is None
    narrower = 1.25 / 0.95
    assert np.unique(after.depth_m).tolist() == pytest.approx([2 / narrower, 4 / narrower, 8 / narrower])


@pytest.mark.parametrize(
    "change",
    [
        lambda s: resized(s, (60, 40)),
        lambda s: turned(s, zoom=1.25, roll_deg=0.0, mirrored=False, offset=(0.0, 0.0), wh=(114, 76)),
        lambda s: cropped(s, 10, 5, (90, 60)),
        lambda s: cropped(resized(zero_padded(s, (150, 96)), (100, 64)), 3, 2, (60, 40)),
    ],
)
def test_without_a_camera_a_network_learns_what_it_learns_of_the_canonical_one(change: Change) -> None:
    spec = DepthSpec(input_wh=(60, 40), min_m=0.3, max_m=10, f_canonical_px=50)
    bare = marked(camera=False)
    known = replace(bare, camera=canonical_camera(placement_for((120, 80), spec), spec))
    learned = []
    for sample in (bare, known):
        after = change(sample)
        height, width = after.depth_m.shape
        learned.append(after.depth_m / focal_scale(after.camera, placement_for((width, height), spec), spec))
    np.testing.assert_allclose(learned[0], learned[1], rtol=1e-5)


def test_windows_and_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match=r"a is 120x80, which does not fit into 128x64; resize it first"):
        zero_padded(marked(), (128, 64))
    with pytest.raises(InputError, match=r"100x70 at \(21, 5\) is not inside a of 120x80"):
        cropped(marked(), 21, 5, (100, 70))
