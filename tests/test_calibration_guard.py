"""The guard: good calibrations pass, bad ones are caught, and what is not faster is not kept."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest

from edgedepth import Bundle, DepthRuntime
from edgedepth.calibration import backend_file, calibrate, network
from edgedepth.calibration.calibrate import CalibrationConfig, calibrate_bundle
from edgedepth.calibration.frames import View, at_network_size
from edgedepth.calibration.guard import Budget, Score, mix_of, score, search, sensitivities
from edgedepth.calibration.observe import observe
from edgedepth.calibration.qdq import Form, quantisable, tensors_to_observe
from edgedepth.calibration.ranges import ranges_of
from edgedepth.calibration.record import CalibrationRecord, all_ranges
from edgedepth.calibration.report import plot_mixes
from edgedepth.calibration.speed import Timing
from edgedepth.calibration.switchboard import Switchboard
from edgedepth.cli import main
from edgedepth.core.bundle import file_entry, write_manifest
from edgedepth.core.errors import BundleError, InputError, OutputError, UnknownNameError
from edgedepth.core.manifest import Manifest
from edgedepth.core.routing import Route
from edgedepth.export.passes.graph import Graph
from tests.int8_networks import INPUT_WH, SPEC, depth_graph, frames, int8_bundle

COUNT = 48
LOOSE = Budget(abs_rel=0.5, delta1=0.5, drift=0.1)
FAST = CalibrationConfig(methods=("minmax",), backends=("onnxruntime",), budget=LOOSE)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    for number, frame in enumerate(frames(COUNT, seed=5)):
        cv2.imwrite(str(folder / f"{number}.png"), frame)
    return folder


@pytest.fixture(autouse=True)
def speed(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Timing of networks this small is noise, so a table stands in for the clock."""
    table = {"fp32": 1.0, "int8": 2.5}

    def compare(files: dict[str, Path], backend: str, frame: np.ndarray) -> Timing:
        assert frame.shape == (INPUT_WH[1], INPUT_WH[0], 3)
        return Timing(ms={k: 10 / table[k] for k in files}, speedup={k: table[k] for k in files}, device="CPU")

    monkeypatch.setattr(backend_file, "compare_speed", compare)
    return table


# -- budget and search -----------------------------------------------------------------------------------


def test_budget_is_relative_to_fp32_and_to_nothing_without_labels() -> None:
    fp32 = Score(abs_rel=0.10, delta1=0.90)
    budget = Budget()
    assert budget.holds(fp32, Score(abs_rel=0.1019, delta1=0.896), labelled=True)
    assert not budget.holds(fp32, Score(abs_rel=0.1021, delta1=0.90), labelled=True)
    assert not budget.holds(fp32, Score(abs_rel=0.10, delta1=0.894), labelled=True)
    itself = Score(abs_rel=0.0, delta1=1.0)
    assert budget.holds(itself, Score(abs_rel=0.029, delta1=0.996), labelled=False)
    assert not budget.holds(itself, Score(abs_rel=0.031, delta1=1.0), labelled=False)
    assert Budget.parse("0.1") == Budget(abs_rel=0.1)
    assert Budget.parse("0.1,0.2,0.3") == Budget(abs_rel=0.1, delta1=0.2, drift=0.3)
    for text in ("much", "1,2,3,4", ""):
        with pytest.raises(InputError, match="--budget is"):
            Budget.parse(text)
    with pytest.raises(InputError, match="no negative"):
        Budget.parse("-1")


def test_a_collapsed_network_scores_badly_instead_of_failing() -> None:
    check = [at_network_size(View(frames(1)[0], None, np.full((24, 32), 2.0, np.float32)), SPEC)]
    assert score(lambda frame: np.full((24, 32), np.nan, np.float32), check).delta1 == 0.0
    assert score(lambda frame: np.full((24, 32), 2.0, np.float32), check) == Score(abs_rel=0.0, delta1=1.0)


@pytest.fixture(scope="module")
def board() -> Iterator[Switchboard]:
    model = depth_graph(spread=300.0)
    form = Form(activations="int8")
    layers = quantisable(Graph(model), form)
    ranges = ranges_of(observe(model, frames(6), tensors_to_observe(Graph(model))), "minmax")
    with Switchboard(model, layers, ranges, form) as opened:
        yield opened


