import math

import numpy as np
import pytest

from edgedepth.core.errors import InputError
from edgedepth.core.metrics import METRICS, DepthErrors, depth_metrics, mean_metrics

# prediction 2, 4 against truth 1, 5: every value below is worked out by hand
PREDICTED = np.array([2.0, 4.0])
TRUTH = np.array([1.0, 5.0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("abs_rel", (1 / 1 + 1 / 5) / 2),
        ("sq_rel", (1 / 1 + 1 / 5) / 2),
        ("rmse", 1.0),
        ("mae", 1.0),
        ("rmse_log", math.sqrt((0.6931471805599453**2 + 0.22314355131420976**2) / 2)),
        ("log10", (0.3010299956639812 + 0.09691001300805642) / 2),
        # d = 0.693147 and -0.223144: the standard deviation of two values is half their distance
        ("silog", 100 * (0.6931471805599453 + 0.22314355131420976) / 2),
        ("delta1", 0.0),  # 5 / 4 is 1.25, and the comparison is strict
        ("delta2", 0.5),
        ("delta3", 0.5),
        ("irmse", 1000 * math.sqrt((0.5**2 + 0.05**2) / 2)),
        ("abs_error_rel_pct", 60.0),
        ("sq_error_rel_pct", 100 * (1 + 1 / 25) / 2),
    ],
)
def test_values_worked_out_by_hand(name: str, expected: float) -> None:
    assert depth_metrics(PREDICTED, TRUTH)[name] == pytest.approx(expected, rel=1e-12)


def test_the_table_and_the_values_name_the_same_metrics_in_the_same_order() -> None:
    assert list(depth_metrics(PREDICTED, TRUTH)) == list(METRICS)


def test_a_perfect_prediction_has_no_error_and_all_deltas() -> None:
    values = depth_metrics(TRUTH, TRUTH)
    assert {name: values[name] for name in METRICS if not METRICS[name][1]} == dict.fromkeys(
        (name for name in METRICS if not METRICS[name][1]), 0.0
    )
    assert [values[f"delta{i}"] for i in (1, 2, 3)] == [1.0, 1.0, 1.0]


def test_silog_ignores_scale_and_rmse_log_does_not() -> None:
    values = depth_metrics(3 * TRUTH, TRUTH)
    assert values["silog"] == pytest.approx(0, abs=1e-6)
    assert values["rmse_log"] == pytest.approx(math.log(3))


def test_adding_errors_pools_the_pixels() -> None:
    rng = np.random.default_rng(3)
    p, g = rng.uniform(0.5, 9, (2, 40))
    parts = DepthErrors.of(p[:7], g[:7]) + DepthErrors.of(p[7:], g[7:])
    assert parts.values() == pytest.approx(depth_metrics(p, g))


def test_averaging_per_image_differs_from_pooling_when_images_have_different_sizes() -> None:
    one, three = (np.array([2.0]), np.array([1.0])), (np.ones(3), np.ones(3))
    per_image = mean_metrics([depth_metrics(*one), depth_metrics(*three)])
    pooled = (DepthErrors.of(*one) + DepthErrors.of(*three)).values()
    assert per_image["abs_rel"] == pytest.approx(0.5)
    assert pooled["abs_rel"] == pytest.approx(0.25)


def test_float32_input_is_summed_in_float64() -> None:
    g = np.full(1_000_000, 0.1, np.float32)
    assert depth_metrics(g * np.float32(1.5), g)["abs_rel"] == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize(
    ("predicted", "truth", "message"),
    [
        (np.ones(2), np.ones(3), "same shape"),
        (np.empty(0), np.empty(0), "at least one valid pixel"),
        (np.array([1.0, np.nan]), np.ones(2), "1 of 2 values are not"),
        (np.ones(2), np.array([1.0, 0.0]), "true depth must be finite and positive"),
    ],
)
def test_unusable_input_is_refused(predicted: np.ndarray, truth: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        depth_metrics(predicted, truth)


def test_the_mean_of_no_image_is_refused() -> None:
    with pytest.raises(InputError, match="at least one image"):
        mean_metrics([])
