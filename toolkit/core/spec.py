"""What a network expects and what it answers: the contract that training, export and runtime share."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edgedepth.core.bins import Bins
from edgedepth.core.errors import InputError
from edgedepth.core.routing import SceneCategory

ResizePolicy = Literal["letterbox", "stretch", "pad"]
Upsampling = Literal["linear", "guided"]

# Ranges of the two routes, in metres; every default network, world and evaluation takes them from here.
LOW_RANGE_M = (0.3, 10.0)
HIGH_RANGE_M = (1.0, 80.0)


def parse_size(text: str) -> tuple[int, int]:
    """Read "WxH" into (width, height).

    Raises:
        InputError: the text is not two positive integers joined by an x.

    >>> parse_size("320x240")
    (320, 240)
    """
    match = re.fullmatch(r"\s*(\d+)\s*[xX]\s*(\d+)\s*", text)
    if match is None or int(match[1]) == 0 or int(match[2]) == 0:
        raise InputError(f"a size is written WxH, for example 320x240, but got {text!r}")
    return int(match[1]), int(match[2])


class DepthSpec(BaseModel):
    """Contract of a depth network.

    input_wh: width and height the network runs at.
    resize: how a frame of another size gets there. "letterbox" scales with one factor and pads evenly with
        black, "stretch" scales each axis, "pad" does not scale and pads right and bottom (and refuses larger
        frames); the interpolation is always bilinear, half-pixel centres, no antialiasing.
    min_m, max_m: range of the network's depth, in metres for the canonical camera.
    num_bins, spacing: discretisation of classifying networks; num_bins = 0 for pure regression.
    f_canonical_px: focal length in pixels at network size of the camera that `depth_m` of the network is for;
        a camera of focal length f (at network size) sees depth_m * f / f_canonical_px.
    beyond_m: depth at and above which a pixel counts as sky or beyond range; None if the network does not tell.
    upsampling: how its depth comes to the size of the frame. "guided" takes the edges from the frame, for networks
        whose own are soft; "linear" adds nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_wh: tuple[int, int]
    resize: ResizePolicy = "letterbox"
    min_m: float = Field(gt=0)
    max_m: float = Field(gt=0)
    num_bins: int = Field(default=0, ge=0, le=1024)
    spacing: Literal["log", "uniform"] = "log"
    f_canonical_px: float = Field(gt=0)
    beyond_m: float | None = Field(default=None, gt=0)
    upsampling: Upsampling = "linear"

    @model_validator(mode="after")
    def _consistent(self) -> DepthSpec:
        if self.max_m <= self.min_m:
            raise ValueError(f"max_m must exceed min_m, but got [{self.min_m}, {self.max_m}]")
        if min(self.input_wh) < 1:
            raise ValueError(f"input_wh must be positive, but got {self.input_wh}")
        return self

    @property
    def bins(self) -> Bins:
        """The discretisation of a classifying network.

        Raises:
            InputError: the network does not classify.
        """
        if self.num_bins == 0:
            raise InputError("this network regresses depth and has no bins")
        return Bins(count=self.num_bins, min_m=self.min_m, max_m=self.max_m, spacing=self.spacing)

    @property
    def nearer_m(self) -> float:
        """Depth at and below which a pixel counts as nearer than the range.

        As far from the near end as `beyond_m` is from the far one, in ratio; the near end itself without that.
        """
        return self.min_m if self.beyond_m is None else self.min_m * self.max_m / self.beyond_m

    def at_size(self, input_wh: tuple[int, int]) -> DepthSpec:
        """The same network at another input size, for the same field of view across the width.

        A padded network letterboxes at a smaller size: frames that fit its own would be refused there.
        """
        (width, height), (own_width, own_height) = input_wh, self.input_wh
        fits = width >= own_width and height >= own_height
        return self.model_copy(
            update={
                "input_wh": input_wh,
                "resize": "letterbox" if self.resize == "pad" and not fits else self.resize,
                "f_canonical_px": self.f_canonical_px * width / own_width,
            }
        )


class ClassifierSpec(BaseModel):
    """Contract of a scene classifier: its input, and the categories its probabilities stand for, in order.

    Resizing is bilinear with half-pixel centres and no antialiasing, as for depth networks; the policy
    "stretch" shows the classifier the whole frame without bars.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_wh: tuple[int, int]
    resize: ResizePolicy = "stretch"
    categories: tuple[SceneCategory, ...] = Field(min_length=2)
