"""The precision that a bundle runs in where nobody says which."""

from __future__ import annotations

from edgedepth.core.manifest import Manifest
from edgedepth.engines.registry import backend_named


def default_precision(manifest: Manifest, backend: str) -> str:
    """INT8 where every network's calibration held its budget and was measured to be faster, else FP16 on a GPU.

    FP32 where the bundle has neither for this backend, and on CPUs.
    """
    if all(network.int8_pays_on(backend) for network in manifest.networks.values()):
        return "int8"
    return "fp16" if backend_named(backend).gpu and "fp16" in manifest.precisions(backend) else "fp32"


def chosen_precision(manifest: Manifest, precision: str, backend: str) -> str:
    """The precision that was asked for, checked to be there, or what "auto" becomes.

    Raises:
        InputError: a depth network has no file of it for this backend; the message lists those it has.
    """
    chosen = default_precision(manifest, backend) if precision == "auto" else precision
    for network in manifest.networks.values():
        network.variant(chosen, backend)
    return chosen
