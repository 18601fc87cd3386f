"""Builds the ROS 2 package `edgedepth_ros` (colcon)."""

from setuptools import setup

setup(
    name="edgedepth_ros",
    version="0.1.0",
    packages=["edgedepth_ros"],
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/edgedepth_ros"]),
        ("share/edgedepth_ros", ["package.xml"]),
    ],
    install_requires=["edgedepth"],
    entry_points={"console_scripts": ["depth = edgedepth_ros.node:main"]},
)
