"""Muon: momentum whose matrices are made orthogonal before they are subtracted, AdamW for everything else.

After Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024, with the scale of Liu et al.,
"Muon is scalable for LLM training", 2025, section 2.2: updates have the root mean square that AdamW's have, so that
learning rate and weight decay mean the same in both. `torch.optim.Muon` takes 2-D parameters alone, one at a time and
in bfloat16; here pointwise convolutions are matrices too, and those of one shape go through the iteration together, in
float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

_LEAST = 8  # rows and columns of what counts as a matrix: a correction's single row has nothing to make orthogonal
_COEFFICIENTS = 3.4445, -4.7750, 2.0315  # of the quintic iteration: steepest at 0, fixed points near 1
_STEPS = 5  # of that iteration
_MOMENTUM = 0.95
_ADAM_RMS = 0.2  # of AdamW's updates, in units of the learning rate


def is_matrix(parameter: Tensor) -> bool:
    """Whether a weight is that of a linear layer or a pointwise convolution, and not all but a vector."""
    pointwise = parameter.ndim == 2 or (parameter.ndim == 4 and tuple(parameter.shape[2:]) == (1, 1))
    return pointwise and min(parameter.shape[:2]) >= _LEAST


def orthogonalised(matrices: Tensor) -> Tensor:
    """Each of (N, rows, columns) with its singular values brought to about 1 (0.7 to 1.2), by Newton-Schulz."""
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x: Tensor = matrices.mT if tall else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    for _ in range(_STEPS):
        square = x @ x.mT
        x = a * x + (b * square + c * (square @ square)) @ x
    return x.mT if tall else x


class Muon(torch.optim.AdamW):
    """Muon with Nesterov's momentum for the parameters that `is_matrix` names, AdamW for the others.

    Learning rate and weight decay of a group hold for both.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; the gradients of matrices are used up by it, so that AdamW passes over them."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            by_shape: dict[tuple[int, ...], list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None and is_matrix(parameter):
                    by_shape.setdefault(tuple(parameter.shape[:2]), []).append(parameter)
            for parameters in by_shape.values():
                self._step_matrices(parameters, group)
        super().step()
        return loss

    def _step_matrices(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        updates = []
        for parameter in parameters:
            gradient, state = parameter.grad, self.state[parameter]
            assert gradient is not None
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
                state["step"] = torch.zeros(())  # AdamW looks for it when a state is loaded
            state["momentum"].lerp_(gradient, 1 - _MOMENTUM)
            updates.append(gradient.lerp(state["momentum"], _MOMENTUM).flatten(1))
            parameter.grad = None
        lr = group["lr"]
        scale = _ADAM_RMS * max(parameters[0].shape[:2]) ** 0.5
        for parameter, update in zip(parameters, orthogonalised(torch.stack(updates)), strict=True):
            parameter.mul_(1 - lr * group["weight_decay"]).sub_(update.view_as(parameter), alpha=lr * scale)
