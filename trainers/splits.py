"""Which samples of named data sets a network is trained on, and which it is validated on."""

from __future__ import annotations

from collections.abc import Sequence

from edgedepth.core.errors import InputError
from edgedepth.core.routing import Route
from edgedepth.datasets import DepthDataset, open_dataset

_VALIDATION_SHARE = 0.1


def route_of(network: str) -> Route | None:
    """The route a depth network serves, by the end of its name; None for networks of no particular one."""
    for route in Route:
        if network.endswith(f"-{route}"):
            return route
    return None


def training_split(names: Sequence[str], route: Route | None) -> tuple[list[DepthDataset], list[DepthDataset]]:
    """The training and validation parts of data sets named `kind:path`, samples of other routes left out.

    Sets that name their splits are taken at their word, and their test split is never touched. The others are cut: the
    last tenth of the list is for validation, in one piece, because neighbours in a recording look alike.

    Raises:
        InputError: a data set cannot be opened, or nothing is left to train on.
    """
    train, validation = [], []
    for name in names:
        dataset = for_route(open_dataset(name), route)
        if any(info.split is not None for info in dataset.infos):
            train.append(dataset.where(lambda info: info.split == "train"))
            validation.append(dataset.where(lambda info: info.split == "val"))
        else:
            cut = len(dataset) - int(len(dataset) * _VALIDATION_SHARE)
            train.append(dataset[:cut])
            validation.append(dataset[cut:])
    if not any(len(dataset) for dataset in train):
        wanted = "sample" if route is None else f"sample of route {route}"
        raise InputError(f"{', '.join(names)}: no training {wanted}; check split, route and domain in the data")
    return train, validation


def for_route(dataset: DepthDataset, route: Route | None) -> DepthDataset:
    """The samples of a route, together with those that name none."""
    if route is None:
        return dataset
    return dataset.where(lambda info: info.route is None or info.route is route)
