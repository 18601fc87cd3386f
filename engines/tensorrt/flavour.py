"""The flavours of TensorRT, and every difference between their versions.

`tensorrt` is NVIDIA's own on JetPack (10.x) and on desktops (10.x, 11.x); `tensorrt-rtx` is for RTX cards, has wheels
on the package index and builds without a GPU. Everything else in this package is written once, against what a `Flavour`
answers. Enum members are looked up by name, as their numbers changed between 10 and 11; what a version offers is asked
of the module rather than derived from its number, as TensorRT-RTX counts on its own (1.4 has the shape of 10.16, 1.7
that of 11).
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np

from edgedepth.core.errors import BackendError, UnknownNameError
from edgedepth.engines.session import one_line

Version = tuple[int, ...]
Hardware = Literal["exact", "ampere+", "same-capability"]

# flavour -> module, in the order in which one is taken
MODULES: dict[str, str] = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
_OLDEST: dict[str, Version] = {"tensorrt": (10, 3), "tensorrt-rtx": (1, 4)}
_REMEDIES = {
    "tensorrt": "on a Jetson: sudo apt install tensorrt python3-libnvinfer (never pip's tensorrt over JetPack's);"
    " on a desktop: pip install 'edgedepth[tensorrt]'",
    "tensorrt-rtx": "pip install 'edgedepth[rtx]'",
}
# Where none is asked for and there is no GPU to ask: Ampere, Ada and Blackwell cards.
DEFAULT_TARGETS = ("sm86", "sm89", "sm120")

_HARDWARE = {"ampere+": "AMPERE_PLUS", "same-capability": "SAME_COMPUTE_CAPABILITY"}
_NUMPY = {
    "FLOAT": np.float32, "HALF": np.float16, "INT8": np.int8, "INT32": np.int32, "INT64": np.int64, "BOOL": np.bool_,
    "UINT8": np.uint8,
}  # fmt: skip


def parse_version(text: str) -> Version:
    """The numbers of a version: "10.3.0.post1" is (10, 3, 0)."""
    numbers: list[int] = []
    for part in text.split("."):
        digits = re.match(r"\d+$", part)
        if digits is None:
            break
        numbers.append(int(part))
    return tuple(numbers)


@dataclass(frozen=True, kw_only=True)
class ParserFault:
    """What the ONNX parser holds against a node."""

    node: str
    operator: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Flavour:
    """An installed TensorRT: its name here, its module and its version."""

    name: str
    trt: Any
    version: Version

    @property
    def rtx(self) -> bool:
        """True for TensorRT-RTX."""
        return self.name == "tensorrt-rtx"

    @property
    def version_text(self) -> str:
        """The version as people write it."""
        return ".".join(map(str, self.version))

    @property
    def title(self) -> str:
        """The flavour and its version, for messages."""
        return f"{'TensorRT-RTX' if self.rtx else 'TensorRT'} {self.version_text}"

    # -- building ----------------------------------------------------------------------------------------

    def create_network(self, builder: Any) -> Any:
        """An empty strongly typed network: types come from the ONNX alone. From 11 on there is no other kind."""
        flags = self.trt.NetworkDefinitionCreationFlag
        if not hasattr(flags, "EXPLICIT_BATCH"):
            return builder.create_network(0)
        return builder.create_network(1 << int(flags.STRONGLY_TYPED))

    def parser_faults(self, parser: Any) -> list[ParserFault]:
        """The parser's errors, with the node each is about."""
        faults = [parser.get_error(index) for index in range(parser.num_errors)]
        return [
            ParserFault(node=fault.node_name(), operator=fault.node_operator(), text=fault.desc()) for fault in faults
        ]

    @property
    def has_timing_cache(self) -> bool:
        """Whether measured kernels can be kept for the next build; TensorRT-RTX tunes on the device at run time."""
        return not self.rtx

    def use_timing_cache(self, config: Any, known: bytes) -> None:
        """Give the builder kernel times measured before.

        A cache that is damaged or of another version or GPU is refused by the library, and an empty one taken: times
        measured elsewhere mislead.
        """
        cache = config.create_timing_cache(known)
        if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
            config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)

    @property
    def targets(self) -> tuple[str, ...]:
        """Compute capabilities an engine can be built for without that GPU: "sm86"; empty for `tensorrt`."""
        members = getattr(getattr(self.trt, "ComputeCapability", None), "__members__", {})
        return tuple(name.lower() for name in members if name.startswith("SM"))

    def resolve_targets(self, wanted: Sequence[str], capability: str | None) -> tuple[str, ...]:
        """The targets to build for: those wanted, else the GPU's own, else `DEFAULT_TARGETS`; empty for `tensorrt`.

        Raises:
            BackendError: this flavour cannot build for one of them.
        """
        if not self.rtx:
            if wanted:
                raise BackendError(
                    f"{self.title} builds for the GPU it runs on; targets belong to --backend tensorrt-rtx"
                )
            return ()
        if wanted:
            chosen = tuple(dict.fromkeys(name.lower() for name in wanted))
        elif capability is not None:
            chosen = (f"sm{capability.replace('.', '')}",)
        else:
            chosen = tuple(name for name in DEFAULT_TARGETS if name in self.targets)
        for name in chosen:
            if name not in self.targets:
                raise BackendError(
                    f"{self.title} knows no target {name}; it knows {', '.join(self.targets)}; other GPUs"
                    " (Jetson sm87, sm110; data centre sm90, sm100) need --backend tensorrt or onnxruntime-cuda"
                )
        return chosen

    def set_targets(self, config: Any, targets: Sequence[str]) -> None:
        """Tell the builder which compute capabilities the engine is for."""
        if not targets:
            return
        config.num_compute_capabilities = len(targets)
        for index, name in enumerate(targets):
            if not config.set_compute_capability(getattr(self.trt.ComputeCapability, name.upper()), index):
                raise BackendError(f"{self.title} refuses the target {name}; it knows {', '.join(self.targets)}")

    def set_compatibility(self, config: Any, hardware: Hardware, version_compatible: bool) -> None:
        """Ask for an engine that runs on more than this very GPU model, or under later versions.

        Raises:
            BackendError: this flavour or version cannot.
        """
        if hardware != "exact":
            level = getattr(self.trt.HardwareCompatibilityLevel, _HARDWARE[hardware], None)
            if self.rtx or level is None:
                remedy = "give --target sm86,sm89,..." if self.rtx else "build on each GPU, or update TensorRT"
                raise BackendError(f"{self.title} has no hardware compatibility {hardware!r}; {remedy}")
            config.hardware_compatibility_level = level
        if version_compatible:
            config.set_flag(self.trt.BuilderFlag.VERSION_COMPATIBLE)
            if self.rtx:  # its wheels have no lean runtime to put into the plan
                config.set_flag(self.trt.BuilderFlag.EXCLUDE_LEAN_RUNTIME)

    # -- running -----------------------------------------------------------------------------------------

    def create_context(self, engine: Any) -> Any:
        """An execution context with its own activation memory."""
        return engine.create_execution_context()

    def capturable(self, context: Any, stream: int) -> bool:
        """Whether the work of a context may be captured into a CUDA graph; only TensorRT-RTX can say no."""
        ask = getattr(context, "is_stream_capturable", None)
        return True if ask is None else bool(ask(stream))

    def activation_bytes(self, engine: Any) -> int:
        """Device memory an execution context needs; `device_memory_size` went away with 11."""
        size = getattr(engine, "device_memory_size_v2", None)
        return int(engine.device_memory_size if size is None else size)

    def engine_layers(self, engine: Any) -> list[Any]:
        """The layers of an engine as its inspector lists them; dicts, or names where the plan has no details."""
        inspector = engine.create_engine_inspector()
        text = inspector.get_engine_information(self.trt.LayerInformationFormat.JSON)
        layers: list[Any] = json.loads(text).get("Layers", [])
        return layers

    def may_load(self, built: Version, *, version_compatible: bool) -> bool:
        """Whether a plan that `built` made loads here: the same version, or an older one if built for that."""
        if built == self.version:
            return True
        return version_compatible and built < self.version

    def numpy_dtype(self, dtype: Any) -> np.dtype[Any]:
        """The numpy type of a TensorRT data type.

        Raises:
            BackendError: numpy has no such type.
        """
        if dtype.name not in _NUMPY:
            raise BackendError(f"a tensor has the type {dtype.name}, which edgedepth does not pass in or out")
        return np.dtype(_NUMPY[dtype.name])


