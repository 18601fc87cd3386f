"""Checkpoints: what goes in comes out, and nothing else is accepted."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="checkpoints need PyTorch: pip install 'edgedepth[train]'")

from safetensors import safe_open  # noqa: E402
from safetensors.torch import load, save_file  # noqa: E402

from edgedepth.core.errors import CheckpointError, InputError, OutputError  # noqa: E402
from edgedepth.trainers import create_network, load_checkpoint, save_checkpoint  # noqa: E402
from edgedepth.trainers.checkpoint import Checkpoint  # noqa: E402
from edgedepth.trainers.models.registry import classifier_spec, default_spec  # noqa: E402

OPTIONS: dict[str, Any] = {"widths": (8, 8, 8, 8, 8), "depths": (0, 0, 0, 0, 0), "decoder_widths": (8, 8, 8, 8)}
SPEC = default_spec("edge-low")


@pytest.fixture
def network() -> torch.nn.Module:
    torch.manual_seed(3)
    network = create_network("edge-low", **OPTIONS)
    network(torch.rand(2, 3, 32, 32))  # moves the batch statistics off their start
    return network.eval()


@pytest.fixture
def path(tmp_path: Path, network: torch.nn.Module) -> Path:
    path = tmp_path / "edge.safetensors"
    save_checkpoint(path, network, network="edge-low", options=OPTIONS, spec=SPEC, provenance={"data": "synth v1"})
    return path


def rewrite(path: Path, *, header: Any = None, state: dict[str, torch.Tensor] | None = None) -> None:
    """Write the file again with another header (text, or changes to the present one) or other tensors."""
    with safe_open(path, framework="pt") as file:
        present = json.loads(file.metadata()["edgedepth"])
    text = header if isinstance(header, str) else json.dumps(present | (header or {}))
    save_file(load(path.read_bytes()) if state is None else state, path, metadata={"edgedepth": text})


def test_what_goes_in_comes_out(path: Path, network: torch.nn.Module) -> None:
    checkpoint = load_checkpoint(path)
    assert (checkpoint.network, checkpoint.spec, checkpoint.provenance) == ("edge-low", SPEC, {"data": "synth v1"})
    built = checkpoint.build()
    assert not built.training
    assert built.options == network.options
    image = torch.rand(1, 3, 40, 48)
    with torch.no_grad():
        assert torch.equal(built(image), network(image))


def test_half_precision_halves_the_file_and_loads_to_full(tmp_path: Path, network: torch.nn.Module, path: Path) -> None:
    half = tmp_path / "half.safetensors"
    save_checkpoint(half, network, network="edge-low", options=OPTIONS, spec=SPEC, provenance={}, dtype="float16")
    weights = load_checkpoint(half).state
    assert {t.dtype for t in weights.values()} == {torch.float32, torch.int64}
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(weights[name], tensor, rtol=1e-3, atol=1e-6)
    tensors = load(path.read_bytes())
    floats = sum(t.numel() for t in tensors.values() if t.is_floating_point())
    assert path.stat().st_size - half.stat().st_size == pytest.approx(2 * floats, abs=2000)


def test_a_classifier_has_its_own_contract(tmp_path: Path) -> None:
    spec, path = classifier_spec("scene-small"), tmp_path / "scene.safetensors"
    network = create_network("scene-small")
    save_checkpoint(path, network, network="scene-small", options={}, spec=spec, provenance={})
    checkpoint = load_checkpoint(path)
    assert checkpoint.spec == spec
    assert torch.equal(checkpoint.build().fc.weight, network.fc.weight)


def test_a_weight_that_is_not_finite_is_not_written(tmp_path: Path, network: torch.nn.Module) -> None:
    with torch.no_grad():
        network.logits.bias[0] = 1e6
    arguments: dict[str, Any] = {"network": "edge-low", "options": OPTIONS, "spec": SPEC, "provenance": {}}
    save_checkpoint(tmp_path / "full.safetensors", network, **arguments)
    with pytest.raises(CheckpointError, match=r"'logits.bias' is not finite as float16"):
        save_checkpoint(tmp_path / "half.safetensors", network, **arguments, dtype="float16")
    assert not (tmp_path / "half.safetensors").exists()


def test_the_name_says_what_the_file_is(tmp_path: Path, network: torch.nn.Module) -> None:
    with pytest.raises(InputError, match=r"must end in \.safetensors, but got 'x\.pth'"):
        save_checkpoint(tmp_path / "x.pth", network, network="edge-low", options={}, spec=SPEC, provenance={})


def test_a_folder_that_cannot_be_written(tmp_path: Path, network: torch.nn.Module) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        save_checkpoint(
            tmp_path / "file" / "x.safetensors", network, network="edge-low", options={}, spec=SPEC, provenance={}
        )


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint at"):
        load_checkpoint(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="no checkpoint at"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("kept", [0, 4, 100, 5000, -1])
def test_truncated_files(path: Path, kept: int) -> None:
    os.truncate(path, kept if kept >= 0 else path.stat().st_size - 1)
    with pytest.raises(CheckpointError, match="not a whole safetensors file") as refusal:
        load_checkpoint(path)
    assert "\n" not in str(refusal.value)


def test_a_pickle_is_refused_whatever_its_name(tmp_path: Path, network: torch.nn.Module) -> None:
    path = tmp_path / "pickle.safetensors"
    torch.save(network.state_dict(), path)
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        load_checkpoint(path)


def test_safetensors_of_another_program(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="no edgedepth header"):
        load_checkpoint(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("{", "malformed header"),
        ("[]", "malformed header"),
        ("{}", "malformed header"),
        ('{"schema": 1, "network": "edge-low", "options": 3, "provenance": {}, "spec": {}}', "malformed header"),
        ({"schema": 2}, "has schema 2, but this version reads 1; update edgedepth"),
        ({"network": "edge-mid"}, "network 'edge-mid', which this version does not know; known: ds-sidenet-low"),
        ({"network": "scene-small"}, "malformed spec"),
        ({"network": ["edge-low"]}, "which this version does not know"),
        ({"provenance": 3}, "malformed header"),
        ({"spec": {"input_wh": [320, 240]}}, "malformed spec: min_m: Field required"),
        ({"spec": "none"}, "malformed spec"),
    ],
)
def test_malformed_headers(path: Path, header: Any, said: str) -> None:
    rewrite(path, header=header)
    with pytest.raises(CheckpointError, match=said) as refusal:
        load_checkpoint(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"network": "edge-high"}, "cannot be built: options and spec disagree: min_m 1.0"),
        ({"options": {}}, "lacks tensor 'encoder"),
        ({"options": OPTIONS | {"regression": False}}, "has an unknown tensor 'regression"),
        ({"options": OPTIONS | {"decoder_widths": [16, 8, 8, 8]}}, r"tensor 'up16.* must be \[64, 8, 1, 1\], but"),
        ({"options": OPTIONS | {"colour": 1}}, "cannot be built: unknown option of edge-low 'colour'"),
        ({"options": OPTIONS | {"widths": [1]}}, "cannot be built: edge-low cannot be built with these options"),
        (
            {"options": OPTIONS | {"max_m": 20.0}},
            r"options and spec disagree: max_m 20\.0 in the one, 10\.0 in the other",
        ),
    ],
)
def test_weights_of_another_network(path: Path, header: dict[str, Any], said: str) -> None:
    rewrite(path, header=header)
    with pytest.raises(CheckpointError, match=said) as refusal:
        load_checkpoint(path).build()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("logits.bias"), r"lacks tensor 'logits.bias' \(1 in all\)"),
        (lambda s: s.update(extra=torch.zeros(1)), "has an unknown tensor 'extra'"),
        (lambda s: s.update({"logits.bias": torch.zeros(65)}), r"must be \[64\], but the checkpoint has \[65\]"),
        (lambda s: s["logits.bias"].fill_(float("nan")), "'logits.bias' of edge-low is not finite"),
    ],
)
def test_altered_tensors(path: Path, change: Any, said: str) -> None:
    state = load(path.read_bytes())
    change(state)
    rewrite(path, state=state)
    with pytest.raises(CheckpointError, match=said):
        load_checkpoint(path).build()


def test_bins_of_another_spacing_are_another_network() -> None:
    """Targets would be made by the spec's and depth decoded by the options'."""
    whole = Checkpoint(network="sid-deeplab", options={}, spec=default_spec("sid-deeplab"), state={}, provenance={})
    whole.check_options()
    with pytest.raises(CheckpointError, match="disagree: spacing uniform in the one, log in the other"):
        dataclasses.replace(whole, options={"spacing": "uniform"}).check_options()
