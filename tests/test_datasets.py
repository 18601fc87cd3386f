import json
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest

from edgedepth.core.errors import InputError, UnknownNameError
from edgedepth.core.routing import Route
from edgedepth.datasets import READERS, DepthDataset, DepthSample, open_dataset, open_for_evaluation, open_for_training
from edgedepth.datasets.matlab import read_arrays
from edgedepth.datasets.nyu import open_h5
from tests.frames import files_below

IMAGE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)  # BGR, every value different


def write_png(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), array)


def write_json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def depth_units(scale: float) -> np.ndarray:
    """4x6 units of 2 m, with one pixel unmeasured and one at 3.5 m."""
    units = np.full((4, 6), 2 * scale, np.uint16)
    units[0, 0], units[3, 5] = 0, 3.5 * scale
    return units


def assert_depth(sample: DepthSample) -> None:
    assert sample.depth_m.dtype == np.float32
    assert np.isnan(sample.depth_m[0, 0])
    assert sample.depth_m[3, 5] == pytest.approx(3.5)
    assert sample.depth_m[1, 1] == pytest.approx(2.0)


# -- pairs and synth ---------------------------------------------------------------------------------------


def record(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "rgb": "rgb.png", "depth": "depth.png", "depth_scale": 1000.0, **more}


@pytest.fixture
def pairs_folder(tmp_path: Path) -> Path:
    write_png(tmp_path / "rgb.png", IMAGE)
    write_png(tmp_path / "depth.png", depth_units(1000))
    write_png(tmp_path / "classes.png", np.full((4, 6), 41, np.uint8))
    return tmp_path


def test_pairs_give_pixels_metres_camera_and_what_the_list_says(pairs_folder: Path) -> None:
    full = record(
        "a", intrinsics=[5, -5, 2.5, 1.5], domain="indoor_synthetic", category="kitchen", split="test",
        scene_seed=7, semantic="classes.png", instance="ignored.png",
    )  # fmt: skip
    file = write_json(pairs_folder / "pairs.json", [full])
    sample = open_dataset(f"pairs:{file}")[0]
    np.testing.assert_array_equal(sample.image_bgr, IMAGE)
    assert_depth(sample)
    assert sample.camera is not None
    assert (sample.camera.fx, sample.camera.fy, sample.camera.width) == (5, 5, 6)
    assert (sample.route, sample.category, sample.split, sample.scene) == (Route.LOW, "kitchen", "test", "7")
    assert sample.semantic is not None
    assert (sample.semantic == 41).all()
    names = {"pairs.json", full["rgb"], full["depth"], "classes.png"}
    assert files_below(pairs_folder, open_dataset(f"pairs:{file}")) == [names]


@pytest.mark.parametrize(
    ("more", "route"),
    [
        ({"domain": "indoor"}, Route.LOW),
        ({"domain": "outdoor"}, Route.HIGH),
        ({"domain": "mars"}, None),
        ({}, None),
        ({"domain": "indoor", "route": "high"}, Route.HIGH),
    ],
)
def test_the_route_comes_from_the_record_or_its_domain(
    pairs_folder: Path, more: dict[str, str], route: Route | None
) -> None:
    file = write_json(pairs_folder / "pairs.json", [record("a", **more)])
    assert open_dataset(f"pairs:{file}").infos[0].route is route


def test_synth_keeps_the_split_and_its_class_names(pairs_folder: Path) -> None:
    write_json(
        pairs_folder / "pairs.json",
        [record("a", split="train"), record("b", split="test"), record("c", split="test")],
    )
    write_json(pairs_folder / "dataset.json", {"semantic_classes": ["void", "sky"]})
    data = open_dataset(f"synth:{pairs_folder}", split="test")
    assert [info.id for info in data.infos] == ["b", "c"]
    assert data.semantic_classes == ("void", "sky")
    assert len(open_dataset(f"synth:{pairs_folder}")) == 3


