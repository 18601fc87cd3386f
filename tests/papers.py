"""What the tests of the papers' networks share: shapes without numbers, tiny data, a short training run."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from edgedepth.core.spec import DepthSpec
from edgedepth.trainers import create_network
from edgedepth.trainers.config import LossConfig
from edgedepth.trainers.models.registry import default_spec
from edgedepth.trainers.objectives import DepthObjective


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


def eight_images(spec: DepthSpec, hw: tuple[int, int] = (32, 40)) -> tuple[Tensor, Tensor, Tensor]:
    """Eight scenes whose brightness tells depth: a far wall, a nearer box at another place in each.

    Image (8, 3, H, W), depth (8, 1, H, W) in metres and regions (8, 1, H, W).
    """
    generator = torch.Generator().manual_seed(0)
    height, width = hw
    low, high = spec.min_m * 1.5, spec.max_m * 0.7
    depth_m = torch.empty(8, 1, height, width)
    regions = torch.ones(8, 1, height, width, dtype=torch.int64)
    for scene in range(8):
        wall, box = low + (high - low) * torch.rand(2, generator=generator).sort(descending=True).values
        top, left = 4 + scene, 4 + 2 * scene
        depth_m[scene] = wall
        depth_m[scene, :, top : top + 14, left : left + 16] = box
        regions[scene, :, top : top + 14, left : left + 16] = 2
    shade = (depth_m.log() - depth_m.log().min()) / (depth_m.log().max() - depth_m.log().min())
    tint = torch.tensor([1.0, 0.7, 0.4]).view(1, 3, 1, 1)
    return (1 - 0.8 * shade) * tint, depth_m, regions


def overfit(name: str, *, steps: int, lr: float, loss: LossConfig | None = None, **options: object) -> float:
    """abs_rel on eight tiny images after `steps` of training on them with the network's own losses."""
    torch.manual_seed(0)
    network = create_network(name, **options)
    spec = default_spec(name, **options)
    objective = DepthObjective(network, spec, loss or LossConfig())
    image, depth_m, regions = eight_images(spec)
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
