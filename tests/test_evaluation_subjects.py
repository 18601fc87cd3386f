"""A checkpoint, a bundle and a folder of predictions go through one evaluation and give the same figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from edgedepth.cli import main
from edgedepth.core.errors import InputError
from edgedepth.datasets import DepthSample, open_dataset
from edgedepth.evaluation import evaluate_samples, protocol_named
from edgedepth.evaluation.evaluate import DISTANCES_M
from edgedepth.evaluation.histogram import LOG_ERRORS, ErrorHistogram
from edgedepth.evaluation.pictures import _draw_histogram
from edgedepth.evaluation.predictions import PredictionFolder
from tests.frames import write_planes


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write_planes(tmp_path / "data", 3)


def evaluate(*arguments: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    with pytest.raises(SystemExit) as exit:
        main(["eval", *arguments, "--json"])
    captured = capsys.readouterr()
    assert exit.value.code == 0, captured.err
    return json.loads(captured.out)


def refused(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as exit:
        main(["eval", *arguments])
    assert exit.value.code == 1
    return capsys.readouterr().err.strip()


# -- folders of predictions -----------------------------------------------------------------------------------


def test_a_folder_of_predictions_in_every_form(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "predictions"
    folder.mkdir()
    truths = [sample.depth_m for sample in open_dataset(f"pairs:{pairs}")]
    np.savez(folder / "0.npz", depth_m=truths[0] * 1.1)
    half = cv2.resize(truths[1] * 1.1, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    np.save(folder / "1.npy", half)  # of any size
    cv2.imwrite(str(folder / "2.png"), np.round(truths[2] * 1.1 * 5000).astype(np.uint16))
    data = evaluate(str(folder), "--data", f"pairs:{pairs}", "--depth-scale", "5000", capsys=capsys)
    assert data["images"] == 3
    assert data["alignment"]["none"]["abs_rel"] == pytest.approx(0.1, abs=0.005)
    assert data["alignment"]["median"]["abs_rel"] < 0.01
    assert data["predictions"] == str(folder)


def test_a_report_that_cannot_be_written_is_told_first(
    pairs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluated(*_: object, **__: object) -> None:
        pytest.fail("hours are spent")

    monkeypatch.setattr("edgedepth.evaluation.evaluate_samples", evaluated)
    said = refused("default", "--data", f"pairs:{pairs}", "--report", str(pairs), capsys=capsys)
    assert f"cannot write {pairs}" in said


def test_the_scale_of_our_own_png_output_is_known(pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "depth_png.json").write_text(json.dumps({"scale": 256}))
    sample = open_dataset(f"pairs:{pairs}")[0]
    cv2.imwrite(str(tmp_path / "0.png"), np.full(sample.depth_m.shape, 512, np.uint16))
    assert float(PredictionFolder(tmp_path)(sample).depth_m.max()) == 2.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "how many values of"),
        (("--depth-scale", "-1"), "positive number of values per metre"),
        (("--depth-scale", "5000", "--route", "low"), "--route is for bundles"),
        (("--depth-scale", "5000", "--backend", "openvino"), "--backend is for bundles"),
        (("--depth-scale", "5000", "--size", "64x48"), "--size is for checkpoints"),
    ],
)
def test_what_predictions_cannot_do_is_refused(
    pairs: Path, tmp_path: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "predictions"
    folder.mkdir()
    cv2.imwrite(str(folder / "0.png"), np.full((48, 64), 5000, np.uint16))
    error = refused(str(folder), "--data", f"pairs:{pairs}", *arguments, capsys=capsys)
    assert message in error
    assert "\n" not in error


def test_a_sample_named_from_the_root_is_looked_for_in_the_folder(pairs: Path, tmp_path: Path) -> None:
    sample = next(iter(open_dataset(f"pairs:{pairs}")))
    folder = tmp_path / "predictions"
    folder.mkdir()
    np.save(folder / "0.npy", sample.depth_m)
    named = replace(
        sample, id=f"{pairs.parent}/0"
    )  # as a pairs file of absolute paths names it, whose picture is there
    np.testing.assert_array_equal(PredictionFolder(folder)(named).depth_m, sample.depth_m)


def test_a_missing_or_malformed_prediction_is_named(pairs: Path, tmp_path: Path) -> None:
    sample = open_dataset(f"pairs:{pairs}")[0]
    with pytest.raises(InputError, match="has no prediction for '0'"):
        PredictionFolder(tmp_path, 1000)(sample)
    np.save(tmp_path / "0.npy", np.ones((2, 2, 2)))
    with pytest.raises(InputError, match=r"must hold \(H, W\) metres"):
        PredictionFolder(tmp_path)(sample)
    (tmp_path / "0.npy").write_bytes(b"nothing")
    with pytest.raises(InputError, match="holds no depth map that can be read"):
        PredictionFolder(tmp_path)(sample)


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _altered(content: bytes) -> bytes:
    middle = content.index(b"depth_m.npy") + 200  # in the data of the array
    return content[:middle] + bytes(255 - byte for byte in content[middle : middle + 20]) + content[middle + 20 :]


def _empty(content: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [_cut, _altered, _empty])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_archive_is_named_in_one_line(pairs: Path, tmp_path: Path, damage: Any, save: Any) -> None:
    sample = open_dataset(f"pairs:{pairs}")[0]
    path = tmp_path / "0.npz"
    save(path, depth_m=sample.depth_m)
    path.write_bytes(damage(path.read_bytes()))
    assert_one_line(tmp_path, sample)


@pytest.mark.parametrize("content", [b"", b"\x93NUM", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4' (   "])
def test_a_damaged_array_is_named_in_one_line(pairs: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "0.npy").write_bytes(content)
    assert_one_line(tmp_path, open_dataset(f"pairs:{pairs}")[0])


def test_an_array_under_the_name_of_the_other_form_is_named(pairs: Path, tmp_path: Path) -> None:
    sample = open_dataset(f"pairs:{pairs}")[0]
    np.save(tmp_path / "1.npy", sample.depth_m)
    (tmp_path / "1.npy").rename(tmp_path / "0.npz")
    assert_one_line(tmp_path, sample)
    (tmp_path / "0.npz").unlink()
    np.savez(tmp_path / "1.npz", depth_m=sample.depth_m)
    (tmp_path / "1.npz").rename(tmp_path / "0.npy")
    assert_one_line(tmp_path, sample)


def assert_one_line(folder: Path, sample: DepthSample) -> None:
    with pytest.raises(
        InputError, match=r"/0\.np[yz] holds no depth map that can be read \(.+\); write it again"
    ) as error:
        PredictionFolder(folder)(sample)
    assert "\n" not in str(error.value)


def test_a_prediction_answers_for_one_sample(tmp_path: Path) -> None:
    np.save(tmp_path / "0000000005.npy", np.ones((2, 2)))
    folder = PredictionFolder(tmp_path)
    samples = [
        DepthSample(
            id=f"{drive}/0000000005", image_bgr=np.zeros((2, 2, 3), np.uint8), depth_m=np.ones((2, 2), np.float32)
        )
        for drive in ("drive_0002", "drive_0099")
    ]
    assert folder(samples[0]).depth_m.shape == (2, 2)
    folder(samples[0])  # again is no other
    with pytest.raises(InputError, match=r"would answer for 'drive_0002/0000000005' and for 'drive_0099/0000000005'"):
        folder(samples[1])


# -- errors by distance -------------------------------------------------------------------------------------


def test_histogram_counts_by_distance_and_signed_error() -> None:
    histogram = ErrorHistogram.empty(DISTANCES_M)
    histogram.add(np.array([0.5, 1.5, 8.0, 100.0]), np.array([0.5, 1.5, 4.0, 10.0]))
    exact = int(np.digitize(0.0, LOG_ERRORS))
    double = int(np.digitize(np.log(2), LOG_ERRORS))
    found = {(int(row), int(column)): int(histogram.counts[row, column]) for row, column in
             zip(*np.nonzero(histogram.counts), strict=True)}  # fmt: skip
    # 0..1 m, 1..2 m, 3..5 m and 10..20 m; a factor of ten lies beyond the last edge
    assert found == {(0, exact): 1, (1, exact): 1, (3, double): 1, (5, len(LOG_ERRORS)): 1}
    assert histogram.as_json()["distances_m"][:2] == [0.0, 1.0]


def test_the_histogram_is_labelled_with_its_factors() -> None:
    histogram = ErrorHistogram.empty(DISTANCES_M)
    histogram.add(np.array([1.5]), np.array([1.5]))
    axes = Figure().subplots()
    _draw_histogram(axes, histogram)
    labels = [tick.get_text() for tick in axes.get_xticklabels()]
    assert labels == ["0.333", "0.5", "0.8", "1", "1.25", "2", "3"]


def test_the_report_counts_every_pixel_once(pairs: Path) -> None:
    from edgedepth.evaluation import Prediction

    samples = open_dataset(f"pairs:{pairs}")
    report = evaluate_samples(lambda sample: Prediction(sample.depth_m), samples, protocol_named("native"))
    assert int(report.histogram.counts.sum()) == sum(image.pixels for image in report.images)


# -- checkpoints ----------------------------------------------------------------------------------------------


def test_a_checkpoint_and_its_bundle_have_the_same_figures(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="checkpoints need PyTorch: pip install 'edgedepth[train]'")
    pytest.importorskip("onnxscript", reason="export needs onnxscript: pip install 'edgedepth[export]'")
    import torch

    from edgedepth.core.routing import Route
    from edgedepth.export.bundle_export import export_bundle
    from edgedepth.export.request import BundleRequest
    from edgedepth.trainers import create_network, load_checkpoint, save_checkpoint
    from edgedepth.trainers.models.registry import default_spec
    from tests.two_processes import TINY

    torch.manual_seed(0)
    spec = default_spec("edge-low", **TINY).at_size((64, 48))
    path = tmp_path / "edge-low.safetensors"
    save_checkpoint(
        path, create_network("edge-low", **TINY), network="edge-low", options=TINY, spec=spec, provenance={}
    )
    mean_map = np.full((48, 64), np.log(2.0), np.float32)
    np.save(tmp_path / "edge-low.baseline.npy", mean_map)
    ours = evaluate(str(path), "--data", f"pairs:{pairs}", "--threads", "1", capsys=capsys)
    assert ours["checkpoint"]["name"] == "edge-low.safetensors"
    assert ours["input_wh"] == [64, 48]
    assert ours["baseline"]["none"]["abs_rel"] > 0
    request = BundleRequest(depth={Route.LOW: load_checkpoint(path)}, baselines={Route.LOW: mean_map})
    export_bundle(request, tmp_path / "bundle")
    theirs = evaluate(str(tmp_path / "bundle"), "--data", f"pairs:{pairs}", "--backend", "onnxruntime", capsys=capsys)
    for name, value in theirs["alignment"]["none"].items():
        assert ours["alignment"]["none"][name] == pytest.approx(value, rel=1e-3), name
    assert ours["baseline"]["none"] == pytest.approx(theirs["baseline"]["none"], rel=1e-4)


def test_a_classifier_has_no_depth_to_evaluate(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="checkpoints need PyTorch: pip install 'edgedepth[train]'")
    error = refused(str(tmp_path / "no.safetensors"), "--data", f"pairs:{pairs}", capsys=capsys)
    assert "no checkpoint at" in error
    error = refused("shipped", "--data", f"pairs:{pairs}", "--size", "64x48", capsys=capsys)
    assert "--size is for checkpoints" in error