def test_a_data_set_filters_limits_slices_and_travels_to_worker_processes(pairs_folder: Path) -> None:
    rows = [record(str(i), route="low" if i % 2 else "high") for i in range(9)]
    data = open_dataset(f"pairs:{write_json(pairs_folder / 'pairs.json', rows)}")
    assert [info.id for info in data.where(lambda info: info.route is Route.LOW).infos] == [
        "1",
        "3",
        "5",
        "7",
    ]
    assert [info.id for info in data.limited(3).infos] == ["0", "4", "8"]
    assert data.limited(None) is data
    assert [info.id for info in data[2:4].infos] == ["2", "3"]
    copy: DepthDataset = pickle.loads(pickle.dumps(data))
    assert [sample.id for sample in copy] == [info.id for info in data.infos]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "must be a list of objects .* and not empty"),
        ('{"rgb": "a"}', "must be a list of objects"),
        ("[3]", "entry 0: expected an object"),
        ('[{"rgb": "a", "depth_scale": 1}]', "entry 0: depth is missing"),
        ('[{"rgb": 1, "depth": "b", "depth_scale": 1}]', "entry 0: rgb must be text"),
        ('[{"rgb": "a", "depth": "b"}]', "entry 0: depth_scale must be a positive number, but is None"),
        ('[{"rgb": "a", "depth": "b", "depth_scale": 0}]', "entry 0: depth_scale must be"),
        ('[{"rgb": "a", "depth": "b", "depth_scale": 1, "route": "mid"}]', "entry 0: route must be low or high"),
        ('[{"rgb": "a", "depth": "b", "depth_scale": 1, "intrinsics": [1, 2]}]', "entry 0: intrinsics must be"),
    ],
)
def test_a_malformed_list_is_refused_with_its_fault(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "pairs.json").write_text(content)
    with pytest.raises(InputError, match=message):
        open_dataset(f"pairs:{tmp_path / 'pairs.json'}")


@pytest.mark.parametrize(
    ("depth", "message"),
    [
        (np.zeros((4, 6), np.uint8), "16-bit PNG of one channel"),
        (np.zeros((4, 6, 3), np.uint16), "16-bit PNG of one channel"),
        (np.ones((8, 6), np.uint16), "depth is 6x8, but the image is 6x4"),
        (None, "cannot read"),
    ],
)
def test_a_depth_map_that_cannot_be_one_is_refused(pairs_folder: Path, depth: np.ndarray | None, message: str) -> None:
    if depth is None:
        (pairs_folder / "depth.png").unlink()
    else:
        write_png(pairs_folder / "depth.png", depth)
    data = open_dataset(f"pairs:{write_json(pairs_folder / 'pairs.json', [record('a')])}")
    with pytest.raises(InputError, match=message):
        data[0]


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_damaged_image_is_named(pairs_folder: Path, content: bytes) -> None:
    (pairs_folder / "rgb.png").write_bytes(content)
    data = open_dataset(f"pairs:{write_json(pairs_folder / 'pairs.json', [record('a')])}")
    with pytest.raises(InputError, match=r"rgb\.png is not a readable image"):
        data[0]


def test_an_unknown_split_lists_those_there_are(pairs_folder: Path) -> None:
    file = write_json(pairs_folder / "pairs.json", [record("a", split="train")])
    with pytest.raises(InputError, match="no split 'test'; choose with --split: train"):
        open_dataset(f"pairs:{file}", split="test")
    file = write_json(pairs_folder / "pairs.json", [record("a")])
    with pytest.raises(InputError, match="leave the split out"):
        open_dataset(f"pairs:{file}", split="test")


# -- NYU Depth v2 ------------------------------------------------------------------------------------------


def matlab_element(kind: int, payload: bytes) -> bytes:
    if 0 < len(payload) <= 4:
        return struct.pack("<HH", kind, len(payload)) + payload.ljust(4, b"\0")
    return struct.pack("<II", kind, len(payload)) + payload + b"\0" * (-len(payload) % 8)


def matlab_matrix(name: str, values: list[int]) -> bytes:
    return matlab_element(
        14,
        matlab_element(6, struct.pack("<II", 6, 0))
        + matlab_element(5, struct.pack("<ii", len(values), 1))
        + matlab_element(1, name.encode())
        + matlab_element(4, np.array(values, "<u2").tobytes()),
    )


def matlab_file(path: Path, *, compressed: bool = True, **arrays: list[int]) -> Path:
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    body = b""
    for name, values in arrays.items():
        matrix = matlab_matrix(name, values)
        packed = zlib.compress(matrix)
        body += struct.pack("<II", 15, len(packed)) + packed if compressed else matrix
    path.write_bytes(header + body)
    return path


