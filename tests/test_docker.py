"""The Dockerfiles: what they copy is what installing reads, and what they rely on is in the project."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

DOCKERFILES = sorted((REPOSITORY / "docker").glob("Dockerfile.*"))
each = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.suffix[1:])


def instructions(path: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, continued lines joined: ("COPY", "a b ./")."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def copied(path: Path) -> set[str]:
    return {source for name, rest in instructions(path) if name == "COPY" for source in rest.split()[:-1]}


def project(pattern: str) -> set[str]:
    """The quoted words after a key of pyproject.toml; Python 3.10 cannot read TOML by itself."""
    found = re.search(pattern, (REPOSITORY / "pyproject.toml").read_text(), flags=re.MULTILINE | re.DOTALL)
    assert found is not None
    return set(re.findall(r'= "([^"]+)"', found[0]) or re.findall(r'"([^"]+)"', found[0]))


def test_both_are_here() -> None:
    assert [path.suffix for path in DOCKERFILES] == [".desktop", ".l4t"]


@each
def test_copies_all_that_installing_reads(path: Path) -> None:
    folders = project(r"^\[tool\.setuptools\.package-dir\].*?\n\n")
    licences = project(r"^license-files = .*?$")
    assert folders == {"toolkit", "calibration", "engines", "export", "trainers"}
    assert copied(path) >= {"pyproject.toml", "README.md", "MANIFEST.in"} | licences | folders
    assert all((REPOSITORY / source).exists() for source in copied(path))


@each
def test_what_is_copied_is_sent_to_the_builder_and_nothing_else(path: Path) -> None:
    lines = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == copied(path)


@each
def test_extras_exist_and_a_plain_user_runs_it(path: Path) -> None:
    named = re.findall(r"EXTRAS=([\w,]+)|\.\[(\w+)\]", path.read_text())
    extras = {part for pair in named for entry in pair for part in entry.split(",") if part}
    known = re.findall(r"^(\w+) = \[", (REPOSITORY / "pyproject.toml").read_text(), flags=re.MULTILINE)
    assert extras
    assert extras <= set(known)
    names = [name for name, _ in instructions(path)]
    assert [rest for name, rest in instructions(path) if name == "USER"] == ["10001"]
    assert names.index("USER") < names.index("ENTRYPOINT")


def test_jetson_keeps_jetpacks_tensorrt() -> None:
    found = instructions(REPOSITORY / "docker" / "Dockerfile.l4t")
    installs = [rest for name, rest in found if name == "RUN" and "pip install" in rest]
    assert installs
    assert not [line for line in installs if re.search(r"\[[^]]*tensorrt|pip install[^&]* tensorrt", line)]
    text = " ".join(rest for _, rest in found)
    assert "venv --system-site-packages" in text
    assert "python3-libnvinfer" in text
