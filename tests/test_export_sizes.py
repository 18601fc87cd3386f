"""Sizes and resize policies end to end: what was projected into a frame comes back at its place in metres.

The network is one whose answer is known: it measures how many pixels wide a bar of known width is, and answers the
depth at which the canonical camera would see it so. Exported by every policy and run at other sizes and focal lengths,
the runtime must answer the bar's true depth, and points at its true edges.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgedepth import Camera, DepthRuntime
from edgedepth.core.foreign import ForeignSpec
from edgedepth.core.routing import Route
from edgedepth.export import original
from edgedepth.export.bundle_export import BundleRequest, export_bundle
from edgedepth.export.original import ForeignSource

BAR_M, HEIGHT_M = 1.0, 1.6  # of the bar, in metres
CANONICAL_PX = 80.0  # focal length at 98x74, a size that no stride divides


class BarMeter(nn.Module):
    """Depth of a bright bar on black by its mean width: f * width_m / width_px."""

    def __init__(self, focal_px: float) -> None:
        super().__init__()
        self.focal_px = focal_px

    def forward(self, image: Tensor) -> Tensor:
        light = image.mean(dim=1, keepdim=True)
        rows = light.sum(dim=3, keepdim=True)  # (N, 1, H, 1): the width in every row, 0 above and below the bar
        width_px = (rows * rows).sum(dim=2, keepdim=True) / rows.sum(dim=2, keepdim=True).clamp(min=1e-3)
        return (self.focal_px * BAR_M / width_px.clamp(min=1.0)).expand_as(light)


def view_of_bar(camera: Camera, depth_m: float) -> NDArray[np.uint8]:
    """The bar as the camera sees it, each pixel as bright as the share of it that is covered."""

    def covered(focal: float, centre: float, length_m: float, pixels: int) -> NDArray[np.float64]:
        first, last = (centre + focal * side * length_m / 2 / depth_m for side in (-1, 1))
        left = np.arange(pixels) - 0.5
        return np.clip(np.minimum(left + 1, last) - np.maximum(left, first), 0, 1)

    rows = covered(camera.fy, camera.cy, HEIGHT_M, camera.height)
    columns = covered(camera.fx, camera.cx, BAR_M, camera.width)
    return np.repeat((255 * rows[:, None, None] * columns[None, :, None]).round().astype(np.uint8), 3, axis=2)


def camera(width: int, height: int, focal_px: float) -> Camera:
    # off centre, as real cameras are
    return Camera(fx=focal_px, fy=focal_px, cx=0.53 * width, cy=0.47 * height, width=width, height=height)


CAMERAS = {
    "letterbox": [camera(196, 148, 150.0), camera(240, 100, 110.0), camera(90, 120, 70.0), camera(98, 74, 100.0)],
    "pad": [camera(98, 74, 90.0), camera(61, 70, 50.0)],
    "stretch": [camera(196, 148, 170.0), camera(147, 111, 120.0)],  # of the input's shape, as pixels must stay square
}


@pytest.mark.parametrize("policy", CAMERAS)
def test_known_points_come_back_in_metres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str) -> None:
    monkeypatch.setattr(original, "module_from", lambda _: BarMeter(CANONICAL_PX))
    foreign = ForeignSpec.model_validate(
        {"name": "bar", "module": "a:b", "size": "98x74", "resize": policy, "range_m": (0.5, 40.0),
         "focal_px": CANONICAL_PX, "output": {"kind": "depth"}}
    )  # fmt: skip
    request = BundleRequest(depth={Route.LOW: ForeignSource(foreign)}, golden={Route.LOW: [view_of_bar(
        camera(98, 74, 90.0), 3.0)]})  # fmt: skip
    export_bundle(request, tmp_path / "bundle")
    with DepthRuntime.load(tmp_path / "bundle", backend="onnxruntime") as depth:
        for view in CAMERAS[policy]:
            for true_m in (2.5, 4.0):
                result = depth(view_of_bar(view, true_m), camera=view)
                assert np.nanmedian(result.raw_depth_m) == pytest.approx(true_m, rel=0.03), view
                points = result.points(view)
                edge = view.cx + view.fx * BAR_M / 2 / true_m  # the pixel of the bar's right edge
                on_edge = points[np.abs(points[:, 0] / points[:, 2] * view.fx + view.cx - edge) < 0.51]
                assert on_edge[:, 0].mean() == pytest.approx(BAR_M / 2, abs=0.03 + 0.51 * true_m / view.fx)
                assert on_edge[:, 2].mean() == pytest.approx(true_m, rel=0.03)


def test_another_size_is_for_the_same_field_of_view() -> None:
    spec = ForeignSpec.model_validate(
        {"name": "bar", "size": "98x74", "range_m": (1, 2), "focal_px": 80, "output": {"kind": "depth"}}
    ).depth_spec()
    assert spec.at_size((49, 37)).f_canonical_px == pytest.approx(40)
    half = torch.tensor([spec.at_size((49, 37)).f_canonical_px / 49, spec.f_canonical_px / 98])
    torch.testing.assert_close(half[0], half[1])
