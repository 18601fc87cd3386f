"""The conversions of the ROS 2 example, on objects with the fields of the messages."""

from __future__ import annotations

import configparser
import importlib
import sys
from array import array
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.results import DepthResult
from edgedepth.core.routing import Route
from edgedepth.io.ros_messages import lens_of
from tests.conftest import REPOSITORY, module_from
from tests.networks import routed_bundle

CONVERT = REPOSITORY / "examples" / "ros2" / "edgedepth_ros" / "convert.py"


@pytest.fixture(scope="module")
def convert() -> ModuleType:
    return module_from(CONVERT)


def _message(encoding: str, picture: np.ndarray, padding: int = 0) -> SimpleNamespace:
    rows = picture.reshape(picture.shape[0], -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return SimpleNamespace(
        height=picture.shape[0], width=picture.shape[1], encoding=encoding, step=padded.shape[1], is_bigendian=0,
        data=padded.tobytes(),
    )  # fmt: skip


def test_camera_info_of_a_rectified_picture(convert: ModuleType) -> None:
    camera = Camera(fx=500, fy=510, cx=320, cy=240, width=640, height=480)
    message = SimpleNamespace(binning_x=0, roi=SimpleNamespace(width=0, height=0))
    convert.fill_camera_info(message, camera)
    for rectified in (True, False):
        lens = lens_of(message, rectified=rectified)
        assert lens is not None
        assert lens.rectified == camera
        assert not lens.bends


def test_depth_follows_rep_117_and_118(convert: ModuleType) -> None:
    depth = np.array([[1.5, np.nan, np.nan, 1.0]], np.float32)
    result = DepthResult(
        depth_m=depth, valid=np.array([[1, 2, 0, 3]], np.uint8), raw_depth_m=np.array([[1.5, 80, 3, 1]], np.float32),
        route=Route.HIGH, score=1.0, camera=Camera.from_hfov(60, 4, 1), camera_given=True,
    )  # fmt: skip
    message = SimpleNamespace()
    convert.fill_depth_image(message, result)
    assert (message.encoding, message.step, message.width, message.height) == ("32FC1", 16, 4, 1)
    assert isinstance(message.data, array), "what else is given is checked number by number in some releases of ROS"
    values = np.frombuffer(message.data, "<f4")
    assert values[0] == 1.5
    assert np.isposinf(values[1])
    assert np.isnan(values[2])
    assert np.isneginf(values[3])
    assert np.isnan(result.depth_m[0, 1]), "the result itself is not changed"


class FakeNode:
    """What the node uses of rclpy's, with parameters from `values` and all that happens kept."""

    values: ClassVar[dict[str, object]] = {}

    def __init__(self, name: str) -> None:
        self.name = name
        self.said: list[str] = []
        self.published: dict[str, list[Any]] = {}
        self.callbacks: dict[str, Callable[[Any], None]] = {}

    def declare_parameter(self, name: str, default: object) -> SimpleNamespace:
        return SimpleNamespace(value=self.values.get(name, default))

    def resolve_topic_name(self, topic: str) -> str:
        return str(self.values.get(f"remapped {topic}", f"/{topic}"))

    def create_publisher(self, _kind: type, topic: str, _qos: object) -> SimpleNamespace:
        return SimpleNamespace(publish=self.published.setdefault(topic, []).append)

    def create_subscription(self, _kind: type, topic: str, callback: Callable[[Any], None], _qos: object) -> None:
        self.callbacks[topic] = callback

    def get_logger(self) -> SimpleNamespace:
        def say(text: str, once: bool = False) -> None:
            if not once or text not in self.said:
                self.said.append(text)

        return SimpleNamespace(info=say, warning=say, error=say)


class Message(SimpleNamespace):
    """A message of any kind."""


@pytest.fixture
def node_module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    stand_ins = {
        "rclpy": {"init": None, "spin": None, "try_shutdown": None},
        "rclpy.executors": {"ExternalShutdownException": type("ExternalShutdownException", (Exception,), {})},
        "rclpy.node": {"Node": FakeNode},
        "rclpy.qos": {
            "QoSProfile": SimpleNamespace,
            "ReliabilityPolicy": SimpleNamespace(BEST_EFFORT=1),
            "qos_profile_sensor_data": None,
        },
        "sensor_msgs": {},
        "sensor_msgs.msg": {"CameraInfo": Message, "Image": Message},
    }
    for name, content in stand_ins.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.syspath_prepend(str(CONVERT.parent.parent))
    for name in ("edgedepth_ros", "edgedepth_ros.convert", "edgedepth_ros.node"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("edgedepth_ros.node")


def picture(wh: tuple[int, int] = (64, 48)) -> Message:
    pixels = np.random.default_rng(0).integers(0, 255, (wh[1], wh[0], 3)).astype(np.uint8)
    return Message(**vars(_message("bgr8", pixels)), header="the image's")


def info(wh: tuple[int, int] = (64, 48), d: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)) -> Message:
    k = [60.0, 0, 31.5, 0, 60.0, 23.5, 0, 0, 1]
    p = [60.0, 0, 31.5, 0, 0, 60.0, 23.5, 0, 0, 0, 1, 0]
    roi = Message(x_offset=0, y_offset=0, width=0, height=0)
    return Message(
        width=wh[0], height=wh[1], distortion_model="plumb_bob", d=list(d), k=k, r=[1.0, 0, 0, 0, 1, 0, 0, 0, 1], p=p,
        roi=roi, header="the camera's",
    )  # fmt: skip


@pytest.mark.parametrize("assume", [False, True])
def test_the_node_publishes_depth_of_calibrated_images(
    node_module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, assume: bool
) -> None:
    bundle = routed_bundle(tmp_path / "b").folder
    values = {"bundle": str(bundle), "backend": "onnxruntime", "threads": 1, "assume_camera": assume}
    monkeypatch.setattr(FakeNode, "values", values)
    node = node_module.DepthNode()
    take_image, take_info = node.callbacks["image"], node.callbacks["camera_info"]
    take_image(picture())
    take_image(picture())
    assert len(node.published["depth/image"]) == (2 if assume else 0)
    (warning,) = (line for line in node.said if "no calibrated" in line)
    assert ("assumed" if assume else "nothing is published") in warning
    take_info(info())
    take_image(picture())
    depth = node.published["depth/image"][-1]
    assert (depth.header, depth.encoding, depth.width, depth.height) == ("the image's", "32FC1", 64, 48)
    assert node.published["depth/camera_info"][-1].header == "the image's"
    before = len(node.published["depth/image"])
    cut = picture()
    cut.data = cut.data[:-1]
    take_image(cut)
    assert "damaged" in node.said[-1]
    unknown = picture()
    unknown.encoding = "32FC1"
    take_image(unknown)
    assert "'32FC1' are not read" in node.said[-1]
    take_info(info((128, 128)))
    take_image(picture())  # of another shape than its camera
    assert "128x128" in node.said[-1]
    impossible = info()
    impossible.k[0] = float("nan")
    take_info(impossible)
    assert "this camera_info is not used: camera needs finite fx" in node.said[-1]
    assert len(node.published["depth/image"]) == before


@pytest.mark.parametrize(
    ("topic", "images", "rectified"),
    [
        ("/camera/image_raw", "auto", False),
        ("/camera/image_rect_color", "auto", True),
        ("/camera/image", "rectified", True),
        ("/camera/image_rect", "raw", False),
    ],
)
def test_raw_images_are_rectified(
    node_module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, topic: str, images: str, rectified: bool
) -> None:
    bundle = routed_bundle(tmp_path / "b").folder
    values = {"bundle": str(bundle), "backend": "onnxruntime", "images": images, "remapped image": topic}
    monkeypatch.setattr(FakeNode, "values", values)
    node = node_module.DepthNode()
    assert any(topic in line and ("already" in line) == rectified for line in node.said)
    sent, raw = info(d=(-0.2, 0.05, 0.0, 0.0, 0.0)), picture()
    sent.p[0] = sent.p[5] = 50.0
    node.callbacks["camera_info"](sent)
    node.callbacks["image"](raw)
    (beside,) = node.published["depth/camera_info"]
    assert (beside.header, beside.width, beside.height, beside.p[0]) == ("the image's", 64, 48, 50.0)
    assert (beside is sent) == rectified
    assert any(beside.d) == rectified, "a depth image without distortion says so"
    depth = np.frombuffer(node.published["depth/image"][0].data, "<f4").reshape(48, 64)
    assert np.isnan(depth[0, 0]) == (not rectified), "the wider rectified view has corners that show nothing"


def test_images_of_a_kind_that_there_is_not(
    node_module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = routed_bundle(tmp_path / "b").folder
    monkeypatch.setattr(FakeNode, "values", {"bundle": str(bundle), "backend": "onnxruntime", "images": "bent"})
    with pytest.raises(InputError, match=r"auto, raw or rectified, but got 'bent'"):
        node_module.DepthNode()


@pytest.mark.parametrize("ends", ["KeyboardInterrupt", "ExternalShutdownException"])
def test_the_node_ends_quietly(node_module: ModuleType, monkeypatch: pytest.MonkeyPatch, ends: str) -> None:
    """Ctrl-C is the one, SIGTERM and the end of a launch file the other."""
    done: list[str] = []

    def spin(_node: object) -> None:
        raise KeyboardInterrupt if ends == "KeyboardInterrupt" else node_module.ExternalShutdownException

    monkeypatch.setattr(node_module.rclpy, "init", lambda: None)
    monkeypatch.setattr(node_module.rclpy, "spin", spin)
    monkeypatch.setattr(node_module.rclpy, "try_shutdown", lambda: done.append("shut down"))
    monkeypatch.setattr(node_module, "DepthNode", object)
    node_module.main()
    assert done == ["shut down"]


def test_ros2_run_finds_the_executable() -> None:
    """It looks in lib/PACKAGE, where setuptools puts nothing unless it is told to."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(CONVERT.parent.parent / "setup.cfg")
    assert config["install"]["install_scripts"] == config["develop"]["script_dir"] == "$base/lib/edgedepth_ros"
