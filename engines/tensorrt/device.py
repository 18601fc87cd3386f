"""The thin layer between us and CUDA: memory, copies and one stream, through pycuda.

Everything that touches the device goes through a `Device`, so that a fake stands in for it where there is no GPU. The
device's primary context is retained, not a new one made: that is the context PyTorch, OpenCV and the CUDA runtime use,
so that all live together in a process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import BackendError, require
from edgedepth.engines.session import one_line

# CU_STREAM_NON_BLOCKING: while a graph is recorded on a stream without it, the legacy default stream, which PyTorch and
# OpenCV use in other threads, is in an unusable state, and every inference would wait for what they queue there.
_NON_BLOCKING = 1


@dataclass(kw_only=True)
class Buffer:
    """Memory of one tensor: `host` is a page-locked array, `pointer` the address the device reads and writes.

    shared: both are the same memory (integrated GPU), and nothing is copied.
    """

    host: NDArray[np.uint8]
    pointer: int
    shared: bool
    keep: Any  # what owns the memory


class Device(Protocol):
    """A GPU, its primary context and one stream."""

    name: str
    capability: str
    integrated: bool
    stream: int

    def current(self) -> AbstractContextManager[None]:
        """The device's context is the thread's current one, and the former one again afterwards.

        Raises:
            BackendError: for whatever the driver refuses within.
        """

    def allocate(self, nbytes: int) -> Buffer:
        """A buffer of that many bytes."""

    def upload(self, buffer: Buffer, nbytes: int) -> None:
        """Queue the copy of the first bytes from host to device; nothing where they share memory."""

    def download(self, buffer: Buffer, nbytes: int) -> None:
        """Queue the copy of the first bytes from device to host; nothing where they share memory."""

    def free(self, buffer: Buffer) -> None:
        """Give the memory back."""

    def synchronise(self) -> None:
        """Wait until everything queued on the stream is done."""

    def close(self) -> None:
        """Give the stream and the context back."""


class PycudaDevice:
    """A `Device` through pycuda.

    Raises:
        MissingPackageError: pycuda is not installed.
        BackendError: the driver refuses.
    """

    def __init__(self, index: int = 0) -> None:
        self._cuda: Any = require("pycuda.driver", extra="cuda")
        try:
            self._cuda.init()
            device = self._cuda.Device(index)
            self.name = str(device.name())
            self.capability = "{}.{}".format(*device.compute_capability())
            self.integrated = bool(device.get_attribute(self._cuda.device_attribute.INTEGRATED))
            self._context = device.retain_primary_context()
        except self._cuda.Error as error:
            raise BackendError(f"CUDA does not start: {one_line(error)}; check the driver with: nvidia-smi") from error
        try:
            with self.current():
                self._stream = self._cuda.Stream(_NON_BLOCKING)
                self.stream = int(self._stream.handle)
        except BaseException:
            self._let_go()
            raise

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the primary context current, and the former one again; the driver's errors become ours."""
        with self._translated():
            self._context.push()
            try:
                yield
            finally:
                self._context.pop()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """The driver's errors become ours, here and within `current` already: a recording wants to know of them."""
        try:
            yield
        except self._cuda.MemoryError as error:
            raise BackendError(
                f"no memory left on {self.name}: {one_line(error)}; close other programs, or use smaller engines"
            ) from error
        except self._cuda.Error as error:
            raise BackendError(f"{self.name} failed: {one_line(error)}; start the program anew") from error

    def allocate(self, nbytes: int) -> Buffer:
        """Page-locked host memory, mapped into the device where the two share memory, else beside device memory."""
        flags = self._cuda.host_alloc_flags.DEVICEMAP if self.integrated else 0
        host = self._cuda.pagelocked_empty(nbytes, np.uint8, mem_flags=flags)
        if self.integrated:
            return Buffer(host=host, pointer=int(host.base.get_device_pointer()), shared=True, keep=host)
        memory = self._cuda.mem_alloc(nbytes)
        return Buffer(host=host, pointer=int(memory), shared=False, keep=memory)

    def upload(self, buffer: Buffer, nbytes: int) -> None:
        """Copy to the device on the stream."""
        if not buffer.shared:
            with self._translated():
                self._cuda.memcpy_htod_async(buffer.pointer, buffer.host[:nbytes], self._stream)

    def download(self, buffer: Buffer, nbytes: int) -> None:
        """Copy to the host on the stream."""
        if not buffer.shared:
            with self._translated():
                self._cuda.memcpy_dtoh_async(buffer.host[:nbytes], buffer.pointer, self._stream)

    def free(self, buffer: Buffer) -> None:
        """Free device memory now; page-locked memory goes with the last array that shows it."""
        if not buffer.shared:
            buffer.keep.free()

    def synchronise(self) -> None:
        """Wait for the stream."""
        self._stream.synchronize()

    def close(self) -> None:
        """Drop the stream and the hold on the primary context; other libraries' holds remain."""
        try:
            with self.current():
                self._stream = None
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """Release the primary context, from whatever thread, and leave the program's own contexts as they are.

        pycuda releases a primary context only where it is current or in the thread that retained it, and leaves it
        current there, above what the program had: so it is done in a thread that ends with it.
        """

        def detach() -> None:
            with suppress(self._cuda.Error):  # a device that is lost has nothing to give back
                self._context.push()
                self._context.detach()

        thread = threading.Thread(target=detach, name="edgedepth-cuda-release")
        with suppress(RuntimeError):  # no thread starts while the interpreter ends, and all is released then
            thread.start()
            thread.join()


class SharedDevice:
    """The one device of this process, opened when it is first needed and closed with its last user.

    Sessions that share it run on one stream: the router and both depth networks never wait for one another. One thread
    at a time uses it (see `turn`): what a second one queued while a CUDA graph is recorded would become part of that.
    """

    def __init__(self, open_device: Callable[[], Device] = PycudaDevice) -> None:
        self._open = open_device
        self._device: Device | None = None
        self._users = 0
        self._turn = threading.RLock()

    @contextmanager
    def turn(self) -> Iterator[Device]:
        """The device, with its context current, for this thread alone.

        Raises:
            BackendError: for whatever the driver refuses within.
        """
        with self._turn:
            assert self._device is not None, "acquire comes first"
            with self._device.current():
                yield self._device

    def acquire(self) -> Device:
        """The device; every call is paired with one of `release`.

        Raises:
            MissingPackageError: pycuda is not installed.
            BackendError: the driver refuses.
        """
        with self._turn:
            if self._device is None:
                self._device = self._open()
            self._users += 1
            return self._device

    def release(self) -> None:
        """One user fewer."""
        with self._turn:
            self._users -= 1
            if self._users == 0 and self._device is not None:
                device, self._device = self._device, None
                device.close()


SHARED = SharedDevice()
