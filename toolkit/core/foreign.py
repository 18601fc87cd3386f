"""What has to be known of a network from elsewhere before it can run here: the content of its TOML file.

See docs/own_networks.md for an example.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgedepth.core.errors import InputError, first_fault, require
from edgedepth.core.manifest import NAME_PATTERN
from edgedepth.core.spec import DepthSpec, ResizePolicy, Upsampling, parse_size

OutputKind = Literal["depth", "disparity", "log-depth", "bins"]
Positive = Annotated[float, Field(gt=0)]
Triple = tuple[float, float, float]


def _not_zero(values: Triple) -> Triple:
    if 0.0 in values:
        raise ValueError(f"values are divided by it, so none may be 0, but got {values}")
    return values


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ForeignInput(_Part):
    """How a network wants its image: float32, `(pixel / 255 * white - mean) / std` per channel, batch 1.

    channels: their order; mean and std are in this order too.
    layout: "nchw", or "nhwc" as TensorFlow has it; holds for outputs of four dimensions as well.
    white: what a white pixel is before mean and std: 1, or 255 for networks that take bytes' values.
    """

    channels: Literal["rgb", "bgr"] = "rgb"
    layout: Literal["nchw", "nhwc"] = "nchw"
    white: Positive = 1.0
    mean: Triple = (0.0, 0.0, 0.0)
    std: Annotated[Triple, AfterValidator(_not_zero)] = (1.0, 1.0, 1.0)


class ForeignOutput(_Part):
    """How a network's answer becomes metres; values outside the range are clamped to it, and maps smaller than the
    input are enlarged bilinearly.

    kind: with y = scale * answer + shift, metres are y ("depth"), 1 / y ("disparity") or exp(y) ("log-depth"; scale is
        2.302585 for logarithms to base 10). "bins" is a distribution over the channels, whose expectation is taken.
    tensor: which answer to take, where there are several: a position, or a name.
    count, spacing: of bins, the number and spacing of edgedepth's own (see `edgedepth.core.bins.Bins`);
    centres_m: or else the depth each bin stands for. distribution: whether a softmax is still to be taken.
    """

    kind: OutputKind
    tensor: int | str = 0
    scale: float = 1.0
    shift: float = 0.0
    count: int = Field(default=0, ge=0, le=1024)
    spacing: Literal["log", "uniform"] = "log"
    centres_m: tuple[Positive, ...] = ()
    distribution: Literal["logits", "probabilities"] = "logits"

    @model_validator(mode="after")
    def _consistent(self) -> ForeignOutput:
        if self.kind == "bins" and (bool(self.count) == bool(self.centres_m) or self.channels < 2):
            raise ValueError('kind "bins" needs either count or centres_m, of 2 bins or more')
        given = self.model_fields_set & {"count", "spacing", "centres_m", "distribution"}
        if self.kind != "bins" and given:
            raise ValueError(f'{min(given)} is for kind "bins", but kind is "{self.kind}"')
        if self.kind == "bins" and self.model_fields_set & {"scale", "shift"}:
            raise ValueError('scale and shift are not for kind "bins"')
        if self.scale == 0:
            raise ValueError("scale must not be 0")
        return self

    @property
    def channels(self) -> int:
        """Channels of the answer: one, or one per bin."""
        return (self.count or len(self.centres_m)) if self.kind == "bins" else 1


class ForeignSpec(_Part):
    """A network from elsewhere: where it is, and its contract.

    module: "package.file:factory" or "path/file.py:factory", called without arguments for a torch.nn.Module with its
        weights loaded; onnx: or an ONNX file. Paths are relative to the TOML file.
    size: "WxH" the network runs at; resize, range_m, focal_px, beyond_m and upsampling: as `DepthSpec` says, the
        focal length in pixels at that size.
    """

    name: str = Field(pattern=NAME_PATTERN)
    module: str | None = None
    onnx: str | None = None
    size: tuple[int, int]
    resize: ResizePolicy = "letterbox"
    range_m: tuple[Positive, Positive]
    focal_px: Positive
    beyond_m: Positive | None = None
    upsampling: Upsampling = "linear"
    input: ForeignInput = ForeignInput()
    output: ForeignOutput
    provenance: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _sized(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("size"), str):
            try:
                return {**data, "size": parse_size(data["size"])}
            except InputError as error:
                raise ValueError(str(error)) from None
        return data

    @model_validator(mode="after")
    def _valid(self) -> ForeignSpec:
        if self.module is not None and self.onnx is not None:
            raise ValueError("module and onnx exclude each other")
        self.depth_spec()
        return self

    def depth_spec(self) -> DepthSpec:
        """The contract in the terms of all networks."""
        return DepthSpec(
            input_wh=self.size,
            resize=self.resize,
            min_m=self.range_m[0],
            max_m=self.range_m[1],
            num_bins=self.output.count,
            spacing=self.output.spacing,
            f_canonical_px=self.focal_px,
            beyond_m=self.beyond_m,
            upsampling=self.upsampling,
        )


def load_foreign(path: str | Path) -> ForeignSpec:
    """Read a TOML file.

    Raises:
        InputError: no such file, not TOML, or not of the form; the message names the first fault.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no file at {path}; a network from elsewhere needs a TOML file, see docs/own_networks.md")
    # The standard library has it from Python 3.11 on.
    tomllib = require("tomllib" if sys.version_info >= (3, 11) else "tomli", extra="export")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InputError(f"{path} is not TOML: {error}") from None
    try:
        return ForeignSpec.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{path}: {first_fault(error)}") from None


def relative_to_file(spec: ForeignSpec, path: Path) -> ForeignSpec:
    """The same with `onnx` as a path from here, and a module's file likewise."""
    update: dict[str, str] = {}
    if spec.onnx is not None:
        update["onnx"] = str(path.parent / spec.onnx)
    if spec.module is not None and spec.module.partition(":")[0].endswith(".py"):
        update["module"] = str(path.parent / spec.module)
    return spec.model_copy(update=update)
