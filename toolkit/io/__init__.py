"""Sources of frames (files, folders, cameras) and sinks for results (video, PNG, npz, point clouds)."""

from edgedepth.io.frames import Frame, Source
from edgedepth.io.image_source import IMAGE_SUFFIXES
from edgedepth.io.sink import Sink
from edgedepth.io.sinks import SINK_KINDS, SinkGroup, open_sinks, run_folder
from edgedepth.io.sources import SOURCE_KINDS, open_source

__all__ = [
    "Frame",
    "IMAGE_SUFFIXES",
    "SINK_KINDS",
    "SOURCE_KINDS",
    "Sink",
    "SinkGroup",
    "Source",
    "open_sinks",
    "open_source",
    "run_folder",
]
