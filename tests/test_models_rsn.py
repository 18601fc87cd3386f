"""rsn (papers/5): Table 1, pyramid pooling, guidance, iterations, learning."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the networks need PyTorch: pip install 'edgedepth[train]'")

from edgedepth.core.errors import InputError  # noqa: E402
from edgedepth.trainers import create_network  # noqa: E402
from edgedepth.trainers.models.rsn import POOLS, shrink  # noqa: E402
from tests.papers import on_meta, overfit, parameters  # noqa: E402

SMALL = {"width": 0.125}


def unit(c_in: int, c_out: int) -> int:
    """A residual unit: two 3x3 convolutions with batch norm, and a 1x1 one where the shapes differ."""
    shortcut = c_in * c_out + 2 * c_out if c_in != c_out else 0
    return 9 * c_out * (c_in + c_out) + 4 * c_out + shortcut


def conv(c_in: int, c_out: int, kernel: int = 3) -> int:
    return kernel**2 * c_in * c_out + 2 * c_out


def test_the_generation_module_is_table_1() -> None:
    network = on_meta("rsn", modules="generation")
    rows_1_6 = conv(3, 64, 7) + 3 * unit(64, 64) + conv(64, 128) + conv(128, 128)
    rows_7_20 = unit(128, 256) + 3 * unit(256, 256) + unit(256, 512) + 9 * unit(512, 512)
    rows_22_25 = 8 * conv(512, 64) + conv(1024, 512) + 16 * 512 * 256 + 2 * 256 + conv(256, 128)
    rows_26_30 = conv(256, 128) + 3 * conv(128, 128) + 9 * 128 + 1
    assert parameters(network) == rows_1_6 + rows_7_20 + rows_22_25 + rows_26_30
    full = network.generation.full(torch.zeros(1, 3, 240, 320, device="meta"))
    half = network.generation.reduced(full)
    assert (tuple(full.shape[1:]), tuple(half.shape[1:])) == ((128, 240, 320), (512, 120, 160))
    assert network.generation.pooling(half).shape == (1, 1024, 120, 160)


def test_the_refinement_module_is_table_1_with_the_coarse_depth() -> None:
    network = on_meta("rsn", modules="refinement", guidance="truth")
    features = conv(5, 64, 7) + 3 * conv(64, 64) + conv(64, 128) + conv(128, 128)
    rows_8_15 = 8 * conv(128, 16) + conv(256, 128) + 5 * conv(128, 128) + 9 * 128 + 1
    assert parameters(network) == features + rows_8_15


def test_iterations_share_their_weights() -> None:
    assert parameters(on_meta("rsn", iterations=1)) == parameters(on_meta("rsn", iterations=3))


def test_shrink_averages_cells_and_cut_cells() -> None:
    x = torch.arange(15.0).view(1, 1, 3, 5)
    assert shrink(x, 2)[0, 0].tolist() == [[3.0, 5.0, 6.5], [10.5, 12.5, 14.0]]
    assert float(shrink(x, 160)) == pytest.approx(7.0)
    assert POOLS == (2, 4, 8, 10, 20, 40, 80, 160)


@pytest.mark.parametrize("hw", [(21, 35), (16, 16), (1, 3)])
def test_every_size_is_met_exactly(hw: tuple[int, int]) -> None:
    network = create_network("rsn", **SMALL).eval()
    with torch.no_grad():
        depth_m = network(torch.rand(1, 3, *hw))
    assert depth_m.shape == (1, 1, *hw)
    assert 0.3 <= float(depth_m.min()) <= float(depth_m.max()) <= 10


def test_heads_are_the_support_and_every_iteration() -> None:
    heads = create_network("rsn", **SMALL)(torch.rand(2, 3, 16, 20))
    assert [tuple(level.shape) for level in heads.levels_m] == [(2, 1, 16, 20)] * 3
    assert heads.support_m.shape == (2, 1, 16, 20)
    assert heads.depth_m is heads.levels_m[-1]
    alone = create_network("rsn", modules="generation", **SMALL)(torch.rand(2, 3, 16, 20))
    assert len(alone.levels_m) == 1
    assert alone.levels_m[0] is alone.support_m


def test_the_coarse_depth_of_an_iteration_is_the_answer_of_the_one_before() -> None:
    network = create_network("rsn", iterations=2, **SMALL).eval()
    image, seen = torch.rand(1, 3, 8, 8), []
    network.refinement.register_forward_hook(lambda module, given, answer: seen.append((given, answer)))
    with torch.no_grad():
        network(image)
    (first, answer), (second, _) = seen
    assert torch.equal(first[1], first[2])  # the region support guides and is the first coarse depth
    assert torch.equal(second[1], first[1])
    assert torch.equal(second[2], answer)


@pytest.mark.parametrize(
    ("modules", "guidance"),
    [("both", "truth"), ("both", "semantic"), ("refinement", "truth"), ("refinement", "semantic")],
)
def test_guidance_is_given_and_asked_for(modules: str, guidance: str) -> None:
    network = create_network("rsn", modules=modules, guidance=guidance, **SMALL)
    image, given = torch.rand(2, 3, 8, 8), torch.rand(2, 1, 8, 8) + 1
    assert network(image, given).depth_m.shape == (2, 1, 8, 8)
    assert network.eval()(image, given).shape == (2, 1, 8, 8)
    with pytest.raises(InputError, match=f"guidance '{guidance}' takes an image and its guidance"):
        network(image)
    with pytest.raises(InputError, match="takes an image and nothing else"):
        create_network("rsn", **SMALL)(image, given)


def test_true_support_is_the_first_coarse_depth() -> None:
    network = create_network("rsn", modules="refinement", guidance="truth", iterations=1, **SMALL).eval()
    seen = []
    network.refinement.register_forward_hook(lambda module, given, answer: seen.append(given))
    with torch.no_grad():
        network(torch.rand(1, 3, 4, 4), torch.full((1, 1, 4, 4), 10.0))
    assert torch.equal(seen[0][1], torch.ones(1, 1, 4, 4))  # 10 m is the end of the range
    assert torch.equal(seen[0][2], seen[0][1])


def test_it_learns_eight_images() -> None:
    assert overfit("rsn", steps=60, lr=8e-3, hw=(12, 16), iterations=2, **SMALL) < 0.05


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"modules": "none"}, "modules must be"),
        ({"guidance": "depth"}, "guidance must be"),
        ({"modules": "refinement"}, "no generated region support"),
        ({"iterations": 0}, "iterations must be"),
        ({"width": 0.1}, "width must be a multiple of 1/8"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        create_network("rsn", **options)
