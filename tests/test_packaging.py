"""The wheel, in an environment of its own: a base install runs the default bundle without torch and onnx."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

CLIP = REPOSITORY / "examples" / "walk.mp4"
pytestmark = pytest.mark.xdist_group("packaging")  # one worker builds the wheel, once
LIMIT_BYTES = 25 << 20  # of shipped weights: checkpoints and ONNX together


def _run(*command: str | Path, cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # a copy, because setuptools writes into the folder it builds: another build there would take files away
    source = tmp_path_factory.mktemp("source") / "edgedepth"
    shutil.copytree(
        REPOSITORY, source, ignore=shutil.ignore_patterns(".*", "__pycache__", "runs", "build", "*.egg-info")
    )
    out = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source, cwd=out)  # through the sdist
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh")
    _run(sys.executable, "-m", "venv", folder / "env", cwd=folder)
    python = folder / "env" / "bin" / "python"
    _run(python, "-m", "pip", "install", "--disable-pip-version-check", "-q", wheel, cwd=folder)
    return python


def test_wheel_holds_every_module_and_asset(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    top = ("calibration", "engines", "export", "trainers")
    for folder, package in (("toolkit", ""), *((name, f"{name}/") for name in top)):
        for path in (REPOSITORY / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert f"edgedepth/{package}{path.relative_to(REPOSITORY / folder)}" in names
    assert not [name for name in names if name.startswith(("tests/", "examples/", "docs/"))]
    assert "edgedepth/py.typed" in names


def test_shipped_weights_are_small(wheel: Path) -> None:
    entries = zipfile.ZipFile(wheel).infolist()
    assert sum(entry.file_size for entry in entries if "/assets/" in entry.filename) <= LIMIT_BYTES


def test_base_install_runs_the_default_bundle(python: Path, tmp_path: Path) -> None:
    installed = _run(python, "-m", "pip", "list", "--format", "freeze", "--disable-pip-version-check", cwd=tmp_path)
    names = {line.partition("==")[0].lower() for line in installed.splitlines()}
    assert not names & {"torch", "onnx", "onnxsim", "onnxscript", "warp-lang", "matplotlib", "safetensors"}
    output = _run(
        python, "-m", "edgedepth", "run", CLIP, "--max-frames", "5", "-o", tmp_path / "out", "--json", cwd=tmp_path
    )
    report = json.loads(output)
    assert report["frames"] == {"read": 5, "written": 5, "dropped": 0}
    assert report["bundle"]["name"] == "default"
    assert all(Path(path).is_file() for path in report["outputs"])


def test_commands_that_need_more_say_so(python: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(python), "-m", "edgedepth", "export", "-o", str(tmp_path / "b")],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "pip install 'edgedepth[export]'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
