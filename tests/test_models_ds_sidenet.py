"""DS-SIDENet against Tables 1 and 2 of its paper: sizes of every block, parameters, cost, options."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="the networks need PyTorch: pip install 'edgedepth[train]'")

from torch.nn import functional as F  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from edgedepth.core.errors import InputError  # noqa: E402
from edgedepth.trainers import create_network  # noqa: E402
from edgedepth.trainers.config import LossConfig  # noqa: E402
from edgedepth.trainers.losses.objectives import DepthObjective  # noqa: E402
from edgedepth.trainers.models.blocks import halve  # noqa: E402
from edgedepth.trainers.models.ds_sidenet import UpProj, unpool  # noqa: E402
from edgedepth.trainers.models.registry import default_spec, resolve_options  # noqa: E402
from edgedepth.trainers.models.stacks import StackedAtrous, StackedHourglass  # noqa: E402

# (channels, reduction) after each block, as printed.
TABLE1 = {
    "ds-sidenet-low": ((64, 2), (128, 4), (256, 8), (256, 16), (512, 32)),
    "ds-sidenet-high": ((64, 2), (128, 4), (256, 4), (256, 4), (128, 4)),
}
# The last row is printed 1 x W x H: that is after the output layer, which here follows the upproj of block 5.
TABLE2 = {
    "ds-sidenet-low": ((256, 16), (128, 8), (64, 4), (32, 2), (16, 1)),
    "ds-sidenet-high": ((64, 4), (32, 4), (32, 4), (16, 2), (8, 1)),
}

# Encoder channels joined in each decoding block of the low network, times what the block makes of them.
SKIPPED = 256 * 256 + 256 * 128 + 128 * 64 + 64 * 32


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def on_meta(name: str, **options: object) -> torch.nn.Module:
    """A network of shapes without numbers, so that full sizes cost nothing."""
    with torch.device("meta"):
        return create_network(name, **options).eval()


def pyramid_of(wh: tuple[int, int]) -> list[torch.Tensor]:
    images = [torch.zeros(1, 3, wh[1], wh[0], device="meta")]
    for _ in range(4):
        images.append(halve(images[-1]))
    return images


@pytest.mark.parametrize("name", TABLE1)
@pytest.mark.parametrize(
    ("stack", "stack_at"), [("none", 3), ("sam", 3), ("shg", 3), ("sam", 4), ("shg", 4), ("sam", 5), ("shg", 5)]
)
def test_block_sizes_are_those_of_the_tables(name: str, stack: str, stack_at: int) -> None:
    wh = (640, 480) if name == "ds-sidenet-low" else default_spec(name).input_wh
    network = on_meta(name, stack=stack, stack_at=stack_at)
    pyramid = pyramid_of(wh)
    encoded = network.encoder(pyramid[0])
    decoded = network.classifier.stages(encoded, pyramid)
    for outputs, table in ((encoded, TABLE1[name]), (decoded, TABLE2[name])):
        sizes = [tuple(x.shape[1:]) for x in outputs]
        assert sizes == [(channels, wh[1] // factor, wh[0] // factor) for channels, factor in table]
    assert network.logits(decoded[-1]).shape == (1, 80, wh[1], wh[0])


def test_sizes_not_divisible_by_32_round_up_inside() -> None:
    """320x240 is the paper's own size, and 240 / 32 = 7.5."""
    pyramid = pyramid_of((320, 240))
    network = on_meta("ds-sidenet-low")
    encoded = network.encoder(pyramid[0])
    assert tuple(encoded[-1].shape) == (1, 512, 8, 10)
    decoded = network.classifier.stages(encoded, pyramid)
    assert [tuple(x.shape[2:]) for x in decoded] == [(15, 20), (30, 40), (60, 80), (120, 160), (240, 320)]


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("ds-sidenet-low", {"branches": "cls"}, 15_394_896),
        ("ds-sidenet-low", {}, 30_412_481),
        ("ds-sidenet-high", {"branches": "cls"}, 2_336_672),
        ("ds-sidenet-high", {}, 4_400_793),
        # Without a skip, the two 5x5 convolutions of blocks 1 to 4 lose its channels.
        ("ds-sidenet-low", {"branches": "cls", "skip_rgb": False}, 15_394_896 - 50 * 3 * (256 + 128 + 64 + 32)),
        ("ds-sidenet-low", {"branches": "cls", "skip_encoding": False}, 15_394_896 - 50 * SKIPPED),
        (
            "ds-sidenet-low",
            {"branches": "cls", "skip_encoding": False, "skip_rgb": False},
            15_394_896 - 50 * (SKIPPED + 3 * (256 + 128 + 64 + 32)),
        ),
    ],
)
def test_parameters(name: str, options: dict[str, object], expected: int) -> None:
    assert parameters(on_meta(name, **options)) == expected


