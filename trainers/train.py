"""One call for training any network: `train(TrainConfig(network="edge-low", data=("synth:out",), ...))`."""

from __future__ import annotations

from edgedepth.core.errors import UnknownNameError
from edgedepth.trainers.config import TrainConfig
from edgedepth.trainers.loop import FitResult
from edgedepth.trainers.models.registry import classifier_names, network_names
from edgedepth.trainers.regions.train import train_region
from edgedepth.trainers.train_depth import train_depth
from edgedepth.trainers.train_scene import train_scene


def train(config: TrainConfig) -> FitResult:
    """Train a depth network or a scene classifier; see `TrainConfig`, `train_depth`, `train_region` and `train_scene`.

    Raises:
        UnknownNameError: there is no such network.
    """
    if config.network == "rsn":
        return train_region(config)
    if config.network in network_names():
        return train_depth(config)
    if config.network in classifier_names():
        return train_scene(config)
    raise UnknownNameError.of("network", config.network, (*network_names(), *classifier_names()))
