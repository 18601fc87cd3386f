"""A training run that is interrupted at a step, as by Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def stopped_at(task: type, step: int) -> Iterator[None]:
    """In the block a run of tasks of this class is interrupted when it prepares the batch of `step`."""
    prepare = task.prepare  # type: ignore[attr-defined]

    def interrupted(self: Any, batch: Any, draw: int, device: Any) -> Any:
        if draw == step:
            raise KeyboardInterrupt
        return prepare(self, batch, draw, device)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task, "prepare", interrupted)
        with pytest.raises(KeyboardInterrupt):
            yield
