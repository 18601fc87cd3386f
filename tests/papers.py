"""What the tests of the papers' networks share: shapes without numbers, tiny data, a short training run."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from edgedepth.core.spec import DepthSpec
from edgedepth.trainers import create_network
from edgedepth.trainers.config import LossConfig
from edgedepth.trainers.losses.objectives import DepthObjective
from edgedepth.trainers.models.registry import default_spec

# Looked for, not imported: importing it is what `timm_import` has to do first.
needs_timm = pytest.mark.skipif(find_spec("timm") is None, reason="backbones of timm: pip install 'edgedepth[timm]'")


def on_meta(name: str, **options: object) -> nn.Module:
    """A network of shapes without numbers, so that full sizes cost nothing; in eval mode."""
    with torch.device("meta"):
        return create_network(name, **options).eval()


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def giga_macs(network: nn.Module, wh: tuple[int, int]) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, wh[1], wh[0], device="meta"))
    return counter.get_total_flops() / 2e9


def eight_images(spec: DepthSpec, hw: tuple[int, int] = (24, 32)) -> tuple[Tensor, Tensor, Tensor]:
    """Eight slopes in as many directions, whose brightness tells depth: networks that answer at 1/8 can follow them.

    Image (8, 3, H, W), depth (8, 1, H, W) in metres and regions (8, 1, H, W), bands of similar depth.
    """
    height, width = hw
    down = torch.linspace(-1, 1, height).view(1, 1, height, 1)
    right = torch.linspace(-1, 1, width).view(1, 1, 1, width)
    angle = torch.arange(8).view(8, 1, 1, 1) * (torch.pi / 4)
    along = (right * angle.cos() + down * angle.sin() + 2**0.5) / 8**0.5  # (8, 1, H, W) in 0..1
    low, high = 1.5 * spec.min_m, 0.7 * spec.max_m
    depth_m = low * (high / low) ** along
    tint = torch.tensor([1.0, 0.7, 0.4]).view(1, 3, 1, 1)
    return (1 - 0.8 * along) * tint, depth_m, 1 + (3.99 * along).long()


def overfit(
    name: str,
    *,
    steps: int,
    lr: float,
    hw: tuple[int, int] = (24, 32),
    loss: LossConfig | None = None,
    **options: object,
) -> float:
    """abs_rel on eight tiny images after `steps` of training on them with the network's own losses."""
    torch.manual_seed(0)
    network = create_network(name, **options)
    spec = default_spec(name, **options)
    objective = DepthObjective(network, spec, loss or LossConfig())
    image, depth_m, regions = eight_images(spec, hw)
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    network.train()
    for _ in range(steps):
        terms = objective(image, depth_m, torch.ones(8), regions)
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        schedule.step()
    # Statistics of batch norm as the last weights make them: a run of seconds leaves a lagging average behind.
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    with torch.no_grad():
        network(image)
        answer = network.eval()(image)
    return float(((answer - depth_m).abs() / depth_m).mean())
