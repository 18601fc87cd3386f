"""The ablation tables of the five papers as data: what each row trains, how it is tested, and what the paper printed.

`reproduce` trains their rows at small scale. Options under `small` make a network small enough for that; they never
touch what a row is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edgedepth.core.errors import UnknownNameError
from edgedepth.trainers.config import LossConfig

Options = Mapping[str, Any]
World = Literal["indoor", "street"]


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training run: a network, its options, its losses.

    share: length in budgets; the staged network of papers/5 has six stages to share its own among.
    wh: network size at small scale, None for the table's.
    prefix: put before the names of data sets of far frames, such as "near:".
    small: whether the table's options for small networks are this network's, too.
    """

    network: str
    options: Options = field(default_factory=dict)
    loss: LossConfig = field(default_factory=LossConfig)
    share: float = 1.0
    wh: tuple[int, int] | None = None
    prefix: str = ""
    small: bool = True


@dataclass(frozen=True, kw_only=True)
class Routing:
    """Two networks and what chooses between them (papers/1, section 3): all by the names of their runs.

    by: the run of a scene classifier or of a coarse network; None where both ranges have the same network.
    sigma_m: threshold of a coarse network, None to choose it on the validation split.
    """

    low: str
    high: str
    by: str | None = None
    sigma_m: float | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row: the run it is tested from, and the paper's figures under our metrics' names.

    stage: folder of the run that holds the row's checkpoint, where a run has several.
    answer: options at test that do not change the weights.
    routing: what answers in rows that route frames; `training` is then one of its runs.
    """

    label: str
    training: str
    paper: Mapping[str, float] = field(default_factory=dict)
    stage: str = ""
    answer: Options = field(default_factory=dict)
    routing: Routing | None = None

    @property
    def trainings(self) -> tuple[str, ...]:
        """The runs that the row is tested from."""
        if self.routing is None:
            return (self.training,)
        return tuple(dict.fromkeys(filter(None, (self.routing.low, self.routing.high, self.routing.by))))


@dataclass(frozen=True, kw_only=True)
class PaperTable:
    """One table.

    metrics: columns that are compared, the first of them above all; near_ and far_ before a metric of rows that route
        frames, for the frames of one range.
    reference: label of the row that ratios are taken to.
    worlds: which procedural worlds stand for the paper's data; wh: network size at small scale.
    claims: (better row, worse row) that the paper says in words where it prints no figures.
    """

    name: str
    title: str
    worlds: tuple[World, ...]
    wh: tuple[int, int]
    batch: int
    metrics: tuple[str, ...]
    reference: str
    trainings: Mapping[str, Training]
    rows: tuple[Row, ...]
    small: Options
    claims: tuple[tuple[str, str], ...] = ()


_NO_SKIPS = {"skip_encoding": False, "skip_rgb": False}
_HARD = LossConfig(hard=True)

_TABLE_6 = PaperTable(
    name="papers/1:table6",
    title="DS-SIDENet, low range: tasks and branches",
    worlds=("indoor",),
    wh=(64, 48),
    batch=8,
    metrics=("abs_rel", "rmse"),
    reference="soft-cls+reg, tested by soft-cls",
    small={"width": 0.25},
    trainings={
        "reg": Training(network="ds-sidenet-low", options={"branches": "reg"}),
        "hard-cls": Training(network="ds-sidenet-low", options={"branches": "cls"}, loss=_HARD),
        "soft-cls": Training(network="ds-sidenet-low", options={"branches": "cls"}),
        "hard-cls+reg": Training(network="ds-sidenet-low", loss=_HARD),
        "soft-cls+reg": Training(network="ds-sidenet-low"),
    },
    rows=(
        Row(label="reg", training="reg", paper={"abs_rel": 0.122, "rmse": 0.518}),
        Row(label="hard-cls", training="hard-cls", paper={"abs_rel": 0.137, "rmse": 0.522}),
        Row(label="soft-cls", training="soft-cls", paper={"abs_rel": 0.120, "rmse": 0.511}),
        Row(
            label="hard-cls+reg, tested by hard-cls",
            training="hard-cls+reg",
            paper={"abs_rel": 0.126, "rmse": 0.514},
        ),
        Row(
            label="hard-cls+reg, tested by reg",
            training="hard-cls+reg",
            paper={"abs_rel": 0.119, "rmse": 0.515},
            answer={"answer": "reg"},
        ),
        Row(
            label="soft-cls+reg, tested by soft-cls",
            training="soft-cls+reg",
            paper={"abs_rel": 0.113, "rmse": 0.501},
        ),
        Row(
            label="soft-cls+reg, tested by reg",
            training="soft-cls+reg",
            paper={"abs_rel": 0.117, "rmse": 0.510},
            answer={"answer": "reg"},
        ),
    ),
)

_TABLE_7 = PaperTable(
    name="papers/1:table7",
    title="DS-SIDENet, low range: decoding layers",
    worlds=("indoor",),
    wh=(64, 48),
    batch=8,
    metrics=("abs_rel", "rmse"),
    reference="skip-encoding and skip-RGB",
    small={"width": 0.25},
    trainings={
        "none": Training(network="ds-sidenet-low", options=_NO_SKIPS),
        "encoding": Training(network="ds-sidenet-low", options={"skip_rgb": False}),
        "rgb": Training(network="ds-sidenet-low", options={"skip_encoding": False}),
        "both": Training(network="ds-sidenet-low"),
    },
    rows=(
        Row(label="upproj, no skips", training="none", paper={"abs_rel": 0.126, "rmse": 0.556}),
        Row(label="skip-encoding", training="encoding", paper={"abs_rel": 0.119, "rmse": 0.527}),
        Row(label="skip-RGB", training="rgb", paper={"abs_rel": 0.121, "rmse": 0.532}),
        Row(label="skip-encoding and skip-RGB", training="both", paper={"abs_rel": 0.113, "rmse": 0.501}),
    ),
)

_TABLE_8 = PaperTable(
    name="papers/1:table8",
    title="DS-SIDENet, high range: stacked modules",
    worlds=("street",),
    wh=(112, 64),
    batch=8,
    metrics=("irmse", "abs_rel"),
    reference="SAM at block 3",
    small={"width": 0.25},
    trainings={
        "shg3": Training(network="ds-sidenet-high", options={"stack": "shg"}),
        "sam3": Training(network="ds-sidenet-high", options={"stack": "sam"}),
        "sam4": Training(network="ds-sidenet-high", options={"stack": "sam", "stack_at": 4}),
        "sam5": Training(network="ds-sidenet-high", options={"stack": "sam", "stack_at": 5}),
        "none": Training(network="ds-sidenet-high", options={"stack": "none"}),
    },
    rows=(
        Row(label="SHG at block 3", training="shg3", paper={"irmse": 8.29, "abs_rel": 0.075}),
        Row(label="SAM at block 3", training="sam3", paper={"irmse": 7.83, "abs_rel": 0.066}),
        Row(label="SAM at block 4", training="sam4", paper={"irmse": 7.84, "abs_rel": 0.066}),
        Row(label="SAM at block 5", training="sam5", paper={"irmse": 7.84, "abs_rel": 0.066}),
        Row(label="no stack", training="none", paper={"irmse": 8.68, "abs_rel": 0.085}),
    ),
)

_COARSE = {"branches": "cls", "max_m": 80.0}

_TABLE_9 = PaperTable(
    name="papers/1:table9",
    title="two-stage framework: what chooses the network, and thresholds of the coarse one",
    worlds=("indoor", "street"),
    wh=(64, 48),
    batch=8,
    metrics=("near_rmse", "near_abs_rel", "far_irmse", "far_abs_rel"),
    reference="Ours-cde",
    small={"width": 0.25},
    trainings={
        "low": Training(network="ds-sidenet-low"),
        "high": Training(network="ds-sidenet-high", wh=(112, 64)),
        "coarse": Training(network="ds-sidenet-low", options=_COARSE),
        "scene": Training(network="scene-small", wh=(128, 96), small=False),
        "mixed": Training(network="ds-sidenet-low", prefix="near:"),
    },
    rows=(
        Row(
            label="Ours-sc",
            training="low",
            routing=Routing(low="low", high="high", by="scene"),
            paper={"near_rmse": 0.287, "near_abs_rel": 0.138, "far_irmse": 7.83, "far_abs_rel": 0.066},
        ),
        Row(
            label="Ours-cde",
            training="low",
            routing=Routing(low="low", high="high", by="coarse"),
            paper={"near_rmse": 0.287, "near_abs_rel": 0.138, "far_irmse": 7.83, "far_abs_rel": 0.066},
        ),
        Row(
            label="R1: sigma = 10 m",
            training="low",
            routing=Routing(low="low", high="high", by="coarse", sigma_m=10.0),
            paper={"near_rmse": 0.287, "near_abs_rel": 0.138, "far_irmse": 8.44, "far_abs_rel": 0.072},
        ),
        Row(
            label="R2: sigma = 10 m, low retrained",
            training="mixed",
            routing=Routing(low="mixed", high="high", by="coarse", sigma_m=10.0),
            paper={"near_rmse": 0.366, "near_abs_rel": 0.191, "far_irmse": 8.40, "far_abs_rel": 0.071},
        ),
        Row(
            label="cde only",  # of Table 4; its KITTI figures in Table 5 are of another split
            training="coarse",
            routing=Routing(low="coarse", high="coarse"),
            paper={"near_rmse": 0.366, "near_abs_rel": 0.191},
        ),
    ),
    claims=(("Ours-cde", "cde only"),),
)

_SID_UD = PaperTable(
    name="papers/2:sid-ud",
    title="DeepLab v2 over depth intervals: spacing-increasing (SID) and uniform (UD)",
    worlds=("street",),
    wh=(112, 64),
    batch=8,
    metrics=("abs_rel", "rmse_log", "rmse"),
    reference="SID",
    small={"backbone": "small"},
    trainings={
        "sid": Training(network="sid-deeplab"),
        "ud": Training(network="sid-deeplab", options={"spacing": "uniform"}),
    },
    rows=(
        Row(label="SID", training="sid", paper={"abs_rel": 0.075, "rmse_log": 0.156, "rmse": 2.499}),
        Row(label="UD", training="ud"),
    ),
    claims=(("SID", "UD"),),
)

_HQMD = PaperTable(
    name="papers/3:table1",
    title="HQMD: decoders and losses",
    worlds=("indoor",),
    wh=(64, 48),
    batch=8,
    metrics=("rmse", "abs_rel", "log10", "rmse_log", "delta1"),
    reference="Baseline+ w/ full loss",
    small={"backbone": "small", "width": 64},
    trainings={
        "baseline": Training(network="hqmd", options={"decoder": "baseline"}, loss=LossConfig(metric="berhu")),
        "hu": Training(network="hqmd", loss=LossConfig(metric="hu")),
        "berhu": Training(network="hqmd", loss=LossConfig(metric="berhu")),
        "magnitude": Training(network="hqmd", loss=LossConfig(metric="berhu+magnitude")),
        "full": Training(network="hqmd"),
    },
    rows=(
        Row(
            label="Baseline w/ l_depth",
            training="baseline",
            paper={"abs_rel": 0.129, "log10": 0.056, "rmse": 0.487, "rmse_log": 0.170, "delta1": 0.834},
        ),
        Row(
            label="Baseline+ w/ loss of Hu et al.",
            training="hu",
            paper={"abs_rel": 0.129, "log10": 0.056, "rmse": 0.488, "rmse_log": 0.169, "delta1": 0.828},
        ),
        Row(
            label="Baseline+ w/ l_depth",
            training="berhu",
            paper={"abs_rel": 0.127, "log10": 0.056, "rmse": 0.486, "rmse_log": 0.169, "delta1": 0.834},
        ),
        Row(
            label="Baseline+ w/ l_depth + l_grad.mg",
            training="magnitude",
            paper={"abs_rel": 0.128, "log10": 0.055, "rmse": 0.476, "rmse_log": 0.167, "delta1": 0.838},
        ),
        Row(
            label="Baseline+ w/ full loss",
            training="full",
            paper={"abs_rel": 0.127, "log10": 0.054, "rmse": 0.468, "rmse_log": 0.165, "delta1": 0.841},
        ),
    ),
)

_DRNET = PaperTable(
    name="papers/4:table3",
    title="Double Refinement Network: elements",
    worlds=("indoor",),
    wh=(64, 48),
    batch=8,
    metrics=("rmse", "delta1", "delta2", "delta3"),
    reference="DRNet",
    small={"backbone": "small"},
    trainings={
        "whole": Training(network="drnet", options={"backbone": "resnet152"}),
        "no-diagonal": Training(network="drnet", options={"backbone": "resnet152", "diagonal": False}),
        "no-auxiliary": Training(network="drnet", options={"backbone": "resnet152", "auxiliary": False}),
        "no-second": Training(network="drnet", options={"backbone": "resnet152", "second_branch": False}),
    },
    rows=(
        Row(
            label="DRNet",
            training="whole",
            paper={"rmse": 0.528, "delta1": 0.866, "delta2": 0.972, "delta3": 0.993},
        ),
        Row(
            label="no diagonal connections",
            training="no-diagonal",
            paper={"rmse": 0.533, "delta1": 0.866, "delta2": 0.973, "delta3": 0.993},
        ),
        Row(
            label="no auxiliary losses",
            training="no-auxiliary",
            paper={"rmse": 0.544, "delta1": 0.860, "delta2": 0.971, "delta3": 0.992},
        ),
        Row(
            label="no second branch",
            training="no-second",
            paper={"rmse": 1.900, "delta1": 0.351, "delta2": 0.596, "delta3": 0.732},
        ),
    ),
)


def _rsn(rel: float, log: float, rmse: float, delta1: float) -> Mapping[str, float]:
    return {"rmse": rmse, "abs_rel": rel, "rmse_log": log, "delta1": delta1}


_GENERATION = {"modules": "generation"}

_RSN = PaperTable(
    name="papers/5:table3",
    title="Region Support Network: what guides the refinement",
    worlds=("indoor",),
    wh=(32, 24),
    batch=4,
    metrics=("rmse", "abs_rel", "rmse_log", "delta1"),
    reference="refinement with ground truth",
    small={"width": 0.125},
    trainings={
        "depth": Training(network="rsn", options=_GENERATION, loss=LossConfig(metric="region-log-depth")),
        "linear": Training(network="rsn", options=_GENERATION, loss=LossConfig(metric="region-linear-depth")),
        "l2": Training(network="rsn", options=_GENERATION, loss=LossConfig(metric="l2-log")),
        "truth": Training(network="rsn", options={"modules": "refinement", "guidance": "truth"}),
        "semantic": Training(network="rsn", options={"guidance": "semantic"}),
        "staged": Training(network="rsn", share=3.0),
    },
    rows=(
        Row(label="generation for depth inference", training="depth", paper=_rsn(0.2350, 0.2639, 0.7367, 0.6517)),
        Row(label="with linear loss", training="linear", paper=_rsn(0.2572, 0.2855, 0.7805, 0.6114)),
        Row(label="with L2 loss", training="l2", paper=_rsn(0.2503, 0.2784, 0.7681, 0.6217)),
        Row(label="refinement with ground truth", training="truth", paper=_rsn(0.0851, 0.1057, 0.2917, 0.9528)),
        Row(label="with semantic guidance", training="semantic", paper=_rsn(0.3345, 0.3235, 0.9806, 0.4847)),
        Row(
            label="generation for region support (Baseline1)",
            training="staged",
            stage="generation",
            paper=_rsn(0.2334, 0.2852, 0.7737, 0.6111),
        ),
        Row(
            label="freeze generation",
            training="staged",
            stage="refinement-on-generated",
            paper=_rsn(0.2692, 0.2993, 0.7922, 0.5725),
        ),
        Row(
            label="freeze refinement",
            training="staged",
            stage="generation-through-refinement",
            paper=_rsn(0.2563, 0.2852, 0.7737, 0.6111),
        ),
        Row(label="end to end", training="staged", paper=_rsn(0.196, 0.172, 0.681, 0.792)),
    ),
)

TABLES: Mapping[str, PaperTable] = {
    table.name: table for table in (_TABLE_6, _TABLE_7, _TABLE_8, _TABLE_9, _SID_UD, _HQMD, _DRNET, _RSN)
}


def table_named(name: str) -> PaperTable:
    """The table of a name such as "papers/1:table6".

    Raises:
        UnknownNameError: there is none; the message lists the known ones.
    """
    if name not in TABLES:
        raise UnknownNameError.of("table", name, TABLES)
    return TABLES[name]
