"""Boundary F1: which jumps of depth are found, and which are left out."""

from __future__ import annotations

import numpy as np
import pytest

from edgedepth.core.errors import InputError
from edgedepth.evaluation import boundary_f1


def test_boundary_f1_of_a_step_that_is_found_missed_or_moved() -> None:
    truth = np.array([[1.0, 1.0, 2.0, 2.0]])
    assert boundary_f1(truth * 3, truth) == 1.0  # scale does not matter
    assert boundary_f1(np.ones((1, 4)), truth) == 0.0
    assert boundary_f1(np.array([[1.0, 2.0, 2.0, 2.0]]), truth) == 0.0  # one pixel off
    assert boundary_f1(np.array([[2.0, 2.0, 1.0, 1.0]]), truth) == 0.0  # the wrong side is near
    # The true step and two that are not: precision 1/3, recall 1.
    assert boundary_f1(np.array([[1.0, 2.0, 4.0, 8.0]]), truth) == pytest.approx(0.5)
    # A step of 1.16 is found by the five ratios below it, 1.05 to 1.1389, of ten.
    ratios = np.linspace(1.05, 1.25, 10)
    found = boundary_f1(np.array([[1.0, 1.0, 1.16, 1.16]]), truth)
    assert found == pytest.approx(ratios[ratios < 1.16].sum() / ratios.sum())


def test_boundary_f1_leaves_out_what_is_unknown() -> None:
    truth = np.array([[1.0, np.nan, 2.0], [1.0, 1.0, 1.0]])
    assert boundary_f1(np.array([[1.0, 1.0, 2.0], [1.0, 1.0, 1.0]]), truth) == 1.0
    assert boundary_f1(np.ones((2, 2)), np.ones((2, 2))) is None
    with pytest.raises(InputError, match="same shape"):
        boundary_f1(np.ones((2, 2)), np.ones((2, 3)))
    with pytest.raises(InputError, match="finite and positive"):
        boundary_f1(np.array([[np.nan, 1.0]]), np.ones((1, 2)))
