"""One call from networks to a bundle that runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="exporting needs PyTorch: pip install 'edgedepth[export]'")
pytest.importorskip("onnx")

import edgedepth  # noqa: E402
from edgedepth import deployment  # noqa: E402
from edgedepth.core.bundle import Bundle  # noqa: E402
from edgedepth.core.errors import InputError, UnknownNameError  # noqa: E402
from edgedepth.deployment import DeployWatcher  # noqa: E402
from edgedepth.export.request import BundleRequest  # noqa: E402
from edgedepth.export.sources import resolve_sources  # noqa: E402
from edgedepth.trainers.checkpoint import shipped_checkpoint  # noqa: E402
from tests.networks import routed_bundle  # noqa: E402


class Recorder(DeployWatcher):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def exporting(self, step: str) -> None:
        self.steps.append(step)


def test_deploy_makes_a_bundle_that_runs(tmp_path: Path) -> None:
    watcher = Recorder()
    made = edgedepth.deploy(
        "edge-low", tmp_path / "mine", input_wh=(64, 48), precisions=("fp32", "fp16"), engines=False, watcher=watcher
    )
    assert made.bundle.manifest.name == "mine"
    (network,) = made.bundle.manifest.networks.values()
    assert set(network.variants) == {"fp32", "fp16"}
    assert made.calibration is None
    assert (made.engines, made.checks) == ((), ())
    assert watcher.steps[0] == "loading checkpoints"
    assert any("edge-low" in step for step in watcher.steps)
    with edgedepth.DepthRuntime.load(made.bundle, backend="onnxruntime", threads=1) as depth:
        assert depth(np.zeros((48, 64, 3), np.uint8)).depth_m.shape == (48, 64)


def test_frames_that_are_missing_are_missed_before_a_bundle_is_replaced(tmp_path: Path) -> None:
    before = routed_bundle(tmp_path / "mine").digest
    with pytest.raises(InputError, match="none"):
        edgedepth.deploy("edge-low", tmp_path / "mine", input_wh=(64, 48), calib=str(tmp_path / "none"), engines=False)
    # the bundle that was there is there still
    assert Bundle.load(tmp_path / "mine").digest == before


def test_what_makes_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown network.*edge-lower"):
        edgedepth.deploy("edge-lower", tmp_path / "mine")
    with pytest.raises(InputError, match="at least 32 pixels a side, but the size is 64x31"):
        edgedepth.deploy("edge-low", tmp_path / "mine", input_wh=(64, 31), engines=False)
    assert not (tmp_path / "mine").exists()


def test_a_licence_is_only_said_of_weights_whose_licence_is_known(tmp_path: Path) -> None:
    size = {"input_wh": (64, 48), "precisions": ("fp32",), "engines": False}
    own = tmp_path / "own.safetensors"
    own.write_bytes(shipped_checkpoint("edge-low").read_bytes())
    assert resolve_sources(["edge-low"]).licence == resolve_sources(["default"]).licence == "Apache-2.0"
    assert resolve_sources([str(own)]).licence is None
    assert resolve_sources([str(own), "edge-high", "scene-small"]).licence is None, "of one of them it is not known"
    made = edgedepth.deploy(str(own), tmp_path / "mine", licence="CC-BY-4.0", **size)
    assert made.bundle.manifest.licence == "CC-BY-4.0"
    assert BundleRequest(depth=resolve_sources([str(own)]).depth).licence == "unspecified"


@pytest.mark.parametrize(("folder", "name"), [("My Bundle", "My-Bundle"), ("été!", "t"), ("plain", "plain")])
def test_a_folder_names_its_bundle(folder: str, name: str) -> None:
    assert deployment.bundle_name(None, Path(folder)) == name


def test_a_name_that_cannot_be_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "bundle.json").write_text("{}")
    with pytest.raises(InputError, match="made of letters, digits"):
        edgedepth.deploy("edge-low", tmp_path / "mine", name="a b")
    assert (tmp_path / "mine" / "bundle.json").read_text() == "{}"
