import numpy as np
import pytest

from edgedepth.core.alignment import ALIGNMENTS, Affine, LogAffine, fit_alignment
from edgedepth.core.errors import InputError, UnknownNameError

P = np.array([1.0, 2.0, 4.0])


def test_none_changes_nothing() -> None:
    assert fit_alignment("none", P, 7 * P)(P) == pytest.approx(P)


def test_median_is_the_ratio_of_the_medians() -> None:
    assert fit_alignment("median", P, np.array([3.0, 5.0, 100.0])) == Affine(2.5)


def test_lsq_on_three_points_worked_out_by_hand() -> None:
    # x = 1, 2, 3 and y = 2, 2, 5: slope 3/2, intercept 3 - 3/2 * 2 = 0
    fitted = fit_alignment("lsq", np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 5.0]))
    assert isinstance(fitted, Affine)
    assert (fitted.scale, fitted.shift) == pytest.approx((1.5, 0.0))


def test_lsq_recovers_scale_and_shift() -> None:
    fitted = fit_alignment("lsq", P, 3 * P + 0.5)
    assert isinstance(fitted, Affine)
    assert (fitted.scale, fitted.shift) == pytest.approx((3.0, 0.5))


def test_log_lsq_recovers_power_and_factor() -> None:
    fitted = fit_alignment("log_lsq", P, 2 * P**1.5)
    assert isinstance(fitted, LogAffine)
    assert (fitted.scale, fitted.shift) == pytest.approx((1.5, np.log(2)))
    assert fitted(P) == pytest.approx(2 * P**1.5)


@pytest.mark.parametrize("name", ["lsq", "log_lsq"])
def test_a_constant_prediction_is_aligned_to_the_mean(name: str) -> None:
    truth = np.array([1.0, 4.0])
    expected = 2.5 if name == "lsq" else 2.0
    assert fit_alignment(name, np.full(2, 3.0), truth)(np.full(2, 3.0)) == pytest.approx([expected] * 2)


@pytest.mark.parametrize("name", list(ALIGNMENTS))
def test_no_alignment_does_worse_than_none_in_its_own_measure(name: str) -> None:
    rng = np.random.default_rng(0)
    g = rng.uniform(1, 9, 500)
    p = 0.5 * g * rng.lognormal(0, 0.1, 500)
    measure = np.log if name == "log_lsq" else np.asarray
    aligned = fit_alignment(name, p, g)(p)
    assert np.square(measure(aligned) - measure(g)).mean() <= np.square(measure(p) - measure(g)).mean()


def test_unknown_alignment_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="known: none, median, lsq, log_lsq"):
        fit_alignment("scale", P, P)


@pytest.mark.parametrize(
    ("predicted", "truth", "message"),
    [
        (P, P[:2], "one shape"),
        (P[:0], P[:0], "at least one pixel"),
        (-P, P, "some predicted depths"),
        (P, np.array([1.0, np.nan, 2.0]), "some true depths"),
    ],
)
def test_unusable_input_is_refused(predicted: np.ndarray, truth: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_alignment("median", predicted, truth)
