"""A bundle on disk: a folder, or a zip of one, that carries all that running needs."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import BundleError
from edgedepth.core.files import output_error, sha256_of, write_atomic
from edgedepth.core.manifest import BundleFile, DepthNetwork, Manifest, parse_manifest

MANIFEST_NAME = "bundle.json"
DEFAULT_BUNDLE = "default"
_ZIP_LIMIT_BYTES = 4 << 30  # refuses zip bombs; no bundle comes near it


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A validated bundle.

    `digest` is the sha256 of its manifest and, as that lists every file by sha256, of the whole. `unpacked` keeps the
    temporary folder of a zip as long as there is a bundle that lies in it.
    """

    folder: Path
    manifest: Manifest
    digest: str
    unpacked: object = field(default=None, repr=False, compare=False)

    @classmethod
    def load(cls, place: str | Path = DEFAULT_BUNDLE) -> Bundle:
        """Open a bundle folder or zip, or the shipped one by the name `default`, and check every file's sha256.

        Raises:
            BundleError: missing, malformed, newer, or a file is missing or altered.
        """
        path = default_bundle_folder() if str(place) == DEFAULT_BUNDLE else Path(place)
        if path.is_file() and path.suffix == ".zip":
            return cls._load_zip(path)
        if path.is_file():
            raise BundleError(f"{place} is a file; a bundle is a folder with {MANIFEST_NAME} in it, or a .zip of one")
        return cls._load_folder(path, str(place))

    @classmethod
    def _load_zip(cls, archive: Path) -> Bundle:
        unpacked = _Unpacked(archive)
        return replace(cls._load_folder(unpacked.folder, str(archive)), unpacked=unpacked)

    @classmethod
    def _load_folder(cls, path: Path, place: str) -> Bundle:
        manifest_path = path / MANIFEST_NAME
        if not manifest_path.is_file():
            raise BundleError(
                f"no bundle at {place}: {MANIFEST_NAME} not found; make one with: edgedepth export -o DIR"
            )
        text = manifest_path.read_bytes()
        manifest = parse_manifest(text.decode(errors="replace"), where=str(manifest_path))
        bundle = cls(folder=path, manifest=manifest, digest=hashlib.sha256(text).hexdigest())
        for entry in manifest.files():
            bundle.path(entry)
        return bundle

    def path(self, entry: BundleFile) -> Path:
        """The checked path of a file of the bundle.

        Raises:
            BundleError: the file is missing, leaves the folder through a link, or is not the one listed.
        """
        path = self.folder / entry.file
        if not path.is_file():
            raise BundleError(f"bundle {self.manifest.name} lacks {entry.file}; export or copy it again")
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise BundleError(f"bundle {self.manifest.name}: {entry.file} leaves the bundle's folder; export it again")
        if path.stat().st_size != entry.bytes or sha256_of(path) != entry.sha256:
            raise BundleError(
                f"bundle {self.manifest.name}: {entry.file} was altered (sha256 differs); export or copy it again"
            )
        return path

    def baseline(self, network: DepthNetwork) -> NDArray[np.float32] | None:
        """The mean log-depth map stored for a network: (H, W) float32, or None."""
        if network.baseline is None:
            return None
        return np.asarray(np.load(self.path(network.baseline), allow_pickle=False), np.float32)


class _Unpacked:
    """The temporary folder that a zip was unpacked to; it goes with the last reference to this object."""

    def __init__(self, archive: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="edgedepth-bundle-"))
        weakref.finalize(self, _remove_own, self.folder, os.getpid())
        _unzip(archive, self.folder)


def _remove_own(folder: Path, maker: int) -> None:
    """Remove a folder unless this is a fork of the process that made it, which goes on with it."""
    if os.getpid() == maker:
        shutil.rmtree(folder, ignore_errors=True)


def default_bundle_folder() -> Path:
    """Where the shipped bundle lies."""
    return Path(__file__).parent.parent / "assets" / "bundle"


def file_entry(folder: Path, name: str) -> BundleFile:
    """Describe a file that lies in a bundle's folder."""
    path = folder / name
    return BundleFile(file=name, sha256=sha256_of(path), bytes=path.stat().st_size)


def write_manifest(folder: Path, manifest: Manifest) -> Bundle:
    """Write `bundle.json` last, so that a bundle folder without one is known to be unfinished, and load it.

    Raises:
        OutputError: the folder cannot be written.
        BundleError: a listed file is missing or differs.
    """
    write_atomic(folder / MANIFEST_NAME, manifest.model_dump_json(indent=1, exclude_defaults=False) + "\n")
    return Bundle.load(folder)


def editable(place: str | Path, output: str | Path | None) -> Bundle:
    """Open a bundle that will be changed: in place, or as a copy of what it lists in the folder `output`.

    Raises:
        BundleError: it is the shipped bundle or a zip and no output is given, or the output folder is not empty.
        OutputError: the copy cannot be written.
    """
    bundle = Bundle.load(place)
    if output is None:
        if bundle.folder == default_bundle_folder() or Path(place).is_file():
            raise BundleError(f"bundle {place} is not changed in place; name a folder for the result with -o/--output")
        return bundle
    target = Path(output)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BundleError(f"{target} is not an empty folder; choose another with -o/--output")
    try:
        for name in (*[entry.file for entry in bundle.manifest.files()], MANIFEST_NAME):  # a half copy has no manifest
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.folder / name, target / name)
    except OSError as error:
        raise output_error(target, error) from error
    return Bundle.load(target)


@contextlib.contextmanager
def edited(place: str | Path, output: str | Path | None) -> Iterator[Bundle]:
    """What `editable` opens; a copy that it made goes again where the block ends in an error."""
    bundle = editable(place, output)
    try:
        yield bundle
    except BaseException:
        if output is not None:
            shutil.rmtree(output, ignore_errors=True)
        raise


def _unzip(archive: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as content:
            members = [member for member in content.infolist() if not member.is_dir()]
            if sum(member.file_size for member in members) > _ZIP_LIMIT_BYTES:
                raise BundleError(f"{archive} unpacks to more than {_ZIP_LIMIT_BYTES >> 30} GiB; not a bundle")
            roots = {PurePosixPath(m.filename).parent for m in members if m.filename.split("/")[-1] == MANIFEST_NAME}
            if len(roots) != 1:
                raise BundleError(f"{archive} holds {len(roots)} {MANIFEST_NAME}; a zipped bundle holds one")
            root = roots.pop()
            for member in members:
                name = PurePosixPath(member.filename)
                if name.is_absolute() or ".." in name.parts:
                    raise BundleError(f"{archive}: path {member.filename!r} leaves the bundle's folder")
                if name.is_relative_to(root):
                    target = folder / name.relative_to(root)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(content.read(member))
    except (zipfile.BadZipFile, EOFError, zlib.error, RuntimeError, NotImplementedError) as error:
        # also encrypted ones (RuntimeError) and methods that Python lacks
        raise BundleError(f"{archive} is not a readable zip: {error}; copy it again") from None
    except OSError as error:  # two members of one name, a name that is too long, a full disk
        raise BundleError(f"{archive} cannot be unpacked to {folder}: {error.strerror or error}") from None
