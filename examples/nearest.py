"""How far is what stands nearest before the camera? One line for every frame of a video, a camera or a stream.

    python examples/nearest.py examples/walk.mp4

The nearest hundredth of the middle of the picture counts, so that single wrong pixels do not.
"""

from __future__ import annotations

import sys

import numpy as np

import edgedepth

SHARE = 0.01


def nearest_m(result: edgedepth.DepthResult) -> float:
    """Metres to the nearest thing in the middle of the picture; infinity where all of it is beyond range."""
    height, width = result.depth_m.shape
    middle = np.s_[height // 4 : 3 * height // 4, width // 3 : 2 * width // 3]
    depth_m = np.where(result.valid[middle] == edgedepth.PixelState.BEYOND, np.inf, result.depth_m[middle])
    known = np.sort(depth_m[~np.isnan(depth_m)])
    return float(known[int(SHARE * len(known))]) if len(known) else float("nan")


def main(source: str) -> None:
    """Print frame, route and distance."""
    with edgedepth.DepthRuntime.load() as depth:
        for result in depth.stream(source, steady=0.5):
            print(f"{result.frame_index:5d}  {result.route:4}  {nearest_m(result):6.2f} m")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "0")
