"""Ctrl-C tests run in a process of their own: libraries that ran before in the process may crash on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def passes_alone(file: str, test: str) -> bool:
    """Run a test in a process of its own and assert that it passes; False in that process, where it shall go on."""
    if "EDGEDEPTH_ALONE" in os.environ:
        return False
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"{file}::{test}"],
        cwd=Path(__file__).parent.parent,
        env=os.environ | {"EDGEDEPTH_ALONE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return True
