"""What `test_training_loop` runs under torchrun: a short run with batch norm frozen. Arguments: pairs, out, batch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgedepth.trainers import loop
from edgedepth.trainers.config import AugmentConfig, TrainConfig
from edgedepth.trainers.processes import fabric_for, first_on_machine
from edgedepth.trainers.train_depth import DepthTask

TINY = {
    "widths": (8, 8, 16, 16, 16),
    "depths": (0, 0, 0, 0, 0),
    "decoder_widths": (16, 16, 8, 8),
    "regression": False,
}


class FrozenNorm(DepthTask):
    """Batch statistics differ between halves of a batch; fixed ones do not."""

    def prepare(self, batch: Any, step: int, device: torch.device) -> tuple[Tensor, ...]:
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return super().prepare(batch, step, device)


def run(pairs: str, out: Path, batch: int, accumulate: int = 1) -> None:
    """Ten steps of 36 frames at 8 a step, every one of them logged."""
    loop._LOG_SECONDS = -1.0
    config = TrainConfig(
        network="edge-low",
        data=(f"pairs:{pairs}",),
        out=out,
        size=(64, 48),
        epochs=2.5,
        batch=batch,
        accumulate=accumulate,
        options=TINY,
        threads=1,
        device="cpu",
        augment=AugmentConfig(max_zoom=1.2, reshape=0.0, whole=0.0, photometric=0.0, cutout=0.0),
    )
    fabric = fabric_for(config)
    with first_on_machine(fabric):
        task = FrozenNorm(config)
    loop.fit(task, config, fabric)


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
