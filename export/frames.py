"""Frames that put a network through its paces without any data: used for parity, and as golden frames.

The scenes are rendered by the project's own world (`scripts/make_golden.py`) and shipped with the package.
"""

from __future__ import annotations

from importlib import resources

import cv2
import numpy as np

from edgedepth.core.preprocess import BgrFrame
from edgedepth.core.routing import Route


def scene_frames(route: Route) -> list[BgrFrame]:
    """Three (H, W, 3) uint8 rendered scenes that reach from one end of a route's range to the other."""
    folder = resources.files("edgedepth.assets") / "golden"
    files = sorted((file for file in folder.iterdir() if file.name.startswith(f"{route}-")), key=lambda file: file.name)
    return [np.asarray(cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), 1), np.uint8) for file in files]


def probe_frames(input_wh: tuple[int, int], *, seed: int = 0) -> list[BgrFrame]:
    """Six (H, W, 3) uint8 frames: black, white, noise, ramps, saturated blocks and a cluttered scene."""
    width, height = input_wh
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return [
        np.zeros((height, width, 3), np.uint8),
        np.full((height, width, 3), 255, np.uint8),
        noise,
        _ramps(width, height),
        np.where(noise[:: max(1, height // 6), :: max(1, width // 8)] > 127, 255, 0)
        .astype(np.uint8)
        .repeat(max(1, height // 6), axis=0)
        .repeat(max(1, width // 8), axis=1)[:height, :width],
        _clutter(width, height, rng),
    ]


def _ramps(width: int, height: int) -> BgrFrame:
    x, y = np.linspace(0, 255, width), np.linspace(0, 255, height)
    across, down = np.broadcast_to(x, (height, width)), np.broadcast_to(y[:, None], (height, width))
    return np.stack([across, down, 255 - across], axis=-1).astype(np.uint8)


def _clutter(width: int, height: int, rng: np.random.Generator) -> BgrFrame:
    """Blurred ground and sky with boxes of all sizes in front, as a scene's edges and textures would have it."""
    image = _ramps(width, height)[..., ::-1].copy()
    for _ in range(40):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        w, h = int(rng.integers(2, 2 + width // 4)), int(rng.integers(2, 2 + height // 3))
        cv2.rectangle(image, (x, y), (x + w, y + h), rng.integers(0, 256, 3).tolist(), -1)
    blurred = cv2.GaussianBlur(image, (3, 3), 0).astype(np.int16)
    grain = rng.normal(0, 6, image.shape)
    noisy: BgrFrame = np.clip(blurred + grain, 0, 255).astype(np.uint8)
    return noisy
