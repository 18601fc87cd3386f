"""A depth network of your own, as docs/own_networks.md exports it: any torch module will do."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MyNet(nn.Module):
    """Answers a dictionary with disparity, in its own units, at half the size of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False),  # depthwise,
            nn.Conv2d(16, 32, 1, bias=False),  # pointwise
            nn.BatchNorm2d(32),
            nn.ReLU(),
        )
        self.decoder = nn.Conv2d(32, 1, 3, padding=1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) RGB, normalised as ImageNet, to (N, 1, H/2, W/2)."""
        features = self.encoder(image)
        return {"features": features, "disparity": torch.sigmoid(self.decoder(features))}


def make() -> MyNet:
    """The network with its weights; yours would load them: `network.load_state_dict(torch.load("mynet.pt"))`."""
    torch.manual_seed(0)
    return MyNet()
