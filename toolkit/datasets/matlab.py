"""Numeric arrays out of a MATLAB 5 file, so that a data set's list of indices needs no further package.

Only what `splits.mat` of NYU Depth v2 holds is read: real numeric matrices, compressed or not. (The labelled
NYU file itself is a version 7.3 file, which is HDF5.) Source: "MAT-File Format", The MathWorks, level 5.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}


def read_arrays(path: Path) -> dict[str, NDArray[np.float64]]:
    """The numeric matrices of a MATLAB 5 file by name, as float64.

    Raises:
        InputError: the file is missing, of another version, or damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    if len(data) < _HEADER_BYTES or not data.startswith(b"MATLAB 5.0"):
        raise InputError(f"{path} is not a MATLAB 5 file; download it again from the data set's page")
    order = "<" if data[126:128] == b"IM" else ">"
    try:
        return dict(_matrices(data[_HEADER_BYTES:], order))
    except (struct.error, zlib.error, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}); download it again from the data set's page") from None


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Type and payload of each data element."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(order + "II", data, at)
        if kind >> 16:  # the small form packs size, type and up to four bytes into eight
            kind, size, start, step = kind & 0xFFFF, kind >> 16, at + 4, 8
        else:
            # payloads are padded to eight bytes, but compressed ones are not
            start, step = at + 8, 8 + (size if kind == _COMPRESSED else -(-size // 8) * 8)
        if start + size > len(data):
            raise ValueError("an element is cut short")
        yield kind, data[start : start + size]
        at += step


def _matrices(data: bytes, order: str) -> Iterator[tuple[str, NDArray[np.float64]]]:
    for kind, payload in _elements(data, order):
        if kind == _COMPRESSED:
            yield from _matrices(zlib.decompress(payload), order)
        elif kind == _MATRIX:
            parts = list(_elements(payload, order))
            if len(parts) >= 4 and parts[3][0] in _NUMBERS:
                (_, _), (_, shape), (_, name), (number, values) = parts[:4]
                dimensions = struct.unpack(f"{order}{len(shape) // 4}i", shape)
                array = np.frombuffer(values, order + _NUMBERS[number]).astype(np.float64)
                if array.size != math.prod(dimensions):
                    raise ValueError("a matrix does not have the size it declares")
                yield name.decode("ascii", "replace"), array.reshape(dimensions, order="F")
