"""The training loop, the same for every kind of network: budget, schedule, averaged weights, safe state, log.

A `Task` says what is trained and on what; `fit` trains it. A run can be stopped at any moment, even killed: it goes
on from its last saved state and sees the same batches it would have seen.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from edgedepth.core.errors import EdgeDepthError, InputError
from edgedepth.trainers.config import TrainConfig
from edgedepth.trainers.journal import Journal
from edgedepth.trainers.mixed import depthwise_in_float32
from edgedepth.trainers.optimisers import learning_rate, optimizer_for
from edgedepth.trainers.pause import Paused
from edgedepth.trainers.processes import (
    agreed,
    fabric_for,
    first_on_machine,
    mean_over_processes,
    of_all_processes,
    rank,
    world_size,
)
from edgedepth.trainers.start import blended_checkpoint, prepare_folder
from edgedepth.trainers.state import Averaged, RunState, unbroken

_LOG_SECONDS = 10.0
_ROUNDING = 1e-9  # of epochs that are so many steps over those of an epoch, which must not make one step more
_MAX_BAD_STEPS = 50  # in a row, before a run that only gives NaN is given up
_ONE_VALUE = "more than 1 value per channel"  # in what torch's batch norm says
# figures that tell a better network, the first that a task has; True where larger is better
_JUDGED_BY = (("abs_rel", False), ("routing_best", True), ("accuracy", True))


class Task(Protocol):
    """What `fit` trains.

    objective: module whose forward takes the tensors of a batch and answers loss terms, their sum under "loss".
    network: the part of it that is averaged, validated and kept.
    steps_per_epoch: steps of the optimizer in an epoch.
    """

    network: nn.Module
    steps_per_epoch: int

    @property
    def objective(self) -> nn.Module:
        """See above; a property, so that a task may keep a narrower type."""
        ...

    def batches(self, start: int) -> Iterable[Any]:
        """This process's batches without end from step `start` on, `TrainConfig.accumulate` of them for each step."""
        ...

    def prepare(self, batch: Any, draw: int, device: torch.device) -> tuple[Tensor, ...]:
        """The objective's arguments from a batch: moved to the device and augmented, by random draw number `draw`."""
        ...

    def evaluate(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Figures of a network on data it is not trained on."""
        ...

    def picture(self, network: nn.Module, device: torch.device, count: int) -> NDArray[np.uint8] | None:
        """Up to `count` frames of the validation split with the network's answers, BGR; None where there is nothing."""
        ...

    def save(self, network: nn.Module, path: Path, facts: Mapping[str, str]) -> None:
        """Write the network as a checkpoint, with `facts` about the run in its provenance."""
        ...


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """What came out of a run: its checkpoint, its length, and the figures of that checkpoint.

    bad_steps: steps that were left out because their gradient was not finite. early: stopped by `patience`.
    """

    checkpoint: Path
    steps: int
    seconds: float
    figures: dict[str, float]
    bad_steps: int = 0
    early: bool = False


def progress_bar() -> Progress:
    """A progress bar on stderr, silent where that is no terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


def fit(task: Task, config: TrainConfig, fabric: Fabric) -> FitResult:
    """Train until the budget is spent; the finished checkpoint is `<out>/<network>.safetensors`.

    Raises:
        EdgeDepthError: the loss, or the network's answer, is not finite any more.
        InputError: batches and maps are too small for batch norm.
        OutputError: the run's folder cannot be written.
        KeyboardInterrupt: passed on after the state was saved.
        Paused: `config.deadline` has passed, and the state was saved.
    """
    return _Run(task, config, fabric).run()


def train_task(make: Callable[[TrainConfig], Task], config: TrainConfig) -> FitResult:
    """Make a task in the run's folder and `fit` it.

    Raises:
        InputError: the folder holds another run, or the task cannot be made of this configuration.
        Others: see `fit`.
    """
    fabric = fabric_for(config)  # seeds, so it comes before the network's random weights
    with first_on_machine(fabric):
        prepare_folder(config)
        task = make(config)
    return fit(task, config, fabric)


class _Run:
    """One call of `fit`: the objects that live as long as the loop does."""

    def __init__(self, task: Task, config: TrainConfig, fabric: Fabric) -> None:
        self.task, self.config, self.fabric = task, config, fabric
        task.objective.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.precision == "bf16" and fabric.device.type == "cpu":
            depthwise_in_float32(task.objective)
        optimizer = optimizer_for(task.objective, config)
        self.objective, self.optimizer = fabric.setup(task.objective, optimizer)
        other = blended_checkpoint(config)
        self.average = Averaged(task.network, config.ema, config.blend, None if other is None else other.state)
        self.state = RunState(config.out / "state.pt", task.objective, self.average, optimizer, config.optimizer)
        if config.resume:
            self.state.load()
            self._check_same_step()
        self.journal = Journal(config.out, tensorboard=config.tensorboard, silent=not fabric.is_global_zero)
        self.figures: dict[str, float] = {}
        self.bad_in_a_row = 0
        # statistics of batch norm after the last good step: a forward pass on NaN spoils them before anyone can tell
        self.buffers = [buffer.detach().clone() for buffer in task.objective.buffers()]

    def _check_same_step(self) -> None:
        """Only the first process writes the state: every machine must have been given it."""
        first = int(agreed(self.state.step, self.fabric.device))
        if first != self.state.step:
            raise InputError(
                f"the first machine goes on from step {first}, but {self.state.path} here is of step {self.state.step};"
                " copy it from the first machine and run again"
            )

    @property
    def progress(self) -> float:
        """Share of the budget that is spent."""
        shares = []
        if self.config.minutes is not None:
            shares.append(self.state.seconds / (60 * self.config.minutes))
        if self.config.epochs is not None:
            shares.append(self.state.step / (self.config.epochs * self.task.steps_per_epoch))
        spent = max(shares)
        return spent if spent < 1 - _ROUNDING else 1.0

    @property
    def impatient(self) -> bool:
        """No evaluation has been better for as many as `patience` says."""
        return 0 < self.config.patience <= self.state.waited

    def run(self) -> FitResult:
        """Train to the end of the budget, or of patience."""
        try:
            self._train()
        except (KeyboardInterrupt, Paused):
            self._copy(self.buffers, self.task.objective.buffers())  # a step that was broken off is taken again
            self._save_state()
            raise
        finally:
            self.journal.close()
        return FitResult(
            checkpoint=self.checkpoint,
            steps=self.state.step,
            seconds=self.state.seconds,
            figures=self.state.best_figures or self.figures,
            bad_steps=self.state.bad_steps,
            early=self.progress < 1,
        )

    def _train(self) -> None:
        started = time.monotonic() - self.state.seconds
        saved = self.state.seconds
        logged = -math.inf
        batches = iter(self.task.batches(self.state.step))
        with progress_bar() as bar:
            shown = bar.add_task(self.config.network, total=1.0)
            while self.progress < 1 and not self.impatient:
                epoch = self.state.step // self.task.steps_per_epoch
                terms = self._step(batches)
                now = self.state.seconds = agreed(time.monotonic() - started, self.fabric.device)
                if now - logged > _LOG_SECONDS:
                    self._log("step", mean_over_processes(terms))
                    bar.update(shown, completed=self.progress, description=self._description(terms))
                    logged = now
                if self.state.step // self.task.steps_per_epoch > epoch:
                    self._draw(epoch + 1)
                self._pause_in_time()
                if now - self.state.evaluated > self.config.eval_seconds:
                    self._evaluate()
                    self.state.evaluated = now
                if now - saved > self.config.save_seconds:
                    self._save_state()
                    saved = now
        self._save_state()  # whatever comes of the evaluation
        if not self.impatient:  # the last evaluation was the one that ended it
            self._evaluate()
            self._save_state()

    def _pause_in_time(self) -> None:
        """Raise `Paused` in all processes together; clocks differ, so the first one's counts."""
        left = self.config.deadline.left_minutes
        if left is not None and agreed(left, self.fabric.device) <= 0:
            raise Paused

    @property
    def checkpoint(self) -> Path:
        """The file that is finished in the end."""
        return self.config.out / f"{self.config.network}.safetensors"

    def _step(self, batches: Iterator[Any]) -> dict[str, Tensor]:
        """One step of the optimizer, over `accumulate` batches; answers the means of their loss terms."""
        rate = learning_rate(self.progress, self.config, self.state.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        means: dict[str, Tensor] = {}
        seen: list[str] = []
        for left in reversed(range(self.config.accumulate)):
            part = self.config.accumulate - 1 - left
            draw = (self.state.step * self.config.accumulate + part) * world_size() + rank()
            batch = next(batches)
            seen.extend(getattr(batch, "ids", ()))
            torch.manual_seed(self.config.seed_of(draw))  # dropout
            with self.fabric.no_backward_sync(self.objective, enabled=left > 0):
                terms = self._terms(self.task.prepare(batch, draw, self.fabric.device))
                self.fabric.backward(terms["loss"] / self.config.accumulate)
            for name, value in terms.items():
                share = value.detach() / self.config.accumulate
                means[name] = means[name] + share if name in means else share
        norm = self.fabric.clip_gradients(
            self.objective, self.optimizer, max_norm=self.config.clip, error_if_nonfinite=False
        )
        if norm is None or bool(torch.isfinite(norm)):
            with unbroken():  # a step that was broken off before is taken again
                self.optimizer.step()
                self.average.update(self.state.step + 1)
                self.state.step += 1
                self._copy(self.task.objective.buffers(), self.buffers)
            self.bad_in_a_row = 0
        else:
            self.state.step += 1
            self._leave_out(seen)
        self.optimizer.zero_grad(set_to_none=True)
        return means

    def _terms(self, prepared: tuple[Tensor, ...]) -> Mapping[str, Tensor]:
        """The objective's terms; what batch norm says of too small a batch becomes advice."""
        try:
            terms: Mapping[str, Tensor] = self.objective(*prepared)
        except ValueError as error:
            if _ONE_VALUE not in str(error):
                raise
            height, width = prepared[0].shape[2:]
            raise InputError(
                f"{self.config.network} reduces {width}x{height} to one pixel, which in batches of {len(prepared[0])}"
                " is too little for batch norm; give a larger --batch or a larger --size"
            ) from error
        return terms

    def _leave_out(self, seen: list[str]) -> None:
        """Count a step without a finite gradient and name its frames, of all processes; too many are no accident."""
        self._copy(self.buffers, self.task.objective.buffers())
        self.state.bad_steps += 1
        self.bad_in_a_row += 1
        self._log("bad_step", {}, frames=of_all_processes(seen))
        if self.bad_in_a_row >= _MAX_BAD_STEPS:
            self._save_state()
            raise EdgeDepthError(
                f"the loss was not finite for {_MAX_BAD_STEPS} steps; resume with a smaller --lr (log.jsonl in"
                f" {self.config.out} names the frames)"
            )

    @staticmethod
    @torch.no_grad()
    def _copy(source: Iterable[Tensor], target: Iterable[Tensor]) -> None:
        for given, taken in zip(source, target, strict=True):
            taken.copy_(given)

    def _evaluate(self) -> None:
        """Figures and checkpoint of the averaged weights, by the first process while the others wait."""
        if self.fabric.is_global_zero:
            with self.average.applied():
                self.task.network.eval()
                self.figures = self.task.evaluate(self.task.network, self.fabric.device)
                if self._better() or self.config.patience == 0:
                    self.task.save(self.task.network, self.checkpoint, self._facts())
            self.task.network.train()
            self._log("evaluation", self.figures)
        self.state.waited = int(agreed(float(self.state.waited), self.fabric.device))

    def _better(self) -> bool:
        """Whether the figures are the best so far; remembers them, or that patience is one evaluation shorter."""
        if self.config.patience == 0:
            return True
        judged = [(name, larger) for name, larger in _JUDGED_BY if name in self.figures]
        if not judged:
            raise EdgeDepthError("patience needs validation data: name a split 'val', or give --set patience=0")
        name, larger = judged[0]
        best = self.state.best_figures.get(name)
        value = self.figures[name]
        if best is None or (value > best if larger else value < best):
            self.state.best_figures, self.state.waited = dict(self.figures), 0
            return True
        self.state.waited += 1
        return False

    def _facts(self) -> dict[str, str]:
        """What a checkpoint says about its training."""
        return {
            "steps": str(self.state.step),
            "epochs": f"{self.state.step / self.task.steps_per_epoch:.1f}",
            "training_seconds": f"{self.state.seconds:.0f}",
            **({"bad_steps": str(self.state.bad_steps)} if self.state.bad_steps else {}),
            **{f"validation_{name}": f"{value:.4f}" for name, value in self.figures.items()},
        }

    def _draw(self, epoch: int) -> None:
        """Sample pictures of the averaged weights at the end of an epoch."""
        if self.config.pictures == 0 or not self.fabric.is_global_zero:
            return
        with self.average.applied():
            self.task.network.eval()
            picture = self.task.picture(self.task.network, self.fabric.device, self.config.pictures)
        self.task.network.train()
        if picture is not None:
            self.journal.picture(epoch, self.state.step, picture)

    def _save_state(self) -> None:
        if self.fabric.is_global_zero:
            self.state.save()

    def _log(self, event: str, figures: Mapping[str, float], **facts: Any) -> None:
        known = {
            "seconds": round(self.state.seconds, 1),
            "progress": round(self.progress, 4),
            "lr": self.optimizer.param_groups[0]["lr"],
        }
        self.journal.write(event, self.state.step, {**known, **facts}, figures)

    def _description(self, terms: Mapping[str, Tensor]) -> str:
        text = f"{self.config.network}  step {self.state.step}  loss {float(terms['loss']):.3f}"
        for name in ("abs_rel", "accuracy"):
            if name in self.figures:
                text += f"  {name} {self.figures[name]:.3f}"
        return text
