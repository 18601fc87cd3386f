import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from edgedepth.cli import eval as eval_command
from edgedepth.cli import main
from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError, OutputError, UnknownNameError
from edgedepth.core.metrics import METRICS
from edgedepth.core.routing import Route
from edgedepth.core.spec import DepthSpec
from edgedepth.datasets import DepthSample
from edgedepth.evaluation import (
    PROTOCOLS,
    MeanDepth,
    Prediction,
    evaluate,
    evaluate_samples,
    map_at_size,
    protocol_named,
    route_shares,
    score_routes,
)
from edgedepth.evaluation.pictures import comparison, contact_sheet, plot_errors, save_picture
from edgedepth.runtime.depth_runtime import DepthRuntime

NATIVE = protocol_named("native")


def sample(depth: Any, id: str = "a", route: Route | None = Route.LOW, camera: Camera | None = None) -> DepthSample:
    depth_m = np.array(depth, np.float32)
    image = np.zeros((*depth_m.shape, 3), np.uint8)
    return DepthSample(id=id, image_bgr=image, depth_m=depth_m, route=route, camera=camera)


def constant(value: float) -> Any:
    return lambda image, camera: np.full(image.shape[:2], value, np.float32)


# -- protocols ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wh", "rows", "columns"),
    [
        ("native", (6, 4), (0, 4), (0, 6)),
        ("nyu-eigen", (640, 480), (45, 471), (41, 601)),
        ("nyu-full", (640, 480), (0, 480), (0, 640)),
        # int(375 * 0.40810811) = 153, int(375 * 0.99189189) = 371, int(1242 * 0.03594771) = 44, ...
        ("kitti-eigen-garg", (1242, 375), (153, 371), (44, 1197)),
        ("kitti-eigen", (1242, 375), (124, 342), (44, 1197)),
        ("kb-crop", (1242, 375), (23, 375), (13, 1229)),
        ("kitti-server", (1242, 375), (0, 375), (0, 1242)),
    ],
)
def test_the_crop_of_every_protocol(
    name: str, wh: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    valid = protocol_named(name).valid(np.full((wh[1], wh[0]), 5.0, np.float32), (1.0, 10.0))
    inside = np.argwhere(valid)
    assert inside.min(axis=0).tolist() == [rows[0], columns[0]]
    assert inside.max(axis=0).tolist() == [rows[1] - 1, columns[1] - 1]
    assert valid.sum() == (rows[1] - rows[0]) * (columns[1] - columns[0])


def test_every_protocol_stands_under_its_own_name() -> None:
    assert all(protocol.name == name for name, protocol in PROTOCOLS.items())


def test_unmeasured_and_out_of_range_truth_is_left_out() -> None:
    truth = np.array([[np.nan, 0.1, 0.3, 5.0, 10.0, 11.0]], np.float32)
    assert NATIVE.valid(truth, (0.3, 10.0)).tolist() == [[False, False, False, True, False, False]]


@pytest.mark.parametrize("name", ["nyu-eigen", "kb-crop"])
def test_a_crop_that_cannot_be_taken_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="but got 10x8"):
        protocol_named(name).valid(np.ones((8, 10), np.float32), (0.1, 10))


def test_an_unknown_protocol_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="known: native, nyu-eigen"):
        protocol_named("eigen")


# -- figures -----------------------------------------------------------------------------------------------


def test_figures_on_two_images_worked_out_by_hand() -> None:
    # image a: 3 against 2 and 4: abs_rel (1/2 + 1/4) / 2 = 0.375; image b: 3 against 6: 0.5
    report = evaluate(constant(3), [sample([[2, 4]]), sample([[6, np.nan]], id="b")], NATIVE)
    assert report.alignment["none"]["abs_rel"] == pytest.approx((0.375 + 0.5) / 2)
    assert [image.pixels for image in report.images] == [2, 1]
    # medians are 3 (a) and 6 (b): aligned predictions 3 and 6
    assert report.alignment["median"]["abs_rel"] == pytest.approx(0.375 / 2)
    assert list(report.alignment) == ["none", "median", "lsq", "log_lsq"]


def test_the_prediction_is_resized_to_the_truth_before_masking() -> None:
    truth = np.full((8, 8), np.nan, np.float32)
    truth[:, :4], truth[0, 0] = 2, np.nan
    small = np.array([[2, 8], [2, 8]], np.float32)  # half size: columns blend 2 2 3.5 6.5 ... by bilinear weights
    report = evaluate(lambda image, camera: small, [sample(truth)], NATIVE, alignments=["none"])
    expected = cv2.resize(small, (8, 8), interpolation=cv2.INTER_LINEAR)[np.isfinite(truth)]
    assert report.alignment["none"]["mae"] == pytest.approx(float(np.abs(expected - 2).mean()))


