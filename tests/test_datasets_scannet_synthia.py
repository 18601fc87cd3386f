"""ScanNet and SYNTHIA-RAND-CITYSCAPES from tiny folders in the data sets' own layouts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgedepth.core.errors import InputError
from edgedepth.core.routing import Route
from edgedepth.datasets import open_dataset, open_for_evaluation, open_for_training
from edgedepth.datasets.registry import READERS
from edgedepth.evaluation.protocols import protocol_named
from tests.frames import files_below


def write_png(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), array)


@pytest.fixture
def scannet(tmp_path: Path) -> Path:
    """Two scans of one room and one of another; colour is twice as large as depth."""
    intrinsic = "4 0 5.5 0\n0 4 3.5 0\n0 0 1 0\n0 0 0 1\n"
    for scene, frames in (("scene0000_00", (0, 2, 10)), ("scene0000_01", (0,)), ("scene0001_00", (0,))):
        folder = tmp_path / "scans" / scene
        for frame in frames:
            depth = np.full((4, 6), 2000 + frame, np.uint16)
            depth[0, 0] = 0
            write_png(folder / "depth" / f"{frame}.png", depth)
            colour = np.full((8, 12, 3), 50, np.uint8)
            colour[:, 6:] = 200
            write_png(folder / "color" / f"{frame}.jpg", colour)
        (folder / "intrinsic").mkdir()
        (folder / "intrinsic" / "intrinsic_color.txt").write_text(intrinsic)
    (tmp_path / "scannetv2_train.txt").write_text("scene0000_00\nscene0000_01\n")
    (tmp_path / "scannetv2_val.txt").write_text("scene0001_00\nscene0707_00\n")
    return tmp_path


def test_scannet_frames_come_at_the_size_of_depth(scannet: Path) -> None:
    data = open_dataset(f"scannet:{scannet}")
    assert [info.id for info in data.infos] == [
        "scene0000_00/0", "scene0000_00/2", "scene0000_00/10", "scene0000_01/0", "scene0001_00/0",
    ]  # fmt: skip
    sample = data[1]
    assert sample.image_bgr.shape == (4, 6, 3)
    assert (sample.image_bgr[:, 0] < 60).all()
    assert (sample.image_bgr[:, 5] > 190).all()
    assert np.isnan(sample.depth_m[0, 0])
    assert sample.depth_m[1, 1] == pytest.approx(2.002)
    assert sample.camera is not None
    # Halved: f and (c + 0.5) are.
    assert (sample.camera.fx, sample.camera.cx, sample.camera.cy) == (2.0, 2.5, 1.5)
    assert (sample.route, sample.scene) == (Route.LOW, "scene0000")
    names = {"color/2.jpg", "depth/2.png", "intrinsic/intrinsic_color.txt"}
    assert files_below(scannet / "scans" / "scene0000_00", data[1:2]) == [names]


def test_scannet_splits_are_lists_of_scenes(scannet: Path) -> None:
    train, val = (open_dataset(f"scannet:{scannet}", split=split) for split in ("train", "val"))
    assert (len(train), len(val)) == (4, 1)
    assert {info.scene for info in train.infos} == {"scene0000"}
    assert train.notes == ()
    assert val.notes == ("1 scenes of the list are not there and are left out",)
    with pytest.raises(InputError, match=r"the split 'test' needs its list of scenes as .*scannetv2_test.txt"):
        open_dataset(f"scannet:{scannet}", split="test")
    with pytest.raises(InputError, match="splits train, val, test, but got 'dev'"):
        open_dataset(f"scannet:{scannet}", split="dev")


def test_scannet_is_trained_on_the_scenes_of_its_lists(scannet: Path) -> None:
    train, validation = open_for_training(f"scannet:{scannet}")
    assert {info.scene for info in train.infos} == {"scene0000"}
    assert {info.scene for info in validation.infos} == {"scene0001"}
    (scannet / "scannetv2_train.txt").unlink()
    with pytest.raises(InputError, match=r"the split 'train' needs its list of scenes"):
        open_for_training(f"scannet:{scannet}")


def test_scannet_without_its_files_says_what_is_missing(scannet: Path, tmp_path: Path) -> None:
    sample = open_dataset(f"scannet:{scannet}")
    intrinsic = scannet / "scans" / "scene0001_00" / "intrinsic" / "intrinsic_color.txt"
    intrinsic.write_text("1 2 3")
    with pytest.raises(InputError, match=r"intrinsic_color.txt must hold a 4x4 matrix"):
        sample[4]
    intrinsic.unlink()
    with pytest.raises(InputError, match=r"cannot read .*intrinsic_color.txt: .*export the intrinsics"):
        sample[4]
    (scannet / "scans" / "scene0000_01" / "color" / "0.jpg").unlink()
    with pytest.raises(InputError, match=r"cannot read .*color/0.jpg"):
        sample[3]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=r"holds no exported frames: expected <scene>/color/0.jpg"):
        open_dataset(f"scannet:{empty}")


@pytest.fixture
def synthia(tmp_path: Path) -> Path:
    for frame in range(3):
        name = f"{frame:07d}.png"
        write_png(tmp_path / "RGB" / name, np.full((4, 6, 3), 10 * frame, np.uint8))
        depth = np.full((4, 6, 3), 250, np.uint16)
        depth[0], depth[3, 5] = 65535, 0
        write_png(tmp_path / "Depth" / "Depth" / name, depth)
        labels = np.zeros((4, 6, 3), np.uint16)  # blue, green, red as OpenCV writes them
        labels[..., 2], labels[..., 1] = 3, 77
        labels[0, :, 2] = 1
        write_png(tmp_path / "GT" / "LABELS" / name, labels)
    return tmp_path


def test_synthia_reads_centimetres_and_the_class_channel(synthia: Path) -> None:
    data = open_dataset(f"synthia:{synthia}")
    assert len(data) == 3
    sample = data[2]
    assert (sample.id, sample.route) == ("0000002", Route.HIGH)
    assert sample.depth_m[1, 1] == pytest.approx(2.5)
    assert sample.depth_m[0, 0] == pytest.approx(655.35)
    assert np.isnan(sample.depth_m[3, 5])
    assert sample.semantic is not None
    assert sample.semantic.dtype == np.uint8
    assert data.semantic_classes[int(sample.semantic[0, 0])] == "sky"
    assert data.semantic_classes[int(sample.semantic[1, 1])] == "road"
    assert sample.camera is not None
    assert sample.camera.fx == pytest.approx(532.740352 * 6 / 1280)
    name = "0000002.png"
    assert files_below(synthia, data)[2] == {f"RGB/{name}", f"Depth/Depth/{name}", f"GT/LABELS/{name}"}


def test_synthia_splits_are_the_users_lists(synthia: Path) -> None:
    (synthia / "test.txt").write_text("0000002\nRGB/0000000.png\n")
    assert [info.id for info in open_dataset(f"synthia:{synthia}", split="test").infos] == ["0000002", "0000000"]
    with pytest.raises(InputError, match=r"has no splits of its own; list the frames of yours in .*train.txt"):
        open_dataset(f"synthia:{synthia}", split="train")
    (synthia / "train.txt").write_text("0000009")
    with pytest.raises(InputError, match="names '0000009', which is no frame here"):
        open_dataset(f"synthia:{synthia}", split="train")
    (synthia / "val.txt").write_text("")
    with pytest.raises(InputError, match="is empty"):
        open_dataset(f"synthia:{synthia}", split="val")


def test_synthia_is_never_trained_on_a_frame_that_is_listed_for_testing(synthia: Path) -> None:
    def training() -> list[str]:
        """What a run sees: frames to train on, then those held out."""
        return [info.id for part in open_for_training(f"synthia:{synthia}") for info in part.infos]

    assert training() == ["0000000", "0000001", "0000002"]
    (synthia / "test.txt").write_text("0000002")
    assert training() == ["0000000", "0000001"]
    (synthia / "train.txt").write_text("0000001")
    assert training() == ["0000001"]
    (synthia / "val.txt").write_text("0000000")
    assert [info.split for info in open_dataset(f"synthia:{synthia}").infos] == ["val", "train", "test"]


def test_synthia_is_evaluated_on_the_frames_listed_for_testing(synthia: Path) -> None:
    assert [open_for_evaluation(f"synthia:{synthia}")[1], len(open_for_evaluation(f"synthia:{synthia}")[0])] == [
        None,
        3,
    ]
    (synthia / "train.txt").write_text("0000000")
    found, split = open_for_evaluation(f"synthia:{synthia}")
    assert (len(found), split) == (3, None)
    assert found.notes[0].startswith("1 of 3 samples are for training")
    (synthia / "test.txt").write_text("0000002")
    found, split = open_for_evaluation(f"synthia:{synthia}")
    assert ([info.id for info in found.infos], split) == (["0000002"], "test")
    assert found.notes[0].startswith("1 of 3 samples are of the split test")


def test_synthia_in_its_other_layout_and_without_labels(synthia: Path) -> None:
    for file in (synthia / "Depth" / "Depth").iterdir():
        file.rename(synthia / "Depth" / file.name)
    (synthia / "Depth" / "Depth").rmdir()
    (synthia / "GT" / "LABELS" / "0000000.png").unlink()
    data = open_dataset(f"synthia:{synthia}")
    assert data[0].semantic is None
    assert files_below(synthia, data)[0] == {"RGB/0000000.png", "Depth/0000000.png"}


def test_synthia_without_its_files_says_what_is_missing(synthia: Path, tmp_path: Path) -> None:
    data = open_dataset(f"synthia:{synthia}")
    write_png(synthia / "Depth" / "Depth" / "0000001.png", np.full((4, 6), 3, np.uint8))
    with pytest.raises(InputError, match=r"0000001.png must be a PNG of 16 bits, but is uint8"):
        data[1]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=r"holds no SYNTHIA-RAND-CITYSCAPES: expected RGB/0000000\.png"):
        open_dataset(f"synthia:{empty}")


def test_their_protocols_exist() -> None:
    for kind in ("scannet", "synthia"):
        protocol_named(READERS[kind].protocol)
    assert protocol_named("scannet-rob").range_m == (1e-3, 10.0)
