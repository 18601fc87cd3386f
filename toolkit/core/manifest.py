"""The form of `bundle.json`: everything that running needs to know, validated before anything is opened."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgedepth.core.errors import BundleError, InputError, first_fault
from edgedepth.core.routing import FixedRule, Hysteresis, Route, Rule
from edgedepth.core.spec import DepthSpec, ResizePolicy

NAME_PATTERN = r"^[A-Za-z0-9._-]+$"  # of bundles and networks: they become parts of file names
SCHEMA_VERSION = 1  # the literal of `Manifest.schema_version`
FILE_PRECISIONS = ("fp32", "fp16", "int8")  # what files are made in
ROUTER = "router"  # the role of the router's network; a depth network's role is its route


def _inside(path: str) -> str:
    """Accept only a relative path with forward slashes that stays in the bundle's folder."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or "\\" in path or ":" in path or ".." in parts:
        raise ValueError(f"path {path!r} leaves the bundle's folder")
    return path


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BundleFile(_Part):
    """One file of the bundle, known by its content."""

    file: Annotated[str, AfterValidator(_inside)]
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


Variants = dict[str, BundleFile]  # keyed "<precision>" or "<precision>@<backend>"


def variant_keys(precision: str, backend: str) -> tuple[str, ...]:
    """Keys of the files that a backend can take, the most specific first; TensorRT-RTX takes TensorRT's own.

    bf16 is arithmetic that a backend does on the float32 file.
    """
    precision = "fp32" if precision == "bf16" else precision
    forms = (backend, "tensorrt") if backend == "tensorrt-rtx" else (backend,)
    return (*(f"{precision}@{form}" for form in forms), precision)


class _Network(_Part):
    network: str = Field(pattern=NAME_PATTERN)
    params: int = Field(ge=0)
    gmacs: float = Field(ge=0)
    variants: Variants = Field(min_length=1)

    def variant(self, precision: str, backend: str) -> BundleFile:
        """The most specific file of a precision for a backend.

        Raises:
            InputError: there is none; the message lists the files there are.
        """
        for key in variant_keys(precision, backend):
            if key in self.variants:
                return self.variants[key]
        raise InputError(f"{self.network} has no {precision} file for {backend}; it has: {', '.join(self.variants)}")

    def runs_in(self, precision: str, backend: str) -> bool:
        """Whether there is a file of a precision for a backend."""
        return any(key in self.variants for key in variant_keys(precision, backend))


class Parity(_Part):
    """How far an exported graph is from the network it came from: relative depth error over golden frames.

    mean_relative is None in bundles of versions that did not write it.
    """

    against: str
    max_relative: float = Field(ge=0)
    mean_relative: float | None = Field(default=None, ge=0)
    p999_relative: float = Field(ge=0)
    frames: int = Field(ge=1)


class Accuracy(_Part):
    """What a network scores on labelled data, unaligned, by protocol "native" (see `edgedepth.evaluation`)."""

    data: str
    images: int = Field(ge=1)
    abs_rel: float = Field(ge=0)
    delta1: float = Field(ge=0, le=1)


class Int8Record(_Part):
    """How an INT8 file came to be, what it costs and whether it earns its place.

    ranges: the calibration file. source, frames: what it was calibrated on. recipe: method and corrections.
    kept_float: quantisable layers left in floating point; int8_macs: share of the multiply-adds done in INT8, 0..1.
    truth: what the check frames were held against: measured depth ("labels") or FP32's own answer ("fp32").
    abs_rel, delta1: of FP32 and of INT8, on the check frames at network size.
    speedup: how many times faster than the best floating-point file of the bundle on `device`; None if not measured.
    accepted: within its budget, and faster where that was measured. `why` says it in words. A file that was not
        accepted is not in the bundle.
    """

    ranges: BundleFile
    source: str
    frames: int = Field(ge=1)
    recipe: str
    kept_float: tuple[str, ...] = ()
    int8_macs: float = Field(ge=0, le=1)
    truth: Literal["labels", "fp32"]
    check_frames: int = Field(ge=1)
    abs_rel: tuple[float, float]
    delta1: tuple[float, float]
    within_budget: bool
    speedup: float | None = None
    device: str | None = None
    accepted: bool
    why: str


class MetricScale(_Part):
    """A correction of a network's depth for the user's camera: depth_m = factor * depth_m + shift_m.

    It is applied after scaling by focal length. source: what it was measured from. frames: on how many frames.
    residual: median relative error of the measurements after the correction. camera_given: the camera's intrinsics were
    known to the measurement; without them its factor holds the ratio of focal lengths, too. None: that is not known.
    """

    factor: float = Field(gt=0)
    shift_m: float = 0.0
    source: str
    frames: int = Field(ge=1)
    residual: float = Field(ge=0)
    camera_given: bool | None = None


class DepthNetwork(_Network):
    """A depth network: its contract, its files, and what was measured of them.

    `parity` and `accuracy` are of the graphs by variant key and of "plain", the graph before rewrites; `accuracy` also
    of "original", the network that was exported. It is empty where the export was given no labelled data.

    `int8` tells of calibrations by variant key; `scale` is the user's own correction.

    `baseline` is the mean log-depth map of the training split, (H, W) float32 log metres at network size for the
    canonical camera, as .npy: what any network must beat.
    """

    spec: DepthSpec
    confidence: bool = False
    parity: dict[str, Parity] = Field(default_factory=dict)
    accuracy: dict[str, Accuracy] = Field(default_factory=dict)
    baseline: BundleFile | None = None
    int8: dict[str, Int8Record] = Field(default_factory=dict)
    scale: MetricScale | None = None

    @property
    def input_wh(self) -> tuple[int, int]:
        """Size of its input."""
        return self.spec.input_wh

    @property
    def resize(self) -> ResizePolicy:
        """How a frame comes to that size."""
        return self.spec.resize

    def int8_pays_on(self, backend: str) -> bool:
        """True where an INT8 file for this backend is within its budget and was measured to be faster."""
        record = self.int8.get(f"int8@{backend}")
        return record is not None and record.accepted and (record.speedup or 0.0) > 1.0


