"""The errors of edgedepth: `from edgedepth.errors import EdgeDepthError`; `edgedepth.core.errors` describes them."""

from edgedepth.core.errors import (
    BackendError,
    BundleError,
    CheckpointError,
    EdgeDepthError,
    InputError,
    MissingPackageError,
    OutputError,
    ParityError,
    UnknownNameError,
)

__all__ = [
    "BackendError",
    "BundleError",
    "CheckpointError",
    "EdgeDepthError",
    "InputError",
    "MissingPackageError",
    "OutputError",
    "ParityError",
    "UnknownNameError",
]
