"""Calibration files of every known form, written as their own programs write them, and those that are none."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.lens import Lens
from edgedepth.io.camera_files import read_lens
from edgedepth.io.rectify import Rectifier

K = np.array([[438.783367, 0.0, 305.593336], [0.0, 437.302876, 243.738352], [0.0, 0.0, 1.0]])
D = np.array([-0.361976, 0.110510, 0.001014, 0.000505, 0.000000])
P = np.array([[393.6538, 0.0, 322.797939, 0.0], [0.0, 400.7, 241.090902, 0.0], [0.0, 0.0, 1.0, 0.0]])
CAMERA = Camera(fx=K[0, 0], fy=K[1, 1], cx=K[0, 2], cy=K[1, 2], width=640, height=480)


def ros_text(*, model: str = "plumb_bob", d: np.ndarray = D, r: np.ndarray | None = None, p: np.ndarray = P) -> str:
    """What `camera_calibration` of ROS 1 and 2 writes (calibrator.py, lryaml)."""

    def matrix(values: np.ndarray, precision: int) -> str:
        text = np.array2string(values, precision=precision, suppress_small=True, separator=", ")
        return f"[{text.replace('[', '').replace(']', '')}]".replace("\n", "\n        ")

    lines = [
        "image_width: 640", "image_height: 480", "camera_name: narrow_stereo",
        "camera_matrix:", "  rows: 3", "  cols: 3", "  data: " + matrix(K, 6),
        f"distortion_model: {model}",
        "distortion_coefficients:", "  rows: 1", f"  cols: {d.size}",
        "  data: [" + ", ".join(f"{value:8f}" for value in d) + "]",
        "rectification_matrix:", "  rows: 3", "  cols: 3", "  data: " + matrix(np.eye(3) if r is None else r, 8),
        "projection_matrix:", "  rows: 3", "  cols: 4", "  data: " + matrix(p, 6), "",
    ]  # fmt: skip
    return "\n".join(lines)


def kalibr_text(cameras: int = 1, *, camera_model: str = "pinhole", distortion_model: str = "radtan") -> str:
    """A camchain of Kalibr, lists of lists at the level of their key as PyYAML writes them."""
    return "".join(
        f"""cam{number}:
  cam_overlaps: []
  camera_model: {camera_model}
  distortion_coeffs: [-0.28368365, 0.07451284, -0.00010473, -3.555907e-05]
  distortion_model: {distortion_model}
  intrinsics: [461.629, 460.152, 362.680, 246.049]
  resolution: [752, 480]
  rostopic: /cam{number}/image_raw
  T_cam_imu:
  - [0.0148655, -0.9998809, 0.0041402, -0.0216401]
  - [0.0, 0.0, 0.0, 1.0]
"""
        for number in range(cameras)
    )


def opencv_file(path: Path, d: np.ndarray = D, **more: object) -> Path:
    """What OpenCV's calibration samples write, by OpenCV's own writer; the file's name says YAML, XML or JSON."""
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("calibration_time", "Mon Nov 30 2026 17:00:00")
    storage.write("image_width", 640)
    storage.write("image_height", 480)
    storage.writeComment("flags: +fix_aspectRatio", False)
    storage.write("camera_matrix", K)
    storage.write("distortion_coefficients", d.reshape(-1, 1))
    for name, value in more.items():
        storage.write(name, value)
    storage.release()
    return path


def read(path: Path, text: str) -> Lens:
    path.write_text(text)
    return read_lens(path)


def test_a_ros_calibration(tmp_path: Path) -> None:
    lens = read(tmp_path / "ost.yaml", ros_text())
    assert lens.camera == CAMERA
    assert (lens.model, lens.coefficients) == ("radtan", tuple(D))
    assert lens.projection == Camera(fx=393.6538, fy=400.7, cx=322.797939, cy=241.090902, width=640, height=480)
    assert lens.bends


def test_ros_models_and_a_turned_camera(tmp_path: Path) -> None:
    turn = cv2.Rodrigues(np.array([0.0, 0.02, 0.0]))[0]
    fisheye = read(tmp_path / "a.yaml", ros_text(model="equidistant", d=D[:4], r=turn))
    assert fisheye.model == "equidistant"
    np.testing.assert_allclose(np.reshape(fisheye.rotation, (3, 3)), turn, atol=1e-8)
    rational = ros_text(model="rational_polynomial", d=np.arange(1, 9) / 100)
    assert read(tmp_path / "b.yaml", rational).coefficients == (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08)


def test_ros_without_distortion_or_projection(tmp_path: Path) -> None:
    plain = read(tmp_path / "a.yaml", ros_text(d=np.zeros(5)))
    assert not plain.bends
    assert plain.rectified == CAMERA
    uncalibrated = read(tmp_path / "b.yaml", ros_text(p=np.zeros((3, 4)), r=np.zeros((3, 3))))
    assert uncalibrated.projection is None
    assert uncalibrated.bends


