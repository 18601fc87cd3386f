"""KITTI with the improved (annotated) ground truth: `kitti:DIR`.

Layouts, each found below DIR or in the folder its archive unpacks to:

- splits "train", "val": `<split>/<drive>/proj_depth/groundtruth/image_02/NNNNNNNNNN.png` with the raw
  recordings `<date>/<drive>/image_02/data/NNNNNNNNNN.png` (or .jpg) and `<date>/calib_cam_to_cam.txt`;
- split "selection": `val_selection_cropped/{image,groundtruth_depth,intrinsics}` (1000 frames);
- splits "eigen-train", "eigen-val", "eigen-test": a list `eigen_<train|val|test>_files*.txt` in DIR, in
  the form of BTS (image path, depth path, focal length) or of Monodepth2 (drive, frame, side), over the files
  of the first item; `kitti-eigen:DIR` calls them "train", "val" and "test".

Depth PNGs hold metres x 256, 0 = no measurement. Publications differ in their lists, so none is built in.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.routing import Route
from edgedepth.datasets.files import read_depth_png, read_image_bgr
from edgedepth.datasets.sample import DepthDataset, DepthSample, Entry, SampleInfo

UNITS_PER_M = 256.0
SPLITS = ("train", "val", "selection", "eigen-train", "eigen-val", "eigen-test")
_ROOTS = ("", "raw", "data_depth_annotated", "depth_selection", "data_depth_selection/depth_selection")


def open_kitti(path: Path, split: str | None = None) -> DepthDataset:
    """Open one split; None means "val".

    Raises:
        InputError: the split is unknown, or its files are not there.
    """
    chosen = "val" if split is None else split
    if chosen not in SPLITS:
        raise InputError(f"KITTI has the splits {', '.join(SPLITS)}, but got {chosen!r}")
    notes: tuple[str, ...] = ()
    if chosen == "selection":
        entries = _selection(path)
    elif chosen.startswith("eigen-"):
        entries, without = _listed(path, chosen)
        if without:
            notes = (f"{without} frames of the list have no annotated ground truth and are left out",)
    else:
        entries = _official(path, chosen)
    return DepthDataset(name=f"kitti:{path}", entries=entries, notes=notes)


def open_kitti_eigen(path: Path, split: str | None = None) -> DepthDataset:
    """Open one of Eigen et al.'s lists, "train", "val" or "test"; None means "test".

    Raises:
        InputError: the split is unknown, or its list or its files are not there.
    """
    chosen = "test" if split is None else split
    if f"eigen-{chosen}" not in SPLITS:
        raise InputError(f"the lists of Eigen et al. are train, val and test, but got {chosen!r}")
    return replace(open_kitti(path, f"eigen-{chosen}"), name=f"kitti-eigen:{path}")


def has_list(path: Path, part: str) -> bool:
    """Whether a list of Eigen et al., "train", "val" or "test", is there."""
    return bool(_lists(path, part))


def _info(id: str, split: str, drive: str) -> SampleInfo:
    return SampleInfo(id=id, route=Route.HIGH, domain="outdoor", split=split, scene=drive)


# -- official folders --------------------------------------------------------------------------------------


def _official(path: Path, split: str) -> tuple[Entry, ...]:
    truths = [
        truth
        for root in _ROOTS
        for truth in sorted((path / root / split).glob("*/proj_depth/groundtruth/image_0[23]/*.png"))
    ]
    if not truths:
        raise InputError(
            f"{path} holds no split {split!r}: expected {split}/<drive>/proj_depth/groundtruth/image_02/*.png"
            " of the annotated depth maps"
        )
    return tuple(_frame_entry(path, truth, split) for truth in truths)


def _frame_entry(path: Path, truth: Path, split: str) -> Entry:
    """The entry of `<drive>/proj_depth/groundtruth/<camera>/<frame>.png`."""
    drive, camera, frame = truth.parents[3].name, truth.parent.name, truth.stem
    date = drive[:10]
    image = _first(path, f"{date}/{drive}/{camera}/data/{frame}.png", f"{date}/{drive}/{camera}/data/{frame}.jpg")
    files = (image, truth, _first(path, f"{date}/calib_cam_to_cam.txt"))
    return Entry(_info(f"{drive}/{camera}/{frame}", split, drive), partial(_read_frame, *files), files)


def _read_frame(image: Path, truth: Path, calibration: Path, info: SampleInfo) -> DepthSample:
    for file in (image, calibration):
        if not file.is_file():
            raise InputError(f"cannot read {file} of the raw recordings; unpack them there or into raw/")
    image_bgr = read_image_bgr(image)
    height, width = image_bgr.shape[:2]
    fx, fy, cx, cy = _calibration(calibration, truth.parent.name)
    return DepthSample(
        **vars(info),
        image_bgr=image_bgr,
        depth_m=read_depth_png(truth, UNITS_PER_M),
        camera=Camera(fx=fx, fy=fy, cx=cx, cy=cy, width=width, height=height),
    )


@lru_cache(maxsize=64)
def _calibration(path: Path, camera: str) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy of a rectified camera, from the 3x4 matrix P_rect of its recording day."""
    match = re.search(rf"^P_rect_{camera[-2:]}:(.*)$", path.read_text(errors="replace"), re.MULTILINE)
    values = [float(value) for value in match[1].split()] if match else []
    if len(values) != 12:
        raise InputError(f"{path} has no P_rect_{camera[-2:]} of 12 numbers; take the file of the raw recordings")
    return values[0], values[5], values[2], values[6]


