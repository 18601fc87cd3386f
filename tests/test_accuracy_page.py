"""The tables of docs/accuracy.md, made on folders of the same form with a runtime that answers by rule."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from edgedepth.core.errors import InputError
from edgedepth.core.routing import Route
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def accuracy() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(REPOSITORY / "benchmarks")
        yield importlib.import_module("accuracy")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two near pairs and a far one, two photos (the outdoor one dark, so routed wrong), one video's name."""
    rows = []
    for set_name, number, domain, brightness, metres in (
        ("rooms", 0, "indoor", 10, 2), ("rooms", 1, "indoor", 10, 4), ("roads", 0, "outdoor", 200, 30),
    ):  # fmt: skip
        name = f"{set_name}{number}"
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((8, 16, 3), brightness, np.uint8))
        cv2.imwrite(str(tmp_path / f"{name}.depth.png"), np.full((8, 16), metres * 256, np.uint16))
        rows.append(
            {"id": f"{set_name}/{number}", "rgb": f"{name}.png", "depth": f"{name}.depth.png", "depth_scale": 256,
             "domain": domain, "intrinsics": [16, 16, 7.5, 3.5]}
        )  # fmt: skip
    (tmp_path / "pairs.json").write_text(json.dumps(rows))
    for label in ("indoor", "outdoor"):
        (tmp_path / "router" / label).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "router" / label / "a.png"), np.full((8, 16, 3), 10, np.uint8))
    (tmp_path / "video").mkdir()
    (tmp_path / "video" / "street_motorway.mp4").touch()
    monkeypatch.setenv("EDGEDEPTH_SAMPLES", str(tmp_path))
    return tmp_path


class FakeRuntime:
    """3 m with a camera, 4 m without; bright frames are far."""

    backend, precision = "fake", "fp32"
    bundle = SimpleNamespace(manifest=SimpleNamespace(name="fake", networks={}), digest="0" * 64)

    def __call__(self, frame: np.ndarray, *, camera: Any = None, route: Route | None = None) -> Any:
        chosen = route if route is not None else (Route.HIGH if frame.mean() > 100 else Route.LOW)
        depth = np.full(frame.shape[:2], 4 if camera is None else 3, np.float32)
        return SimpleNamespace(raw_depth_m=depth, route=chosen, score=0.5)

    def stream_frames(self, path: Any, *, route: Route | None = None, steady: float = 0.0) -> Iterator[tuple[Any, Any]]:
        """A camera at rest whose depth is 10 % off in every second frame; `steady` halves that."""
        for index, brightness in enumerate((10, 200, 200, 200)):
            frame = np.full((8, 16, 3), brightness, np.uint8)
            result = self(frame, route=route)
            result.raw_depth_m *= np.float32(1 + index % 2 * (0.05 if steady else 0.1))
            yield SimpleNamespace(index=index, image_bgr=frame), result


def test_real_sets_have_every_alignment(accuracy: ModuleType, folder: Path, tmp_path: Path) -> None:
    lines = list(accuracy.TABLES["real"](FakeRuntime(), SimpleNamespace(pictures=tmp_path / "pictures")))
    # 3 m against 2 and 4 m, 4 m without a camera; one distance: the factor 2/3 of the first frame makes 2 m of the 4 m
    assert "| rooms | 2 | edge-low | 0.375 | 0.000 | 0.500 | 0.000 | 1.000 | 0.000 | 0.500 |" in lines
    assert "| roads | 1 | edge-high | 0.900 | 0.000 | one frame | 0.000 | 1.000 | 0.000 | 0.867 |" in lines
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["roads.jpg", "rooms.jpg"]


def test_the_router_is_counted_on_pairs_photos_and_videos(accuracy: ModuleType, folder: Path, tmp_path: Path) -> None:
    lines = list(accuracy.TABLES["router"](FakeRuntime(), SimpleNamespace(pictures=tmp_path / "pictures")))
    assert "| 3 labelled frames | by their set | 3 of 3 | |" in lines
    assert "| 2 photos | by folder | 1 of 2 (wrong: outdoor/a.png) | |" in lines
    assert "| street_motorway.mp4 | high | 3 of 4 (75.0 %) | 1 |" in lines
    assert not any("indoor_people.mp4" in line for line in lines)
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["photos.jpg", "street_motorway.jpg"]


