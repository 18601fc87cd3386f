"""What a calibration found, in words, as plain data and as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedepth.calibration.guard import Mix, Score, Sensitivity
from edgedepth.calibration.recipe import RecipeResult
from edgedepth.calibration.speed import Timing
from edgedepth.core.bundle import Bundle
from edgedepth.core.errors import InputError, require
from edgedepth.core.files import atomic_path
from edgedepth.core.routing import Route

# How many times faster a file has to be: less is within what timing tells apart, and not worth its rounding.
_LEAST_SPEEDUP = 1.05
# Share of the multiply-adds in INT8 below which a file whose speed is not known is not worth having.
_LEAST_UNMEASURED = 0.5


@dataclass(frozen=True, kw_only=True)
class BackendReport:
    """One INT8 file: what it costs and what it gains.

    measured_on: the backend that scored it; another than `backend` where that is not installed here.
    fp32: the reference. full: every layer of the form in INT8. int8: the file as it is, with `kept_float` left out.
    timing, full_timing: against the floating-point files, None where the backend is not installed here.
    astray: how it fails on the bundle's golden frames, in words; empty if it does not.
    mixes: what the search tried. sensitivities: every layer alone, worst first, where it was measured.
    """

    backend: str
    measured_on: str
    fp32: Score
    full: Score
    full_timing: Timing | None
    int8: Score
    timing: Timing | None
    within_budget: bool
    astray: str
    kept_float: tuple[str, ...]
    int8_layers: int
    int8_macs: float
    mixes: tuple[Mix, ...]
    sensitivities: tuple[Sensitivity, ...]

    @property
    def speedup(self) -> float | None:
        """How many times faster INT8 is than the best floating-point file; None where it was not measured."""
        if self.timing is None:
            return None
        return self.timing.speedup["int8"] / max(value for name, value in self.timing.speedup.items() if name != "int8")

    @property
    def accepted(self) -> bool:
        """True where the file is kept. Where speed was not measured, half of the work in INT8 must stand for it."""
        pays = self.int8_macs >= _LEAST_UNMEASURED if self.speedup is None else self.speedup >= _LEAST_SPEEDUP
        return self.within_budget and pays and not self.astray

    @property
    def why(self) -> str:
        """The verdict in one line."""
        cost = (
            f"abs_rel {self.fp32.abs_rel:.4f} -> {self.int8.abs_rel:.4f}, "
            f"delta1 {self.fp32.delta1:.4f} -> {self.int8.delta1:.4f}"
        )
        gain = "speed not measured here" if self.speedup is None else f"{self.speedup:.2f}x as fast"
        if self.astray:
            return f"INT8 is left out: {self.astray}; calibrate on frames like those it is for ({cost})"
        if not self.within_budget:
            return f"INT8 is left out: no mix of layers holds the budget ({cost})"
        if not self.accepted and self.speedup is None:
            return f"INT8 is left out: only {100 * self.int8_macs:.0f} % of the work holds the budget ({gain}; {cost})"
        if not self.accepted:
            return f"INT8 is left out: it is not faster than floating point here ({gain}; {cost})"
        return f"INT8 in {self.int8_layers} layers, {100 * self.int8_macs:.0f} % of the work: {cost}; {gain}"

    def lines(self) -> list[str]:
        """The verdict and what led to it, for people."""
        lines = [f"{self.backend}: {self.why}"]
        if self.kept_float:
            note = f"  {len(self.kept_float)} layers stay in floating point"
            if self.timing is not None and self.full_timing is not None:
                note += f": {self.timing.ms['int8']:.2f} ms instead of {self.full_timing.ms['int8']:.2f} ms"
            lines += [
                note,
                f"  with all of them in INT8: abs_rel {self.full.abs_rel:.4f}, delta1 {self.full.delta1:.4f}",
            ]
        if self.measured_on != self.backend:
            lines.append(f"  scored by {self.measured_on}, as {self.backend} is not installed here")
        return lines

    def explanation(self) -> list[str]:
        """Every layer's sensitivity, worst first."""
        return [
            f"  {entry.layer.name:<24} {entry.layer.kind:<9} {entry.layer.macs / 1e6:8.2f} MMAC  "
            f"SNR {entry.snr_db:5.1f} dB  abs_rel {entry.abs_rel_change:+.5f}"
            + ("  floating point" if entry.layer.name in self.kept_float else "")
            for entry in self.sensitivities
        ]


