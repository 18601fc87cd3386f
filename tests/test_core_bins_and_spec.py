"""Bins against hand-computed values, and the spec's validation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError

from edgedepth.core.bins import Bins
from edgedepth.core.errors import InputError
from edgedepth.core.spec import DepthSpec, parse_size

DECADES = Bins(count=4, min_m=0.1, max_m=1000.0)  # one bin per decade: q = 1 in log10


@pytest.mark.parametrize(
    ("depth_m", "bin_index"),
    # b = round(log10(x) - log10(0.1)) clamped to 1..4; 0.1 * 10**1.4 -> 1.4 -> 1; 0.1 * 10**1.6 -> 2
    [(1.0, 1), (10.0, 2), (0.1 * 10**1.4, 1), (0.1 * 10**1.6, 2), (1000.0, 4), (0.1, 1), (5000.0, 4)],
)
def test_quantise_is_equation_1(depth_m: float, bin_index: int) -> None:
    assert DECADES.quantise(np.array([depth_m]))[0] == bin_index


def test_width_and_ends() -> None:
    bins = Bins(count=80, min_m=0.3, max_m=10.0)
    assert bins.width == pytest.approx(math.log(10 / 0.3) / 80)
    assert bins.depth_of(np.array([0.0, 80.0])) == pytest.approx([0.3, 10.0])
    assert bins.index_of(np.array([0.3, 10.0])) == pytest.approx([0.0, 80.0])


def test_log_bins_are_sid_thresholds() -> None:
    # DORN's SID: t_i = exp(log(alpha) + log(beta / alpha) * i / K)
    bins = Bins(count=71, min_m=1.0, max_m=80.0)
    i = np.arange(72)
    assert bins.depth_of(i) == pytest.approx(80.0 ** (i / 71))


def test_uniform_bins() -> None:
    bins = Bins(count=10, min_m=2.0, max_m=12.0, spacing="uniform")
    assert bins.depth_of(np.array([0.0, 5.0, 10.0])) == pytest.approx([2.0, 7.0, 12.0])
    assert bins.quantise(np.array([2.4, 2.6, 11.7])) == pytest.approx([1, 1, 10])


def test_depth_of_inverts_index_of() -> None:
    depth = np.geomspace(1, 80, 50)
    for spacing in ("log", "uniform"):
        bins = Bins(count=64, min_m=1.0, max_m=80.0, spacing=spacing)
        assert bins.depth_of(bins.index_of(depth)) == pytest.approx(depth)


@pytest.mark.parametrize("fields", [{"count": 1}, {"min_m": 0.0}, {"max_m": 0.2}])
def test_bins_refuse_nonsense(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Bins(**{"count": 8, "min_m": 0.3, "max_m": 10.0, **fields})


@pytest.mark.parametrize(("text", "size"), [("320x240", (320, 240)), (" 448 X 256 ", (448, 256))])
def test_parse_size(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["320", "320x", "0x240", "-1x5", "axb", "320x240x3", ""])
def test_parse_size_refuses(text: str) -> None:
    with pytest.raises(InputError, match="written WxH"):
        parse_size(text)


def test_spec_at_another_size_keeps_the_field_of_view() -> None:
    spec = DepthSpec(input_wh=(320, 240), min_m=0.3, max_m=10, num_bins=64, f_canonical_px=260)
    half = spec.at_size((160, 120))
    assert half.f_canonical_px == 130
    assert half.bins == Bins(count=64, min_m=0.3, max_m=10)


def test_a_padded_network_letterboxes_at_a_smaller_size() -> None:
    spec = DepthSpec(input_wh=(1248, 384), resize="pad", min_m=1, max_m=80, f_canonical_px=721)
    assert [spec.at_size(wh).resize for wh in ((1248, 384), (1280, 384), (832, 256), (1248, 376))] == [
        "pad", "pad", "letterbox", "letterbox",
    ]  # fmt: skip
    assert DepthSpec(input_wh=(32, 24), min_m=1, max_m=2, f_canonical_px=9, resize="stretch").at_size(
        (16, 12)
    ).resize == "stretch"  # fmt: skip


def test_regressing_spec_has_no_bins() -> None:
    with pytest.raises(InputError, match="regresses"):
        _ = DepthSpec(input_wh=(32, 32), min_m=1, max_m=2, f_canonical_px=30).bins
