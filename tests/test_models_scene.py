"""Scene classifiers, their categories, and the public Places365 checkpoint's form."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the networks need PyTorch: pip install 'edgedepth[train]'")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from edgedepth.core.errors import CheckpointError, InputError, UnknownNameError  # noqa: E402
from edgedepth.trainers import create_network  # noqa: E402
from edgedepth.trainers.models.places365 import FAR_INDOOR, places365_categories  # noqa: E402
from edgedepth.trainers.models.registry import classifier_spec  # noqa: E402
from edgedepth.trainers.models.scene import SceneWRN18, SceneWRN18Options, load_places365  # noqa: E402
from edgedepth.world.categories import CATEGORIES, NEAR_CATEGORIES  # noqa: E402


@pytest.mark.parametrize(
    ("name", "parameters", "mmacs", "classes"),
    [("scene-small", 380_712, 21.756, 24), ("scene-wrn18", 11_363_757, 6900.4, 365)],
)
def test_parameters_and_cost(name: str, parameters: int, mmacs: float, classes: int) -> None:
    spec = classifier_spec(name)
    with torch.device("meta"):
        network = create_network(name).eval()
        image = torch.zeros(1, 3, spec.input_wh[1], spec.input_wh[0])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        assert network(image).shape == (1, classes)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert counter.get_total_flops() / 2e6 == pytest.approx(mmacs, rel=1e-3)
    assert len(spec.categories) == classes


@pytest.mark.parametrize("name", ["scene-small", "scene-wrn18"])
def test_logits_in_training_probabilities_in_evaluation(name: str) -> None:
    network = create_network(name)
    image = torch.rand(2, 3, 48, 64)
    network(image)
    network.eval()
    with torch.no_grad():
        probabilities = network(image)
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(2))
    assert float(probabilities.min()) >= 0


def test_scene_small_starts_undecided() -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        logits = create_network("scene-small", dropout=0.0)(torch.rand(2, 3, 96, 128))
    assert float(logits.abs().max()) < 1


def test_scene_small_knows_the_categories_of_the_world() -> None:
    categories = classifier_spec("scene-small").categories
    assert [c.name for c in categories] == list(CATEGORIES)
    assert [c.name for c in categories if not c.far] == list(NEAR_CATEGORIES)


def test_places365_categories() -> None:
    categories = {c.name: c for c in places365_categories()}
    assert len(categories) == 365
    assert list(categories)[:2] == ["airfield", "airplane_cabin"]
    assert list(categories)[364] == "zen_garden"
    assert {name: categories[name].far for name in ("bedroom", "kitchen", "street", "highway", "hangar/indoor")} == {
        "bedroom": False,
        "kitchen": False,
        "street": True,
        "highway": True,
        "hangar/indoor": True,
    }
    assert categories.keys() >= FAR_INDOOR
    assert sum(c.far for c in categories.values()) == 205 + len(FAR_INDOOR)


def test_the_wide_network_halves_four_times() -> None:
    network = SceneWRN18(SceneWRN18Options()).eval()
    sizes = []
    network.layer4.register_forward_hook(lambda _module, _inputs, output: sizes.append(tuple(output.shape)))
    with torch.no_grad():
        network(torch.rand(1, 3, 64, 64))
    assert sizes == [(1, 512, 4, 4)]


@pytest.fixture(scope="module")
def public_form() -> dict[str, object]:
    """What the public file holds: parallel names, no batch counters, training's leftovers around the weights."""
    torch.manual_seed(1)
    state = SceneWRN18(SceneWRN18Options()).state_dict()
    weights = OrderedDict((f"module.{k}", v) for k, v in state.items() if not k.endswith("num_batches_tracked"))
    return {"epoch": 90, "arch": "wideresnet18", "state_dict": weights, "best_prec1": 54.0}


@pytest.mark.parametrize("legacy", [False, True])
def test_the_public_checkpoint_loads(tmp_path: Path, public_form: dict[str, object], legacy: bool) -> None:
    path = tmp_path / "wideresnet18_places365.pth.tar"
    torch.save(public_form, path, _use_new_zipfile_serialization=not legacy)
    network = load_places365(path)
    assert not network.training
    assert torch.equal(network.conv1.weight, public_form["state_dict"]["module.conv1.weight"])
    with torch.no_grad():
        assert network(torch.rand(1, 3, 64, 64)).shape == (1, 365)


def test_a_bare_state_dict_loads(tmp_path: Path, public_form: dict[str, object]) -> None:
    path = tmp_path / "bare.pth"
    torch.save({k.removeprefix("module."): v for k, v in public_form["state_dict"].items()}, path)
    assert torch.equal(load_places365(path).fc.weight, public_form["state_dict"]["module.fc.weight"])


class _RunsCode:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("must-not-exist"),))


def test_code_in_a_checkpoint_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path, write in ((tmp_path / "a.pth", torch.save), (tmp_path / "b.pth", _plain_pickle)):
        write({"state_dict": _RunsCode()}, path)
        with pytest.raises(CheckpointError, match="cannot be read as plain weights"):
            load_places365(path)
    assert not (tmp_path / "must-not-exist").exists()


def _plain_pickle(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a checkpoint at all", b"\x80\x02}q\x00."])
def test_files_that_are_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pth.tar"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as refusal:
        load_places365(path)
    assert "\n" not in str(refusal.value)


def test_a_cut_off_checkpoint(tmp_path: Path, public_form: dict[str, object]) -> None:
    path = tmp_path / "x.pth.tar"
    torch.save(public_form, path)
    path.write_bytes(path.read_bytes()[:10_000_000])
    with pytest.raises(CheckpointError, match="cannot be read as plain weights"):
        load_places365(path)


@pytest.mark.parametrize(
    "content",
    [
        [1, 2, 3],
        {"state_dict": 3},
        {"state_dict": {"module.conv1.weight": torch.zeros(64, 3, 7, 7)}},
        {"conv1.weight": 3},
    ],
)
def test_weights_of_another_network(tmp_path: Path, content: object) -> None:
    path = tmp_path / "x.pth.tar"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="is not the Places365"):
        load_places365(path)


def test_a_head_of_another_size(tmp_path: Path, public_form: dict[str, object]) -> None:
    weights = dict(public_form["state_dict"]) | {"module.fc.weight": torch.zeros(10, 512)}
    torch.save({"state_dict": weights}, tmp_path / "x.pth.tar")
    with pytest.raises(CheckpointError, match=r"1 tensors are .* the first 'fc.weight'"):
        load_places365(tmp_path / "x.pth.tar")


def test_a_missing_file_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="download wideresnet18_places365"):
        load_places365(tmp_path / "none.pth.tar")


def test_impossible_options_are_refused() -> None:
    for options in ({"dropout": 1.0}, {"num_classes": 1}, {"widths": (8,)}, {"depths": (1, 2)}):
        with pytest.raises(InputError, match="scene-small cannot be built"):
            create_network("scene-small", **options)
    with pytest.raises(UnknownNameError, match="unknown classifier 'edge-low'"):
        classifier_spec("edge-low")
