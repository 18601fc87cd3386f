"""What an export starts from: a network that can be traced, and asked for the answers its graphs must give.

A checkpoint is one, in torch. Networks from elsewhere are a module of the user's, or an ONNX file.
"""

from __future__ import annotations

import copy
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from edgedepth.core.errors import EdgeDepthError, InputError
from edgedepth.core.foreign import ForeignSpec
from edgedepth.core.preprocess import BgrFrame, network_input
from edgedepth.core.spec import ClassifierSpec, DepthSpec
from edgedepth.export.adapter import Adapted
from edgedepth.export.torch_onnx import offers_confidence, to_onnx
from edgedepth.trainers.checkpoint import Checkpoint


class Original(Protocol):
    """A network, ready to be exported."""

    @property
    def kind(self) -> str:
        """What runs it, as messages call it."""

    @property
    def confidence(self) -> bool:
        """Whether it answers one."""

    @property
    def weights(self) -> Mapping[str, NDArray[Any]]:
        """Its tensors by name, as far as they are known."""

    def trace(self, input_wh: tuple[int, int], *, output: str, dynamic: bool) -> onnx.ModelProto:
        """The inference path as ONNX, from `frame` (uint8 NHWC BGR) to `output`."""

    def answer(self, frame_bgr: BgrFrame) -> NDArray[np.float32]:
        """Its answer to one (H, W, 3) uint8 frame of network size: (1, 1, H, W) metres or (1, C) probabilities."""

    def exact(self, frame_bgr: BgrFrame) -> NDArray[np.float64] | None:
        """The same computed in float64, or None where that cannot be done."""


class Exportable(Protocol):
    """What a bundle's network can be made of, before it is opened."""

    @property
    def network(self) -> str:
        """Its name in the bundle."""

    @property
    def spec(self) -> DepthSpec | ClassifierSpec:
        """Its contract."""

    @property
    def provenance(self) -> Mapping[str, str]:
        """How it came to be."""

    def open(self) -> Original:
        """Load it."""


@dataclass(frozen=True)
class TorchOriginal:
    """A torch network in evaluation mode: (N, 3, H, W) RGB in 0..1 to metres or probabilities."""

    network: nn.Module
    kind: str = "torch"

    @property
    def confidence(self) -> bool:
        """Whether its forward offers one."""
        return offers_confidence(self.network)

    @property
    def weights(self) -> Mapping[str, NDArray[Any]]:
        """Its parameters and buffers."""
        return {name: value.detach().cpu().numpy() for name, value in self.network.state_dict().items()}

    def trace(self, input_wh: tuple[int, int], *, output: str, dynamic: bool) -> onnx.ModelProto:
        """See `edgedepth.export.torch_onnx.to_onnx`."""
        return to_onnx(self.network, input_wh, output=output, confidence=self.confidence, dynamic=dynamic)

    def answer(self, frame_bgr: BgrFrame) -> NDArray[np.float32]:
        """What the network answers in evaluation mode."""
        return reference(self.network, frame_bgr)

    def exact(self, frame_bgr: BgrFrame) -> NDArray[np.float64] | None:
        """What it would answer without rounding; None where it computes in float32 whatever it is given."""
        try:
            return exact_reference(self.network, frame_bgr)
        except RuntimeError:
            return None


@dataclass(frozen=True)
class CheckpointSource:
    """A checkpoint of one of our networks."""

    checkpoint: Checkpoint

    @property
    def network(self) -> str:
        """The network's name."""
        return self.checkpoint.network

    @property
    def spec(self) -> DepthSpec | ClassifierSpec:
        """The contract in its header."""
        return self.checkpoint.spec

    @property
    def provenance(self) -> Mapping[str, str]:
        """As its header has it."""
        return self.checkpoint.provenance

    def open(self) -> TorchOriginal:
        """The network with its weights."""
        return TorchOriginal(self.checkpoint.build())


@dataclass(frozen=True)
class ForeignSource:
    """A network from elsewhere, by its TOML file."""

    foreign: ForeignSpec
    spec: DepthSpec = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", self.foreign.depth_spec())

    @property
    def network(self) -> str:
        """Its name in the TOML file."""
        return self.foreign.name

    @property
    def provenance(self) -> Mapping[str, str]:
        """What the TOML file tells, and where the network is from."""
        target = self.foreign.module or Path(str(self.foreign.onnx)).name
        return {**self.foreign.provenance, "source": target}

    def open(self) -> Original:
        """The network behind our contract.

        Raises:
            InputError: it cannot be loaded, or does not fit its TOML file.
        """
        if self.foreign.onnx is not None:
            from edgedepth.export.foreign_onnx import OnnxOriginal

            return OnnxOriginal(Path(self.foreign.onnx), self.foreign)
        if self.foreign.module is None:
            raise InputError(f"{self.foreign.name} needs `module` or `onnx` in its TOML file, or --module")
        return TorchOriginal(Adapted(module_from(self.foreign.module), self.foreign))


def reference(network: nn.Module, frame_bgr: BgrFrame) -> NDArray[np.float32]:
    """What the torch network answers in evaluation mode to one (H, W, 3) uint8 BGR frame of network size."""
    was_training = network.training
    network.eval()
    with torch.no_grad():
        answer = network(torch.from_numpy(network_input("image", frame_bgr)))
    network.train(was_training)
    result: NDArray[np.float32] = answer.numpy()
    return result


def exact_reference(network: nn.Module, frame_bgr: BgrFrame) -> NDArray[np.float64]:
    """What the torch network answers in evaluation mode when it computes in float64; see `reference`."""
    wide = copy.deepcopy(network).double().eval()
    rgb = np.ascontiguousarray(frame_bgr[..., ::-1].transpose(2, 0, 1)[None])
    with torch.no_grad():
        answer = wide(torch.from_numpy(rgb).to(torch.float64) / 255.0)
    result: NDArray[np.float64] = answer.numpy()
    return result


def module_from(target: str) -> nn.Module:
    """Call "package.file:factory" or "path/file.py:factory" for a network; modules of the working folder are found.

    Raises:
        InputError: the text is not of this form, or it does not give a torch.nn.Module.
    """
    where, colon, factory = target.rpartition(":")
    if not colon or not where or not factory:
        raise InputError(f"a network is named package.file:factory or path/file.py:factory, but got {target!r}")
    folder = Path(where).parent.resolve() if where.endswith(".py") else Path.cwd()
    try:
        with _importable(folder):
            network = getattr(_imported(where), factory)()
    except EdgeDepthError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise InputError(f"{target} gives no network ({reason}); it is called without arguments") from error
    if not isinstance(network, nn.Module):
        raise InputError(f"{target} must give a torch.nn.Module, but gave {type(network).__name__}")
    return network.eval()


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """In the block the modules of a folder can be imported; after it those that were are forgotten.

    Two networks may lie in two folders that have modules of the same names.
    """
    known = set(sys.modules)
    libraries = [Path(entry).resolve() for entry in sys.path if entry and Path(entry).resolve() != folder]
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - known:
            path = Path(getattr(sys.modules[name], "__file__", None) or "/")
            if path.is_relative_to(folder) and not any(path.is_relative_to(library) for library in libraries):
                del sys.modules[name]


def _imported(where: str) -> ModuleType:
    if not where.endswith(".py"):
        return importlib.import_module(where)
    path = Path(where)
    if not path.is_file():
        raise InputError(f"no file at {path}; give the path of a Python file, as path/file.py:factory")
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
