"""Photos: one file, a folder, a glob or a list of them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError
from edgedepth.io.exif import exif_camera
from edgedepth.io.frames import Frame, Source
from edgedepth.io.quiet import quiet_opencv

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pnm")


class ImageSource(Source):
    """Photos in natural order of their names (2 before 10), each independent of the others.

    A photo's camera is the one that its EXIF data tell.

    With `skip_unreadable` a file that cannot be decoded is skipped and told in `warnings`; without, it is an error.

    Raises:
        InputError: there is no photo at all, or one cannot be read and is not to be skipped.
    """

    ordered = False

    def __init__(self, paths: Sequence[Path], *, name: str, skip_unreadable: bool = True) -> None:
        if not paths:
            raise InputError(f"{name} holds no images; expected files ending in {', '.join(IMAGE_SUFFIXES)}")
        super().__init__(name, count=len(paths))
        ordered = sorted(paths, key=_natural_key)
        self.photos = dict(zip(unique_names(ordered), ordered, strict=True))
        self._skip_unreadable = skip_unreadable

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        for name, path in self.photos.items():
            try:
                image, notes = read_image(path)
            except InputError as error:
                if not self._skip_unreadable:
                    raise
                self.warnings.append(f"skipped: {error}")
                continue
            self.warnings += notes
            camera = exif_camera(path, image.shape[1], image.shape[0])
            yield Frame(index=index, image_bgr=image, time_s=None, name=name, camera=camera, camera_source="exif")
            index += 1
        if index == 0:
            raise InputError(f"none of the {len(self.photos)} images of {self.name} can be read; {self.warnings[0]}")

    def close(self) -> None:
        """Nothing stays open between photos."""


def read_image(path: Path) -> tuple[NDArray[np.uint8], list[str]]:
    """Read a photo as (H, W, 3) uint8 BGR, turned upright by its EXIF tag, and notes on what had to be changed.

    Grey becomes three equal channels, transparency is dropped, 16 bits per channel become 8.

    Raises:
        InputError: the file is missing, empty, or not an image that can be decoded.
    """
    try:
        data = np.fromfile(path, np.uint8)  # cv2.imread cannot open every unicode name on every system
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if data.size == 0:
        raise InputError(f"{path} is empty (0 bytes); copy it again")
    try:
        with quiet_opencv():
            image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error as error:
        raise InputError(f"{path} cannot be decoded as an image: {error.err}") from error
    if image is None:
        raise InputError(f"{path} cannot be decoded as an image; it is damaged or of another format")
    return _eight_bit(image, path)


def unique_names(paths: Sequence[Path]) -> list[str]:
    """One file name without suffix per path, no two alike.

    The stem where it is unique, else the path from the common folder on, with its suffix.

    >>> unique_names([Path("a/1.png"), Path("b/1.png"), Path("b/2.png")])
    ['a-1-png', 'b-1-png', '2']
    """
    stems = Counter(path.stem for path in paths)
    if all(times == 1 for times in stems.values()):
        return [path.stem for path in paths]
    absolute = [Path(os.path.abspath(path)) for path in paths]
    common = Path(os.path.commonpath([path.parent for path in absolute]))
    taken: set[str] = {stem for stem, times in stems.items() if times == 1}
    names = []
    for path, full in zip(paths, absolute, strict=True):
        name = path.stem
        if stems[path.stem] > 1:
            relative = full.relative_to(common)
            name = base = "-".join([*relative.parts[:-1], relative.stem, relative.suffix[1:]])
            repeat = 1
            while name in taken:
                repeat += 1
                name = f"{base}-{repeat}"
            taken.add(name)
        names.append(name)
    return names


def _natural_key(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key under which numbers inside a name count as numbers; the plain path breaks ties."""
    parts = re.split(r"(\d+)", str(path))
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p.lower()) for p in parts], str(path)


def _eight_bit(image: NDArray[np.generic], path: Path) -> tuple[NDArray[np.uint8], list[str]]:
    if image.dtype == np.uint8:
        return image.astype(np.uint8, copy=False), []
    if image.dtype != np.uint16:
        raise InputError(f"{path} has {image.dtype} pixels; expected 8 or 16 bits per channel: convert it")
    scaled = cv2.convertScaleAbs(image.astype(np.uint16, copy=False), alpha=1 / 257)
    note = f"{path.name}: 16 bits per channel scaled to 8 by 1/257 (brightest pixel {int(scaled.max())} of 255)"
    return scaled.astype(np.uint8, copy=False), [note]
