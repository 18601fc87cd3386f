"""The environment with TensorRT-RTX 1.4, whose API is that of TensorRT 10.16."""

from __future__ import annotations

import os

import pytest

VARIABLE = "EDGEDEPTH_RTX14"


def older_python() -> str:
    """Its Python; the test is skipped where none is named."""
    if VARIABLE not in os.environ:
        pytest.skip(f"{VARIABLE} names no Python with TensorRT-RTX 1.4; make test has one")
    return os.environ[VARIABLE]
