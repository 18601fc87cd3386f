"""One network of a bundle, ready to run on frames."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import BundleError, InputError
from edgedepth.core.preprocess import Placement, network_input
from edgedepth.core.spec import ResizePolicy
from edgedepth.engines.session import Session


class FrameNetwork:
    """A session together with the placement of frames in its input.

    Buffers of network size are allocated once; buffers belong to the network and are overwritten by the next run.
    A session that takes frames at camera size, `camera_wh`, resizes them itself, and only frames of that size.
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
            session.close()
            raise BundleError(
                f"a network takes one input, 'frame' or 'image', but this one takes {known}; export it again"
            )
        self._input_name = name
        shape = session.inputs[0].static_shape
        own = shape is not None and name == "frame" and (shape[2], shape[1]) != input_wh
        self.camera_wh = (shape[2], shape[1]) if own and shape is not None else None

    def placement(self, frame_wh: tuple[int, int]) -> Placement:
        """Where frames of this size land in the input; remembered for the last size."""
        if self._placement is None or self._placement.frame_wh != frame_wh:
            self._placement = Placement.of(frame_wh, self._input_wh, self._resize)
        return self._placement

    def load(self, frame_bgr: NDArray[np.uint8]) -> Placement:
        """Resize and pad a (H, W, 3) uint8 BGR frame into the network's input buffer.

        With a session that resizes, the frame itself is kept until `run`.

        Raises:
            InputError: the session resizes frames of another size.
        """
        frame_wh = (frame_bgr.shape[1], frame_bgr.shape[0])
        placement = self.placement(frame_wh)
        if self.camera_wh is None:
            placement.to_input(frame_bgr, out=self._frame[0])
        elif frame_wh != self.camera_wh:
            raise InputError(
                f"this engine takes frames of {self.camera_wh[0]}x{self.camera_wh[1]}, but the frame is"
                f" {frame_wh[0]}x{frame_wh[1]}; load the runtime for this size, or for any (frame_wh=None)"
            )
        else:
            self._frame = frame_bgr[None]
        return placement

    def seen_bgr(self) -> NDArray[np.uint8]:
        """The frame loaded last as the network sees it, (h, w, 3) BGR at network size, padding included."""
        frame: NDArray[np.uint8] = self._frame[0]
        if self.camera_wh is None:
            return frame
        return self.placement(self.camera_wh).to_input(frame)  # resized on the device, and here once more

    def run(self, outputs: Sequence[str] | None = None) -> dict[str, NDArray[np.float32]]:
        """Run on the loaded frame and return these outputs, or all, by name; they are valid until the next run."""
        return self.session.run({self._input_name: network_input(self._input_name, self._frame[0])}, outputs)

    def close(self) -> None:
        """Release the session."""
        self.session.close()

    def __enter__(self) -> FrameNetwork:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
