"""Keeping freed memory: on a CPU a step allocates and frees the same large tensors again and again."""

from __future__ import annotations

import ctypes
import platform

# parameters of mallopt(3); glibc's malloc.h
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Have glibc reuse the pages of freed tensors instead of returning them to the system after every operator.

    Page faults otherwise cost a training step on a CPU 10 to 15 %. Answers whether the C library took it.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 256 << 20))
    return all(libc.mallopt(name, value) == 1 for name, value in settings)
