"""Runs a source through a runtime into sinks, decode, inference and encoding side by side, and reports on it."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from edgedepth.core.errors import EdgeDepthError, InputError
from edgedepth.core.files import write_atomic
from edgedepth.core.results import DepthResult
from edgedepth.core.routing import Route
from edgedepth.io.frames import Frame, Source
from edgedepth.io.sink import Sink
from edgedepth.runtime.depth_runtime import DepthRuntime
from edgedepth.runtime.profiling import AGE, StageTimes

T = TypeVar("T")
QUEUE_FRAMES = 4  # deep enough to smooth jitter, shallow enough to bound memory and latency


@dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """How a source is run: what gives its frames their intrinsics or rectifies them, before those that they bring; a
    forced route, the share of the past that depth keeps where an ordered source stands still (see `Steadier`), where to
    stop."""

    view: Callable[[Frame], Frame] | None = None
    route: Route | None = None
    steady: float = 0.0
    confidence: bool = False
    max_frames: int | None = None


@dataclass(kw_only=True)
class StreamReport:
    """What a run did; `as_dict` is the content of run.json.

    upsampling: by route, how depth came to the frame's size, "mixed" where frames differ in that; of a route that never
        ran, how it would have.
    cameras: frames by where their intrinsics come from. lens: the model of the lens that was undone, None if none was.
    error: what ended the run, in one line; None if nothing went wrong.
    """

    source: str
    frames_read: int = 0
    frames_written: int = 0
    frames_dropped: int = 0
    routes: dict[str, int] = field(default_factory=lambda: {route.value: 0 for route in Route})
    times: StageTimes = field(default_factory=StageTimes)
    wall_s: float = 0.0
    backend: str = ""
    precision: str = ""
    device: str = ""
    bundle: dict[str, str] = field(default_factory=dict)
    cameras: dict[str, int] = field(default_factory=lambda: {"given": 0, "exif": 0, "assumed": 0})
    lens: str | None = None
    steady: float = 0.0
    upsampling: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    error: str | None = None
    warnings: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    @property
    def camera(self) -> str:
        """Where the intrinsics of all frames come from: "given", "exif", "assumed", or "mixed" of several."""
        kinds = [kind for kind, frames in self.cameras.items() if frames]
        return "mixed" if len(kinds) > 1 else (*kinds, "assumed")[0]

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data: counts, stage percentiles in ms, frames per second, what ran it."""
        busy_s = self.times.total_s("route", "infer")
        return {
            "source": self.source,
            "frames": {"read": self.frames_read, "written": self.frames_written, "dropped": self.frames_dropped},
            "routes": self.routes,
            "stages_ms": self.times.percentiles(),
            "age_ms": self.times.percentiles_of(AGE) or None,
            "fps": {
                "end_to_end": _rate(self.frames_written, self.wall_s),
                "inference_only": _rate(sum(self.routes.values()), busy_s),
            },
            "backend": self.backend,
            "precision": self.precision,
            "device": self.device,
            "bundle": self.bundle,
            "camera": self.camera,
            "cameras": self.cameras,
            "rectified": self.lens is not None,
            "lens": self.lens,
            "steady": self.steady,
            "upsampling": self.upsampling,
            "unit": "m",
            "interrupted": self.interrupted,
            "error": self.error,
            "warnings": self.warnings,
            "outputs": self.outputs,
        }

    def count(self, result: DepthResult) -> None:
        """Count a frame by its route, and note how its depth was upsampled."""
        route = result.route.value
        if not self.routes[route]:
            self.upsampling[route] = result.upsampling
        elif self.upsampling[route] != result.upsampling:
            self.upsampling[route] = "mixed"
        self.routes[route] += 1

    def fail(self, error: Exception | KeyboardInterrupt) -> None:
        """Note what ended the run; the first error stays."""
        text = " ".join(str(error).split())
        if isinstance(error, KeyboardInterrupt):
            self.interrupted, text = True, "interrupted before the outputs were finished"
        elif not isinstance(error, EdgeDepthError):
            text = f"unexpected {type(error).__name__}: {text}"
        if self.error is None:
            self.error = text


def run_stream(
    runtime: DepthRuntime,
    source: Source,
    sink: Sink,
    options: StreamOptions,
    on_frame: Callable[[StreamReport, DepthResult], None] = lambda _report, _result: None,
    report: StreamReport | None = None,
) -> StreamReport:
    """Run every frame of a source through the runtime into a sink.

    Decoding and encoding have a thread each, so that they overlap with inference; a camera, which has a thread of its
    own, is asked for its newest frame when inference is ready. The sink is written and closed in the thread of
    encoding. On Ctrl-C what was inferred is still written, the sink is closed well and `interrupted` is
    set. On an error the sink is closed too and the error is raised: who gives a `report` of his own has in it what
    was done until then.

    Raises:
        InputError: the source has no frame.
        OutputError: a sink cannot write.
    """
    report = StreamReport(source=source.name) if report is None else report
    report.backend, report.precision, report.device = runtime.backend, runtime.precision, runtime.device
    report.bundle = {"name": runtime.bundle.manifest.name, "digest": runtime.bundle.digest}
    report.upsampling = {route.value: runtime.upsampling(route) for route in runtime.routes}
    report.steady = options.steady if source.ordered else 0.0
    start = time.perf_counter()
    frames = _LiveFrames if source.live else _Reader
    reader = frames(source, report, options)
    writer = _Writer(sink, report, queued=1 if source.live else QUEUE_FRAMES)
    try:
        try:
            for frame, result in runtime.over(
                reader,
                ordered=source.ordered,
                route=options.route,
                steady=options.steady,
                confidence=options.confidence,
            ):
                report.times.add(result.timings_ms)
                if frame.taken_s is not None:
                    report.times.add({AGE: (time.monotonic() - frame.taken_s) * 1e3})
                report.count(result)
                report.cameras[frame.camera_source if result.camera_given else "assumed"] += 1
                report.lens = frame.rectified
                writer.put((frame, result))
                on_frame(report, result)
        except KeyboardInterrupt:
            report.interrupted = True
        except BaseException:
            reader.stop()
            with contextlib.suppress(Exception):  # the error under way came first
                writer.finish()
            raise
        reader.stop()
        writer.finish()
        if report.frames_read == 0 and not report.interrupted:
            raise InputError(f"{source.name} holds no frame that can be read")
    except Exception as error:
        report.fail(error)
        raise
    finally:
        report.wall_s = time.perf_counter() - start
        report.frames_dropped = source.dropped
        report.warnings += source.warnings + sink.warnings
        if report.camera == "mixed":
            report.warnings.append(
                f"{report.cameras['assumed']} of {sum(report.cameras.values())} photos tell no focal length and are"
                " taken to be of each network's own view: their distances are off by the ratio of the focal lengths"
            )
        if report.cameras["assumed"] and (scaled := _scaled_by_camera(runtime, report)):
            report.warnings.append(
                f"the scale of {scaled} was measured with intrinsics and none are given here: depth is off by the"
                " ratio of the focal lengths; give the same --camera"
            )
    return report


