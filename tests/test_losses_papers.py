"""Losses of papers/2, 3, 4 and 5 against values worked out by hand, and their gradients by finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch", reason="the losses need PyTorch: pip install 'edgedepth[train]'")

from torch import Tensor  # noqa: E402

from edgedepth.core.bins import Bins  # noqa: E402
from edgedepth.core.errors import InputError, UnknownNameError  # noqa: E402
from edgedepth.trainers import create_network  # noqa: E402
from edgedepth.trainers.config import LossConfig  # noqa: E402
from edgedepth.trainers.losses import metric, regions  # noqa: E402
from edgedepth.trainers.losses.classes import class_cross_entropy, interval_class, rounded_class  # noqa: E402
from edgedepth.trainers.losses.objectives import DepthObjective  # noqa: E402
from edgedepth.trainers.losses.papers import RegionLosses, _region_terms, interval_objective, metric_objective  # noqa: E402
from edgedepth.trainers.models.metric import MetricHeads  # noqa: E402
from edgedepth.trainers.models.registry import default_spec  # noqa: E402
from edgedepth.trainers.models.sid_deeplab import IntervalHeads  # noqa: E402


def grid(*rows: list[float]) -> Tensor:
    """A (1, 1, H, W) map."""
    return torch.tensor(rows).view(1, 1, len(rows), -1)


ONES = torch.ones(1, 1, 3, 3)
FLAT = torch.full((1, 1, 3, 3), 2.0)


def test_berhu_is_linear_up_to_a_fifth_of_the_largest_error_and_quadratic_beyond() -> None:
    # Errors 0.5, 1, 5 and, unknown, 100: c = 1; 0.5 and 1 as they are, (25 + 1) / 2 = 13.
    prediction, depth = grid([1.5, 3.0, 7.0, 102.0]), grid([2.0, 2.0, 2.0, 2.0])
    loss = metric.berhu_loss(prediction, depth, grid([1.0, 1.0, 1.0, 0.0]))
    assert float(loss) == pytest.approx((0.5 + 1 + 13) / 3)


def test_berhu_takes_c_from_the_batch_and_as_a_constant() -> None:
    """d/de (e^2 + c^2) / 2c = e / c; were c not constant, the largest error would have the slope 2.6 = loss / error."""
    error = torch.tensor([0.5, 5.0]).view(2, 1, 1, 1).requires_grad_()
    metric.berhu_loss(error, torch.zeros(2, 1, 1, 1), torch.ones(2, 1, 1, 1)).backward()
    assert error.grad is not None
    assert error.grad.flatten().tolist() == pytest.approx([1 / 2, 5 / 2])


def test_berhu_of_a_perfect_answer_is_zero_and_has_a_gradient() -> None:
    prediction = FLAT.clone().requires_grad_()
    loss = metric.berhu_loss(prediction, FLAT, ONES)
    loss.backward()
    assert float(loss.detach()) == 0
    assert prediction.grad is not None
    assert bool(torch.isfinite(prediction.grad).all())


PREDICTED = grid([1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [0.0, 0.0, 0.0])
TRUE = grid([1.0, 2.0, 4.0], [1.0, 3.0, 4.0], [9.0, 9.0, 9.0])


def test_gradient_magnitude_by_hand() -> None:
    # Per pixel of the upper left 2x2: dx = 2 0 | 0 0, dy = 1 -1 | -2 -2; gx = 1 2 | 2 1, gy = 0 1 | 8 6.
    # |gx - dx| = 1 2 | 2 1 and |gy - dy| = 1 2 | 10 8.
    assert float(metric.gradient_magnitude_loss(PREDICTED, TRUE, ONES)) == pytest.approx((2 + 4 + 12 + 9) / 4)


def test_gradient_direction_by_hand() -> None:
    # |gy dx - dy gx| = |0*2 - 1*1|, |1*0 + 1*2|, |8*0 + 2*2|, |6*0 + 2*1|
    assert float(metric.gradient_direction_loss(PREDICTED, TRUE, ONES)) == pytest.approx((1 + 2 + 4 + 2) / 4)


def test_magnitude_and_direction_are_the_cross_product_of_the_normals() -> None:
    """papers/3 eq. 4: the L1 norm of n_d x n_g is the sum of both losses."""
    torch.manual_seed(0)
    d, g, ones = torch.rand(1, 1, 6, 7), torch.rand(1, 1, 6, 7), torch.ones(1, 1, 6, 7)
    (dx, dy), (gx, gy) = metric.forward_differences(d), metric.forward_differences(g)
    normal_d = torch.stack((-dx, -dy, torch.ones_like(dx)), dim=-1)
    normal_g = torch.stack((-gx, -gy, torch.ones_like(gx)), dim=-1)
    expected = torch.linalg.cross(normal_d, normal_g).abs().sum(dim=-1).mean()
    total = metric.gradient_magnitude_loss(d, g, ones) + metric.gradient_direction_loss(d, g, ones)
    torch.testing.assert_close(total, expected)


def test_a_difference_counts_only_where_all_its_pixels_are_known() -> None:
    weight = ONES.clone()
    weight[0, 0, 0, 1] = 0  # neighbour of the first pixel to the right, and itself the second
    assert float(metric.gradient_magnitude_loss(PREDICTED, TRUE, weight)) == pytest.approx((12 + 9) / 2)
    assert float(metric.gradient_direction_loss(PREDICTED, TRUE, weight)) == pytest.approx((4 + 2) / 2)


def test_hu_depth_by_hand() -> None:
    prediction, depth = grid([2.5, 2.0]), grid([2.0, 4.0])
    expected = (math.log(0.5 + 0.5) + math.log(2 + 0.5)) / 2
    assert float(metric.hu_depth_loss(prediction, depth, torch.ones(1, 1, 1, 2))) == pytest.approx(expected)


def test_hu_gradient_and_normal_of_slopes() -> None:
    """Sobel gradients of a slope of 1 m per pixel across are (8, 0)."""
    slope = grid([0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [0.0, 1.0, 2.0])
    assert [float(g) for g in metric.sobel(slope)] == [8, 0]
    assert [float(g) for g in metric.sobel(slope.transpose(2, 3))] == [0, 8]
    gradient = metric.hu_gradient_loss(slope, FLAT, ONES)
    assert float(gradient) == pytest.approx(math.log(8.5) + math.log(0.5))
    normal = metric.hu_normal_loss(slope, FLAT, ONES)
    assert float(normal) == pytest.approx(1 - 1 / math.sqrt(65))
    weight = ONES.clone()
    weight[0, 0, 2, 2] = 0
    assert float(metric.hu_normal_loss(slope, FLAT, weight)) == 0


def test_targets_shrink_bilinearly_over_known_pixels() -> None:
    depth = grid([1.0, 3.0, 4.0, 4.0], [5.0, 7.0, 4.0, 9.0])
    weight = grid([1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0])
    target, share = metric.shrink_target(depth, weight, (1, 2))
    assert target.flatten().tolist() == [4.0, 4.0]
    assert share.flatten().tolist() == [1.0, 0.75]
    assert metric.shrink_target(depth, weight, (2, 4))[0] is depth
    quarter, _ = metric.shrink_target(torch.arange(64.0).view(1, 1, 8, 8), torch.ones(1, 1, 8, 8), (2, 2))
    # The centre of a 4x4 cell lies between its four middle pixels: bilinear, not the mean of sixteen.
    assert quarter.flatten().tolist() == [13.5, 17.5, 45.5, 49.5]


REGIONS = torch.tensor([[[[1, 1, 1, 2]]], [[[0, 3, 3, 3]]]])


def test_region_loss_is_a_mean_of_means() -> None:
    prediction = torch.tensor([[[[1.0, 2.0, 3.0, 9.0]]], [[[9.0, 1.0, 1.0, 9.0]]]])
    target = torch.tensor([[[[2.0, 2.0, 1.0, 5.0]]], [[[1.0, 3.0, 2.0, 1.0]]]])
    weight = torch.tensor([[[[1.0, 1.0, 1.0, 1.0]]], [[[1.0, 1.0, 1.0, 0.0]]]])
    # Regions (1 + 0 + 2) / 3 = 1, 4 and (2 + 1) / 2 = 1.5; the pixel of region 0 and the unknown one count nowhere.
    loss = regions.region_loss(prediction, target, weight, REGIONS, log=False)
    assert float(loss) == pytest.approx((1 + 4 + 1.5) / 3)
    logarithmic = regions.region_loss(prediction, target, weight, REGIONS, log=True)
    expected = (math.log(2 * 3) / 3 + math.log(9 / 5) + math.log(3 * 2) / 2) / 3
    assert float(logarithmic) == pytest.approx(expected)
    whole = regions.region_loss(prediction, target, weight, None, log=False)
    assert float(whole) == pytest.approx(((1 + 0 + 2 + 4) / 4 + (8 + 2 + 1) / 3) / 2)


def test_region_loss_has_the_absolute_value_that_its_equation_lacks() -> None:
    error = torch.tensor([[[[1.0, -1.0]]]])
    loss = regions.region_loss(error, torch.zeros(1, 1, 1, 2), torch.ones(1, 1, 1, 2), None, log=False)
    assert float(loss) == 1.0


def test_region_means_are_the_region_support() -> None:
    depth = torch.tensor([[[[2.0, 4.0, 9.0, 5.0]]], [[[7.0, 1.0, 3.0, 2.0]]]])
    weight = torch.tensor([[[[1.0, 1.0, 0.0, 1.0]]], [[[1.0, 1.0, 1.0, 1.0]]]])
    means = regions.region_means(depth, weight, REGIONS)
    assert means.flatten().tolist() == [3.0, 3.0, 3.0, 5.0, 0.0, 2.0, 2.0, 2.0]
    assert float(regions.region_means(depth, weight, REGIONS, fill_m=0.3)[1, 0, 0, 0]) == pytest.approx(0.3)


def test_true_guidance_tells_no_depth_outside_the_regions() -> None:
    depth = torch.tensor([[[[2.0, 6.0, math.nan, 5.0]]], [[[7.0, 1.0, math.inf, 3.0]]]])
    guidance = regions.true_guidance(depth, torch.tensor([2.0, 1.0]), REGIONS, min_m=0.5, max_m=9.0)
    assert guidance[0].flatten().tolist() == [2.0, 2.0, 2.0, 2.5]  # the means of 1 and 3 m, and 5 / 2 m
    # 7 m is not told; the mean of 1, 9 (sky) and 3 m
    assert guidance[1].flatten().tolist() == pytest.approx([0.5, 13 / 3, 13 / 3, 13 / 3])


def test_an_image_without_a_known_pixel_has_no_loss_but_no_nan() -> None:
    prediction = torch.full((1, 1, 4, 4), 3.0, requires_grad=True)
    loss = metric.berhu_loss(prediction, torch.full((1, 1, 4, 4), 9.0), torch.zeros(1, 1, 4, 4))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert float(prediction.grad.abs().sum()) == 0.0


def test_sobel_keeps_its_bits_in_mixed_precision() -> None:
    slope = 5.0 + 0.004 * torch.arange(8.0).expand(1, 1, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        across, down = metric.sobel(slope)
    assert torch.allclose(across, torch.full_like(across, 0.032), atol=1e-5)
    assert torch.allclose(down, torch.zeros_like(down), atol=1e-5)


def test_iterations_and_modules_are_weighted_as_printed() -> None:
    depth, ones = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    levels = [torch.full((1, 1, 2, 2), value) for value in (1.0, 10.0, 100.0)]
    loss = regions.iteration_loss(levels, depth, ones, None, log=False)
    assert float(loss) == pytest.approx(0.2 + 3 + 50)
    assert float(regions.iteration_loss(levels[:1], depth, ones, None, log=False)) == pytest.approx(1.0)
    two = regions.iteration_loss(levels[:2], depth, ones, None, log=False)
    assert float(two) == pytest.approx((1 + 2 * 10) / 3)


def test_both_modules_together_are_equation_4() -> None:
    depth, ones = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    support, iteration = torch.full((1, 1, 2, 2), 1.0), torch.full((1, 1, 2, 2), 10.0)
    regions = torch.ones(1, 1, 2, 2, dtype=torch.long)
    heads = MetricHeads.of((iteration,), support_m=support)
    terms = _region_terms(heads, depth, ones, regions, RegionLosses(log=False))
    assert float(terms["support"]) == pytest.approx(0.3)
    assert float(terms["iterations"]) == pytest.approx(7.0)
    alone = _region_terms(MetricHeads.of((iteration,)), depth, ones, regions, RegionLosses(log=False))
    assert {name: float(value) for name, value in alone.items()} == {"iterations": pytest.approx(10.0)}


def test_log_of_depth_goes_on_below_its_floor() -> None:
    x = torch.tensor([-1.0, 0.05, 0.1, 2.0], requires_grad=True)
    y = regions.log_of_depth(x)
    assert y.tolist() == pytest.approx([math.log(0.1) - 11, math.log(0.1) - 0.5, math.log(0.1), math.log(2)])
    y.sum().backward()
    assert x.grad is not None
    assert x.grad[[0, 1, 3]].tolist() == pytest.approx([10, 10, 0.5])


def test_interval_and_rounded_classes() -> None:
    bins = Bins(count=4, min_m=1.0, max_m=16.0)  # boundaries 1, 2, 4, 8, 16
    index = bins.index_of(torch.tensor([0.5, 1.0, 1.9, 2.0, 7.9, 8.1, 16.0, 99.0]), torch)
    assert interval_class(index, 4).tolist() == [0, 0, 0, 1, 2, 3, 3, 3]
    rounded = bins.index_of(torch.tensor([1.0, 1.4, 1.5, 2.8, 2.9, 16.0, 99.0]), torch)
    assert rounded_class(rounded, 4).tolist() == [0, 0, 0, 0, 1, 3, 3]


def test_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[0.0, 1.0], [math.log(3), 1.0]]).view(1, 2, 1, 2)  # pixel 1: 1/4, 3/4; pixel 2: 1/2, 1/2
    classes = torch.tensor([[[[1, 0]]]])
    loss = class_cross_entropy(logits, classes, torch.ones(1, 1, 1, 2))
    assert float(loss) == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    only = class_cross_entropy(logits, classes, torch.tensor([[[[1.0, 0.0]]]]))
    assert float(only) == pytest.approx(math.log(4 / 3))
    enlarged = class_cross_entropy(logits[..., :1], classes.expand(1, 1, 3, 2), torch.ones(1, 1, 3, 2))
    assert float(enlarged) == pytest.approx((math.log(4 / 3) + math.log(4)) / 2)


def test_depths_beyond_80_m_are_ignored_by_intervals() -> None:
    logits = torch.zeros(1, 4, 1, 2)
    heads = IntervalHeads(indices=(torch.zeros(1, 1, 1, 2),), logits=logits, depth_m=None)
    index, weight = torch.tensor([[[[1.0, 4.0]]]]), torch.ones(1, 1, 1, 2)
    logits[0, 3, 0, 1] = 50.0  # a certain answer that would count as right
    both = interval_objective(heads, torch.tensor([[[[9.0, 79.0]]]]), index, weight, 80.0)
    one = interval_objective(heads, torch.tensor([[[[9.0, 80.0]]]]), index, weight, 80.0)
    assert float(both) == pytest.approx(math.log(4) / 2)
    assert float(one) == pytest.approx(math.log(4))


def test_every_level_is_compared_with_the_target_at_its_size() -> None:
    """papers/4 eq. 1: the sum over levels; an exact pyramid leaves the constants of Hu's logarithms."""
    depth, ones = torch.full((1, 1, 16, 24), 3.0), torch.ones(1, 1, 16, 24)
    levels = tuple(torch.full((1, 1, 16 // n, 24 // n), 3.0) for n in (8, 4, 2, 1))  # the first is too small: 2 rows
    terms = metric_objective(MetricHeads.of(levels), depth, ones, "hu")
    assert {name: round(float(value), 5) for name, value in terms.items()} == {
        "depth": round(3 * math.log(0.5), 5),
        "gradient": round(3 * 2 * math.log(0.5), 5),
        "normal": 0.0,
    }
    alone = metric_objective(MetricHeads.of(levels[-1:]), depth, ones, "hu")
    assert float(alone["depth"]) == pytest.approx(math.log(0.5))


def test_the_network_of_papers_5_is_trained_by_equation_4() -> None:
    depth, ones = torch.tensor([[[[2.0, 4.0]]]]), torch.ones(1, 1, 1, 2)
    regions = torch.ones(1, 1, 1, 2, dtype=torch.int64)
    level = torch.tensor([[[[2.0, 4.5]]]])
    support = torch.full((1, 1, 1, 2), 4.0)  # 1 m off the region's mean of 3 m
    terms = metric_objective(MetricHeads.of((level,) * 3, support), depth, ones, "region-linear", regions)
    assert float(terms["support"]) == pytest.approx(0.3 * 1)
    assert float(terms["iterations"]) == pytest.approx(0.7 * 0.25)
    generation = metric_objective(MetricHeads.of((support,), support), depth, ones, "region-linear", regions)
    assert {name: float(value) for name, value in generation.items()} == {"support": pytest.approx(1.0)}
    refinement = metric_objective(MetricHeads.of((level,) * 3), depth, ones, "region-linear", regions)
    assert {name: float(value) for name, value in refinement.items()} == {"iterations": pytest.approx(0.25)}
    inference = metric_objective(MetricHeads.of((support,), support), depth, ones, "region-linear")
    assert float(inference["support"]) == pytest.approx((2 + 0) / 2)


def test_depth_inference_is_learned_by_regions_from_each_pixels_own_depth() -> None:
    """papers/5, section 4.2: L_r "on the depth map": three pixels of the first region and one of the second."""
    depth, ones = torch.tensor([[[[2.0, 4.0, 6.0, 5.0]]]]), torch.ones(1, 1, 1, 4)
    regions = torch.tensor([[[[1, 1, 1, 2]]]])
    support = torch.full((1, 1, 1, 4), 4.0)
    heads = MetricHeads.of((support,), support)
    linear = metric_objective(heads, depth, ones, "region-linear-depth", regions)
    assert float(linear["support"]) == pytest.approx(((2 + 0 + 2) / 3 + 1) / 2)
    log = metric_objective(heads, depth, ones, "region-log-depth", regions)
    assert float(log["support"]) == pytest.approx((math.log(3) / 3 + math.log(5 / 4)) / 2)
    supported = metric_objective(heads, depth, ones, "region-linear", regions)
    assert float(supported["support"]) == pytest.approx((0 + 1) / 2)
    three, tall = (1, 1, 3, 4), support.expand(1, 1, 3, 4)
    l2 = metric_objective(MetricHeads.of((tall,), tall), depth.expand(three), ones.expand(three), "l2-log")
    squares = (math.log(2) ** 2 + math.log(1.5) ** 2 + math.log(5 / 4) ** 2) / 4
    assert {name: float(value) for name, value in l2.items()} == {"depth": pytest.approx(squares)}


def test_the_support_is_the_plain_mean_however_little_far_pixels_weigh() -> None:
    """As the true guidance has it; a pixel beyond the range, clamped to its end, weighs less only as an error."""
    depth, weight = torch.tensor([[[[2.0, 10.0]]]]), torch.tensor([[[[1.0, 0.25]]]])
    support = torch.full((1, 1, 1, 2), 6.0)
    regions = torch.ones(1, 1, 1, 2, dtype=torch.int64)
    terms = metric_objective(MetricHeads.of((support,), support), depth, weight, "region-linear", regions)
    assert float(terms["support"]) == pytest.approx(0.0)


BANDS = torch.tensor([0, 1, 1, 2, 1, 3, 3, 1, 2, 2, 1, 1] * 2).view(2, 1, 3, 4)
MAP_LOSSES = (
    metric.gradient_magnitude_loss,
    metric.gradient_direction_loss,
    metric.hu_depth_loss,
    metric.hu_gradient_loss,
    metric.hu_normal_loss,
    lambda *maps: regions.region_loss(*maps, BANDS, log=False),
    lambda *maps: regions.region_loss(*maps, BANDS, log=True),
    regions.squared_log_loss,
    lambda d, g, w: regions.iteration_loss((d, d * d, d + 1), g, w, BANDS, log=True),
    lambda d, g, w: regions.region_loss(d, regions.region_means(g, w, BANDS), w, BANDS, log=False),
)


@pytest.mark.parametrize("loss", MAP_LOSSES)
def test_gradients_by_finite_differences(loss: Callable[..., Tensor]) -> None:
    generator = torch.Generator().manual_seed(3)
    shape = (2, 1, 3, 4)
    depth, prediction = torch.rand(2, *shape, generator=generator, dtype=torch.float64) * 5 + 0.5
    weight = torch.ones(shape, dtype=torch.float64)
    weight[0, 0, 2, 3] = weight[1, 0, 0, 0] = 0
    assert torch.autograd.gradcheck(lambda d: loss(d, depth, weight), prediction.requires_grad_(), eps=1e-7, atol=1e-5)


def test_berhu_gradient_by_finite_differences() -> None:
    """The pixel with the largest error sets the threshold, a constant to the gradient, and stays where it is."""
    depth = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64).view(1, 1, 1, 4)
    largest = torch.tensor([21.0], dtype=torch.float64).view(1, 1, 1, 1)

    def loss(free: Tensor) -> Tensor:
        return metric.berhu_loss(torch.cat((largest, free), dim=3), depth, torch.ones_like(depth))

    free = torch.tensor([2.5, 13.0, -5.0], dtype=torch.float64).view(1, 1, 1, 3)
    assert torch.autograd.gradcheck(loss, free.requires_grad_(), eps=1e-7, atol=1e-5)


def test_an_unknown_combination_lists_the_known_ones() -> None:
    heads = MetricHeads.of((torch.ones(1, 1, 4, 4),))
    with pytest.raises(UnknownNameError, match=r"unknown metric loss 'huber'; known: l1, l2, berhu, .*region-log"):
        metric_objective(heads, torch.ones(1, 1, 4, 4), torch.ones(1, 1, 4, 4), "huber")


def test_losses_that_a_network_has_no_outputs_for_are_refused() -> None:
    drnet, side = create_network("drnet", backbone="small"), create_network("ds-sidenet-low", branches="cls")
    with pytest.raises(InputError, match="the losses 'hu' are for networks that only regress depth, not for DSSideNet"):
        DepthObjective(side, default_spec("ds-sidenet-low"), LossConfig(metric="hu"))
    with pytest.raises(InputError, match=r"hard classification is a choice of ds-sidenet-low .*not of DRNet"):
        DepthObjective(drnet, default_spec("drnet"), LossConfig(hard=True))
    regressing = create_network("ds-sidenet-low", branches="reg")
    with pytest.raises(InputError, match="hard classification needs the classification branch, but branches is 'reg'"):
        DepthObjective(regressing, default_spec("ds-sidenet-low"), LossConfig(hard=True))
    with pytest.raises(UnknownNameError, match="unknown metric loss 'huber'"):
        DepthObjective(drnet, default_spec("drnet"), LossConfig(metric="huber"))


@pytest.mark.parametrize(
    ("network", "loss", "message"),
    [
        ("drnet", LossConfig(gradient=0.2), "loss.gradient has no use for DRNet"),
        ("ds-sidenet-low", LossConfig(relative=1.0), "loss.relative has no use for DSSideNet"),
        ("edge-low", LossConfig(classification=2.0), "loss.classification has no use for EdgeNet"),
        ("sid-deeplab", LossConfig(regression=0.0), "loss.regression has no use for SIDDeepLab"),
    ],
)
def test_weights_of_terms_that_a_network_does_not_have_are_refused(
    network: str, loss: LossConfig, message: str
) -> None:
    options = {"backbone": "small"} if network in ("drnet", "sid-deeplab") else {}
    with pytest.raises(InputError, match=message):
        DepthObjective(create_network(network, **options), default_spec(network), loss)


def test_a_network_is_trained_by_the_losses_of_its_paper_unless_told_otherwise() -> None:
    torch.manual_seed(0)
    drnet, spec = create_network("drnet", backbone="small"), default_spec("drnet")
    batch = torch.rand(2, 3, 32, 40), torch.rand(2, 1, 32, 40) * 5 + 1, torch.ones(2)
    assert set(DepthObjective(drnet, spec, LossConfig())(*batch)) == {"loss", "depth", "gradient", "normal"}
    berhu = DepthObjective(drnet, spec, LossConfig(metric="berhu+magnitude"))(*batch)
    assert set(berhu) == {"loss", "depth", "magnitude"}
    assert float(berhu["loss"].detach()) == pytest.approx(float((berhu["depth"] + berhu["magnitude"]).detach()))
