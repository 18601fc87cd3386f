"""A finished bundle takes the place of the one in a folder, so that at every moment a whole bundle lies there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgedepth.core.bundle import MANIFEST_NAME
from edgedepth.core.errors import OutputError
from edgedepth.core.files import SCRATCH_PREFIX, atomic_path, output_error
from edgedepth.core.manifest import Manifest, parse_manifest


def files_to_replace(folder: Path) -> list[Path]:
    """What the manifest of a bundle's folder lists; nothing where the folder is empty or missing.

    Raises:
        OutputError: the folder holds something that is not a bundle.
        BundleError: its manifest cannot be read.
    """
    if not folder.exists():
        return []
    if not folder.is_dir():
        raise OutputError(f"{folder} is a file; choose a folder with -o/--output")
    if all(path.name.startswith(SCRATCH_PREFIX) for path in folder.iterdir()):  # of an export that was killed
        return []
    manifest = folder / MANIFEST_NAME
    if not manifest.is_file():
        raise OutputError(f"{folder} is not empty and is not a bundle; choose another folder with -o/--output")
    return [folder / entry.file for entry in parse_manifest(manifest.read_text(), where=str(manifest)).files()]


def bring_along(manifest: Manifest, folder: Path, made: Path) -> Manifest:
    """Put into `made` what a manifest lists and only the bundle in `folder` has; answers the manifest of `made`.

    Names differ where that bundle is one whose installation was killed: its files get their own.

    Raises:
        OutputError: `made` cannot be written.
    """
    try:
        for name in {entry.file for entry in manifest.files()}:
            target = made / _own_name(name)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                _link((folder / name).resolve(), target)
    except OSError as error:
        raise output_error(folder, error) from error
    return Manifest.model_validate(_renamed(_own_name, manifest.model_dump(mode="json")))


def install(made: Path, folder: Path, earlier: Sequence[Path]) -> None:
    """Put the bundle in `made`, a scratch folder in `folder`, in the place of the files `earlier`.

    The manifest changes twice: from the old bundle's to one that names the new files where they were made, and, once
    they have their own names too, to the new bundle's own. What is killed in between is a bundle all the same.

    Raises:
        OutputError: the folder cannot be written.
    """
    aside = made.with_name(f"{made.name}-done")
    manifest = json.loads((made / MANIFEST_NAME).read_bytes())
    with atomic_path(folder / MANIFEST_NAME) as temporary:
        temporary.write_text(json.dumps(_renamed(lambda name: f"{aside.name}/{name}", manifest)))
        made.rename(aside)  # who made it clears up `made`, also after a failure in what follows
    try:
        for old in earlier:
            old.unlink(missing_ok=True)
        for path in sorted(path for path in aside.rglob("*") if path.is_file() and path != aside / MANIFEST_NAME):
            target = folder / path.relative_to(aside)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            _link(path, target)
        (aside / MANIFEST_NAME).replace(folder / MANIFEST_NAME)
    except OSError as error:
        raise output_error(folder, error) from error
    killed = {folder / old.relative_to(folder).parts[0] for old in earlier if old.parent != folder}
    for scratch in (aside, *(path for path in killed if path.name.startswith(SCRATCH_PREFIX))):
        shutil.rmtree(scratch, ignore_errors=True)


def _renamed(rename: Callable[[str], str], part: Any) -> Any:
    """A part of a manifest whose files have other names."""
    if isinstance(part, list):
        return [_renamed(rename, each) for each in part]
    if not isinstance(part, dict):
        return part
    renamed = {key: _renamed(rename, value) for key, value in part.items()}
    return {**renamed, "file": rename(part["file"])} if "sha256" in part else renamed


def _own_name(name: str) -> str:
    """The name of a bundle's file without the scratch folder that it was made in."""
    first, _, rest = name.partition("/")
    return rest if first.startswith(SCRATCH_PREFIX) else name


def _link(path: Path, target: Path) -> None:
    """Give a file a second name; a copy where the file system knows no links."""
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)
