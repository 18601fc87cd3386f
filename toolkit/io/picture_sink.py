"""One picture per photo: what the video sink shows, for sources without an order."""

from __future__ import annotations

from edgedepth.core.results import DepthResult
from edgedepth.io.frames import Frame
from edgedepth.io.png import png_bytes
from edgedepth.io.sink import FilePerFrame, SinkOptions
from edgedepth.io.view import SideBySide


class PictureSink(FilePerFrame):
    """Writes `<name>_depth.png`: the photo beside its coloured depth and the metric colour bar."""

    kind = "pictures"
    suffix = "_depth.png"

    def __init__(self, options: SinkOptions) -> None:
        super().__init__(options)
        self._colours = options.colours

    def encode(self, frame: Frame, result: DepthResult) -> bytes:
        """The picture as 8-bit PNG; every photo at its own size."""
        return png_bytes(SideBySide(self._colours)(frame.image_bgr, result))
