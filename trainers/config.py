"""What a training run is made of: small frozen dataclasses, validated once, passed as one argument."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from edgedepth.core.errors import InputError, UnknownNameError
from edgedepth.trainers.pause import Deadline

Precision = Literal["fp32", "bf16"]
Schedule = Literal["cosine", "poly", "constant", "exponential"]
Optimizer = Literal["adamw", "adam", "amsgrad", "sgd", "muon"]

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)
OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)


_POSITIVE = (
    "minutes", "epochs", "batch", "accumulate", "lr", "decay", "decay_steps", "clip", "threads",
    "save_seconds", "eval_seconds",
)  # fmt: skip


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise InputError(message)


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the depth losses (see `losses`); a weight of 0 leaves the term out.

    `regression` and `classification` are w2 and w1 of papers/1 eq. 3. The others belong to networks that refine
    an index map over several levels: `level_decay` is the factor from one level to the next coarser one.
    `foreground` adds to the weight of pixels that stand before their row (`losses.binned.foreground`).
    `beyond` weighs sky and farther-than-range pixels, which are trained to the last bin, against measured ones.
    `hard` trains classification by cross-entropy instead of by the expected index (papers/1, Table 6).
    `metric` names the losses of networks that regress at several levels (`losses.papers.METRIC_LOSSES`); None
    takes the network's own paper's.
    """

    classification: float = 1.0
    regression: float = 1.0
    level_decay: float = 0.6
    coarse_ce: float = 0.3
    gradient: float = 0.5
    gradient_scales: int = 4
    silog: float = 0.0
    relative: float = 0.0
    foreground: float = 0.0
    beyond: float = 0.3
    hard: bool = False
    metric: str | None = None

    def __post_init__(self) -> None:
        for name in (
            "classification",
            "regression",
            "level_decay",
            "coarse_ce",
            "gradient",
            "silog",
            "relative",
            "foreground",
            "beyond",
        ):
            value = getattr(self, name)
            _need(value >= 0, f"loss weight {name} must not be negative, but got {value}")
        _need(self.gradient_scales >= 1, f"gradient_scales must be at least 1, but got {self.gradient_scales}")


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How far training images are bent; see `augment`.

    `max_zoom` bounds the random crop; `reshape` is the share of crops that take a random shape out of `aspects` (width
    over height), which letterboxing then pads with black, `whole` the share of frames that are not cropped; `flip`
    mirrors every second one. `roll_deg` is the standard deviation by which every second frame is turned about the
    camera's axis.
    `photometric` scales the strength of every change of colour, `spectra` is the share of images that take over another
    image's texture and light, `texture` the share that a random filter alters, `cutout` the share with a hole,
    `light` the share that light falls on through windows that are not seen.
    """

    max_zoom: float = 1.5
    aspects: tuple[float, float] = (0.75, 2.4)
    reshape: float = 0.5
    whole: float = 0.3
    flip: bool = True
    roll_deg: float = 0.0
    photometric: float = 0.8
    spectra: float = 0.0
    texture: float = 0.0
    cutout: float = 0.1
    light: float = 0.0

    def __post_init__(self) -> None:
        _need(self.max_zoom >= 1, f"max_zoom must be at least 1, but got {self.max_zoom}")
        low, high = self.aspects
        _need(0 < low <= high, f"aspects must be two positive numbers in order, but got {self.aspects}")
        for name in ("photometric", "roll_deg"):
            _need(getattr(self, name) >= 0, f"{name} must not be negative, but got {getattr(self, name)}")
        for name in ("reshape", "whole", "spectra", "texture", "cutout", "light"):
            value = getattr(self, name)
            _need(0 <= value <= 1, f"{name} is a share in [0, 1], but got {value}")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run.

    network: name of the network; data: data sets as `kind:path`; out: folder of the run.
    init: "default", "imagenet" (backbones only), a checkpoint file, or None for random weights.
    size: (width, height) to train at, None for the network's own; the finished checkpoint keeps the full size.
    minutes, epochs: budget; the run ends when the first of those given is spent. Time spent before an
        interruption counts when the run is resumed.
    deadline: when this call saves its state and raises `Paused`; the run goes on when it is resumed.
    batch: images of a step in each process; accumulate: how many such batches make a step, where memory holds no more.
        A step sees batch x accumulate x processes images (see `processes`).
    lr: peak learning rate; warmup: share of the budget in which it rises; schedule: how it falls then, "exponential" by
        the factor `decay` every `decay_steps` steps; optimizer: see `optimisers`.
    patience: evaluations without a better figure after which the run ends early, 0 = never. The checkpoint is then that
        of the best evaluation.
    workers: processes that load data, 0 = none but this one; threads: of PyTorch on a CPU, None = its own choice.
    device: auto, cpu or cuda; precision: fp32, or bf16 for mixed precision, 1.1 to 1.4 times as fast on a CPU with
        bfloat16 instructions (measured at 160x120).
    ema: decay of the averaged weights that validation and the checkpoint use; blend: their share in those, the rest
        is of the checkpoint `blend_from`, or of the one the run started from.
    save_seconds, eval_seconds: how often the run is made safe and validated.
    pictures: validation frames to draw after every epoch, 0 = none; tensorboard: write events for it, too.
    cache: folder for decoded frames, `<out>/cache` where None. resume: go on with the run in `out`.
    watch: a data set that is evaluated beside the validation split and never trained on.
    options: options of the network that differ from its defaults, or with `init` from those of the checkpoint: layers
        that it lacks then start with random weights, those that are not wanted any more are left out.
    """

    network: str
    data: tuple[str, ...]
    out: Path
    init: str | None = None
    size: tuple[int, int] | None = None
    minutes: float | None = None
    deadline: Deadline = field(default_factory=Deadline)
    epochs: float | None = None
    batch: int = 16
    accumulate: int = 1
    lr: float = 2e-3
    optimizer: Optimizer = "adamw"
    weight_decay: float = 0.02
    warmup: float = 0.03
    schedule: Schedule = "cosine"
    decay: float = 0.9
    decay_steps: int = 10_000
    patience: int = 0
    clip: float = 1.0
    ema: float = 0.998
    blend: float = 1.0
    blend_from: str | None = None
    seed: int = 0
    workers: int = 0
    threads: int | None = None
    device: str = "auto"
    precision: Precision = "fp32"
    save_seconds: float = 120.0
    eval_seconds: float = 300.0
    eval_images: int = 200
    pictures: int = 0
    tensorboard: bool = False
    watch: str | None = None
    cache: Path | None = None
    resume: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    loss: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        _need(len(self.data) > 0, "training needs at least one data set, for example --data synth:DIR")
        _need(
            self.minutes is not None or self.epochs is not None,
            "training needs a budget: give --minutes or --epochs",
        )
        for name in _POSITIVE:
            value = getattr(self, name)
            _need(value is None or value > 0, f"{name} must be positive, but got {value}")
        for name in ("weight_decay", "workers", "eval_images", "patience", "pictures"):
            _need(getattr(self, name) >= 0, f"{name} must not be negative, but got {getattr(self, name)}")
        _need(
            self.patience == 0 or self.eval_images > 0,
            "patience judges by validation images, and eval_images is 0; give --set eval_images=100 or patience=0",
        )
        _need(0 <= self.seed < 2**32, f"seed must lie in 0..{2**32 - 1}, but got {self.seed}")
        _need(self.size is None or min(self.size) > 0, f"size must be two positive numbers, but got {self.size}")
        _need(0 <= self.warmup < 1, f"warmup is a share of the budget in [0, 1), but got {self.warmup}")
        _need(0 < self.blend <= 1, f"blend is a share in (0, 1], but got {self.blend}")
        _need(
            self.blend == 1 or self.blend_from is not None or self.init not in (None, "imagenet"),
            "blend needs a checkpoint to blend with; give --init or --set blend_from=FILE",
        )
        _need(0 <= self.ema < 1, f"ema must lie in [0, 1), but got {self.ema}")
        if self.device not in DEVICES:
            raise UnknownNameError.of("device", self.device, DEVICES)
        if self.precision not in PRECISIONS:
            raise UnknownNameError.of("precision", self.precision, PRECISIONS)
        if self.schedule not in SCHEDULES:
            raise UnknownNameError.of("schedule", self.schedule, SCHEDULES)
        if self.optimizer not in OPTIMIZERS:
            raise UnknownNameError.of("optimizer", self.optimizer, OPTIMIZERS)

    def seed_of(self, draw: int) -> int:
        """The seed of what is random in one batch: a resumed run draws what it would have drawn."""
        return self.seed * 1_000_003 + draw
