"""Mixed precision on a CPU: depthwise convolutions stay in float32, and the gradients hardly move."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'edgedepth[train]'")

from edgedepth.trainers import create_network  # noqa: E402
from edgedepth.trainers.mixed import depthwise_in_float32  # noqa: E402
from edgedepth.trainers.models.blocks import DepthwiseSeparable  # noqa: E402
from edgedepth.trainers.models.registry import network_names  # noqa: E402
from tests.two_processes import TINY  # noqa: E402


def test_depthwise_computes_in_float32_and_pointwise_does_not() -> None:
    block = DepthwiseSeparable(8, 16, 5)
    assert depthwise_in_float32(block) == 1
    kinds = []
    for convolution in (block[0], block[1]):
        convolution.register_forward_hook(lambda _module, _inputs, output: kinds.append(output.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        block(torch.rand(2, 8, 9, 9, dtype=torch.bfloat16))
    assert kinds == [torch.float32, torch.bfloat16]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("hqmd", {"backbone": "small", "width": 32}),
        ("hqmd", {"backbone": "small", "width": 32, "decoder": "baseline"}),
        ("rside", {"backbone": "small"}),
        ("rsn", {"width": 0.125}),
        ("drnet", {"backbone": "small"}),
        ("drnet", {"backbone": "small", "second_branch": False}),
        ("ds-sidenet-low", {"width": 0.125}),
        ("edge-low", {**TINY, "regression": True}),
    ],
)
def test_depth_has_all_its_bits(name: str, options: dict[str, object]) -> None:
    """bfloat16 has no 2 m in a range of 0.3 to 10 m: its nearest value is 4 mm away."""
    network = create_network(name, **options)
    for convolution in (m for m in network.modules() if isinstance(m, torch.nn.Conv2d) and m.out_channels == 1):
        torch.nn.init.zeros_(convolution.weight)
        if convolution.bias.any():  # the last one, or the guess that is corrected
            torch.nn.init.constant_(convolution.bias, (2.0 - 0.3) / 9.7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        heads = network(torch.rand(2, 3, 32, 48))
    for level in getattr(heads, "levels_m", (heads.depth_m,)):
        assert torch.allclose(level, torch.tensor(2.0), atol=1e-4)


SMALLEST: dict[str, dict[str, object]] = {
    "ds-sidenet-low": {"width": 0.125, "fusion": True, "rgbd": True},
    "ds-sidenet-high": {"width": 0.125},
    "edge-low": {**TINY, "regression": True},
    "edge-high": TINY,
    "sid-deeplab": {"backbone": "small"},
    "hqmd": {"backbone": "small", "width": 8},
    "drnet": {"backbone": "small"},
    "rside": {"backbone": "small"},
    "rsn": {"width": 0.125},
}


@pytest.mark.parametrize("name", network_names())
def test_every_network_answers_depth_in_float32(name: str) -> None:
    network = create_network(name, **SMALLEST[name])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        heads = network(torch.rand(2, 3, 32, 48))
    regressed = () if heads.depth_m is None else (heads.depth_m,)
    further = tuple(index for _, index in getattr(heads, "further", ()))
    depths = (*heads.indices, *regressed, *further, *getattr(heads, "levels_m", ()))
    assert {depth.dtype for depth in depths} == {torch.float32}


def test_fused_indices_have_all_their_bits() -> None:
    network = create_network("ds-sidenet-high", width=0.125, fusion=True, num_bins=80)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fused = network.fusion(torch.full((1, 1, 5, 5), 70.1), torch.full((1, 1, 5, 5), 70.1))
    assert float(fused[0, 0, 2, 2].detach()) == pytest.approx(70.1, abs=1e-3)  # bfloat16 has 70 and 70.5


def test_gradients_agree_with_full_precision() -> None:
    torch.manual_seed(0)
    network = create_network("scene-small", dropout=0.0)
    image, label = torch.rand(4, 3, 48, 64), torch.tensor([0, 5, 12, 20])

    def gradient(module: torch.nn.Module, mixed: bool) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
            loss = torch.nn.functional.cross_entropy(module(image).float(), label)
        loss.backward()
        weight = module.fc.weight.grad
        assert weight is not None
        return weight.flatten()

    mixed = copy.deepcopy(network)
    depthwise_in_float32(mixed)
    full, half = gradient(network, False), gradient(mixed, True)
    assert half.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(full, half, dim=0) > 0.99
