"""Which samples of named data sets a network is trained on, and which it is validated on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgedepth.core.errors import InputError
from edgedepth.core.routing import Route
from edgedepth.datasets import DepthDataset, SampleInfo, open_dataset

_VALIDATION_SHARE = 0.1


def route_of(network: str) -> Route | None:
    """The route a depth network serves, by the end of its name; None for networks of no particular one."""
    for route in Route:
        if network.endswith(f"-{route}"):
            return route
    return None


Keep = Callable[[SampleInfo], bool]


def serves(route: Route | None) -> Keep:
    """True for samples of a route and for those that name none; with None, for all."""
    return lambda info: route is None or info.route is None or info.route is route


def training_split(names: Sequence[str], keep: Keep) -> tuple[list[DepthDataset], list[DepthDataset]]:
    """The training and validation parts of data sets named `kind:path`, of the samples that `keep` takes.

    Sets that name their splits are taken at their word, and their test split is never touched. The others are cut: the
    last tenth of the list is for validation, in one piece, because neighbours in a recording look alike.

    Raises:
        InputError: a data set cannot be opened, or nothing is left to train on.
    """
    train, validation = [], []
    for name in names:
        dataset = open_dataset(name).where(keep)
        if any(info.split is not None for info in dataset.infos):
            train.append(dataset.where(lambda info: info.split == "train"))
            validation.append(dataset.where(lambda info: info.split == "val"))
        else:
            cut = len(dataset) - int(len(dataset) * _VALIDATION_SHARE)
            train.append(dataset[:cut])
            validation.append(dataset[cut:])
    if not any(len(dataset) for dataset in train):
        raise InputError(
            f"{', '.join(names)}: no sample to train this network on; check route, domain, category and split there"
        )
    return train, validation
