"""The two-stage framework of papers/1 over checkpoints: a router of either kind and a network for each range."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import torch

from edgedepth.core.errors import CheckpointError
from edgedepth.core.preprocess import Placement
from edgedepth.core.routing import CoarseRule, Route, parse_scene_rule
from edgedepth.core.spec import ClassifierSpec
from edgedepth.datasets import DepthSample
from edgedepth.evaluation import Prediction
from edgedepth.evaluation.sigma import SigmaChoice, choose_sigma
from edgedepth.trainers.augment import to_float
from edgedepth.trainers.checkpoint import load_checkpoint
from edgedepth.trainers.predictor import NetworkPredictor

Decide = Callable[[DepthSample], Route]


class RoutedPredictor:
    """A predictor for `evaluate_samples` that asks the network of the range that `decide` says."""

    def __init__(self, decide: Decide, networks: Mapping[Route, NetworkPredictor]) -> None:
        self.decide = decide
        self.networks = networks

    def __call__(self, sample: DepthSample) -> Prediction:
        """Metres of the sample's own camera, and the route taken."""
        route = self.decide(sample)
        return Prediction(self.networks[route](sample).depth_m, route)


def coarse_decision(coarse: NetworkPredictor, sigma_m: float) -> Decide:
    """Stage one by the greatest coarse depth, on the frame's own pixels as in `DepthRuntime`."""
    rule = CoarseRule(sigma_m=sigma_m)

    def decide(sample: DepthSample) -> Route:
        answer, placement, _ = coarse.answer(sample)
        return rule.decide(answer[placement.content]).route

    return decide


def sigma_of(coarse: NetworkPredictor, samples: Iterable[DepthSample]) -> SigmaChoice:
    """The threshold that routes most of the samples right; see `choose_sigma`.

    Raises:
        InputError: the samples are not of both ranges.
    """
    d_max, far = [], []
    for sample in samples:
        answer, placement, _ = coarse.answer(sample)
        d_max.append(float(answer[placement.content].max()))
        far.append(sample.route is Route.HIGH)
    return choose_sigma(np.array(d_max), np.array(far))


def scene_decision(path: Path, size: tuple[int, int] | None = None, device: str = "cpu") -> Decide:
    """Stage one by a scene classifier's checkpoint, with the vote that training wrote beside it.

    Raises:
        CheckpointError: it is no classifier.
        InputError: there is no checkpoint or no vote.
    """
    checkpoint = load_checkpoint(path)
    if not isinstance(checkpoint.spec, ClassifierSpec):
        raise CheckpointError(f"{path} holds the depth network {checkpoint.network}, which knows no scenes")
    beside = path.with_name(f"{path.stem}.rule.json")
    rule = parse_scene_rule(beside.read_bytes(), where=str(beside))
    network = checkpoint.build().to(device).eval()
    wh, policy = size or checkpoint.spec.input_wh, checkpoint.spec.resize

    def decide(sample: DepthSample) -> Route:
        height, width = sample.image_bgr.shape[:2]
        placement = Placement.of((width, height), wh, policy)
        image_rgb = placement.to_input(np.ascontiguousarray(sample.image_bgr[..., ::-1]))
        with torch.inference_mode():
            probabilities = network(to_float(torch.from_numpy(image_rgb)[None].to(device)))[0].float().cpu().numpy()
        return rule.decide(probabilities).route

    return decide
