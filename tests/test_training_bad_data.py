"""Training on data with faults: what cannot be used is named, counted and left out, or refused where it is much."""

from __future__ import annotations

import errno
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'edgedepth[train]'")
pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric: pip install 'edgedepth[train]'")

from edgedepth.core.errors import InputError, OutputError  # noqa: E402
from edgedepth.core.preprocess import Placement  # noqa: E402
from edgedepth.core.spec import DepthSpec, ResizePolicy  # noqa: E402
from edgedepth.datasets import DepthDataset, DepthSample, Entry, SampleInfo, open_dataset  # noqa: E402
from edgedepth.trainers import cache as cache_module  # noqa: E402
from edgedepth.trainers.cache import FrameCache  # noqa: E402
from edgedepth.trainers.checkpoint import load_checkpoint  # noqa: E402
from edgedepth.trainers.config import TrainConfig  # noqa: E402
from edgedepth.trainers.data import DepthFrames  # noqa: E402
from edgedepth.trainers.train_depth import train_depth  # noqa: E402
from tests.frames import write_planes  # noqa: E402
from tests.two_processes import TINY  # noqa: E402


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    return TrainConfig(
        network="edge-low",
        data=(f"pairs:{write_planes(tmp_path, 40)}",),
        out=tmp_path / "run",
        size=(64, 48),
        epochs=1,
        batch=8,
        options=TINY,
        threads=1,
        device="cpu",
    )


def spoil(folder: Path, number: int, fault: str) -> None:
    """Give one frame a fault."""
    if fault == "missing":
        (folder / f"{number}.png").unlink()
    elif fault == "corrupt":
        data = (folder / f"{number}.png").read_bytes()
        (folder / f"{number}.png").write_bytes(data[: len(data) // 20])
    elif fault == "empty":
        (folder / f"{number}.depth.png").write_bytes(b"")
    else:
        cv2.imwrite(str(folder / f"{number}.depth.png"), np.zeros((48, 64), np.uint16))


def double(path: Path) -> None:
    """Write a depth map anew, twice as far."""
    cv2.imwrite(str(path), 2 * cv2.imread(str(path), cv2.IMREAD_UNCHANGED))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("missing", "cannot read .*3.png: No such file"),
        ("corrupt", "3.png is not a readable image"),
        ("empty", "3.depth.png is not a readable image \\(0 bytes\\)"),
        ("no depth", "not one pixel of depth"),
    ],
)
def test_a_bad_sample_is_named_counted_and_left_out(
    config: TrainConfig, tmp_path: Path, fault: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(tmp_path, 3, fault)
    result = train_depth(config)
    said = capsys.readouterr().err
    assert "left out 1 of 36 samples: 3 (" in said
    assert len(said.splitlines()) == 1
    assert re.search(reason, said)
    facts = load_checkpoint(result.checkpoint).provenance
    assert (facts["images"], facts["left_out"]) == ("35", "1")
    assert np.isfinite(list(result.figures.values())).all()


def test_many_bad_samples_stop_the_run_before_it_starts(config: TrainConfig, tmp_path: Path) -> None:
    for number in range(5):
        spoil(tmp_path, number, "missing")
    with pytest.raises(InputError, match=r"5 of 36 samples cannot be used, the first is 0: cannot read .*data check"):
        train_depth(config)
    assert not (config.out / "state.pt").exists()


@pytest.mark.parametrize("end", [KeyboardInterrupt, OSError(errno.ENOSPC, "no space"), None])
def test_a_cache_that_is_not_finished_leaves_no_pixels_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: Any
) -> None:
    """Interrupted, on a full disk, or refused for its bad samples."""
    datasets = [open_dataset(f"pairs:{write_planes(tmp_path, 20)}")]
    append, load = cache_module._append, FrameCache._load

    def ends(*arguments: Any) -> dict[str, Any]:
        if end is not None and arguments[1].tell() > 20_000:
            raise end
        return append(*arguments)

    def opened() -> FrameCache:
        return FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))

    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "_append", ends)
        if end is None:
            patch.setattr(FrameCache, "_load", lambda self, pair: "" if "1" in pair[0].info.id else load(self, pair))
        with pytest.raises((KeyboardInterrupt, OutputError, InputError)):
            opened()
    assert not list((tmp_path / "cache").rglob("*.bin"))
    assert len(opened()) == 20


