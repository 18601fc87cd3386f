"""Camera intrinsics and placements: known points stay where they are through every resize policy."""

from __future__ import annotations

import numpy as np
import pytest

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.preprocess import Placement, canonical_camera, focal_scale, placement_for
from edgedepth.core.spec import DepthSpec, ResizePolicy

CAMERA = Camera(fx=500.0, fy=510.0, cx=330.0, cy=250.0, width=640, height=480)


def _project(camera: Camera, point: np.ndarray) -> np.ndarray:
    return np.array([camera.fx * point[0] / point[2] + camera.cx, camera.fy * point[1] / point[2] + camera.cy])


def test_from_hfov_round_trips() -> None:
    camera = Camera.from_hfov(70.0, 641, 480)
    assert camera.hfov_deg == pytest.approx(70.0)
    assert (camera.cx, camera.cy) == (320.0, 239.5)


def test_rays_hit_the_pixels_they_came_from() -> None:
    rays = CAMERA.rays()
    assert rays.shape == (480, 640, 3)
    assert _project(CAMERA, rays[100, 37]) == pytest.approx([37, 100], abs=1e-3)


def test_resizing_maps_pixel_centres_as_bilinear_sampling_does() -> None:
    half = CAMERA.resized(320, 240)
    point = np.array([0.3, -0.2, 2.0])
    u, v = _project(CAMERA, point)
    assert _project(half, point) == pytest.approx([(u + 0.5) / 2 - 0.5, (v + 0.5) / 2 - 0.5])


@pytest.mark.parametrize("bad", [{"fx": 0.0}, {"fy": -1.0}, {"cx": float("nan")}, {"width": 0}])
def test_camera_refuses(bad: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Camera(**{"fx": 1.0, "fy": 1.0, "cx": 0.0, "cy": 0.0, "width": 4, "height": 4, **bad})


PLACEMENTS: list[tuple[tuple[int, int], tuple[int, int], ResizePolicy, tuple[int, int, int, int]]] = [
    # frame, input, policy, (content w, content h, x, y)
    ((640, 480), (320, 240), "letterbox", (320, 240, 0, 0)),
    ((1242, 375), (448, 256), "letterbox", (448, 135, 0, 60)),
    ((480, 640), (320, 240), "letterbox", (180, 240, 70, 0)),
    ((1242, 375), (448, 256), "stretch", (448, 256, 0, 0)),
    ((1242, 375), (1248, 384), "pad", (1242, 375, 0, 0)),
    ((1, 1), (320, 240), "letterbox", (240, 240, 40, 0)),
    ((4000, 1), (320, 240), "letterbox", (320, 1, 0, 119)),
]


@pytest.mark.parametrize(("frame", "size", "policy", "expected"), PLACEMENTS)
def test_placement(
    frame: tuple[int, int], size: tuple[int, int], policy: ResizePolicy, expected: tuple[int, int, int, int]
) -> None:
    placement = Placement.of(frame, size, policy)
    assert (*placement.content_wh, placement.x, placement.y) == expected


def test_pad_refuses_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="larger than the padded input"):
        Placement.of((1300, 375), (1248, 384), "pad")


@pytest.mark.parametrize("policy", ["letterbox", "stretch", "pad"])
def test_a_bright_pixel_block_lands_where_the_camera_says(policy: ResizePolicy) -> None:
    frame = np.zeros((90, 160, 3), np.uint8)
    frame[40:44, 100:104] = 255  # centre at (101.5, 41.5)
    size = (320, 240)
    placement = Placement.of((160, 90), size, policy)
    shown = placement.to_input(frame)
    assert shown.shape == (240, 320, 3)
    rows, columns = np.nonzero(shown[..., 0] > 127)
    camera = Camera(fx=100, fy=100, cx=80, cy=45, width=160, height=90)
    point = np.array([(101.5 - 80) / 100, (41.5 - 45) / 100, 1.0])
    assert _project(placement.camera_at_input(camera), point) == pytest.approx([columns.mean(), rows.mean()], abs=0.51)


def test_padding_is_black_and_is_cleared_on_reuse() -> None:
    placement = Placement.of((100, 50), (64, 64), "letterbox")
    out = np.full((64, 64, 3), 9, np.uint8)
    placement.to_input(np.full((50, 100, 3), 200, np.uint8), out=out)
    rows, columns = placement.content
    assert (out[rows, columns] == 200).all()
    assert out.sum() == 200 * 3 * 64 * 32


@pytest.mark.parametrize("policy", ["letterbox", "stretch", "pad"])
def test_depth_returns_to_the_frame(policy: ResizePolicy) -> None:
    placement = Placement.of((100, 60), (128, 96), policy)
    depth = np.full((96, 128), np.nan, np.float32)  # padding must not leak in
    depth[placement.content] = 3.0
    out = np.empty((60, 100), np.float32)
    assert placement.to_frame(depth, out=out) is out
    assert (out == 3.0).all()


def test_labels_keep_their_values() -> None:
    labels = np.arange(100 * 60, dtype=np.uint16).reshape(60, 100)
    placement = Placement.of((100, 60), (50, 40), "letterbox")
    small = placement.labels_to_input(labels, fill=65535)
    rows, columns = placement.content
    assert (small[rows, columns] == labels[1::2, 1::2]).all()
    assert (small[: rows.start] == 65535).all()


SPEC = DepthSpec(input_wh=(320, 240), min_m=0.3, max_m=10, f_canonical_px=260)


def test_focal_scale_is_the_ratio_at_network_size() -> None:
    placement = placement_for((640, 480), SPEC)
    camera = Camera(fx=520, fy=520, cx=319.5, cy=239.5, width=640, height=480)
    assert focal_scale(camera, placement, SPEC) == pytest.approx(1.0)
    tele = Camera(fx=1040, fy=1040, cx=319.5, cy=239.5, width=640, height=480)
    assert focal_scale(tele, placement, SPEC) == pytest.approx(2.0)
    assert focal_scale(None, placement, SPEC) == 1.0


@pytest.mark.parametrize("frame_wh", [(640, 480), (333, 777), (1000, 100)])
@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_depth_for_the_canonical_camera_needs_no_scaling(frame_wh: tuple[int, int], resize: ResizePolicy) -> None:
    spec = SPEC.model_copy(update={"resize": resize})
    placement = placement_for(frame_wh, spec)
    camera = canonical_camera(placement, spec)
    assert (camera.width, camera.height) == frame_wh
    assert focal_scale(camera, placement, spec) == pytest.approx(1.0)


def test_camera_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="camera is for 640x480"):
        focal_scale(CAMERA, placement_for((320, 240), SPEC), SPEC)
