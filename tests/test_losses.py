"""The losses, on values computed by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from edgedepth.core.bins import Bins  # noqa: E402
from edgedepth.core.spec import DepthSpec  # noqa: E402
from edgedepth.trainers.config import LossConfig  # noqa: E402
from edgedepth.trainers.losses import binned, metric  # noqa: E402
from edgedepth.trainers.losses.masked import weighted_mean  # noqa: E402
from edgedepth.trainers.losses.objectives import (  # noqa: E402
    DepthObjective,
    DepthTarget,
    multi_task_objective,
    refinement_objective,
    target_of,
)
from edgedepth.trainers.models.heads import DepthHeads  # noqa: E402

# alpha = 1, beta = 10000, K = 4: q = 1 in log10, so that depth 10^j is bin j
DECADES = Bins(count=4, min_m=1.0, max_m=1e4)


def image(*rows: tuple[float, ...]) -> torch.Tensor:
    """A (1, 1, H, W) map."""
    return torch.tensor(rows)[None, None]


def ones_like(x: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(x)


@pytest.mark.parametrize(("difference", "expected"), [(0.0, 0.0), (0.5, 0.125), (-0.5, 0.125), (1.0, 0.5), (-3.0, 2.5)])
def test_smooth_l1_is_equation_2(difference: float, expected: float) -> None:
    assert binned.smooth_l1(torch.tensor(difference)).item() == pytest.approx(expected)


def test_weighted_mean_counts_weighted_pixels_only() -> None:
    values, weight = torch.tensor([1.0, 5.0, 100.0]), torch.tensor([1.0, 3.0, 0.0])
    assert weighted_mean(values, weight).item() == pytest.approx((1 + 15) / 4)
    assert weighted_mean(values, torch.zeros(3)).item() == 0.0


def test_soft_classification_quantises_the_truth() -> None:
    # truths 20, 500 and 3000 are bins round(1.30) = 1, round(2.70) = 3 and round(3.48) = 3
    depth = image((20.0, 500.0, 3000.0))
    index = image((1.5, 3.0, 1.0))
    # smooth L1 of 0.5, 0 and -2: 0.125 + 0 + 1.5
    value = binned.soft_classification_loss(index, depth, ones_like(depth), DECADES)
    assert value.item() == pytest.approx((0.125 + 0.0 + 1.5) / 3)


def test_quantised_truth_stays_in_the_bins() -> None:
    depth = image((0.5, 1e6))  # nearer and farther than the range: bins 1 and 4
    assert binned.soft_classification_loss(image((1.0, 4.0)), depth, ones_like(depth), DECADES).item() == 0.0


def test_multi_task_loss_is_equation_3() -> None:
    depth = image((100.0, 1000.0))  # bins 2 and 3
    index, regressed = image((2.5, 1.0)), image((90.0, 1030.0))
    classification, regression = (0.125 + 1.5) / 2, (10.0 + 30.0) / 2
    weight = ones_like(depth)
    heads = DepthHeads(indices=(index,), logits=None, depth_m=regressed)
    target = DepthTarget(depth_m=depth, index=image((2.0, 3.0)), weight=weight)
    for w1, w2 in ((1.0, 1.0), (2.0, 0.1)):
        terms = multi_task_objective(heads, target, DECADES, LossConfig(classification=w1, regression=w2))
        assert terms["classification"].item() == pytest.approx(w1 * classification)
        assert terms["regression"].item() == pytest.approx(w2 * regression)


def test_index_l1_is_in_log_depth() -> None:
    index, truth = image((1.0, 3.5)), image((2.0, 3.0))
    value = binned.index_l1_loss(index, truth, ones_like(truth), DECADES)
    assert value.item() == pytest.approx(math.log(10) * (1.0 + 0.5) / 2)


def test_pooled_target_averages_known_pixels() -> None:
    index, weight = image((1.0, 3.0), (9.0, 9.0)), image((1.0, 1.0), (0.0, 0.0))
    pooled, share = binned.pool_target(index, weight, (1, 1))
    assert pooled.item() == pytest.approx(2.0)
    assert share.item() == pytest.approx(0.5)


def test_gradient_loss_ignores_an_offset_and_sees_a_step() -> None:
    truth = image((0.0, 1.0), (0.0, 1.0))
    assert binned.gradient_loss(truth + 5, truth, ones_like(truth), DECADES, scales=1).item() == pytest.approx(0.0)
    flat = image((0.0, 0.0), (0.0, 0.0))
    # both rows miss a step of 1 across, none down; mean over the two directions of one scale
    value = binned.gradient_loss(flat, truth, ones_like(truth), DECADES, scales=1)
    assert value.item() == pytest.approx(math.log(10) * (1.0 + 0.0) / 2)


def test_gradient_loss_needs_both_ends_known() -> None:
    truth, known = image((0.0, 1.0), (0.0, 1.0)), image((1.0, 0.0), (1.0, 0.0))
    assert binned.gradient_loss(torch.zeros_like(truth), truth, known, DECADES, scales=1).item() == 0.0


def test_cross_entropy_splits_a_pixel_between_two_bins() -> None:
    probabilities = torch.tensor([0.1, 0.2, 0.3, 0.4])
    logits = probabilities.log()[None, :, None, None]
    # index 2.25 is three quarters bin 2 and one quarter bin 3
    value = binned.soft_bin_cross_entropy(logits, image((2.25,)), image((1.0,)))
    expected = -(0.75 * math.log(0.2) + 0.25 * math.log(0.3)) / math.log(4)
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_cross_entropy_of_a_cell_is_the_mean_over_its_known_pixels() -> None:
    logits = torch.tensor([0.1, 0.2, 0.3, 0.4]).log()[None, :, None, None]
    index, weight = image((1.0, 4.0), (3.0, 2.0)), image((1.0, 1.0), (1.0, 0.0))
    value = binned.soft_bin_cross_entropy(logits, index, weight)
    expected = -(math.log(0.1) + math.log(0.4) + math.log(0.3)) / 3 / math.log(4)
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_silog_forgives_most_of_an_offset() -> None:
    truth = image((1.0, 2.0, 3.0))
    value = binned.silog_loss(truth + 1, truth, ones_like(truth), DECADES, focus=0.85)
    assert value.item() == pytest.approx(math.log(10) * math.sqrt(0.15), rel=1e-5)


def test_target_normalises_focal_length_and_sends_the_far_to_the_last_bin() -> None:
    depth = image((20.0, float("nan"), float("inf"), 1e5, 0.1))
    target = target_of(depth, torch.tensor([2.0]), DECADES, beyond_weight=0.25)
    assert target.depth_m[0, 0, 0, [0, 2, 3, 4]].tolist() == pytest.approx([10.0, 1e4, 1e4, 1.0])
    assert target.index[0, 0, 0, [0, 2, 3, 4]].tolist() == pytest.approx([1.0, 4.0, 4.0, 0.0], abs=1e-5)
    assert target.weight[0, 0, 0].tolist() == [1.0, 0.0, 0.25, 0.25, 1.0]


def test_unknown_depth_gives_no_gradient_and_no_nan() -> None:
    depth = torch.full((1, 1, 8, 8), float("nan"))
    target = target_of(depth, torch.ones(1), DECADES, beyond_weight=0.3)
    levels = tuple(torch.full((1, 1, n, n), 2.0, requires_grad=True) for n in (1, 8))
    heads = DepthHeads(indices=levels, logits=torch.zeros(1, 4, 1, 1), depth_m=None)
    loss = torch.stack(list(refinement_objective(heads, target, DECADES, LossConfig()).values())).sum()
    loss.backward()
    assert loss.item() == 0.0
    assert all(float(level.grad.abs().sum()) == 0.0 for level in levels if level.grad is not None)


class Answer(torch.nn.Module):
    """A network that always answers the same heads."""

    def __init__(self, heads: DepthHeads) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, image: torch.Tensor) -> DepthHeads:
        return self.heads


def test_a_single_level_is_trained_by_equation_3() -> None:
    spec = DepthSpec(input_wh=(2, 1), min_m=1.0, max_m=1e4, num_bins=4, f_canonical_px=1.0)
    heads = DepthHeads(indices=(image((2.5, 1.0)),), logits=None, depth_m=image((90.0, 1030.0)))
    objective = DepthObjective(Answer(heads), spec, LossConfig())
    terms = objective(torch.zeros(1, 3, 1, 2), image((100.0, 1000.0)), torch.ones(1))
    assert set(terms) == {"loss", "classification", "regression"}
    assert terms["loss"].item() == pytest.approx((0.125 + 1.5) / 2 + 20.0)


def test_a_refined_map_is_trained_on_every_level() -> None:
    truth = image((10.0, 10.0), (100.0, 100.0))  # indices 1 and 2, mean 1.5
    heads = DepthHeads(indices=(image((2.0,)), image((1.0, 1.0), (2.0, 2.5))), logits=None, depth_m=None)
    target = target_of(truth, torch.ones(1), DECADES, beyond_weight=0.3)
    config = LossConfig(gradient=0.0, coarse_ce=0.0, level_decay=0.5)
    terms = refinement_objective(heads, target, DECADES, config)
    assert terms["index"].item() == pytest.approx(math.log(10) * 0.5 / 4, rel=1e-5)
    assert terms["auxiliary"].item() == pytest.approx(0.5 * math.log(10) * 0.5, rel=1e-5)


def test_relative_loss_is_abs_rel() -> None:
    bins = Bins(count=10, min_m=1.0, max_m=100.0)
    truth = torch.tensor([2.0, 10.0, 50.0]).view(1, 1, 1, 3)
    answer = torch.tensor([3.0, 5.0, 50.0]).view(1, 1, 1, 3)
    weight = torch.tensor([1.0, 1.0, 2.0]).view(1, 1, 1, 3)
    loss = binned.relative_loss(bins.index_of(answer, torch), bins.index_of(truth, torch), weight, bins)
    assert float(loss) == pytest.approx((0.5 + 0.5 + 0.0) / 4, abs=1e-5)
    far_off = binned.relative_loss(torch.full_like(truth, 10.0), torch.zeros_like(truth), weight, bins, limit=3.0)
    assert float(far_off) == pytest.approx(3.0, abs=1e-4)  # 100 m for 1 m counts as 4 m


def test_foreground_is_what_stands_before_its_row() -> None:
    bins = Bins(count=2, min_m=1.0, max_m=4.0)  # an index is a factor of two
    ground = (2.0,) * 16
    post = (*ground[:8], 1.0, *ground[9:])
    half = (*ground[:8], 1.5, *ground[9:])
    near = binned.foreground(image(ground, post, half, (0.0,) * 16), torch.ones(1, 1, 4, 16), bins)
    assert near[0, 0, 0].max() == 0  # even rows, near or far, stand before nothing
    assert near[0, 0, 3].max() == 0
    row = near[0, 0, 1]  # two pixels on either side: the mean around the post is (4 * 2 + 1) / 5
    assert row[8].item() == pytest.approx(0.8)
    assert row[:8].max() == row[9:].max() == 0
    assert near[0, 0, 2, 8].item() == pytest.approx(0.4)


def test_foreground_looks_at_known_pixels_alone() -> None:
    bins = Bins(count=2, min_m=1.0, max_m=4.0)
    index = image((0.0, 0.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0) * 2)
    known = image((0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0) * 2)
    near = binned.foreground(index, known, bins)
    assert near[0, 0, 0, 3].item() == pytest.approx(0.5)  # between itself and the one known neighbour


def test_foreground_weighs_the_errors_of_the_refined_map() -> None:
    bins = Bins(count=2, min_m=1.0, max_m=4.0)
    target = DepthTarget(
        depth_m=torch.ones(1, 1, 1, 16), index=image((2.0,) * 8 + (1.0,) + (2.0,) * 7), weight=torch.ones(1, 1, 1, 16)
    )
    heads = DepthHeads(indices=(target.index, torch.full((1, 1, 1, 16), 2.0)), logits=None, depth_m=None)
    plain = LossConfig(gradient=1.0)
    even = refinement_objective(heads, target, bins, plain)
    weighed = refinement_objective(heads, target, bins, replace(plain, foreground=2.0))
    assert even["index"].item() == pytest.approx(math.log(2) / 16)
    assert weighed["index"].item() == pytest.approx(math.log(2) * 2.6 / 17.6)  # its 0.8 counts 1 + 2 * 0.8
    assert weighed["gradient"].item() == even["gradient"].item()


@pytest.mark.parametrize("hw", [(228, 304), (82, 144), (57, 63)])
def test_a_coarse_level_is_held_to_the_pixels_that_its_cells_lie_over(hw: tuple[int, int]) -> None:
    """Networks round up when they halve and crop when they enlarge; a target stretched to a level lies elsewhere."""
    height, width = hw
    ramp = torch.arange(height, dtype=torch.float32)[None, None, :, None].expand(1, 1, height, width)
    size = hw
    for level in range(1, 6):
        size = (-(-size[0] // 2), -(-size[1] // 2))
        pooled, share = binned.pool_target(ramp, torch.ones_like(ramp), size)
        bilinear, known = metric.shrink_target(ramp, torch.ones_like(ramp), size)
        assert pooled.shape[-2:] == bilinear.shape[-2:] == size
        cells = [ramp[0, 0, row * 2**level : (row + 1) * 2**level, 0] for row in range(size[0])]
        assert torch.allclose(pooled[0, 0, :, 0], torch.stack([cell.mean() for cell in cells]), atol=1e-3)
        assert torch.allclose(share[0, 0, :, 0] * 2**level, torch.tensor([float(len(cell)) for cell in cells]))
        whole = slice(0, height // 2**level)
        assert torch.allclose(bilinear[0, 0, whole, 0], pooled[0, 0, whole, 0], atol=1e-3)
        assert float(known[0, 0, whole, 0].min()) == 1.0


def test_cross_entropy_of_an_odd_size_counts_every_pixel_once() -> None:
    logits = torch.zeros(1, 4, 2, 2)
    logits[:, 0, 1] = 20.0  # the lower cells are sure of bin 1
    index, weight = torch.full((1, 1, 3, 4), 4.0), torch.ones(1, 1, 3, 4)
    index[:, :, 2] = 1.0  # and it is there, in their one row of pixels
    value = binned.soft_bin_cross_entropy(logits, index, weight)
    assert value.item() == pytest.approx(8 / 12, abs=1e-4)  # the upper ones guess evenly: 1 of log 4 each
