"""Metric scale for the user's camera: measured, stored, applied after focal length, and undone."""

from __future__ import annotations

import json
import weakref
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgedepth import Bundle, Camera, DepthResult, DepthRuntime, Route
from edgedepth.cli import main
from edgedepth.core.errors import InputError
from edgedepth.core.manifest import MetricScale
from edgedepth.core.results import PixelState
from edgedepth.runtime.metric_scale import (
    Pairs,
    fit_scale,
    pairs_at_distance,
    pairs_at_points,
    read_points,
    store_scale,
    without_scale,
)
from tests.networks import routed_bundle

GREY = 102  # of 255: both networks are linear in brightness, and the near one answers 4 m here


def _frame(value: int = GREY) -> np.ndarray:
    return np.full((48, 64, 3), value, np.uint8)


def _ramp() -> np.ndarray:
    """Brightness, so depth, grows from left to right: 1 m to 5 m in the near network."""
    return np.broadcast_to(np.linspace(25.5, 127.5, 64)[None, :, None], (48, 64, 3)).astype(np.uint8)


def _points(folder: Path, factor: float, shift: float = 0.0, outliers: int = 0) -> Path:
    ramp = _ramp()
    rng = np.random.default_rng(0)
    rows = ["u, v, depth_m"]
    for number in range(120):
        u, v = int(rng.integers(64)), int(rng.integers(48))
        depth = ramp[v, u, 0] / 25.5 * factor + shift
        rows.append(f"{u},{v},{100.0 if number < outliers else depth}")
    path = folder / "points.csv"
    path.write_text("\n".join(rows))
    return path


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    return int(caught.value.code or 0)


def test_tape_measure_is_stored_applied_and_undone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = routed_bundle(tmp_path / "b").folder
    before = (folder / "bundle.json").read_text()
    cv2.imwrite(str(tmp_path / "wall.png"), _frame())
    assert _run("scale", str(folder), str(tmp_path / "wall.png"), "--distance", "5", "--route", "low", "--json") == 0
    told = json.loads(capsys.readouterr().out)["scale"]
    assert told["low"]["factor"] == pytest.approx(1.25, rel=0.01)
    assert told["high"] is None
    with DepthRuntime.load(folder) as depth:
        assert np.nanmedian(depth(_frame(), route=Route.LOW).depth_m) == pytest.approx(5.0, rel=0.01)
        assert np.nanmedian(depth(_frame(), route=Route.HIGH).depth_m) == pytest.approx(32.0, rel=0.01)  # as before
    # measured again, the scale is replaced and not multiplied
    assert _run("scale", str(folder), str(tmp_path / "wall.png"), "--distance", "4", "--route", "low") == 0
    with DepthRuntime.load(folder) as depth:
        assert np.nanmedian(depth(_frame(), route=Route.LOW).depth_m) == pytest.approx(4.0, rel=0.01)
    assert _run("scale", str(folder), "--undo") == 0
    assert (folder / "bundle.json").read_text() == before


def test_focal_length_comes_first(tmp_path: Path) -> None:
    bundle = routed_bundle(tmp_path / "b")
    camera = Camera(fx=104, fy=104, cx=31.5, cy=23.5, width=64, height=48)  # twice the canonical focal length
    with DepthRuntime.load(bundle) as depth:
        results = [depth(_frame(), camera=camera, route=Route.LOW)]
    scale = fit_scale(pairs_at_distance(results, 8.8), source="tape")
    assert scale.factor == pytest.approx(1.1, rel=0.01)  # 4 m * 2 * 1.1
    with DepthRuntime.load(store_scale(bundle, {Route.LOW: scale})) as depth:
        assert np.nanmedian(depth(_frame(), camera=camera, route=Route.LOW).depth_m) == pytest.approx(8.8, rel=0.01)
        assert np.nanmedian(depth(_frame(), route=Route.LOW).depth_m) == pytest.approx(4.4, rel=0.01)


def test_focal_length_is_not_counted_twice(tmp_path: Path) -> None:
    """A factor that was measured without a camera holds its focal length; with one it would be applied again."""
    folder = routed_bundle(tmp_path / "b").folder
    cv2.imwrite(str(tmp_path / "wall.png"), _frame())
    camera = Camera(fx=104, fy=104, cx=31.5, cy=23.5, width=64, height=48)
    assert _run("scale", str(folder), str(tmp_path / "wall.png"), "--distance", "8", "--route", "low") == 0
    assert Bundle.load(folder).manifest.networks[Route.LOW].scale.camera_given is False
    with DepthRuntime.load(folder) as depth:
        assert np.nanmedian(depth(_frame(), route=Route.LOW).depth_m) == pytest.approx(8.0, rel=0.01)
        with pytest.raises(InputError, match=r"was measured without intrinsics.*measure again with: edgedepth scale"):
            depth(_frame(), camera=camera, route=Route.LOW)
    with_camera = ("--camera", "104,104,31.5,23.5")
    assert (
        _run("scale", str(folder), str(tmp_path / "wall.png"), "--distance", "8", "--route", "low", *with_camera) == 0
    )
    with DepthRuntime.load(folder) as depth:
        assert np.nanmedian(depth(_frame(), camera=camera, route=Route.LOW).depth_m) == pytest.approx(8.0, rel=0.01)


