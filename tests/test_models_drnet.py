"""drnet and its competitor rside (papers/4): counts with every backbone, levels, the rows of Table 3, learning."""

from __future__ import annotations

import warnings

import pytest

torch = pytest.importorskip("torch", reason="the networks need PyTorch: pip install 'edgedepth[train]'")

from edgedepth.core.errors import InputError  # noqa: E402
from edgedepth.trainers import create_network  # noqa: E402
from edgedepth.trainers.models import backbones  # noqa: E402
from edgedepth.trainers.models.backbones import StemPool, create_backbone  # noqa: E402
from edgedepth.trainers.models.registry import default_spec  # noqa: E402
from tests.papers import giga_macs, needs_timm, on_meta, overfit, parameters  # noqa: E402

SMALL = {"backbone": "small"}
# Millions of parameters and 1e9 multiply-adds at 304x228. Hu et al. give 67.57 M for their ResNet-50.
COUNTS = {
    ("drnet", "resnet50"): (29.72, 7.32),
    ("drnet", "resnet152"): (64.35, 18.07),
    ("drnet", "densenet161"): (41.64, 14.44),
    ("drnet", "senet154"): (119.28, 31.54),
    ("rside", "resnet50"): (67.57, 107.03),
    ("rside", "resnet152"): (102.21, 117.78),
    ("rside", "densenet161"): (78.41, 141.00),
    ("rside", "senet154"): (157.10, 131.10),
}


@needs_timm
@pytest.mark.parametrize(("name", "backbone"), COUNTS)
def test_size_and_cost_with_every_backbone(name: str, backbone: str) -> None:
    network = on_meta(name, backbone=backbone)
    millions, cost = COUNTS[name, backbone]
    assert parameters(network) / 1e6 == pytest.approx(millions, abs=0.01)
    assert giga_macs(network, default_spec(name).input_wh) == pytest.approx(cost, abs=0.02)


@pytest.mark.parametrize(
    "backbone", ["small", *(pytest.param(name, marks=needs_timm) for name in ("resnet18", "densenet161", "senet154"))]
)
@pytest.mark.parametrize("hw", [(228, 304), (57, 83), (1, 1)])
def test_every_backbone_rounds_up_at_every_level(backbone: str, hw: tuple[int, int]) -> None:
    with torch.device("meta"):
        body = create_backbone(backbone).eval()
        features = body(torch.zeros(1, 3, *hw))
    assert [x.shape[1] for x in features] == list(body.channels)
    assert [tuple(x.shape[2:]) for x in features] == [(-(-hw[0] // 2**k), -(-hw[1] // 2**k)) for k in range(1, 6)]


def test_dilation_keeps_the_maps_large() -> None:
    sizes = [tuple(x.shape[2:]) for x in create_backbone("small", output_stride=8).eval()(torch.rand(1, 3, 33, 47))]
    assert sizes == [(17, 24), (9, 12), (5, 6), (5, 6), (5, 6)]


def test_the_stem_pool_of_senet_is_its_own_on_even_sizes() -> None:
    x = torch.rand(1, 2, 12, 18)
    assert torch.equal(StemPool(reach=0)(x), torch.nn.MaxPool2d(3, 2, ceil_mode=True)(x))
    assert torch.equal(StemPool(reach=1)(x), torch.nn.MaxPool2d(3, 2, padding=1)(x))
    assert StemPool(reach=0)(x[..., :17]).shape == (1, 2, 6, 9)


@needs_timm
def test_missing_pretrained_weights_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    network = create_network("drnet", backbone="resnet18")
    before = network.backbone.body.conv1.weight.detach().clone()

    def offline(*, pretrained: bool) -> None:
        raise FileNotFoundError("no such host\nsecond line")

    monkeypatch.setattr(network.backbone, "_create", offline)
    with pytest.warns(UserWarning, match=r"no ImageNet weights of resnet18 could be had \(no such host\); it starts"):
        assert not backbones.load_imagenet(network)
    assert torch.equal(before, network.backbone.body.conv1.weight)
    with pytest.warns(UserWarning, match="no backbone with ImageNet weights"):
        assert not backbones.load_imagenet(create_network("drnet", **SMALL))


@needs_timm
def test_pretrained_weights_are_taken_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    other = create_backbone("resnet18")
    network = create_network("drnet", backbone="resnet18")
    monkeypatch.setattr(network.backbone, "_create", lambda *, pretrained: other.body)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert backbones.load_imagenet(network)
    assert torch.equal(other.body.conv1.weight, network.backbone.body.conv1.weight)


@pytest.mark.parametrize("name", ["drnet", "rside"])
@pytest.mark.parametrize("hw", [(57, 83), (32, 32), (1, 3)])
def test_every_size_is_met_exactly(name: str, hw: tuple[int, int]) -> None:
    network = create_network(name, **SMALL).eval()
    with torch.no_grad():
        depth_m = network(torch.rand(1, 3, *hw))
    assert depth_m.shape == (1, 1, *hw)
    assert 0.3 <= float(depth_m.min()) <= float(depth_m.max()) <= 10


def test_six_levels_are_supervised_on_five_scales() -> None:
    """papers/4, eq. 1 counts levels 0 to 5; levels 1 and 2 are both at 1/4."""
    heads = create_network("drnet", **SMALL)(torch.rand(2, 3, 64, 96))
    assert [tuple(level.shape[2:]) for level in heads.levels_m] == [
        (2, 3), (4, 6), (8, 12), (16, 24), (16, 24), (64, 96),
    ]  # fmt: skip
    middle = (0.3 * 10) ** 0.5
    for level in heads.levels_m:  # corrections start at nothing
        assert torch.allclose(level, torch.full_like(level, middle), atol=0.1)


@pytest.mark.parametrize(
    ("options", "levels"),
    [({}, 6), ({"diagonal": False}, 6), ({"auxiliary": False}, 1), ({"second_branch": False}, 1)],
)
def test_rows_of_table_3(options: dict[str, object], levels: int) -> None:
    network = create_network("drnet", **SMALL, **options)
    heads = network(torch.rand(2, 3, 32, 32))
    assert len(heads.levels_m) == levels
    sum(level.square().mean() for level in heads.levels_m).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_diagonal_connections_are_one_channel_of_branch_one() -> None:
    whole, without = (create_network("drnet", diagonal=d, **SMALL) for d in (True, False))
    for level in ("level4", "level3", "level2", "level1"):
        assert getattr(whole, level).channels == getattr(without, level).channels + 1
        assert getattr(whole, level).correction.in_channels == getattr(without, level).correction.in_channels


def test_a_correction_adds_to_the_enlarged_guess() -> None:
    network = create_network("drnet", **SMALL).eval()
    torch.nn.init.constant_(network.level0.correction.bias, 0.1)  # 0.1 of the range
    with torch.no_grad():
        depth_m = network(torch.rand(1, 3, 64, 64))
    assert float(depth_m.mean()) == pytest.approx((0.3 * 10) ** 0.5 + 0.1 * 9.7, abs=0.1)


def test_they_learn_eight_images() -> None:
    assert overfit("drnet", steps=40, lr=4e-3, **SMALL) < 0.05
    assert overfit("rside", steps=100, lr=4e-3, hw=(16, 24), **SMALL) < 0.05


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("drnet", {"backbone": "vgg"}, "backbone must be one of"),
        ("drnet", {"diagonal": 1}, "diagonal must be true or false"),
        ("rside", {"max_m": 0.1}, "max_m must exceed"),
    ],
)
def test_impossible_options_are_refused(name: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        create_network(name, **options)
