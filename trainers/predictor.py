"""A checkpoint as a predictor for `edgedepth.evaluation`: the same frame in, the same metres out as from a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgedepth.core.errors import CheckpointError, InputError
from edgedepth.core.preprocess import Placement, focal_scale, placement_for
from edgedepth.core.routing import Route
from edgedepth.core.spec import DepthSpec
from edgedepth.core.upsampling import Upsampler
from edgedepth.datasets import DepthSample
from edgedepth.evaluation import MeanDepth, Prediction
from edgedepth.trainers.augment import to_float
from edgedepth.trainers.checkpoint import load_checkpoint
from edgedepth.trainers.losses.regions import true_guidance
from edgedepth.trainers.models.rsn import RSN
from edgedepth.trainers.regions.data import HIGHEST_CLASS
from edgedepth.trainers.regions.support import regions_of
from edgedepth.trainers.splits import route_of


class NetworkPredictor:
    """A depth network in eval mode as `evaluate_samples` wants it.

    Frames are placed and depth is scaled and resized as `DepthRuntime` does it (`raw_depth_m`). Networks that are
    guided (papers/5) get their guidance from the sample's labels, and from its true depth where that is what guides.
    """

    def __init__(self, network: nn.Module, spec: DepthSpec, device: torch.device | str = "cpu") -> None:
        self.network = network.to(device).eval()
        self.spec = spec
        self.device = torch.device(device)
        self._upsampler = Upsampler()

    def __call__(self, sample: DepthSample) -> Prediction:
        """Metres of the sample's own camera, at the size of its image.

        Raises:
            InputError: the network is guided by labels that the sample does not have.
        """
        answer, placement, scale = self.answer(sample)
        depth_m, _ = self._upsampler(answer, placement, sample.image_bgr, self.spec.upsampling)
        return Prediction(depth_m * scale)

    def answer(self, sample: DepthSample) -> tuple[NDArray[np.float32], Placement, np.float32]:
        """The network's own (H, W) metres for the canonical camera, the sample's place in it, and what scales them.

        Raises:
            InputError: the network is guided by labels that the sample does not have.
        """
        height, width = sample.image_bgr.shape[:2]
        placement = placement_for((width, height), self.spec)
        image_rgb = placement.to_input(np.ascontiguousarray(sample.image_bgr[..., ::-1]))
        scale = np.float32(focal_scale(sample.camera, placement, self.spec))
        inputs = [to_float(torch.from_numpy(image_rgb)[None].to(self.device))]
        if isinstance(self.network, RSN) and self.network.options.needs_guidance:
            truth = self.network.options.guidance == "truth"
            inputs.append(_guidance(sample, placement, self.spec, float(scale), truth=truth).to(self.device))
        with torch.inference_mode():
            depth_m: NDArray[np.float32] = self.network(*inputs)[0, 0].float().cpu().numpy()
        return depth_m, placement, scale


def _guidance(sample: DepthSample, placement: Placement, spec: DepthSpec, scale: float, *, truth: bool) -> Tensor:
    """(1, 1, H, W): semantic labels in 0..1, or the mean depth of each true region for the canonical camera."""
    if sample.semantic is None:
        raise InputError(f"{sample.id} has no semantic labels, which guide this network; use data that has them")
    semantic = placement.labels_to_input(sample.semantic)
    if not truth:
        return torch.from_numpy(semantic.astype(np.float32) / HIGHEST_CLASS)[None, None]
    depth_m = placement.labels_to_input(sample.depth_m, fill=np.nan).astype(np.float32)
    regions = torch.from_numpy(regions_of(semantic, depth_m))[None, None].long()
    focal = torch.tensor([scale])
    return true_guidance(torch.from_numpy(depth_m)[None, None], focal, regions, min_m=spec.min_m, max_m=spec.max_m)


def predictor_of(
    path: Path, *, size: tuple[int, int] | None = None, options: Mapping[str, object] | None = None, device: str = "cpu"
) -> NetworkPredictor:
    """The predictor of a depth network's checkpoint.

    Args:
        path: the .safetensors file.
        size: (width, height) to run at; the size in the checkpoint's spec if not given.
        options: options that do not change the weights, such as {"answer": "reg"} of DS-SIDENet.
        device: where it runs.

    Raises:
        InputError: there is no such file.
        CheckpointError: it is damaged, of another version, or holds a scene classifier.
    """
    checkpoint = load_checkpoint(path)
    if not isinstance(checkpoint.spec, DepthSpec):
        raise CheckpointError(f"{path} holds the scene classifier {checkpoint.network}, which answers no depth")
    checkpoint.options.update(options or {})
    spec = checkpoint.spec if size is None else checkpoint.spec.at_size(size)
    return NetworkPredictor(checkpoint.build(), spec, device)


def baselines_beside(path: Path, spec: DepthSpec) -> dict[Route, MeanDepth]:
    """The mean log-depth map that training left beside a checkpoint, by route; empty where there is none.

    A network of no particular route has it under "low": every sample is compared with the only map there is.
    """
    file = path.with_name(f"{path.stem}.baseline.npy")
    if not file.is_file():
        return {}
    log_depth = np.load(file, allow_pickle=False).astype(np.float32)
    height, width = log_depth.shape
    if spec.input_wh != (width, height):
        spec = spec.at_size((width, height))
    return {route_of(path.stem) or Route.LOW: MeanDepth(log_depth, spec)}
