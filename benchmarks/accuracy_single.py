"""Does the router earn its place? One network for 0.3-80 m against a near and a far one of the same architecture.

    python benchmarks/accuracy_single.py --data synth:rooms --data synth:streets --write docs/accuracy.md

All three have edge-low's architecture and bins, and see every frame that they are for equally often: both systems cost
the same to train, and a frame costs both the same but for the router. They are small and trained for minutes: what is
compared is the idea, not the shipped weights. Stopped, it goes on where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pages import write_section

from edgedepth import DepthRuntime, Route
from edgedepth.core.spec import HIGH_RANGE_M, LOW_RANGE_M, parse_size
from edgedepth.datasets import DepthDataset, open_dataset
from edgedepth.evaluation import evaluate_samples, protocol_named
from edgedepth.evaluation.evaluate import PredictSample
from edgedepth.trainers.config import LossConfig, TrainConfig
from edgedepth.trainers.models.registry import resolve_options
from edgedepth.trainers.predictor import predictor_of
from edgedepth.trainers.train import train


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A network to train: edge-low's architecture over a range."""

    name: str
    network: str  # its ending says which frames it is trained on
    range_m: tuple[float, float]


SINGLE = Contestant(name="single", network="edge-low", range_m=(LOW_RANGE_M[0], HIGH_RANGE_M[1]))
PAIR = {
    Route.LOW: Contestant(name="near", network="edge-low", range_m=LOW_RANGE_M),
    Route.HIGH: Contestant(name="far", network="edge-high", range_m=HIGH_RANGE_M),
}


def trained(contestant: Contestant, given: argparse.Namespace) -> PredictSample:
    """Train a contestant, unless its run in `--out` is finished, and open it as a predictor."""
    out = given.out / contestant.name
    checkpoint = out / f"{contestant.network}.safetensors"
    if not (out / "finished").exists():
        low = resolve_options("edge-low", {})
        shape = {name: getattr(low, name) for name in ("widths", "depths", "decoder_widths", "num_bins")}
        min_m, max_m = contestant.range_m
        options: dict[str, Any] = {**shape, "min_m": min_m, "max_m": max_m, "regression": False}
        train(
            TrainConfig(
                network=contestant.network,
                data=tuple(given.data),
                out=out,
                size=tuple(given.size),
                epochs=given.epochs,
                lr=1.5e-3,
                threads=given.threads,
                cache=given.out / "cache",
                resume=True,
                options=options,
                loss=LossConfig(relative=0.5),
            )
        )
        (out / "finished").touch()
    return predictor_of(checkpoint, size=tuple(given.size))


def compare(given: argparse.Namespace) -> Iterator[str]:
    """Markdown: abs_rel and delta1 of the single network and of the pair, on the test splits."""
    single = trained(SINGLE, given)
    pair = {route: trained(contestant, given) for route, contestant in PAIR.items()}
    yield "| test split | images | | abs_rel | delta1 | abs_rel, median | router's share of a frame |"
    yield "|---|---:|---|---:|---:|---:|---:|"
    with DepthRuntime.load("default", threads=given.threads) as runtime:
        for name in given.data:
            samples = open_dataset(name, "test")
            routes, share = routed(runtime, samples)
            systems: dict[str, tuple[PredictSample, float]] = {
                "one network": (single, 0.0),
                "routed pair": (lambda sample, routes=routes: pair[routes[sample.id]](sample), share),  # type: ignore[misc]
                "pair, route given": (lambda sample: pair[sample.route or Route.LOW](sample), 0.0),
            }
            for label, (predict, cost) in systems.items():
                report = evaluate_samples(predict, samples, protocol_named("native"), alignments=("none", "median"))
                figures = [
                    f"{report.alignment[alignment][metric]:.3f}"
                    for alignment, metric in (("none", "abs_rel"), ("none", "delta1"), ("median", "abs_rel"))
                ]
                cells = [name.rpartition("/")[2], str(len(samples)), label, *figures, f"{100 * cost:.1f} %"]
                yield f"| {' | '.join(cells)} |"


def routed(runtime: DepthRuntime, samples: DepthDataset) -> tuple[dict[str, Route], float]:
    """The shipped router's choice for every sample, and its share of the milliseconds of a frame (medians)."""
    routes, spent = {}, []
    for sample in samples:
        result = runtime(sample.image_bgr, camera=sample.camera)
        routes[sample.id] = result.route
        spent.append((result.timings_ms["route"], sum(result.timings_ms.values())))
    choice, frame = np.median(spent, axis=0)
    return routes, float(choice / frame)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, train, compare, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, help="rendered sets, as synth:DIR")
    parser.add_argument("--out", type=Path, default=Path("runs/accuracy_single"))
    parser.add_argument("--epochs", type=float, default=4.0, help="how often a network sees each of its frames")
    parser.add_argument("--size", type=parse_size, default=(96, 72), help="WxH that all are trained and measured at")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--write", type=Path, help="page whose marked table is replaced")
    given = parser.parse_args(arguments)
    lines = []
    for line in compare(given):
        print(line, flush=True)
        lines.append(line)
    if given.write is not None:
        write_section(given.write, "single", lines)


if __name__ == "__main__":
    main()
