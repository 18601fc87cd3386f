"""The conversions of the ROS 2 example, on objects with the fields of the messages."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.results import DepthResult
from edgedepth.core.routing import Route

CONVERT = Path(__file__).parent.parent / "examples" / "ros2" / "edgedepth_ros" / "convert.py"


@pytest.fixture(scope="module")
def convert() -> ModuleType:
    spec = importlib.util.spec_from_file_location("edgedepth_ros_convert", CONVERT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _message(encoding: str, picture: np.ndarray, padding: int = 0) -> SimpleNamespace:
    rows = picture.reshape(picture.shape[0], -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return SimpleNamespace(
        height=picture.shape[0], width=picture.shape[1], encoding=encoding, step=padded.shape[1], is_bigendian=0,
        data=padded.tobytes(),
    )  # fmt: skip


BGR = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "picture", "expected"),
    [
        ("bgr8", BGR, BGR),
        ("rgb8", BGR[..., ::-1], BGR),
        ("bgra8", np.dstack([BGR, np.full((2, 3), 255, np.uint8)]), BGR),
        ("mono8", BGR[..., :1], np.repeat(BGR[..., :1], 3, axis=2)),
    ],
)
def test_pictures_become_bgr(
    convert: ModuleType, encoding: str, picture: np.ndarray, expected: np.ndarray, padding: int
) -> None:
    assert (convert.bgr_of(_message(encoding, picture, padding)) == expected).all()


def test_unknown_encoding(convert: ModuleType) -> None:
    with pytest.raises(InputError, match="'bayer_rggb8' is not one of: bgr8"):
        convert.bgr_of(_message("bayer_rggb8", BGR))


def test_camera_info(convert: ModuleType) -> None:
    info = SimpleNamespace(
        height=480, width=640, p=[500.0, 0, 320.0, 0, 0, 510.0, 240.0, 0, 0, 0, 1, 0], binning_x=0, binning_y=0
    )
    assert convert.camera_of(info) == Camera(fx=500, fy=510, cx=320, cy=240, width=640, height=480)
    info.binning_x = info.binning_y = 2
    assert convert.camera_of(info) == Camera(fx=500, fy=510, cx=320, cy=240, width=640, height=480).resized(320, 240)
    info.p = [0.0] * 12
    assert convert.camera_of(info) is None


def test_depth_follows_rep_117_and_118(convert: ModuleType) -> None:
    depth = np.array([[1.5, np.nan, np.nan]], np.float32)
    result = DepthResult(
        depth_m=depth, valid=np.array([[1, 2, 0]], np.uint8), raw_depth_m=np.array([[1.5, 80, 3]], np.float32),
        route=Route.HIGH, score=1.0, camera=Camera.from_hfov(60, 3, 1), camera_given=True,
    )  # fmt: skip
    message = SimpleNamespace()
    convert.fill_depth_image(message, result)
    assert (message.encoding, message.step, message.width, message.height) == ("32FC1", 12, 3, 1)
    values = np.frombuffer(message.data, "<f4")
    assert values[0] == 1.5
    assert np.isposinf(values[1])
    assert np.isnan(values[2])
    assert np.isnan(result.depth_m[0, 1]), "the result itself is not changed"
