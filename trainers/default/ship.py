"""Takes the finished weights of a recipe's run into the package: `python -m edgedepth.trainers.default.ship RUN`."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path

import numpy as np

from edgedepth.core.errors import EdgeDepthError, InputError
from edgedepth.core.files import write_atomic
from edgedepth.core.routing import SceneRule
from edgedepth.core.spec import DepthSpec
from edgedepth.trainers.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edgedepth.trainers.default.stages import STAGES


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What is shipped of a network: the weights of a stage.

    rest: the stage whose layers are taken where `stage` has none, because it saw small images.
    votes: fields of the router's rule that photographs speak for, where validation chose otherwise.
    """

    stage: str
    rest: str | None = None
    votes: Mapping[str, object] = field(default_factory=dict)


FINISHED = {
    "scene-small": Finished(stage="router-close", votes={"vote": "majority", "top_k": 11}),
    "edge-low": Finished(stage="low-scanned", rest="low"),
    "edge-high": Finished(stage="high-longer", rest="high-whole"),
}


def ship(run: Path, folder: Path) -> list[Path]:
    """Write the checkpoints of a run as float16, with what lies beside them; answers the checkpoints' paths.

    Raises:
        InputError: a network has not been finished in this run.
    """
    return [_ship_network(run, network, folder) for network in FINISHED]


def _ship_network(run: Path, network: str, folder: Path) -> Path:
    finished = FINISHED[network]
    checkpoint = _of_stage(run, network, finished.stage)
    if finished.rest is not None:
        checkpoint = completed(checkpoint, _of_stage(run, network, finished.rest), finished.rest)
    size = STAGES[finished.rest or finished.stage].size
    spec = checkpoint.spec
    if isinstance(spec, DepthSpec) and size is not None:
        spec = spec.at_size(size)  # a network is at its best at the size it was last trained at
    target = folder / f"{network}.safetensors"
    save_checkpoint(
        target,
        checkpoint.build(),
        network=network,
        options=checkpoint.options,
        spec=spec,
        provenance=checkpoint.provenance,
        dtype="float16",
    )
    rule = run / finished.stage / f"{network}.rule.json"
    baseline = run / _first(network) / f"{network}.baseline.npy"
    if rule.is_file():
        chosen = SceneRule.model_validate_json(rule.read_bytes())
        write_atomic(folder / rule.name, chosen.model_copy(update=finished.votes).model_dump_json(indent=1))
    if baseline.is_file():
        buffer = io.BytesIO()
        np.save(buffer, np.load(baseline, allow_pickle=False).astype(np.float16))
        write_atomic(folder / baseline.name, buffer.getvalue())
    return target


def completed(later: Checkpoint, whole: Checkpoint, stage: str) -> Checkpoint:
    """The later weights in the form of the whole ones; layers that they lack are those of `stage`."""
    known = {key: value for key, value in later.provenance.items() if not key.startswith("validation_")}  # of a part
    return replace(whole, state={**whole.state, **later.state}, provenance={**known, "rest": stage})


def _of_stage(run: Path, network: str, stage: str) -> Checkpoint:
    source = run / stage / f"{network}.safetensors"
    if not source.is_file():
        raise InputError(f"{run} holds no {network}; finish it with: edgedepth train default -o {run}")
    return load_checkpoint(source)


def _first(network: str) -> str:
    """The stage that a network begins with: its training split makes the baseline, whatever later stages are given."""
    return next(name for name, stage in STAGES.items() if stage.network == network)


if __name__ == "__main__":
    try:
        for path in ship(Path(sys.argv[1]), Path(str(files("edgedepth.assets"))) / "checkpoints"):
            print(path)
    except (EdgeDepthError, IndexError) as error:
        sys.exit(f"edgedepth: {error or 'give the folder of a finished run'}")