@pytest.fixture
def nyu_labelled(tmp_path: Path) -> Path:
    """Three images in MATLAB's transposed order: channels, columns, rows."""
    with h5py.File(tmp_path / "nyu_depth_v2_labeled.mat", "w") as file:
        rgb = IMAGE[..., ::-1]
        file["images"] = np.stack([rgb.transpose(2, 1, 0)] * 3)
        depth = depth_units(1).astype(np.float32)
        depth[3, 5] = 3.5
        file["rawDepths"] = np.stack([depth.T, depth.T, 2 * depth.T])
        file["labels"] = np.full((3, 6, 4), 800, np.uint16)
    return tmp_path


def test_nyu_labelled_file_is_turned_upright_and_the_split_counts_from_one(nyu_labelled: Path) -> None:
    matlab_file(nyu_labelled / "splits.mat", trainNdxs=[1, 2], testNdxs=[3])
    sample = open_dataset(f"nyu:{nyu_labelled}", split="train")[0]
    np.testing.assert_array_equal(sample.image_bgr, IMAGE)
    assert_depth(sample)
    assert sample.semantic is not None
    assert sample.semantic.shape == (4, 6)
    assert (sample.route, sample.id) == (Route.LOW, "0001")
    test = open_dataset(f"nyu:{nyu_labelled}", split="test")
    assert [info.id for info in test.infos] == ["0003"]
    assert test[0].depth_m[1, 1] == pytest.approx(4.0)
    assert files_below(nyu_labelled, open_dataset(f"nyu:{nyu_labelled}")) == 3 * [{"nyu_depth_v2_labeled.mat"}]


def test_nyu_labelled_file_without_its_parts_is_refused(nyu_labelled: Path) -> None:
    with pytest.raises(InputError, match=r"needs splits\.mat"):
        open_dataset(f"nyu:{nyu_labelled}", split="test")
    matlab_file(nyu_labelled / "splits.mat", testNdxs=[4])
    with pytest.raises(InputError, match=r"outside 1\.\.3"):
        open_dataset(f"nyu:{nyu_labelled}", split="test")
    with pytest.raises(InputError, match="holds no trainNdxs"):
        open_dataset(f"nyu:{nyu_labelled}", split="train")


def test_a_labelled_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nyu_depth_v2_labeled.mat"
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros((1, 3, 6, 4), np.uint8)
    with pytest.raises(InputError, match="lacks rawDepths"):
        open_dataset(f"nyu:{path}")
    (tmp_path / "other.mat").write_bytes(b"not HDF5")
    with pytest.raises(InputError, match="not a readable HDF5 file"):
        open_dataset(f"nyu:{tmp_path / 'other.mat'}")


@pytest.mark.parametrize(
    ("more", "metres"),
    [
        (["depths"], 5.0),  # as in v1, whose rawDepths are no metres
        (["depths", "instances"], 2.0),
        (["depths", "sceneTypes", "rawDepthFilenames"], 2.0),
        ([], 2.0),
    ],
)
def test_the_variables_of_a_labelled_file_tell_where_its_metres_are(
    nyu_labelled: Path, more: list[str], metres: float
) -> None:
    with h5py.File(nyu_labelled / "nyu_depth_v2_labeled.mat", "a") as file:
        for name in more:
            file[name] = np.full((3, 6, 4), 5, np.float32)
    assert open_dataset(f"nyu:{nyu_labelled}")[0].depth_m[1, 1] == pytest.approx(metres)


def test_nyu_folders(tmp_path: Path) -> None:
    write_png(tmp_path / "test/kitchen/sync_depth_00045.png", np.full((480, 640), 2500, np.uint16))
    write_png(tmp_path / "test/kitchen/rgb_00045.jpg", np.full((480, 640, 3), 90, np.uint8))
    data = open_dataset(f"nyu:{tmp_path}", split="test")
    assert files_below(tmp_path / "test/kitchen", data) == [{"rgb_00045.jpg", "sync_depth_00045.png"}]
    sample = data[0]
    assert (sample.id, sample.category) == ("test/kitchen/00045", "kitchen")
    assert np.unique(sample.depth_m) == pytest.approx([2.5])
    assert sample.camera is not None
    assert sample.camera.fx == pytest.approx(518.8579)
    with pytest.raises(InputError, match="holds no NYU Depth v2"):
        open_dataset(f"nyu:{tmp_path}", split="train")
    with pytest.raises(InputError, match="train and test"):
        open_dataset(f"nyu:{tmp_path}", split="val")


