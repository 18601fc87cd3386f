"""PNG files with text in them: OpenCV encodes the pixels, the text chunks are put in here."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import OutputError

_HEADER_END = 8 + 25  # the signature; IHDR: length, type, 13 bytes, check sum


def png_bytes(image: NDArray[np.uint8] | NDArray[np.uint16], text: Mapping[str, str] | None = None) -> bytes:
    """A PNG file of an (H, W) or (H, W, 3) BGR image of 8 or 16 bits, with one tEXt chunk per entry of `text`.

    Compression is the fastest: at camera rate time is dearer than bytes.

    Raises:
        OutputError: OpenCV cannot encode the image (larger than PNG allows).
    """
    ok, encoded = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not ok:
        raise OutputError(f"cannot encode an image of shape {image.shape} as PNG")
    data = encoded.tobytes()
    chunks = b"".join(_text_chunk(key, value) for key, value in (text or {}).items())
    return data[:_HEADER_END] + chunks + data[_HEADER_END:]


def _text_chunk(key: str, value: str) -> bytes:
    """PNG specification, section 11.3.3.2: keyword, a zero byte, text; all Latin-1."""
    body = b"tEXt" + key.encode("latin-1") + b"\0" + value.encode("latin-1")
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
