"""Data sets made of others: the lists of Eigen et al., the coarse network's patches, and frames that are all near."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError, UnknownNameError
from edgedepth.core.routing import Route
from edgedepth.datasets import (
    DepthDataset,
    DepthSample,
    Entry,
    SampleInfo,
    open_dataset,
    open_for_evaluation,
    open_for_training,
)
from edgedepth.datasets.derived import DERIVATIONS, coarse_patches, near_frames
from edgedepth.datasets.eigen import eigen_list


def read_room(info: SampleInfo) -> DepthSample:
    """A grey wall at 3 m of 160x120, one pixel at the sensor's least and one at its greatest depth."""
    depth = np.full((120, 160), 3.0, np.float32)
    depth[60, 80], depth[70, 90] = 0.7, 9.9
    camera = Camera(fx=130.0, fy=130.0, cx=80.0, cy=62.0, width=160, height=120)
    return DepthSample(**vars(info), image_bgr=np.full((120, 160, 3), 100, np.uint8), depth_m=depth, camera=camera)


def rooms() -> DepthDataset:
    """Three scenes of 1, 2 and 6 frames."""
    scenes = ["a", "b", "b", *["c"] * 6]
    infos = [
        SampleInfo(id=str(n), scene=s, route=Route.LOW, domain="indoor", split="train") for n, s in enumerate(scenes)
    ]
    return DepthDataset(name="nyu:nowhere", entries=tuple(Entry(info, read_room) for info in infos))


@pytest.mark.parametrize("count", [2, 12, 40, 41])
def test_scenes_and_their_frames_come_equally_often(count: int) -> None:
    made = eigen_list(rooms(), count)
    assert len(made) == count
    assert len({info.id for info in made.infos}) == count
    scenes = Counter(info.scene for info in made.infos)
    assert max(scenes.values()) - min(scenes[s] for s in "abc") <= 1
    frames = Counter(info.id.split("#")[0] for info in made.infos if info.scene == "c")
    assert not frames or max(frames.values()) - min(frames[str(n)] for n in range(3, 9)) <= 1


def test_a_list_is_the_same_for_everyone_and_travels_to_worker_processes() -> None:
    first, again = eigen_list(rooms(), 12), eigen_list(rooms(), 12)
    assert first.infos == again.infos
    np.testing.assert_array_equal(first[5].image_bgr, again[5].image_bgr)
    other = eigen_list(rooms(), 12, seed=1)
    assert [info.id for info in other.infos] != [info.id for info in first.infos]
    assert pickle.dumps(first.entries[0].read.key)  # a reader of this test module cannot be pickled by its name
    assert [info.scene for info in first.infos] != sorted(str(info.scene) for info in first.infos)


def test_changes_are_those_of_the_paper() -> None:
    made = eigen_list(rooms(), 150)
    zooms, gains = [], []
    for sample in made:
        assert sample.camera is not None
        assert sample.depth_m.shape == (114, 152)
        zooms.append(sample.camera.fx / 130.0)
        assert sample.camera.fy == pytest.approx(sample.camera.fx)
        known = sample.depth_m[np.isfinite(sample.depth_m)]
        assert np.unique(known).tolist() == [3.0]  # a longer lens changes no metres, and extremes are unknown
        assert known.size > 0.9 * sample.depth_m.size
        # The window lies inside the zoomed frame: the axis is where the mirrored or the plain frame has it.
        plain = 80.5 * zooms[-1] - 0.5 - sample.camera.cx
        assert -1.5 <= plain <= 160 * zooms[-1] - 152 + 1.5
        gains.append(np.median(sample.image_bgr, axis=(0, 1)) / 100)
    assert (min(zooms), max(zooms)) == (pytest.approx(1.0, abs=0.03), pytest.approx(1.5, abs=0.03))
    assert (np.min(gains), np.max(gains)) == (pytest.approx(0.8, abs=0.02), pytest.approx(1.2, abs=0.02))
    assert np.std(np.array(gains)[:, 0] - np.array(gains)[:, 2]) > 0.1  # each colour has its own