def test_flicker_counts_only_what_rests(accuracy: ModuleType) -> None:
    rest = importlib.import_module("accuracy_rest")
    found = list(rest.changes(FakeRuntime().stream_frames("x", route=Route.LOW)))
    assert [change.size for change in found] == [0, 128, 128]  # the first two frames differ everywhere
    np.testing.assert_allclose(np.concatenate(found), np.log(1.1), rtol=1e-5)


def test_the_flicker_table_has_both_settings(
    accuracy: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rest = importlib.import_module("accuracy_rest")
    images = tmp_path / "images"
    images.mkdir()
    cv2.imwrite(str(images / "0.png"), np.zeros((8, 16, 3), np.uint8))
    lines = list(rest.flicker(FakeRuntime(), images, Route.LOW))
    assert lines[-2].startswith("| images | off | 4 |")
    assert lines[-2].endswith("| 10.00 % | 10.00 % | 10.00 % |")
    assert lines[-1].startswith("| images | 0.8 | 4 |")
    assert lines[-1].endswith("| 5.00 % | 5.00 % | 5.00 % |")


def test_rendered_sets_are_split_by_route(accuracy: ModuleType, tmp_path: Path) -> None:
    """The shipped bundle on flat planes: what matters is which images count where."""
    from edgedepth import DepthRuntime
    from tests.frames import write_planes

    data = f"pairs:{write_planes(tmp_path, 4)}"
    with DepthRuntime.load("default", threads=1) as runtime:
        lines = list(accuracy.TABLES["rendered"](runtime, SimpleNamespace(unseen=[], style=[data])))
    rows = [line.split(" | ") for line in lines[2:]]
    assert sum(int(row[1]) for row in rows) == 4
    for row in rows:
        network, baseline = (float(value) for value in row[3].split(" / "))
        assert float(row[4]) == pytest.approx(network / baseline, abs=0.02)


def test_one_network_and_the_pair_are_trained_and_compared(accuracy: ModuleType, tmp_path: Path) -> None:
    from tests.frames import write_planes

    data = []
    for domain, scale in (("indoor", 1000.0), ("outdoor", 100.0)):
        path = write_planes(tmp_path / domain, 12)
        records = json.loads(path.read_text())
        for number, record in enumerate(records):
            split = "test" if number < 2 else "val" if number < 4 else "train"
            record.update(domain=domain, depth_scale=scale, split=split)
        path.write_text(json.dumps(records))
        data += ["--data", f"pairs:{path}"]
    page = tmp_path / "page.md"
    page.write_text("<!-- single -->\n<!-- /single -->\n")
    given = [*data, "--out", str(tmp_path / "runs"), "--epochs", "1", "--size", "64x48", "--threads", "1"]
    importlib.import_module("accuracy_single").main([*given, "--write", str(page)])
    rows = [line.split(" | ") for line in page.read_text().splitlines()[3:-1]]
    assert [(row[0], row[2]) for row in rows] == [
        (f"| {name}", system)
        for name in ("pairs.json", "pairs.json")
        for system in ("one network", "routed pair", "pair, route given")
    ]
    assert all(0 < float(row[3]) < 10 for row in rows)


def test_a_table_stands_between_its_marks(accuracy: ModuleType, tmp_path: Path) -> None:
    pages = importlib.import_module("pages")
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- real -->\nold\n<!-- /real -->\nb\n")
    pages.write_section(page, "real", ["| new |"])
    assert page.read_text() == "a\n<!-- real -->\n| new |\n<!-- /real -->\nb\n"
    with pytest.raises(ValueError, match="0 times"):
        pages.write_section(page, "rest", [])


def test_a_missing_folder_is_said_in_one_line(
    accuracy: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGEDEPTH_SAMPLES", str(tmp_path))
    with pytest.raises(InputError, match="set EDGEDEPTH_SAMPLES"):
        importlib.import_module("accuracy_real").samples_folder()
    assert accuracy.main(["real", "--threads", "1"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