@pytest.mark.parametrize(("factor", "shift", "outliers"), [(1.2, 0.0, 0), (0.9, 0.4, 0), (1.1, -0.2, 15)])
def test_sparse_depth_gives_scale_and_shift(factor: float, shift: float, outliers: int, tmp_path: Path) -> None:
    bundle = routed_bundle(tmp_path / "b")
    points = read_points(_points(tmp_path, factor, shift, outliers), None)
    with DepthRuntime.load(bundle) as depth:
        pairs = pairs_at_points(depth(_ramp(), route=Route.LOW), points)
    scale = fit_scale(pairs, shift=True, source="lidar")
    assert scale.factor == pytest.approx(factor, rel=0.03)
    assert scale.shift_m == pytest.approx(shift, abs=0.06)
    with DepthRuntime.load(store_scale(bundle, {Route.LOW: scale})) as depth:
        result = depth(_ramp(), route=Route.LOW)
    np.testing.assert_allclose(result.depth_m, _ramp()[..., 0] / 25.5 * factor + shift, atol=0.1)
    assert (result.raw_depth_m > 0).all()


def test_a_negative_shift_leaves_nothing_behind_the_camera(tmp_path: Path) -> None:
    scale = MetricScale(factor=1.0, shift_m=-3.0, source="lidar", frames=1, residual=0.0)
    with DepthRuntime.load(store_scale(routed_bundle(tmp_path / "b"), {Route.LOW: scale})) as depth:
        result = depth(_ramp(), route=Route.LOW)  # 1 m to 5 m without it
    assert result.depth_m.min() == np.float32(0.01)
    assert result.depth_m.max() == pytest.approx(2.0, abs=0.1)


def test_a_table_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text(f"u,v,depth_m\n{'1' * 200_000},1,2\n")
    with pytest.raises(InputError, match=r"long\.csv is not a table of numbers: field larger"):
        read_points(tmp_path / "long.csv", None)


def test_scale_on_the_command_line_from_a_cloud(tmp_path: Path) -> None:
    folder = routed_bundle(tmp_path / "b").folder
    cv2.imwrite(str(tmp_path / "view.png"), _ramp())
    points = str(_points(tmp_path, 1.3))
    arguments = ["scale", str(folder), str(tmp_path / "view.png"), "--sparse", points, "--route", "low"]
    assert _run(*arguments, "-o", str(tmp_path / "out")) == 0
    assert Bundle.load(folder).manifest.networks[Route.LOW].scale is None
    scale = Bundle.load(tmp_path / "out").manifest.networks[Route.LOW].scale
    assert scale is not None
    assert scale.factor == pytest.approx(1.3, rel=0.02)
    assert scale.source == "120 points"


