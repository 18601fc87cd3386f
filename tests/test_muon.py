"""Muon: what it does to matrices, that the rest is AdamW's, and that a run resumes with its momentum."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from edgedepth.trainers.muon import Muon, is_matrix, orthogonalised  # noqa: E402


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 8, 40), (2, 40, 8)])
def test_singular_values_are_brought_to_about_one(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 1e-3
    result = orthogonalised(matrices)
    assert result.shape == shape
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    stretched = (left.mT @ result @ right.mT).diagonal(dim1=-2, dim2=-1)
    assert stretched.min() > 0.5
    assert stretched.max() < 1.3
    off = left.mT @ result @ right.mT - torch.diag_embed(stretched)
    assert off.abs().max() < 1e-4  # the singular vectors stay


def test_a_matrix_is_a_linear_layer_or_a_pointwise_convolution_of_some_width() -> None:
    weights = [
        torch.nn.Linear(8, 8).weight,
        torch.nn.Conv2d(8, 16, 1).weight,
        torch.nn.Conv2d(8, 1, 1).weight,
        torch.nn.Conv2d(8, 8, 3).weight,
        torch.nn.Conv2d(8, 8, 5, groups=8).weight,
        torch.nn.Linear(8, 8).bias,
    ]
    assert [is_matrix(weight) for weight in weights] == [True, True, False, False, False, False]


def test_one_step_has_the_size_of_adamw_and_no_other_direction_than_the_gradient() -> None:
    weight = torch.nn.Parameter(torch.zeros(16, 24, 1, 1))
    weight.grad = torch.randn(16, 24, 1, 1, generator=torch.Generator().manual_seed(2))
    wanted = orthogonalised(weight.grad.flatten(1)[None])[0] * (0.2 * 24**0.5)
    Muon([{"params": [weight], "weight_decay": 0.0}], lr=0.1).step()
    # the first momentum is (1 - 0.95) of the gradient and Nesterov's update a multiple of it: the factor drops out
    torch.testing.assert_close(weight.detach().flatten(1), -0.1 * wanted)
    assert weight.detach().square().mean().sqrt() == pytest.approx(0.1 * 0.2, rel=0.3)


def _model() -> torch.nn.Module:
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 1))


def _train(model: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: int, first: int = 0) -> None:
    for step in range(first, first + steps):
        image = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        (model(image) - image.mean()).square().mean().backward()
        optimizer.step()


def test_all_but_matrices_are_stepped_as_adamw_does() -> None:
    ours, theirs = _model(), _model()
    for model, kind in ((ours, Muon), (theirs, torch.optim.AdamW)):
        _train(model, kind([{"params": list(model.parameters()), "weight_decay": 0.1}], lr=0.01), 1)
    other = theirs.state_dict()
    equal = {name: torch.equal(weight, other[name]) for name, weight in ours.state_dict().items()}
    assert equal == {"0.weight": True, "0.bias": True, "2.weight": False, "2.bias": True}


def test_a_resumed_run_takes_the_same_steps() -> None:
    whole = _model()
    optimizer = Muon([{"params": list(whole.parameters())}], lr=0.01)
    _train(whole, optimizer, 3)
    resumed = copy.deepcopy(whole)
    again = Muon([{"params": list(resumed.parameters())}], lr=0.01)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    _train(whole, optimizer, 2, first=3)
    _train(resumed, again, 2, first=3)
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_loss_of_a_closure_is_answered() -> None:
    model = _model()
    optimizer = Muon([{"params": list(model.parameters())}], lr=0.01)

    def closure() -> float:
        optimizer.zero_grad()
        loss = model(torch.ones(1, 3, 6, 6)).square().mean()
        loss.backward()
        return float(loss.detach())

    wanted = closure()
    assert optimizer.step(closure) == wanted
    assert closure() < wanted