def test_predictions_are_clamped_to_the_range_after_alignment() -> None:
    report = evaluate(constant(50), [sample([[5, 8]])], NATIVE, alignments=["none"])
    assert report.alignment["none"]["mae"] == pytest.approx((5 + 2) / 2)  # clamped to 10
    # a line through (1, 9), (2, 1) and (3, 1) ends at -0.33 m, below the range: clamped to 0.3
    ramp = np.array([[1, 2, 3]], np.float32)
    report = evaluate(lambda image, camera: ramp, [sample([[9, 1, 1]])], NATIVE, alignments=["lsq"])
    fitted = np.array([23 / 3, 11 / 3, 0.3])
    assert report.alignment["lsq"]["mae"] == pytest.approx(float(np.abs(fitted - [9, 1, 1]).mean()))


def test_the_range_follows_the_samples_own_route_not_the_chosen_one() -> None:
    street = sample([[5, 40]], route=Route.HIGH)
    report = evaluate_samples(
        lambda s: Prediction(np.full((1, 2), 5, np.float32), Route.LOW), [street], NATIVE, alignments=["none"]
    )
    assert report.images[0].pixels == 2
    assert report.routing.accuracy == 0
    assert report.routing.wrong == ("a",)


def test_a_sample_of_unknown_route_takes_the_range_of_all() -> None:
    report = evaluate(constant(5), [sample([[0.5, 40]], route=None)], NATIVE, alignments=["none"])
    assert report.images[0].pixels == 2
    assert report.routing.images == 0


def test_images_without_a_valid_pixel_are_named_and_left_out() -> None:
    blank = sample([[np.nan, 90]], id="blank")
    report = evaluate(constant(3), [blank, sample([[3, 3]])], NATIVE)
    assert report.skipped == ("blank",)
    assert report.as_json()["images"] == 1
    with pytest.raises(InputError, match="no image has a pixel to evaluate"):
        evaluate(constant(3), [blank], NATIVE)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -1.0])
def test_a_prediction_that_is_no_depth_is_refused_by_name(value: float) -> None:
    with pytest.raises(InputError, match="a: the prediction is not finite and positive"):
        evaluate(constant(value), [sample([[3, 3]])], NATIVE)


def test_a_prediction_of_wrong_shape_and_an_unknown_alignment_are_refused() -> None:
    with pytest.raises(InputError, match=r"must be \(H, W\) metres"):
        evaluate(lambda image, camera: np.ones((1, 2, 1), np.float32), [sample([[3, 3]])], NATIVE)
    with pytest.raises(UnknownNameError, match="unknown alignment 'scale'"):
        evaluate(constant(3), [sample([[3, 3]])], NATIVE, alignments=["scale"])


def test_errors_by_distance_are_unaligned_and_cover_every_pixel() -> None:
    report = evaluate(constant(3), [sample([[1.5, 2.5, 7.5]]), sample([[2.5, 2.5, 9]], id="b")], NATIVE)
    assert [(band.from_m, band.to_m, band.errors.count) for band in report.bands] == [(1, 2, 1), (2, 3, 3), (5, 10, 2)]
    assert report.bands[0].errors.values()["abs_rel"] == pytest.approx(1.0)
    assert report.bands[2].errors.values()["mae"] == pytest.approx((4.5 + 6) / 2)


# -- baseline ----------------------------------------------------------------------------------------------

SPEC = DepthSpec(input_wh=(4, 2), min_m=0.3, max_m=10, f_canonical_px=8)


def test_the_baseline_is_scaled_by_focal_length() -> None:
    base = MeanDepth(np.full((2, 4), np.log(3), np.float32), SPEC)
    assert base.depth_m((8, 4), None) == pytest.approx(np.full((4, 8), 3.0))
    # a camera of 32 pixels at twice the size is one of 16 at network size, twice the canonical
    camera = Camera(fx=32, fy=32, cx=3.5, cy=1.5, width=8, height=4)
    assert base.depth_m((8, 4), camera) == pytest.approx(np.full((4, 8), 6.0))


def test_the_baseline_is_cut_and_placed_as_the_network_is() -> None:
    log_depth = np.log(np.array([[9, 2, 4, 9], [9, 2, 4, 9]], np.float32))
    # a square frame is letterboxed into the middle two columns
    assert MeanDepth(log_depth, SPEC).depth_m((2, 2), None) == pytest.approx(np.array([[2, 4], [2, 4]]))


