"""Recordings of ROS 1 and ROS 2 as sources; the tests write them with rosbags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags", reason="recordings need rosbags: pip install 'edgedepth[bags]'")

from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

from edgedepth.cli.camera import view_of_source
from edgedepth.core.errors import InputError
from edgedepth.io import open_source

STORE = get_typestore(Stores.ROS2_HUMBLE)
STORE1 = get_typestore(Stores.ROS1_NOETIC)
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))  # RGB


def header(store: Any, number: int) -> Any:
    kinds = store.types
    stamp = kinds["builtin_interfaces/msg/Time"](sec=number, nanosec=0)
    extra = {"seq": number} if store is STORE1 else {}
    return kinds["std_msgs/msg/Header"](stamp=stamp, frame_id="camera", **extra)


def image(store: Any, number: int, encoding: str = "rgb8", pad: int = 0) -> Any:
    pixels = np.full((24, 32, 3), COLOURS[number % 3], np.uint8)
    if encoding == "mono8":
        pixels = pixels[..., :1]
    rows = np.pad(pixels.reshape(24, -1), ((0, 0), (0, pad)))
    return store.types["sensor_msgs/msg/Image"](
        header=header(store, number), height=24, width=32, encoding=encoding, is_bigendian=0, step=rows.shape[1],
        data=rows.ravel(),
    )  # fmt: skip


def info(
    roi_xywh: tuple[int, int, int, int] = (0, 0, 0, 0), d: tuple[float, ...] = (0,) * 5, model: str = "plumb_bob"
) -> Any:
    x, y, width, height = roi_xywh
    roi = STORE.types["sensor_msgs/msg/RegionOfInterest"](
        x_offset=x, y_offset=y, height=height, width=width, do_rectify=False
    )
    projection = np.array([50.0, 0, 15, 0, 0, 51, 11, 0, 0, 0, 1, 0])
    return STORE.types["sensor_msgs/msg/CameraInfo"](
        header=header(STORE, 0), height=48, width=64, distortion_model=model, d=np.array(d, float),
        k=np.array([60.0, 0, 31, 0, 61, 23, 0, 0, 1]), r=np.eye(3).ravel(), p=projection, binning_x=0, binning_y=0,
        roi=roi,
    )  # fmt: skip


def write(path: Path, topics: dict[str, list[Any]], plugin: StoragePlugin = StoragePlugin.SQLITE3) -> Path:
    with Writer2(path, version=9, storage_plugin=plugin) as writer:
        for topic, messages in topics.items():
            kind = messages[0].__msgtype__
            connection = writer.add_connection(topic, kind, typestore=STORE)
            for number, message in enumerate(messages):
                writer.write(connection, 10**9 + number * 10**8, STORE.serialize_cdr(message, kind))
    return path


def frames(spec: str | Path) -> list[Any]:
    with open_source(spec) as source:
        return list(source)


@pytest.mark.parametrize("plugin", [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
def test_a_ros2_recording_gives_its_pictures_with_their_camera(tmp_path: Path, plugin: StoragePlugin) -> None:
    topics = {"/cam/image_raw": [image(STORE, n, pad=4) for n in range(3)], "/cam/camera_info": [info()]}
    path = write(tmp_path / "drive", topics, plugin)
    with open_source(path) as source:
        assert (source.name, source.count, source.ordered, source.live) == ("drive", 3, True, False)
        assert source.fps == pytest.approx(10.0)
        found = list(source)
    assert [tuple(frame.image_bgr[0, 0, ::-1]) for frame in found] == list(COLOURS)
    assert [frame.time_s for frame in found] == pytest.approx([0.0, 0.1, 0.2])
    camera = found[0].camera
    # half the size that the calibration was made at; integer pixel centres
    assert (camera.fx, camera.cx, camera.width) == pytest.approx((30.0, 15.25, 32))


def test_rectified_pictures_take_the_projection_matrix(tmp_path: Path) -> None:
    topics = {"/cam/image_rect": [image(STORE, 0)], "/cam/camera_info": [info()]}
    assert frames(write(tmp_path / "drive", topics))[0].camera.fx == pytest.approx(25.0)


@pytest.mark.parametrize("encoding", ["bgr8", "rgb8", "mono8"])
def test_pictures_belong_to_the_receiver(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "drive", {"/cam/image_raw": [image(STORE, 0, encoding)]})
    assert frames(path)[0].image_bgr.flags.writeable


def test_a_name_that_only_contains_rect_is_not_rectified(tmp_path: Path) -> None:
    topics = {"/direct/image_raw": [image(STORE, 0)], "/direct/camera_info": [info()]}
    assert frames(write(tmp_path / "drive", topics))[0].camera.fx == pytest.approx(30.0)


def test_a_part_of_the_sensor_has_its_own_camera(tmp_path: Path) -> None:
    topics = {"/cam/image_raw": [image(STORE, 0)], "/cam/camera_info": [info((16, 12, 32, 24))]}
    camera = frames(write(tmp_path / "part", topics))[0].camera
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (60.0, 61.0, 15.0, 11.0)
    topics["/cam/camera_info"] = [info((48, 12, 32, 24))]
    with open_source(write(tmp_path / "outside", topics)) as source:
        assert next(iter(source)).camera is None
        assert "camera_info is not used: camera_info reads 32x24 from 48,12" in source.warnings[0]


def test_a_lens_that_bends_is_undone_in_raw_pictures_only(tmp_path: Path) -> None:
    bent = info(d=(-0.3, 0.1, 0.0, 0.0, 0.0))
    for topic, bends in (("image_raw", True), ("image_rect", False)):
        path = write(tmp_path / topic, {f"/cam/{topic}": [image(STORE, 0)], "/cam/camera_info": [bent]})
        with open_source(path) as source:
            assert (source.lens is not None) == bends
            raw = next(iter(source))
            view = view_of_source(source, rectify=True)
            told = view_of_source(source, rectify=False)
        if not bends:
            assert view is None
            continue
        assert raw.camera.fx == pytest.approx(30.0)
        seen = view(raw)
        assert (seen.camera.fx, seen.camera.fy, seen.rectified) == (25.0, 25.5, "radtan")  # of P, at half the size
        assert (told(raw).camera.fx, told(raw).rectified) == (25.0, None)  # rectified already
        part = write(
            tmp_path / "part",
            {"/cam/image_raw": [image(STORE, 0)], "/cam/camera_info": [info((16, 12, 32, 24), bent.d)]},
        )
        with open_source(part) as source:
            assert (source.lens.camera.cx, source.lens.projection.cx) == (15.0, -1.0)


def test_a_lens_of_an_unknown_model_is_told(tmp_path: Path) -> None:
    topics = {"/cam/image_raw": [image(STORE, 0)], "/cam/camera_info": [info(d=(0.9,), model="fov")]}
    with open_source(write(tmp_path / "fov", topics)) as source:
        assert next(iter(source)).camera is None
        assert "its camera_info is not used: the distortion model 'fov' is not undone" in source.warnings[0]


def test_a_calibration_that_is_damaged_is_told(tmp_path: Path) -> None:
    broken = info()
    broken.k[0] = np.nan
    topics = {"/cam/image_raw": [image(STORE, 0)], "/cam/camera_info": [broken]}
    with open_source(write(tmp_path / "nan", topics)) as source:
        assert next(iter(source)).camera is None
        assert source.warnings[0].endswith("give --camera")


def test_a_calibration_topic_without_messages_is_none(tmp_path: Path) -> None:
    path = tmp_path / "bare"
    with Writer2(path, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        writer.add_connection("/cam/camera_info", "sensor_msgs/msg/CameraInfo", typestore=STORE)
        connection = writer.add_connection("/cam/image", "sensor_msgs/msg/Image", typestore=STORE)
        writer.write(connection, 10**9, STORE.serialize_cdr(image(STORE, 0), "sensor_msgs/msg/Image"))
    with open_source(path) as source:
        assert next(iter(source)).camera is None
        assert source.warnings == []


def test_a_damaged_message_costs_itself_only(tmp_path: Path) -> None:
    path = tmp_path / "cut"
    with Writer2(path, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection("/cam/image", "sensor_msgs/msg/Image", typestore=STORE)
        for number in range(3):
            data = STORE.serialize_cdr(image(STORE, number), "sensor_msgs/msg/Image")
            writer.write(connection, 10**9 + number, data[:200] if number == 1 else data)
    with open_source(path) as source:
        assert len(list(source)) == 2
        assert source.warnings == ["cut: 1 damaged pictures of /cam/image were skipped"]


def test_a_recording_that_breaks_off_keeps_what_came_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "torn", {"/cam/image": [image(STORE, number) for number in range(3)]})
    with open_source(path) as source:
        real = source._reader.messages  # type: ignore[attr-defined]

        def breaks(**options: Any) -> Any:
            yield from list(real(**options))[:2]
            raise RuntimeError("database disk image is malformed")

        monkeypatch.setattr(source._reader, "messages", breaks)  # type: ignore[attr-defined]
        assert len(list(source)) == 2
        assert "cannot be read further (database disk image is malformed)" in source.warnings[0]


def test_a_topic_is_chosen(tmp_path: Path) -> None:
    path = write(tmp_path / "two", {"/a/image": [image(STORE, 0)], "/b/image": [image(STORE, 1), image(STORE, 2)]})
    with pytest.raises(InputError, match=r"choose a topic, as bag:.*topics with pictures: /a/image, /b/image"):
        open_source(path)
    assert len(frames(f"bag:{path}:/b/image")) == 2
    with pytest.raises(InputError, match="no pictures on /c/image"):
        open_source(f"bag:{path}:/c/image")


def test_compressed_and_grey_pictures_and_damaged_ones(tmp_path: Path) -> None:
    kind = STORE.types["sensor_msgs/msg/CompressedImage"]
    jpeg = cv2.imencode(".jpg", np.full((24, 32, 3), 90, np.uint8))[1].ravel()
    messages = [
        kind(header=header(STORE, 0), format="jpeg", data=jpeg),
        kind(header=header(STORE, 1), format="jpeg", data=jpeg[:40]),
    ]
    with open_source(write(tmp_path / "small", {"/cam/compressed": messages})) as source:
        assert [frame.image_bgr.shape for frame in source] == [(24, 32, 3)]
        assert source.warnings == ["small: 1 damaged pictures of /cam/compressed were skipped"]
    (grey,) = frames(write(tmp_path / "grey", {"/cam/image": [image(STORE, 1, "mono8")]}))
    assert grey.image_bgr.shape == (24, 32, 3)


def test_depth_pictures_are_refused_by_their_encoding(tmp_path: Path) -> None:
    message = image(STORE, 0)
    message.encoding = "32FC1"
    with pytest.raises(InputError, match="encoding '32FC1' are not read; known: bgr8"):
        frames(write(tmp_path / "depth", {"/cam/depth": [message]}))


def test_a_ros1_recording(tmp_path: Path) -> None:
    path = tmp_path / "drive.bag"
    with Writer1(path) as writer:
        connection = writer.add_connection("/cam/image_raw", "sensor_msgs/msg/Image", typestore=STORE1)
        for number in range(2):
            data = STORE1.serialize_ros1(image(STORE1, number), "sensor_msgs/msg/Image")
            writer.write(connection, 10**9 * (1 + number), data)
    found = frames(path)
    assert [tuple(frame.image_bgr[0, 0, ::-1]) for frame in found] == list(COLOURS[:2])
    assert found[0].camera is None


def test_other_metadata_make_no_recording(tmp_path: Path) -> None:
    """A folder of photos is one whatever lies beside them, and so is a single file of a recording."""
    photos = tmp_path / "photos.bag"
    photos.mkdir()
    (photos / "metadata.yaml").write_text("camera: Pentax\n")
    (photos / "a.png").write_bytes(cv2.imencode(".png", np.zeros((4, 6, 3), np.uint8))[1].tobytes())
    with open_source(photos) as source:
        assert [frame.name for frame in source] == ["a"]
        assert source.warnings == ["skipped 1 files that are not images: metadata.yaml"]
    (file,) = write(tmp_path / "drive", {"/cam/image": [image(STORE, 0)]}, StoragePlugin.MCAP).glob("*.mcap")
    assert len(frames(file.rename(photos / "lone.mcap"))) == 1


def test_what_is_no_recording(tmp_path: Path) -> None:
    broken = tmp_path / "cut.mcap"
    broken.write_bytes(b"\x89MCAP0\r\n" + bytes(20))
    with pytest.raises(InputError, match="cannot be read as a ROS recording"):
        open_source(broken)
    with pytest.raises(InputError, match="does not exist"):
        open_source(f"bag:{tmp_path / 'none.mcap'}")
    text = write(tmp_path / "text", {"/cam/camera_info": [info()]})
    with pytest.raises(InputError, match="has no topic of pictures"):
        open_source(text)


def test_the_camera_of_the_topics_own_namespace_comes_first(tmp_path: Path) -> None:
    """Whatever was recorded first: the namespace around it may hold another camera's."""
    other = info()
    other.k[0] = 999.0
    topics = {"/camera_info": [other], "/front/image_raw": [image(STORE, 0)], "/front/camera_info": [info()]}
    assert frames(write(tmp_path / "two", topics))[0].camera.fx == pytest.approx(30.0)
    del topics["/front/camera_info"]
    assert frames(write(tmp_path / "one", topics))[0].camera.fx == pytest.approx(499.5)
