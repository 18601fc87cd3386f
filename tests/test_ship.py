"""The finished weights of a recipe go into the package as float16, with the baseline of the first stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgedepth.core.errors import InputError  # noqa: E402
from edgedepth.core.routing import SceneRule  # noqa: E402
from edgedepth.trainers import create_network  # noqa: E402
from edgedepth.trainers.checkpoint import load_checkpoint, save_checkpoint, shipped_checkpoint  # noqa: E402
from edgedepth.trainers.default.ship import FINISHED, ship  # noqa: E402


def _finish(run: Path, network: str, stage: str, *, shift: float = 0.0, without: str = " ") -> None:
    """A stage's checkpoint: the shipped weights, shifted, perhaps without a layer."""
    given = load_checkpoint(shipped_checkpoint(network))
    built = given.build()
    options = dict(given.options)
    if without == "refine_all":
        options["half"] = False
        built = create_network(network, **options)
    built.load_state_dict({name: given.state[name] + shift for name in built.state_dict()})
    (run / stage).mkdir()
    save_checkpoint(
        run / stage / f"{network}.safetensors",
        built,
        network=network,
        options=options,
        spec=given.spec,
        provenance={"steps": stage},
    )


def test_weights_are_shipped_with_the_first_stages_baseline(tmp_path: Path) -> None:
    run, folder = tmp_path / "run", tmp_path / "assets"
    run.mkdir()
    folder.mkdir()
    _finish(run, "scene-small", "router-close")
    for network, finished in FINISHED.items():
        if finished.rest is not None:
            _finish(run, network, finished.rest)
            _finish(run, network, finished.stage, shift=1.0, without="refine_all")
    for stage, value in (("low-third", 1.0), ("low", 2.0)):
        (run / stage).mkdir(exist_ok=True)
        np.save(run / stage / "edge-low.baseline.npy", np.full((240, 320), value, np.float32))
    rule = SceneRule.model_validate_json(
        shipped_checkpoint("scene-small").with_suffix(".rule.json").read_text()
    ).model_copy(update={"top_k": 5, "vote": "expected"})
    (run / "router-close" / "scene-small.rule.json").write_text(rule.model_dump_json())
    shipped = ship(run, folder)
    assert [path.name for path in shipped] == [f"{network}.safetensors" for network in FINISHED]
    written = SceneRule.model_validate_json((folder / "scene-small.rule.json").read_text())
    assert written == rule.model_copy(update=FINISHED["scene-small"].votes)
    assert (written.top_k, written.vote) == (11, "majority")
    baseline = np.load(folder / "edge-low.baseline.npy")
    assert baseline.dtype == np.float16
    assert (baseline == 1.0).all()
    for network, path in zip(FINISHED, shipped, strict=True):
        given, taken = load_checkpoint(shipped_checkpoint(network)), load_checkpoint(path)
        assert taken.options == given.options
        assert taken.spec == given.spec
        for name, tensor in given.state.items():
            # all is one larger but what the later stage lacks
            moved = 1.0 if FINISHED[network].rest and not name.startswith("refine_all") else 0.0
            if tensor.is_floating_point():
                assert torch.allclose(taken.state[name].float(), tensor.float() + moved, rtol=2e-3, atol=2e-3), name
    assert load_checkpoint(shipped[2]).provenance == {"steps": "high-longer", "rest": "high-whole"}


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no scene-small; finish it with"):
        ship(tmp_path, tmp_path)
