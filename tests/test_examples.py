"""The example program that the README names."""

from __future__ import annotations

import re
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest

from edgedepth.core.camera import Camera
from edgedepth.core.results import DepthResult, PixelState
from edgedepth.core.routing import Route
from tests.conftest import REPOSITORY, module_from

NEAREST = REPOSITORY / "examples" / "nearest.py"


@pytest.fixture(scope="module")
def nearest() -> ModuleType:
    return module_from(NEAREST)


def result_of(depth_m: np.ndarray, valid: np.ndarray) -> DepthResult:
    return DepthResult(
        depth_m=depth_m, valid=valid, raw_depth_m=depth_m, route=Route.HIGH, score=1.0,
        camera=Camera.from_hfov(60, depth_m.shape[1], depth_m.shape[0]), camera_given=False,
    )  # fmt: skip


def test_the_nearest_thing_is_that_of_the_middle(nearest: ModuleType) -> None:
    depth_m = np.full((40, 60), 20.0, np.float32)
    depth_m[15:25, 25:30] = 5.0
    depth_m[20, 30] = 1.0  # a single wrong pixel
    depth_m[:, :10] = 2.0  # at the side
    valid = np.full(depth_m.shape, PixelState.MEASURED, np.uint8)
    assert nearest.nearest_m(result_of(depth_m, valid)) == 5.0
    valid[...], depth_m[...] = PixelState.BEYOND, np.nan
    assert np.isposinf(nearest.nearest_m(result_of(depth_m, valid)))
    valid[...] = PixelState.UNKNOWN
    assert np.isnan(nearest.nearest_m(result_of(depth_m, valid)))


def test_the_program_prints_a_line_for_every_frame() -> None:
    done = subprocess.run(
        [sys.executable, NEAREST, REPOSITORY / "examples" / "walk.mp4"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 144
    assert all(re.fullmatch(r" *\d+  (low |high)  +\d+\.\d\d m", line) for line in lines), lines
    assert lines[0].split()[1] == "low", "it begins in a room"
    assert {line.split()[1] for line in lines} == {"low", "high"}, "and goes out into the street"
