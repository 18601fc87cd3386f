"""The finished weights of a recipe go into the package as float16, with the baseline of the first stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgedepth.core.errors import InputError  # noqa: E402
from edgedepth.trainers.checkpoint import load_checkpoint, save_checkpoint, shipped_checkpoint  # noqa: E402
from edgedepth.trainers.ship import FINISHED, ship  # noqa: E402


def _finish(run: Path, network: str) -> None:
    folder = run / FINISHED[network]
    folder.mkdir()
    given = load_checkpoint(shipped_checkpoint(network))
    save_checkpoint(
        folder / f"{network}.safetensors",
        given.build(),
        network=network,
        options=given.options,
        spec=given.spec,
        provenance={"steps": "1"},
    )


def test_weights_are_shipped_with_the_first_stages_baseline(tmp_path: Path) -> None:
    run, folder = tmp_path / "run", tmp_path / "assets"
    run.mkdir()
    folder.mkdir()
    for network in FINISHED:
        _finish(run, network)
    for stage, value in (("low-third", 1.0), ("low", 2.0)):
        (run / stage).mkdir(exist_ok=True)
        np.save(run / stage / "edge-low.baseline.npy", np.full((240, 320), value, np.float32))
    (run / "router" / "scene-small.rule.json").write_text("{}")
    shipped = ship(run, folder)
    assert [path.name for path in shipped] == [f"{network}.safetensors" for network in FINISHED]
    assert (folder / "scene-small.rule.json").read_text() == "{}"
    baseline = np.load(folder / "edge-low.baseline.npy")
    assert baseline.dtype == np.float16
    assert (baseline == 1.0).all()
    for network, path in zip(FINISHED, shipped, strict=True):
        finished = load_checkpoint(run / FINISHED[network] / f"{network}.safetensors")
        assert path.stat().st_size < 0.6 * (run / FINISHED[network] / path.name).stat().st_size
        taken = load_checkpoint(path)
        assert taken.provenance == finished.provenance
        for name, tensor in finished.state.items():
            assert torch.allclose(taken.state[name].float(), tensor.float(), rtol=1e-3, atol=1e-4), name


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no scene-small; finish it with"):
        ship(tmp_path, tmp_path)
