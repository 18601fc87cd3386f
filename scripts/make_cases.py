"""Makes `docs/images/cases.jpg`: what the default weights do with unseen rendered scenes, middling and worst.

    edgedepth synth rooms --world indoor --count 3348 --size 320x240 --seed 1 --views-per-scene 3 --split test
    edgedepth synth streets --world street --count 2988 --size 384x220 --seed 1 --views-per-scene 3 --split test
    python scripts/make_cases.py synth:rooms synth:streets

For each set the images about the median of abs_rel, then those where it is largest. A row shows the picture, the true
depth, the network's, and the error (blue too near, red too far, full colour at a factor of two).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edgedepth import DepthRuntime
from edgedepth.datasets import DepthDataset, DepthSample, open_dataset
from edgedepth.evaluation import Prediction, evaluate_samples, protocol_named
from edgedepth.evaluation.evaluate import ROUTE_RANGES_M
from edgedepth.evaluation.pictures import Picture, comparison, contact_sheet, save_picture
from edgedepth.evaluation.report import ImageScore

OUT = Path(__file__).parents[1] / "docs" / "images" / "cases.jpg"
OF_EACH = 3  # middling and worst images of each set


def cases(runtime: DepthRuntime, samples: DepthDataset) -> list[Picture]:
    """Rows of a set's middling and worst images, by abs_rel with the route given."""
    seen: list[tuple[float, DepthSample, Prediction]] = []

    def predict(sample: DepthSample) -> Prediction:
        result = runtime(sample.image_bgr, camera=sample.camera, route=sample.route)
        return Prediction(result.raw_depth_m, result.route)

    def keep(sample: DepthSample, prediction: Prediction, score: ImageScore) -> None:
        seen.append((score.metrics["none"]["abs_rel"], sample, prediction))

    evaluate_samples(predict, samples, protocol_named("native"), alignments=("none",), observe=keep)
    seen.sort(key=lambda row: row[0])
    middle = (len(seen) - OF_EACH) // 2
    shown = [("median", row) for row in seen[middle : middle + OF_EACH]]
    shown += [("worst", row) for row in seen[-OF_EACH:]]
    return [_row(which, *row) for which, row in shown]


def _row(which: str, abs_rel: float, sample: DepthSample, prediction: Prediction) -> Picture:
    assert prediction.route is not None
    range_m = ROUTE_RANGES_M[prediction.route]
    caption = f"{which}: {str(sample.category).replace('_', ' ')}, abs_rel {abs_rel:.2f}"
    return comparison(sample.image_bgr, sample.depth_m, prediction.depth_m, range_m, caption)


def main(names: Sequence[str]) -> None:
    """Measure the test splits and paste their rows together, a column for each set."""
    with DepthRuntime.load() as runtime:
        columns = [contact_sheet(cases(runtime, open_dataset(name, "test"))) for name in names]
    height = max(column.shape[0] for column in columns)
    sheet = np.hstack([np.pad(column, ((0, height - column.shape[0]), (0, 4), (0, 0))) for column in columns])
    small = cv2.resize(sheet, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    save_picture(OUT, np.asarray(small, np.uint8))
    print(OUT)


if __name__ == "__main__":
    main(sys.argv[1:])
