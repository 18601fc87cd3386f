"""What a network is trained on and validated on, out of sets with frames of both routes."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'edgedepth[train]'")

from edgedepth.core.errors import InputError
from edgedepth.core.routing import Route
from edgedepth.trainers.splits import serves, training_split


def listed(folder: Path, records: list[dict[str, Any]]) -> str:
    frame = {"rgb": "a.png", "depth": "a.depth.png", "depth_scale": 1000}
    folder.mkdir(exist_ok=True)
    (folder / "pairs.json").write_text(json.dumps([{"id": str(n), **frame, **r} for n, r in enumerate(records)]))
    return f"pairs:{folder / 'pairs.json'}"


def ids(parts: list[Any]) -> list[str]:
    return [info.id for part in parts for info in part.infos]


def test_a_route_has_its_own_validation_frames_wherever_it_stands_in_the_list(tmp_path: Path) -> None:
    name = listed(tmp_path, [{"route": "low"}] * 20 + [{"route": "high"}] * 20)
    for route, first in ((Route.LOW, 0), (Route.HIGH, 20)):
        train, validation = training_split([name], serves(route))
        assert ids(train) == [str(first + n) for n in range(18)]
        assert ids(validation) == [str(first + 18), str(first + 19)]


@pytest.mark.parametrize("count", [2, 5, 10])
def test_few_frames_leave_one_to_validate_on(tmp_path: Path, count: int, caplog: pytest.LogCaptureFixture) -> None:
    train, validation = training_split([listed(tmp_path, [{}] * count)], serves(Route.LOW))
    assert (len(train[0]), len(validation[0])) == (count - 1, 1)
    assert not caplog.records


def test_no_scene_is_in_both_parts(tmp_path: Path) -> None:
    name = listed(tmp_path, [{"route": "low", "scene": str(n // 3)} for n in range(60)])
    train, validation = training_split([name], serves(Route.LOW))
    assert ids(validation) == [str(n) for n in range(54, 60)]
    assert not {info.scene for info in train[0].infos} & {info.scene for info in validation[0].infos}


def test_a_named_validation_split_stays_what_it_is(tmp_path: Path) -> None:
    splits = ["train"] * 20 + ["val"] * 3 + ["test"] * 3
    name = listed(tmp_path, [{"split": s, "route": "low" if n % 2 else "high"} for n, s in enumerate(splits)])
    train, validation = training_split([name], serves(Route.LOW))
    assert ids(train) == [str(n) for n in range(1, 20, 2)]
    assert ids(validation) == ["21"]


@pytest.mark.parametrize(
    "records",
    [[{}], [*[{"split": "train", "route": "low"}] * 20, {"split": "val", "route": "high"}]],
)
def test_one_line_tells_that_nothing_is_validated_on(
    tmp_path: Path, records: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    name = listed(tmp_path, records)
    with caplog.at_level(logging.WARNING):
        train, validation = training_split([name], serves(Route.LOW))
    assert len(train[0])
    assert not len(validation[0])
    (message,) = caplog.messages
    assert message.startswith(f"{name}: no sample to validate this network on")
    assert "split val" in message
    assert "\n" not in message


def test_one_set_to_validate_on_is_enough(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = [listed(tmp_path / "one", [{}]), listed(tmp_path / "more", [{}] * 4)]
    _, validation = training_split(names, serves(None))
    assert [len(part) for part in validation] == [0, 1]
    assert not caplog.records


def test_nothing_to_train_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sample to train this network on"):
        training_split([listed(tmp_path, [{"route": "low"}] * 4)], serves(Route.HIGH))


def test_what_a_set_named_twice_holds_out_is_not_trained_on(tmp_path: Path) -> None:
    """near: holds out a tenth of fewer frames, so other ones."""
    name = listed(tmp_path, [{"route": "low"}] * 20)
    for number in range(20):
        cv2.imwrite(str(tmp_path / f"{number}.depth.png"), np.full((4, 4), 1000 * (number + 1), np.uint16))
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4, 3), np.uint8))
    records = json.loads((tmp_path / "pairs.json").read_text())
    far = [{**record, "depth": f"{number}.depth.png"} for number, record in enumerate(records)]
    (tmp_path / "pairs.json").write_text(json.dumps(far))
    train, validation = training_split([name, f"near:{name}"], serves(Route.LOW))
    assert ids(validation) == ["18", "19", "8"]
    assert ids(train) == [str(n) for n in (*range(8), *range(9, 18), *range(8))]
