"""Training the router's classifier: soft labels, the choice of the vote, and a tiny run end to end."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from edgedepth.core.errors import InputError, UnknownNameError  # noqa: E402
from edgedepth.core.routing import SceneCategory, SceneRule  # noqa: E402
from edgedepth.core.spec import ClassifierSpec  # noqa: E402
from edgedepth.trainers.checkpoint import load_checkpoint  # noqa: E402
from edgedepth.trainers.config import AugmentConfig, TrainConfig  # noqa: E402
from edgedepth.trainers.models.registry import create_network  # noqa: E402
from edgedepth.trainers.scenes import (  # noqa: E402
    UNKNOWN,
    SceneObjective,
    choose_rule,
    mean_log_depth,
    rules,
    side_smoothed,
)
from edgedepth.trainers.train import train  # noqa: E402
from edgedepth.trainers.train_scene import SceneTask  # noqa: E402
from tests.stopped import stopped_at  # noqa: E402

CATEGORIES = tuple(
    SceneCategory(name=name, far=name.isupper(), range_m=60.0 if name.isupper() else 5.0) for name in "abcDEF"
)
SMALL = {"widths": (8, 8, 16, 16, 16), "depths": (0, 0, 0, 0, 0), "dropout": 0.0}


def write_scenes(folder: Path, count: int) -> Path:
    """Bedrooms striped down and motorways striped across; brightness tells nothing, the network takes it away."""
    rng = np.random.default_rng(0)
    records = []
    for number in range(count):
        far = number % 2 == 1
        stripes = np.indices((24, 32))[0 if far else 1] // 6 % 2
        image = (rng.normal(110, 10, (24, 32, 3)) + 60 * stripes[..., None]).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), image)
        cv2.imwrite(str(folder / f"{number}.depth.png"), np.full((24, 32), 20000 if far else 2000, np.uint16))
        records.append(
            {
                "id": str(number),
                "rgb": f"{number}.png",
                "depth": f"{number}.depth.png",
                "depth_scale": 1000.0,
                "category": "motorway" if far else "bedroom",
                "route": "high" if far else "low",
                "split": "val" if number % 10 < 2 else "train",
            }
        )
    path = folder / "pairs.json"
    path.write_text(json.dumps(records))
    return path


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    return TrainConfig(
        network="scene-small",
        data=(f"pairs:{write_scenes(tmp_path, 40)}",),
        out=tmp_path / "run",
        epochs=45,
        batch=8,
        lr=5e-3,
        ema=0.8,
        threads=1,
        options=SMALL,
        augment=AugmentConfig(photometric=0.1, cutout=0.0),
    )


def test_soft_labels_favour_the_side() -> None:
    far = torch.tensor([category.far for category in CATEGORIES])
    label = side_smoothed(torch.tensor([0]), far, side=0.3, whole=0.06)[0]
    near_share, far_share = 0.3 / 3 + 0.06 / 6, 0.06 / 6
    assert label.tolist() == pytest.approx([0.64 + near_share, near_share, near_share, far_share, far_share, far_share])
    assert float(label.sum()) == pytest.approx(1.0)


class Answer(torch.nn.Module):
    """A network with fixed logits for every image."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(image), -1)


def test_an_unknown_category_counts_for_its_side_only() -> None:
    probabilities = [0.3, 0.2, 0.1, 0.2, 0.1, 0.1]
    objective = SceneObjective(Answer([math.log(p) for p in probabilities]), CATEGORIES)
    terms = objective(torch.zeros(1, 3, 8, 8), torch.ones(1, 1, 8, 8), torch.tensor([UNKNOWN]), torch.tensor([True]))
    assert terms["category"].item() == 0.0
    assert terms["side"].item() == pytest.approx(-0.5 * math.log(0.4))
    assert terms["loss"].item() == pytest.approx(terms["side"].item())


def test_coarse_depth_is_the_mean_log_of_what_is_known() -> None:
    depth = torch.tensor([[1.0, 4.0, 0.01, math.inf], [math.nan, math.nan, math.nan, math.nan]])[None, None]
    near, far = mean_log_depth(depth, (1, 2)).flatten().tolist()
    assert near == pytest.approx(math.log(2.0))
    assert far == pytest.approx((math.log(0.3) + math.log(80.0)) / 2)
    sparse = torch.full((1, 1, 2, 4), math.nan)
    sparse[..., 0, 0] = 3.0  # one of eight pixels
    assert mean_log_depth(sparse, (1, 1)).isnan().all()


