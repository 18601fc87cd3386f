"""Every error that edgedepth raises on purpose.

The tree::

    EdgeDepthError                something a user can act on; the message is one line with the remedy
    ├── InputError                a source, image, video, data set or path that cannot be read as asked
    ├── OutputError               a place that cannot be written: missing folder, no permission, disk full
    ├── BundleError               a bundle or manifest that is missing, altered, newer or malformed
    ├── CheckpointError           a checkpoint that is malformed or belongs to another network
    ├── BackendError              an inference backend that is absent, fails to load or fails to run
    ├── ParityError               an exported graph that does not agree with the network it came from
    ├── UnknownNameError          a name that is in none of our tables; the message lists the known ones
    └── MissingPackageError       an optional package that is not installed; the message names the extra
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class EdgeDepthError(Exception):
    """Root of the tree: an error whose one-line message tells the user what to do."""


class InputError(EdgeDepthError):
    """A source, image, video, data set or path cannot be read as asked."""


class OutputError(EdgeDepthError):
    """A place cannot be written: missing folder, no permission, disk full."""


class BundleError(EdgeDepthError):
    """A bundle or its manifest is missing, altered, newer than this version, or malformed."""


class CheckpointError(EdgeDepthError):
    """A checkpoint is malformed or belongs to another network."""


class BackendError(EdgeDepthError):
    """An inference backend is absent, fails to load or fails to run."""


class ParityError(EdgeDepthError):
    """An exported graph does not agree with the network it came from."""


class UnknownNameError(EdgeDepthError):
    """A name is in none of our tables.

    >>> UnknownNameError.of("network", "edge-mid", ["edge-low", "edge-high"]).args[0]
    "unknown network 'edge-mid'; known: edge-low, edge-high"
    """

    @classmethod
    def of(cls, what: str, name: str, known: Iterable[str]) -> UnknownNameError:
        """Build the message from what was asked for and the names that exist."""
        return cls(f"unknown {what} {name!r}; known: {', '.join(known)}")


class MissingPackageError(EdgeDepthError):
    """An optional package is not installed."""


def first_fault(error: ValidationError) -> str:
    """What pydantic found wrong first, in a line: "networks.low.params: Input should be a valid integer"."""
    fault = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in fault["loc"])
    message = fault["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional package, or say which extra brings it.

    Raises:
        MissingPackageError: the module is not installed; the message names the pip command.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise MissingPackageError(
            f"{error.name} is not installed; install it with: pip install 'edgedepth[{extra}]'"
        ) from None


def some_of(names: list[str], limit: int = 3) -> str:
    """The first few names of a list in a message, and how many more there are."""
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
