"""Mixed precision on a CPU: bfloat16 where it is faster, float32 where it is not.

Pointwise and dense convolutions take half the time in bfloat16 on a CPU that multiplies it natively. The gradients of
depthwise convolutions take two to sixty times as long there, so that a step as a whole would gain nothing.
"""

from __future__ import annotations

from torch import Tensor, autocast, nn


def depthwise_in_float32(module: nn.Module) -> int:
    """Have every depthwise convolution below `module` compute in float32 under autocast on a CPU; answers how many."""
    depthwise = [m for m in module.modules() if isinstance(m, nn.Conv2d) and m.groups == m.in_channels > 1]
    for convolution in depthwise:
        convolution.forward = _InFloat32(convolution)  # type: ignore[assignment, method-assign]
    return len(depthwise)


class _InFloat32:
    """The forward of a convolution, with autocast off; a class, so that the module can still be copied and pickled."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        self.convolution = convolution

    def __call__(self, x: Tensor) -> Tensor:
        with autocast("cpu", enabled=False):
            return nn.Conv2d.forward(self.convolution, x.float())