def test_parts_of_a_nyu_room_are_one_scene(tmp_path: Path) -> None:
    for folder in ("study_room_0005a", "study_room_0005b", "study_room_0006"):
        write_png(tmp_path / f"train/{folder}/sync_depth_00001.png", np.full((480, 640), 2500, np.uint16))
    scenes = [info.scene for info in open_dataset(f"nyu:{tmp_path}", split="train").infos]
    assert scenes == ["study_room_0005", "study_room_0005", "study_room_0006"]


def test_nyu_is_trained_on_its_training_split_alone(nyu_labelled: Path) -> None:
    with pytest.raises(InputError, match=r"'train' needs splits\.mat"):
        open_for_training(f"nyu:{nyu_labelled}")
    matlab_file(nyu_labelled / "splits.mat", trainNdxs=[1, 2], testNdxs=[3])
    train, validation = open_for_training(f"nyu:{nyu_labelled}")
    assert [info.id for info in (*train.infos, *validation.infos)] == ["0001", "0002"]


def test_nyu_labelled_frames_name_their_scenes(nyu_labelled: Path) -> None:
    assert {info.scene for info in open_dataset(f"nyu:{nyu_labelled}").infos} == {None}
    open_h5.cache_clear()
    with h5py.File(nyu_labelled / "nyu_depth_v2_labeled.mat", "a") as file:
        names = [file.create_dataset(f"n{i}", data=[[ord(c)] for c in name]) for i, name in enumerate("aba")]
        file.create_dataset("scenes", data=np.array([[n.ref for n in names]], h5py.ref_dtype), dtype=h5py.ref_dtype)
    assert [info.scene for info in open_dataset(f"nyu:{nyu_labelled}").infos] == ["a", "b", "a"]


@pytest.mark.parametrize("compressed", [True, False])
def test_matlab_arrays(tmp_path: Path, compressed: bool) -> None:
    path = matlab_file(tmp_path / "a.mat", compressed=compressed, trainNdxs=[5, 6, 7], x=[9])
    arrays = read_arrays(path)
    assert arrays["trainNdxs"].shape == (3, 1)
    assert {name: array.ravel().tolist() for name, array in arrays.items()} == {
        "trainNdxs": [5, 6, 7],
        "x": [9],
    }


def test_matlab_damage_is_named(tmp_path: Path) -> None:
    path = matlab_file(tmp_path / "a.mat", trainNdxs=[5, 6, 7])
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(InputError, match="is damaged"):
        read_arrays(path)
    path.write_bytes(b"PNG")
    with pytest.raises(InputError, match="not a MATLAB 5 file"):
        read_arrays(path)
    with pytest.raises(InputError, match="cannot read"):
        read_arrays(tmp_path / "b.mat")


# -- KITTI -------------------------------------------------------------------------------------------------

DRIVE = "2011_09_26_drive_0002_sync"
CALIBRATION = """calib_time: 09-Jan-2012 13:57:47
P_rect_02: 7 0 3 0.1 0 8 2 0.2 0 0 1 0
P_rect_03: 9 0 3 0 0 9 2 0 0 0 1 0
"""


@pytest.fixture
def kitti_folder(tmp_path: Path) -> Path:
    for camera in ("image_02", "image_03"):
        write_png(tmp_path / f"val/{DRIVE}/proj_depth/groundtruth/{camera}/0000000005.png", depth_units(256))
        write_png(tmp_path / f"raw/2011_09_26/{DRIVE}/{camera}/data/0000000005.png", IMAGE)
    (tmp_path / "raw/2011_09_26/calib_cam_to_cam.txt").write_text(CALIBRATION)
    return tmp_path


