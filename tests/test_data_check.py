"""`edgedepth data check`: every fault is named and counted, and good data pass."""

from __future__ import annotations

import json
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgedepth.cli import main
from edgedepth.core.errors import InputError, UnknownNameError
from edgedepth.datasets import open_dataset
from edgedepth.datasets.check import _kind_of, check_dataset, guess_name
from tests.frames import write_planes

Change = Callable[[Path, list[dict[str, Any]]], None]


def _missing(folder: Path, records: list[dict[str, Any]]) -> None:
    (folder / "1.png").unlink()


def _damaged(folder: Path, records: list[dict[str, Any]]) -> None:
    (folder / "1.depth.png").write_bytes(b"\x89PNG")


def _empty(folder: Path, records: list[dict[str, Any]]) -> None:
    cv2.imwrite(str(folder / "1.depth.png"), np.zeros((48, 64), np.uint16))


def _sparse(folder: Path, records: list[dict[str, Any]]) -> None:
    depth = np.zeros((48, 64), np.uint16)
    depth[10, 10:12] = 2000, 2001
    cv2.imwrite(str(folder / "1.depth.png"), depth)


def _scale(folder: Path, records: list[dict[str, Any]]) -> None:
    records[1]["depth_scale"] = 1.0


def _other_size(folder: Path, records: list[dict[str, Any]]) -> None:
    cv2.imwrite(str(folder / "1.png"), np.zeros((24, 32, 3), np.uint8))


def _black(folder: Path, records: list[dict[str, Any]]) -> None:
    cv2.imwrite(str(folder / "1.png"), np.zeros((48, 64, 3), np.uint8))


def _no_camera(folder: Path, records: list[dict[str, Any]]) -> None:
    del records[1]["intrinsics"]


def _camera_of_another_size(folder: Path, records: list[dict[str, Any]]) -> None:
    records[1]["intrinsics"] = [520.0, 520.0, 320.0, 240.0]


def _too_large(folder: Path, records: list[dict[str, Any]]) -> None:
    """A header that promises more pixels than OpenCV takes."""
    data = bytearray((folder / "1.png").read_bytes())
    data[16:24] = struct.pack(">II", 200_000, 200_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (folder / "1.png").write_bytes(data)


def _twice(folder: Path, records: list[dict[str, Any]]) -> None:
    records[1]["id"] = "0"


def _two_splits(folder: Path, records: list[dict[str, Any]]) -> None:
    records[0].update(split="train", scene="kitchen")
    records[1].update(split="test", scene="kitchen")


@pytest.mark.parametrize(
    ("change", "level", "what"),
    [
        (_missing, "error", "a file is missing"),
        (_damaged, "error", "a file is damaged"),
        (_too_large, "error", "a file is damaged"),
        (_empty, "error", "not one pixel of depth"),
        (_other_size, "error", "cannot be used: ...: depth is 64x48"),
        (_sparse, "warning", "less than 0.5 % of the pixels have depth"),
        (_scale, "warning", "the depth scale may be wrong"),
        (_black, "warning", "the image is of one colour"),
        (_no_camera, "warning", "no intrinsics"),
        (_camera_of_another_size, "warning", "a field of view outside"),
        (_twice, "warning", "a name is there more than once"),
        (_two_splits, "warning", "a scene is in two splits"),
    ],
)
def test_a_fault_is_named_and_counted(tmp_path: Path, change: Change, level: str, what: str) -> None:
    pairs = write_planes(tmp_path, 3)
    records = json.loads(pairs.read_text())
    change(tmp_path, records)
    pairs.write_text(json.dumps(records))
    found = check_dataset(f"pairs:{pairs}")
    (finding, *_) = [finding for finding in found.findings if what in finding.what]
    assert (finding.level, finding.count) == (level, 1)
    assert finding.first.startswith(("0", "1"))
    assert found.usable is (level != "error")


def test_every_malformed_entry_of_a_list_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = write_planes(tmp_path, 30)
    records = json.loads(pairs.read_text())
    del records[1]["depth"]
    records[4]["depth_scale"] = "metres"
    records[7] = "x" * 1000
    pairs.write_text(json.dumps(records))
    with pytest.raises(SystemExit) as stopped:
        main(["data", "check", f"near:pairs:{pairs}"])
    assert stopped.value.code == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("error: ")]
    assert lines[:2] == [
        "error: depth is missing: 1, first entry 1",
        "error: depth_scale must be a positive number, but is 'metres': 1, first entry 4",
    ]
    assert lines[2].endswith("xxx: 1, first entry 7")
    assert len(lines) == 3
    assert len(lines[2]) < 200
    pairs.write_text(json.dumps(["none"] * 30))
    findings = check_dataset(f"pairs:{pairs}").findings
    assert [finding.count for finding in findings] == [1] * 20 + [10]


def test_faults_of_one_kind_are_one_finding(tmp_path: Path) -> None:
    pairs = write_planes(tmp_path, 4)
    records = json.loads(pairs.read_text())
    (tmp_path / "eight bits").mkdir()
    for number, record in enumerate(records):
        record["depth"] = f"eight bits/{number}.png"
        cv2.imwrite(str(tmp_path / record["depth"]), np.full((48, 64), 9, np.uint8))
    pairs.write_text(json.dumps(records))
    (finding,) = [each for each in check_dataset(f"pairs:{pairs}").findings if each.level == "error"]
    assert (finding.what, finding.count) == ("depth is not a 16-bit PNG of one channel", 4)


