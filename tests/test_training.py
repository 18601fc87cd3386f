"""Training end to end on tiny data: it learns, it resumes exactly, and it refuses what cannot work."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from edgedepth.core.errors import CheckpointError, InputError  # noqa: E402
from edgedepth.trainers.checkpoint import load_checkpoint  # noqa: E402
from edgedepth.trainers.config import AugmentConfig, TrainConfig  # noqa: E402
from edgedepth.trainers.train_depth import train_depth  # noqa: E402

TINY = {
    "widths": (8, 8, 16, 16, 16),
    "depths": (0, 0, 0, 0, 0),
    "decoder_widths": (16, 16, 8, 8),
    "regression": False,
}


def write_planes(folder: Path, count: int, *, size_wh: tuple[int, int] = (64, 48)) -> Path:
    """Frames of slanted planes whose brightness tells their depth, as pairs.json."""
    width, height = size_wh
    rng = np.random.default_rng(0)
    records = []
    for number in range(count):
        near, far = rng.uniform(0.8, 2.0), rng.uniform(2.5, 8.0)
        depth = np.linspace(far, near, height)[:, None] * np.ones(width)
        image = np.repeat((255 * (1 - depth / 10))[..., None], 3, axis=2)
        noisy = (image + rng.normal(0, 4, image.shape)).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), noisy)
        cv2.imwrite(str(folder / f"{number}.depth.png"), (depth * 1000).astype(np.uint16))
        records.append(
            {
                "id": str(number),
                "domain": "indoor",
                "rgb": f"{number}.png",
                "depth": f"{number}.depth.png",
                "depth_scale": 1000.0,
                "intrinsics": [52.0, 52.0, (width - 1) / 2, (height - 1) / 2],
            }
        )
    path = folder / "pairs.json"
    path.write_text(json.dumps(records))
    return path


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    pairs = write_planes(tmp_path, 40)
    return TrainConfig(
        network="edge-low",
        data=(f"pairs:{pairs}",),
        out=tmp_path / "run",
        size=(64, 48),
        epochs=8,
        batch=8,
        options=TINY,
        ema=0.8,
        threads=1,
        augment=AugmentConfig(max_zoom=1.2, aspects=(1.2, 1.5), photometric=0.1, cutout=0.0),
    )


def log_of(config: TrainConfig) -> list[dict[str, float]]:
    return [json.loads(line) for line in (config.out / "log.jsonl").read_text().splitlines()]


def test_training_beats_the_baseline(config: TrainConfig) -> None:
    result = train_depth(replace(config, epochs=30, lr=8e-3))
    assert result.figures["abs_rel"] < 0.8 * result.figures["baseline_abs_rel"]
    checkpoint = load_checkpoint(result.checkpoint)
    assert checkpoint.spec.input_wh == (320, 240)  # the contract is that of the full size
    assert checkpoint.provenance["images"] == "36"
    baseline = np.load(config.out / "edge-low.baseline.npy")
    assert baseline.shape == (240, 320)
    assert baseline.dtype == np.float32
    assert log_of(config)[-1]["event"] == "evaluation"