def test_kitti_official_split_reads_both_cameras_with_their_calibration(kitti_folder: Path) -> None:
    data = open_dataset(f"kitti:{kitti_folder}", split="val")
    assert [info.id for info in data.infos] == [f"{DRIVE}/image_0{i}/0000000005" for i in (2, 3)]
    left, right = data
    np.testing.assert_array_equal(left.image_bgr, IMAGE)
    assert_depth(left)
    assert left.camera is not None
    assert right.camera is not None
    assert (left.camera.fx, left.camera.fy, left.camera.cx, left.camera.cy) == (7, 8, 3, 2)
    assert right.camera.fx == 9
    assert (left.route, left.scene) == (Route.HIGH, DRIVE)
    assert files_below(kitti_folder, data)[1] == {
        f"raw/2011_09_26/{DRIVE}/image_03/data/0000000005.png",
        "raw/2011_09_26/calib_cam_to_cam.txt",
        data.entries[1].files[1].relative_to(kitti_folder).as_posix(),
    }
    assert f"{DRIVE}/proj_depth/groundtruth/image_03/0000000005.png" in data.entries[1].files[1].as_posix()


@pytest.mark.parametrize(
    "line",
    [
        f"2011_09_26/{DRIVE}/image_02/data/0000000005.png {DRIVE}/proj_depth/groundtruth/x/5.png 721.5",
        f"2011_09_26/{DRIVE}/image_02/data/0000000005.png None 721.5",
        f"2011_09_26/{DRIVE} 0000000005 l",
        f"2011_09_26/{DRIVE} 5 l",
    ],
)
def test_kitti_eigen_lists_of_either_form(kitti_folder: Path, line: str) -> None:
    (kitti_folder / "eigen_test_files.txt").write_text(f"{line}\n\n2011_09_26/{DRIVE} 6 l\n")
    data = open_dataset(f"kitti:{kitti_folder}", split="eigen-test")
    assert [info.id for info in data.infos] == [f"{DRIVE}/image_02/0000000005"]
    assert data.notes == ("1 frames of the list have no annotated ground truth and are left out",)
    assert_depth(data[0])


def test_kitti_is_trained_and_validated_on_its_official_splits(kitti_folder: Path) -> None:
    other = DRIVE.replace("0002", "0001")
    write_png(kitti_folder / f"train/{other}/proj_depth/groundtruth/image_02/0000000007.png", depth_units(256))
    write_png(kitti_folder / f"raw/2011_09_26/{other}/image_02/data/0000000007.png", IMAGE)
    train, validation = open_for_training(f"kitti:{kitti_folder}")
    assert [info.id for info in train.infos] == [f"{other}/image_02/0000000007"]
    assert [info.split for info in validation.infos] == ["val", "val"]


def test_the_lists_of_eigen_are_a_kind_of_their_own(kitti_folder: Path) -> None:
    lines = [f"2011_09_26/{DRIVE} 5 {side}" for side in "lr"]
    (kitti_folder / "eigen_train_files.txt").write_text(lines[0])
    (kitti_folder / "eigen_test_files.txt").write_text(lines[1])
    train, validation = open_for_training(f"kitti-eigen:{kitti_folder}")
    assert [info.id for info in train.infos] == [f"{DRIVE}/image_02/0000000005"]
    assert len(validation) == 0
    test = open_dataset(f"kitti-eigen:{kitti_folder}")
    assert (test.name, test[0].id) == (f"kitti-eigen:{kitti_folder}", f"{DRIVE}/image_03/0000000005")
    with pytest.raises(InputError, match="train, val and test, but got 'selection'"):
        open_dataset(f"kitti-eigen:{kitti_folder}", split="selection")


def test_the_list_of_eigen_for_validation_is_used_where_it_is_there(kitti_folder: Path) -> None:
    other = DRIVE.replace("0002", "0001")
    for number in (6, 7):
        write_png(
            kitti_folder / f"train/{other}/proj_depth/groundtruth/image_02/000000000{number}.png", depth_units(256)
        )
    train = [f"2011_09_26/{other} 6 l", f"2011_09_26/{DRIVE} 5 l", f"2011_09_26/{DRIVE} 5 r"]
    (kitti_folder / "eigen_train_files.txt").write_text("\n".join(train))
    parts = open_for_training(f"kitti-eigen:{kitti_folder}")
    # no list: a whole drive, and the smallest where each is more than a tenth
    assert [[info.scene for info in part.infos] for part in parts] == [[DRIVE, DRIVE], [other]]
    (kitti_folder / "eigen_val_files.txt").write_text(f"2011_09_26/{other} 7 l")
    parts = open_for_training(f"kitti-eigen:{kitti_folder}")
    assert [len(part) for part in parts] == [3, 1]
    assert (parts[1].infos[0].id, parts[1].infos[0].split) == (f"{other}/image_02/0000000007", "eigen-val")
    with pytest.raises(InputError, match="needs its list of frames"):
        open_dataset(f"kitti-eigen:{kitti_folder}", "test")


