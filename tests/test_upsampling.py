"""Guided upsampling: depth takes its edges from the frame, and nothing else."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgedepth import Camera, DepthRuntime, Route
from edgedepth.core.errors import UnknownNameError
from edgedepth.core.preprocess import Placement
from edgedepth.core.upsampling import Upsampler
from edgedepth.datasets import DepthSample
from tests.networks import routed_bundle

FRAME_WH, NETWORK_WH = (256, 192), (64, 48)


def grey(levels: NDArray[np.floating]) -> NDArray[np.uint8]:
    """A frame of these grey levels, (H, W)."""
    return np.repeat(np.clip(levels, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def upsample(depth_m: NDArray[np.floating], frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    placement = Placement.of((frame.shape[1], frame.shape[0]), (depth_m.shape[1], depth_m.shape[0]), "stretch")
    found, how = Upsampler()(depth_m.astype(np.float32), placement, frame, "guided")
    assert how == "guided"
    return found


def steps_of(edge: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of a rise from 1 m to 4 m, in its logarithm, between each pixel and the next."""
    return np.asarray(np.diff(np.log(edge)) / np.log(4), np.float32)


def test_most_of_a_soft_edge_becomes_one_step_where_the_picture_has_one() -> None:
    columns = np.arange(NETWORK_WH[0])
    soft = np.exp(np.log(4) / (1 + np.exp(-(columns - 31.5) / 2)))  # 10 to 90 % over 9 network pixels
    frame = np.full(FRAME_WH[::-1], 60.0)
    frame[:, 128:] = 200
    depth_m = np.tile(soft, (NETWORK_WH[1], 1))
    row = upsample(depth_m, grey(frame))[96]
    linear = Placement.of(FRAME_WH, NETWORK_WH, "stretch").to_frame(depth_m.astype(np.float32))[96]
    assert steps_of(linear).max() < 0.04
    assert steps_of(row).max() > 0.6
    assert np.argmax(steps_of(row)) == 127  # the step of the frame, between the pixels 127 and 128
    assert row[:90].max() < 1.1
    assert row[170:].min() > 3.6


def test_an_even_picture_adds_no_edge_and_a_floor_keeps_its_slope_to_the_border() -> None:
    rows = np.linspace(np.log(8), np.log(1.5), NETWORK_WH[1])
    floor = np.tile(np.exp(rows)[:, None], (1, NETWORK_WH[0]))
    rng = np.random.default_rng(0)
    noise = 128 + rng.normal(0, 3, FRAME_WH[::-1])
    plain = Placement.of(FRAME_WH, NETWORK_WH, "stretch").to_frame(np.log(floor).astype(np.float32))
    difference = np.abs(np.log(upsample(floor, grey(noise))) - plain)
    assert difference.max() < 0.06
    assert difference.mean() < 0.005
    assert difference[-4:].mean() < 0.015


def test_texture_on_a_wall_stays_out_of_its_depth() -> None:
    rng = np.random.default_rng(1)
    poster = cv2.resize(rng.integers(0, 255, (24, 32)).astype(np.float32), FRAME_WH, interpolation=cv2.INTER_NEAREST)
    wall = np.full(NETWORK_WH[::-1], 2.5)
    np.testing.assert_allclose(upsample(wall, grey(poster)), 2.5, rtol=1e-5)


def test_specks_take_no_depth_that_is_not_around_them() -> None:
    """Dead pixels and highlights beside a faint edge, in a frame much finer than the network's."""
    levels = np.full((960, 1280), 100.0)
    levels[:, 640:] = 110
    levels[::37, ::37], levels[10::37, 5::37] = 255, 0
    depth_m = np.full((240, 320), 0.5)
    depth_m[:, 160:] = 8.0
    found = upsample(cv2.GaussianBlur(depth_m, (9, 9), 0), grey(levels))
    assert found.min() > 0.49
    assert found.max() < 8.01


@pytest.mark.parametrize("odd", [np.nan, np.inf, 0.0, -1.0])
def test_a_map_without_a_logarithm_comes_linearly(odd: float) -> None:
    depth_m = np.full(NETWORK_WH[::-1], 2.0, np.float32)
    depth_m[10, 10] = odd
    placement = Placement.of(FRAME_WH, NETWORK_WH, "stretch")
    frame = grey(np.full(FRAME_WH[::-1], 90.0))
    found, how = Upsampler()(depth_m, placement, frame, "guided")
    assert how == "linear"
    np.testing.assert_array_equal(found, placement.to_frame(depth_m))
    depth_m[10, 10] = 1e-6
    assert Upsampler()(depth_m, placement, frame, "guided")[1] == "guided"


@pytest.mark.parametrize("frame_wh", [(300, 101), (101, 300), (40, 31)])
def test_frames_of_any_shape_reuse_what_is_given(frame_wh: tuple[int, int]) -> None:
    placement = Placement.of(frame_wh, NETWORK_WH, "letterbox")
    depth_m = np.full(NETWORK_WH[::-1], 9.0, np.float32)  # of the bars
    depth_m[placement.content] = 3.0
    out = np.empty(frame_wh[::-1], np.float32)
    upsampler = Upsampler()
    frame = grey(np.random.default_rng(2).integers(0, 255, frame_wh[::-1]).astype(float))
    for _ in range(2):
        assert upsampler(depth_m, placement, frame, "guided", out)[0] is out
        np.testing.assert_allclose(out, 3.0, rtol=1e-5)


def test_the_bundle_says_how_and_the_caller_may_say_otherwise(tmp_path: Path) -> None:
    bundle = routed_bundle(tmp_path / "bundle")
    frame = grey(np.tile(np.repeat([40.0, 210.0], 80), (120, 1)))
    found = {}
    for how in (None, "linear", "guided"):
        with DepthRuntime.load(bundle, upsampling=how) as depth:
            assert depth.upsampling(Route.LOW) == (how or "linear")
            found[how] = depth(frame, route="low").raw_depth_m
            black = depth(np.zeros_like(frame), route="low")  # 0 m has no logarithm
            assert black.upsampling == "linear"
            assert not black.raw_depth_m.any()
    np.testing.assert_array_equal(found[None], found["linear"])
    assert np.abs(found["guided"] - found["linear"]).max() > 0.01
    with pytest.raises(UnknownNameError, match="known: linear, guided"):
        DepthRuntime.load(bundle, upsampling="cubic")  # type: ignore[arg-type]
    with DepthRuntime.load() as depth:
        assert depth.upsampling(Route.LOW) == depth.upsampling(Route.HIGH) == "guided"


@pytest.mark.parametrize("route", list(Route))
def test_a_checkpoint_comes_to_the_frames_size_as_its_bundle_does(route: Route) -> None:
    pytest.importorskip("torch", reason="checkpoints need PyTorch: pip install 'edgedepth[train]'")
    from edgedepth.trainers.checkpoint import shipped_checkpoint
    from edgedepth.trainers.predictor import predictor_of

    frame = grey(cv2.resize(np.random.default_rng(3).integers(0, 255, (6, 8)).astype(np.float32), (640, 480)))
    camera = Camera(fx=500.0, fy=500.0, cx=319.5, cy=239.5, width=640, height=480)
    with DepthRuntime.load(threads=1) as depth:
        theirs = depth(frame, camera=camera, route=route).raw_depth_m
    sample = DepthSample(id="0", image_bgr=frame, depth_m=np.full(theirs.shape, np.nan, np.float32), camera=camera)
    ours = predictor_of(shipped_checkpoint(f"edge-{route}"))(sample).depth_m
    np.testing.assert_allclose(ours, theirs, rtol=2e-3)
