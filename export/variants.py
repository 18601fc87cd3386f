"""One network of a bundle to its files: every form and precision, each checked against what it came from."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from edgedepth.core.bundle import file_entry
from edgedepth.core.files import write_atomic
from edgedepth.core.manifest import Accuracy, BundleFile, Parity
from edgedepth.core.preprocess import BgrFrame
from edgedepth.core.routing import Route
from edgedepth.core.spec import ClassifierSpec, DepthSpec
from edgedepth.export.emulation import emulated_float16
from edgedepth.export.frames import probe_frames
from edgedepth.export.network import optimise_graph
from edgedepth.export.original import Original
from edgedepth.export.parity import parity_with
from edgedepth.export.passes import PassReport
from edgedepth.export.range_audit import audited_float16
from edgedepth.export.request import BundleRequest
from edgedepth.export.storage import compact
from edgedepth.export.validation import accuracy_of, accuracy_of_file, check_shift, first_frames

PLAIN = "plain"  # the graph before simplification and rewrites, in records


@dataclass(frozen=True, kw_only=True)
class Written:
    """A network's plain graph, for counting, and what was written and measured of it."""

    plain: onnx.ModelProto
    passes: tuple[PassReport, ...]
    unfit: tuple[str, ...] = ()
    variants: dict[str, BundleFile] = field(default_factory=dict)
    parity: dict[str, Parity] = field(default_factory=dict)
    accuracy: dict[str, Accuracy] = field(default_factory=dict)


class Variants:
    """Writes the files of one network.

    stem: what its files are called. route: of a depth network, whose accuracy is then measured; None for the router's.
    """

    def __init__(
        self,
        original: Original,
        spec: DepthSpec | ClassifierSpec,
        *,
        stem: str,
        folder: Path,
        request: BundleRequest,
        route: Route | None = None,
    ) -> None:
        self._original, self._spec, self._stem = original, spec, stem
        self._folder, self._request, self._route = folder, request, route
        self._dynamic = request.dynamic and isinstance(spec, DepthSpec)

    def write(self, frames: Sequence[BgrFrame]) -> Written:
        """Trace once, then write and check every variant on frames of network size.

        Raises:
            ParityError: a graph disagrees with the network, or scores otherwise; the message has the numbers.
        """
        spec, request = self._spec, self._request
        width, height = spec.input_wh
        request.notify(f"tracing {self._stem} at {width}x{height}")
        output = "depth_m" if isinstance(spec, DepthSpec) else "probabilities"
        plain = self._original.trace(spec.input_wh, output=output, dynamic=self._dynamic)
        common, passes = optimise_graph(plain)
        forms = {"": common}
        for backend in request.backends:
            special, _ = optimise_graph(plain, backend=backend)
            if special != common:
                forms[f"@{backend}"] = special
        checked = [*frames, *self._frames_of_another_size()]
        expected = [self._original.answer(frame) for frame in checked]
        ranged = [frame[None] for frame in (*frames, *self._real_frames())]
        unfit: dict[str, None] = {}
        written = Written(plain=plain, passes=passes)
        self._measure_plain(written, expected, checked)
        for precision in dict.fromkeys(("fp32", *request.precisions)):
            for suffix, form in forms.items():
                model = form
                if precision == "fp16":
                    model, found = audited_float16(form, ranged)
                    unfit.update(dict.fromkeys(found))
                elif request.half_storage:
                    model = compact(model, self._original.weights)
                self._write(written, f"{precision}{suffix}", model, expected, checked)
        return Written(**{**vars(written), "unfit": tuple(unfit)})

    def _real_frames(self) -> list[BgrFrame]:
        """Frames of the validation data, for what float16 has to hold."""
        spec, data = self._spec, self._request.validation
        if data is None or self._route is None or not isinstance(spec, DepthSpec):
            return []
        return first_frames(spec, self._route, data)

    def _frames_of_another_size(self) -> list[BgrFrame]:
        """A graph of open size must be right at more than the size it was traced at."""
        if not self._dynamic:
            return []
        width, height = self._spec.input_wh
        return probe_frames((width + 128, height + 64))[-2:]

    def _measure_plain(
        self, written: Written, expected: Sequence[NDArray[np.float32]], frames: Sequence[BgrFrame]
    ) -> None:
        with tempfile.TemporaryDirectory(prefix="edgedepth-plain-") as folder:
            path = Path(folder) / f"{self._stem}.{PLAIN}.onnx"
            onnx.save(written.plain, path)
            written.parity[PLAIN] = self._parity(path, expected, frames)
            if isinstance(self._spec, DepthSpec) and self._route is not None and self._request.validation is not None:
                self._request.notify(f"validating {self._stem}")
                original = accuracy_of(self._original.answer, self._spec, self._route, self._request.validation)
                written.accuracy["original"] = original
                found = accuracy_of_file(path, self._spec, self._route, self._request.validation)
                written.accuracy[PLAIN] = check_shift(found, original, "fp32", what=path.name)

    def _parity(
        self, path: Path, expected: Sequence[NDArray[np.float32]], frames: Sequence[BgrFrame], precision: str = "fp32"
    ) -> Parity:
        original = self._original
        return parity_with(expected, path, frames, against=original.kind, exact=original.exact, precision=precision)

    def _write(
        self,
        written: Written,
        key: str,
        model: onnx.ModelProto,
        expected: Sequence[NDArray[np.float32]],
        frames: Sequence[BgrFrame],
    ) -> None:
        file, precision = f"{self._stem}.{key}.onnx", key.partition("@")[0]
        path = self._folder / file
        write_atomic(path, model.SerializeToString())
        with self._judged(path, model, precision, expected, frames) as judged:
            written.parity[key] = self._parity(judged, expected, frames, precision)
            if "original" in written.accuracy and isinstance(self._spec, DepthSpec):
                assert self._route is not None
                assert self._request.validation is not None
                found = accuracy_of_file(judged, self._spec, self._route, self._request.validation)
                written.accuracy[key] = check_shift(found, written.accuracy["original"], precision, what=file)
        written.variants[key] = file_entry(self._folder, file)
        self._request.notify(f"{file}: maximum relative difference {written.parity[key].max_relative:.1e}")

    @contextmanager
    def _judged(
        self,
        path: Path,
        model: onnx.ModelProto,
        precision: str,
        expected: Sequence[NDArray[np.float32]],
        frames: Sequence[BgrFrame],
    ) -> Iterator[Path]:
        """The file that figures are taken of: itself, or, as CPU kernels hide what float16 loses, its emulation."""
        if precision != "fp16":
            yield path
            return
        self._parity(path, expected[-1:], frames[-1:], precision)  # the file itself has to run too
        with tempfile.TemporaryDirectory(prefix="edgedepth-rounded-") as folder:
            rounded = Path(folder) / path.name
            onnx.save(emulated_float16(model), rounded)
            yield rounded