def test_the_selection_is_scored_whole_by_default() -> None:
    kitti = READERS["kitti"]
    assert kitti.protocol_for("selection") == "kitti-server"
    assert {kitti.protocol_for(split) for split in ("val", "eigen-test", None)} == {"kitti-eigen-garg"}


def test_kitti_selection(tmp_path: Path) -> None:
    root = tmp_path / "depth_selection/val_selection_cropped"
    stem = f"{DRIVE}_image_0000000005_image_02"
    write_png(root / f"image/{stem}.png", IMAGE)
    write_png(root / f"groundtruth_depth/{DRIVE}_groundtruth_depth_0000000005_image_02.png", depth_units(256))
    (root / "intrinsics").mkdir()
    (root / f"intrinsics/{stem}.txt").write_text("7.0 0 3 0 8 2 0 0 1")
    data = open_dataset(f"kitti:{tmp_path}", split="selection")
    sample = data[0]
    assert [len(files) for files in files_below(root, data)] == [3]
    assert_depth(sample)
    assert sample.scene == DRIVE
    assert sample.camera is not None
    assert (sample.camera.fx, sample.camera.fy, sample.camera.cx, sample.camera.cy) == (7, 8, 3, 2)
    (root / f"intrinsics/{stem}.txt").write_text("7.0 0 3")
    with pytest.raises(InputError, match="9 numbers of a camera matrix"):
        open_dataset(f"kitti:{tmp_path}", split="selection")[0]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("train", "holds no split 'train'"),
        ("selection", "expected val_selection_cropped"),
        ("eigen-test", r"needs its list of frames as .*eigen_test_files\.txt"),
        ("test", "has the splits train, val"),
    ],
)
def test_kitti_says_what_is_missing(kitti_folder: Path, split: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_dataset(f"kitti:{kitti_folder}", split=split)


def test_kitti_faults_in_a_recording_are_named(kitti_folder: Path) -> None:
    (kitti_folder / "eigen_val_files.txt").write_text("0000000005\n")
    with pytest.raises(InputError, match=r"eigen_val_files\.txt:1: expected"):
        open_dataset(f"kitti:{kitti_folder}", split="eigen-val")
    (kitti_folder / "eigen_val_files.txt").write_text(f"2011_09_26/{DRIVE} 6 l\n")
    with pytest.raises(InputError, match="no frame of"):
        open_dataset(f"kitti:{kitti_folder}", split="eigen-val")
    data = open_dataset(f"kitti:{kitti_folder}")
    (kitti_folder / "raw/2011_09_26/calib_cam_to_cam.txt").write_text("P_rect_02: 7 0\n")
    with pytest.raises(InputError, match="has no P_rect_02 of 12 numbers"):
        data[0]
    (kitti_folder / f"raw/2011_09_26/{DRIVE}/image_02/data/0000000005.png").unlink()
    with pytest.raises(InputError, match=r"cannot read .*raw/2011_09_26/.*of the raw recordings"):
        data[0]


# -- real samples ------------------------------------------------------------------------------------------


def test_real_depth_makes_points_where_the_world_is(samples: Path) -> None:
    """The camera of KITTI's recordings stands 1.65 m above the road; Redwood's floor is level below the camera."""
    data = open_dataset(f"pairs:{samples / 'pairs.json'}")
    street = next(data[i] for i, info in enumerate(data.infos) if info.id.startswith("kitti_raw/"))
    room = next(data[i] for i, info in enumerate(data.infos) if info.id.startswith("redwood/"))
    assert (street.route, room.route) == (Route.HIGH, Route.LOW)

    points = points_of(street)
    road = points[(np.abs(points[:, 0]) < 4) & (points[:, 2] < 20) & (points[:, 1] > 1.3)]
    assert np.median(road[:, 1]) == pytest.approx(1.65, abs=0.1)

    points = points_of(room)
    floor = points[points[:, 1] > np.percentile(points[:, 1], 90)]
    assert floor[:, 1].std() < 0.05
    assert np.ptp(floor[:, 2]) > 0.5


def points_of(sample: DepthSample) -> np.ndarray:
    assert sample.camera is not None
    return (sample.camera.rays() * sample.depth_m[..., None])[np.isfinite(sample.depth_m)]


# -- names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["folder", "synth:", ""])
def test_a_name_without_kind_or_path_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="named kind:path"):
        open_dataset(name)