@dataclass(frozen=True, kw_only=True)
class NetworkReport:
    """A network's calibration: the recipes compared, and a report per backend."""

    route: Route
    network: str
    frames: int
    check_frames: int
    labelled: bool
    recipe: str
    recipes: tuple[RecipeResult, ...]
    backends: tuple[BackendReport, ...]

    def table(self) -> str:
        """The recipes and what they cost, as a Markdown table."""
        rows = [
            f"| {row.recipe} | {row.score.abs_rel:.4f} | {row.score.delta1:.4f} | {row.drift.abs_rel:.4f} |"
            for row in self.recipes
        ]
        fp32 = self.backends[0].fp32
        head = [
            "| recipe | abs_rel | delta1 | abs_rel against FP32 |",
            "|---|---:|---:|---:|",
            f"| FP32 | {fp32.abs_rel:.4f} | {fp32.delta1:.4f} | 0 |",
        ]
        return "\n".join([*head, *rows])


@dataclass(frozen=True, kw_only=True)
class CalibrationReport:
    """A calibrated bundle and how it came to be. warnings: one line each."""

    bundle: Bundle
    networks: tuple[NetworkReport, ...]
    warnings: tuple[str, ...]

    def lines(self, *, explain: bool = False) -> list[str]:
        """The whole report for people."""
        lines = [f"warning: {warning}" for warning in self.warnings]
        for network in self.networks:
            truth = "measured depth" if network.labelled else "FP32"
            lines.append(
                f"{network.route}: {network.network}, {network.frames} frames observed, checked on "
                f"{network.check_frames} against {truth}; {network.recipe}"
            )
            if explain and network.recipes:
                lines += [f"  {line}" for line in network.table().splitlines()]
            for backend in network.backends:
                lines += [f"  {line}" for line in backend.lines()]
                lines += [f"  {line}" for line in backend.explanation()] if explain else []
        return lines

    def as_json(self) -> dict[str, Any]:
        """Plain data, the form of `edgedepth calibrate --json`."""
        return {
            "bundle": str(self.bundle.folder),
            "digest": self.bundle.digest,
            "warnings": list(self.warnings),
            "networks": {network.route.value: _network_json(network) for network in self.networks},
        }


def _network_json(network: NetworkReport) -> dict[str, Any]:
    return {
        "network": network.network,
        "frames": network.frames,
        "check_frames": network.check_frames,
        "truth": "labels" if network.labelled else "fp32",
        "recipe": network.recipe,
        "tried": [
            {"recipe": str(row.recipe), **vars(row.score), "drift": row.drift.abs_rel} for row in network.recipes
        ],
        "backends": {entry.backend: _backend_json(entry) for entry in network.backends},
    }


def _backend_json(entry: BackendReport) -> dict[str, Any]:
    return {
        "accepted": entry.accepted,
        "why": entry.why,
        "within_budget": entry.within_budget,
        "astray": entry.astray,
        "measured_on": entry.measured_on,
        "fp32": vars(entry.fp32),
        "full": vars(entry.full),
        "int8": vars(entry.int8),
        "speedup": entry.speedup,
        "ms": None if entry.timing is None else dict(entry.timing.ms),
        "int8_layers": entry.int8_layers,
        "int8_macs": entry.int8_macs,
        "kept_float": list(entry.kept_float),
        "mixes": [{"kept_float": len(mix.kept_float), **vars(mix.score)} for mix in entry.mixes],
        "layers": [
            {
                "name": layer.layer.name,
                "kind": layer.layer.kind,
                "macs": layer.layer.macs,
                "snr_db": layer.snr_db,
                "abs_rel_change": layer.abs_rel_change,
            }
            for layer in entry.sensitivities
        ],
    }


def check_plot(path: Path) -> None:
    """Whether a plot can be written there, before anything is measured for it.

    Raises:
        InputError: the file's ending is none of a plot.
        MissingPackageError: matplotlib is not installed.
    """
    if path.suffix not in (".png", ".svg"):
        raise InputError(f"a plot is a .png or a .svg, but got {path.name}")
    require("matplotlib.figure", extra="train")


def plot_mixes(report: CalibrationReport, path: Path) -> None:
    """Draw abs_rel against the share of INT8 work, a line per network and backend; PNG or SVG by the file's ending.

    Raises:
        InputError: no mixes were measured.
        OutputError: the file cannot be written.
    """
    curves = [
        (f"{network.network} {entry.backend}", entry)
        for network in report.networks
        for entry in network.backends
        if entry.mixes
    ]
    if not curves:
        raise InputError("no mixes were measured; calibrate with --explain")
    check_plot(path)
    figure_module = require("matplotlib.figure", extra="train")
    figure = figure_module.Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for label, entry in curves:
        mixes = sorted(entry.mixes, key=lambda mix: mix.int8_macs)
        share, error = [100 * mix.int8_macs for mix in mixes], [mix.score.abs_rel for mix in mixes]
        (line,) = axes.plot(share, error, marker="o", label=label)
        axes.axhline(entry.fp32.abs_rel, linestyle=":", color=line.get_color())
    axes.set(xlabel="share of multiply-adds in INT8 (%)", ylabel="abs_rel (dotted: FP32)")
    axes.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150)
