"""Each network must be able to learn eight images by heart: the shortest proof that network, loss and loop fit.

`python -m edgedepth.trainers.overfit` runs the smallest of each family on eight frames of a data set, or on slopes that
it makes itself. Uniform bins are left out: nearest depths are coarser than 5 % there by construction.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from edgedepth.core.errors import EdgeDepthError, UnknownNameError
from edgedepth.datasets import DepthDataset, open_dataset
from edgedepth.evaluation import evaluate_samples, protocol_named
from edgedepth.trainers.augment import to_float
from edgedepth.trainers.config import AugmentConfig, TrainConfig
from edgedepth.trainers.data import collate, in_order
from edgedepth.trainers.loop import fit
from edgedepth.trainers.predictor import NetworkPredictor
from edgedepth.trainers.processes import fabric_for
from edgedepth.trainers.train_depth import DepthTask

IMAGES = 8
LIMIT = 0.05  # abs_rel on the images that were learned
_PLAIN = AugmentConfig(max_zoom=1.0, reshape=0.0, whole=1.0, flip=False, photometric=0.0, cutout=0.0)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network at its smallest, and how it is trained: `steps` of all eight images at `wh` pixels."""

    network: str
    options: Mapping[str, Any] = field(default_factory=dict)
    wh: tuple[int, int] = (32, 24)
    steps: int = 60
    lr: float = 4e-3


_EDGE = {"widths": (8, 16, 24, 32, 48), "depths": (0, 0, 0, 0, 0), "decoder_widths": (32, 24, 16, 8)}
CASES: Mapping[str, Case] = {
    "ds-sidenet-low": Case(network="ds-sidenet-low", options={"width": 0.125}, steps=150),
    "ds-sidenet-high": Case(network="ds-sidenet-high", options={"width": 0.25}, steps=250, lr=6e-3),
    "edge-low": Case(network="edge-low", options=_EDGE, steps=150),
    "edge-high": Case(network="edge-high", options=_EDGE, steps=150),
    "sid-deeplab": Case(network="sid-deeplab", options={"backbone": "small"}, steps=150, lr=1e-2),
    "hqmd": Case(network="hqmd", options={"backbone": "small", "width": 32}, steps=100),
    "drnet": Case(network="drnet", options={"backbone": "small"}, steps=100),
    "rside": Case(network="rside", options={"backbone": "small"}, wh=(24, 16), steps=150),
    "rsn": Case(network="rsn", options={"width": 0.125, "iterations": 2}, wh=(16, 12), steps=100, lr=8e-3),
}


def overfit(name: str, data: str | None = None, *, threads: int | None = None) -> float:
    """Train a case on eight images and answer its abs_rel on them, unaligned, by the one evaluation.

    data: `kind:path`, whose first eight samples are taken; slopes made for the purpose where None.

    Raises:
        UnknownNameError: there is no such case.
    """
    if name not in CASES:
        raise UnknownNameError.of("case", name, CASES)
    with tempfile.TemporaryDirectory() as folder:
        source = data if data is not None else f"pairs:{write_slopes(Path(folder), name, CASES[name].wh)}"
        return _overfit(CASES[name], source, Path(folder) / "run", threads)


def _overfit(case: Case, data: str, out: Path, threads: int | None) -> float:
    config = TrainConfig(
        network=case.network,
        data=(data,),
        out=out,
        size=case.wh,
        epochs=case.steps,
        batch=IMAGES,
        lr=case.lr,
        weight_decay=0.0,
        ema=0.0,
        eval_seconds=1e9,
        eval_images=0,
        threads=threads,
        options=case.options,
        augment=_PLAIN,
    )
    out.mkdir(parents=True, exist_ok=True)
    fabric = fabric_for(config)
    task = _EightImages(config)
    fit(task, config, fabric)
    _settle_norms(task, fabric.device)
    predictor = NetworkPredictor(task.network, task.training_spec, fabric.device)
    report = evaluate_samples(predictor, task.images, protocol_named("native"), alignments=["none"])
    return report.alignment["none"]["abs_rel"]


class _EightImages(DepthTask):
    """A task on the first eight samples of its data, and on nothing else."""

    images: DepthDataset

    def _split(self) -> tuple[list[DepthDataset], list[DepthDataset]]:
        (name,) = self.config.data
        self.images = open_dataset(name)[:IMAGES]
        return [self.images], [self.images[:0]]


def _settle_norms(task: DepthTask, device: torch.device) -> None:
    """Statistics of batch norm as the last weights make them: a run of seconds leaves a lagging average behind."""
    for module in task.network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    task.network.train()
    with torch.no_grad():
        for batch in in_order(task.frames, collate, IMAGES):
            task.network(to_float(batch.image.to(device)))


def write_slopes(folder: Path, network: str, wh: tuple[int, int]) -> Path:
    """Eight slopes in as many directions, whose brightness tells depth, as a list of pairs; answers its path.

    Smooth, so that networks that answer at an eighth of the size can follow them.
    """
    low, high = (1.5, 40.0) if network.endswith(("-high", "deeplab")) else (0.6, 7.0)
    width, height = wh
    right, down = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    records = []
    for number in range(IMAGES):
        angle = number * np.pi / 4
        along = (right * np.cos(angle) + down * np.sin(angle) + 2**0.5) / 8**0.5  # 0..1
        depth = low * (high / low) ** along
        image = 255 * (1 - 0.8 * along)[..., None] * np.array([0.4, 0.7, 1.0])
        cv2.imwrite(str(folder / f"{number}.png"), image.round().astype(np.uint8))
        cv2.imwrite(str(folder / f"{number}.depth.png"), (depth * 1000).round().astype(np.uint16))
        records.append({"rgb": f"{number}.png", "depth": f"{number}.depth.png", "depth_scale": 1000.0})
    path = folder / "pairs.json"
    path.write_text(json.dumps(records))
    return path


def main(arguments: Iterable[str] | None = None) -> int:
    """Run cases and print a line for each; 0 if all are below `LIMIT`."""
    parser = argparse.ArgumentParser(prog="python -m edgedepth.trainers.overfit", description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"cases to run, all if none is named: {', '.join(CASES)}")
    parser.add_argument("--data", help="kind:path, whose first eight samples are taken; slopes if not given")
    parser.add_argument("--threads", type=int, help="CPU threads of PyTorch")
    given = parser.parse_args(None if arguments is None else list(arguments))
    failed = 0
    for name in given.cases or CASES:
        abs_rel = overfit(name, given.data, threads=given.threads)
        failed += abs_rel >= LIMIT
        print(f"{name:16} abs_rel {abs_rel:.4f}  {'ok' if abs_rel < LIMIT else f'not below {LIMIT}'}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EdgeDepthError as error:
        sys.exit(f"edgedepth: {error}")
