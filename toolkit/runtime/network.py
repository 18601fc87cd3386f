"""One network of a bundle, ready to run on frames."""

from __future__ import annotations

from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import BundleError
from edgedepth.core.preprocess import Placement
from edgedepth.core.spec import ResizePolicy
from edgedepth.engines.session import Session


class FrameNetwork:
    """A session together with the placement of frames in its input.

    Buffers of network size are allocated once; buffers belong to the network and are overwritten by the next run.
    """

    def __init__(self, session: Session, input_wh: tuple[int, int], resize: ResizePolicy) -> None:
        self.session = session
        self._input_wh, self._resize = input_wh, resize
        width, height = input_wh
        self._frame = np.zeros((1, height, width, 3), np.uint8)  # NHWC BGR
        self._placement: Placement | None = None
        name = session.inputs[0].name
        if len(session.inputs) != 1 or name not in ("frame", "image"):
            known = [tensor.name for tensor in session.inputs]
            raise BundleError(
                f"a network takes one input, 'frame' or 'image', but this one takes {known}; export it again"
            )
        self._input_name = name

    def placement(self, frame_wh: tuple[int, int]) -> Placement:
        """Where frames of this size land in the input; remembered for the last size."""
        if self._placement is None or self._placement.frame_wh != frame_wh:
            self._placement = Placement.of(frame_wh, self._input_wh, self._resize)
        return self._placement

    def load(self, frame_bgr: NDArray[np.uint8]) -> Placement:
        """Resize and pad a (H, W, 3) uint8 BGR frame into the network's input buffer."""
        placement = self.placement((frame_bgr.shape[1], frame_bgr.shape[0]))
        placement.to_input(frame_bgr, out=self._frame[0])
        return placement

    def run(self) -> dict[str, NDArray[np.float32]]:
        """Run on the loaded frame and return the outputs by name; they are valid until the next run."""
        if self._input_name == "frame":
            return self.session.run({"frame": self._frame})
        image = self._frame[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
        return self.session.run({"image": np.ascontiguousarray(image)})

    def close(self) -> None:
        """Release the session."""
        self.session.close()

    def __enter__(self) -> FrameNetwork:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
