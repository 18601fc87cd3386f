"""The benchmark on real samples, run on a made-up folder of the same form with a runtime that answers by rule."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from edgedepth.core.errors import InputError
from edgedepth.core.routing import Route

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "real_samples.py"


@pytest.fixture(scope="module")
def real_samples() -> ModuleType:
    spec = importlib.util.spec_from_file_location("real_samples", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["real_samples"] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One near and one far pair, two photos (the outdoor one dark, so routed wrong), one video's name."""
    rows = []
    for set_name, domain, brightness, metres in (("rooms", "indoor", 10, 2), ("roads", "outdoor", 200, 30)):
        cv2.imwrite(str(tmp_path / f"{set_name}.png"), np.full((8, 16, 3), brightness, np.uint8))
        cv2.imwrite(str(tmp_path / f"{set_name}.depth.png"), np.full((8, 16), metres * 256, np.uint16))
        rows.append(
            {"id": f"{set_name}/0", "rgb": f"{set_name}.png", "depth": f"{set_name}.depth.png", "depth_scale": 256,
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

    def stream_frames(self, path: Path) -> Iterator[tuple[Any, Any]]:
        for index, brightness in enumerate((10, 200, 200, 200)):
            frame = np.full((8, 16, 3), brightness, np.uint8)
            yield SimpleNamespace(index=index, image_bgr=frame), self(frame)


def test_the_report_has_every_set_the_photos_and_the_video(
    real_samples: ModuleType, folder: Path, tmp_path: Path
) -> None:
    text = real_samples.measure(FakeRuntime(), real_samples.samples_folder(), tmp_path / "pictures")
    lines = text.splitlines()
    # 3 m against 2 m is off by half, 4 m (no camera) by all; 3 m against 30 m by nine tenths
    assert "| rooms | 1 | low | 0.500 | 0.000 | 0.000 | 1.000 | 1.000 | 1 of 1 |" in lines
    assert "| roads | 1 | high | 0.900 | 0.000 | 0.000 | 1.000 | 0.867 | 1 of 1 |" in lines
    assert "| 2 photos | by folder | 1 of 2 (wrong: outdoor/a.png) | |" in lines
    assert "| street_motorway.mp4 | high | 3 of 4 (75.0 %) | 1 |" in lines
    assert "indoor_people.mp4" not in text
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == [
        "photos.jpg", "roads.jpg", "rooms.jpg", "street_motorway.jpg",
    ]  # fmt: skip


def test_a_missing_folder_is_said_in_one_line(
    real_samples: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGEDEPTH_SAMPLES", str(tmp_path))
    with pytest.raises(InputError, match="set EDGEDEPTH_SAMPLES"):
        real_samples.samples_folder()
    assert real_samples.main([]) == 1
    assert capsys.readouterr().err.count("\n") == 1
