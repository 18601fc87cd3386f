"""The training loop, the same for every kind of network: budget, schedule, averaged weights, safe state, log.

A `Task` says what is trained and on what; `fit` trains it. A run can be stopped at any moment, even killed: it goes
on from its last saved state and sees the same batches it would have seen.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from edgedepth.core.errors import EdgeDepthError
from edgedepth.trainers.config import TrainConfig
from edgedepth.trainers.memory import keep_freed_memory
from edgedepth.trainers.mixed import depthwise_in_float32
from edgedepth.trainers.state import Averaged, RunState

_LOG_SECONDS = 10.0
_MAX_BAD_STEPS = 50  # in a row, before a run that only gives NaN is given up


class Task(Protocol):
    """What `fit` trains.

    objective: module whose forward takes the tensors of a batch and answers loss terms, their sum under "loss".
    network: the part of it that is averaged, validated and kept.
    steps_per_epoch: batches in an epoch.
    """

    network: nn.Module
    steps_per_epoch: int

    @property
    def objective(self) -> nn.Module:
        """See above; a property, so that a task may keep a narrower type."""
        ...

    def batches(self, start: int) -> Iterable[Any]:
        """Batches without end from number `start` on."""
        ...

    def prepare(self, batch: Any, step: int, device: torch.device) -> tuple[Tensor, ...]:
        """The objective's arguments from a batch: moved to the device and augmented."""
        ...

    def evaluate(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Figures of a network on data it is not trained on."""
        ...

    def save(self, network: nn.Module, path: Path, facts: Mapping[str, str]) -> None:
        """Write the network as a checkpoint, with `facts` about the run in its provenance."""
        ...


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """What came out of a run: its checkpoint, its length, and the last figures."""

    checkpoint: Path
    steps: int
    seconds: float
    figures: dict[str, float]


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


def fabric_for(config: TrainConfig) -> Fabric:
    """The device and precision of a run; on a CPU, its number of threads too."""
    if config.device != "cuda":
        keep_freed_memory()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    precision = "bf16-mixed" if config.precision == "bf16" else "32-true"
    fabric = Fabric(accelerator=config.device, devices=1, precision=precision)  # type: ignore[arg-type]
    fabric.seed_everything(config.seed, verbose=False)
    return fabric


def learning_rate(progress: float, config: TrainConfig) -> float:
    """Learning rate at `progress` (0..1 of the budget): linear rise, then cosine or polynomial (0.9) fall to zero."""
    if progress < config.warmup:
        return config.lr * max(progress / config.warmup, 0.01)
    done = min((progress - config.warmup) / (1 - config.warmup), 1.0)
    if config.schedule == "poly":
        return config.lr * math.pow(1 - done, 0.9)
    return config.lr * 0.5 * (1 + math.cos(math.pi * done))


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights decay, biases and norms do not."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def fit(task: Task, config: TrainConfig, fabric: Fabric) -> FitResult:
    """Train until the budget is spent; the finished checkpoint is `<out>/<network>.safetensors`.

    Raises:
        EdgeDepthError: the loss is not finite any more.
        OutputError: the run's folder cannot be written.
        KeyboardInterrupt: passed on after the state was saved.
    """
    return _Run(task, config, fabric).run()


class _Run:
    """One call of `fit`: the objects that live as long as the loop does."""

    def __init__(self, task: Task, config: TrainConfig, fabric: Fabric) -> None:
        self.task, self.config, self.fabric = task, config, fabric
        task.objective.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.precision == "bf16" and fabric.device.type == "cpu":
            depthwise_in_float32(task.objective)
        optimizer = torch.optim.AdamW(parameter_groups(task.objective, config.weight_decay), lr=config.lr)
        self.objective, self.optimizer = fabric.setup(task.objective, optimizer)
        self.average = Averaged(task.network, config.ema)
        self.state = RunState(config.out / "state.pt", task.objective, self.average, optimizer)
        if config.resume:
            self.state.load()
        self.figures: dict[str, float] = {}
        self.bad_steps = 0

    @property
    def progress(self) -> float:
        """Share of the budget that is spent."""
        shares = []
        if self.config.minutes is not None:
            shares.append(self.state.seconds / (60 * self.config.minutes))
        if self.config.epochs is not None:
            shares.append(self.state.step / (self.config.epochs * self.task.steps_per_epoch))
        return max(shares)

    def run(self) -> FitResult:
        started = time.monotonic() - self.state.seconds
        saved = evaluated = self.state.seconds
        logged = -math.inf
        with progress_bar() as bar:
            shown = bar.add_task(self.config.network, total=1.0)
            try:
                for batch in self.task.batches(self.state.step):
                    if self.progress >= 1:
                        break
                    terms = self._step(batch)
                    now = self.state.seconds = time.monotonic() - started
                    if now - logged > _LOG_SECONDS:
                        self._log("step", {name: float(value.detach()) for name, value in terms.items()})
                        bar.update(shown, completed=self.progress, description=self._description(terms))
                        logged = now
                    if now - evaluated > self.config.eval_seconds:
                        self._evaluate()
                        evaluated = now
                    if now - saved > self.config.save_seconds:
                        self.state.save()
                        saved = now
            except KeyboardInterrupt:
                self.state.save()
                raise
        self._evaluate()
        self.state.save()
        return FitResult(
            checkpoint=self.checkpoint, steps=self.state.step, seconds=self.state.seconds, figures=self.figures
        )

    @property
    def checkpoint(self) -> Path:
        return self.config.out / f"{self.config.network}.safetensors"

    def _step(self, batch: Any) -> dict[str, Tensor]:
        rate = learning_rate(self.progress, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        terms: dict[str, Tensor] = self.objective(*self.task.prepare(batch, self.state.step, self.fabric.device))
        self.fabric.backward(terms["loss"])
        norm = self.fabric.clip_gradients(
            self.objective, self.optimizer, max_norm=self.config.clip, error_if_nonfinite=False
        )
        self.state.step += 1
        if norm is None or bool(torch.isfinite(norm)):
            self.optimizer.step()
            self.average.update(self.state.step)
            self.bad_steps = 0
        else:
            self.bad_steps += 1
            if self.bad_steps >= _MAX_BAD_STEPS:
                raise EdgeDepthError(f"the loss was not finite for {_MAX_BAD_STEPS} steps; resume with a smaller --lr")
        self.optimizer.zero_grad(set_to_none=True)
        return terms

    def _evaluate(self) -> None:
        """Figures and checkpoint of the averaged weights."""
        with self.average.applied():
            self.task.network.eval()
            self.figures = self.task.evaluate(self.task.network, self.fabric.device)
            facts = {
                "steps": str(self.state.step),
                "epochs": f"{self.state.step / self.task.steps_per_epoch:.1f}",
                "training_seconds": f"{self.state.seconds:.0f}",
                **{f"validation_{name}": f"{value:.4f}" for name, value in self.figures.items()},
            }
            self.task.save(self.task.network, self.checkpoint, facts)
        self.task.network.train()
        self._log("evaluation", self.figures)

    def _log(self, event: str, figures: Mapping[str, float]) -> None:
        line = {
            "event": event,
            "step": self.state.step,
            "seconds": round(self.state.seconds, 1),
            "progress": round(self.progress, 4),
            "lr": self.optimizer.param_groups[0]["lr"],
            **{name: round(value, 5) for name, value in figures.items()},
        }
        with (self.config.out / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _description(self, terms: Mapping[str, Tensor]) -> str:
        text = f"{self.config.network}  step {self.state.step}  loss {float(terms['loss'].detach()):.3f}"
        for name in ("abs_rel", "accuracy"):
            if name in self.figures:
                text += f"  {name} {self.figures[name]:.3f}"
        return text
