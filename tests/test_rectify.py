"""Rectification: points of a bent picture land where a pinhole camera sees them, and no pixel is made up."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.lens import Lens
from edgedepth.io.frames import Frame
from edgedepth.io.rectify import Rectifier

CAMERA = Camera(fx=250.0, fy=252.0, cx=161.0, cy=117.0, width=320, height=240)
BARREL = Lens(camera=CAMERA, coefficients=(-0.3, 0.1, 0.001, -0.0005, 0.0))
PINCUSHION = Lens(camera=CAMERA, coefficients=(0.2, 0.02, 0.0, 0.0))
RATIONAL = Lens(camera=CAMERA, coefficients=(2.0, -1.0, 0.0005, -0.0002, 0.1, 2.3, -0.5, 0.05))
FISHEYE = Lens(
    camera=Camera(fx=105.0, fy=105.0, cx=160.0, cy=118.0, width=320, height=240),
    model="equidistant",
    coefficients=(-0.01, 0.02, -0.01, 0.002),
)
LENSES = [BARREL, PINCUSHION, RATIONAL, FISHEYE]


def bent(lens: Lens, x: float, y: float) -> tuple[float, float]:
    """Column and row at which a lens shows the direction (x, y, 1): the models, written out by hand."""
    r2 = x * x + y * y
    if lens.model == "equidistant":
        angle = np.arctan(np.sqrt(r2))
        k1, k2, k3, k4 = lens.coefficients
        along = angle * (1 + k1 * angle**2 + k2 * angle**4 + k3 * angle**6 + k4 * angle**8) / np.sqrt(r2)
        x, y = x * along, y * along
    else:
        k1, k2, p1, p2, k3, k4, k5, k6 = (*lens.coefficients, *[0.0] * 8)[:8]
        radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
        x, y = (
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        )
    return lens.camera.fx * x + lens.camera.cx, lens.camera.fy * y + lens.camera.cy


def dots(lens: Lens, directions: list[tuple[float, float]], scale: int = 1) -> np.ndarray:
    """A black picture with a soft white dot where the lens shows each direction."""
    rows, columns = np.mgrid[: 240 * scale, : 320 * scale]
    image = np.zeros((240 * scale, 320 * scale))
    for x, y in directions:
        u, v = (((value + 0.5) * scale - 0.5) for value in bent(lens, x, y))
        image += 255 * np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / (2 * (1.5 * scale) ** 2))
    return np.repeat(image.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: f"{lens.model}{len(lens.coefficients)}")
@pytest.mark.parametrize("scale", [1, 2])
def test_a_direction_is_seen_where_the_new_camera_looks(lens: Lens, scale: int) -> None:
    directions = [(0.01, 0.0), (0.3, 0.2), (-0.35, 0.1), (0.1, -0.3)]
    image, camera, outside = Rectifier(lens)(dots(lens, directions, scale))
    assert image.shape == (240 * scale, 320 * scale, 3)
    assert (camera.width, camera.height) == (320 * scale, 240 * scale)
    assert outside is None
    for x, y in directions:
        u, v = camera.fx * x + camera.cx, camera.fy * y + camera.cy
        rows, columns = np.mgrid[round(v) - 5 : round(v) + 6, round(u) - 5 : round(u) + 6]
        weights = image[rows, columns, 0].astype(float)
        assert (weights * columns).sum() / weights.sum() == pytest.approx(u, abs=0.25)
        assert (weights * rows).sum() / weights.sum() == pytest.approx(v, abs=0.25)


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: f"{lens.model}{len(lens.coefficients)}")
def test_without_a_projection_the_picture_is_full_and_as_wide_as_it_can_be(lens: Lens) -> None:
    columns, rows = lens.maps()
    assert columns.min() >= 0
    assert columns.max() <= 319
    assert rows.min() >= 0
    assert rows.max() <= 239
    edges = min(columns.min(), rows.min(), 319 - columns.max(), 239 - rows.max())
    assert edges < 4 or lens.rectified.hfov_deg == pytest.approx(120, abs=1)
    # the pixels keep their shape and the axis its place
    assert lens.rectified.fx / lens.rectified.fy == pytest.approx(lens.camera.fx / lens.camera.fy)
    assert (lens.rectified.cx, lens.rectified.cy) == (lens.camera.cx, lens.camera.cy)


def test_a_stated_projection_is_taken_and_what_it_cannot_see_is_told() -> None:
    projection = Camera(fx=150.0, fy=150.0, cx=160.0, cy=120.0, width=320, height=240)
    lens = Lens(camera=CAMERA, coefficients=BARREL.coefficients, projection=projection)
    white = np.full((480, 640, 3), 255, np.uint8)
    image, camera, outside = Rectifier(lens)(white)
    assert camera == projection.resized(640, 480)
    assert outside is not None
    assert outside[0, 0]
    assert not outside[240, 320]
    assert image[outside].mean() < 130  # half a pixel of the rim still shows
    assert image[~outside].mean() > 250


def test_what_a_polynomial_shows_a_second_time_is_outside() -> None:
    """This one turns back on itself at a tangent of 1.516; a wide projection looks farther out than that."""
    wide = Camera(fx=75.0, fy=75.0, cx=160.0, cy=120.0, width=320, height=240)
    lens = Lens(camera=CAMERA, coefficients=(-0.35, 0.15, 0.0, 0.0, -0.03), projection=wide)
    outside = Rectifier(lens)(np.zeros((240, 320, 3), np.uint8)).outside
    tangents = np.hypot(*np.moveaxis(wide.rays()[..., :2], -1, 0))
    assert outside is not None
    assert outside[tangents > 1.52].all()
    columns, rows = cv2.initUndistortRectifyMap(
        np.array([[250.0, 0, 161], [0, 252, 117], [0, 0, 1]]), np.array(lens.coefficients), np.eye(3),
        np.array([[75.0, 0, 160], [0, 75, 120], [0, 0, 1]]), (320, 240), cv2.CV_32FC1,
    )  # fmt: skip
    again = (tangents > 1.52) & (columns > 0) & (columns < 319) & (rows > 0) & (rows < 239)
    assert again.mean() > 0.1  # OpenCV alone shows it


def test_behind_the_camera_is_outside() -> None:
    back = cv2.Rodrigues(np.array([0.0, np.pi, 0.0]))[0]
    lens = Lens(camera=CAMERA, rotation=tuple(back.ravel()), projection=CAMERA)
    outside = Rectifier(lens)(np.zeros((240, 320, 3), np.uint8)).outside
    assert outside is not None
    assert outside.all()


def test_a_fisheye_without_coefficients_bends_all_the_same() -> None:
    ideal = Lens(camera=FISHEYE.camera, model="equidistant", coefficients=(0.0, 0.0, 0.0, 0.0))
    assert ideal.bends
    assert not Lens(camera=FISHEYE.camera, model="equidistant").bends
    image, camera, _ = Rectifier(ideal)(dots(ideal, [(0.8, 0.0)]))
    row, column = np.unravel_index(image[..., 0].argmax(), (240, 320))
    assert column == pytest.approx(camera.cx + 0.8 * camera.fx, abs=1)
    assert row == pytest.approx(camera.cy, abs=1)


def test_a_rotation_turns_the_view() -> None:
    """Turned by 3 degrees to the right, what lay on the axis is seen 3 degrees to its left."""
    turn = cv2.Rodrigues(np.array([0.0, np.radians(-3.0), 0.0]))[0]  # from the camera's frame to the rectified one
    lens = Lens(camera=CAMERA, coefficients=BARREL.coefficients, rotation=tuple(turn.ravel()), projection=CAMERA)
    image = Rectifier(lens)(dots(BARREL, [(0.0, 0.0)])).image_bgr
    row, column = np.unravel_index(image[..., 0].argmax(), (240, 320))
    assert column == pytest.approx(CAMERA.cx - 250 * np.tan(np.radians(3.0)), abs=1)
    assert row == pytest.approx(CAMERA.cy, abs=1)


def test_a_straight_lens_leaves_pictures_alone() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    found = Rectifier(Lens(camera=CAMERA))(image)
    assert found.image_bgr is image
    assert (found.camera, found.outside) == (CAMERA.resized(640, 480), None)


def test_maps_are_made_once_for_each_size(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(Lens, "maps", lambda self, real=Lens.maps: made.append(self.camera.width) or real(self))
    rectify = Rectifier(BARREL)
    for width, height in ((320, 240), (320, 240), (640, 480), (640, 480)):
        rectify(np.zeros((height, width, 3), np.uint8))
    assert made == [320, 640]


def test_a_frame_says_that_it_was_rectified() -> None:
    frame = Frame(index=3, image_bgr=np.zeros((240, 320, 3), np.uint8), time_s=1.0, name="a", camera_source="exif")
    found = Rectifier(FISHEYE).frame(frame)
    assert (found.index, found.camera_source, found.rectified) == (3, "given", "equidistant")
    assert found.camera == FISHEYE.rectified
    assert Rectifier(Lens(camera=CAMERA)).frame(frame).rectified is None
    turned = Frame(index=4, image_bgr=np.zeros((320, 240, 3), np.uint8), time_s=None, name="turned")
    with pytest.raises(InputError, match=r"^frame turned: the intrinsics are of 320x240"):
        Rectifier(BARREL).frame(turned)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match=r"of 320x240 pixels, but the frames are 240x320"):
        Rectifier(BARREL)(np.zeros((320, 240, 3), np.uint8))
    with pytest.raises(InputError, match="radtan or equidistant, but got 'fov'"):
        Lens(camera=CAMERA, model="fov")
    with pytest.raises(InputError, match="0 or 4 coefficients, but got 5"):
        Lens(camera=CAMERA, model="equidistant", coefficients=(1, 2, 3, 4, 5))
    with pytest.raises(InputError, match="finite"):
        Lens(camera=CAMERA, coefficients=(float("nan"), 0, 0, 0))
    with pytest.raises(InputError, match="leaves no view without gaps"):
        _ = Lens(camera=CAMERA, coefficients=(-500.0, 0, 0, 0)).rectified
    away = Camera(fx=250, fy=250, cx=900, cy=120, width=320, height=240)
    with pytest.raises(InputError, match="leaves no view without gaps"):
        _ = Lens(camera=away, coefficients=(-0.1, 0, 0, 0)).rectified


@pytest.mark.parametrize("bends", [True, False])
def test_what_is_no_frame_is_refused_as_the_runtime_does(bends: bool) -> None:
    """A picture of 16 bits or of floats would be cut to 8 bits, and depth would take what is left."""
    camera = Camera(fx=50, fy=50, cx=31.5, cy=23.5, width=64, height=48)
    rectify = Rectifier(Lens(camera=camera, coefficients=(-0.2, 0.05, 0.0, 0.0) if bends else ()))
    good = np.zeros((48, 64, 3), np.uint8)
    rectify(good)
    for bad in (
        good.astype(np.uint16),
        good / np.float32(255),
        good[..., 0],
        np.zeros((48, 64, 4), np.uint8),
        None,
        [],
    ):
        with pytest.raises(InputError, match=r"a frame must be \(H, W, 3\) uint8 BGR"):
            rectify(bad)