def test_switches_choose_layer_by_layer(board: Switchboard, tmp_path: Path) -> None:
    frame = frames(1, seed=7)[0]
    exact = board.depth(frame, ())
    onnx.save(depth_graph(spread=300.0), tmp_path / "fp32.onnx")
    from edgedepth.engines import open_session

    with open_session(tmp_path / "fp32.onnx", "onnxruntime") as session:
        np.testing.assert_allclose(exact, session.run({"frame": frame[None]})["depth_m"][0, 0], rtol=1e-5)
    everything = board.depth(frame, [layer.name for layer in board.layers])
    alone = [np.abs(board.depth(frame, [layer.name]) - exact).mean() for layer in board.layers]
    assert all(error > 0 for error in alone)
    assert np.abs(everything - exact).mean() > 0.5 * max(alone)


def test_worst_layer_is_found_and_left_out(board: Switchboard) -> None:
    check = [at_network_size(View(f, None, board.depth(f, ())), SPEC) for f in frames(8, seed=8)]
    found = sensitivities(board, check)
    assert found[0].layer.name == "pointwise"  # reads channels of very different size with one scale
    assert min(found, key=lambda entry: entry.snr_db).layer.name == "pointwise"
    order = [entry.layer.name for entry in found]
    full = mix_of(board, check, order, 0).score.abs_rel
    without_worst = mix_of(board, check, order, 1)
    assert without_worst.kept_float == ("pointwise",)
    assert without_worst.score.abs_rel < 0.5 * full
    limit = (without_worst.score.abs_rel + full) / 2
    mix, tried = search(board, check, order, lambda s: s.abs_rel <= limit)
    assert mix is not None
    assert mix.kept_float == ("pointwise",)
    assert [len(entry.kept_float) for entry in tried] == [0, 1]
    nothing, _ = search(board, check, order, lambda s: False)
    assert nothing is None


# -- whole bundles ---------------------------------------------------------------------------------------


def test_a_good_calibration_is_kept_and_told(tmp_path: Path, pictures: Path) -> None:
    bundle = int8_bundle(tmp_path / "b")
    steps: list[str] = []
    report = calibrate_bundle(
        bundle.folder,
        str(pictures),
        config=CalibrationConfig(budget=LOOSE),
        output=tmp_path / "out",
        progress=lambda step, done, total: steps.append(step),
    )
    assert Bundle.load(bundle.folder).digest == bundle.digest  # the given bundle is untouched
    made = Bundle.load(tmp_path / "out").manifest.networks["low"]
    assert {"int8@openvino", "int8@onnxruntime", "int8@tensorrt"} <= set(made.variants)
    for record in made.int8.values():
        assert record.accepted
        assert record.within_budget
        assert record.truth == "fp32"
        assert record.abs_rel[0] == pytest.approx(0.0, abs=1e-5)
        assert 0 < record.abs_rel[1] < 0.1
    assert made.int8["int8@openvino"].speedup == 2.5
    assert made.int8["int8@tensorrt"].speedup is None
    assert made.int8_pays_on("openvino")
    assert not made.int8_pays_on("tensorrt")
    assert {"reading frames", "observing small"} <= set(steps)
    text = "\n".join(report.lines(explain=True))
    assert "2.50x as fast" in text
    assert "| mse + equalisation" in text or "+ equalisation |" in text
    json.dumps(report.as_json())
    with DepthRuntime.load(tmp_path / "out", backend="onnxruntime") as depth:
        assert depth.precision == "int8"
        result = depth(frames(1, seed=3, wh=(64, 48))[0])
        assert np.isfinite(result.raw_depth_m).all()
    with DepthRuntime.load(bundle, backend="onnxruntime") as depth:
        assert depth.precision == "fp32"


