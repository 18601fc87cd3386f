"""The runs behind a table: what is trained for a row at small scale, and what is measured on its test split."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from edgedepth.core.errors import InputError
from edgedepth.core.files import write_atomic
from edgedepth.core.routing import Route
from edgedepth.datasets import DepthDataset, SampleInfo, open_dataset
from edgedepth.evaluation import EvaluationReport, MeanDepth, evaluate_samples, protocol_named
from edgedepth.evaluation.evaluate import PredictSample
from edgedepth.trainers.config import AugmentConfig, TrainConfig
from edgedepth.trainers.models.registry import classifier_names, default_spec
from edgedepth.trainers.papers.comparison import MEAN_MAP, Figures
from edgedepth.trainers.papers.routed_predictor import (
    Decide,
    RoutedPredictor,
    coarse_decision,
    scene_decision,
    sigma_of,
)
from edgedepth.trainers.papers.tables import PaperTable, Routing, Row, Training
from edgedepth.trainers.predictor import NetworkPredictor, baselines_beside, predictor_of
from edgedepth.trainers.splits import Keep, route_of, route_served, serves, training_split
from edgedepth.trainers.train import train

if TYPE_CHECKING:
    from edgedepth.trainers.papers.reproduce import ReproduceConfig

# Little bending: budgets are too small to learn more than the pictures there are.
_AUGMENT = AugmentConfig(max_zoom=1.2, reshape=0.0, whole=0.5, photometric=0.3, cutout=0.0)


class TableRuns:
    """The runs of one seed of a table: trained where they are asked for and not there yet."""

    def __init__(self, table: PaperTable, config: ReproduceConfig, data: tuple[str, ...], seed: int) -> None:
        self.table, self.config, self.data, self.seed = table, config, data, seed
        self.device = "cuda" if config.device != "cpu" and torch.cuda.is_available() else "cpu"

    def figures(self, row: Row) -> Figures:
        """Unaligned figures of a row on the test split, averaged per image, and those of the mean depth map."""
        for name in row.trainings:
            self._train(name)
        return self._network_figures(row) if row.routing is None else self._routed_figures(row.routing)

    def _folder(self, name: str) -> Path:
        return self.config.out / name / f"seed{self.seed}"

    def _size(self, training: Training) -> tuple[int, int] | None:
        """None: the network's own."""
        if self.config.size is not None:
            return self.config.size
        return None if self.config.full else training.wh or self.table.wh

    def _train(self, name: str) -> None:
        training, folder = self.table.trainings[name], self._folder(name)
        finished = folder / "finished.json"
        if finished.is_file():
            return
        config, table = self.config, self.table
        data = tuple(_prefixed(name, training.prefix) for name in self.data)
        options = self._options(training)
        train_sets, _ = training_split(data, _keep(training.network, options))
        per_epoch = max(1, sum(map(len, train_sets)) // table.batch)
        run = TrainConfig(
            network=training.network,
            data=data,
            out=folder,
            size=self._size(training),
            epochs=training.share * config.steps / per_epoch,
            batch=table.batch,
            lr=config.lr,
            ema=0.98,
            seed=self.seed,
            threads=config.threads,
            device=config.device,
            eval_seconds=1e9,  # once, at the end
            eval_images=50,
            cache=config.out / "cache",
            resume=True,
            options=options,
            loss=training.loss,
            augment=_AUGMENT,
        )
        result = train(run)
        facts = {
            "steps": result.steps,
            "images": sum(map(len, train_sets)),
            "seconds": round(result.seconds, 1),
        }
        write_atomic(finished, json.dumps(facts))

    def _options(self, training: Training) -> dict[str, Any]:
        """Reduced ones win over the row's: the backbone of a row is not what the row is about."""
        reduced = {} if self.config.full or not training.small else self.table.small
        return {**training.options, **reduced}

    def _checkpoint(self, name: str, stage: str = "") -> Path:
        return self._folder(name) / stage / f"{self.table.trainings[name].network}.safetensors"

    def _predictor(self, name: str, stage: str = "", answer: Mapping[str, object] | None = None) -> NetworkPredictor:
        size = self._size(self.table.trainings[name])
        return predictor_of(self._checkpoint(name, stage), size=size, options=answer, device=self.device)

    def _network_figures(self, row: Row) -> Figures:
        predictor = self._predictor(row.training, row.stage, row.answer)
        baselines = baselines_beside(self._checkpoint(row.training), predictor.spec)
        keep = serves(route_of(self.table.trainings[row.training].network))
        (data,) = self.data
        samples = open_dataset(data, "test").where(keep).limited(self.config.test_images)
        return _figures(_evaluated(predictor, samples, baselines))

    # -- rows that route frames --------------------------------------------------------------------------------

    def _routed_figures(self, routing: Routing) -> Figures:
        networks = {Route.LOW: self._predictor(routing.low), Route.HIGH: self._predictor(routing.high)}
        predict = RoutedPredictor(self._decision(routing), networks)
        figures: dict[str, float] = {}
        for route, prefix, network in ((Route.LOW, "near_", routing.low), (Route.HIGH, "far_", routing.high)):
            baselines = baselines_beside(self._checkpoint(network), networks[route].spec)
            mean_maps = dict.fromkeys([route], next(iter(baselines.values())))
            samples = self._samples("test", route).limited(self.config.test_images)
            report = _evaluated(predict, samples, mean_maps)
            figures |= _figures(report, prefix)
            if routing.by is not None:
                figures[f"{prefix}routed_right"] = round(report.routing.accuracy, 5)
        return figures

    def _decision(self, routing: Routing) -> Decide:
        if routing.by is None:
            return lambda sample: sample.route or Route.LOW  # the same network answers either
        if self.table.trainings[routing.by].network in classifier_names():
            path, size = self._checkpoint(routing.by), self._size(self.table.trainings[routing.by])
            return scene_decision(path, size, self.device)
        coarse = self._predictor(routing.by)
        return coarse_decision(coarse, routing.sigma_m or self._sigma(coarse))

    def _sigma(self, coarse: NetworkPredictor) -> float:
        """The threshold that routes the validation split best, kept beside the results."""
        chosen = [sample for route in Route for sample in self._samples("val", route).limited(self.config.test_images)]
        choice = sigma_of(coarse, chosen)
        write_atomic(self.config.out / f"sigma-seed{self.seed}.json", json.dumps(vars(choice)))
        return choice.sigma_m

    def _samples(self, split: str, route: Route) -> DepthDataset:
        """Frames of one range out of all data sets.

        Raises:
            InputError: there are none.
        """
        found = [open_dataset(data, split).where(lambda info: info.route is route) for data in self.data]
        together = replace(found[0], entries=tuple(entry for dataset in found for entry in dataset.entries))
        if not len(together):
            raise InputError(
                f"{', '.join(self.data)}: no frame of route {route} in {split!r}; give data of both ranges"
            )
        return together


def _keep(network: str, options: Mapping[str, Any]) -> Keep:
    if network in classifier_names():
        return _any_sample
    return serves(route_served(network, default_spec(network, **options)))


def _any_sample(_: SampleInfo) -> bool:
    return True


def _prefixed(name: str, prefix: str) -> str:
    """The name with the prefix where the data set holds far frames."""
    far = any(info.route is Route.HIGH for info in open_dataset(name).infos)
    return f"{prefix}{name}" if far else name


def _evaluated(predict: PredictSample, samples: DepthDataset, baselines: Mapping[Route, MeanDepth]) -> EvaluationReport:
    return evaluate_samples(predict, samples, protocol_named("native"), alignments=["none"], baselines=baselines)


def _figures(report: EvaluationReport, prefix: str = "") -> dict[str, float]:
    assert report.baseline is not None  # every run writes its map
    own = {f"{prefix}{name}": value for name, value in report.alignment["none"].items()}
    mean_map = {f"{MEAN_MAP}{prefix}{name}": value for name, value in report.baseline["none"].items()}
    return {name: round(value, 5) for name, value in {**own, **mean_map}.items()}
