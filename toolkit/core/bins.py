"""Depth discretisation: bin indices and the depths they stand for (papers/1 eq. 1, DORN's spacing-increasing bins)."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

Spacing = Literal["log", "uniform"]


class Bins(BaseModel):
    """`count` (K) bins over [min_m, max_m], spaced in the logarithm of depth (SID) or uniformly (UD).

    Following eq. 1 of the DS-SIDENet paper, with alpha = min_m, beta = max_m and q the bin width::

        b = round((log10(x) - log10(alpha)) / q),    q = (log10(beta) - log10(alpha)) / K

    so that index 0 is alpha, index K is beta, and the K classes of a network are the indices 1..K: the expected
    index of a distribution p is sum_j j * p_j over j = 1..K. The ratio of logarithms does not depend on the base.
    All methods take numpy arrays, or torch tensors with `xp=torch`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(ge=2, le=1024)
    min_m: float = Field(gt=0)
    max_m: float = Field(gt=0)
    spacing: Spacing = "log"

    @model_validator(mode="after")
    def _ordered(self) -> Bins:
        if self.max_m <= self.min_m:
            raise ValueError(f"max_m must exceed min_m, but got [{self.min_m}, {self.max_m}]")
        return self

    @property
    def width(self) -> float:
        """The bin width q: in natural logarithm of metres ("log"), in metres ("uniform")."""
        if self.spacing == "log":
            return math.log(self.max_m / self.min_m) / self.count
        return (self.max_m - self.min_m) / self.count

    def index_of(self, depth_m: Any, xp: ModuleType = np) -> Any:
        """Continuous index of a depth in metres: 0 at min_m, `count` at max_m; not clamped."""
        if self.spacing == "log":
            return (xp.log(depth_m) - math.log(self.min_m)) / self.width
        return (depth_m - self.min_m) / self.width

    def quantise(self, depth_m: Any, xp: ModuleType = np) -> Any:
        """The bin 1..K of a depth in metres (eq. 1), as floating point; depths outside the range go to the end bins."""
        return xp.clip(xp.round(self.index_of(depth_m, xp)), 1, self.count)

    def depth_of(self, index: Any, xp: ModuleType = np) -> Any:
        """Depth in metres of a (possibly fractional) index."""
        if self.spacing == "log":
            return xp.exp(index * self.width + math.log(self.min_m))
        return index * self.width + self.min_m
