"""Sources of frames (files, folders, cameras) and sinks for results (video, PNG, npz, point clouds)."""

from edgedepth.io.frames import Frame, Source
from edgedepth.io.sources import open_source

__all__ = ["Frame", "Source", "open_source"]
