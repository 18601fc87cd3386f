"""Facts of this machine: NVIDIA driver, GPU, Jetson and JetPack, asked of the system without any package."""

from __future__ import annotations

import ctypes
import functools
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

# Members of CUdevice_attribute in cuda.h.
_INTEGRATED, _MAJOR, _MINOR = 18, 75, 76


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU: its name, compute capability ("8.7"), and whether it shares the processor's memory (Jetson)."""

    name: str
    capability: str
    integrated: bool = False
    memory_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Driver:
    """What the CUDA driver says: the CUDA version it supports ("12.6") and its GPUs; or why it says nothing."""

    cuda: str | None = None
    gpus: tuple[Gpu, ...] = ()
    why: str = ""


@functools.cache
def driver() -> Driver:
    """Ask the CUDA driver library; looked up once per process, before any context is made."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Driver(why="no NVIDIA driver (libcuda.so.1) is installed")
    return ask_driver(library)


def ask_driver(library: ctypes.CDLL) -> Driver:
    """What a driver library says of itself and its GPUs."""
    version = ctypes.c_int()
    library.cuDriverGetVersion(ctypes.byref(version))
    cuda = f"{version.value // 1000}.{version.value % 1000 // 10}"
    code = library.cuInit(0)
    if code != 0:
        return Driver(cuda=cuda, why=f"the NVIDIA driver finds no usable GPU (CUDA error {code})")
    count = ctypes.c_int()
    library.cuDeviceGetCount(ctypes.byref(count))
    gpus = tuple(_gpu(library, index) for index in range(count.value))
    return Driver(cuda=cuda, gpus=gpus, why="" if gpus else "the NVIDIA driver sees no GPU")


def _gpu(library: ctypes.CDLL, index: int) -> Gpu:
    device, value, memory = ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
    library.cuDeviceGet(ctypes.byref(device), index)
    name = ctypes.create_string_buffer(256)
    library.cuDeviceGetName(name, len(name), device)
    library.cuDeviceTotalMem_v2(ctypes.byref(memory), device)

    def attribute(number: int) -> int:
        library.cuDeviceGetAttribute(ctypes.byref(value), number, device)
        return value.value

    return Gpu(
        name=name.value.decode(errors="replace"),
        capability=f"{attribute(_MAJOR)}.{attribute(_MINOR)}",
        integrated=attribute(_INTEGRATED) == 1,
        memory_bytes=memory.value,
    )


@dataclass(frozen=True, kw_only=True)
class Jetson:
    """A Jetson: its model, L4T release ("36.4.3") and JetPack version ("6.2"), None where unknown."""

    model: str
    l4t: str | None = None
    jetpack: str | None = None


def jetson(root: Path = Path("/")) -> Jetson | None:
    """What Jetson this is; None on any other machine."""
    model = root / "proc/device-tree/model"
    release = root / "etc/nv_tegra_release"
    if not release.is_file():
        return None
    text = release.read_text(errors="replace")
    match = re.search(r"R(\d+).*?REVISION:\s*([\d.]+)", text)
    l4t = None if match is None else f"{match[1]}.{match[2]}"
    name = model.read_bytes().decode(errors="replace").rstrip("\0\n ") if model.is_file() else "Jetson"
    return Jetson(model=name, l4t=l4t, jetpack=_package_version("nvidia-jetpack"))


def _package_version(package: str) -> str | None:
    """The version of an installed Debian package; None where it is not, or there is no dpkg."""
    if shutil.which("dpkg-query") is None:
        return None
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or None


def driver_version() -> str | None:
    """The version of the NVIDIA kernel driver ("570.86.15"), None where there is none."""
    path = Path("/proc/driver/nvidia/version")
    match = re.search(r"Kernel Module[^\d]*(\d+\.[\d.]+)", path.read_text()) if path.is_file() else None
    return None if match is None else match[1]