def _first(path: Path, *candidates: str) -> Path:
    """The first of the raw recordings' files that is there, else where the first is expected."""
    places = (path / root / candidate for root in _ROOTS for candidate in candidates)
    return next((place for place in places if place.is_file()), path / candidates[0])


# -- the list of Eigen et al. ------------------------------------------------------------------------------


def _listed(path: Path, split: str) -> tuple[tuple[Entry, ...], int]:
    """Entries of a list of frames, and how many of its frames have no ground truth."""
    part = split.removeprefix("eigen-")
    lists = _lists(path, part)
    if not lists:
        raise InputError(f"the split {split!r} needs its list of frames as {path / f'eigen_{part}_files.txt'}")
    entries, without = [], 0
    for number, line in enumerate(lists[0].read_text(errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        drive, camera, frame = _parse_line(line, f"{lists[0]}:{number}")
        truth = _annotated(path, f"{drive}/proj_depth/groundtruth/{camera}/{frame}.png")
        if truth is None:
            without += 1
        else:
            entries.append(_frame_entry(path, truth, split))
    if not entries:
        raise InputError(
            f"no frame of {lists[0]} has annotated ground truth below {path}; unpack train/ and val/ there"
        )
    return tuple(entries), without


def _lists(path: Path, part: str) -> list[Path]:
    return sorted(path.glob(f"eigen_{part}_files*.txt"))


def _parse_line(line: str, where: str) -> tuple[str, str, str]:
    """Drive, camera folder and frame of one line of either form."""
    bts = re.match(r"\S+?/(\S+_sync)/(image_0[23])/data/(\d+)\.\w+(\s|$)", line)
    if bts:
        return bts[1], bts[2], bts[3]
    monodepth = re.match(r"\S+?/(\S+_sync)\s+(\d+)\s+([lr])\s*$", line)
    if monodepth:
        return monodepth[1], {"l": "image_02", "r": "image_03"}[monodepth[3]], f"{int(monodepth[2]):010d}"
    raise InputError(
        f"{where}: expected '<date>/<drive>_sync/image_02/data/<frame>.png ...' or"
        f" '<date>/<drive>_sync <frame> l', but got {line.strip()[:80]!r}"
    )


def _annotated(path: Path, name: str) -> Path | None:
    for root in _ROOTS:
        for split in ("train", "val"):
            if (path / root / split / name).is_file():
                return path / root / split / name
    return None


# -- the official selection for validation -----------------------------------------------------------------


def _selection(path: Path) -> tuple[Entry, ...]:
    folders = [path / root / "val_selection_cropped" for root in _ROOTS]
    images = [image for folder in folders for image in sorted((folder / "image").glob("*.png"))]
    if not images:
        raise InputError(f"{path} holds no split 'selection': expected val_selection_cropped/image/*.png")
    return tuple(_selected_entry(image) for image in images)


def _selected_entry(image: Path) -> Entry:
    folder = image.parent.parent
    truth = folder / "groundtruth_depth" / image.name.replace("_image_", "_groundtruth_depth_", 1)
    files = (image, truth, folder / "intrinsics" / f"{image.stem}.txt")
    info = _info(image.stem, "selection", image.stem.partition("_image_")[0])
    return Entry(info, partial(_read_selected, *files), files)


def _read_selected(image: Path, truth: Path, numbers: Path, info: SampleInfo) -> DepthSample:
    image_bgr = read_image_bgr(image)
    height, width = image_bgr.shape[:2]
    try:
        fx, _, cx, _, fy, cy = (float(value) for value in numbers.read_text().split()[:6])
    except OSError as error:
        raise InputError(f"cannot read {numbers}: {error.strerror}; unpack the selection again") from None
    except ValueError:
        raise InputError(f"{numbers} must hold the 9 numbers of a camera matrix; unpack the selection again") from None
    return DepthSample(
        **vars(info),
        image_bgr=image_bgr,
        depth_m=read_depth_png(truth, UNITS_PER_M),
        camera=Camera(fx=fx, fy=fy, cx=cx, cy=cy, width=width, height=height),
    )
