"""What a run writes down while it goes: `log.jsonl`, pictures of an epoch, and TensorBoard's events where asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import require
from edgedepth.core.files import output_error
from edgedepth.evaluation.pictures import save_picture


class Journal:
    """The written record of one run, kept by its first process.

    Args:
        folder: of the run; `log.jsonl`, `pictures/` and `tensorboard/` go there.
        tensorboard: write events for TensorBoard, too.
        silent: write nothing (the other processes of a run).

    Raises:
        MissingPackageError: TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, *, tensorboard: bool = False, silent: bool = False) -> None:
        self.folder = folder
        self.silent = silent
        self._events: Any = None
        if tensorboard and not silent:
            require("tensorboard", extra="tensorboard")
            from torch.utils.tensorboard import SummaryWriter

            self._events = SummaryWriter(str(folder / "tensorboard"))

    def write(self, event: str, step: int, facts: Mapping[str, Any], figures: Mapping[str, float]) -> None:
        """One line of the log, and a point of each figure's curve.

        Raises:
            OutputError: the log cannot be written.
        """
        if self.silent:
            return
        line = {"event": event, "step": step, **facts, **{name: round(value, 5) for name, value in figures.items()}}
        path = self.folder / "log.jsonl"
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise output_error(path, error) from error
        if self._events is not None:
            for name, value in figures.items():
                self._events.add_scalar(f"{event}/{name}", value, step)

    def picture(self, epoch: int, step: int, picture_bgr: NDArray[np.uint8]) -> None:
        """Keep the sample pictures of an epoch as `pictures/epoch-0001.jpg`.

        Raises:
            OutputError: the picture cannot be written.
        """
        if self.silent:
            return
        save_picture(self.folder / "pictures" / f"epoch-{epoch:04d}.jpg", picture_bgr)
        if self._events is not None:
            picture_rgb = cv2.cvtColor(picture_bgr, cv2.COLOR_BGR2RGB)
            self._events.add_image("samples", picture_rgb, step, dataformats="HWC")

    def close(self) -> None:
        """Flush the events."""
        if self._events is not None:
            self._events.close()