def test_an_unknown_kind_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="known: synth, pairs, nyu, nyu-fused, kitti"):
        open_dataset(f"diode:{tmp_path}")


@pytest.mark.parametrize("kind", ["synth", "pairs", "nyu", "kitti"])
def test_a_missing_path_and_an_empty_folder_are_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(InputError, match="does not exist"):
        open_dataset(f"{kind}:{tmp_path / 'nowhere'}")
    with pytest.raises(InputError):
        open_dataset(f"{kind}:{tmp_path}")


def test_a_sample_checks_its_shapes() -> None:
    depth = np.ones((4, 6), np.float32)
    with pytest.raises(ValueError, match=r"depth_m must be \(4, 6\) float32"):
        DepthSample(id="a", image_bgr=IMAGE, depth_m=depth.astype(np.float64))
    with pytest.raises(ValueError, match="semantic must be"):
        DepthSample(id="a", image_bgr=IMAGE, depth_m=depth, semantic=np.zeros((2, 2), np.uint8))
    with pytest.raises(ValueError, match="image_bgr must be"):
        DepthSample(id="a", image_bgr=IMAGE[..., 0], depth_m=depth)


@pytest.mark.parametrize(
    ("splits", "train", "validation"),
    [
        (["train"] * 20 + ["val"], 20, 1),
        (["train"] * 20 + ["test"], 18, 2),  # no "val": the last tenth of the training part
        (["train", None, None, "val", "test"], 3, 1),  # what names none is trained on
        ([None] * 20, 18, 2),
        (["test"] * 5, 0, 0),
    ],
)
def test_samples_are_parted_by_the_splits_they_name(
    tmp_path: Path, splits: list[str | None], train: int, validation: int
) -> None:
    record = {"rgb": "a.png", "depth": "a.depth.png", "depth_scale": 1000}
    rows = [{"id": str(n), **record, **({} if split is None else {"split": split})} for n, split in enumerate(splits)]
    (tmp_path / "pairs.json").write_text(json.dumps(rows))
    parts = open_for_training(f"pairs:{tmp_path / 'pairs.json'}")
    assert [len(part) for part in parts] == [train, validation]
    assert not {info.id for info in parts[0].infos} & {info.id for info in parts[1].infos}
    assert "test" not in {info.split for part in parts for info in part.infos}


@pytest.mark.parametrize(
    ("domain", "route"),
    [("indoor", Route.LOW), ("indoor-office", Route.LOW), ("outdoor_city", Route.HIGH), ("garden", None), (None, None)],
)
def test_a_domain_tells_the_route_by_its_beginning(tmp_path: Path, domain: str | None, route: Route | None) -> None:
    row = {
        "rgb": "a.png",
        "depth": "a.depth.png",
        "depth_scale": 1000,
        **({} if domain is None else {"domain": domain}),
    }
    (tmp_path / "pairs.json").write_text(json.dumps([row]))
    assert open_dataset(f"pairs:{tmp_path / 'pairs.json'}").infos[0].route is route


@pytest.mark.parametrize(
    ("splits", "asked", "ids", "taken", "note"),
    [
        (["train", "test", None, "test"], None, "13", "test", "2 of 4 samples are of the split test, and evaluated"),
        (["train", "test", "val"], "val", "2", "val", None),
        (["test", "test"], None, "01", "test", None),
        (["train", None, "val"], None, "012", None, "2 of 3 samples are for training, and flatter"),
        (["val", "walk"], None, "01", None, None),
        ([None, None], None, "01", None, None),
    ],
)
def test_figures_are_taken_on_test_frames_where_samples_name_them(
    tmp_path: Path, splits: list[str | None], asked: str | None, ids: str, taken: str | None, note: str | None
) -> None:
    rows = [record(str(n), **({} if split is None else {"split": split})) for n, split in enumerate(splits)]
    found, split = open_for_evaluation(f"pairs:{write_json(tmp_path / 'pairs.json', rows)}", asked)
    assert "".join(info.id for info in found.infos) == ids
    assert split == taken
    assert [told.partition(";")[0][: len(note or "")] for told in found.notes] == ([] if note is None else [note])
    assert all("--split" in told for told in found.notes)
