"""The loop's extras: larger steps in parts, several processes, early stop, events, pictures, and what goes wrong."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'edgedepth[train]'")
pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric: pip install 'edgedepth[train]'")

from edgedepth.core.errors import EdgeDepthError, InputError, OutputError  # noqa: E402
from edgedepth.trainers import loop, processes  # noqa: E402
from edgedepth.trainers.checkpoint import load_checkpoint  # noqa: E402
from edgedepth.trainers.config import AugmentConfig, TrainConfig  # noqa: E402
from edgedepth.trainers.data import EndlessKeys  # noqa: E402
from edgedepth.trainers.optimisers import learning_rate, optimizer_for  # noqa: E402
from edgedepth.trainers.processes import fabric_for  # noqa: E402
from edgedepth.trainers.train import train  # noqa: E402
from edgedepth.trainers.train_depth import DepthTask, train_depth  # noqa: E402
from tests.frames import write_planes  # noqa: E402
from tests.two_processes import TINY, run  # noqa: E402

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    return TrainConfig(
        network="edge-low",
        data=(f"pairs:{write_planes(tmp_path, 20)}",),
        out=tmp_path / "run",
        size=(64, 48),
        epochs=2,
        batch=6,
        options=TINY,
        threads=1,
        device="cpu",
        augment=AugmentConfig(max_zoom=1.2, photometric=0.1, cutout=0.0),
    )


def events(folder: Path, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


def losses(folder: Path) -> list[float]:
    return [line["loss"] for line in events(folder, "step")]


# -- larger steps, in parts and in processes ------------------------------------------------------------------


def test_parts_of_a_step_are_the_frames_of_one_large_batch() -> None:
    whole = iter(EndlessKeys(40, 8, seed=3, start=2))
    parts = [iter(EndlessKeys(40, 2, seed=3, start=2, accumulate=2, process=rank, processes=2)) for rank in (0, 1)]
    for _ in range(7):  # over the end of an epoch
        together = [key for part in parts for _ in range(2) for key in next(part)]
        assert sorted(together) == sorted(next(whole))
    assert EndlessKeys(40, 2, seed=0, accumulate=2, processes=2).per_epoch == EndlessKeys(40, 8, seed=0).per_epoch


def test_fewer_frames_than_parts_are_refused() -> None:
    with pytest.raises(InputError, match="3 frames cannot make a step of 4 batches"):
        EndlessKeys(3, 8, seed=0, accumulate=2, processes=2)


def test_two_processes_and_two_parts_train_like_one_large_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = str(write_planes(tmp_path, 40))
    monkeypatch.setattr(loop, "_LOG_SECONDS", -1.0)
    run(pairs, tmp_path / "one", 8)
    run(pairs, tmp_path / "parts", 4, accumulate=2)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
    worker = [str(REPOSITORY / "tests" / "two_processes.py"), pairs, str(tmp_path / "two"), "4"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [*torchrun, "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", *worker],
        env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    one = losses(tmp_path / "one")
    assert len(one) == 10
    assert one[-1] != pytest.approx(one[0], rel=0.01)  # it moved
    assert losses(tmp_path / "parts") == pytest.approx(one, rel=2e-3)
    assert losses(tmp_path / "two") == pytest.approx(one, rel=2e-3)
    assert len(events(tmp_path / "two", "evaluation")) == 1  # one of them validates and writes
    figures = [events(tmp_path / name, "evaluation")[-1]["abs_rel"] for name in ("one", "two")]
    assert figures[1] == pytest.approx(figures[0], rel=0.02)


def test_the_frames_of_all_processes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert processes.of_all_processes(["a", "b"]) == ["a", "b"]

    def gathered(found: list[Any], names: list[str]) -> None:
        found[:] = [names, ["c"]]

    monkeypatch.setattr(processes, "_together", lambda: True)
    monkeypatch.setattr(processes, "world_size", lambda: 2)
    monkeypatch.setattr(processes.distributed, "all_gather_object", gathered)
    assert processes.of_all_processes(["a", "b"]) == ["a", "b", "c"]


def test_parts_of_a_step_draw_colours_of_their_own(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    draws: list[int] = []
    prepare = DepthTask.prepare

    def noted(task: DepthTask, batch: Any, draw: int, device: torch.device) -> tuple[torch.Tensor, ...]:
        draws.append(draw)
        return prepare(task, batch, draw, device)

    monkeypatch.setattr(DepthTask, "prepare", noted)
    result = train_depth(replace(config, accumulate=2, batch=2))
    assert draws == list(range(2 * result.steps))


# -- optimizers and schedules -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "settings"),
    [
        ("adamw", "AdamW", {}),
        ("adam", "Adam", {"amsgrad": False}),
        ("amsgrad", "Adam", {"amsgrad": True}),
        ("sgd", "SGD", {"momentum": 0.9}),
        ("muon", "Muon", {}),
    ],
)
def test_optimizers_by_name(config: TrainConfig, name: Any, kind: str, settings: dict[str, Any]) -> None:
    module = torch.nn.Linear(2, 2)
    optimizer = optimizer_for(module, replace(config, optimizer=name, weight_decay=0.1))
    assert type(optimizer).__name__ == kind
    assert settings.items() <= optimizer.defaults.items()
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]


def test_constant_and_exponential_schedules(config: TrainConfig) -> None:
    flat = replace(config, lr=1.0, warmup=0.0, schedule="constant")
    assert learning_rate(0.99, flat, 10**6) == 1.0
    falling = replace(flat, schedule="exponential", decay=0.9, decay_steps=10_000)
    assert learning_rate(0.5, falling, 9_999) == 1.0
    assert learning_rate(0.5, falling, 20_000) == pytest.approx(0.81)


# -- early stop, events, pictures ---------------------------------------------------------------------------


def test_patience_ends_a_run_and_keeps_the_best_checkpoint(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = iter([0.5, 0.3, 0.4, 0.35, 0.2])
    monkeypatch.setattr(DepthTask, "evaluate", lambda *_: {"abs_rel": next(figures)})
    result = train_depth(replace(config, epochs=50, patience=2, eval_seconds=1e-9))
    assert result.early
    assert result.steps == 4
    assert result.figures == {"abs_rel": 0.3}
    assert load_checkpoint(result.checkpoint).provenance["steps"] == "2"


def test_patience_needs_something_to_judge_by(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DepthTask, "evaluate", lambda *_: {})
    with pytest.raises(EdgeDepthError, match="patience needs validation data"):
        train_depth(replace(config, epochs=1, patience=1))


@pytest.mark.parametrize(("network", "unfit"), [("edge-low", "high"), ("scene-small", None)])
def test_patience_without_validation_data_is_told_before_anything_is_trained(
    config: TrainConfig, network: str, unfit: str | None
) -> None:
    """All that is named to validate on is of a route that the network does not serve, or of none."""
    path = Path(config.data[0].removeprefix("pairs:"))
    records = [{**record, "split": "train", "route": "low", "domain": None} for record in json.loads(path.read_text())]
    records[-1] |= {"split": "val", "route": unfit}
    path.write_text(json.dumps(records))
    options = config.options if network == "edge-low" else {}
    with pytest.raises(InputError, match=r"patience needs validation data, .* as split val, or give --set patience=0"):
        train(replace(config, network=network, options=options, patience=1))
    with pytest.raises(InputError, match="patience judges by validation images, and eval_images is 0"):
        replace(config, patience=1, eval_images=0)


def test_sample_pictures_of_every_epoch(config: TrainConfig) -> None:
    train_depth(replace(config, pictures=2))
    names = sorted(path.name for path in (config.out / "pictures").iterdir())
    assert names == ["epoch-0001.jpg", "epoch-0002.jpg"]
    picture = cv2.imread(str(config.out / "pictures" / names[0]))
    assert picture.shape == (2 * (192 + 2), 4 * 256, 3)  # two frames: image, truth, answer, error


def test_tensorboard_reads_the_curves_and_pictures(config: TrainConfig) -> None:
    pytest.importorskip("tensorboard", reason="events need TensorBoard: pip install 'edgedepth[tensorboard]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train_depth(replace(config, tensorboard=True, pictures=1))
    read = EventAccumulator(str(config.out / "tensorboard"))
    read.Reload()
    tags = read.Tags()
    assert {"step/loss", "evaluation/abs_rel"} <= set(tags["scalars"])
    assert tags["images"] == ["samples"]
    logged = events(config.out, "evaluation")[-1]
    assert read.Scalars("evaluation/abs_rel")[-1].value == pytest.approx(logged["abs_rel"], abs=1e-4)


# -- what goes wrong ----------------------------------------------------------------------------------------


def test_a_nan_in_a_batch_is_named_counted_and_survived(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = DepthTask.prepare

    def poisoned(task: DepthTask, batch: Any, step: int, device: torch.device) -> tuple[torch.Tensor, ...]:
        image, *rest = prepare(task, batch, step, device)
        if step == 2:
            image[0, 0, 0, 0] = float("nan")
        return (image, *rest)

    monkeypatch.setattr(DepthTask, "prepare", poisoned)
    result = train_depth(config)
    assert result.bad_steps == 1
    (event,) = events(config.out, "bad_step")
    assert event["step"] == 3
    assert len(event["frames"]) == 6
    checkpoint = load_checkpoint(result.checkpoint)  # refuses weights that are not finite
    assert checkpoint.provenance["bad_steps"] == "1"
    checkpoint.build()


def test_nothing_but_nan_stops_the_run_with_advice(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = DepthTask.prepare

    def poisoned(task: DepthTask, batch: Any, step: int, device: torch.device) -> tuple[torch.Tensor, ...]:
        image, *rest = prepare(task, batch, step, device)
        return (image * float("nan"), *rest)

    monkeypatch.setattr(DepthTask, "prepare", poisoned)
    monkeypatch.setattr(loop, "_MAX_BAD_STEPS", 3)
    with pytest.raises(EdgeDepthError, match="not finite for 3 steps; resume with a smaller --lr"):
        train_depth(config)


def test_weights_that_a_large_step_has_spoilt_end_the_run_with_advice(config: TrainConfig) -> None:
    with pytest.raises(EdgeDepthError, match="not finite any more; train again with a smaller --lr"):
        train_depth(replace(config, lr=1e6, warmup=0.0))


def test_a_batch_of_one_and_a_map_of_one_pixel_are_told_with_advice(config: TrainConfig) -> None:
    with pytest.raises(InputError, match=r"edge-low reduces 64x48 to one pixel.* batches of 1 .*larger --batch or"):
        train_depth(replace(config, batch=1))
    train_depth(replace(config, batch=1, size=(128, 64), out=config.out / "larger", epochs=0.1))


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Writes beyond `size` bytes of a file fail, as they do on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_stops_the_run_and_the_last_good_state_goes_on(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train_depth(replace(config, epochs=1))
    good = load_checkpoint(first.checkpoint).state
    # the disk is full when the checkpoint is written, not at the map before it
    monkeypatch.setattr(DepthTask, "_baseline", lambda task: np.zeros((48, 64), np.float32))
    with file_size_limit(20_000), pytest.raises(OutputError, match=r"cannot write .*state\.pt: is the disk full"):
        train_depth(replace(config, epochs=2, resume=True))
    kept = load_checkpoint(first.checkpoint).state
    assert all(torch.equal(tensor, kept[name]) for name, tensor in good.items())
    assert not list(config.out.glob(".*"))  # no half file is left lying about
    assert train_depth(replace(config, epochs=2, resume=True)).steps == 2 * first.steps


def test_a_state_that_cannot_be_written_names_the_disk(config: TrainConfig) -> None:
    train_depth(replace(config, epochs=1))
    before = (config.out / "state.pt").read_bytes()
    task = DepthTask(config)
    run = loop._Run(task, replace(config, resume=True), fabric_for(config))
    with file_size_limit(20_000), pytest.raises(OutputError, match="is the disk full"):
        run.state.save()
    assert (config.out / "state.pt").read_bytes() == before


def test_a_machine_without_the_state_of_the_run_says_so(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state is written by the first machine alone; with weights of its own this one would go on differently."""
    monkeypatch.setattr(loop, "agreed", lambda value, _device: value + 40)  # what the first one says
    with pytest.raises(InputError, match=r"goes on from step 40, but .*state\.pt here is of step 0; copy it"):
        loop._Run(DepthTask(config), replace(config, resume=True), fabric_for(config))


def test_cuda_is_refused_in_one_line_where_there_is_none(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="PyTorch finds no CUDA device here; leave --device out"):
        train_depth(replace(config, device="cuda"))