def test_scene_small_learns_coarse_depth_beside_its_categories() -> None:
    torch.manual_seed(0)
    network = create_network("scene-small", **SMALL)
    categories = tuple(SceneCategory(name=str(n), far=n > 11, range_m=5.0) for n in range(24))
    objective = SceneObjective(network, categories)
    image, depth = torch.rand(2, 3, 48, 64), torch.full((2, 1, 48, 64), 7.0)
    terms = objective(image, depth, torch.tensor([0, 20]), torch.tensor([False, True]))
    assert terms["loss"].item() == pytest.approx(sum(terms[name].item() for name in ("geometry", "category", "side")))
    terms["geometry"].backward()
    assert network.encoder.stages[3][0][0].weight.grad.abs().sum() > 0
    unknown = objective(image, torch.full_like(depth, math.nan), torch.tensor([0, 20]), torch.tensor([False, True]))
    assert unknown["geometry"].item() == 0.0


def test_candidate_votes_stay_below_half_of_the_categories() -> None:
    candidates = rules(tuple(SceneCategory(name=str(n), far=n > 11, range_m=5.0) for n in range(24)))
    assert (candidates[0].top_k, candidates[0].vote) == (9, "majority")
    assert max(rule.top_k for rule in candidates) == 11
    assert all(rule.top_k % 2 for rule in candidates)


def test_the_vote_that_routes_best_is_chosen() -> None:
    # the most probable category is right both times, but the two runners-up outvote it
    probabilities = np.array([[0.4, 0.0, 0.0, 0.3, 0.2, 0.1], [0.3, 0.2, 0.1, 0.4, 0.0, 0.0]], np.float32)
    rule, score = choose_rule(CATEGORIES, probabilities, np.array([False, True]))
    assert (rule.top_k, rule.vote) == (1, "majority")
    assert score == 1.0


def test_a_classifier_learns_and_writes_its_rule(config: TrainConfig) -> None:
    result = train(config)
    assert result.figures["routing"] == 1.0
    assert result.figures["accuracy"] == 1.0
    rule = SceneRule.model_validate_json((config.out / "scene-small.rule.json").read_text())
    checkpoint = load_checkpoint(result.checkpoint)
    assert isinstance(checkpoint.spec, ClassifierSpec)
    assert rule.categories == checkpoint.spec.categories
    assert rule.top_k < len(rule.categories) / 2


def test_the_rule_is_that_of_the_kept_checkpoint(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate = SceneTask.evaluate
    ranks = iter([0.5, 0.9, 0.6, 0.7])

    def judged(task: SceneTask, network: torch.nn.Module, device: torch.device) -> dict[str, float]:
        figures = evaluate(task, network, device)
        assert task.rule is not None
        share = next(ranks)
        task.rule = task.rule.model_copy(update={"top_k": round(10 * share)})
        return figures | {"routing_best": share}

    monkeypatch.setattr(SceneTask, "evaluate", judged)
    train(replace(config, epochs=50, patience=2, eval_seconds=1e-9))
    rule = SceneRule.model_validate_json((config.out / "scene-small.rule.json").read_text())
    assert rule.top_k == 9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"init": "imagenet"}, "scene-small has no backbone with ImageNet weights"),
    ],
)
def test_settings_without_a_use_are_refused(config: TrainConfig, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train(replace(config, **change))


def test_data_without_known_categories_are_refused(config: TrainConfig, tmp_path: Path) -> None:
    path = tmp_path / "pairs.json"
    records = json.loads(path.read_text())
    path.write_text(json.dumps([record | {"category": "moon"} for record in records]))
    with pytest.raises(InputError, match="no training frame has a category of scene-small; known: alley"):
        train(config)


def test_an_unknown_network_is_named(config: TrainConfig) -> None:
    with pytest.raises(UnknownNameError, match="unknown network 'scene-big'; known: ds-sidenet-low"):
        train(replace(config, network="scene-big"))


def test_a_resumed_run_drops_what_it_would_have_dropped(config: TrainConfig, tmp_path: Path) -> None:
    """Dropout draws from torch's own generator, which is another one after a pause."""
    short = replace(config, epochs=2, options={**SMALL, "dropout": 0.5})
    train(replace(short, out=tmp_path / "whole"))
    with stopped_at(SceneTask, 5):
        train(short)
    train(replace(short, resume=True))
    whole, stopped = (
        load_checkpoint(folder / "scene-small.safetensors").state for folder in (tmp_path / "whole", short.out)
    )
    for name, tensor in whole.items():
        assert torch.allclose(tensor, stopped[name], atol=1e-5), name


def test_a_run_that_evaluates_nothing_is_finished(config: TrainConfig) -> None:
    result = train(replace(config, epochs=1, eval_images=0))
    assert result.checkpoint.is_file()
    assert "accuracy" not in result.figures
