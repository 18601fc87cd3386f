"""Pictures and cameras in ROS messages."""

from __future__ import annotations

import zlib
from array import array
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.lens import UNTURNED, Lens
from edgedepth.io.ros_messages import bgr_of, bgr_of_compressed, lens_of, says_rectified

BGR = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)
GREY = np.full((2, 4), 90, np.uint8)


def message(encoding: str, picture: np.ndarray, padding: int = 0) -> SimpleNamespace:
    rows = picture.reshape(picture.shape[0], -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    data = array("B", padded.tobytes())  # what rclpy gives
    return SimpleNamespace(height=2, width=4, encoding=encoding, step=padded.shape[1], data=data)


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "picture", "expected"),
    [
        ("bgr8", BGR, BGR),
        ("8UC3", BGR, BGR),
        ("rgb8", BGR[..., ::-1], BGR),
        ("bgra8", np.dstack([BGR, np.full((2, 4), 255, np.uint8)]), BGR),
        ("rgba8", np.dstack([BGR[..., ::-1], np.full((2, 4), 255, np.uint8)]), BGR),
        ("mono8", GREY, np.dstack([GREY] * 3)),
        ("8UC1", GREY, np.dstack([GREY] * 3)),
    ],
)
def test_pictures_become_bgr(encoding: str, picture: np.ndarray, expected: np.ndarray, padding: int) -> None:
    np.testing.assert_array_equal(bgr_of(message(encoding, picture, padding)), expected)


@pytest.mark.parametrize(("encoding", "first"), [("uyvy", 1), ("yuv422", 1), ("yuyv", 0), ("yuv422_yuy2", 0)])
def test_packed_yuv_has_its_luminance_where_the_name_says(encoding: str, first: int) -> None:
    packed = np.full((2, 4, 2), 128, np.uint8)  # no colour
    packed[..., first] = 16 + 73  # of 16..235
    got = bgr_of(message(encoding, packed))
    assert got is not None
    assert got.shape == (2, 4, 3)
    assert np.abs(got.astype(int) - 85).max() <= 1  # 73 * 255 / 219


@pytest.mark.parametrize(("encoding", "red_at"), [("bayer_rggb8", (0, 0)), ("bayer_bggr8", (1, 1)),
                                                  ("bayer_gbrg8", (1, 0)), ("bayer_grbg8", (0, 1))])  # fmt: skip
def test_bayer_pictures_have_red_where_the_name_says(encoding: str, red_at: tuple[int, int]) -> None:
    mosaic = np.zeros((8, 8), np.uint8)
    mosaic[red_at[0] :: 2, red_at[1] :: 2] = 200
    picture = SimpleNamespace(height=8, width=8, encoding=encoding, step=8, data=mosaic.tobytes())
    got = bgr_of(picture)
    assert got is not None
    inner = got[2:-2, 2:-2].reshape(-1, 3).mean(axis=0)
    assert inner[2] == pytest.approx(200, abs=2)
    assert inner[:2] == pytest.approx(0, abs=2)


@pytest.mark.parametrize("change", [{"data": b""}, {"data": bytes(23)}, {"step": 11}, {"height": 0}, {"width": 0}])
def test_damaged_pictures_are_none(change: dict[str, object]) -> None:
    damaged = message("bgr8", BGR)
    vars(damaged).update(change)
    assert bgr_of(damaged) is None


def test_packed_yuv_of_an_odd_width_is_damaged() -> None:
    odd = SimpleNamespace(height=2, width=3, encoding="yuyv", step=6, data=bytes(12))
    assert bgr_of(odd) is None


def test_an_encoding_that_is_no_picture_is_refused() -> None:
    with pytest.raises(InputError, match="encoding '16UC1' are not read; known: bgr8"):
        bgr_of(message("16UC1", BGR))


def test_compressed_pictures() -> None:
    png = cv2.imencode(".png", BGR)[1].ravel()
    np.testing.assert_array_equal(bgr_of_compressed(png), BGR)
    assert bgr_of_compressed(png[:20]) is None
    assert bgr_of_compressed(png[:0]) is None
    huge = png.copy()
    huge[16:24] = np.frombuffer(np.array([60000, 60000], ">u4").tobytes(), np.uint8)
    huge[29:33] = np.frombuffer(np.array([zlib.crc32(huge[12:29].tobytes())], ">u4").tobytes(), np.uint8)
    assert bgr_of_compressed(huge) is None


def _info(**fields: object) -> SimpleNamespace:
    zeros = {"d": [0.0] * 5, "k": [500.0, 0, 320, 0, 510, 240, 0, 0, 1], "r": [1.0, 0, 0, 0, 1, 0, 0, 0, 1]}
    p = [480.0, 0, 322, 0, 0, 490, 238, 0, 0, 0, 1, 0]
    whole = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
    return SimpleNamespace(
        **{**zeros, "p": p, "width": 640, "height": 480, "distortion_model": "plumb_bob", "roi": whole, **fields}
    )


def test_camera_info() -> None:
    raw = Camera(fx=500, fy=510, cx=320, cy=240, width=640, height=480)
    rectified = Camera(fx=480, fy=490, cx=322, cy=238, width=640, height=480)
    lens = lens_of(_info(d=[-0.2, 0.1, 0, 0, 0]), rectified=False)
    assert lens == Lens(camera=raw, coefficients=(-0.2, 0.1, 0, 0, 0), projection=rectified)
    assert lens_of(_info(d=[-0.2, 0.1, 0, 0, 0]), rectified=True) == Lens(camera=rectified)
    assert lens_of(_info(k=[0.0] * 9, p=[0.0] * 12), rectified=False) is None, "nobody calibrated it"
    assert lens_of(_info(p=[0.0] * 12), rectified=True) is None


def test_camera_info_of_a_part_of_the_sensor() -> None:
    part = SimpleNamespace(x_offset=100, y_offset=60, width=320, height=240)
    lens = lens_of(_info(roi=part), rectified=True)
    assert lens is not None
    assert lens.camera == Camera(fx=480, fy=490, cx=222, cy=178, width=320, height=240)
    binned = lens.of_frames(160, 120)
    assert binned.camera == lens.camera.resized(160, 120), "binning shows in the picture's size"
    part.width = 600
    with pytest.raises(InputError, match=r"reads 600x240 from 100,60 on, but the sensor has 640x480"):
        lens_of(_info(roi=part), rectified=True)


@pytest.mark.parametrize(
    ("topic", "says"),
    [("/camera/image_rect", True), ("/rect/image", True), ("/image_rectified", True), ("/direct/image_raw", False)],
)
def test_rectified_topics_say_so(topic: str, says: bool) -> None:
    assert says_rectified(topic) == says


def test_a_driver_that_says_nothing_of_a_rotation_has_none() -> None:
    """Many leave R at its default, zeros, which would map every pixel to the same place."""
    lens = lens_of(_info(r=[0.0] * 9), rectified=False)
    assert lens is not None
    assert lens.rotation == UNTURNED
    with pytest.raises(InputError, match=r"must turn, not stretch or mirror"):
        lens_of(_info(r=[2.0, 0, 0, 0, 1, 0, 0, 0, 1]), rectified=False)
