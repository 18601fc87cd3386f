"""Checkpoints: safetensors files whose header says which network the weights are of and how they were made.

A checkpoint is data: nothing in it is executed on loading, unlike a pickle. The header's metadata key
"edgedepth" holds one JSON object: schema, network, options, spec, provenance.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from edgedepth.core.errors import CheckpointError, EdgeDepthError, InputError
from edgedepth.core.files import write_atomic
from edgedepth.core.spec import ClassifierSpec, DepthSpec
from edgedepth.trainers.models.messages import one_line
from edgedepth.trainers.models.registry import CLASSIFIERS, DEPTH_NETWORKS, create_network, resolve_options

SCHEMA = 1
_KEY = "edgedepth"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A loaded checkpoint.

    network, options: the name in `edgedepth.trainers.models.registry` and the options it was created with.
    spec: the network's contract.
    provenance: how the weights were made, as strings.
    state: float32 (and integer) tensors by name.
    """

    network: str
    options: dict[str, Any]
    spec: DepthSpec | ClassifierSpec
    provenance: dict[str, str]
    state: dict[str, Tensor]

    def build(self) -> nn.Module:
        """The network with these weights, in eval mode.

        Raises:
            CheckpointError: the weights do not fit the network the header names, or the header contradicts itself.
        """
        try:
            self.check_options()
            module = create_network(self.network, **self.options)
        except EdgeDepthError as error:
            raise CheckpointError(f"the checkpoint cannot be built: {error}") from None
        load_state(module, self.state, self.network)
        return module.eval()

    def check_options(self) -> None:
        """The options shape the network, the spec tells others about it: both must say the same.

        Raises:
            CheckpointError: they do not.
            UnknownNameError, InputError: the options are not this network's.
        """
        options = resolve_options(self.network, self.options)
        if isinstance(self.spec, ClassifierSpec):
            pairs = {"num_classes": len(self.spec.categories)}
        else:
            names = ("num_bins", "min_m", "max_m", "spacing")
            pairs = {name: getattr(self.spec, name) for name in names if name != "spacing" or hasattr(options, name)}
        for name, value in pairs.items():
            if getattr(options, name) != value:
                raise CheckpointError(
                    f"options and spec disagree: {name} {getattr(options, name)} in the one, {value} in the other"
                )


def load_state(module: nn.Module, state: Mapping[str, Tensor], network: str, *, rebuilt: bool = False) -> None:
    """Copy `state` into `module`, which must have exactly these tensors.

    With `rebuilt` either side may have layers that the other has not: those of `module` keep their weights, those of
    `state` are left out.

    Raises:
        CheckpointError: a tensor is missing, unknown, of another shape or not finite; the message names it.
    """
    own = module.state_dict()
    for problem, names in (("lacks", own.keys() - state.keys()), ("has an unknown", state.keys() - own.keys())):
        if names and not rebuilt:
            raise CheckpointError(
                f"the checkpoint {problem} tensor {min(names)!r} ({len(names)} in all), so it is not of this "
                f"{network}; check the network's name and options"
            )
    for name in (name for name in own if name in state):
        if own[name].shape != state[name].shape:
            raise CheckpointError(
                f"tensor {name!r} of {network} must be {list(own[name].shape)}, but the checkpoint has "
                f"{list(state[name].shape)}; check the network's options"
            )
        if not bool(torch.isfinite(state[name]).all()):
            raise CheckpointError(f"tensor {name!r} of {network} is not finite; train or download it again")
    module.load_state_dict(dict(state), strict=not rebuilt)


def shipped_checkpoint(network: str) -> Path:
    """The path where the shipped checkpoint of a network lies, or would."""
    return Path(str(files("edgedepth.assets"))) / "checkpoints" / f"{network}.safetensors"


def save_checkpoint(
    path: str | Path,
    module: nn.Module,
    *,
    network: str,
    options: Mapping[str, Any],
    spec: DepthSpec | ClassifierSpec,
    provenance: Mapping[str, str],
    dtype: Literal["float32", "float16"] = "float32",
) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        path: the file to write, ending in .safetensors.
        module: the network; its parameters and buffers are written as `dtype`, integers as they are.
        network: its name in the registry.
        options: the options it was created with (only those that differ from the defaults need be given).
        spec: its contract.
        provenance: how the weights were made: data, commit, date, machine time.
        dtype: "float16" halves the file; it still loads to float32.

    Raises:
        CheckpointError: a weight is not finite, or too large for float16.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise InputError(f"a checkpoint's name must end in .safetensors, but got {path.name!r}")
    state = {}
    for name, tensor in module.state_dict().items():
        stored = tensor.detach().cpu().contiguous()
        if stored.is_floating_point():
            stored = stored.to(getattr(torch, dtype))
            if not bool(torch.isfinite(stored).all()):
                raise CheckpointError(f"tensor {name!r} is not finite as {dtype}; nothing was written")
        state[name] = stored
    header = {
        "schema": SCHEMA,
        "network": network,
        "options": dict(options),
        "spec": spec.model_dump(mode="json"),
        "provenance": dict(provenance),
    }
    write_atomic(path, save(state, metadata={_KEY: json.dumps(header)}))


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        InputError: there is no such file.
        CheckpointError: the file is no checkpoint of ours, truncated, malformed, or of a newer version.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no checkpoint at {path}; give the path of a .safetensors file")
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(_KEY)
            if header is None:
                raise CheckpointError(f"{path} has no edgedepth header, so it is not a checkpoint of this toolkit")
            state = {name: _full(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a whole safetensors file ({one_line(error)}); copy or download it again"
        ) from None
    return _from_header(path, header, state)


def _from_header(path: Path, text: str, state: dict[str, Tensor]) -> Checkpoint:
    try:
        header = json.loads(text)
        schema, network = header["schema"], str(header["network"])
        options, provenance, spec = dict(header["options"]), dict(header["provenance"]), header["spec"]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} has a malformed header ({one_line(error)})") from None
    if schema != SCHEMA:
        raise CheckpointError(f"{path} has schema {schema!r}, but this version reads {SCHEMA}; update edgedepth")
    if network not in (*DEPTH_NETWORKS, *CLASSIFIERS):
        known = ", ".join((*DEPTH_NETWORKS, *CLASSIFIERS))
        raise CheckpointError(f"{path} is of network {network!r}, which this version does not know; known: {known}")
    try:
        kind = DepthSpec if network in DEPTH_NETWORKS else ClassifierSpec
        contract: DepthSpec | ClassifierSpec = kind.model_validate(spec)
    except ValueError as error:
        raise CheckpointError(f"{path} has a malformed spec: {one_line(error)}") from None
    return Checkpoint(network=network, options=options, spec=contract, provenance=provenance, state=state)


def _full(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
