"""Histograms and the methods that choose ranges from them, held against onnxruntime's own calibrators."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from onnx import save
from onnxruntime.quantization import calibrate as ort_calibrate

from edgedepth.calibration.affine import Affine, affine_of, quantise_weights
from edgedepth.calibration.observe import BINS, Histogram, Statistics, _stride, observe
from edgedepth.calibration.qdq import tensors_to_observe
from edgedepth.calibration.ranges import METHODS, ranges_of
from edgedepth.core.errors import InputError, UnknownNameError
from edgedepth.export.passes.graph import Graph
from tests.int8_networks import depth_graph, frames


def _seen(values: np.ndarray) -> Statistics:
    seen = Statistics()
    seen.add(values.astype(np.float32).reshape(1, 1, 1, -1), "x")
    return seen


def test_histogram_widens_without_losing_a_value() -> None:
    histogram = Histogram()
    for values in ([0.0, 0.5, -0.25], [3.0, -7.0], [100.0]):
        histogram.add(np.array(values, np.float32))
    assert histogram.limit == 128.0
    assert (histogram.zeros, histogram.total) == (1, 6)
    assert int(histogram.negative.sum()) == 2
    assert histogram.positive[int(100 / 128 * BINS)] == 1


def test_histogram_of_the_smallest_numbers_there_are() -> None:
    """What is left of a layer that training let die; the first frame may show nothing larger."""
    histogram = Histogram()
    histogram.add(np.array([1e-38, -3e-39, 1e-45], np.float32))
    assert (int(histogram.positive.sum()), int(histogram.negative.sum())) == (2, 1)
    histogram.add(np.array([0.5], np.float32))
    assert (histogram.limit, histogram.total, histogram.positive[-1]) == (0.5, 4, 1)


def test_histogram_is_the_same_in_any_order() -> None:
    values = np.random.default_rng(0).standard_cauchy(4000).astype(np.float32)
    up, down = Histogram(), Histogram()
    for part in np.split(np.sort(np.abs(values)), 10):
        up.add(part)
    for part in np.split(np.sort(np.abs(values))[::-1], 10):
        down.add(part)
    assert up.limit == down.limit
    assert np.array_equal(up.magnitude, down.magnitude)


def test_extremes_are_exact_and_others_lie_within() -> None:
    values = np.random.default_rng(1).normal(0, 1, 16000)
    values[7] = 40.0  # an outlier that only min-max may follow
    seen = _seen(values)
    assert METHODS["minmax"](seen) == (pytest.approx(values.min()), pytest.approx(40.0))
    for name in ("percentile", "entropy", "mse"):
        low, high = METHODS[name](seen)
        assert values.min() - 1e-6 <= low < 0 < high < 41
    assert METHODS["percentile"](seen)[1] < 6
    assert METHODS["entropy"](seen)[1] < 10


def test_entropy_does_not_clip_what_lies_far_from_zero() -> None:
    # a map of depth: nothing near zero, so that a threshold below it all would leave one bin
    seen = _seen(np.random.default_rng(4).uniform(18, 57, 16000))
    assert METHODS["entropy"](seen)[1] > 55


def _there_and_back(affine: Affine, values: np.ndarray) -> np.ndarray:
    return (affine.quantise(values).astype(np.float64) - affine.zero_point) * affine.scale


def test_mse_method_has_the_least_error_of_all() -> None:
    values = np.random.default_rng(2).laplace(0, 1, 16000)
    seen = _seen(values)

    def error(method: str) -> float:
        affine = affine_of(METHODS[method](seen), "uint8")
        return float(np.square(_there_and_back(affine, values) - values).mean())

    # the candidates are a grid, and bins have a width
    assert error("mse") <= 1.05 * min(error(method) for method in METHODS)


def test_tensor_that_is_always_zero_has_a_range() -> None:
    seen = _seen(np.zeros(100))
    for method in METHODS.values():
        assert method(seen) == (0.0, 0.0)
    affine = affine_of((0.0, 0.0), "int8")
    assert affine.scale > 0
    assert _there_and_back(affine, np.zeros(3)).tolist() == [0, 0, 0]


def test_unknown_method_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match="known: minmax, percentile, entropy, mse"):
        ranges_of({}, "median")


@pytest.mark.parametrize(("dtype", "low", "high"), [("int8", -2.0, 3.0), ("uint8", -2.0, 3.0), ("uint8", 0.0, 3.0)])
def test_rounding_is_off_by_half_a_step_at_most(dtype: str, low: float, high: float) -> None:
    affine = affine_of((low, high), dtype)
    values = np.linspace(low, high, 1001)
    difference = np.abs(_there_and_back(affine, values) - values)
    # the zero point and the scale are rounded too
    assert difference.max() <= affine.scale * 1.1
    assert np.median(difference) <= affine.scale / 2
    assert _there_and_back(affine, np.zeros(1))[0] == 0
    assert affine.scale == float(np.float16(affine.scale))


def test_weights_have_a_scale_per_output_channel() -> None:
    weight = np.random.default_rng(3).normal(0, 1, (4, 3, 3, 3)).astype(np.float32)
    weight *= np.array([1e-3, 1, 10, 0], np.float32).reshape(4, 1, 1, 1)
    integers, scales = quantise_weights(weight)
    assert integers.min() >= -127
    relative = np.abs(integers * scales.reshape(4, 1, 1, 1) - weight).reshape(4, -1).max(axis=1)
    assert (relative <= 0.6 * scales).all()
    assert not integers[3].any()


def test_tiny_weights_are_not_clipped() -> None:
    # 1e-5 / 127 lies between two numbers of float16, which are 6e-8 apart there
    weight = np.array([1e-5, -1e-5], np.float32).reshape(2, 1, 1, 1)
    integers, scales = quantise_weights(weight)
    assert (np.abs(integers) < 127).all()
    np.testing.assert_allclose(integers * scales.reshape(2, 1, 1, 1), weight, rtol=0.01)


class _Reader(ort_calibrate.CalibrationDataReader):
    def __init__(self, pictures: list[np.ndarray]) -> None:
        self._pictures = iter(pictures)

    def get_next(self) -> dict[str, np.ndarray] | None:
        picture = next(self._pictures, None)
        return None if picture is None else {"frame": picture[None]}


@pytest.mark.parametrize(
    ("method", "reference", "tolerance"),
    [
        ("minmax", ort_calibrate.CalibrationMethod.MinMax, 1e-5),
        ("percentile", ort_calibrate.CalibrationMethod.Percentile, 0.05),
        # theirs tells 64 magnitudes apart and counts exact zeros, ours 128 and does not
        ("entropy", ort_calibrate.CalibrationMethod.Entropy, 0.5),
    ],
)
def test_agrees_with_onnxruntime(
    method: str, reference: ort_calibrate.CalibrationMethod, tolerance: float, tmp_path: Path
) -> None:
    model, pictures = depth_graph(), frames(6)
    tensors = ["stem.relu", "residual.relu", "joined", "mix.relu"]
    ours = ranges_of(observe(model, pictures, tensors), method)
    save(model, tmp_path / "model.onnx")
    # percentile is theirs of magnitudes, ours of each side; these tensors hardly have a negative one
    options = {"num_bins": 2048, "percentile": 99.99} if method == "percentile" else {"num_bins": 2048}
    calibrator = ort_calibrate.create_calibrator(
        tmp_path / "model.onnx",
        ["Conv"],
        augmented_model_path=str(tmp_path / "augmented.onnx"),
        calibrate_method=reference,
        extra_options=options if method != "minmax" else {},
    )
    calibrator.collect_data(_Reader(pictures))
    theirs = calibrator.compute_data().data
    for name in tensors:
        expected = float(np.ravel(theirs[name].range_value[1])[0])
        assert math.isclose(ours[name][1], expected, rel_tol=tolerance), (name, ours[name], expected)


def test_observed_statistics_are_those_of_the_network() -> None:
    seen = observe(depth_graph(), frames(3), tensors_to_observe(Graph(depth_graph())))
    assert {"stem.relu", "depthwise", "residual.relu", "joined", "mix.relu", "logits"} <= set(seen)
    assert "stem.weight" not in seen
    assert seen["stem.relu"].low == 0.0
    assert seen["stem.relu"].count == 3
    assert seen["stem.relu"].channel_max.shape == (16,)
    assert seen["stem.relu"].channel_max.max() == pytest.approx(seen["stem.relu"].high)
    assert (seen["stem.relu"].channel_mean <= seen["stem.relu"].channel_max).all()


def test_no_frames_is_refused() -> None:
    with pytest.raises(InputError, match="no frames to calibrate on"):
        observe(depth_graph(), [], ["stem"])


@pytest.mark.parametrize("shape", [(1, 64, 30, 40), (1, 16, 120, 160), (1, 24, 112, 224), (1, 8, 448, 256)])
def test_histograms_see_every_column_and_channel(shape: tuple[int, ...]) -> None:
    """A stride that shares a factor with a side comes by the same few columns again and again."""
    stride = _stride(shape)
    taken = np.unravel_index(np.arange(0, math.prod(shape), stride), shape)
    for axis in (1, 2, 3):
        assert len(np.unique(taken[axis])) == shape[axis]
    assert math.prod(shape) / stride > 1 << 13