def test_the_baseline_stands_beside_the_network_on_the_same_pixels() -> None:
    metres = {Route.LOW: 4, Route.HIGH: 40}
    maps = {route: MeanDepth(np.full((2, 4), np.log(m), np.float32), SPEC) for route, m in metres.items()}
    samples = [sample([[2, 5]]), sample([[80 / 3, 20]], id="b", route=Route.HIGH)]
    report = evaluate(constant(3), samples, NATIVE, baselines=maps, alignments=["none", "median"])
    assert report.baseline is not None
    assert report.baseline["none"]["abs_rel"] == pytest.approx(((1 + 0.2) / 2 + (0.5 + 1) / 2) / 2)
    assert list(report.baseline) == ["none", "median"]
    assert evaluate(constant(3), samples, NATIVE).baseline is None


def test_a_baseline_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match=r"must be finite and \(2, 4\)"):
        MeanDepth(np.zeros((4, 4), np.float32), SPEC)


# -- router ------------------------------------------------------------------------------------------------


def test_routing_score_counts_and_names_the_wrong() -> None:
    score = score_routes([("a", Route.LOW, Route.LOW), ("b", Route.HIGH, Route.LOW), ("c", Route.HIGH, Route.HIGH)])
    assert score.accuracy == pytest.approx(2 / 3)
    assert score.wrong == ("b",)
    assert score.as_json()["counts"] == {"low->low": 1, "low->high": 0, "high->low": 1, "high->high": 1}
    assert score_routes([]).as_json()["accuracy"] is None


def test_route_shares_of_a_video() -> None:
    shares = route_shares([Route.LOW, Route.LOW, Route.HIGH, Route.LOW])
    assert (shares.share(Route.LOW), shares.switches) == (0.75, 2)
    assert np.isnan(route_shares([]).share(Route.LOW))


# -- report ------------------------------------------------------------------------------------------------


@pytest.fixture
def report() -> Any:
    maps = {Route.LOW: MeanDepth(np.full((2, 4), np.log(4), np.float32), SPEC)}
    return evaluate(constant(3), [sample([[2, 4]]), sample([[6, np.nan]], id="b")], NATIVE, baselines=maps)


def test_json_has_the_agreed_form(report: Any) -> None:
    data = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert data["protocol"] == "native"
    assert data["images"] == 2
    for block in (data["alignment"], data["baseline"]):
        assert list(block) == ["none", "median", "lsq", "log_lsq"]
        assert all(list(values) == list(METRICS) for values in block.values())
    assert (data["average"], data["tta"]) == ("image", False)


def test_markdown_names_protocol_averaging_and_puts_the_baseline_below(report: Any) -> None:
    lines = report.markdown(["abs_rel", "rmse"]).splitlines()
    assert lines[0].startswith("Protocol native (no crop")
    assert "averaged per image, no TTA, 2 images" in lines[0]
    assert lines[2] == "| alignment | | abs_rel | rmse (m) |"
    assert lines[4].startswith("| none | network | 0.438 |")
    assert lines[5].startswith("| none | baseline |")
    assert len(lines) == 4 + 8


def test_csv_has_a_line_per_image_and_alignment(report: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(report.csv())))
    assert len(rows) == 8
    assert (rows[0]["id"], rows[0]["expected"], rows[0]["alignment"], rows[0]["pixels"]) == ("a", "low", "none", "2")
    assert float(rows[0]["abs_rel"]) == pytest.approx(0.375)
    assert float(rows[0]["baseline_abs_rel"]) == pytest.approx(0.5)


def test_pictures(report: Any, tmp_path: Path) -> None:
    truth = np.full((24, 32), 4, np.float32)
    truth[:, :16] = np.nan
    row = comparison(np.zeros((24, 32, 3), np.uint8), truth, np.full((12, 16), 8, np.float32), (0.3, 10), "a")
    assert row.shape == (192, 4 * 256, 3)
    assert row[100, 3 * 256 + 200].tolist() == [0, 0, 255]  # twice too far: red
    assert row[100, 3 * 256 + 50].tolist() == [51, 51, 51]  # unknown
    sheet = contact_sheet([row, row[:, :512]])
    assert sheet.shape == (2 * 194, 1024, 3)
    save_picture(tmp_path / "sheet.jpg", sheet)
    assert cv2.imread(str(tmp_path / "sheet.jpg")).shape == sheet.shape
    plot_errors(report, tmp_path / "errors.png")
    assert cv2.imread(str(tmp_path / "errors.png")).shape[0] > 100


def test_pictures_of_unknown_kind_or_place_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        save_picture(tmp_path / "file" / "sheet.jpg", np.zeros((4, 4, 3), np.uint8))