@pytest.mark.parametrize(("name", "expected"), [("ds-sidenet-low", 19.68), ("ds-sidenet-high", 85.83)])
def test_cost_of_inference(name: str, expected: float) -> None:
    """Multiply-adds in 1e9 of the answering branch alone, at the paper's size."""
    width, height = default_spec(name).input_wh
    network = on_meta(name)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, height, width, device="meta"))
    assert counter.get_total_flops() / 2e9 == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("name", TABLE1)
@pytest.mark.parametrize("hw", [(61, 83), (1, 1), (32, 33)])
def test_every_size_is_met_exactly(name: str, hw: tuple[int, int]) -> None:
    network = create_network(name, branches="cls", num_bins=8).eval()
    spec = default_spec(name)
    with torch.no_grad():
        depth_m, confidence = network(torch.rand(1, 3, *hw), confidence=True)
    assert depth_m.shape == confidence.shape == (1, 1, *hw)
    assert spec.min_m <= float(depth_m.min()) <= float(depth_m.max()) <= spec.max_m
    assert 0 <= float(confidence.min()) <= float(confidence.max()) <= 1 + 1e-6


def test_heads_of_both_branches_start_at_the_middle() -> None:
    torch.manual_seed(0)
    heads = create_network("ds-sidenet-high", num_bins=8)(torch.rand(2, 3, 24, 36))
    assert [tuple(i.shape) for i in heads.indices] == [(2, 1, 24, 36)]
    assert heads.logits.shape == (2, 8, 24, 36)
    assert torch.allclose(heads.indices[0], torch.full_like(heads.indices[0], 4.5), atol=0.1)
    assert torch.allclose(heads.depth_m, torch.full_like(heads.depth_m, 80**0.5), atol=1.0)


@pytest.mark.parametrize("branches", ["cls", "reg"])
def test_a_branch_alone_has_only_its_heads(branches: str) -> None:
    network = create_network("ds-sidenet-high", branches=branches, num_bins=8)
    heads = network(torch.rand(2, 3, 16, 24))
    assert (heads.logits is None) == (not heads.indices) == (branches == "reg")
    assert (heads.depth_m is None) == (branches == "cls")


def test_every_parameter_learns() -> None:
    network = create_network("ds-sidenet-high", num_bins=8, stack="none")
    heads = network(torch.rand(2, 3, 16, 24))
    (heads.indices[0].square().mean() + heads.depth_m.square().mean()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_the_answering_branch_is_a_choice() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 3, 16, 24)
    networks = [create_network("ds-sidenet-high", num_bins=8, answer=answer).eval() for answer in (None, "cls", "reg")]
    networks[1].load_state_dict(networks[0].state_dict())
    networks[2].load_state_dict(networks[0].state_dict())
    with torch.no_grad():
        default, classified, regressed = (network(image) for network in networks)
        raw = networks[2].train(False)._regress(*_features(networks[2], image))
    assert torch.equal(default, classified)
    assert torch.equal(regressed, raw.clamp(1.0, 80.0))
    with pytest.raises(InputError, match="answer 'reg' has no confidence"):
        networks[2](image, confidence=True)


def _features(network: torch.nn.Module, image: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    pyramid = [network.normalise(image)]
    for _ in range(2):
        pyramid.append(halve(pyramid[-1]))
    return network.encoder(pyramid[0]), pyramid


def test_unpool_inserts_zeros() -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(1, 1, 2, 2)
    expected = torch.tensor([[1.0, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]])
    assert torch.equal(unpool(x, (4, 4))[0, 0], expected)
    assert torch.equal(unpool(x, (3, 3))[0, 0], expected[:3, :3])


def test_upproj_adds_its_two_paths() -> None:
    block = UpProj(4, 2, c_skip=3).eval()
    x, skip = torch.rand(1, 4, 3, 3), torch.rand(1, 3, 6, 5)
    joined = torch.cat((unpool(x, (6, 5)), skip), dim=1)
    with torch.no_grad():
        assert torch.allclose(block(x, (6, 5), (skip,)), F.relu(block.main(joined) + block.side(joined)))
    assert [m.kernel_size for m in block.modules() if isinstance(m, torch.nn.Conv2d)] == [(5, 5), (3, 3), (5, 5)]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("ds-sidenet-high", {"stack": "fpn"}, "stack must be one of"),
        ("ds-sidenet-high", {"stack_at": 2}, "stack_at must be one of"),
        ("ds-sidenet-low", {"branches": "cls", "fusion": True}, "fusion needs branches 'both'"),
        ("ds-sidenet-low", {"answer": "fused"}, "'fused' cannot answer where branches is 'both' and fusion False"),
        ("ds-sidenet-low", {"branches": "none"}, "branches must be one of"),
        ("ds-sidenet-low", {"branches": "cls", "answer": "reg"}, "'reg' cannot answer where branches is 'cls'"),
        ("ds-sidenet-high", {"skip_rgb": "yes"}, "skip_rgb must be one of"),
        ("ds-sidenet-high", {"max_m": 0.5}, "max_m must exceed min_m"),
    ],
)
def test_impossible_options_are_refused(name: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said) as refusal:
        create_network(name, **options)
    assert "\n" not in str(refusal.value)


