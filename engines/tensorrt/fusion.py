"""What the kernels of an engine do: how much of it computes, and how much only moves data about."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from edgedepth.engines.tensorrt.kernels import COMPUTING, Kernel

Role = Literal["convolution", "resampling", "arithmetic", "movement"]
ROLES: tuple[Role, ...] = ("convolution", "resampling", "arithmetic", "movement")

# Entries of the list that launch no work of their own: they order streams.
_ORDERING = frozenset({"signal", "wait"})
# The builder writes what went into a generated kernel into its name, four letters each: __myl_CastTranMulAdd_myl0_3.
_GENERATED = re.compile(r"__myl_([A-Za-z0-9]+)_myl")
_MOVING = frozenset({"Cast", "Tran", "Resh", "Move", "Slic", "Conc", "Gath", "Copy"})
_RESAMPLING = frozenset({"Resi", "Pool"})


def work_of(kernels: Iterable[Kernel]) -> tuple[Kernel, ...]:
    """The kernels that do something: without those that only order streams."""
    return tuple(kernel for kernel in kernels if kernel.kind not in _ORDERING)


def role_of(kernel: Kernel) -> Role:
    """What a kernel is for. A convolution with bias, activation and sum in one is a convolution."""
    if kernel.kind in COMPUTING:
        return "convolution"
    steps = set(steps_of(kernel))
    if "pool" in kernel.kind.lower() or steps & _RESAMPLING:
        return "resampling"
    return "movement" if steps and steps <= _MOVING else "arithmetic"


def steps_of(kernel: Kernel) -> tuple[str, ...]:
    """The steps of a generated kernel, in the builder's abbreviations; empty for others."""
    match = _GENERATED.search(kernel.name)
    return tuple(re.findall(r"[A-Z][a-z0-9]*", match[1])) if match else ()


def kernels_by_role(kernels: Iterable[Kernel]) -> dict[str, int]:
    """How many kernels there are of each role."""
    roles = [role_of(kernel) for kernel in work_of(kernels)]
    return {role: roles.count(role) for role in ROLES if role in roles}
