"""Does an exported graph compute what the network computes?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgedepth.core.errors import ParityError
from edgedepth.core.manifest import Parity
from edgedepth.core.preprocess import BgrFrame, network_input
from edgedepth.engines import open_session
from edgedepth.export.original import exact_reference, reference


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """Limits of the relative difference: of its 99.9th percentile and of its maximum, over all pixels and frames."""

    p999: float
    maximum: float

    def holds(self, parity: Parity) -> bool:
        """True where a measurement is within both."""
        return parity.p999_relative <= self.p999 and parity.max_relative <= self.maximum


# fp32 graphs differ from torch by the order of summation only. Half precision keeps 11 bits, a step of one part in
# 2000 in every activation, and a pixel whose distribution over bins has two modes turns that into percents.
TOLERANCES = {
    "fp32": Tolerance(p999=1e-3, maximum=1e-2),
    "fp16": Tolerance(p999=5e-2, maximum=2e-1),
}

# How many times farther from float64 than the network's own float32 an fp32 graph may be, where that is beyond the
# limits: another order of summation is another draw of the same rounding errors.
ROUNDING = 2.0


def measure(expected: Sequence[NDArray[Any]], actual: Sequence[NDArray[Any]], *, against: str) -> Parity:
    """Relative differences |a - e| / max(|e|, 1e-3) of all values together.

    The floor matters to probabilities only, which may be zero: metres are never that small.

    Raises:
        ParityError: a value is not finite.
    """
    e = np.concatenate([np.ravel(x) for x in expected]).astype(np.float64)
    a = np.concatenate([np.ravel(x) for x in actual]).astype(np.float64)
    unknown = int(np.count_nonzero(~np.isfinite(e)))
    if unknown:
        raise ParityError(
            f"{unknown} of {e.size} values of the network itself are not finite; it is compared on black frames among"
            " others, so it must not divide by what these have none of, such as contrast"
        )
    lost = int(np.count_nonzero(~np.isfinite(a)))
    if lost:
        raise ParityError(f"{lost} of {a.size} exported values are not finite; export in fp32")
    relative = np.abs(a - e) / np.maximum(np.abs(e), 1e-3)
    return Parity(
        against=against,
        max_relative=float(relative.max()),
        mean_relative=float(relative.mean()),
        p999_relative=float(np.quantile(relative, 0.999)),
        frames=len(expected),
    )


def check(parity: Parity, tolerance: Tolerance, *, what: str) -> Parity:
    """Hold a measurement to its limits.

    Raises:
        ParityError: a limit is passed; the message has the numbers.
    """
    if not tolerance.holds(parity):
        raise ParityError(
            f"{what} does not agree with {parity.against} on {parity.frames} frames: relative difference "
            f"99.9th percentile {parity.p999_relative:.2e} (limit {tolerance.p999:.0e}), "
            f"maximum {parity.max_relative:.2e} (limit {tolerance.maximum:.0e})"
        )
    return parity


def parity_of(
    network: nn.Module,
    onnx_path: Path,
    frames: Sequence[BgrFrame],
    *,
    precision: str = "fp32",
    backend: str = "onnxruntime",
) -> Parity:
    """Run frames of network size through torch and through an exported file, and hold the difference to its limits.

    Raises:
        ParityError: they differ by more than `TOLERANCES` of the precision.
        BackendError: the backend refuses the file.
    """
    expected = [reference(network, frame) for frame in frames]
    exact = partial(exact_reference, network)
    return parity_with(expected, onnx_path, frames, against="torch", exact=exact, precision=precision, backend=backend)


def parity_with(
    expected: Sequence[NDArray[np.float32]],
    onnx_path: Path,
    frames: Sequence[BgrFrame],
    *,
    against: str,
    exact: Callable[[BgrFrame], NDArray[np.float64] | None] | None = None,
    precision: str = "fp32",
    backend: str = "onnxruntime",
) -> Parity:
    """Hold an exported file to the answers that are expected of it; see `parity_of`.

    exact: answers in float64, for networks that amplify rounding: an fp32 graph that differs by more than the limits is
        right if it is not much farther from these than the expected answers are (`ROUNDING`).
    """
    with open_session(onnx_path, backend) as session:
        name, first = session.inputs[0].name, session.outputs[0].name
        actual = [session.run({name: network_input(name, frame)}, [first])[first].copy() for frame in frames]
    parity = measure(expected, actual, against=against)
    tolerance = TOLERANCES[precision]
    if precision == "fp32" and exact is not None and not tolerance.holds(parity):
        answers = [exact(frame) for frame in frames]
        known = [answer for answer in answers if answer is not None]
        if len(known) == len(answers):
            return _amplified(known, expected, actual, parity, what=f"{onnx_path.name} on {backend}")
    return check(parity, tolerance, what=f"{onnx_path.name} on {backend}")


def _amplified(
    exact: Sequence[NDArray[np.float64]],
    expected: Sequence[NDArray[np.float32]],
    actual: Sequence[NDArray[np.float32]],
    parity: Parity,
    *,
    what: str,
) -> Parity:
    """Judge by the distance to float64; returns the parity with the network's own float32 all the same."""
    own = measure(exact, expected, against="float64")
    limits = Tolerance(
        p999=max(TOLERANCES["fp32"].p999, ROUNDING * own.p999_relative),
        maximum=max(TOLERANCES["fp32"].maximum, ROUNDING * own.max_relative),
    )
    check(measure(exact, actual, against="float64"), limits, what=what)
    return parity