def test_half_are_mirrored_and_rolls_stay_within_five_degrees() -> None:
    def read(info: SampleInfo) -> DepthSample:
        plain = read_room(info)
        image = plain.image_bgr.copy()
        image[60:64, :] = 255  # a level line through the axis
        image[:60, :80] = 0  # dark above it on the left
        return DepthSample(**vars(info), image_bgr=image, depth_m=plain.depth_m, camera=plain.camera)

    made = eigen_list(
        DepthDataset(name="nyu:nowhere", entries=(Entry(SampleInfo(id="0", domain="indoor"), read),)), 120
    )
    rolls, dark_left = [], 0
    for sample in made:
        rows, columns = np.nonzero(sample.image_bgr.min(axis=2) > 180)
        rolls.append(np.degrees(np.arctan(np.polyfit(columns, rows, 1)[0])))
        assert sample.camera is not None
        row, column = round(sample.camera.cy) - 25, round(sample.camera.cx)
        around = [sample.image_bgr[max(row, 0), int(np.clip(column + side, 0, 151))].max() for side in (-15, 15)]
        dark_left += around[0] < around[1]
    assert max(np.abs(rolls)) < 5.3
    assert np.std(rolls) > 2
    assert 35 < dark_left < 85


def read_street(info: SampleInfo) -> DepthSample:
    """A KITTI frame whose depth tells the column: column / 100 + 1 metres, measured on every fourth row."""
    depth = np.full((375, 1242), np.nan, np.float32)
    depth[::4] = np.arange(1242) / 100 + 1
    image = np.full((375, 1242, 3), 90, np.uint8)
    camera = Camera(fx=721.5, fy=721.5, cx=609.6, cy=172.9, width=1242, height=375)
    return DepthSample(**vars(info), image_bgr=image, depth_m=depth, camera=camera)


def test_what_is_made_of_a_frame_is_made_of_its_files() -> None:
    files = (Path("a.png"), Path("b.png"))
    dataset = replace(rooms(), entries=tuple(replace(entry, files=files) for entry in rooms().entries))
    for made in (eigen_list(dataset, 12), coarse_patches(dataset), near_frames(dataset)):
        assert {entry.files for entry in made.entries} == {files}


def streets(count: int = 8) -> DepthDataset:
    infos = [SampleInfo(id=str(n), route=Route.HIGH, domain="outdoor") for n in range(count)]
    return DepthDataset(name="kitti:nowhere", entries=tuple(Entry(info, read_street) for info in infos))


def test_patches_for_the_coarse_network_are_cut_from_padded_frames_at_832x256() -> None:
    made = coarse_patches(streets())
    assert len(made) == 24
    assert len({info.id for info in made.infos}) == 24
    lefts = []
    for sample in made:
        assert sample.image_bgr.shape == (240, 320, 3)
        assert sample.camera is not None
        assert sample.camera.fx == pytest.approx(721.5 * 2 / 3)
        left = (609.6 + 0.5) * 2 / 3 - 0.5 - sample.camera.cx  # where the axis says the patch begins
        top = (172.9 + 0.5) * 2 / 3 - 0.5 - sample.camera.cy
        assert 0 <= round(left, 6) <= 512
        assert 0 <= round(top, 6) <= 16
        rows, columns = np.nonzero(np.isfinite(sample.depth_m))
        measured = (sample.depth_m[rows, columns] - 1) * 100  # column of the 1242
        np.testing.assert_allclose((measured + 0.5) * 2 / 3 - 0.5 - left, columns, atol=1.01)
        below = 250 - round(top)  # 375 rows end at 250, and black padding begins
        assert not sample.image_bgr[below + 1 :].any()
        assert np.isnan(sample.depth_m[below + 1 :]).all()
        lefts.append(left)
    assert min(lefts) < 128 < 384 < max(lefts)


def test_frames_larger_than_the_padding_are_refused() -> None:
    def read(info: SampleInfo) -> DepthSample:
        return DepthSample(
            id=info.id, image_bgr=np.zeros((400, 1300, 3), np.uint8), depth_m=np.ones((400, 1300), np.float32)
        )

    dataset = DepthDataset(name="kitti:nowhere", entries=(Entry(SampleInfo(id="x"), read),))
    with pytest.raises(InputError, match="x is 1300x400, which does not fit into 1248x384"):
        coarse_patches(dataset)[0]


def test_near_frames_become_frames_of_the_low_range() -> None:
    def read(info: SampleInfo) -> DepthSample:
        if info.id == "2":
            raise InputError("2.png is gone")
        depth = np.full((4, 6), 9.0 + int(info.id), np.float32)
        return DepthSample(**vars(info), image_bgr=np.zeros((4, 6, 3), np.uint8), depth_m=depth)

    infos = [SampleInfo(id=str(n), route=Route.HIGH) for n in range(4)]
    made = near_frames(DepthDataset(name="kitti:nowhere", entries=tuple(Entry(info, read) for info in infos)))
    assert [(info.id, info.route) for info in made.infos] == [("0", Route.LOW), ("2", Route.LOW)]
    assert made[0].route is Route.LOW
    assert made.notes == ("2 of 4 frames have no depth of 10 m or more",)


