"""sid-deeplab (papers/2): classes, decoding, spacing, sizes, learning."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="the networks need PyTorch: pip install 'edgedepth[train]'")

from torch import nn  # noqa: E402

from edgedepth.core.errors import InputError  # noqa: E402
from edgedepth.trainers import create_network  # noqa: E402
from edgedepth.trainers.models.aspp import SumASPP  # noqa: E402
from edgedepth.trainers.models.registry import default_spec  # noqa: E402
from tests.papers import needs_timm, on_meta, overfit, parameters  # noqa: E402

SMALL = {"backbone": "small"}


class Fixed(nn.Module):
    """Scores that are given instead of computed."""

    def __init__(self, scores: torch.Tensor) -> None:
        super().__init__()
        self.scores = scores

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scores


def answering(scores: list[float], **options: object) -> nn.Module:
    network = create_network("sid-deeplab", num_bins=len(scores), **SMALL, **options).eval()
    network.aspp = Fixed(torch.tensor(scores).view(1, -1, 1, 1))
    return network


@needs_timm
def test_the_full_network_is_deeplab_v2_with_71_classes() -> None:
    network = on_meta("sid-deeplab")
    assert parameters(network) == 42_500_160 + 4 * (2048 * 9 * 71 + 71)
    features = network.backbone(torch.zeros(1, 3, 420, 800, device="meta"))
    assert [tuple(x.shape[1:]) for x in features[1:]] == [
        (256, 105, 200), (512, 53, 100), (1024, 53, 100), (2048, 53, 100),
    ]  # fmt: skip
    assert network(torch.zeros(1, 3, 420, 800, device="meta")).shape == (1, 1, 420, 800)
    assert [branch.dilation for branch in network.aspp.branches] == [(6, 6), (12, 12), (18, 18), (24, 24)]


def test_branches_are_summed() -> None:
    pyramid = SumASPP(4, 3, (1, 2)).eval()
    x = torch.rand(1, 4, 6, 6)
    with torch.no_grad():
        assert torch.allclose(pyramid(x), pyramid.branches[0](x) + pyramid.branches[1](x))


def test_an_interval_is_decoded_by_its_middle() -> None:
    """Four intervals of 1..16 m: boundaries 1, 2, 4, 8, 16 (SID) or 1, 4.75, 8.5, 12.25, 16 (UD)."""
    scores = [0.0, 0.0, 50.0, 0.0]
    image = torch.rand(1, 3, 9, 11)
    sid = answering(scores, min_m=1.0, max_m=16.0)(image)
    assert sid.shape == (1, 1, 9, 11)
    assert float(sid.mean()) == pytest.approx(math.sqrt(4 * 8), rel=1e-4)
    uniform = answering(scores, min_m=1.0, max_m=16.0, spacing="uniform")(image)
    assert float(uniform.mean()) == pytest.approx((8.5 + 12.25) / 2, rel=1e-4)


def test_expectation_and_mode_differ_where_the_distribution_is_wide() -> None:
    scores = [math.log(0.4), math.log(0.3), math.log(0.3), -100.0]
    image = torch.rand(1, 3, 4, 4)
    expected = answering(scores, min_m=1.0, max_m=16.0)(image)
    assert float(expected.mean()) == pytest.approx(2 ** (0.4 * 0.5 + 0.3 * 1.5 + 0.3 * 2.5), rel=1e-4)
    mode = answering(scores, min_m=1.0, max_m=16.0, decode="mode")(image)
    assert float(mode.mean()) == pytest.approx(2**0.5, rel=1e-4)


@pytest.mark.parametrize("hw", [(33, 47), (1, 5)])
def test_every_size_is_met_exactly(hw: tuple[int, int]) -> None:
    network = create_network("sid-deeplab", **SMALL).eval()
    with torch.no_grad():
        depth_m, confidence = network(torch.rand(1, 3, *hw), confidence=True)
    assert depth_m.shape == confidence.shape == (1, 1, *hw)
    assert 1 <= float(depth_m.min()) <= float(depth_m.max()) <= 80
    assert 0 <= float(confidence.min()) <= float(confidence.max()) <= 1 + 1e-6


def test_heads_and_contract() -> None:
    heads = create_network("sid-deeplab", **SMALL)(torch.rand(2, 3, 16, 24))
    assert heads.logits.shape == (2, 71, 16, 24)
    assert heads.depth_m is None
    assert torch.allclose(heads.indices[0], torch.full_like(heads.indices[0], 35.5), atol=2)
    spec = default_spec("sid-deeplab", spacing="uniform")
    assert (spec.num_bins, spec.spacing, spec.input_wh) == (71, "uniform", (800, 420))
    assert spec.bins.width == pytest.approx(79 / 71)


def test_it_learns_eight_images() -> None:
    assert overfit("sid-deeplab", steps=100, lr=1e-2, min_m=1.0, max_m=20.0, **SMALL) < 0.05


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"spacing": "linear"}, "spacing"),
        ({"decode": "median"}, "decode must be"),
        ({"backbone": "densenet161"}, "densenet161 has no dilated form"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        create_network("sid-deeplab", **options)
