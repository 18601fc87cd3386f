"""Focal lengths of phone photos from EXIF data, and data that are damaged."""

from __future__ import annotations

import math
import random
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgedepth.core.camera import Camera
from edgedepth.io import open_source
from edgedepth.io.exif import exif_camera

ORIENTATION, EXIF_IFD = 0x0112, 0x8769
FOCAL_MM, WIDTH, HEIGHT, X_PER_UNIT, UNIT, FILM_MM = 0x920A, 0xA002, 0xA003, 0xA20E, 0xA210, 0xA405
SHORT, LONG, RATIONAL = 3, 4, 5
Tags = dict[int, tuple[int, int | tuple[int, int]]]


def tiff(exif: Tags, first: Tags | None = None, order: str = "<") -> bytes:
    """A TIFF header with two directories, the second behind the first's pointer, quotients at the end."""
    first = {**(first or {}), EXIF_IFD: (LONG, 8 + 2 + 12 * (len(first or {}) + 1) + 4)}
    offset = 8 + sum(2 + 12 * len(tags) + 4 for tags in (first, exif))
    directories = quotients = b""
    for tags in (first, exif):
        directories += struct.pack(order + "H", len(tags))
        for tag, (kind, value) in tags.items():
            directories += struct.pack(order + "HHI", tag, kind, 1)
            if isinstance(value, tuple):
                directories += struct.pack(order + "I", offset + len(quotients))
                quotients += struct.pack(order + "II", *value)
            else:
                directories += struct.pack(order + ("Hxx" if kind == SHORT else "I"), value)
        directories += bytes(4)
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8) + directories + quotients


def photo(path: Path, wh: tuple[int, int], data: bytes | None) -> Path:
    """A JPEG file of that size; its EXIF segment stands behind JFIF's, as some programs write it."""
    jpeg = cv2.imencode(".jpg", np.full((wh[1], wh[0], 3), 102, np.uint8))[1].tobytes()
    jfif = 2 + 2 + struct.unpack(">H", jpeg[4:6])[0]
    body = b"" if data is None else b"Exif\0\0" + data
    segment = b"" if data is None else b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(jpeg[:jfif] + segment + jpeg[jfif:])
    return path


def f_px(path: Path, wh: tuple[int, int], data: bytes | None) -> float | None:
    camera = exif_camera(photo(path, wh, data), *wh)
    return None if camera is None else camera.f_px


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_equivalent_on_film_is_of_the_diagonal(tmp_path: Path, order: str) -> None:
    camera = exif_camera(photo(tmp_path / "a.jpg", (400, 300), tiff({FILM_MM: (SHORT, 26)}, order=order)), 400, 300)
    # 500 px of diagonal are 43.2666 mm of film
    expected = 26 / 43.26661530556787 * 500
    assert expected == pytest.approx(300.46, abs=0.01)
    assert camera == Camera(fx=expected, fy=expected, cx=199.5, cy=149.5, width=400, height=300)


@pytest.mark.parametrize(("unit", "per_unit"), [(2, 25400), (3, 10000), (4, 1000), (None, 25400)])
def test_a_focal_length_in_pixels_of_the_sensor(tmp_path: Path, unit: int | None, per_unit: int) -> None:
    """4.25 mm at 1000 pixels per mm are 4250 px of a 4000x3000 picture, a tenth of that of a small copy."""
    tags: Tags = {FOCAL_MM: (RATIONAL, (425, 100)), X_PER_UNIT: (RATIONAL, (per_unit, 1)), FILM_MM: (SHORT, 0)}
    if unit is not None:
        tags[UNIT] = (SHORT, unit)
    small = {**tags, WIDTH: (LONG, 4000), HEIGHT: (SHORT, 3000)}
    assert f_px(tmp_path / "small.jpg", (400, 300), tiff(small)) == pytest.approx(425)
    tags[X_PER_UNIT] = (RATIONAL, (per_unit, 10))
    assert f_px(tmp_path / "own.jpg", (400, 300), tiff(tags)) == pytest.approx(425)


def test_a_photo_that_was_turned_upright(tmp_path: Path) -> None:
    data = tiff({FILM_MM: (SHORT, 26), WIDTH: (LONG, 4000), HEIGHT: (LONG, 3000)}, {ORIENTATION: (SHORT, 6)}, order=">")
    with open_source(photo(tmp_path / "a.jpg", (400, 300), data)) as source:
        (frame,) = source
    assert frame.image_bgr.shape == (400, 300, 3)
    f = 26 / math.hypot(36, 24) * 500
    assert frame.camera == Camera(fx=f, fy=f, cx=149.5, cy=199.5, width=300, height=400)
    assert frame.camera_source == "exif"


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {FOCAL_MM: (RATIONAL, (425, 100))},  # of a sensor of unknown size
        {FILM_MM: (SHORT, 0)},  # unknown, as the standard has it
        {FILM_MM: (SHORT, 2)},
        {FILM_MM: (SHORT, 60000)},
        {FILM_MM: (RATIONAL, (26, 0))},
        {FILM_MM: (SHORT, 26), WIDTH: (LONG, 4000), HEIGHT: (LONG, 4000)},  # a part was cut out of it
        {FOCAL_MM: (RATIONAL, (425, 100)), X_PER_UNIT: (RATIONAL, (25400, 1)), UNIT: (SHORT, 1)},  # no unit
    ],
)
def test_a_photo_that_tells_nothing_sound_has_no_camera(tmp_path: Path, tags: Tags) -> None:
    assert f_px(tmp_path / "a.jpg", (400, 300), tiff(tags)) is None


def test_files_without_exif_have_no_camera(tmp_path: Path) -> None:
    assert f_px(tmp_path / "a.jpg", (40, 30), None) is None
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((30, 40, 3), np.uint8))
    assert exif_camera(tmp_path / "a.png", 40, 30) is None
    assert exif_camera(tmp_path / "none.jpg", 40, 30) is None


def test_damaged_data_never_raise(tmp_path: Path) -> None:
    tags: Tags = {FILM_MM: (SHORT, 26), FOCAL_MM: (RATIONAL, (425, 100)), WIDTH: (LONG, 400), HEIGHT: (LONG, 300)}
    good = photo(tmp_path / "good.jpg", (400, 300), tiff(tags)).read_bytes()
    assert exif_camera(tmp_path / "good.jpg", 400, 300) is not None
    path, chance = tmp_path / "bad.jpg", random.Random(0)
    for _ in range(400):
        bad = bytearray(good[: chance.randrange(len(good))] if chance.random() < 0.3 else good)
        for _ in range(chance.randrange(8)):
            if bad:
                bad[chance.randrange(min(len(bad), 160))] = chance.randrange(256)
        path.write_bytes(bad)
        camera = exif_camera(path, 400, 300)
        assert camera is None or 100 < camera.f_px < 10_000


def test_photos_of_a_folder_have_cameras_of_their_own(tmp_path: Path) -> None:
    photo(tmp_path / "1.jpg", (400, 300), tiff({FILM_MM: (SHORT, 26)}))
    photo(tmp_path / "2.jpg", (800, 600), tiff({FILM_MM: (SHORT, 52)}))
    photo(tmp_path / "3.jpg", (400, 300), None)
    with open_source(tmp_path) as source:
        cameras = [frame.camera for frame in source]
    assert [None if camera is None else round(camera.f_px, 1) for camera in cameras] == [300.5, 1201.9, None]
