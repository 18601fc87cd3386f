"""The ordered table of backends, and `open_session`, the way into them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

from edgedepth.core.errors import BackendError, UnknownNameError
from edgedepth.core.spec import ResizePolicy
from edgedepth.engines.session import Availability, Precision, Session, SessionConfig


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A backend: its name, the folder here with its `probe.py` and `session.py`, and which of that folder's ways.

    variant: the device of OpenVINO, the execution provider of ONNX Runtime, the flavour of TensorRT.
    """

    name: str
    folder: str
    variant: str

    @property
    def gpu(self) -> bool:
        """Whether it computes on an NVIDIA GPU, where half precision is the fast one."""
        return self.variant != "CPU"

    def probe(self) -> Availability:
        """Whether this backend would work here; looked up once per process."""
        return _probe(self.folder, self.variant)

    def open(self, onnx_path: Path, config: SessionConfig) -> Session:
        """Load a network; the folder's module is imported only now."""
        module = importlib.import_module(f"edgedepth.engines.{self.folder}.session")
        return cast(Session, module.open_session(onnx_path, self.variant, config))


# "auto" takes the first that is available. On CPUs the fastest is first, as measured on the project's networks. On GPUs
# our own engines are; then ONNX Runtime's CUDA provider, which starts at once, before those that build engines.
BACKENDS: tuple[Backend, ...] = (
    Backend(name="tensorrt", folder="tensorrt", variant="tensorrt"),
    Backend(name="tensorrt-rtx", folder="tensorrt", variant="tensorrt-rtx"),
    Backend(name="onnxruntime-cuda", folder="onnxruntime", variant="CUDA"),
    Backend(name="onnxruntime-tensorrt", folder="onnxruntime", variant="TensorRT"),
    Backend(name="onnxruntime-rtx", folder="onnxruntime", variant="TensorRT-RTX"),
    Backend(name="openvino", folder="openvino", variant="CPU"),
    Backend(name="onnxruntime", folder="onnxruntime", variant="CPU"),
)


@cache
def _probe(folder: str, variant: str) -> Availability:
    module = importlib.import_module(f"edgedepth.engines.{folder}.probe")
    return cast(Availability, module.probe(variant))


def backend_named(name: str) -> Backend:
    """The backend of this name.

    Raises:
        UnknownNameError: there is none.
    """
    for backend in BACKENDS:
        if backend.name == name:
            return backend
    raise UnknownNameError.of("backend", name, ["auto", *(backend.name for backend in BACKENDS)])


def probe_all() -> dict[str, Availability]:
    """What every backend's probe finds here, in the order that "auto" prefers them."""
    return {backend.name: backend.probe() for backend in BACKENDS}


def auto_backend() -> str:
    """The name of the fastest backend that is available.

    Raises:
        BackendError: none is; the message gives each one's reason.
    """
    found = probe_all()
    for name, availability in found.items():
        if availability.available:
            return name
    reasons = "; ".join(f"{name}: {availability.why}" for name, availability in found.items())
    raise BackendError(f"no inference backend works here ({reasons}); install one with: pip install onnxruntime")


def choose_backend(name: str = "auto") -> str:
    """The name of the backend to use: the one asked for, checked to be available, or what "auto" becomes.

    Raises:
        UnknownNameError: no backend of that name.
        BackendError: it is not available; the message says why.
    """
    if name == "auto":
        return auto_backend()
    availability = backend_named(name).probe()
    if not availability.available:
        raise BackendError(f"backend {name} is not available: {availability.why}")
    return name


def open_session(
    onnx_path: str | Path,
    backend: str = "auto",
    *,
    threads: int | None = None,
    precision: Precision = "fp32",
    frame_wh: tuple[int, int] | None = None,
    resize: ResizePolicy = "letterbox",
    build: bool = True,
) -> Session:
    """Load an ONNX file into a backend.

    `backend` is a name of `BACKENDS`, or "auto" for the fastest one that is available; the `backend` and
    `device` of the session say what it became. A backend asked for by name is never exchanged for another.
    The other options are those of `SessionConfig`.

    Raises:
        UnknownNameError: no backend of that name.
        BackendError: the file is missing or the backend refuses it, the backend is not available, or cannot
            compute in that precision.
    """
    path = Path(onnx_path)
    chosen = backend_named(choose_backend(backend))
    if not path.is_file():
        raise BackendError(f"no ONNX file at {path}; export one with: edgedepth export")
    config = SessionConfig(threads=threads, precision=precision, frame_wh=frame_wh, resize=resize, build=build)
    return chosen.open(path, config)
