"""Training end to end on tiny data: it learns, it resumes exactly, and it refuses what cannot work."""

from __future__ import annotations

import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from edgedepth.core.errors import CheckpointError, EdgeDepthError, InputError  # noqa: E402
from edgedepth.core.routing import Route  # noqa: E402
from edgedepth.core.spec import DepthSpec  # noqa: E402
from edgedepth.trainers.baseline import mean_log_depth  # noqa: E402
from edgedepth.trainers.checkpoint import load_checkpoint  # noqa: E402
from edgedepth.trainers.config import AugmentConfig, TrainConfig  # noqa: E402
from edgedepth.trainers.data import DepthBatch  # noqa: E402
from edgedepth.trainers.default.recipe import Recipe, render_worlds, run_recipe, stage_config  # noqa: E402
from edgedepth.trainers.default.stages import STAGES  # noqa: E402
from edgedepth.trainers.loop import FitResult  # noqa: E402
from edgedepth.trainers.losses.objectives import DepthObjective  # noqa: E402
from edgedepth.trainers.optimisers import learning_rate  # noqa: E402
from edgedepth.trainers.pause import Deadline  # noqa: E402
from edgedepth.trainers.splits import serves, training_split  # noqa: E402
from edgedepth.trainers.state import Averaged  # noqa: E402
from edgedepth.trainers.train_depth import DepthTask, train_depth  # noqa: E402
from edgedepth.trainers.validation import depth_figures, map_predictor  # noqa: E402
from tests.alone import passes_alone  # noqa: E402
from tests.frames import write_planes  # noqa: E402
from tests.stopped import stopped_at  # noqa: E402

TINY = {
    "widths": (8, 8, 16, 16, 16),
    "depths": (0, 0, 0, 0, 0),
    "decoder_widths": (16, 16, 8, 8),
    "regression": False,
}


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


def test_a_stopped_run_goes_on_as_if_nothing_happened(config: TrainConfig, tmp_path: Path) -> None:
    short = replace(config, epochs=2, augment=AugmentConfig())
    train_depth(replace(short, out=tmp_path / "whole"))
    with stopped_at(DepthTask, 5):
        train_depth(short)
    assert not (short.out / "edge-low.safetensors").exists()
    result = train_depth(replace(short, resume=True))
    assert result.steps == 8
    whole, stopped = (
        load_checkpoint(folder / "edge-low.safetensors").state for folder in (tmp_path / "whole", short.out)
    )
    for name, tensor in whole.items():
        assert torch.allclose(tensor, stopped[name], atol=1e-5), name


def test_a_step_that_is_broken_off_leaves_nothing_behind(config: TrainConfig, tmp_path: Path) -> None:
    short = replace(config, epochs=1)
    train_depth(replace(short, out=tmp_path / "whole"))
    forward = DepthObjective.forward

    def interrupted(objective: DepthObjective, *arguments: torch.Tensor) -> dict[str, torch.Tensor]:
        forward(objective, *arguments)  # batch norm has counted these frames
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DepthObjective, "forward", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_depth(short)
    train_depth(replace(short, resume=True))
    whole, stopped = (
        load_checkpoint(folder / "edge-low.safetensors").state for folder in (tmp_path / "whole", short.out)
    )
    for name, tensor in whole.items():
        assert torch.allclose(tensor, stopped[name], atol=1e-5), name


def test_data_that_were_corrected_have_a_baseline_of_their_own(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = replace(config, epochs=1, cache=tmp_path / "cache")
    train_depth(once)
    first = np.load(once.out / "edge-low.baseline.npy")
    for path in tmp_path.glob("*.depth.png"):
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED) // 2)
    train_depth(replace(once, out=tmp_path / "other"))
    second = np.load(tmp_path / "other" / "edge-low.baseline.npy")
    np.testing.assert_allclose(first - second, np.log(2), atol=0.02)
    # what cannot be kept is computed again
    monkeypatch.setattr("os.access", lambda *_: False)
    for kept in (tmp_path / "cache").rglob("baseline-*.npy"):
        kept.unlink()
    train_depth(replace(once, out=tmp_path / "third"))
    np.testing.assert_array_equal(np.load(tmp_path / "third" / "edge-low.baseline.npy"), second)
    assert not list((tmp_path / "cache").rglob("baseline-*.npy"))


def test_batches_that_few_frames_make_are_checked_too(tmp_path: Path, config: TrainConfig) -> None:
    (tmp_path / "two").mkdir()
    data = (f"pairs:{write_planes(tmp_path / 'two', 2)}",)
    with pytest.raises(InputError, match=r"hqmd takes batches of at least 2.*1 frames make batches of 1: add data"):
        train_depth(replace(config, network="hqmd", data=data, options={}))


