"""Flicker: how much depth changes from frame to frame where the picture does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth import DepthRuntime, Route
from edgedepth.core.results import DepthResult
from edgedepth.io.frames import Frame
from edgedepth.io.sources import open_source

SHARES = (0.0, 0.8)  # of the past: --steady off, and its default
_REST_LEVELS = 2.0  # grey levels by which the mean of a patch may differ and still count as at rest
_PATCH = 9
_FRAMES = 300


def resting(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(H, W) pixels around which two (H, W, 3) frames do not differ by more than noise does."""
    grey = [
        cv2.boxFilter(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), cv2.CV_32F, (_PATCH, _PATCH))
        for frame in (before, after)
    ]
    return np.abs(grey[1] - grey[0]) < _REST_LEVELS


def changes(stream: Iterable[tuple[Frame, DepthResult]]) -> Iterator[NDArray[np.float32]]:
    """|ln d_t - ln d_t-1| of the pixels at rest, for every two consecutive frames."""
    before: tuple[NDArray[np.uint8], NDArray[np.float32]] | None = None
    for frame, result in stream:
        log_depth = np.log(result.raw_depth_m)
        if before is not None:
            rest = resting(before[0], frame.image_bgr)
            yield np.abs(log_depth - before[1])[rest]
        before = frame.image_bgr.copy(), log_depth


def flicker(runtime: DepthRuntime, video: Path, route: Route) -> Iterator[str]:
    """Markdown: percentiles of the change of depth at rest over the first frames of a video, per share of the past."""
    yield "| source | `--steady` | frames | pixels at rest | median change | 95 % of changes below | 99 % below |"
    yield "|---|---|---:|---:|---:|---:|---:|"
    for share in SHARES:
        with open_source(str(video)) as source:
            stream = islice(runtime.stream_frames(source, route=route, steady=share), _FRAMES)
            found = list(changes(stream))
        values = 100 * np.expm1(np.concatenate(found))
        pixels = found[0].size and values.size / len(found)
        middle, most, nearly_all = np.percentile(values, (50, 95, 99))
        yield (
            f"| {video.name} | {share or 'off'} | {len(found) + 1} | {pixels:,.0f} a frame | {middle:.2f} %"
            f" | {most:.2f} % | {nearly_all:.2f} % |"
        )
