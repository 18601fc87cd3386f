"""The staged training of papers/5 on tiny labelled frames."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'edgedepth[train]'")
pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric: pip install 'edgedepth[train]'")

from edgedepth.core.errors import InputError  # noqa: E402
from edgedepth.datasets import open_dataset  # noqa: E402
from edgedepth.trainers.checkpoint import load_checkpoint  # noqa: E402
from edgedepth.trainers.config import AugmentConfig, LossConfig, TrainConfig  # noqa: E402
from edgedepth.trainers.models.registry import default_spec  # noqa: E402
from edgedepth.trainers.regions.data import RegionFrames, collate_regions  # noqa: E402
from edgedepth.trainers.regions.train import STAGES, RegionTask  # noqa: E402
from edgedepth.trainers.train import train  # noqa: E402

SIZE_WH = (16, 12)


def write_labelled(folder: Path, count: int, *, labels: bool = True) -> Path:
    """A wall of class 1 and a nearer box of class 2, each of one depth."""
    width, height = SIZE_WH
    rng = np.random.default_rng(0)
    records = []
    for number in range(count):
        depth, semantic = np.full((height, width), rng.uniform(4, 8)), np.ones((height, width), np.uint8)
        depth[4:9, 3:9], semantic[4:9, 3:9] = rng.uniform(1, 3), 2
        image = np.repeat((255 * (1 - depth / 10))[..., None], 3, axis=2).astype(np.uint8)
        for suffix, array in (("", image), (".depth", (depth * 1000).astype(np.uint16)), (".labels", semantic)):
            assert cv2.imwrite(str(folder / f"{number}{suffix}.png"), array)
        record = {"rgb": f"{number}.png", "depth": f"{number}.depth.png", "depth_scale": 1000.0, "domain": "indoor"}
        records.append(record | ({"semantic": f"{number}.labels.png"} if labels else {}))
    (folder / "pairs.json").write_text(json.dumps(records))
    return folder / "pairs.json"


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    return TrainConfig(
        network="rsn",
        data=(f"pairs:{write_labelled(tmp_path, 10)}",),
        out=tmp_path / "run",
        size=SIZE_WH,
        epochs=sum(stage.epochs for stage in STAGES.values()) / 20,  # a step or a few a stage
        batch=4,
        options={"width": 0.125, "iterations": 2},
        threads=1,
        ema=0.0,
        augment=AugmentConfig(max_zoom=1.1, photometric=0.0, cutout=0.0),
    )


def test_frames_come_with_their_regions(config: TrainConfig) -> None:
    spec = default_spec("rsn").at_size(SIZE_WH)
    frames = RegionFrames([open_dataset(config.data[0])], spec)
    batch = collate_regions([frames[0, 0], frames[0, 1]])
    assert batch.regions.shape == batch.semantic.shape == batch.depth_m.shape == (2, 1, 12, 16)
    # Instances count from the highest category: the box is region 1.
    assert batch.regions[0, 0, 5, 5] == 1
    assert batch.regions[0, 0, 0, 0] == 2
    assert float(batch.semantic[0, 0, 5, 5]) == pytest.approx(0.002)


def test_regions_are_cut_and_turned_with_their_frame(config: TrainConfig) -> None:
    spec = default_spec("rsn").at_size(SIZE_WH)
    bent = AugmentConfig(max_zoom=1.2, photometric=0.0, whole=0.0, reshape=0.0, roll_deg=10.0)
    plain = RegionFrames([open_dataset(config.data[0])], spec)
    frames = RegionFrames([open_dataset(config.data[0])], spec, augment=bent)
    turned = 0
    for key in [(epoch, index) for epoch in range(6) for index in range(len(frames))]:
        item = frames[key]
        near = item.depth_m < 3.5
        assert near.any()
        np.testing.assert_array_equal(item.semantic[near], np.float32(0.002))
        np.testing.assert_array_equal(item.semantic[item.depth_m >= 3.5], np.float32(0.001))
        columns = near.any(axis=0).sum() * near.any(axis=1).sum()
        turned += bool(near.sum() < columns)  # a turned box does not fill its columns and rows
        assert item.focal >= plain[0, key[1]].focal
    assert turned > 5


def test_all_stages_run_and_hand_their_weights_on(config: TrainConfig) -> None:
    result = train(config)
    assert result.checkpoint == config.out / "rsn.safetensors"
    assert "abs_rel" in result.figures
    finished = load_checkpoint(result.checkpoint)
    assert finished.build().options.modules == "both"
    assert (config.out / "rsn.baseline.npy").is_file()
    states = {name: load_checkpoint(config.out / name / "rsn.safetensors").state for name in STAGES}

    def same(first: str, second: str, module: str) -> bool:
        names = [name for name in states[first] if name.startswith(module)]
        assert names
        return all(torch.equal(states[first][name], states[second][name]) for name in names)

    # Frozen modules leave their stage as they entered it, statistics of batch norm included; the others do not.
    assert same("generation", "refinement-on-generated", "generation")
    assert not same("refinement", "refinement-on-generated", "refinement")
    assert same("refinement-on-generated", "generation-through-refinement", "refinement")
    assert not same("refinement-on-generated", "generation-through-refinement", "generation")
    with pytest.raises(InputError, match="holds a training run; go on with it by --resume"):
        train(config)
    assert train(replace(config, resume=True)).steps == 0
    assert not same("generation-through-refinement", "together", "generation")
    log = [json.loads(line) for line in (config.out / "refinement-on-generated" / "log.jsonl").read_text().splitlines()]
    assert {"iterations"} <= set(log[0])
    assert "support" not in log[0]
    # Resumed when done, it only says so again.
    again = train(replace(config, resume=True))
    assert again.steps == 0
    assert again.figures == result.figures


@pytest.mark.parametrize(
    "options",
    [
        {"modules": "refinement", "guidance": "truth"},
        {"modules": "both", "guidance": "semantic"},
        {"modules": "generation"},
    ],
)
def test_rows_of_table_3_are_single_runs(config: TrainConfig, options: dict[str, str]) -> None:
    result = train(replace(config, epochs=0.5, options={**config.options, "iterations": 1, **options}))
    assert "abs_rel" in result.figures
    checkpoint = load_checkpoint(result.checkpoint)
    assert checkpoint.options["modules"] == options["modules"]
    assert checkpoint.provenance["loss"] == "region-log"


def test_the_true_support_is_the_mean_depth_of_each_region(config: TrainConfig) -> None:
    config = replace(
        config,
        options={**config.options, "modules": "refinement", "guidance": "truth"},
        augment=AugmentConfig(max_zoom=1.0, whole=1.0, flip=False, photometric=0.0, cutout=0.0),
    )
    task = RegionTask(config)
    batch = next(iter(task.batches(0)))
    _, depth_m, focal, regions, guidance = task.prepare(batch, 0, torch.device("cpu"))
    canonical = depth_m / focal[:, None, None, None]
    for region in (1, 2):
        inside = regions[0] == region
        assert float(guidance[0][inside].std()) == pytest.approx(0, abs=1e-5)
        assert float(guidance[0][inside].mean()) == pytest.approx(float(canonical[0][inside].mean()), rel=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": LossConfig(metric="l2")}, "the stages of rsn have losses of their own"),
        ({"batch": 1}, "rsn takes batches of at least 2 images"),
    ],
)
def test_settings_that_cannot_be_are_refused(config: TrainConfig, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train(replace(config, **change))


def test_data_without_labels_are_refused(config: TrainConfig, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    write_labelled(bare, 6, labels=False)
    with pytest.raises(InputError, match="has no semantic labels, which regions are made of"):
        train(replace(config, data=(f"pairs:{bare / 'pairs.json'}",), out=tmp_path / "other"))


def test_a_damaged_frame_of_one_set_takes_none_of_another_with_it(config: TrainConfig, tmp_path: Path) -> None:
    """Samples of two sets may have the same names."""
    (tmp_path / "b").mkdir()
    both = replace(config, data=(*config.data, f"pairs:{write_labelled(tmp_path / 'b', 10)}"))
    task = RegionTask(both)
    whole = len(task.region_frames)
    (tmp_path / "3.png").write_bytes(b"damaged")
    (tmp_path / "run").rename(tmp_path / "before")
    again = RegionTask(both)
    assert len(again.frames.cache.bad) == 1
    assert len(again.region_frames) == whole - 1 == len(again.frames)