def test_a_short_name_leaves_the_words_of_a_fault_alone(tmp_path: Path) -> None:
    entry = open_dataset(f"pairs:{write_planes(tmp_path, 1)}").entries[0]
    assert _kind_of("0: depth is 8x6, but the image is 8x4", entry) == (
        "cannot be used: ...: depth is 8x6, but the image is 8x4"
    )
    assert _kind_of("labels /data/0/1.png must have 0 channels", entry) == (
        "cannot be used: labels ... must have 0 channels"
    )


def test_a_file_is_missing_only_where_it_is_not_there(tmp_path: Path) -> None:
    entry = open_dataset(f"pairs:{write_planes(tmp_path, 1)}").entries[0]
    denied = "cannot read 0.png: Permission denied"
    assert _kind_of(denied, entry) == f"cannot be used: {denied}"
    (tmp_path / "0.png").unlink()
    assert _kind_of("whatever words", entry) == "a file is missing"


def test_good_data_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_planes(tmp_path, 4)
    with pytest.raises(SystemExit) as exit:
        main(["data", "check", str(tmp_path), "--limit", "3", "--json"])
    assert exit.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["samples"], found["looked_at"], found["findings"]) == (4, 3, [])
    assert found["sizes"] == {"64x48": 3}
    assert 0.8 < found["depth_m"][0] < found["depth_m"][1] < found["depth_m"][2] < 8


def test_no_frame_is_kept_in_memory(tmp_path: Path) -> None:
    pairs = write_planes(tmp_path, 12, size_wh=(320, 240))
    held: list[int] = []
    tracemalloc.start()
    try:
        check_dataset(f"pairs:{pairs}", progress=lambda: held.append(tracemalloc.get_traced_memory()[0]))
    finally:
        tracemalloc.stop()
    assert held[-1] - held[1] < 320 * 240 * 4  # ten frames later, less than the depth of one


def test_the_command_fails_on_errors_and_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = write_planes(tmp_path, 3)
    (tmp_path / "2.png").unlink()
    with pytest.raises(SystemExit) as exit:
        main(["data", "check", f"pairs:{pairs}"])
    assert exit.value.code == 1
    said = capsys.readouterr()
    assert "error: a file is missing: 1, first 2: cannot read" in said.out
    assert "not usable" in said.err


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("dataset.json", "synth"),
        ("train/kitchen/sync_depth_00000.png", "nyu"),
        ("Depth/Depth/0000000.png", "synthia"),
        ("scans/scene0000_00/depth/0.png", "scannet"),
        ("train/2011_09_26_drive_0001_sync/proj_depth/groundtruth/image_02/0.png", "kitti"),
    ],
)
def test_a_folder_tells_its_kind(tmp_path: Path, file: str, kind: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_bytes(b"")
    assert guess_name(str(tmp_path)) == f"{kind}:{tmp_path}"


def test_a_folder_of_nothing_known_lists_the_kinds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="kinds: synth, pairs, nyu"):
        guess_name(str(tmp_path))
    with pytest.raises(InputError, match="does not exist"):
        guess_name(str(tmp_path / "nowhere"))


def test_prefixes_and_unknown_kinds_are_understood(tmp_path: Path) -> None:
    (tmp_path / "pairs.json").write_text("[]")
    assert guess_name(f"near:pairs:{tmp_path / 'pairs.json'}") == f"near:pairs:{tmp_path / 'pairs.json'}"
    with pytest.raises(UnknownNameError, match=r"unknown kind of data set 'foo'; known: .*kitti"):
        guess_name("foo:/somewhere")


def test_what_a_prefix_makes_of_the_training_part_is_looked_at(tmp_path: Path) -> None:
    pairs = write_planes(tmp_path, 4)
    found = check_dataset(f"eigen-20k:pairs:{pairs}", limit=3)
    assert (found.samples, found.looked_at) == (20_000, 3)
    assert found.sizes == {"61x46": 3}
    assert check_dataset(f"near:pairs:{pairs}").samples == 4


def test_a_list_that_is_optional_is_not_missed(tmp_path: Path) -> None:
    drive = "2011_09_26_drive_0001_sync"
    truth = tmp_path / f"train/{drive}/proj_depth/groundtruth/image_02/0000000005.png"
    truth.parent.mkdir(parents=True)
    cv2.imwrite(str(truth), np.full((8, 16), 5 * 256, np.uint16))
    for part in ("train", "test"):
        (tmp_path / f"eigen_{part}_files.txt").write_text(f"2011_09_26/{drive} 5 l\n")
    found = check_dataset(f"kitti-eigen:{tmp_path}")
    assert found.splits == {"eigen-train": 1, "eigen-test": 1}
    assert found.notes == ()
    (tmp_path / "eigen_train_files.txt").unlink()
    (note,) = check_dataset(f"kitti-eigen:{tmp_path}").notes
    assert "the split 'eigen-train' needs its list of frames" in note


def test_every_split_is_looked_at(tmp_path: Path) -> None:
    """What `kitti:` is evaluated on, and what it is trained on."""
    drive = "2011_09_26_drive_0001_sync"
    depth, image = np.full((8, 16), 5 * 256, np.uint16), np.full((8, 16, 3), 90, np.uint8)
    for split, number in (("train", 5), ("train", 6), ("val", 7)):
        truth = tmp_path / f"{split}/{drive}/proj_depth/groundtruth/image_02/{number:010d}.png"
        photo = tmp_path / f"raw/2011_09_26/{drive}/image_02/data/{number:010d}.png"
        for path, picture in ((truth, depth), (photo, image)):
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), picture)
    found = check_dataset(f"kitti:{tmp_path}")
    assert (found.samples, found.looked_at) == (3, 3)
    assert found.splits == {"train": 2, "val": 1}
    assert check_dataset(f"kitti:{tmp_path}", "val").samples == 1
