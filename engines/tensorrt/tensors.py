"""The inputs and outputs of an engine: their types, their limits by profile, and the memory behind them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedepth.engines.session import TensorInfo
from edgedepth.engines.tensorrt.device import Buffer, Device
from edgedepth.engines.tensorrt.flavour import Flavour
from edgedepth.engines.tensorrt.profiles import InputRange, Shape


@dataclass(frozen=True, kw_only=True)
class EngineTensor:
    """One input or output; `shape` has -1 where it is dynamic."""

    name: str
    is_input: bool
    shape: Shape
    dtype: np.dtype[Any]

    @property
    def info(self) -> TensorInfo:
        """As sessions describe it."""
        return TensorInfo(
            name=self.name, shape=tuple(None if size < 0 else size for size in self.shape), dtype=self.dtype
        )

    def nbytes(self, shape: Shape) -> int:
        """Bytes it takes at a shape."""
        return math.prod(shape) * self.dtype.itemsize


def tensors_of(flavour: Flavour, engine: Any) -> tuple[EngineTensor, ...]:
    """Every input and output of an engine, in its order."""
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    return tuple(
        EngineTensor(
            name=name,
            is_input=engine.get_tensor_mode(name).name == "INPUT",
            shape=tuple(engine.get_tensor_shape(name)),
            dtype=flavour.numpy_dtype(engine.get_tensor_dtype(name)),
        )
        for name in names
    )


def ranges_of(engine: Any, tensors: tuple[EngineTensor, ...]) -> tuple[dict[str, InputRange], ...]:
    """The range of each dynamic input in each profile."""
    dynamic = [tensor.name for tensor in tensors if tensor.is_input and -1 in tensor.shape]
    profiles = []
    for index in range(engine.num_optimization_profiles):
        shapes = {name: engine.get_tensor_profile_shape(name, index) for name in dynamic}
        profiles.append(
            {
                name: InputRange(input=name, min=tuple(low), opt=tuple(usual), max=tuple(high))
                for name, (low, usual, high) in shapes.items()
            }
        )
    return tuple(profiles)


class Memory:
    """Host and device memory of an engine's tensors; a buffer grows when a shape needs more and never shrinks."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._buffers: dict[str, Buffer] = {}

    def reserve(self, tensor: EngineTensor, shape: Shape) -> int:
        """Make room for a tensor at a shape; the address that the device uses."""
        needed = max(tensor.nbytes(shape), 1)
        known = self._buffers.get(tensor.name)
        if known is None or known.host.nbytes < needed:
            if known is not None:
                del self._buffers[tensor.name]
                self._device.free(known)
            self._buffers[tensor.name] = self._device.allocate(needed)
        return self._buffers[tensor.name].pointer

    def view(self, tensor: EngineTensor, shape: Shape) -> NDArray[Any]:
        """The host side of a tensor as an array of a shape."""
        flat = self._buffers[tensor.name].host[: tensor.nbytes(shape)]
        return flat.view(tensor.dtype).reshape(shape)

    def upload(self, tensor: EngineTensor, shape: Shape) -> None:
        """Queue the copy to the device."""
        self._device.upload(self._buffers[tensor.name], tensor.nbytes(shape))

    def download(self, tensor: EngineTensor, shape: Shape) -> None:
        """Queue the copy to the host."""
        self._device.download(self._buffers[tensor.name], tensor.nbytes(shape))

    @property
    def nbytes(self) -> dict[str, int]:
        """Bytes held: page-locked on the host, and on the device beside that (none where they share memory)."""
        host = sum(buffer.host.nbytes for buffer in self._buffers.values())
        beside = sum(buffer.host.nbytes for buffer in self._buffers.values() if not buffer.shared)
        return {"host": host, "device": beside}

    def release(self) -> None:
        """Free everything."""
        while self._buffers:
            self._device.free(self._buffers.popitem()[1])
