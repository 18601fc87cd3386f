"""What survives an interruption: averaged weights, the whole state of a run in one file, and what is not broken off."""

from __future__ import annotations

import pickle
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgedepth.core.errors import CheckpointError, InputError, OutputError
from edgedepth.core.files import atomic_path

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # what a run is stopped with; the CLI makes all of them Ctrl-C


@contextmanager
def unbroken() -> Iterator[None]:
    """What would stop the run inside the block stops it at its end, so that weights and their step belong together."""
    if threading.current_thread() is not threading.main_thread():  # no other is interrupted
        yield
        return
    late: list[signal.Signals] = []
    before = {number: handler for number in _ENDS if callable(handler := signal.getsignal(number))}
    for number in before:
        signal.signal(number, lambda came, _frame: late.append(signal.Signals(came)))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if late:
            signal.raise_signal(late[0])


class Averaged:
    """Exponential moving average of a network's weights and float buffers.

    The decay rises to `decay` as (1 + n) / (10 + n) over n steps, so that early averages forget the random start.
    Applied, they are `blend` times the average and the rest `other`, weights of another run of the network (Wortsman et
    al., "Robust fine-tuning of zero-shot models", 2022, section 3).

    Raises:
        CheckpointError: a tensor of `other` has another shape.
    """

    def __init__(
        self, network: nn.Module, decay: float, blend: float = 1.0, other: Mapping[str, Tensor] | None = None
    ) -> None:
        self.network = network
        self.decay = decay
        self.blend = blend
        self.tensors = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        self._other = dict(other or {})
        for name, tensor in self.tensors.items():
            found = self._other.get(name, tensor)
            if found.shape != tensor.shape:
                raise CheckpointError(
                    f"tensor {name!r} must be {list(tensor.shape)} to be blended, but the other checkpoint has "
                    f"{list(found.shape)}; blend with one of the same options"
                )

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the network's present weights."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        own: list[Tensor] = []
        present: list[Tensor] = []
        for name, tensor in self.network.state_dict().items():
            if tensor.is_floating_point():
                own.append(self.tensors[name])
                present.append(tensor)
            else:
                self.tensors[name].copy_(tensor)
        torch._foreach_lerp_(own, present, weight)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The network has the averaged, blended weights inside the block and its own again after it."""
        own = {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}
        self.network.load_state_dict(self._blended())
        try:
            yield
        finally:
            self.network.load_state_dict(own)

    def _blended(self) -> dict[str, Tensor]:
        blended = dict(self.tensors)
        for name, other in self._other.items():
            if name in blended and other.is_floating_point():  # it may have layers that this network does without
                blended[name] = torch.lerp(other.to(self.tensors[name]), self.tensors[name], self.blend)
        return blended


class RunState:
    """Step, seconds, weights, averaged weights and optimizer of a run, in one file that is replaced whole.

    kind: the optimizer's name. bad_steps: steps that were left out. evaluated: seconds at the last evaluation.
    best_figures, waited: of the best evaluation, and how many came after it.
    The file holds plain tensors and numbers only and is loaded as such, so that it cannot run code.
    """

    def __init__(
        self, path: Path, objective: nn.Module, average: Averaged, optimizer: torch.optim.Optimizer, kind: str
    ) -> None:
        self.path, self.kind = path, kind
        self.step = 0
        self.seconds = 0.0
        self.bad_steps = 0
        self.evaluated = 0.0
        self.best_figures: dict[str, float] = {}
        self.waited = 0
        self._objective, self._average, self._optimizer = objective, average, optimizer

    def save(self) -> None:
        """Write the state; a crash while writing leaves the one before it.

        Raises:
            OutputError: the disk is full or cannot be written.
        """
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "bad_steps": self.bad_steps,
            "evaluated": self.evaluated,
            "best_figures": self.best_figures,
            "waited": self.waited,
            "objective": self._objective.state_dict(),
            "average": self._average.tensors,
            "optimizer": self._optimizer.state_dict(),
            "kind": self.kind,
        }
        with atomic_path(self.path) as temporary:
            try:
                torch.save(state, temporary)
            except RuntimeError as error:  # how PyTorch's writer reports a write that failed
                raise OutputError(
                    f"cannot write {self.path}: is the disk full? Free some space and go on with --resume; the state"
                    f" before this one is kept ({str(error).splitlines()[0]})"
                ) from error

    def load(self) -> None:
        """Read the state back, if there is one.

        What the optimizer was set to now holds, not what it was set to then.

        Raises:
            CheckpointError: the file is damaged or belongs to another network.
            InputError: the run was begun with another optimizer.
        """
        if not self.path.exists():
            return
        asked = [{key: value for key, value in group.items() if key != "params"} for group in self._groups()]
        try:
            state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
            kind = state.get("kind", self.kind)
            if kind != self.kind:
                raise InputError(
                    f"{self.path} is of a run with {kind}, and its state is of no use to {self.kind}; go on with --set"
                    f" optimizer={kind}, or choose another folder with --out"
                )
            self._objective.load_state_dict(state["objective"])
            self._average.tensors = {
                name: tensor.to(self._average.tensors[name].device) for name, tensor in state["average"].items()
            }
            self._optimizer.load_state_dict(state["optimizer"])
            for group, settings in zip(self._groups(), asked, strict=True):
                group.update(settings)
            self.step, self.seconds = state["step"], state["seconds"]
            self.bad_steps, self.waited = state.get("bad_steps", 0), state.get("waited", 0)
            self.evaluated = state.get("evaluated", self.seconds)
            self.best_figures = state.get("best_figures", {})
        except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
            why = type(error).__name__ if isinstance(error, pickle.UnpicklingError) else str(error).splitlines()[0]
            raise CheckpointError(
                f"cannot resume from {self.path} ({why}); delete it to begin anew, or choose another folder with --out"
            ) from error

    def _groups(self) -> list[dict[str, Any]]:
        return self._optimizer.param_groups
