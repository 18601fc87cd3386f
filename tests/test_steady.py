"""Depth over time: rest is averaged, motion is not, a change of route forgets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgedepth.core.errors import InputError
from edgedepth.core.preprocess import Placement
from edgedepth.core.routing import Route
from edgedepth.engines.session import TensorInfo
from edgedepth.runtime.depth_runtime import DepthRuntime
from edgedepth.runtime.network import FrameNetwork
from edgedepth.runtime.steady import Steadier
from tests.networks import routed_bundle

WH = (64, 48)
STILL = np.random.default_rng(1).integers(0, 256, (WH[1], WH[0], 3), np.uint8)


def flat(depth_m: float) -> np.ndarray:
    return np.full((WH[1], WH[0]), depth_m, np.float32)


def test_rest_is_averaged_with_the_weight_of_the_past() -> None:
    steadier = Steadier(0.75)
    assert steadier(STILL, flat(2.0), Route.LOW)[0, 0] == 2.0
    assert steadier(STILL, flat(4.0), Route.LOW)[5, 5] == pytest.approx(0.75 * 2.0 + 0.25 * 4.0)


def test_noise_of_the_answer_falls_as_averaging_says() -> None:
    rng = np.random.default_rng(0)
    steadier = Steadier(0.8)
    answers = [
        steadier(STILL, (3.0 + 0.1 * rng.standard_normal((WH[1], WH[0]))).astype(np.float32), Route.LOW)
        for _ in range(60)
    ]
    noise = float(np.std(answers[30::10]))  # ten frames apart hardly anything is shared
    assert noise == pytest.approx(0.1 * np.sqrt((1 - 0.8) / (1 + 0.8)), rel=0.15)  # of an exponential average


def test_what_moves_is_not_held_back() -> None:
    steadier = Steadier(0.9)
    steadier(STILL, flat(5.0), Route.LOW)
    moved = STILL.copy()
    moved[10:40, 10:40] = 255  # somebody steps in
    depth = flat(5.0)
    depth[10:40, 10:40] = 2.0
    answer = steadier(moved, depth, Route.LOW)
    assert np.allclose(answer[15:35, 15:35], 2.0)
    assert np.allclose(answer[:5], 5.0)


def test_a_change_of_route_or_size_forgets() -> None:
    steadier = Steadier(0.9)
    steadier(STILL, flat(5.0), Route.LOW)
    assert steadier(STILL, flat(30.0), Route.HIGH)[0, 0] == 30.0
    assert steadier(STILL[:24], flat(20.0)[:24], Route.HIGH)[0, 0] == 20.0


def test_unknown_depth_neither_spreads_nor_stays() -> None:
    steadier = Steadier(0.9)
    hole = flat(5.0)
    hole[3, 3] = np.nan
    assert np.isnan(steadier(STILL, hole, Route.LOW)[3, 3])
    assert steadier(STILL, flat(4.0), Route.LOW)[3, 3] == 4.0


def test_share_is_a_share() -> None:
    with pytest.raises(InputError, match=r"lies in \[0, 1\), but got 1"):
        Steadier(1.0)


def test_streams_are_steadied_and_photos_are_not(tmp_path: Path) -> None:
    frames = [np.full((48, 64, 3), level, np.uint8) for level in (100, 102, 100, 102, 100, 102)]
    with DepthRuntime.load(routed_bundle(tmp_path / "b"), backend="onnxruntime", threads=1) as depth:
        loose = [float(result.raw_depth_m.mean()) for result in depth.stream(frames, route=Route.LOW)]
        firm = [float(result.raw_depth_m.mean()) for result in depth.stream(frames, route=Route.LOW, steady=0.9)]
    assert np.std(loose) > 0
    assert np.std(firm[3:]) < 0.7 * np.std(loose[3:])
    assert firm[0] == pytest.approx(loose[0])


def test_the_picture_is_compared_where_the_depth_is(tmp_path: Path) -> None:
    """A frame that the device letterboxes is steadied as one that is letterboxed here."""
    frame = np.zeros((48, 128, 3), np.uint8)
    frame[:, 64:] = 255
    placement = Placement.of((128, 48), WH, "letterbox")

    class Resizes:
        """A session that takes frames of 128x48 and resizes them itself."""

        inputs = (TensorInfo(name="frame", shape=(1, 48, 128, 3), dtype=np.dtype(np.uint8)),)

    network = FrameNetwork(Resizes(), WH, "letterbox")  # type: ignore[arg-type]
    assert network.load(frame) == placement
    assert np.array_equal(network.seen_bgr(), placement.to_input(frame))
    assert network.seen_bgr().shape == (WH[1], WH[0], 3)
