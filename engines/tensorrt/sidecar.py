"""What is known of a plan without opening it, and whether it is the one that is wanted here."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgedepth.core.errors import BackendError, EdgeDepthError, first_fault
from edgedepth.engines.tensorrt.config import RESIZE_REVISION
from edgedepth.engines.tensorrt.flavour import Flavour, parse_version
from edgedepth.engines.tensorrt.profiles import SizeRange


def platform_tag() -> str:
    """Operating system and processor, which a plan is bound to: "linux-x86_64"."""
    return f"{sys.platform}-{platform.machine()}"


class Sidecar(BaseModel):
    """The account of a plan, written beside it by the cache when the plan was built (or trusted).

    Sidecars also come with bundles from elsewhere: fields of another type are refused, not converted.

    compute_capabilities: what it runs on: "8.6".
    gpu: name of the GPU whose kernels were measured; None where none was.
    config: `BuildConfig.as_dict()`.
    inputs, outputs: "frame: uint8 1x240x320x3", -1 where dynamic.
    memory_bytes: device memory by kind (activation, weights, scratch), as far as the builder says.
    checked: what the golden check found, in words; empty before it.
    rejected: why the engine must not run; empty if it may.
    trusted_from: digest of the bundle the plan came in; empty if it was built here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: Literal[1] = 1
    network: str
    onnx_sha256: str
    plan_sha256: str
    plan_bytes: int
    flavour: str
    version: str
    platform: str
    compute_capabilities: tuple[str, ...]
    gpu: str | None
    precision: str
    config: dict[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    kernels: int = 0
    memory_bytes: dict[str, int] = Field(default_factory=dict)
    build_seconds: float = 0.0
    built_at: str = ""
    checked: str = ""
    rejected: str = ""
    trusted_from: str = ""

    @property
    def bound_to_gpu(self) -> bool:
        """Whether it is for one model of GPU, and not for a class of them."""
        return _bound_to_gpu(self.flavour, self.config)

    def to_json(self) -> str:
        """The text of the file."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> Sidecar:
        """Read the text of a sidecar found at `where`.

        Raises:
            BackendError: not a sidecar, or of another schema.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise BackendError(
                f"{where} is not a plan's sidecar: {first_fault(error)}; clear it with: edgedepth cache clear"
            ) from None


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """The plan that is wanted: of which ONNX, by which library, for which GPU and how built.

    strict: any other configuration is another plan; False accepts every plan that takes the same frames, however it
        was tuned.
    """

    onnx_sha256: str
    flavour: Flavour
    compute_capabilities: tuple[str, ...]
    gpu: str | None
    config: dict[str, Any]
    strict: bool = True

    @property
    def key(self) -> str:
        """Name of the plan in the cache: a digest of everything that decides how it comes out."""
        parts = [
            self.onnx_sha256,
            self.flavour.name,
            self.flavour.version_text,
            platform_tag(),
            list(self.compute_capabilities),
            self.gpu if _bound_to_gpu(self.flavour.name, self.config) else None,
            self.config,
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]

    def differences(self, sidecar: Sidecar) -> list[str]:
        """The fields in which a plan is not the wanted one, each as "field is X, here Y"; empty if it is."""
        found: list[str] = []

        def compare(name: str, has: Any, here: Any) -> None:
            if has != here:
                found.append(f"{name} is {_words(has)}, here {_words(here)}")

        compare("onnx_sha256", sidecar.onnx_sha256[:12], self.onnx_sha256[:12])
        compare("flavour", sidecar.flavour, self.flavour.name)
        compatible = bool(sidecar.config.get("version_compatible"))
        if not self.flavour.may_load(parse_version(sidecar.version), version_compatible=compatible):
            compare("version", sidecar.version, self.flavour.version_text)
        compare("platform", sidecar.platform, platform_tag())
        if not self._runs_on(sidecar):
            compare("compute_capability", "+".join(sidecar.compute_capabilities), "+".join(self.compute_capabilities))
        if sidecar.bound_to_gpu:
            compare("gpu", sidecar.gpu, self.gpu)
        if not self.strict and _serves(sidecar.config.get("camera"), self.config["camera"]):
            return found
        for name in self.config if self.strict else ("camera",):
            compare(f"config.{name}", sidecar.config.get(name), self.config[name])
        return found

    def made_for_it(self, sidecar: Sidecar) -> bool:
        """Whether a plan is for these very frames, rather than for them among others: it is the faster one."""
        return bool(sidecar.config.get("camera") == self.config["camera"])

    def _runs_on(self, sidecar: Sidecar) -> bool:
        if set(self.compute_capabilities) <= set(sidecar.compute_capabilities):
            return True
        if sidecar.config.get("hardware") != "ampere+":
            return False
        return all(parse_version(capability) >= (8, 0) for capability in self.compute_capabilities)


def _bound_to_gpu(flavour: str, config: dict[str, Any]) -> bool:
    """TensorRT measures kernels on one GPU model; TensorRT-RTX and compatible engines are for a whole class."""
    return flavour != "tensorrt-rtx" and config.get("hardware", "exact") == "exact"


_NO_CAMERA = (TypeError, KeyError, ValueError, AttributeError, EdgeDepthError)  # or one that we did not write


def _words(value: Any) -> str:
    """A value of a config; the camera sizes of an engine that resizes as they are asked for."""
    try:
        text = "+".join(map(str, _sizes(value)))
        return text if value.get("revision") == RESIZE_REVISION else f"{text} of another edgedepth"
    except _NO_CAMERA:
        return str(value)


def _sizes(camera: Any) -> list[SizeRange]:
    """The sizes of a camera as `BuildConfig.as_dict` has it; another value raises one of `_NO_CAMERA`."""
    return [SizeRange(**{key: tuple(wh) for key, wh in size.items()}) for size in camera["sizes"]]


def _serves(camera: Any, wanted: Any) -> bool:
    """Whether an engine for some camera sizes takes all of those wanted; both as `BuildConfig.as_dict` has them."""
    try:
        if any(camera[name] != wanted[name] for name in ("resize", "revision")):
            return False
        ranges = _sizes(camera)
        return all(any(size.holds(tuple(one["opt_wh"])) for size in ranges) for one in wanted["sizes"])
    except _NO_CAMERA:
        return False


def capability_of_target(target: str) -> str:
    """The compute capability of a target's name: "sm86" is "8.6", "sm120" is "12.0"."""
    digits = target.lower().removeprefix("sm")
    return f"{digits[:-1]}.{digits[-1]}"
