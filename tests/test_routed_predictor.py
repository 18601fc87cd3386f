"""Two networks and a router over checkpoints: who answers, and what the coarse router looks at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need PyTorch: pip install 'edgedepth[train]'")

from torch import nn  # noqa: E402

from edgedepth.core.errors import CheckpointError, InputError  # noqa: E402
from edgedepth.core.routing import Route  # noqa: E402
from edgedepth.core.spec import DepthSpec  # noqa: E402
from edgedepth.datasets import DepthSample  # noqa: E402
from edgedepth.trainers.checkpoint import save_checkpoint  # noqa: E402
from edgedepth.trainers.models.registry import create_network, default_spec  # noqa: E402
from edgedepth.trainers.papers.routed_predictor import (  # noqa: E402
    RoutedPredictor,
    coarse_decision,
    scene_decision,
    sigma_of,
)
from edgedepth.trainers.predictor import NetworkPredictor  # noqa: E402

SPEC = DepthSpec(input_wh=(32, 24), min_m=0.3, max_m=80.0, f_canonical_px=26.0)


class Brightness(nn.Module):
    """Depth is brightness times `scale`; what is black, such as a letterbox's bars, is as far as can be."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        grey = image.mean(dim=1, keepdim=True)
        return torch.where(grey == 0, torch.full_like(grey, 80.0), grey * self.scale)


def sample(grey: int, route: Route = Route.LOW, wh: tuple[int, int] = (64, 24)) -> DepthSample:
    """A frame of one grey, wide enough that a letterbox has bars."""
    return DepthSample(
        id=str(grey),
        image_bgr=np.full((wh[1], wh[0], 3), grey, np.uint8),
        depth_m=np.full((wh[1], wh[0]), 5.0, np.float32),
        route=route,
    )


def test_the_range_that_the_coarse_depth_reaches_decides_who_answers() -> None:
    coarse = NetworkPredictor(Brightness(25.5), SPEC)  # grey 100 is 10 m
    networks = {
        Route.LOW: NetworkPredictor(Brightness(2.55), SPEC),
        Route.HIGH: NetworkPredictor(Brightness(255), SPEC),
    }
    predict = RoutedPredictor(coarse_decision(coarse, sigma_m=10.0), networks)
    near, far = predict(sample(99)), predict(sample(101))
    assert (near.route, far.route) == (Route.LOW, Route.HIGH)  # the bars, at 80 m, do not count
    assert near.depth_m.shape == (24, 64)
    assert float(near.depth_m[12, 32]) == pytest.approx(0.99, rel=1e-3)
    assert float(far.depth_m[12, 32]) == pytest.approx(101.0, rel=1e-3)


def test_sigma_lies_between_the_two_ranges() -> None:
    coarse = NetworkPredictor(Brightness(25.5), SPEC)
    samples = [sample(grey) for grey in (20, 40)] + [sample(grey, Route.HIGH) for grey in (90, 200)]
    choice = sigma_of(coarse, samples)
    assert 4.0 < choice.sigma_m < 9.0
    assert choice.accuracy == 1.0
    with pytest.raises(InputError, match="frames of both ranges"):
        sigma_of(coarse, samples[:2])


def test_a_depth_network_knows_no_scenes(tmp_path: Path) -> None:
    path = tmp_path / "drnet.safetensors"
    network = create_network("drnet", backbone="small")
    save_checkpoint(
        path,
        network,
        network="drnet",
        options={"backbone": "small"},
        spec=default_spec("drnet", backbone="small"),
        provenance={},
    )
    with pytest.raises(CheckpointError, match="holds the depth network drnet, which knows no scenes"):
        scene_decision(path)