def test_the_high_network_has_sam_by_default() -> None:
    assert (resolve_options("ds-sidenet-high", {}).stack, resolve_options("ds-sidenet-high", {}).stack_at) == ("sam", 3)
    assert parameters(on_meta("ds-sidenet-high").classifier.stack) == 3 * (6 * 9 + 2) * 32 * 32 + 3 * 8 * 64


@pytest.mark.parametrize(("stack_at", "channels"), [(3, 32), (4, 16), (5, 8)])
def test_stacks_replace_a_block_that_keeps_the_size_and_follow_one_that_does_not(stack_at: int, channels: int) -> None:
    plain = parameters(on_meta("ds-sidenet-high", stack="none", branches="cls"))
    third = parameters(on_meta("ds-sidenet-high", stack="none").classifier.blocks[2])
    for stack, weights in (("sam", 3 * (54 + 2)), ("shg", 3 * (9 * (2 + 4 + 4 + 4 + 4 + 2)))):
        network = on_meta("ds-sidenet-high", stack=stack, stack_at=stack_at, branches="cls")
        norms = sum(p.numel() for p in network.classifier.stack.parameters() if p.ndim == 1)
        added = weights * channels**2 + norms - (third if stack_at == 3 else 0)
        assert parameters(network) == plain + added


@pytest.mark.parametrize("hw", [(5, 7), (8, 8), (1, 1)])
@pytest.mark.parametrize("stack", [StackedAtrous, StackedHourglass])
def test_stacks_keep_every_size(stack: type[torch.nn.Module], hw: tuple[int, int]) -> None:
    assert stack(8).eval()(torch.rand(1, 8, *hw)).shape == (1, 8, *hw)


def test_fusion_starts_as_the_mean_of_both_branches_in_bins() -> None:
    torch.manual_seed(0)
    network = create_network("ds-sidenet-high", num_bins=8, fusion=True)
    heads = network(torch.rand(2, 3, 16, 24))
    ((name, fused),) = heads.further
    inside = heads.depth_m.clamp(1.0, 80.0)
    expected = (heads.indices[0] + network.bins.index_of(inside, torch)) / 2
    assert name == "fusion"
    assert torch.allclose(fused, expected, atol=1e-4)
    image = torch.rand(1, 3, 16, 24)
    network.eval()
    with torch.no_grad():
        assert network(image).shape == (1, 1, 16, 24)
    with pytest.raises(InputError, match="answer 'fused' has no confidence"):
        network(image, confidence=True)


def test_the_branches_are_not_trained_through_their_fusion() -> None:
    network = create_network("ds-sidenet-high", num_bins=8, fusion=True)
    ((_, fused),) = network(torch.rand(2, 3, 16, 24)).further
    fused.mean().backward()
    assert {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None} == {"fusion"}


def test_rgbd_joins_a_coarse_depth_that_has_its_own_loss() -> None:
    torch.manual_seed(0)
    network = create_network("ds-sidenet-high", num_bins=8, rgbd=True, branches="cls")
    assert network.encoder.block1[0][0].in_channels == 4
    assert network.coarse.options.layout == "low"
    heads = network(torch.rand(2, 3, 16, 24))
    ((name, coarse),) = heads.further
    assert (name, coarse.shape) == ("coarse", (2, 1, 16, 24))
    heads.indices[0].mean().backward()
    assert all(p.grad is None for p in network.coarse.parameters())
    network.eval()
    with torch.no_grad():
        assert network(torch.rand(1, 3, 9, 11)).shape == (1, 1, 9, 11)


def test_every_branch_and_addition_has_a_loss_term() -> None:
    torch.manual_seed(0)
    options = {"num_bins": 8, "fusion": True, "rgbd": True}
    network = create_network("ds-sidenet-high", **options)
    batch = torch.rand(2, 3, 16, 24), torch.rand(2, 1, 16, 24) * 60 + 2, torch.ones(2)
    spec = default_spec("ds-sidenet-high", **options)
    soft = DepthObjective(network, spec, LossConfig())(*batch)
    assert set(soft) == {"loss", "classification", "regression", "coarse", "fusion"}
    hard = DepthObjective(network, spec, LossConfig(hard=True))(*batch)
    assert float(hard["classification"].detach()) == pytest.approx(math.log(8), abs=0.05)  # nothing is known yet
    assert float(soft["classification"].detach()) != pytest.approx(float(hard["classification"].detach()), abs=0.1)


def test_width_is_a_share_of_the_channels_of_tables_1_and_2() -> None:
    whole, quarter = (create_network("ds-sidenet-low", width=width) for width in (1.0, 0.25))
    shapes = [tuple(network.state_dict()["encoder.block5.1.0.weight"].shape[:2]) for network in (whole, quarter)]
    assert shapes == [(512, 256), (128, 64)]
    with pytest.raises(InputError, match="width must be a multiple of 1/8"):
        create_network("ds-sidenet-low", width=0.3)
