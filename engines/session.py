"""The one seam between the project and an inference engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, cast, get_args

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import BackendError, UnknownNameError
from edgedepth.core.spec import ResizePolicy

# "fp32", "fp16" and "int8" name what the ONNX file itself says; "bf16" makes OpenVINO use bfloat16.
Precision = Literal["fp32", "fp16", "int8", "bf16"]


def as_precision(name: str) -> Precision:
    """The precision of this name.

    Raises:
        UnknownNameError: there is none.
    """
    for precision in get_args(Precision):
        if precision == name:
            return cast(Precision, precision)
    raise UnknownNameError.of("precision", name, get_args(Precision))


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """An input or output of a network: its name, shape (None where dynamic) and numpy dtype."""

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]

    @property
    def static_shape(self) -> tuple[int, ...] | None:
        """The shape where every dimension is known, else None."""
        known = tuple(size for size in self.shape if size is not None)
        return known if len(known) == len(self.shape) else None

    def __str__(self) -> str:
        sizes = "x".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name}: {self.dtype} {sizes}"


@dataclass(frozen=True, kw_only=True)
class SessionConfig:
    """How a session computes.

    threads: CPU threads of one inference; None leaves the choice to the backend.
    precision: see `Precision`.
    frame_wh: camera size to resize from inside the engine, by the policy `resize`; None takes frames at network size.
        Backends that do not resize ignore it: `inputs` says what the session takes.
    build: False refuses where an engine would first have to be built.

    Raises:
        BackendError: `threads` is not positive.
    """

    threads: int | None = None
    precision: Precision = "fp32"
    frame_wh: tuple[int, int] | None = None
    resize: ResizePolicy = "letterbox"
    build: bool = True

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise BackendError(f"threads must be at least 1, but got {self.threads}")


@dataclass(frozen=True, kw_only=True)
class Availability:
    """What a backend's probe found; `why` says what is missing, or what to know although it works."""

    available: bool
    version: str | None = None
    devices: tuple[str, ...] = ()
    why: str = ""


class Session(Protocol):
    """A network loaded into an engine, ready to run.

    A session belongs to one thread and is a context manager. `device` says where it really computes.
    """

    @property
    def backend(self) -> str:
        """Name of the backend, as in `edgedepth.engines.BACKENDS`."""

    @property
    def device(self) -> str:
        """The device that computes: "CPU", "CUDA:0"."""

    @property
    def precision(self) -> Precision:
        """The precision it was opened with."""

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """What `run` takes."""

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """What `run` gives."""

    def run(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """Run the network once and return the named outputs (all, where None); the rest may not be computed.

        The inputs are read during the call only. The returned arrays belong to the session: the next `run`
        may overwrite them, so copy what must outlive it.

        Raises:
            BackendError: an input is missing, unknown, or of another shape or dtype; an output is unknown; or
                the engine failed.
        """

    def close(self) -> None:
        """Release the engine; closing twice does nothing."""

    def __enter__(self) -> Session: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def check_inputs(expected: Sequence[TensorInfo], given: Mapping[str, NDArray[Any]]) -> None:
    """Compare the arrays given to `run` with what the network takes.

    Raises:
        BackendError: naming the first input that does not fit.
    """
    names = [info.name for info in expected]
    if set(names) != set(given):
        raise BackendError(f"the network takes the inputs {names}, but got {sorted(given)}")
    for info in expected:
        array = given[info.name]
        fits = len(array.shape) == len(info.shape) and all(
            size in (None, actual) for size, actual in zip(info.shape, array.shape, strict=True)
        )
        if not fits or array.dtype != info.dtype:
            raise BackendError(f"input must be ({info}), but got {array.dtype} {'x'.join(map(str, array.shape))}")


def check_outputs(known: Sequence[str], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The outputs to return: those wanted, or all.

    Raises:
        BackendError: one is not an output of the network.
    """
    for name in wanted or ():
        if name not in known:
            raise BackendError(f"the network gives the outputs {list(known)}, but {name!r} was asked for")
    return tuple(known if wanted is None else wanted)


def one_line(error: BaseException, limit: int = 300) -> str:
    """An engine's message on one line: foreign errors are long and carry stack traces."""
    return " ".join(str(error).split())[:limit]