def test_what_a_killed_run_has_left_of_a_cache_goes_before_it_is_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = [open_dataset(f"pairs:{write_planes(tmp_path, 5)}")]
    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "_remove", lambda _: None)  # as if there had been no time for it
        patch.setattr(cache_module, "write_atomic", lambda *_: _raise(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))
    left = set((tmp_path / "cache").rglob("*.bin"))
    decode = FrameCache._decode

    def decoding(cache: FrameCache, *arguments: Any) -> list[dict[str, Any]]:
        assert not any(path.exists() for path in left)
        return decode(cache, *arguments)

    assert len(left) == 2
    monkeypatch.setattr(FrameCache, "_decode", decoding)
    assert len(FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))) == 5


@pytest.mark.parametrize("kind", ["rgb", "depth"])
@pytest.mark.parametrize("kept", [None, 100])
def test_a_cache_whose_pixels_are_gone_is_filled_again(tmp_path: Path, kind: str, kept: int | None) -> None:
    datasets = [open_dataset(f"pairs:{write_planes(tmp_path, 5)}")]
    first = FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))
    (pixels,) = first.folder.glob(f"{kind}-*.bin")
    data = pixels.read_bytes()
    pixels.unlink()
    if kept is not None:
        pixels.write_bytes(data[:kept])
    again = FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))
    assert np.array_equal(again[4].rgb[..., ::-1], datasets[0][4].image_bgr)
    assert len(list(first.folder.glob("*.bin"))) == 2


def _raise(error: BaseException | type[BaseException]) -> Any:
    raise error


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the samples that have been read."""
    names: list[str] = []
    load = Entry.load

    def told(entry: Entry) -> DepthSample:
        names.append(entry.info.id)
        return load(entry)

    monkeypatch.setattr(Entry, "load", told)
    return names


def test_one_changed_file_is_noticed_and_its_frame_alone_decoded_again(
    config: TrainConfig, tmp_path: Path, loads: list[str]
) -> None:
    datasets = [open_dataset(config.data[0])]
    spoil(tmp_path, 3, "corrupt")
    first = FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))
    before = [(frame.info.id, frame.rgb.copy(), frame.depth_m.copy()) for frame in first]
    (tmp_path / "20.png").unlink()  # what was decoded outlives its source, also when others are decoded again
    loads.clear()
    double(tmp_path / "7.depth.png")
    again = FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))
    assert loads == ["7"]
    assert (again.folder, again.bad) == (first.folder, first.bad)
    assert again.token != first.token
    for (name, rgb, depth_m), frame in zip(before, again, strict=True):
        assert frame.info.id == name
        np.testing.assert_array_equal(frame.rgb, rgb)
        np.testing.assert_allclose(frame.depth_m, depth_m * (2 if name == "7" else 1), rtol=1e-3)
    assert len(list(first.folder.glob("*.bin"))) == 2


def test_a_disk_that_is_full_when_a_frame_is_decoded_again_leaves_the_old_cache(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = [open_dataset(config.data[0])]
    before = FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))
    double(tmp_path / "7.depth.png")
    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "_append", lambda *_: _raise(OSError(errno.ENOSPC, "no space")))
        with pytest.raises(OutputError, match="no space"):
            FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))
    assert {path.name for path in before.folder.glob("*.bin")} == {
        f"{kind}-{before.token}.bin" for kind in ("rgb", "depth")
    }
    assert len(FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))) == 40


def test_a_list_with_another_scale_gives_other_metres(config: TrainConfig, tmp_path: Path) -> None:
    first = FrameCache([open_dataset(config.data[0])], tmp_path / "cache", cover_wh=(64, 48))
    records = json.loads((tmp_path / "pairs.json").read_text())
    for record in records:
        record["depth_scale"] = 500.0
    (tmp_path / "pairs.json").write_text(json.dumps(records))
    again = FrameCache([open_dataset(config.data[0])], tmp_path / "cache", cover_wh=(64, 48))
    np.testing.assert_allclose(again[7].depth_m, 2 * first[7].depth_m, rtol=1e-3)
    assert len(list((tmp_path / "cache").rglob("*.bin"))) == 2


@pytest.mark.parametrize("fault", ["missing", "corrupt", "no depth"])
def test_a_bad_sample_is_tried_again_only_when_its_files_have_changed(
    config: TrainConfig, tmp_path: Path, fault: str, loads: list[str]
) -> None:
    datasets = [open_dataset(config.data[0])]
    spoil(tmp_path, 3, fault)
    first = FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))
    loads.clear()
    again = FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))
    assert (loads, again.bad, again.token) == ([], first.bad, first.token)
    write_planes(tmp_path / "good", 4)
    (tmp_path / "good/3.png").rename(tmp_path / "3.png")
    (tmp_path / "good/3.depth.png").rename(tmp_path / "3.depth.png")
    assert (len(FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))), loads) == (40, ["3"])


def test_a_file_that_may_be_read_now_is_tried_again(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size and time stay as they are."""
    datasets = [open_dataset(config.data[0])]
    access, load = cache_module.os.access, Entry.load
    with monkeypatch.context() as patch:
        patch.setattr(cache_module.os, "access", lambda path, mode: path.name != "3.png" and access(path, mode))
        patch.setattr(Entry, "load", lambda entry: _raise(PermissionError) if entry.info.id == "3" else load(entry))
        assert len(FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))) == 39
    assert len(FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))) == 40


