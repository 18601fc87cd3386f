"""CUDA graphs: the work of one inference recorded once and launched as one call.

pycuda cannot record a stream, so cuda-python does, on pycuda's stream. Recording needs shapes and addresses that stay
the same, and a first run outside it, in which the engine still allocates and loads.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Protocol

from edgedepth.core.errors import BackendError

# cuda-python 12.8 and later, and before
_MODULES = ("cuda.bindings.driver", "cuda.cuda")


class Recorder(Protocol):
    """Records what a function queues on a stream, and launches it again."""

    def record(self, stream: int, queue: Callable[[], None]) -> Any:
        """Record; the result is what `launch` and `destroy` take."""

    def launch(self, graph: Any, stream: int) -> None:
        """Queue everything that was recorded."""

    def destroy(self, graph: Any) -> None:
        """Free a recording."""


def find_recorder() -> Recorder | None:
    """cuda-python's recorder, or None where it is not installed or does not load."""
    driver = next((module for name in _MODULES if (module := _loaded(name)) is not None), None)
    return None if driver is None else CudaPythonRecorder(driver)


def _loaded(name: str) -> Any | None:
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError):
        return None


class CudaPythonRecorder:
    """Stream capture by cuda-python's driver bindings, whose functions return (error, result...)."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def record(self, stream: int, queue: Callable[[], None]) -> Any:
        """Capture what `queue` puts on the stream.

        Raises:
            BackendError: something in it cannot be captured; the stream is usable again.
        """
        mode = self._driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call("cuStreamBeginCapture", stream, mode)
        try:
            queue()
        except BaseException:
            # the stream must leave capture, whatever was recorded
            error, graph = self._driver.cuStreamEndCapture(stream)
            if error == self._driver.CUresult.CUDA_SUCCESS:
                self._driver.cuGraphDestroy(graph)
            raise
        graph = self._call("cuStreamEndCapture", stream)
        try:
            return self._call("cuGraphInstantiate", graph, 0)
        finally:
            self._driver.cuGraphDestroy(graph)

    def launch(self, graph: Any, stream: int) -> None:
        """Launch on the stream."""
        self._call("cuGraphLaunch", graph, stream)

    def destroy(self, graph: Any) -> None:
        """Destroy the executable graph."""
        self._driver.cuGraphExecDestroy(graph)

    def _call(self, name: str, *arguments: Any) -> Any:
        error, *results = getattr(self._driver, name)(*arguments)
        if error != self._driver.CUresult.CUDA_SUCCESS:
            raise BackendError(f"CUDA graphs: {name} failed with {getattr(error, 'name', error)}")
        return results[0] if results else None
