"""Makes `docs/images/walk.jpg`, the picture of the README: frames of the sample clip beside their depth.

python scripts/make_picture.py
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edgedepth import DepthRuntime
from edgedepth.core.colour_range import StreamColours
from edgedepth.io.sources import open_source
from edgedepth.io.view import SideBySide

EXAMPLES = Path(__file__).parents[1] / "examples"
FRAMES = (12, 72, 90, 140)  # in the room, at the door, outside, down the street


def main() -> None:
    """Run the clip and paste the chosen frames together."""
    with DepthRuntime.load() as depth, open_source(EXAMPLES / "walk.mp4") as clip:
        view = SideBySide(StreamColours("turbo"))
        shown = [
            view(frame.image_bgr, result).copy() for frame, result in depth.stream_frames(clip) if frame.index in FRAMES
        ]
    rows = [np.hstack(shown[i : i + 2]) for i in range(0, len(shown), 2)]
    out = EXAMPLES.parent / "docs" / "images" / "walk.jpg"
    out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(out)


if __name__ == "__main__":
    main()
