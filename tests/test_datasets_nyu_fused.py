"""The fused NYU set on tiny files in the form of the official ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

h5py = pytest.importorskip("h5py", reason="the labelled files need h5py: pip install 'edgedepth[train]'")

from edgedepth.core.errors import InputError  # noqa: E402
from edgedepth.datasets import open_dataset, open_for_training  # noqa: E402
from tests.frames import files_below  # noqa: E402


def write_labelled(path: Path, scenes: list[str], metres: float, *, v1: bool) -> None:
    """Frames of 8x6 in MATLAB's transposed arrays, with the scenes' names as a cell array.

    Of v1, `depths` are in metres and `rawDepths` are what the Kinect says; of v2, both are metres, `depths` in-painted.
    """
    count = len(scenes)
    with h5py.File(path, "w") as file:
        file["images"] = np.full((count, 3, 8, 6), 9, np.uint8)
        raw, painted = (845.0, metres) if v1 else (metres, metres + 0.5)
        file["rawDepths"] = np.full((count, 8, 6), raw, np.float32)
        file["depths"] = np.full((count, 8, 6), painted, np.float32)
        if not v1:
            file["instances"] = np.ones((count, 8, 6), np.uint8)
        file["labels"] = np.ones((count, 8, 6), np.uint16)
        cells = []
        for number, scene in enumerate(scenes):
            text = file.create_dataset(f"#refs#/{number}", data=np.array([[ord(c)] for c in scene], np.uint16))
            cells.append(text.ref)
        references = file.create_dataset("scenes", (1, count), dtype=h5py.ref_dtype)
        references[0] = cells


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_labelled(tmp_path / "nyu_depth_data_labeled.mat", ["office_0001"] * 10 + ["cafe_0001"] * 2, 2.0, v1=True)
    write_labelled(tmp_path / "nyu_depth_v2_labeled.mat", ["office_0001"] * 4 + ["kitchen_0001"] * 3, 3.0, v1=False)
    return tmp_path


def test_scenes_are_shared_out_as_the_paper_says(folder: Path) -> None:
    train, test = (open_dataset(f"nyu-fused:{folder}", split) for split in ("train", "test"))
    assert len(train) + len(test) == len(open_dataset(f"nyu-fused:{folder}")) == 19
    tested = [info.scene for info in test.infos]
    # two of the 14 offices of both versions, one of three kitchens, both of a scene with few
    assert sorted(tested) == ["cafe_0001", "cafe_0001", "kitchen_0001", "office_0001", "office_0001"]
    assert not {info.id for info in train.infos} & {info.id for info in test.infos}
    again = open_dataset(f"nyu-fused:{folder}", "test")
    assert [info.id for info in again.infos] == [info.id for info in test.infos]


def test_frames_come_from_the_file_of_their_version_in_metres(folder: Path) -> None:
    data = open_dataset(f"nyu-fused:{folder}")
    depths = {sample.id[:2]: float(sample.depth_m[0, 0]) for sample in data}
    assert depths == {"v1": 2.0, "v2": 3.0}
    files = files_below(folder, data)
    assert (files[0], files[-1]) == ({"nyu_depth_data_labeled.mat"}, {"nyu_depth_v2_labeled.mat"})


def test_a_missing_file_or_split_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match="splits train and test, but got 'val'"):
        open_dataset(f"nyu-fused:{folder}", "val")
    (folder / "nyu_depth_data_labeled.mat").unlink()
    with pytest.raises(InputError, match=r"needs .*nyu_depth_data_labeled\.mat"):
        open_dataset(f"nyu-fused:{folder}")


def test_a_file_of_v1_without_metres_is_refused(folder: Path) -> None:
    with h5py.File(folder / "nyu_depth_data_labeled.mat", "r+") as file:
        del file["depths"]
    with pytest.raises(InputError, match=r"nyu_depth_data_labeled\.mat is not v1, whose depth is in depths"):
        open_dataset(f"nyu-fused:{folder}")


def test_validation_takes_no_scene_that_is_trained_on(folder: Path) -> None:
    train, validation = open_for_training(f"nyu-fused:{folder}")
    assert {info.scene for info in validation.infos} == {"kitchen_0001"}
    assert {info.scene for info in train.infos} == {"office_0001"}
    assert {info.split for part in (train, validation) for info in part.infos} == {"train"}


def test_a_file_without_scenes_is_refused(folder: Path) -> None:
    with h5py.File(folder / "nyu_depth_v2_labeled.mat", "r+") as file:
        del file["scenes"]
    with pytest.raises(InputError, match="does not name its scenes"):
        open_dataset(f"nyu-fused:{folder}")
