"""The one definition of how a frame becomes a network's input and a depth map goes back to the frame.

Training, evaluation, calibration and runtime all go through `Placement`, so that scale and aspect never differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError
from edgedepth.core.spec import DepthSpec, ResizePolicy

BgrFrame = NDArray[np.uint8]  # (H, W, 3) BGR, as cameras and files give it


def check_frame(frame: BgrFrame) -> None:
    """Refuse what is no frame.

    Raises:
        InputError: it is not (H, W, 3) uint8, or has no pixels.
    """
    if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        got = f"{getattr(frame, 'shape', type(frame).__name__)} {getattr(frame, 'dtype', '')}".strip()
        raise InputError(f"a frame must be (H, W, 3) uint8 BGR, but got {got}")
    if frame.shape[0] == 0 or frame.shape[1] == 0:
        raise InputError(f"a frame must not be empty, but got {frame.shape}")


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a frame lands in a network's input: `content_wh` pixels at offset (`x`, `y`), the rest is padding."""

    frame_wh: tuple[int, int]
    input_wh: tuple[int, int]
    content_wh: tuple[int, int]
    x: int
    y: int

    @classmethod
    def of(cls, frame_wh: tuple[int, int], input_wh: tuple[int, int], policy: ResizePolicy) -> Placement:
        """Place a frame by policy (see `DepthSpec.resize`).

        Raises:
            InputError: policy "pad" and the frame is larger than the input.
        """
        (w, h), (width, height) = frame_wh, input_wh
        if policy == "stretch":
            content, x, y = input_wh, 0, 0
        elif policy == "pad":
            if w > width or h > height:
                raise InputError(
                    f"frame {w}x{h} is larger than the padded input {width}x{height}; choose a larger --size"
                )
            content, x, y = frame_wh, 0, 0
        else:
            content = (max(1, min(width, _rounded(w * height, h))), max(1, min(height, _rounded(h * width, w))))
            x, y = (width - content[0]) // 2, (height - content[1]) // 2
        return cls(frame_wh=frame_wh, input_wh=input_wh, content_wh=content, x=x, y=y)

    @property
    def content(self) -> tuple[slice, slice]:
        """Row and column slices of the frame's pixels in the network's input."""
        return slice(self.y, self.y + self.content_wh[1]), slice(self.x, self.x + self.content_wh[0])

    def camera_at_input(self, camera: Camera) -> Camera:
        """The frame's camera in pixels of the network's input.

        Raises:
            InputError: the camera is for another image size.
        """
        if (camera.width, camera.height) != self.frame_wh:
            raise InputError(
                f"camera is for {camera.width}x{camera.height}, but the frame is {self.frame_wh[0]}x{self.frame_wh[1]};"
                " give intrinsics for this size"
            )
        return camera.resized(*self.content_wh).cropped(-self.x, -self.y, *self.input_wh)

    def to_input(self, frame: NDArray[np.uint8], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Resize and pad a (H, W, 3) uint8 frame to (input H, input W, 3); `out` is reused where given."""
        width, height = self.input_wh
        target = np.empty((height, width, 3), np.uint8) if out is None else out
        rows, columns = self.content
        if self.content_wh != self.input_wh:
            target[: rows.start] = 0
            target[rows.stop :] = 0
            target[rows, : columns.start] = 0
            target[rows, columns.stop :] = 0
        inner = target[rows, columns]
        if self.content_wh == self.frame_wh:
            inner[...] = frame
        elif inner.flags.c_contiguous:
            cv2.resize(frame, self.content_wh, dst=inner, interpolation=cv2.INTER_LINEAR)
        else:
            inner[...] = cv2.resize(frame, self.content_wh, interpolation=cv2.INTER_LINEAR)
        return target

    def labels_to_input(self, labels: NDArray[Any], fill: Any = 0) -> NDArray[Any]:
        """Bring a (H, W) map of measurements or labels to input size by nearest sampling; padding becomes `fill`."""
        width, height = self.input_wh
        target = np.full((height, width), fill, labels.dtype)
        # cv2's nearest takes the top left of each block; sample the block's centre instead, as the image does
        columns = np.minimum(
            ((np.arange(self.content_wh[0]) + 0.5) * self.frame_wh[0] / self.content_wh[0]).astype(int),
            self.frame_wh[0] - 1,
        )
        rows = np.minimum(
            ((np.arange(self.content_wh[1]) + 0.5) * self.frame_wh[1] / self.content_wh[1]).astype(int),
            self.frame_wh[1] - 1,
        )
        target[self.content] = labels[rows[:, None], columns]
        return target

    def to_frame(
        self,
        depth: NDArray[np.float32],
        out: NDArray[np.float32] | None = None,
        interpolation: int = cv2.INTER_LINEAR,
    ) -> NDArray[np.float32]:
        """Cut a (input H, input W) map to the frame's pixels and resize it to (H, W); `out` is reused where given."""
        inner = depth[self.content]
        width, height = self.frame_wh
        target = np.empty((height, width), np.float32) if out is None else out
        if self.content_wh == self.frame_wh:
            target[...] = inner
        else:
            cv2.resize(inner, self.frame_wh, dst=target, interpolation=interpolation)
        return target


def _rounded(numerator: int, denominator: int) -> int:
    """The nearest integer of a quotient, ties to even: whole numbers, so that engines on the GPU agree exactly."""
    quotient, rest = divmod(2 * numerator + denominator, 2 * denominator)
    return quotient - (rest == 0 and quotient % 2 == 1)


def placement_for(frame_wh: tuple[int, int], spec: DepthSpec) -> Placement:
    """Where a frame lands in the input of the network of `spec`."""
    return Placement.of(frame_wh, spec.input_wh, spec.resize)


def network_input(name: str, frame_bgr: BgrFrame) -> NDArray[Any]:
    """A frame of network size as the input of a network, batch 1, by the name that says which it takes.

    "frame" is (1, H, W, 3) uint8 BGR, the frame itself; "image" is (1, 3, H, W) float32 RGB in 0..1.
    """
    if name == "frame":
        return frame_bgr[None]
    image = frame_bgr[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32)
    return np.ascontiguousarray(image * np.float32(1 / 255))


def canonical_camera(placement: Placement, spec: DepthSpec) -> Camera:
    """The camera for which a network's depth needs no scaling, in pixels of the frame: `focal_scale` of it is 1."""
    width, height = placement.frame_wh
    sx, sy = placement.content_wh[0] / width, placement.content_wh[1] / height
    return Camera.centred(spec.f_canonical_px / ((sx + sy) / 2), width, height)


def focal_scale(camera: Camera | None, placement: Placement, spec: DepthSpec) -> float:
    """What multiplies a network's depth for this camera: f / f_canonical, both in pixels at network size.

    Without a camera the canonical one is assumed and the factor is 1.
    """
    if camera is None:
        return 1.0
    return placement.camera_at_input(camera).f_px / spec.f_canonical_px