@pytest.mark.parametrize("fault", ["black", "one frame", "wrong range"])
def test_bad_calibrations_are_caught(fault: str, tmp_path: Path, pictures: Path) -> None:
    bundle = int8_bundle(tmp_path / "b")
    model = depth_graph()
    tensors = tensors_to_observe(Graph(model))
    looked_at = [np.zeros((24, 32, 3), np.uint8)] if fault == "black" else [frames(1)[0] // 32]
    ranges = all_ranges(observe(model, looked_at, tensors))
    if fault == "wrong range":
        good = all_ranges(observe(model, frames(8), tensors))
        ranges = {name: {k: (10 * low, 10 * high + 1) for k, (low, high) in m.items()} for name, m in good.items()}
    record = CalibrationRecord(
        network="small",
        graph_sha256=bundle.manifest.networks["low"].variants["fp32"].sha256,
        source=fault,
        digest="0",
        frames=1,
        method="minmax",
        ranges=ranges,
    )
    record.save(tmp_path / "bad.json")
    config = CalibrationConfig(backends=("onnxruntime", "tensorrt"), budget=Budget(drift=0.02))
    report = calibrate_bundle(bundle.folder, str(pictures), config=config, reuse=[tmp_path / "bad.json"])
    for entry in report.networks[0].backends:
        # with every layer in INT8 the budget does not hold, and whatever is kept holds it
        assert entry.full.abs_rel > 0.02 or entry.full.delta1 < 0.995
        assert entry.int8.abs_rel <= 0.02 or not entry.accepted
        assert entry.kept_float or not entry.accepted
        kept = report.bundle.manifest.networks["low"]
        assert (f"int8@{entry.backend}" in kept.variants) is entry.accepted
        assert kept.int8[f"int8@{entry.backend}"].why == entry.why


def test_frames_unlike_the_golden_ones_are_caught(tmp_path: Path) -> None:
    # dim and all different: good ranges for themselves, and every check frame agrees
    dim = tmp_path / "dim"
    dim.mkdir()
    for number, frame in enumerate(frames(COUNT, seed=5)):
        cv2.imwrite(str(dim / f"{number}.png"), frame // 5)
    reports = [
        calibrate_bundle(int8_bundle(tmp_path / name, golden=golden).folder, str(dim), config=FAST)
        for name, golden in (("without", None), ("with", np.full((24, 32, 3), 255, np.uint8)))
    ]
    trusted, caught = (report.networks[0].backends[0] for report in reports)
    assert trusted.accepted
    assert caught.within_budget
    assert not caught.accepted
    assert "calibrate on frames like those it is for" in caught.why
    assert "int8@onnxruntime" not in reports[1].bundle.manifest.networks["low"].variants


def test_no_mix_in_the_budget_leaves_int8_out(tmp_path: Path, pictures: Path) -> None:
    bundle = int8_bundle(tmp_path / "b")
    config = dataclasses.replace(FAST, budget=Budget(drift=0.0, delta1=0.0))
    report = calibrate_bundle(bundle.folder, str(pictures), config=config)
    entry = report.networks[0].backends[0]
    assert not entry.accepted
    assert "no mix of layers holds the budget" in entry.why
    assert "int8@onnxruntime" not in report.bundle.manifest.networks["low"].variants
    with DepthRuntime.load(report.bundle, backend="onnxruntime") as depth:
        assert depth.precision == "fp32"
    with pytest.raises(InputError, match="has no int8 file for onnxruntime"):
        DepthRuntime.load(report.bundle, backend="onnxruntime", precision="int8")


def test_kinds_of_layers_stay_floating_point_by_a_switch(tmp_path: Path, pictures: Path) -> None:
    config = dataclasses.replace(FAST, float_kinds=("depthwise", "first"))
    report = calibrate_bundle(int8_bundle(tmp_path / "b").folder, str(pictures), config=config)
    model = onnx.load(tmp_path / "b" / "small.int8@onnxruntime.onnx")
    weights = {node.output[0]: Graph(model).producer(node.input[1]) for node in Graph(model).of_type("Conv")}
    assert {name for name, maker in weights.items() if maker is not None} == {"pointwise", "up", "mix"}
    assert report.networks[0].backends[0].int8_layers == 3
    with pytest.raises(UnknownNameError, match=r"kind of layer.*dense"):
        CalibrationConfig(float_kinds=("deep",))
    with pytest.raises(InputError, match="nothing is left for tensorrt"):
        CalibrationConfig(float_kinds=("dense",))


def test_a_network_without_layers_to_round_is_told_of(tmp_path: Path, pictures: Path) -> None:
    """It has dense layers, which stay floating point here, and none that is thin."""
    kinds = ("dense", "depthwise", "first")
    config = dataclasses.replace(FAST, backends=("openvino",), float_kinds=kinds, explain=True)
    report = calibrate_bundle(int8_bundle(tmp_path / "b").folder, str(pictures), config=config)
    entry = report.networks[0].backends[0]
    assert (entry.int8_layers, entry.sensitivities, entry.mixes) == (0, (), ())


def test_slower_int8_is_left_out(tmp_path: Path, pictures: Path, speed: dict[str, float]) -> None:
    speed["int8"] = 1.02  # timing tells no less apart
    report = calibrate_bundle(int8_bundle(tmp_path / "b").folder, str(pictures), config=FAST)
    entry = report.networks[0].backends[0]
    assert entry.within_budget
    assert not entry.accepted
    assert "not faster than floating point" in entry.why


def test_calibration_files_of_two_networks_of_one_name_are_told_apart(tmp_path: Path, pictures: Path) -> None:
    files = []
    for seed in (0, 1):
        calibrate_bundle(int8_bundle(tmp_path / str(seed), seed=seed).folder, str(pictures), config=FAST)
        files.append(tmp_path / str(seed) / "small.calibration.json")
    records = [CalibrationRecord.load(file) for file in files]
    near, far = (Bundle.load(tmp_path / str(seed)) for seed in (0, 1))
    networks = {Route.LOW: near.manifest.networks[Route.LOW], Route.HIGH: far.manifest.networks[Route.LOW]}
    twins = dataclasses.replace(near, manifest=near.manifest.model_copy(update={"networks": networks}))
    found = calibrate._records(twins, [files[1], files[0]])
    of_routes = [found[networks[route].variants["fp32"].sha256] for route in (Route.LOW, Route.HIGH)]
    assert [record.text() for record in of_routes] == [record.text() for record in records]
    with pytest.raises(InputError, match="second calibration file of small"):
        calibrate._records(twins, [files[1], files[1]])


def test_calibration_file_is_reused_and_checked(tmp_path: Path, pictures: Path) -> None:
    first = calibrate_bundle(int8_bundle(tmp_path / "a").folder, str(pictures), config=FAST)
    file = tmp_path / "a" / "small.calibration.json"
    record = CalibrationRecord.load(file)
    assert record.frames == 36
    assert record.source == str(pictures)
    assert record.text() == file.read_text()
    assert set(record.ranges["stem.relu"]) == {"minmax", "percentile", "entropy", "mse"}
    again = calibrate_bundle(int8_bundle(tmp_path / "b").folder, str(pictures), config=FAST, reuse=[file])
    pair = [report.bundle.manifest.networks["low"].variants["int8@onnxruntime"].sha256 for report in (first, again)]
    assert pair[0] == pair[1]
    with pytest.raises(InputError, match="made for another FP32 file"):
        calibrate_bundle(int8_bundle(tmp_path / "c", seed=1).folder, str(pictures), config=FAST, reuse=[file])
    with pytest.raises(InputError, match="second calibration file of small"):
        calibrate_bundle(tmp_path / "b", str(pictures), config=FAST, reuse=[file, file])
    dataclasses.replace(record, network="other").save(tmp_path / "other.json")
    with pytest.raises(InputError, match="is of other, but the bundle has small"):
        calibrate_bundle(tmp_path / "b", str(pictures), config=FAST, reuse=[tmp_path / "other.json"])
    with pytest.raises(InputError, match="is not a calibration file"):
        CalibrationRecord.load(tmp_path / "a" / "bundle.json")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"method": "mime"}, "x has no range by mime, but by minmax"),
        ({"scales": {"y": [1.0, 0.0]}}, "a scale of y is not a positive number"),
        ({"means": {"x": [float("nan")]}}, "a mean of x is not a number"),
    ],
)
def test_calibration_file_with_numbers_that_cannot_be_is_refused(
    tmp_path: Path, changes: dict[str, object], what: str
) -> None:
    CalibrationRecord(
        network="n", graph_sha256="a", source="s", digest="d", frames=32, method="minmax",
        ranges={"x": {"minmax": (0.0, 1.0)}}, scales={"y": [1.0, 2.0]}, means={"x": np.zeros(1)},
    ).save(tmp_path / "n.json")  # fmt: skip
    CalibrationRecord.load(tmp_path / "n.json")
    (tmp_path / "n.json").write_text(json.dumps({**json.loads((tmp_path / "n.json").read_text()), **changes}))
    with pytest.raises(InputError, match=rf"n\.json is not a calibration file.*{what}"):
        CalibrationRecord.load(tmp_path / "n.json")


