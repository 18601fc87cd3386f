"""`--camera` from outside: calibration files, rectified frames, phone photos and ways out of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import edgedepth
from edgedepth.cli import main
from edgedepth.core.bundle import Bundle
from edgedepth.core.routing import Route
from tests.networks import routed_bundle
from tests.test_exif import FILM_MM, SHORT, photo, tiff

# canonical f of the bundle's networks is 52 px at 64 wide; level 102 is 4 m
OST = """image_width: 64
image_height: 48
camera_name: cam
camera_matrix:
  rows: 3
  cols: 3
  data: [104., 0., 31.5, 0., 104., 23.5, 0., 0., 1.]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.3, 0.1, 0.0, 0.0, 0.0]
"""
PROJECTION = """rectification_matrix:
  rows: 3
  cols: 3
  data: [1., 0., 0., 0., 1., 0., 0., 0., 1.]
projection_matrix:
  rows: 3
  cols: 4
  data: [52., 0., 31.5, 0., 0., 52., 23.5, 0., 0., 0., 1., 0.]
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return routed_bundle(tmp_path / "b").folder


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(exit_.value.code or 0), out, err


def depth_of(
    capsys: pytest.CaptureFixture[str], bundle: Path, out: Path, *arguments: str | Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """run.json and the arrays of the first frame."""
    code, printed, err = run(capsys, "run", "-b", bundle, "--save", "npz", "-o", out, "--json", *arguments)
    assert code == 0, err
    with np.load(min(out.rglob("*.npz")), allow_pickle=False) as arrays:
        return json.loads(printed), dict(arrays)


def test_frames_of_a_calibrated_lens_are_rectified(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((48, 64, 3), 102, np.uint8))
    ost = tmp_path / "ost.yaml"
    ost.write_text(OST)
    report, arrays = depth_of(capsys, bundle, tmp_path / "1", tmp_path / "wall.png", "--camera", ost)
    assert (report["camera"], report["rectified"], report["lens"]) == ("given", True, "radtan")
    fx = arrays["intrinsics"][0]
    assert fx == pytest.approx(edgedepth.Rectifier.of_file(ost).lens.rectified.fx)
    assert np.median(arrays["depth_m"]) == pytest.approx(4.0 * fx / 52, rel=0.05)
    assert (arrays["valid"] != 0).all()
    ost.write_text(OST + PROJECTION)
    report, arrays = depth_of(capsys, bundle, tmp_path / "2", tmp_path / "wall.png", "--camera", ost)
    assert arrays["intrinsics"].tolist() == [52, 52, 31.5, 23.5]
    assert np.isnan(arrays["depth_m"][0, 0])
    assert (arrays["valid"][0, 0], arrays["valid"][24, 32]) == (0, 1)
    report, arrays = depth_of(capsys, bundle, tmp_path / "3", tmp_path / "wall.png", "--camera", ost, "--no-rectify")
    assert (report["camera"], report["rectified"], report["lens"]) == ("given", False, None)
    assert arrays["intrinsics"].tolist() == [52, 52, 31.5, 23.5]
    assert (arrays["valid"] != 0).all()


def test_a_camera_of_a_file_of_several(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((48, 64, 3), 102, np.uint8))
    rig = tmp_path / "cameras.txt"
    rig.write_text("1 PINHOLE 64 48 52 52 32 24\n2 PINHOLE 64 48 40 40 32 24\n")
    for name, fx in (("1", 52), ("2", 40)):
        _, arrays = depth_of(capsys, bundle, tmp_path / name, tmp_path / "wall.png", "--camera", f"{rig}:{name}")
        assert arrays["intrinsics"].tolist() == [fx, fx, 31.5, 23.5]
    code, _, err = run(capsys, "run", "-b", bundle, tmp_path / "wall.png", "--camera", rig)
    assert code != 0
    assert "give one of them as FILE:NAME, of 1, 2" in err


def test_a_library_user_gets_the_same(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "ost.yaml").write_text(OST + PROJECTION)
    rectify = edgedepth.Rectifier.of_file(tmp_path / "ost.yaml")
    raw = np.full((48, 64, 3), 102, np.uint8)
    with edgedepth.DepthRuntime.load(bundle) as depth:
        image, camera, outside = rectify(raw)
        one = depth(image, camera=camera, outside=outside)
        ((frame, other),) = depth.stream_frames([raw], camera=rectify)
        with pytest.raises(edgedepth.errors.InputError, match=r"outside must be \(48, 64\)"):
            depth(image, camera=camera, outside=np.zeros((2, 2), np.bool_))
    np.testing.assert_array_equal(one.depth_m, other.depth_m)
    np.testing.assert_array_equal(frame.image_bgr, image)
    assert one.valid[0, 0] == edgedepth.PixelState.UNKNOWN


def test_photos_of_phones_bring_their_focal_length(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 43.27 mm on film: the focal length is the diagonal, 80 px
    phone = photo(tmp_path / "phone.jpg", (64, 48), tiff({FILM_MM: (SHORT, 43)}))
    report, arrays = depth_of(capsys, bundle, tmp_path / "1", phone)
    assert (report["camera"], report["cameras"]) == ("exif", {"given": 0, "exif": 1, "assumed": 0})
    assert arrays["intrinsics"][0] == pytest.approx(43 / 43.2666 * 80, rel=1e-4)
    assert np.median(arrays["depth_m"]) == pytest.approx(4.0 * 79.51 / 52, rel=0.02)
    report, arrays = depth_of(capsys, bundle, tmp_path / "2", phone, "--camera", "104,104,31.5,23.5")
    assert (report["camera"], arrays["intrinsics"][0]) == ("given", 104)
    report, arrays = depth_of(capsys, bundle, tmp_path / "3", phone, "--camera", "assumed")
    assert (report["camera"], arrays["intrinsics"][0]) == ("assumed", 52)
    report, _ = depth_of(capsys, bundle, tmp_path / "4", phone, "--no-rectify")
    unused = "--no-rectify has no use without a calibration"
    assert report["warnings"] == [unused]
    for place, camera in enumerate(("104,104,31.5,23.5", "hfov:60", "assumed")):
        report, _ = depth_of(capsys, bundle, tmp_path / f"5{place}", phone, "--camera", camera, "--no-rectify")
        assert report["warnings"] == [unused]
    (tmp_path / "ost.yaml").write_text(OST)
    report, _ = depth_of(capsys, bundle, tmp_path / "6", phone, "--camera", tmp_path / "ost.yaml", "--no-rectify")
    assert report["warnings"] == []
    with edgedepth.DepthRuntime.load(bundle) as depth:
        (result,) = depth.stream(phone)
    assert result.camera_given


def test_scale_takes_a_photo_as_run_does(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    phone = photo(tmp_path / "photos" / "1.jpg", (64, 48), tiff({FILM_MM: (SHORT, 43)}))
    arguments = ("scale", bundle, phone, "--route", "low", "--distance", "6.7")
    assert run(capsys, *arguments)[0] == 0
    code, _, err = run(capsys, *arguments, "--camera", "hfov:60", "--no-rectify", "-o", tmp_path / "other")
    assert code == 0, err
    assert "warning: --no-rectify has no use without a calibration" in err
    scale = Bundle.load(bundle).manifest.networks[Route.LOW].scale
    assert scale is not None
    assert scale.camera_given
    assert scale.factor == pytest.approx(6.7 / (4.0 * 79.51 / 52), rel=0.02)
    _, arrays = depth_of(capsys, bundle, tmp_path / "1", phone, "--route", "low")
    assert np.median(arrays["depth_m"]) == pytest.approx(6.7, rel=0.01)
    # measured without intrinsics, the factor holds the focal length: then EXIF's must be left out
    assert run(capsys, *arguments, "--camera", "assumed")[0] == 0
    code, _, err = run(capsys, "run", phone, "-b", bundle, "-o", tmp_path / "2", "--route", "low")
    assert code == 1
    assert "give no camera (--camera assumed)" in err
    _, arrays = depth_of(capsys, bundle, tmp_path / "3", phone, "--route", "low", "--camera", "assumed")
    assert np.median(arrays["depth_m"]) == pytest.approx(6.7, rel=0.01)
    photo(tmp_path / "photos" / "2.jpg", (64, 48), None)
    code, _, err = run(capsys, "scale", bundle, tmp_path / "photos", *arguments[3:])
    assert code == 1
    assert "some photos tell their focal length and others do not" in err


def test_scale_rectifies_as_run_does(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((48, 64, 3), 102, np.uint8))
    (tmp_path / "ost.yaml").write_text(OST + PROJECTION)
    arguments = ("scale", bundle, tmp_path / "wall.png", "--route", "low", "--distance", "5", "--camera")
    assert run(capsys, *arguments, tmp_path / "ost.yaml")[0] == 0
    assert Bundle.load(bundle).manifest.networks[Route.LOW].scale.factor == pytest.approx(1.25, rel=0.05)


@pytest.mark.parametrize(
    ("camera", "told"),
    [
        ("nonsense", "--camera is fx,fy,cx,cy in pixels, hfov:DEGREES, a calibration file or 'assumed', but got"),
        ("absent.yaml", "cannot read the camera file absent.yaml: No such file"),
        (".", "cannot read the camera file .: Is a directory"),
    ],
)
def test_what_is_no_camera_is_told_before_anything_runs(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], camera: str, told: str
) -> None:
    code, _, err = run(capsys, "run", tmp_path / "none.mp4", "-b", bundle, "--camera", camera)
    assert (code, len(err.strip().splitlines())) == (1, 1)
    assert told in err