def _scaled_by_camera(runtime: DepthRuntime, report: StreamReport) -> str:
    """Networks that ran and whose stored scale holds for a known camera only."""
    ran = (runtime.bundle.manifest.networks[route] for route in Route if report.routes[route.value])
    return ", ".join(each.network for each in ran if each.scale is not None and each.scale.camera_given)


def _rate(count: int, seconds: float) -> float:
    return round(count / seconds, 2) if seconds > 0 else 0.0


class _Worker(Generic[T]):
    """A thread whose first error is kept and raised in the caller's thread."""

    def __init__(self, name: str, queued: int) -> None:
        self._queue: queue.Queue[T | None] = queue.Queue(queued)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._guard, name=name, daemon=True)
        self._thread.start()

    def _guard(self) -> None:
        try:
            self._work()
        except BaseException as error:  # whatever it is, the caller's thread must raise it
            self._error = error
        self._ended()

    def _ended(self) -> None:
        """Called in the thread when its work is over, well or not."""

    def _work(self) -> None:
        raise NotImplementedError

    def _offer(self, item: T | None) -> bool:
        """Queue an item unless stopped; False when stopped."""
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


def _decoded(source: Source, report: StreamReport, options: StreamOptions) -> Iterator[Frame]:
    """Frames of a source, rectified where asked for, until the report counts `max_frames` of them as read.

    How long each took, rectification included, is noted as decoding.
    """
    frames = iter(source) if options.view is None else map(options.view, source)
    while options.max_frames is None or report.frames_read < options.max_frames:
        start = time.perf_counter()
        frame = next(frames, None)
        if frame is None:
            return
        report.times.add({"decode": (time.perf_counter() - start) * 1e3})
        yield frame


class _Reader(_Worker[Frame]):
    """Decodes ahead of inference."""

    def __init__(self, source: Source, report: StreamReport, options: StreamOptions) -> None:
        self._source, self._report, self._options = source, report, options
        super().__init__("edgedepth-decode", QUEUE_FRAMES)

    def _ended(self) -> None:
        self._offer(None)  # after an error too: what was decoded before it is still run and written

    def _work(self) -> None:
        for frame in _decoded(self._source, self._report, self._options):
            if not self._offer(frame):
                return
            self._report.frames_read += 1

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self._queue.get()) is not None:
            yield frame
        self._raise()

    def stop(self) -> None:
        """End the thread; a source that blocks is left to its daemon thread."""
        self._stop.set()
        self._thread.join(timeout=2)


class _LiveFrames:
    """The frames of a camera, each taken when inference is ready for it.

    A camera keeps its newest frame in a thread of its own: what is read ahead of inference would only be older.
    """

    def __init__(self, source: Source, report: StreamReport, options: StreamOptions) -> None:
        self._source, self._report, self._options = source, report, options

    def __iter__(self) -> Iterator[Frame]:
        for frame in _decoded(self._source, self._report, self._options):
            self._report.frames_read += 1
            yield frame

    def stop(self) -> None:
        """Nothing runs on: the source is closed by whoever opened it."""


class _Writer(_Worker[tuple[Frame, DepthResult]]):
    """Encodes behind inference, and closes the sink where it wrote to it: a window dies in the thread it lives in."""

    def __init__(self, sink: Sink, report: StreamReport, queued: int) -> None:
        self._sink, self._report = sink, report
        self._outputs: list[Path] = []
        super().__init__("edgedepth-encode", queued)

    def _ended(self) -> None:
        self._stop.set()  # nothing more can be handed over
        try:
            self._outputs = self._sink.close()
        except BaseException as error:  # as in `_guard`; the error of a write came first
            self._error = self._error or error

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            start = time.perf_counter()
            self._sink.write(*item)
            self._report.times.add({"encode": (time.perf_counter() - start) * 1e3})
            self._report.frames_written += 1

    def put(self, item: tuple[Frame, DepthResult]) -> None:
        """Hand over one result; raises the error of an earlier write."""
        if not self._offer(item):
            self._raise()

    def finish(self) -> None:
        """Wait until what is queued is written and the sink closed, and note what it made; raises the first error."""
        self._offer(None)
        self._thread.join()
        self._report.outputs += [str(path) for path in self._outputs]
        self._raise()


def write_report(report: StreamReport, path: Path) -> None:
    """Write run.json atomically."""
    write_atomic(path, json.dumps(report.as_dict(), indent=1) + "\n")