def test_a_repaired_file_is_taken_in_again(config: TrainConfig, tmp_path: Path) -> None:
    whole = (tmp_path / "3.png").read_bytes()
    spoil(tmp_path, 3, "missing")
    datasets = [open_dataset(config.data[0])]

    def opened() -> FrameCache:
        return FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))

    assert (len(opened()), list(opened().bad)) == (39, [(0, "3")])
    assert [info.id for info in opened().infos][2:4] == ["2", "4"]
    (tmp_path / "3.png").write_bytes(whole)
    assert (len(opened()), opened().bad) == (40, {})


def test_labels_of_another_size_leave_one_frame_out_by_name(config: TrainConfig, tmp_path: Path) -> None:
    records = json.loads((tmp_path / "pairs.json").read_text())
    cv2.imwrite(str(tmp_path / "half.png"), np.ones((24, 32), np.uint8))
    records[3]["semantic"] = "half.png"
    (tmp_path / "pairs.json").write_text(json.dumps(records))
    cache = FrameCache([open_dataset(config.data[0])], tmp_path / "cache", cover_wh=(64, 48))
    assert len(cache) == 39
    assert "semantic must be (48, 64), but got (24, 32)" in cache.bad[0, "3"]


def test_frames_keep_their_pixels_when_one_before_them_is_left_out(config: TrainConfig, tmp_path: Path) -> None:
    spoil(tmp_path, 0, "corrupt")
    dataset = open_dataset(config.data[0])
    cache = FrameCache([dataset], tmp_path / "cache", cover_wh=(64, 48))
    assert cache[0].info.id == "1"
    assert np.array_equal(cache[0].rgb[..., ::-1], dataset[1].image_bgr)


def test_regions_leave_out_what_the_frames_leave_out(tmp_path: Path) -> None:
    from edgedepth.trainers.regions.train import RegionTask
    from tests.test_train_region import SIZE_WH, write_labelled

    pairs = write_labelled(tmp_path, 30)
    (tmp_path / "4.png").unlink()
    config = TrainConfig(
        network="rsn",
        data=(f"pairs:{pairs}",),
        out=tmp_path / "run",
        size=SIZE_WH,
        epochs=1,
        batch=4,
        options={"width": 0.125, "modules": "generation"},
        device="cpu",
    )
    task = RegionTask(config)
    assert len(task.frames) == len(task.region_frames) == 26


def test_a_run_that_goes_on_keeps_its_frames_when_another_fills_the_cache_anew(
    config: TrainConfig, tmp_path: Path
) -> None:
    whole = (tmp_path / "3.png").read_bytes()
    spoil(tmp_path, 3, "missing")
    datasets = [open_dataset(config.data[0])]
    running = FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))
    before = [(frame.info.id, frame.rgb.copy()) for frame in running]
    (tmp_path / "3.png").write_bytes(whole)
    assert len(FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))) == 40
    for (name, pixels), frame in zip(before, running, strict=True):
        assert frame.info.id == name
        np.testing.assert_array_equal(frame.rgb, pixels)
    assert len(list((tmp_path / "cache").rglob("*.bin"))) == 2


