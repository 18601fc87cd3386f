"""Every network of the papers from its checkpoint through its bundle and `edgedepth run --bundle`, reduced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="export needs PyTorch: pip install 'edgedepth[export]'")
pytest.importorskip("onnx", reason="export needs onnx: pip install 'edgedepth[export]'")

from edgedepth.datasets import DepthSample  # noqa: E402
from edgedepth.export.bundle_export import BundleRequest, export_bundle  # noqa: E402
from edgedepth.export.sources import resolve_sources  # noqa: E402
from edgedepth.trainers import create_network  # noqa: E402
from edgedepth.trainers.checkpoint import save_checkpoint  # noqa: E402
from edgedepth.trainers.models.registry import default_spec, network_names  # noqa: E402
from edgedepth.trainers.predictor import predictor_of  # noqa: E402
from tests.test_cli import call  # noqa: E402
from tests.test_export import lively  # noqa: E402

WH = (64, 48)
REDUCED: dict[str, dict[str, Any]] = {
    "ds-sidenet-low": {"width": 0.125},
    "ds-sidenet-high": {"width": 0.125},
    "edge-low": {"widths": (8, 8, 8, 16, 16), "depths": (0, 0, 1, 0, 0), "decoder_widths": (8, 8, 8, 8)},
    "edge-high": {"widths": (8, 8, 8, 16, 16), "depths": (0, 0, 1, 0, 0), "decoder_widths": (8, 8, 8, 8)},
    "sid-deeplab": {"backbone": "small"},
    "hqmd": {"backbone": "small", "width": 16},
    "drnet": {"backbone": "small"},
    "rside": {"backbone": "small"},
    "rsn": {"width": 0.125, "iterations": 1},
}


def random_weights(name: str, path: Path, sample: DepthSample) -> NDArray[np.float32]:
    """A checkpoint of random weights and what it answers; most of them call the whole frame beyond their range."""
    spec = default_spec(name, **REDUCED[name]).at_size(WH)
    for seed in range(20):
        torch.manual_seed(seed)
        network = lively(create_network(name, **REDUCED[name]))
        save_checkpoint(path, network, network=name, options=REDUCED[name], spec=spec, provenance={})
        depth_m = predictor_of(path)(sample).depth_m
        if ((spec.min_m < depth_m) & (depth_m < spec.max_m)).mean() > 0.3:
            return depth_m
    raise AssertionError(f"no random weights of {name} answer within its range")


@pytest.mark.parametrize("name", network_names())
def test_a_network_runs_from_its_bundle_as_its_checkpoint_answers(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    image_bgr = cv2.resize(noise, (96, 72), interpolation=cv2.INTER_CUBIC)
    sample = DepthSample(id="photo", image_bgr=image_bgr, depth_m=np.ones((72, 96), np.float32))
    checkpoint = tmp_path / f"{name}.safetensors"
    expected = random_weights(name, checkpoint, sample)
    bundle, photo, out = tmp_path / "bundle", tmp_path / "photo.png", tmp_path / "out"
    export_bundle(BundleRequest(depth=resolve_sources([str(checkpoint)]).depth), bundle)
    cv2.imwrite(str(photo), image_bgr)
    code, printed, said = call(
        capsys, "run", photo, "--bundle", bundle, "-o", out, "--save", "npz", "--backend", "onnxruntime", "--json",
    )  # fmt: skip
    assert code == 0, said
    report = json.loads(printed)
    assert report["frames"] == {"read": 1, "written": 1, "dropped": 0}
    with np.load(next(Path(path) for path in report["outputs"] if path.endswith(".npz"))) as saved:
        depth_m = saved["depth_m"]
    known = np.isfinite(depth_m)
    assert known.mean() > 0.15
    np.testing.assert_allclose(depth_m[known], expected[known], rtol=5e-3)
