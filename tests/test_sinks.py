"""Sinks: what they write can be read back, and what cannot be written is told in one line."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edgedepth.core.camera import Camera
from edgedepth.core.colour import MetricColours
from edgedepth.core.errors import OutputError, UnknownNameError
from edgedepth.core.results import DepthResult, PixelState
from edgedepth.core.routing import Route
from edgedepth.io import SINK_KINDS, Frame, open_sinks, open_source, run_folder
from edgedepth.io.png import png_bytes
from edgedepth.io.png16_sink import scale_for
from edgedepth.io.video_sink import H264File
from edgedepth.io.view import MAX_PANEL_WH, SideBySide, panel_size

COLOURS = MetricColours(min_m=0.5, max_m=50)
needs_dev_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")


def make_frame(index: int = 0, *, wh=(64, 48), name: str | None = None, time_s: float | None = None) -> Frame:
    image = np.full((wh[1], wh[0], 3), (40, 90, 8 * (index % 30)), np.uint8)
    return Frame(index=index, image_bgr=image, time_s=time_s, name=name or f"{index:06d}")


def make_result(wh=(64, 48), *, route: Route = Route.LOW, confidence: bool = False) -> DepthResult:
    """Depth rises from 1 m to 20 m to the right; the first row is sky, the last unknown, the first column nearer."""
    raw = np.tile(np.linspace(1, 20, wh[0], dtype=np.float32), (wh[1], 1))
    valid = np.full((wh[1], wh[0]), PixelState.MEASURED, np.uint8)
    valid[:, :1], valid[0], valid[-1] = PixelState.NEARER, PixelState.BEYOND, PixelState.UNKNOWN
    return DepthResult(
        depth_m=np.where((valid == PixelState.UNKNOWN) | (valid == PixelState.BEYOND), np.float32(np.nan), raw),
        valid=valid,
        raw_depth_m=raw,
        route=route,
        score=0.75,
        camera=Camera.from_hfov(60, *wh),
        camera_given=False,
        confidence=np.full((wh[1], wh[0]), 0.5, np.float32) if confidence else None,
    )


def sinks(names, folder: Path, *, ordered: bool = True, **options):
    return open_sinks(names, folder, name="clip", ordered=ordered, colours=lambda _: COLOURS, **options)


class TestVideo:
    def test_every_frame_side_by_side_at_the_rate_of_the_source(self, tmp_path):
        with sinks(["video"], tmp_path, fps=25.0) as sink:
            for i in range(40):
                sink.write(make_frame(i, time_s=i / 25), make_result(route=Route.HIGH))
        outputs = sink.close()
        assert outputs == [tmp_path / "clip_depth.mp4"]
        with av.open(str(outputs[0])) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.pix_fmt, stream.frames) == ("h264", "yuv420p", 40)
            assert float(stream.average_rate) == pytest.approx(25)
        with open_source(outputs[0]) as source:
            frames = list(source)
            assert source.warnings == []
        assert len(frames) == 40
        shown = frames[20].image_bgr
        assert shown.shape == (120, 2 * 64 + 56, 3)
        np.testing.assert_allclose(shown[24, 32], (40, 90, 160), atol=10)
        expected = COLOURS(make_result().depth_m, make_result().valid)[40, 40]
        np.testing.assert_allclose(shown[40, 64 + 40], expected, atol=40)

    def test_times_of_a_variable_rate_are_kept(self, tmp_path):
        times_s = [0.0, 0.04, 0.5, 0.54, 2.0]
        with sinks(["video"], tmp_path, fps=25.0) as sink:
            for i, time_s in enumerate(times_s):
                sink.write(make_frame(i, time_s=time_s), make_result())
        with open_source(sink.close()[0]) as source:
            np.testing.assert_allclose([f.time_s for f in source], times_s, atol=1e-3)

    def test_the_first_picture_is_shown_at_once(self, tmp_path):
        with sinks(["video"], tmp_path, fps=10.0) as sink:
            for i in range(12):
                sink.write(make_frame(i, time_s=i / 10), make_result())
        with av.open(str(sink.close()[0])) as container:
            shown_s = [frame.time for frame in container.decode(video=0)]
        np.testing.assert_allclose(shown_s, np.arange(12) / 10, atol=1e-3)

    def test_a_clock_that_jumps_by_years_is_shortened_and_told(self, tmp_path):
        times_s = [0.0, 0.5, 1.7e9, 1.7e9 + 0.5]  # a device that gets its time from the network while it records
        with sinks(["video"], tmp_path, fps=2.0) as sink:
            for i, time_s in enumerate(times_s):
                sink.write(make_frame(i, time_s=time_s), make_result())
        with open_source(sink.close()[0]) as source:
            np.testing.assert_allclose([f.time_s for f in source], [0.0, 0.5, 3600.5, 3601.0], atol=1e-3)
        (told,) = sink.warnings
        assert "jumps ahead by more than 1 h, 1 x" in told

    @pytest.mark.parametrize("fps", [None, 1.0, 23.976023976, 29.97, 240.0])
    def test_any_rate(self, tmp_path, fps):
        with sinks(["video"], tmp_path, fps=fps) as sink:
            for i in range(5):
                sink.write(make_frame(i), make_result())
        with open_source(sink.close()[0]) as source:
            assert source.fps == pytest.approx(fps or 30.0, rel=1e-3)
            assert len(list(source)) == 5

    @pytest.mark.parametrize("wh", [(1, 1), (63, 47), (121, 133), (2000, 3)])
    def test_any_size(self, tmp_path, wh):
        with sinks(["video"], tmp_path) as sink:
            for i in range(3):
                sink.write(make_frame(i, wh=wh), make_result(wh))
        with open_source(sink.close()[0]) as source:
            shapes = {frame.image_bgr.shape for frame in source}
        assert len(shapes) == 1
        height, width, _ = shapes.pop()
        assert height % 2 == width % 2 == 0

    def test_a_change_of_size_does_not_break_the_video(self, tmp_path):
        with sinks(["video"], tmp_path) as sink:
            sink.write(make_frame(0), make_result())
            sink.write(make_frame(1, wh=(33, 21)), make_result((33, 21)))
        with open_source(sink.close()[0]) as source:
            assert len(list(source)) == 2

    def test_no_frame_no_file(self, tmp_path):
        with sinks(["video", "png16", "npz", "ply"], tmp_path) as sink:
            pass
        assert sink.close() == []
        assert list(tmp_path.iterdir()) == []

    def test_interrupted_is_closed_properly(self, tmp_path):
        def interrupted() -> None:
            with sinks(["video"], tmp_path) as sink:
                for i in range(20):
                    sink.write(make_frame(i), make_result())
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        with open_source(tmp_path / "clip_depth.mp4") as source:
            assert source.count == 20
            assert len(list(source)) == 20

    def test_killed_writer_leaves_a_playable_file(self, tmp_path):
        program = f"""