# -- command -----------------------------------------------------------------------------------------------


class FakeRuntime:
    """Answers 3 m everywhere and routes by the mean brightness of the frame."""

    routes = (Route.LOW, Route.HIGH)
    backend, precision = "fake", "fp32"
    asked: list[Route | None]

    def __init__(self) -> None:
        self.bundle = SimpleNamespace(
            manifest=SimpleNamespace(name="fake", networks={}, router=SimpleNamespace(rule=None)),
            digest="0" * 64,
            baseline=lambda network: None,
        )
        self.asked = []

    def __enter__(self) -> "FakeRuntime":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def spec(self, route: Route) -> DepthSpec:
        return DepthSpec(input_wh=(4, 2), min_m=0.3, max_m=10 if route is Route.LOW else 80, f_canonical_px=8)

    def __call__(self, frame: np.ndarray, *, camera: Camera | None, route: Route | None) -> Any:
        self.asked.append(route)
        chosen = route if route is not None else (Route.HIGH if frame.mean() > 100 else Route.LOW)
        return SimpleNamespace(raw_depth_m=np.full(frame.shape[:2], 3, np.float32), route=chosen)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeRuntime:
    runtime = FakeRuntime()
    monkeypatch.setattr(DepthRuntime, "load", lambda *arguments, **options: runtime)
    return runtime


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    for name, brightness, metres in (("room", 10, 2), ("street", 200, 30)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((4, 8, 3), brightness, np.uint8))
        cv2.imwrite(str(tmp_path / f"{name}.depth.png"), np.full((4, 8), metres * 256, np.uint16))
    rows = [
        {"id": n, "rgb": f"{n}.png", "depth": f"{n}.depth.png", "depth_scale": 256, "domain": d, "split": "test"}
        for n, d in (("room", "indoor"), ("street", "outdoor"))
    ]
    (tmp_path / "pairs.json").write_text(json.dumps(rows))
    return tmp_path / "pairs.json"


def run_eval(*arguments: str) -> None:
    main(["eval", *arguments])


