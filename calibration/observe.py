"""What the activations of a network look like on real frames: extremes, histograms and channel statistics.

One pass over the frames gives all that every method of `edgedepth.calibration.ranges` needs, in memory that depends on
the network and not on the number of frames.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgedepth.core.errors import InputError
from edgedepth.core.preprocess import BgrFrame, network_input
from edgedepth.engines import open_session
from edgedepth.export.passes.graph import Graph

BINS = 2048  # per sign
# Values of a tensor that a frame adds to its histogram; extremes and channel statistics use all of them.
_SAMPLED = 1 << 14

Progress = Callable[[int], object]  # told how many frames are done


def silent(done: int) -> None:
    """Tell nobody."""


@dataclass
class Histogram:
    """Counts of a tensor's values by size and sign, in bins that double in width when a larger value comes.

    limit: the upper edge of the last bin, a power of two. positive, negative: (BINS,) counts of values in
        (0, limit] and [-limit, 0). zeros: values that are exactly zero, which no rounding changes.
    """

    limit: float = 0.0
    zeros: int = 0
    positive: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    negative: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def add(self, values: NDArray[Any]) -> None:
        """Count finite values of any shape."""
        flat = values.ravel()
        self.zeros += int(np.count_nonzero(flat == 0))
        largest = float(np.abs(flat).max(initial=0.0))
        if largest == 0.0:
            return
        self._reach(largest)
        for counts, part in ((self.positive, flat[flat > 0]), (self.negative, -flat[flat < 0])):
            # divided first: of the smallest numbers there are, BINS / limit is more than float32 holds
            index = np.minimum((part / self.limit * BINS).astype(np.int64), BINS - 1)
            counts += np.bincount(index, minlength=BINS)

    def _reach(self, largest: float) -> None:
        """Widen the bins until the largest value falls into them."""
        if self.limit == 0.0:
            self.limit = float(2.0 ** np.ceil(np.log2(largest)))
        while largest > self.limit:
            self.limit *= 2
            for counts in (self.positive, self.negative):
                counts[: BINS // 2] = counts[0::2] + counts[1::2]
                counts[BINS // 2 :] = 0

    @property
    def magnitude(self) -> NDArray[np.int64]:
        """(BINS,) counts of absolute values in (0, limit]."""
        return self.positive + self.negative

    @property
    def centres(self) -> NDArray[np.float64]:
        """(BINS,) the middle of each bin's absolute values."""
        centres: NDArray[np.float64] = (np.arange(BINS, dtype=np.float64) + 0.5) * np.float64(self.limit / BINS)
        return centres

    @property
    def total(self) -> int:
        """Values counted, zeros included."""
        return self.zeros + int(self.magnitude.sum())


@dataclass
class Statistics:
    """What is known of one activation (N, C, H, W).

    low, high: exact extremes. count: frames seen. channel_max, channel_mean: (C,) of absolute values and of values;
        empty for tensors that are not images.
    """

    low: float = np.inf
    high: float = -np.inf
    count: int = 0
    histogram: Histogram = field(default_factory=Histogram)
    channel_max: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    channel_sum: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def add(self, values: NDArray[np.float32], name: str) -> None:
        """Take in the activation of one frame.

        Raises:
            InputError: a value is not finite.
        """
        image = values.ndim == 4
        lows, highs = (values.min(axis=(0, 2, 3)), values.max(axis=(0, 2, 3))) if image else (values, values)
        low, high = float(lows.min()), float(highs.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise InputError(f"tensor {name!r} is not finite in FP32; this network cannot be calibrated")
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.count += 1
        flat = values.ravel()
        stride = 1 if flat.size <= _SAMPLED else _stride(values.shape)
        self.histogram.add(flat[::stride])
        if image:
            largest = np.maximum(highs, -lows).astype(np.float64)
            mean = values.mean(axis=(0, 2, 3), dtype=np.float64)
            first = self.count == 1
            self.channel_max = largest if first else np.maximum(self.channel_max, largest)
            self.channel_sum = mean if first else self.channel_sum + mean

    @property
    def channel_mean(self) -> NDArray[np.float64]:
        """(C,) mean over frames and pixels."""
        return self.channel_sum / max(self.count, 1)


def observe(
    model: onnx.ModelProto,
    frames: Iterable[BgrFrame],
    tensors: Sequence[str],
    *,
    progress: Progress = silent,
) -> dict[str, Statistics]:
    """Run the FP32 graph over frames and gather the statistics of activations.

    frames: (H, W, 3) uint8 BGR at network size. progress: called with the number of frames done.

    Raises:
        InputError: there are no frames, or an activation is not finite.
    """
    found = {name: Statistics() for name in tensors}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "observed.onnx"
        onnx.save(with_outputs(model, tensors), path)
        with open_session(path, "onnxruntime") as session:
            done, taken = 0, session.inputs[0].name
            for frame in frames:
                for name, values in session.run({taken: network_input(taken, frame)}, list(tensors)).items():
                    found[name].add(values, name)
                done += 1
                progress(done)
    if done == 0:
        raise InputError("there are no frames to calibrate on")
    return found


def with_outputs(model: onnx.ModelProto, tensors: Sequence[str]) -> onnx.ModelProto:
    """A copy of a model that also answers the values of inner tensors."""
    graph = Graph(model)
    present = {value.name for value in graph.model.graph.output}
    for name in tensors:
        if name in present:
            continue
        info = onnx.helper.make_tensor_value_info(name, graph.dtype(name), graph.shape(name))
        graph.model.graph.output.append(info)
    return graph.model


def _stride(shape: Sequence[int]) -> int:
    """About `_SAMPLED` values of a tensor, by a stride that shares no factor with any of its sides.

    One that did would come by the same few columns or channels again and again.
    """
    stride = -(-math.prod(shape) // _SAMPLED)
    while stride > 1 and any(math.gcd(stride, side) > 1 for side in shape):
        stride += 1
    return stride
