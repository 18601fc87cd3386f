"""What FP16 costs: abs_rel against FP32 on labelled frames, and no value that is not finite on any frame.

    python benchmarks/fp16.py --data synth:rendered/indoor --data synth:rendered/street --write docs/benchmarks.md
    python benchmarks/fp16.py path/to/bundle --data pairs:my/pairs.json --frames 200 --json

Every depth network of a bundle, the shipped one by default, sees `--frames` frames: labelled ones at network size, and
frames that ask for trouble (black, white, greys, colours at full drive, noise of several kinds, and labelled frames
underexposed, blown out, negated or noisy). The typed FP16 graph is run as a GPU would, every half-precision tensor
rounded (`edgedepth.export.emulation`). The exit code is 1 if abs_rel moves by `LIMIT` or a value is not finite.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from pages import write_section

from edgedepth.core.bundle import Bundle
from edgedepth.core.errors import EdgeDepthError, InputError
from edgedepth.core.metrics import DepthErrors, mean_metrics
from edgedepth.core.preprocess import BgrFrame, Placement, focal_scale
from edgedepth.core.routing import Route
from edgedepth.core.spec import DepthSpec
from edgedepth.datasets import DepthSample, open_for_evaluation
from edgedepth.engines import open_session
from edgedepth.export.emulation import emulated_float16
from edgedepth.export.frames import probe_frames
from edgedepth.export.range_audit import audited_float16

LIMIT = 1e-3  # of the change of abs_rel
AUDITED = 16  # labelled frames whose ranges decide what stays float32, besides the generated ones


@dataclass(frozen=True, kw_only=True)
class Result:
    """What FP16 does to one network; abs_rel and delta1 are means over the labelled frames, unaligned."""

    route: str
    network: str
    frames: int
    labelled: int
    kept_float32: int
    abs_rel_fp32: float
    abs_rel_fp16: float
    delta1_fp32: float
    delta1_fp16: float
    worst_p999: float  # over frames, of the 99.9th percentile of the relative difference
    not_finite: int

    @property
    def passed(self) -> bool:
        """Whether FP16 is as good as FP32."""
        return self.not_finite == 0 and abs(self.abs_rel_fp16 - self.abs_rel_fp32) < LIMIT


def labelled_frames(
    names: list[str], route: Route, spec: DepthSpec, count: int
) -> list[tuple[BgrFrame, NDArray[np.float32]]]:
    """At most `count` frames at network size, with truth in the network's own metres, NaN where there is none."""
    datasets = [open_for_evaluation(name)[0].where(lambda info: info.route in (None, route)) for name in names]
    usable = [dataset for dataset in datasets if len(dataset)]
    found = [_placed(sample, spec) for dataset in usable for sample in dataset.limited(-(-count // len(usable)))]
    kept = [(frame, truth) for frame, truth in found if np.isfinite(truth).any()]
    if not kept:
        raise InputError(f"{', '.join(names)}: no frame of the route {route} has depth in its range; give other --data")
    return kept[:count]


def _placed(sample: DepthSample, spec: DepthSpec) -> tuple[BgrFrame, NDArray[np.float32]]:
    height, width = sample.depth_m.shape
    placement = Placement.of((width, height), spec.input_wh, spec.resize)
    truth = placement.labels_to_input(sample.depth_m, np.nan) / focal_scale(sample.camera, placement, spec)
    inside = (truth > spec.min_m) & (truth < spec.max_m)
    return placement.to_input(sample.image_bgr), np.where(inside, truth, np.nan).astype(np.float32)


def harsh_frames(frames: list[BgrFrame], wh: tuple[int, int]) -> Iterator[BgrFrame]:
    """Without end: frames that a camera gives when something is wrong, each round with other noise."""
    width, height = wh
    rng = np.random.default_rng(0)
    flat = [np.full((height, width, 3), level, np.uint8) for level in (0, 255, 1, 128)]
    drive = [np.full((height, width, 3), colour, np.uint8) for colour in np.array(_corners())]
    yield from (*flat, *drive, *probe_frames(wh))
    spoil: tuple[Callable[[BgrFrame], NDArray[np.floating] | BgrFrame], ...] = (
        lambda f: f * 0.08,  # underexposed
        lambda f: f * 4.0,  # blown out
        lambda f: 255 - f,
        lambda f: f + rng.normal(0, 50, f.shape),
        lambda f: np.where(f > 127, 255, 0),  # saturated in every channel
        lambda f: np.where(rng.random((*f.shape[:2], 1)) < 0.2, rng.integers(0, 2, f.shape) * 255, f),
        lambda f: rng.integers(0, 256, f.shape),
        lambda f: rng.normal(rng.uniform(0, 255), rng.uniform(1, 120), f.shape),
        lambda f: np.roll(f, int(rng.integers(f.shape[1])), axis=1)[:, ::-1],
        lambda f: cv2.GaussianBlur(rng.integers(0, 256, f.shape).astype(np.uint8), (0, 0), float(rng.uniform(1, 12))),
    )
    for frame, how in zip(cycle(frames), cycle(spoil), strict=False):
        yield np.clip(how(frame.astype(np.float32)), 0, 255).astype(np.uint8)


def _corners() -> list[tuple[int, int, int]]:
    return [(b, g, r) for b in (0, 255) for g in (0, 255) for r in (0, 255)][1:-1]


def compare(bundle: Bundle, route: Route, names: list[str], count: int, share: float = 0.5) -> Result:
    """Run both precisions of a route's network over `count` frames, `share` of them labelled."""
    entry = bundle.manifest.networks[route]
    labelled = labelled_frames(names, route, entry.spec, max(1, round(count * share)))
    images = [frame for frame, _ in labelled]
    harsh = islice(harsh_frames(images, entry.spec.input_wh), max(0, count - len(images)))
    plain = bundle.path(entry.variants["fp32"])
    audited = [*images[:: max(1, len(images) // AUDITED)][:AUDITED], *probe_frames(entry.spec.input_wh)]
    typed, unfit = audited_float16(onnx.load(plain), [frame[None] for frame in audited])
    scores: dict[str, list[dict[str, float]]] = {"fp32": [], "fp16": []}
    worst, lost = 0.0, 0
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        rounded = Path(folder) / "fp16.onnx"
        onnx.save(emulated_float16(typed), rounded)
        full = stack.enter_context(open_session(plain, "onnxruntime"))
        half = stack.enter_context(open_session(rounded, "onnxruntime"))
        for frame, truth in [*labelled, *((frame, None) for frame in harsh)]:
            expected = full.run({"frame": frame[None]}, ["depth_m"])["depth_m"][0, 0]
            found = half.run({"frame": frame[None]}, ["depth_m"])["depth_m"][0, 0]
            finite = np.isfinite(found)
            lost += int(np.count_nonzero(~finite))
            if finite.any():
                worst = max(worst, float(np.quantile((np.abs(found - expected) / expected)[finite], 0.999)))
            if truth is not None and finite.all():
                known = np.isfinite(truth)
                scores["fp32"].append(DepthErrors.of(expected[known], truth[known]).values())
                scores["fp16"].append(DepthErrors.of(found[known], truth[known]).values())
    mean = {precision: mean_metrics(rows) for precision, rows in scores.items()}
    return Result(
        route=str(route),
        network=entry.network,
        frames=count,
        labelled=len(labelled),
        kept_float32=len(unfit),
        abs_rel_fp32=mean["fp32"]["abs_rel"],
        abs_rel_fp16=mean["fp16"]["abs_rel"],
        delta1_fp32=mean["fp32"]["delta1"],
        delta1_fp16=mean["fp16"]["delta1"],
        worst_p999=worst,
        not_finite=lost,
    )


def table(results: list[Result]) -> str:
    """Markdown, one line per network."""
    lines = [
        "| network | frames (labelled) | abs_rel fp32 | fp16 | delta1 fp32 | fp16 | worst frame, p99.9 | not finite |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.network} | {r.frames} ({r.labelled}) | {r.abs_rel_fp32:.4f} | {r.abs_rel_fp16:.4f} "
        f"| {r.delta1_fp32:.4f} | {r.delta1_fp16:.4f} | {100 * r.worst_p999:.2f} % | {r.not_finite} |"
        for r in results
    ]
    return "\n".join(lines)


def main() -> int:
    """Compare every route of a bundle; 1 if FP16 costs too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", default="default")
    parser.add_argument("--data", action="append", required=True, metavar="kind:path", help="labelled data; often")
    parser.add_argument("--frames", type=int, default=1000, help="per network")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", type=Path, help="page whose table between the marks fp16 is replaced")
    arguments = parser.parse_args()
    try:
        bundle = Bundle.load(arguments.bundle)
        results = [compare(bundle, route, arguments.data, arguments.frames) for route in bundle.manifest.networks]
    except EdgeDepthError as error:
        print(error, file=sys.stderr)
        return 1
    if arguments.write is not None:
        write_section(arguments.write, "fp16", table(results).splitlines())
    print(json.dumps([asdict(result) for result in results], indent=1) if arguments.json else table(results))
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
