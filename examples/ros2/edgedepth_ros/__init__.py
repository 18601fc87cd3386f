"""A minimal ROS 2 node around `edgedepth.DepthRuntime`."""
