"""`ros2 run edgedepth_ros depth`: image and camera_info in, metric depth out."""

from __future__ import annotations

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

import edgedepth
from edgedepth.core.errors import EdgeDepthError, InputError
from edgedepth.io.ros_messages import bgr_of, lens_of, says_rectified
from edgedepth_ros.convert import fill_camera_info, fill_depth_image


class DepthNode(Node):  # type: ignore[misc]  # rclpy has no types
    """Subscribes to `image` and `camera_info`, publishes `depth/image` and `depth/camera_info`.

    Both carry the image's header. A raw image is rectified by its camera_info first, and its depth is that of the
    rectified picture, whose intrinsics stand in `depth/camera_info`. Without a calibrated camera_info nothing is
    published, for depth would have a scale that nobody measured, unless the parameter `assume_camera` asks for it.
    """

    def __init__(self) -> None:
        super().__init__("edgedepth")
        bundle = self.declare_parameter("bundle", "default").value
        backend = self.declare_parameter("backend", "auto").value
        precision = self.declare_parameter("precision", "auto").value
        threads = self.declare_parameter("threads", 0).value  # 0: as many as the backend likes
        self._assume_camera = self.declare_parameter("assume_camera", False).value
        self._runtime = edgedepth.DepthRuntime.load(
            bundle, backend=backend, precision=precision, threads=threads or None
        )
        self._keeper = self._runtime.keeper()
        topic = self.resolve_topic_name("image")
        images = self.declare_parameter("images", "auto").value
        if images not in ("auto", "raw", "rectified"):
            raise InputError(f"the parameter images is auto, raw or rectified, but got {images!r}")
        self._rectified = says_rectified(topic) if images == "auto" else images == "rectified"
        self._info: CameraInfo | None = None
        self._rectifier: edgedepth.Rectifier | None = None
        self._result: edgedepth.DepthResult | None = None
        self._publisher = self.create_publisher(Image, "depth/image", qos_profile_sensor_data)
        self._info_publisher = self.create_publisher(CameraInfo, "depth/camera_info", qos_profile_sensor_data)
        self.create_subscription(CameraInfo, "camera_info", self._on_info, qos_profile_sensor_data)
        # a depth of one keeps the latest frame only: a slow device drops frames instead of lagging
        newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.create_subscription(Image, "image", self._on_image, newest)
        self.get_logger().info(f"edgedepth on {self._runtime.backend}; depth is in metres along the optical axis")
        kind = "rectified already" if self._rectified else "raw, and rectified here by their camera_info"
        self.get_logger().info(f"images of {topic} are taken as {kind}")

    def _on_info(self, info: CameraInfo) -> None:
        self._info = info
        try:
            lens = lens_of(info, rectified=self._rectified)
        except EdgeDepthError as error:
            self._rectifier = None
            self.get_logger().error(f"this camera_info is not used: {error}", once=True)
            return
        if lens is None:
            self._rectifier = None
        elif self._rectifier is None or self._rectifier.lens != lens:
            self._rectifier = edgedepth.Rectifier(lens)

    def _on_image(self, image: Image) -> None:
        if self._rectifier is None:
            scale = "the scale of depth is assumed" if self._assume_camera else "nothing is published"
            self.get_logger().warning(f"no calibrated camera_info yet: {scale}", once=True)
            if not self._assume_camera:
                return
        try:
            frame, camera, outside = bgr_of(image), None, None
            if frame is None:
                self.get_logger().warning("a damaged image was left out: its data are shorter than it says")
                return
            if self._rectifier is not None:
                frame, camera, outside = self._rectifier(frame)
            same_size = self._result is not None and self._result.depth_m.shape == frame.shape[:2]
            out = self._result if same_size else None
            self._result = self._runtime(frame, camera=camera, outside=outside, keeper=self._keeper, out=out)
        except EdgeDepthError as error:
            self.get_logger().error(str(error))
            return
        depth = Image(header=image.header)
        fill_depth_image(depth, self._result)
        self._publisher.publish(depth)
        self._publish_info(image, camera)

    def _publish_info(self, image: Image, camera: edgedepth.Camera | None) -> None:
        """The camera of the depth image: as it came where the image did, too."""
        info = self._info if self._rectified else CameraInfo()
        if info is None or camera is None:
            return
        info.header = image.header
        if not self._rectified:
            fill_camera_info(info, camera)
        self._info_publisher.publish(info)


def main() -> None:
    """Run the node until it is shut down, by Ctrl-C, SIGTERM or a launch file."""
    rclpy.init()
    try:
        rclpy.spin(DepthNode())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
