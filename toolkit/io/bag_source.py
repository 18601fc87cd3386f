"""Recordings of ROS 1 and ROS 2 (bag, db3, mcap) through rosbags: pictures of one topic, with their camera."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError, require
from edgedepth.core.lens import Lens
from edgedepth.io.frames import Frame, Source
from edgedepth.io.ros_messages import bgr_of, bgr_of_compressed, lens_of, says_rectified

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader

BAG_SUFFIXES = (".bag", ".mcap", ".db3")
_RAW, _COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
_INFO = "sensor_msgs/msg/CameraInfo"
_METADATA, _METADATA_KEY = "metadata.yaml", b"rosbag2_bagfile_information"


def is_bag(path: Path) -> bool:
    """Whether this is a recording: a file by its suffix, or a ROS 2 folder by its metadata."""
    return _is_ros2_folder(path) if path.is_dir() else path.suffix in BAG_SUFFIXES


class BagSource(Source):
    """The pictures of one topic of a recording, with the intrinsics of the camera_info beside it.

    `topic` may be left out where the recording has one topic of pictures. Frames are timed by the recorder's clock.
    Intrinsics are the projection matrix's where the topic is rectified (its name says "rect"). Otherwise they are the
    camera matrix's, and `lens` is what is to be undone.

    Raises:
        InputError: it cannot be read, has no pictures, or several topics of them and none was chosen.
    """

    def __init__(self, path: Path, topic: str | None = None) -> None:
        require("rosbags", extra="bags")
        self._path = path
        self._reader = _open(path)
        try:
            self._topic = _choose(self._reader, path, topic)
            lens, damage = _lens_beside(self._reader, self._topic)
            connections = [c for c in self._reader.connections if c.topic == self._topic]
            count = sum(connection.msgcount for connection in connections)
            seconds = self._reader.duration / 1e9
        except BaseException:
            self._reader.close()
            raise
        super().__init__(path.stem, count=count, fps=(count - 1) / seconds if count > 1 and seconds > 0 else None)
        self.warnings += [f"{path.name}: {damage}; give --camera"] if damage else []
        self.lens = lens if lens is not None and lens.bends else None
        self._camera = None if lens is None else lens.camera
        self._connections = connections
        self._closed = False

    def __iter__(self) -> Iterator[Frame]:
        first_ns: int | None = None
        index = damaged = 0
        for connection, time_ns, data in self._pictures():
            message = _message(self._reader, connection, data)
            image = None if message is None else _picture(message, connection.msgtype)
            if image is None:
                damaged += 1
                continue
            first_ns = time_ns if first_ns is None else first_ns
            camera = None if self._camera is None else self._camera.of_frames(image.shape[1], image.shape[0])
            yield Frame(
                index=index, image_bgr=image, time_s=(time_ns - first_ns) / 1e9, name=f"{index:06d}", camera=camera
            )
            index += 1
        if index == 0:
            raise InputError(f"{self._path}: no picture of {self._topic} can be decoded; record it again")
        if damaged:
            self.warnings.append(f"{self._path.name}: {damaged} damaged pictures of {self._topic} were skipped")

    def _pictures(self) -> Iterator[tuple[Any, int, bytes]]:
        """The messages of the topic up to the end, or to where the file is damaged."""
        try:
            yield from _messages(self._reader, self._connections)
        except InputError as error:
            self.warnings.append(f"{self._path.name}: {error}")

    def close(self) -> None:
        """Close the recording."""
        if not self._closed:
            self._closed = True
            self._reader.close()


def _is_ros2_folder(folder: Path) -> bool:
    """Whether the folder's metadata are a recording's; other programs call theirs by the same name."""
    try:
        with (folder / _METADATA).open("rb") as file:
            return _METADATA_KEY in file.read(4096)
    except OSError:
        return False


def _open(path: Path) -> AnyReader:
    from rosbags.highlevel import AnyReader, AnyReaderError
    from rosbags.typesys import Stores, get_typestore

    if not path.exists():
        raise InputError(f"{path} does not exist; check the path")
    # A single file of a ROS 2 recording is read with the metadata that lies beside it, where it does.
    whole = path.parent if path.suffix in (".db3", ".mcap") and _is_ros2_folder(path.parent) else path
    try:
        reader = AnyReader([whole], default_typestore=get_typestore(Stores.ROS2_HUMBLE))
        reader.open()
    except (AnyReaderError, OSError, ValueError, AssertionError) as error:
        raise InputError(
            f"{path} cannot be read as a ROS recording ({str(error) or type(error).__name__}); check it with: ros2 bag"
            " info"
        ) from error
    return reader


def _choose(reader: AnyReader, path: Path, topic: str | None) -> str:
    known = sorted(name for name, facts in reader.topics.items() if facts.msgtype in (_RAW, _COMPRESSED))
    if topic is not None and topic in known:
        return topic
    listed = ", ".join(known) or "none"
    if topic is not None:
        raise InputError(f"{path} has no pictures on {topic}; topics with pictures: {listed}")
    if len(known) != 1:
        raise InputError(
            f"choose a topic, as bag:{path}:TOPIC; topics with pictures: {listed}"
            if known
            else f"{path} has no topic of pictures ({_RAW} or {_COMPRESSED})"
        )
    return known[0]


def _lens_beside(reader: AnyReader, topic: str) -> tuple[Lens | None, str]:
    """The camera of the first camera_info in the topic's namespace, or else in the one around it.

    None where there is none or it is not calibrated. Besides it: what is wrong with a camera_info that cannot be used,
    empty where all is well.
    """
    own = topic.rpartition("/")[0]
    connections: list[Any] = []
    for namespace in (own, own.rpartition("/")[0]):  # the one around it may hold another camera's
        name = f"{namespace}/camera_info"
        connections = connections or [c for c in reader.connections if c.topic == name and c.msgtype == _INFO]
    try:
        first = next(_messages(reader, connections), None) if connections else None
    except InputError as error:
        return None, f"its camera_info {error}"
    if first is None:
        return None, ""
    info = _message(reader, first[0], first[2])
    if info is None:
        return None, "its camera_info is damaged and not used"
    try:
        return lens_of(info, rectified=says_rectified(topic)), ""
    except InputError as error:
        return None, f"its camera_info is not used: {error}"


def _messages(reader: AnyReader, connections: list[Any]) -> Iterator[tuple[Any, int, bytes]]:
    """What was recorded on the connections.

    Raises:
        InputError: the file is damaged from here on.
    """
    try:
        yield from reader.messages(connections=connections)
    except Exception as error:  # each format's reader has errors of its own
        why = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"cannot be read further ({why}); the file is damaged") from error


def _message(reader: AnyReader, connection: Any, data: bytes) -> Any:
    """A message's fields; None if it is damaged."""
    try:
        return reader.deserialize(data, connection.msgtype)
    except Exception:  # whatever broken lengths make the library do
        return None


def _picture(message: Any, kind: str) -> NDArray[np.uint8] | None:
    return bgr_of_compressed(message.data) if kind == _COMPRESSED else bgr_of(message)