def test_a_failed_calibration_changes_nothing(tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = int8_bundle(tmp_path / "b")
    before = {path.name: path.read_bytes() for path in bundle.folder.iterdir()}

    def broken(*_: object, **__: object) -> None:
        raise InputError("out of luck")

    monkeypatch.setattr(network, "make_backend_file", broken)
    for output in (None, tmp_path / "out"):
        with pytest.raises(InputError, match="out of luck"):
            calibrate_bundle(bundle.folder, str(pictures), config=FAST, output=output)
    assert {path.name: path.read_bytes() for path in bundle.folder.iterdir()} == before
    assert not (tmp_path / "out").exists()


def test_a_later_calibration_takes_its_place(tmp_path: Path, pictures: Path, speed: dict[str, float]) -> None:
    bundle = int8_bundle(tmp_path / "b")
    calibrate_bundle(bundle.folder, str(pictures), config=FAST)
    assert (bundle.folder / "small.int8@onnxruntime.onnx").is_file()
    speed["int8"] = 0.9
    report = calibrate_bundle(bundle.folder, str(pictures), config=FAST)
    assert not report.networks[0].backends[0].accepted
    assert not (bundle.folder / "small.int8@onnxruntime.onnx").exists()


def test_a_calibration_in_place_is_a_whole_bundle_at_every_moment(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever changes the disk, what lies there after it is the earlier bundle or the new one."""
    bundle = int8_bundle(tmp_path / "b")
    calibrate_bundle(bundle.folder, str(pictures), config=FAST)
    (bundle.folder / "notes.txt").write_text("mine")
    recipes: list[str] = []

    def looked_after(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            answer = real(*arguments, **options)
            recipes.append(Bundle.load(bundle.folder).manifest.networks[Route.LOW].int8["int8@onnxruntime"].recipe)
            return answer

        return call

    for name in ("link", "mkdir", "rename", "replace", "rmdir", "unlink"):
        monkeypatch.setattr(os, name, looked_after(getattr(os, name)))
    other = dataclasses.replace(FAST, methods=("entropy",))
    report = calibrate_bundle(bundle.folder, str(pictures), config=other)
    assert [recipe.startswith("entropy") for recipe in recipes] == sorted(r.startswith("entropy") for r in recipes)
    assert recipes[-1] == report.bundle.manifest.networks[Route.LOW].int8["int8@onnxruntime"].recipe != recipes[0]
    there = {path.relative_to(bundle.folder).as_posix() for path in bundle.folder.rglob("*") if path.is_file()}
    assert there == {"bundle.json", "notes.txt", *(file.file for file in report.bundle.manifest.files())}
    assert not list(bundle.folder.glob(".*"))


def test_a_full_disk_leaves_a_calibrated_bundle_as_it_was(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of the same names are replaced: none of them before all that the new bundle needs are there."""
    bundle = int8_bundle(tmp_path / "b")
    calibrate_bundle(bundle.folder, str(pictures), config=FAST)
    before = {path.name: path.read_bytes() for path in bundle.folder.rglob("*") if path.is_file()}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.link", full)
    monkeypatch.setattr("shutil.copyfile", full)
    other = dataclasses.replace(FAST, methods=("entropy",))
    with pytest.raises(OutputError, match="no space left on the disk"):
        calibrate_bundle(bundle.folder, str(pictures), config=other)
    assert before == {path.name: path.read_bytes() for path in bundle.folder.rglob("*") if path.is_file()}
    Bundle.load(bundle.folder)


def test_backends_may_be_calibrated_one_after_the_other(tmp_path: Path, pictures: Path) -> None:
    """The file of a backend that is not calibrated again keeps the calibration that it was made by."""
    bundle = int8_bundle(tmp_path / "b")
    calibrate_bundle(bundle.folder, str(pictures), config=FAST)
    before = Bundle.load(bundle.folder).manifest.networks[Route.LOW].int8["int8@onnxruntime"]
    other = dataclasses.replace(FAST, backends=("tensorrt",), methods=("entropy",))
    calibrate_bundle(bundle.folder, str(pictures), config=other)
    records = Bundle.load(bundle.folder).manifest.networks[Route.LOW].int8
    assert records["int8@onnxruntime"] == before
    assert records["int8@tensorrt"].ranges.file == "small.tensorrt.calibration.json"
    both = dataclasses.replace(FAST, backends=("onnxruntime", "tensorrt"))
    calibrate_bundle(bundle.folder, str(pictures), config=both)
    assert [path.name for path in bundle.folder.glob("*.calibration.json")] == ["small.calibration.json"]


def test_what_cannot_be_calibrated_is_refused_at_once(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"of 41 frames too few are left to observe.*ask for 42 or more"):
        CalibrationConfig(limit=41)
    CalibrationConfig(limit=42)
    bundle = int8_bundle(tmp_path / "b")
    model = onnx.load(bundle.folder / "small.fp32.onnx")
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    onnx.save(model, bundle.folder / "small.fp32.onnx")
    network_entry = bundle.manifest.networks[Route.LOW].model_copy(
        update={"variants": {"fp32": file_entry(bundle.folder, "small.fp32.onnx")}}
    )
    write_manifest(bundle.folder, bundle.manifest.model_copy(update={"networks": {Route.LOW: network_entry}}))
    with pytest.raises(InputError, match="small takes frames of any size; export it at a fixed one"):
        calibrate_bundle(bundle.folder, str(pictures), config=FAST)
    monkeypatch.setattr("edgedepth.calibration.calibrate.calibrate_bundle", lambda *_, **__: pytest.fail("too late"))
    with pytest.raises(SystemExit):
        main(["calibrate", str(bundle.folder), str(pictures), "--plot", str(tmp_path / "curve.pdf")])


def test_shipped_bundle_is_not_changed_in_place(pictures: Path) -> None:
    with pytest.raises(BundleError, match=r"not changed in place|no bundle at default"):
        calibrate_bundle("default", str(pictures))


def test_plot_needs_measured_mixes(tmp_path: Path, pictures: Path) -> None:
    config = dataclasses.replace(FAST, explain=True)
    report = calibrate_bundle(int8_bundle(tmp_path / "b").folder, str(pictures), config=config)
    mixes = report.networks[0].backends[0].mixes
    assert 0.5 < mixes[0].int8_macs < 1.0  # the head and the expectation are never in INT8
    assert mixes[-1].int8_macs == 0.0
    assert mixes[-1].score.abs_rel < 1e-6  # nothing in INT8 is FP32
    plot_mixes(report, tmp_path / "curve.png")
    assert cv2.imread(str(tmp_path / "curve.png")) is not None
    with pytest.raises(InputError, match=r"\.png or a \.svg"):
        plot_mixes(report, tmp_path / "curve.gif")
    unmeasured = calibrate_bundle(int8_bundle(tmp_path / "c").folder, str(pictures), config=FAST)
    with pytest.raises(InputError, match="--explain"):
        plot_mixes(unmeasured, tmp_path / "none.png")


def test_manifest_with_records_is_read_back(tmp_path: Path, pictures: Path) -> None:
    report = calibrate_bundle(int8_bundle(tmp_path / "b").folder, str(pictures), config=FAST)
    text = (tmp_path / "b" / "bundle.json").read_text()
    assert Manifest.model_validate_json(text) == report.bundle.manifest
    assert any(file.file == "small.calibration.json" for file in report.bundle.manifest.files())
