"""Augmentation: windows stay inside, focal length follows them, padding stays black, strength 0 changes nothing."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgedepth.core.camera import Camera  # noqa: E402
from edgedepth.core.spec import DepthSpec  # noqa: E402
from edgedepth.datasets import DepthDataset, DepthSample, Entry, SampleInfo  # noqa: E402
from edgedepth.trainers.augment import (  # noqa: E402
    Window,
    _levels,
    cast_light,
    content_mask,
    degrade,
    mix_spectra,
    mix_texture,
    photometric,
    random_roll,
    random_window,
    turned,
    turned_labels,
)
from edgedepth.trainers.cache import FrameCache  # noqa: E402
from edgedepth.trainers.config import AugmentConfig  # noqa: E402
from edgedepth.trainers.data import DepthFrames, EndlessKeys, collate, in_order  # noqa: E402

SPEC = DepthSpec(input_wh=(32, 24), min_m=0.3, max_m=10.0, num_bins=64, f_canonical_px=26.0)
NO_COLOUR = AugmentConfig(photometric=0.0, cutout=0.0)


def scene(number: int, width: int = 64, height: int = 48) -> DepthSample:
    """A frontal wall at 2 m, left half dark and right half bright, with one pixel unknown and sky on top."""
    image = np.full((height, width, 3), 40, np.uint8)
    image[:, width // 2 :] = 200
    depth = np.full((height, width), 2.0, np.float32)
    depth[-1, 0] = np.nan
    depth[0] = np.nan
    semantic = np.ones((height, width), np.uint8)
    semantic[-1, 0] = 0
    semantic[0] = 2
    camera = Camera(fx=80.0, fy=80.0, cx=31.5, cy=23.5, width=width, height=height)
    return DepthSample(id=str(number), image_bgr=image, depth_m=depth, camera=camera, semantic=semantic)


def read_scene(info: SampleInfo) -> DepthSample:
    return scene(int(info.id))


def dataset(count: int = 3) -> DepthDataset:
    entries = tuple(Entry(SampleInfo(id=str(n)), read_scene) for n in range(count))
    return DepthDataset(name="synth:nowhere", entries=entries, semantic_classes=("void", "wall", "sky"))


@pytest.fixture
def cache(tmp_path: Path) -> FrameCache:
    return FrameCache([dataset()], tmp_path, cover_wh=(64, 48))


@pytest.mark.parametrize("frame_wh", [(320, 240), (448, 256), (9, 200), (8, 8)])
def test_windows_stay_inside_the_frame(frame_wh: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        window = random_window(rng, frame_wh, AugmentConfig(aspects=(0.5, 3.5)))
        assert 0 <= window.x <= window.x + window.width <= frame_wh[0]
        assert 0 <= window.y <= window.y + window.height <= frame_wh[1]
        assert window.width >= 1
        assert window.height >= 1


def test_windows_zoom_no_further_than_asked() -> None:
    rng = np.random.default_rng(0)
    config = AugmentConfig(max_zoom=1.5, aspects=(4 / 3, 4 / 3), whole=0.0)
    widths = [random_window(rng, (320, 240), config).width for _ in range(300)]
    assert min(widths) >= round(320 / 1.5)
    assert max(widths) > 310


def test_a_mirrored_window_mirrors_its_columns() -> None:
    frame = np.arange(12).reshape(3, 4)
    window = Window(x=1, y=0, width=3, height=2, mirrored=True)
    assert window.of(frame).tolist() == [[3, 2, 1], [7, 6, 5]]


@pytest.mark.parametrize("degrees", [7.0, -12.0])
def test_a_rolled_camera_sees_the_same_points_turned_and_at_the_same_depth(degrees: float) -> None:
    # a plane z = 2 + 0.4 x seen by a camera with f = 80 px, and again with its axes turned
    f_px, cx, cy = 80.0, 31.5, 23.5
    y, x = np.mgrid[:48, :64]
    depth = (2.0 / (1 - 0.4 * (x - cx) / f_px)).astype(np.float32)
    image = np.dstack([x * 4, y * 5, x + y]).astype(np.uint8)
    seen, seen_depth, larger = turned(image, depth, degrees)
    assert np.isfinite(seen_depth).all()  # no corner is empty
    turn = np.radians(degrees)
    # where in the first camera each ray of the turned one points; images have their y axis downwards
    u, v = (x - cx) / (larger * f_px), (y - cy) / (larger * f_px)
    before = np.cos(turn) * u - np.sin(turn) * v, np.sin(turn) * u + np.cos(turn) * v
    assert seen_depth == pytest.approx(2.0 / (1 - 0.4 * before[0]), rel=0.006)  # half a pixel of the slope
    column = (before[0] * f_px + cx) * 4
    inside = (column > 0) & (column < 252)
    assert seen[..., 0][inside] == pytest.approx(column[inside], abs=2.5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_labels_turn_with_their_frame(dtype: type[np.integer]) -> None:
    labels = np.zeros((48, 64), dtype)
    labels[10:30, 20:50] = np.iinfo(dtype).max
    depth = np.where(labels > 0, 3.0, 5.0).astype(np.float32)
    image = np.zeros((48, 64, 3), np.uint8)
    _, seen, _ = turned(image, depth, 9.0)
    turned_too = turned_labels(labels, 9.0)
    assert turned_too.dtype == dtype
    assert set(np.unique(turned_too)) == {0, np.iinfo(dtype).max}
    np.testing.assert_array_equal(turned_too > 0, seen == 3.0)


def test_half_of_the_frames_are_rolled_when_asked() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([random_roll(rng, AugmentConfig(roll_deg=6.0)) for _ in range(2000)])
    assert 0.45 < (drawn == 0).mean() < 0.55
    assert drawn[drawn != 0].std() == pytest.approx(6.0, rel=0.1)
    assert np.abs(drawn).max() <= 18.0
    assert random_roll(rng, AugmentConfig()) == 0.0


def test_focal_length_follows_the_roll(cache: FrameCache) -> None:
    config = AugmentConfig(photometric=0.0, cutout=0.0, whole=1.0, flip=False, roll_deg=10.0)
    plain, bent = DepthFrames(cache, SPEC), DepthFrames(cache, SPEC, config)
    factors = {round(bent[epoch, 0].focal / plain[0, 0].focal, 3) for epoch in range(12)}
    assert 1.0 in factors
    assert max(factors) > 1.1


def test_cache_marks_sky_and_keeps_unknown(cache: FrameCache) -> None:
    frame = cache[0]
    assert np.isinf(frame.depth_m[0]).all()
    assert np.isnan(frame.depth_m[-1, 0])
    assert frame.depth_m[10, 10] == 2.0
    assert frame.rgb.shape == (48, 64, 3)
    assert not frame.rgb.flags.writeable


def test_cache_is_read_back_and_shrinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = FrameCache([dataset()], tmp_path, cover_wh=(32, 24))
    assert first[1].rgb.shape == (24, 32, 3)
    assert first[1].camera is not None
    assert first[1].camera.fx == pytest.approx(40.0)
    monkeypatch.setattr(FrameCache, "_fill", lambda *_: pytest.fail("the cache was filled twice"))
    second = FrameCache([dataset()], tmp_path, cover_wh=(32, 24))
    assert np.array_equal(first[1].rgb, second[1].rgb)


def test_a_cache_travels_to_workers_without_its_data(tmp_path: Path) -> None:
    many = FrameCache([dataset(20)], tmp_path, cover_wh=(64, 48))
    frame = many[2]
    pickled = pickle.dumps(many)
    assert len(pickled) < 20_000
    copy = pickle.loads(pickled)
    assert np.array_equal(copy[2].rgb, frame.rgb)


def test_whole_frames_have_the_focal_length_of_the_resize(cache: FrameCache) -> None:
    item = DepthFrames(cache, SPEC)[0, 0]
    # 64 to 32 pixels halves f: 80 -> 40, against 26
    assert item.focal == pytest.approx(40.0 / 26.0)
    assert item.image.shape == (24, 32, 3)
    assert item.depth_m.dtype == np.float32


def test_a_zoom_lengthens_the_focal_length(cache: FrameCache) -> None:
    config = AugmentConfig(max_zoom=1.6, aspects=(4 / 3, 4 / 3), whole=0.0, photometric=0.0, cutout=0.0)
    frames = DepthFrames(cache, SPEC, augment=config, seed=1)
    zooms = [frames[epoch, 0].focal / (40.0 / 26.0) for epoch in range(60)]
    assert 0.97 < min(zooms) < 1.1
    assert 1.4 < max(zooms) < 1.65


def test_other_shapes_are_letterboxed(cache: FrameCache) -> None:
    config = AugmentConfig(aspects=(3.0, 3.0), whole=0.0, max_zoom=1.0, photometric=0.0, cutout=0.0)
    frames = DepthFrames(cache, SPEC, augment=config)
    items = [frames[epoch, 0] for epoch in range(20)]
    padded = [item for item in items if item.content != (0, 24, 0, 32)]
    assert padded
    for item in padded:
        top, bottom = item.content[:2]
        assert not item.image[:top].any()
        assert np.isnan(item.depth_m[:top]).all()
        assert np.isnan(item.depth_m[bottom:]).all()
        assert bottom - top == pytest.approx(32 / 3, abs=1)


def test_the_same_key_gives_the_same_item(cache: FrameCache) -> None:
    frames = DepthFrames(cache, SPEC, augment=AugmentConfig(), seed=3)
    first, again, other = frames[4, 1], frames[4, 1], frames[5, 1]
    assert np.array_equal(first.image, again.image)
    assert first.focal == again.focal
    assert not np.array_equal(first.image, other.image)


def test_a_frame_without_camera_counts_as_canonical(tmp_path: Path) -> None:
    def read(info: SampleInfo) -> DepthSample:
        known = scene(0)
        return DepthSample(id=info.id, image_bgr=known.image_bgr, depth_m=known.depth_m)

    unknown = DepthDataset(name="pairs:nowhere", entries=(Entry(SampleInfo(id="a"), read),))
    item = DepthFrames(FrameCache([unknown], tmp_path, cover_wh=(64, 48)), SPEC)[0, 0]
    assert item.focal == pytest.approx(1.0)


def test_batches_go_on_where_they_stopped() -> None:
    whole = iter(EndlessKeys(10, 3, seed=0))
    seen = [next(whole) for _ in range(8)]
    resumed = iter(EndlessKeys(10, 3, seed=0, start=4))
    assert [next(resumed) for _ in range(4)] == seen[4:]
    assert len({index for batch in seen[:3] for _, index in batch}) == 9  # no frame twice in an epoch
    assert [epoch for epoch, _ in seen[3]] == [1, 1, 1]


def test_a_set_smaller_than_a_batch_still_gives_batches() -> None:
    assert len(next(iter(EndlessKeys(2, 16, seed=0)))) == 2


def test_photometric_off_only_converts(cache: FrameCache) -> None:
    batch = collate([DepthFrames(cache, SPEC)[0, 0]])
    out = photometric(batch.image, batch.content, NO_COLOUR, torch.Generator())
    expected = batch.image.permute(0, 3, 1, 2).float() / 255
    assert torch.allclose(out, expected, atol=1e-6)


def test_photometric_changes_colours_but_not_padding() -> None:
    image = torch.full((4, 24, 32, 3), 128, dtype=torch.uint8)
    content = torch.tensor([[4, 20, 0, 32]] * 4)
    out = photometric(image, content, AugmentConfig(), torch.Generator().manual_seed(0))
    assert out.shape == (4, 3, 24, 32)
    assert bool(torch.isfinite(out).all())
    assert float(out.min()) >= 0.0
    assert float(out.max()) <= 1.0
    assert not out[:, :, :4].any()
    assert not out[:, :, 20:].any()
    means = out[:, :, 4:20].mean(dim=(1, 2, 3))
    assert float(means.std()) > 0.02  # images differ from each other


def test_photometric_follows_its_generator() -> None:
    image = torch.randint(0, 255, (2, 24, 32, 3), dtype=torch.uint8)
    content = torch.tensor([[0, 24, 0, 32]] * 2)
    first, second = (photometric(image, content, AugmentConfig(), torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)


def test_degrade_keeps_the_mean_and_loses_detail() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (48, 64, 3)).astype(np.uint8)
    changed = []
    for _ in range(60):
        image = noise.copy()
        degrade(image, rng, 1.0)
        if not np.array_equal(image, noise):
            changed.append(image)
    assert 10 < len(changed) < 45
    assert all(abs(float(image.mean()) - float(noise.mean())) < 6 for image in changed)


def test_content_mask_is_one_inside() -> None:
    mask = content_mask(torch.tensor([[1, 3, 0, 2]]), 4, 3)
    assert mask[0, 0].tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_in_order_spreads_a_limit_over_the_set(cache: FrameCache) -> None:
    batches = list(in_order(DepthFrames(cache, SPEC), collate, batch=2, limit=2))
    assert [len(batch.image) for batch in batches] == [2]


def test_levels_spectra_and_textures_keep_padding_black_and_values_in_range() -> None:
    image = torch.randint(0, 256, (4, 24, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    content = torch.tensor([[4, 20, 0, 32]] * 4)
    config = AugmentConfig(photometric=1.0, spectra=1.0, texture=1.0, cutout=0.0)
    out = photometric(image, content, config, torch.Generator().manual_seed(2))
    assert out.shape == (4, 3, 24, 32)
    assert out.min() >= 0
    assert out.max() <= 1
    assert (out[:, :, :4] == 0).all()
    assert (out[:, :, 20:] == 0).all()


def test_levels_burn_out_a_few_pixels_of_each_frame_and_pay_no_heed_to_padding() -> None:
    inside = torch.ones(64, 1, 64, 80)
    inside[:, :, :16] = 0.0
    x = torch.linspace(0.3, 0.6, 80).expand(64, 3, 64, 80).clone() * inside
    out = _levels(x.clone(), inside, 1.0, torch.Generator().manual_seed(5))[:, :, 16:]
    black, white = ((out <= 0).float().mean(dim=(1, 2, 3)), (out >= 1).float().mean(dim=(1, 2, 3)))
    assert 0.02 < float(black.max()) <= 0.27
    assert 0.02 < float(white.max()) <= 0.32
    assert len(set(out[:, 0, 0, 40].tolist())) == 64  # each in its own way
    spread = out[..., -1] - out[..., 0]
    assert float(spread.min()) >= 0.3 - 1e-6  # never flatter
    assert torch.equal(_levels(x.clone(), inside, 0.0, torch.Generator().manual_seed(5)), x)


def test_mixed_spectra_keep_the_phase() -> None:
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(3)) * 0.2 + 0.4
    mixed = mix_spectra(x, 1.0, torch.Generator().manual_seed(4))
    phase, new = torch.fft.rfft2(x).angle(), torch.fft.rfft2(mixed).angle()
    strong = torch.fft.rfft2(x).abs() > 0.3
    assert torch.cos(phase - new)[strong].min() > 0.99
    assert torch.allclose(mix_spectra(x, 0.0, torch.Generator().manual_seed(4)), x, atol=1e-5)


@pytest.mark.parametrize("top", [0, 8])
def test_mixed_textures_keep_light_and_shapes(top: int) -> None:
    x = torch.full((8, 3, 24, 32), 0.4)
    x[:, :, :, 16:] = 0.6  # one step, at column 16
    x[:, :, :top] = 0.0  # a black bar is no part of the picture
    content = torch.tensor([[top, 24, 0, 32]] * 8)
    mixed = mix_texture(x, content, 1.0, torch.Generator().manual_seed(6))
    before, after = x[:, :, top:], mixed[:, :, top:]
    assert (after - before).abs().amax(dim=(1, 2, 3)).min() > 1e-3  # every image is another
    assert torch.allclose(after.mean(dim=(2, 3)), before.mean(dim=(2, 3)), atol=0.02)
    # nothing happens further from the step than the widest filter reaches
    assert (after[..., :12] - after[..., :1, :1]).abs().max() < 1e-5
    assert (after[..., 20:] - after[..., :1, -1:]).abs().max() < 1e-5
    assert (mixed[:, :, :top] == 0).all()
    assert torch.equal(mix_texture(x, content, 0.0, torch.Generator().manual_seed(6)), x)


def test_light_falls_in_and_leaves_the_rest_in_proportion() -> None:
    before = np.random.default_rng(0).integers(20, 60, (48, 64, 3)).astype(np.uint8)
    shares, factors = [], []
    for seed in range(60):
        image = before.copy()
        cast_light(image, np.random.default_rng(seed))
        gain = image.mean(axis=2) / before.mean(axis=2)
        shares.append(float(np.mean(gain > np.sqrt(gain.min() * gain.max()))))
        factors.append(float(gain.max() / gain.min()))
    assert 0.05 < np.mean(shares) < 0.6
    assert 1.3 < np.median(factors) < 4.5
    assert max(factors) < 6  # 4.5 and what rounding to whole levels does to dark pixels


def test_light_falls_on_the_share_that_is_asked_for_and_on_no_padding(cache: FrameCache) -> None:
    config = AugmentConfig(photometric=0.0, flip=False, reshape=1.0, aspects=(3.0, 3.0), whole=0.0)
    plain, lit = DepthFrames(cache, SPEC, config), DepthFrames(cache, SPEC, replace(config, light=0.5))
    changed = 0
    for key in [(epoch, index) for epoch in range(20) for index in range(len(cache))]:
        before, after = plain[key], lit[key]
        np.testing.assert_array_equal(before.depth_m, after.depth_m)
        top, bottom, left, right = after.content
        outside = np.ones(after.image.shape[:2], bool)
        outside[top:bottom, left:right] = False
        assert outside.any()
        assert (after.image[outside] == 0).all()
        changed += int((before.image != after.image).any())
    assert 15 < changed < 45
