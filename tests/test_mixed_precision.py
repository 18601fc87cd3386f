"""Mixed precision on a CPU: depthwise convolutions stay in float32, and the gradients hardly move."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'edgedepth[train]'")

from edgedepth.trainers import create_network  # noqa: E402
from edgedepth.trainers.mixed import depthwise_in_float32  # noqa: E402
from edgedepth.trainers.models.blocks import DepthwiseSeparable  # noqa: E402


def test_depthwise_computes_in_float32_and_pointwise_does_not() -> None:
    block = DepthwiseSeparable(8, 16, 5)
    assert depthwise_in_float32(block) == 1
    kinds = []
    for convolution in (block[0], block[1]):
        convolution.register_forward_hook(lambda _module, _inputs, output: kinds.append(output.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        block(torch.rand(2, 8, 9, 9, dtype=torch.bfloat16))
    assert kinds == [torch.float32, torch.bfloat16]


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