# -- by name, and in training --------------------------------------------------------------------------------


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Twenty frames of 160x120 in two scenes, no split named."""
    records = []
    for number in range(20):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((120, 160, 3), 8 * number, np.uint8))
        cv2.imwrite(str(tmp_path / f"{number}.depth.png"), np.full((120, 160), 1000 * (number + 1), np.uint16))
        records.append(
            {"rgb": f"{number}.png", "depth": f"{number}.depth.png", "depth_scale": 1000.0, "domain": "outdoor",
             "scene": str(number % 2), "intrinsics": [130, 130, 79.5, 59.5]}
        )  # fmt: skip
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps(records))
    return path


def test_a_prefix_names_what_is_made_of_a_data_set(pairs: Path) -> None:
    made = open_dataset(f"near:pairs:{pairs}")
    assert made.name == f"near:pairs:{pairs}"
    assert [info.id for info in made.infos] == [str(n) for n in range(9)]
    changed, _ = open_for_training(f"eigen-20k:pairs:{pairs}")
    assert changed.name == f"eigen-20k:pairs:{pairs}"
    assert len(changed) == 20_000
    assert changed[17].image_bgr.shape == (114, 152, 3)
    with pytest.raises(UnknownNameError, match=r"kind of data set 'eigen-10k'.*known: .*eigen-20k"):
        open_dataset(f"eigen-10k:pairs:{pairs}")
    with pytest.raises(InputError, match=r"named kind:path .*but got 'near:pairs'"):
        open_dataset("near:pairs")
    assert all(not name.count(":") for name in DERIVATIONS)


def test_only_the_training_part_is_changed(pairs: Path) -> None:
    train, validation = open_for_training(f"eigen-20k:pairs:{pairs}")
    assert {info.id.split("#")[0] for info in train.infos} == {str(n) for n in range(0, 20, 2)}  # one of two scenes
    assert [info.id for info in validation.infos] == [str(n) for n in range(1, 20, 2)]
    assert validation[0].image_bgr.shape == (120, 160, 3)


@pytest.mark.parametrize("prefix", [prefix for prefix, derivation in DERIVATIONS.items() if not derivation.picks])
@pytest.mark.parametrize("split", [None, "train", "test"])
def test_frames_that_are_not_trained_on_are_as_they_are(pairs: Path, prefix: str, split: str | None) -> None:
    name_splits(pairs)
    plain, found = open_dataset(f"pairs:{pairs}", split), open_dataset(f"{prefix}:pairs:{pairs}", split)
    assert found.infos == plain.infos
    assert found.name == plain.name  # figures on it are not those of the prefix
    assert found[0].image_bgr.shape == (120, 160, 3)
    (note,) = found.notes
    assert note.startswith(f"{prefix}: changes frames for training alone")


def test_near_frames_are_picked_in_every_part(pairs: Path) -> None:
    name_splits(pairs)
    name = f"near:pairs:{pairs}"
    assert [info.id for info in open_dataset(name, "test").infos] == ["2", "5", "8"]
    train, validation = open_for_training(name, lambda info: info.route is Route.LOW)
    assert [info.id for info in train.infos] == ["0", "3", "6"]
    assert [info.id for info in validation.infos] == ["1", "4", "7"]
    assert {info.route for info in (*train.infos, *validation.infos)} == {Route.LOW}
    found, split = open_for_evaluation(name)
    assert ([info.id for info in found.infos], split) == (["2", "5", "8"], "test")
    assert found.notes[0] == "3 of 6 frames have no depth of 10 m or more"


def test_near_frames_are_picked_before_some_are_held_out(pairs: Path) -> None:
    train, validation = open_for_training(f"near:pairs:{pairs}", lambda info: info.route is Route.LOW)
    assert [info.id for info in train.infos] == ["0", "2", "4", "6", "8"]
    assert [info.id for info in validation.infos] == ["1", "3", "5", "7"]


def name_splits(pairs: Path) -> None:
    """Frame by frame: train, val, test."""
    records = json.loads(pairs.read_text())
    pairs.write_text(json.dumps([{**r, "split": ("train", "val", "test")[n % 3]} for n, r in enumerate(records)]))