def test_a_finished_run_stays_finished(config: TrainConfig) -> None:
    first = train_depth(replace(config, epochs=1))
    again = train_depth(replace(config, epochs=1, resume=True))
    assert again.steps == first.steps


def test_a_run_is_not_overwritten_by_accident(config: TrainConfig) -> None:
    train_depth(replace(config, epochs=1))
    with pytest.raises(InputError, match="--resume"):
        train_depth(replace(config, epochs=1))


def test_a_damaged_state_is_refused(config: TrainConfig) -> None:
    config.out.mkdir()
    (config.out / "state.pt").write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(CheckpointError, match=r"cannot resume from .*state\.pt.*; delete it to begin anew"):
        train_depth(replace(config, resume=True))
    (config.out / "state.pt").unlink()
    assert train_depth(replace(config, epochs=0.5, resume=True)).steps > 0


def test_a_resumed_run_takes_the_optimizers_new_settings_and_refuses_another_one(config: TrainConfig) -> None:
    train_depth(replace(config, epochs=0.5, weight_decay=0.02))
    later = replace(config, epochs=1, weight_decay=0.5, resume=True)
    groups: list[float] = []
    step = torch.optim.AdamW.step

    def noted(optimizer: torch.optim.AdamW, *arguments: object) -> object:
        groups.extend(group["weight_decay"] for group in optimizer.param_groups)
        return step(optimizer, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", noted)
        train_depth(later)
    assert max(groups) == 0.5
    with pytest.raises(
        InputError, match=r"is of a run with adamw, .* to sgd; go on with --set optimizer=adamw, or choo"
    ):
        train_depth(replace(later, optimizer="sgd", epochs=2))


def test_an_interrupt_before_the_optimizers_step_loses_no_step(config: TrainConfig) -> None:
    short = replace(config, epochs=1)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_depth(short)
    assert torch.load(config.out / "state.pt", weights_only=True)["step"] == 0


def test_an_interrupt_within_the_optimizers_step_waits_for_its_end(config: TrainConfig, tmp_path: Path) -> None:
    """Weights of one step saved under the number of another would not go on as they would have."""
    if passes_alone(__file__, "test_an_interrupt_within_the_optimizers_step_waits_for_its_end"):
        return
    short = replace(config, epochs=1)
    train_depth(replace(short, out=tmp_path / "whole"))
    step = torch.optim.AdamW.step

    def interrupted(optimizer: torch.optim.AdamW, *arguments: object) -> None:
        step(optimizer, *arguments)
        signal.raise_signal(signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_depth(short)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert torch.load(config.out / "state.pt", weights_only=True)["step"] == 1
    train_depth(replace(short, resume=True))
    states = [torch.load(folder / "state.pt", weights_only=True) for folder in (tmp_path / "whole", short.out)]
    for name, tensor in states[0]["average"].items():
        assert torch.equal(tensor, states[1]["average"][name]), name


def test_epochs_that_are_so_many_steps_are_no_step_more(config: TrainConfig) -> None:
    assert 29 / (29 / 7 * 7) < 1
    assert train_depth(replace(config, batch=5, epochs=29 / 7)).steps == 29


def test_fine_tuning_starts_from_the_given_weights(config: TrainConfig, tmp_path: Path) -> None:
    first = train_depth(replace(config, epochs=1))
    start = load_checkpoint(first.checkpoint)
    tuned = replace(config, init=str(first.checkpoint), out=tmp_path / "tuned", lr=1e-9, epochs=1, options={}, ema=0)
    finished = load_checkpoint(train_depth(tuned).checkpoint)
    assert finished.options == start.options
    weight = "encoder.stages.0.0.0.weight"
    assert torch.allclose(finished.state[weight], start.state[weight], atol=1e-6)
    assert finished.provenance["init"] == "edge-low.safetensors"


def test_a_network_may_grow_and_shrink_when_it_is_tuned(config: TrainConfig, tmp_path: Path) -> None:
    """A last correction is added, and taken away again; all else stays, and what does not fit stays out."""
    first = train_depth(replace(config, epochs=1, options={**TINY, "half": False}))
    start = load_checkpoint(first.checkpoint)
    tuned = replace(config, init=str(first.checkpoint), out=tmp_path / "tuned", lr=1e-9, epochs=1, ema=0)
    finished = load_checkpoint(train_depth(replace(tuned, options={"half": True})).checkpoint)
    assert finished.options == {**start.options, "half": True}
    assert {name.split(".")[0] for name in finished.state.keys() - start.state.keys()} == {"refine_all"}
    weight = "encoder.stages.0.0.0.weight"
    assert torch.allclose(finished.state[weight], start.state[weight], atol=1e-6)
    finished.build()
    for option, problem in (({"widths": (8, 8, 16, 16, 24)}, r"must be \[24"), ({"max_m": 5.0}, "disagree: max_m 5.0")):
        with pytest.raises(CheckpointError, match=problem):
            train_depth(replace(tuned, out=tmp_path / next(iter(option)), options=option))
    shrunk = replace(tuned, init=str(tuned.out / "edge-low.safetensors"), out=tmp_path / "shrunk")
    back = load_checkpoint(train_depth(replace(shrunk, options={"half": False})).checkpoint)
    assert back.state.keys() == start.state.keys()
    assert torch.allclose(back.state[weight], finished.state[weight], atol=1e-6)


def test_weights_of_another_network_are_refused(config: TrainConfig, tmp_path: Path) -> None:
    first = train_depth(replace(config, epochs=1))
    other = replace(config, network="edge-high", init=str(first.checkpoint), out=tmp_path / "other")
    with pytest.raises(CheckpointError, match="holds edge-low, but edge-high"):
        train_depth(other)


def test_a_network_is_not_trained_on_the_other_route(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sample to train this network on"):
        train_depth(replace(config, network="edge-high", out=tmp_path / "other"))


def test_the_coarse_network_is_trained_on_near_and_far_frames(config: TrainConfig, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.json"
    records = json.loads(pairs.read_text())
    for record in records[::2]:
        record["domain"] = "outdoor"
    pairs.write_text(json.dumps(records))
    low = replace(config, network="ds-sidenet-low", options={"width": 0.125})
    assert len(DepthTask(low).frames) == 18
    coarse = replace(low, out=tmp_path / "coarse", options={"width": 0.125, "branches": "cls", "max_m": 80.0})
    assert len(DepthTask(coarse).frames) == 36


def test_a_padded_network_is_trained_at_a_smaller_size_than_its_frames(config: TrainConfig, tmp_path: Path) -> None:
    high = replace(
        config,
        network="ds-sidenet-high",
        data=(f"near:pairs:{write_planes(tmp_path, 12)}",),  # a prefix makes far frames of no route near ones
        options={"width": 0.125, "stack": "none"},
        size=(32, 24),
    )
    with pytest.raises(InputError, match="no sample to train this network on"):
        DepthTask(high)
    records = json.loads((tmp_path / "pairs.json").read_text())
    (tmp_path / "far.json").write_text(json.dumps([{**record, "domain": "outdoor"} for record in records]))
    task = DepthTask(replace(high, data=(f"pairs:{tmp_path / 'far.json'}",), out=tmp_path / "far"))
    assert (task.spec.resize, task.training_spec.resize) == ("pad", "letterbox")
    item = task.frames[0, 0]
    assert item.image.shape == (24, 32, 3)
    assert task.baseline.shape == (24, 32)
    # planes are nearer at the bottom, so the map is of whole frames and not of a corner
    assert task.baseline[-1].mean() < task.baseline[0].mean() - 0.3
    assert np.load(tmp_path / "far" / "ds-sidenet-high.baseline.npy").shape == (24, 32)


def test_a_watched_set_is_reported_but_not_trained_on(config: TrainConfig) -> None:
    result = train_depth(replace(config, epochs=1, watch=config.data[0]))
    assert {"watch_abs_rel", "watch_abs_rel_median", "watch_baseline_abs_rel"} <= set(result.figures)
    assert load_checkpoint(result.checkpoint).provenance["images"] == "36"


def test_named_splits_are_kept_apart(tmp_path: Path) -> None:
    path = write_planes(tmp_path, 9)
    records = json.loads(path.read_text())
    for number, record in enumerate(records):
        record["split"] = ("train", "val", "test")[number % 3]
    path.write_text(json.dumps(records))
    train, validation = training_split([f"pairs:{path}"], serves(Route.LOW))
    assert [info.id for info in train[0].infos] == ["0", "3", "6"]
    assert [info.id for info in validation[0].infos] == ["1", "4", "7"]


def test_unnamed_splits_cut_off_the_last_tenth(tmp_path: Path) -> None:
    path = write_planes(tmp_path, 20)
    train, validation = training_split([f"pairs:{path}"], serves(None))
    assert len(train[0]) == 18
    assert [info.id for info in validation[0].infos] == ["18", "19"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": None}, "--minutes or --epochs"),
        ({"data": ()}, "at least one data set"),
        ({"batch": 0}, "batch must be positive, but got 0"),
        ({"seed": -1}, "seed must lie in 0..4294967295, but got -1"),
        ({"seed": 2**32}, "seed must lie in 0..4294967295, but got 4294967296"),
        ({"size": (0, 48)}, r"size must be two positive numbers, but got \(0, 48\)"),
        ({"ema": 1.0}, r"ema must lie in \[0, 1\)"),
        ({"precision": "int8"}, "unknown precision 'int8'; known: fp32, bf16"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(config: TrainConfig, change: dict[str, Any], message: str) -> None:
    with pytest.raises(EdgeDepthError, match=message):
        replace(config, **change)


def test_the_rate_rises_and_falls_to_zero(config: TrainConfig) -> None:
    config = replace(config, lr=1.0, warmup=0.1)
    assert learning_rate(0.05, config) == pytest.approx(0.5)
    assert learning_rate(0.1, config) == pytest.approx(1.0)
    assert learning_rate(0.55, config) == pytest.approx(0.5)
    assert learning_rate(1.0, config) == pytest.approx(0.0)
    assert learning_rate(0.55, replace(config, schedule="poly")) == pytest.approx(0.5**0.9)


def test_the_average_follows_slowly() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(0.0)
    average = Averaged(network, decay=0.9)
    network.weight.data.fill_(1.0)
    average.update(step=10_000)
    assert average.tensors["weight"].item() == pytest.approx(0.1)
    with average.applied():
        assert network.weight.item() == pytest.approx(0.1)
    assert network.weight.item() == 1.0


def test_a_blend_needs_something_to_blend_with(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="blend needs a checkpoint"):
        TrainConfig(network="edge-low", data=("synth:x",), out=tmp_path, minutes=1, blend=0.5)
    with pytest.raises(InputError, match="blend is a share"):
        TrainConfig(network="edge-low", data=("synth:x",), out=tmp_path, minutes=1, init="default", blend=0.0)


def test_the_average_is_blended_with_other_weights() -> None:
    network = torch.nn.BatchNorm1d(1)
    network.weight.data.fill_(1.0)
    other = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    other["further.weight"] = torch.ones(1)  # a layer that this network does without
    average = Averaged(network, decay=0.5, blend=0.25, other=other)
    network.weight.data.fill_(5.0)
    network.num_batches_tracked += 7
    average.update(step=10_000)
    assert average.tensors["weight"].item() == pytest.approx(3.0)
    with average.applied():
        assert network.weight.item() == pytest.approx(1.5)  # a quarter of the way from 1 to 3
        assert network.num_batches_tracked.item() == 7  # what counts is not blended
    assert network.weight.item() == 5.0


def test_weights_of_another_shape_are_not_blended_with() -> None:
    with pytest.raises(CheckpointError, match=r"'weight' must be \[3, 2\] to be blended, but .* \[3, 1\]"):
        Averaged(torch.nn.Linear(2, 3), decay=0.5, blend=0.5, other=torch.nn.Linear(1, 3).state_dict())


def test_baseline_is_the_mean_log_depth_of_the_canonical_camera() -> None:
    spec = DepthSpec(input_wh=(2, 1), min_m=1.0, max_m=100.0, num_bins=8, f_canonical_px=1.0)

    def batch(depth: list[float], focal: float) -> DepthBatch:
        return DepthBatch(
            image=torch.zeros(1, 1, 2, 3, dtype=torch.uint8),
            depth_m=torch.tensor(depth)[None, None, None],
            focal=torch.tensor([focal]),
            content=torch.tensor([[0, 1, 0, 2]]),
        )

    # left pixel: canonical 4 and 9 with geometric mean 6; right: unknown and sky, so the mean of all
    mean = mean_log_depth([batch([8.0, float("nan")], 2.0), batch([9.0, float("inf")], 1.0)], spec)
    assert np.exp(mean).ravel().tolist() == pytest.approx([6.0, 6.0])


def test_a_map_is_scaled_by_focal_length_before_it_is_compared() -> None:
    spec = DepthSpec(input_wh=(16, 16), min_m=0.3, max_m=10.0, num_bins=8, f_canonical_px=1.0)
    batch = DepthBatch(
        image=torch.zeros(1, 16, 16, 3, dtype=torch.uint8),
        depth_m=torch.full((1, 1, 16, 16), 4.0),
        focal=torch.tensor([2.0]),
        content=torch.tensor([[0, 16, 0, 16]]),
    )
    figures = depth_figures(map_predictor(np.full((16, 16), np.log(2.5), np.float32)), [batch], spec)
    assert figures["abs_rel"] == pytest.approx(0.25)  # 2.5 * 2 against 4
    assert figures["abs_rel_median"] == pytest.approx(0.0, abs=1e-6)


def test_recipe_stages_follow_each_other(tmp_path: Path) -> None:
    recipe = Recipe(out=tmp_path, scale=0.5)
    half = stage_config(recipe, "low-half", ("synth:x",))
    near = stage_config(recipe, "low-near", ("synth:x",))
    last = stage_config(recipe, "low-mid", ("synth:x",))
    assert half.size == (160, 120)
    assert half.minutes == pytest.approx(STAGES["low-half"].minutes / 2)
    assert near.init == str(half.out / "edge-low.safetensors")
    assert last.init == str(near.out / "edge-low.safetensors")
    assert last.loss.relative > half.loss.relative > 0
    assert stage_config(recipe, "low-third", ("synth:x",)).options["half"] is False
    assert stage_config(recipe, "low", ("synth:x",)).options == {"half": True}
    assert len({half.seed, near.seed, last.seed}) == 3
    for stage in STAGES.values():
        assert stage.after is None or STAGES[stage.after].network == stage.network
    with pytest.raises(InputError, match="unknown stage 'lower'"):
        Recipe(out=tmp_path, stages=("lower",))


def test_recipe_skips_what_is_done(tmp_path: Path) -> None:
    for name in STAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "done.json").write_text("{}")
    said: list[str] = []
    assert run_recipe(Recipe(out=tmp_path, data=("synth:x",)), said.append) == {}
    assert len(said) == len(STAGES)


def test_a_recipe_leaves_out_what_needs_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name, stage in STAGES.items():
        if not stage.gpu:
            (tmp_path / name).mkdir()
            (tmp_path / name / "done.json").write_text("{}")
    said: list[str] = []
    assert run_recipe(Recipe(out=tmp_path, data=("synth:x",)), said.append) == {}
    left_out = [line for line in said if "needs a GPU" in line]
    assert [line.partition(":")[0] for line in left_out] == [name for name, stage in STAGES.items() if stage.gpu]
    with pytest.raises(InputError, match="x does not exist"):
        run_recipe(Recipe(out=tmp_path, data=("synth:x",), stages=("ds-sidenet-low-half",)), said.append)


def test_a_recipe_renders_what_its_stages_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("warp")
    from edgedepth.world import synth

    rendered: list[str] = []
    monkeypatch.setattr(synth, "write_dataset", lambda config, _: rendered.append(config.out.name))
    monkeypatch.setattr("edgedepth.trainers.default.recipe.train", lambda _: FitResult(
        checkpoint=tmp_path, steps=1, seconds=1.0, figures={}
    ))  # fmt: skip
    for name in ("router-third", "low-half"):
        (tmp_path / name).mkdir()
        run_recipe(Recipe(out=tmp_path, stages=(name,)), lambda _: None)
    assert rendered == ["indoor", "street", "bare", "indoor", "street"]
    run_recipe(Recipe(out=tmp_path, stages=("low-half",)), lambda _: None)  # done
    assert len(rendered) == 5


def test_processes_of_a_recipe_render_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("warp")
    from edgedepth.world import synth

    busy, crowd = threading.Lock(), []

    def write_dataset(config: Any, _: Any) -> None:
        crowd.append(not busy.acquire(blocking=False))
        time.sleep(0.05)
        busy.release()

    monkeypatch.setattr(synth, "write_dataset", write_dataset)
    recipe = Recipe(out=tmp_path / "out")
    with ThreadPoolExecutor(3) as pool:
        names = list(pool.map(lambda _: render_worlds(recipe, {"close"}, Deadline(), lambda _: None), range(3)))
    assert names == [{"close": f"synth:{tmp_path / 'out' / 'data' / 'close'}"}] * 3
    assert crowd == [False] * 3


def test_only_the_first_process_says_how_a_stage_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = FitResult(checkpoint=tmp_path, steps=1, seconds=1.0, figures={})  # the others do not evaluate
    monkeypatch.setattr("edgedepth.trainers.default.recipe.train", lambda _: result)
    monkeypatch.setattr("edgedepth.trainers.default.recipe.rank", lambda: 1)
    run_recipe(Recipe(out=tmp_path, data=("synth:x",), stages=("low-half",)), lambda _: None)
    assert not (tmp_path / "low-half" / "done.json").exists()
