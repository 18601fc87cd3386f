"""The focal length that phones and cameras write into their JPEG files: EXIF, CIPA DC-008."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path

from edgedepth.core.camera import Camera, same_shape

_FILM_DIAGONAL_MM = math.hypot(36, 24)  # 35 mm equivalence is by the diagonal: CIPA DCG-001
_UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0}  # of FocalPlaneResolutionUnit
# Lenses there are, in diagonals of the picture: 10 to 870 mm on film. What lies outside is a mistake of the writer.
_PLAUSIBLE = (0.23, 20.0)
_EXIF_IFD = 0x8769
_FOCAL_MM, _WIDTH, _HEIGHT, _X_PER_UNIT, _UNIT, _FILM_MM = 0x920A, 0xA002, 0xA003, 0xA20E, 0xA210, 0xA405
_HEAD_BYTES = 1 << 18  # the segment has at most 64 KiB, and few stand before it
# How values of a type lie in the file: 16 and 32 bits without sign, and a quotient of the latter.
_TYPES = {3: "H", 4: "I", 5: "II"}


def exif_camera(photo: Path, width: int, height: int) -> Camera | None:
    """The camera of a photo of `width` x `height` pixels, from the EXIF data of its JPEG file; None if they tell none.

    It is centred and has square pixels, so a photo that was turned upright has the same. None, too, where the photo has
    another shape than its camera wrote: a part of it has been cut out, nobody knows where.
    """
    tags = _tags(photo)
    written_wh = sorted((tags.get(_WIDTH, 0.0), tags.get(_HEIGHT, 0.0)))
    if written_wh[0] and not same_shape((min(width, height), max(width, height)), (written_wh[0], written_wh[1])):
        return None
    diagonal_px = math.hypot(width, height)
    f_px = tags.get(_FILM_MM, 0.0) / _FILM_DIAGONAL_MM * diagonal_px
    if not f_px:
        unit_mm = _UNIT_MM.get(int(tags.get(_UNIT, 2)), math.inf)
        resized = diagonal_px / math.hypot(*written_wh) if written_wh[0] else 1.0
        f_px = tags.get(_FOCAL_MM, 0.0) * tags.get(_X_PER_UNIT, 0.0) / unit_mm * resized
    if not _PLAUSIBLE[0] <= f_px / diagonal_px <= _PLAUSIBLE[1]:
        return None
    return Camera.centred(f_px, width, height)


def _tags(photo: Path) -> dict[int, float]:
    """The numbers of a JPEG file's EXIF data by tag, up to where they are damaged."""
    tags: dict[int, float] = {}
    try:
        with photo.open("rb") as file:
            tiff = _tiff(file.read(_HEAD_BYTES))
        order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
        if order is None:
            return tags
        (first,) = struct.unpack_from(order + "I", tiff, 4)
        tags.update(_directory(tiff, first, order))
        if _EXIF_IFD in tags:
            tags.update(_directory(tiff, int(tags[_EXIF_IFD]), order))
    except (OSError, struct.error):  # the latter: an offset or a length that points behind the end
        pass
    return tags


def _tiff(jpeg: bytes) -> bytes:
    """What stands in the EXIF segment of a JPEG file, empty if it has none."""
    at = 2
    while jpeg[:2] == b"\xff\xd8" and jpeg[at : at + 1] == b"\xff":
        marker, length = struct.unpack_from(">BH", jpeg, at + 1)
        if marker == 0xE1 and jpeg[at + 4 : at + 10] == b"Exif\0\0":
            return jpeg[at + 10 : at + 2 + length]
        if marker == 0xDA:  # pixels follow
            break
        at += 2 + length
    return b""


def _directory(tiff: bytes, at: int, order: str) -> Iterator[tuple[int, float]]:
    """The tags of one directory that hold a single number."""
    (entries,) = struct.unpack_from(order + "H", tiff, at)
    for entry in range(at + 2, at + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(order + "HHI", tiff, entry)
        if kind not in _TYPES or count != 1:
            continue
        where = entry + 8
        if kind == 5:
            (where,) = struct.unpack_from(order + "I", tiff, where)
        value, *divisor = struct.unpack_from(order + _TYPES[kind], tiff, where)
        if divisor != [0]:
            yield tag, value / (divisor or [1])[0]