def test_scale_and_shift_from_a_cloud_in_space(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Points in metres of the camera's frame, seen by a camera of twice the canonical focal length; then undone."""
    folder = routed_bundle(tmp_path / "b").folder
    before = (folder / "bundle.json").read_text()
    cv2.imwrite(str(tmp_path / "view.png"), _ramp())
    rows = ["x,y,z"]
    for line in _points(tmp_path, 2 * 1.1, 0.3).read_text().splitlines()[1:]:
        u, v, z = (float(value) for value in line.split(","))
        rows.append(f"{(u - 31.5) / 104 * z},{(v - 23.5) / 104 * z},{z}")
    (tmp_path / "cloud.csv").write_text("\n".join(rows))
    arguments = ["scale", str(folder), str(tmp_path / "view.png"), "--sparse", str(tmp_path / "cloud.csv"), "--route"]
    camera = ["--camera", "104,104,31.5,23.5"]
    assert _run(*arguments, "low", *camera, "--shift", "--json") == 0
    told = json.loads(capsys.readouterr().out)["scale"]["low"]
    assert told["factor"] == pytest.approx(1.1, rel=0.03)  # what is left after the focal length
    assert told["shift_m"] == pytest.approx(0.3, abs=0.1)
    assert _run("scale", str(folder), "--undo", "-o", str(tmp_path / "plain")) == 0
    assert Bundle.load(tmp_path / "plain").manifest.networks[Route.LOW].scale is None
    assert Bundle.load(folder).manifest.networks[Route.LOW].scale is not None
    assert _run("scale", str(folder), "--undo") == 0
    assert (folder / "bundle.json").read_text() == before
    assert _run(*arguments, "low", "--shift") == 1
    assert "--camera" in capsys.readouterr().err


def test_points_in_space_are_projected(tmp_path: Path) -> None:
    path = tmp_path / "cloud.csv"
    path.write_text("x,y,z,intensity\n1,0.5,2,7\n0,0,-1,7\n", encoding="utf-8-sig")  # as spreadsheets write it
    camera = Camera(fx=10, fy=20, cx=5, cy=6, width=64, height=48)
    np.testing.assert_allclose(read_points(path, camera), [[10, 11, 2]])
    with pytest.raises(InputError, match="--camera"):
        read_points(path, None)


def test_points_that_are_nowhere_are_left_out(tmp_path: Path) -> None:
    with DepthRuntime.load(routed_bundle(tmp_path / "b")) as depth:
        result = depth(_frame(), route=Route.LOW)
    nowhere = [[np.nan, 1, 4], [1e300, 1, 4], [1, -np.inf, 4], [1, 1, np.nan], [1, 1, 0], [64, 1, 4]]
    pairs = pairs_at_points(result, np.array([*nowhere, [63, 47, 4.4]]))
    np.testing.assert_allclose(pairs.measured_m, [4.4])


def test_frames_are_measured_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty results of a large camera would not fit into a small device."""
    folder = routed_bundle(tmp_path / "b").folder
    (tmp_path / "walls").mkdir()
    for number in range(6):
        cv2.imwrite(str(tmp_path / "walls" / f"{number}.png"), _frame())
    answered: list[weakref.ref[DepthResult]] = []
    answer = DepthRuntime.__call__

    def counted(*arguments: Any, **options: Any) -> DepthResult:
        assert sum(result() is not None for result in answered) <= 2, "the first and the last"
        result = answer(*arguments, **options)
        answered.append(weakref.ref(result))
        return result

    monkeypatch.setattr(DepthRuntime, "__call__", counted)
    assert _run("scale", str(folder), str(tmp_path / "walls"), "--distance", "5") == 0
    assert len(answered) == 6


def test_one_route_is_undone(tmp_path: Path) -> None:
    folder = routed_bundle(tmp_path / "b").folder
    cv2.imwrite(str(tmp_path / "wall.png"), _frame())
    for route, distance in (("low", "5"), ("high", "40")):
        assert _run("scale", str(folder), str(tmp_path / "wall.png"), "--distance", distance, "--route", route) == 0
    assert _run("scale", str(folder), "--undo", "--route", "low") == 0
    networks = Bundle.load(folder).manifest.networks
    assert (networks[Route.LOW].scale is None, networks[Route.HIGH].scale is None) == (True, False)


def test_scales_that_cannot_be_right_are_refused(tmp_path: Path) -> None:
    one = np.ones(40)
    with pytest.raises(InputError, match="factor would be 1e\\+03"):
        fit_scale(Pairs(one, 1000 * one, 1, least=1), source="millimetres")
    with pytest.raises(InputError, match="5 measured points fall on known depth, but 10 are needed"):
        fit_scale(Pairs(one[:5], one[:5], 1, least=10), source="lidar")
    with pytest.raises(InputError, match="about one distance"):
        fit_scale(Pairs(one, one, 1, least=10), shift=True, source="lidar")
    bundle = routed_bundle(tmp_path / "b")
    with DepthRuntime.load(without_scale(bundle)) as depth:
        result = depth(_frame(), route=Route.LOW)
    with pytest.raises(InputError, match="leaves the frame of 64x48"):
        pairs_at_distance([result], 2.0, (60, 0, 10, 10))
    with pytest.raises(InputError, match="positive number of metres"):
        pairs_at_distance([result], 0.0)


def test_a_region_that_is_hardly_measured_tells_nothing(tmp_path: Path) -> None:
    """Depth is cut off at the ends of the range, and a pixel at the edge of a wall is not the wall."""
    bundle = routed_bundle(tmp_path / "b")
    nearer, mixed = _frame(1), _frame(255)  # wholly nearer than the range; beyond it but for a fifth
    mixed[:, 26:29] = GREY
    with DepthRuntime.load(without_scale(bundle)) as depth:
        for frame, state in ((nearer, PixelState.NEARER), (mixed, PixelState.BEYOND)):
            result = depth(frame, route=Route.LOW)
            assert (result.valid == state).mean() > 0.5
            with pytest.raises(InputError, match=r"half of the region .* nearer or farther .* --roi X,Y,W,H, or --rou"):
                pairs_at_distance([result], 0.5)
        kept = pairs_at_distance([depth(frame, route=Route.LOW) for frame in (nearer, _frame())], 2.0)
    assert (kept.frames, kept.predicted_m.tolist()) == (1, [pytest.approx(4.0, rel=1e-3)])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give either --distance METRES or --sparse FILE.csv"),
        (["--distance", "2", "--sparse", "x.csv"], "give either"),
        (["--distance", "2", "--shift"], "needs --sparse"),
        (["--distance", "2", "--roi", "middle"], "--roi is X,Y,W,H"),
        (["--undo", "--distance", "2"], "--undo takes no measurement"),
        (["--sparse", "absent.csv"], "cannot read the points absent.csv"),
        (["--distance", "2", "--camera", "absent.json"], "cannot read the camera file absent.json: No such file"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = routed_bundle(tmp_path / "b").folder
    cv2.imwrite(str(tmp_path / "wall.png"), _frame())
    assert _run("scale", str(folder), str(tmp_path / "wall.png"), *arguments) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert words in lines[0]
