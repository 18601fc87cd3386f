"""edge-low and edge-high: shapes, sizes, parameters, the starting point, and what confidence means."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the networks need PyTorch: pip install 'edgedepth[train]'")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from edgedepth.core.bins import Bins  # noqa: E402
from edgedepth.core.errors import InputError, UnknownNameError  # noqa: E402
from edgedepth.trainers import classifier_names, create_network, network_names  # noqa: E402
from edgedepth.trainers.models.blocks import ShuffleUp, crop, halve, upsample  # noqa: E402
from edgedepth.trainers.models.heads import DepthHeads, SoftArgmax, depth_of_index  # noqa: E402
from edgedepth.trainers.models.registry import default_spec, resolve_options  # noqa: E402

TINY = {"widths": (8, 8, 16, 16, 16), "depths": (0, 1, 0, 0, 1), "decoder_widths": (16, 8, 8, 8)}


def gmacs(name: str, wh: tuple[int, int]) -> float:
    """Multiply-adds of the inference path in 1e9, counted on shapes alone."""
    with torch.device("meta"):
        network = create_network(name).eval()
        image = torch.zeros(1, 3, wh[1], wh[0])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return counter.get_total_flops() / 2e9


def test_names() -> None:
    ours = ("ds-sidenet-low", "ds-sidenet-high", "edge-low", "edge-high")
    assert network_names() == (*ours, "sid-deeplab", "hqmd", "drnet", "rside", "rsn")
    assert classifier_names() == ("scene-small", "scene-wrn18")


@pytest.mark.parametrize(
    ("name", "parameters", "cost"), [("edge-low", 1_521_701, 0.217), ("edge-high", 2_287_029, 0.418)]
)
def test_parameters_and_cost(name: str, parameters: int, cost: float) -> None:
    spec = default_spec(name)
    assert sum(p.numel() for p in create_network(name).parameters()) == parameters
    assert gmacs(name, spec.input_wh) == pytest.approx(cost, abs=1e-3)


@pytest.mark.parametrize("hw", [(64, 96), (33, 32), (61, 83), (1, 1), (2, 70)])
def test_every_size_is_met_exactly(hw: tuple[int, int]) -> None:
    network = create_network("edge-low", **TINY).eval()
    with torch.no_grad():
        depth_m, confidence = network(torch.rand(2, 3, *hw), confidence=True)
    assert depth_m.shape == confidence.shape == (2, 1, *hw)
    assert depth_m.dtype == torch.float32
    assert float(depth_m.min()) >= 0.3
    assert float(depth_m.max()) <= 10.0
    assert 0 <= float(confidence.min()) <= float(confidence.max()) <= 1 + 1e-6


def test_heads_hold_every_level() -> None:
    heads = create_network("edge-high", **TINY)(torch.rand(2, 3, 61, 83))
    assert isinstance(heads, DepthHeads)
    sizes = [(4, 6), (8, 11), (16, 21), (31, 42), (61, 83)]
    assert [tuple(i.shape) for i in heads.indices] == [(2, 1, *size) for size in sizes]
    assert heads.logits is not None
    assert heads.logits.shape == (2, 64, 4, 6)
    assert heads.depth_m is not None
    assert heads.depth_m.shape == (2, 1, 61, 83)


def test_without_half_the_whole_image_is_seen_throughout() -> None:
    network = create_network("edge-high", **TINY, half=False)
    heads = network(torch.rand(2, 3, 61, 83))
    assert [tuple(i.shape[2:]) for i in heads.indices] == [(8, 11), (16, 21), (31, 42), (61, 83)]
    assert heads.depth_m.shape == (2, 1, 61, 83)
    assert not any("refine_all" in name for name in network.state_dict())


@pytest.mark.parametrize("hw", [(64, 96), (61, 83)])
def test_half_is_the_same_network_on_half_the_image_and_one_correction(hw: tuple[int, int]) -> None:
    """All corrections start at zero, so that the answer is that of the network inside, enlarged."""
    half = create_network("edge-low", **TINY).eval()
    torch.nn.init.normal_(half.logits.weight)  # so that the guess is no constant
    inside = create_network("edge-low", **TINY, half=False).eval()
    state = half.state_dict()
    inside.load_state_dict({name: state[name] for name in inside.state_dict()})
    image = torch.rand(1, 3, *hw)
    with torch.no_grad():
        expected = upsample(inside(halve(image)).log(), hw).exp()
        assert torch.allclose(half(image), expected, rtol=1e-4)


def test_the_regression_branch_is_optional() -> None:
    network = create_network("edge-low", **TINY, regression=False)
    assert network(torch.rand(2, 3, 32, 32)).depth_m is None
    assert not any("regression" in name for name in network.state_dict())


@pytest.mark.parametrize("name", ["context", "regression", "half"])
def test_switches_are_true_or_false(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} must be true or false, but got 'False'"):
        create_network("edge-low", **TINY, **{name: "False"})


def test_training_starts_at_the_middle_of_the_range() -> None:
    torch.manual_seed(0)
    heads = create_network("edge-low", **TINY)(torch.rand(2, 3, 64, 64))
    for index in heads.indices:
        assert torch.allclose(index, torch.full_like(index, 32.5), atol=0.5)
    middle_m = math.sqrt(0.3 * 10)
    assert torch.allclose(heads.depth_m, torch.full_like(heads.depth_m, middle_m), atol=0.2)


def test_every_parameter_learns() -> None:
    network = create_network("edge-low", **TINY)
    # The corrections start at zero and so hide what lies before them for one step.
    for level in (network.refine4, network.refine2, network.refine1, network.refine_all):
        torch.nn.init.normal_(level.correction.weight)
    heads = network(torch.rand(2, 3, 64, 64))
    (heads.indices[-1].square().mean() + heads.depth_m.square().mean()).backward()
    still = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


def test_evaluation_decodes_the_finest_index() -> None:
    network = create_network("edge-low", **TINY)
    image = torch.rand(2, 3, 40, 56)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # running statistics become those of the last batch
    with torch.no_grad():
        network(image)
        depth_m = network.eval()(image)
        again = network(image, confidence=True)[0]
    assert torch.equal(depth_m, again)
    assert bool(torch.isfinite(depth_m).all())


def test_answers_do_not_depend_on_the_batch() -> None:
    network = create_network("edge-high", **TINY).eval()
    images = torch.rand(3, 3, 48, 64)
    with torch.no_grad():
        together = network(images)
        alone = torch.cat([network(image[None]) for image in images])
    assert torch.allclose(together, alone, rtol=1e-5)


def test_soft_argmax_by_hand() -> None:
    logits = torch.log(torch.tensor([0.1, 0.2, 0.3, 0.4])).view(1, 4, 1, 1)
    soft_argmax = SoftArgmax(4)
    expected, probabilities = soft_argmax(logits)
    assert float(expected) == pytest.approx(0.1 + 0.4 + 0.9 + 1.6)
    # The window of 1.5 bins about 3.0 holds bins 2, 3 and 4 but for half a bin at either end of 2 .. 4: the weights
    # of bins at distances 2, 1, 0 and 1 are 0, 1, 1 and 1.
    assert float(soft_argmax.confidence(probabilities, expected)) == pytest.approx(0.9)
    # About 2.5: distances 1.5, 0.5, 0.5, 1.5, weights 0.5, 1, 1, 0.5.
    shifted = soft_argmax.confidence(probabilities, torch.full((1, 1, 1, 1), 2.5))
    assert float(shifted) == pytest.approx(0.05 + 0.2 + 0.3 + 0.2)


def test_soft_argmax_survives_large_logits() -> None:
    logits = torch.zeros(1, 64, 1, 1)
    logits[0, 10] = 1e4
    expected, _ = SoftArgmax(64)(logits)
    assert float(expected) == pytest.approx(11.0)


def test_depth_of_index_is_clamped_to_the_range() -> None:
    bins = Bins(count=64, min_m=0.3, max_m=10.0)
    index = torch.tensor([-1e6, 0.0, 32.0, 64.0, 1e6])
    depth_m = depth_of_index(index, bins).numpy()
    np.testing.assert_allclose(depth_m, [0.3, 0.3, math.sqrt(3), 10.0, 10.0], rtol=1e-6)


def test_halve_averages_what_a_block_has() -> None:
    x = torch.arange(9.0).view(1, 1, 3, 3)
    np.testing.assert_array_equal(halve(x)[0, 0].numpy(), [[2.0, 3.5], [6.5, 8.0]])


def test_upsample_keeps_constants_and_crops() -> None:
    x = torch.full((1, 2, 3, 4), 5.0)
    assert torch.equal(upsample(x, (5, 8)), torch.full((1, 2, 5, 8), 5.0))
    assert crop(x, (3, 4)) is x


def test_shuffle_up_starts_without_a_checkerboard() -> None:
    up = ShuffleUp(8, 4).eval()
    y = up(torch.rand(1, 8, 3, 3), (6, 6))
    assert y.shape == (1, 4, 6, 6)
    blocks = y.view(1, 4, 3, 2, 3, 2)
    assert torch.allclose(blocks, blocks[:, :, :, :1, :, :1].expand_as(blocks), atol=1e-6)


def test_lists_stand_for_tuples() -> None:
    """Options come back from a checkpoint's JSON as lists."""
    listed = {key: list(value) for key, value in TINY.items()}
    assert resolve_options("edge-low", listed) == resolve_options("edge-low", TINY)


