"""Optimizers and schedules, those of the papers and our own, by name."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from edgedepth.trainers.config import TrainConfig
from edgedepth.trainers.muon import Muon


def optimizer_for(module: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimizer that `config.optimizer` names, over the parameters of `module` that are trained.

    "amsgrad" is Adam with the maximum of past second moments (papers/4); "sgd" has a momentum of 0.9, as DeepLab v2
    (papers/2) has it. "muon" is `Muon`. Only "adamw" and "muon" decouple weight decay from the gradient.
    """
    groups = parameter_groups(module, config.weight_decay)
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=0.9)
    if config.optimizer in ("adam", "amsgrad"):
        return torch.optim.Adam(groups, lr=config.lr, amsgrad=config.optimizer == "amsgrad")
    if config.optimizer == "muon":
        return Muon(groups, lr=config.lr)
    return torch.optim.AdamW(groups, lr=config.lr)


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights decay, biases and norms do not."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def learning_rate(progress: float, config: TrainConfig, step: int = 0) -> float:
    """Learning rate at `progress` (0..1 of the budget) and `step`: linear rise in the warm-up, then the schedule.

    "cosine" and "poly" (power 0.9, papers/2) fall to zero, "constant" stays (papers/5), "exponential" is multiplied by
    `config.decay` every `config.decay_steps` steps (papers/3).
    """
    if progress < config.warmup:
        return config.lr * max(progress / config.warmup, 0.01)
    done = min((progress - config.warmup) / (1 - config.warmup), 1.0)
    if config.schedule == "constant":
        return config.lr
    if config.schedule == "exponential":
        return config.lr * math.pow(config.decay, step // config.decay_steps)
    if config.schedule == "poly":
        return config.lr * math.pow(1 - done, 0.9)
    return config.lr * 0.5 * (1 + math.cos(math.pi * done))