def test_a_camera_info_as_ros_prints_it(tmp_path: Path) -> None:
    """`rostopic echo` and `ros2 topic echo` end a message with three dashes, and write lists in either style."""
    ros1 = f"height: 480\nwidth: 640\ndistortion_model: plumb_bob\nD: {D.tolist()}\nK: {K.ravel().tolist()}\n"
    ros1 += f"R: {np.eye(3).ravel().tolist()}\nP: {P.ravel().tolist()}\n---\n"
    ros2 = "height: 480\nwidth: 640\ndistortion_model: plumb_bob\n"
    for name, values in (("d", D), ("k", K), ("r", np.eye(3)), ("p", P)):
        ros2 += f"{name}:\n" + "".join(f"- {value}\n" for value in values.ravel())
    expected = read(tmp_path / "ost.yaml", ros_text())
    assert read(tmp_path / "1.yaml", ros1) == expected
    assert read(tmp_path / "2.yaml", ros2 + "---\n" + ros2) == expected


@pytest.mark.parametrize("suffix", ["yml", "xml", "json"])
def test_an_opencv_calibration(tmp_path: Path, suffix: str) -> None:
    lens = read_lens(opencv_file(tmp_path / f"camera.{suffix}", avg_reprojection_error=1.234e-05))
    assert lens == Lens(camera=CAMERA, coefficients=tuple(D))
    fisheye = read_lens(opencv_file(tmp_path / f"fisheye.{suffix}", D[:4], fisheye_model=1))
    assert (fisheye.model, fisheye.coefficients) == ("equidistant", tuple(D[:4]))


def test_opencv_under_other_names(tmp_path: Path) -> None:
    path = tmp_path / "camera.yml"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("image_size", np.array([640, 480]))
    storage.write("K", K)
    storage.write("dist_coeffs", D)
    storage.release()
    assert read_lens(path) == Lens(camera=CAMERA, coefficients=tuple(D))
    lists = f'{{"camera_matrix": {K.tolist()}, "dist_coeff": [{D.tolist()}], "image_size": [640, 480]}}'
    assert read(tmp_path / "lists.json", lists) == Lens(camera=CAMERA, coefficients=tuple(D))


def test_a_kalibr_camchain_and_a_euroc_sensor(tmp_path: Path) -> None:
    lens = read(tmp_path / "camchain.yaml", kalibr_text())
    assert lens.camera == Camera(fx=461.629, fy=460.152, cx=362.680, cy=246.049, width=752, height=480)
    assert (lens.model, lens.coefficients[3]) == ("radtan", -3.555907e-05)
    assert read(tmp_path / "equi.yaml", kalibr_text(distortion_model="equidistant")).model == "equidistant"
    sensor = "%YAML:1.0\n" + "\n".join(line.strip() for line in kalibr_text().splitlines()[1:-3])
    euroc = sensor.replace("radtan", "radial-tangential").replace("distortion_coeffs", "distortion_coefficients")
    assert read(tmp_path / "sensor.yaml", euroc) == lens


def test_colmap_cameras(tmp_path: Path) -> None:
    head = "# Camera list with one line of data per camera:\n#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n"
    path = tmp_path / "cameras.txt"
    # COLMAP's first pixel has its middle at 0.5, ours at 0
    camera = Camera(fx=500, fy=501, cx=319.5, cy=239.5, width=640, height=480)
    assert read(path, head + "1 PINHOLE 640 480 500 501 320 240\n") == Lens(camera=camera)
    simple = read(path, head + "7 SIMPLE_RADIAL 640 480 500 320 240 -0.1")
    assert (simple.camera.fy, simple.coefficients) == (500, (-0.1, 0, 0, 0, 0, 0, 0, 0))
    opencv = read(path, head + "1 FULL_OPENCV 640 480 500 501 320 240 1 2 3 4 5 6 7 8")
    assert opencv == Lens(camera=camera, coefficients=(1, 2, 3, 4, 5, 6, 7, 8))
    assert read(path, "1 OPENCV_FISHEYE 640 480 500 501 320 240 1 2 3 4").model == "equidistant"
    assert read(path, "1 OPENCV_FISHEYE 640 480 500 501 320 240 0 0 0 0").bends  # by the angle, not by its tangent
    assert not read(path, "1 OPENCV 640 480 500 501 320 240 0 0 0 0").bends