def load_flavour(name: str) -> Flavour:
    """Import a flavour.

    Raises:
        UnknownNameError: no such flavour.
        BackendError: it is not installed, too old, or does not load; the message has the remedy.
    """
    if name not in MODULES:
        raise UnknownNameError.of("TensorRT flavour", name, MODULES)
    try:
        module = importlib.import_module(MODULES[name])
    except (ImportError, OSError, RuntimeError) as error:  # a wheel without its libraries raises any of these
        raise BackendError(f"{MODULES[name]} does not load: {one_line(error)}; {_REMEDIES[name]}") from error
    return flavour_of(name, module)


def flavour_of(name: str, module: ModuleType | Any) -> Flavour:
    """The flavour of an imported module.

    Raises:
        BackendError: it is too old, or a shell without the library.
    """
    version = parse_version(str(getattr(module, "__version__", "")))
    if not hasattr(module, "Builder"):
        raise BackendError(f"{MODULES[name]} is installed without its library; {_REMEDIES[name]}")
    if version < _OLDEST[name]:
        oldest = ".".join(map(str, _OLDEST[name]))
        raise BackendError(
            f"{MODULES[name]} {module.__version__} is too old, edgedepth needs {oldest}; {_REMEDIES[name]}"
        )
    return Flavour(name=name, trt=module, version=version)


def installed_flavours() -> tuple[str, ...]:
    """The flavours whose module is installed, in the order in which one is taken; none is imported."""
    return tuple(name for name, module in MODULES.items() if importlib.util.find_spec(module) is not None)