def test_the_contract_follows_the_options() -> None:
    spec = default_spec("edge-high", max_m=40.0, num_bins=32)
    assert (spec.max_m, spec.num_bins, spec.input_wh) == (40.0, 32, (448, 256))
    assert spec.beyond_m == pytest.approx(38.0)


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown network 'edge-mid'; known: ds-sidenet-low, .*scene-wrn18"):
        create_network("edge-mid")
    with pytest.raises(UnknownNameError, match=r"unknown option of edge-low 'width'; known: num_bins, .*widths"):
        create_network("edge-low", width=3)
    with pytest.raises(UnknownNameError, match=r"unknown depth network 'scene-small'"):
        default_spec("scene-small")


@pytest.mark.parametrize(
    "options",
    [
        {"widths": (8, 8, 12, 8, 8)},
        {"widths": (8, 8)},
        {"widths": (8, 8, 8, 8, 8, 8)},
        {"depths": (0, 0)},
        {"depths": (0, 0, 0, 0, -1)},
        {"decoder_widths": (0, 8, 8, 8)},
        {"decoder_widths": "wide"},
        {"num_bins": 1},
        {"min_m": 10.0, "max_m": 1.0},
        {"widths": None},
    ],
)
def test_impossible_options_are_refused_in_one_line(options: dict[str, object]) -> None:
    with pytest.raises(InputError) as refusal:
        create_network("edge-low", **options)
    assert "\n" not in str(refusal.value)