def test_our_own_form(tmp_path: Path) -> None:
    text = '{"fx": 500, "fy": 501, "cx": 319.5, "cy": 239.5, "width": 640, "height": 480}'
    camera = Camera(fx=500, fy=501, cx=319.5, cy=239.5, width=640, height=480)
    assert read(tmp_path / "mine.json", text) == Lens(camera=camera)
    assert read(tmp_path / "bom.json", "\ufeff" + text) == Lens(camera=camera)
    bent = Lens(camera=camera, coefficients=(-0.3, 0.1, 0.0, 0.0))
    assert read(tmp_path / "d.json", text[:-1] + ', "distortion_coefficients": [-0.3, 0.1, 0, 0]}') == bent
    named = read(tmp_path / "k.json", text[:-1] + ', "k1": -0.3, "k2": 0.1, "p1": 0.001}')
    assert named.coefficients == (-0.3, 0.1, 0.001, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it is no calibration; known forms: JSON with fx"),
        ("hello", "it is no calibration"),
        ("answer: 42", "it has no camera_matrix; known forms"),
        ('{"fx": 500, "fy": 500}', "names no size; add the width and height"),
        ('{"width": 640, "height": 480, "fx": 500}', "it has no fy"),
        ('{"width": 640, "height": 480, "fx": "long", "fy": 1, "cx": 1, "cy": 1}', "could not convert string"),
        ('{"fx": 500, ', "it is damaged or truncated"),
        ("width: 9\nheight: 9\nK: &all [*all]", "it is damaged or truncated"),
        ("<opencv_storage><image_width>640</image_width>", "it is damaged or truncated"),
        (ros_text()[:150], "it is damaged or truncated"),
        (ros_text()[: ros_text().index("distortion_coefficients")], "it has no distortion_coefficients"),
        (ros_text().replace("image_width: 640\n", ""), "names no size"),
        (ros_text().replace("437.302876", ""), "it is damaged or truncated"),
        (ros_text().replace("438.783367", "0"), "fx, fy > 0"),
        (ros_text().replace("438.783367", ".nan"), "finite"),
        (ros_text(model="thin_film"), "the distortion model 'thin_film' is not undone here (known: plumb_bob"),
        (ros_text(d=np.ones(6)), "has 0 or 4 or 5 or 8 or 12 or 14 coefficients, but got 6"),
        (kalibr_text(2), "it is of 2 cameras; give one of them as FILE:NAME, of cam0, cam1"),
        (kalibr_text(camera_model="omni"), "the camera model 'omni' is not undone here"),
        (kalibr_text(distortion_model="fov"), "the distortion model 'fov' is not undone here"),
        (kalibr_text().replace("362.680, ", ""), "3 numbers where 4 belong"),
        ("1 FOV 640 480 500 501 320 240 0.9", "the camera model FOV is not undone here; known: SIMPLE_PINHOLE"),
        ("1 PINHOLE 640 480 500 501 320", "PINHOLE has the parameters fx, fy, cx, cy, but there are 3"),
        ("1 PINHOLE 6 4 5 5 3 2\n2 PINHOLE 6 4 5 5 3 2", "it is of 2 cameras"),
    ],
)
def test_what_is_no_calibration_is_told_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path / "file.yaml", text)
    assert told in str(caught.value)
    assert str(caught.value).startswith(f"camera file {tmp_path / 'file.yaml'}: ")
    assert "\n" not in str(caught.value)


def test_one_of_several_cameras_is_chosen_by_its_name(tmp_path: Path) -> None:
    colmap, kalibr = tmp_path / "cameras.txt", tmp_path / "camchain.yaml"
    colmap.write_text("3 PINHOLE 640 480 500 501 320 240\n7 PINHOLE 640 480 400 401 320 240\n")
    assert [read_lens(f"{colmap}:{name}").camera.fx for name in (3, 7)] == [500, 400]
    kalibr.write_text(kalibr_text(2).replace("752", "376", 1))
    assert [Rectifier.of_file(f"{kalibr}:{name}").lens.camera.width for name in ("cam0", "cam1")] == [376, 752]
    with pytest.raises(InputError, match=r"it has no camera 'cam2'; it is of cam0, cam1"):
        read_lens(f"{kalibr}:cam2")
    (tmp_path / "ost.yaml").write_text(ros_text())
    with pytest.raises(InputError, match=r"it is of one camera that has no name, so 'cam0' is not in it"):
        read_lens(f"{tmp_path / 'ost.yaml'}:cam0")
    colmap.write_text("".join(f"{number} PINHOLE 640 480 500 501 320 240\n" for number in range(1, 301)))
    with pytest.raises(InputError, match=r"it is of 300 cameras; give one of them as FILE:NAME, of 1, .* and 295 more"):
        read_lens(colmap)


def test_a_home_folder_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ost.yaml").write_text(ros_text())
    assert Rectifier.of_file("~/ost.yaml").lens == read_lens(tmp_path / "ost.yaml")


def test_pictures_and_missing_files_are_no_calibration(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    (tmp_path / "big.yaml").write_text("#" * (1 << 21))
    for name, told in (
        ("a.png", "no text"),
        ("big.yaml", "too large"),
        ("no.yaml", "No such file"),
        (".", "directory"),
    ):
        with pytest.raises(InputError, match=told):
            read_lens(tmp_path / name)
