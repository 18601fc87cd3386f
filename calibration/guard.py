"""The accuracy guard: what INT8 may cost, what it does cost, and the search for a mix that holds the budget."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedepth.calibration.frames import CheckFrame
from edgedepth.calibration.layers import Layer, share_of_macs
from edgedepth.calibration.switchboard import Switchboard
from edgedepth.core.errors import InputError
from edgedepth.core.manifest import GoldenLimits
from edgedepth.core.metrics import DepthErrors, mean_metrics
from edgedepth.core.preprocess import BgrFrame, network_input

Answer = Callable[[BgrFrame], NDArray[np.float32]]
# Frames that the sensitivity of layers is measured on; it orders layers, so few do.
SENSITIVITY_FRAMES = 8


@dataclass(frozen=True, kw_only=True)
class Score:
    """Mean over images of two metrics of depth at network size, against the truth or against FP32."""

    abs_rel: float
    delta1: float


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What INT8 may cost a network.

    abs_rel: by what part of FP32's own abs_rel it may grow; delta1: by how much it may fall.
    drift: where frames have no truth, the largest abs_rel of INT8 against FP32; delta1 then is against FP32 as well.

    Raises:
        InputError: a number is negative.
    """

    abs_rel: float = 0.02
    delta1: float = 0.005
    drift: float = 0.03

    def __post_init__(self) -> None:
        if min(self.abs_rel, self.delta1, self.drift) < 0:
            raise InputError(f"a budget has no negative numbers, but got {self}")

    def holds(self, fp32: Score, int8: Score, *, labelled: bool) -> bool:
        """True where INT8 costs no more than this."""
        limit = fp32.abs_rel * (1 + self.abs_rel) if labelled else self.drift
        return bool(int8.abs_rel <= limit and int8.delta1 >= fp32.delta1 - self.delta1)

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read "ABS_REL", "ABS_REL,DELTA1" or "ABS_REL,DELTA1,DRIFT".

        Raises:
            InputError: the text is not of that form.

        >>> Budget.parse("0.05,0.01").delta1
        0.01
        """
        try:
            values = [float(part) for part in text.split(",")]
        except ValueError:
            values = []
        if not 1 <= len(values) <= 3:
            raise InputError(f"--budget is ABS_REL[,DELTA1[,DRIFT]], for example 0.02,0.005,0.03, but got {text!r}")
        return cls(**dict(zip(("abs_rel", "delta1", "drift"), values, strict=False)))


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """What a layer costs if it alone is INT8: signal to noise of its output, and the change of abs_rel."""

    layer: Layer
    snr_db: float
    abs_rel_change: float


@dataclass(frozen=True, kw_only=True)
class Mix:
    """A choice of layers: those left in floating point, worst first, and the score of the rest in INT8.

    int8_macs: the part of the network's work that is done in INT8, 0..1.
    """

    kept_float: tuple[str, ...]
    int8_macs: float
    score: Score


def score(answer: Answer, frames: Iterable[CheckFrame]) -> Score:
    """Score a predictor on frames that have their truth; frames without a known pixel are left out.

    Raises:
        InputError: no frame has a known pixel.
    """
    kept = tuple(frames)
    return score_depths((answer(frame.image) for frame in kept), kept)


def score_depths(depths: Iterable[NDArray[np.float32]], frames: Iterable[CheckFrame]) -> Score:
    """Score what was answered for frames, (h, w) metres each, in their order; see `score`."""
    rows = []
    for depth, frame in zip(depths, frames, strict=True):
        assert frame.truth_m is not None
        known = np.isfinite(frame.truth_m)
        if known.any():
            predicted = depth[known].astype(np.float64)
            # an INT8 network that collapsed may answer anything: that must be a bad score, not an error
            predicted = np.where(np.isfinite(predicted) & (predicted > 0), predicted, 1e-3)
            rows.append(DepthErrors.of(predicted, frame.truth_m[known].astype(np.float64)).values())
    if not rows:
        raise InputError("no check frame has a pixel with a true depth in the network's range")
    mean = mean_metrics(rows)
    return Score(abs_rel=mean["abs_rel"], delta1=mean["delta1"])


def astray(answer: Answer, golden: Iterable[CheckFrame], limits: GoldenLimits) -> str:
    """How a predictor fails on a bundle's golden frames, in words; empty where it does not, or where there are none.

    A calibration on frames unlike what the network is for can be perfect on its own check frames; it shows here.
    """
    frames = tuple(golden)
    if not frames:
        return ""
    found = score(answer, frames)
    if found.abs_rel <= limits.max_abs_rel and found.delta1 >= limits.min_delta1:
        return ""
    return (
        f"on the bundle's golden frames it is {100 * found.abs_rel:.1f} % from FP32, with delta1 {found.delta1:.3f}"
        f" (limits {100 * limits.max_abs_rel:g} % and {limits.min_delta1:g})"
    )


def answer_of(session: Any) -> Answer:
    """A session of a depth network as a function from a frame at network size to (h, w) metres."""
    name = session.inputs[0].name
    return lambda frame: session.run({name: network_input(name, frame)}, ["depth_m"])["depth_m"][0, 0]


def sensitivities(board: Switchboard, frames: Sequence[CheckFrame]) -> list[Sensitivity]:
    """Every layer's cost by itself, worst first.

    The signal to noise of all layers comes from one pass; the change of abs_rel from one switched run per layer.
    """
    few = frames[:: max(1, len(frames) // SENSITIVITY_FRAMES)][:SENSITIVITY_FRAMES]
    power = np.mean([board.powers(frame.image) for frame in few], axis=0)
    base = mixed_score(board, few, ())
    found = [
        Sensitivity(
            layer=layer,
            snr_db=float(10 * np.log10(max(signal, 1e-30) / max(noise, 1e-30))),
            abs_rel_change=mixed_score(board, few, [layer.name]).abs_rel - base.abs_rel,
        )
        for layer, (signal, noise) in zip(board.layers, power, strict=True)
    ]
    return sorted(found, key=lambda entry: -entry.abs_rel_change)


def mixed_score(board: Switchboard, frames: Sequence[CheckFrame], int8: Collection[str]) -> Score:
    """The score with these layers in INT8 and the others in FP32."""
    return score(lambda frame: board.depth(frame, int8), frames)


def search(
    board: Switchboard, frames: Sequence[CheckFrame], worst_first: Sequence[str], holds: Callable[[Score], bool]
) -> tuple[Mix | None, list[Mix]]:
    """The mix with the fewest layers in floating point that holds, and all mixes tried, by their number.

    Layers leave INT8 in the order given: 1, 2, 4, ... at first, then the gap to the last failure is halved. One layer
    at least stays in INT8, or it would not be a mix.
    """
    tried: dict[int, Mix] = {}

    def attempt(count: int) -> bool:
        tried[count] = mix_of(board, frames, worst_first, count)
        return holds(tried[count].score)

    failed, count, most = -1, 0, len(worst_first) - 1
    while not attempt(count):
        if count >= most:
            return None, [tried[n] for n in sorted(tried)]
        failed, count = count, min(max(1, 2 * count), most)
    while count - failed > 1:
        middle = (count + failed) // 2
        if attempt(middle):
            count = middle
        else:
            failed = middle
    return tried[count], [tried[n] for n in sorted(tried)]


def sweep(board: Switchboard, frames: Sequence[CheckFrame], worst_first: Sequence[str], points: int = 9) -> list[Mix]:
    """Mixes from all layers in INT8 to none, the worst ones leaving first: the curve of accuracy against work."""
    counts = sorted({round(value) for value in np.linspace(0, len(worst_first), points)})
    return [mix_of(board, frames, worst_first, count) for count in counts]


def mix_of(board: Switchboard, frames: Sequence[CheckFrame], worst_first: Sequence[str], count: int) -> Mix:
    """The mix whose first `count` layers are in floating point."""
    kept = tuple(worst_first[:count])
    int8 = [layer for layer in board.layers if layer.name not in kept]
    score = mixed_score(board, frames, [layer.name for layer in int8])
    return Mix(kept_float=kept, int8_macs=share_of_macs(int8, board.graph), score=score)
