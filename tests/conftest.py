"""Fixtures that several test files share."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).parent.parent
# Several workers share the cores: a pool of threads in each would wait for the others'. Read when torch is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def module_from(path: Path) -> ModuleType:
    """A program that is no part of the package, as a module."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def pytest_configure() -> None:
    """Take Ctrl-C as a terminal gives it: a shell's background jobs, and what they start, ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """The same random weights in a test whichever tests the process ran before it."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real samples, where there is one: EDGEDEPTH_SAMPLES, or shared/data beside the clone."""
    folder = Path(os.environ.get("EDGEDEPTH_SAMPLES", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "pairs.json").is_file():
        pytest.skip("no real samples here; set EDGEDEPTH_SAMPLES to a folder of them")
    return folder
