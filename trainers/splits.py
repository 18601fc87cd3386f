"""Which samples of named data sets a network is trained on, and which it is validated on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from edgedepth.core.errors import InputError
from edgedepth.core.routing import Route
from edgedepth.core.spec import HIGH_RANGE_M, LOW_RANGE_M, DepthSpec
from edgedepth.datasets import DepthDataset, SampleInfo, open_for_training
from edgedepth.datasets.derived import derivation_of

_LOG = logging.getLogger("edgedepth.training")


def route_of(network: str) -> Route | None:
    """The route a depth network serves, by the end of its name; None for networks of no particular one."""
    for route in Route:
        if network.endswith(f"-{route}"):
            return route
    return None


def route_served(network: str, spec: DepthSpec) -> Route | None:
    """The route a network of this contract is trained on: that of its name, unless its range spans both routes' ranges.

    The coarse network of papers/1 is `ds-sidenet-low` with a range to 80 m, for near and far frames together.
    """
    both = spec.min_m <= LOW_RANGE_M[0] and spec.max_m >= HIGH_RANGE_M[1]
    return None if both else route_of(network)


Keep = Callable[[SampleInfo], bool]


def serves(route: Route | None) -> Keep:
    """True for samples of a route and for those that name none; with None, for all."""
    return lambda info: route is None or info.route is None or info.route is route


def training_split(
    names: Sequence[str], keep: Keep, *, patience: int = 0
) -> tuple[list[DepthDataset], list[DepthDataset]]:
    """The training and validation parts of data sets named `kind:path`, of the samples that `keep` takes.

    See `edgedepth.datasets.open_for_training` for how a set is parted; of one that is named twice, what either part
    validates on is not trained on. A line of the log tells where nothing is left to validate on, which a run with
    `patience` cannot do without.

    Raises:
        InputError: a data set cannot be opened, or nothing is left to train on, or to judge by with patience.
    """
    parts = [open_for_training(name, keep) for name in names]
    validation = [part for _, part in parts]
    train = [_apart(part, _held_elsewhere(names, validation, number)) for number, (part, _) in enumerate(parts)]
    if not any(len(dataset) for dataset in train):
        raise InputError(
            f"{', '.join(names)}: no sample to train this network on; check route, domain, category and split there"
        )
    if not any(len(dataset) for dataset in validation):
        if patience:
            raise InputError(
                f"{', '.join(names)}: patience needs validation data, and there is no sample to validate this network"
                " on; name some as split val, or give --set patience=0"
            )
        _LOG.warning(
            "%s: no sample to validate this network on, so no figures tell how it learns; name some as split val",
            ", ".join(names),
        )
    return train, validation


def _held_elsewhere(names: Sequence[str], validation: Sequence[DepthDataset], number: int) -> frozenset[str]:
    """What a set that is named more than once, as `near:pairs:X` and `pairs:X`, holds out under its other names."""
    bases = [derivation_of(name)[1] for name in names]
    others = [part for place, part in enumerate(validation) if place != number and bases[place] == bases[number]]
    return frozenset(info.id for part in others for info in part.infos)


def _apart(part: DepthDataset, held: frozenset[str]) -> DepthDataset:
    return part.where(lambda info: info.id not in held) if held else part