def test_runs_that_begin_together_fill_a_cache_once(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = [open_dataset(config.data[0])]
    fills: list[int] = []
    fill = FrameCache._fill

    def counted(self: FrameCache, *arguments: Any) -> None:
        fills.append(1)
        time.sleep(0.2)
        fill(self, *arguments)

    monkeypatch.setattr(FrameCache, "_fill", counted)
    with ThreadPoolExecutor(3) as pool:
        opened = [pool.submit(FrameCache, datasets, tmp_path / "cache", cover_wh=(64, 48)) for _ in range(3)]
        caches = [each.result() for each in opened]
    assert len(fills) == 1
    for cache in caches:
        np.testing.assert_array_equal(cache[7].rgb[..., ::-1], datasets[0][7].image_bgr)


def test_a_whole_cache_in_a_folder_that_cannot_be_written_is_read(config: TrainConfig, tmp_path: Path) -> None:
    datasets = [open_dataset(config.data[0])]
    first = FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))
    (first.folder / ".lock").unlink()
    first.folder.chmod(0o555)
    try:
        assert len(FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))) == 40
    finally:
        first.folder.chmod(0o755)


@pytest.mark.parametrize("policy", ["letterbox", "stretch"])
def test_evaluation_sees_frames_as_a_run_sees_them(tmp_path: Path, policy: ResizePolicy) -> None:
    """Resized once: twice would be smoother than what a camera's frames become."""
    image = np.random.default_rng(0).integers(0, 255, (540, 960, 3)).astype(np.uint8)
    sample = DepthSample(id="0", image_bgr=image, depth_m=np.full((540, 960), 2.0, np.float32), camera=None)
    dataset = DepthDataset(name="synth:nowhere", entries=(Entry(SampleInfo(id="0"), lambda _: sample),))
    spec = DepthSpec(input_wh=(96, 64), resize=policy, min_m=0.3, max_m=10.0, num_bins=64, f_canonical_px=80.0)
    cache = FrameCache([dataset], tmp_path, cover_wh=spec.input_wh, policy=spec.resize)
    item = DepthFrames(cache, spec)[0, 0]
    seen = Placement.of((960, 540), spec.input_wh, spec.resize).to_input(np.ascontiguousarray(image[..., ::-1]))
    np.testing.assert_array_equal(item.image, seen)
    larger = DepthFrames(FrameCache([dataset], tmp_path, cover_wh=(144, 96)), spec)[0, 0]
    top, bottom, left, right = item.content
    inner = slice(top, bottom), slice(left, right)
    assert larger.image[inner].std() < 0.95 * seen[inner].std()


def test_a_watched_set_that_says_nothing_of_the_network_is_told(
    config: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = json.loads((tmp_path / "pairs.json").read_text())
    for record in records:
        record["domain"] = "outdoor"
    (tmp_path / "far.json").write_text(json.dumps(records))
    name = f"pairs:{tmp_path / 'far.json'}"
    result = train_depth(replace(config, watch=name))
    assert f"{name} holds nothing that edge-low can be judged on" in capsys.readouterr().err
    assert not any(key.startswith("watch_") for key in result.figures)


def test_files_that_are_written_anew_under_their_names_are_read_again(config: TrainConfig, tmp_path: Path) -> None:
    datasets = [open_dataset(config.data[0])]

    def opened() -> FrameCache:
        return FrameCache(datasets, tmp_path / "cache", cover_wh=(64, 48))

    before = [frame.depth_m.copy() for frame in opened()]
    for path in tmp_path.glob("*.depth.png"):
        double(path)
    for old, frame in zip(before, opened(), strict=True):
        np.testing.assert_allclose(frame.depth_m, 2 * old, rtol=1e-3)
    for path in tmp_path.glob("*.png"):  # a cache outlives its source
        path.unlink()
    assert len(opened()) == 40
