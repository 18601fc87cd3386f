"""What `edgedepth eval` can measure: a bundle, a checkpoint or a folder of predictions, all behind one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedepth.core.errors import InputError, require
from edgedepth.core.spec import parse_size

if TYPE_CHECKING:
    from edgedepth.core.routing import Route
    from edgedepth.datasets import DepthSample
    from edgedepth.evaluation import MeanDepth, Prediction


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Something that answers depth.

    predict: a sample and a forced route (None: its own choice) to depth.
    ranges_m: depth ranges by route, where the subject has its own. about: what the report says of it.
    """

    name: str
    predict: Callable[[DepthSample, Route | None], Prediction]
    baselines: Mapping[Route, MeanDepth] = field(default_factory=dict)
    ranges_m: Mapping[Route, tuple[float, float]] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SubjectOptions:
    """How to run it; what a kind of subject has no use for is refused.

    size: WxH of a checkpoint's network. depth_scale: values per metre of PNG predictions.
    """

    backend: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    size: str | None = None
    depth_scale: float | None = None
    routed: bool = False


@contextmanager
def open_subject(path: str, options: SubjectOptions) -> Iterator[Subject]:
    """The subject that a path names, open for the length of the block.

    Raises:
        InputError: an option that this kind of subject has no use for.
    """
    from edgedepth.evaluation.predictions import holds_predictions

    if path.endswith(".safetensors"):
        yield _checkpoint(Path(path), options)
    elif holds_predictions(Path(path)):
        yield _predictions(Path(path), options)
    else:
        yield from _bundle(path, options)


def _bundle(path: str, options: SubjectOptions) -> Iterator[Subject]:
    from edgedepth.core.routing import FixedRule
    from edgedepth.evaluation import Prediction, baselines_of
    from edgedepth.runtime.depth_runtime import DepthRuntime

    if options.size is not None or options.depth_scale is not None:
        raise InputError("--size is for checkpoints and --depth-scale for folders of predictions, not for bundles")
    with DepthRuntime.load(
        path, backend=options.backend, precision=options.precision, threads=options.threads
    ) as runtime:
        chooses = not isinstance(runtime.bundle.manifest.router.rule, FixedRule)

        def predict(sample: DepthSample, route: Route | None) -> Prediction:
            result = runtime(sample.image_bgr, camera=sample.camera, route=route)
            return Prediction(result.raw_depth_m, result.route, decided=route is None and chooses)

        yield Subject(
            name=runtime.bundle.manifest.name,
            predict=predict,
            baselines=baselines_of(runtime.bundle),
            ranges_m={r: (runtime.spec(r).min_m, runtime.spec(r).max_m) for r in runtime.routes},
            about={
                "bundle": {"name": runtime.bundle.manifest.name, "digest": runtime.bundle.digest},
                "backend": runtime.backend,
                "precision": runtime.precision,
            },
        )


def _checkpoint(path: Path, options: SubjectOptions) -> Subject:
    _refuse_routing(options, "a checkpoint is one network")
    if options.depth_scale is not None:
        raise InputError("--depth-scale is for folders of predictions; a checkpoint answers metres")
    torch = require("torch", extra="train")
    from edgedepth.core.files import sha256_of
    from edgedepth.trainers.predictor import baselines_beside, predictor_of

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    predictor = predictor_of(path, size=None if options.size is None else parse_size(options.size), device=device)
    return Subject(
        name=path.stem,
        predict=lambda sample, _: predictor(sample),
        baselines=baselines_beside(path, predictor.spec),
        about={
            "checkpoint": {"name": path.name, "sha256": sha256_of(path)},
            "input_wh": list(predictor.spec.input_wh),
            "backend": f"pytorch ({device})",
            "precision": "fp32",
        },
    )


def _predictions(path: Path, options: SubjectOptions) -> Subject:
    _refuse_routing(options, "predictions are made already")
    if options.size is not None:
        raise InputError("--size is for checkpoints; predictions have the size that they have")
    from edgedepth.evaluation.predictions import PredictionFolder

    folder = PredictionFolder(path, options.depth_scale)
    return Subject(
        name=path.name,
        predict=lambda sample, _: folder(sample),
        about={"predictions": str(path), "backend": "none", "precision": "as written"},
    )


def _refuse_routing(options: SubjectOptions, why: str) -> None:
    for name, given in (("--route", options.routed), ("--backend", options.backend != "auto"),
                        ("--precision", options.precision != "auto")):  # fmt: skip
        if given:
            raise InputError(f"{name} is for bundles: {why}")
