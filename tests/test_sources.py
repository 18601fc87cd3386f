"""Sources: every kind, every kind of damage, each told in one line."""

from __future__ import annotations

import struct
import threading
import time
import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from edgedepth.core.errors import InputError
from edgedepth.io import camera_source as camera_module
from edgedepth.io import open_source
from edgedepth.io.image_source import ImageSource, read_image, unique_names


def make_video(
    path: Path,
    count: int = 24,
    *,
    wh: tuple[int, int] = (64, 48),
    fps: int | Fraction = 12,
    times_s: Sequence[float] | None = None,
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
) -> Path:
    """Frame i is grey level 8 * (i modulo 30), with a white square in the upper left corner."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "12"})
        stream.width, stream.height, stream.pix_fmt = wh[0], wh[1], pix_fmt
        stream.codec_context.gop_size = 6
        stream.codec_context.thread_count = 1
        if times_s is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(count):
            image = np.full((wh[1], wh[0], 3), 8 * (i % 30), np.uint8)
            image[: wh[1] // 4, : wh[0] // 4] = 255
            frame = VideoFrame.from_ndarray(image, format="bgr24").reformat(format=pix_fmt)
            if times_s is not None:
                frame.pts = round(times_s[i] * 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def make_song(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for i in range(8):
            frame = AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, 1024 * i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def rotate_display(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Ask players for a rotation: overwrite a, b, c, d of the display matrix in the track header (tkhd)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value * 0x10000 for value in matrix)
    struct.pack_into(">iiiiiiiii", data, at, a, b, 0, c, d, 0, 0, 0, 0x40000000)
    path.write_bytes(data)


def read(path: Path | str) -> tuple[list, list[str]]:
    with open_source(path) as source:
        frames = list(source)
        return frames, source.warnings


def refusal(spec: object) -> str:
    """The one line a source that cannot be read is refused with."""
    with pytest.raises(InputError) as caught, open_source(spec) as source:
        list(source)
    message = str(caught.value)
    assert "\n" not in message
    return message


class TestVideo:
    def test_frames_in_order_with_times(self, tmp_path):
        with open_source(make_video(tmp_path / "clip.mp4")) as source:
            assert (source.name, source.ordered, source.live, source.count, source.fps) == (
                "clip", True, False, 24, 12.0,
            )  # fmt: skip
            frames = list(source)
        assert [f.index for f in frames] == list(range(24))
        assert [f.name for f in frames[:2]] == ["000000", "000001"]
        np.testing.assert_allclose([f.time_s for f in frames], np.arange(24) / 12, atol=1e-4)
        assert all(f.image_bgr.shape == (48, 64, 3) and f.image_bgr.dtype == np.uint8 for f in frames)
        levels = [int(np.median(f.image_bgr)) for f in frames]
        np.testing.assert_allclose(levels, 8 * np.arange(24), atol=4)
        assert source.warnings == []

    def test_frames_do_not_share_memory(self, tmp_path):
        frames, _ = read(make_video(tmp_path / "clip.mp4", 3))
        before = frames[2].image_bgr.copy()
        frames[1].image_bgr[:] = 0
        np.testing.assert_array_equal(frames[2].image_bgr, before)

    def test_variable_rate_keeps_times(self, tmp_path):
        times_s = [0.0, 0.1, 0.15, 0.9, 1.0, 2.5]
        frames, warnings = read(make_video(tmp_path / "vfr.mp4", 6, times_s=times_s))
        np.testing.assert_allclose([f.time_s for f in frames], times_s, atol=1e-3)
        assert warnings == []

    def test_a_clock_that_begins_again_goes_on(self, tmp_path):
        part = make_video(tmp_path / "part.ts", 12).read_bytes()
        (tmp_path / "joined.ts").write_bytes(part + part)
        frames, warnings = read(tmp_path / "joined.ts")
        times_s = np.array([frame.time_s for frame in frames])
        assert len(frames) >= 22  # the decoder may lose a frame where the parts meet
        assert times_s[0] == 0
        np.testing.assert_allclose(np.diff(times_s), 1 / 12, atol=0.09)
        assert (np.diff(times_s) > 0).all()
        assert any("its clock jumped back, 1 x" in warning for warning in warnings), warnings

    @pytest.mark.parametrize("fps", [Fraction(1, 5), 500])
    def test_a_rate_that_cannot_be_is_unknown_and_the_times_hold(self, tmp_path, fps):
        times_s = [float(i / fps) for i in range(6)]
        with open_source(make_video(tmp_path / "odd.mkv", 6, fps=fps, times_s=times_s)) as source:
            assert source.fps is None
            np.testing.assert_allclose([frame.time_s for frame in source], times_s, atol=1e-3)
        assert source.warnings == []

    @pytest.mark.parametrize("name", ["notes.txt", "release.nfo", "art.ans"])
    def test_text_is_no_video(self, tmp_path, name):
        (tmp_path / name).write_text("hello text\nline two\n" * 50)
        assert f"{name} is text, not a video" in refusal(tmp_path / name)

    @pytest.mark.parametrize("matrix", [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)])
    def test_rotation_is_applied(self, tmp_path, matrix):
        path = make_video(tmp_path / "turned.mp4", 2)
        rotate_display(path, matrix)
        frames, _ = read(path)
        capture = cv2.VideoCapture(str(path))
        expected = capture.read()[1]
        capture.release()
        assert frames[0].image_bgr.shape == expected.shape
        corner = np.unravel_index(cv2.blur(frames[0].image_bgr[..., 0], (5, 5)).argmax(), expected.shape[:2])
        assert expected[corner][0] > 200
        np.testing.assert_allclose(frames[0].image_bgr, expected, atol=4)

    @pytest.mark.parametrize("wh", [(63, 47), (1, 1), (17, 64)])
    def test_odd_sizes(self, tmp_path, wh):
        frames, _ = read(make_video(tmp_path / "odd.mkv", 3, wh=wh, pix_fmt="yuv444p"))
        assert [f.image_bgr.shape for f in frames] == [(wh[1], wh[0], 3)] * 3

    @pytest.mark.parametrize("name", ["2026-05-01T12:30:00.mp4", "http:clip.mp4"])
    def test_a_colon_in_the_name_is_no_protocol(self, tmp_path, name, monkeypatch):
        monkeypatch.chdir(tmp_path)
        make_video(tmp_path / "clip.mp4", 3).rename(tmp_path / name)
        assert len(read(name)[0]) == 3

    def test_tags_in_another_encoding(self, tmp_path):
        path = tmp_path / "clip.mkv"
        with av.open(str(path), "w") as container:
            container.metadata["title"] = "Buero"
            stream = container.add_stream("libx264", rate=12)
            stream.width, stream.height = 64, 48
            picture = VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="bgr24")
            for packet in (*stream.encode(picture), *stream.encode(None)):
                container.mux(packet)
        path.write_bytes(path.read_bytes().replace(b"Buero", b"B\xfcro "))
        assert len(read(path)[0]) == 1

    def test_closed_while_it_is_read_the_frames_end(self, tmp_path):
        path = make_video(tmp_path / "clip.mp4", 200, wh=(320, 240))
        for round_ in range(10):
            with open_source(path) as source:
                seen = 0
                for frame in source:
                    seen += 1
                    if frame.index == 3:
                        threading.Timer(0.001 * round_, source.close).start()
                assert 4 <= seen <= 200
            assert not source.warnings  # nothing is missing in the file

    def test_closed_before_it_is_read_there_are_no_frames(self, tmp_path):
        with open_source(make_video(tmp_path / "clip.mp4", 12)) as source:
            frames = iter(source)
            next(frames)
        assert list(frames) == []
        assert list(source) == []

    def test_truncated_file_says_how_much_is_missing(self, tmp_path):
        path = make_video(tmp_path / "cut.mp4", 60, options={"movflags": "faststart"})
        data = path.read_bytes()
        path.write_bytes(data[: len(data) - (len(data) - data.index(b"mdat")) // 2])
        frames, warnings = read(path)
        assert 10 < len(frames) < 60
        assert f"{len(frames)} of 60 frames could be read" in " ".join(warnings)

    def test_truncated_matroska_says_how_much_is_missing(self, tmp_path):
        path = make_video(tmp_path / "cut.mkv", 60)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        frames, warnings = read(path)
        assert 10 < len(frames) < 60
        assert "truncated" in " ".join(warnings)

    def test_truncated_before_its_index_is_refused(self, tmp_path):
        path = make_video(tmp_path / "cut.mp4")
        path.write_bytes(path.read_bytes()[:800])
        assert "incomplete" in refusal(path)

    def test_damaged_packets_cost_their_own_frames_only(self, tmp_path):
        path = make_video(tmp_path / "scratched.mp4", 60, wh=(160, 120))
        with av.open(str(path)) as container:
            packet = [p for p in container.demux(video=0) if p.size][30]
            start, size = packet.pos, packet.size
        data = bytearray(path.read_bytes())
        data[start : start + size] = b"\xff" * size
        path.write_bytes(data)
        frames, warnings = read(path)
        assert 55 <= len(frames) < 60
        assert "damaged packets were skipped" in " ".join(warnings)

    def test_full_range_and_bt709_colours_agree_with_opencv(self, tmp_path):
        path = make_video(tmp_path / "clip.mp4", 2)
        capture = cv2.VideoCapture(str(path))
        expected = capture.read()[1]
        capture.release()
        np.testing.assert_allclose(read(path)[0][0].image_bgr, expected, atol=3)

    def test_refusals(self, tmp_path):
        (tmp_path / "empty.mp4").touch()
        (tmp_path / "text.mp4").write_text("this is no video " * 50)
        with wave.open(str(tmp_path / "song.wav"), "wb") as song:
            song.setnchannels(1), song.setsampwidth(2), song.setframerate(8000)
            song.writeframes(bytes(16000))
        unknown = make_video(tmp_path / "unknown.mp4")
        unknown.write_bytes(unknown.read_bytes().replace(b"avc1", b"zzz9"))

        assert "does not exist" in refusal(tmp_path / "missing.mp4")
        assert "0 bytes" in refusal(tmp_path / "empty.mp4")
        assert "cannot be read" in refusal(tmp_path / "text.mp4")
        assert "only audio" in refusal(tmp_path / "song.wav")
        assert "only audio" in refusal(make_song(tmp_path / "song.mp4"))
        assert "codec" in refusal(unknown)

    @pytest.mark.parametrize(
        ("name", "count", "shape"), [("street_motorway", 221, (540, 960, 3)), ("indoor_people", 1394, (432, 768, 3))]
    )
    def test_real_videos_are_read_to_the_end(self, samples, name, count, shape):
        with open_source(samples / "video" / f"{name}.mp4") as source:
            shapes = [frame.image_bgr.shape for frame in source]
            assert (len(shapes), set(shapes), source.count, source.warnings) == (count, {shape}, count, [])


class TestImages:
    def write(self, path: Path, image: np.ndarray) -> Path:
        ok, data = cv2.imencode(path.suffix, image)
        assert ok
        path.write_bytes(data.tobytes())
        return path

    @pytest.mark.parametrize(
        ("image", "expected"),
        [
            (np.full((4, 6), 80, np.uint8), (80, 80, 80)),
            (np.full((4, 6, 3), (10, 20, 30), np.uint8), (10, 20, 30)),
            (np.full((4, 6, 4), (10, 20, 30, 90), np.uint8), (10, 20, 30)),
            (np.full((4, 6), 257 * 80, np.uint16), (80, 80, 80)),
            (np.full((4, 6, 3), (2570, 5140, 7710), np.uint16), (10, 20, 30)),
            (np.full((1, 1, 3), 7, np.uint8), (7, 7, 7)),
            (np.full((1, 9), 65535, np.uint16), (255, 255, 255)),
        ],
        ids=["grey", "bgr", "rgba", "grey16", "bgr16", "1x1", "white16"],
    )
    def test_every_kind_of_pixel_becomes_bgr(self, tmp_path, image, expected):
        frames, warnings = read(self.write(tmp_path / "photo.png", image))
        assert frames[0].image_bgr.dtype == np.uint8
        assert frames[0].image_bgr.shape == (*image.shape[:2], 3)
        assert (frames[0].image_bgr == expected).all()
        assert ("1/257" in " ".join(warnings)) == (image.dtype == np.uint16)
        assert (frames[0].time_s, frames[0].name) == (None, "photo")

    def test_float_pixels_are_refused(self, tmp_path):
        path = self.write(tmp_path / "deep.tiff", np.ones((4, 4, 3), np.float32))
        assert "float32" in refusal(path)

    def test_exif_rotation(self, tmp_path):
        image = np.zeros((40, 80, 3), np.uint8)
        image[:20, :20] = 255
        jpeg = cv2.imencode(".jpg", image)[1].tobytes()
        # APP1: Exif with the one tag Orientation = 6 (turn clockwise by 90 degrees to view)
        tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
        body = b"Exif\0\0" + tiff
        path = tmp_path / "phone.jpg"
        path.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:])
        frame = read(path)[0][0]
        assert frame.image_bgr.shape == (80, 40, 3)
        assert frame.image_bgr[5, 35].min() > 200
        assert frame.image_bgr[5, 5].max() < 50

    def test_unicode_names(self, tmp_path):
        path = self.write(tmp_path / "Küche 部屋.png", np.zeros((3, 5, 3), np.uint8))
        assert read(path)[0][0].name == "Küche 部屋"

    def test_refusals(self, tmp_path):
        (tmp_path / "empty.png").touch()
        (tmp_path / "text.jpg").write_text("no picture")
        assert "0 bytes" in refusal(tmp_path / "empty.png")
        assert "cannot be decoded" in refusal(tmp_path / "text.jpg")
        assert "does not exist" in refusal(tmp_path / "missing.jpg")

    def test_folder_in_natural_order_with_what_was_skipped(self, tmp_path):
        for number in (10, 2, 1):
            self.write(tmp_path / f"f{number}.png", np.full((2, 2, 3), number, np.uint8))
        (tmp_path / "notes.txt").write_text("hello")
        (tmp_path / "broken.jpg").write_text("no picture")
        (tmp_path / ".hidden").touch()
        with open_source(tmp_path) as source:
            frames = list(source)
        assert (source.ordered, source.count, source.fps, source.name) == (False, 4, None, tmp_path.name)
        assert source.photos == {name: next(tmp_path.glob(f"{name}.*")) for name in ("broken", "f1", "f2", "f10")}
        assert [(f.index, f.name, int(f.image_bgr[0, 0, 0])) for f in frames] == [
            (0, "f1", 1), (1, "f2", 2), (2, "f10", 10),
        ]  # fmt: skip
        assert len(source.warnings) == 2
        assert "notes.txt" in source.warnings[0]
        assert ".hidden" not in source.warnings[0]
        assert "broken.jpg" in source.warnings[1]

    def test_folders_without_images_are_refused(self, tmp_path):
        assert "empty" in refusal(tmp_path)
        (tmp_path / "kitchen").mkdir()
        assert "only folders: kitchen; give one of them" in refusal(tmp_path)
        (tmp_path / "clip.mp4").touch()
        assert "clip.mp4" in refusal(tmp_path)

    def test_folder_of_broken_images_is_refused(self, tmp_path):
        (tmp_path / "a.jpg").write_text("x")
        assert "none of the 1 images" in refusal(tmp_path)

    def test_glob(self, tmp_path):
        for name in ("a1.png", "a2.png", "b1.png"):
            self.write(tmp_path / name, np.zeros((2, 2, 3), np.uint8))
        frames, _ = read(f"{tmp_path}/a*.png")
        assert [f.name for f in frames] == ["a1", "a2"]
        assert "no file matches" in refusal(f"{tmp_path}/c*.png")

    def test_a_quoted_pattern_may_begin_at_home(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4, 3), np.uint8))
        for spec in ("~/*.png", "~/a.png", Path("~")):
            with open_source(spec) as source:
                assert len(list(source)) == 1

    def test_a_recording_may_begin_at_home(self, tmp_path, monkeypatch):
        pytest.importorskip("rosbags")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert f"{tmp_path}/drive.mcap does not exist" in refusal("bag:~/drive.mcap")

    def test_a_name_with_brackets_is_a_file_first(self, tmp_path):
        path = self.write(tmp_path / "a[1].png", np.zeros((2, 2, 3), np.uint8))
        assert [f.name for f in read(str(path))[0]] == ["a[1]"]

    def test_no_images_at_all(self):
        with pytest.raises(InputError, match="no images"):
            ImageSource([], name="list")

    def test_unreadable_path(self, tmp_path):
        with pytest.raises(InputError, match="cannot read"):
            read_image(tmp_path)

    @pytest.mark.parametrize(
        ("paths", "names"),
        [
            (["a/1.png", "a/2.png"], ["1", "2"]),
            (["a/1.png", "b/1.png", "b/2.png"], ["a-1-png", "b-1-png", "2"]),
            (["1.png", "1.jpg"], ["1-png", "1-jpg"]),
            (["1.png", "1.jpg", "1-png.bmp"], ["1-png-2", "1-jpg", "1-png"]),
        ],
    )
    def test_unique_names(self, paths, names):
        assert unique_names([Path(p) for p in paths]) == names


class FakeCapture:
    """A camera of `count` frames, frame i all of value i; `gate`, when given, lets them through one by one."""

    def __init__(self, count: int, gate: threading.Semaphore | None = None, fps: float = 0.0) -> None:
        self.count, self.gate, self.taken, self.released, self.fps = count, gate, 0, False, fps

    def isOpened(self) -> bool:
        return self.count > 0

    def get(self, _: int) -> float:
        return self.fps

    def set(self, *_: float) -> bool:
        return True

    def read(self):
        if self.gate is not None:
            self.gate.acquire(timeout=5)
        if self.taken >= self.count:
            return False, None
        self.taken += 1
        return True, np.full((4, 4, 3), self.taken - 1, np.uint8)

    def release(self) -> None:
        self.released = True


class TestCamera:
    def use(self, monkeypatch, capture: FakeCapture) -> FakeCapture:
        monkeypatch.setattr(camera_module.cv2, "VideoCapture", lambda number: capture)
        return capture

    def test_newest_frame_wins_and_the_others_are_counted(self, monkeypatch):
        gate = threading.Semaphore(0)
        capture = self.use(monkeypatch, FakeCapture(100, gate))
        with open_source(0) as source:
            assert (source.name, source.ordered, source.live, source.count, source.fps) == (
                "camera0", True, True, None, None,
            )  # fmt: skip
            frames = iter(source)
            gate.release()
            assert next(frames).image_bgr[0, 0, 0] == 0
            gate.release(4)
            deadline = time.monotonic() + 5
            while source.dropped < 3 and time.monotonic() < deadline:
                time.sleep(0.005)
            frame = next(frames)
            assert (frame.index, frame.name, frame.image_bgr[0, 0, 0]) == (1, "000001", 4)
            assert source.dropped == 3
            assert frame.time_s is not None
            assert frame.time_s > 0
            gate.release()
        assert capture.released
        assert list(frames) == []

    @pytest.mark.parametrize(
        ("told", "fps"), [(29.97, 29.97), (240.0, 240.0), (90_000.0, None), (0.0, None), (-1.0, None), (np.nan, None)]
    )
    def test_a_rate_that_cannot_be_is_unknown(self, monkeypatch, told, fps):
        self.use(monkeypatch, FakeCapture(3, fps=told))
        with open_source(0) as source:
            assert source.fps == fps

    def test_unplugged_camera_is_an_error(self, monkeypatch):
        self.use(monkeypatch, FakeCapture(1))
        assert "stopped delivering" in refusal("0")

    def test_camera_that_is_not_there(self, monkeypatch):
        self.use(monkeypatch, FakeCapture(0))
        assert "camera 7 cannot be opened" in refusal(7)
        assert "camera 3 cannot be opened" in refusal("/dev/video3")

    def test_a_path_that_is_a_number_is_no_camera(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("0").mkdir()
        assert "folder" in refusal(Path("0"))


@pytest.mark.parametrize("spec", ["", "ftp://x/y.mp4"])
def test_what_no_kind_knows(spec):
    message = refusal(spec)
    assert "video.mp4" in message
    assert "/dev/video0" in message