import time
import numpy as np
from pathlib import Path
from edgedepth.io.video_sink import H264File
file = H264File(Path({str(tmp_path / "killed.mp4")!r}), wh=(64, 48), fps=20)
for i in range(120):
    file.write(np.full((48, 64, 3), i, np.uint8), i / 20)
print("written", flush=True)
time.sleep(60)
"""
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "written\n"
            process.send_signal(signal.SIGKILL)
        with open_source(tmp_path / "killed.mp4") as source:
            levels = [int(np.median(frame.image_bgr)) for frame in source]
        assert 60 <= len(levels) < 120
        np.testing.assert_allclose(levels, np.arange(len(levels)), atol=4)

    @pytest.mark.parametrize("fps", [None, 1.0, 30.0, 90_000.0])
    def test_the_file_on_the_disk_is_readable_whatever_rate_the_source_reports(self, tmp_path, fps):
        sink = sinks(["video"], tmp_path, fps=fps)
        for i in range(120):
            sink.write(make_frame(i, time_s=i / 30), make_result())
        killed = tmp_path / "killed.mp4"
        killed.write_bytes((tmp_path / "clip_depth.mp4").read_bytes())
        sink.close()
        with open_source(killed) as source:
            times_s = [frame.time_s for frame in source]
        assert 60 <= len(times_s) < 120
        np.testing.assert_allclose(times_s, np.arange(len(times_s)) / 30, atol=1e-3)

    @pytest.mark.parametrize("rate", [5, 24, 60])
    def test_a_key_frame_for_each_second(self, tmp_path, rate):
        with sinks(["video"], tmp_path, fps=90_000.0) as sink:
            for i in range(4 * rate):
                sink.write(make_frame(time_s=i / rate), make_result())
        with av.open(str(sink.close()[0])) as container:
            keys = [float(p.pts * p.time_base) for p in container.demux(video=0) if p.is_keyframe and p.size]
        assert np.subtract(keys, keys[0]) == pytest.approx([0, 1, 2, 3], abs=1e-3)

    @needs_dev_full
    def test_full_disk(self):
        file = H264File(Path("/dev/full"), wh=(64, 48), fps=10)
        noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)

        def fill() -> None:
            for i in range(100):
                file.write(noise, i / 10)

        with pytest.raises(OutputError, match="no space left on the disk while writing /dev/full"):
            fill()
        with pytest.raises(OutputError, match="no space left"):
            file.close()


class TestView:
    @pytest.mark.parametrize(
        ("wh", "panel"),
        [
            ((640, 480), (640, 480)),
            ((1, 1), (1, 1)),
            ((3840, 2160), (1280, 720)),
            ((4000, 2), (1280, 1)),
            ((720, 1440), (360, 720)),
        ],
    )
    def test_panel_size(self, wh, panel):
        assert panel_size(*wh) == panel

    def test_large_images_are_scaled_down(self):
        canvas = SideBySide(lambda _: COLOURS)(make_frame(wh=(2560, 1440)).image_bgr, make_result((2560, 1440)))
        assert canvas.shape == (MAX_PANEL_WH[1], 2 * MAX_PANEL_WH[0] + 56, 3)

    def test_states_route_and_bar_are_shown(self):
        view, frame = SideBySide(lambda _: COLOURS), make_frame(wh=(160, 122))
        low = view(frame.image_bgr, make_result((160, 122), route=Route.LOW)).copy()
        high = view(frame.image_bgr, make_result((160, 122), route=Route.HIGH)).copy()
        assert low.shape == (122, 376, 3)
        changed = np.argwhere((low != high).any(axis=2))
        assert changed.size
        assert changed.min(axis=0).tolist() >= [0, 160]
        assert changed.max(axis=0)[0] < 40
        np.testing.assert_array_equal(low[:, 320:], COLOURS.bar(122, width=56))
        state_colours = COLOURS(np.full((1, 2), np.nan, np.float32), np.array([[2, 0]], np.uint8))
        assert (low[0, 300] == state_colours[0, 0]).all()
        assert (low[121, 300] == state_colours[0, 1]).all()

    def test_the_bar_is_that_of_the_colours(self):
        of_route = {Route.LOW: MetricColours(min_m=0.3, max_m=10), Route.HIGH: MetricColours(min_m=1, max_m=80)}
        view, frame = SideBySide(lambda result: of_route[result.route]), make_frame(wh=(160, 122))
        for route in (Route.LOW, Route.HIGH, Route.HIGH, Route.LOW):
            picture = view(frame.image_bgr, make_result((160, 122), route=route))
            np.testing.assert_array_equal(picture[:, 320:], of_route[route].bar(122, width=56))


class TestPhotos:
    def test_every_photo_gets_its_files_by_its_name(self, tmp_path):
        with sinks(["video", "png16", "npz", "ply"], tmp_path, ordered=False) as sink:
            for name, wh in (("Küche", (64, 48)), ("b", (33, 21))):
                sink.write(make_frame(wh=wh, name=name), make_result(wh))
        names = [
            "Küche_depth.png", "b_depth.png", "Küche.png", "b.png", "depth_png.json",
            "Küche.npz", "b.npz", "Küche.ply", "b.ply",
        ]  # fmt: skip
        assert sink.close() == [tmp_path / name for name in names]
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
        with open_source(tmp_path / "b_depth.png") as source:
            assert next(iter(source)).image_bgr.shape == (120, 2 * 33 + 56, 3)

    @pytest.mark.parametrize(
        ("photo", "names", "what"),
        [("a.png", ["npz", "png16"], "png16"), ("a_depth.png", ["video"], "video"), ("b.tif", ["png16"], None)],
    )
    def test_a_photo_of_the_source_is_never_replaced(self, tmp_path, photo, names, what):
        photos = {"a": tmp_path / "a.jpg", Path(photo).stem: tmp_path / photo}
        for path in photos.values():
            path.write_text("mine")
        if what is None:
            assert sinks(names, tmp_path, ordered=False, photos=photos).close() == []
            return
        refused = rf"--save {what} would replace .*{photo}, a photo of the source; choose another folder with -o"
        with pytest.raises(OutputError, match=refused) as caught:
            sinks(names, tmp_path, ordered=False, photos=photos)
        assert "\n" not in str(caught.value)
        assert sorted(tmp_path.iterdir()) == sorted(photos.values())
        assert {path.read_text() for path in photos.values()} == {"mine"}

    def test_a_photo_is_known_by_any_path(self, tmp_path):
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "a.png").touch()
        (tmp_path / "link").symlink_to(tmp_path / "photos", target_is_directory=True)
        with pytest.raises(OutputError, match="a photo of the source"):
            sinks(["png16"], tmp_path / "photos", ordered=False, photos={"a": tmp_path / "link" / "a.png"})

    def test_two_outputs_never_share_a_file(self, tmp_path):
        photos = {"a": Path("in/a.jpg"), "a_depth": Path("in/a_depth.jpg")}
        with pytest.raises(OutputError, match=r"--save video,png16 would write .*a_depth.png twice, for a.jpg and for"):
            sinks(["video", "png16", "npz"], tmp_path, ordered=False, photos=photos)
        assert list(tmp_path.iterdir()) == []
        sinks(["video", "npz"], tmp_path, ordered=False, photos=photos)


class TestPng16:
    @pytest.mark.parametrize(("max_m", "scale"), [(10, 1000), (65, 1000), (66, 256), (80, 256), (256, 64)])
    def test_scale(self, max_m, scale):
        assert scale_for(max_m) == scale

    def test_no_scale_fits(self):
        with pytest.raises(OutputError, match="save npz instead"):
            scale_for(2000)

    @pytest.mark.parametrize(("max_m", "scale"), [(20, 1000), (80, 256)])
    def test_round_trip(self, tmp_path, max_m, scale):
        result = make_result()
        with sinks(["png16"], tmp_path, max_m=max_m) as sink:
            sink.write(make_frame(7), result)
        assert sink.close() == [tmp_path / "png16"]
        values = cv2.imread(str(tmp_path / "png16" / "000007.png"), cv2.IMREAD_UNCHANGED)
        assert (values.dtype, values.shape) == (np.uint16, (48, 64))
        np.testing.assert_allclose(values[1:-1] / scale, result.depth_m[1:-1], atol=0.51 / scale)
        assert (values[[0, -1]] == 0).all()
        note = json.loads((tmp_path / "png16" / "depth_png.json").read_text())
        assert (note["unit"], note["scale"], note["pixels_too_far_for_16_bits"]) == ("m", scale, 0)
        data = (tmp_path / "png16" / "000007.png").read_bytes()
        for text in (f"tEXtDepthScale\0{scale}", "tEXtDepthUnit\0m", "tEXtDepthZero\0"):
            assert text.encode() in data

    def test_too_far_is_unknown_and_counted_and_near_is_never_zero(self, tmp_path):
        result = make_result((4, 3))
        result.depth_m[1] = (0.0001, 1.0, 65.5, 70.0)
        with sinks(["png16"], tmp_path, max_m=10) as sink:
            sink.write(make_frame(wh=(4, 3)), result)
        values = cv2.imread(str(tmp_path / "png16" / "000000.png"), cv2.IMREAD_UNCHANGED)
        assert values[1].tolist() == [1, 1000, 65500, 0]
        note = json.loads((tmp_path / "png16" / "depth_png.json").read_text())
        assert note["pixels_too_far_for_16_bits"] == 1
        assert sink.warnings == ["png16: 1 pixels beyond 66 m are 0; the npz output has them"]

    def test_text_chunks_by_the_letter(self):
        data = png_bytes(np.zeros((2, 2), np.uint16), {"DepthUnit": "m"})
        body = b"tEXtDepthUnit\0m"
        at = data.index(body)
        assert data[at - 4 : at] == (11).to_bytes(4, "big")
        assert data[at + len(body) :][:4] == zlib.crc32(body).to_bytes(4, "big")
        assert data[12:16] == b"IHDR"
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED).shape == (2, 2)
        assert b"tEXt" not in png_bytes(np.zeros((2, 2), np.uint16))


class TestUsedFolder:
    """Files of an earlier run stay, and are told from those of this one."""

    def test_a_stream_tells_of_them(self, tmp_path):
        for count in (5, 3):
            with sinks(["npz", "png16"], tmp_path) as sink:
                for i in range(count):
                    sink.write(make_frame(i), make_result())
        assert sink.warnings == [
            f"{tmp_path / 'npz'} also holds 2 .npz files of an earlier run",
            f"{tmp_path / 'png16'} also holds 2 .png files of an earlier run",
        ]

    def test_nothing_is_told_where_all_were_replaced(self, tmp_path):
        for _ in range(2):
            with sinks(["npz"], tmp_path) as sink:
                sink.write(make_frame(), make_result())
        assert sink.warnings == []

    def test_photos_lie_beside_others(self, tmp_path):
        (tmp_path / "other.npz").touch()
        with sinks(["npz"], tmp_path, ordered=False) as sink:
            sink.write(make_frame(name="photo"), make_result())
        assert sink.warnings == []


class TestNpz:
    @pytest.mark.parametrize("confidence", [False, True])
    def test_round_trip(self, tmp_path, confidence):
        result = make_result(confidence=confidence)
        with sinks(["npz"], tmp_path) as sink:
            sink.write(make_frame(3, time_s=0.5), result)
        with np.load(tmp_path / "npz" / "000003.npz", allow_pickle=False) as saved:
            np.testing.assert_array_equal(saved["depth_m"], result.depth_m)
            np.testing.assert_array_equal(saved["valid"], result.valid)
            camera = result.camera
            assert saved["intrinsics"].tolist() == [camera.fx, camera.fy, camera.cx, camera.cy]
            assert (str(saved["unit"]), str(saved["route"]), float(saved["score"])) == ("m", "low", 0.75)
            assert (int(saved["frame_index"]), float(saved["time_s"])) == (3, 0.5)
            assert not saved["camera_given"]
            assert ("confidence" in saved) == confidence


class TestPly:
    def read(self, path: Path) -> tuple[str, np.ndarray]:
        header, _, body = path.read_bytes().partition(b"end_header\n")
        vertex = np.dtype([("xyz", "<f4", 3), ("rgb", "u1", 3)])
        return header.decode("ascii"), np.frombuffer(body, vertex)

    def test_round_trip(self, tmp_path):
        result, frame = make_result(), make_frame()
        with sinks(["ply"], tmp_path) as sink:
            sink.write(frame, result)
        header, vertices = self.read(tmp_path / "ply" / "000000.ply")
        assert header.startswith("ply\nformat binary_little_endian 1.0\n")
        assert "optical frame (x right, y down, z forward)" in header
        assert re.findall(r"property (\w+ \w+)", header) == [
            "float x", "float y", "float z", "uchar red", "uchar green", "uchar blue",
        ]  # fmt: skip
        assert f"element vertex {46 * 64}\n" in header
        np.testing.assert_array_equal(vertices["xyz"], result.points())
        assert (vertices["rgb"] == frame.image_bgr[0, 0, ::-1]).all()

    def test_nothing_measured(self, tmp_path):
        result = make_result((4, 2))  # one row of sky, one unknown
        with sinks(["ply"], tmp_path) as sink:
            sink.write(make_frame(wh=(4, 2)), result)
        header, vertices = self.read(tmp_path / "ply" / "000000.ply")
        assert "element vertex 0\n" in header
        assert vertices.size == 0


class FullFile(io.RawIOBase):
    """A file on a full disk."""

    def write(self, _: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def seek(self, *_: int) -> int:
        return 0

    def tell(self) -> int:
        return 0


class TestPlaces:
    def test_unknown_output(self, tmp_path):
        with pytest.raises(UnknownNameError, match="unknown output 'gif'; known: video, png16, npz, ply"):
            sinks(["video", "gif"], tmp_path / "new")
        assert not (tmp_path / "new").exists()

    def test_window_without_a_display(self, tmp_path, monkeypatch):
        monkeypatch.delenv("DISPLAY", raising=False)
        with pytest.raises(OutputError, match="--show needs"):
            sinks(["window"], tmp_path)

    def test_folder_that_cannot_be_written(self, tmp_path):
        (tmp_path / "file").touch()
        for folder in (tmp_path / "file", tmp_path / "file" / "below"):
            with pytest.raises(OutputError, match="cannot write"):
                sinks(["video"], folder)

    @pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
    def test_folder_without_permission(self, tmp_path):
        tmp_path.chmod(0o500)
        with pytest.raises(OutputError, match="no permission"):
            sinks(["video"], tmp_path / "out")

    @pytest.mark.parametrize("ordered", [True, False])
    @pytest.mark.parametrize("name", [kind.name for kind in SINK_KINDS if kind.name != "window"])
    def test_disk_full_is_one_line(self, tmp_path, monkeypatch, name, ordered):
        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        sink = sinks([name], tmp_path, ordered=ordered)
        monkeypatch.setattr(Path, "write_bytes", full)
        monkeypatch.setattr(Path, "open", lambda *_, **__: FullFile())

        def write() -> None:
            with sink:
                sink.write(make_frame(), make_result())

        with pytest.raises(OutputError, match="no space left on the disk") as caught:
            write()
        assert "\n" not in str(caught.value)
        assert [p for p in tmp_path.rglob("*") if p.is_file() and p.stat().st_size] == []

    def test_one_failing_sink_does_not_leave_the_others_open(self, tmp_path, monkeypatch):
        sink = sinks(["png16", "video"], tmp_path)
        sink.write(make_frame(), make_result())

        def refuse(*_: object) -> None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", refuse)
            with pytest.raises(OutputError, match="no permission"):
                sink.close()
        with open_source(tmp_path / "clip_depth.mp4") as source:
            assert len(list(source)) == 1

    def test_whatever_a_library_raises_the_others_are_closed(self, tmp_path, monkeypatch):
        sink = sinks(["png16", "video"], tmp_path)
        sink.write(make_frame(), make_result())

        def fails(*_: object) -> None:
            raise RuntimeError("from a library")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", fails)
            with pytest.raises(RuntimeError, match="from a library"):
                sink.close()
        with open_source(tmp_path / "clip_depth.mp4") as source:
            assert len(list(source)) == 1

    def test_numbered_folders(self, tmp_path):
        base = tmp_path / "runs" / "depth"
        assert run_folder(base) == base / "1"
        (base / "7").mkdir()
        (base / "notes").mkdir()
        assert run_folder(base) == base / "8"

    def test_numbered_folders_are_never_shared(self, tmp_path):
        found: list[Path] = []
        threads = [threading.Thread(target=lambda: found.append(run_folder(tmp_path))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(int(path.name) for path in found) == list(range(1, 9))

    def test_numbered_folder_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(OutputError, match="cannot write"):
            run_folder(tmp_path / "file")
