"""Frames of a calibration: distinct ones of any source, sorted by the router, split, and never too few."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import h5py
import numpy as np
import pytest

from edgedepth import Camera, Route
from edgedepth.calibration import frames as frames_module
from edgedepth.calibration import world_frames
from edgedepth.calibration.calibrate import CalibrationConfig, calibrate_bundle
from edgedepth.calibration.distinct import DistinctFilter
from edgedepth.calibration.frames import LEAST, View, at_network_size, gather
from edgedepth.calibration.vary import varied
from edgedepth.core.errors import InputError
from tests.int8_networks import SPEC, frames, int8_bundle
from tests.networks import routed_bundle
from tests.test_datasets import matlab_file

COUNT = 48


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("frames"), frames(COUNT, seed=5))


def write_pictures(folder: Path, images: list[np.ndarray]) -> Path:
    folder.mkdir(exist_ok=True)
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / f"{number:03}.png"), image)
    return folder


def near_and_far(count: int) -> list[np.ndarray]:
    """Pictures whose brightness tells the routed bundle's router where they belong: dark ones near, bright ones far."""
    pictures = frames(count, seed=5, wh=(64, 48))
    return [picture // 3 if number % 2 else 170 + picture // 3 for number, picture in enumerate(pictures)]


# -- which frames ----------------------------------------------------------------------------------------


def test_only_what_shows_something_new_passes() -> None:
    first, second = frames(2, seed=1)
    distinct = DistinctFilter()
    noisy = np.clip(first.astype(int) + np.random.default_rng(0).integers(-2, 3, first.shape), 0, 255).astype(np.uint8)
    offered = [first, noisy, second, first, np.full_like(first, 90), noisy[:, ::-1]]
    assert [distinct.passes(frame) for frame in offered] == [True, False, True, False, False, True]
    assert (distinct.read, distinct.duplicates, distinct.constant) == (6, 2, 1)


def test_near_duplicates_of_a_video_are_skipped(tmp_path: Path) -> None:
    """A film in which the camera stands still for a second at each of 48 places, and goes round twice."""
    with av.open(str(tmp_path / "walk.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        places = [cv2.GaussianBlur(picture, (0, 0), 2) for picture in frames(COUNT, seed=5, wh=(64, 48))]
        for picture in [*places, *places]:
            for _ in range(4):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    found = gather(int8_bundle(tmp_path / "b"), str(tmp_path / "walk.mp4"))
    kept = found.routes[Route.LOW]
    assert found.read == 8 * COUNT
    assert len(kept.observed) + len(kept.check) == COUNT
    assert found.duplicates == 7 * COUNT


def test_a_recording_is_a_source(tmp_path: Path) -> None:
    pytest.importorskip("rosbags", reason="recordings need rosbags: pip install 'edgedepth[bags]'")
    from tests import test_sources_bags as bags

    messages = []
    for number, picture in enumerate(frames(COUNT, seed=5)):
        message = bags.image(bags.STORE, number)
        message.data = np.ascontiguousarray(picture[..., ::-1]).ravel()
        messages.append(message)
    path = bags.write(tmp_path / "drive", {"/camera/image_raw": messages})
    kept = gather(int8_bundle(tmp_path / "b"), str(path)).routes[Route.LOW]
    np.testing.assert_array_equal(kept.observed[0], frames(1, seed=5)[0])
    assert len(kept.observed) == 36
    bent = bags.info(d=(-0.2, 0.05, 0.0, 0.0, 0.0))
    path = bags.write(tmp_path / "bent", {"/camera/image_raw": messages, "/camera/camera_info": [bent]})
    rectified = gather(int8_bundle(tmp_path / "c"), str(path)).routes[Route.LOW]
    assert np.abs(rectified.observed[0].astype(int) - kept.observed[0]).mean() > 5, "as a run rectifies them"


def test_the_procedural_world_is_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rendered views come labelled and belong to the network that they were rendered for."""
    monkeypatch.setattr(world_frames, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(frames_module, "LEAST", 4)
    monkeypatch.setattr(frames_module, "world_datasets", small_world)
    seen: list[int] = []
    found = gather(int8_bundle(tmp_path / "b"), "world", progress=seen.append)
    kept = found.routes[Route.LOW]
    assert kept.labelled
    assert kept.observed[0].shape == (24, 32, 3)
    assert len(kept.observed) + len(kept.check) == 8
    assert max(seen) == 8
    again = gather(int8_bundle(tmp_path / "c"), "world")
    assert again.routes[Route.LOW].digest == kept.digest


def test_what_figures_are_given_on_is_never_calibrated_on(tmp_path: Path) -> None:
    folder = tmp_path / "nyu"
    folder.mkdir()
    with h5py.File(folder / "nyu_depth_v2_labeled.mat", "w") as file:
        pictures = frames(80, seed=3, wh=(64, 48))
        file["images"] = np.stack([picture[..., ::-1].transpose(2, 1, 0) for picture in pictures])
        file["rawDepths"] = np.full((80, 64, 48), 3, np.float32)
    bundle = int8_bundle(tmp_path / "b")
    with pytest.raises(InputError, match=r"splits\.mat"):
        gather(bundle, f"nyu:{folder}")
    matlab_file(folder / "splits.mat", trainNdxs=[*range(1, 71)], testNdxs=[*range(71, 81)])
    assert gather(bundle, f"nyu:{folder}").read == 70


def test_rendered_frames_are_seen_by_several_cameras() -> None:
    frame = cv2.GaussianBlur(frames(1, seed=2)[0], (0, 0), 3) // 2 + 60
    views = [varied(frame, number) for number in range(6)]
    np.testing.assert_array_equal(views[0], frame)
    np.testing.assert_array_equal(views[2], views[5])
    assert (views[1].min(), views[1].max()) == (0, 255)  # what every camera's black and white can be
    edges = [np.abs(np.diff(view.astype(int), axis=1)).mean() for view in views]
    assert edges[3] > edges[1] > edges[0]
    assert views[4].mean() < 0.5 * frame.mean()


def small_world(bundle: object, **options: object) -> object:
    return world_frames.world_datasets(bundle, frames=8, **options)  # type: ignore[arg-type]


def test_a_camera_is_read_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Camera0:
        live = True
        lens = None

        def __enter__(self) -> Camera0:
            return self

        def __exit__(self, *_: object) -> None: ...

        def __iter__(self):
            rng = np.random.default_rng(0)
            while True:
                yield SimpleNamespace(image_bgr=rng.integers(0, 256, (24, 32, 3), np.uint8), camera=None)

    monkeypatch.setattr(frames_module, "open_source", lambda source: Camera0())
    monkeypatch.setattr(frames_module, "_LIVE", 60)
    found = gather(int8_bundle(tmp_path / "b"), "0")
    assert found.read == 60


def test_the_router_sorts_the_frames_to_its_networks(tmp_path: Path) -> None:
    bundle = routed_bundle(tmp_path / "b")
    found = gather(bundle, str(write_pictures(tmp_path / "both", near_and_far(96))))
    for route, bright in ((Route.LOW, False), (Route.HIGH, True)):
        kept = found.routes[route]
        assert len(kept.observed) == 36
        assert {frame.mean() > 127 for frame in kept.observed} == {bright}
    assert not found.refused


def test_a_network_without_frames_is_refused_and_the_other_is_not(tmp_path: Path) -> None:
    near = [picture for picture in near_and_far(96) if picture.mean() < 127]
    found = gather(routed_bundle(tmp_path / "b"), str(write_pictures(tmp_path / "near", near)))
    assert set(found.routes) == {Route.LOW}
    assert found.refused[Route.HIGH].startswith("high: 0 distinct frames of this range to observe, but 32 are needed")


# -- how many, and what becomes of them ------------------------------------------------------------------


def test_frames_are_split_and_placed(tmp_path: Path, pictures: Path) -> None:
    found = gather(int8_bundle(tmp_path / "b"), str(pictures))
    kept = found.routes["low"]
    assert (len(kept.observed), len(kept.check)) == (36, 12)
    assert not kept.labelled
    assert kept.observed[0].shape == (24, 32, 3)
    assert found.warnings == ("low: 36 distinct frames; 128 or more give steadier ranges",)


def test_long_sources_are_drawn_from_the_same_way_each_time(tmp_path: Path, pictures: Path) -> None:
    bundle = int8_bundle(tmp_path / "b")
    kept, again = (gather(bundle, str(pictures), limit=44).routes["low"] for _ in range(2))
    assert len(kept.observed) + len(kept.check) == 44
    assert kept.digest == again.digest
    assert kept.digest != gather(bundle, str(pictures)).routes["low"].digest


def test_repeated_and_empty_frames_are_refused_with_the_reason(tmp_path: Path) -> None:
    bundle = int8_bundle(tmp_path / "b")
    folder = tmp_path / "dull"
    folder.mkdir()
    still = frames(1)[0]
    for number in range(40):
        cv2.imwrite(str(folder / f"a{number}.png"), np.zeros_like(still))
        cv2.imwrite(str(folder / f"b{number}.png"), still)
    with pytest.raises(
        InputError, match=rf"low: 1 distinct frames .* {LEAST} are needed.*40 of 80 frames show nothing"
    ):
        gather(bundle, str(folder))


def test_one_frame_is_refused(tmp_path: Path, pictures: Path) -> None:
    with pytest.raises(InputError, match=r"low: 1 distinct frames"):
        calibrate_bundle(int8_bundle(tmp_path / "b").folder, str(pictures / "000.png"), config=CalibrationConfig())


def test_truth_is_scaled_to_the_canonical_camera() -> None:
    image = frames(1)[0]
    truth = np.full((24, 32), 4.0, np.float32)
    truth[0] = np.nan
    truth[1] = 30.0
    camera = Camera(fx=52, fy=52, cx=15.5, cy=11.5, width=32, height=24)  # twice the canonical focal length
    placed = at_network_size(View(image, camera, truth), SPEC)
    assert placed.truth_m is not None
    assert np.nanmax(placed.truth_m) == np.nanmin(placed.truth_m) == 2.0
    assert np.isnan(placed.truth_m[:2]).all()  # unknown, and beyond the network's range
