"""The command line from outside: exit codes, one-line errors, JSON, interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import edgedepth
from edgedepth.cli import COMMANDS, _ends_as_ctrl_c, main
from edgedepth.cli.camera import parse_camera
from edgedepth.core import errors
from edgedepth.core.bundle import Bundle
from edgedepth.core.camera import Camera
from edgedepth.core.routing import Route
from edgedepth.io.frames import Frame
from tests.alone import passes_alone
from tests.bundles import fixed_router, write_bundle
from tests.networks import routed_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return routed_bundle(tmp_path_factory.mktemp("bundle") / "b").folder


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    write_video(path, 30)
    return path


def write_video(path: Path, frames: int, wh: tuple[int, int] = (64, 48)) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = *wh, "yuv420p"
        for index in range(frames):
            image = np.full((wh[1], wh[0], 3), 102 if index < frames // 2 else 204, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())


def call(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(exit_.value.code or 0), out, err


def failure(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line of a command that must fail with code 1."""
    code, out, err = call(capsys, *arguments)
    lines = err.strip().splitlines()
    assert (code, out, len(lines)) == (1, "", 1), err
    return lines[0]


def test_run_writes_the_video_and_the_report(
    bundle: Path, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = (
        "run",
        video,
        "-b",
        bundle,
        "-o",
        out,
        "--save",
        "video,png16,npz,ply",
        "--json",
        "--backend",
        "onnxruntime",
    )
    code, printed, _ = call(capsys, *arguments)
    assert code == 0
    report = json.loads(printed)
    assert report == json.loads((out / "run.json").read_text())
    assert report["frames"] == {"read": 30, "written": 30, "dropped": 0}
    assert report["routes"] == {"low": 25, "high": 5}
    assert report["backend"] == "onnxruntime"
    assert report["interrupted"] is False
    assert all(Path(path).exists() for path in report["outputs"])
    with av.open(str(out / "clip_depth.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 30


def test_run_numbers_its_folders(
    bundle: Path, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in ("1", "2"):
        assert call(capsys, "run", video, "-b", bundle, "--save", "none")[0] == 0
        assert (tmp_path / "runs" / "depth" / number / "run.json").is_file()


def test_photos_are_routed_one_by_one(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for index, level in enumerate([102, 204, 102, 204]):
        cv2.imwrite(str(photos / f"{index}.png"), np.full((20 + index, 31, 3), level, np.uint8))
    code, printed, _ = call(capsys, "run", photos, "-b", bundle, "-o", tmp_path / "out", "--json")
    assert code == 0
    assert json.loads(printed)["routes"] == {"low": 2, "high": 2}


def test_camera_option(bundle: Path, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # canonical f is 52 px at 64 wide: 104 px doubles the depth of every frame
    for camera in ("104,104,31.5,23.5", str(tmp_path / "camera.json")):
        intrinsics = {"fx": 208, "fy": 208, "cx": 63.5, "cy": 47.5, "width": 128, "height": 96}
        (tmp_path / "camera.json").write_text(json.dumps(intrinsics))
        out = tmp_path / camera.replace("/", "_")
        arguments = ("--camera", camera, "--save", "npz", "-o", out, "--max-frames", "1", "--json")
        code, printed, _ = call(capsys, "run", video, "-b", bundle, *arguments)
        assert code == 0
        assert json.loads(printed)["camera"] == "given"
        with np.load(next(out.rglob("*.npz")), allow_pickle=False) as arrays:
            assert np.median(arrays["depth_m"]) == pytest.approx(8.0, rel=0.05)  # the encoder is lossy
    upright = {"fx": 100, "fy": 100, "cx": 24, "cy": 32, "width": 48, "height": 64}
    (tmp_path / "camera.json").write_text(json.dumps(upright))
    said = failure(
        capsys, "run", video, "--bundle", bundle, "--camera", tmp_path / "camera.json", "-o", tmp_path / "no"
    )
    assert "the intrinsics are of 48x64 pixels, but the frames are" in said


def test_missing_source(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere.mp4 does not exist" in failure(capsys, "run", "nowhere.mp4", "-b", bundle)


def test_empty_folder_zero_bytes_and_text(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "zero.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video at all")
    assert "empty" in failure(capsys, "run", tmp_path / "empty", "-b", bundle)
    assert "zero.mp4" in failure(capsys, "run", tmp_path / "zero.mp4", "-b", bundle)
    assert "text.mp4" in failure(capsys, "run", tmp_path / "text.mp4", "-b", bundle)


def test_unwritable_output(bundle: Path, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert "cannot write" in failure(capsys, "run", video, "-b", bundle, "-o", tmp_path / "file" / "out")


def test_bad_bundles(video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "make one with: edgedepth export" in failure(capsys, "run", video, "-b", tmp_path / "none")
    altered = routed_bundle(tmp_path / "altered").folder
    (altered / "low.onnx").write_bytes(b"x")
    assert "low.onnx was altered" in failure(capsys, "run", video, "-b", altered)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--backend", "quantum", "unknown backend 'quantum'; known: auto"),
        ("--precision", "int8", "has no int8 file for"),
        ("--save", "gif", "unknown output 'gif'; known: video"),
        ("--colormap", "mud", "unknown colour map 'mud'; known: turbo"),
        ("--camera", "1,2,3", "--camera is fx,fy,cx,cy"),
        ("--camera", "-5,5,1,1", "fx, fy > 0"),
        ("--camera", "hfov:wide", "hfov: wants degrees, for example hfov:78, but got 'wide'"),
        ("--camera", "hfov:180", "must lie in (0, 180) degrees"),
    ],
)
def test_bad_options(
    bundle: Path, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, message: str
) -> None:
    assert message in failure(capsys, "run", video, "-b", bundle, "-o", tmp_path, option, value)


@pytest.mark.parametrize(
    "arguments", [["run"], ["run", "a", "--route", "sideways"], ["fly"], ["run", "a", "--max-frames", "0"]]
)
def test_wrong_calls_exit_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, *arguments)[0] == 2


def test_a_traceback_only_with_debug(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from edgedepth.core.errors import InputError

    with pytest.raises(InputError):
        main(["run", "nowhere.mp4", "-b", str(bundle), "--debug"])


@pytest.mark.parametrize("command", [name for name, _, _ in COMMANDS])
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, command, "--help")
    assert code == 0
    _, _, examples = " ".join(out.split()).partition("Example")
    assert f"edgedepth {command}" in examples


def test_inspect(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "inspect", bundle, "--json")
    assert code == 0
    data = json.loads(out)
    low = data["networks"]["low"]
    assert {"network", "input_wh", "min_m", "max_m", "params", "gmacs", "variants"} <= set(low)
    assert set(low["variants"]["fp32"]) == {"file", "sha256", "bytes"}
    assert (data["name"], data["schema_version"], data["router"]["rule"]["kind"]) == ("test", 1, "scene")
    code, out, _ = call(capsys, "inspect", bundle)
    assert code == 0
    rows = {cells[1].strip(): [cell.strip() for cell in cells[2:-1]] for line in out.splitlines()
            if len(cells := line.split("│")) > 3}  # fmt: skip
    assert rows["focal length"] == [f"{data['networks'][route]['f_canonical_px']:g} px" for route in ("low", "high")]
    assert rows["upsampling"] == [data["networks"][route]["upsampling"] for route in ("low", "high")]


def test_inspect_tells_how_the_route_is_chosen(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    routed = call(capsys, "inspect", bundle)[1]
    assert "router: scene, " in routed
    assert "fp32" in routed.split("router: ")[1].split("every")[0]
    assert call(capsys, "inspect", bundle / "bundle.json")[1] == routed, "the file stands for its folder"
    files = {"low.onnx": (bundle / "low.onnx").read_bytes()}
    networks = {Route.LOW: Bundle.load(bundle).manifest.networks[Route.LOW]}
    fixed = write_bundle(tmp_path / "fixed", files, router=fixed_router(Route.LOW), networks=networks)
    assert "router: fixed, every frame is low\n" in call(capsys, "inspect", fixed.folder)[1]


def test_inspect_prints_brackets_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = routed_bundle(tmp_path / "b").folder
    text = json.loads((folder / "bundle.json").read_text())
    text["licence"], text["provenance"] = "CC-BY-NC-4.0 [non-commercial]", {"low.data": "weights of [/mnt/w1]"}
    (folder / "bundle.json").write_text(json.dumps(text))
    code, out, _ = call(capsys, "inspect", folder)
    assert code == 0
    assert "CC-BY-NC-4.0 [non-commercial]" in out
    assert "low.data: weights of [/mnt/w1]" in out


def test_errors_are_importable_by_their_public_name() -> None:
    from edgedepth.errors import EdgeDepthError

    assert edgedepth.errors.EdgeDepthError is EdgeDepthError
    own = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EdgeDepthError)]
    public = {kind.__name__ for kind in own}
    assert set(edgedepth.errors.__all__) == public


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "doctor", "--json")
    assert code == 0
    data = json.loads(out)
    assert data["backends"]["onnxruntime"]["available"]
    assert data["auto"] in data["backends"]
    assert all({"available", "version", "devices", "why"} == set(found) for found in data["backends"].values())


@pytest.mark.parametrize("command", ["doctor", "inspect"])
def test_tables_cut_nothing_off(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert "…" not in call(capsys, command)[1]


def test_the_version_needs_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "--version") == (0, f"{edgedepth.__version__}\n", "")


@pytest.mark.parametrize("arguments", [("-h",), ("run", "-h")])
def test_help_has_a_short_name(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, *arguments)
    assert (code, "Usage: edgedepth" in out) == (0, True)


def test_ctrl_c_while_commands_load_is_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edgedepth.cli.build_app", interrupted)
    assert call(capsys, "doctor") == (130, "", "")


def test_a_closed_ssh_session_ends_a_command_as_ctrl_c_does() -> None:
    if passes_alone(__file__, "test_a_closed_ssh_session_ends_a_command_as_ctrl_c_does"):
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with _ends_as_ctrl_c(), pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup has it
        with _ends_as_ctrl_c():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_error_is_one_line_whatever_it_quotes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "two lines.mp4 does not exist" in failure(capsys, "run", tmp_path / "two\nlines.mp4")


def test_names_in_another_encoding_are_printed(bundle: Path, tmp_path: Path) -> None:
    photo = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Path(os.fsdecode(photo)).write_bytes(cv2.imencode(".png", np.full((20, 31, 3), 102, np.uint8))[1].tobytes())
    command = [sys.executable, "-m", "edgedepth", "run", photo, "-b", bundle, "-o", tmp_path / "out", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"})
    assert (done.returncode, b"caf\xe9_depth.png" in done.stdout) == (0, True), done.stderr


def test_ctrl_c_leaves_a_playable_video_and_a_report(bundle: Path, tmp_path: Path) -> None:
    long = tmp_path / "long.mp4"
    write_video(long, 3000, (320, 240))
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "edgedepth", "run", long, "-b", bundle, "-o", out, "--backend", "onnxruntime"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    written = out / "long_depth.mp4"
    deadline = time.monotonic() + 60
    while not (written.is_file() and written.stat().st_size > 5_000) and time.monotonic() < deadline:
        time.sleep(0.02)
    report = json.loads((out / "run.json").read_text())
    assert report["error"] == "not finished: the run is going on, or it was killed", "no earlier run's report is left"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted" in err
    assert "Traceback" not in err
    report = json.loads((out / "run.json").read_text())
    assert report["interrupted"] is True
    assert 0 < report["frames"]["written"] < 3000
    with av.open(str(written)) as container:
        assert sum(1 for _ in container.decode(video=0)) == report["frames"]["written"]


def camera_of(text: str) -> Callable[[tuple[int, int]], Camera]:
    """The intrinsics that `--camera` gives to a frame of a size."""
    view = parse_camera(text)

    def camera(wh: tuple[int, int]) -> Camera:
        seen = view(Frame(index=0, image_bgr=np.zeros((wh[1], wh[0], 3), np.uint8), time_s=None, name="0")).camera
        assert seen is not None
        return seen

    return camera


def test_a_field_of_view_is_a_camera_of_any_size() -> None:
    camera = camera_of("hfov:90")
    assert camera((640, 480)).fx == pytest.approx(320)
    assert camera((480, 640)).fx == pytest.approx(240)
    assert (camera((640, 480)).cx, camera((640, 480)).cy) == (319.5, 239.5)


def test_intrinsics_of_another_size_are_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    camera = camera_of("1400,1400,960,540")
    assert capsys.readouterr().err == ""
    assert [camera((640, 480)).cx, camera((640, 480)).cx] == [960, 960]
    err = capsys.readouterr().err
    assert err.count("lies outside frames of 640x480") == 1
    camera_of("1400,1400,960,540")((1920, 1080))
    assert capsys.readouterr().err == ""


def test_intrinsics_of_frames_of_several_sizes_are_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "camera.json").write_text('{"fx": 500, "fy": 500, "cx": 320, "cy": 240, "width": 640, "height": 480}')
    cameras = camera_of("500,500,320,240"), camera_of(str(tmp_path / "camera.json"))
    for camera, told in zip(cameras, (1, 0), strict=True):
        for wh in ((640, 480), (640, 480), (1280, 960), (2560, 1920)):
            camera(wh)
        assert capsys.readouterr().err.count("frames are of 640x480 and 1280x960") == told