def test_the_command_prints_the_agreed_json(fake: FakeRuntime, pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        run_eval("default", "--data", f"pairs:{pairs}", "--json")
    assert exit.value.code == 0
    data = json.loads(capsys.readouterr().out)
    assert data["images"] == 2
    assert data["alignment"]["none"]["abs_rel"] == pytest.approx((0.5 + 0.9) / 2)
    assert data["router"]["accuracy"] == 1.0
    assert (data["protocol"], data["baseline"], data["bundle"]["name"]) == ("native", None, "fake")
    assert fake.asked == [None, None]


@pytest.mark.parametrize(("route", "asked"), [("low", [Route.LOW, Route.LOW]), ("by-sample", [Route.LOW, Route.HIGH])])
def test_the_command_forces_routes(
    fake: FakeRuntime, pairs: Path, route: str, asked: list[Route], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run_eval("--data", f"pairs:{pairs}", "--route", route, "--json")
    assert fake.asked == asked
    assert json.loads(capsys.readouterr().out)["router"]["images"] == 0  # nobody decided, so nobody was right


def test_the_command_prints_a_table_and_writes_a_report(
    fake: FakeRuntime, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "report"
    with pytest.raises(SystemExit) as exit:
        run_eval("--data", f"pairs:{pairs}", "--report", str(folder), "--alignment", "none,lsq")
    assert exit.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["none", "lsq"] for line in lines)
    assert any(line.split() == ["abs_rel", "0.700", "0.000"] for line in lines)
    assert sorted(path.name for path in folder.iterdir()) == [
        "best.jpg", "errors.png", "images.csv", "report.html", "report.json", "report.md", "worst.jpg",
    ]  # fmt: skip
    page = (folder / "report.html").read_text()
    assert page.count("src='data:image/") == 3  # nothing beside the page is needed
    assert "<td>room</td>" in page
    assert json.loads((folder / "report.json").read_text())["images"] == 2


@pytest.mark.parametrize(
    ("splits", "arguments", "images", "split", "told"),
    [
        (("train", "test"), (), 1, "test", "1 of 2 samples are of the split test, and evaluated"),
        (("train", "test"), ("--split", "train"), 1, "train", None),
        (("train", "val"), (), 2, None, "1 of 2 samples are for training"),
        (("test", "test"), (), 2, "test", None),
    ],
)
def test_figures_are_of_the_test_split_where_pairs_name_it(
    fake: FakeRuntime,
    pairs: Path,
    splits: tuple[str, str],
    arguments: tuple[str, ...],
    images: int,
    split: str | None,
    told: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = json.loads(pairs.read_text())
    pairs.write_text(json.dumps([{**row, "split": name} for row, name in zip(rows, splits, strict=True)]))
    with pytest.raises(SystemExit):
        run_eval("--data", f"pairs:{pairs}", *arguments, "--json")
    said = capsys.readouterr()
    data = json.loads(said.out)
    assert (data["images"], data["split"]) == (images, split)
    assert [line[: len(told or "")] for line in said.err.splitlines()] == ([] if told is None else [told])


def test_a_prefix_for_training_is_passed_over_and_said(
    fake: FakeRuntime, pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run_eval("--data", f"eigen-20k:pairs:{pairs}", "--json")
    said = capsys.readouterr()
    data = json.loads(said.out)
    assert (data["images"], data["data"]) == (2, f"pairs:{pairs}")
    assert said.err.startswith("eigen-20k: changes frames for training alone")
    with pytest.raises(SystemExit):
        run_eval("--data", f"near:pairs:{pairs}", "--json")
    data = json.loads(capsys.readouterr().out)
    assert (data["images"], data["data"]) == (1, f"near:pairs:{pairs}")  # the street is 30 m away


@pytest.mark.parametrize(
    ("arguments", "protocol"), [((), "kitti-server"), (("--protocol", "kitti-eigen"), "kitti-eigen")]
)
def test_the_selection_of_kitti_is_scored_whole(
    fake: FakeRuntime,
    tmp_path: Path,
    arguments: tuple[str, ...],
    protocol: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "val_selection_cropped"
    stem = "2011_09_26_drive_0002_sync_{}_0000000005_image_02"
    for name, kind, picture in (
        ("image", "image", np.full((16, 32, 3), 200, np.uint8)),
        ("groundtruth_depth", "groundtruth_depth", np.full((16, 32), 4 * 256, np.uint16)),
    ):
        (folder / name).mkdir(parents=True)
        cv2.imwrite(str(folder / name / f"{stem.format(kind)}.png"), picture)
    (folder / "intrinsics").mkdir()
    (folder / "intrinsics" / f"{stem.format('image')}.txt").write_text("7 0 3 0 8 2 0 0 1")
    with pytest.raises(SystemExit) as exit:
        run_eval("--data", f"kitti:{tmp_path}", "--split", "selection", *arguments, "--json")
    assert exit.value.code == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["protocol"], data["images"], data["split"]) == (protocol, 1, "selection")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "pairs:nowhere.json"], "does not exist"),
        (["--data", "nowhere"], "named kind:path"),
        (["--data", "PAIRS", "--protocol", "eigen"], "unknown protocol"),
        (["--data", "PAIRS", "--protocol", "nyu-eigen"], "640x480, but got 8x4"),
        (["--data", "PAIRS", "--alignment", "scale"], "unknown alignment"),
        (["--data", "PAIRS", "--split", "val"], "choose with --split: test"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_1(
    fake: FakeRuntime, pairs: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit:
        run_eval(*(argument.replace("PAIRS", f"pairs:{pairs}") for argument in arguments))
    assert exit.value.code == 1
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error


@pytest.mark.parametrize("arguments", [["default"], ["--data", "pairs:a", "--route", "middle"]])
def test_a_wrong_call_is_exit_code_2(fake: FakeRuntime, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        run_eval(*arguments)
    assert exit.value.code == 2


def test_by_sample_needs_a_route() -> None:
    with pytest.raises(InputError, match="has no route in its data set"):
        eval_command.sample_route(sample([[1]], route=None))


def test_a_mean_map_at_another_size_keeps_its_field_of_view() -> None:
    rows = np.log(np.linspace(1, 5, 240, dtype=np.float32))[:, None] * np.ones((1, 320), np.float32)
    wide = map_at_size(rows, (448, 256))  # 448 wide it is 336 rows high, of which 40 are cut off at either end
    assert wide.shape == (256, 448)
    assert wide[0, 0] == pytest.approx(rows[28:30, 0].mean(), abs=0.02)
    assert wide[-1, 0] == pytest.approx(rows[210:212, 0].mean(), abs=0.02)
    tall = map_at_size(rows, (160, 160))  # 120 rows and 20 more at either end
    assert tall.shape == (160, 160)
    assert (tall[:20] == tall[20]).all()
    assert (tall[140:] == tall[139]).all()
    np.testing.assert_allclose(tall[20:140, 0], rows[:, 0].reshape(120, 2).mean(1), atol=1e-3)
    np.testing.assert_array_equal(map_at_size(rows, (320, 240)), rows)
