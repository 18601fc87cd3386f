"""The procedural world as it lies on disk: `synth:DIR`, written by `edgedepth synth DIR`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgedepth.core.errors import InputError
from edgedepth.datasets.pairs import open_pairs
from edgedepth.datasets.sample import DepthDataset

DATASET_FILE = "dataset.json"
PAIRS_FILE = "pairs.json"


def open_synth(path: Path, split: str | None = None) -> DepthDataset:
    """Open a rendered data set; `split` is "train", "val", "test" or None for all.

    Raises:
        InputError: the folder is not one that `edgedepth synth` wrote, or has no sample of the split.
    """
    if not (path / DATASET_FILE).is_file() or not (path / PAIRS_FILE).is_file():
        raise InputError(
            f"{path} is not a rendered data set: it needs {DATASET_FILE} and {PAIRS_FILE};"
            f" make one with: edgedepth synth {path}"
        )
    try:
        about: Any = json.loads((path / DATASET_FILE).read_bytes())
        classes = tuple(str(name) for name in about.get("semantic_classes", ()))
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError) as error:
        raise InputError(f"{path / DATASET_FILE} is damaged ({error}); render the data set again") from None
    return replace(open_pairs(path / PAIRS_FILE, split), name=f"synth:{path}", semantic_classes=classes)
