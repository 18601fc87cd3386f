"""Readers of labelled data in the layouts their makers publish them in: numpy in, numpy out.

>>> from edgedepth.datasets import open_dataset
>>> for sample in open_dataset("pairs:my/pairs.json"):                     # doctest: +SKIP
...     sample.image_bgr, sample.depth_m, sample.camera, sample.route
"""

from edgedepth.datasets.registry import (
    READERS,
    Reader,
    open_dataset,
    open_for_evaluation,
    open_for_training,
    reader_of,
    training_splits_of,
)
from edgedepth.datasets.sample import DepthDataset, DepthSample, Entry, SampleInfo

__all__ = [
    "READERS",
    "DepthDataset",
    "DepthSample",
    "Entry",
    "Reader",
    "SampleInfo",
    "open_dataset",
    "open_for_evaluation",
    "open_for_training",
    "reader_of",
    "training_splits_of",
]
