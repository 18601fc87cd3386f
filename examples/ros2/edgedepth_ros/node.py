"""`ros2 run edgedepth_ros depth`: image and camera_info in, metric depth out."""

from __future__ import annotations

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

import edgedepth
from edgedepth.core.errors import EdgeDepthError
from edgedepth.io.ros_messages import bgr_of
from edgedepth_ros.convert import camera_of, fill_depth_image


class DepthNode(Node):  # type: ignore[misc]  # rclpy has no types
    """Subscribes to `image` (rectified) and `camera_info`, publishes `depth/image` and `depth/camera_info`.

    Both carry the image's header. Without a calibrated camera_info nothing is published, for depth would have a scale
    that nobody measured, unless the parameter `assume_camera` asks for it.
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
        self._info: CameraInfo | None = None
        self._result: edgedepth.DepthResult | None = None
        self._publisher = self.create_publisher(Image, "depth/image", qos_profile_sensor_data)
        self._info_publisher = self.create_publisher(CameraInfo, "depth/camera_info", qos_profile_sensor_data)
        self.create_subscription(CameraInfo, "camera_info", self._on_info, qos_profile_sensor_data)
        # a depth of one keeps the latest frame only: a slow device drops frames instead of lagging
        newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.create_subscription(Image, "image", self._on_image, newest)
        self.get_logger().info(f"edgedepth on {self._runtime.backend}; depth is in metres along the optical axis")

    def _on_info(self, info: CameraInfo) -> None:
        self._info = info

    def _on_image(self, image: Image) -> None:
        try:
            camera = camera_of(self._info) if self._info is not None else None
            if camera is None and not self._assume_camera:
                self.get_logger().warning("no calibrated camera_info yet: nothing is published", once=True)
                return
            if camera is None:
                self.get_logger().warning("no calibrated camera_info yet: the scale of depth is assumed", once=True)
            frame = bgr_of(image)
            if frame is None:
                self.get_logger().warning("a damaged image was left out: its data are shorter than it says")
                return
            same_size = self._result is not None and self._result.depth_m.shape == frame.shape[:2]
            self._result = self._runtime(
                frame, camera=camera, keeper=self._keeper, out=self._result if same_size else None
            )
        except EdgeDepthError as error:
            self.get_logger().error(str(error))
            return
        depth = Image(header=image.header)
        fill_depth_image(depth, self._result)
        self._publisher.publish(depth)
        if self._info is not None:
            self._info.header = image.header
            self._info_publisher.publish(self._info)


def main() -> None:
    """Run the node until it is shut down, by Ctrl-C, SIGTERM or a launch file."""
    rclpy.init()
    try:
        rclpy.spin(DepthNode())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
