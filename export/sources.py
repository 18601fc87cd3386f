"""What `edgedepth export` is asked to export: names and files become the networks of a bundle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError, UnknownNameError
from edgedepth.core.foreign import load_foreign, relative_to_file
from edgedepth.core.routing import Route, SceneRule, parse_scene_rule
from edgedepth.core.spec import HIGH_RANGE_M, LOW_RANGE_M, DepthSpec
from edgedepth.export.original import ForeignSource
from edgedepth.trainers.checkpoint import Checkpoint, load_checkpoint, shipped_checkpoint
from edgedepth.trainers.models.registry import classifier_names, network_names
from edgedepth.trainers.models.scene import load_places365, scene_wrn18_spec

# The shipped trio, by the name `default`.
DEFAULT_NETWORKS = ("edge-low", "edge-high", "scene-small")
_SHIPPED_LICENCE = "Apache-2.0"
_PLACES365 = ".pth.tar"


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The networks of a bundle, and what training wrote beside them: the router's rule and the baseline maps.

    licence: of the weights, where all are shipped ones; nobody has told that of others.
    """

    depth: dict[Route, Checkpoint | ForeignSource]
    router: Checkpoint | ForeignSource | None
    rule: SceneRule | None
    baselines: dict[Route, NDArray[np.float32]]
    licence: str | None = None


def resolve_sources(
    names: Sequence[str], coarse: str | None = None, *, module: str | None = None, spec: Path | None = None
) -> Sources:
    """Load what is named: `default`, a shipped network, a checkpoint's path, or a network from elsewhere.

    One depth network makes a bundle of a fixed route. Two need a scene classifier, or a `coarse` depth network whose
    largest depth decides; the one of shorter range is LOW.

    A file `*.pth.tar` is the WideResNet-18 of Places365, the router of papers/1 (section 3).

    Networks from elsewhere are TOML files that say where they are, or ONNX files with a TOML file of the same name
    beside them. module, spec: one more such network, a torch module and its TOML file; without a module, `spec` is that
    of the ONNX files, whatever lies beside them.

    Raises:
        UnknownNameError: neither a file nor a network.
        InputError: the network has no shipped weights, a file is malformed, or the set does not make a bundle.
        CheckpointError: a file is not a checkpoint.
    """
    wanted = [part for name in names for part in (DEFAULT_NETWORKS if name == "default" else (name,))]
    if coarse is not None:
        wanted = [name for name in wanted if name not in classifier_names()]
    told = None if module is not None else spec
    loaded: list[tuple[Path, Checkpoint | ForeignSource]] = [_load(name, told) for name in wanted]
    if module is not None:
        if spec is None:
            raise InputError("--module needs --spec FILE.toml, which tells its contract; see docs/own_networks.md")
        loaded.append((spec, ForeignSource(load_foreign(spec).model_copy(update={"module": module, "onnx": None}))))
    elif spec is not None and not any(Path(name).suffix == ".onnx" for name in (*wanted, coarse or "")):
        raise InputError(
            f"--spec {spec} goes with --module or an ONNX file; a TOML file of its own is given like a checkpoint"
        )
    depth = [(path, c) for path, c in loaded if isinstance(c.spec, DepthSpec)]
    routers: list[tuple[Path, Checkpoint | ForeignSource]]
    routers = [(path, c) for path, c in loaded if not isinstance(c.spec, DepthSpec)]
    if coarse is not None:
        routers.append(_load(coarse, told))
    if not 1 <= len(depth) <= 2 or len(routers) != len(depth) - 1:
        raise InputError(
            "a bundle is one depth network, or two and a router (a scene classifier, or --coarse), but got "
            f"{len(depth)} depth networks and {len(routers)} routers"
        )
    routes = _routes([c.spec for _, c in depth if isinstance(c.spec, DepthSpec)])
    shipped = module is None and all(name in _known() for name in (*wanted, *(() if coarse is None else (coarse,))))
    baselines = {route: _baseline_beside(path, c.network) for route, (path, c) in zip(routes, depth, strict=True)}
    return Sources(
        depth={route: c for route, (_, c) in zip(routes, depth, strict=True)},
        router=routers[0][1] if routers else None,
        rule=_rule_beside(*routers[0]) if routers else None,
        baselines={route: found for route, found in baselines.items() if found is not None},
        licence=_SHIPPED_LICENCE if shipped else None,
    )


def _load(name: str, spec: Path | None) -> tuple[Path, Checkpoint | ForeignSource]:
    """What a name stands for, and the path beside which training would have written more about it."""
    path = Path(name)
    if path.suffix == ".toml":
        return path, ForeignSource(relative_to_file(load_foreign(path), path))
    if path.suffix == ".onnx":
        beside = spec or path.with_suffix(".toml")
        return path, ForeignSource(load_foreign(beside).model_copy(update={"onnx": name, "module": None}))
    if name.endswith(_PLACES365):
        return path, _places365(path)
    path = _path_of(name)
    return path, load_checkpoint(path)


def _places365(path: Path) -> Checkpoint:
    """The scene classifier of papers/1 with the public weights that it was used with."""
    return Checkpoint(
        network="scene-wrn18",
        options={},
        spec=scene_wrn18_spec(),
        state=dict(load_places365(path).state_dict()),
        provenance={"weights": f"{path.name}, places2.csail.mit.edu"},
    )


def _known() -> tuple[str, ...]:
    return (*network_names(), *classifier_names())


def _path_of(name: str) -> Path:
    known = _known()
    if name in known:
        path = shipped_checkpoint(name)
        if not path.is_file():
            raise InputError(f"no weights of {name} are shipped; train it and give the checkpoint's path")
        return path
    path = Path(name)
    if not path.is_file():
        raise UnknownNameError.of("network, and no checkpoint file,", name, ("default", *known))
    return path


def _routes(specs: Sequence[DepthSpec]) -> list[Route]:
    if len(specs) == 2:
        if specs[0].max_m == specs[1].max_m:
            raise InputError(f"both depth networks reach {specs[0].max_m:g} m; a router needs a near and a far one")
        return [Route.LOW, Route.HIGH] if specs[0].max_m < specs[1].max_m else [Route.HIGH, Route.LOW]
    # midway between the two default ranges, as depth is perceived: in ratios
    border_m = math.sqrt(LOW_RANGE_M[1] * HIGH_RANGE_M[1])
    return [Route.LOW if specs[0].max_m < border_m else Route.HIGH]


def _rule_beside(path: Path, checkpoint: Checkpoint | ForeignSource) -> SceneRule | None:
    """The vote that training chose on its validation data."""
    for name in (f"{path.stem}.rule.json", f"{checkpoint.network}.rule.json"):
        beside = path.with_name(name)
        if beside.is_file():
            return parse_scene_rule(beside.read_bytes(), where=str(beside))
    return None


def _baseline_beside(path: Path, network: str) -> NDArray[np.float32] | None:
    """The mean log-depth map that training writes beside its checkpoints."""
    for name in (f"{path.stem}.baseline.npy", f"{network}.baseline.npy"):
        beside = path.with_name(name)
        if beside.is_file():
            try:
                return np.asarray(np.load(beside, allow_pickle=False), np.float32)
            except ValueError as error:
                raise InputError(f"{beside} is not a baseline map: {error}; train again or remove it") from None
    return None
