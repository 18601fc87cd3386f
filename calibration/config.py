"""How a bundle is calibrated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import get_args

from edgedepth.calibration.forms import FORMS, form_for
from edgedepth.calibration.frames import CHECK_EVERY, LEAST, LIMIT
from edgedepth.calibration.guard import Budget
from edgedepth.calibration.layers import Kind
from edgedepth.calibration.qdq import Form
from edgedepth.calibration.ranges import METHODS, method_named
from edgedepth.core.errors import InputError, UnknownNameError

# Step, how much of it is done, and how much there is (0: nobody knows).
Progress = Callable[[str, int, int], object]


def silent(step: str, done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, kw_only=True)
class CalibrationConfig:
    """How a bundle is calibrated.

    methods: for ranges, of `edgedepth.calibration.ranges.METHODS`; the best on the check frames is taken.
    budget: what INT8 may cost. backends: whose forms are made, of `edgedepth.calibration.forms.FORMS`; the first that
        is installed decides between recipes.
    explain: measure every layer's sensitivity even where the budget holds at once.
    limit: frames kept per network.
    float_kinds: kinds of layers (see `edgedepth.calibration.layers.Layer`) that stay floating point on every backend.

    Raises:
        UnknownNameError: a method, backend or kind of layer is unknown.
        InputError: none is given, no kind of layer is left, or too few frames are asked for.
    """

    methods: tuple[str, ...] = tuple(METHODS)
    budget: Budget = field(default_factory=Budget)
    backends: tuple[str, ...] = tuple(FORMS)
    explain: bool = False
    limit: int = LIMIT
    float_kinds: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.methods or not self.backends:
            raise InputError("a calibration needs at least one method and one backend")
        if self.limit - self.limit // CHECK_EVERY < LEAST:
            raise InputError(
                f"of {self.limit} frames too few are left to observe, for every {CHECK_EVERY}th is kept to check on;"
                f" ask for {LEAST * CHECK_EVERY // (CHECK_EVERY - 1)} or more"
            )
        for method in self.methods:
            method_named(method)
        for kind in self.float_kinds:
            if kind not in get_args(Kind):
                raise UnknownNameError.of("kind of layer", kind, get_args(Kind))
        for backend in self.backends:
            if not self.form(backend).kinds:
                raise InputError(f"with {', '.join(self.float_kinds)} in floating point nothing is left for {backend}")

    def form(self, backend: str) -> Form:
        """The INT8 form of a backend, without the kinds of layers that stay floating point."""
        form = form_for(backend)
        return replace(form, kinds=form.kinds.difference(self.float_kinds))
