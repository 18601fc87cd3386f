"""hqmd (papers/3): counts of the full network, sizes, the two decoders, learning."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the networks need PyTorch: pip install 'edgedepth[train]'")

from edgedepth.core.errors import InputError  # noqa: E402
from edgedepth.trainers import create_network  # noqa: E402
from edgedepth.trainers.models.registry import default_spec  # noqa: E402
from tests.papers import giga_macs, needs_timm, on_meta, overfit, parameters  # noqa: E402

SMALL = {"backbone": "small", "width": 32}


@needs_timm
def test_the_full_network_has_the_size_of_deeplab_v3_plus() -> None:
    network = on_meta("hqmd")
    backbone, low, pyramid = 23_508_032, 256 * 48 + 96, 2048 * 256 * (1 + 3 * 9 + 1) + 5 * 256 * 256 + 6 * 512
    decoder = (304 + 256) * 9 * 256 + 2 * 512
    assert parameters(network) == backbone + low + pyramid + decoder + (256 * 16 + 32) + 17
    assert giga_macs(network, default_spec("hqmd").input_wh) == pytest.approx(31.16, abs=0.01)
    baseline = on_meta("hqmd", decoder="baseline")
    assert parameters(baseline) == backbone + low + pyramid + decoder + 257


@needs_timm
def test_the_pyramid_pooling_sees_one_sixteenth() -> None:
    features = on_meta("hqmd").backbone(torch.zeros(1, 3, 289, 385, device="meta"))
    assert [tuple(x.shape[1:]) for x in features] == [
        (64, 145, 193), (256, 73, 97), (512, 37, 49), (1024, 19, 25), (2048, 19, 25),
    ]  # fmt: skip


@pytest.mark.parametrize("decoder", ["baseline", "baseline+"])
@pytest.mark.parametrize("hw", [(33, 47), (16, 16), (1, 5)])
def test_every_size_is_met_exactly(decoder: str, hw: tuple[int, int]) -> None:
    network = create_network("hqmd", decoder=decoder, **SMALL).eval()
    with torch.no_grad():
        depth_m = network(torch.rand(2, 3, *hw))
    assert depth_m.shape == (2, 1, *hw)
    assert depth_m.dtype == torch.float32
    assert 0.3 <= float(depth_m.min()) <= float(depth_m.max()) <= 10


def test_training_answers_heads_in_metres() -> None:
    torch.manual_seed(0)
    heads = create_network("hqmd", **SMALL)(torch.rand(2, 3, 24, 32))
    assert heads.indices == ()
    assert heads.logits is None
    assert len(heads.levels_m) == 1
    assert heads.depth_m is heads.levels_m[-1]
    assert heads.depth_m.shape == (2, 1, 24, 32)
    middle = (0.3 * 10) ** 0.5
    assert torch.allclose(heads.depth_m, torch.full_like(heads.depth_m, middle), atol=0.1)


def test_baseline_plus_predicts_at_full_size_and_baseline_at_a_quarter() -> None:
    seen = []
    for decoder in ("baseline+", "baseline"):
        network = create_network("hqmd", decoder=decoder, **SMALL).eval()
        network.last.register_forward_hook(lambda _module, given, _answer: seen.append(tuple(given[0].shape[1:])))
        with torch.no_grad():
            network(torch.rand(1, 3, 32, 48))
    assert seen == [(16, 32, 48), (32, 8, 12)]


def test_it_learns_eight_images() -> None:
    assert overfit("hqmd", steps=40, lr=4e-3, **SMALL) < 0.05


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"decoder": "plus"}, "decoder must be"),
        ({"backbone": "vgg16"}, "backbone must be one of small, resnet18"),
        ({"backbone": "senet154"}, "senet154 has no dilated form"),
        ({"output_stride": 4}, "output_stride must be one of"),
        ({"width": 12}, "width must be a multiple of 8"),
        ({"min_m": 10.0}, "max_m must exceed min_m"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        create_network("hqmd", **options)