class SceneNetwork(_Network):
    """A scene classifier: probabilities in the order of the rule's categories."""

    input_wh: tuple[int, int]
    resize: ResizePolicy = "stretch"


Network = DepthNetwork | SceneNetwork


class Router(_Part):
    """Stage one: the rule, the network it reads, and how often an ordered source is routed.

    A scene rule reads a `scene` network, a coarse rule a `coarse` depth network, a fixed rule none.
    """

    rule: Rule
    scene: SceneNetwork | None = None
    coarse: DepthNetwork | None = None
    hysteresis: Hysteresis = Hysteresis()

    @property
    def network(self) -> Network | None:
        """The network that the rule reads, if it reads one."""
        return self.scene or self.coarse

    @model_validator(mode="after")
    def _network_fits_rule(self) -> Router:
        present = {name for name in ("scene", "coarse") if getattr(self, name) is not None}
        wanted = {"scene": {"scene"}, "coarse": {"coarse"}, "fixed": set()}[self.rule.kind]
        if present != wanted:
            raise ValueError(f"a {self.rule.kind!r} router needs {wanted or 'no network'}, but has {present or 'none'}")
        return self


class Golden(_Part):
    """A frame and the depth its FP32 graph answered when the bundle was made, to check a device against."""

    route: Route
    frame: BundleFile
    depth: BundleFile


class GoldenLimits(_Part):
    """How far an engine's depth of the golden frames may be from the FP32 reference: abs_rel, and share below 1.25."""

    max_abs_rel: float = Field(gt=0)
    min_delta1: float = Field(ge=0, le=1)


# What rounding explains, with room: a wrong kernel or an overflow is far beyond it.
DEFAULT_LIMITS = {
    "fp32": GoldenLimits(max_abs_rel=0.005, min_delta1=0.999),
    "fp16": GoldenLimits(max_abs_rel=0.02, min_delta1=0.995),
    "bf16": GoldenLimits(max_abs_rel=0.02, min_delta1=0.995),
    "int8": GoldenLimits(max_abs_rel=0.10, min_delta1=0.95),
}


class Manifest(_Part):
    """The content of `bundle.json`.

    limits: what the golden check of an engine holds it to, by precision; `plans` has ready-built engines and their
    sidecars, which run only after `edgedepth trust`.
    """

    schema_version: Literal[1] = 1
    name: str = Field(pattern=NAME_PATTERN)
    edgedepth_version: str
    router: Router
    networks: dict[Route, DepthNetwork] = Field(min_length=1)
    golden: tuple[Golden, ...] = ()
    limits: dict[str, GoldenLimits] = Field(default_factory=lambda: dict(DEFAULT_LIMITS))
    provenance: dict[str, str] = Field(default_factory=dict)
    licence: str = "unspecified"
    plans: tuple[BundleFile, ...] = ()

    @model_validator(mode="after")
    def _routable(self) -> Manifest:
        rule = self.router.rule
        needed = {rule.route} if isinstance(rule, FixedRule) else set(Route)
        missing = needed - set(self.networks)
        if missing:
            raise ValueError(f"the router can choose {sorted(missing)[0].value!r}, which has no network")
        return self

    def by_role(self) -> dict[str, Network]:
        """Every network: the depth networks by their routes, then the router's as `ROUTER`, if it has one."""
        roles: dict[str, Network] = {route.value: network for route, network in self.networks.items()}
        return roles if self.router.network is None else {**roles, ROUTER: self.router.network}

    def precisions(self, backend: str) -> tuple[str, ...]:
        """Those of `FILE_PRECISIONS` in which every depth network has a file for a backend."""
        return tuple(
            name for name in FILE_PRECISIONS if all(each.runs_in(name, backend) for each in self.networks.values())
        )

    def precision_of(self, role: str, precision: str, backend: str) -> str:
        """The precision in which a network runs: that of the bundle's others, but FP32 for a router without it."""
        network = self.by_role()[role]
        return precision if role != ROUTER or network.runs_in(precision, backend) else "fp32"

    def files(self) -> list[BundleFile]:
        """Every file the bundle consists of, the manifest itself excepted."""
        networks = list(self.by_role().values())
        files = [file for network in networks for file in network.variants.values()]
        depth = [network for network in networks if isinstance(network, DepthNetwork)]
        files += [network.baseline for network in depth if network.baseline is not None]
        files += [record.ranges for network in depth for record in network.int8.values()]
        files += [file for golden in self.golden for file in (golden.frame, golden.depth)]
        return files + list(self.plans)


def parse_manifest(text: str, *, where: str) -> Manifest:
    """Read and validate the text of a bundle.json found at `where`.

    Raises:
        BundleError: not JSON, of a newer schema, or not of the form; the message names the first fault.
    """
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] == ("schema_version",):
            raise BundleError(
                f"{where} has bundle schema {first['input']!r}, but this edgedepth reads {SCHEMA_VERSION};"
                " update edgedepth or export the bundle again"
            ) from None
        raise BundleError(f"{where} is not a valid bundle manifest: {first_fault(error)}") from None
